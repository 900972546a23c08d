//! Calls that were compared with a model before: one like them is known by its shapes alone, and
//! nothing is allocated to find that out.

use super::bind::Bound;
use super::inputs::{Inputs, WhichState};
use super::{Few, Model};
use crate::error::Result;
use ndarray::ArrayViewD;

/// A call that fits the model.
#[derive(Debug)]
pub(crate) struct KnownCall {
    pub batch: usize,
    /// Of each array that the call gives its name, where it has one, and its shape.
    arrays: Vec<(Option<String>, Vec<usize>)>,
    /// Of each of the model's inputs which of these arrays it is.
    order: Vec<usize>,
    /// Of each initial state that the call gives its layer, where it is named, its place and shape.
    states: Vec<(Option<String>, WhichState, Vec<usize>)>,
    /// Of each of these states its node, and its place among the node's states in Keras's order.
    slots: Vec<(usize, usize)>,
    /// Of a program the bits of the values of each input on which shapes depend.
    values: Vec<Option<Vec<u32>>>,
}

impl KnownCall {
    /// The array of an input of the model that a call like this one gives; `None`: the input is one
    /// of the model's constants.
    pub fn array<'a, 'i>(
        &self,
        inputs: &'i Inputs<'a, f32>,
        input: usize,
    ) -> Option<&'i ArrayViewD<'a, f32>> {
        inputs.arrays.get(*self.order.get(input)?)
    }

    /// Whether the call gives this input of the model, which isn't one of its constants.
    pub fn gives(&self, input: usize) -> bool {
        input < self.order.len()
    }

    /// Which of the initial states that the call gives is the one of a node.
    pub fn state(&self, node: usize, index: usize) -> Option<usize> {
        // Of one that is given twice the last counts, as in `bind_states`.
        self.slots.iter().rposition(|slot| *slot == (node, index))
    }

    /// Whether a call is like this one in all but the values of its arrays. They are compared, too,
    /// where shapes depend on them.
    pub fn is_like(&self, inputs: &Inputs<'_, f32>) -> bool {
        let arrays = inputs.names.iter().zip(inputs.arrays.iter());
        let states = &inputs.states;
        let bits = |array: &ArrayViewD<f32>, known: &[u32]| {
            array.iter().map(|value| value.to_bits()).eq(known.iter().copied())
        };
        inputs.masks.is_empty()
            && self.arrays.len() == inputs.arrays.len()
            && self.states.len() == states.len()
            && self.arrays.iter().zip(arrays).all(|((known, shape), (name, array))| {
                known.as_deref() == *name && shape == array.shape()
            })
            && self.states.iter().zip(states.iter()).all(|((layer, place, shape), state)| {
                layer.as_deref() == state.layer
                    && *place == state.place
                    && shape == state.array.shape()
            })
            && self.values.iter().enumerate().all(|(input, known)| {
                let array = self.array(inputs, input);
                known.as_ref().is_none_or(|known| array.is_some_and(|array| bits(array, known)))
            })
    }
}

impl Model {
    /// Remembers a call that was compared with the model and is `bound`; `None` of one with masks,
    /// which are computed anew for each call.
    pub(crate) fn known_call(
        &self,
        inputs: &Inputs<'_, f32>,
        bound: &Bound<'_, f32>,
    ) -> Result<Option<KnownCall>> {
        if !inputs.masks.is_empty() {
            return Ok(None);
        }
        let name = |name: &Option<&str>| name.map(str::to_string);
        let arrays = inputs.names.iter().zip(inputs.arrays.iter());
        let slots = inputs.states.iter().map(|state| {
            let (node, index, _) = self.state(state, &bound.shapes)?;
            Ok((node, index))
        });
        let of_state = |state: &super::inputs::StateInput<'_, f32>| {
            (name(&state.layer), state.place, state.array.shape().to_vec())
        };
        Ok(Some(KnownCall {
            batch: bound.batch,
            arrays: arrays.map(|(given, array)| (name(given), array.shape().to_vec())).collect(),
            order: match self.order(inputs)? {
                Some(order) => order,
                None => (0..inputs.arrays.len()).collect(),
            },
            slots: slots.collect::<Result<_>>()?,
            states: inputs.states.iter().map(of_state).collect(),
            values: bound.values.clone(),
        }))
    }

    /// Compares the values of a call like one that is known with what the model asks of them.
    pub(crate) fn check_known(&self, known: &KnownCall, inputs: &Inputs<'_, f32>) -> Result<()> {
        let Some(program) = &self.program else { return Ok(()) };
        for input in 0..self.given_inputs().len() {
            if let Some(array) = known.array(inputs, input) {
                self.check_type(program, input, array)?;
            }
        }
        Ok(())
    }
}

impl<'a> Inputs<'a, f32> {
    /// The initial state that was given with this number.
    pub(crate) fn given_state(&self, number: usize) -> Option<&ArrayViewD<'a, f32>> {
        self.states.get(number).map(|state| &state.array)
    }
}

/// Which of the model's outputs each array goes to that a call gives.
pub(crate) type Places = Few<usize, 4>;
