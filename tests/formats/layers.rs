//! The fixtures of `tests/fixtures/layers`: small models of every layer, what Keras computed with
//! them, and what birnn computes.
#![allow(dead_code)] // what is used depends on the features

use crate::common::{inputs, largest_error, side_by_side};
#[cfg(feature = "gpu")]
use crate::device;
use birnn::{Device, Error, Model, reference};
use ndarray::{ArrayD, Zip};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{LazyLock, OnceLock};

/// A model that Keras saved, and calls of it.
pub struct Case {
    pub name: String,
    /// The Keras class that the case is mainly about.
    pub layer: String,
    /// What the case shows, such as `strides: 2`.
    pub features: Vec<String>,
    model: String,
    /// The model's `to_json()`, where the file holds weights only.
    config: Option<String>,
    pub calls: Vec<Call>,
    /// The calls before which the states are reset.
    reset_before: Vec<usize>,
    /// The f64 outputs are Keras's f32: in f64 Keras itself computes something else.
    pub exact_from_f32: bool,
}

/// What Keras computed in a call.
pub struct Call {
    /// In the order of the model's inputs; ids and masks as numbers.
    pub inputs: Vec<ArrayD<f32>>,
    pub outputs: Vec<ArrayD<f32>>,
    /// The outputs in f64.
    pub exact: Vec<ArrayD<f64>>,
}

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/layers")
}

fn list(key: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("cases.json")).unwrap();
    let mut table: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(table[key].take()).unwrap()
}

/// Every case of `cases.json`.
pub fn cases() -> Vec<Case> {
    list("cases").iter().map(case).collect()
}

/// The cases whose models birnn doesn't refuse.
pub fn supported() -> &'static [Case] {
    static CASES: LazyLock<Vec<Case>> =
        LazyLock::new(|| cases().into_iter().filter(|case| case.unsupported().is_none()).collect());
    &CASES
}

/// The outputs of each call of a case, or why there are none.
pub type Found = Result<Vec<Vec<ArrayD<f32>>>, String>;
/// The same in f64; `None` for a call that goes on from the states of another.
pub type Exact = Result<Vec<Option<Vec<ArrayD<f64>>>>, String>;

fn found(open: impl Fn() -> Device + Sync) -> Vec<Found> {
    side_by_side(supported(), open, |device, case| {
        case.load().and_then(|model| case.run(device, &model)).map_err(|e| e.to_string())
    })
}

/// What the CPU path computes of each of `supported`: once for all tests.
pub fn on_cpu() -> &'static [Found] {
    static FOUND: OnceLock<Vec<Found>> = OnceLock::new();
    FOUND.get_or_init(|| found(Device::cpu))
}

/// What the GPU computes of each of `supported`: once for all tests. `None` where there is none.
#[cfg(feature = "gpu")]
pub fn on_gpu() -> Option<&'static [Found]> {
    static FOUND: OnceLock<Vec<Found>> = OnceLock::new();
    device::open(device::options())?;
    let open = || device::options().open().expect("it opened before");
    Some(FOUND.get_or_init(|| found(open)))
}

/// What the reference computes of each of `supported` in f64: once for all tests.
pub fn in_f64() -> &'static [Exact] {
    static FOUND: OnceLock<Vec<Exact>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let run = |case: &Case| case.load().and_then(|model| case.run_exact(&model));
        side_by_side(supported(), || (), |_, case| run(case).map_err(|e| e.to_string()))
    })
}

/// The models that are to be refused, with the layer that the error has to name.
pub fn refused() -> Vec<(PathBuf, Option<String>)> {
    let entry = |e: &Value| {
        (folder().join(e["file"].as_str().unwrap()), e["layer"].as_str().map(str::to_string))
    };
    list("refused").iter().map(entry).collect()
}

fn case(entry: &Value) -> Case {
    let text = |key: &str| entry[key].as_str().unwrap().to_string();
    let count = |key: &str| entry[key].as_u64().unwrap() as usize;
    let mut npz = NpzReader::new(File::open(folder().join(text("arrays"))).unwrap()).unwrap();
    let (inputs, outputs, calls) = (count("inputs"), count("outputs"), count("calls"));
    assert_eq!(
        npz.len(),
        calls * (inputs + 2 * outputs),
        "{}: arrays that are not compared",
        text("name")
    );
    let mut call = |index: usize| {
        let prefix = if calls > 1 { format!("call{index}_") } else { String::new() };
        Call {
            inputs: (0..inputs).map(|i| input(&mut npz, &format!("{prefix}input{i}"))).collect(),
            outputs: (0..outputs)
                .map(|i| array(&mut npz, &format!("{prefix}output{i}")).unwrap())
                .collect(),
            exact: (0..outputs)
                .map(|i| array(&mut npz, &format!("{prefix}exact{i}")).unwrap())
                .collect(),
        }
    };
    Case {
        name: text("name"),
        layer: text("layer"),
        features: serde_json::from_value(entry["features"].clone()).unwrap(),
        model: entry["model"].as_str().or(entry["weights"].as_str()).unwrap().to_string(),
        config: entry["config"].as_str().map(str::to_string),
        calls: (0..calls).map(&mut call).collect(),
        exact_from_f32: entry.get("exact_from").is_some(),
        reset_before: entry
            .get("reset_before")
            .map_or(vec![], |list| serde_json::from_value(list.clone()).unwrap()),
    }
}

fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> Option<ArrayD<T>> {
    npz.by_name(&format!("{name}.npy")).ok()
}

/// Numbers, ids or a mask.
fn input(npz: &mut NpzReader<File>, name: &str) -> ArrayD<f32> {
    let ids = |npz: &mut NpzReader<File>| Some(array::<i32>(npz, name)?.mapv(|id| id as f32));
    let mask = |npz: &mut NpzReader<File>| {
        Some(array::<bool>(npz, name)?.mapv(|kept| f32::from(u8::from(kept))))
    };
    array::<f32>(npz, name).or_else(|| ids(npz)).or_else(|| mask(npz)).unwrap()
}

impl Case {
    pub fn load(&self) -> Result<Model, Error> {
        let path = folder().join(&self.model);
        let Some(config) = &self.config else { return Model::from_keras(path) };
        let mut model =
            Model::from_keras_config(&std::fs::read_to_string(folder().join(config)).unwrap())?;
        model.load_keras_weights(path)?;
        Ok(model)
    }

    /// Whether the states are zero before a call.
    fn starts_anew(&self, call: usize) -> bool {
        call == 0 || self.reset_before.contains(&call)
    }

    /// The outputs of each call, one after another in a session.
    pub fn run(&self, device: &Device, model: &Model) -> Result<Vec<Vec<ArrayD<f32>>>, Error> {
        let mut session = device.compile(model)?;
        let mut results = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            if self.reset_before.contains(&index) {
                session.reset_states();
            }
            let outputs = session.run(inputs(&call.inputs))?;
            results.push(outputs.list().iter().map(|output| output.array.clone()).collect());
        }
        Ok(results)
    }

    /// The outputs in f64 of each call that starts from zero states.
    pub fn run_exact(&self, model: &Model) -> Result<Vec<Option<Vec<ArrayD<f64>>>>, Error> {
        let calls = self.calls.iter().enumerate();
        calls
            .map(|(index, call)| {
                if !self.starts_anew(index) {
                    return Ok(None);
                }
                let arrays: Vec<_> =
                    call.inputs.iter().map(|input| input.mapv(f64::from)).collect();
                let outputs = reference::run::<f64>(model, inputs(&arrays))?;
                Ok(Some(outputs.list().iter().map(|output| output.array.clone()).collect()))
            })
            .collect()
    }

    /// Why the model is one that birnn refuses.
    pub fn unsupported(&self) -> Option<&'static str> {
        UNSUPPORTED.iter().find(|(pattern, _)| fits(&self.name, pattern)).map(|entry| entry.1)
    }
}

/// Whether a name is this pattern, in which a `*` at either end stands for anything.
fn fits(name: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

/// Cases that are refused, each with what birnn lacks.
pub const UNSUPPORTED: &[(&str, &str)] = &[
    ("*group_query*", "the layer"),
    ("*_attention_mask", "attention_mask: a mask is [batch, timesteps]"),
    ("layer_softmax_mask", "mask: a mask is [batch, timesteps]"),
    ("layer_softmax_axes", "more than one axis"),
    ("layer_embedding_1d", "an input of [batch]"),
    ("layer_batch_normalization_renorm", "renorm"),
    ("layer_layer_normalization_rms", "rms_scaling"),
    ("layer_multi_head_4d*", "attention_axes other than time"),
    ("layer_multi_head_gate", "use_gate"),
    ("layer_multi_head_window*", "sliding_window"),
    ("layer_multi_head_output_shape_2d", "an output_shape of two axes"),
    ("*_attention_zoo", "some of the layers"),
    ("*rnn_lstm_layer_objects", "a ReLU with max_value as an activation"),
    ("rnn_lstm_softmax", "an activation over the units"),
    ("rnn_gru_sparsemax", "an activation over the units"),
    ("rnn_rnn_log_softmax", "an activation over the units"),
    ("rnn_stacked_nested", "cells within cells"),
    (
        "mask_unroll_zero_output_back_quirk",
        "unroll, go_backwards and zero_output_for_mask together",
    ),
];

/// The largest difference of each output from Keras, relative to `max(1, |value|)`, with the
/// output's place.
pub type Errors = Vec<(String, f64)>;

/// Keras and birnn compute in f32, each with its own order of summation.
pub const F32_TOLERANCE: f64 = 2e-6;

/// The weights are exact in f64, so only the order of summation differs; cases that differ by more
/// have a reason.
pub fn f64_tolerance(case: &Case) -> f64 {
    match case.name.as_str() {
        _ if case.exact_from_f32 => F32_TOLERANCE,
        // Keras 2 holds other constants in f32 than Keras 3, whose are the reference's: √2 of gelu,
        // not 1/√2.
        "keras2_activations" => 2e-8,
        // Keras 3 holds 1/√key_dim in f32, Keras 2 in f64.
        "keras2_multi_head_causal"
        | "strangers_new_arguments"
        | "strangers_new_arguments_archive" => 2e-8,
        _ => 1e-11,
    }
}

/// Compares what was found of a case with Keras in f32.
pub fn errors_f32(case: &Case, found: &Found) -> Result<Errors, String> {
    let mut errors = Errors::new();
    for (c, (outputs, call)) in found.as_ref()?.iter().zip(&case.calls).enumerate() {
        assert_eq!(outputs.len(), call.outputs.len(), "{}", case.name);
        for (o, (found, keras)) in outputs.iter().zip(&call.outputs).enumerate() {
            errors.push((format!("call {c} output {o}"), largest_error(found, keras)));
        }
    }
    Ok(errors)
}

/// Compares what was found of a case with Keras in f64.
pub fn errors_f64(case: &Case, found: &Exact) -> Result<Errors, String> {
    let mut errors = Errors::new();
    for (c, (outputs, call)) in found.as_ref()?.iter().zip(&case.calls).enumerate() {
        for (o, (found, exact)) in outputs.iter().flatten().zip(&call.exact).enumerate() {
            errors.push((format!("call {c} output {o}"), largest_error(found, exact)));
        }
    }
    Ok(errors)
}

/// How far `found` is from `exact`, in units of the last place of an f32 of that size, where a
/// value counts as at least the mean size of the array: what is small by cancellation can't be
/// exact to its own last place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ulps {
    pub max: f64,
    sum: f64,
    count: usize,
}

impl Ulps {
    pub fn between<F: Into<f64> + Copy>(found: &ArrayD<F>, exact: &ArrayD<f64>) -> Ulps {
        if found.shape() != exact.shape() {
            return Ulps { max: f64::INFINITY, sum: f64::INFINITY, count: 1 };
        }
        let scale = exact.iter().map(|x| x.abs()).sum::<f64>() / exact.len().max(1) as f64;
        let mut ulps = Ulps::default();
        Zip::from(found).and(exact).for_each(|&found, &exact| {
            let error = (found.into() - exact).abs() / ulp(exact.abs().max(scale));
            ulps = ulps.and(Ulps {
                max: if error.is_nan() { f64::INFINITY } else { error },
                sum: error,
                count: 1,
            });
        });
        ulps
    }

    pub fn and(self, other: Ulps) -> Ulps {
        Ulps {
            max: self.max.max(other.max),
            sum: self.sum + other.sum,
            count: self.count + other.count,
        }
    }

    pub fn mean(self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// From an f32 of this size to the next.
fn ulp(size: f64) -> f64 {
    let exponent = size.max(f64::from(f32::MIN_POSITIVE)).log2().floor();
    (exponent - 23.0).exp2()
}
