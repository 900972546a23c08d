//! Recurrent modules: `nn.LSTM`, `nn.GRU`, `nn.RNN` of any number of layers and directions, and the
//! cells `nn.LSTMCell`, `nn.GRUCell`, `nn.RNNCell`, which are modules of one layer.
//!
//! A layer's tensors end in `_l0` and so on, those of its backward direction in `_l0_reverse`, a
//! cell's in nothing. Their rows are those of the gates, one below the other.

use super::reader::Reader;
use crate::layer::{Cell, Concatenate, RecurrentBuilder};
use crate::{
    Activation, Bidirectional, Call, Dense, Error, Graph, Layer, MergeMode, Result, Tensor,
};
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, Ix2, Slice, concatenate, stack};

/// What a recurrent module returns in a graph, in PyTorch's terms.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recurrent {
    /// The hidden states of the last layer at each timestep, `[batch, timesteps, features]`: those
    /// of the forward direction, then those of the backward one.
    pub output: Tensor,
    /// The final hidden states, each `[batch, units]` (or `[batch, proj_size]`), in the order of
    /// PyTorch's `h_n`: layer by layer, each forward, then backward.
    pub h_n: Vec<Tensor>,
    /// The final cell states of an LSTM, each `[batch, units]`, in the order of PyTorch's `c_n`.
    pub c_n: Vec<Tensor>,
}

/// Weights of layers by their names, in Keras's order and layout.
pub(super) type NamedWeights = Vec<(String, Vec<ArrayD<f32>>)>;

/// A module's cell and sizes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    pub cell: Cell,
    pub features: usize,
    pub units: usize,
    /// The features of a direction's output: the units, or an LSTM's `proj_size`.
    pub outputs: usize,
    /// Whether an LSTM has a `proj_size`.
    pub is_projected: bool,
    pub layers: usize,
    pub directions: usize,
    pub use_bias: bool,
    /// Whether it is a cell, whose tensors' names say no layer.
    pub is_cell: bool,
}

/// The most layers of a module.
const MOST_LAYERS: usize = 1000;

impl Sizes {
    /// Of the module whose tensors' names begin with `prefix`; none where there is none.
    pub(super) fn of(reader: &Reader, prefix: &str) -> Result<Option<Sizes>> {
        let name = |tensor: &str| format!("{prefix}{tensor}");
        let has = |tensor: &str| reader.has(&name(tensor));
        let is_cell = !has("weight_hh_l0");
        if is_cell && !has("weight_hh") {
            return Ok(None);
        }
        let suffix = if is_cell { "" } else { "_l0" };
        let [rows, columns] = reader.shape(&name(&format!("weight_hh{suffix}")))?;
        let [_, features] = reader.shape(&name(&format!("weight_ih{suffix}")))?;
        let projection = name(&format!("weight_hr{suffix}"));
        let [outputs, units] = match reader.has(&projection) {
            true => reader.shape(&projection)?,
            false => [columns, columns],
        };
        let Some(cell) = cell(rows, units) else {
            return reader.wrong(format!(
                "tensor {:?} has shape [{rows}, {columns}]; its rows are no 4 (LSTM), 3 (GRU) or 1 \
                 (RNN) times {units}",
                name(&format!("weight_hh{suffix}"))
            ));
        };
        let layer = |k: &usize| has(&format!("weight_hh_l{k}"));
        let layers = if is_cell { 1 } else { (0..).take_while(layer).count() };
        if layers > MOST_LAYERS {
            return reader
                .wrong(format!("{prefix:?} has {layers} layers, more than {MOST_LAYERS}"));
        }
        Ok(Some(Sizes {
            cell,
            features,
            units,
            outputs,
            is_projected: reader.has(&projection),
            layers,
            directions: 1 + usize::from(has("weight_hh_l0_reverse")),
            use_bias: has(&format!("bias_ih{suffix}")),
            is_cell,
        }))
    }

    /// The class in PyTorch.
    pub(super) fn class(&self) -> &'static str {
        match (self.cell.gates().len(), self.is_cell) {
            (4, false) => "LSTM",
            (4, true) => "LSTMCell",
            (3, false) => "GRU",
            (3, true) => "GRUCell",
            (_, false) => "RNN",
            (_, true) => "RNNCell",
        }
    }

    fn suffix(&self, layer: usize, direction: usize) -> String {
        match (self.is_cell, direction) {
            (true, _) => String::new(),
            (false, 0) => format!("_l{layer}"),
            (false, _) => format!("_l{layer}_reverse"),
        }
    }
}

/// The cell whose gates' weights together have so many rows.
fn cell(rows: usize, units: usize) -> Option<Cell> {
    let cells = [Cell::LSTM, Cell::GRU, Cell::SIMPLE_RNN];
    cells.into_iter().find(|cell| units.checked_mul(cell.gates().len()) == Some(rows))
}

/// A direction of a layer.
struct Direction {
    /// In Keras's order and layout.
    weights: Vec<ArrayD<f32>>,
    /// `[units, outputs]`, which multiplies the hidden states of an LSTM with `proj_size`.
    projection: Option<ArrayD<f32>>,
}

/// A module with its weights: each layer's directions.
pub(super) struct Module {
    pub sizes: Sizes,
    layers: Vec<Vec<Direction>>,
}

impl Module {
    /// Reads the module whose tensors' names begin with `prefix`.
    pub(super) fn read(reader: &mut Reader, prefix: &str) -> Result<Module> {
        let Some(sizes) = Sizes::of(reader, prefix)? else {
            reader.find(&format!("{prefix}weight_hh_l0"))?; // the error says what there is
            return reader.wrong("holds no recurrent module");
        };
        let mut layers = Vec::new();
        for layer in 0..sizes.layers {
            let features =
                if layer == 0 { sizes.features } else { sizes.directions * sizes.outputs };
            let directions = 0..sizes.directions;
            let read = |direction| {
                let suffix = sizes.suffix(layer, direction);
                Direction::read(reader, prefix, &suffix, &sizes, features)
            };
            layers.push(directions.map(read).collect::<Result<_>>()?);
        }
        no_others(reader, prefix)?;
        Ok(Module { sizes, layers })
    }

    /// Adds the module to a graph, its layers named `<name>_l0` and so on.
    pub(super) fn add(
        self,
        graph: &mut Graph,
        name: &str,
        mut call: Call,
        nonlinearity: Activation,
    ) -> Result<(Recurrent, NamedWeights)> {
        let activation = self.activation(name, nonlinearity)?;
        let mut adding = Adding::new(graph, self.sizes, activation);
        let mut output = None;
        for (index, directions) in self.layers.into_iter().enumerate() {
            let of_layer = adding.layer(&format!("{name}_l{index}"), directions, call)?;
            call = of_layer.into();
            output = Some(of_layer);
        }
        let output = output.ok_or_else(|| Error::Graph(format!("{name:?} has no layer")))?;
        let Adding { h_n, c_n, weights, .. } = adding;
        Ok((Recurrent { output, h_n, c_n }, weights))
    }

    /// The activation of candidates: only an RNN has a choice.
    fn activation(&self, name: &str, nonlinearity: Activation) -> Result<Activation> {
        let is_rnn = !self.sizes.cell.has_gates();
        let reason = match nonlinearity {
            Activation::Tanh => return Ok(Activation::Tanh),
            Activation::Relu if is_rnn => return Ok(Activation::Relu),
            Activation::Relu => format!("{} has none: it is always tanh", self.sizes.class()),
            other => format!("{other:?} is none of PyTorch's, which are Tanh and Relu"),
        };
        let (layer, argument) = (name.to_string(), "nonlinearity".to_string());
        Err(Error::Argument { layer, argument, reason })
    }
}

/// Adds the layers of a module to a graph.
struct Adding<'g> {
    graph: &'g mut Graph,
    sizes: Sizes,
    activation: Activation,
    h_n: Vec<Tensor>,
    c_n: Vec<Tensor>,
    weights: NamedWeights,
}

impl<'g> Adding<'g> {
    fn new(graph: &'g mut Graph, sizes: Sizes, activation: Activation) -> Adding<'g> {
        let (h_n, c_n, weights) = (Vec::new(), Vec::new(), NamedWeights::new());
        Adding { graph, sizes, activation, h_n, c_n, weights }
    }

    /// Adds a layer and returns its output.
    fn layer(&mut self, name: &str, directions: Vec<Direction>, call: Call) -> Result<Tensor> {
        let mut results = self.graph.add(self.recurrent(name), call)?.into_iter();
        let weights = directions.iter().flat_map(|direction| direction.weights.iter().cloned());
        self.weights.push((name.to_string(), weights.collect()));
        // Directions that are projected return an output each.
        let outputs = if self.sizes.is_projected { self.sizes.directions } else { 1 };
        let mut outputs: Vec<Tensor> = results.by_ref().take(outputs).collect();
        for (place, direction) in directions.into_iter().enumerate() {
            let hidden = results.by_ref().take(1);
            self.h_n.extend(hidden);
            self.c_n.extend(results.by_ref().take(self.sizes.cell.states() - 1));
            if let Some(projection) = direction.projection {
                let end = if place == 0 { "" } else { "_reverse" };
                let of = [&mut outputs[place]].into_iter().chain(self.h_n.last_mut());
                let weights = (format!("{name}_projection{end}"), vec![projection]);
                project(self.graph, self.sizes.outputs, &weights.0, of)?;
                self.weights.push(weights);
            }
        }
        match &outputs[..] {
            &[output] => Ok(output),
            both => {
                let joined = Concatenate::new().named(format!("{name}_output"));
                Ok(self.graph.add(joined, both)?[0])
            }
        }
    }

    /// The layer of a module, which returns what PyTorch's does: at padding zeros.
    fn recurrent(&self, name: &str) -> Layer {
        let layer = RecurrentBuilder::of(self.sizes.cell, self.sizes.units)
            .activation(self.activation)
            .use_bias(self.sizes.use_bias)
            .return_sequences(true)
            .return_state(true)
            .zero_output_for_mask(true);
        let mode = if self.sizes.is_projected { MergeMode::None } else { MergeMode::Concat };
        match self.sizes.directions {
            1 => layer.named(name).into(),
            _ => Bidirectional::new(layer).merge_mode(mode).named(name).into(),
        }
    }
}

/// Puts the projections of arrays in their places.
fn project<'t>(
    graph: &mut Graph,
    outputs: usize,
    name: &str,
    arrays: impl Iterator<Item = &'t mut Tensor>,
) -> Result<()> {
    let layer = graph.layer(Layer::from(Dense::new(outputs).use_bias(false)).named(name))?;
    for array in arrays {
        *array = graph.call(layer, *array)?[0];
    }
    Ok(())
}

impl Direction {
    fn read(
        reader: &mut Reader,
        prefix: &str,
        suffix: &str,
        sizes: &Sizes,
        features: usize,
    ) -> Result<Direction> {
        let &Sizes { cell, units, outputs, .. } = sizes;
        let rows = cell.gates().len() * units;
        let mut take = |tensor: &str, shape: &[usize]| {
            reader.take_shaped(&format!("{prefix}{tensor}{suffix}"), shape)
        };
        let kernel = take("weight_ih", &[rows, features])?;
        let mut recurrent_kernel = take("weight_hh", &[rows, outputs])?;
        let mut projection = None;
        if sizes.is_projected {
            let matrix = take("weight_hr", &[outputs, units])?;
            recurrent_kernel = joined(reader, &recurrent_kernel, &matrix)?;
            projection = Some(transposed(matrix));
        }
        let mut weights: Vec<_> = [kernel, recurrent_kernel]
            .into_iter()
            .map(|matrix| transposed(in_keras_order(matrix.view(), cell)))
            .collect();
        if sizes.use_bias {
            let mut bias =
                |name: &str| reader.take_shaped(&format!("{prefix}{name}{suffix}"), &[rows]);
            let both = [bias("bias_ih")?, bias("bias_hh")?];
            weights.push(bias_of(cell, both.map(|bias| in_keras_order(bias.view(), cell)))?);
        }
        Ok(Direction { weights, projection })
    }
}

/// What multiplies the hidden states before their projection, `[4 · units, units]`: the projection
/// and `weight_hh` are one product, so that a cell need not know of projections.
fn joined(
    reader: &Reader,
    weight_hh: &ArrayD<f32>,
    weight_hr: &ArrayD<f32>,
) -> Result<ArrayD<f32>> {
    let (rows, units) = (weight_hh.shape()[0], weight_hr.shape()[1]);
    let bytes = (rows as u64).saturating_mul(units as u64).saturating_mul(8);
    if bytes > reader.file.unpacked {
        return reader.wrong(format!(
            "an LSTM of {units} units with proj_size takes {bytes} bytes, and the file may unpack \
             to {} (TorchLimits::unpacked_bytes)",
            reader.file.unpacked
        ));
    }
    let matrix = |array: &ArrayD<f32>| -> Result<Array2<f64>> {
        let array = array.mapv(f64::from).into_dimensionality::<Ix2>();
        array.or_else(|e| reader.wrong(format!("a weight is no matrix: {e}")))
    };
    let product = matrix(weight_hh)?.dot(&matrix(weight_hr)?);
    Ok(product.mapv(|value| value as f32).into_dyn())
}

fn transposed(matrix: ArrayD<f32>) -> ArrayD<f32> {
    matrix.reversed_axes().as_standard_layout().into_owned()
}

/// Rows of gates in Keras's order. An LSTM's are in it: `i f g o`, where g is the candidate c; a
/// GRU's are `r z n`, in Keras `z r h`.
fn in_keras_order(rows: ArrayViewD<f32>, cell: Cell) -> ArrayD<f32> {
    if cell != Cell::GRU {
        return rows.into_owned();
    }
    let units = rows.shape()[0] / 3;
    let gate =
        |gate: usize| rows.slice_axis(Axis(0), Slice::from(gate * units..(gate + 1) * units));
    let gates = concatenate(Axis(0), &[gate(1), gate(0), gate(2)]);
    gates.unwrap_or_else(|_| rows.to_owned()) // their shapes are equal
}

/// The bias in Keras's layout: of a GRU both, `[2, 3 · units]`, of others the sum.
fn bias_of(cell: Cell, [input, hidden]: [ArrayD<f32>; 2]) -> Result<ArrayD<f32>> {
    match cell.bias_rows() {
        1 => Ok(input + hidden),
        _ => stack(Axis(0), &[input.view(), hidden.view()])
            .map_err(|error| Error::Graph(format!("the biases differ in shape: {error}"))),
    }
}

/// That no further tensor of the module is left: it would change what the module computes.
fn no_others(reader: &Reader, prefix: &str) -> Result<()> {
    let is_own = |name: &&str| name.strip_prefix(prefix).is_some_and(|rest| !rest.contains('.'));
    let other = reader.names().filter(is_own).find(|name| !reader.is_read(name));
    match other {
        Some(name) => reader.wrong(format!("tensor {name:?} belongs to no recurrent module")),
        None => Ok(()),
    }
}
