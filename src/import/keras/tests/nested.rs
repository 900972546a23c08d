//! Models as layers: their names, the numbers of their calls, limits, and what is refused.

use super::super::version::Version;
use super::{build, functional, input, keras3, layer, plain_nodes, reason_of, rnn, sequential};
use crate::Model;
use serde_json::{Value, json};

/// A functional model of one input and of layers with the nodes of each.
fn graph(name: &str, layers: Vec<(Value, Value)>, output: Value) -> Value {
    let mut listed = vec![input("x", json!([null, null, 2]))];
    listed.extend(layers.into_iter().map(|(mut layer, nodes)| {
        layer["inbound_nodes"] = nodes;
        layer
    }));
    json!({"class_name": "Functional", "name": name, "config": {"name": name, "layers": listed,
        "input_layers": [["x", 0, 0]], "output_layers": [output]}})
}

fn gru(name: &str) -> Value {
    layer("GRU", name, json!({"return_sequences": true, "reset_after": true}))
}

fn on(layer: &str, call: usize) -> Value {
    json!([[layer, call, 0, {}]])
}

/// A model that calls the one before twice, so many times in each other.
fn doubled(levels: usize) -> Value {
    let mut model = graph("m", vec![(gru("gru"), json!([on("x", 0)]))], json!(["gru", 0, 0]));
    for _ in 0..levels {
        let nodes = json!([on("x", 0), on("m", 0)]);
        model = graph("m", vec![(model, nodes)], json!(["m", 2, 0]));
    }
    model
}

fn model(config: Value) -> Model {
    keras3(config).unwrap()
}

#[test]
fn layers_are_named_behind_their_models() {
    let inner = sequential(json!([gru("a"), gru("b")]));
    let mut outer = sequential(json!([input("x", json!([null, 5, 2])), inner, gru("a")]));
    outer["config"]["layers"][1]["config"]["name"] = json!("inner");
    assert_eq!(model(outer.clone()).layer_names(), ["inner/a", "inner/b", "a"]);
    outer["config"]["layers"][1]["config"]["layers"][1]["config"]["units"] = json!(-3);
    assert!(reason_of(keras3(outer)).contains("\"inner/b\""));
}

#[test]
fn a_model_that_is_called_twice_has_one_set_of_weights() {
    let twice = model(doubled(3));
    assert_eq!(twice.layer_names(), ["m/m/m/gru"]);
    assert_eq!(twice.mask_origins(|_| false).calls.len(), 8);
}

#[test]
fn doubling_ends_at_a_limit() {
    let message = reason_of(keras3(doubled(30)));
    assert!(message.contains("KerasLimits::calls"), "{message}");
    let message = reason_of(keras3(doubled(40)));
    assert!(message.contains("models in models over 32 deep"), "{message}");
}

/// In Keras 2 the calls of a model begin with 1; in Keras 3 they do among the model's outputs.
#[test]
fn calls_of_models_are_numbered_as_each_keras_does() {
    let inner = graph("m", vec![(gru("gru"), json!([on("x", 0)]))], json!(["gru", 0, 0]));
    let outer = |read: usize, returned: usize| {
        let nodes = json!([on("x", 0), on("m", read)]);
        graph("top", vec![(inner.clone(), nodes)], json!(["m", returned, 0]))
    };
    for (version, [read, returned]) in
        [(Version::Keras2, [1, 2]), (Version::Keras3, [0, 2]), (Version::Unknown, [0, 2])]
    {
        let model = build(version, &outer(read, returned)).unwrap();
        assert_eq!(model.mask_origins(|_| false).calls.len(), 2, "{version:?}");
        assert!(build(version, &outer(read, returned + 1)).is_err(), "{version:?}");
        assert!(build(version, &outer(read + 2, returned)).is_err(), "{version:?}");
    }
    // Others are read, too, where they can mean only one call.
    assert!(build(Version::Keras2, &outer(0, 2)).is_ok());
}

/// A model in TimeDistributed on `[batch, 4, 5, 2]`.
fn timed(layers: Value) -> Value {
    let mut inner = sequential(layers);
    inner["config"]["name"] = json!("inner");
    let timed = json!({"class_name": "TimeDistributed", "config": {"name": "t", "layer": inner}});
    sequential(json!([input("x", json!([null, 4, 5, 2])), timed]))
}

#[test]
fn a_model_in_time_distributed_is_its_layers() {
    let rnn = layer("GRU", "gru", json!({"reset_after": true}));
    let both = model(timed(json!([gru("a"), rnn])));
    assert_eq!(both.layer_names(), ["t/a", "t/gru"]);
    assert!(both.layers().all(|layer| layer.class_name() == "TimeDistributed"));
}

#[test]
fn what_would_differ_in_time_distributed_is_refused() {
    let plain = |class: &str, arguments: Value| {
        let mut config = json!({"name": "odd"});
        for (key, value) in arguments.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        json!({"class_name": class, "config": config})
    };
    let cells = json!([{"class_name": "GRUCell", "config": {"units": 2, "activation": "tanh",
        "recurrent_activation": "sigmoid"}}]);
    let cells = json!([cells[0], cells[0]]);
    let state = json!({"cell": cells, "return_sequences": true, "return_state": true});
    let cases = [(plain("RNN", state), "several cells")];
    for (odd, expected) in cases {
        let message = reason_of(keras3(timed(json!([odd, gru("a")]))));
        assert!(message.contains(expected) && message.contains("\"t/odd\""), "{message}");
    }
}

#[test]
fn a_masked_recurrence_in_time_distributed_is_built() {
    let mut config = timed(json!([gru("a")]));
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    let masking = json!({"class_name": "Masking", "config": {"name": "mask", "mask_value": 0.0}});
    layers.insert(1, masking);
    assert!(keras3(config).is_ok());
}

#[test]
fn models_are_called_on_what_they_read() {
    let inner = graph("m", vec![(gru("gru"), json!([on("x", 0)]))], json!(["gru", 0, 0]));
    let call =
        |nodes: Value| reason_of(keras3(functional(inner.clone(), nodes, json!(["m", 0, 0]))));
    let message = call(json!([[["x", 0, 0, {}], ["h", 0, 0, {}]]]));
    assert!(message.contains("2 arrays") && message.contains("1 inputs"), "{message}");
    let message = call(json!([[["h", 0, 0, {}]]]));
    assert!(message.contains("put a Reshape before it"), "{message}");
    // A layer of its own of the same name isn't mixed up with the model's.
    assert!(keras3(functional(rnn(json!({})), plain_nodes(), json!(["rnn", 0, 0]))).is_ok());
}
