//! Classes and their arguments: layers without state, operations, cells in a stack.

use super::*;
use crate::MaskOrigin;
use crate::import::keras::class;
use crate::layer::{Attention, Dense};

/// A functional model of layers in a row on input `x`.
fn row(shape: Value, layers: Vec<Value>) -> Value {
    let mut all = vec![input("x", shape)];
    let mut before = "x".to_string();
    for mut layer in layers {
        layer["inbound_nodes"] = json!([[[before, 0, 0, {}]]]);
        before = layer["config"]["name"].as_str().unwrap().to_string();
        all.push(layer);
    }
    let config =
        json!({"layers": all, "input_layers": [["x", 0, 0]], "output_layers": [[before, 0, 0]]});
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
        "Conv1D" | "SeparableConv1D" | "Conv1DTranspose" => {
            json!({"filters": 2, "kernel_size": [2], "activation": "linear"})
        }
        "DepthwiseConv1D" => json!({"kernel_size": [2], "activation": "linear"}),
        "Conv2D" | "SeparableConv2D" | "Conv2DTranspose" => {
            let arguments = json!({"filters": 2, "kernel_size": [2, 3], "activation": "linear"});
            return (json!([null, 4, 5, 3]), arguments);
        }
        "DepthwiseConv2D" => {
            let arguments = json!({"kernel_size": [2, 3], "activation": "linear"});
            return (json!([null, 4, 5, 3]), arguments);
        }
        "Conv3D" => {
            let arguments = json!({"filters": 2, "kernel_size": [1, 2, 3], "activation": "linear"});
            return (json!([null, 3, 4, 5, 2]), arguments);
        }
        "Cropping3D" => {
            let cropping = json!({"cropping": [[1, 0], [2, 1], [0, 0]]});
            return (json!([null, 3, 4, 5, 2]), cropping);
        }
        "ZeroPadding3D" => return (json!([null, 3, 4, 5, 2]), json!({"padding": [1, 2, 0]})),
        "UpSampling3D"
        | "MaxPooling3D"
        | "AveragePooling3D"
        | "GlobalMaxPooling3D"
        | "GlobalAveragePooling3D" => {
            return (json!([null, 3, 4, 5, 2]), json!({}));
        }
        "ThresholdedReLU" => json!({"theta": 0.5}),
        "Cropping2D" => return (json!([null, 4, 5, 3]), json!({"cropping": [[1, 0], [2, 1]]})),
        "ZeroPadding2D" => return (json!([null, 4, 5, 3]), json!({"padding": [1, 2]})),
        "UpSampling2D"
        | "MaxPooling2D"
        | "AveragePooling2D"
        | "GlobalMaxPooling2D"
        | "GlobalAveragePooling2D" => {
            return (json!([null, 4, 5, 3]), json!({}));
        }
        "CategoryEncoding" => return (json!([null, 4]), json!({"num_tokens": 3})),
        "Discretization" => json!({"bin_boundaries": [0.0, 1.5]}),
        "GroupNormalization" => json!({"groups": 3}),
        "Dot" => json!({"axes": [1, -2]}),
        "Reshape" => json!({"target_shape": [3, -1]}),
        "Permute" => json!({"dims": [2, 1]}),
        "RepeatVector" => return (json!([null, 4]), json!({"n": 3})),
        "Cropping1D" => json!({"cropping": [1, 1]}),
        "ZeroPadding1D" => json!({"padding": 1}),
        "Rescaling" => json!({"scale": 0.5, "offset": 1}),
        "MultiHeadAttention" => json!({"num_heads": 2, "key_dim": 3}),
        "EinsumDense" => {
            json!({"equation": "abc,cd->abd", "output_shape": [null, 5], "activation": "linear"})
        }
        "TimeDistributed" => json!({"layer": dense}),
        _ => json!({}),
    };
    (json!([null, 4, 3]), arguments)
}

#[test]
fn every_class_is_built() {
    for class in class::STATELESS.into_iter().chain(["TimeDistributed"]) {
        let (shape, arguments) = least(class);
        let mut config = row(shape, vec![named(class, arguments)]);
        if [
            "Attention",
            "AdditiveAttention",
            "Add",
            "Subtract",
            "Multiply",
            "Average",
            "Maximum",
            "Minimum",
            "Dot",
        ]
        .contains(&class)
        {
            config["config"]["layers"][1]["inbound_nodes"] =
                json!([[["x", 0, 0, {}], ["x", 0, 0, {}]]]);
        }
        if class == "MultiHeadAttention" {
            config["config"]["layers"][1]["inbound_nodes"] =
                json!([[["x", 0, 0, {"value": ["x", 0, 0]}]]]);
        }
        let model = keras3(config).unwrap_or_else(|e| panic!("{class}: {e}"));
        assert_eq!(model.layer_names(), ["it"], "{class}");
        assert!(
            class::SUPPORTED.contains(class) || class.contains("BatchNormalization"),
            "{class}"
        );
    }
}

/// Layers whose input birnn can't take say what to give instead.
#[test]
fn layers_of_words_and_categories_say_what_to_give() {
    for class in ["StringLookup", "IntegerLookup", "TextVectorization", "Hashing"] {
        let error = keras3(row(json!([null, 4]), vec![named(class, json!({}))])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(class), "{text}");
        assert!(text.contains("keras.Model(layer.output, model.output)"), "{text}");
        assert!(text.contains("is given the integers"), "{text}");
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
        assert_eq!(crate::layer::default_name(class), name);
    }
}

#[test]
fn arguments_of_layers_without_state_are_looked_at() {
    let wrong = [
        ("Dense", json!({"units": 0, "activation": null}), "units"),
        ("Dense", json!({"units": 2}), "activation"),
        ("Conv1D", json!({"filters": 2, "kernel_size": [2, 2], "activation": null}), "kernel_size"),
        (
            "Conv1D",
            json!({"filters": 2, "kernel_size": 2, "activation": null, "padding": "full"}),
            "padding",
        ),
        (
            "Conv2D",
            json!({"filters": 2, "kernel_size": [2, 2, 2], "activation": null}),
            "kernel_size",
        ),
        ("Conv2D", json!({"filters": 2, "kernel_size": 0, "activation": null}), "kernel_size"),
        (
            "Conv2D",
            json!({"filters": 2, "kernel_size": 2, "activation": null, "padding": "causal"}),
            "padding",
        ),
        (
            "DepthwiseConv1D",
            json!({"kernel_size": 2, "activation": null, "padding": "causal"}),
            "padding",
        ),
        ("DepthwiseConv1D", json!({"activation": null}), "kernel_size"),
        (
            "SeparableConv1D",
            json!({"filters": 2, "kernel_size": 2, "activation": null, "depth_multiplier": 0}),
            "depth_multiplier",
        ),
        (
            "Conv1DTranspose",
            json!({"filters": 2, "kernel_size": 3, "activation": null, "output_padding": 1}),
            "output_padding",
        ),
        (
            "Conv1DTranspose",
            json!({"filters": 2, "kernel_size": 3, "activation": null, "output_padding": [-1]}),
            "output_padding",
        ),
        (
            "MaxPooling2D",
            json!({"pool_size": [2, 2], "data_format": "channels_middle"}),
            "data_format",
        ),
        ("Conv3D", json!({"filters": 2, "kernel_size": [2, 2], "activation": null}), "kernel_size"),
        (
            "Conv3D",
            json!({"filters": 2, "kernel_size": [1025, 1, 1], "activation": null}),
            "kernel_size",
        ),
        ("MaxPooling3D", json!({"pool_size": [2, 2]}), "pool_size"),
        ("ZeroPadding3D", json!({"padding": [1, 2]}), "padding"),
        ("Cropping3D", json!({"cropping": [1, 2, -1]}), "cropping"),
        ("UpSampling3D", json!({"size": 0}), "size"),
        ("UpSampling2D", json!({"interpolation": "bicubic"}), "interpolation"),
        ("UpSampling2D", json!({"size": 64, "interpolation": "bilinear"}), "size"),
        ("ThresholdedReLU", json!({"theta": "much"}), "theta"),
        ("CategoryEncoding", json!({"num_tokens": 0}), "num_tokens"),
        ("CategoryEncoding", json!({"num_tokens": 3, "output_mode": "int"}), "output_mode"),
        ("Discretization", json!({"bin_boundaries": null}), "bin_boundaries"),
        ("Discretization", json!({"bin_boundaries": []}), "bin_boundaries"),
        ("Discretization", json!({"bin_boundaries": [1.0, 0.0]}), "bin_boundaries"),
        ("Discretization", json!({"bin_boundaries": [1], "output_mode": "count"}), "output_mode"),
        (
            "ConvLSTM1D",
            json!({"filters": 2, "kernel_size": 2, "padding": "causal", "activation": "tanh",
                "recurrent_activation": "sigmoid"}),
            "padding",
        ),
        (
            "ConvLSTM1D",
            json!({"filters": 2, "kernel_size": 2, "padding": "same", "activation": "softmax",
                "recurrent_activation": "sigmoid"}),
            "activation",
        ),
        (
            "ConvLSTM2D",
            json!({"filters": 2, "kernel_size": [2], "padding": "same", "activation": "tanh",
                "recurrent_activation": "sigmoid"}),
            "kernel_size",
        ),
        (
            "ConvLSTM1D",
            json!({"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": 2,
                "padding": "same", "activation": "tanh", "recurrent_activation": "sigmoid"}),
            "strides",
        ),
        (
            "Dense",
            json!({"units": 2, "activation": null, "dtype": {"class_name":
            "QuantizedFloat8DTypePolicy", "config": {"mode": "float8", "source_name": "float32"}}}),
            "dtype",
        ),
        (
            "Dense",
            json!({"units": 2, "activation": null, "dtype": "gptq/4/128_from_float32"}),
            "dtype",
        ),
        ("GroupNormalization", json!({"groups": "all"}), "groups"),
        ("Normalization", json!({"mean": 1.0}), "mean"),
        ("Normalization", json!({"mean": [[1.0]], "variance": [[1.0]]}), "mean"),
        ("Normalization", json!({"mean": 1.0, "variance": "much"}), "variance"),
        ("Dot", json!({}), "axes"),
        ("Dot", json!({"axes": [1, 1, 1]}), "axes"),
        ("Flatten", json!({"data_format": "channels_middle"}), "data_format"),
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
        ("UpSampling2D", json!({"interpolation": "bicubic"}), "interpolation"),
        (
            "Conv1D",
            json!({"filters": 2, "kernel_size": 2, "data_format": "channels_first",
                "activation": "softmax"}),
            "activation",
        ),
        ("Cropping2D", json!({"cropping": [[1, 2, 3], [1, 1]]}), "cropping"),
        ("ZeroPadding2D", json!({"padding": [1, -1]}), "padding"),
        ("Softmax", json!({"axis": [1, 2]}), "axis"),
        ("ReLU", json!({"max_value": "six"}), "max_value"),
        ("Rescaling", json!({"offset": 0.0}), "scale"),
        ("Rescaling", json!({"scale": [0.5, 2.0], "offset": 0.0}), "scale"),
        ("Rescaling", json!({"scale": 0.5, "offset": "low"}), "offset"),
        (
            "MultiHeadAttention",
            json!({"num_heads": 2, "key_dim": 3, "attention_axes": [1, 2]}),
            "attention_axes",
        ),
        (
            "MultiHeadAttention",
            json!({"num_heads": 2, "key_dim": 3, "sliding_window": 2}),
            "sliding_window",
        ),
        ("MultiHeadAttention", json!({"num_heads": 2, "key_dim": 3, "use_gate": true}), "use_gate"),
        (
            "TimeDistributed",
            json!({"layer": {"class_name": "Dense", "config": {"units": -1}}}),
            "layer.units",
        ),
        ("TimeDistributed", json!({"layer": {"class_name": "Dense"}}), "layer"),
        ("RNN", json!({"cell": {"class_name": "GRUCell", "config": {"units": 1.5}}}), "cell.units"),
        ("RNN", json!({"cell": []}), "cell"),
        ("RNN", json!({}), "cell"),
    ];
    for (class, arguments, wanted) in wrong {
        match keras3(row(json!([null, 4, 3]), vec![named(class, arguments.clone())])) {
            Err(
                Error::Argument { layer, argument, .. }
                | Error::UnsupportedArgument { layer, argument, .. },
            ) => {
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
        keras3(row(json!([null, 4, 3]), vec![dense]))
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
        (layer("Softmax", json!({"axis": -1, "trainable": true})), Activation::Softmax),
        (json!("sparsemax"), Activation::Sparsemax),
        (json!("glu"), Activation::Glu),
        (layer("Activation", json!({"activation": "tanh"})), Activation::Tanh),
    ];
    for (value, activation) in expected {
        let model = of(value.clone()).unwrap_or_else(|e| panic!("{value}: {e}"));
        let dense = Dense::new(2).activation(activation).named("it");
        assert!(model.layers().eq([&dense]), "{value}: {model:?}");
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
    let stacked =
        json!({"class_name": "StackedRNNCells", "config": {"name": "s", "cells": cells()}});
    for cell in [stacked, cells()] {
        let flags =
            json!({"name": "rnn", "cell": cell, "return_state": true, "go_backwards": true});
        let rnn = json!({"class_name": "RNN", "config": flags});
        let outputs =
            json!([["rnn", 0, 0], [["rnn", 0, 1], ["rnn", 0, 2]], ["rnn", 0, 3], ["rnn", 0, 4]]);
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
    let states = |names: &[&str]| {
        let states = names.iter().map(|name| json!([name, 0, 0])).collect::<Vec<_>>();
        json!([[["x", 0, 0, {"initial_state": states}]]])
    };
    let mut config = functional(rnn, states(&["h", "c", "g", "s"]), json!([["rnn", 0, 0]]));
    let layers = config["config"]["layers"].as_array_mut().unwrap();
    layers.extend(
        [("c", 2), ("g", 3), ("s", 4)].map(|(name, units)| input(name, json!([null, units]))),
    );
    config["config"]["input_layers"] =
        json!(["x", "h", "c", "g", "s"].map(|name| json!([name, 0, 0])));
    let model = keras3(config.clone()).unwrap();
    let read: Vec<_> =
        model.summary().rows.into_iter().map(|row| row.connected_to).skip(5).collect();
    assert_eq!(read, [vec!["x", "h", "c"], vec!["rnn/cell_0", "g"], vec!["rnn/cell_1", "s"]]);
    config["config"]["layers"][2]["inbound_nodes"] = states(&["h", "c"]);
    assert!(reason_of(keras3(config)).contains("4 initial states"));
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
        operation(
            classes[1],
            "any",
            json!([tensor("not_equal")]),
            json!({"axis": axis, "keepdims": false}),
        ),
    ]);
    config
}

#[test]
fn masks_of_operations_are_those_that_arrays_carry() {
    let model = keras3(spelled_out(0.5, -1, ["NotEqual", "Any"])).unwrap();
    assert_eq!(model.layer_names(), ["rnn", "masking"]);
    let masks = model.mask_origins(|_| false);
    assert_eq!(masks.calls[1], [Some(0)]);
    assert!(matches!(masks.origins[0], MaskOrigin::NotEqual { value: 0.5, .. }));
    // Another mask is computed.
    for (value, classes) in [(0.25, ["NotEqual", "Any"]), (0.5, ["Equal", "All"])] {
        let model = keras3(spelled_out(value, -1, classes)).unwrap();
        assert_eq!(model.layer_names(), ["rnn", "masking", "any"], "{classes:?}");
        let masks = model.mask_origins(|_| false);
        let of_rnn = masks.calls[2][0].unwrap();
        assert!(matches!(masks.origins[of_rnn], MaskOrigin::NotZero(_)), "{classes:?}");
    }
    for classes in [["NotEqual", "FFT"], ["Bincount", "Any"]] {
        let error = keras3(spelled_out(0.5, -1, classes)).unwrap_err();
        assert!(matches!(error, Error::UnsupportedNode { .. }), "{classes:?}: {error}");
        assert!(error.to_string().contains("KerasOptions::custom"), "{error}");
    }
    // An array that nothing masks is read as any other.
    let mut used = spelled_out(0.5, -1, ["NotEqual", "Any"]);
    used["config"]["layers"][2]["inbound_nodes"] =
        json!([{"args": [tensor("not_equal")], "kwargs": {}}]);
    let model = keras3(used).unwrap();
    assert!(model.summary().rows.iter().any(|row| row.connected_to == ["not_equal"]));
}

/// Keras 2 writes no operations.
#[test]
fn masks_follow_the_version() {
    let masking = |name: &str, input: &str| {
        let mut masking = named("Masking", json!({"name": name}));
        masking["inbound_nodes"] = json!([[[input, 0, 0, {}]]]);
        masking
    };
    let (a, b) = (masking("a", "x"), masking("b", "y"));
    let mut add = named("Add", json!({"name": "add"}));
    add["inbound_nodes"] = json!([[["a", 0, 0, {}], ["b", 0, 0, {}]]]);
    let mut rnn = rnn(json!({}));
    rnn["inbound_nodes"] = json!([[["add", 0, 0, {}]]]);
    let (x, y) = (input("x", json!([null, 4, 3])), input("y", json!([null, 4, 3])));
    let config = json!({"class_name": "Functional", "config": {"layers": [x, y, a, b, add, rnn],
        "input_layers": [["x", 0, 0], ["y", 0, 0]], "output_layers": [["rnn", 0, 0]]}});
    let read = |version: Version| {
        let masks = build(version, &config).unwrap().mask_origins(|_| false);
        masks.origins[masks.calls[3][0].unwrap()].clone()
    };
    assert_eq!(read(Version::Keras2), MaskOrigin::All(vec![0, 1]));
    assert_eq!(read(Version::Keras3), MaskOrigin::Any(vec![0, 1]));
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
    let call = |causal: bool| {
        let x = json!(["x", 0, 0, {"use_causal_mask": causal}]);
        json!([x, x])
    };
    let attention =
        |nodes: Value| functional(named("Attention", json!({})), nodes, json!([["it", 0, 0]]));
    let is_causal = |model: Model| {
        let causal = Attention::new().use_causal_mask(true).named("it");
        model.layers().eq([&causal])
    };
    assert!(is_causal(keras3(attention(json!([call(true)]))).unwrap()));
    assert!(!is_causal(keras3(attention(json!([call(false)]))).unwrap()));
    assert!(
        reason_of(keras3(attention(json!([call(true), call(false)])))).contains("use_causal_mask")
    );
}

#[test]
fn a_configuration_alone_is_a_model() {
    let of = |json: &str| KerasLimits::new().load_config(json);
    let model = of(&row(json!([null, 4, 3]), vec![rnn(json!({}))]).to_string()).unwrap();
    assert_eq!(model.summary().parameters, 3 * 2 + 2 * 2 + 2);
    assert!(model.weights("rnn").is_err());
    for json in [
        "",
        "[]",
        "{}",
        "{\"class_name\": \"Sequential\"}",
        "{\"keras_version\": 5, \"class_name\": 1}",
    ] {
        assert!(matches!(of(json), Err(Error::MalformedFile { .. })), "{json}");
    }
}

/// Lengths that no array has don't overflow.
#[test]
fn absurd_lengths_are_no_panic() {
    let long = |index: usize| {
        named("UpSampling1D", json!({"name": format!("up{index}"), "size": 16_777_215}))
    };
    let mut layers: Vec<Value> = (0..4).map(long).collect();
    layers.push(named("ZeroPadding1D", json!({"name": "pad", "padding": 3})));
    layers.push(named(
        "Conv1D",
        json!({"name": "conv", "filters": 2, "kernel_size": 3, "activation": null}),
    ));
    layers.push(named("Flatten", json!({"name": "flatten"})));
    layers.push(named("Dense", json!({"name": "dense", "units": 5, "activation": null})));
    let model = keras3(row(json!([null, 1 << 30, 3]), layers)).unwrap();
    assert_eq!(model.summary().parameters, usize::MAX);
    assert!(matches!(model.initialize(1), Err(Error::OutOfMemory { .. })));
}
