//! `docs/ARGUMENTS.md` says what is true: each of its examples is loaded, and changes the result or doesn't, as it says.
#![cfg(feature = "keras")]

use birnn::{Device, Error, Model};
use ndarray::{Array3, ArrayD};
use serde_json::{Value, json};

struct Row {
    class: String,
    argument: String,
    state: String,
    example: Value,
}

fn rows() -> Vec<Row> {
    let text = include_str!("../docs/ARGUMENTS.md");
    let constructor = text.split("## Constructor").nth(1).and_then(|rest| rest.split("## Call").next()).unwrap();
    let table = constructor.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| Class"));
    table
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').splitn(4, '|').map(str::trim).collect();
            let example = cells[3].trim_matches('`');
            Row {
                class: cells[0].into(),
                argument: cells[1].into(),
                state: cells[2].into(),
                example: serde_json::from_str(example).unwrap_or_else(|e| panic!("{example}: {e}")),
            }
        })
        .collect()
}

/// A layer with as few arguments as it needs.
fn plain(class: &str) -> Value {
    let gates = json!({"units": 4, "activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": true});
    let gru = json!({"class_name": "GRU", "config": gates});
    match class {
        "RNN" => json!({"cell": {"class_name": "GRUCell", "config": gates}}),
        "Bidirectional" => json!({"layer": gru}),
        "TimeDistributed" => {
            json!({"layer": {"class_name": "Activation", "config": {"name": "a", "activation": "tanh"}}})
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
    let layer = json!({"class_name": class, "config": config});
    let input = json!({"class_name": "Masking", "config": {"name": "masking", "batch_input_shape": [null, 6, 3]}});
    let shows = json!({"class_name": "SimpleRNN", "config": {"name": "shows", "units": 2, "activation": "tanh"}});
    let layers = if class == "Masking" {
        let mut first = layer;
        first["config"]["batch_input_shape"] = json!([null, 6, 3]);
        vec![first, shows]
    } else {
        vec![input, layer]
    };
    // A Keras 2 file has hard_sigmoid's and the masks' older rules; both are meant here the same.
    let model =
        json!({"class_name": "Sequential", "keras_version": "2.15.0", "config": {"name": "m", "layers": layers}});
    Model::from_keras_config(&model.to_string())
}

/// The outputs of two calls.
fn results(model: &Model) -> Vec<ArrayD<f32>> {
    let model = with_weights(model.clone());
    let mut session = Device::cpu().compile(&model).unwrap();
    let mut x = Array3::from_shape_fn((2, 6, 3), |(i, j, k)| ((i * 7 + j * 3 + k) as f32 * 0.7).sin());
    x.slice_mut(ndarray::s![0, 4.., ..]).fill(0.0); // masked
    x.slice_mut(ndarray::s![1, 2, ..]).fill(0.5); // what another mask_value masks
    let mut outputs = Vec::new();
    for _ in 0..2 {
        outputs.extend(session.run(x.view()).unwrap().list().iter().map(|output| output.array.clone()));
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
    for Row { class, argument, state, example } in &rows {
        let row = format!("{class} {argument} {example}");
        let name = argument.split(' ').next().unwrap();
        let found = load(class, Some((argument, example)));
        let usual = || results(&load(class, None).unwrap());
        match (state.as_str(), found) {
            ("error", Err(e)) if e.to_string().contains(name) || e.to_string().contains("not supported") => {}
            ("error", Err(e)) => wrong.push(format!("{row}: {e}")),
            ("supported", Ok(ref model)) if results(model) != usual() => {}
            ("no effect", Ok(ref model)) if results(model) == usual() => {}
            (_, Err(e)) => wrong.push(format!("{row}: {e}")),
            (_, Ok(_)) => wrong.push(format!("{row} is not {state}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
