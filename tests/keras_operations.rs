//! Models of operations in the place of layers, saved by real Keras 3 (`keras.ops`) and tf.keras 2
//! (`TFOpLambda`): what they compute on the reference, the CPU and the GPU.
#![cfg(feature = "keras")]

#[cfg(feature = "gpu")]
#[path = "common/device.rs"]
mod device;

use birnn::{Device, Inputs, Model};
use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Relative to the size of a value, or of 1 where it is smaller: some functions are made of several
/// operations.
const TOLERANCE: f32 = 6e-6;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/operations")
}

/// A call: what the model is given, and what Keras returned.
struct Call {
    inputs: Vec<ArrayD<f32>>,
    outputs: Vec<ArrayD<f32>>,
}

/// The calls of a fixture.
fn calls(name: &str) -> Vec<Call> {
    let mut npz =
        NpzReader::new(File::open(folder().join(format!("{name}.npz"))).unwrap()).unwrap();
    let mut arrays = |prefix: String| {
        let mut found = Vec::new();
        while let Ok(array) = npz.by_name(&format!("{prefix}{}.npy", found.len())) {
            found.push(array);
        }
        found
    };
    let call = |index| Call {
        inputs: arrays(format!("in{index}_")),
        outputs: arrays(format!("out{index}_")),
    };
    let calls: Vec<Call> = (0..2).map(call).collect();
    assert!(calls.iter().all(|call| !call.inputs.is_empty() && call.outputs.len() > 8), "{name}");
    calls
}

fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix != "npz"))
        .collect();
    files.sort();
    assert!(files.len() >= 13, "{files:?}");
    files
}

/// The largest difference of two arrays, relative to the size of their values.
fn difference(found: &ArrayViewD<f32>, expected: &ArrayD<f32>) -> f32 {
    if found.shape() != expected.shape() {
        return f32::INFINITY;
    }
    let one = |(&found, &expected): (&f32, &f32)| match (found - expected).abs() {
        _ if found == expected || found.is_nan() && expected.is_nan() => 0.0,
        difference if difference.is_nan() => f32::INFINITY,
        difference => difference / expected.abs().max(1.0),
    };
    found.iter().zip(expected).map(one).fold(0.0, f32::max)
}

fn compare(device: &Device) {
    let mut failures = Vec::new();
    for file in files() {
        let name = file.file_name().unwrap().to_str().unwrap().to_string();
        let model = Model::from_keras(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut session = device.compile(&model).unwrap();
        let names = model.output_names();
        for (index, call) in calls(file.file_stem().unwrap().to_str().unwrap()).iter().enumerate() {
            let mut inputs = Inputs::new(call.inputs[0].view());
            for array in &call.inputs[1..] {
                inputs = inputs.input(array.view());
            }
            let outputs = session.run(inputs).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(outputs.list().len(), call.outputs.len(), "{name}");
            for (place, (output, expected)) in outputs.list().iter().zip(&call.outputs).enumerate()
            {
                let error = difference(&output.array.view(), expected);
                if error > TOLERANCE {
                    let (found, wanted) = (output.array.shape(), expected.shape());
                    failures.push(format!(
                        "{name} call {index} output {place} ({}): {error:e}; {found:?} {wanted:?}",
                        names[place]
                    ));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_reference_computes_what_keras_computed() {
    compare(&Device::reference());
}

#[test]
fn the_cpu_computes_what_keras_computed() {
    compare(&Device::cpu());
}

#[cfg(feature = "gpu")]
#[test]
fn the_gpu_computes_what_keras_computed() {
    let Some(device) = device::open(device::options()) else { return };
    compare(&device);
}
