//! A program that is complete: what no call changes is computed once.

use super::evaluate::{Array, Evaluator, Known, VALUES_OF_A_PROGRAM};
use super::layers::OfLayer;
use super::operation::Operation;
use super::values::{Kind, Values};
use super::{Input, Length, Origin, Program, Step};
use crate::error::{Error, Result};
use crate::graph::Constant;
use crate::layer::Layer;
use crate::operator;
use ndarray::{ArrayD, Axis};
use std::sync::Arc;

/// What a model runs in place of layers.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub inputs: Vec<Input>,
    pub(super) origins: Vec<Origin>,
    pub(super) steps: Vec<Step>,
    /// Of each step the layer of the model that has its weights.
    pub(super) layers: Vec<Option<OfLayer>>,
    /// Of each value what it is, where no call changes it and something reads it.
    pub(super) known: Vec<Option<Known>>,
    constants: Vec<Arc<Values>>,
    pub outputs: Vec<(String, usize)>,
    /// Of each input whether its values are known when a call is prepared.
    pub(super) decides: Vec<bool>,
    pub(super) ties: Vec<Tie>,
    /// How many layers of the model have weights of this program. The next one stands for its
    /// constants.
    pub(super) layer_count: usize,
}

/// An input that is an output of the call before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tie {
    pub input: usize,
    pub output: usize,
}

/// A recurrent layer of a program, with its weights and the features that it reads.
pub(crate) struct Weighted {
    pub layer: Layer,
    pub features: usize,
    pub weights: Vec<ArrayD<f32>>,
}

impl Program {
    /// Folds what is constant.
    pub(crate) fn complete(self) -> Result<(Body, Vec<Weighted>)> {
        self.complete_within(VALUES_OF_A_PROGRAM)
    }

    /// The same where the host may compute so many values, and more the more constants there are.
    pub(super) fn complete_within(mut self, values: usize) -> Result<(Body, Vec<Weighted>)> {
        if self.outputs.is_empty() {
            return Err(Error::Graph("the program has no output".into()));
        }
        let ties = self.resolved_ties()?;
        let folded = self.folded(values);
        self.decided(&folded);
        self.check_supported(&folded)?;
        let needed = self.needed(&folded);
        let decides = self.deciding(&needed);
        let Program { inputs, origins, mut steps, outputs, .. } = self;
        let read = read(&steps, &needed.steps, &outputs, origins.len());
        let mut layers = vec![None; steps.len()];
        let mut weighted = Vec::new();
        for (index, step) in steps.iter_mut().enumerate() {
            let Operation::Recurrent { layer, .. } = &step.operation else { continue };
            if needed.steps[index] {
                let layer = (**layer).clone();
                if let Some(found) = take_weights(step, layer, &folded)? {
                    let features = found.features;
                    let has_reader = read[step.first_result];
                    layers[index] = Some(OfLayer { layer: weighted.len(), features, has_reader });
                    weighted.push(found);
                }
            }
        }
        let (known, constants) = known_that_are_read(&folded, &steps, &needed.steps, &outputs);
        let layer_count = weighted.len();
        let body = Body {
            inputs,
            origins,
            steps,
            layers,
            known,
            constants,
            outputs,
            decides,
            ties,
            layer_count,
        };
        Ok((body, weighted))
    }

    fn resolved_ties(&self) -> Result<Vec<Tie>> {
        let tie = |(input, output): &(String, String)| {
            let place = self.inputs.iter().position(|known| known.name == *input);
            let found = self.outputs.iter().position(|(name, _)| name == output);
            match (place, found) {
                (Some(input), Some(output)) => Ok(Tie { input, output }),
                _ => Err(Error::Graph(format!(
                    "input {input:?} is tied to output {output:?}, and the program has the inputs \
                     {:?} and the outputs {:?}",
                    self.inputs.iter().map(|input| &input.name).collect::<Vec<_>>(),
                    self.outputs.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                ))),
            }
        };
        self.ties.iter().map(tie).collect()
    }

    /// Of each value what it is, where no call changes it and something else reads it.
    fn folded(&mut self, others: usize) -> Vec<Option<Array>> {
        let mut folded: Vec<Option<Array>> = vec![None; self.origins.len()];
        let constants = std::mem::take(&mut self.constants);
        let values = constants.iter().fold(0usize, |sum, values| sum.saturating_add(values.len()));
        let mut constants = constants.into_iter();
        for (value, origin) in self.origins.iter().enumerate() {
            if let Origin::Constant = origin {
                folded[value] = constants.next().map(Array::from);
            }
        }
        let mut readers = vec![0usize; self.origins.len()];
        let read = self.steps.iter().flat_map(|step| step.operands.iter().flatten());
        for &value in read.chain(self.outputs.iter().map(|(_, value)| value)) {
            readers[value] += 1;
        }
        let mut evaluator = Evaluator::of_known(values, others);
        for step in &self.steps {
            let Some(results) = fold(step, &folded, &mut evaluator) else { continue };
            for (index, result) in results.into_iter().enumerate() {
                folded[step.first_result + index] = Some(result);
            }
            for &operand in step.operands.iter().flatten() {
                readers[operand] -= 1;
                if readers[operand] == 0 {
                    folded[operand] = None;
                }
            }
        }
        folded
    }

    /// Choices whose condition is known read nothing but the branch that they take.
    fn decided(&mut self, folded: &[Option<Array>]) {
        for step in self.steps.iter_mut().filter(|step| step.operation == Operation::Choose) {
            let condition = step.operands.first().copied().flatten();
            let condition = condition.and_then(|condition| folded[condition].as_ref());
            let chosen = condition.and_then(|condition| Evaluator::chosen(condition).ok());
            if let Some(taken) = chosen.and_then(|chosen| step.operands.get(chosen).copied()) {
                step.operands[1..].fill(taken);
            }
        }
    }

    /// That what every call computes is supported. Of a choice that a call decides it isn't known.
    fn check_supported(&self, folded: &[Option<Array>]) -> Result<()> {
        let mut seen = vec![false; self.origins.len()];
        let mut open: Vec<usize> = self.outputs.iter().map(|(_, value)| *value).collect();
        while let Some(value) = open.pop() {
            if std::mem::replace(&mut seen[value], true) || folded[value].is_some() {
                continue;
            }
            let Origin::Result(step) = self.origins[value] else { continue };
            let step = &self.steps[step];
            step.check_supported()?;
            let is_open =
                step.operation == Operation::Choose && step.operands.get(1) != step.operands.get(2);
            let certain = if is_open { 1 } else { step.operands.len() };
            open.extend(step.operands.iter().take(certain).flatten());
        }
        Ok(())
    }

    /// What the outputs need: steps, and values. Both branches of a choice count where a call
    /// decides it.
    fn needed(&self, folded: &[Option<Array>]) -> Needed {
        let mut needed =
            Needed { steps: vec![false; self.steps.len()], values: vec![false; folded.len()] };
        let mut open: Vec<usize> = self.outputs.iter().map(|(_, value)| *value).collect();
        while let Some(value) = open.pop() {
            if std::mem::replace(&mut needed.values[value], true) || folded[value].is_some() {
                continue;
            }
            if let Origin::Result(step) = self.origins[value]
                && !std::mem::replace(&mut needed.steps[step], true)
            {
                open.extend(self.steps[step].operands.iter().flatten());
            }
        }
        needed
    }

    /// The inputs of whole numbers on whose values a shape, an axis or a choice depends.
    fn deciding(&self, needed: &Needed) -> Vec<bool> {
        let mut open: Vec<usize> = Vec::new();
        for (step, _) in self.steps.iter().zip(&needed.steps).filter(|(_, needed)| **needed) {
            let operands = step.operands.iter().enumerate();
            let deciding = operands.filter(|(operand, _)| step.operation.decides(*operand));
            open.extend(deciding.filter_map(|(_, value)| *value));
        }
        let mut seen = vec![false; self.origins.len()];
        let mut decides = vec![false; self.inputs.len()];
        while let Some(value) = open.pop() {
            if std::mem::replace(&mut seen[value], true) {
                continue;
            }
            match self.origins[value] {
                Origin::Input(input) => decides[input] = self.inputs[input].kind != Kind::Float,
                Origin::Constant => {}
                Origin::Result(step) => match self.steps[step].operation {
                    Operation::Shape => {}
                    _ => open.extend(self.steps[step].operands.iter().flatten()),
                },
            }
        }
        decides
    }
}

struct Needed {
    steps: Vec<bool>,
    values: Vec<bool>,
}

/// What a step returns, where all that it reads is known.
fn fold(step: &Step, folded: &[Option<Array>], evaluator: &mut Evaluator) -> Option<Vec<Array>> {
    let value = |operand: usize| folded[operand].clone();
    let read = |&operand: &Option<usize>| match operand {
        Some(operand) => value(operand).map(Some),
        None => Some(None),
    };
    let reads: Vec<Option<Array>> = match step.operation {
        Operation::Recurrent { .. } => return None,
        Operation::Choose => {
            let condition = value((*step.operands.first()?)?)?;
            let chosen = Evaluator::chosen(&condition).ok()?;
            let taken = value((*step.operands.get(chosen)?)?)?;
            return Some(vec![taken]);
        }
        _ => step.operands.iter().map(read).collect::<Option<_>>()?,
    };
    // What is wrong with it is said where it is needed: in a branch that no call takes it isn't.
    let results = evaluator.evaluate(&step.operation, &reads, None).ok()?;
    results.iter().all(|result| result.known().is_some()).then_some(results)
}

/// The first operand of a recurrence that is a weight.
fn first_weight(layer: &Layer) -> usize {
    let states: usize = layer.directions().iter().map(|(_, one)| one.cell().states()).sum();
    operator::Recurrent::STATES + states
}

/// Takes the weights out of a recurrence's operands; `None` where they aren't constants.
fn take_weights(
    step: &mut Step,
    layer: Layer,
    folded: &[Option<Array>],
) -> Result<Option<Weighted>> {
    let first = first_weight(&layer).min(step.operands.len());
    let array = |operand: &Option<usize>| Some(folded[(*operand)?].as_ref()?.known()?.to_floats());
    let weights: Option<Vec<ArrayD<f32>>> = step.operands[first..].iter().map(array).collect();
    let Some(weights) = weights else { return Ok(None) };
    step.operands.truncate(first);
    let features = weights.first().and_then(|kernel| kernel.shape().first().copied());
    let wrong = || Error::MissingWeights { layer: layer.name().to_string() };
    let features = features.ok_or_else(wrong)?;
    Ok(Some(Weighted { layer, features, weights }))
}

/// Of each value whether a step that is needed or an output reads it.
fn read(steps: &[Step], needed: &[bool], outputs: &[(String, usize)], values: usize) -> Vec<bool> {
    let mut read = vec![false; values];
    outputs.iter().for_each(|(_, value)| read[*value] = true);
    for (step, _) in steps.iter().zip(needed).filter(|(_, needed)| **needed) {
        step.operands.iter().flatten().for_each(|&value| read[value] = true);
    }
    read
}

/// The known values that a step or an output reads, each with its place among the constants.
fn known_that_are_read(
    folded: &[Option<Array>],
    steps: &[Step],
    needed: &[bool],
    outputs: &[(String, usize)],
) -> (Vec<Option<Known>>, Vec<Arc<Values>>) {
    let read = read(steps, needed, outputs, folded.len());
    let mut constants = Vec::new();
    let known = folded.iter().zip(read).map(|(array, read)| match array {
        Some(Array::Known(known)) if read => {
            constants.push(known.values.clone());
            let constant = Some(constants.len() - 1);
            Some(Known { values: known.values.clone(), constant })
        }
        _ => None,
    });
    (known.collect(), constants)
}

impl Body {
    /// What its graphs read and no call changes; a number is an array of one.
    pub fn constants(&self) -> Vec<Constant<'_>> {
        self.constants.iter().map(|values| constant(values)).collect()
    }

    /// How many numbers its constants hold that aren't whole ones or single ones: its weights,
    /// without those of its recurrent layers.
    pub fn parameters(&self) -> usize {
        let floats = self.constants.iter().filter_map(|values| match values.as_ref() {
            Values::Floats(array) if array.ndim() > 0 => Some(array.len()),
            _ => None,
        });
        floats.fold(0, usize::saturating_add)
    }

    /// The lengths of the axes of what it knows.
    pub(super) fn known_shapes(&self) -> impl Iterator<Item = usize> {
        self.known.iter().flatten().flat_map(|known| known.values.shape().iter().copied())
    }

    /// Whether the values of an input are known when a call is prepared.
    pub fn decides(&self, input: usize) -> bool {
        self.decides.get(input).copied().unwrap_or(false)
    }

    pub fn input_named(&self, name: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input.name == name)
    }

    /// The inputs that the weights of a recurrence depend on, where they aren't constants.
    pub(super) fn inputs_of_weights(&self, step: &Step) -> Vec<&str> {
        let Operation::Recurrent { layer, .. } = &step.operation else { return Vec::new() };
        let weights = step.operands.iter().skip(first_weight(layer)).flatten();
        let mut open: Vec<usize> = weights.copied().collect();
        let mut seen = vec![false; self.origins.len()];
        while let Some(value) = open.pop() {
            if !std::mem::replace(&mut seen[value], true)
                && let Origin::Result(step) = self.origins[value]
            {
                open.extend(self.steps[step].operands.iter().flatten());
            }
        }
        let inputs = self.origins.iter().zip(seen).filter(|(_, seen)| *seen);
        let name = |origin: &Origin| match origin {
            Origin::Input(input) => Some(self.inputs[*input].name.as_str()),
            _ => None,
        };
        inputs.filter_map(|(origin, _)| name(origin)).collect()
    }

    /// How many inputs are tied to outputs.
    pub fn ties(&self) -> usize {
        self.ties.len()
    }

    /// The name of the input of a tie.
    pub fn tied_name(&self, tie: usize) -> &str {
        &self.inputs[self.ties[tie].input].name
    }

    /// The outputs that inputs are tied to.
    pub fn tied_outputs(&self) -> impl Iterator<Item = usize> {
        self.ties.iter().map(|tie| tie.output)
    }

    /// The shape of the input of a tie, where a call gives inputs of these shapes.
    pub fn tied_shape(&self, tie: usize, shapes: &[Vec<usize>]) -> Option<Vec<usize>> {
        let axes = &self.inputs[self.ties[tie].input].axes;
        axes.iter().map(|axis| self.length(axis, shapes)).collect()
    }

    /// The inputs that no call gives.
    pub fn is_tied(&self, input: usize) -> bool {
        self.ties.iter().any(|tie| tie.input == input)
    }

    /// The same, with the outputs of the recurrent layers behind its own; and their names.
    pub fn with_recurrent_outputs(&self) -> (Body, Vec<String>) {
        let mut body = self.clone();
        let mut names = Vec::new();
        for (step, weights) in body.steps.iter().zip(&mut body.layers) {
            let (Some(weights), Operation::Recurrent { layer, .. }) = (weights, &step.operation)
            else {
                continue;
            };
            weights.has_reader = true;
            names.push(layer.name().to_string());
            body.outputs.push((layer.name().to_string(), step.first_result));
        }
        (body, names)
    }

    /// Whether calls hand something on to the next one.
    pub fn is_stateful(&self) -> bool {
        !self.ties.is_empty()
    }

    /// The length of an axis where a call gives inputs of these shapes.
    pub(super) fn length(&self, length: &Length, shapes: &[Vec<usize>]) -> Option<usize> {
        let name = match length {
            Length::Fixed(length) => return Some(*length),
            Length::Any => return None,
            Length::Named(name) => name,
        };
        let given = self.inputs.iter().enumerate().filter(|(index, _)| !self.is_tied(*index));
        let mut axes =
            given.zip(shapes).flat_map(|((_, input), shape)| input.axes.iter().zip(shape));
        axes.find(|(axis, _)| matches!(axis, Length::Named(other) if other == name))
            .map(|(_, &length)| length)
    }
}

/// A constant of the graphs.
fn constant(values: &Values) -> Constant<'_> {
    match values {
        Values::Floats(array) if array.ndim() == 0 => {
            Constant::Weight(array.view().insert_axis(Axis(0)))
        }
        Values::Floats(array) => Constant::Weight(array.view()),
        values => {
            let floats = values.to_floats().mapv(f64::from);
            let is_number = floats.ndim() == 0;
            Constant::Derived(if is_number { floats.insert_axis(Axis(0)) } else { floats })
        }
    }
}
