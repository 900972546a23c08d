//! The caller's arrays that a call writes its outputs to.

use super::known_call::Places;
use super::{Few, Model, Outputs};
use crate::error::{Error, Result};
use crate::layer::{Direction, Role};
use ndarray::{Array, ArrayView, ArrayViewMut, ArrayViewMutD, Dimension};

/// The arrays that [`Session::run_into`](crate::Session::run_into) writes to: for each output of
/// the model that is wanted one of its shape, in any memory order.
///
/// Outputs are named as [`Outputs`] names them: by their place in [`Outputs::list`], by the name of
/// their layer, or, of states, by their direction. An output that isn't wanted is left out. A view
/// (`y.view_mut()`) or `&mut y` alone converts to `OutputsMut`, for the model's first output.
///
/// ```
/// use birnn::{Device, Direction, Inputs, Lstm, Model, OutputsMut};
/// use ndarray::{Array2, Array3};
///
/// let layer = Lstm::new(3).return_sequences(true).return_state(true);
/// let mut session = Device::cpu().compile(&Model::sequential(2, [layer])?.initialize(7)?)?;
/// let x = Array3::<f32>::ones((1, 1, 2)); // [batch, timesteps, features]
/// let mut y = Array3::<f32>::zeros((1, 1, 3));
/// let mut states = [Array2::<f32>::zeros((1, 3)), Array2::<f32>::zeros((1, 3))];
/// let mut next = states.clone();
/// for _ in 0..4 {
///     let [hidden, cell] = &mut next;
///     let outputs = OutputsMut::new(&mut y)
///         .hidden_state(Direction::Forward, hidden)
///         .cell_state(Direction::Forward, cell);
///     let initial = states.iter().map(|state| state.view());
///     session.run_into(Inputs::new(x.view()).initial_state(initial), outputs)?;
///     std::mem::swap(&mut states, &mut next);
/// }
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Debug)]
pub struct OutputsMut<'a> {
    arrays: Few<(Wanted<'a>, ArrayViewMutD<'a, f32>), 4>,
}

/// Which output an array is for.
#[derive(Clone, Copy, Debug)]
enum Wanted<'a> {
    /// The next in the model's order.
    Next,
    /// The first with this role, of this layer or of any.
    Of { layer: Option<&'a str>, role: Role },
}

impl<'a> OutputsMut<'a> {
    /// Starts with the array for the model's first output. [`OutputsMut::output`] adds the others.
    pub fn new<D: Dimension>(array: impl Into<ArrayViewMut<'a, f32, D>>) -> OutputsMut<'a> {
        OutputsMut { arrays: Few::default() }.output(array)
    }

    /// Starts with the array for the output of the layer with this name, as [`Outputs::named`].
    pub fn named<D: Dimension>(
        layer: &'a str,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        OutputsMut { arrays: Few::default() }.output_named(layer, array)
    }

    /// Adds the array for the model's next output, in the order of [`Outputs::list`]; those that
    /// are given in another way aren't counted.
    pub fn output<D: Dimension>(
        self,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.with(Wanted::Next, array)
    }

    /// Adds the array for the output of the layer with this name, as [`Outputs::named`].
    pub fn output_named<D: Dimension>(
        self,
        layer: &'a str,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.of_layer(layer, Role::Output, array)
    }

    /// Adds the array, `[batch, units]`, for the final hidden state of a direction: that of the
    /// first layer in the list that returns one, as
    /// [`DirectionOutputs::hidden`](crate::DirectionOutputs::hidden).
    pub fn hidden_state<D: Dimension>(
        self,
        direction: Direction,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.with(Wanted::Of { layer: None, role: Role::HiddenState(direction) }, array)
    }

    /// Adds the array, `[batch, units]`, for the final cell state of a direction of an LSTM, as
    /// [`OutputsMut::hidden_state`].
    pub fn cell_state<D: Dimension>(
        self,
        direction: Direction,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.with(Wanted::Of { layer: None, role: Role::CellState(direction) }, array)
    }

    /// Adds the array for what the layer with this name returns in this role.
    pub fn of_layer<D: Dimension>(
        self,
        layer: &'a str,
        role: Role,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.with(Wanted::Of { layer: Some(layer), role }, array)
    }

    fn with<D: Dimension>(
        mut self,
        wanted: Wanted<'a>,
        array: impl Into<ArrayViewMut<'a, f32, D>>,
    ) -> OutputsMut<'a> {
        self.arrays.push((wanted, array.into().into_dyn()));
        self
    }

    /// Which of the model's outputs each array is for.
    pub(crate) fn places(&self, model: &Model) -> Result<Places> {
        let mut places = Places::default();
        let mut next = 0;
        for (wanted, _) in self.arrays.iter() {
            let place = match *wanted {
                Wanted::Next => {
                    next += 1;
                    Some(next - 1).filter(|&place| place < model.outputs.len())
                }
                Wanted::Of { layer, role } => model.outputs.iter().position(|&tensor| {
                    let spec = &model.tensors[tensor];
                    spec.role == role && layer.is_none_or(|layer| spec.source == layer)
                }),
            };
            let Some(place) = place else { return Err(missing(model, *wanted)) };
            if places.iter().any(|&taken| taken == place) {
                return Err(no_such(model, format!("second {}", describe(model, place))));
            }
            places.push(place);
        }
        Ok(places)
    }

    /// That each array has the shape of its output.
    pub(crate) fn check(
        &self,
        model: &Model,
        places: &Places,
        has: impl Fn(usize, &[usize]) -> bool,
        shape: impl Fn(usize) -> Vec<usize>,
    ) -> Result<()> {
        for ((_, array), &place) in self.arrays.iter().zip(places.iter()) {
            if !has(place, array.shape()) {
                return Err(Error::OutputShape {
                    output: describe(model, place),
                    found: array.shape().to_vec(),
                    expected: shape(place),
                });
            }
        }
        Ok(())
    }

    /// Copies outputs, each of its array's shape, in C order.
    pub(crate) fn fill_from<'s>(
        &mut self,
        places: &Places,
        values: impl Fn(usize) -> Result<&'s [f32]>,
    ) -> Result<()> {
        for ((_, array), &place) in self.arrays.iter_mut().zip(places.iter()) {
            let values = values(place)?;
            match array.as_slice_mut() {
                Some(array) if array.len() == values.len() => array.copy_from_slice(values),
                _ => array.iter_mut().zip(values).for_each(|(to, &value)| *to = value),
            }
        }
        Ok(())
    }

    /// Copies outputs, each of its array's shape.
    pub(crate) fn fill(&mut self, places: &Places, outputs: &Outputs) {
        for ((_, array), &place) in self.arrays.iter_mut().zip(places.iter()) {
            array.assign(&ArrayView::from(&outputs.list()[place].array));
        }
    }
}

fn missing(model: &Model, wanted: Wanted<'_>) -> Error {
    let wanted = match wanted {
        Wanted::Next => format!("output number {}", model.outputs.len()),
        Wanted::Of { layer: Some(layer), role } => format!("{role} of {layer}"),
        Wanted::Of { layer: None, role } => format!("{role} (is return_state set?)"),
    };
    no_such(model, wanted)
}

fn no_such(model: &Model, wanted: String) -> Error {
    let available = (0..model.outputs.len()).map(|place| describe(model, place)).collect();
    Error::NoSuchOutput { wanted, available }
}

/// An output as errors name it.
fn describe(model: &Model, place: usize) -> String {
    let spec = &model.tensors[model.outputs[place]];
    format!("{} of {}", spec.role, spec.source)
}

impl<'a, D: Dimension> From<ArrayViewMut<'a, f32, D>> for OutputsMut<'a> {
    fn from(array: ArrayViewMut<'a, f32, D>) -> OutputsMut<'a> {
        OutputsMut::new(array)
    }
}

impl<'a, D: Dimension> From<&'a mut Array<f32, D>> for OutputsMut<'a> {
    fn from(array: &'a mut Array<f32, D>) -> OutputsMut<'a> {
        OutputsMut::new(array)
    }
}
