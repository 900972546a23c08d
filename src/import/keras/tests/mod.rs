//! The odd forms that a configuration can have, without files.

mod classes;
mod nested;
mod operations;

use super::custom::Registry;
use super::limits::KerasLimits;
use super::load::network;
use super::version::Version;
use super::{entry, hdf5};
use crate::{Activation, Error, Layer, Model, Result};
use serde_json::{Value, json};

fn build(version: Version, config: &Value) -> Result<Model> {
    let limits = KerasLimits::new();
    let registry = Registry::default();
    let entries = entry::entries("test", config, limits.layers, &registry)?;
    network("test", version, config, &entries, &limits).map(|(model, _)| model)
}

fn keras2(config: Value) -> Result<Model> {
    build(Version::Keras2, &config)
}

fn keras3(config: Value) -> Result<Model> {
    build(Version::Keras3, &config)
}

/// A layer with `extra` arguments over the least that Keras writes.
fn layer(class: &str, name: &str, extra: Value) -> Value {
    let mut config =
        json!({"name": name, "units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"});
    if class == "SimpleRNN" || class == "Bidirectional" || class == "InputLayer" {
        config = json!({"name": name, "units": 2, "activation": "tanh"});
    }
    if class == "Bidirectional" || class == "InputLayer" {
        config = json!({"name": name});
    }
    for (key, value) in extra.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({"class_name": class, "config": config})
}

fn input(name: &str, shape: Value) -> Value {
    layer("InputLayer", name, json!({"batch_shape": shape, "dtype": "float32"}))
}

/// An operation of Keras 3.
fn operation(class: &str, name: &str, args: Value, extra: Value) -> Value {
    let mut config = json!({"name": name});
    for (key, value) in extra.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({"module": "keras.src.ops.numpy", "class_name": class, "config": config, "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}]})
}

fn sequential(layers: Value) -> Value {
    json!({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
}

/// A functional model of inputs `x` (sequence), `h` (state) and of one layer, called as `nodes`
/// says.
fn functional(layer: Value, nodes: Value, outputs: Value) -> Value {
    let mut layer = layer;
    layer["inbound_nodes"] = nodes;
    let layers = json!([input("x", json!([null, null, 3])), input("h", json!([null, 2])), layer]);
    let inputs = json!([["x", 0, 0], ["h", 0, 0]]);
    let config = json!({"layers": layers, "input_layers": inputs, "output_layers": outputs});
    json!({"class_name": "Functional", "config": config})
}

fn tensor(layer: &str) -> Value {
    let config = json!({"shape": [], "keras_history": [layer, 0, 0]});
    json!({"class_name": "__keras_tensor__", "config": config})
}

fn rnn(extra: Value) -> Value {
    layer("SimpleRNN", "rnn", extra)
}

fn plain_nodes() -> Value {
    json!([[["x", 0, 0, {}]]])
}

/// The axes of the model's first input, without the batch.
fn read(model: &Model) -> Vec<Option<usize>> {
    model.summary().rows[0].output_shapes[0][1..].to_vec()
}

fn reason_of(result: Result<Model>) -> String {
    result.map(|_| ()).expect_err("the model was built").to_string()
}

#[test]
fn a_sequential_can_be_a_bare_list() {
    let layers =
        json!([layer("GRU", "g", json!({"batch_input_shape": [null, 5, 3], "reset_after": true}))]);
    let config = json!({"class_name": "Sequential", "config": layers});
    let model = build(Version::Keras2, &config).unwrap();
    assert_eq!(
        (model.input_names(), model.layer_names()),
        (vec!["g_input".into()], vec!["g".to_string()])
    );
    assert_eq!(read(&model), [Some(5), Some(3)]);
}

#[test]
fn a_sequential_finds_its_shape() {
    let mut built = sequential(json!([layer("LSTM", "l", json!({}))]));
    let message = reason_of(keras3(built.clone()));
    assert!(
        message.contains("\"l\"") && message.contains("build the model before saving"),
        "{message}"
    );
    built["config"]["build_input_shape"] = json!([null, null, 4]);
    assert_eq!(read(&keras3(built.clone()).unwrap())[1], Some(4));
    built["config"]["build_input_shape"] = Value::Null;
    built["build_config"] = json!({"input_shape": [null, null, 6]});
    assert_eq!(read(&keras3(built).unwrap())[1], Some(6));
    let without_batch = sequential(json!([layer("LSTM", "l", json!({"input_shape": [7, 5]}))]));
    assert_eq!(read(&keras3(without_batch).unwrap())[0], Some(7));
    let wrapped = layer("LSTM", "w", json!({"batch_input_shape": [null, null, 8]}));
    let wrapped = sequential(json!([layer("Bidirectional", "b", json!({"layer": wrapped}))]));
    assert_eq!(read(&keras3(wrapped).unwrap())[1], Some(8));
}

#[test]
fn states_in_the_middle_of_a_sequential_are_refused() {
    let states = layer("GRU", "first", json!({"return_state": true, "return_sequences": true}));
    let config = sequential(json!([
        input("x", json!([null, 5, 3])),
        states,
        layer("GRU", "second", json!({}))
    ]));
    assert!(reason_of(keras3(config)).contains("\"second\""));
}

#[test]
fn every_form_of_a_call_is_read() {
    let state =
        json!({"kwargs": {"initial_state": tensor("h"), "training": false}, "args": [tensor("x")]});
    let forms = [
        json!([state]),
        json!([{"args": [tensor("x"), tensor("h")], "kwargs": {}}]),
        json!([{"args": [tensor("x"), [tensor("h")], null, false], "kwargs": {"mask": null}}]),
        json!([{"args": [[tensor("x"), tensor("h")]]}]),
        json!([{"args": [], "kwargs": {"initial_state": [tensor("h")], "sequences": tensor("x")}}]),
        json!([[["x", 0, 0, {}], ["h", 0, 0, {}]]]),
        json!([[["x", 0, 0], ["h", 0, 0]]]),
        json!([[["x", 0, 0, {"initial_state": [["h", 0, 0]]}]]]),
        json!([[
            ["x", 0, 0, {"mask": null, "constants": null}],
            ["h", 0, 0, {"mask": null, "constants": null}]
        ]]),
    ];
    for nodes in forms {
        let model =
            keras3(functional(rnn(json!({})), nodes.clone(), json!(["rnn", 0, 0]))).unwrap();
        let [x, h, rnn] = &model.summary().rows[..] else { panic!("{nodes}") };
        assert_eq!((x.given_as, h.given_as), (None, Some("initial state")), "{nodes}");
        assert_eq!(rnn.connected_to, ["x", "h"], "{nodes}");
    }
}

#[test]
fn odd_calls_are_refused() {
    let forms = [
        (json!([]), "never called"),
        (Value::Null, "never called"),
        (json!([7]), "called on 7"),
        (json!([[]]), "called on nothing"),
        (json!([{"args": []}]), "called on nothing"),
        (json!([{"args": [], "kwargs": {"initial_state": tensor("h")}}]), "no input"),
        (json!([{"args": [1.5]}]), "1.5"),
        (json!([[["x", -1, 0, {}]]]), "called on"),
        (json!([[["_CONSTANT_VALUE", -1, 1.0, {}]]]), "called on"),
        (json!([[["x", 0, 0, {"training": true}]]]), "training=True"),
        (json!([{"args": [tensor("x")], "kwargs": {"constants": [tensor("h")]}}]), "constants"),
        (json!([{"args": [tensor("x"), null, null, null, 5]}]), "(positional)"),
        (json!([[["x", 0, 1, {}]]]), "output 1 of call 0"),
        (json!([[["rnn", 0, 0, {}]]]), "cycle"),
        (json!([[["x", 0, 0, {}], ["h", 0, 0, {}], ["h", 0, 0, {}]]]), "1 initial states"),
        (json!([[["h", 0, 0, {}]]]), "reads [batch, timesteps, features]"),
        (json!([{"args": [tensor("x")], "kwargs": {"mask": 5}}]), "mask 5"),
        (
            json!([{"args": [tensor("x")], "kwargs": {"mask": [tensor("h"), tensor("h")]}}]),
            "2 masks",
        ),
        (json!([{"args": [tensor("x")], "kwargs": {"use_causal_mask": true}}]), "use_causal_mask"),
    ];
    for (nodes, expected) in forms {
        let message =
            reason_of(keras3(functional(rnn(json!({})), nodes.clone(), json!(["rnn", 0, 0]))));
        assert!(message.contains(expected) && message.contains("\"rnn\""), "{nodes}: {message}");
    }
}

#[test]
fn outputs_come_flattened() {
    let states = rnn(json!({"return_state": true}));
    let forms = [
        (json!(["rnn", 0, 1]), vec!["forward hidden state of rnn"]),
        (
            json!([["rnn", 0, 1], ["rnn", 0, 0]]),
            vec!["forward hidden state of rnn", "output of rnn"],
        ),
        (
            json!([[["rnn", 0, 0]], ["rnn", 0, 1]]),
            vec!["output of rnn", "forward hidden state of rnn"],
        ),
        (
            json!({"b": ["rnn", 0, 0], "a": [["rnn", 0, 1]]}),
            vec!["forward hidden state of rnn", "output of rnn"],
        ),
    ];
    for (outputs, expected) in forms {
        let model = keras3(functional(states.clone(), plain_nodes(), outputs)).unwrap();
        assert_eq!(model.output_names(), expected);
    }
    for outputs in
        [json!([]), Value::Null, json!("rnn"), json!(["rnn", 0]), json!([["nowhere", 0, 0]])]
    {
        assert!(keras3(functional(states.clone(), plain_nodes(), outputs)).is_err());
    }
}

#[test]
fn layers_may_stand_in_any_order() {
    let mut config = functional(rnn(json!({})), plain_nodes(), json!(["rnn", 0, 0]));
    let mut first = layer("GRU", "gru", json!({"return_sequences": true}));
    first["inbound_nodes"] = plain_nodes();
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers[2]["inbound_nodes"] = json!([[["gru", 0, 0, {}]]]);
    layers.push(first);
    layers.reverse();
    let model = keras3(config).unwrap();
    assert_eq!(
        (model.layer_names(), model.input_names()),
        (vec!["gru".into(), "rnn".into()], vec!["x".into(), "h".to_string()])
    );
}

#[test]
fn arguments_without_effect_are_accepted() {
    let extra = json!({"dropout": 0.5, "recurrent_dropout": 0.1, "seed": 3,
        "kernel_regularizer": {"class_name": "L2"}, "trainable": false, "implementation": 1,
        "unroll": true, "use_cudnn": "auto", "stateful": true, "time_major": false,
        "zero_output_for_mask": true, "bias_constraint": {}, "something_new": null,
        "dtype": {"class_name": "Policy", "config": {"name": "float32"}}});
    keras3(functional(rnn(extra), plain_nodes(), json!(["rnn", 0, 0]))).unwrap();
}

#[test]
fn arguments_with_an_effect_are_refused() {
    let extras = [
        (json!({"time_major": true}), "time_major"),
        (json!({"something_new": 1}), "something_new"),
        (json!({"dtype": "int8"}), "dtype"),
        (
            json!({"dtype": {"class_name": "DTypePolicyMap", "config": {"name": "float32"}}}),
            "dtype",
        ),
        (json!({"activation": "sparsemax"}), "activation"),
        (json!({"activation": "softmax"}), "activation"),
        (json!({"activation": "glu"}), "activation"),
        (json!({"activation": "threshold"}), "activation"),
        (json!({"activation": "no_such"}), "activation"),
        (
            json!({"activation":
                {"class_name": "function", "config": "tanh", "module": "builtins"}}),
            "activation",
        ),
        (json!({"reset_after": true}), "reset_after"),
    ];
    for (extra, wanted) in extras {
        match keras3(functional(rnn(extra), plain_nodes(), json!(["rnn", 0, 0]))) {
            Err(Error::UnsupportedArgument { layer, argument, .. }) => {
                assert_eq!((&*layer, &*argument), ("rnn", wanted))
            }
            other => panic!("{wanted}: {other:?}"),
        }
    }
    for extra in [
        json!({"use_bias": 1}),
        json!({"units": 2.0}),
        json!({"return_state": "yes"}),
        json!({"units": null}),
    ] {
        let result = keras3(functional(rnn(extra.clone()), plain_nodes(), json!(["rnn", 0, 0])));
        assert!(matches!(result, Err(Error::Argument { .. })), "{extra}: {result:?}");
    }
}

#[test]
fn inputs_have_to_be_dense_and_exact_in_f32() {
    let ok = |shape: Value, extra: Value| {
        let mut x = input("x", shape);
        for (key, value) in extra.as_object().into_iter().flatten() {
            x["config"][key] = value.clone();
        }
        keras3(sequential(json!([x, rnn(json!({}))]))).map(|_| ())
    };
    ok(json!([4, null, 3]), json!({"sparse": false})).unwrap();
    ok(json!([4, null, 3]), json!({"dtype": "int32"})).unwrap();
    for shape in [
        json!([null, 5, null]),
        json!([null, 5, 5, 1]),
        json!([null]),
        json!([null, 5, 0]),
        json!("text"),
    ] {
        assert!(ok(shape.clone(), json!({})).is_err(), "{shape}");
    }
    for extra in [
        json!({"dtype": "float16"}),
        json!({"ragged": true}),
        json!({"sparse": true}),
        json!({"optional": true}),
    ] {
        assert!(matches!(ok(json!([null, 5, 3]), extra), Err(Error::UnsupportedArgument { .. })));
    }
}

#[test]
fn hard_sigmoid_depends_on_the_version() {
    let config =
        functional(rnn(json!({"activation": "hard_sigmoid"})), plain_nodes(), json!(["rnn", 0, 0]));
    let activation = |version| {
        build(version, &config)
            .map(|model| model.layers().next().unwrap().directions()[0].1.activation())
    };
    assert_eq!(activation(Version::Keras2).unwrap(), Activation::HardSigmoidKeras2);
    assert_eq!(activation(Version::Keras3).unwrap(), Activation::HardSigmoid);
    assert!(matches!(activation(Version::Unknown), Err(Error::UnsupportedArgument { .. })));
}

#[test]
fn only_keras_own_classes_are_built() {
    let build = |class: &str, module: Value, registered: Value| {
        let mut layer = layer("LSTM", "l", json!({}));
        layer["class_name"] = class.into();
        layer["module"] = module;
        layer["registered_name"] = registered;
        keras3(sequential(json!([input("x", json!([null, 5, 3])), layer])))
    };
    build("LSTM", Value::Null, Value::Null).unwrap();
    build("LSTM", "keras.layers".into(), Value::Null).unwrap();
    build("Keras>LSTM", "keras.src.layers.rnn.lstm".into(), "Keras>LSTM".into()).unwrap();
    build("LSTM", "tf_keras.src.layers".into(), "LSTM".into()).unwrap();
    for (class, module, registered) in [
        ("LSTM", "my_layers", Value::Null),
        ("LSTM", "keras.layers", json!("mine>LSTM")),
        ("mine>LSTM", "keras.layers", Value::Null),
        ("ConvLSTM3D", "keras.layers", Value::Null),
    ] {
        assert!(
            matches!(build(class, module.into(), registered), Err(Error::UnsupportedLayer { .. })),
            "{class}"
        );
    }
}

#[test]
fn mixed_directions_follow_the_version() {
    let gru =
        layer("GRU", "g", json!({"go_backwards": true, "return_state": true, "reset_after": true}));
    let both =
        json!({"layer": layer("LSTM", "l", json!({"return_state": true})), "backward_layer": gru});
    let config = functional(
        layer("Bidirectional", "b", both),
        plain_nodes(),
        json!([["b", 0, 0], ["b", 0, 3]]),
    );
    assert_eq!(
        build(Version::Keras2, &config).unwrap().output_names()[1],
        "backward hidden state of b"
    );
    assert!(reason_of(build(Version::Keras3, &config)).contains("return_state"));
}

#[test]
fn a_missing_backward_layer_runs_the_other_way() {
    let gru = layer("GRU", "g", json!({"go_backwards": true, "reset_after": false}));
    let both = json!({"layer": gru, "merge_mode": null});
    let config = functional(
        layer("Bidirectional", "b", both),
        plain_nodes(),
        json!([["b", 0, 0], ["b", 0, 1]]),
    );
    let model = build(Version::Keras2, &config).unwrap();
    let Some(Layer::Bidirectional(both)) = model.layers().next() else { panic!("{model:?}") };
    assert_eq!((both.forward().go_backwards(), both.backward().go_backwards()), (true, false));
}

#[test]
fn too_many_layers_are_refused() {
    let layers: Vec<_> = (0..5000).map(|i| rnn(json!({"name": format!("r{i}")}))).collect();
    assert!(reason_of(keras3(sequential(layers.into()))).contains("at most"));
}

/// Normal, subnormal and special values of binary16.
#[test]
fn half_precision_is_converted_exactly() {
    for (bits, value) in [
        (0x3c00, 1.0),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (1, 2f32.powi(-24)),
        (0x0400, 2f32.powi(-14)),
    ] {
        assert_eq!(hdf5::half_to_f32(bits), value);
    }
    assert_eq!(hdf5::half_to_f32(0x3555), 0.333_251_95);
    assert!(hdf5::half_to_f32(0x8000).is_sign_negative());
    assert!(hdf5::half_to_f32(0x7c00).is_infinite() && hdf5::half_to_f32(0x7c01).is_nan());
}
