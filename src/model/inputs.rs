use super::{InputSpec, Model};
use crate::error::{Error, Result};
use crate::layer::{Direction, Layer};
use crate::program::Body;
use birnn_cell::Real;
use ndarray::{
    Array2, ArrayD, ArrayView, ArrayView2, ArrayView3, ArrayViewD, Axis, CowArray, Dimension,
    IxDyn, Slice,
};

/// What a call of a model reads: an array for each input, and where needed masks and the initial
/// states of recurrent layers.
///
/// An initial state that isn't given is zeros, or for a stateful layer the state that the last call
/// ended with. An `ArrayView3` or `ArrayViewD` alone converts to `Inputs`, so
/// `session.run(x.view())` works for a model with one input.
///
/// ```
/// use birnn::{Bidirectional, Device, Direction, Gru, Inputs, Model};
/// use ndarray::{Array2, Array3};
///
/// let model = Model::sequential(2, [Bidirectional::new(Gru::new(3))])?.initialize(7)?;
/// let (x, h) = (Array3::<f32>::zeros((4, 5, 2)), Array2::<f32>::ones((4, 3)));
/// let inputs = Inputs::new(x.view()).hidden_state(Direction::Backward, h.view());
/// let outputs = Device::cpu().compile(&model)?.run(inputs)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inputs<'a, F = f32> {
    arrays: Vec<ArrayViewD<'a, F>>,
    /// Of each array the name of its input, where they are given by name.
    names: Vec<Option<String>>,
    states: Vec<StateInput<'a, F>>,
    /// For one of the arrays, by its index.
    masks: Vec<(usize, MaskInput)>,
}

#[derive(Clone, Debug)]
enum MaskInput {
    Mask(Array2<bool>),
    Lengths(Vec<usize>),
}

#[derive(Clone, Debug)]
struct StateInput<'a, F> {
    /// The layer's name; none means the first layer.
    layer: Option<String>,
    place: Place,
    array: ArrayView2<'a, F>,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// By direction, and whether it is the cell state.
    Named(Direction, bool),
    /// By its place in Keras's list of `of` states.
    Listed { index: usize, of: usize },
}

impl<'a, F> Inputs<'a, F> {
    /// Starts with the array of the model's first input: `[batch, timesteps, features]`, or what
    /// the model was built for, such as the ids of an embedding, `[batch, timesteps]`.
    /// [`Inputs::input`] adds the others.
    pub fn new<D: Dimension>(x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        Inputs {
            arrays: vec![x.into_dyn()],
            names: vec![None],
            states: Vec::new(),
            masks: Vec::new(),
        }
    }

    /// Starts with the array of the input with this name, in the shape that the model was built
    /// for. [`Inputs::input_named`] adds the others, in any order.
    ///
    /// ```
    /// use birnn::{Call, Device, Graph, Inputs, layer::Merge};
    /// use ndarray::Array3;
    ///
    /// let mut graph = Graph::new();
    /// let left = graph.sequence_input("left", None, 2)?;
    /// let right = graph.sequence_input("right", None, 2)?;
    /// let difference = graph.add(Merge::subtract(), Call::on([left, right]))?;
    /// let mut session = Device::cpu().compile(&graph.build(difference)?)?;
    /// let (one, two) = (Array3::<f32>::ones((1, 4, 2)), Array3::<f32>::from_elem((1, 4, 2), 2.0));
    /// let inputs = Inputs::named("right", two.view()).input_named("left", one.view());
    /// let outputs = session.run(inputs)?;
    /// assert_eq!(outputs.output()[[0, 0, 0]], -1.0);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn named<D: Dimension>(name: &str, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        Inputs { names: vec![Some(name.to_string())], ..Inputs::new(x) }
    }

    /// Adds the array of the input with this name, in the shape that the model was built for.
    /// Either all inputs are given by name, or none.
    pub fn input_named<D: Dimension>(
        mut self,
        name: &str,
        x: ArrayView<'a, F, D>,
    ) -> Inputs<'a, F> {
        self.arrays.push(x.into_dyn());
        self.names.push(Some(name.to_string()));
        self
    }

    /// Adds the array of the model's next input, in the order of [`Model::input_names`] and in the
    /// shape that the model was built for.
    pub fn input<D: Dimension>(mut self, x: ArrayView<'a, F, D>) -> Inputs<'a, F> {
        self.arrays.push(x.into_dyn());
        self.names.push(None);
        self
    }

    /// Gives the input that was added last a mask, `[batch, timesteps]`: true where the timestep
    /// counts. The input has to be `[batch, timesteps, features]`, or have more axes.
    ///
    /// Layers treat it as Keras treats the mask that an array carries: recurrent layers keep their
    /// states at masked timesteps, and layers hand the mask on.
    ///
    /// ```
    /// use birnn::{Device, Inputs, Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3)])?.initialize(7)?;
    /// let x = ndarray::Array3::<f32>::ones((2, 4, 2));
    /// let mask = ndarray::arr2(&[[true, true, false, false], [true, true, true, true]]);
    /// let mut session = Device::cpu().compile(&model)?;
    /// let masked = session.run(Inputs::new(x.view()).mask(mask.view()))?;
    /// assert_eq!(masked, session.run(Inputs::new(x.view()).lengths(&[2, 4]))?);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn mask(self, mask: ArrayView2<bool>) -> Inputs<'a, F> {
        self.masked(MaskInput::Mask(mask.to_owned()))
    }

    /// Gives the input that was added last a mask (see [`Inputs::mask`]) by the number of timesteps
    /// that count in each row, `[batch]`: row `i` has its first `lengths[i]` timesteps, and the
    /// rest is padding.
    ///
    /// In a model with one such input and recurrent layers only, none of them with `go_backwards`,
    /// the timesteps that are padding in every row are left out of the work, all but the first.
    pub fn lengths(self, lengths: &[usize]) -> Inputs<'a, F> {
        self.masked(MaskInput::Lengths(lengths.to_vec()))
    }

    fn masked(mut self, mask: MaskInput) -> Inputs<'a, F> {
        self.masks.push((self.arrays.len() - 1, mask));
        self
    }

    /// Sets the hidden state, `[batch, units]`, that a direction of the model's first recurrent
    /// layer starts from. A layer that isn't bidirectional has the direction
    /// [`Direction::Forward`].
    pub fn hidden_state(self, direction: Direction, state: ArrayView2<'a, F>) -> Inputs<'a, F> {
        self.state(None, Place::Named(direction, false), state)
    }

    /// Sets the cell state, `[batch, units]`, that a direction of the model's first recurrent
    /// layer, an LSTM, starts from.
    pub fn cell_state(self, direction: Direction, state: ArrayView2<'a, F>) -> Inputs<'a, F> {
        self.state(None, Place::Named(direction, true), state)
    }

    /// Sets all states that the model's first recurrent layer starts from, in the order of Keras's
    /// `initial_state`: the hidden state and for an LSTM the cell state, each `[batch, units]`; for
    /// a bidirectional layer those of the forward direction, then those of the backward one.
    pub fn initial_state(
        self,
        states: impl IntoIterator<Item = ArrayView2<'a, F>>,
    ) -> Inputs<'a, F> {
        self.listed(None, states)
    }

    /// Sets all states that the recurrent layer with this name starts from, as
    /// [`Inputs::initial_state`] does for the first one.
    pub fn initial_state_of(
        self,
        layer: &str,
        states: impl IntoIterator<Item = ArrayView2<'a, F>>,
    ) -> Inputs<'a, F> {
        self.listed(Some(layer.to_string()), states)
    }

    fn listed(
        mut self,
        layer: Option<String>,
        states: impl IntoIterator<Item = ArrayView2<'a, F>>,
    ) -> Inputs<'a, F> {
        let states: Vec<_> = states.into_iter().collect();
        let of = states.len();
        for (index, array) in states.into_iter().enumerate() {
            self = self.state(layer.clone(), Place::Listed { index, of }, array);
        }
        self
    }

    fn state(
        mut self,
        layer: Option<String>,
        place: Place,
        array: ArrayView2<'a, F>,
    ) -> Inputs<'a, F> {
        self.states.push(StateInput { layer, place, array });
        self
    }
}

impl<'a, F> From<ArrayView3<'a, F>> for Inputs<'a, F> {
    fn from(x: ArrayView3<'a, F>) -> Inputs<'a, F> {
        Inputs::new(x)
    }
}

impl<'a, F> From<ArrayViewD<'a, F>> for Inputs<'a, F> {
    fn from(x: ArrayViewD<'a, F>) -> Inputs<'a, F> {
        Inputs::new(x)
    }
}

/// Inputs that fit the model: what every backend reads.
#[derive(Debug)]
pub(crate) struct Bound<'a, F> {
    pub batch: usize,
    /// Whether the first axis of each array is the batch. The arrays of a program have none.
    pub has_batch: bool,
    /// The model's inputs, in order, and its constants.
    pub arrays: Vec<CowArray<'a, F, IxDyn>>,
    /// The shape of every array of the model but the batch.
    pub shapes: Vec<Vec<usize>>,
    /// The mask of each input of the model, where the call gives it: `[batch, timesteps]`.
    pub masks: Vec<Option<Array2<bool>>>,
    /// For an input whose lengths are given the longest.
    longest: Vec<Option<usize>>,
    /// For each node its initial states in Keras's order, where the call gives them.
    pub states: Vec<Vec<Option<ArrayView2<'a, F>>>>,
    /// Of a program the bits of the values of each input on which shapes depend.
    pub values: Vec<Option<Vec<u32>>>,
    /// Of a program the shape of each array that is handed on from call to call.
    pub tied: Vec<Vec<usize>>,
}

impl Bound<'_, f32> {
    /// The given initial states in `f64`, for [`Bound::in_f64`] to borrow.
    pub fn states_in_f64(&self) -> Vec<Vec<Option<Array2<f64>>>> {
        let in_f64 = |state: &Option<ArrayView2<f32>>| state.map(|state| state.mapv(f64::from));
        self.states.iter().map(|states| states.iter().map(in_f64).collect()).collect()
    }

    /// The same inputs in `f64`; `states` are its [`Bound::states_in_f64`].
    pub fn in_f64<'s>(&self, states: &'s [Vec<Option<Array2<f64>>>]) -> Bound<'s, f64> {
        let view = |state: &'s Option<Array2<f64>>| state.as_ref().map(|state| state.view());
        Bound {
            batch: self.batch,
            has_batch: self.has_batch,
            values: self.values.clone(),
            tied: self.tied.clone(),
            arrays: self.arrays.iter().map(|array| array.mapv(f64::from).into()).collect(),
            shapes: self.shapes.clone(),
            masks: self.masks.clone(),
            longest: self.longest.clone(),
            states: states.iter().map(|states| states.iter().map(view).collect()).collect(),
        }
    }
}

impl Model {
    /// Checks the inputs against the model.
    pub(crate) fn bind<'a, F: Real>(&self, mut inputs: Inputs<'a, F>) -> Result<Bound<'a, F>> {
        let given = self.given_inputs().len();
        if inputs.arrays.len() != given {
            return Err(Error::InputCount {
                expected: given,
                names: self.input_names(),
                found: inputs.arrays.len(),
            });
        }
        self.in_order(&mut inputs)?;
        if let Some(program) = &self.program {
            return self.bind_program(program, inputs);
        }
        let batch = inputs.arrays[0].shape().first().copied().unwrap_or(0);
        for (index, array) in inputs.arrays.iter().enumerate() {
            self.check_input(index, array.shape(), batch)?;
            self.check_ids(index, array)?;
        }
        let constants = self.inputs[given..].iter().filter_map(|input| input.constant.as_deref());
        let constants = constants.map(|array| &array.shape()[1..]);
        let input_shapes = inputs.arrays.iter().map(|array| &array.shape()[1..]).chain(constants);
        let shapes = self.shapes(&input_shapes.collect::<Vec<_>>())?;
        self.check_sizes::<F>(batch, &shapes)?;
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
        let masks = self.bind_masks(inputs.masks, &arrays, &shapes)?;
        let states = self.bind_states(inputs.states, batch)?;
        let (values, tied) = (Vec::new(), Vec::new());
        Ok(Bound { batch, has_batch: true, arrays, shapes, masks, longest, states, values, tied })
    }

    /// Checks the inputs against a program.
    fn bind_program<'a, F: Real>(
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
        self.bind_states(inputs.states, 1)?;
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
            shapes,
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
        const NAMES: [&str; 4] = ["first", "second", "third", "fourth"];
        match found.iter().position(|&n| n == 0) {
            Some(place) => {
                let axis = NAMES.get(place).copied().unwrap_or("fifth or a later");
                Err(Error::EmptyAxis { input, axis, shape: found.to_vec() })
            }
            None => Ok(()),
        }
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

    /// Puts arrays that are given by name into the order of the model's inputs.
    fn in_order<F>(&self, inputs: &mut Inputs<'_, F>) -> Result<()> {
        if inputs.names.iter().all(Option::is_none) {
            return Ok(());
        }
        let mut given = vec![None; self.given_inputs().len()];
        for (index, name) in inputs.names.iter().enumerate() {
            let wrong = |reason: &str| Error::InputName {
                name: name.clone().unwrap_or_else(|| format!("number {index}")),
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
        let order: Vec<usize> = given.into_iter().flatten().collect();
        inputs.arrays = order.iter().map(|&index| inputs.arrays[index].clone()).collect();
        for (index, _) in &mut inputs.masks {
            *index = order.iter().position(|given| given == index).unwrap_or(*index);
        }
        Ok(())
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
        bound.shapes = self.shapes(&input_shapes)?;
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

    /// That an input which an embedding reads holds its ids.
    fn check_ids<F: Real>(&self, index: usize, array: &ArrayViewD<'_, F>) -> Result<()> {
        let spec = &self.inputs[index];
        for node in self.nodes.iter().filter(|node| node.inputs[0] == spec.tensor) {
            let layer = &self.layers[node.layer].layer;
            let Some(ids) = layer.definition().and_then(|kind| kind.ids()) else { continue };
            let is_id =
                |id: F| id >= F::zero() && id.fract() == F::zero() && id < F::nearest(ids as f64);
            if let Some((place, &value)) = array.indexed_iter().find(|(_, id)| !is_id(**id)) {
                return Err(Error::IdRange {
                    input: spec.name.clone(),
                    layer: layer.name().to_string(),
                    value: value.to_f64().unwrap_or(f64::NAN),
                    index: ndarray::Dimension::slice(&place).to_vec(),
                    ids,
                });
            }
        }
        Ok(())
    }

    fn bind_masks<F>(
        &self,
        given: Vec<(usize, MaskInput)>,
        arrays: &[CowArray<'_, F, IxDyn>],
        shapes: &[Vec<usize>],
    ) -> Result<Vec<Option<Array2<bool>>>> {
        let mut masks = vec![None; self.inputs.len()];
        for (index, mask) in given {
            masks[index] = Some(self.bind_mask(index, mask, arrays[index].shape())?);
        }
        let all = self.masks(|input| masks[input].is_some());
        self.check_masks(&all)?;
        self.check_mask_shapes(&all, shapes, arrays[0].shape()[0])?;
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

    fn bind_states<'a, F>(
        &self,
        given: Vec<StateInput<'a, F>>,
        batch: usize,
    ) -> Result<Vec<Vec<Option<ArrayView2<'a, F>>>>> {
        let mut states: Vec<Vec<Option<ArrayView2<'a, F>>>> = self
            .nodes
            .iter()
            .map(|node| {
                let layer = &self.layers[node.layer].layer;
                let count = layer.directions().iter().map(|(_, l)| l.cell().states()).sum();
                std::iter::repeat_with(|| None).take(count).collect()
            })
            .collect();
        for state in given {
            let node = self.state_node(state.layer.as_deref())?;
            let layer = &self.layers[self.nodes[node].layer].layer;
            let (index, units) = self.state_slot(layer, state.place)?;
            if state.array.shape() != [batch, units] {
                return Err(Error::InputShape {
                    input: format!(
                        "initial {} of layer {:?}",
                        state_names(layer)[index],
                        layer.name()
                    ),
                    found: state.array.shape().to_vec(),
                    expected: format!("[{batch}, {units}]"),
                });
            }
            states[node][index] = Some(state.array);
        }
        Ok(states)
    }

    /// The node whose initial states a call sets: the only one of the layer, and not set by the
    /// graph already.
    fn state_node(&self, layer: Option<&str>) -> Result<usize> {
        let name = |node: usize| self.layers[self.nodes[node].layer].layer.name();
        let recurrent =
            |&node: &usize| !self.layers[self.nodes[node].layer].layer.directions().is_empty();
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

    /// Where a state stands in the layer's list, and its units.
    fn state_slot(&self, layer: &Layer, place: Place) -> Result<(usize, usize)> {
        let slots: Vec<(Direction, bool, usize)> = layer
            .directions()
            .into_iter()
            .flat_map(|(direction, l)| {
                (0..l.cell().states()).map(move |s| (direction, s == 1, l.units()))
            })
            .collect();
        let wrong = |reason: String| {
            Err(Error::Argument {
                layer: layer.name().to_string(),
                argument: "initial_state".into(),
                reason,
            })
        };
        match place {
            Place::Listed { of, .. } if of != slots.len() => {
                wrong(format!("the list needs {} arrays, got {of}", slots.len()))
            }
            Place::Listed { index, .. } => Ok((index, slots[index].2)),
            Place::Named(direction, cell) => {
                match slots.iter().position(|slot| (slot.0, slot.1) == (direction, cell)) {
                    Some(index) => Ok((index, slots[index].2)),
                    None => wrong(format!(
                        "this {} layer has no {direction} {} state; it has {}",
                        layer.class_name(),
                        if cell { "cell" } else { "hidden" },
                        state_names(layer).join(", ")
                    )),
                }
            }
        }
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

/// What a layer's states are called in messages, in Keras's order.
fn state_names(layer: &Layer) -> Vec<String> {
    layer.directions().into_iter().flat_map(|(direction, l)| l.state_names(direction)).collect()
}
