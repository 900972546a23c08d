//! Small models of every layer, saved by real Keras: what they compute on the CPU, and that the
//! others are refused.
#![cfg(feature = "keras")]

mod common;
#[cfg(feature = "gpu")]
#[path = "common/device.rs"]
mod device;
#[path = "common/layers.rs"]
mod layers;

use birnn::{Device, Error, Model};
use layers::{Case, Errors, F32_TOLERANCE, cases, errors_f32, errors_f64, f64_tolerance, refused};

/// Compares every case that is supported; lists what fails.
fn compare(tolerance: impl Fn(&Case) -> f64, run: impl Fn(&Model, &Case) -> Result<Errors, Error>) {
    let cases = cases();
    assert!(cases.len() >= 810, "{} cases: some are missing", cases.len());
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
    assert!(
        failures.is_empty(),
        "{} failures, {passed} pass\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_case_computes_what_keras_computed() {
    let device = Device::cpu();
    compare(|_| F32_TOLERANCE, |model, case| errors_f32(case, model, &device));
}

#[test]
fn every_case_is_exact_in_f64() {
    compare(f64_tolerance, |model, case| errors_f64(case, model));
}

#[cfg(feature = "gpu")]
#[test]
fn every_case_on_the_gpu_computes_what_keras_computed() {
    let Some(device) = device::open(device::options()) else { return };
    compare(|_| F32_TOLERANCE, |model, case| errors_f32(case, model, &device));
}

/// What birnn lacks is refused with an error that says so, and never computed wrongly.
#[test]
fn what_is_not_supported_is_refused() {
    let mut wrong = Vec::new();
    for case in cases().iter().filter(|case| case.unsupported().is_some()) {
        match case.load() {
            Err(
                Error::UnsupportedLayer { .. }
                | Error::UnsupportedArgument { .. }
                | Error::Graph(_),
            ) => {}
            Err(Error::Argument { argument, .. })
                if ["output_shape", "activation"].contains(&&argument[..]) => {}
            result => wrong.push(format!("{}: {:?}", case.name, result.err())),
        }
    }
    for (path, layer) in refused() {
        let e =
            Model::from_keras(&path).map_or_else(|e| e.to_string(), |_| "was loaded".to_string());
        if e == "was loaded" || layer.is_some_and(|layer| !e.contains(&layer)) {
            wrong.push(format!("{}: {e}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
