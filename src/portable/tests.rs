//! What each layer is in a file, and that files of today are read tomorrow.

use super::KEY;
use super::tensors::Written;
use crate::layer::{
    Activation, ActivationLayer, AdditiveAttention, Attention, AveragePooling1d, AveragePooling2d,
    AveragePooling3d, BatchNormalization, Bidirectional, BidirectionalConvLstm1d,
    BidirectionalConvLstm2d, CategoryEncoding, Cell, CellOptions, ChannelsFirst, Concatenate,
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Conv3d, ConvLstm1d, ConvLstm2d, Cropping1d,
    Cropping2d, Cropping3d, Dense, DepthwiseConv1d, DepthwiseConv2d, Discretization, Dot,
    EinsumDense, Embedding, EncodingMode, Flatten, GlobalAveragePooling1d, GlobalAveragePooling2d,
    GlobalAveragePooling3d, GlobalMaxPooling1d, GlobalMaxPooling2d, GlobalMaxPooling3d,
    GroupNormalization, Identity, Initializer, Kind, Layer, LayerNormalization, Masking,
    MaxPooling1d, MaxPooling2d, MaxPooling3d, Merge, MergeMode, MultiHeadAttention, Normalization,
    PRelu, Padding, Permute, RecurrentBuilder, ReluLayer, RepeatVector, Rescaling, Reshape,
    RmsNormalization, ScoreMode, SeparableConv1d, SeparableConv2d, SoftmaxLayer, TimeDistributed,
    UnitNormalization, UpSampling1d, UpSampling2d, UpSampling3d, WithMaskOf, ZeroPadding1d,
    ZeroPadding2d, ZeroPadding3d,
};
use crate::{Error, Model};
use ndarray::arr1;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One of each layer that isn't recurrent, with other arguments than the defaults.
fn feedforward() -> Vec<Layer> {
    let statistics = (arr1(&[0.1, -2.5e-300]).into_dyn(), arr1(&[1.0, 3.0]).into_dyn());
    vec![
        Dense::new(3).activation(Activation::LeakyRelu(0.1.into())).use_bias(false).into(),
        Embedding::new(10, 4).mask_zero(true).into(),
        Masking::new().mask_value(-0.1).into(),
        ActivationLayer { activation: Activation::Elu(f32::INFINITY.into()) }.into(),
        ReluLayer::new().max_value(Some(6.0)).negative_slope(0.1).threshold(0.3).into(),
        PRelu::new().shared_axes(vec![1, 2]).into(),
        SoftmaxLayer::new().axis(1).into(),
        Rescaling::new(1.0 / 127.5).offset(-0.1).into(),
        Identity::dropout().into(),
        WithMaskOf::new(2).into(),
        EinsumDense::new("abc,cd->abd".to_string(), vec![None, Some(3)])
            .bias_axes(Some("d".to_string()))
            .into(),
        LayerNormalization::new().axis(vec![-1, 1]).epsilon(1e-5).center(false).into(),
        RmsNormalization::new().axis(vec![-1]).epsilon(1e-7).into(),
        BatchNormalization::new().axis(1).epsilon(0.1).center(false).scale(false).into(),
        UnitNormalization::new().axis(vec![1]).into(),
        GroupNormalization::new().groups(-1).axis(1).epsilon(0.2).scale(false).into(),
        Normalization::new().statistics(Some(statistics)).invert(true).into(),
        Conv1d::new(3, 2).padding(Padding::Causal).dilation_rate(2).groups(3).into(),
        Conv2d::new(3, (2, 1)).strides((1, 2)).activation(Activation::Gelu).into(),
        Conv3d::new(4, (2, 1, 3)).strides((1, 2, 1)).groups(2).into(),
        DepthwiseConv1d::new(3).depth_multiplier(2).use_bias(false).into(),
        DepthwiseConv2d::new((3, 2)).padding(Padding::Same).into(),
        SeparableConv1d::new(3, 2).depth_multiplier(2).into(),
        SeparableConv2d::new(3, (2, 2)).strides((2, 2)).into(),
        Conv1dTranspose::new(3, 2).strides(2).into(),
        Conv2dTranspose::new(3, (2, 2)).strides((2, 1)).into(),
        ConvLstm1d::new(3, 2).return_sequences(true).unit_forget_bias(false).into(),
        ConvLstm2d::new(3, (2, 1)).padding(Padding::Same).return_state(true).into(),
        BidirectionalConvLstm1d::new(ConvLstm1d::new(3, 2)).merge_mode(MergeMode::Sum).into(),
        BidirectionalConvLstm2d::new(ConvLstm2d::new(3, (2, 2)).use_bias(false)).into(),
        CategoryEncoding::new(4).output_mode(EncodingMode::Count).into(),
        Discretization::new(vec![-0.1, 0.0, 1e30]).into(),
        MaxPooling1d::new().pool_size(3).strides(Some(1)).into(),
        MaxPooling2d::new().pool_size((3, 2)).into(),
        MaxPooling3d::new().pool_size((1, 2, 2)).into(),
        AveragePooling1d::new().padding(Padding::Same).into(),
        AveragePooling2d::new().strides(Some((1, 2))).into(),
        AveragePooling3d::new().strides(Some((1, 2, 1))).padding(Padding::Same).into(),
        GlobalMaxPooling1d::new().keepdims(true).into(),
        GlobalMaxPooling2d::new().keepdims(true).into(),
        GlobalMaxPooling3d::new().keepdims(true).into(),
        GlobalAveragePooling1d::new().into(),
        GlobalAveragePooling2d::new().into(),
        GlobalAveragePooling3d::new().into(),
        Merge::subtract().into(),
        Concatenate::new().axis(1).into(),
        Dot::new((1, 2)).normalize(true).into(),
        Flatten::new().into(),
        Reshape::new(vec![None, Some(4)]).into(),
        Permute::new(vec![2, 1]).into(),
        RepeatVector::new(3).into(),
        Cropping1d::new((1, 2)).into(),
        Cropping2d::new(((1, 2), (3, 4))).into(),
        Cropping3d::new(((1, 2), (3, 4), (5, 6))).into(),
        ZeroPadding1d::new((1, 2)).into(),
        ZeroPadding2d::new(((1, 2), (3, 4))).into(),
        ZeroPadding3d::new(((1, 2), (3, 4), (5, 6))).into(),
        UpSampling1d::new().size(3).into(),
        UpSampling2d::new().size((3, 2)).into(),
        Attention::new().use_scale(true).score_mode(ScoreMode::Concat).use_causal_mask(true).into(),
        AdditiveAttention::new().use_scale(false).into(),
        MultiHeadAttention::new(2, 3).value_dim(Some(4)).output_features(Some(5)).into(),
        UpSampling3d::new().size((1, 2, 3)).into(),
        ChannelsFirst::new(Conv2d::new(3, (2, 2)).named("inside")).into(),
        TimeDistributed::new(Dense::new(2).named("inside")).into(),
    ]
}

fn recurrent() -> Vec<Layer> {
    let layer = |cell: &Cell| RecurrentBuilder::of(*cell, 3).recurrent_activation(Activation::Relu);
    let clip = Some(0.1.into());
    let options = CellOptions { clip, peepholes: true, coupled: true, ..CellOptions::default() };
    let normal = Initializer::RandomNormal { mean: 0.1, stddev: 0.2 };
    let peepholes = RecurrentBuilder::of(Cell::LSTM.with(options), 2)
        .return_state(true)
        .stateful(true)
        .kernel_initializer(normal);
    let both = Bidirectional::new(RecurrentBuilder::of(Cell::GRU, 3).return_sequences(true))
        .merge_mode(MergeMode::Ave)
        .named("both");
    let mut layers: Vec<Layer> = Cell::ALL.iter().map(|cell| layer(cell).into()).collect();
    layers.extend([peepholes.named("peepholes").into(), both.into()]);
    layers
}

/// What a file calls a layer.
fn kind(layer: &Layer) -> String {
    let value = serde_json::to_value(layer).unwrap();
    let kind = value["Feedforward"]["kind"].as_object();
    kind.and_then(|kind| kind.keys().next().cloned()).unwrap_or_else(|| {
        let cell = value["Recurrent"]["cell"]["name"].as_str();
        cell.unwrap_or("bidirectional").to_string() + layer.name()
    })
}

fn samples() -> BTreeMap<String, Layer> {
    let layers = feedforward().into_iter().chain(recurrent());
    layers.map(|layer| (kind(&layer), layer)).collect()
}

#[test]
fn every_layer_is_read_as_it_was_written() {
    let samples = samples();
    let missing: Vec<_> = Kind::NAMES
        .iter()
        .filter(|name| **name != "Probe" && !samples.contains_key(**name))
        .collect();
    assert!(missing.is_empty(), "no sample of {missing:?}: add one to `feedforward`");
    for (kind, layer) in samples {
        let text = serde_json::to_string(&layer).unwrap();
        let read: Layer = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(read, layer);
    }
}

/// `layers.json` holds the samples as they were first written, a line each. Lines are added
/// (`BIRNN_WRITE_DOCS=1`) and never changed: files with them are out in the world.
#[test]
fn layers_are_read_as_they_were_first_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/portable/layers.json");
    let text = std::fs::read_to_string(&path).unwrap_or("{}".into());
    let mut first: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let samples = samples();
    for (kind, written) in &first {
        let read = serde_json::from_value::<Layer>(written.clone());
        let read = read.unwrap_or_else(|e| panic!("files with {kind} aren't read any more: {e}"));
        assert_eq!(Some(&read), samples.get(kind), "{kind} means something else than it did");
    }
    let known: BTreeSet<String> = first.keys().cloned().collect();
    let more: Vec<_> = samples.iter().filter(|(kind, _)| !known.contains(*kind)).collect();
    if std::env::var_os("BIRNN_WRITE_DOCS").is_some() && !more.is_empty() {
        first.extend(
            more.iter().map(|(k, layer)| (k.to_string(), serde_json::to_value(layer).unwrap())),
        );
        let lines: Vec<_> =
            first.iter().map(|(kind, value)| format!("{kind:?}: {value}")).collect();
        std::fs::write(&path, format!("{{\n{}\n}}\n", lines.join(",\n"))).unwrap();
        return;
    }
    let kinds: Vec<_> = more.iter().map(|(kind, _)| kind).collect();
    assert!(more.is_empty(), "layers.json lacks {kinds:?}: run this test with BIRNN_WRITE_DOCS=1");
}

#[test]
fn what_has_a_default_may_be_missing() {
    let read = |text: &str| serde_json::from_str::<Dense>(text);
    assert_eq!(read(r#"{"units": 3}"#).unwrap(), Dense::new(3));
    assert!(read("{}").unwrap_err().to_string().contains("units"));
    let error = read(r#"{"units": 3, "lora_rank": 4}"#).unwrap_err().to_string();
    assert!(error.contains("lora_rank"), "{error}");
    // Null is no default.
    assert!(read(r#"{"units": 3, "use_bias": null}"#).is_err());
    let relu = serde_json::from_str::<ReluLayer>(r#"{"max_value": null}"#).unwrap();
    assert_eq!(relu, ReluLayer::new());
    let relu = relu.max_value(Some(f32::INFINITY)).threshold(0.1);
    let text = serde_json::to_string(&relu).unwrap();
    assert_eq!(serde_json::from_str::<ReluLayer>(&text).unwrap(), relu, "{text}");
}

#[test]
fn what_json_has_no_word_for_is_an_error() {
    let named = |layer: Layer| {
        Model::sequential(2, [layer.named("it")]).and_then(|model| model.initialize(1)).unwrap()
    };
    for layer in [
        Rescaling::new(f64::NEG_INFINITY).into(),
        LayerNormalization::new().epsilon(f64::NAN).into(),
    ] {
        let error = named(layer).to_portable_bytes().unwrap_err();
        assert!(matches!(error, Error::Graph(_)), "{error:?}");
        assert!(error.to_string().contains("\"it\" can't be saved"), "{error}");
    }
}

#[test]
fn files_are_not_named_as_those_of_other_forms() {
    let model = Model::sequential(2, [Flatten::new()]).unwrap();
    let folder = std::env::temp_dir().join(format!("birnn_save_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["m.onnx", "m.npz", "m.h5", "m.pt", "m.keras", "m", "m.safetensors.gz"] {
        let path = folder.join(name);
        let error = model.save(&path).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(name) && text.contains("ends in .safetensors"), "{text}");
        assert!(!path.exists());
    }
    let path = folder.join("m.SafeTensors");
    model.save(&path).unwrap();
    assert!(Model::from_portable(&path).is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}

/// A file with another description.
fn with_description(change: impl Fn(&mut Value)) -> Vec<u8> {
    let model = Model::sequential(2, [Flatten::new()]).unwrap();
    let bytes = model.to_portable_bytes().unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let text = &metadata.metadata().as_ref().unwrap()[KEY];
    let mut description: Value = serde_json::from_str(text).unwrap();
    change(&mut description);
    let metadata = [(KEY.to_string(), description.to_string())].into_iter().collect();
    safetensors::serialize(Written::default().iter(), Some(metadata)).unwrap()
}

#[test]
fn other_versions_and_unknown_fields_say_what_to_do() {
    let error = |change: &dyn Fn(&mut Value)| {
        let error = Model::from_portable_bytes("m", &with_description(change)).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error:?}");
        error.to_string()
    };
    assert!(Model::from_portable_bytes("m", &with_description(|_| {})).is_ok());
    let newer = error(&|all| {
        all["version"] = 2.into();
        all["written_by"] = "birnn 9.8.7".into();
        all["model"] = Value::Null;
    });
    for words in ["version 2", "written by birnn 9.8.7", "reads version 1", "read it with"] {
        assert!(newer.contains(words), "{newer}");
    }
    let unknown = error(&|all| all["model"]["graph"]["colour"] = 1.into());
    for words in ["unknown field `colour`", "version 1", "a newer birnn"] {
        assert!(unknown.contains(words), "{unknown}");
    }
    let kind = error(&|all| {
        all["model"]["graph"]["layers"][0]["layer"]["Feedforward"]["kind"] =
            serde_json::json!({"Fold": {}});
    });
    assert!(kind.contains("unknown variant `Fold`"), "{kind}");
    let none = error(&|all| *all = "text".into());
    assert!(none.contains("description is damaged"), "{none}");
}
