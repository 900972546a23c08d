//! Models of programs, and what a call gives them.

use super::bind::Bound;
use super::inputs::Inputs;
use super::values::first;
use super::{BuiltLayer, InputSpec, MaskRules, Model, TensorSpec};
use crate::error::{Error, Result};
use crate::graph::Bounds;
use crate::layer::Role;
use crate::program::{Body, Kind, Program, Weighted};
use birnn_cell::Real;
use ndarray::{ArrayViewD, Axis};
use std::collections::HashSet;
use std::sync::Arc;

impl Program {
    /// Makes the model. What follows from constants alone is computed now.
    ///
    /// The model's layers are the program's recurrent operations, whose weights
    /// [`Model::weights`] has; [`Outputs::named`](crate::Outputs::named) finds the outputs.
    ///
    /// # Errors
    /// [`Error::Graph`] where the program has no output, two recurrent layers have one name, or a
    /// tied input has axes whose length isn't known; [`Error::WeightCount`],
    /// [`Error::WeightShape`], [`Error::NonFiniteWeight`] and [`Error::Argument`] where a recurrent
    /// layer and its weights don't fit each other.
    pub fn build(self) -> Result<Model> {
        let (body, weighted) = self.complete()?;
        body.check_tied_shapes()?;
        let layers = weighted.into_iter().map(built).collect::<Result<Vec<_>>>()?;
        check_names(&layers)?;
        let mut tensors = Vec::new();
        let mut inputs = Vec::new();
        for (index, input) in body.inputs.iter().enumerate() {
            if !body.is_tied(index) {
                let tensor = tensors.len();
                inputs.push(InputSpec { name: input.name.clone(), tensor, constant: None });
                let shape = input.axes.iter().map(|axis| axis.fixed()).collect();
                let source = input.name.clone();
                tensors.push(TensorSpec { shape, role: Role::Input, source });
            }
        }
        let first = tensors.len();
        for (name, _) in &body.outputs {
            let source = name.clone();
            tensors.push(TensorSpec { shape: Vec::new(), role: Role::Output, source });
        }
        Ok(Model {
            inputs,
            layers,
            nodes: Vec::new(),
            outputs: (first..tensors.len()).collect(),
            tensors,
            mask_rules: MaskRules::default(),
            program: Some(Arc::new(body)),
            attachment: None,
        })
    }
}

impl Model {
    /// Whether it is operations on arrays, a [`Program`], in place of layers: whether it came from
    /// an ONNX file.
    pub fn is_program(&self) -> bool {
        self.program.is_some()
    }

    /// Of a model of operations the inputs that look like states, what an output was in the call
    /// before, each with that output. It goes by names alone, such as `h0` and `hn`, `state` and
    /// `stateN`, or `initial_h` and `Y_h`. `OnnxOptions::tied` and [`Program::tie`] tie an input to
    /// an output, so that no call has to give it.
    ///
    /// ```
    /// use birnn::program::{Kind, Length, Program};
    /// let mut program = Program::new();
    /// let x = program.input("x", [Length::Fixed(3)], Kind::Float)?;
    /// let before = program.input("h0", [Length::Fixed(3)], Kind::Float)?;
    /// program.output("y", x);
    /// program.output("hn", before);
    /// let model = program.build()?;
    /// assert_eq!(model.likely_ties(), [("h0".to_string(), "hn".to_string())]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn likely_ties(&self) -> Vec<(String, String)> {
        let Some(program) = &self.program else { return Vec::new() };
        let tied: Vec<usize> = program.tied_outputs().collect();
        let outputs = program.outputs.iter().enumerate().filter(|(index, _)| !tied.contains(index));
        let outputs: Vec<&String> = outputs.map(|(_, (name, _))| name).collect();
        let mut ties = Vec::new();
        for input in self.given_inputs() {
            let stem = stem(&input.name);
            let mut alike = outputs.iter().filter(|output| self::stem(output) == stem);
            // Of several none is the likely one.
            if let (Some(output), None) = (alike.next(), alike.next())
                && !stem.is_empty()
            {
                ties.push((input.name.clone(), output.to_string()));
            }
        }
        ties
    }

    /// Checks the inputs against a program.
    pub(super) fn bind_program<'a, F: Real>(
        &self,
        program: &Body,
        inputs: Inputs<'a, F>,
    ) -> Result<Bound<'a, F>> {
        if let Some((index, _)) = inputs.masks.first() {
            let name = &self.inputs[*index].name;
            return Err(Error::Graph(format!(
                "input {name:?} takes no mask or lengths: give them as an input where the model \
                 has one"
            )));
        }
        self.bind_states(inputs.states, 1, &[])?;
        let mut values = Vec::with_capacity(self.inputs.len());
        for (place, array) in inputs.arrays.iter().enumerate() {
            self.check_whole_input(place, array.shape())?;
            self.check_type(program, place, array)?;
            values.push(self.deciding_values(program, place, array)?);
        }
        let shapes: Vec<_> = inputs.arrays.iter().map(|array| array.shape().to_vec()).collect();
        // No array that a device has is without an axis.
        let with_an_axis = |array: ArrayViewD<'a, F>| match array.ndim() {
            0 => array.insert_axis(Axis(0)),
            _ => array,
        };
        Ok(Bound {
            batch: 1,
            has_batch: false,
            arrays: inputs.arrays.into_iter().map(|a| with_an_axis(a).into()).collect(),
            masks: vec![None; self.inputs.len()],
            longest: vec![None; self.inputs.len()],
            states: Vec::new(),
            values,
            tied: program.tied_shapes(&shapes)?,
            shapes: shapes.into(),
        })
    }

    /// Checks the whole shape of a program's input.
    fn check_whole_input(&self, place: usize, found: &[usize]) -> Result<()> {
        let spec = &self.inputs[place];
        let axes = &self.tensors[spec.tensor].shape;
        let input = format!("input {:?}", spec.name);
        let fits = |(axis, &n): (&Option<usize>, &usize)| axis.is_none_or(|length| length == n);
        let is_number = axes.is_empty() && found == [1];
        if !is_number && (axes.len() != found.len() || !axes.iter().zip(found).all(fits)) {
            let name = |axis: &Option<usize>| axis.map_or("any".to_string(), |n| n.to_string());
            let expected = axes.iter().map(name).collect::<Vec<_>>().join(", ");
            let expected = format!("[{expected}]");
            return Err(Error::InputShape { input, found: found.to_vec(), expected });
        }
        Ok(())
    }

    /// That the values of an input are ones of its type.
    pub(super) fn check_type<F: Real>(
        &self,
        program: &Body,
        place: usize,
        array: &ArrayViewD<'_, F>,
    ) -> Result<()> {
        let name = &self.inputs[place].name;
        let Some(input) = program.input_named(name).map(|input| &program.inputs[input]) else {
            return Ok(());
        };
        let (bounds, (least, most)) = match (input.kind, input.range) {
            (Kind::Float, _) => return Ok(()),
            (Kind::Integer, None) => (Bounds::Whole, Bounds::Whole.range()),
            (Kind::Integer, Some((least, most))) => (Bounds::Whole, (least as f64, most as f64)),
            (Kind::Bool, _) => (Bounds::Truth, Bounds::Truth.range()),
        };
        let is_wrong = |value: F| {
            let value = value.widened();
            !bounds.hold(value, false) || !(least..=most).contains(&value)
        };
        let Some(index) = first(array, is_wrong) else { return Ok(()) };
        let expected = match (input.kind, input.range) {
            (Kind::Bool, _) => "it takes truth values, 0 or 1".to_string(),
            (_, Some((least, most))) => format!("it takes whole numbers from {least} to {most}"),
            _ => "it takes whole numbers".to_string(),
        };
        let (input, value) = (name.clone(), array[&index[..]].widened());
        Err(Error::InputValue { input, value, index, expected })
    }

    /// The bits of an input's values, where shapes depend on them.
    fn deciding_values<F: Real>(
        &self,
        program: &Body,
        place: usize,
        array: &ArrayViewD<'_, F>,
    ) -> Result<Option<Vec<u32>>> {
        const MOST: usize = 64;
        let name = &self.inputs[place].name;
        if !program.input_named(name).is_some_and(|input| program.decides(input)) {
            return Ok(None);
        }
        if array.len() > MOST {
            return Err(Error::InputShape {
                input: format!("input {name:?}, whose values say shapes,"),
                found: array.shape().to_vec(),
                expected: format!("at most {MOST} values"),
            });
        }
        let bits = |value: &F| (value.widened() as f32).to_bits();
        Ok(Some(array.iter().map(bits).collect()))
    }
}

/// What is left of a state's name without what says whether it is that before or behind a call.
fn stem(name: &str) -> String {
    const SIDES: [&str; 22] = [
        "in", "input", "inputs", "out", "output", "outputs", "initial", "init", "final", "last",
        "prev", "previous", "past", "present", "cur", "current", "new", "next", "x", "y", "0", "n",
    ];
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !SIDES.contains(word)).collect();
    let stem = words.concat();
    for end in ["input", "output", "in", "out", "next", "new", "n", "0"] {
        match stem.strip_suffix(end) {
            Some(shorter) if !shorter.is_empty() => return shorter.to_string(),
            _ => {}
        }
    }
    stem
}

/// A layer with its weights.
fn built(weighted: Weighted) -> Result<BuiltLayer> {
    let Weighted { mut layer, features, weights } = weighted;
    layer.check()?;
    let inputs = vec![vec![None, Some(features)]];
    layer.set_weights(&inputs, weights)?;
    Ok(BuiltLayer { layer, inputs })
}

fn check_names(layers: &[BuiltLayer]) -> Result<()> {
    let mut names = HashSet::new();
    match layers.iter().map(|built| built.layer.name()).find(|name| !names.insert(*name)) {
        Some(name) => Err(Error::Graph(format!("two recurrent layers are named {name:?}"))),
        None => Ok(()),
    }
}

impl Body {
    /// The shapes of the arrays that are handed on from call to call, in calls whose inputs have
    /// these shapes.
    pub(super) fn tied_shapes(&self, shapes: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        let shape = |tie| self.tied_shape(tie, shapes).ok_or_else(|| self.unknown_length(tie));
        (0..self.ties()).map(shape).collect()
    }

    /// That every axis of a tied input has a length, or a name that an input that calls give has,
    /// too.
    fn check_tied_shapes(&self) -> Result<()> {
        // As long as there are axes: which lengths they have doesn't matter.
        let given = self.inputs.iter().enumerate().filter(|(index, _)| !self.is_tied(*index));
        let shapes: Vec<_> = given.map(|(_, input)| vec![1; input.axes.len()]).collect();
        self.tied_shapes(&shapes).map(|_| ())
    }

    fn unknown_length(&self, tie: usize) -> Error {
        let name = self.tied_name(tie);
        Error::Graph(format!(
            "the length of an axis of the tied input {name:?} isn't known, as no call gives it: \
             fix it, or give it the name of another input's axis"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn states_are_known_by_their_names() {
        for (before, behind) in [
            ("h0", "hn"),
            ("state", "stateN"),
            ("initial_h", "Y_h"),
            ("hidden_in", "hidden_out"),
            ("prev_cache.1", "new_cache.1"),
            ("past_key", "present_key"),
            ("h", "h_next"),
            ("c_0", "c_n"),
        ] {
            assert_eq!(stem(before), stem(behind), "{before} {behind}");
        }
        for (one, other) in [("h0", "cn"), ("state1", "state2"), ("tokens", "logits")] {
            assert_ne!(stem(one), stem(other), "{one} {other}");
        }
        assert!(stem("input").is_empty() && stem("y").is_empty());
    }
}
