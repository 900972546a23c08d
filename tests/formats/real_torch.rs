//! Models that people trained in PyTorch and published, built of their state dicts, beside what
//! PyTorch computes. `tests/real_models/run_torch.sh` downloads them and sets
//! `BIRNN_REAL_TORCH_MODELS` to their folder; without it there is nothing to run.

use crate::common::largest_error;
#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::UnitNormalization;
use birnn::torch::{Conv1d, Recurrent, StateDict};
use birnn::{Activation, Device, Graph, Inputs, Model, Result, Tensor};
use ndarray::{Array2, ArrayD, Axis};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// From PyTorch in float64, relative to max(1, |value|). PyTorch's own float32 is up to 5.5e-6 from
/// it on the taggers, which make much of roundings; birnn may be twice as far.
const TOLERANCE: f64 = 1e-5;

/// The models' folder; none: the test says on stderr that it did not run.
fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("BIRNN_REAL_TORCH_MODELS").map(PathBuf::from);
    if folder.is_none() {
        // Not eprintln!: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "NOT RUN: tests/real_models/run_torch.sh runs it");
    }
    folder
}

fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu()];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

/// The inputs, and what PyTorch computes from them.
fn arrays(path: &Path) -> (ArrayD<f32>, ArrayD<f64>) {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    (npz.by_name("x.npy").unwrap(), npz.by_name("output.npy").unwrap())
}

/// Compares a model of such a file with PyTorch, on each device.
fn compare(name: &str, file: &str, build: impl Fn(StateDict) -> Result<Model>) {
    let Some(folder) = folder() else { return };
    let (x, expected) = arrays(&folder.join(format!("{name}.npz")));
    let model = StateDict::open(folder.join(file)).and_then(build).unwrap();
    for device in devices() {
        let outputs = device.compile(&model).and_then(|mut session| session.run(x.view())).unwrap();
        let error = largest_error(outputs.output(), &expected);
        println!("{name} on {}: {error:.1e} from PyTorch at most", device.info().name);
        assert!(error <= TOLERANCE, "{name}: {error}");
    }
}

fn tagger(
    mut state: StateDict,
    recurrent: impl Fn(&mut StateDict, &mut Graph, Tensor) -> Result<Recurrent>,
) -> Result<Model> {
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None])?;
    let x = state.embedding(&mut graph, "char_embeddings", ids)?;
    let x = recurrent(&mut state, &mut graph, x)?.output;
    let x = state.linear(&mut graph, "hidden2tag", x)?;
    assert_eq!(state.unread(), [""; 0]);
    state.build(graph, [x])
}

#[test]
fn uzmorph_nn() {
    compare("uzmorph_nn", "uzmorph_nn.pth", |state| {
        tagger(state, |state, graph, x| state.lstm(graph, "lstm", x))
    });
}

#[test]
fn uzmorph_bigru() {
    compare("uzmorph_bigru", "uzmorph_bigru.pth", |state| {
        tagger(state, |state, graph, x| state.gru(graph, "gru", x))
    });
}

#[test]
fn resemblyzer() {
    compare("resemblyzer", "resemblyzer.pt", |mut state| {
        let mut graph = Graph::new();
        let mels = graph.sequence_input("mels", None, 40)?;
        let lstm = state.lstm(&mut graph, "lstm", mels)?;
        let x = state.linear(&mut graph, "linear", lstm.h_n[2])?;
        let x = graph.add(Activation::Relu, x)?[0];
        let x = graph.add(UnitNormalization::new(), x)?;
        state.build(graph, x)
    });
}

/// From the spectra on: what comes before is four lines of arithmetic with the samples.
fn silero_of_spectra(mut state: StateDict) -> Result<Model> {
    let mut graph = Graph::new();
    let mut x = graph.sequence_input("spectra", Some(4), 129)?;
    let convolutions = [("conv1", 1), ("conv2", 2), ("conv3", 2), ("conv4", 1)];
    for (name, stride) in convolutions {
        x = state.conv1d(&mut graph, name, x, Conv1d::new().stride(stride).padding(1))?;
        x = graph.add(Activation::Relu, x)?[0];
    }
    let cell = state.lstm(&mut graph, "lstm_cell", x)?;
    let x = graph.add(Activation::Relu, cell.output)?[0];
    let x = state.conv1d(&mut graph, "final_conv", x, Conv1d::new())?;
    let score = graph.add(Activation::Sigmoid, x)?[0];
    state.build(graph, [score, cell.h_n[0], cell.c_n[0]])
}

/// Call after call, each from the states of the one before.
#[test]
fn silero() {
    let Some(folder) = folder() else { return };
    let (spectra, expected) = arrays(&folder.join("silero.npz")); // [batch, calls, …]
    let state = StateDict::open(folder.join("silero.safetensors")).unwrap();
    let model = silero_of_spectra(state).unwrap();
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let (mut h, mut c) = (Array2::zeros((3, 128)), Array2::zeros((3, 128)));
        let mut largest = 0f64;
        for (x, expected) in spectra.axis_iter(Axis(1)).zip(expected.axis_iter(Axis(1))) {
            let inputs = Inputs::new(x).initial_state([h.view(), c.view()]);
            let outputs = session.run(inputs).unwrap();
            let score = outputs.output().index_axis(Axis(1), 0).to_owned();
            largest = largest.max(largest_error(&score, &expected.to_owned()));
            let states = outputs.forward();
            (h, c) = (states.hidden().unwrap().to_owned(), states.cell().unwrap().to_owned());
        }
        println!("silero on {}: {largest:.1e} from PyTorch at most", device.info().name);
        assert!(largest <= TOLERANCE, "{largest}");
    }
}
