//! `docs/arguments.md` says what is true: each of its examples is loaded, and changes the result or
//! doesn't, as it says; and it leaves out nothing that Keras declares.

use birnn::{Device, Error, Model};
use ndarray::{Array3, ArrayD};
use serde_json::{Value, json};

struct Row {
    class: String,
    argument: String,
    default: String,
    state: String,
    example: Value,
}

fn rows() -> Vec<Row> {
    let text = include_str!("../../docs/arguments.md");
    let constructor =
        text.split("## Constructor").nth(1).and_then(|rest| rest.split("## Call").next()).unwrap();
    let table =
        constructor.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Class"));
    table
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').splitn(5, '|').map(str::trim).collect();
            let example = cells[4].trim_matches('`');
            Row {
                class: cells[0].into(),
                argument: cells[1].into(),
                default: cells[2].trim_matches('`').into(),
                state: cells[3].into(),
                example: serde_json::from_str(example).unwrap_or_else(|e| panic!("{example}: {e}")),
            }
        })
        .collect()
}

/// What real Keras declares.
fn declared() -> Value {
    serde_json::from_str(include_str!("../fixtures/layers/arguments.json")).unwrap()
}

/// A layer with as few arguments as it needs.
fn plain(class: &str) -> Value {
    let gates = json!({
        "units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": true,
    });
    let gru = json!({"class_name": "GRU", "config": gates});
    match class {
        "StackedRNNCells" => json!({"cells": [{"class_name": "GRUCell", "config": gates}]}),
        "RNN" => json!({"cell": {"class_name": "GRUCell", "config": gates}}),
        "Bidirectional" => json!({"layer": gru}),
        "TimeDistributed" => {
            let config = json!({"name": "a", "activation": "tanh"});
            json!({"layer": {"class_name": "Activation", "config": config}})
        }
        "Masking" => json!({}),
        "GRU" => gates,
        "LSTM" => json!({"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid"}),
        _ => json!({"units": 4, "activation": "tanh"}),
    }
}

/// The layer behind a Masking. A Masking itself is followed by a layer that shows the mask.
fn load(class: &str, argument: Option<(&str, &Value)>) -> Result<Model, Error> {
    let mut config = plain(class);
    config["name"] = "tested".into();
    if let Some((name, value)) = argument {
        config[name.split(' ').next().unwrap()] = value.clone();
    }
    let mut layer = json!({"class_name": class, "config": config});
    if class == "StackedRNNCells" {
        layer = json!({"class_name": "RNN", "config": {"name": "tested", "cell": layer}});
    }
    let masking = json!({"name": "masking", "batch_input_shape": [null, 6, 3]});
    let input = json!({"class_name": "Masking", "config": masking});
    let shows = json!({"name": "shows", "units": 2, "activation": "tanh"});
    let shows = json!({"class_name": "SimpleRNN", "config": shows});
    let layers = if class == "Masking" {
        let mut first = layer;
        first["config"]["batch_input_shape"] = json!([null, 6, 3]);
        vec![first, shows]
    } else {
        vec![input, layer]
    };
    // A Keras 2 file has hard_sigmoid's and the masks' older rules; both are meant here the same.
    let config = json!({"name": "m", "layers": layers});
    let model = json!({"class_name": "Sequential", "keras_version": "2.15.0", "config": config});
    Model::from_keras_config(&model.to_string())
}

/// The outputs of two calls.
fn results(model: &Model) -> Vec<ArrayD<f32>> {
    let model = with_weights(model.clone());
    let mut session = Device::cpu().compile(&model).unwrap();
    let mut x =
        Array3::from_shape_fn((2, 6, 3), |(i, j, k)| ((i * 7 + j * 3 + k) as f32 * 0.7).sin());
    x.slice_mut(ndarray::s![0, 4.., ..]).fill(0.0); // masked
    x.slice_mut(ndarray::s![1, 2, ..]).fill(0.5); // what another mask_value masks
    let mut outputs = Vec::new();
    for _ in 0..2 {
        outputs.extend(
            session.run(x.view()).unwrap().list().iter().map(|output| output.array.clone()),
        );
    }
    outputs
}

/// Weights that don't depend on initializers, biases among them.
fn with_weights(model: Model) -> Model {
    let mut model = model.initialize(1).unwrap();
    for name in model.layer_names() {
        let arrays = model.weights(&name).unwrap();
        let filled = arrays.iter().map(|array| {
            let mut number = 0.0f32;
            array.mapv(|_| {
                number += 1.0;
                (number * 1.3).sin() * 0.8
            })
        });
        model.set_weights(&name, filled.collect::<Vec<_>>()).unwrap();
    }
    model
}

#[test]
fn every_example_is_what_the_table_says() {
    let rows = rows();
    assert!(rows.len() > 90, "{} rows", rows.len());
    let mut wrong = Vec::new();
    for Row { class, argument, state, example, .. } in &rows {
        let row = format!("{class} {argument} {example}");
        let name = argument.split(' ').next().unwrap();
        let found = load(class, Some((argument, example)));
        let usual = || results(&load(class, None).unwrap());
        match (state.as_str(), found) {
            ("error", Err(e))
                if e.to_string().contains(name) || e.to_string().contains("not supported") => {}
            ("error", Err(e)) => wrong.push(format!("{row}: {e}")),
            ("supported", Ok(ref model)) if results(model) != usual() => {}
            ("no effect", Ok(ref model)) if results(model) == usual() => {}
            (_, Err(e)) => wrong.push(format!("{row}: {e}")),
            (_, Ok(_)) => wrong.push(format!("{row} is not {state}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every argument that Keras declares has a row with its default.
#[test]
fn every_argument_of_keras_is_in_the_table() {
    let (rows, declared) = (rows(), declared());
    let call = include_str!("../../docs/arguments.md")
        .split("## Call")
        .nth(1)
        .unwrap()
        .split("##")
        .next()
        .unwrap();
    let mut missing = Vec::new();
    for (class, arguments) in declared["classes"].as_object().unwrap() {
        // A cell has the arguments of its layer.
        let row_class = class.strip_suffix("Cell").unwrap_or(class);
        for (argument, default) in arguments["constructor"].as_object().unwrap() {
            let fits = |row: &&Row| {
                row.class == row_class && row.argument.split(' ').next() == Some(argument)
            };
            match rows.iter().find(fits) {
                Some(row) if default == row.default.as_str() => {}
                Some(row) => {
                    missing.push(format!("{class} {argument}: {} is not {default}", row.default))
                }
                None => missing.push(format!("{class} {argument}")),
            }
        }
        let is_cell = class.contains("Cell"); // only its layer calls it
        let names = arguments["call"].as_object().unwrap().keys().filter(|_| !is_cell);
        let listed = |argument: &&String| {
            call.lines()
                .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
                .any(|cells| {
                    let has = |index: usize, word: &str| {
                        cells
                            .get(index)
                            .is_some_and(|cell| cell.split(", ").any(|found| found == word))
                    };
                    (has(0, class) || has(0, "all")) && has(1, argument)
                })
        };
        missing.extend(
            names
                .filter(|argument| !listed(argument))
                .map(|argument| format!("{class} call {argument}")),
        );
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

/// The table of activations is Keras's list; each loads or is refused as it says, and of those that
/// load there is a model that real Keras computed.
#[test]
fn every_activation_of_keras_is_in_the_table() {
    let text = include_str!("../../docs/arguments.md").split("## Activations").nth(1).unwrap();
    let lines = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Name"));
    let rows: Vec<Vec<&str>> =
        lines.map(|line| line.trim_matches('|').splitn(4, '|').map(str::trim).collect()).collect();
    let names: Vec<&str> = rows.iter().map(|cells| cells[0]).collect();
    assert_eq!(json!(names), declared()["activations"]);

    let cases: Value = serde_json::from_str(include_str!("../fixtures/layers/cases.json")).unwrap();
    let compared = |layers: &[&str], feature: String| {
        let has = |case: &Value| {
            let features = case["features"].as_array().unwrap();
            layers.contains(&case["layer"].as_str().unwrap()) && features.contains(&json!(feature))
        };
        cases["cases"].as_array().unwrap().iter().any(has)
    };
    let loads = |layer: Value| {
        let mut layer = layer;
        layer["config"]["name"] = json!("tested");
        layer["config"]["batch_input_shape"] = json!([null, 6, 4]);
        let layers = json!({"name": "m", "layers": [layer]});
        let model =
            json!({"class_name": "Sequential", "keras_version": "3.15.1", "config": layers});
        match Model::from_keras_config(&model.to_string()) {
            Ok(_) => "supported",
            Err(Error::UnsupportedArgument { layer, .. }) if layer == "tested" => "error",
            Err(e) => panic!("{e}"),
        }
    };
    for cells in &rows {
        let (name, layer, recurrent) = (cells[0], cells[1], cells[2]);
        // Another name of the same function, which Keras doesn't write.
        let stored = match name {
            "swish" => "silu",
            "hard_swish" => "hard_silu",
            name => name,
        };
        assert_eq!(
            loads(json!({"class_name": "Dense", "config": {"units": 4, "activation": name}})),
            layer,
            "{name}"
        );
        assert_eq!(
            loads(json!({"class_name": "Activation", "config": {"activation": name}})),
            layer,
            "{name}"
        );
        let conv = json!({"filters": 4, "kernel_size": 2, "activation": name});
        assert_eq!(loads(json!({"class_name": "Conv1D", "config": conv})), layer, "{name}");
        for class in ["LSTM", "GRU"] {
            let config = json!({"units": 4, "activation": name, "recurrent_activation": "sigmoid"});
            assert_eq!(
                loads(json!({"class_name": class, "config": config})),
                recurrent,
                "{class} {name}"
            );
            let config = json!({"units": 4, "activation": "tanh", "recurrent_activation": name});
            assert_eq!(
                loads(json!({"class_name": class, "config": config})),
                recurrent,
                "{class} {name}"
            );
            for argument in
                ["activation", "recurrent_activation"].iter().filter(|_| recurrent == "supported")
            {
                assert!(
                    compared(&[class], format!("{argument}: {stored}")),
                    "{class} {argument} {name}"
                );
            }
        }
        if layer == "supported" {
            assert!(compared(&["Dense", "Activation"], format!("activation: {stored}")), "{name}");
        }
    }
}
