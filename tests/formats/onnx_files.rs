//! ONNX models against what onnxruntime computed of them: `tests/fixtures/onnx`, whose generator is
//! `tests/fixtures/generate_onnx.py`, and in `exported` what exporters write, by
//! `generate_exported.py`, and in `operators` single operators, by `generate_onnx_operators.py`. On
//! the reference, the CPU path, and a GPU.
//!
//! `BIRNN_ONNX_CASES` names another folder of such cases, which are run, too; `BIRNN_ONNX_ONLY` is
//! part of the names of those that are, `BIRNN_ONNX_DEVICES` part of the device's name,
//! `BIRNN_ONNX_ERROR` the most that a value may differ, `|a - b| / max(1, |b|)`, and
//! `BIRNN_ONNX_RIGHT` how many have to be right.

use crate::common::inputs;
#[cfg(feature = "gpu")]
use crate::device;
use birnn::program::{Kind, Length, Operation, Program, Reduction, Values};
use birnn::{Device, Error, Model, OnnxOptions, Outputs};
use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

struct Case {
    name: String,
    model: PathBuf,
    inputs: Vec<ArrayD<f32>>,
    outputs: Vec<ArrayD<f32>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx")
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "onnx"));
    files.sort();
    files.into_iter().map(case).collect()
}

fn case(model: PathBuf) -> Case {
    let mut npz = NpzReader::new(File::open(model.with_extension("npz")).unwrap()).unwrap();
    let mut arrays = |kind: &str| -> Vec<ArrayD<f32>> {
        let mut array = |number: usize| npz.by_name(&format!("{kind}_{number}.npy"));
        (0..).map_while(|number| array(number).ok()).collect()
    };
    let (inputs, outputs) = (arrays("in"), arrays("out"));
    let name = model.file_stem().unwrap().to_str().unwrap().to_string();
    Case { name, model, inputs, outputs }
}

/// How far from what was expected numbers may be.
#[derive(Clone, Copy)]
enum Most {
    /// `|a - b| / max(1, |b|)`
    Error(f64),
    /// That of the package onnx's own suite, `|a - b| <= 1e-7 + 1e-3 |b|`.
    Suite,
}

fn differs(found: &ArrayD<f32>, expected: &ArrayD<f32>, most: Most) -> Option<String> {
    let shapes = (found.shape(), expected.shape());
    if shapes.0 != shapes.1 {
        return Some(format!("{:?}, expected {:?}", shapes.0, shapes.1));
    }
    let far = |(a, b): (&f32, &f32)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        let same = a == b || (a.is_nan() && b.is_nan());
        let near = match most {
            Most::Error(most) => (a - b).abs() / b.abs().max(1.0) < most,
            Most::Suite => (a - b).abs() <= 1e-7 + 1e-3 * b.abs(),
        };
        (!same && !near).then(|| format!("{a} for {b} in {:?}", shapes.0))
    };
    found.iter().zip(expected).find_map(far)
}

/// What is wrong with a case on a device; `None`: nothing. `constants`: whether inputs behind the
/// first are constants of the model.
fn problem(case: &Case, device: &Device, most: Most, constants: bool) -> Option<String> {
    if case.inputs.is_empty() {
        return Some("it has no inputs, which birnn's models have".into());
    }
    let run = || {
        let mut options = OnnxOptions::new();
        let mut given = &case.inputs[..];
        if constants {
            let names = Model::from_onnx(&case.model)?.input_names();
            for (name, array) in names.iter().zip(&case.inputs).skip(1) {
                options = options.fixed_input(name, Values::Floats(array.clone()));
            }
            given = &given[..1];
        }
        let model = options.load(&case.model)?;
        let mut session = device.compile(&model)?;
        // The second call has all that the first one made.
        session.run(inputs(given))?;
        session.run(inputs(given))
    };
    let outputs: Outputs = match run() {
        Ok(outputs) => outputs,
        Err(error) => return Some(error.to_string()),
    };
    if outputs.list().len() != case.outputs.len() {
        return Some(format!("{} outputs", outputs.list().len()));
    }
    let pairs = outputs.list().iter().zip(&case.outputs).enumerate();
    let wrong = pairs.filter_map(|(place, (found, expected))| {
        Some(format!("output {place}: {}", differs(&found.array, expected, most)?))
    });
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Cases that the GPU path refuses, each with what it says.
const NOT_ON_A_GPU: [(&str, &str); 1] =
    [("pool_of_cubes", "an array of 3 axes: the GPU path takes 2 there")];

fn check(folder: &Path, device: &Device, most: Most) {
    let cases = cases(folder);
    let is_gpu = !matches!(device.info().name.as_str(), "reference" | "cpu");
    let failed = |case: &Case| {
        let found = problem(case, device, most, false);
        let refused = NOT_ON_A_GPU.iter().find(|(name, _)| is_gpu && *name == case.name);
        let wrong = match (found, refused) {
            (found, None) => found?,
            (Some(found), Some((_, said))) if found.contains(said) => return None,
            (found, Some((_, said))) => format!("{found:?} in place of {said:?}"),
        };
        Some(format!("{}: {wrong}", case.name))
    };
    let failures: Vec<String> = cases.iter().filter_map(failed).collect();
    let right = cases.len() - failures.len();
    println!("{}: {right} of {} cases", device.info().name, cases.len());
    assert!(failures.is_empty() && cases.len() > 10, "\n{}\n", failures.join("\n"));
}

/// Both round in f32, over a few timesteps of a few units.
const TOLERANCE: Most = Most::Error(3e-6);

fn check_all(device: &Device) {
    check(&folder(), device, TOLERANCE);
    check(&folder().join("exported"), device, TOLERANCE);
    check(&folder().join("operators"), device, TOLERANCE);
}

/// Loops, which tf2onnx and Keras write for what isn't an LSTM or GRU node, are refused with the
/// way out.
#[test]
fn loops_of_exporters_are_refused() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder().join("refused")).unwrap() {
        let path = entry.unwrap().path();
        let error = Model::from_onnx(&path).unwrap_err();
        assert!(matches!(error, Error::UnsupportedNode { .. }), "{error}");
        assert!(error.to_string().contains(".keras file"), "{error}");
        let report = birnn::inspect_onnx(&path).unwrap();
        let problems = report.operators.iter().filter(|one| one.problem.is_some());
        assert_eq!(problems.map(|one| one.op_type.as_str()).collect::<Vec<_>>(), ["Loop"]);
        count += 1;
    }
    assert!(count >= 6, "{count} files");
}

/// Functions of a file are reported by their nodes.
#[test]
fn functions_are_reported_by_their_nodes() {
    let report = birnn::inspect_onnx(folder().join("functions.onnx")).unwrap();
    let count = |op_type: &str| {
        let mut operators = report.operators.iter();
        operators.find(|one| one.op_type == op_type).map_or(0, |one| one.count)
    };
    assert_eq!(["LSTM", "MatMul", "own.dense"].map(count), [1, 1, 0]);
    assert!(report.operators.iter().all(|one| one.problem.is_none()) && report.model.is_ok());
}

#[test]
fn the_reference_agrees_with_onnxruntime() {
    check_all(&Device::reference());
}

#[test]
fn the_cpu_path_agrees_with_onnxruntime() {
    check_all(&Device::cpu());
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_agrees_with_onnxruntime() {
    if let Some(device) = device::open(device::options()) {
        check_all(&device);
    }
}

/// The devices that there are: reference, CPU, GPU.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::reference(), Device::cpu()];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

/// The node tests of the package onnx, whose weights are inputs: they are made constants.
#[test]
fn the_node_tests_of_recurrent_operators_pass() {
    for device in devices() {
        let cases = cases(&folder().join("nodes"));
        assert_eq!(cases.len(), 18);
        for case in &cases {
            let problem = problem(case, &device, Most::Suite, true);
            assert_eq!(problem, None, "{} on {}", case.name, device.info().name);
        }
    }
}

/// Cases of another folder, such as what onnx_nodes.py writes: how many are right, and what is
/// wrong with the others.
#[test]
fn a_folder_of_cases() {
    let Some(folder) = std::env::var_os("BIRNN_ONNX_CASES") else {
        // Not eprintln!: the test harness would swallow it.
        let _ = writeln!(std::io::stderr(), "NOT RUN: BIRNN_ONNX_CASES names no folder of cases");
        return;
    };
    let only = std::env::var("BIRNN_ONNX_ONLY").unwrap_or_default();
    let named = std::env::var("BIRNN_ONNX_DEVICES").unwrap_or_default();
    let error = std::env::var("BIRNN_ONNX_ERROR").ok().map(|error| error.parse().unwrap());
    let least = std::env::var("BIRNN_ONNX_RIGHT").ok().map(|least| least.parse().unwrap());
    assert!(
        error.is_some() || least.is_some(),
        "BIRNN_ONNX_ERROR or BIRNN_ONNX_RIGHT has to say what is expected of the cases"
    );
    let most = error.map_or(Most::Suite, Most::Error);
    let wanted = |device: &Device| device.info().name.contains(&named);
    let devices: Vec<_> = devices().into_iter().filter(wanted).collect();
    assert!(!devices.is_empty(), "BIRNN_ONNX_DEVICES: no device has {named:?} in its name");
    for device in devices {
        let (mut right, mut with_constants, mut failures) = (0, 0, Vec::new());
        for case in cases(Path::new(&folder)).iter().filter(|case| case.name.contains(&only)) {
            match problem(case, &device, most, false) {
                None => right += 1,
                Some(_) if problem(case, &device, most, true).is_none() => {
                    with_constants += 1;
                }
                Some(problem) => failures.push(format!("{}: {problem}", case.name)),
            }
        }
        println!("{}", failures.join("\n"));
        println!(
            "{}: {right} right, {with_constants} with constants, {} wrong",
            device.info().name,
            failures.len()
        );
        assert!(error.is_none() || failures.is_empty(), "{} cases are wrong", failures.len());
        assert!(right + with_constants >= least.unwrap_or(0), "{least:?} have to be right");
    }
}

/// An input may have an axis of length 0: what follows from the length alone is computed, and what
/// has to be computed of no values is an error.
#[test]
fn inputs_without_values_are_computed_or_errors() {
    let mut program = Program::new();
    let x = program.input("x", [Length::Any, Length::Fixed(2)], Kind::Float).unwrap();
    let first = program.constant(Values::integers([0]));
    let sum = Operation::Reduce { reduction: Reduction::Sum, keep: true };
    let sum = program.add("sum", sum, [x, first]).unwrap()[0];
    program.output("y", sum);
    let sums = program.build().unwrap();
    let lstm = Model::from_onnx(folder().join("lstm_forward.onnx")).unwrap();
    for device in devices() {
        let nothing = ArrayD::zeros(ndarray::IxDyn(&[0, 2]));
        let outputs = device.compile(&sums).unwrap().run(nothing.view()).unwrap();
        assert_eq!(outputs.output(), &ndarray::arr2(&[[0.0, 0.0]]).into_dyn());
        let nothing = ArrayD::zeros(ndarray::IxDyn(&[0, 2, 3]));
        let error = device.compile(&lstm).unwrap().run(nothing.view()).unwrap_err();
        assert!(error.to_string().contains("has no values"), "{error}");
    }
}

/// Every value has its rank, NaN too: it is as large as a number can be.
#[test]
fn values_that_are_no_numbers_have_a_rank() {
    let mut program = Program::new();
    let x = program.input("x", [Length::Fixed(5)], Kind::Float).unwrap();
    let two = program.constant(Values::integers([2]));
    for (name, smallest) in [("largest", false), ("smallest", true)] {
        let top = Operation::TopK { axis: 0, smallest };
        let found = program.add(name, top, [x, two]).unwrap();
        program.output(name, found[0]);
        program.output(&format!("{name} at"), found[1]);
    }
    let model = program.build().unwrap();
    let x = ndarray::arr1(&[1.0, f32::NAN, 3.0, f32::NEG_INFINITY, f32::NAN]).into_dyn();
    for device in devices() {
        let outputs = device.compile(&model).unwrap().run(x.view()).unwrap();
        assert!(outputs.named("largest").unwrap().iter().all(|value| value.is_nan()));
        for (name, expected) in [
            ("largest at", [1.0, 4.0]),
            ("smallest", [f32::NEG_INFINITY, 1.0]),
            ("smallest at", [3.0, 0.0]),
        ] {
            let expected = ndarray::arr1(&expected).into_dyn();
            assert_eq!(outputs.named(name).unwrap(), &expected, "{}", device.info().name);
        }
    }
}

/// A model that reads its own states goes on from call to call, on each device.
#[test]
fn a_tied_state_is_handed_on() {
    let whole = OnnxOptions::new().load(folder().join("exported_lstm.onnx")).unwrap();
    assert!(whole.output_names().len() == 2);
    let path = folder().join("lstm_forward_lengths.onnx");
    let x = ArrayD::from_shape_fn(ndarray::IxDyn(&[6, 2, 3]), |at| {
        ((at[0] * 7 + at[1] * 3 + at[2]) as f32).sin()
    });
    let lengths = |n: f32| ndarray::arr1(&[n, n]).into_dyn();
    for device in devices() {
        let tied = OnnxOptions::new().tied("initial_h", "Y_h").tied("initial_c", "Y_c");
        let model = tied.load(&path).unwrap();
        assert_eq!(model.input_names(), ["X", "sequence_lens"]);
        let mut session = device.compile(&model).unwrap();
        let all = session.run(inputs(&[x.clone(), lengths(6.0)])).unwrap();
        session.reset_states();
        for (first, last) in [(0, 2), (2, 5), (5, 6)] {
            let part = x.slice_axis(ndarray::Axis(0), (first..last).into()).to_owned();
            let given = [part, lengths((last - first) as f32)];
            let outputs = session.run(inputs(&given)).unwrap();
            let expected = all.named("Y").unwrap();
            let expected = expected.slice_axis(ndarray::Axis(0), (first..last).into()).to_owned();
            let found = outputs.named("Y").unwrap();
            let problem = differs(found, &expected, Most::Error(2e-6));
            assert_eq!(problem, None, "{}", device.info().name);
        }
        // Another batch needs other states.
        let other = ArrayD::ones(ndarray::IxDyn(&[2, 3, 3]));
        let given = [other, ndarray::arr1(&[2.0, 2.0, 2.0]).into_dyn()];
        let error = session.run(inputs(&given)).unwrap_err().to_string();
        assert!(error.contains("reset_states"), "{error}");
        session.reset_states();
        assert!(session.run(inputs(&given)).is_ok());
    }
}

/// No call gives the length of an axis of its own.
#[test]
fn an_open_axis_of_a_tied_input_is_an_error_that_names_it() {
    let path = folder().join("exported_lstm.onnx");
    let model = OnnxOptions::new().load(&path).unwrap();
    let (input, output) = (model.input_names()[0].clone(), model.output_names()[0].clone());
    let output = output.trim_start_matches("output of ").to_string();
    let error = OnnxOptions::new().tied(&input, &output).load(&path).unwrap_err().to_string();
    assert!(error.contains(&format!("the tied input {input:?}")), "{error}");
    assert!(error.contains("(OnnxOptions::length)"), "{error}");
}

/// What of a branch isn't supported is an error where the branch is taken, and nowhere else: when
/// the model is read, if its condition is known then, and otherwise in the call.
#[test]
fn a_branch_that_is_not_taken_need_not_be_supported() {
    let path = folder().join("operators/choices.onnx");
    let model = Model::from_onnx(&path).unwrap();
    let saved = model.to_portable_bytes().unwrap();
    let rows = |count: usize| ArrayD::<f32>::ones(ndarray::IxDyn(&[count, 3]));
    let flag = |flag: f32| ndarray::arr1(&[flag]).into_dyn();
    let refuses = |error: Error| {
        let named = matches!(&error, Error::UnsupportedNode { node, op_type, .. }
            if node == "unique" && op_type == "Unique");
        assert!(named, "{error}");
    };
    for device in devices() {
        for model in [&model, &Model::from_portable_bytes("saved", &saved).unwrap()] {
            let mut session = device.compile(model).unwrap();
            refuses(session.run(inputs(&[rows(1), flag(1.0)])).unwrap_err());
            refuses(session.run(inputs(&[rows(2), flag(0.0)])).unwrap_err());
            let outputs = session.run(inputs(&[rows(2), flag(1.0)])).unwrap();
            assert_eq!(outputs.named("y4").unwrap(), &-rows(2));
        }
    }
    let fixed = |flag: bool| {
        let value = Values::Bools(ndarray::arr0(flag).into_dyn());
        OnnxOptions::new().fixed_input("flag", value).load(&path)
    };
    assert!(fixed(true).is_ok());
    refuses(fixed(false).unwrap_err());
}

/// Listed operators that no fixture has, each with the reason.
const IN_NO_FIXTURE: [(&str, &str); 0] = [];

/// Each operator that is listed stands in a model that is compared with what onnxruntime, or the
/// package onnx, computes of it.
#[test]
fn each_listed_operator_stands_in_a_fixture() {
    let mut found = std::collections::HashSet::new();
    for part in ["", "exported", "operators", "nodes", "places"] {
        for entry in std::fs::read_dir(folder().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "onnx") {
                let report = birnn::inspect_onnx(&path).unwrap();
                found.extend(report.operators.into_iter().map(|one| one.op_type));
            }
        }
    }
    let listed = birnn::onnx_operators();
    let missing: Vec<&str> = listed.into_iter().filter(|name| !found.contains(*name)).collect();
    assert_eq!(missing, IN_NO_FIXTURE.map(|(name, _)| name));
}

/// The operators that are supported are listed in the documentation.
#[test]
fn the_list_of_operators_is_that_of_the_documents() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/generated/onnx.md");
    let head = "# ONNX operators that are supported\n\nOf opset 7 to 28. Generated by \
                `tests/formats/onnx_files.rs`; don't edit it.\n\n";
    let names = birnn::onnx_operators().into_iter().map(|name| format!("* {name}\n"));
    let text = format!("{head}{}", names.collect::<String>());
    match std::env::var_os("BIRNN_WRITE_DOCS") {
        Some(_) => std::fs::write(path, text).unwrap(),
        None => assert_eq!(std::fs::read_to_string(path).unwrap(), text),
    }
}
