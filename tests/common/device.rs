//! The GPU that the tests run on: the best adapter, a software one where there is no other.

use birnn::{Device, DeviceOptions};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::io::Write;

/// Options for the adapter that `BIRNN_DEVICE` names (default: the best), software ones allowed.
pub fn options() -> DeviceOptions {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    match wanted.as_str() {
        "" | "best" | "auto" | "cpu" => options.gpu(),
        name => options.parse(name),
    }
}

/// The GPU, or `None` where there is no adapter: then the test says on stderr that it did not run.
/// Where `BIRNN_REQUIRE_GPU` is set, as CI does, a missing adapter is a failure.
pub fn open(options: DeviceOptions) -> Option<Device> {
    match options.open() {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("BIRNN_REQUIRE_GPU").is_none() => {
            // Not eprintln!: the test harness would swallow it.
            let name = std::thread::current().name().unwrap_or("?").to_string();
            let _ = writeln!(std::io::stderr(), "NOT RUN: GPU test {name}: {error}");
            None
        }
        Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
    }
}

/// The same random cases in every run, so that a run says something about the change; other ones
/// with `BIRNN_RANDOM_CASES=1`.
#[allow(dead_code)] // of the property tests
pub fn runner(config: Config) -> TestRunner {
    match std::env::var_os("BIRNN_RANDOM_CASES") {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}
