//! The odd forms that a configuration can have, without files.

use super::file::Version;
use super::{KerasLimits, entry, hdf5, network};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::{Activation, Layer};
use serde_json::{Value, json};

fn build(version: Version, config: &Value) -> Result<Model> {
    let limits = KerasLimits::new();
    let entries = entry::entries("test", config, limits.layers)?;
    network("test", version, config, &entries, &limits)
}

fn keras3(config: Value) -> Result<Model> {
    build(Version::Keras3, &config)
}

/// A layer with `extra` arguments over the least that Keras writes.
fn layer(class: &str, name: &str, extra: Value) -> Value {
    let mut config = json!({"name": name, "units": 2, "activation": "tanh", "recurrent_activation": "sigmoid"});
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

fn sequential(layers: Value) -> Value {
    json!({"class_name": "Sequential", "config": {"name": "s", "layers": layers}})
}

/// A functional model of inputs `x` (sequence), `h` (state) and of one layer, called as `nodes` says.
fn functional(layer: Value, nodes: Value, outputs: Value) -> Value {
    let mut layer = layer;
    layer["inbound_nodes"] = nodes;
    let layers = json!([input("x", json!([null, null, 3])), input("h", json!([null, 2])), layer]);
    let inputs = json!([["x", 0, 0], ["h", 0, 0]]);
    json!({"class_name": "Functional", "config": {"layers": layers, "input_layers": inputs, "output_layers": outputs}})
}

fn tensor(layer: &str) -> Value {
    json!({"class_name": "__keras_tensor__", "config": {"shape": [], "keras_history": [layer, 0, 0]}})
}

fn rnn(extra: Value) -> Value {
    layer("SimpleRNN", "rnn", extra)
}

fn plain_nodes() -> Value {
    json!([[["x", 0, 0, {}]]])
}

/// The axes of what the first layer reads.
fn read(model: &Model) -> &[Option<usize>] {
    &model.layers[0].inputs[0]
}

fn reason_of(result: Result<Model>) -> String {
    result.map(|_| ()).expect_err("the model was built").to_string()
}

#[test]
fn a_sequential_can_be_a_bare_list() {
    let layers = json!([layer("GRU", "g", json!({"batch_input_shape": [null, 5, 3], "reset_after": true}))]);
    let config = json!({"class_name": "Sequential", "config": layers});
    let model = build(Version::Keras2, &config).unwrap();
    assert_eq!((model.input_names(), model.layer_names()), (vec!["g_input".into()], vec!["g".to_string()]));
    assert_eq!(read(&model), [Some(5), Some(3)]);
}

#[test]
fn a_sequential_finds_its_shape() {
    let mut built = sequential(json!([layer("LSTM", "l", json!({}))]));
    let message = reason_of(keras3(built.clone()));
    assert!(message.contains("\"l\"") && message.contains("build the model before saving"), "{message}");
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
    let config = sequential(json!([input("x", json!([null, 5, 3])), states, layer("GRU", "second", json!({}))]));
    assert!(reason_of(keras3(config)).contains("\"second\""));
}

#[test]
fn every_form_of_a_call_is_read() {
    let state = json!({"kwargs": {"initial_state": tensor("h"), "training": false}, "args": [tensor("x")]});
    let forms = [
        json!([state]),
        json!([{"args": [tensor("x"), tensor("h")], "kwargs": {}}]),
        json!([{"args": [tensor("x"), [tensor("h")], null, false], "kwargs": {"mask": null}}]),
        json!([{"args": [[tensor("x"), tensor("h")]]}]),
        json!([{"args": [], "kwargs": {"initial_state": [tensor("h")], "sequences": tensor("x")}}]),
        json!([[["x", 0, 0, {}], ["h", 0, 0, {}]]]),
        json!([[["x", 0, 0], ["h", 0, 0]]]),
        json!([[["x", 0, 0, {"initial_state": [["h", 0, 0]]}]]]),
        json!([[["x", 0, 0, {"mask": null, "constants": null}], ["h", 0, 0, {"mask": null, "constants": null}]]]),
    ];
    for nodes in forms {
        let model = keras3(functional(rnn(json!({})), nodes.clone(), json!(["rnn", 0, 0]))).unwrap();
        assert_eq!((&model.nodes[0].inputs[..], &model.nodes[0].initial_state[..]), (&[0][..], &[1][..]), "{nodes}");
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
        (json!([{"args": [tensor("x")], "kwargs": {"mask": [tensor("h"), tensor("h")]}}]), "2 masks"),
        (json!([{"args": [tensor("x")], "kwargs": {"use_causal_mask": true}}]), "use_causal_mask"),
    ];
    for (nodes, expected) in forms {
        let message = reason_of(keras3(functional(rnn(json!({})), nodes.clone(), json!(["rnn", 0, 0]))));
        assert!(message.contains(expected) && message.contains("\"rnn\""), "{nodes}: {message}");
    }
}

#[test]
fn outputs_come_flattened() {
    let states = rnn(json!({"return_state": true}));
    let forms = [
        (json!(["rnn", 0, 1]), vec!["forward hidden state of rnn"]),
        (json!([["rnn", 0, 1], ["rnn", 0, 0]]), vec!["forward hidden state of rnn", "output of rnn"]),
        (json!([[["rnn", 0, 0]], ["rnn", 0, 1]]), vec!["output of rnn", "forward hidden state of rnn"]),
        (json!({"b": ["rnn", 0, 0], "a": [["rnn", 0, 1]]}), vec!["forward hidden state of rnn", "output of rnn"]),
    ];
    for (outputs, expected) in forms {
        let model = keras3(functional(states.clone(), plain_nodes(), outputs)).unwrap();
        assert_eq!(model.output_names(), expected);
    }
    for outputs in [json!([]), Value::Null, json!("rnn"), json!(["rnn", 0]), json!([["nowhere", 0, 0]])] {
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
    let extra = json!({"dropout": 0.5, "recurrent_dropout": 0.1, "kernel_regularizer": {"class_name": "L2"}, "seed": 3,
        "trainable": false, "implementation": 1, "unroll": true, "use_cudnn": "auto", "stateful": true,
        "time_major": false, "zero_output_for_mask": true, "bias_constraint": {}, "something_new": null,
        "dtype": {"class_name": "Policy", "config": {"name": "float32"}}});
    keras3(functional(rnn(extra), plain_nodes(), json!(["rnn", 0, 0]))).unwrap();
}

#[test]
fn arguments_with_an_effect_are_refused() {
    let extras = [
        (json!({"time_major": true}), "time_major"),
        (json!({"something_new": 1}), "something_new"),
        (json!({"dtype": "int8"}), "dtype"),
        (json!({"dtype": {"class_name": "DTypePolicyMap", "config": {"name": "float32"}}}), "dtype"),
        (json!({"activation": "sparsemax"}), "activation"),
        (json!({"activation": "softmax"}), "activation"),
        (json!({"activation": "glu"}), "activation"),
        (json!({"activation": "threshold"}), "activation"),
        (json!({"activation": "no_such"}), "activation"),
        (json!({"activation": {"class_name": "function", "config": "tanh", "module": "builtins"}}), "activation"),
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
    for extra in [json!({"use_bias": 1}), json!({"units": 2.0}), json!({"return_state": "yes"}), json!({"units": null})]
    {
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
    for shape in [json!([null, 5, null]), json!([null, 5, 5, 1]), json!([null]), json!([null, 5, 0]), json!("text")] {
        assert!(ok(shape.clone(), json!({})).is_err(), "{shape}");
    }
    for extra in
        [json!({"dtype": "float16"}), json!({"ragged": true}), json!({"sparse": true}), json!({"optional": true})]
    {
        assert!(matches!(ok(json!([null, 5, 3]), extra), Err(Error::UnsupportedArgument { .. })));
    }
}

#[test]
fn hard_sigmoid_depends_on_the_version() {
    let config = functional(rnn(json!({"activation": "hard_sigmoid"})), plain_nodes(), json!(["rnn", 0, 0]));
    let activation =
        |version| build(version, &config).map(|model| model.layers[0].layer.directions()[0].1.activation());
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
        ("CuDNNLSTM", "keras.layers", Value::Null),
    ] {
        assert!(matches!(build(class, module.into(), registered), Err(Error::UnsupportedLayer { .. })), "{class}");
    }
}

#[test]
fn mixed_directions_follow_the_version() {
    let gru = layer("GRU", "g", json!({"go_backwards": true, "return_state": true, "reset_after": true}));
    let both = json!({"layer": layer("LSTM", "l", json!({"return_state": true})), "backward_layer": gru});
    let config = functional(layer("Bidirectional", "b", both), plain_nodes(), json!([["b", 0, 0], ["b", 0, 3]]));
    assert_eq!(build(Version::Keras2, &config).unwrap().output_names()[1], "backward hidden state of b");
    assert!(reason_of(build(Version::Keras3, &config)).contains("return_state"));
}

#[test]
fn a_missing_backward_layer_runs_the_other_way() {
    let both =
        json!({"layer": layer("GRU", "g", json!({"go_backwards": true, "reset_after": false})), "merge_mode": null});
    let config = functional(layer("Bidirectional", "b", both), plain_nodes(), json!([["b", 0, 0], ["b", 0, 1]]));
    let model = build(Version::Keras2, &config).unwrap();
    let Layer::Bidirectional(both) = &model.layers[0].layer else { panic!("{:?}", model.layers[0].layer) };
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
    for (bits, value) in
        [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (1, 2f32.powi(-24)), (0x0400, 2f32.powi(-14))]
    {
        assert_eq!(hdf5::half_to_f32(bits), value);
    }
    assert_eq!(hdf5::half_to_f32(0x3555), 0.333_251_95);
    assert!(hdf5::half_to_f32(0x8000).is_sign_negative());
    assert!(hdf5::half_to_f32(0x7c00).is_infinite() && hdf5::half_to_f32(0x7c01).is_nan());
}

/// A functional model of layers in a row on input `x`.
fn row(shape: Value, layers: Vec<Value>) -> Value {
    let mut all = vec![input("x", shape)];
    let mut before = "x".to_string();
    for mut layer in layers {
        layer["inbound_nodes"] = json!([[[before, 0, 0, {}]]]);
        before = layer["config"]["name"].as_str().unwrap().to_string();
        all.push(layer);
    }
    let config = json!({"layers": all, "input_layers": [["x", 0, 0]], "output_layers": [[before, 0, 0]]});
    json!({"class_name": "Functional", "config": config})
}

/// A layer as Keras writes it: with a name, and always with whether it is trainable.
fn named(class: &str, extra: Value) -> Value {
    let mut config = json!({"name": "it", "trainable": true});
    for (key, value) in extra.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({"class_name": class, "config": config})
}

/// The least that each class needs, with an input that it can be called on.
fn least(class: &str) -> (Value, Value) {
    let dense = json!({"class_name": "Dense", "config": {"units": 2, "activation": null}});
    let arguments = match class {
        "Dense" => json!({"units": 2, "activation": "relu"}),
        "Embedding" => return (json!([null, 4]), json!({"input_dim": 3, "output_dim": 2})),
        "Activation" => json!({"activation": "softmax"}),
        "Conv1D" => json!({"filters": 2, "kernel_size": [2], "activation": "linear"}),
        "Reshape" => json!({"target_shape": [3, -1]}),
        "Permute" => json!({"dims": [2, 1]}),
        "RepeatVector" => return (json!([null, 4]), json!({"n": 3})),
        "Cropping1D" => json!({"cropping": [1, 1]}),
        "ZeroPadding1D" => json!({"padding": 1}),
        "MultiHeadAttention" => json!({"num_heads": 2, "key_dim": 3}),
        "TimeDistributed" => json!({"layer": dense}),
        _ => json!({}),
    };
    (json!([null, 4, 3]), arguments)
}

#[test]
fn every_class_is_built() {
    for class in super::stateless::CLASSES.into_iter().chain(["TimeDistributed"]) {
        let (shape, arguments) = least(class);
        let mut config = row(shape, vec![named(class, arguments)]);
        if ["Attention", "AdditiveAttention", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
            .contains(&class)
        {
            config["config"]["layers"][1]["inbound_nodes"] = json!([[["x", 0, 0, {}], ["x", 0, 0, {}]]]);
        }
        if class == "MultiHeadAttention" {
            config["config"]["layers"][1]["inbound_nodes"] = json!([[["x", 0, 0, {"value": ["x", 0, 0]}]]]);
        }
        let model = keras3(config).unwrap_or_else(|e| panic!("{class}: {e}"));
        assert_eq!(model.layer_names(), ["it"], "{class}");
        assert!(super::class::SUPPORTED.contains(class) || class.contains("BatchNormalization"), "{class}");
    }
}

/// What `.keras` files name the groups of weights after.
#[test]
fn classes_in_snake_case_are_kerass() {
    let names: [(&str, &str); 12] = [
        ("LSTM", "lstm"),
        ("GRUCell", "gru_cell"),
        ("SimpleRNNCell", "simple_rnn_cell"),
        ("RNN", "rnn"),
        ("InputLayer", "input_layer"),
        ("PReLU", "p_re_lu"),
        ("ELU", "elu"),
        ("LeakyReLU", "leaky_re_lu"),
        ("RMSNormalization", "rms_normalization"),
        ("GlobalMaxPooling1D", "global_max_pooling1d"),
        ("ZeroPadding1D", "zero_padding1d"),
        ("MultiHeadAttention", "multi_head_attention"),
    ];
    for (class, name) in names {
        assert_eq!(crate::model::snake_case(class), name);
    }
}

#[test]
fn arguments_of_layers_without_state_are_looked_at() {
    let wrong = [
        ("Dense", json!({"units": 0, "activation": null}), "units"),
        ("Dense", json!({"units": 2}), "activation"),
        ("Conv1D", json!({"filters": 2, "kernel_size": [2, 2], "activation": null}), "kernel_size"),
        ("Conv1D", json!({"filters": 2, "kernel_size": 2, "activation": null, "padding": "full"}), "padding"),
        ("Flatten", json!({"data_format": "channels_first"}), "data_format"),
        ("LayerNormalization", json!({"rms_scaling": true}), "rms_scaling"),
        ("LayerNormalization", json!({"axis": "last"}), "axis"),
        ("BatchNormalization", json!({"renorm": true}), "renorm"),
        ("BatchNormalization", json!({"epsilon": "small"}), "epsilon"),
        ("Reshape", json!({"target_shape": []}), "target_shape"),
        ("Reshape", json!({"target_shape": [-2]}), "target_shape"),
        ("Permute", json!({"dims": [2, 2]}), "dims"),
        ("Cropping1D", json!({"cropping": [1, 2, 3]}), "cropping"),
        ("ZeroPadding1D", json!({"padding": [-1, 1]}), "padding"),
        ("UpSampling1D", json!({"size": 0}), "size"),
        ("Softmax", json!({"axis": [1, 2]}), "axis"),
        ("ReLU", json!({"max_value": "six"}), "max_value"),
        ("MultiHeadAttention", json!({"num_heads": 2, "key_dim": 3, "attention_axes": [1, 2]}), "attention_axes"),
        ("MultiHeadAttention", json!({"num_heads": 2, "key_dim": 3, "sliding_window": 2}), "sliding_window"),
        ("MultiHeadAttention", json!({"num_heads": 2, "key_dim": 3, "use_gate": true}), "use_gate"),
        ("TimeDistributed", json!({"layer": {"class_name": "Dense", "config": {"units": -1}}}), "layer.units"),
        ("TimeDistributed", json!({"layer": {"class_name": "Dense"}}), "layer"),
        ("RNN", json!({"cell": {"class_name": "GRUCell", "config": {"units": 1.5}}}), "cell.units"),
        ("RNN", json!({"cell": []}), "cell"),
        ("RNN", json!({}), "cell"),
    ];
    for (class, arguments, wanted) in wrong {
        match keras3(row(json!([null, 4, 3]), vec![named(class, arguments.clone())])) {
            Err(Error::Argument { layer, argument, .. } | Error::UnsupportedArgument { layer, argument, .. }) => {
                assert_eq!((&*layer, &*argument), ("it", wanted), "{class} {arguments}");
            }
            other => panic!("{class} {arguments}: {other:?}"),
        }
    }
}

#[test]
fn activations_can_be_layers() {
    let of = |activation: Value| {
        let dense = named("Dense", json!({"units": 2, "activation": activation}));
        let model = keras3(row(json!([null, 4, 3]), vec![dense]))?;
        let Layer::Feedforward(layer) = &model.layers[0].layer else { panic!("{model:?}") };
        let crate::layer::Kind::Dense(dense) = &layer.kind else { panic!("{layer:?}") };
        Ok(dense.activation)
    };
    let layer = |class: &str, config: Value| json!({"class_name": class, "config": config});
    let expected = [
        (json!(null), Activation::Linear),
        (json!("swish"), Activation::Silu),
        (layer("LeakyReLU", json!({"alpha": 0.5})), Activation::LeakyRelu(0.5.into())),
        (layer("LeakyReLU", json!({})), Activation::LeakyRelu(0.3.into())),
        (layer("ELU", json!({"alpha": 2.0})), Activation::Elu(2.0.into())),
        (layer("ReLU", json!({"max_value": null, "negative_slope": 0.0})), Activation::Relu),
        (layer("ReLU", json!({"max_value": 6, "threshold": 0})), Activation::Relu6),
        (layer("ReLU", json!({"negative_slope": 0.25})), Activation::LeakyRelu(0.25.into())),
        (layer("Softmax", json!({"axis": -1})), Activation::Softmax),
        (json!("sparsemax"), Activation::Sparsemax),
        (json!("glu"), Activation::Glu),
        (layer("Activation", json!({"activation": "tanh"})), Activation::Tanh),
    ];
    for (value, activation) in expected {
        assert_eq!(of(value.clone()).unwrap_or_else(|e: Error| panic!("{value}: {e}")), activation, "{value}");
    }
    for value in [
        layer("ReLU", json!({"max_value": 3.0})),
        layer("ReLU", json!({"threshold": 1.0})),
        layer("Softmax", json!({"axis": 1})),
        layer("PReLU", json!({})),
        layer("LeakyReLU", json!(null)),
        json!(5),
        json!("threshold"),
    ] {
        assert!(of(value.clone()).is_err(), "{value}");
    }
}

fn cells() -> Value {
    let cell = |class: &str, units: usize| {
        json!({"class_name": class, "config": {"name": class, "units": units, "activation": "tanh",
            "recurrent_activation": "sigmoid", "use_bias": true}})
    };
    let mut simple = cell("SimpleRNNCell", 4);
    simple["config"].as_object_mut().unwrap().remove("recurrent_activation");
    json!([cell("LSTMCell", 2), cell("GRUCell", 3), simple])
}

#[test]
fn several_cells_are_several_layers() {
    let stacked = json!({"class_name": "StackedRNNCells", "config": {"name": "s", "cells": cells()}});
    for cell in [stacked, cells()] {
        let flags = json!({"name": "rnn", "cell": cell, "return_state": true, "go_backwards": true});
        let rnn = json!({"class_name": "RNN", "config": flags});
        let outputs = json!([["rnn", 0, 0], [["rnn", 0, 1], ["rnn", 0, 2]], ["rnn", 0, 3], ["rnn", 0, 4]]);
        let model = keras3(functional(rnn, plain_nodes(), outputs)).unwrap();
        assert_eq!(model.layer_names(), ["rnn/cell_0", "rnn/cell_1", "rnn/cell_2"]);
        let expected = [
            "output of rnn/cell_2",
            "backward hidden state of rnn/cell_0",
            "backward cell state of rnn/cell_0",
            "backward hidden state of rnn/cell_1",
            "forward hidden state of rnn/cell_2",
        ];
        assert_eq!(model.output_names(), expected);
        let flags = |layer: &Layer| {
            let layers = layer.directions();
            let last = layers[layers.len() - 1].1;
            (layers.len(), last.go_backwards(), last.return_sequences())
        };
        let flags: Vec<_> = model.layers().map(flags).collect();
        assert_eq!(flags, [(2, true, true), (2, true, true), (1, true, false)]);
    }
}

#[test]
fn several_cells_take_their_states_in_order() {
    let rnn = json!({"class_name": "RNN", "config": {"name": "rnn", "cell": cells()}});
    let states = |names: &[&str]| json!([[[ "x", 0, 0, {"initial_state": names.iter().map(|n| json!([n, 0, 0])).collect::<Vec<_>>()}]]]);
    let mut config = functional(rnn, states(&["h", "c", "g", "s"]), json!([["rnn", 0, 0]]));
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.extend([("c", 2), ("g", 3), ("s", 4)].map(|(name, units)| input(name, json!([null, units]))));
    config["config"]["input_layers"] = json!(["x", "h", "c", "g", "s"].map(|name| json!([name, 0, 0])));
    let model = keras3(config.clone()).unwrap();
    let given: Vec<_> = model.nodes.iter().map(|node| node.initial_state.clone()).collect();
    assert_eq!(given, [vec![1, 2], vec![3], vec![4]]);
    config["config"]["layers"][2]["inbound_nodes"] = states(&["h", "c"]);
    assert!(reason_of(keras3(config)).contains("4 initial states"));
}

fn operation(class: &str, name: &str, args: Value, extra: Value) -> Value {
    let mut config = json!({"name": name});
    for (key, value) in extra.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    json!({"module": "keras.src.ops.numpy", "class_name": class, "config": config, "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}]})
}

/// `Masking` and an RNN that is called with a mask of operations, as Keras 3 writes it.
fn spelled_out(compared_with: f64, axis: i64, classes: [&str; 2]) -> Value {
    let mut masking = named("Masking", json!({"name": "masking", "mask_value": 0.5}));
    masking["inbound_nodes"] = json!([{"args": [tensor("x")], "kwargs": {}}]);
    let nodes = json!([{"args": [tensor("masking")], "kwargs": {"mask": tensor("any")}}]);
    let mut config = functional(rnn(json!({})), nodes, json!([["rnn", 0, 0]]));
    config["config"]["layers"].as_array_mut().unwrap().extend([
        masking,
        operation(classes[0], "not_equal", json!([tensor("x"), compared_with]), json!({})),
        operation(classes[1], "any", json!([tensor("not_equal")]), json!({"axis": axis, "keepdims": false})),
    ]);
    config
}

#[test]
fn masks_of_operations_are_those_that_arrays_carry() {
    let model = keras3(spelled_out(0.5, -1, ["NotEqual", "Any"])).unwrap();
    assert_eq!(model.layer_names(), ["masking", "rnn"]);
    assert_eq!(model.masks(|_| false).of_node[1], [Some(0)]);
    let other = reason_of(keras3(spelled_out(0.25, -1, ["NotEqual", "Any"])));
    assert!(other.contains("\"rnn\"") && other.contains("mask=any"), "{other}");
    for (axis, classes) in [(1, ["NotEqual", "Any"]), (-1, ["NotEqual", "Exp"]), (-1, ["LogicalOr", "Any"])] {
        assert!(matches!(keras3(spelled_out(0.5, axis, classes)), Err(Error::UnsupportedLayer { .. })), "{classes:?}");
    }
    let mut used = spelled_out(0.5, -1, ["NotEqual", "Any"]);
    used["config"]["layers"][2]["inbound_nodes"] = json!([{"args": [tensor("not_equal")], "kwargs": {}}]);
    assert!(reason_of(keras3(used)).contains("keras.ops"));
}

/// Keras 2 writes no operations.
#[test]
fn masks_follow_the_version() {
    let config = row(json!([null, 4, 3]), vec![named("Masking", json!({})), rnn(json!({}))]);
    assert_eq!(build(Version::Keras2, &config).unwrap().mask_rules, crate::model::MaskRules::Keras2);
    assert_eq!(keras3(config).unwrap().mask_rules, crate::model::MaskRules::Keras3);
}

#[test]
fn arrays_of_different_ranks_are_joined_as_in_keras() {
    let nodes = json!([[["x", 0, 0, {}], ["h", 0, 0, {}]]]);
    let config = functional(named("Add", json!({})), nodes, json!([["it", 0, 0]]));
    let mut fits = config.clone();
    fits["config"]["layers"][1]["config"]["batch_shape"] = json!([null, 3]);
    assert_eq!(keras3(fits).unwrap().layer_names(), ["it", "it/expand_0_1"]);
    assert!(reason_of(keras3(config)).contains("\"it\""));
}

#[test]
fn a_causal_mask_belongs_to_the_call() {
    let call =
        |causal: bool| json!([["x", 0, 0, {"use_causal_mask": causal}], ["x", 0, 0, {"use_causal_mask": causal}]]);
    let attention = |nodes: Value| functional(named("Attention", json!({})), nodes, json!([["it", 0, 0]]));
    let is_causal = |model: Model| {
        let Layer::Feedforward(layer) = &model.layers[0].layer else { panic!("{model:?}") };
        let crate::layer::Kind::Attention(attention) = &layer.kind else { panic!("{layer:?}") };
        attention.use_causal_mask
    };
    assert!(is_causal(keras3(attention(json!([call(true)]))).unwrap()));
    assert!(!is_causal(keras3(attention(json!([call(false)]))).unwrap()));
    assert!(reason_of(keras3(attention(json!([call(true), call(false)])))).contains("use_causal_mask"));
}

#[test]
fn a_configuration_alone_is_a_model() {
    let model = Model::from_keras_config(&row(json!([null, 4, 3]), vec![rnn(json!({}))]).to_string()).unwrap();
    assert_eq!(model.summary().parameters, 3 * 2 + 2 * 2 + 2);
    assert!(model.weights("rnn").is_err());
    for json in ["", "[]", "{}", "{\"class_name\": \"Sequential\"}", "{\"keras_version\": 5, \"class_name\": 1}"] {
        assert!(matches!(Model::from_keras_config(json), Err(Error::MalformedFile { .. })), "{json}");
    }
}

/// Lengths that no array has don't overflow.
#[test]
fn absurd_lengths_are_no_panic() {
    let long = |index: usize| named("UpSampling1D", json!({"name": format!("up{index}"), "size": 16_777_215}));
    let mut layers: Vec<Value> = (0..4).map(long).collect();
    layers.push(named("ZeroPadding1D", json!({"name": "pad", "padding": 3})));
    layers.push(named("Conv1D", json!({"name": "conv", "filters": 2, "kernel_size": 3, "activation": null})));
    layers.push(named("Flatten", json!({"name": "flatten"})));
    layers.push(named("Dense", json!({"name": "dense", "units": 5, "activation": null})));
    let model = keras3(row(json!([null, 1 << 30, 3]), layers)).unwrap();
    assert_eq!(model.summary().parameters, usize::MAX);
    assert!(matches!(model.initialize(1), Err(Error::OutOfMemory { .. })));
}
