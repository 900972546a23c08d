//! The program's commands that draw, measure and compare, and what it reads besides `.npy`.

use crate::device;
use ndarray::{Array3, ArrayD, Axis, arr3, concatenate};
use ndarray_npy::{NpzWriter, read_npy, write_npy};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const MODEL: &str = "tests/fixtures/keras/notebook_lstm2.keras";
const X: &str = "tests/fixtures/keras/notebook_x.npy";
const STACK: &str = "tests/fixtures/layers/mask_stack_embedding_gru_bi_gru.keras";
const ONNX: &str = "tests/fixtures/onnx/lstm_bidirectional.onnx";

fn birnn(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_birnn"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command.env_remove("BIRNN_DEVICE").env_remove("BIRNN_ALLOW_SOFTWARE");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn output(args: &[&str]) -> Output {
    birnn(args).output().expect("the program starts")
}

/// Standard output of a run that must succeed and say nothing on stderr: no bar, either.
fn success(args: &[&str]) -> String {
    let output = output(args);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    text(&output.stdout)
}

/// The one line on stderr of a run that must fail.
fn failure(args: &[&str]) -> String {
    let output = output(args);
    let line = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(line.starts_with("error: ") && line.trim_end().lines().count() == 1, "{line}");
    line
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&success(args)).expect("JSON")
}

fn scratch(test: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("commands").join(test);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn notebook_x() -> Array3<f32> {
    read_npy(X).expect("the fixture")
}

/// The colours of a picture of ours, and its size.
fn colors(path: &Path) -> (std::collections::HashSet<[u8; 3]>, (u32, u32)) {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("the picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut pixels).expect("pixels");
    let colors = pixels.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    (colors, (info.width, info.height))
}

/// Both directions of both states, with the colours of the largest value and of zero.
#[test]
fn states_are_drawn() {
    let dir = scratch("plot");
    let (png, svg) = (dir.join("states.png"), dir.join("states.SVG"));
    let printed = success(&["plot", MODEL, X, "--out", utf8(&png)]);
    assert!(printed.contains("bidirectional (Bidirectional LSTM), [1, 8, 3]"), "{printed}");
    let (colors, (width, height)) = colors(&png);
    assert!((400..2000).contains(&width) && (300..1000).contains(&height), "{width} {height}");
    // A value of the largest size is there, and has the colour of its end.
    assert!(colors.contains(&[5, 48, 97]) || colors.contains(&[103, 0, 31]));
    assert!(colors.contains(&[255, 255, 255]) && colors.len() > 20, "{} colours", colors.len());

    success(&["plot", MODEL, X, "--out", utf8(&svg)]);
    let drawn = std::fs::read_to_string(&svg).expect("the picture");
    for words in
        ["hidden state, forward", "hidden state, backward", "cell state, forward", "timestep"]
    {
        assert!(drawn.contains(words), "{words}");
    }
    assert!(!drawn.contains("forget gate"));
    assert!(drawn.starts_with("<svg ") && drawn.trim_end().ends_with("</svg>"));
    success(&["plot", MODEL, X, "--gates", "--out", utf8(&svg)]);
    let drawn = std::fs::read_to_string(&svg).expect("the picture");
    assert_eq!(drawn.matches("forget gate f, ").count(), 2, "a panel for each direction");
    let part = ["--units", "1..2", "--timesteps", "6.."];
    success(&[&["plot", MODEL, X, "--out", utf8(&svg)][..], &part].concat());
    let cells = std::fs::read_to_string(&svg).expect("the picture").matches("<rect").count();
    let whole = drawn.matches("<rect").count();
    assert!(cells < whole, "{cells} of a part, {whole} of all");
}

#[test]
fn a_layer_of_several_is_drawn_by_its_name() {
    let dir = scratch("plot_layer");
    let ids = dir.join("ids.npy");
    let row = [[1.0f32, 2.0, 3.0, 0.0, 0.0, 0.0], [4.0, 5.0, 1.0, 2.0, 3.0, 4.0]];
    write_npy(&ids, &ndarray::arr2(&row)).expect("written");
    let out = dir.join("gru.svg");
    let plot = |more: &[&str]| {
        let base = ["plot", STACK, utf8(&ids), "--out", utf8(&out)];
        (success(&[&base[..], more].concat()), std::fs::read_to_string(&out).expect("written"))
    };
    let (printed, drawn) = plot(&["--gates"]);
    assert!(printed.contains("gru (GRU), [2, 6, 4]"), "{printed}");
    assert!(printed.contains("Other recurrent layers, for --layer: bidirectional"), "{printed}");
    // Row 0 has masked timesteps, and a GRU has no cell state.
    assert!(drawn.contains("grey: a masked timestep") && !drawn.contains("cell state"));
    let (_, drawn) = plot(&["--gates", "--row", "1"]);
    assert!(!drawn.contains("grey:"));
    let (printed, _) = plot(&["--layer", "bidirectional"]);
    assert!(printed.contains("bidirectional (Bidirectional GRU), [2, 6, 3] and [2, 6, 3]"));

    let refused = |more: &[&str]| {
        let base = ["plot", STACK, utf8(&ids), "--out", utf8(&out)];
        failure(&[&base[..], more].concat())
    };
    assert!(refused(&["--layer", "dense"]).contains("[\"gru\", \"bidirectional\"]"));
    assert!(refused(&["--row", "2"]).contains("the batch has 2 rows"));
    assert!(refused(&["--units", "0..9"]).contains("there are 4"));
    assert!(refused(&["--call", "1"]).contains("called 1 times"));
    assert!(failure(&["plot", MODEL, X, "--out", "a.jpg"]).contains(".png or .svg"));
    let wrong = output(&["plot", MODEL, X, "--out", "a.png", "--units", "3..3"]);
    assert_eq!(wrong.status.code(), Some(2));
}

/// An ONNX model's layer; and more timesteps than an SVG has cells for.
#[test]
fn long_sequences_are_drawn_as_means() {
    let dir = scratch("plot_long");
    let (x, out) = (dir.join("x.npy"), dir.join("long.svg"));
    write_npy(&x, &Array3::<f32>::from_shape_fn((1001, 1, 3), |(t, _, _)| (t as f32 / 50.0).sin()))
        .expect("written");
    let printed = success(&["plot", ONNX, utf8(&x), "--out", utf8(&out)]);
    assert!(printed.contains("the_LSTM (Bidirectional LSTM), [1, 1001, 4]"), "{printed}");
    let drawn = std::fs::read_to_string(&out).expect("the picture");
    assert!(drawn.len() < 1 << 20, "{} bytes", drawn.len());
    let png = dir.join("long.png");
    success(&["plot", ONNX, utf8(&x), "--out", utf8(&png), "--gates"]);
    assert!(colors(&png).0.len() > 20);
}

#[test]
fn devices_are_compared_layer_by_layer() {
    let found = json(&["compare", STACK, "reference", "cpu", "--json", "--batch", "3"]);
    let layers: Vec<_> = found["layers"].as_array().expect("a list").iter().collect();
    let names: Vec<_> = layers.iter().map(|one| one["layer"].as_str().expect("a name")).collect();
    assert_eq!(names, ["embedding", "gru", "bidirectional"]);
    for layer in &layers {
        let difference = layer["largest_difference"].as_f64().expect("a number");
        assert!(difference < 2e-6, "{layer}");
        assert!(layer["largest_value"].as_f64().expect("a number") > 0.01, "{layer}");
    }
    // float32 is not float64.
    assert!(layers[2]["largest_difference"].as_f64().expect("a number") > 0.0);
    assert_eq!(found["outputs"].as_array().expect("a list").len(), 1);
    let printed = success(&["compare", MODEL, "cpu", "cpu", X, "--tolerance", "0"]);
    assert!(printed.contains("forward cell state") && printed.contains("0.0e0"), "{printed}");
    let args = ["compare", MODEL, "cpu", "reference", "--tolerance", "1e-12"];
    let line = failure(&args);
    assert!(line.contains("of bidirectional differs by") && line.contains("1e-12"), "{line}");
    assert!(failure(&["compare", MODEL, "cpu", "no such adapter"]).contains("no such adapter"));
    let line = failure(&["compare", ONNX, "cpu", "reference"]);
    assert!(line.contains("give its inputs as files"), "{line}");
}

/// An ONNX model's own outputs, and its recurrent layer's.
#[test]
fn an_onnx_model_is_compared_and_measured_on_files() {
    let x = scratch("onnx").join("x.npy");
    write_npy(&x, &Array3::<f32>::ones((5, 2, 3))).expect("written");
    let found = json(&["compare", ONNX, "cpu", "reference", utf8(&x), "--json"]);
    let layers: Vec<_> = found["layers"].as_array().expect("a list").iter().collect();
    assert!(layers.iter().any(|layer| layer["layer"] == "the_LSTM"), "{found}");
    assert!(layers.iter().all(|layer| layer["largest_difference"].as_f64().unwrap() < 2e-6));
    let args = ["bench", ONNX, utf8(&x), "--device", "cpu", "--seconds", "0.001", "--json"];
    let found = json(&args);
    assert_eq!(found["devices"][0]["batches"].as_array().expect("a list").len(), 1);
}

#[test]
fn a_gpu_is_compared_and_measured_beside_the_cpu() {
    let Some(gpu) = device::open(device::options()) else { return };
    let name = gpu.info().name.as_str();
    let found = json(&["compare", STACK, name, "reference", "--json"]);
    for layer in found["layers"].as_array().expect("a list") {
        assert!(layer["largest_difference"].as_f64().expect("a number") < 2e-6, "{layer}");
    }
    let args = ["bench", MODEL, "--batch", "2", "--seconds", "0.01", "--json", "--device", name];
    let found = json(&args);
    let devices = found["devices"].as_array().expect("a list");
    assert_eq!(devices.len(), 2);
    assert_eq!(devices[0]["device"]["kind"], gpu.info().kind.to_string());
    assert_eq!(devices[1]["device"]["name"], "cpu");
}

#[test]
fn models_are_measured() {
    let args = ["bench", STACK, "--batch", "1,3", "--seconds", "0.01", "--device", "cpu"];
    let found = json(&[&args[..], &["--json"]].concat());
    let batches = found["devices"][0]["batches"].as_array().expect("a list");
    assert_eq!(batches.len(), 2);
    for (batch, rows) in batches.iter().zip([1, 3]) {
        assert_eq!(batch["batch"], rows);
        assert_eq!(batch["timesteps"], 6);
        let seconds = |name: &str| batch["seconds"][name].as_f64().expect("seconds");
        assert!(0.0 < seconds("p50") && seconds("p50") <= seconds("p90"));
        assert!(seconds("p90") <= seconds("p99") && seconds("first_call") > 0.0);
        let (samples, timesteps) =
            (batch["samples_per_second"].as_f64(), batch["timesteps_per_second"].as_f64());
        let per_sample = timesteps.expect("a number") / samples.expect("a number");
        assert!((per_sample - 6.0).abs() < 1e-6, "{per_sample}");
        assert!(batch["calls"].as_u64().expect("a count") >= 5);
    }
    let printed = success(&args);
    assert!(printed.starts_with("Device: cpu (CPU") && printed.contains("p99 ms"), "{printed}");
    assert!(!printed.contains("Where the time goes"), "{printed}");
    assert_eq!(output(&["bench", MODEL, "--seconds", "0"]).status.code(), Some(2));
    assert_eq!(output(&["bench", MODEL, "--batch", "0"]).status.code(), Some(2));
}

#[test]
fn where_the_time_goes_is_printed_and_drawn() {
    let trace = scratch("profile").join("trace.json");
    let mut devices = vec!["cpu".to_string()];
    devices.extend(device::open(device::options()).map(|gpu| gpu.info().name.clone()));
    for device in &devices {
        let args = ["bench", STACK, "--batch", "1,3", "--seconds", "0.01", "--device", device];
        let args = [&args[..], &["--profile", "--trace", utf8(&trace)]].concat();
        let found = json(&[&args[..], &["--json"]].concat());
        let measured = found["devices"].as_array().expect("a list");
        for batch in measured.iter().flat_map(|one| one["batches"].as_array().expect("a list")) {
            let profile = &batch["profile"];
            let rows = profile["operators"].as_array().expect("a list");
            assert!(rows.iter().any(|row| row["operator"] == "recurrent"), "{profile}");
            assert!(rows.iter().all(|row| row["layer"].is_string() && row["count"] != 0));
            let sum: f64 = rows.iter().map(|row| row["seconds"].as_f64().expect("seconds")).sum();
            let all = profile["seconds"].as_f64().expect("seconds");
            let outside = profile["outside_seconds"].as_f64().expect("seconds");
            assert!((sum + outside - all).abs() < 1e-6 && outside >= 0.0, "{profile}");
            assert_eq!(profile["calls"], 5);
            assert!(profile["host_seconds"]["inputs"].as_f64().expect("seconds") >= 0.0);
        }
        let events: Value =
            serde_json::from_slice(&std::fs::read(&trace).expect("a trace")).expect("JSON");
        let events = events["traceEvents"].as_array().expect("a list");
        let processes: Vec<_> =
            events.iter().filter(|event| event["name"] == "process_name").collect();
        assert_eq!(processes.len(), 2 * measured.len());
        let name = processes[1]["args"]["name"].as_str().expect("a name");
        assert!(name.ends_with(", batch 3"), "{name}");
        let printed = success(&args);
        assert!(printed.contains("Where the time goes on "), "{printed}");
        assert!(printed.contains(", batch 3\nProfile of 5 calls on "), "{printed}");
        assert!(printed.contains("outside of operators"), "{printed}");
    }
    let nowhere = scratch("profile").join("no folder").join("trace.json");
    let args = ["bench", STACK, "--batch", "1", "--seconds", "0.01", "--device", "cpu", "--trace"];
    assert!(failure(&[&args[..], &[utf8(&nowhere)]].concat()).contains("no folder"));
}

/// What `run` prints for an input.
fn printed(model: &str, input: &[&str]) -> String {
    success(&[&["run", model, "--device", "cpu"][..], input].concat())
}

#[test]
fn tables_archives_and_standard_input_are_read() {
    let dir = scratch("inputs");
    let x = notebook_x();
    let expected = printed(MODEL, &[X]);
    let csv = dir.join("x.csv");
    let line = |row: ndarray::ArrayView1<f32>| format!("{},{}\n", row[0], row[1]);
    let lines = |part: ndarray::ArrayView2<f32>| part.rows().into_iter().map(line).collect();
    let table: String = lines(x.index_axis(Axis(0), 0));
    std::fs::write(&csv, format!("a,b\n{table}")).expect("written");
    assert_eq!(printed(MODEL, &[utf8(&csv)]), expected);

    let npz = dir.join("x.npz");
    let mut writer = NpzWriter::new_compressed(std::fs::File::create(&npz).expect("a file"));
    writer.add_array("arr_0", &x).expect("written");
    writer.finish().expect("written");
    assert_eq!(printed(MODEL, &[utf8(&npz)]), expected);
    let fixture = "tests/fixtures/keras/notebook_lstm2.npz";
    let line = failure(&["run", MODEL, fixture, "--device", "cpu"]);
    assert!(line.contains("notebook_lstm2.npz") && line.contains("output0"), "{line}");
    let line = failure(&["run", MODEL, &format!("{fixture}:x"), "--device", "cpu"]);
    assert!(line.contains("holds no array \"x\""), "{line}");

    for bytes in [std::fs::read(X).expect("the fixture"), table.into_bytes()] {
        let mut command = birnn(&["run", MODEL, "-", "--device", "cpu"]);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = pipes.spawn().expect("the program starts");
        child.stdin.take().expect("a pipe").write_all(&bytes).expect("written");
        let output = child.wait_with_output().expect("the program ends");
        assert_eq!(text(&output.stdout), expected);
    }
    let line = failure(&["run", MODEL, "-", "-", "--device", "cpu"]);
    assert!(line.contains("given 2 times"), "{line}");

    let named = |name: &str, text: &str| {
        std::fs::write(dir.join(name), text).expect("written");
        failure(&["run", MODEL, utf8(&dir.join(name)), "--device", "cpu"])
    };
    let line = named("broken.csv", "1,2\n3\n");
    assert!(line.contains("broken.csv") && line.contains("line 2 has 1 values"), "{line}");
    let line = named("wide.csv", "1,2,3\n");
    assert!(line.contains("[1, 1, 3]"), "{line}");
    let line = named("names.csv", "temperature,pressure\n");
    assert!(line.contains("\"temperature,pressure\" is taken for the names"), "{line}");
    let line = named("mixed.csv", "1,x\n2,3\n");
    assert!(line.contains("line 1 holds 1, a number, and \"x\""), "{line}");
    let line = named("table.parquet", "PAR1....PAR1");
    assert!(line.contains("table.parquet can't be read"), "{line}");
}

/// The arrays that there are, and arguments that can be taken as they stand.
#[test]
fn an_archive_of_other_names_is_told_how_to_be_given() {
    let dir = scratch("names");
    let (x, states) = (Array3::<f32>::ones((3, 5, 2)), ndarray::Array2::<f32>::zeros((3, 4)));
    let npz = dir.join("x.npz");
    let mut writer = NpzWriter::new(std::fs::File::create(&npz).expect("a file"));
    for name in ["a", "b", "input_layer_2", "d"] {
        writer.add_array(name, &states).expect("written");
    }
    writer.add_array("x", &x).expect("written");
    writer.finish().expect("written");
    let model = "tests/fixtures/keras/initial_bi_lstm.keras";
    let line = failure(&["run", model, utf8(&npz), "--device", "cpu"]);
    assert!(line.contains("holds the arrays a, b, input_layer_2, d, x, and"), "{line}");
    let (_, arguments) = line.trim_end().split_once("as in ").expect("arguments");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    assert_eq!(arguments[..2], ["--input", &format!("input_layer={}:x", utf8(&npz))]);
    assert_eq!(arguments[5], format!("input_layer_2={}:input_layer_2", utf8(&npz)));
    success(&[&["run", model, "--device", "cpu"][..], &arguments].concat());
    let line = failure(&["run", MODEL, utf8(&npz), "--device", "cpu"]);
    assert!(line.contains("as in --input ") && line.contains(":x"), "{line}");
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_read() {
    let file = |name: &str| format!("tests/fixtures/parquet/{name}");
    let expected = printed(MODEL, &[X]);
    for one in ["timesteps.parquet", "polars.parquet"] {
        assert_eq!(printed(MODEL, &[&file(one)]), expected, "{one}");
    }
    let two = printed(MODEL, &[&file("nested.parquet")]);
    assert!(two.contains("shape [2, 8, 6]"), "{two}");
    for same in ["features.parquet", "split.parquet", "nested.parquet:x"] {
        assert_eq!(printed(MODEL, &[&file(same)]), two, "{same}");
    }
    let mut command = birnn(&["run", MODEL, "-", "--device", "cpu"]);
    let bytes = std::fs::File::open(file("nested.parquet")).expect("the fixture");
    let output = command.stdin(Stdio::from(bytes)).output().expect("the program starts");
    assert_eq!(text(&output.stdout), two);

    // Several inputs, by the names of their columns.
    let model = "tests/fixtures/keras/initial_bi_lstm.keras";
    let named = printed(model, &[&file("named.npz")]);
    assert_eq!(printed(model, &[&file("named.parquet")]), named);
    let one = format!("input_layer_1={}", file("named.parquet:input_layer_1"));
    let others = ["input_layer", "input_layer_2", "input_layer_3", "input_layer_4"];
    let others: Vec<_> =
        others.iter().map(|name| format!("{name}={}:{name}", file("named.npz"))).collect();
    let given = others.iter().chain([&one]).flat_map(|input| ["--input", input.as_str()]);
    assert_eq!(printed(model, &given.collect::<Vec<_>>()), named);

    let refused = |input: &str| failure(&["run", MODEL, &file(input), "--device", "cpu"]);
    let line = refused("refused.parquet:text");
    for words in ["refused.parquet", "column \"text\"", "text or bytes", "x.parquet:NAME"] {
        assert!(line.contains(words), "{words}: {line}");
    }
    assert!(refused("zstd.parquet").contains("compression snappy"));
    assert!(refused("nested.parquet:y").contains("no column \"y\", but x"));
    assert!(refused("types.parquet").contains("[1, 4, 12]"));
}

/// A file of all outputs, whose columns are the same inputs of another run as the arrays are.
#[cfg(feature = "parquet")]
#[test]
fn parquet_is_written() {
    let dir = scratch("written");
    let (arrays, table) = (dir.join("arrays"), dir.join("y.parquet"));
    let model = "tests/fixtures/keras/initial_bi_lstm.keras";
    let run = |more: &[&str]| success(&[&["run", model, "--device", "cpu"][..], more].concat());
    let named = "tests/fixtures/parquet/named.parquet";
    run(&[named, "--out", utf8(&arrays)]);
    let told = run(&[named, "--out", utf8(&table)]);
    assert_eq!(told.matches("written: ").count(), 1, "{told}");
    let told = run(&[named, "--out", utf8(&table), "--json"]);
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let outputs = told["outputs"].as_array().expect("outputs");
    assert_eq!(outputs.len(), 5);
    let columns: Vec<_> = outputs.iter().map(|output| &output["column"]).collect();
    let columns: Vec<_> = columns.iter().filter_map(|column| column.as_str()).collect();
    assert_eq!(columns[4], "4_bidirectional_backward_cell_state");
    assert!(outputs.iter().all(|output| output["file"] == utf8(&table)));

    // The four states are what another run starts from.
    let x = format!("input_layer={named}:input_layer");
    let next = |file: &dyn Fn(&str) -> String| {
        let states = (1..5).map(|place| format!("input_layer_{place}={}", file(columns[place])));
        let inputs: Vec<_> = std::iter::once(x.clone()).chain(states).collect();
        run(&inputs.iter().flat_map(|input| ["--input", input]).collect::<Vec<_>>())
    };
    let from_arrays = next(&|column| format!("{}/{column}.npy", utf8(&arrays)));
    assert_eq!(next(&|column| format!("{}:{column}", utf8(&table))), from_arrays);
    // The sequences, too: of lists of lists.
    let y = format!("{}:{}", utf8(&table), columns[0]);
    let line = failure(&["run", MODEL, &y, "--device", "cpu"]);
    assert!(line.contains("[2, 5, 8]"), "{line}");

    // Of an ONNX model's arrays the first axis isn't the batch.
    let x = dir.join("x.npy");
    write_npy(&x, &Array3::<f32>::ones((5, 2, 3))).expect("written");
    let line = failure(&["run", ONNX, utf8(&x), "--device", "cpu", "--out", utf8(&table)]);
    assert!(line.contains("has 5 rows and") && line.contains("by --out DIR"), "{line}");
    let nowhere = dir.join("nowhere").join("y.parquet");
    let line = failure(&["run", MODEL, X, "--device", "cpu", "--out", utf8(&nowhere)]);
    assert!(line.contains("cannot make") && line.contains("nowhere"), "{line}");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_has_to_be_built_in() {
    let line = failure(&["run", MODEL, X, "--device", "cpu", "--out", "y.parquet"]);
    assert!(line.contains("--features cli,parquet"), "{line}");
}

/// Inputs of an archive by their names, whatever their order, and beside other arrays.
#[test]
fn an_archive_has_all_inputs_by_name() {
    let dir = scratch("archive");
    let file =
        std::fs::File::open("tests/fixtures/keras/initial_bi_lstm.npz").expect("the fixture");
    let mut keras = ndarray_npy::NpzReader::new(file).expect("the fixture");
    let model = "tests/fixtures/keras/initial_bi_lstm.keras";
    let inspected = success(&["inspect", model]);
    let (_, inputs) = inspected.split_once("Inputs: ").expect("inputs");
    let inputs = inputs.lines().next().expect("a line");
    // Each name stands before its shape in brackets.
    let before =
        inputs.match_indices(" (").filter_map(|(at, _)| inputs[..at].split(' ').next_back());
    let names: Vec<_> = before.collect();
    assert_eq!(names.len(), 5, "{inputs}");
    let npz = dir.join("inputs.npz");
    let mut writer = NpzWriter::new(std::fs::File::create(&npz).expect("a file"));
    let mut paths = Vec::new();
    for index in (0..names.len()).rev() {
        let array: ArrayD<f32> = keras.by_name(&format!("input{index}")).expect("the fixture");
        writer.add_array(names[index], &array).expect("written");
        let path = dir.join(format!("{index}.npy"));
        write_npy(&path, &array).expect("written");
        paths.insert(0, utf8(&path).to_string());
    }
    writer.add_array("other", &ndarray::arr1(&[1.0f32])).expect("written");
    writer.finish().expect("written");
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    assert_eq!(printed(model, &[utf8(&npz)]), printed(model, &paths));
    let member = format!("{}={}:{}", names[0], utf8(&npz), names[0]);
    let rest = paths.iter().zip(&names).skip(1).map(|(path, name)| format!("{name}={path}"));
    let all: Vec<String> = std::iter::once(member).chain(rest).collect();
    let args: Vec<&str> = all.iter().flat_map(|one| ["--input", one.as_str()]).collect();
    assert_eq!(printed(model, &args), printed(model, &paths));
}

#[test]
fn a_batch_runs_in_parts() {
    let dir = scratch("parts");
    let x = notebook_x();
    let rows: Vec<_> = (0..7).map(|row| x.mapv(|value| value * (row as f32 - 2.5))).collect();
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    let path = dir.join("rows.npy");
    write_npy(&path, &concatenate(Axis(0), &views).expect("rows")).expect("written");
    let run = |parts: &[&str], out: &str| -> ArrayD<f32> {
        let out = dir.join(out);
        let base = ["run", MODEL, utf8(&path), "--device", "cpu", "--quiet", "--out", utf8(&out)];
        success(&[&base[..], parts].concat());
        read_npy(out.join("0_bidirectional_output.npy")).expect("written")
    };
    let whole = run(&[], "whole");
    assert_eq!(whole.shape(), [7, 8, 6]);
    for size in ["1", "3", "7", "100"] {
        let parts = run(&["--batch-size", size], size);
        assert_eq!(parts.shape(), whole.shape());
        let far = parts.iter().zip(&whole).any(|(a, b)| (a - b).abs() > 1e-6);
        assert!(!far, "in parts of {size}");
    }
    assert_eq!(output(&["run", MODEL, X, "--batch-size", "0"]).status.code(), Some(2));
    let x = dir.join("x.npy");
    write_npy(&x, &Array3::<f32>::ones((5, 2, 3))).expect("written");
    let line = failure(&["run", ONNX, utf8(&x), "--device", "cpu", "--batch-size", "2"]);
    assert!(line.contains("--batch-size") && line.contains("which axis"), "{line}");
}

#[test]
fn a_run_is_printed_as_json() {
    let path = scratch("json").join("nan.npy");
    write_npy(&path, &arr3(&[[[0.1f32, f32::NAN]; 8]])).expect("written");
    let found = json(&["run", MODEL, X, "--device", "cpu", "--json", "--reference"]);
    assert_eq!(found["device"]["name"], "cpu");
    let output = &found["outputs"][0];
    assert_eq!(output["layer"], "bidirectional");
    assert_eq!(output["shape"], serde_json::json!([1, 8, 6]));
    assert!(output["difference_from_reference"].as_f64().expect("a number") < 2e-6);
    let text = printed(MODEL, &[X]);
    let value = output["values"][0][0][0].as_f64().expect("a number");
    assert!(text.contains(&format!("{value:.8}")), "{value}: {text}");
    assert_eq!(found["outputs"][1]["role"], "forward hidden state");
    let nan = json(&["run", MODEL, utf8(&path), "--device", "cpu", "--json"]);
    assert_eq!(nan["outputs"][1]["values"][0][0], "NaN");
    let quiet = ["run", MODEL, X, "--device", "cpu", "--json", "--quiet", "--repeat", "2"];
    let quiet = json(&quiet);
    assert!(quiet["outputs"][0].get("values").is_none(), "{quiet}");
    assert_eq!(quiet["seconds"].as_array().expect("a list").len(), 2);
}

#[test]
fn what_is_inspected_is_printed_as_json() {
    let found = json(&["inspect", STACK, "--json"]);
    assert_eq!((&found["format"], &found["supported"]), (&"keras".into(), &true.into()));
    assert_eq!(found["layers"][0]["class"], "Embedding");
    assert_eq!(found["layers"][0]["shapes"], serde_json::json!([[null, 6, 3]]));
    let input = &found["inputs"][0];
    let expected = serde_json::json!({
        "name": input["name"], "shape": [null, 6], "given_as": "ids",
    });
    assert_eq!(*input, expected);
    assert_eq!(found["outputs"].as_array().expect("a list").len(), 1);
    let parameters = found["layers"].as_array().expect("a list").iter();
    let parameters: u64 = parameters.filter_map(|layer| layer["parameters"].as_u64()).sum();
    assert_eq!(found["parameters"], parameters);

    let onnx = json(&["inspect", ONNX, "--json"]);
    assert_eq!(
        onnx["operators"][0],
        serde_json::json!({
            "operator": "LSTM", "nodes": 1, "problem": null,
        })
    );
    assert_eq!(
        onnx["inputs"][0],
        serde_json::json!({
            "name": "X",
            "dtype": "float32",
            "shape": [null, null, 3],
            "axes": ["seq", "batch", null],
        })
    );
    assert_eq!(onnx["opset"], 17);

    // Of what can't be run the object says why, and the status is that of an error.
    let refused = |file: &str| -> Value {
        let inspected = output(&["inspect", file, "--json"]);
        assert_eq!(inspected.status.code(), Some(1), "{inspected:?}");
        assert!(text(&inspected.stderr).starts_with("error: the model can't be run: "));
        let found: Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
        assert_eq!(found["supported"], false);
        found
    };
    let conv = refused("tests/fixtures/refused/conv3d_transpose.keras");
    let layers = conv["layers"].as_array().expect("a list");
    let problem =
        |name: &str| &layers.iter().find(|one| one["name"] == name).expect(name)["problem"];
    assert_eq!(problem("frames"), "TimeDistributed(Conv3DTranspose) is not supported");
    assert!(conv["problem"].as_str().is_some_and(|text| text.contains("Conv3DTranspose")));
    let tagger = refused("tests/fixtures/torch/tagger.safetensors");
    assert_eq!(
        (&tagger["format"], &tagger["tensors"][0]["dtype"]),
        (&"pytorch".into(), &"f32".into())
    );
    assert!(tagger["parts"].as_array().is_some_and(|parts| parts.len() > 1), "{tagger}");
}

#[test]
fn devices_and_conversions_are_printed_as_json() {
    let found = json(&["devices", "--device", "cpu", "--json"]);
    assert_eq!(found["device"]["name"], "cpu");
    for adapter in found["adapters"].as_array().expect("a list") {
        assert!(adapter["max_buffer_size"].as_u64().is_some_and(|bytes| bytes > 0), "{adapter}");
        assert_eq!(adapter["chosen"], false);
    }
    let unknown = output(&["devices", "--device", "no such adapter", "--json"]);
    assert_eq!(unknown.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&unknown.stdout).expect("JSON");
    assert!(found["device"].is_null(), "{found}");
    assert!(found["problem"].as_str().is_some_and(|text| text.contains("no such adapter")));

    let path = scratch("converted").join("model.safetensors");
    let expected = serde_json::json!({ "file": utf8(&path), "layers": 1, "parameters": 144 });
    assert_eq!(json(&["convert", MODEL, utf8(&path), "--json"]), expected);
    assert_eq!(json(&["inspect", utf8(&path), "--json"])["format"], "birnn");
}

#[test]
fn shells_and_man_get_pages() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = success(&["completions", shell]);
        assert!(script.contains("batch-size") && script.contains("plot"), "{shell}");
    }
    assert_eq!(output(&["completions", "csh"]).status.code(), Some(2));
    assert!(success(&["man"]).contains(".TH birnn 1"));
    let dir = scratch("man");
    let printed = success(&["man", "--out", utf8(&dir)]);
    assert!(printed.lines().count() > 10, "{printed}");
    let page = std::fs::read_to_string(dir.join("birnn-plot.1")).expect("a page");
    assert!(page.contains("birnn plot") || page.contains("birnn\\-plot"), "{page}");
    assert!(page.contains("gates"), "{page}");
}
