//! The examples, run as a user runs them, on the CPU path: that they end well and print what they
//! promise.
//!
//! `cargo test` builds them beside the tests. `cargo test --test examples` doesn't: then
//! `cargo build --examples` first.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Each example, whether this build has the features that it needs, and a line that it prints, or
/// the beginning of one.
const EXAMPLES: [(&str, bool, &str); 8] = [
    ("async_pipeline", true, "both ways give the same: true"),
    ("build_model", true, "the: noun 0.9"),
    ("choose_device", true, "All devices agree: true"),
    ("masks_and_lengths", true, "lengths and mask: the same states"),
    ("run_keras", cfg!(feature = "keras"), "c2 = backward cell state of bidirectional"),
    ("run_torch", cfg!(feature = "pytorch"), "tags: ["),
    ("seq2seq", true, "the second alone, without padding, the same: true"),
    ("streaming", true, "reset_states begins a new sequence: yes"),
];

/// Those of the Python package, which python/test.sh runs, and the one of web pages, which
/// web/test.sh does.
const OTHERS: [&str; 3] = ["notebook.ipynb", "ray_batch.py", "web_rust"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The program that cargo built: `target/PROFILE/examples/NAME`, where this test is
/// `target/PROFILE/deps/examples-HASH`.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let program = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let built = fs::metadata(&program).and_then(|file| file.modified()).ok();
    let written = fs::metadata(source(name)).unwrap().modified().unwrap();
    assert!(
        built.is_some_and(|built| built >= written),
        "{} is missing or older than its source: run cargo build --examples with the features and \
         the profile of this test, or cargo test without --test",
        program.display()
    );
    program
}

fn source(name: &str) -> PathBuf {
    root().join("examples").join(name).with_extension("rs")
}

fn run(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(root()).env("BIRNN_DEVICE", "cpu");
    command.output().unwrap()
}

/// Standard output of a run that must succeed.
fn success(name: &str, arguments: &[&str]) -> String {
    let output = run(name, arguments);
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn has_line(text: &str, line: &str) -> bool {
    text.lines().any(|printed| printed.starts_with(line))
}

#[test]
fn every_example_runs_and_prints_what_it_promises() {
    for (name, _, line) in EXAMPLES.into_iter().filter(|(_, built, _)| *built) {
        let text = success(name, &[]);
        assert!(has_line(&text, line), "{name}: no line {line:?} in\n{text}");
        assert!(!text.contains("NaN"), "{name}:\n{text}");
    }
}

/// A new example can't be forgotten here, and each says by its own name how it is run.
#[test]
fn every_file_of_the_folder_is_tested() {
    let files = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> =
        files.map(|path| path.file_name().unwrap().to_str().unwrap().to_string()).collect();
    let ours = EXAMPLES.iter().map(|(name, ..)| format!("{name}.rs"));
    assert_eq!(files, ours.chain(OTHERS.map(str::to_string)).collect());
    for (name, ..) in EXAMPLES {
        let text = fs::read_to_string(source(name)).unwrap();
        let mut head = text.lines().take_while(|line| line.starts_with("//!"));
        let command = format!("//! `cargo run --release --example {name}");
        assert!(head.any(|line| line.starts_with(&command)), "{name}: no command in its head");
    }
}

/// The default file is one of four; each is run with the states that it returns.
#[cfg(feature = "keras")]
#[test]
fn run_keras_runs_other_files_and_says_what_is_wrong_with_one() {
    for (file, states) in [
        ("notebook_lstm1", &["h1", "c1", "h2", "c2"][..]),
        ("notebook_lstm2", &["h1", "c1", "h2", "c2"]),
        ("notebook_gru1", &["h1", "h2"]),
        ("notebook_gru2", &["h1", "h2"]),
    ] {
        let text = success("run_keras", &[&format!("tests/fixtures/keras/{file}.keras")]);
        let short = |line: &str| line.split_once(" = ").map(|(short, _)| short.to_string());
        let printed: Vec<String> = text.lines().filter_map(short).collect();
        assert_eq!(printed[0], "o", "{file}:\n{text}");
        assert_eq!(printed[1..], *states, "{file}:\n{text}");
    }
    let output = run("run_keras", &["no/such.keras"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}"); // an error, and not a panic's 101
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such.keras"), "{output:?}");
}

/// A device that isn't there is said to be so, and the others run.
#[test]
fn choose_device_goes_on_without_a_device() {
    let text = success("choose_device", &["no such adapter"]);
    assert!(has_line(&text, "the adapter named \"no such adapter\": no usable adapter"), "{text}");
    assert!(has_line(&text, "All devices agree: true"), "{text}");
}
