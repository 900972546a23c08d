//! What a call in Python gives, put into `birnn::Inputs`.

use crate::arrays::{Array, read_lengths, read_mask};
use crate::error::{exception, raised};
use birnn::{Error, Inputs};
use ndarray::{Array2, ArrayViewD};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// What a session takes.
pub struct Takes {
    /// The names of the model's inputs, in order.
    pub names: Vec<String>,
    /// Whether sequences are `[timesteps, batch, features]` in Python.
    pub time_major: bool,
}

/// The keyword arguments of a call.
pub struct Extras<'a, 'py> {
    pub mask: Option<&'a Bound<'py, PyAny>>,
    pub lengths: Option<&'a Bound<'py, PyAny>>,
    pub initial_state: Option<&'a Bound<'py, PyAny>>,
}

/// What a call gives.
pub struct Given<'py> {
    inputs: Vec<Input<'py>>,
    /// Of a layer, or of the first recurrent one, its states.
    states: Vec<(Option<String>, Vec<Array<'py>>)>,
    time_major: bool,
}

struct Input<'py> {
    /// Where the call gives inputs by name.
    name: Option<String>,
    array: Array<'py>,
    mask: Option<Array2<bool>>,
    lengths: Option<Vec<usize>>,
}

impl Takes {
    /// Reads what a call gives: `inputs` are arrays, or one list of arrays, or one dict of them by
    /// name, as Keras's `predict` takes them.
    pub fn read<'py>(
        &self,
        inputs: &Bound<'py, PyTuple>,
        extras: &Extras<'_, 'py>,
    ) -> PyResult<Given<'py>> {
        let py = inputs.py();
        let mut given = Vec::with_capacity(inputs.len());
        if let Ok(only) = inputs.get_borrowed_item(0)
            && inputs.len() == 1
        {
            if is_packed(&only)? {
                return Err(exception(py, "InputTypeError", &self.unpacked()));
            }
            if let Ok(named) = only.cast::<PyDict>() {
                for (name, array) in named.iter() {
                    let name: String = name.extract()?;
                    given.push(self.input(given.len(), Some(name), &array, extras)?);
                }
            } else if self.is_list(&only)? {
                for array in only.try_iter()? {
                    given.push(self.input(given.len(), None, &array?, extras)?);
                }
            } else {
                given.push(self.input(0, None, &only, extras)?);
            }
        } else {
            for array in inputs {
                if array.is_instance_of::<PyDict>() {
                    let text = "inputs are given by their places or in one dict by name, not both";
                    return Err(exception(py, "InputTypeError", text));
                }
                given.push(self.input(given.len(), None, &array, extras)?);
            }
        }
        if given.is_empty() {
            let (expected, names) = (self.names.len(), self.names.clone());
            let ties = Vec::new();
            return Err(raised(py, &Error::InputCount { expected, names, found: 0, ties }));
        }
        for extra in [extras.mask, extras.lengths].into_iter().flatten() {
            self.check_names(extra)?;
        }
        let states = extras.initial_state.map(read_states).transpose()?.unwrap_or_default();
        Ok(Given { inputs: given, states, time_major: self.time_major })
    }

    /// Whether it is a list of inputs, and no array that is written as a list.
    fn is_list(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !value.is_instance_of::<PyList>() && !value.is_instance_of::<PyTuple>() {
            return Ok(false);
        }
        Ok(match value.get_item(0) {
            Ok(first) => {
                self.names.len() > 1
                    || first.hasattr("__array__")?
                    || first.hasattr("__dlpack__")?
            }
            Err(_) => true,
        })
    }

    fn input<'py>(
        &self,
        index: usize,
        name: Option<String>,
        array: &Bound<'py, PyAny>,
        extras: &Extras<'_, 'py>,
    ) -> PyResult<Input<'py>> {
        let own = || match name.as_ref().or(self.names.get(index)) {
            Some(name) => name.clone(),
            None => format!("number {index}"),
        };
        let read = Array::read(array, &|| format!("input {:?}", own()))?;
        let mut input = Input { name: name.clone(), array: read, mask: None, lengths: None };
        if let Some(mask) = extras.mask
            && let Some(mask) = self.of_input(mask, index, &own())?
        {
            input.mask = Some(read_mask(&mask, &format!("the mask of input {:?}", own()))?);
        }
        if let Some(lengths) = extras.lengths
            && let Some(lengths) = self.of_input(lengths, index, &own())?
        {
            let what = format!("the lengths of input {:?}", own());
            input.lengths = Some(read_lengths(&lengths, &what)?);
        }
        if input.mask.is_some() && input.lengths.is_some() {
            let text = format!("input {:?} is given a mask and lengths: give one of them", own());
            return Err(exception(array.py(), "InputError", &text));
        }
        Ok(input)
    }

    /// The mask or the lengths of one input: by name in a dict, by place in a list where there are
    /// several inputs, or those of the only input.
    fn of_input<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        index: usize,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = match () {
            () if value.is_instance_of::<PyDict>() => value.cast::<PyDict>()?.get_item(name)?,
            () if self.names.len() < 2 => Some(value.clone()),
            () if (value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>())
                && !is_number(value.get_item(0).ok().as_ref())? =>
            {
                let count = value.len()?;
                if count != self.names.len() {
                    let text = format!(
                        "{count} masks or lengths are given for the {} inputs {:?}: None is for \
                         one without",
                        self.names.len(),
                        self.names
                    );
                    return Err(exception(value.py(), "InputError", &text));
                }
                Some(value.get_item(index)?)
            }
            // An array, or a list of numbers, which is of one input.
            () => {
                let text = format!(
                    "the model takes several inputs ({:?}): give masks and lengths by name, as in \
                     mask={{{:?}: mask}}",
                    self.names, self.names[0]
                );
                return Err(exception(value.py(), "InputError", &text));
            }
        };
        Ok(found.filter(|value| !value.is_none()))
    }

    /// That masks and lengths are of inputs that there are.
    fn check_names(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let Ok(named) = value.cast::<PyDict>() else { return Ok(()) };
        for name in named.keys() {
            let name: String = name.extract()?;
            if !self.names.contains(&name) {
                let (reason, known) = ("isn't one of the model's".into(), self.names.clone());
                return Err(raised(value.py(), &Error::InputName { name, reason, known }));
            }
        }
        Ok(())
    }
}

/// Whether it is a number alone: of several lengths one, and not those of an input.
fn is_number(value: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
    match value {
        Some(value) => Ok(!value.is_none() && !value.hasattr("__len__")?),
        None => Ok(false),
    }
}

/// Whether it is a `PackedSequence` of PyTorch's, which is a tuple.
fn is_packed(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(value.is_instance_of::<PyTuple>() && value.get_type().name()? == "PackedSequence")
}

impl Takes {
    /// What to do about a `PackedSequence`.
    fn unpacked(&self) -> String {
        let first = if self.time_major { "" } else { ", batch_first=True" };
        format!(
            "a PackedSequence isn't taken: give the padded sequences and their lengths, x, lengths \
             = torch.nn.utils.rnn.pad_packed_sequence(packed{first}), session(x, lengths=lengths)"
        )
    }

    /// An error of a call with shapes in the layout of Python's, and with what to do where an axis
    /// is missing.
    pub fn explained(&self, error: Error) -> Error {
        let in_python = |mut shape: Vec<usize>| {
            if self.time_major && shape.len() == 3 {
                shape.swap(0, 1);
            }
            shape
        };
        match error {
            Error::InputShape { input, found, expected } => {
                let is_input = input.starts_with("input ");
                let mut text = expected.clone();
                if self.time_major
                    && is_input
                    && let Some((axes, rest)) =
                        expected.strip_prefix('[').and_then(|text| text.split_once(']'))
                    && let [batch, timesteps, features] = axes.split(", ").collect::<Vec<_>>()[..]
                {
                    text = format!("[{timesteps}, {batch}, {features}]{rest}");
                }
                if is_input && found.len() == 2 {
                    text += self.of_two_axes(&found, &expected);
                }
                // Such as [3, 8] in words: of a ConvLSTM1D states have three axes.
                let of_two = expected.matches(", ").count() == 1;
                if input.starts_with("initial ") && found.len() == 3 && of_two {
                    text += STATES;
                }
                let found = if is_input { in_python(found) } else { found };
                Error::InputShape { input, found, expected: text }
            }
            Error::EmptyAxis { input, axis, shape } => {
                Error::EmptyAxis { input, axis, shape: in_python(shape) }
            }
            error => error,
        }
    }

    /// What to do with `[timesteps, features]` or `[batch, features]` where `expected` is
    /// `[batch, timesteps, features]`.
    fn of_two_axes(&self, found: &[usize], expected: &str) -> &'static str {
        let axes = expected.split(']').next().unwrap_or_default().trim_start_matches('[');
        let axes: Vec<&str> = axes.split(", ").collect();
        let ["batch", timesteps, features] = axes[..] else { return "" };
        let fits = found.last().is_some_and(|last| *features == last.to_string());
        match (fits, timesteps, self.time_major) {
            (false, ..) => "",
            (_, "timesteps", false) => {
                "; one sequence is x[None]; one timestep of each row, as PyTorch's cells take it, \
                 is x[:, None], with initial_state=[h] or [h, c] from the step before"
            }
            (_, _, true) => "; one sequence is x[:, None]",
            _ => "; one sequence is x[None]",
        }
    }
}

/// What to do with PyTorch's `h_0` and `c_0`.
const STATES: &str = "; PyTorch's h_0 and c_0 hold the states of all layers and directions: give \
    each layer its own by its name, as in initial_state={\"lstm_l0\": [h_0[0], c_0[0]]}";

/// Initial states by layer, or in a list those of the first recurrent layer.
fn read_states<'py>(value: &Bound<'py, PyAny>) -> PyResult<Vec<(Option<String>, Vec<Array<'py>>)>> {
    let Ok(layers) = value.cast::<PyDict>() else {
        return Ok(vec![(None, read_list(value, "the model's first recurrent layer")?)]);
    };
    let mut states = Vec::new();
    for (layer, value) in layers {
        let layer: String = layer.extract()?;
        let list = read_list(&value, &format!("layer {layer:?}"))?;
        states.push((Some(layer), list));
    }
    Ok(states)
}

fn read_list<'py>(value: &Bound<'py, PyAny>, layer: &str) -> PyResult<Vec<Array<'py>>> {
    let values = match value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        true => value.try_iter()?.collect::<PyResult<Vec<_>>>()?,
        false => vec![value.clone()],
    };
    let mut states = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let what = || format!("initial state {index} of {layer}");
        let state = Array::read(value, &what)?;
        states.push(state);
    }
    Ok(states)
}

impl Given<'_> {
    /// What birnn is given; masks and lengths are copied, arrays aren't.
    pub fn inputs(&self) -> Inputs<'_, f32> {
        let mut list = self.inputs.iter();
        let Some(first) = list.next() else { unreachable!("a call has an input") };
        let mut inputs = match &first.name {
            Some(name) => Inputs::named(name, self.view(first)),
            None => Inputs::new(self.view(first)),
        };
        inputs = first.masked(inputs);
        for input in list {
            inputs = match &input.name {
                Some(name) => inputs.input_named(name, self.view(input)),
                None => inputs.input(self.view(input)),
            };
            inputs = input.masked(inputs);
        }
        for (layer, states) in &self.states {
            let states = states.iter().map(Array::view);
            inputs = match layer {
                Some(layer) => inputs.initial_state_of(layer, states),
                None => inputs.initial_state(states),
            };
        }
        inputs
    }

    fn view<'a>(&'a self, input: &'a Input<'_>) -> ArrayViewD<'a, f32> {
        let view = input.array.view();
        match view.ndim() {
            3 if self.time_major => view.permuted_axes(&[1, 0, 2][..]),
            _ => view,
        }
    }
}

impl Input<'_> {
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
