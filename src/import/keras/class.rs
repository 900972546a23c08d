//! Which Keras classes are supported, and by which names files call them.

use super::messages::malformed;
use super::operation;
use crate::{Cell, Error, Result};
use serde_json::Value;

/// For [`Error::UnsupportedLayer`].
pub(super) const SUPPORTED: &str = "\
    InputLayer, LSTM, GRU, SimpleRNN, CuDNNLSTM, CuDNNGRU, RNN of LSTMCell, GRUCell, \
    SimpleRNNCell and lists of these, ConvLSTM1D, ConvLSTM2D, Bidirectional, TimeDistributed, \
    Dense, EinsumDense, Embedding, Masking, Activation, ReLU, LeakyReLU, ELU, PReLU, \
    ThresholdedReLU, Softmax, Rescaling, CategoryEncoding, Discretization, LayerNormalization, \
    RMSNormalization, BatchNormalization, UnitNormalization, GroupNormalization, Normalization, \
    Conv1D, Conv2D, Conv3D, DepthwiseConv1D, DepthwiseConv2D, SeparableConv1D, SeparableConv2D, \
    Conv1DTranspose, Conv2DTranspose, MaxPooling1D, MaxPooling2D, MaxPooling3D, AveragePooling1D, \
    AveragePooling2D, AveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D, \
    GlobalMaxPooling3D, GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D, \
    Concatenate, Dot, Add, Subtract, Multiply, Average, Maximum, Minimum, Flatten, Reshape, \
    Permute, RepeatVector, Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, \
    ZeroPadding3D, UpSampling1D, UpSampling2D, UpSampling3D, Attention, AdditiveAttention, \
    MultiHeadAttention, Dropout, SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, \
    RandomFlip, RandomRotation, RandomTranslation, RandomZoom, RandomShear, RandomPerspective, \
    RandomElasticTransform, RandomContrast, RandomBrightness, RandomHue, RandomSaturation, \
    RandomSharpness, RandomPosterization, RandomColorJitter, RandomColorDegeneration, \
    RandomGrayscale, RandomInvert, RandomGaussianBlur, RandomErasing, RandAugment, AugMix, \
    GaussianNoise, GaussianDropout, AlphaDropout, ActivityRegularization and Identity, in \
    Sequential and functional models, which may be layers of others";

/// The classes without state that are supported.
pub(super) const STATELESS: [&str; 98] = [
    "Dense",
    "EinsumDense",
    "Embedding",
    "Masking",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "PReLU",
    "ThresholdedReLU",
    "Softmax",
    "Rescaling",
    "CategoryEncoding",
    "Discretization",
    "LayerNormalization",
    "RMSNormalization",
    "BatchNormalization",
    "UnitNormalization",
    "GroupNormalization",
    "Normalization",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "SeparableConv1D",
    "SeparableConv2D",
    "Conv1DTranspose",
    "Conv2DTranspose",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "Concatenate",
    "Dot",
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Flatten",
    "Reshape",
    "Permute",
    "RepeatVector",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Attention",
    "AdditiveAttention",
    "MultiHeadAttention",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "RandomShear",
    "RandomPerspective",
    "RandomElasticTransform",
    "RandomContrast",
    "RandomBrightness",
    "RandomHue",
    "RandomSaturation",
    "RandomSharpness",
    "RandomPosterization",
    "RandomColorJitter",
    "RandomColorDegeneration",
    "RandomGrayscale",
    "RandomInvert",
    "RandomGaussianBlur",
    "RandomErasing",
    "RandAugment",
    "AugMix",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
    "ActivityRegularization",
    "Identity",
    "BatchNormalizationV1",
    "BatchNormalizationV2",
    "SyncBatchNormalization",
];

/// Whether a class changes images, which it does in training only.
pub(super) fn changes_images(class_name: &str) -> bool {
    class_name.starts_with("Rand") || class_name == "AugMix"
}

/// How the layers of a model are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Sequential,
    Functional,
}

/// A recurrence that Keras has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The class.
    pub name: &'static str,
    /// A GRU is one with reset_after here.
    pub cell: Cell,
    /// Whether its weights are laid out as cuDNN reads them.
    pub cudnn: bool,
}

const KINDS: [Kind; 5] = [
    Kind { name: "LSTM", cell: Cell::LSTM, cudnn: false },
    Kind { name: "GRU", cell: Cell::GRU, cudnn: false },
    Kind { name: "SimpleRNN", cell: Cell::SIMPLE_RNN, cudnn: false },
    Kind { name: "CuDNNLSTM", cell: Cell::LSTM, cudnn: true },
    Kind { name: "CuDNNGRU", cell: Cell::GRU, cudnn: true },
];

/// A supported layer class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Input,
    Recurrent(Kind),
    /// `RNN` of a cell or of several.
    Rnn,
    /// A ConvLSTM of so many axes.
    ConvLstm(usize),
    Bidirectional,
    TimeDistributed,
    /// A model as a layer of another.
    Model(Root),
    /// One that the caller builds, or one of Keras's that wraps such a one.
    Custom {
        /// Whether a call of it can have initial states.
        recurrent: bool,
    },
    /// One of [`STATELESS`].
    Stateless(&'static str),
    /// No layer: an operation, by its name.
    Operation(&'static str),
}

impl Class {
    /// Keras's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Class::Input => "InputLayer",
            Class::Recurrent(kind) => kind.name,
            Class::Rnn => "RNN",
            Class::ConvLstm(1) => "ConvLSTM1D",
            Class::ConvLstm(_) => "ConvLSTM2D",
            Class::Bidirectional => "Bidirectional",
            Class::TimeDistributed => "TimeDistributed",
            Class::Model(Root::Sequential) => "Sequential",
            Class::Model(Root::Functional) => "Functional",
            Class::Custom { .. } => "custom layer",
            Class::Stateless(name) | Class::Operation(name) => name,
        }
    }

    /// Whether a call of it can have initial states.
    pub(super) fn is_recurrent(self) -> bool {
        use Class::{Bidirectional, ConvLstm, Custom, Recurrent, Rnn};
        matches!(
            self,
            Recurrent(_) | Rnn | ConvLstm(_) | Bidirectional | Custom { recurrent: true }
        )
    }
}

/// The supported class of a serialized layer, or the name of the class that it is.
pub(super) fn of(value: &Value) -> Result<Class, String> {
    let name = value.get("class_name").and_then(Value::as_str).unwrap_or("(none)");
    let plain = name.strip_prefix("Keras>").unwrap_or(name);
    // An operation can have the name of a layer: `a + b` is an Add.
    if let Some(operation) = operation::of(value) {
        return operation.map(Class::Operation);
    }
    let known = match plain {
        "InputLayer" => Class::Input,
        "RNN" => Class::Rnn,
        "ConvLSTM1D" => Class::ConvLstm(1),
        "ConvLSTM2D" => Class::ConvLstm(2),
        "Bidirectional" => Class::Bidirectional,
        "TimeDistributed" => Class::TimeDistributed,
        "Sequential" => Class::Model(Root::Sequential),
        "Functional" | "Model" => Class::Model(Root::Functional),
        _ => {
            let recurrent = KINDS.into_iter().find(|kind| kind.name == plain);
            let stateless = STATELESS.iter().find(|class| **class == plain);
            match (recurrent, stateless) {
                (Some(kind), _) => Class::Recurrent(kind),
                (None, Some(class)) => Class::Stateless(class),
                (None, None) => return Err(full_name(value, name)),
            }
        }
    };
    // A user's own class can have the name of one of Keras's: then its module or registration gives
    // it away.
    if is_kerass_own(value, name) { Ok(known) } else { Err(full_name(value, name)) }
}

/// The name of a serialized object's class, of a custom one without its package.
pub(super) fn plain_name(value: &Value) -> &str {
    let name = value.get("class_name").and_then(Value::as_str).unwrap_or_default();
    name.rsplit('>').next().unwrap_or_default()
}

/// The recurrence of a serialized cell, or the name of the class that it is.
pub(super) fn cell(value: &Value) -> Result<Kind, String> {
    let name = value.get("class_name").and_then(Value::as_str).unwrap_or("(none)");
    let plain = name.strip_prefix("Keras>").unwrap_or(name);
    let of_cell = |kind: &Kind| !kind.cudnn && plain == format!("{}Cell", kind.name);
    let kind = KINDS.into_iter().find(of_cell).filter(|_| is_kerass_own(value, name));
    kind.ok_or_else(|| full_name(value, name))
}

/// Whether a class is Keras's, as far as the file tells.
pub(super) fn is_kerass_own(value: &Value, name: &str) -> bool {
    let plain = |name: &str| name.strip_prefix("Keras>").unwrap_or(name).to_string();
    let module = match value.get("module") {
        None | Some(Value::Null) => true,
        Some(Value::String(module)) => ["keras", "tf_keras", "tensorflow"]
            .contains(&module.split('.').next().unwrap_or_default()),
        Some(_) => false,
    };
    let registered = match value.get("registered_name") {
        None | Some(Value::Null) => true,
        Some(Value::String(registered)) => plain(registered) == plain(name),
        Some(_) => false,
    };
    module && registered
}

fn full_name(value: &Value, name: &str) -> String {
    match (
        value.get("registered_name").and_then(Value::as_str),
        value.get("module").and_then(Value::as_str),
    ) {
        (Some(registered), _) if registered.contains('>') => registered.to_string(),
        (_, Some(module)) if !module.starts_with("keras.layers") => format!("{module}.{name}"),
        _ => name.to_string(),
    }
}

/// The class of the model itself.
pub(super) fn root(file: &str, config: &Value) -> Result<Root> {
    let Some(name) = config.get("class_name").and_then(Value::as_str) else {
        return malformed(
            file,
            "is no model configuration: it has no class_name; give what model.to_json() returns",
        );
    };
    match name.strip_prefix("Keras>").unwrap_or(name) {
        "Sequential" if is_kerass_own(config, name) => Ok(Root::Sequential),
        "Functional" | "Model" if is_kerass_own(config, name) => Ok(Root::Functional),
        _ => Err(Error::UnsupportedModel { class_name: full_name(config, name) }),
    }
}
