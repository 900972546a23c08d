//! State dicts that real PyTorch saved: what they compute on every backend, and that others are
//! refused with a way out.

use crate::common::largest_error;
#[cfg(feature = "gpu")]
use crate::device;
use crate::tables::{Table, committed, compare_document, rows};
use birnn::torch::{Conv1d, StateDict, TorchOptions, c_n, h_n};
use birnn::{Activation, Device, Error, Graph, Inputs, Model, Outputs, Result, reference};
use ndarray::{Array, ArrayD, ArrayView2, Axis, Dimension, Ix2, Ix3};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// birnn and PyTorch in float64: the fixtures' weights are exact in every type.
const F64_TOLERANCE: f64 = 1e-12;
/// birnn in f32, relative to max(1, |value|).
const F32_TOLERANCE: f64 = 2e-6;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/torch")
}

struct Case {
    name: String,
    file: PathBuf,
    kind: String,
    is_relu: bool,
    lengths: Option<Vec<usize>>,
    /// The class in PyTorch, and what of it the case shows.
    module: String,
    covers: Vec<String>,
    /// The input `x`, the expected `output`, `h_n` and `c_n`, and initial states `h_0` and `c_0`.
    arrays: HashMap<String, ArrayD<f64>>,
}

fn list(key: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join("cases.json")).unwrap();
    let mut lists: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(lists[key].take()).unwrap()
}

fn cases() -> Vec<Case> {
    let mut npz = NpzReader::new(File::open(fixtures().join("arrays.npz")).unwrap()).unwrap();
    let mut case = |entry: &Value| {
        let text = |key: &str| entry[key].as_str().unwrap().to_string();
        let names: Vec<String> = serde_json::from_value(entry["arrays"].clone()).unwrap();
        let array = |name: String| {
            let array = npz.by_name(&format!("{}.{name}.npy", text("name")));
            let array = array.or_else(|_| npz.by_name(&format!("{}.{name}", text("name"))));
            (name, array.unwrap())
        };
        Case {
            name: text("name"),
            file: fixtures().join(text("file")),
            kind: text("kind"),
            is_relu: entry["relu"].as_bool().unwrap_or(false),
            lengths: serde_json::from_value(entry["lengths"].clone()).unwrap(),
            module: text("module"),
            covers: serde_json::from_value(entry["covers"].clone()).unwrap(),
            arrays: names.into_iter().map(array).collect(),
        }
    };
    list("cases").iter().map(&mut case).collect()
}

impl Case {
    fn model(&self) -> Result<Model> {
        match &self.kind[..] {
            "tagger" => tagger(StateDict::open(&self.file)?),
            "parts" => parts(StateDict::open(&self.file)?),
            _ if self.is_relu => {
                TorchOptions::new().nonlinearity(Activation::Relu).load(&self.file)
            }
            _ => Model::from_torch(&self.file),
        }
    }

    /// The outputs on a backend, by their names in PyTorch, each with how far it is from what
    /// PyTorch computed.
    fn errors<F: Clone + Copy + Into<f64> + 'static>(
        &self,
        model: &Model,
        number: fn(f64) -> F,
        run: impl FnOnce(Inputs<F>) -> Result<Outputs<F>>,
    ) -> Result<Vec<(String, f64)>> {
        let array = |name: &str| self.arrays.get(name).map(|array| array.mapv(number));
        let x = array("x").unwrap();
        let states = states(model, array("h_0"), array("c_0"));
        let mut inputs = Inputs::new(x.view());
        if let Some(lengths) = &self.lengths {
            inputs = inputs.lengths(lengths);
        }
        for (layer, states) in &states {
            inputs = inputs.initial_state_of(layer, states.iter().map(|state| state.view()));
        }
        let outputs = run(inputs)?;
        let mut found = vec![("output", outputs.output().clone())];
        if self.kind == "recurrent" {
            found.push(("h_n", h_n(&outputs)?.into_dyn()));
        }
        match c_n(&outputs) {
            Ok(c_n) => found.push(("c_n", c_n.into_dyn())),
            Err(_) => assert!(!self.arrays.contains_key("c_n"), "{}: no cell states", self.name),
        }
        let error = |(name, array): (&str, ArrayD<F>)| {
            (name.to_string(), largest_error(&array, &self.arrays[name]))
        };
        Ok(found.into_iter().map(error).collect())
    }
}

/// PyTorch's initial states, `[layers · directions, batch, units]`, as those of each layer.
fn states<F: Clone>(
    model: &Model,
    h: Option<ArrayD<F>>,
    c: Option<ArrayD<F>>,
) -> Vec<(String, Vec<Array<F, Ix2>>)> {
    let Some(h) = h.map(|h| into::<F, Ix3>(h)) else { return Vec::new() };
    let c = c.map(|c| into::<F, Ix3>(c));
    let layers = model.layer_names();
    let directions = h.len_of(Axis(0)) / layers.len();
    let of_layer = |(index, name): (usize, String)| {
        let places = index * directions..(index + 1) * directions;
        let at = |array: &Array<F, Ix3>, place| array.index_axis(Axis(0), place).to_owned();
        let both = |place| [Some(at(&h, place)), c.as_ref().map(|c| at(c, place))];
        (name, places.flat_map(both).flatten().collect())
    };
    layers.into_iter().enumerate().map(of_layer).collect()
}

fn into<F, D: Dimension>(array: ArrayD<F>) -> Array<F, D> {
    array.into_dimensionality().unwrap()
}

fn tagger(mut state: StateDict) -> Result<Model> {
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None])?;
    let embedded = state.embedding(&mut graph, "embedding", ids)?;
    let encoded = state.lstm(&mut graph, "lstm", embedded)?.output;
    let scores = state.linear(&mut graph, "classifier", encoded)?;
    assert_eq!(state.unread(), [""; 0]);
    state.build(graph, [scores])
}

fn parts(mut state: StateDict) -> Result<Model> {
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, 6)?;
    let x = state.conv1d(&mut graph, "conv", x, Conv1d::new().padding(1))?;
    let x = state.batch_norm1d(&mut graph, "batch", x, 1e-5)?;
    let x = state.conv1d(&mut graph, "grouped", x, Conv1d::new().stride(2).padding(1))?;
    let x = state.conv1d(&mut graph, "dilated", x, Conv1d::new().dilation(2).padding(3))?;
    let x = state.batch_norm1d(&mut graph, "plain_batch", x, 1e-3)?;
    let x = state.layer_norm(&mut graph, "norm", x, 1e-5)?;
    let x = state.gru(&mut graph, "gru", x)?.output;
    let x = state.rnn(&mut graph, "rnn", x, Activation::Relu)?.output;
    let x = state.linear(&mut graph, "linear", x)?;
    assert_eq!(state.unread(), ["batch.num_batches_tracked", "plain_batch.num_batches_tracked"]);
    state.build(graph, [x])
}

/// Compares every case on a backend; lists what fails.
fn compare(tolerance: f64, errors: impl Fn(&Case, &Model) -> Result<Vec<(String, f64)>>) {
    let cases = cases();
    assert!(cases.len() >= 135, "{} cases: some are missing", cases.len());
    let (mut failures, mut largest) = (Vec::new(), (0.0, String::new()));
    for case in &cases {
        match case.model().and_then(|model| errors(case, &model)) {
            Err(error) => failures.push(format!("{}: {error}", case.name)),
            Ok(errors) => {
                for (place, error) in errors {
                    if error.is_nan() || error > tolerance {
                        failures.push(format!("{} {place}: error {error:e}", case.name));
                    } else if error > largest.0 {
                        largest = (error, format!("{} {place}", case.name));
                    }
                }
            }
        }
    }
    println!("{} cases, largest error {largest:?}", cases.len());
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_case_is_exact_in_f64() {
    compare(F64_TOLERANCE, |case, model| {
        case.errors(model, |value| value, |inputs| reference::run(model, inputs))
    });
}

fn on_device(device: &Device, case: &Case, model: &Model) -> Result<Vec<(String, f64)>> {
    let mut session = device.compile(model)?;
    case.errors(model, |value| value as f32, |inputs| session.run(inputs))
}

#[test]
fn every_case_on_the_cpu_computes_what_torch_computed() {
    let device = Device::cpu();
    compare(F32_TOLERANCE, |case, model| on_device(&device, case, model));
}

#[cfg(feature = "gpu")]
#[test]
fn every_case_on_the_gpu_computes_what_torch_computed() {
    let Some(device) = device::open(device::options()) else { return };
    compare(F32_TOLERANCE, |case, model| on_device(&device, case, model));
}

#[test]
fn other_files_are_refused_with_a_way_out() {
    for entry in list("refused") {
        let file = entry["file"].as_str().unwrap();
        let error = Model::from_torch(fixtures().join(file)).expect_err(file);
        let text = error.to_string();
        for word in entry["words"].as_array().unwrap() {
            let word = word.as_str().unwrap();
            assert!(text.contains(word), "{file}: {text:?} doesn't say {word:?}");
        }
    }
}

/// Weight norm keeps other tensors than the module has; the text says how to take it away.
#[test]
fn parametrized_weights_are_refused_with_a_way_out() {
    let error = |names: &[&str]| {
        let tensor = |(place, name): (usize, &&str)| {
            let (start, end) = (16 * place, 16 * (place + 1));
            format!(
                "{name:?}:{{\"dtype\":\"F32\",\"shape\":[4,1],\"data_offsets\":[{start},{end}]}}"
            )
        };
        let tensors: Vec<_> = names.iter().enumerate().map(tensor).collect();
        let header = format!("{{{}}}", tensors.join(","));
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], header.as_bytes(), &vec![0; 16 * names.len()]].concat();
        TorchOptions::new().load_bytes("weights", bytes).unwrap_err().to_string()
    };
    let both = "parametrizations.weight_hh_l0.original0";
    for names in [
        &["weight_ih_l0", both, "parametrizations.weight_hh_l0.original1"][..],
        &["weight_hh_l0", "parametrizations.weight_ih_l0.original0"],
        &["rnn.weight_ih_l0", "rnn.weight_hh_l0_g", "rnn.weight_hh_l0_v"],
    ] {
        let text = error(names);
        assert!(text.contains("parametrize.remove_parametrizations(module, name)"), "{text}");
    }
    for names in [
        &["linear.weight", "linear.bias"][..],
        &["weight_hh_l0", "bias_hh_l0"],
        &["weight_hh_l0", "conv.weight_g", "conv.weight_v"],
    ] {
        let text = error(names);
        assert!(!text.contains("remove_parametrizations"), "{text}");
    }
}

/// The error of what is done with the tagger's state dict.
#[track_caller]
fn tagger_error<T>(add: impl FnOnce(&mut StateDict, &mut Graph) -> Result<T>) -> String {
    let mut state = StateDict::open(fixtures().join("tagger.safetensors")).unwrap();
    let result = add(&mut state, &mut Graph::new());
    result.err().expect("it is no error").to_string()
}

#[test]
fn parts_that_do_not_fit_are_errors() {
    let says = |text: String, words: &[&str]| {
        for word in words {
            assert!(text.contains(word), "{text:?} doesn't say {word:?}");
        }
    };
    let missing = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 8)?;
        state.linear(graph, "head", x)
    });
    says(missing, &["\"head\"", "embedding.weight"]);
    let another = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 8)?;
        state.gru(graph, "lstm", x)
    });
    says(another, &["LSTM", "not GRU"]);
    let axes = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 8)?;
        state.conv1d(graph, "embedding", x, Conv1d::new())
    });
    says(axes, &["embedding.weight", "[20, 8]", "3 axes"]);
    let features = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 7)?;
        let y = state.linear(graph, "classifier", x)?;
        state.build(std::mem::take(graph), [y])
    });
    says(features, &["classifier", "[12, 5]", "[7, 5]"]);
    let norm = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 5)?;
        state.batch_norm1d(graph, "classifier", x, 1e-5)
    });
    says(norm, &["running_mean", "classifier.bias"]);
    let sigmoid = tagger_error(|state, graph| {
        let x = graph.sequence_input("x", None, 8)?;
        state.rnn(graph, "lstm", x, Activation::Sigmoid)
    });
    says(sigmoid, &["LSTM", "not RNN"]);
}

#[test]
fn a_nonlinearity_is_one_of_torchs() {
    let load = |file: &str, nonlinearity| {
        TorchOptions::new().nonlinearity(nonlinearity).load(fixtures().join(file)).unwrap_err()
    };
    for (file, nonlinearity) in
        [("lstm.safetensors", Activation::Relu), ("rnn_relu.pt", Activation::Sigmoid)]
    {
        let error = load(file, nonlinearity);
        assert!(
            matches!(&error, Error::Argument { argument, .. } if argument == "nonlinearity"),
            "{error}"
        );
    }
}

/// One module of several is chosen by its prefix, with or without what wraps it.
#[test]
fn a_prefix_chooses_a_module() {
    let file = fixtures().join("refused/several.pt");
    let load = |prefix: &str| TorchOptions::new().prefix(prefix).load(&file);
    let left = load("left").unwrap();
    assert_eq!(left.layer_names(), ["left_l0"]);
    assert_eq!(load("right.").unwrap().layer_names(), ["right_l0"]);
    assert!(load("middle").unwrap_err().to_string().contains("\"middle\""));
    let wrapped = fixtures().join("file_f32_zip_lightning.pt");
    let whole = TorchOptions::new().prefix("state_dict.model.encoder").load(&wrapped).unwrap();
    let short = TorchOptions::new().prefix("encoder").load(&wrapped).unwrap();
    let weights = |model: &Model| model.weights("encoder_l0").unwrap();
    assert_eq!(weights(&whole), weights(&short));
}

/// Several parts in one file are listed, with whole names.
#[test]
fn parts_are_recognized() {
    let state = StateDict::open(fixtures().join("parts.safetensors")).unwrap();
    let parts = state.parts().unwrap();
    let class = |prefix: &str| {
        let part = parts.iter().find(|part| part.prefix == prefix).unwrap();
        (part.class.clone(), part.sizes.clone())
    };
    assert_eq!(class("conv").0, "Conv1d");
    assert_eq!(class("batch").0, "BatchNorm1d");
    assert_eq!(class("norm").0, "LayerNorm");
    assert_eq!(class("gru"), ("GRU".into(), "4 features, 3 units, 2 layers".into()));
    assert_eq!(class("rnn").0, "RNN");
    assert_eq!(class("linear").0, "Embedding or Linear");
    let state = StateDict::open(fixtures().join("projected.safetensors")).unwrap();
    let sizes = "4 features, 6 units, 2 layers, bidirectional, proj_size 3";
    assert_eq!(state.parts().unwrap()[0].sizes, sizes);
}

/// The weights of a GRU with other orders and both biases, as Keras has them.
#[test]
fn weights_are_those_of_keras() {
    let file = fixtures().join("file_f32_safetensors_plain.safetensors");
    let mut state = StateDict::open(&file).unwrap();
    let model = Model::from_torch(&file).unwrap();
    let [kernel, _, bias] = &model.weights("gru_l0").unwrap()[..] else { panic!() };
    let torch: ArrayD<f32> = state.array("weight_ih_l0").unwrap(); // r z n
    let torch: ArrayView2<f32> = torch.view().into_dimensionality().unwrap();
    for (keras, gate) in [1, 0, 2].into_iter().enumerate() {
        for unit in 0..2 {
            for feature in 0..2 {
                let expected = torch[[gate * 2 + unit, feature]];
                assert_eq!(kernel[[feature, keras * 2 + unit]], expected);
            }
        }
    }
    let hidden = state.array("bias_hh_l0").unwrap();
    assert_eq!(bias[[1, 0]], hidden[[2]]);
    assert_eq!(bias.shape(), [2, 6]);
}

const DOCUMENT: &str = "support_torch.md";
const HEAD: &str = "\
# What of PyTorch is supported

Each line counts small modules, saved by real PyTorch, that have this feature, and how many of them
give PyTorch's float64 results: within 2e-6 of max(1, |value|) in f32, within 1e-12 in f64.
Generated by `tests/formats/torch_files.rs` from what the tests found; don't edit it.

| Module | Feature | CPU f32 | CPU f64 | GPU |
|---|---|--:|--:|--:|
";

fn within(errors: Result<Vec<(String, f64)>>, tolerance: f64) -> bool {
    errors.is_ok_and(|errors| errors.iter().all(|(_, error)| *error <= tolerance))
}

fn table(gpu: Option<&Device>) -> Table {
    let (mut table, cpu) = (Table::new(), Device::cpu());
    for case in &cases() {
        let model = case.model().unwrap();
        let exact = case.errors(&model, |x| x, |inputs| reference::run(&model, inputs));
        let in_f64 = within(exact, F64_TOLERANCE);
        let on = |device: &Device| within(on_device(device, case, &model), F32_TOLERANCE);
        let (on_cpu, on_gpu) = (on(&cpu), gpu.map(on));
        for feature in &case.covers {
            let [f32_count, f64_count, gpu_count] =
                table.entry((case.module.clone(), feature.clone())).or_default();
            f32_count.add(on_cpu);
            f64_count.add(in_f64);
            on_gpu.into_iter().for_each(|passed| gpu_count.add(passed));
        }
    }
    table
}

#[test]
fn the_documentation_claims_what_was_tested() {
    #[cfg(feature = "gpu")]
    let gpu = device::open(device::options());
    #[cfg(not(feature = "gpu"))]
    let gpu: Option<Device> = None;
    let rows = rows(&table(gpu.as_ref()), gpu.is_some(), &committed(DOCUMENT));
    compare_document(DOCUMENT, "torch_files", &(HEAD.to_string() + &rows));
}
