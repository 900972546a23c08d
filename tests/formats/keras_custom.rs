//! Layers of a caller's own in files of real Keras: how they are built, and what they compute.

use birnn::layer::{BatchNormalization, Rescaling};
use birnn::{
    Activation, CustomLayer, Dense, Device, Error, Gru, KerasLayer, KerasOptions, Lstm, Result,
    SimpleRnn,
};
use ndarray::{Array1, ArrayD};
use ndarray_npy::NpzReader;
use std::fs::File;
use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/custom").join(name)
}

/// `x · gamma + beta + offset`: a normalization of mean 0 and variance 1.
fn scale(layer: &KerasLayer) -> Result<CustomLayer> {
    let offset = layer.number("offset")? as f32;
    let convert = move |arrays: Vec<(String, ArrayD<f32>)>| {
        let mut arrays: Vec<_> = arrays.into_iter().map(|(_, array)| array).collect();
        let features = arrays[0].len();
        arrays[1] += offset;
        arrays.push(Array1::zeros(features).into_dyn());
        arrays.push(Array1::ones(features).into_dyn());
        Ok(arrays)
    };
    Ok(CustomLayer::new(BatchNormalization::new().epsilon(0.0)).weights(convert))
}

/// `tanh` of a product with a kernel that is stored as its transpose.
fn mix(layer: &KerasLayer) -> Result<CustomLayer> {
    let dense = Dense::new(layer.size("units")?).use_bias(false);
    let transposed = |arrays: Vec<(String, ArrayD<f32>)>| {
        Ok(arrays.into_iter().map(|(_, array)| array.reversed_axes()).collect())
    };
    Ok(CustomLayer::new(dense).then(Activation::Tanh).weights(transposed))
}

fn options() -> KerasOptions {
    KerasOptions::new()
        .custom("birnn>Scale", scale)
        .custom("birnn>Mix", mix)
        .lambda("double", |_| Ok(CustomLayer::new(Rescaling::new(2.0))))
        .custom("birnn>Gated", gated)
        .custom("birnn>Plain", plain)
        .activation("birnn>half_tanh", Activation::ScaledTanh(0.5.into(), 1.0.into()))
        .activation("half_tanh", Activation::ScaledTanh(0.5.into(), 1.0.into()))
}

/// A GRU under another name.
fn gated(layer: &KerasLayer) -> Result<CustomLayer> {
    let gru = Gru::new(layer.size("units")?);
    Ok(CustomLayer::new(gru.return_sequences(layer.flag("return_sequences")?))
        .supports_masking(true))
}

/// A cell, `tanh(x · input_kernel + h · memory)`, whose memory's weights come first.
fn plain(cell: &KerasLayer) -> Result<CustomLayer> {
    let layer = SimpleRnn::new(cell.size("units")?).use_bias(false);
    Ok(CustomLayer::new(layer)
        .weights(|arrays| Ok(arrays.into_iter().rev().map(|(_, array)| array).collect())))
}

/// In `TimeDistributed`, `Bidirectional` and `RNN`, which the caller's functions needn't know of.
#[test]
fn wrapped_custom_layers_compute_what_keras_computed() {
    for name in ["keras3_wrapped.keras", "keras3_wrapped_legacy.h5", "keras2_wrapped.h5"] {
        let model = options().load(fixture(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let names = [
            "scale_each",
            "double_each",
            "mix_each/layer_0",
            "mix_each/layer_1",
            "both",
            "own",
            "after",
            "head",
        ];
        assert_eq!(model.layer_names(), names, "{name}");
        let file = File::open(fixture(name).with_extension("npz")).unwrap();
        let mut arrays = NpzReader::new(file).unwrap();
        let input: ArrayD<f32> = arrays.by_name("input0.npy").unwrap();
        let expected: ArrayD<f32> = arrays.by_name("output0.npy").unwrap();
        for device in [Device::cpu(), Device::reference()] {
            let outputs = device.compile(&model).unwrap().run(input.view()).unwrap();
            let error = (outputs.output() - &expected).fold(0.0f32, |most, e| most.max(e.abs()));
            assert!(error < 1e-6, "{name}: {error}");
        }
    }
}

/// Errors of wrapped layers name what is missing, and what was built wrongly.
#[test]
fn wrapped_custom_layers_that_are_not_built_are_errors() {
    let path = fixture("keras3_wrapped.keras");
    let report = KerasOptions::new().inspect(&path).unwrap();
    let problem = |name: &str| {
        let layer = report.layers.iter().find(|layer| layer.name == name).unwrap();
        layer.problem.as_ref().map(ToString::to_string).unwrap_or_default()
    };
    for (name, words) in [
        ("scale_each", ["TimeDistributed(birnn>Scale)", "KerasOptions::custom"]),
        ("double_each", ["TimeDistributed(Lambda)", "KerasOptions::lambda"]),
        ("both", ["Bidirectional(birnn>Gated)", "KerasOptions::custom"]),
        ("own", ["RNN(birnn>Plain)", "which recurrent layer"]),
        ("head", ["birnn>half_tanh", "KerasOptions::activation"]),
    ] {
        for word in words {
            assert!(problem(name).contains(word), "{name}: {}", problem(name));
        }
    }
    // A wrapper's name will do for a Lambda, too.
    let by_wrapper = options().lambda("double_each", |layer| {
        assert_eq!((layer.name(), layer.class_name()), ("double_each", "Lambda"));
        Ok(CustomLayer::new(Rescaling::new(2.0)))
    });
    assert!(by_wrapper.load(&path).is_ok());
    let not_recurrent = |_: &KerasLayer| Ok(CustomLayer::new(Dense::new(3)));
    for (class, layer, argument) in
        [("birnn>Gated", "both", "layer"), ("birnn>Plain", "own", "cell")]
    {
        match options().custom(class, not_recurrent).load(&path) {
            Err(Error::UnsupportedArgument { layer: found, argument: of, reason, .. }) => {
                assert_eq!((&found[..], &of[..]), (layer, argument));
                assert!(reason.contains("one recurrent layer"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    // As many weights as the layer takes: an LSTM has those of no Plain.
    let lstm = |cell: &KerasLayer| Ok(CustomLayer::new(Lstm::new(cell.size("units")?)));
    let error = options().custom("birnn>Plain", lstm).load(&path);
    assert!(matches!(error, Err(Error::Graph(_) | Error::WeightCount { .. })), "{error:?}");
}

/// One cell of a caller's among several is refused in words that say what to do.
#[test]
fn several_cells_of_which_one_is_the_callers_are_refused() {
    let json = r#"{"class_name": "Sequential", "keras_version": "2.15.0", "config": {
        "name": "s", "layers": [
            {"class_name": "RNN", "config": {
                "name": "rnn", "batch_input_shape": [null, 5, 3], "cell": [
                    {"class_name": "birnn>Plain", "config": {"units": 2}},
                    {"class_name": "SimpleRNNCell", "config": {
                        "units": 2, "activation": "tanh"}}]}}]}}"#;
    match options().load_config(json) {
        Err(Error::UnsupportedArgument { layer, argument, reason, .. }) => {
            assert_eq!((&layer[..], &argument[..]), ("rnn", "cell"));
            assert!(reason.contains("one RNN for each cell"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn custom_layers_compute_what_keras_computed() {
    for name in ["keras3.keras", "keras2.h5"] {
        let model = options().load(fixture(name)).unwrap();
        let names = ["scale", "double", "mix/layer_0", "mix/layer_1", "gru"];
        assert_eq!(model.layer_names(), names, "{name}");
        let file = File::open(fixture(name).with_extension("npz")).unwrap();
        let mut arrays = NpzReader::new(file).unwrap();
        let input: ArrayD<f32> = arrays.by_name("input0.npy").unwrap();
        let expected: ArrayD<f32> = arrays.by_name("output0.npy").unwrap();
        let outputs = Device::cpu().compile(&model).unwrap().run(input.view()).unwrap();
        let error = (outputs.output() - &expected).fold(0.0f32, |most, e| most.max(e.abs()));
        assert!(error < 1e-6, "{name}: {error}");
    }
}

/// In legacy files the arrays of all layers of such a model stand in one group.
#[test]
fn custom_layers_in_a_model_that_is_a_layer_find_their_weights() {
    let name = "keras3_nested.h5";
    let model = options().load(fixture(name)).unwrap();
    let mut arrays =
        NpzReader::new(File::open(fixture(name).with_extension("npz")).unwrap()).unwrap();
    let input: ArrayD<f32> = arrays.by_name("input0.npy").unwrap();
    let expected: ArrayD<f32> = arrays.by_name("output0.npy").unwrap();
    let outputs = Device::cpu().compile(&model).unwrap().run(input.view()).unwrap();
    let error = (outputs.output() - &expected).fold(0.0f32, |most, e| most.max(e.abs()));
    assert!(error < 1e-6, "{error}");
}

#[test]
fn the_report_is_that_of_the_same_options() {
    let report = options().inspect(fixture("keras3.keras")).unwrap();
    assert!(report.model.is_ok() && report.layers.iter().all(|layer| layer.problem.is_none()));
    let report = KerasOptions::new().inspect(fixture("keras3.keras")).unwrap();
    let problems = report.layers.iter().filter_map(|layer| layer.problem.as_ref());
    let problems: Vec<_> = problems.map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(problems[0].contains("KerasOptions::custom"), "{}", problems[0]);
    assert!(problems[1].contains("KerasOptions::lambda"), "{}", problems[1]);
}

#[test]
fn what_a_builder_does_wrong_is_an_error() {
    let path = fixture("keras3.keras");
    let missing = options().custom("birnn>Mix", |layer| {
        layer.size("heads").map(|heads| CustomLayer::new(Dense::new(heads)))
    });
    match missing.load(&path) {
        Err(Error::Argument { layer, argument, .. }) => {
            assert_eq!((&layer[..], &argument[..]), ("mix", "heads"));
        }
        other => panic!("{other:?}"),
    }
    // Without the conversion the kernel has the wrong shape.
    let plain = options().custom("birnn>Mix", |_| {
        Ok(CustomLayer::new(Dense::new(4).use_bias(false)).then(Activation::Tanh))
    });
    assert!(matches!(plain.load(&path), Err(Error::WeightShape { .. })));
    // A bias that the file hasn't.
    let biased = options().custom("birnn>Mix", |_| Ok(CustomLayer::new(Dense::new(4))));
    assert!(matches!(biased.load(&path), Err(Error::WeightCount { .. })));
}

#[test]
fn a_mask_reaches_only_layers_that_support_it() {
    let json = r#"{"class_name": "Sequential", "keras_version": "2.15.0", "config": {
        "name": "s", "layers": [
            {"class_name": "Masking", "config": {
                "name": "mask", "mask_value": 0.0, "batch_input_shape": [null, 5, 3]}},
            {"class_name": "Mine", "module": "models", "registered_name": "Mine",
             "config": {"name": "mine"}},
            {"class_name": "SimpleRNN", "config": {
                "name": "rnn", "units": 2, "activation": "tanh"}}]}}"#;
    let load = |supports_masking: bool| {
        let layer = CustomLayer::new(Rescaling::new(2.0)).supports_masking(supports_masking);
        KerasOptions::new().custom("Mine", move |_| Ok(layer.clone())).load_config(json)
    };
    assert!(load(true).is_ok());
    match load(false) {
        Err(Error::UnsupportedArgument { layer, argument, .. }) => {
            assert_eq!((&layer[..], &argument[..]), ("mine", "mask"));
        }
        other => panic!("{other:?}"),
    }
}
