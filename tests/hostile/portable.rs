//! Thousands of damaged and hostile files of birnn's own form, the same in every run: each loads or
//! is an error, within seconds and within bounded memory, and none panics. Those whose numbers are
//! small are run, too.

use crate::files::{LONGEST, Random, Report, damage, passes};
use birnn::{Device, Error, Inputs, Model};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Map, Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

/// Models of all kinds, and one in which everything is that a graph has.
const SEEDS: [&str; 9] = [
    "portable/version_1.safetensors",
    "portable/version_1_program.safetensors",
    "onnx/gru_bidirectional_lengths.onnx",
    "onnx/choice_16000.onnx",
    "keras/notebook_lstm2.keras",
    "layers/layer_conv1d_dilated_causal.keras",
    "layers/layer_multi_head.keras",
    "layers/layer_attention_causal.keras",
    "layers/layer_depthwise_conv1d_multiplier.keras",
];

/// A file taken apart.
#[derive(Clone)]
struct Parts {
    description: Value,
    /// The tensors' places.
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl Parts {
    fn of(bytes: &[u8]) -> Parts {
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        let mut header: Map<String, Value> = serde_json::from_slice(header).unwrap();
        let metadata = header.remove("__metadata__").unwrap();
        let description = serde_json::from_str(metadata["birnn"].as_str().unwrap()).unwrap();
        Parts { description, header, data: data.to_vec() }
    }

    fn file(&self) -> Vec<u8> {
        self.with_text(&self.description.to_string())
    }

    fn with_text(&self, text: &str) -> Vec<u8> {
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!({ "birnn": text }));
        header.extend(self.header.clone());
        let header = Value::Object(header).to_string();
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &self.data].concat()
    }
}

fn seed(name: &str) -> Parts {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let model = Model::load(&path).unwrap_or_else(|e| panic!("{name}: {e}"));
    Parts::of(&model.to_portable_bytes().unwrap())
}

/// How many values there are in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of this number within a value.
fn find<'v>(value: &'v mut Value, mut number: usize) -> Option<&'v mut Value> {
    if number == 0 {
        return Some(value);
    }
    number -= 1;
    let inside: Vec<&'v mut Value> = match value {
        Value::Array(values) => values.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => return None,
    };
    for value in inside {
        match count(value) {
            count if number < count => return find(value, number),
            count => number -= count,
        }
    }
    None
}

/// Puts something else in the place of some values. `large`: numbers without bounds, too.
fn change(random: &mut Random, all: &mut Value, large: bool) {
    for _ in 0..=random.below(3) {
        let values = count(all);
        let other = find(all, random.below(values)).unwrap().clone();
        let place = find(all, random.below(values)).unwrap();
        let huge = [1 << 24, (1 << 24) - 1, 1 << 31, 1 << 53, u64::MAX, u64::MAX >> 1];
        *place = match (random.below(10), &mut *place) {
            (0, Value::Array(values)) if !values.is_empty() => {
                let mut values = values.clone();
                values.remove(random.below(values.len()));
                values.into()
            }
            (1, Value::Array(values)) if !values.is_empty() => {
                let one = values[random.below(values.len())].clone();
                let mut values = values.clone();
                values.push(one);
                values.into()
            }
            (2, Value::Object(fields)) => {
                let mut fields = fields.clone();
                let name = fields.keys().nth(random.below(fields.len())).cloned();
                name.and_then(|name| fields.remove(&name));
                fields.into()
            }
            (3, Value::Bool(value)) => (!*value).into(),
            (4, _) if large => huge[random.below(huge.len())].into(),
            (5, _) if large => json!([1e308, -1e308, -9.3e18, -1e-320][random.below(4)]),
            (0..=6, Value::Number(_)) => (random.below(7) as i64 - 2).into(),
            (7, _) => [Value::Null, "".into(), json!([]), json!({})][random.below(4)].clone(),
            _ => other,
        };
    }
}

/// What was seen, and how many files ran.
#[derive(Default)]
struct Corpus {
    report: Report,
    ran: usize,
}

impl Corpus {
    fn check(&mut self, name: &str, bytes: &[u8]) -> Option<Model> {
        self.report.check(name, || Model::from_portable_bytes("file", bytes), bytes.len())
    }

    /// Loads it, and calls it on small arrays, where the model takes such.
    fn run(&mut self, name: &str, bytes: &[u8]) {
        let Some(model) = self.check(name, bytes) else { return };
        let summary = model.summary();
        let rows = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
        let shapes: Vec<Vec<usize>> = rows
            .map(|row| row.output_shapes[0].iter().map(|length| length.unwrap_or(2)).collect())
            .collect();
        let values: usize = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        if shapes.is_empty() || values > 1 << 16 {
            return;
        }
        let arrays: Vec<ArrayD<f32>> =
            shapes.iter().map(|shape| ArrayD::ones(IxDyn(shape))).collect();
        let start = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let first = Inputs::new(arrays[0].view());
            let inputs = arrays[1..].iter().fold(first, |all, one| all.input(one.view()));
            Device::cpu().compile(&model)?.run(inputs)
        }));
        match ran {
            Ok(Ok(_)) => self.ran += 1,
            Ok(Err(_)) => {}
            Err(_) => self.report.problems.push(format!("{name}: a panic in a call")),
        }
        if start.elapsed() > LONGEST {
            self.report.problems.push(format!("{name}: a call of {:?}", start.elapsed()));
        }
    }
}

#[test]
fn damaged_files_are_errors_or_models() {
    passes(damaged_files, 6_000);
}

fn damaged_files() -> Report {
    let mut corpus = Corpus::default();
    let mut random = Random(0x0ddba11);
    for name in SEEDS {
        let good = seed(name);
        let bytes = good.file();
        corpus.run(name, &bytes);
        for round in 0..300 {
            let mut bytes = bytes.clone();
            damage(&mut random, &mut bytes);
            corpus.check(&format!("{name} damaged {round}"), &bytes);
        }
        for large in [false, true] {
            for round in 0..200 {
                let mut parts = good.clone();
                change(&mut random, &mut parts.description, large);
                let name = format!("{name} {} {round}", if large { "large" } else { "changed" });
                match large {
                    true => drop(corpus.check(&name, &parts.file())),
                    false => corpus.run(&name, &parts.file()),
                }
            }
        }
        for round in 0..50 {
            let mut parts = good.clone();
            let mut header = Value::Object(parts.header.clone());
            change(&mut random, &mut header, true);
            if let Value::Object(header) = header {
                parts.header = header;
                corpus.check(&format!("{name} header {round}"), &parts.file());
            }
        }
        for length in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            corpus.check(&format!("{name} cut at {length}"), &bytes[..length]);
        }
    }
    assert!(corpus.report.loaded > 200, "{}", corpus.report.loaded);
    assert!(corpus.ran > 50, "{}", corpus.ran);
    corpus.report
}

/// A file of this description without tensors.
fn described(model: Value) -> Vec<u8> {
    let description = json!({ "version": 1, "written_by": "a test", "model": model });
    Parts { description, header: Map::new(), data: Vec::new() }.file()
}

/// A graph whose only input is `[batch, timesteps, 2]`.
fn graph(layers: Vec<Value>, calls: Vec<Value>, outputs: Value) -> Vec<u8> {
    described(json!({ "graph": {
        "mask_rules": "Keras3",
        "inputs": [{ "name": "x", "axes": [null, 2] }],
        "constants": [],
        "layers": layers,
        "calls": calls,
        "outputs": outputs,
    }}))
}

fn layer(name: &str, kind: Value) -> Value {
    json!({ "layer": { "Feedforward": { "name": name, "kind": kind } }, "weights": [] })
}

fn call(layer: usize, inputs: Value) -> Value {
    json!({ "layer": layer, "inputs": inputs, "initial_state": [], "masks": [] })
}

fn program(operations: Vec<Value>, output: usize) -> Vec<u8> {
    described(json!({ "program": {
        "inputs": [{ "name": "x", "axes": ["Any", "Any"], "kind": "Float" }],
        "constants": [],
        "operations": operations,
        "outputs": [{ "name": "y", "array": output }],
        "ties": [],
    }}))
}

fn operation(operation: Value, operands: Value) -> Value {
    json!({ "name": "it", "operation": operation, "operands": operands })
}

/// Files that ask for more than they are worth.
fn bombs() -> Vec<(String, Vec<u8>)> {
    let mut bombs: Vec<(String, Vec<u8>)> = Vec::new();
    let none = Parts { description: Value::Null, header: Map::new(), data: Vec::new() };
    for length in [2, 1 << 20, 1 << 40, u64::MAX, u64::MAX - 7] {
        bombs.push((format!("length {length}"), [&length.to_le_bytes()[..], b"{}"].concat()));
    }
    for open in ["[", "{\"a\":", "{\"version\":[", "{\"model\":{\"graph\":"] {
        bombs.push((format!("nested {open}"), none.with_text(&open.repeat(200_000))));
    }
    let dense = json!({ "Dense": { "units": 2 } });
    for depth in [5, 20, 100, 5_000] {
        let mut kind = json!("Dropout");
        kind = json!({ "Identity": kind });
        let mut text = kind.to_string();
        for _ in 0..depth {
            text = format!(
                r#"{{"TimeDistributed":{{"layer":{{"Feedforward":{{"name":"","kind":{text}}}}}}}}}"#
            );
        }
        let file = graph(vec![layer("it", json!("KIND"))], vec![call(0, json!([0]))], json!([1]));
        let parts = Parts::of(&file);
        let text = parts.description.to_string().replace("\"KIND\"", &text);
        bombs.push((format!("within each other, {depth}"), parts.with_text(&text)));
    }
    let identity = || layer("it", json!({ "Identity": "Dropout" }));
    let merge = || layer("it", json!({ "Merge": { "operation": "Add" } }));
    let attention = || layer("it", json!({ "Attention": {} }));
    for (name, layer, inputs) in [
        ("a chain", identity(), 1),
        ("sums", merge(), 2),
        ("attention", attention(), 2),
        ("masks", layer("it", json!({ "Masking": {} })), 1),
    ] {
        for calls in [20_000, 32_000, 200_000] {
            let list = (0..calls).map(|n| call(0, json!(vec![n; inputs]))).collect();
            let file = graph(vec![layer.clone()], list, json!([calls]));
            bombs.push((format!("{name} of {calls} calls"), file));
        }
    }
    for count in [4_000, 200_000] {
        let named = |n: usize| layer(&format!("layer {n}"), json!({ "Identity": "Dropout" }));
        let list = (0..count).map(named).collect();
        let calls = (0..count).map(|n| call(n, json!([n]))).collect();
        bombs.push((format!("{count} layers"), graph(list, calls, json!([count]))));
        let many = vec![0; count];
        let wide = graph(vec![merge()], vec![call(0, json!(many))], json!([1]));
        bombs.push((format!("{count} summands"), wide));
        bombs.push((
            format!("{count} outputs"),
            graph(vec![identity()], vec![call(0, json!([0]))], json!(many)),
        ));
    }
    // Circles, and what isn't there.
    for inputs in [json!([1]), json!([7]), json!([u64::MAX]), json!([-1]), json!([])] {
        let name = format!("an array of itself {inputs}");
        bombs.push((name, graph(vec![identity()], vec![call(0, inputs)], json!([1]))));
    }
    bombs.push(("no layer".into(), graph(vec![], vec![call(0, json!([0]))], json!([1]))));
    let mut lacking = layer("it", dense);
    lacking["weights"] = json!(["it/kernel", "it/bias"]);
    bombs.push(("no tensor".into(), graph(vec![lacking], vec![call(0, json!([0]))], json!([1]))));
    for size in [0, 1 << 23, (1 << 24) - 1, 1 << 40, u64::MAX] {
        for kind in [
            json!({ "Dense": { "units": size } }),
            json!({ "RepeatVector": { "n": size } }),
            json!({ "UpSampling1d": { "size": size } }),
            json!({ "ZeroPadding1d": { "padding": [size, size] } }),
            json!({ "Cropping1d": { "cropping": [size, size] } }),
            json!({ "Conv1d": { "filters": size, "kernel_size": size, "groups": size } }),
            json!({ "MaxPooling1d": { "pool_size": size, "strides": size } }),
            json!({ "MultiHeadAttention": { "num_heads": size, "key_dim": size } }),
            json!({ "Embedding": { "input_dim": size, "output_dim": size } }),
            json!({ "Reshape": { "target_shape": [size, size, null] } }),
            json!({ "PRelu": { "shared_axes": [size] } }),
        ] {
            let name = kind.to_string();
            bombs.push((
                name,
                graph(vec![layer("it", kind)], vec![call(0, json!([0]))], json!([1])),
            ));
        }
    }
    // Programs: a long chain, many results, doubling, and axes that aren't there.
    let relu = |operand: usize| operation(json!({ "Activate": "Relu" }), json!([operand]));
    for count in [10_000, 200_000] {
        bombs.push((format!("{count} operations"), program((0..count).map(relu).collect(), count)));
    }
    let split = |_| operation(json!({ "Split": { "axis": 0, "parts": 60_000 } }), json!([0]));
    bombs.push(("many parts".into(), program((0..10_000).map(split).collect(), 1)));
    let double = |n: usize| operation(json!({ "Concat": { "axis": 0 } }), json!([n, n]));
    bombs.push(("doubled".into(), program((0..60).map(double).collect(), 60)));
    let shape = operation(json!("Shape"), json!([0]));
    let known = (1..60).map(double);
    bombs.push(("known, doubled".into(), program([shape].into_iter().chain(known).collect(), 60)));
    for axis in [i64::MIN, i64::MAX, -3, 2] {
        for kind in [
            json!({ "Flatten": { "axis": axis } }),
            json!({ "Concat": { "axis": axis } }),
            json!({ "MoveAxis": { "from": axis, "to": axis } }),
            json!({ "Softmax": { "axis": axis, "log": true } }),
            json!({ "Take": { "axis": axis } }),
            json!({ "Split": { "axis": axis, "parts": 2 } }),
        ] {
            let name = kind.to_string();
            let shape = operation(json!("Shape"), json!([0]));
            let of_known = operation(kind.clone(), json!([1, 1]));
            let given = operation(kind, json!([0, 1]));
            bombs.push((name, program(vec![shape, of_known, given], 2)));
        }
    }
    bombs
}

#[test]
fn files_that_ask_for_too_much_are_errors() {
    let corpus = || {
        let mut corpus = Corpus::default();
        for (name, bytes) in bombs() {
            corpus.check(&name, &bytes);
        }
        corpus.report
    };
    passes(corpus, 100);
}

/// One tensor for the weights of many layers takes a place in memory for each.
#[test]
fn shared_weights_count_for_each_layer() {
    let weights = |n: usize| {
        let kind = json!({ "Dense": { "units": 2048, "use_bias": false } });
        let mut layer = layer(&format!("layer {n}"), kind);
        layer["weights"] = json!(["kernel"]);
        layer
    };
    let mut parts = Parts::of(&graph(vec![], vec![], json!([])));
    let graph = &mut parts.description["model"]["graph"];
    graph["inputs"][0]["axes"] = json!([null, 2048]);
    graph["layers"] = (0..100).map(weights).collect();
    graph["calls"] = (0..100).map(|n| call(n, json!([n]))).collect();
    graph["outputs"] = json!([100]);
    let bytes = 4 << 22;
    parts.data = vec![0; bytes];
    let kernel = json!({ "dtype": "F32", "shape": [2048, 2048], "data_offsets": [0, bytes] });
    parts.header.insert("kernel".into(), kernel);
    let error = Model::from_portable_bytes("file", &parts.file()).unwrap_err();
    assert!(error.to_string().contains("PortableLimits::unpacked_bytes"), "{error}");
}

#[test]
fn tensors_that_do_not_fit_are_errors() {
    let mut parts = seed("portable/version_1.safetensors");
    let error = |parts: &Parts| Model::from_portable_bytes("file", &parts.file()).unwrap_err();
    // NaN where the last tensor is.
    let end = parts.data.len();
    let before = parts.data.clone();
    parts.data[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(error(&parts), Error::NonFiniteWeight { .. }), "{}", error(&parts));
    parts.data = before;
    let name = "encoder/gru/kernel";
    let shape = parts.header[name]["shape"].clone();
    let (rows, columns) = (shape[0].clone(), shape[1].clone());
    parts.header.get_mut(name).unwrap()["shape"] = json!([columns, rows]);
    assert!(matches!(error(&parts), Error::WeightShape { .. }), "{}", error(&parts));
    parts.header.get_mut(name).unwrap()["shape"] = shape;
    parts.header.get_mut(name).unwrap()["dtype"] = json!("U32");
    assert!(error(&parts).to_string().contains("U32"), "{}", error(&parts));
    parts.header.get_mut(name).unwrap()["dtype"] = json!("F32");
    assert!(Model::from_portable_bytes("file", &parts.file()).is_ok());
    let tensor = parts.header.remove(name).unwrap();
    parts.header.insert("other".into(), tensor);
    assert!(error(&parts).to_string().contains("no tensor \"encoder/gru/kernel\""));
}
