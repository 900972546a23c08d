//! Models of programs, and what a call gives them.

use super::bind::Bound;
use super::inputs::Inputs;
use super::{BuiltLayer, InputSpec, MaskRules, Model, TensorSpec};
use crate::error::{Error, Result};
use crate::layer::Role;
use crate::program::{Body, Program, Weighted};
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
        let shape = |tie| {
            self.tied_shape(tie, shapes).ok_or_else(|| {
                let name = self.tied_name(tie);
                Error::Graph(format!(
                    "the length of an axis of the tied input {name:?} isn't known: fix it"
                ))
            })
        };
        (0..self.ties()).map(shape).collect()
    }
}
