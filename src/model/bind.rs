//! What a call gives, compared with what the model reads: every backend gets it as [`Bound`].

use super::few::Few;
use super::inputs::{Inputs, MaskInput, StateInput, WhichState};
use super::{InputSpec, Model, Node};
use crate::error::{Error, Result};
use crate::layer::{Layer, State};
use birnn_cell::Real;
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, CowArray, IxDyn, Slice};
use std::sync::Arc;

/// Inputs that fit the model: what every backend reads.
#[derive(Debug)]
pub(crate) struct Bound<'a, F> {
    pub batch: usize,
    /// Whether the first axis of each array is the batch. The arrays of a program have none.
    pub has_batch: bool,
    /// The model's inputs, in order, and its constants.
    pub arrays: Vec<CowArray<'a, F, IxDyn>>,
    /// The shape of every array of the model but the batch.
    pub shapes: Arc<Vec<Vec<usize>>>,
    /// The mask of each input of the model, where the call gives it: `[batch, timesteps]`.
    pub masks: Vec<Option<Array2<bool>>>,
    /// For an input whose lengths are given the longest.
    pub longest: Vec<Option<usize>>,
    /// For each node its initial states in Keras's order, where the call gives them.
    pub states: Vec<Vec<Option<ArrayViewD<'a, F>>>>,
    /// Of a program the bits of the values of each input on which shapes depend.
    pub values: Vec<Option<Vec<u32>>>,
    /// Of a program the shape of each array that is handed on from call to call.
    pub tied: Vec<Vec<usize>>,
}

/// A call whose shapes fit the model, so that those of another one like it need not be compared
/// again.
#[derive(Debug)]
pub(crate) struct FittingCall {
    /// The shapes of the arrays that the call gives.
    arrays: Vec<Vec<usize>>,
    /// Of which inputs it gives masks.
    masks: Vec<usize>,
    /// The shape of every array of the model but the batch.
    shapes: Arc<Vec<Vec<usize>>>,
}

impl FittingCall {
    fn is_like<F>(&self, inputs: &Inputs<'_, F>) -> bool {
        self.arrays.iter().eq(inputs.arrays.iter().map(|array| array.shape()))
            && self.masks.iter().eq(inputs.masks.iter().map(|(index, _)| index))
    }
}

impl Model {
    /// Checks the inputs against the model.
    pub(crate) fn bind<'a, F: Real>(&self, inputs: Inputs<'a, F>) -> Result<Bound<'a, F>> {
        self.bind_after(&mut None, inputs)
    }

    /// The same after a call of this type of numbers that may be like this one; `last` becomes this
    /// one.
    pub(crate) fn bind_after<'a, F: Real>(
        &self,
        last: &mut Option<FittingCall>,
        mut inputs: Inputs<'a, F>,
    ) -> Result<Bound<'a, F>> {
        let given = self.given_inputs().len();
        if inputs.arrays.len() != given {
            return Err(Error::InputCount {
                expected: given,
                names: self.input_names(),
                found: inputs.arrays.len(),
                ties: self.likely_ties(),
            });
        }
        if let Some(order) = self.order(&inputs)? {
            inputs.arrays = order.iter().map(|&index| inputs.arrays[index].clone()).collect();
            for (index, _) in &mut inputs.masks {
                *index = order.iter().position(|given| given == index).unwrap_or(*index);
            }
        }
        if let Some(program) = &self.program {
            return self.bind_program(program, inputs);
        }
        let batch = inputs.arrays[0].shape().first().copied().unwrap_or(0);
        let known = last.take().filter(|last| last.is_like(&inputs));
        for (index, array) in inputs.arrays.iter().enumerate() {
            if known.is_none() {
                self.check_input(index, array.shape(), batch)?;
            }
        }
        let is_new = known.is_none();
        let fitting = match known {
            Some(known) => known,
            None => self.fitting::<F>(batch, &inputs)?,
        };
        let shapes = fitting.shapes.clone();
        let mut arrays: Vec<_> = inputs.arrays.into_iter().map(CowArray::from).collect();
        for input in &self.inputs[given..] {
            arrays.push(bind_constant(input, batch)?.into());
        }
        let mut longest = vec![None; self.inputs.len()];
        for (index, mask) in &inputs.masks {
            if let MaskInput::Lengths(lengths) = mask {
                longest[*index] = lengths.iter().copied().max();
            }
        }
        let masks = self.bind_masks(inputs.masks, &arrays)?;
        if is_new {
            let all = self.masks(|input| masks[input].is_some());
            self.check_masks(&all)?;
            self.check_mask_shapes(&all, &shapes, batch)?;
        }
        let states = self.bind_states(inputs.states, batch, &shapes)?;
        *last = Some(fitting);
        let (values, tied) = (Vec::new(), Vec::new());
        Ok(Bound { batch, has_batch: true, arrays, shapes, masks, longest, states, values, tied })
    }

    /// Compares the shapes of the arrays within the model.
    fn fitting<F>(&self, batch: usize, inputs: &Inputs<'_, F>) -> Result<FittingCall> {
        let constants = self.inputs.iter().filter_map(|input| input.constant.as_deref());
        let constants = constants.map(|array| &array.shape()[1..]);
        let given = inputs.arrays.iter().map(|array| &array.shape()[1..]);
        let shapes = self.shapes(&given.chain(constants).collect::<Vec<_>>())?;
        self.check_sizes::<F>(batch, &shapes)?;
        Ok(FittingCall {
            arrays: inputs.arrays.iter().map(|array| array.shape().to_vec()).collect(),
            masks: inputs.masks.iter().map(|(index, _)| *index).collect(),
            shapes: shapes.into(),
        })
    }

    /// Where arrays are given by name, of each of the model's inputs the index of its array.
    pub(super) fn order<F>(&self, inputs: &Inputs<'_, F>) -> Result<Option<Vec<usize>>> {
        if inputs.names.iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut given = vec![None; self.given_inputs().len()];
        for (index, name) in inputs.names.iter().enumerate() {
            let wrong = |reason: &str| Error::InputName {
                name: name.map_or_else(|| format!("number {index}"), str::to_string),
                reason: reason.to_string(),
                known: self.input_names(),
            };
            let Some(name) = name else {
                return Err(wrong("is given without a name, and others with one"));
            };
            let place = self.given_inputs().iter().position(|spec| spec.name == *name);
            let Some(place) = place else {
                return Err(wrong("isn't one of the model's"));
            };
            if given[place].replace(index).is_some() {
                return Err(wrong("is given twice"));
            }
        }
        // As many as the model has, each another one: none is missing.
        Ok(Some(given.into_iter().flatten().collect()))
    }

    /// That the bytes of every array can be counted.
    fn check_sizes<F>(&self, batch: usize, shapes: &[Vec<usize>]) -> Result<()> {
        for (spec, shape) in self.tensors.iter().zip(shapes) {
            let values = shape.iter().try_fold(batch, |values, &n| values.checked_mul(n));
            let bytes = values.and_then(|values| values.checked_mul(size_of::<F>()));
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize / 4) {
                let shape: Vec<usize> =
                    std::iter::once(batch).chain(shape.iter().copied()).collect();
                return Err(Error::OutOfMemory { what: format!("{} {shape:?}", spec.describe()) });
            }
        }
        Ok(())
    }

    /// Leaves out the timesteps that are padding in every row but the first of them, where that one
    /// stands for the others: recurrent layers do nothing there but repeat an output. Returns the
    /// timesteps that the outputs are to have.
    pub(crate) fn without_padding<F: Real>(
        &self,
        bound: &mut Bound<'_, F>,
    ) -> Result<Option<usize>> {
        if self.program.is_some() {
            return Ok(None);
        }
        let sequences: Vec<_> =
            (0..self.inputs.len()).filter(|&i| bound.arrays[i].ndim() > 2).collect();
        let [input] = sequences[..] else { return Ok(None) };
        let timesteps = bound.arrays[input].shape()[1];
        let kept = bound.longest[input].map_or(timesteps, |longest| longest + 1);
        if kept >= timesteps || !self.layers().all(Layer::repeats_at_padding) {
            return Ok(None);
        }
        bound.arrays[input].slice_axis_inplace(Axis(1), Slice::from(..kept));
        if let Some(mask) = &mut bound.masks[input] {
            mask.slice_axis_inplace(Axis(1), Slice::from(..kept));
        }
        let input_shapes: Vec<_> = bound.arrays.iter().map(|array| &array.shape()[1..]).collect();
        bound.shapes = self.shapes(&input_shapes)?.into();
        Ok(Some(timesteps))
    }

    /// Checks one input's shape.
    fn check_input(&self, index: usize, found: &[usize], batch: usize) -> Result<()> {
        let spec = &self.inputs[index];
        let input = format!("input {:?}", spec.name);
        let axes = &self.tensors[spec.tensor].shape;
        let mut names = vec![if index == 0 { "batch".to_string() } else { batch.to_string() }];
        names.extend(
            axes.iter().map(|axis| axis.map_or("timesteps".to_string(), |n| n.to_string())),
        );
        let fits = found.len() == names.len()
            && axes.iter().zip(&found[1..]).all(|(axis, &n)| axis.is_none_or(|length| length == n));
        if let Some(axis) = found.iter().position(|&n| n == 0).filter(|_| fits) {
            let axis = if axis == 0 { "batch" } else { "timesteps" };
            return Err(Error::EmptyAxis { input, axis, shape: found.to_vec() });
        }
        if !fits || found[0] != batch {
            let mut expected = format!("[{}]", names.join(", "));
            if let (Some(fixed), 2) = (axes[0], axes.len())
                && found.get(1).is_some_and(|&timesteps| timesteps != fixed)
            {
                expected.push_str(&format!("; the model is made for {fixed} timesteps"));
            }
            return Err(Error::InputShape { input, found: found.to_vec(), expected });
        }
        Ok(())
    }

    fn bind_masks<F>(
        &self,
        given: Vec<(usize, MaskInput)>,
        arrays: &[CowArray<'_, F, IxDyn>],
    ) -> Result<Vec<Option<Array2<bool>>>> {
        let mut masks = vec![None; self.inputs.len()];
        for (index, mask) in given {
            let mask = self.bind_mask(index, mask, arrays[index].shape())?;
            if masks[index].replace(mask).is_some() {
                let name = &self.inputs[index].name;
                return Err(Error::Graph(format!(
                    "input {name:?} is given a mask and lengths, or one of them twice: give one"
                )));
            }
        }
        Ok(masks)
    }

    /// One input's mask, as `[batch, timesteps]`.
    fn bind_mask(&self, index: usize, mask: MaskInput, input: &[usize]) -> Result<Array2<bool>> {
        let name = &self.inputs[index].name;
        let wrong = |what: &str, found: &[usize], expected: String| Error::InputShape {
            input: format!("{what} of input {name:?}"),
            found: found.to_vec(),
            expected,
        };
        let [batch, timesteps, _, ..] = *input else {
            return Err(Error::Graph(format!(
                "input {name:?} of shape {input:?} takes no mask or lengths: they are for [batch, \
                 timesteps, features]; of ids an Embedding with mask_zero makes the mask, false at \
                 id 0"
            )));
        };
        match mask {
            MaskInput::Mask(mask) if mask.shape() == [batch, timesteps] => Ok(mask),
            MaskInput::Mask(mask) => {
                Err(wrong("mask", mask.shape(), format!("[{batch}, {timesteps}]")))
            }
            MaskInput::Lengths(lengths) if lengths.len() == batch => {
                match lengths.iter().position(|&length| length > timesteps) {
                    None => {
                        Ok(Array2::from_shape_fn((batch, timesteps), |(row, t)| t < lengths[row]))
                    }
                    Some(row) => Err(Error::Length {
                        input: name.clone(),
                        row,
                        length: lengths[row],
                        timesteps,
                    }),
                }
            }
            MaskInput::Lengths(lengths) => Err(wrong(
                "lengths",
                &[lengths.len()],
                format!("[{batch}], one for each row of the batch"),
            )),
        }
    }

    pub(super) fn bind_states<'a, F>(
        &self,
        given: Few<StateInput<'a, F>, 4>,
        batch: usize,
        shapes: &[Vec<usize>],
    ) -> Result<Vec<Vec<Option<ArrayViewD<'a, F>>>>> {
        let none = |node: &Node| vec![None; self.layers[node.layer].layer.state_roles().len()];
        let mut states: Vec<Vec<Option<ArrayViewD<'a, F>>>> = self.nodes.iter().map(none).collect();
        for state in given {
            let (node, index, of_layer) = self.state(&state, shapes)?;
            let layer = &self.layers[self.nodes[node].layer].layer;
            let expected: Vec<usize> = of_layer[index].shape.iter().copied().flatten().collect();
            let expected = [&[batch], &expected[..]].concat();
            if state.array.shape() != expected {
                return Err(Error::InputShape {
                    input: format!("initial {} of layer {:?}", of_layer[index].role, layer.name()),
                    found: state.array.shape().to_vec(),
                    expected: format!("{expected:?}"),
                });
            }
            states[node][index] = Some(state.array);
        }
        Ok(states)
    }

    /// Which state an initial state is given for: its node, its place among the node's states in
    /// Keras's order, and these states.
    pub(super) fn state<F>(
        &self,
        state: &StateInput<'_, F>,
        shapes: &[Vec<usize>],
    ) -> Result<(usize, usize, Vec<State>)> {
        let node = self.state_node(state.layer)?;
        let layer = &self.layers[self.nodes[node].layer].layer;
        let dims = |&tensor: &usize| shapes[tensor].iter().map(|&n| Some(n)).collect();
        let states = layer.states(&self.nodes[node].inputs.iter().map(dims).collect::<Vec<_>>());
        Ok((node, state_slot(layer, &states, state.place)?, states))
    }

    /// The node whose initial states a call sets: the only one of the layer, and not set by the
    /// graph already.
    fn state_node(&self, layer: Option<&str>) -> Result<usize> {
        let name = |node: usize| self.layers[self.nodes[node].layer].layer.name();
        let recurrent =
            |&node: &usize| !self.layers[self.nodes[node].layer].layer.state_roles().is_empty();
        let nodes: Vec<usize> = match layer {
            None => (0..self.nodes.len()).find(recurrent).into_iter().collect(),
            Some(layer) => (0..self.nodes.len()).filter(|&node| name(node) == layer).collect(),
        };
        let wrong = |node: usize, reason: &str| Error::Argument {
            layer: name(node).to_string(),
            argument: "initial_state".into(),
            reason: reason.to_string(),
        };
        match nodes[..] {
            [] if layer.is_none() => {
                Err(Error::Graph("no layer of the model has an initial state".into()))
            }
            [] => Err(Error::UnknownLayer {
                name: layer.unwrap_or_default().to_string(),
                known: self.layer_names(),
            }),
            [node] if self.nodes[node].initial_state.is_empty() => Ok(node),
            [node] => Err(wrong(node, "the model already sets it from another layer or an input")),
            [node, ..] => Err(wrong(
                node,
                "the layer is called several times; give the states as inputs of the model",
            )),
        }
    }
}

/// Where a state stands in the layer's list.
fn state_slot(layer: &Layer, states: &[State], place: WhichState) -> Result<usize> {
    let wrong = |reason: String| {
        Err(Error::Argument {
            layer: layer.name().to_string(),
            argument: "initial_state".into(),
            reason,
        })
    };
    match place {
        WhichState::Listed { count, .. } if count != states.len() => {
            wrong(format!("the list needs {} arrays, got {count}", states.len()))
        }
        WhichState::Listed { index, .. } => Ok(index),
        WhichState::Named(role) => match states.iter().position(|state| state.role == role) {
            Some(index) => Ok(index),
            None => {
                let known: Vec<_> = states.iter().map(|state| state.role.to_string()).collect();
                wrong(format!(
                    "this {} layer has no {role}; it has {}",
                    layer.class_name(),
                    known.join(", ")
                ))
            }
        },
    }
}

/// A constant with a row for each of the batch.
fn bind_constant<F: Real>(input: &InputSpec, batch: usize) -> Result<ArrayD<F>> {
    let missing = || Error::Graph(format!("the constant {:?} has no value", input.name));
    let value = input.constant.as_deref().ok_or_else(missing)?;
    let mut shape = value.shape().to_vec();
    let found = std::mem::replace(&mut shape[0], batch);
    let wrong = || Error::InputShape {
        input: format!("the model's constant {:?}", input.name),
        found: value.shape().to_vec(),
        expected: format!("{shape:?}: the model is made for a batch of {found}"),
    };
    let rows = value.broadcast(shape.clone()).ok_or_else(wrong)?;
    Ok(rows.mapv(|value| F::nearest(value.into())))
}
