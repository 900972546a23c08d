//! What a call in JavaScript gives, put into `birnn::Inputs`, and how arrays are given back.

use crate::error::{failure, with_kind};
use birnn::Inputs;
use js_sys::{Array, Float32Array, Uint8Array, Uint32Array};
use ndarray::{Array2, ArrayD, ArrayViewD, IxDyn};
use wasm_bindgen::prelude::*;

/// What a call gives. `birnn.js` adds the inputs one after the other, each with its mask or lengths
/// behind it.
#[wasm_bindgen]
#[derive(Default)]
pub struct Given {
    inputs: Vec<Input>,
    /// Of a layer, or of the first recurrent one, its states.
    states: Vec<(Option<String>, Vec<ArrayD<f32>>)>,
}

struct Input {
    /// Where the call gives inputs by name.
    name: Option<String>,
    array: ArrayD<f32>,
    mask: Option<Array2<bool>>,
    lengths: Option<Vec<usize>>,
}

#[wasm_bindgen]
impl Given {
    #[wasm_bindgen(constructor)]
    pub fn new() -> Given {
        Given::default()
    }

    /// Adds an input.
    pub fn input(
        &mut self,
        what: &str,
        name: Option<String>,
        data: &Float32Array,
        shape: Vec<usize>,
    ) -> Result<(), JsValue> {
        let array = array(what, data, shape)?;
        self.inputs.push(Input { name, array, mask: None, lengths: None });
        Ok(())
    }

    /// Gives the last input a mask.
    pub fn mask(
        &mut self,
        what: &str,
        data: &Uint8Array,
        shape: Vec<usize>,
    ) -> Result<(), JsValue> {
        let [batch, timesteps] = shape[..] else {
            let expected = "[batch, timesteps]".to_string();
            let wrong = birnn::Error::InputShape { input: what.into(), found: shape, expected };
            return Err(failure(&wrong));
        };
        let values = data.to_vec().into_iter().map(|value| value != 0).collect::<Vec<_>>();
        let found = values.len();
        let mask = Array2::from_shape_vec((batch, timesteps), values);
        let mask = mask.map_err(|_| wrong_length(what, found, &shape))?;
        if let Some(input) = self.inputs.last_mut() {
            input.mask = Some(mask);
        }
        Ok(())
    }

    /// Gives the last input the length of each row.
    pub fn lengths(&mut self, lengths: Vec<usize>) {
        if let Some(input) = self.inputs.last_mut() {
            input.lengths = Some(lengths);
        }
    }

    /// Adds a layer, or the first recurrent one, that the states after it are of.
    pub fn states_of(&mut self, layer: Option<String>) {
        self.states.push((layer, Vec::new()));
    }

    /// Adds an initial state.
    pub fn state(
        &mut self,
        what: &str,
        data: &Float32Array,
        shape: Vec<usize>,
    ) -> Result<(), JsValue> {
        let array = array(what, data, shape)?;
        if let Some((_, states)) = self.states.last_mut() {
            states.push(array);
        }
        Ok(())
    }
}

impl Given {
    pub fn inputs(&self) -> Result<Inputs<'_, f32>, JsValue> {
        let mut list = self.inputs.iter();
        let Some(first) = list.next() else {
            return Err(with_kind("InputCount", "the call gives no input"));
        };
        let mut inputs = match &first.name {
            Some(name) => Inputs::named(name, first.array.view()),
            None => Inputs::new(first.array.view()),
        };
        inputs = first.masked(inputs);
        for input in list {
            inputs = match &input.name {
                Some(name) => inputs.input_named(name, input.array.view()),
                None => inputs.input(input.array.view()),
            };
            inputs = input.masked(inputs);
        }
        for (layer, states) in &self.states {
            let states = states.iter().map(|state| state.view());
            inputs = match layer {
                Some(layer) => inputs.initial_state_of(layer, states),
                None => inputs.initial_state(states),
            };
        }
        Ok(inputs)
    }
}

impl Input {
    fn masked<'a>(&self, inputs: Inputs<'a, f32>) -> Inputs<'a, f32> {
        let inputs = match &self.mask {
            Some(mask) => inputs.mask(mask.view()),
            None => inputs,
        };
        match &self.lengths {
            Some(lengths) => inputs.lengths(lengths),
            None => inputs,
        }
    }
}

/// The values with their shape; `what` says in words which array it is.
pub fn array(what: &str, data: &Float32Array, shape: Vec<usize>) -> Result<ArrayD<f32>, JsValue> {
    let found = data.length() as usize;
    let mut values = Vec::new();
    values.try_reserve_exact(found).map_err(|_| {
        failure(&birnn::Error::OutOfMemory { what: format!("{what} of {found} values") })
    })?;
    values.resize(found, 0.0);
    data.copy_to(&mut values);
    let array = ArrayD::from_shape_vec(IxDyn(&shape), values);
    array.map_err(|_| wrong_length(what, found, &shape))
}

/// Adds an array to a list: its values in C order, and its shape.
pub fn give(list: &Array, array: &ArrayViewD<'_, f32>) {
    match array.as_slice() {
        Some(values) => list.push(&Float32Array::from(values)),
        None => {
            let values: Vec<f32> = array.iter().copied().collect();
            list.push(&Float32Array::from(&values[..]))
        }
    };
    let shape: Vec<u32> = array.shape().iter().map(|&length| length as u32).collect();
    list.push(&Uint32Array::from(&shape[..]));
}

fn wrong_length(what: &str, found: usize, shape: &[usize]) -> JsValue {
    let text = format!("{what} has {found} values, which don't fill its shape {shape:?}");
    with_kind("InputShape", &text)
}
