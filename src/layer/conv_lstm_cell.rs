//! What a ConvLSTM computes: an LSTM whose products are convolutions.

use super::definition::{WeightSpec, Wrong, size};
use super::dims::{Dims, describe};
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::windows::Sliding;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{
    Activate, Binary, BinaryFunction, Concat, Convolution, Slice, Transpose, Where,
};
use birnn_cell::Activation;
use ndarray::{ArrayD, arr0};

/// A call is a graph of some fifteen operators for each timestep: what is longer would take minutes
/// to prepare.
const MOST_TIMESTEPS: usize = 1024;

/// The arguments of a ConvLSTM of one axis or of two.
pub(super) struct ConvLstm {
    pub filters: usize,
    pub sliding: Sliding,
    /// Of the product with the hidden state, which has the place of the output.
    pub recurrent: Sliding,
    pub activation: Activation,
    pub recurrent_activation: Activation,
    pub use_bias: bool,
    pub channels_first: bool,
    pub go_backwards: bool,
    pub in_order_of_time: bool,
    pub return_sequences: bool,
    pub zero_output_for_mask: bool,
    /// Where its constants begin among those of the layer.
    pub first_constant: usize,
}

/// What a timestep hands to the next; `None` is zeros.
#[derive(Clone, Copy, Default)]
struct Carried {
    hidden: Option<ArrayId>,
    cell: Option<ArrayId>,
    output: Option<ArrayId>,
}

impl ConvLstm {
    pub fn check(&self) -> Result<(), Wrong> {
        self.sliding.check()?;
        self.sliding.not_causal()?;
        size("filters", self.filters)?;
        let above = |numbers: &[usize]| numbers.iter().any(|&number| number > 1);
        if above(&self.sliding.strides) && above(&self.sliding.dilation) {
            return Err(("strides", "Keras takes no strides with a dilation_rate".to_string()));
        }
        for (argument, activation) in
            [("activation", self.activation), ("recurrent_activation", self.recurrent_activation)]
        {
            if !activation.is_elementwise() {
                let reason = format!(
                    "{activation} goes over a whole axis; a recurrent layer takes element-wise ones"
                );
                return Err((argument, reason));
            }
        }
        Ok(())
    }

    /// The timesteps, and what each holds with the features last.
    fn timestep(&self, input: &Dims) -> Result<(Option<usize>, Dims), String> {
        let axes = self.sliding.size.len();
        match &input[..] {
            [timesteps, rest @ ..] if rest.len() == axes + 1 => {
                let mut of_each = rest.to_vec();
                if self.channels_first {
                    of_each.rotate_left(1);
                }
                Ok((*timesteps, of_each))
            }
            _ => {
                let places = if axes == 1 { "places" } else { "rows, columns" };
                Err(format!(
                    "it reads [batch, timesteps, {places}, features] and its input is {}",
                    describe(input)
                ))
            }
        }
    }

    fn features(&self, inputs: &[Dims]) -> usize {
        let of_each = inputs.first().and_then(|input| self.timestep(input).ok());
        of_each.and_then(|(_, of_each)| of_each.last().copied().flatten()).unwrap_or(0)
    }

    /// The shape of a state.
    pub fn state_shape(&self, input: &Dims) -> Result<Dims, String> {
        let (_, of_each) = self.timestep(input)?;
        let (mut state, features) = self.sliding.output(&of_each)?;
        if features.is_none() {
            return Err("the axis of the features of its input has no fixed length".to_string());
        }
        state.push(Some(self.filters));
        if self.channels_first {
            state.rotate_right(1);
        }
        Ok(state)
    }

    /// The shape of the output.
    pub fn output_shape(&self, input: &Dims) -> Result<Dims, String> {
        let state = self.state_shape(input)?;
        let timesteps = self.return_sequences.then(|| input[0]);
        Ok(timesteps.into_iter().chain(state).collect())
    }

    pub fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let gates = self.filters.saturating_mul(4);
        let kernel = |features: usize| [&self.sliding.size[..], &[features, gates]].concat();
        let features = self.features(inputs);
        let mut weights = vec![
            WeightSpec::new("kernel", kernel(features), Initializer::GlorotUniform),
            WeightSpec::new("recurrent_kernel", kernel(self.filters), Initializer::Orthogonal),
        ];
        weights.extend(self.use_bias.then(|| WeightSpec::new("bias", [gates], Initializer::Zeros)));
        weights
    }

    /// A graph of all timesteps: the product with the input is one convolution over them all.
    pub fn lower(
        &self,
        call: &mut Lowering,
        states: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let x = self.features_last(call, call.input(0), 2)?;
        let shape = call.shape(x);
        let (batch, timesteps) = (shape[0], shape[1]);
        if !(1..=MOST_TIMESTEPS).contains(&timesteps) {
            return Err(Error::Limit {
                what: format!("layer {:?}", call.name),
                needed: timesteps as u64,
                limit: "timesteps of a ConvLSTM, at least one",
                allowed: MOST_TIMESTEPS as u64,
                instead: "run the sequence in parts, each from the states of the one before",
            });
        }
        let gates = 4 * self.filters;
        let folded = call.reshaped(x, [&[batch * timesteps], &shape[2..]].concat())?;
        let features = call.features(folded);
        let kernel = call
            .constant(self.first_constant, [&self.sliding.size[..], &[features, gates]].concat());
        let bias = self.use_bias.then(|| call.constant(self.first_constant + 2, [gates]));
        let windows = self.sliding.windows(&call.shape(folded));
        let product = Convolution { windows, groups: 1, activation: Activation::Linear };
        let projected = call.add(product, [Some(folded), Some(kernel), bias])?;
        let places = call.shape(projected)[1..].to_vec();
        let projected = call.reshaped(projected, [&[batch, timesteps], &places[..]].concat())?;
        let mut carried = Carried::default();
        for (to, from) in [&mut carried.hidden, &mut carried.cell].into_iter().zip(states) {
            *to = from.map(|state| self.features_last(call, state, 1)).transpose()?;
        }
        let mut outputs = Vec::new();
        for step in 0..timesteps {
            let timestep = if self.go_backwards { timesteps - 1 - step } else { step };
            let at = |axis: usize| Slice { axis, start: timestep, step: 1, length: 1 };
            let projected = call.apply(at(1), projected)?;
            let projected = call.reshaped(projected, [&[batch], &places[..]].concat())?;
            let mask = match call.mask(0) {
                Some(mask) => {
                    let mask = call.apply(at(1), mask)?;
                    let ones = vec![1; places.len()];
                    Some(call.reshaped(mask, [&[batch], &ones[..]].concat())?)
                }
                None => None,
            };
            carried = self.step(call, projected, mask, carried)?;
            outputs.extend(carried.output);
        }
        let mut written = vec![self.output(call, outputs)?];
        for state in [carried.hidden, carried.cell].into_iter().flatten() {
            written.push(self.features_back(call, state, 1)?);
        }
        Ok(written)
    }

    /// The output, from those of all timesteps in the order of reading.
    fn output(&self, call: &mut Lowering, mut outputs: Vec<ArrayId>) -> Result<ArrayId, Error> {
        let last = outputs[outputs.len() - 1];
        if !self.return_sequences {
            return self.features_back(call, last, 1);
        }
        if self.go_backwards && self.in_order_of_time {
            outputs.reverse();
        }
        let mut shape = call.shape(last);
        shape.insert(1, 1);
        let mut sequence = Vec::new();
        for output in outputs {
            sequence.push(Some(call.reshaped(output, shape.clone())?));
        }
        let sequence = call.add(Concat { axis: 1 }, sequence)?;
        self.features_back(call, sequence, 2)
    }

    /// One timestep: `projected` is the product with the input, of all gates.
    fn step(
        &self,
        call: &mut Lowering,
        projected: ArrayId,
        mask: Option<ArrayId>,
        before: Carried,
    ) -> Result<Carried, Error> {
        let binary = |call: &mut Lowering, function, a: ArrayId, b: ArrayId| {
            call.add(Binary { function }, [Some(a), Some(b)])
        };
        let mut sums = projected;
        if let Some(hidden) = before.hidden {
            let gates = 4 * self.filters;
            let shape = [&self.recurrent.size[..], &[self.filters, gates]].concat();
            let kernel = call.constant(self.first_constant + 1, shape);
            let windows = self.recurrent.windows(&call.shape(hidden));
            let product = Convolution { windows, groups: 1, activation: Activation::Linear };
            let product = call.add(product, [Some(hidden), Some(kernel)])?;
            sums = binary(call, BinaryFunction::Add, sums, product)?;
        }
        let axis = call.shape(sums).len() - 1;
        let gate = |call: &mut Lowering, index: usize, activation: Activation| {
            let (start, length) = (index * self.filters, self.filters);
            let sums = call.apply(Slice { axis, start, step: 1, length }, sums)?;
            match activation {
                Activation::Linear => Ok(sums),
                activation => call.apply(Activate { activation }, sums),
            }
        };
        let input = gate(call, 0, self.recurrent_activation)?;
        let candidate = gate(call, 2, self.activation)?;
        let output = gate(call, 3, self.recurrent_activation)?;
        let mut cell = binary(call, BinaryFunction::Multiply, input, candidate)?;
        if let Some(old) = before.cell {
            let forget = gate(call, 1, self.recurrent_activation)?;
            let kept = binary(call, BinaryFunction::Multiply, forget, old)?;
            cell = binary(call, BinaryFunction::Add, kept, cell)?;
        }
        let activated = call.apply(Activate { activation: self.activation }, cell)?;
        let hidden = binary(call, BinaryFunction::Multiply, output, activated)?;
        let Some(mask) = mask else {
            return Ok(Carried { hidden: Some(hidden), cell: Some(cell), output: Some(hidden) });
        };
        let zero = call.constant(self.zero(), []);
        let mut chosen = |new: ArrayId, old: Option<ArrayId>| {
            call.add(Where, [Some(mask), Some(new), Some(old.unwrap_or(zero))]).map(Some)
        };
        let before_it = before.output.filter(|_| !self.zero_output_for_mask);
        Ok(Carried {
            output: chosen(hidden, before_it)?,
            hidden: chosen(hidden, before.hidden)?,
            cell: chosen(cell, before.cell)?,
        })
    }

    /// Which constant is the number zero: the one behind the weights.
    fn zero(&self) -> usize {
        self.first_constant + 2 + usize::from(self.use_bias)
    }

    /// Its constants, of its weights.
    pub fn constants<'w>(&self, weights: &'w [ArrayD<f32>]) -> Vec<Constant<'w>> {
        let zero = Constant::Derived(arr0(0.0).into_dyn());
        let weights = weights.iter().map(|weight| Constant::weight(weight.view()));
        weights.chain([zero]).collect()
    }

    /// An array of `leading` axes before those of an image, with the features last.
    fn features_last(
        &self,
        call: &mut Lowering,
        array: ArrayId,
        leading: usize,
    ) -> Result<ArrayId, Error> {
        let mut order: Vec<usize> = (0..call.shape(array).len()).collect();
        order[leading..].rotate_left(1);
        if self.channels_first { call.apply(Transpose { order }, array) } else { Ok(array) }
    }

    /// The way back.
    fn features_back(
        &self,
        call: &mut Lowering,
        array: ArrayId,
        leading: usize,
    ) -> Result<ArrayId, Error> {
        let mut order: Vec<usize> = (0..call.shape(array).len()).collect();
        order[leading..].rotate_right(1);
        if self.channels_first { call.apply(Transpose { order }, array) } else { Ok(array) }
    }
}
