//! Thousands of damaged and hostile files, the same in every run: each loads or is an error, within
//! seconds and within bounded memory, and none panics.

use crate::files;
use crate::files::{Random, damage, unzip, with_member, zip};
use birnn::{Error, KerasLimits, Model};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use zip::CompressionMethod;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Good files of every format, and of many kinds of layers.
const SEEDS: [&str; 24] = [
    "keras/notebook_lstm2.keras",
    "keras/notebook_gru2_keras2.h5",
    "keras/notebook_lstm2_keras3.h5",
    "keras/names_odd_keras3.h5",
    "keras/names_swapped_keras2.h5",
    "keras/shared_chain.keras",
    "keras/stack12_rnn.keras",
    "keras/backward_layer_keras2.h5",
    "layers/layer_multi_head.keras",
    "layers/quantized_int4_groups_h5.h5",
    "layers/conv_lstm_bi_2d_sequences.keras",
    "layers/rnn_stacked_bi_gru_lstm_rnn.keras",
    "layers/mask_join_concatenate_both.keras",
    "layers/layer_prelu.keras",
    "layers/trained_tagger.keras",
    "layers/file_h5_layer_time_distributed_bi_lstm.h5",
    "layers/keras2_cells.h5",
    "layers/keras2_float64.h5",
    "layers/model_nested_several.keras",
    "layers/model_nested_graph_on_timesteps.keras",
    "layers/keras2_nested_shared.h5",
    "operations/keras3_taking.keras",
    "operations/keras3_layers_between.keras",
    "operations/keras2_shapes.h5",
];

/// A report on models of Keras's.
#[derive(Default)]
struct Report(files::Report);

impl Report {
    /// Loads a model, and looks at it.
    fn check(&mut self, name: &str, load: impl FnOnce() -> Result<Model, Error>, size: usize) {
        self.0.check(name, || load().map(|model| model.summary().to_string().len()), size);
    }

    fn file(&mut self, name: &str, bytes: Vec<u8>) {
        let size = bytes.len();
        self.check(name, || Model::from_keras_bytes("file", bytes), size);
    }

    fn config(&mut self, name: &str, config: &str) {
        self.check(name, || Model::from_keras_config(config), config.len());
    }
}

/// Calls `visit` on every value in a configuration.
fn each(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Object(object) => object.values_mut().for_each(|item| each(item, visit)),
        _ => {}
    }
}

fn truncated(report: &mut Report, seeds: &[(&str, Vec<u8>)]) {
    for (name, good) in seeds {
        for part in 0..24 {
            let end = good.len() * part / 24;
            report.file(&format!("{name} cut at {end}"), good[..end].to_vec());
        }
        let mut longer = good.clone();
        longer.extend_from_slice(&good[..good.len() / 2]);
        report.file(&format!("{name} and half of it again"), longer);
    }
}

/// The file itself, and what stands inside of an archive, so that the checksums of the archive
/// don't stop it.
fn flipped(report: &mut Report, seeds: &[(&str, Vec<u8>)], random: &mut Random) {
    for (name, good) in seeds {
        for number in 0..40 {
            let mut bytes = good.clone();
            damage(random, &mut bytes);
            report.file(&format!("{name} changed {number}"), bytes);
        }
        if name.ends_with(".keras") {
            let members = unzip(good);
            for (member, content) in &members {
                for number in 0..30 {
                    let mut content = content.clone();
                    damage(random, &mut content);
                    report.file(
                        &format!("{name}: {member} changed {number}"),
                        with_member(good, member, &content),
                    );
                }
            }
        }
    }
}

fn spliced(report: &mut Report, seeds: &[(&str, Vec<u8>)], random: &mut Random) {
    for (index, (name, good)) in seeds.iter().enumerate() {
        for number in 0..12 {
            let (other, from) = &seeds[(index + 1 + random.below(seeds.len() - 1)) % seeds.len()];
            let cut = random.below(good.len());
            let spliced = [&good[..cut], &from[cut.min(from.len())..]].concat();
            report.file(&format!("{name} and {other} from {cut} on, {number}"), spliced);
        }
    }
    // Weights of one model in the archive of another.
    let archives: Vec<_> = seeds.iter().filter(|(name, _)| name.ends_with(".keras")).collect();
    for (name, good) in &archives {
        for (other, from) in &archives {
            for member in ["model.weights.h5", "config.json", "metadata.json"] {
                let members = unzip(from);
                let content = &members.iter().find(|(found, _)| found == member).unwrap().1;
                report.file(
                    &format!("{name} with {member} of {other}"),
                    with_member(good, member, content),
                );
            }
        }
    }
}

fn changed_configurations(report: &mut Report, seeds: &[(&str, Vec<u8>)], random: &mut Random) {
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!(16_777_215),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("../../etc/passwd"),
        json!([]),
        json!({}),
        json!([u64::MAX, u64::MAX]),
        json!(["x", 0, 0]),
    ];
    for (name, good) in seeds.iter().filter(|(name, _)| name.ends_with(".keras")) {
        let config = unzip(good).into_iter().find(|(name, _)| name == "config.json").unwrap().1;
        let config: Value = serde_json::from_slice(&config).unwrap();
        let mut count = 0;
        each(&mut config.clone(), &mut |_| count += 1);
        for number in 0..30 {
            let (mut changed, place) = (config.clone(), random.below(count));
            let value = &odd[random.below(odd.len())];
            let mut index = 0;
            each(&mut changed, &mut |found| {
                if index == place {
                    *found = value.clone();
                }
                index += 1;
            });
            let bytes = with_member(good, "config.json", changed.to_string().as_bytes());
            report.file(&format!("{name}: value {place} is {value}, {number}"), bytes);
        }
    }
}

/// Small files that unpack to large ones, and headers that say what isn't true.
fn bombs(report: &mut Report, random: &mut Random) {
    let good = bytes("keras/notebook_lstm2.keras");
    let zeros = vec![0u8; 160 << 20];
    let spaces = vec![b' '; 64 << 20];
    let lists = [vec![b'['], b"[],".repeat(5 << 20), b"[]]".to_vec()].concat();
    let members = unzip(&good);
    for (member, content) in [
        ("model.weights.h5", &zeros),
        ("config.json", &zeros),
        ("config.json", &spaces),
        ("metadata.json", &spaces),
        ("config.json", &lists),
    ] {
        let replaced: Vec<_> = members
            .iter()
            .map(|(name, old)| {
                (name.as_str(), if name == member { content.as_slice() } else { old.as_slice() })
            })
            .collect();
        let bomb = zip(&replaced, CompressionMethod::Deflated);
        assert!(bomb.len() < 1 << 20, "a small file");
        report.file(&format!("{member} of {} MiB", content.len() >> 20), bomb);
    }
    // Sizes, offsets and counts in the headers of the archive.
    let signatures: [&[u8]; 3] = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"];
    let headers: Vec<usize> = (0..good.len() - 4)
        .filter(|&i| signatures.iter().any(|signature| good[i..].starts_with(signature)))
        .collect();
    for number in 0..100 {
        let mut bytes = good.clone();
        let place =
            (headers[random.below(headers.len())] + 4 + random.below(42)).min(bytes.len() - 4);
        bytes[place..place + 4]
            .copy_from_slice(&[0u32, 1, 0x7FFF_FFFF, u32::MAX][random.below(4)].to_le_bytes());
        report.file(&format!("header field {place} of the archive, {number}"), bytes);
    }
    // The same member twice, none, and names that lead elsewhere.
    let weights = &members.iter().find(|(name, _)| name == "model.weights.h5").unwrap().1;
    let config = &members.iter().find(|(name, _)| name == "config.json").unwrap().1;
    for name in [
        "../config.json",
        "/config.json",
        "config.json/",
        "a/../config.json",
        "config.json\0",
        "",
        "CON",
        "C:\\x",
    ] {
        let archive =
            zip(&[(name, config), ("model.weights.h5", weights)], CompressionMethod::Stored);
        report.file(&format!("an archive with {name:?}"), archive);
    }
    report.file("an empty archive", zip(&[], CompressionMethod::Stored));
}

fn sequential(layers: Value) -> Value {
    let config = json!({"name": "m", "layers": layers});
    json!({"class_name": "Sequential", "keras_version": "3.15.1", "config": config})
}

fn layer(class: &str, config: Value) -> Value {
    let mut config = config;
    config["name"] = json!(class.to_lowercase());
    json!({"class_name": class, "config": config})
}

/// Sizes whose products are beyond any memory, or beyond 64 bits.
fn huge_sizes(report: &mut Report) {
    let most = (1u64 << 24) - 1;
    for size in [most, most + 1, u64::from(u32::MAX), u64::MAX] {
        for input in [
            json!([null, null, 2]),
            json!([null, size, 2]),
            json!([null, size, size]),
            json!([size, 4, 4, size]),
        ] {
            let one = |class: &str, config: Value| vec![layer(class, config)];
            let lists = [
                one(
                    "LSTM",
                    json!({"units": size, "activation": "tanh", "recurrent_activation": "sigmoid"}),
                ),
                one("Dense", json!({"units": size, "activation": "glu"})),
                one("Embedding", json!({"input_dim": size, "output_dim": size})),
                one(
                    "Conv1D",
                    json!({"filters": size, "kernel_size": [size], "strides": [size],
                        "activation": "relu"}),
                ),
                one(
                    "Conv1D",
                    json!({"filters": size, "kernel_size": [2], "dilation_rate": [size],
                        "activation": null}),
                ),
                one(
                    "MultiHeadAttention",
                    json!({"num_heads": size, "key_dim": size, "value_dim": size}),
                ),
                one(
                    "ConvLSTM1D",
                    json!({"filters": size, "kernel_size": [size], "padding": "same",
                        "strides": size, "activation": "tanh", "recurrent_activation": "sigmoid"}),
                ),
                one("RepeatVector", json!({"n": size})),
                one("UpSampling1D", json!({"size": size})),
                one("ZeroPadding1D", json!({"padding": [size, size]})),
                one("Cropping1D", json!({"cropping": [size, size]})),
                one(
                    "MaxPooling1D",
                    json!({"pool_size": [size], "strides": [size], "padding": "same"}),
                ),
                one("Reshape", json!({"target_shape": [size, size, size, size, -1]})),
                one("Permute", json!({"dims": [size, 1]})),
                one("LayerNormalization", json!({"axis": [size], "epsilon": 1e300})),
                one("PReLU", json!({"shared_axes": [size]})),
                vec![
                    layer("UpSampling1D", json!({"size": size})),
                    layer("ZeroPadding1D", json!({"padding": size})),
                    layer("Flatten", json!({})),
                    layer("Dense", json!({"units": size, "activation": "linear"})),
                ],
            ];
            for mut layers in lists {
                let name = format!("{} of {size} on {input}", layers[0]["class_name"]);
                layers.insert(0, layer("InputLayer", json!({"batch_shape": input})));
                report.config(&name, &sequential(json!(layers)).to_string());
            }
        }
    }
}

/// A functional model of SimpleRNNs: `inbound` says what each one reads.
fn functional(count: usize, inbound: impl Fn(usize) -> Value, output: usize) -> Value {
    let name = |index: usize| format!("l{index}");
    let mut layers = vec![json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"name": "x", "batch_input_shape": [null, null, 2]}})];
    layers.extend((0..count).map(|index| {
        json!({"class_name": "Add", "name": name(index), "config": {"name": name(index)},
            "inbound_nodes": inbound(index)})
    }));
    let config = json!({"name": "m", "layers": layers, "input_layers": [["x", 0, 0]],
        "output_layers": [[name(output), 0, 0]]});
    json!({"class_name": "Functional", "keras_version": "2.15.0", "config": config})
}

fn graphs(report: &mut Report) {
    let l = |index: usize| json!([format!("l{index}"), 0, 0, {}]);
    let x = || json!(["x", 0, 0, {}]);
    for count in [1, 2, 3, 10, 100, 1000, 4000] {
        let last = count - 1;
        let ring = functional(count, |i| json!([[l((i + 1) % count), x()]]), last);
        report.config(&format!("a ring of {count}"), &ring.to_string());
        let chain =
            functional(count, |i| json!([[if i == 0 { x() } else { l(i - 1) }, x()]]), last);
        report.config(&format!("a chain of {count}"), &chain.to_string());
        let backwards =
            functional(count, |i| json!([[if i == last { x() } else { l(i + 1) }, x()]]), 0);
        report.config(&format!("a chain of {count}, the last first"), &backwards.to_string());
        // Two ways to each one before: 2^count ways in all.
        let diamonds = functional(
            count,
            |i| if i == 0 { json!([[x(), x()]]) } else { json!([[l(i - 1), l(i - 1)]]) },
            last,
        );
        report.config(&format!("{count} diamonds"), &diamonds.to_string());
        let nothing = functional(count, |_| json!([]), last);
        report.config(&format!("{count} that are never called"), &nothing.to_string());
        let nobody = functional(
            count,
            |_| json!([[["nobody", 0, 0, {}], ["l0", usize::MAX, usize::MAX, {}]]]),
            last,
        );
        report.config(&format!("{count} that read what isn't there"), &nobody.to_string());
    }
    for count in [2, 50, 400] {
        let all = functional(
            count,
            |i| json!([(0..i).map(l).chain([x(), x()]).collect::<Vec<_>>()]),
            count - 1,
        );
        report.config(&format!("{count} that read all before"), &all.to_string());
        let calls = functional(1, |_| json!(vec![json!([x(), x()]); count * 200]), 0);
        report.config(&format!("{} calls of one", count * 200), &calls.to_string());
    }
}

/// A functional model of operations of Keras 3: `args` and `config` say what each one reads.
fn operations(class: &str, count: usize, args: impl Fn(usize) -> Value, config: Value) -> Value {
    let name = |index: usize| format!("o{index}");
    let mut layers = vec![json!({"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
        "config": {"name": "x", "batch_shape": [null, null, 2], "dtype": "float32"}})];
    layers.extend((0..count).map(|index| {
        let mut config = config.clone();
        config["name"] = json!(name(index));
        json!({"class_name": class, "module": "keras.src.ops.numpy", "name": name(index),
            "config": config, "inbound_nodes": [{"args": args(index), "kwargs": {}}]})
    }));
    let last = name(count - 1);
    json!({"class_name": "Functional", "keras_version": "3.15.1", "config": {"name": "m",
        "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[last, 0, 0]]}})
}

fn tensor(name: String) -> Value {
    json!({"class_name": "__keras_tensor__",
        "config": {"shape": [], "dtype": "float32", "keras_history": [name, 0, 0]}})
}

/// Operations with arguments that can't be, and so many that each has to cost little.
fn of_operations(report: &mut Report) {
    let x = || tensor("x".to_string());
    let numbers = [
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1),
        json!(7),
        json!(0),
        json!(true),
        json!("axis"),
        json!({}),
        json!([]),
        json!([[]]),
        json!([1, [2]]),
        json!([i64::MAX, i64::MAX]),
        json!([-1, -1, -1]),
        json!(vec![2; 70]),
        json!(vec![100_000; 20]),
        Value::Null,
    ];
    let arguments = [
        ("ExpandDims", "axis"),
        ("Squeeze", "axis"),
        ("Reshape", "newshape"),
        ("Transpose", "axes"),
        ("Flip", "axis"),
        ("Tile", "repeats"),
        ("Roll", "shift"),
        ("Split", "indices_or_sections"),
        ("BroadcastTo", "shape"),
        ("Pad", "pad_width"),
        ("Sum", "axis"),
        ("Argmax", "axis"),
        ("Cumsum", "axis"),
        ("OneHot", "num_classes"),
        ("Tril", "k"),
        ("Diff", "n"),
        ("Norm", "ord"),
        ("Take", "axis"),
        ("Tensordot", "axes"),
        ("Einsum", "subscripts"),
        ("Moveaxis", "source"),
        ("Unstack", "num"),
        ("Stack", "axis"),
        ("Softmax", "axis"),
        ("Repeat", "repeats"),
    ];
    for (class, argument) in arguments {
        for number in &numbers {
            for axis in [json!(1), json!(-1), json!(i64::MIN), Value::Null] {
                let mut config = json!({"axis": axis, "destination": 1});
                config[argument] = number.clone();
                for args in [json!([x()]), json!([x(), x()]), json!([]), json!([x(), number])] {
                    let model = operations(class, 1, |_| args.clone(), config.clone());
                    report.config(&format!("{class} {argument}={number}"), &model.to_string());
                }
            }
        }
    }
    let slice = |start: &Value, stop: &Value, step: &Value| {
        let config = json!({"start": start, "stop": stop, "step": step});
        json!({"class_name": "__slice__", "config": config})
    };
    for number in &numbers {
        let keys = [
            number.clone(),
            json!([number, number]),
            json!([slice(number, number, number), slice(&json!(0), number, &json!(0))]),
            json!([slice(&json!(1), &json!(0), number), number]),
            json!([{"class_name": "__ellipsis__"}, {"class_name": "__ellipsis__"}, number]),
            json!([x(), x()]),
            json!([[number, number], null, [0, 9_999_999]]),
            json!(vec![Value::Null; 100]),
        ];
        for key in keys {
            let model = operations("GetItem", 1, |_| json!([x(), key]), json!({}));
            report.config(&format!("x[{key}]"), &model.to_string());
        }
    }
    let before = |i: usize| if i == 0 { x() } else { tensor(format!("o{}", i - 1)) };
    for count in [2, 60, 70, 1000, 4000] {
        let chains = [
            ("Add", json!({}), true),
            ("Tanh", json!({}), false),
            ("Transpose", json!({"axes": [1, 0, 2]}), false),
            ("OneHot", json!({"num_classes": 32_768}), false),
            ("Cumsum", json!({"axis": 1}), false),
            ("Roll", json!({"shift": 3, "axis": 1}), false),
            ("Repeat", json!({"repeats": 2, "axis": 1}), false),
            ("ExpandDims", json!({"axis": 1}), false),
            ("Swapaxes", json!({"axis1": 1, "axis2": -1}), false),
            ("Full", json!({"shape": [30_000]}), false),
        ];
        for (class, config, twice) in chains {
            let args = |i| if twice { json!([before(i), before(i)]) } else { json!([before(i)]) };
            let model = operations(class, count, args, config.clone());
            report.config(&format!("a chain of {count} {class}"), &model.to_string());
            let args = |_| if twice { json!([x(), x()]) } else { json!([x()]) };
            let model = operations(class, count, args, config);
            report.config(&format!("{count} times {class}"), &model.to_string());
        }
        // What has no batch is computed again for everybody.
        let table = json!(vec![0.5; 20_000]);
        let args = |i| match i {
            0 => json!([table, table]),
            _ => json!([x(), tensor("o0".to_string())]),
        };
        let model = operations("Add", count, args, json!({}));
        report.config(&format!("{count} that read a table"), &model.to_string());
    }
}

fn nesting(report: &mut Report) {
    for depth in [1, 10, 60, 100, 127, 128, 1000, 100_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"config\":", "}"), ("{\"a\":[", "]}")] {
            let text = [open.repeat(depth), "1".to_string(), close.repeat(depth)].concat();
            report.config(&format!("{depth} times {open}"), &text);
            report.config(&format!("{depth} times {open}, left open"), &open.repeat(depth));
            let layers =
                format!(r#"{{"class_name":"Sequential","config":{{"name":"m","layers":{text}}}}}"#);
            report.config(&format!("{depth} times {open} for layers"), &layers);
        }
    }
    for depth in [1, 5, 20, 50, 55, 200] {
        for (wrapper, class) in [
            ("TimeDistributed", "Dense"),
            ("TimeDistributed", "LSTM"),
            ("Bidirectional", "GRU"),
            ("RNN", "LSTMCell"),
        ] {
            let gates =
                json!({"units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"});
            let mut inside = layer(class, gates);
            for _ in 0..depth {
                let argument = if wrapper == "RNN" { "cell" } else { "layer" };
                let class = if wrapper == "RNN" { "StackedRNNCells" } else { wrapper };
                let argument = if class == "StackedRNNCells" { "cells" } else { argument };
                let value = if argument == "cells" { json!([inside]) } else { inside };
                inside = layer(class, json!({argument: value}));
            }
            if wrapper == "RNN" {
                inside = layer("RNN", json!({"cell": inside}));
            }
            let mut shape = vec![json!(null); depth.min(14) + 2];
            shape.push(json!(3));
            let layers = json!([layer("InputLayer", json!({"batch_shape": shape})), inside]);
            report.config(
                &format!("{depth} times {wrapper} around {class}"),
                &sequential(layers).to_string(),
            );
        }
    }
}

/// Names that would lead elsewhere, were they paths, in a model whose weights are looked up by
/// them.
fn names(report: &mut Report) {
    let long = "n".repeat(1 << 20);
    let names = [
        "..",
        "../..",
        "/",
        "//",
        "a/b",
        "/etc/passwd",
        "layers/..",
        ".",
        "",
        " ",
        "\u{0}",
        "\u{202e}",
        "%s",
        "C:\\",
        "model_weights",
        "a\nb",
        "\"",
        "😀",
        &long,
    ];
    for seed in ["keras/notebook_lstm2.keras", "layers/trained_tagger.keras"] {
        let good = bytes(seed);
        let config = unzip(&good).into_iter().find(|(name, _)| name == "config.json").unwrap().1;
        let config = String::from_utf8(config).unwrap();
        for name in names {
            for old in ["bidirectional", "input_layer", "forward_lstm", "lstm"] {
                let escaped = serde_json::to_string(name).unwrap();
                let changed = config.replace(&format!("\"{old}\""), &escaped);
                let shown: String = name.chars().take(20).collect();
                report.file(
                    &format!("{seed}: {old} is {shown:?}"),
                    with_member(&good, "config.json", changed.as_bytes()),
                );
            }
        }
    }
}

/// Well-formed HDF5 that asks for too much: links in a circle or out of the file, zeros packed a
/// thousand to one.
fn hdf5(report: &mut Report, random: &mut Random) {
    let mut files: Vec<_> = std::fs::read_dir(fixtures().join("hostile"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 18);
    for path in files {
        let good = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().to_string();
        report.file(&name, good.clone());
        for number in 0..20 {
            let mut bytes = good.clone();
            damage(random, &mut bytes);
            report.file(&format!("{name} changed {number}"), bytes);
        }
    }
}

/// Weights alone, damaged, into a good model.
fn weights_alone(report: &mut Report, random: &mut Random) {
    let seed = "layers/file_weights_rnn_stacked_gru_lstm_rnn_seq_state";
    let config = String::from_utf8(bytes(&format!("{seed}.json"))).unwrap();
    let good = bytes(&format!("{seed}.weights.h5"));
    for number in 0..100 {
        let mut weights = good.clone();
        damage(random, &mut weights);
        if random.below(4) == 0 {
            weights.truncate(random.below(good.len()));
        }
        let size = weights.len() + config.len();
        let load = || {
            let mut model = Model::from_keras_config(&config)?;
            model.load_keras_weights_bytes("weights", weights)?;
            Ok(model)
        };
        report.check(&format!("weights alone, changed {number}"), load, size);
    }
}

fn corpus() -> Report {
    let mut report = Report::default();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let seeds: Vec<_> = SEEDS.iter().map(|name| (*name, bytes(name))).collect();
    for (name, good) in &seeds {
        report.file(name, good.clone());
    }
    assert_eq!(report.0.loaded, SEEDS.len(), "the seeds themselves load");
    truncated(&mut report, &seeds);
    flipped(&mut report, &seeds, &mut random);
    spliced(&mut report, &seeds, &mut random);
    changed_configurations(&mut report, &seeds, &mut random);
    bombs(&mut report, &mut random);
    huge_sizes(&mut report);
    graphs(&mut report);
    of_operations(&mut report);
    nesting(&mut report);
    names(&mut report);
    hdf5(&mut report, &mut random);
    weights_alone(&mut report, &mut random);
    report
}

#[test]
fn thousands_of_hostile_files_are_errors_or_models() {
    files::passes(|| corpus().0, 2000);
}

#[track_caller]
fn says(result: Result<Model, Error>, words: &str) {
    match result {
        Err(e @ Error::MalformedFile { .. }) => assert!(e.to_string().contains(words), "{e}"),
        other => panic!("{other:?}"),
    }
}

/// Each limit is named by the error, and can be raised.
#[test]
fn limits_are_named_and_adjustable() {
    let path = fixtures().join("keras/notebook_lstm2.keras");
    let limits = KerasLimits::new;
    assert!(limits().load(&path).is_ok());
    says(limits().file_bytes(1000).load(&path), "KerasLimits::file_bytes");
    says(limits().unpacked_bytes(1000).load(&path), "KerasLimits::unpacked_bytes");
    says(limits().config_bytes(100).load(&path), "KerasLimits::config_bytes");
    says(limits().config_values(20).load(&path), "KerasLimits::config_values");
    says(limits().layers(1).load(&path), "KerasLimits::layers");
    let shared = fixtures().join("keras/shared_chain.keras");
    says(limits().calls(1).load(&shared), "KerasLimits::calls");
    let report = limits().layers(2).inspect(&path).unwrap();
    assert!(report.model.is_ok());

    // 144 MB of zeros in 150 KB: sound, but more than a file of this size may unpack to.
    let zeros = fixtures().join("hostile/deflated_zeros.h5");
    says(limits().load(&zeros), "KerasLimits::unpacked_bytes");
    let model = limits().unpacked_bytes(300 << 20).load(&zeros).unwrap();
    assert_eq!(model.weights("rnn").unwrap()[1].shape(), [6000, 6000]);
}

/// Scales, packed numbers and groups that don't belong to the weight beside them.
#[test]
fn what_does_not_fit_a_quantized_weight_is_named() {
    for (name, words) in [
        ("quantized_packing", ["dense", "kernel is quantized and has shape [3, 3]"]),
        ("quantized_scales", ["dense", "kernel has 3 scales, and 4 are needed"]),
        ("quantized_zero_scale", ["dense", "kernel holds inf"]),
        ("quantized_groups", ["dense", "kernel has a group 2, and there are 2"]),
        ("quantized_zeros", ["dense", "which don't fit each other"]),
        ("quantized_floats", ["dense", "has a scale, but isn't of whole numbers"]),
    ] {
        let error = Model::from_keras(fixtures().join(format!("hostile/{name}.h5"))).unwrap_err();
        let is_typed = matches!(error, Error::MalformedFile { .. } | Error::NonFiniteWeight { .. });
        assert!(is_typed, "{name}: {error:?}");
        assert!(words.iter().all(|word| error.to_string().contains(word)), "{name}: {error}");
    }
}

/// A file can name others; they are not read.
#[test]
fn links_out_of_the_file_are_not_followed() {
    for name in [
        "external_link",
        "external_storage",
        "soft_link_to_nothing",
        "soft_link_to_itself",
        "soft_links_in_a_circle",
    ] {
        let error = Model::from_keras(fixtures().join(format!("hostile/{name}.h5"))).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{name}: {error}");
        assert!(error.to_string().contains("kernel"), "{name}: {error}");
    }
}
