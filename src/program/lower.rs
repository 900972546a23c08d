//! The graph of operators of a program, for calls of one shape.

use super::body::Body;
use super::evaluate::{Array, Evaluator, empty};
use super::operation::Operation;
use super::shapes::Reason;
use super::values::{Kind, Values};
use super::{Origin, Step};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Bounds, OperatorGraph, Source, StateOfLayer};
use crate::operator;
use ndarray::{ArrayD, IxDyn};

/// What the graph of a call depends on, beside the program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    /// The shapes of the inputs that the call gives.
    pub shapes: &'a [Vec<usize>],
    /// The bits of the values of those that decide.
    pub values: &'a [Option<Vec<u32>>],
    /// Whether tied inputs are what the last call left.
    pub carried: bool,
}

impl Body {
    /// The graph for calls that give this.
    pub fn lower(&self, given: Given<'_>) -> Result<OperatorGraph> {
        let mut lowering = Lowering {
            body: self,
            given,
            evaluator: Evaluator::new(self.layer_count),
            arrays: self.known.iter().map(|known| known.clone().map(Array::Known)).collect(),
        };
        lowering.inputs()?;
        let mut outputs = Vec::new();
        for (name, value) in &self.outputs {
            lowering.demand(*value)?;
            lowering.evaluator.name = name.clone();
            let output = lowering.output(*value);
            outputs.push(output.map_err(|reason| wrong(name, "output", &reason))?);
        }
        lowering.ties(&outputs)?;
        let mut graph = lowering.evaluator.graph;
        graph.outputs = outputs;
        Ok(graph.without_unused_steps())
    }

    /// What the program returns where its inputs are these arrays of the evaluator's graph.
    pub(super) fn evaluate(
        &self,
        evaluator: Evaluator,
        inputs: &[ArrayId],
    ) -> (Evaluator, Result<Vec<Array>>) {
        let mut lowering = Lowering {
            body: self,
            given: Given { shapes: &[], values: &[], carried: false },
            evaluator,
            arrays: self.known.iter().map(|known| known.clone().map(Array::Known)).collect(),
        };
        let results = lowering.results_on(inputs);
        (lowering.evaluator, results)
    }
}

fn wrong(name: &str, operation: &str, reason: &str) -> Error {
    Error::Graph(format!("{name:?} ({operation}): {reason}"))
}

struct Lowering<'b> {
    body: &'b Body,
    given: Given<'b>,
    evaluator: Evaluator,
    /// Of each value, as far as they are there.
    arrays: Vec<Option<Array>>,
}

impl Lowering<'_> {
    fn results_on(&mut self, inputs: &[ArrayId]) -> Result<Vec<Array>> {
        for value in 0..self.body.origins.len() {
            let Origin::Input(input) = self.body.origins[value] else { continue };
            let (kind, name) = (self.body.inputs[input].kind, &self.body.inputs[input].name);
            let given =
                inputs.get(input).ok_or_else(|| wrong(name, "input", "no call gives it"))?;
            let bounds = match kind {
                Kind::Float => None,
                Kind::Integer => Some(Bounds::Whole),
                Kind::Bool => Some(Bounds::Truth),
            };
            if let Some(bounds) = bounds {
                let asked = self.evaluator.graph.demand(name, *given, bounds);
                asked.map_err(|reason| wrong(name, "input", &reason))?;
            }
            self.arrays[value] = Some(self.evaluator.of_graph(*given, kind));
        }
        let mut results = Vec::new();
        for (name, value) in &self.body.outputs {
            self.demand(*value)?;
            let result = self.arrays[*value].clone();
            results.push(result.ok_or_else(|| wrong(name, "output", "it isn't computed"))?);
        }
        Ok(results)
    }

    fn inputs(&mut self) -> Result<()> {
        let mut given = 0;
        for value in 0..self.body.origins.len() {
            let Origin::Input(input) = self.body.origins[value] else { continue };
            let name = &self.body.inputs[input].name;
            let array = match self.body.ties.iter().position(|tie| tie.input == input) {
                Some(tie) => self.tied(tie),
                None => {
                    given += 1;
                    self.input(input, given - 1)
                }
            };
            self.arrays[value] = Some(array.map_err(|reason| wrong(name, "input", &reason))?);
        }
        Ok(())
    }

    /// An input that the call gives, in this place.
    fn input(&mut self, input: usize, place: usize) -> Reason<Array> {
        let given = self.given.shapes.get(place).ok_or("no call gives it")?;
        let kind = self.body.inputs[input].kind;
        // A number is given as an array of one value.
        let shape = if self.body.inputs[input].axes.is_empty() { &[][..] } else { &given[..] };
        if shape.contains(&0) {
            return Ok(empty(shape, kind));
        }
        match self.given.values.get(place) {
            Some(Some(bits)) => {
                let floats = bits.iter().map(|&bits| f32::from_bits(bits)).collect();
                let array = ArrayD::from_shape_vec(IxDyn(shape), floats);
                let array = array.map_err(|error| error.to_string())?;
                Ok(Values::Floats(array).cast(kind).into())
            }
            _ => self.evaluator.fed(Source::Input(place), shape, kind).map(Array::Computed),
        }
    }

    /// What the last call left, or zeros.
    fn tied(&mut self, tie: usize) -> Reason<Array> {
        let input = &self.body.inputs[self.body.ties[tie].input];
        let shape = self.body.tied_shape(tie, self.given.shapes);
        let shape = shape.ok_or("the length of an axis of a tied input isn't known: fix it")?;
        match self.given.carried {
            true => {
                let state = StateOfLayer { layer: self.body.layer_count, index: tie };
                let array = self.evaluator.fed(Source::Carried(state), &shape, input.kind)?;
                Ok(Array::Computed(array))
            }
            false => {
                let zeros = ArrayD::zeros(IxDyn(&shape));
                Ok(Values::Floats(zeros).cast(input.kind).into())
            }
        }
    }

    /// Computes a value and all that it needs.
    fn demand(&mut self, value: usize) -> Result<()> {
        let mut open = vec![value];
        while let Some(&value) = open.last() {
            if self.arrays[value].is_some() {
                open.pop();
                continue;
            }
            let Origin::Result(index) = self.body.origins[value] else {
                return Err(Error::Graph(format!("value {value} of the program isn't there")));
            };
            let step = &self.body.steps[index];
            step.check_supported()?;
            let missing = self
                .missing(step)
                .map_err(|reason| wrong(&step.name, step.operation.name(), &reason))?;
            if missing.is_empty() {
                self.step(index)
                    .map_err(|reason| wrong(&step.name, step.operation.name(), &reason))?;
            }
            open.extend(missing);
        }
        Ok(())
    }

    /// The operands that a step still needs: of a choice only the one that is taken.
    fn missing(&self, step: &Step) -> Reason<Vec<usize>> {
        let open = |value: &usize| self.arrays[*value].is_none();
        let condition = match (&step.operation, step.operands.first()) {
            (Operation::Choose, Some(&Some(condition))) => condition,
            _ => return Ok(step.operands.iter().flatten().copied().filter(open).collect()),
        };
        let Some(known) = &self.arrays[condition] else { return Ok(vec![condition]) };
        let chosen = Evaluator::chosen(known)?;
        let taken = step.operands.get(chosen).copied().flatten();
        Ok(taken.into_iter().filter(open).collect())
    }

    fn step(&mut self, index: usize) -> Reason<()> {
        let step = &self.body.steps[index];
        if step.operation.is_recurrent() && self.body.layers[index].is_none() {
            let inputs = self.body.inputs_of_weights(step);
            return Err(format!(
                "its weights are computed in the call, from the inputs {inputs:?}, and have to \
                 follow from constants: fix the inputs that are weights \
                 (OnnxOptions::fixed_input), or export the model with weights of its own"
            ));
        }
        let read = |value: &Option<usize>| value.and_then(|value| self.arrays[value].clone());
        let reads: Vec<Option<Array>> = step.operands.iter().map(read).collect();
        self.evaluator.name.clone_from(&step.name);
        let results = self.evaluator.evaluate(&step.operation, &reads, self.body.layers[index])?;
        for (result, array) in results.into_iter().enumerate() {
            self.arrays[step.first_result + result] = Some(array);
        }
        Ok(())
    }

    /// An output as the model returns it.
    fn output(&mut self, value: usize) -> Reason<ArrayId> {
        let array = self.arrays[value].as_ref().ok_or("it isn't computed")?.clone();
        if array.shape().is_empty() {
            let one = self.evaluator.evaluate(
                &Operation::Reshape { zero_copies: false },
                &[Some(array), Some(Values::integers([1]).into())],
                None,
            )?;
            return self.evaluator.straight(&one[0]);
        }
        self.evaluator.straight(&array)
    }

    /// What the next call is given in place of tied inputs.
    fn ties(&mut self, outputs: &[ArrayId]) -> Result<()> {
        for (index, tie) in self.body.ties.iter().enumerate() {
            let name = &self.body.inputs[tie.input].name;
            let graph = &mut self.evaluator.graph;
            let shape = graph.shape(outputs[tie.output]).to_vec();
            let expected = self.body.tied_shape(index, self.given.shapes);
            if expected.as_ref() != Some(&shape) {
                let expected = expected.unwrap_or_default();
                let reason = format!("its output has shape {shape:?}, and it has {expected:?}");
                return Err(wrong(name, "tied input", &reason));
            }
            // An array of its own: what a recurrence ends with may be carried already.
            let copy =
                graph.step(name, operator::Reshape { shape }, [Some(outputs[tie.output])])?;
            let state = StateOfLayer { layer: self.body.layer_count, index };
            graph.carried.push((state, copy[0]));
        }
        Ok(())
    }
}
