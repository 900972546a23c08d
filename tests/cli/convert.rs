//! `birnn convert`, run as a user runs it.

use birnn::Model;
use ndarray::{IxDyn, OwnedRepr};
use ndarray_npy::NpzReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const MODEL: &str = "tests/fixtures/keras/notebook_lstm2.keras";
const X: &str = "tests/fixtures/keras/notebook_x.npy";

fn birnn(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_birnn"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command.env_remove("BIRNN_DEVICE").env_remove("BIRNN_ALLOW_SOFTWARE");
    command.output().expect("the program starts")
}

/// Standard output of a run that must succeed and say nothing on stderr.
fn success(args: &[&str]) -> String {
    let output = birnn(args);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The line on stderr of a run that must fail.
fn failure(args: &[&str]) -> String {
    let output = birnn(args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// A directory of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("convert").join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn what_is_converted_is_inspected_and_run_as_it_was() {
    let path = scratch("keras").join("model.safetensors");
    let out = utf8(&path);
    let text = success(&["convert", MODEL, out]);
    assert_eq!(text, format!("written: {out}\n1 layer, 144 params\n"));
    assert_eq!(success(&["inspect", out]), success(&["inspect", MODEL]));
    let run = |model: &str| success(&["run", model, X, "--device", "cpu"]);
    assert_eq!(run(out), run(MODEL));
    // A file of that name is replaced.
    success(&["convert", "tests/fixtures/torch/lstm.safetensors", out]);
    assert!(success(&["inspect", out]).contains("lstm_l1"));
}

#[test]
fn options_of_the_model_are_part_of_what_is_written() {
    let path = scratch("options").join("model.safetensors");
    let out = utf8(&path);
    let onnx = "tests/fixtures/onnx/lstm_forward_lengths.onnx";
    let tie = ["--tie", "initial_h=Y_h", "--tie", "initial_c=Y_c"];
    success(&[&["convert", onnx, out][..], &tie].concat());
    assert_eq!(Model::load(out).unwrap().input_names(), ["X", "sequence_lens"]);
    let printed = success(&["inspect", out]);
    assert!(
        printed.contains("the_LSTM (LSTM)") && printed.contains("(None, None, 4)"),
        "{printed}"
    );
    let rnn = "tests/fixtures/torch/rnn_relu.pt";
    success(&["convert", rnn, out, "--nonlinearity", "relu"]);
    let model = Model::load(out).unwrap();
    let layer = model.layers().next().unwrap().directions()[0].1.clone();
    assert_eq!(layer.activation(), birnn::Activation::Relu);
    let weights = "tests/fixtures/layers/file_weights_stateful_embedding_lstm.weights.h5";
    let config = "tests/fixtures/layers/file_weights_stateful_embedding_lstm.json";
    success(&["convert", weights, out, "--config", config]);
    assert_eq!(success(&["inspect", out]), success(&["inspect", weights, "--config", config]));
}

#[test]
fn weights_for_keras_are_in_its_order() {
    let path = scratch("npz").join("weights.npz");
    let out = utf8(&path);
    let text = success(&["convert", MODEL, out]);
    let lines = [
        format!("written: {out}"),
        "1 layer, 144 params".into(),
        String::new(),
        "import numpy".into(),
        format!("arrays = numpy.load({out:?})"),
        "model.set_weights([arrays[name] for name in arrays.files])".into(),
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), lines);
    let mut npz = NpzReader::new(std::fs::File::open(&path).unwrap()).unwrap();
    let names = npz.names().unwrap();
    let expected = ["kernel", "recurrent_kernel", "bias"].iter().cycle().take(6);
    let expected: Vec<_> =
        expected.enumerate().map(|(i, name)| format!("{i}_bidirectional_{name}")).collect();
    let stems: Vec<_> = names.iter().map(|name| name.trim_end_matches(".npy")).collect();
    assert_eq!(stems, expected);
    let weights = Model::load(MODEL).unwrap().weights("bidirectional").unwrap();
    for (name, weight) in names.iter().zip(weights) {
        assert_eq!(npz.by_name::<OwnedRepr<f32>, IxDyn>(name).unwrap(), weight);
    }
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = scratch("wrong");
    let (keras, npz) = (dir.join("model.keras"), dir.join("weights.npz"));
    let line = failure(&["convert", MODEL, utf8(&keras)]);
    assert!(line.contains(".safetensors") && line.contains(".npz"), "{line}");
    let line = failure(&["convert", "tests/fixtures/onnx/lstm_forward.onnx", utf8(&npz)]);
    assert!(line.contains("operations in place of layers"), "{line}");
    assert!(!npz.exists());
    let line = failure(&["convert", MODEL, utf8(&dir.join("no/folder/model.safetensors"))]);
    assert!(line.contains("no/folder"), "{line}");
    let line = failure(&["convert", "tests/fixtures/cases.missing", utf8(&npz)]);
    assert!(line.contains("cases.missing"), "{line}");
    let model = dir.join("model.safetensors");
    success(&["convert", MODEL, utf8(&model)]);
    let line = failure(&["convert", utf8(&model), utf8(&model)]);
    assert!(line.contains("is the model itself"), "{line}");
    assert!(Model::load(&model).is_ok());
}
