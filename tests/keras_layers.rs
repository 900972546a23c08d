//! Small models of every layer, saved by real Keras: what they compute on the CPU, and that the others are refused.
#![cfg(feature = "keras")]

mod common;
#[path = "common/layers.rs"]
mod layers;

use birnn::{Device, Error, Model};
use common::largest_error;
use layers::{Case, cases, refused};

/// Keras computes in f32, with its own order of summation.
const F32_TOLERANCE: f64 = 2e-6;
/// The weights are exact in f64, so only the order of summation differs.
const F64_TOLERANCE: f64 = 1e-11;

/// Cases that differ by more, each with the reason.
fn f64_tolerance(case: &Case) -> f64 {
    match case.name.as_str() {
        // TensorFlow holds the slope of leaky_relu in f32 even when it computes in f64: 0.2 is 3e-9 off.
        name if name.contains("leaky_relu") => 2e-8,
        _ => F64_TOLERANCE,
    }
}

/// The largest errors of a case's outputs, with the place.
type Errors = Vec<(String, f64)>;

/// Compares every case that is supported; lists what fails.
fn compare(tolerance: impl Fn(&Case) -> f64, run: impl Fn(&Model, &Case) -> Result<Errors, Error>) {
    let cases = cases();
    assert!(cases.len() >= 534, "{} cases: some are missing", cases.len());
    let (mut failures, mut passed) = (Vec::new(), 0);
    let mut largest = (0.0, String::new());
    for case in cases.iter().filter(|case| case.unsupported().is_none()) {
        let errors = case.load().and_then(|model| run(&model, case));
        let before = failures.len();
        match errors {
            Err(e) => failures.push(format!("{}: {e}", case.name)),
            Ok(errors) => {
                for (place, error) in errors {
                    if error > tolerance(case) {
                        failures.push(format!("{} {place}: error {error:e}", case.name));
                    } else if error / tolerance(case) > largest.0 {
                        largest = (error / tolerance(case), format!("{} {place}", case.name));
                    }
                }
            }
        }
        passed += usize::from(failures.len() == before);
    }
    println!(
        "{passed} of {} cases pass, the largest error at {:.2} of its tolerance ({})",
        cases.len(),
        largest.0,
        largest.1
    );
    assert!(failures.is_empty(), "{} failures, {passed} pass\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_case_computes_what_keras_computed() {
    let device = Device::cpu();
    compare(
        |_| F32_TOLERANCE,
        |model, case| {
            let mut errors = Errors::new();
            for (c, (outputs, call)) in case.run(&device, model)?.iter().zip(&case.calls).enumerate() {
                assert_eq!(outputs.len(), call.outputs.len(), "{}", case.name);
                for (o, (found, keras)) in outputs.iter().zip(&call.outputs).enumerate() {
                    errors.push((format!("call {c} output {o}"), largest_error(found, keras)));
                }
            }
            Ok(errors)
        },
    );
}

#[test]
fn every_case_is_exact_in_f64() {
    compare(f64_tolerance, |model, case| {
        let mut errors = Errors::new();
        for (c, (outputs, call)) in case.run_exact(model)?.iter().zip(&case.calls).enumerate() {
            for (o, (found, exact)) in outputs.iter().flatten().zip(&call.exact).enumerate() {
                errors.push((format!("call {c} output {o}"), largest_error(found, exact)));
            }
        }
        Ok(errors)
    });
}

/// What birnn lacks is refused with an error that says so, and never computed wrongly.
#[test]
fn what_is_not_supported_is_refused() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.unsupported().is_some()) {
        match case.load() {
            Err(Error::UnsupportedLayer { .. } | Error::UnsupportedArgument { .. }) => {}
            result => wrong.push(format!("{}: {:?}", case.name, result.err())),
        }
    }
    for (path, layer) in refused() {
        let e = Model::from_keras(&path).map_or_else(|e| e.to_string(), |_| "was loaded".to_string());
        if e == "was loaded" || layer.is_some_and(|layer| !e.contains(&layer)) {
            wrong.push(format!("{}: {e}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
