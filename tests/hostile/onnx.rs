//! Thousands of damaged and hostile ONNX files, the same in every run: each loads or is an error,
//! within seconds and within bounded memory, and none panics. Those that load are run, too.

use crate::files::{LONGEST, Random, Report, passes};
use birnn::{Device, Error, Inputs, Model, OnnxOptions};
use ndarray::{ArrayD, IxDyn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Instant;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx")
}

fn seed(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

const SEEDS: [&str; 16] = [
    "lstm_bidirectional_lengths.onnx",
    "gru_after_bidirectional.onnx",
    "rnn_activations.onnx",
    "lstm_peepholes.onnx",
    "exported_bilstm.onnx",
    "exported_lstm.onnx",
    "quantized_lstm.onnx",
    "choice_16000.onnx",
    "functions.onnx",
    "lstm_of_all.onnx",
    "exported/torchscript_packed.onnx",
    "exported/tf2onnx_gru.onnx",
    "operators/choices.onnx",
    "operators/einsum_dots.onnx",
    "operators/four_bits.onnx",
    "operators/max_pool_places.onnx",
];

/// What was seen, and how many files ran.
#[derive(Default)]
struct Corpus {
    report: Report,
    ran: usize,
}

impl Corpus {
    fn check(&mut self, name: &str, bytes: &[u8]) -> Option<Model> {
        self.report.check(name, || Model::from_onnx_bytes("file", bytes), bytes.len())
    }

    fn check_and_run(&mut self, name: &str, bytes: &[u8]) {
        if let Some(model) = self.check(name, bytes) {
            self.run(name, &model);
        }
    }

    /// A call on small arrays, where the model takes such.
    fn run(&mut self, name: &str, model: &Model) {
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
            Device::cpu().compile(model)?.run(inputs)
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

/// Changes some bytes, as hurts the fields of a message: their numbers and lengths.
fn damage(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = [0, 1, 0x7F, 0xFF][random.below(4)],
            2 => bytes[place] = bytes[place].wrapping_add(8), // the next field, or a larger number
            3 => {
                let end = (place + 9).min(bytes.len());
                bytes[place..end].fill(0xFF);
            }
            _ => {
                let (from, length) = (random.below(bytes.len()), random.below(64));
                let part = bytes[from..(from + length).min(bytes.len())].to_vec();
                let end = (place + part.len()).min(bytes.len());
                bytes[place..end].copy_from_slice(&part[..end - place]);
            }
        }
    }
}

#[test]
fn damaged_files_are_errors_or_models() {
    passes(damaged_files, 3_000);
}

fn damaged_files() -> Report {
    let mut corpus = Corpus::default();
    let mut random = Random(0x0ddba11);
    for name in SEEDS {
        let good = seed(name);
        corpus.check_and_run(name, &good);
        for round in 0..320 {
            let mut bytes = good.clone();
            damage(&mut random, &mut bytes);
            corpus.check_and_run(&format!("{name} {round}"), &bytes);
        }
        for length in (0..good.len()).step_by(1 + good.len() / 60) {
            corpus.check_and_run(&format!("{name} cut at {length}"), &good[..length]);
        }
    }
    assert!(corpus.report.loaded > 100 && corpus.ran > 100);
    corpus.report
}

// What hostile files are written with.

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field with a length.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(content.len() as u64), content.to_vec()].concat()
}

fn number(field: u64, value: i64) -> Vec<u8> {
    [varint(field << 3), varint(value as u64)].concat()
}

/// A model of a graph of opset 17.
fn model(graph: &[u8]) -> Vec<u8> {
    [number(1, 8), field(7, graph), field(8, &number(2, 17))].concat()
}

fn node(op_type: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut node = Vec::new();
    inputs.iter().for_each(|input| node.extend(field(1, input.as_bytes())));
    node.extend(field(2, output.as_bytes()));
    node.extend(field(4, op_type.as_bytes()));
    attributes.iter().for_each(|attribute| node.extend(field(5, attribute)));
    field(1, &node)
}

fn int_attribute(name: &str, value: i64) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, value), number(20, 2)].concat()
}

fn float_attribute(name: &str, value: f32) -> Vec<u8> {
    let number_of_field = [varint(2 << 3 | 5), value.to_le_bytes().to_vec()].concat();
    [field(1, name.as_bytes()), number_of_field, number(20, 1)].concat()
}

fn ints_attribute(name: &str, values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&value| number(8, value)).collect();
    [field(1, name.as_bytes()), values, number(20, 7)].concat()
}

fn text_attribute(name: &str, value: &str) -> Vec<u8> {
    [field(1, name.as_bytes()), field(4, value.as_bytes()), number(20, 3)].concat()
}

/// An initializer of numbers.
fn floats(name: &str, values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = number(1, values.len() as i64);
    field(5, &[dims, number(2, 1), field(8, name.as_bytes()), field(9, &raw)].concat())
}

/// A function of the domain `own` with an input `x` and an output `y`.
fn function(name: &str, nodes: &[Vec<u8>]) -> Vec<u8> {
    let names = [field(1, name.as_bytes()), field(10, b"own"), field(4, b"x"), field(5, b"y")];
    // A node is field 1 of a graph, and field 7 of a function.
    let nodes = nodes.iter().flat_map(|node| [vec![0x3a], node[1..].to_vec()].concat());
    field(25, &[names.concat(), nodes.collect()].concat())
}

/// A node that stands for a function.
fn own_node(name: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut content = Vec::new();
    inputs.iter().for_each(|input| content.extend(field(1, input.as_bytes())));
    content.extend([field(2, output.as_bytes()), field(4, name.as_bytes())].concat());
    content.extend(field(7, b"own"));
    attributes.iter().for_each(|attribute| content.extend(field(5, attribute)));
    field(1, &content)
}

/// An initializer of whole numbers.
fn integers(name: &str, dims: &[i64], values: &[i64]) -> Vec<u8> {
    let mut tensor = Vec::new();
    dims.iter().for_each(|&dim| tensor.extend(number(1, dim)));
    tensor.extend(number(2, 7));
    values.iter().for_each(|&value| tensor.extend(number(7, value)));
    tensor.extend(field(8, name.as_bytes()));
    field(5, &tensor)
}

/// An input of numbers with so many axes of any length.
fn input(name: &str, axes: usize) -> Vec<u8> {
    let shape: Vec<u8> = (0..axes).flat_map(|_| field(1, &[])).collect();
    let tensor = [number(1, 1), field(2, &shape)].concat();
    field(11, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
}

fn output(name: &str) -> Vec<u8> {
    field(12, &field(1, name.as_bytes()))
}

/// Files that ask for more than they are worth.
fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let huge = [i64::MAX, 1 << 40, 1 << 31, 1 << 28, -1, i64::MIN];
    let mut bombs: Vec<(&str, Vec<u8>)> = Vec::new();
    // A length of 2^63 in 13 bytes.
    let length = [&[0x3a][..], &[0xff; 9], &[0x7f, 0, 0]].concat();
    bombs.push(("length", length));
    for size in huge {
        let shape = integers("shape", &[1], &[size]);
        let fill = node("ConstantOfShape", &["shape"], "y", &[]);
        bombs.push(("fill", model(&[fill, shape, input("x", 1), output("y")].concat())));
        let limit = integers("limit", &[], &[size]);
        let (zero, one) = (integers("zero", &[], &[0]), integers("one", &[], &[1]));
        let range = node("Range", &["zero", "limit", "one"], "y", &[]);
        let graph = [range, limit, zero, one, input("x", 1), output("y")].concat();
        bombs.push(("range", model(&graph)));
        let tile = node("Tile", &["x", "shape"], "y", &[]);
        let shape = integers("shape", &[1], &[size]);
        bombs.push(("tile", model(&[tile, shape.clone(), input("x", 1), output("y")].concat())));
        let expand = node("Expand", &["x", "shape"], "y", &[]);
        bombs.push(("expand", model(&[expand, shape, input("x", 1), output("y")].concat())));
        let dims = integers("x", &[size], &[1]);
        bombs.push(("dims", model(&[dims, output("x")].concat())));
        let hidden = [int_attribute("hidden_size", size)];
        let weights = integers("w", &[1, 1, 1], &[1]);
        let lstm = node("LSTM", &["x", "w", "w"], "y", &hidden);
        bombs.push(("lstm", model(&[lstm, weights, input("x", 3), output("y")].concat())));
    }
    // Doubled again and again: 2^40 values, and the same of what is known.
    for known in [false, true] {
        let mut graph = Vec::new();
        let mut before = "x".to_string();
        if known {
            graph.extend(integers("x", &[2], &[1, 2]));
            graph.extend(input("z", 1));
        } else {
            graph.extend(input("x", 1));
        }
        for count in 0..40 {
            let next = format!("x{count}");
            let axis = [int_attribute("axis", 0)];
            graph.extend(node("Concat", &[&before, &before], &next, &axis));
            before = next;
        }
        graph.extend(output(&before));
        bombs.push(("doubled", model(&graph)));
    }
    // A chain of 50,000 nodes, and 50,000 recurrent layers of one name.
    let mut chain = [input("x", 1), integers("w", &[1, 1, 1], &[1])].concat();
    let mut before = "x".to_string();
    for count in 0..50_000 {
        let next = format!("{count}");
        chain.extend(node("Relu", &[&before], &next, &[]));
        before = next;
    }
    chain.extend(output(&before));
    bombs.push(("chain", model(&chain)));
    // 20,000 graphs within each other.
    let mut graph = output("x");
    for _ in 0..20_000 {
        let attribute = [field(1, b"then_branch"), field(6, &graph), number(20, 5)].concat();
        graph = node("If", &["x"], "y", &[attribute]);
        if graph.len() > 1 << 22 {
            break;
        }
    }
    bombs.push(("nested", model(&[graph, input("x", 0), output("y")].concat())));
    // Many axes, many operands, many inputs.
    let axes: Vec<i64> = (0..20_000).collect();
    let listed = integers("axes", &[20_000], &axes);
    let unsqueeze = node("Unsqueeze", &["x", "axes"], "y", &[]);
    bombs.push(("axes", model(&[unsqueeze, listed, input("x", 1), output("y")].concat())));
    let terms = ["ab"; 5_000].join(",");
    let equation = [field(1, b"equation"), field(4, terms.as_bytes()), number(20, 3)].concat();
    let einsum = node("Einsum", &["x"; 5_000], "y", &[equation]);
    bombs.push(("einsum", model(&[einsum, input("x", 2), output("y")].concat())));
    let inputs: Vec<u8> = (0..20_000).flat_map(|index| input(&format!("x{index}"), 1)).collect();
    bombs.push(("inputs", model(&[inputs, output("x0")].concat())));
    bombs
}

/// Nodes whose numbers ask for more than they are worth, each with an input `x` of so many axes.
fn bombs_of_nodes() -> Vec<(&'static str, Vec<u8>)> {
    let mut bombs: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut add = |name, axes, parts: &[Vec<u8>]| {
        bombs.push((name, model(&[parts.concat(), input("x", axes), output("y")].concat())));
    };
    for equation in ["...", "....", "...a...->a", "aaaaaaaaaaaaaaaa->a", "...aa,...->...", "->"] {
        let equation = [text_attribute("equation", equation)];
        for axes in [0, 1, 4] {
            add("einsum of one", axes, &[node("Einsum", &["x"], "y", &equation)]);
            add("einsum of two", axes, &[node("Einsum", &["x", "x"], "y", &equation)]);
        }
    }
    for size in [i64::MAX, 1 << 40, 1 << 31, 1 << 28, 1 << 20, 0, -1, i64::MIN] {
        let k = integers("k", &[1], &[size]);
        add("top_k", 1, &[node("TopK", &["x", "k"], "y", &[]), k.clone()]);
        let axis = [int_attribute("axis", size)];
        add("top_k axis", 2, &[node("TopK", &["x", "k"], "y", &axis), k.clone()]);
        let lengths = integers("k", &[2], &[size, size]);
        let resize = node("Resize", &["x", "", "", "k"], "y", &[text_attribute("mode", "cubic")]);
        add("sizes", 2, &[resize, lengths]);
        let heads = [int_attribute("q_num_heads", size), int_attribute("kv_num_heads", size)];
        add("heads", 3, &[node("Attention", &["x", "x", "x"], "y", &heads)]);
        for name in ["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"] {
            add("axis", 2, &[node(name, &["x", "k"], "y", &axis), k.clone()]);
        }
        let window = [int_attribute("left_window_size", size), int_attribute("is_causal", 1)];
        add("attention window", 4, &[node("Attention", &["x", "x", "x"], "y", &window)]);
        let blocks = [int_attribute("block_size", size), int_attribute("axis", -1)];
        let scales = floats("s", &[0.5, 2.0]);
        add("blocks", 1, &[node("DequantizeLinear", &["x", "s"], "y", &blocks), scales.clone()]);
        add("scales", 2, &[node("DequantizeLinear", &["x", "s"], "y", &axis), scales]);
        add("lrn", 4, &[node("LRN", &["x"], "y", &[int_attribute("size", size)])]);
        let window = [ints_attribute("kernel_shape", &[size])];
        add("lp_pool", 3, &[node("LpPool", &["x"], "y", &window)]);
        add("one lp", 3, &[node("GlobalLpPool", &["x"], "y", &[int_attribute("p", size)])]);
        let wanted = [ints_attribute("output_shape", &[size])];
        let kernel = integers("k", &[1, 1, 1], &[1]);
        add("transpose", 3, &[node("ConvTranspose", &["x", "k"], "y", &wanted), kernel]);
        let places = integers("k", &[1], &[size]);
        let scatter = node("ScatterElements", &["x", "k", "x"], "y", &[]);
        add("scatter", 1, &[scatter, places.clone()]);
        let scatter =
            node("ScatterND", &["x", "k", "x"], "y", &[text_attribute("reduction", "add")]);
        add("scatter_nd", 1, &[scatter, places.clone()]);
        let batch = [int_attribute("batch_dims", size)];
        add("gather_nd", 1, &[node("GatherND", &["x", "k"], "y", &batch), places.clone()]);
        add("cum_prod", 1, &[node("CumProd", &["x", "k"], "y", &[]), places.clone()]);
        add("compress", 1, &[node("Compress", &["x", "k"], "y", &axis), places.clone()]);
        let ignored = [int_attribute("ignore_index", size)];
        add("loss", 2, &[node("NegativeLogLikelihoodLoss", &["x", "k"], "y", &ignored), places]);
        add(
            "bits",
            1,
            &[node("BitShift", &["k", "k"], "y", &[text_attribute("direction", "LEFT")]), k],
        );
    }
    for scale in [f32::INFINITY, f32::NAN, -1.0, 0.0, 1e30, 1e-30, 1e9] {
        let scales = floats("scales", &[scale, scale]);
        for mode in ["nearest", "linear", "cubic"] {
            let attributes = [text_attribute("mode", mode), int_attribute("antialias", 1)];
            let resize = node("Resize", &["x", "", "scales"], "y", &attributes);
            add("scales", 2, &[resize, scales.clone()]);
            let crop = text_attribute("coordinate_transformation_mode", "tf_crop_and_resize");
            let attributes = [text_attribute("mode", mode), crop];
            let part = floats("part", &[scale; 4]);
            let two = integers("k", &[2], &[3, 3]);
            let resize = node("Resize", &["x", "part", "", "k"], "y", &attributes);
            add("part", 2, &[resize, part, two]);
        }
        let cap = [float_attribute("softcap", scale), float_attribute("scale", scale)];
        add("softcap", 4, &[node("Attention", &["x", "x", "x"], "y", &cap)]);
        let alpha = [float_attribute("alpha", scale), float_attribute("beta", scale)];
        add("hard sigmoid", 1, &[node("HardSigmoid", &["x"], "y", &alpha)]);
    }
    // Ranks and products of an array that is known: as many comparisons as pairs of values.
    let many: Vec<i64> = (0..3_000).collect();
    let known = integers("many", &[3_000], &many);
    let one = integers("one", &[1], &[1]);
    add("ranks", 1, &[node("TopK", &["many", "one"], "y", &[]), known.clone(), one.clone()]);
    let first = integers("first", &[], &[0]);
    add("products", 1, &[node("CumProd", &["many", "first"], "y", &[]), known, first]);
    bombs
}

/// Functions that stand for themselves, or for more and more of others.
fn bombs_of_functions() -> Vec<(&'static str, Vec<u8>)> {
    let graph = |name: &str| {
        let node = own_node(name, &["x"], "y", &[]);
        model(&[node, input("x", 1), output("y")].concat())
    };
    let itself = function("f", &[own_node("f", &["x"], "y", &[])]);
    let mut bombs = vec![("itself", [graph("f"), itself].concat())];
    let mut doubling = graph("f0");
    for count in 0..40 {
        let next = format!("f{}", count + 1);
        let nodes = [own_node(&next, &["x"], "z", &[]), own_node(&next, &["z"], "y", &[])];
        doubling.extend(function(&format!("f{count}"), &nodes));
    }
    bombs.push(("doubling", doubling));
    // 14 times 2 nodes within each other, which is not too deep.
    let mut deep = graph("f0");
    for count in 0..14 {
        let next = format!("f{}", count + 1);
        let nodes = [own_node(&next, &["x"], "z", &[]), own_node(&next, &["z"], "y", &[])];
        deep.extend(function(&format!("f{count}"), &nodes));
    }
    deep.extend(function("f14", &[node("Relu", &["x"], "y", &[])]));
    bombs.push(("deep", deep));
    // An attribute that refers to itself, one that nobody gives, and names that are empty.
    let refers = [field(1, b"alpha"), field(21, b"alpha"), number(20, 1)].concat();
    let elu = node("Elu", &["x"], "y", std::slice::from_ref(&refers));
    let own = own_node("g", &["x"], "y", &[refers]);
    let functions = [function("f", &[own]), function("g", std::slice::from_ref(&elu))].concat();
    bombs.push(("attribute", [graph("f"), functions].concat()));
    bombs.push(("attribute of no function", model(&[elu, input("x", 1), output("y")].concat())));
    bombs.push(("no name", [graph(""), function("", &[])].concat()));
    bombs.push(("no output", [graph("f"), function("f", &[])].concat()));
    bombs
}

#[test]
fn files_that_ask_for_too_much_are_errors() {
    let corpus = || {
        let mut corpus = Corpus::default();
        for (name, bytes) in bombs() {
            corpus.check(name, &bytes);
        }
        for (name, bytes) in [bombs_of_nodes(), bombs_of_functions()].concat() {
            corpus.check_and_run(name, &bytes);
        }
        corpus.report
    };
    passes(corpus, 200);
}

/// What the user's limits say is kept to.
#[test]
fn limits_are_kept_to() {
    let bytes = seed("exported_bilstm.onnx");
    let refused = |options: OnnxOptions, word: &str| {
        let error = options.load_bytes("file", &bytes).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(OnnxOptions::new().file_bytes(100), "file_bytes");
    refused(OnnxOptions::new().messages(20), "messages");
    assert!(OnnxOptions::new().load_bytes("file", &bytes).is_ok());
}

/// Loops are refused with the way out, and values in other files are only read beside the model.
#[test]
fn what_is_refused_says_what_to_do() {
    let looped = node("Loop", &["x"], "y", &[]);
    let bytes = model(&[looped, input("x", 0), output("y")].concat());
    let error = Model::from_onnx_bytes("file", &bytes).unwrap_err();
    assert!(matches!(error, Error::UnsupportedNode { .. }), "{error}");
    assert!(error.to_string().contains(".keras"), "{error}");
    let location = [field(1, b"location"), field(2, b"../secret")].concat();
    let tensor = [number(1, 1), number(2, 1), field(8, b"w"), field(13, &location), number(14, 1)];
    let graph = [field(5, &tensor.concat()), output("w")].concat();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("model.onnx");
    std::fs::write(&path, model(&graph)).unwrap();
    let error = Model::from_onnx(&path).unwrap_err();
    assert!(error.to_string().contains("doesn't lie beside"), "{error}");
    let error = Model::from_onnx_bytes("file", &model(&graph)).unwrap_err();
    assert!(error.to_string().contains("by its path"), "{error}");
}

/// Values in other files are read from what the caller gives, where there is no folder.
#[test]
fn values_in_other_files_can_be_given() {
    let location = [field(1, b"location"), field(2, b"w.bin")].concat();
    let offset = [field(1, b"offset"), field(2, b"4")].concat();
    let external = [field(13, &location), field(13, &offset), number(14, 1)].concat();
    let tensor = [number(1, 1), number(2, 1), field(8, b"w"), external].concat();
    let add = node("Add", &["x", "w"], "y", &[]);
    let bytes = model(&[add, field(5, &tensor), input("x", 1), output("y")].concat());
    let values: Vec<u8> = [1.0f32, 2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
    let options = OnnxOptions::new().external_file("w.bin", values);
    let model = options.load_bytes("file", &bytes).unwrap();
    let x = ndarray::arr1(&[0.5f32, -1.0]).into_dyn();
    let outputs = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
    assert_eq!(outputs.output(), &ndarray::arr1(&[3.0f32, 1.5]).into_dyn());
    let refused = |options: OnnxOptions, word: &str| {
        let error = options.load_bytes("file", &bytes).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(OnnxOptions::new().external_file("w.bin", vec![0; 7]), "short");
    refused(OnnxOptions::new().external_file("v.bin", vec![0; 8]), "external_file");
    let few = OnnxOptions::new().external_file("w.bin", vec![0; 8]).external_bytes(3);
    refused(few, "external_bytes");
}
