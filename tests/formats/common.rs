//! The fixtures that Keras computed, for every test that compares with them.
#![allow(dead_code)] // what is used depends on the features

#[cfg(feature = "gpu")]
use crate::device;
use birnn::Inputs;
#[cfg(feature = "keras")]
use birnn::Model;
use ndarray::{ArrayD, Zip};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;
#[cfg(feature = "gpu")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// A model that Keras saved, with inputs and what Keras computed from them.
pub struct Case {
    pub name: String,
    pub model_path: PathBuf,
    /// In the order of the model's inputs.
    pub inputs: Vec<ArrayD<f32>>,
    /// Keras's flattened list of outputs, in f32.
    pub outputs: Vec<ArrayD<f32>>,
    /// The outputs in f64; large ones are left out.
    pub exact: Vec<Option<ArrayD<f64>>>,
}

/// A file that has to be refused.
pub struct Refused {
    pub path: PathBuf,
    /// The layer that the error has to name.
    pub layer: Option<String>,
}

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keras")
}

fn list(key: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(fixtures().join("cases.json")).unwrap();
    let mut cases: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(cases[key].take()).unwrap()
}

/// Every case of `cases.json`.
pub fn cases() -> Vec<Case> {
    list("cases").iter().map(case).collect()
}

fn case(entry: &Value) -> Case {
    let path = |key: &str| fixtures().join(entry[key].as_str().unwrap());
    let mut npz = NpzReader::new(File::open(path("arrays")).unwrap()).unwrap();
    let count = |key: &str| entry[key].as_u64().unwrap() as usize;
    let (inputs, outputs) = (count("inputs"), count("outputs"));
    let case = Case {
        name: entry["name"].as_str().unwrap().to_string(),
        model_path: path("model"),
        inputs: (0..inputs).map(|i| array(&mut npz, &format!("input{i}")).unwrap()).collect(),
        outputs: (0..outputs).map(|i| array(&mut npz, &format!("output{i}")).unwrap()).collect(),
        exact: (0..outputs).map(|i| array(&mut npz, &format!("exact{i}"))).collect(),
    };
    let used = inputs + outputs + case.exact.iter().flatten().count();
    assert_eq!(npz.len(), used, "{}: the fixture holds arrays that are not compared", case.name);
    case
}

fn array<T: ReadableElement>(npz: &mut NpzReader<File>, name: &str) -> Option<ArrayD<T>> {
    let names = npz.names().unwrap();
    let found = names.iter().find(|found| found.trim_end_matches(".npy") == name)?;
    Some(npz.by_name(found).unwrap())
}

/// What `work` makes of each item, on as many threads as there are cores, each with what `start`
/// makes for it: a device of its own, say, because a software driver builds the kernels of a device
/// one after another. Items next to each other go to one thread: models of one kind have kernels in
/// common.
pub fn side_by_side<T: Sync, S, R: Send>(
    items: &[T],
    start: impl Fn() -> S + Sync,
    work: impl Fn(&S, &T) -> R + Sync,
) -> Vec<R> {
    let (parts, next): (Vec<&[T]>, _) = (items.chunks(16).collect(), AtomicUsize::new(0));
    let worker = || {
        let (own, mut done) = (start(), Vec::new());
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(part) = parts.get(place) else { return done };
            done.push((place, part.iter().map(|item| work(&own, item)).collect::<Vec<R>>()));
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut done: Vec<(usize, Vec<R>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().flat_map(|(_, results)| results).collect()
}

/// The outputs of a case, or why there are none.
pub type Found = Result<Vec<ArrayD<f32>>, String>;

/// What the GPU computes of each of `cases`, or why it doesn't: once for all tests. `None` where
/// there is no GPU.
#[cfg(all(feature = "gpu", feature = "keras"))]
pub fn on_gpu() -> Option<&'static [Found]> {
    static FOUND: OnceLock<Vec<Found>> = OnceLock::new();
    device::open(device::options())?;
    Some(FOUND.get_or_init(|| {
        let open = || device::options().open().expect("it opened before");
        side_by_side(&cases(), open, |gpu, case| {
            let outputs = Model::from_keras(&case.model_path)
                .and_then(|model| gpu.compile(&model)?.run(inputs(&case.inputs)))
                .map_err(|e| e.to_string())?;
            Ok(outputs.list().iter().map(|output| output.array.clone()).collect())
        })
    }))
}

/// The files of `unsupported` or `damaged`.
pub fn refused(key: &str) -> Vec<Refused> {
    let refused = |entry: &Value| Refused {
        path: fixtures().join(entry["file"].as_str().unwrap()),
        layer: entry["layer"].as_str().map(str::to_string),
    };
    list(key).iter().map(refused).collect()
}

/// A case's arrays as a model's inputs.
pub fn inputs<F>(arrays: &[ArrayD<F>]) -> Inputs<'_, F> {
    let (first, rest) = arrays.split_first().unwrap();
    rest.iter().fold(Inputs::new(first.view()), |inputs, array| inputs.input(array.view()))
}

/// The largest `|a - b| / max(1, |b|)`; infinite where the shapes differ or a value is NaN.
pub fn largest_error<F: Into<f64> + Copy, G: Into<f64> + Copy>(
    a: &ArrayD<F>,
    b: &ArrayD<G>,
) -> f64 {
    if a.shape() != b.shape() {
        return f64::INFINITY;
    }
    let mut largest = 0.0_f64;
    Zip::from(a).and(b).for_each(|&a, &b| {
        let (a, b): (f64, f64) = (a.into(), b.into());
        let error = (a - b).abs() / b.abs().max(1.0);
        largest = if error.is_nan() { f64::INFINITY } else { largest.max(error) };
    });
    largest
}
