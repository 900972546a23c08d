//! The same layer in both engines: one bidirectional LSTM or GRU, whole sequences and final states,
//! on the same weights.

use birnn::{Bidirectional, Device, Gru, Layer, Lstm, Model, Session};
use burn::module::Param;
use burn::nn::{BiGru, BiGruConfig, BiLstm, BiLstmConfig, GateController};
use burn::tensor::{Tensor, TensorData};
use ndarray::{Array3, ArrayD, Axis, Slice};
use rand::{RngExt, SeedableRng};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Cell {
    Lstm,
    Gru,
}

impl Cell {
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
        }
    }
}

/// Batch, timesteps, features, units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(pub [usize; 4]);

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Shape, String> {
        let numbers: Result<Vec<usize>, _> = text.split(',').map(|n| n.trim().parse()).collect();
        let numbers = numbers.ok().and_then(|numbers| <[usize; 4]>::try_from(numbers).ok());
        numbers
            .filter(|n| n.iter().all(|&n| n > 0))
            .map(Shape)
            .ok_or(format!("{text}: not BATCH,TIMESTEPS,FEATURES,UNITS"))
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [batch, timesteps, features, units] = self.0;
        write!(f, "({batch}, {timesteps}, {features}, {units})")
    }
}

impl Shape {
    /// The matmuls of both directions.
    pub fn flops(self, cell: Cell) -> f64 {
        let [batch, timesteps, features, units] = self.0.map(|n| n as f64);
        4.0 * batch * timesteps * cell.gates() as f64 * units * (features + units)
    }
}

/// What a layer returns: the whole sequence, and the final states one after the other.
pub type Answer = Vec<Vec<f32>>;

pub trait Engine {
    /// Input up, outputs down.
    fn run(&mut self, x: &Array3<f32>) -> Answer;
}

/// The layer's weights in Keras's order and layout, biases included, and an input.
pub fn model(cell: Cell, Shape([batch, timesteps, features, units]): Shape) -> (Model, Array3<f32>) {
    let layer: Layer = match cell {
        Cell::Lstm => Bidirectional::new(Lstm::new(units).return_sequences(true).return_state(true)).into(),
        Cell::Gru => Bidirectional::new(Gru::new(units).return_sequences(true).return_state(true)).into(),
    };
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
    let mut model = Model::sequential(features, [layer]).and_then(|model| model.initialize(1)).expect("a model");
    let mut weights = model.weights("bidirectional").expect("its weights");
    // Biases that are zeros would hide it where an engine leaves them out.
    for bias in weights.iter_mut().skip(2).step_by(3) {
        bias.mapv_inplace(|_| rng.random_range(-0.3..0.3));
    }
    model.set_weights("bidirectional", weights).expect("weights of the same shape");
    let x = Array3::from_shape_simple_fn((batch, timesteps, features), || rng.random_range(-1.0..1.0));
    (model, x)
}

pub struct Birnn(Session);

impl Birnn {
    pub fn new(device: &Device, model: &Model) -> Birnn {
        Birnn(device.compile(model).expect("the model compiles"))
    }
}

impl Engine for Birnn {
    fn run(&mut self, x: &Array3<f32>) -> Answer {
        let outputs = self.0.run(x.view()).expect("the session runs");
        outputs.into_list().into_iter().map(|output| output.array.into_raw_vec_and_offset().0).collect()
    }
}

pub struct Burn {
    device: burn::tensor::Device,
    layer: BurnLayer,
}

enum BurnLayer {
    Lstm(BiLstm),
    Gru(BiGru),
}

impl Burn {
    pub fn new(
        device: &burn::tensor::Device,
        cell: Cell,
        Shape([_, _, features, units]): Shape,
        model: &Model,
    ) -> Burn {
        let weights = model.weights("bidirectional").expect("its weights");
        let (forward, backward) = weights.split_at(3);
        let layer = match cell {
            Cell::Lstm => {
                let mut layer = BiLstmConfig::new(features, units, true).init(device);
                for (direction, weights) in [(&mut layer.forward, forward), (&mut layer.reverse, backward)] {
                    set(&mut direction.input_gate, weights, 0, 4, device);
                    let forget = direction.forget_gate.as_mut().expect("the default has a forget gate");
                    set(forget, weights, 1, 4, device);
                    set(&mut direction.cell_gate, weights, 2, 4, device);
                    set(&mut direction.output_gate, weights, 3, 4, device);
                }
                BurnLayer::Lstm(layer)
            }
            Cell::Gru => {
                let mut layer = BiGruConfig::new(features, units, true).with_reset_after(true).init(device);
                for (direction, weights) in [(&mut layer.forward, forward), (&mut layer.reverse, backward)] {
                    set(&mut direction.update_gate, weights, 0, 3, device);
                    set(&mut direction.reset_gate, weights, 1, 3, device);
                    set(&mut direction.new_gate, weights, 2, 3, device);
                }
                BurnLayer::Gru(layer)
            }
        };
        Burn { device: device.clone(), layer }
    }
}

/// Sets a gate from Keras's kernel, recurrent kernel and bias (of a GRU `[2, ...]`: the input's and
/// the recurrent one).
fn set(gate: &mut GateController, weights: &[ArrayD<f32>], index: usize, gates: usize, device: &burn::tensor::Device) {
    let part = |array: &ArrayD<f32>, row: Option<usize>| {
        let array = row.map_or(array.view(), |row| array.index_axis(Axis(0), row));
        let last = Axis(array.ndim() - 1);
        let units = array.len_of(last) / gates;
        let part = array.slice_axis(last, Slice::from(index * units..(index + 1) * units));
        TensorData::new(part.iter().copied().collect::<Vec<f32>>(), part.shape().to_vec())
    };
    let (input_bias, recurrent_bias) = match weights[2].ndim() {
        1 => {
            let bias = part(&weights[2], None);
            let units = bias.num_elements();
            (bias, TensorData::new(vec![0.0f32; units], vec![units]))
        }
        _ => (part(&weights[2], Some(0)), part(&weights[2], Some(1))),
    };
    gate.input_transform.weight = Param::from_data(part(&weights[0], None), device);
    gate.input_transform.bias = Some(Param::from_data(input_bias, device));
    gate.hidden_transform.weight = Param::from_data(part(&weights[1], None), device);
    gate.hidden_transform.bias = Some(Param::from_data(recurrent_bias, device));
}

impl Engine for Burn {
    fn run(&mut self, x: &Array3<f32>) -> Answer {
        let data = TensorData::new(x.iter().copied().collect::<Vec<f32>>(), x.shape().to_vec());
        let x = Tensor::<3>::from_data(data, &self.device);
        match &self.layer {
            BurnLayer::Lstm(layer) => {
                let (y, state) = layer.forward(x, None);
                let [y, hidden, cell] = [values(y), values(state.hidden), values(state.cell)];
                let (hidden, cell) = (halves(&hidden), halves(&cell));
                vec![y, hidden[0].clone(), cell[0].clone(), hidden[1].clone(), cell[1].clone()]
            }
            BurnLayer::Gru(layer) => {
                let (y, state) = layer.forward(x, None);
                let (y, hidden) = (values(y), values(state));
                [vec![y], halves(&hidden).to_vec()].concat()
            }
        }
    }
}

fn values(tensor: Tensor<3>) -> Vec<f32> {
    tensor.into_data().as_slice::<f32>().expect("f32").to_vec()
}

/// The forward and the backward state of `[2, batch, units]`.
fn halves(both: &[f32]) -> [Vec<f32>; 2] {
    let (forward, backward) = both.split_at(both.len() / 2);
    [forward.to_vec(), backward.to_vec()]
}
