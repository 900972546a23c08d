//! Cells and their options against onnxruntime's operators (tests/fixtures/generate_cells.py): by
//! the reference, on the CPU path and on the GPU.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{Cell, CellOptions, RecurrentBuilder, WeightRole};
use birnn::{Activation, Device, Error, Inputs, Model, reference};
use ndarray::{Array2, ArrayD, Axis, IxDyn};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;

/// What f32 costs over seven timesteps, here and in onnxruntime.
const TOLERANCE: f64 = 1e-6;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cells")
}

struct Case {
    name: String,
    cell: Cell,
    arrays: NpzReader<File>,
}

impl Case {
    fn all() -> Vec<Case> {
        let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
        let list: Value = serde_json::from_str(&text).unwrap();
        list["cases"].as_array().unwrap().iter().map(Case::new).collect()
    }

    fn new(case: &Value) -> Case {
        let name = case["name"].as_str().unwrap().to_string();
        let cell = Cell::ALL.iter().find(|cell| case["cell"] == cell.name()).unwrap();
        let options = CellOptions {
            clip: case["clip"].as_f64().map(|clip| (clip as f32).into()),
            peepholes: case["peepholes"] == true,
            coupled: case["coupled"] == true,
            state_activation: case["state_activation"]
                .as_str()
                .and_then(Activation::from_keras_name),
        };
        let arrays = File::open(folder().join(format!("{name}.npz"))).unwrap();
        Case { name, cell: cell.with(options), arrays: NpzReader::new(arrays).unwrap() }
    }

    fn array(&mut self, name: &str) -> ArrayD<f32> {
        self.arrays.by_name::<ndarray::OwnedRepr<f32>, IxDyn>(name).unwrap()
    }

    fn state(&mut self, name: &str) -> Array2<f32> {
        self.array(name).into_dimensionality().unwrap()
    }

    fn model(&mut self) -> Model {
        let weights: Vec<_> =
            self.cell.weights(true).into_iter().map(|role| self.array(role.name())).collect();
        let [features, units] = [WeightRole::Kernel, WeightRole::RecurrentKernel]
            .map(|role| self.array(role.name()).len_of(Axis(0)));
        let layer = RecurrentBuilder::of(self.cell, units)
            .return_sequences(true)
            .return_state(true)
            .named("layer");
        let mut model = Model::sequential(features, [layer]).unwrap();
        model.set_weights("layer", weights).unwrap();
        model
    }

    fn states(&mut self) -> Vec<Array2<f32>> {
        let mut states = vec![self.state("hidden")];
        if self.cell.has_cell_state() {
            states.push(self.state("cell"));
        }
        states
    }

    /// What onnxruntime returned: the sequence and the final states.
    fn expected(&mut self) -> Vec<ArrayD<f32>> {
        (0..1 + self.cell.states()).map(|index| self.array(&format!("output{index}"))).collect()
    }
}

fn compare(what: &str, found: &[ArrayD<f64>], expected: &[ArrayD<f32>]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.shape(), expected.shape(), "{what}");
        let far = found.iter().zip(expected).map(|(f, &e)| (f - f64::from(e)).abs());
        let far = far.fold(0.0, f64::max);
        assert!(far <= TOLERANCE, "{what}, output {index}: {far:e} apart");
    }
}

#[test]
fn the_reference_computes_what_onnxruntime_does() {
    for mut case in Case::all() {
        let (x, states) = (case.array("x").mapv(f64::from), case.states());
        let states: Vec<_> = states.iter().map(|state| state.mapv(f64::from)).collect();
        let inputs = Inputs::new(x.view()).initial_state(states.iter().map(|s| s.view()));
        let found = reference::run(&case.model(), inputs).unwrap();
        let found: Vec<_> = found.list().iter().map(|output| output.array.clone()).collect();
        compare(&case.name.clone(), &found, &case.expected());
    }
}

fn on(device: &Device) {
    for mut case in Case::all() {
        let (x, states) = (case.array("x"), case.states());
        let inputs = Inputs::new(x.view()).initial_state(states.iter().map(|s| s.view()));
        let found = device.compile(&case.model()).unwrap().run(inputs).unwrap();
        let found: Vec<_> = found.list().iter().map(|o| o.array.mapv(f64::from)).collect();
        compare(&format!("{} on {}", case.name, device.info()), &found, &case.expected());
    }
}

#[test]
fn the_cpu_path_computes_what_onnxruntime_does() {
    on(&Device::cpu());
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_what_onnxruntime_does() {
    if let Some(gpu) = device::open(device::options()) {
        on(&gpu);
    }
}

/// Every cell of the registry runs everywhere, in both directions and from a model's weights.
#[test]
fn every_cell_runs_by_its_description_alone() {
    for &cell in Cell::ALL {
        let layer = RecurrentBuilder::of(cell, 20).return_sequences(true);
        let model = Model::sequential(3, [birnn::Bidirectional::new(layer)])
            .unwrap()
            .initialize(1)
            .unwrap();
        let weights = model.weights(&model.layer_names()[0]).unwrap();
        let roles = cell.weights(true);
        assert_eq!(weights.len(), 2 * roles.len(), "{cell:?}");
        for (weight, role) in weights.iter().zip(roles.iter().chain(&roles)) {
            assert_eq!(weight.shape(), cell.weight_shape(*role, 3, 20), "{cell:?} {role:?}");
        }
        let x = ArrayD::from_shape_fn(IxDyn(&[5, 6, 3]), |i| (i[0] + i[1] * i[2]) as f32 * 0.1);
        let exact = reference::run(&model, x.mapv(f64::from).view()).unwrap();
        let found = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
        let found: Vec<_> = found.list().iter().map(|o| o.array.mapv(f64::from)).collect();
        let exact: Vec<_> = exact.list().iter().map(|o| o.array.mapv(|v| v as f32)).collect();
        compare(cell.name(), &found, &exact);
    }
}

#[test]
fn an_option_that_a_cell_has_not_is_an_error() {
    let peepholes = CellOptions { peepholes: true, ..CellOptions::default() };
    let layers = [
        RecurrentBuilder::of(Cell::GRU.with(peepholes), 2),
        RecurrentBuilder::of(Cell::LSTM, 2).clip(0.0),
        RecurrentBuilder::of(Cell::SIMPLE_RNN, 2).clip(f32::NAN),
    ];
    for (layer, wrong) in layers.into_iter().zip(["peepholes", "clip", "clip"]) {
        match Model::sequential(1, [layer.named("layer")]) {
            Err(Error::Argument { layer, argument, .. }) => {
                assert_eq!((layer.as_str(), argument.as_str()), ("layer", wrong));
            }
            other => panic!("{other:?}"),
        }
    }
}
