//! The program `birnn`, run as a user runs it.

use crate::device;
use ndarray::{Array2, Array3, ArrayD, Dimension};
use ndarray_npy::{NpzReader, read_npy, write_npy};
use std::io::Write;
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
        let path = dir.join(format!("{index}_bidirectional_{name}.npy"));
        assert!(text.contains(&format!("written: {}", path.display())), "{text}");
        let found: ArrayD<f32> = read_npy(&path).expect("what was written");
        let expected: ArrayD<f32> = keras.by_name(&format!("output{index}")).expect("the fixture");
        assert!(
            largest_difference(&found, &expected) < TOLERANCE,
            "{name}: {found} is not Keras's {expected}"
        );
    }
}

/// Its outputs are those that `--reference` compares with, rounded to float32.
#[test]
fn run_on_the_reference_is_exact() {
    let text = success(birnn(&["run", MODEL, X, "--device", "reference", "--reference"]));
    assert!(text.contains("reference (CPU, float64)"), "{text}");
    assert!(stated_differences(&text).iter().all(|d| *d < 3e-8), "{text}");
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

/// A `.npy` file of version 1.0 with this header and these bytes.
fn npy(descriptor: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let quoted = if descriptor.starts_with('[') {
        descriptor.to_string()
    } else {
        format!("'{descriptor}'")
    };
    let header = format!("{{'descr': {quoted}, 'fortran_order': {order}, 'shape': ({shape}), }}");
    let header = format!("{header:<117}\n");
    let length = u16::try_from(header.len()).expect("a short header");
    [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// The bytes of a number in a dtype such as `<i4`.
fn number(value: f64, descriptor: &str) -> Vec<u8> {
    let mut bytes = match &descriptor[1..] {
        "f2" => half(value).to_le_bytes().to_vec(),
        "f4" => (value as f32).to_le_bytes().to_vec(),
        "f8" => value.to_le_bytes().to_vec(),
        "i1" => (value as i8).to_le_bytes().to_vec(),
        "i2" => (value as i16).to_le_bytes().to_vec(),
        "i4" => (value as i32).to_le_bytes().to_vec(),
        "i8" => (value as i64).to_le_bytes().to_vec(),
        "u1" | "b1" => (value as u8).to_le_bytes().to_vec(),
        "u2" => (value as u16).to_le_bytes().to_vec(),
        "u4" => (value as u32).to_le_bytes().to_vec(),
        "u8" => (value as u64).to_le_bytes().to_vec(),
        other => panic!("{other}"),
    };
    if descriptor.starts_with('>') {
        bytes.reverse();
    }
    bytes
}

/// IEEE's half precision of a number that it holds exactly: 0 or one with few binary digits.
fn half(value: f64) -> u16 {
    if value == 0.0 {
        return 0;
    }
    let bits = value.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023 + 15;
    assert!((1..31).contains(&exponent) && bits.trailing_zeros() >= 42, "{value} is no half");
    ((bits >> 63) as u16) << 15 | (exponent as u16) << 10 | ((bits >> 42) & 0x3ff) as u16
}

const DTYPES: [&str; 12] = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"];

/// A value that a dtype holds, another one at each place.
fn sample(dtype: &str, place: usize) -> f64 {
    let whole = (place * 7 % 11 % 5) as f64;
    match dtype {
        "b1" => (place * 7 % 11 % 2) as f64,
        unsigned if unsigned.starts_with('u') => whole,
        signed if signed.starts_with('i') => whole - 2.0,
        _ => (whole - 2.0) * 0.375,
    }
}

/// Decoder inputs of several rows: a sequence and four initial states, of every dtype, byte order
/// and memory order. A layout that is read wrongly exchanges values and so changes the outputs.
#[test]
fn run_takes_every_dtype_in_every_order() {
    let dir = scratch("dtypes");
    let model = "tests/fixtures/keras/initial_bi_lstm.keras";
    let shapes: [&[usize]; 5] = [&[3, 5, 2], &[3, 4], &[3, 4], &[3, 4], &[3, 4]];
    let run = |dtype: &str, descriptor: &str, fortran: bool| -> Vec<ArrayD<f32>> {
        let mut command = birnn(&["run", model]);
        for (input, shape) in shapes.iter().enumerate() {
            let values = ArrayD::from_shape_fn(*shape, |index| {
                let place = index.slice().iter().fold(input, |place, n| place * 13 + n);
                sample(dtype, place)
            });
            // The values of the reversed axes in C order are those of the array in Fortran order.
            let stored = if fortran { values.reversed_axes() } else { values };
            let data: Vec<u8> = stored.iter().flat_map(|v| number(*v, descriptor)).collect();
            let path = dir.join(format!("{input}.npy"));
            std::fs::write(&path, npy(descriptor, fortran, shape, &data)).expect("written");
            command.arg(path);
        }
        let out = dir.join("out");
        command.args(["--device", "cpu", "--quiet", "--out"]).arg(&out);
        assert_eq!(success(command), "");
        written_outputs(&out).into_iter().map(|(_, array)| array).collect()
    };
    for dtype in DTYPES {
        let expected = run(dtype, "<f4", false);
        assert_eq!(expected.len(), 5);
        let orders: &[&str] = if dtype.ends_with('1') { &["|"] } else { &["<", ">"] };
        for order in orders {
            for fortran in [false, true] {
                let descriptor = format!("{order}{dtype}");
                let found = run(dtype, &descriptor, fortran);
                assert_eq!(found, expected, "{descriptor}, in Fortran order: {fortran}");
            }
        }
    }
}

/// Arrays that this test did not write byte by byte.
#[test]
fn run_takes_what_ndarray_npy_writes() {
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
fn a_number_that_float32_does_not_hold_is_named() {
    let dir = scratch("whole");
    let path = dir.join("whole.npy");
    let run = |descriptor: &str, fortran: bool, odd: f64| {
        // [1, 8, 2], and the odd one at [0, 3, 1].
        let place = if fortran { 8 + 3 } else { 3 * 2 + 1 };
        let data: Vec<u8> =
            (0..16).flat_map(|i| number(if i == place { odd } else { 1.0 }, descriptor)).collect();
        std::fs::write(&path, npy(descriptor, fortran, &[1, 8, 2], &data)).expect("written");
        birnn(&["run", MODEL, utf8(&path), "--device", "cpu", "-q"])
    };
    for descriptor in ["<i4", ">i8", "<u4", "<u8"] {
        for fortran in [false, true] {
            let line = failure(run(descriptor, fortran, 16777217.0), 1);
            for words in ["whole.npy", "value 16777217", "[0, 3, 1]", "astype('float32')"] {
                assert!(line.contains(words), "{descriptor}: {line}");
            }
            // Above 2^24, but even.
            success(run(descriptor, fortran, 16777218.0));
        }
    }
    let line = failure(run("<i8", true, -9007199254740991.0), 1);
    assert!(line.contains("-9007199254740991") && line.contains("[0, 3, 1]"), "{line}");
    // The largest are not taken for the float that they are rounded to.
    for (descriptor, data) in [("<i8", i64::MAX.to_le_bytes()), ("<u8", u64::MAX.to_le_bytes())] {
        std::fs::write(&path, npy(descriptor, false, &[1, 1, 1], &data)).expect("written");
        let line = failure(birnn(&["run", MODEL, utf8(&path), "--device", "cpu"]), 1);
        assert!(line.contains("at index [0, 0, 0]"), "{line}");
    }
    for fortran in [false, true] {
        let line = failure(run("<f8", fortran, 1e300), 1);
        assert!(line.contains("value 1e300") && line.contains("[0, 3, 1]"), "{line}");
        success(run("<f8", fortran, f64::INFINITY));
    }
    let line = failure(run("|b1", false, 7.0), 1);
    assert!(line.contains("value 7") && line.contains("bool"), "{line}");
}

#[test]
fn a_dtype_that_is_not_read_is_named_with_what_to_do() {
    let dir = scratch("dtype");
    let path = dir.join("other.npy");
    let refused = [
        ("<c8", 8, "<c8 (complex numbers)", "x.real"),
        ("<f16", 16, "<f16 (floats of extended precision)", "astype('float32')"),
        ("|O", 8, "|O (Python objects)", "numpy.array"),
        ("<U3", 12, "<U3 (text)", "ids of tokens"),
        ("|S3", 3, "|S3 (text)", "ids of tokens"),
        ("<M8[ns]", 8, "<M8[ns] (dates or times)", "floats"),
        ("<V2", 2, "<V2 (raw bytes, as of bfloat16)", "astype('float32')"),
        ("[('a', '<f4'), ('b', '<i2')]", 6, "('a', '<f4')", "x['name']"),
    ];
    for (descriptor, size, what, instead) in refused {
        let bytes = npy(descriptor, false, &[1, 8, 2], &vec![0; 16 * size]);
        std::fs::write(&path, bytes).expect("written");
        let line = failure(birnn(&["run", MODEL, utf8(&path), "--device", "cpu"]), 1);
        for words in ["other.npy", what, instead] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
    let line = failure(birnn(&["run", MODEL, MODEL, "--device", "cpu"]), 1);
    assert!(line.contains("zip archive") && line.contains("numpy.save"), "{line}");
}

#[test]
fn a_broken_array_is_named() {
    let dir = scratch("broken");
    let sound = std::fs::read(X).expect("the fixture");
    let truncated = sound[..sound.len() - 3].to_vec();
    // More brackets than a parser that recurses into them has stack for.
    let nested = npy(&format!("[{}", "(".repeat(60)), false, &[1], &[]);
    let promise = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 8, 200000000000), }";
    let mut terabytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    terabytes.extend(format!("{promise:<117}\n").bytes());
    let files = [
        ("empty.npy", vec![], "is empty"),
        ("header.npy", sound[..40].to_vec(), "is cut off"),
        ("truncated.npy", truncated, "missing"),
        ("terabytes.npy", terabytes, "missing"),
        ("overflow.npy", npy("<f8", false, &[0, usize::MAX, usize::MAX], &[]), "shape"),
        ("more.npy", [&sound[..], b"more"].concat(), "4 bytes more"),
        ("nested.npy", nested, "nests more than 16 brackets"),
        ("long.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}".to_vec(), "4294967295 bytes"),
        ("version.npy", b"\x93NUMPY\x09\x00\x00\x00\x00\x00".to_vec(), "version 9.0"),
        ("text.npy", b"1.0,2.0\n".to_vec(), "numpy.save"),
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
    assert!(line.contains("notebook_x.npy: is a NumPy array"), "{line}");
    let line = failure(
        birnn(&["run", "tests/fixtures/keras/unsupported/lambda.keras", X, "--device", "cpu"]),
        1,
    );
    assert!(
        line.contains("lambda.keras") && line.contains("double") && line.contains("Lambda"),
        "{line}"
    );
}

/// A zip archive of files that are stored.
fn zip(names: &[&str]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for name in names {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(*name, options).expect("a file in the archive");
        archive.write_all(b"content").expect("written");
    }
    archive.finish().expect("an archive").into_inner()
}

/// Real files that people take for a Keras model, and what is said of each.
#[test]
fn a_file_that_is_no_model_is_said_to_be_what_it_is() {
    let dir = scratch("refused");
    let written = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).expect("written");
        utf8(&path).to_string()
    };
    let fixture = |name: &str| format!("tests/fixtures/refused/{name}");
    let pytorch = zip(&["archive/data.pkl", "archive/version"]);
    let script = zip(&["m/data.pkl", "m/code/__torch__.py"]);
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4a\nsize 178286901\n";
    let page = b"\n<!DOCTYPE html>\n<html><title>404</title></html>";
    let mut cut = std::fs::read("tests/fixtures/keras/notebook_gru2_keras2.h5").expect("a file");
    cut.truncate(cut.len() / 2);
    let instance = b"ccopy_reg\n_reconstructor\np0\n(c__main__\nModel\np1\n";
    let files: [(String, &[&str]); 34] = [
        (written("lfs.keras", lfs), &["Git LFS pointer", "git lfs pull"]),
        (written("page.h5", page), &["web page", "download it again"]),
        (written("empty.keras", b""), &["is empty"]),
        (fixture("saved_model"), &["SavedModel", "tf_keras", "model.save"]),
        (fixture("saved_model/saved_model.pb"), &["SavedModel", "tf_keras", "model.save"]),
        ("tests".to_string(), &["is a folder"]),
        (fixture("model.tflite"), &["TensorFlow Lite", "model.save"]),
        (written("m.pth", &pytorch), &["data.pkl", "cut off"]),
        (written("m.jit", &script), &["TorchScript", "torch.jit.load", "model.state_dict()"]),
        (fixture("model.pkl"), &["pickle", "model.save"]),
        (written("dictionary.pkl", b"(dp0\nVunits\np1\nI3\ns."), &["pickle", "model.save"]),
        (written("instance.pkl", instance), &["pickle", "model.save"]),
        (written("notes.keras", b"units = 3\n"), &["plain text", "units = 3", ".keras"]),
        (written("latin.h5", "\u{e4}rger".as_bytes()), &["plain text"]),
        (written("cut.h5", &cut), &["HDF5", "cut off", "again"]),
        (fixture("arrays.npz"), &["NumPy archive", "not a model"]),
        (fixture("array.npy"), &["NumPy array", "not a model"]),
        (written("other.zip", &zip(&["a.txt"])), &["without config.json", "\"a.txt\""]),
        (written("in.zip", &zip(&["x/best.keras"])), &["\"x/best.keras\" in it", "unpack"]),
        (fixture("model.safetensors"), &["no LSTM, GRU or RNN"]),
        ("tests/fixtures/layers/keras2_weights_only_lstm.json".to_string(), &["JSON", "--config"]),
        (fixture("checkpoints"), &["checkpoints", "load_weights"]),
        (fixture("checkpoints/checkpoint"), &["checkpoints", "load_weights"]),
        (fixture("checkpoints/model-1.index"), &["checkpoint", "load_weights"]),
        (fixture("checkpoints/model-1.data-00000-of-00001"), &["checkpoint", "load_weights"]),
        (fixture("model.h5.gz"), &["gzip", "gunzip"]),
        (
            "tests/fixtures/layers/keras2_weights_only_lstm_weights.h5".to_string(),
            &["weights only", "--config CONFIG.json"],
        ),
        (
            "tests/fixtures/layers/file_weights_stateful_embedding_lstm.weights.h5".to_string(),
            &["weights only", "--config CONFIG.json"],
        ),
        (fixture("tables.h5"), &["HDF5", "not of Keras"]),
        (fixture("subclassed.keras"), &["Tagger", "functional model", "save it again"]),
        (
            fixture("functional_of_a_class.keras"),
            &["birnn_fixtures>Renamed", "functional model", "save it again"],
        ),
        (
            fixture("conv3d_transpose.keras"),
            &["\"frames\"", "TimeDistributed(Conv3DTranspose)", "replace it"],
        ),
        (written("bytes.h5", b"\x01\x02\x03"), &["its first bytes are 01 02 03"]),
        (written("m.keras", &zip(&["model.weights.h5"])), &["config.json", "missing"]),
    ];
    for (path, words) in files {
        let inspected = failure(birnn(&["inspect", &path]), 1);
        let run = failure(birnn(&["run", &path, X, "--device", "cpu"]), 1);
        for line in [inspected, run] {
            for word in words {
                assert!(line.contains(word), "{word}: {line}");
            }
            assert_eq!(line.matches(&path).count(), 1, "{line}");
            assert!(line.len() < 500 + path.len(), "{} bytes: {line}", line.len());
            assert!(!line.contains("GlobalAveragePooling1D"), "{line}");
        }
    }
}

/// The supported classes are told once, and not in the error.
#[test]
fn inspect_lists_the_supported_layers_where_one_is_not() {
    let file = "tests/fixtures/refused/conv3d_transpose.keras";
    let inspected = output(birnn(&["inspect", file]));
    let (table, line) = (text(&inspected.stdout), text(&inspected.stderr));
    assert!(table.contains("frames (TimeDistributed)"), "{table}");
    assert!(table.contains("no: TimeDistributed(Conv3DTranspose) is not supported"), "{table}");
    let (rows, list) = table.split_once("\nSupported are InputLayer, LSTM, ").expect(&table);
    assert!(rows.contains("└") && list.contains("GlobalAveragePooling1D"), "{table}");
    assert_eq!(table.matches("GlobalAveragePooling1D").count(), 1);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(line.starts_with("error: the model can't be run: "), "{line}");
    // Where a layer is supported and an argument isn't, there is nothing to list.
    let file = "tests/fixtures/keras/unsupported/custom_activation.keras";
    let inspected = output(birnn(&["inspect", file]));
    assert_eq!(inspected.status.code(), Some(1));
    assert!(!text(&inspected.stdout).contains("Supported are"));
}

/// The outputs that a run wrote into a folder, in their order.
fn written_outputs(dir: &Path) -> Vec<(String, ArrayD<f32>)> {
    let names = std::fs::read_dir(dir).expect("outputs").map(|entry| entry.expect("a file"));
    let mut names: Vec<_> = names.map(|e| e.file_name().into_string().expect("UTF-8")).collect();
    let place = |name: &String| -> usize {
        name.split('_').next().and_then(|n| n.parse().ok()).expect("a number and an underscore")
    };
    names.sort_by_key(place);
    let read = |name: String| {
        let array = read_npy(dir.join(&name)).expect("an output");
        (name, array)
    };
    names.into_iter().map(read).collect()
}

fn npz(path: &str) -> NpzReader<std::fs::File> {
    NpzReader::new(std::fs::File::open(path).expect(path)).expect(path)
}

#[test]
fn weights_alone_are_run_with_their_configuration() {
    let files = [
        ("file_weights_rnn_stacked_gru_lstm_rnn_seq_state", ".weights.h5", 5),
        ("keras2_weights_only_lstm", "_weights.h5", 1),
    ];
    for (case, weights, outputs) in files {
        let dir = scratch(&format!("config_{outputs}"));
        let file = |end: &str| format!("tests/fixtures/layers/{case}{end}");
        let mut keras = npz(&file(".npz"));
        let x: ArrayD<f32> = keras.by_name("input0").expect("the fixture");
        let x_path = dir.join("x.npy");
        write_npy(&x_path, &x).expect("written");
        let out = dir.join("out");
        let (weights, config) = (file(weights), file(".json"));
        let given = ["--config", &config, "--device", "cpu", "--quiet", "--out", utf8(&out)];
        let run = [&["run", weights.as_str(), utf8(&x_path)][..], &given].concat();
        assert_eq!(success(birnn(&run)), "");
        let found = written_outputs(&out);
        assert_eq!(found.len(), outputs);
        for (index, (name, found)) in found.iter().enumerate() {
            let expected: ArrayD<f32> = keras.by_name(&format!("output{index}")).expect("it");
            assert!(largest_difference(found, &expected) < TOLERANCE, "{name}");
        }
        let printed = success(birnn(&["inspect", &weights, "--config", &config]));
        assert!(printed.contains("Total params: "), "{printed}");
    }
}

#[test]
fn what_is_wrong_with_a_configuration_is_said() {
    let dir = scratch("wrong_config");
    let weights = "tests/fixtures/layers/keras2_weights_only_lstm_weights.h5";
    let config = "tests/fixtures/layers/keras2_weights_only_lstm.json";
    let run = |config: &str| failure(birnn(&["inspect", weights, "--config", config]), 1);
    let line = run("no_config.json");
    assert!(line.contains("no_config.json"), "{line}");
    let line = run(weights); // exchanged
    assert!(line.contains("is not JSON") && line.contains("model.to_json()"), "{line}");
    let other = dir.join("other.json");
    std::fs::write(&other, "{\"class_name\": ").expect("written");
    let line = run(utf8(&other));
    assert!(line.contains("other.json") && line.contains("not valid JSON"), "{line}");
    let text_of_config = std::fs::read_to_string(config).expect("the fixture");
    std::fs::write(&other, text_of_config.replace("\"LSTM\"", "\"ConvLSTM3D\"")).expect("written");
    let inspected = output(birnn(&["inspect", weights, "--config", utf8(&other)]));
    let (table, line) = (text(&inspected.stdout), text(&inspected.stderr));
    assert!(table.starts_with("Supported are InputLayer, "), "{table}");
    assert!(line.contains("other.json") && line.contains("ConvLSTM3D"), "{line}");
    // The weights of another model.
    let other = "tests/fixtures/layers/file_weights_stateful_embedding_lstm.weights.h5";
    let line = failure(birnn(&["inspect", other, "--config", config]), 1);
    assert!(line.contains(other) && line.contains("missing"), "{line}");
}

#[test]
fn run_takes_inputs_by_name() {
    let dir = scratch("named");
    let case = "tests/fixtures/keras/initial_bi_lstm";
    let mut keras = npz(&format!("{case}.npz"));
    let model = format!("{case}.keras");
    let names = ["input_layer", "input_layer_1", "input_layer_2", "input_layer_3", "input_layer_4"];
    let mut named = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let input: ArrayD<f32> = keras.by_name(&format!("input{index}")).expect("the fixture");
        let path = dir.join(format!("{index}=.npy")); // only the first = parts name and file
        write_npy(&path, &input).expect("written");
        named.push(format!("{name}={}", path.display()));
    }
    let run = |order: &[usize]| {
        let mut command = birnn(&["run", &model, "--device", "cpu", "--quiet"]);
        for index in order {
            command.args(["--input", &named[*index]]);
        }
        command
    };
    let mut command = run(&[3, 0, 4, 2, 1]);
    command.arg("--out").arg(dir.join("out"));
    assert_eq!(success(command), "");
    for (index, (name, found)) in written_outputs(&dir.join("out")).iter().enumerate() {
        let expected: ArrayD<f32> = keras.by_name(&format!("output{index}")).expect("it");
        assert!(largest_difference(found, &expected) < TOLERANCE, "{name}");
    }

    let all = format!("{names:?}");
    let line = failure(run(&[3, 0, 4, 2]), 1);
    assert!(line.contains("\"input_layer_1\" is missing") && line.contains(&all), "{line}");
    let line = failure(run(&[0, 1, 2, 3, 4, 0]), 1);
    assert!(line.contains("\"input_layer\" is given twice") && line.contains(&all), "{line}");
    let mut command = run(&[0, 1, 2, 3, 4]);
    command.args(["--input", "x=x.npy"]);
    let line = failure(command, 1);
    assert!(line.contains("\"x\" isn't one of the model's") && line.contains(&all), "{line}");
    let mut command = run(&[0]);
    command.arg(X);
    let refused = output(command);
    assert_eq!(refused.status.code(), Some(2));
    let printed = text(&refused.stderr);
    assert!(printed.contains("--input") && printed.contains("cannot be used with"), "{printed}");
    for odd in ["x.npy", "=x.npy", "x="] {
        let refused = output(birnn(&["run", &model, "--input", odd]));
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains("as in x=x.npy"));
    }
}

#[test]
fn outputs_are_named_by_place_layer_and_role() {
    let dir = scratch("out_names");
    let names = |case: &str| {
        let out = dir.join(case);
        let x: ArrayD<f32> = npz(&format!("tests/fixtures/keras/{case}.npz"))
            .by_name("input0")
            .expect("the fixture");
        let x_path = dir.join("x.npy");
        write_npy(&x_path, &x).expect("written");
        let model = format!("tests/fixtures/keras/{case}.keras");
        let mut command = birnn(&["run", &model, utf8(&x_path), "--device", "cpu", "-q", "--out"]);
        command.arg(&out);
        success(command);
        written_outputs(&out).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let of_the_notebook = [
        "0_bidirectional_output.npy",
        "1_bidirectional_forward_hidden_state.npy",
        "2_bidirectional_backward_hidden_state.npy",
    ];
    assert_eq!(names("notebook_gru1"), of_the_notebook);
    // A layer's name can hold any character; a file's holds these.
    let odd = names("names_odd");
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    assert!(odd[0].starts_with("0_") && odd[0].ends_with("_output.npy"), "{odd:?}");
    assert!(odd[0].chars().all(plain), "{odd:?}");
}

#[test]
fn a_missing_batch_axis_is_told() {
    let dir = scratch("batch");
    let path = dir.join("x.npy");
    let run = |shape: &[usize]| {
        write_npy(&path, &ArrayD::<f32>::zeros(shape)).expect("written");
        failure(birnn(&["run", MODEL, utf8(&path), "--device", "cpu"]), 1)
    };
    let line = run(&[8, 2]);
    assert!(line.contains("[8, 2]") && line.contains("add a batch axis: x[None]"), "{line}");
    for other in [&[8, 3][..], &[1, 8, 3], &[2], &[]] {
        assert!(!run(other).contains("add a batch axis"), "{other:?}");
    }
    // Of several inputs the one that lacks it, by its place and by its name.
    let model = "tests/fixtures/keras/initial_gru.keras";
    let (x, state) = (dir.join("sequence.npy"), dir.join("state.npy"));
    write_npy(&x, &ArrayD::<f32>::zeros(&[1, 5, 2][..])).expect("written");
    write_npy(&state, &ArrayD::<f32>::zeros(&[4][..])).expect("written");
    let line = failure(birnn(&["run", model, utf8(&x), utf8(&state), "--device", "cpu"]), 1);
    assert!(line.contains("input_layer_1") && line.contains("x[None]"), "{line}");
    let (x, state) =
        (format!("input_layer={}", x.display()), format!("input_layer_1={}", state.display()));
    let named = ["run", model, "--input", &state, "--input", &x, "--device", "cpu"];
    let line = failure(birnn(&named), 1);
    assert!(line.contains("input_layer_1") && line.contains("x[None]"), "{line}");
}

/// The crate's warnings, one of which an environment variable brings about.
#[test]
#[cfg(feature = "autotune")]
fn warnings_are_printed_unless_quiet() {
    let run = |more: &[&str]| {
        let mut command = birnn(&[&["run", MODEL, X, "--device", "cpu"], more].concat());
        command.env("BIRNN_AUTOTUNE", "maybe\nnot");
        output(command)
    };
    let run_aloud = run(&[]);
    assert!(run_aloud.status.success());
    assert_eq!(
        text(&run_aloud.stderr),
        "warning: BIRNN_AUTOTUNE is neither 1 nor 0: taken for 0 (value=\"maybe\\nnot\")\n"
    );
    assert!(text(&run_aloud.stdout).starts_with("Device: cpu"));
    assert!(run(&["--quiet"]).stderr.is_empty());
}

/// Mesa's device-select layer makes libwayland write that XDG_RUNTIME_DIR is not set; it is
/// nothing to the user of this program. All else that drivers write is.
#[test]
fn a_line_of_mesas_is_kept_from_the_terminal() {
    let Some(gpu) = device::open(device::options()) else { return };
    let without_runtime_dir = |args: &[&str]| {
        let mut command = birnn(args);
        // Newer Mesa looks for a compositor only where one is named.
        command.env_remove("XDG_RUNTIME_DIR").env("WAYLAND_DISPLAY", "wayland-0");
        command
    };
    success(without_runtime_dir(&["devices", "--device", &gpu.info().name]));
    success(without_runtime_dir(&["demo", "--device", &gpu.info().name]));
    success(without_runtime_dir(&["run", MODEL, X, "--quiet"]));
    if cfg!(target_os = "linux") {
        let mut command = without_runtime_dir(&["devices"]);
        command.env("VK_LOADER_DEBUG", "all");
        let printed = text(&output(command).stderr);
        assert!(printed.contains(".json"), "the loader names the files that it reads: {printed}");
        assert!(!printed.contains("XDG_RUNTIME_DIR is "), "{printed}");
    }
}

#[test]
fn numbers_out_of_range_are_told_the_range() {
    let ranges = [
        (["-5", "1", "1", "1"], "-5 is not in 1..=1000000"),
        (["1", "-1", "1", "1"], "-1 is not in 1..=10000000"),
        (["1", "1", "-7", "1"], "-7 is not in 1..=1000000"),
        (["1", "1", "1", "-2"], "-2 is not in 1..=100000"),
        (["1", "1", "1", "100001"], "100001 is not in 1..=100000"),
    ];
    for (numbers, expected) in ranges {
        let refused = output(birnn(&[&["plan"][..], &numbers].concat()));
        assert_eq!(refused.status.code(), Some(2));
        let printed = text(&refused.stderr);
        assert!(printed.contains(expected), "{printed}");
    }
    for (args, expected) in [
        (&["plan", "1", "1", "1", "1", "--layers", "-3"][..], "-3 is not in 1..=1000"),
        (&["run", MODEL, X, "--repeat", "-1"], "-1 is not in 0..=1000000"),
        (&["demo", "--seed", "-1"], "invalid value '-1' for '--seed"),
    ] {
        let refused = output(birnn(args));
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused.stderr).contains(expected), "{}", text(&refused.stderr));
    }
}

#[test]
fn an_environment_variable_with_a_value_that_is_none_of_its_own_is_an_error() {
    let with = |value: &str| {
        let mut command = birnn(&["devices"]);
        command.env("BIRNN_ALLOW_SOFTWARE", value);
        output(command)
    };
    let refused = with("nonsense");
    assert_eq!(refused.status.code(), Some(2));
    let printed = text(&refused.stderr);
    assert!(printed.contains("BIRNN_ALLOW_SOFTWARE is 1 or 0"), "{printed}");
    assert!(printed.contains("nonsense"), "{printed}");
    for value in ["", "0", "1", "false", "YES"] {
        assert!(with(value).status.success(), "{value}");
    }
    let Some(gpu) = device::open(device::options()) else { return };
    let allowed = |variable: Option<&str>, flag: &[&str]| {
        let mut command = birnn(&[&["devices", "--check", "--device", "gpu"], flag].concat());
        if let Some(value) = variable {
            command.env("BIRNN_ALLOW_SOFTWARE", value);
        }
        output(command).status.success()
    };
    let is_software = gpu.info().kind == birnn::DeviceKind::SoftwareGpu;
    assert!(allowed(Some("1"), &[]) && allowed(None, &["--allow-software"]));
    assert!(allowed(Some("0"), &["--allow-software"]));
    if is_software {
        assert!(!allowed(Some("0"), &[]) && !allowed(None, &[]));
    }
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

/// A state dict of PyTorch's: its module, or else its tensors and what they seem to belong to.
#[test]
fn state_dicts_are_inspected_and_run() {
    let torch = |name: &str| format!("tests/fixtures/torch/{name}");
    let lstm = success(birnn(&["inspect", &torch("lstm.safetensors")]));
    for line in
        ["lstm_l0 (Bidirectional)", "lstm_l1 (Bidirectional)", "Inputs: input (None, None, 4)"]
    {
        assert!(lstm.contains(line), "{line}: {lstm}");
    }
    let tagger = output(birnn(&["inspect", &torch("tagger.safetensors")]));
    assert_eq!(tagger.status.code(), Some(1));
    let (out, error) = (text(&tagger.stdout), text(&tagger.stderr));
    for words in ["embedding.weight", "[20, 8]", "f32", "8 features, 6 units, bidirectional"] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert!(error.contains("more than the recurrent module"), "{error}");
    let alone = ["--prefix", "lstm"];
    success(birnn(&[&["inspect", &torch("tagger.safetensors")][..], &alone].concat()));

    let dir = scratch("torch");
    let x = dir.join("x.npy");
    ndarray_npy::write_npy(&x, &ndarray::Array3::<f32>::ones((2, 3, 4))).expect("written");
    let run = |relu: &[&str]| {
        let arguments = ["run", &torch("rnn_relu.pt"), utf8(&x), "--device", "cpu"];
        success(birnn(&[&arguments[..], relu].concat()))
    };
    // The file doesn't say which one it is.
    let tanh = run(&["--nonlinearity", "tanh"]);
    assert!(tanh.contains("Hidden State Forward, shape [2, 6]"));
    assert_ne!(tanh, run(&["--nonlinearity", "relu"]));
    let rnn = torch("rnn_relu.pt");
    for command in [&["run", &rnn, utf8(&x), "--device", "cpu"][..], &["inspect", &rnn]] {
        let unsaid = output(birnn(command));
        assert!(unsaid.status.success(), "{unsaid:?}");
        let warning = text(&unsaid.stderr);
        let words = "tanh is taken (--nonlinearity tanh or relu says it)";
        assert!(warning.starts_with("warning: ") && warning.contains(words), "{warning}");
    }
    assert_eq!(run(&["--quiet"]), "");
    let wrong = ["run", &torch("lstm.safetensors"), utf8(&x), "--nonlinearity", "relu"];
    let line = failure(birnn(&wrong), 1);
    assert!(line.contains("nonlinearity") && line.contains("always tanh"), "{line}");
    let keras = "tests/fixtures/keras/notebook_lstm1.keras";
    let line = failure(birnn(&["inspect", keras, "--prefix", "lstm"]), 1);
    assert!(line.contains("--prefix is an option of state dicts of PyTorch's"), "{line}");
    let line = failure(birnn(&["run", &torch("tagger.safetensors"), utf8(&x)]), 1);
    assert!(line.contains("(--prefix PREFIX)") && line.contains("torch.onnx.export"), "{line}");
}

/// Options of another format than the file's are told, not passed over.
#[test]
fn options_of_another_format_are_errors() {
    let torch = "tests/fixtures/torch/lstm.safetensors";
    let onnx = "tests/fixtures/onnx/lstm_forward_lengths.onnx";
    let cases: [(&str, &[&str], &str); 6] = [
        (
            MODEL,
            &["--length", "batch=1"],
            "--length is an option of ONNX files, and this is a file",
        ),
        (
            MODEL,
            &["--tie", "a=b"],
            "--tie is an option of ONNX files, and this is a file of Keras's",
        ),
        (torch, &["--length", "batch=1"], "and this is a state dict of PyTorch's"),
        (torch, &["--config", "c.json"], "--config is an option of files of Keras's"),
        (onnx, &["--nonlinearity", "relu"], "and this is an ONNX file"),
        (
            onnx,
            &["--length", "batches=1"],
            "no axis of an open length is called \"batches\"; those of the inputs are [\"seq\", \
             \"X:0\", \"batch\", \"X:1\", \"sequence_lens:0\", \"initial_h:1\", \"initial_c:1\"]",
        ),
    ];
    for command in ["run", "inspect", "bench"] {
        for (model, options, words) in cases {
            let line = failure(birnn(&[&[command, model][..], options].concat()), 1);
            assert!(line.contains(words) && line.contains(model), "{line}");
        }
    }
    // An axis whose length the file says can't have another one.
    let line = failure(birnn(&["inspect", onnx, "--length", "X:2=4"]), 1);
    assert!(line.contains("\"X:2\""), "{line}");
    for good in ["batch=2", "X:0=3"] {
        success(birnn(&["inspect", onnx, "--length", good]));
    }
}

/// What is wrong with the model is said before what is missing besides.
#[test]
fn a_model_that_is_refused_is_told_before_missing_inputs() {
    let conv = "tests/fixtures/refused/conv3d_transpose.keras";
    assert!(failure(birnn(&["run", conv]), 1).contains("Conv3DTranspose"));
    let plot = ["plot", conv, "--out", "never.svg"];
    assert!(failure(birnn(&plot), 1).contains("Conv3DTranspose"));
    let refused = output(birnn(&["run", "tests/fixtures/layers/mask_argument_int32.keras"]));
    assert_eq!(refused.status.code(), Some(2));
    let inputs = "needed, input_layer (None, 6, 3), input_layer_1 (None, 6): files in this order";
    assert!(text(&refused.stderr).contains(inputs), "{refused:?}");
}

/// The library's texts name options of Rust's; the program says its own.
#[test]
fn errors_name_the_programs_options() {
    let weights = "tests/fixtures/layers/keras2_weights_only_lstm_weights.h5";
    let line = failure(birnn(&["run", weights, X]), 1);
    assert!(line.contains("(--config CONFIG.json)"), "{line}");
    let lambda = "tests/fixtures/keras/unsupported/lambda.keras";
    let line = failure(birnn(&["run", lambda, X]), 1);
    let words = "lambdas of birnn.load in Python, KerasOptions::lambda in Rust";
    assert!(line.contains(words), "{line}");
    let operation = "tests/fixtures/layers/refused/operation.keras";
    let inspected = output(birnn(&["inspect", operation]));
    let words = "custom of birnn.load in Python";
    for printed in [text(&inspected.stdout), text(&inspected.stderr)] {
        let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words) || !flat.contains("KerasOptions"), "{flat}");
    }
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
    let found: ArrayD<f32> =
        read_npy(dir.join("0_bidirectional_output.npy")).expect("what was written");
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
        "gru-reset-before",
        "--adapter",
        "software",
    ]));
    assert!(found.contains("gru_reset_before_sequence"), "{found}");
    let found =
        success(birnn(&["plan", "1", "100", "512", "512", "--forward-only", "--layers", "4"]));
    for expected in
        ["4 layers at once", "20 timesteps behind the layer below", "In all 202 dispatches"]
    {
        assert!(found.contains(expected), "{expected:?} in {found}");
    }
    let found = success(birnn(&["plan", "1", "100", "512", "512", "--persistent", "64"]));
    for expected in ["lstm_persistent", "32 x 1 x 2", "wait for each other"] {
        assert!(found.contains(expected), "{expected:?} in {found}");
    }
    let found = success(birnn(&["plan", "1", "100", "512", "512", "--persistent", "63"]));
    for expected in ["lstm_step", "not persistent: it needs more workgroups"] {
        assert!(found.contains(expected), "{expected:?} in {found}");
    }
    let line = failure(birnn(&["plan", "1", "1", "1", "100000", "--adapter", "downlevel"]), 1);
    assert!(line.contains("max_storage_buffer_binding_size"), "{line}");
    assert_eq!(output(birnn(&["plan", "0", "1", "1", "1"])).status.code(), Some(2));
}

#[test]
fn kernel_prints_what_the_driver_gets() {
    let list = success(birnn(&["kernel"]));
    let listed = |line: &str| line.starts_with("lstm_sequence ") && line.contains(" of an LSTM,");
    assert!(list.lines().any(listed), "{list}");
    for line in list.lines() {
        let name = line.split(' ').next().expect("a name");
        let wgsl = success(birnn(&["kernel", name]));
        assert!(wgsl.contains(&format!("fn {name}(")), "{wgsl}");
        assert!(!wgsl.lines().any(|line| line.starts_with('#')), "{wgsl}");
    }
    let kernel =
        |options: &[&str]| success(birnn(&[&["kernel", "lstm_sequence"], options].concat()));
    let usual = kernel(&[]);
    assert!(usual.contains("var<storage, read_write> output: array<f32>;"), "{usual}");
    assert!(!usual.contains("subgroupShuffle") && !usual.contains("unpack2x16float"), "{usual}");
    assert!(kernel(&["--half-weights"]).contains("unpack2x16float"));
    assert!(kernel(&["--adapter", "software"]).contains("subgroupShuffle"));
    assert!(kernel(&["--rows", "1"]).contains("alias Rows = f32;"));
    let overrides = kernel(&["--overrides", "--masked", "--units", "64"]);
    assert!(overrides.contains("MASKED = 1\n"), "{overrides}");
    assert!(overrides.contains("STATES = 128\n"), "{overrides}");
    let of_cell = |cell| success(birnn(&["kernel", "input_projection", "--cell", cell]));
    assert!(of_cell("gru").contains("const GATES: u32 = 3u;"));
    let line = failure(birnn(&["kernel", "nothing"]), 1);
    assert!(line.contains("there is no kernel \"nothing\""), "{line}");
    let line = failure(birnn(&["kernel", "lstm_sequence", "--units", "2000"]), 1);
    assert!(line.contains("doesn't run for a layer of 2000 units and 32 rows"), "{line}");
}

/// An ONNX file is inspected and run like Keras's, with states that nobody gives.
#[test]
fn an_onnx_file_is_inspected_and_run() {
    let path = "tests/fixtures/onnx/lstm_bidirectional.onnx";
    let printed = success(birnn(&["inspect", path]));
    for word in ["opset 17", "LSTM", "the_LSTM (Bidirectional)", "X float32 (seq, batch, 3)", "Y_h"]
    {
        assert!(printed.contains(word), "{word}: {printed}");
    }
    let dir = scratch("onnx");
    let x = dir.join("x.npy");
    ndarray_npy::write_npy(&x, &ndarray::Array3::<f32>::ones((5, 2, 3))).expect("written");
    let printed = success(birnn(&["run", path, utf8(&x), "--device", "cpu", "--reference"]));
    assert!(printed.contains("Y, shape [5, 2, 2, 4]"), "{printed}");
    let tied = [
        "run",
        "tests/fixtures/onnx/lstm_forward_lengths.onnx",
        "--tie",
        "initial_h=Y_h",
        "--tie",
        "initial_c=Y_c",
        "--input",
        &format!("X={}", utf8(&x)),
    ];
    let lengths = dir.join("lengths.npy");
    ndarray_npy::write_npy(&lengths, &ndarray::arr1(&[3.0f32, 5.0])).expect("written");
    let lengths = format!("sequence_lens={}", utf8(&lengths));
    let args = [&tied[..], &["--input", &lengths, "--device", "cpu"]].concat();
    assert!(success(birnn(&args)).contains("Y_c"));
    // An input that is a number in every call.
    let fixed = ["--fixed-input", "gone=3"];
    let wrong = failure(birnn(&[&["inspect", path], &fixed[..]].concat()), 1);
    assert!(wrong.contains("gone"), "{wrong}");
    for (option, example) in [("--fixed-input", "as in sr=16000"), ("--length", "as in batch=1")] {
        let wrong = output(birnn(&["inspect", path, option, "name"]));
        assert_eq!(wrong.status.code(), Some(2));
        let wrong = text(&wrong.stderr);
        assert!(wrong.contains(example), "{wrong}");
    }
    let wrong = failure(birnn(&["inspect", path, "--tie", "gone=Y_h"]), 1);
    assert!(wrong.contains("gone"), "{wrong}");
    // Lengths that there aren't, and states that nobody gives.
    let long = dir.join("long.npy");
    ndarray_npy::write_npy(&long, &ndarray::arr1(&[3i64, 9])).expect("written");
    let long = format!("sequence_lens={}", utf8(&long));
    let args = [&tied[..], &["--input", &long, "--device", "cpu"]].concat();
    let wrong = failure(birnn(&args), 1);
    assert!(wrong.contains("\"sequence_lens\" holds 9 at [1]; \"the_LSTM\" takes"), "{wrong}");
    let untied = [&tied[..2], &["--input", tied[7], "--input", &lengths]].concat();
    let wrong = failure(birnn(&untied), 1);
    assert!(wrong.contains("hand it on with --tie initial_h=Y_h"), "{wrong}");
    let printed = success(birnn(&["inspect", tied[1]]));
    assert!(printed.contains("handed on: --tie initial_h=Y_h --tie initial_c=Y_c"), "{printed}");
}
