//! The program `birnn`, run as a user runs it.
#![cfg(feature = "cli")]

#[path = "common/device.rs"]
mod device;

use ndarray::{Array2, Array3, ArrayD};
use ndarray_npy::{NpzReader, read_npy, write_npy};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// float32 on 8 timesteps and values up to 1: a handful of roundings of 6e-8 each.
const TOLERANCE: f32 = 2e-6;

const MODEL: &str = "tests/fixtures/keras/notebook_lstm2.keras";
const X: &str = "tests/fixtures/keras/notebook_x.npy";

fn birnn(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_birnn"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command.env_remove("BIRNN_DEVICE").env_remove("BIRNN_ALLOW_SOFTWARE");
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Standard output of a run that must succeed and say nothing on stderr.
fn success(command: Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout)
}

/// The one line on stderr of a run that must fail with this status.
fn failure(command: Command, status: i32) -> String {
    let output = output(command);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    let line = text(&output.stderr);
    assert!(line.starts_with("error: ") && line.trim_end().lines().count() == 1, "{line}");
    line
}

/// A directory of this test's own, empty.
fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// The system finds no GPU driver. (Vulkan's loader reads these variables.)
fn without_drivers(mut command: Command) -> Command {
    command.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent");
    command
}

fn largest_difference(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).fold(0.0, |max, (a, b)| max.max((a - b).abs()))
}

/// Every difference that the text states.
fn stated_differences(text: &str) -> Vec<f64> {
    let values = text
        .split("at most ")
        .skip(1)
        .map(|rest| rest.split(' ').next().and_then(|v| v.parse().ok()));
    values.collect::<Option<_>>().expect("numbers")
}

/// The notebook's output: its X, and each function's arrays under the notebook's headings and
/// labels, as NumPy prints them.
fn check_demo(text: &str) {
    let x = "\
[[[-1.87171987 -0.08259338]
  [-0.14598867  1.97546405]
  [ 1.09927105 -0.20543904]
  [-0.32963817  0.40001905]
  [ 0.65010311  1.828023  ]
  [-0.02007692  0.2562293 ]
  [-0.93879494 -0.96806222]
  [ 0.62621956 -1.59947435]]]

Device: ";
    // Layers of a driver that are asked to log may do so first.
    assert!(text.contains(x), "{text}");
    let programs = [
        ("With Return States", "lstm1: Bidirectional(LSTM(3, return_state=True)), "),
        (
            "With Return States and Return Sequences",
            "lstm2: Bidirectional(LSTM(3, return_state=True, return_sequences=True)), ",
        ),
        ("With Return States", "gru1: Bidirectional(GRU(3, return_state=True)), "),
        (
            "With Return States and Sequences",
            "gru2: Bidirectional(GRU(3, return_state=True, return_sequences=True)), ",
        ),
    ];
    let labels = [
        ("Output State is :  [[", true),
        ("Hidden State Forward is :  [[", true),
        ("Cell State Forward is :  [[", false),
        ("Hidden State Backward is :  [[", true),
        ("Cell State Backward is :  [[", false),
    ];
    let blocks: Vec<_> = text.split("\n\nWith ").collect();
    assert_eq!(blocks.len(), 5, "{text}");
    for (block, (heading, program)) in blocks[1..].iter().zip(programs) {
        let block = format!("With {block}");
        let mut lines = block.lines();
        assert_eq!(lines.next(), Some(heading));
        assert!(lines.next().is_some_and(|line| line.starts_with(program)), "{block}");
        let is_lstm = program.starts_with("lstm");
        let labels = labels.iter().filter(|(_, of_all)| *of_all || is_lstm);
        let expected: Vec<_> = labels.map(|(label, _)| *label).collect();
        let found: Vec<_> = lines.filter(|line| line.contains(" is :  ")).collect();
        assert_eq!(found.len(), expected.len(), "{block}");
        assert!(found.iter().zip(&expected).all(|(f, e)| f.starts_with(e)), "{block}");
        // A sequence has a third bracket, and its rows of six numbers are cut in two.
        let sequences = program.contains("return_sequences");
        assert_eq!(found[0].starts_with("Output State is :  [[["), sequences, "{block}");
        assert_eq!(block.lines().filter(|line| line.starts_with("   ")).count() >= 8, sequences);
        assert!(block.lines().all(|line| line.len() <= 100), "{block}");
    }
    let end = "All four programs agree with the f64 reference: the largest difference is ";
    let (_, difference) = text.split_once(end).expect("the last line");
    let difference: f64 = difference.trim_end().trim_end_matches('.').parse().expect("a number");
    assert!(difference < f64::from(TOLERANCE), "{difference}");
}

/// The numbers of an array that NumPy, or the demo, printed behind a label.
fn printed_array(text: &str, label: &str) -> Vec<f32> {
    let (_, rest) = text.split_once(label).expect(label);
    // The lines of an array after its first begin with a space.
    let lines = rest.lines().enumerate().take_while(|(n, line)| *n == 0 || line.starts_with(' '));
    let numbers = lines.flat_map(|(_, line)| line.split([' ', '[', ']'])).filter(|n| !n.is_empty());
    numbers.map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn demo_prints_states_that_are_the_ends_of_the_sequences() {
    let text = success(birnn(&["demo", "--device", "cpu"]));
    let (_, lstm2) = text.split_once("lstm2: ").expect("lstm2");
    let sequence = printed_array(lstm2, "Output State is :  ");
    assert_eq!(sequence.len(), 8 * 6);
    // Forward it ends at the last timestep, backward at the first one, as in the notebook.
    assert_eq!(printed_array(lstm2, "Hidden State Forward is :  "), sequence[7 * 6..7 * 6 + 3]);
    assert_eq!(printed_array(lstm2, "Hidden State Backward is :  "), sequence[3..6]);
}

#[test]
fn demo_on_the_cpu_path_agrees_with_the_reference() {
    let text = success(birnn(&["demo", "--device", "cpu"]));
    assert!(text.starts_with("[[[-1.87171987 -0.08259338]\n"), "{text}");
    assert!(text.contains("\nDevice: cpu (CPU, CPU path, vectors of "), "{text}");
    assert!(text.contains(")\nWhy: it was asked for\n"), "{text}");
    check_demo(&text);
}

#[test]
fn demo_on_the_gpu_agrees_with_the_reference() {
    let Some(gpu) = device::open(device::options()) else { return };
    let text = success(birnn(&["demo", "--device", &gpu.info().name]));
    assert!(text.contains(&format!("\nDevice: {}", gpu.info())), "{text}");
    check_demo(&text);
    // Weights of 16 bits are off by more than that, and the command knows it.
    success(birnn(&["demo", "--half-weights", "--device", &gpu.info().name]));
}

#[test]
fn demo_without_a_driver_says_so_and_runs_on_the_cpu_path() {
    if !cfg!(target_os = "linux") {
        return; // only Vulkan's drivers can be hidden
    }
    let text = success(without_drivers(birnn(&["demo", "--seed", "7"])));
    assert!(text.contains("\nDevice: cpu (CPU, CPU path, vectors of "), "{text}");
    assert!(text.contains(")\nWhy: no usable GPU") && text.contains("found: none"), "{text}");
    check_demo(&text);
}

#[test]
fn run_prints_and_writes_what_keras_returned() {
    let dir = scratch("run").join("made/on/the/way");
    let text =
        success(birnn(&["run", MODEL, X, "--device", "cpu", "--out", utf8(&dir), "--reference"]));
    let labels = [
        "Output State",
        "Hidden State Forward",
        "Cell State Forward",
        "Hidden State Backward",
        "Cell State Backward",
    ];
    let places: Vec<_> = labels.iter().map(|label| text.find(label).expect(label)).collect();
    assert!(places.is_sorted(), "{text}");
    assert!(stated_differences(&text).iter().all(|d| *d < f64::from(TOLERANCE)), "{text}");

    let names = [
        "output",
        "forward_hidden_state",
        "forward_cell_state",
        "backward_hidden_state",
        "backward_cell_state",
    ];
    let file = std::fs::File::open("tests/fixtures/keras/notebook_lstm2.npz").expect("the fixture");
    let mut keras = NpzReader::new(file).expect("the fixture");
    for (index, name) in names.iter().enumerate() {
        let path = dir.join(format!("{index}_{name}.npy"));
        assert!(text.contains(&format!("written: {}", path.display())), "{text}");
        let found: ArrayD<f32> = read_npy(&path).expect("what was written");
        let expected: ArrayD<f32> = keras.by_name(&format!("output{index}")).expect("the fixture");
        assert!(
            largest_difference(&found, &expected) < TOLERANCE,
            "{name}: {found} is not Keras's {expected}"
        );
    }
}

#[test]
fn run_takes_f64_and_fortran_order() {
    let dir = scratch("orders");
    let x: Array3<f32> = read_npy(X).expect("the fixture");
    let (double, fortran) = (dir.join("double.npy"), dir.join("fortran.npy"));
    write_npy(&double, &x.mapv(f64::from)).expect("written");
    write_npy(&fortran, &x.view().reversed_axes().as_standard_layout().reversed_axes())
        .expect("written");
    let run = |path: &str| success(birnn(&["run", MODEL, path, "--device", "cpu"]));
    let expected = run(X);
    assert_eq!(run(utf8(&double)), expected);
    assert_eq!(run(utf8(&fortran)), expected);
    let header = std::fs::read(&fortran).expect("written");
    assert!(String::from_utf8_lossy(&header).contains("'fortran_order': True"));
}

#[test]
fn run_passes_nan_on() {
    let dir = scratch("nan");
    let mut x: Array3<f32> = read_npy(X).expect("the fixture");
    x[[0, 0, 0]] = f32::NAN;
    let path = dir.join("nan.npy");
    write_npy(&path, &x).expect("written");
    let text = success(birnn(&["run", MODEL, utf8(&path), "--device", "cpu", "--reference"]));
    assert!(text.contains("NaN"), "{text}");
    assert!(stated_differences(&text).iter().all(|d| *d < f64::from(TOLERANCE)), "{text}");
}

#[test]
fn run_quietly_prints_what_was_asked_for_only() {
    assert_eq!(success(birnn(&["run", MODEL, X, "--device", "cpu", "--quiet"])), "");
    let text = success(birnn(&["run", MODEL, X, "--device", "cpu", "--quiet", "--repeat", "3"]));
    assert!(text.starts_with("3 more runs: median ") && text.lines().count() == 1, "{text}");
    let text = success(birnn(&["run", MODEL, X, "--device", "cpu", "--quiet", "--repeat", "1"]));
    assert!(text.starts_with("1 more run: median ") && text.trim_end().ends_with(" ms"), "{text}");
}

#[test]
fn a_missing_file_is_named() {
    let line = failure(birnn(&["run", "no_model.keras", X]), 1);
    assert!(line.contains("no_model.keras"), "{line}");
    let line = failure(birnn(&["run", MODEL, "no_input.npy", "--device", "cpu"]), 1);
    assert!(line.contains("no_input.npy"), "{line}");
}

#[test]
fn a_wrong_shape_is_named() {
    let path = scratch("shape").join("shape.npy");
    write_npy(&path, &Array3::<f32>::zeros((1, 8, 5))).expect("written");
    let line = failure(birnn(&["run", MODEL, utf8(&path), "--device", "cpu"]), 1);
    assert!(
        line.contains("shape.npy") && line.contains("[1, 8, 5]") && line.contains("2]"),
        "{line}"
    );
    let line = failure(birnn(&["run", MODEL, X, X, "--device", "cpu"]), 1);
    assert!(line.contains("takes 1 input (") && line.contains("got 2"), "{line}");
}

#[test]
fn run_takes_ids_of_every_integer_type() {
    let dir = scratch("ids");
    let model = "tests/fixtures/layers/mask_stack_embedding_gru_bi_gru.keras";
    let ids =
        Array2::from_shape_fn((2, 6), |(row, t)| if t > row + 2 { 0 } else { 1 + (row + t) % 8 });
    write_npy(dir.join("f32.npy"), &ids.mapv(|id| id as f32)).expect("written");
    write_npy(dir.join("i32.npy"), &ids.mapv(|id| id as i32)).expect("written");
    write_npy(dir.join("i64.npy"), &ids.mapv(|id| id as i64)).expect("written");
    let printed =
        |name: &str| success(birnn(&["run", model, utf8(&dir.join(name)), "--device", "cpu"]));
    assert_eq!(printed("i32.npy"), printed("f32.npy"));
    assert_eq!(printed("i64.npy"), printed("f32.npy"));
}

#[test]
fn an_array_that_is_no_float_is_named() {
    let dir = scratch("dtype");
    let bytes = dir.join("bytes.npy");
    write_npy(&bytes, &Array3::<u8>::zeros((1, 8, 2))).expect("written");
    let line = failure(birnn(&["run", MODEL, utf8(&bytes), "--device", "cpu"]), 1);
    assert!(line.contains("bytes.npy") && line.contains("|u1"), "{line}");
    for archive in [MODEL, "tests/fixtures/keras/notebook_lstm2.npz"] {
        let line = failure(birnn(&["run", MODEL, archive, "--device", "cpu"]), 1);
        assert!(line.contains("zip archive") && line.contains("numpy.save"), "{line}");
    }
    let large = dir.join("large.npy");
    write_npy(&large, &Array2::from_elem((1, 2), 1e300)).expect("written");
    let line = failure(birnn(&["run", MODEL, utf8(&large), "--device", "cpu"]), 1);
    assert!(line.contains("large.npy") && line.contains("1e300"), "{line}");
}

#[test]
fn a_broken_array_is_named() {
    let dir = scratch("broken");
    let sound = std::fs::read(X).expect("the fixture");
    let truncated = sound[..sound.len() - 3].to_vec();
    let promise = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8, 200000000000), }";
    let mut terabytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    terabytes.extend(format!("{promise:<117}\n").bytes());
    let files = [
        ("empty.npy", vec![], "is empty"),
        ("header.npy", sound[..40].to_vec(), "is cut off"),
        ("truncated.npy", truncated, "missing"),
        ("terabytes.npy", terabytes, "missing"),
    ];
    for (name, bytes, why) in files {
        let path = dir.join(name);
        std::fs::write(&path, bytes).expect("written");
        let line = failure(birnn(&["run", MODEL, utf8(&path), "--device", "cpu"]), 1);
        assert!(line.contains(name) && line.contains(why), "{line}");
    }
}

#[test]
fn a_file_that_is_no_model_is_named() {
    let line = failure(birnn(&["run", X, X, "--device", "cpu"]), 1);
    assert!(line.contains("notebook_x.npy"), "{line}");
    let line = failure(
        birnn(&["run", "tests/fixtures/keras/unsupported/lambda.keras", X, "--device", "cpu"]),
        1,
    );
    assert!(
        line.contains("lambda.keras") && line.contains("double") && line.contains("Lambda"),
        "{line}"
    );
}

#[test]
fn a_model_is_inspected() {
    let printed =
        success(birnn(&["inspect", "tests/fixtures/layers/mask_stack_embedding_gru_bi_gru.keras"]));
    for part in ["embedding (Embedding)", "(None, 6, 3)", "Total params:", "Connected to"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(printed.contains("(None, 6) as ids"), "{printed}");
    let masked = success(birnn(&["inspect", "tests/fixtures/layers/mask_argument_int32.keras"]));
    let line = "Inputs: input_layer (None, 6, 3), input_layer_1 (None, 6) as mask\n";
    assert!(masked.contains(line), "{masked}");
    let file = "tests/fixtures/keras/unsupported/lambda.keras";
    let printed = text(&output(birnn(&["inspect", file])).stdout);
    let text = printed.as_str();
    assert!(
        text.contains("double (Lambda)") && text.contains("no: ") && text.contains("yes"),
        "{text}"
    );
    let line = failure(birnn(&["inspect", file]), 1);
    assert!(line.contains("double") && line.matches("lambda.keras").count() == 1, "{line}");
    assert_eq!(failure(birnn(&["inspect", "no.keras"]), 1).matches("no.keras").count(), 1);
}

#[test]
fn an_output_directory_that_cannot_be_made_is_named() {
    let line = failure(birnn(&["run", MODEL, X, "--device", "cpu", "--out", "Cargo.toml/dir"]), 1);
    assert!(line.contains("Cargo.toml/dir"), "{line}");
}

#[test]
fn an_unknown_device_is_named() {
    let line = failure(birnn(&["demo", "--device", "no such adapter"]), 1);
    assert!(line.contains("no such adapter") && line.contains("best, gpu, cpu or part"), "{line}");
    let mut command = birnn(&["demo"]);
    command.env("BIRNN_DEVICE", "no such adapter either");
    assert!(failure(command, 1).contains("no such adapter either"));
}

#[test]
fn wrong_arguments_exit_with_2() {
    for args in [&["run"][..], &["run", MODEL], &["demo", "--seed", "x"], &["fly"], &[]] {
        assert_eq!(output(birnn(args)).status.code(), Some(2), "{args:?}");
    }
    for threads in ["-1", "1025"] {
        let printed = text(&output(birnn(&["demo", "--threads", threads])).stderr);
        assert!(printed.contains(&format!("{threads} is not in 0..=1024")), "{printed}");
    }
}

#[test]
fn devices_without_a_driver() {
    if !cfg!(target_os = "linux") {
        return; // only Vulkan's drivers can be hidden
    }
    let text = success(without_drivers(birnn(&["devices"])));
    assert!(text.starts_with("No adapter found.") && text.contains("Device: cpu"), "{text}");
    let checked = output(without_drivers(birnn(&["devices", "--check"])));
    assert_eq!(checked.status.code(), Some(3));
    let line = failure(without_drivers(birnn(&["devices", "--device", "gpu"])), 1);
    assert!(line.contains("found: none"), "{line}");
}

#[test]
fn devices_lists_the_adapter_that_is_chosen() {
    let Some(gpu) = device::open(device::options()) else { return };
    let text = success(birnn(&["devices", "--device", &gpu.info().name, "--check"]));
    assert!(text.contains("largest storage binding") && text.contains("chosen"), "{text}");
    assert!(text.contains(&format!("Device: {}", gpu.info())), "{text}");
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut command = birnn(&["demo", "--device", "cpu"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn run_takes_several_inputs_in_the_models_order() {
    let dir = scratch("several");
    let case = "initial_bi_lstm";
    let file =
        std::fs::File::open(format!("tests/fixtures/keras/{case}.npz")).expect("the fixture");
    let mut keras = NpzReader::new(file).expect("the fixture");
    let mut paths = Vec::new();
    for index in 0..5 {
        let input: ArrayD<f32> = keras.by_name(&format!("input{index}")).expect("the fixture");
        let path = dir.join(format!("input{index}.npy"));
        write_npy(&path, &input).expect("written");
        paths.push(path);
    }
    let model = format!("tests/fixtures/keras/{case}.keras");
    let mut command = birnn(&["run", &model]);
    command.args(&paths).args(["--device", "cpu", "--quiet", "--out"]).arg(&dir);
    success(command);
    let found: ArrayD<f32> = read_npy(dir.join("0_output.npy")).expect("what was written");
    let expected: ArrayD<f32> = keras.by_name("output0").expect("the fixture");
    assert!(largest_difference(&found, &expected) < TOLERANCE, "{found} is not Keras's {expected}");
}

#[test]
fn plan_needs_no_device() {
    let found = success(birnn(&["plan", "64", "50", "512", "512"]));
    for expected in
        ["LSTM of 512 units, 2 directions at once", "input_projection", "lstm_step", "flops a byte"]
    {
        assert!(found.contains(expected), "{expected:?} in {found}");
    }
    let found = success(birnn(&[
        "plan",
        "1",
        "256",
        "128",
        "128",
        "--cell",
        "gru-v1",
        "--adapter",
        "software",
    ]));
    assert!(found.contains("gru_reset_sequence"), "{found}");
    let found =
        success(birnn(&["plan", "1", "100", "512", "512", "--forward-only", "--layers", "4"]));
    for expected in
        ["4 layers at once", "20 timesteps behind the layer below", "In all 202 dispatches"]
    {
        assert!(found.contains(expected), "{expected:?} in {found}");
    }
    let line = failure(birnn(&["plan", "1", "1", "1", "100000", "--adapter", "downlevel"]), 1);
    assert!(line.contains("max_storage_buffer_binding_size"), "{line}");
    assert_eq!(output(birnn(&["plan", "0", "1", "1", "1"])).status.code(), Some(2));
}
