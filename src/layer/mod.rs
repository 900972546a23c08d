//! The layers of a network, with their arguments, weights and initializers. No device code.
//!
//! Arguments have Keras's names and defaults. Shapes are written with the batch as the first axis,
//! as in `[batch, timesteps, features]`. Arguments that are axes count them as Keras does: 0 is the
//! batch, 1 the axis after it, and -1 the last.
//!
//! An argument is set without a check; a value that a layer can't have is an
//! [`Error::Argument`](crate::Error::Argument) when the layer is added to a model.

mod attention;
mod bidirectional;
mod channels_first;
mod conv_lstm;
mod conv_lstm_cell;
mod convolution;
mod core;
mod definition;
mod dims;
mod einsum_dense;
mod encoding;
mod filling;
mod foreign;
mod initializer;
mod kinds;
mod lowering;
mod merging;
mod name;
mod normalization;
mod padding;
mod pooling;
#[cfg(test)]
#[allow(dead_code)] // the tests that use it need the GPU path
mod probe;
mod recurrent;
mod reshaping;
mod role;
mod time_distributed;
mod volume;
mod weights;
mod windows;

pub use crate::operator::MergeMode;
pub use attention::{AdditiveAttention, Attention, MultiHeadAttention, ScoreMode};
pub use bidirectional::Bidirectional;
#[doc(inline)]
pub use birnn_cell::{
    Activation, Cell, CellOptions, Description, Gate, GateActivation, HiddenProduct, Parameter,
    UnitWeight, WeightRole,
};
pub use conv_lstm::{BidirectionalConvLstm1d, BidirectionalConvLstm2d, ConvLstm1d, ConvLstm2d};
pub use convolution::{
    Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Conv3d, DepthwiseConv1d, DepthwiseConv2d,
    SeparableConv1d, SeparableConv2d,
};
pub use core::{
    ActivationLayer, Dense, Embedding, Identity, Masking, PRelu, ReluLayer, Rescaling,
    SoftmaxLayer, WithMaskOf,
};
pub use definition::WeightSpec;
pub(crate) use definition::{Definition, MaskArguments, MaskRule};
pub(crate) use dims::{Dims, axis_of, describe};
pub use einsum_dense::EinsumDense;
pub use encoding::{CategoryEncoding, Discretization, EncodingMode};
pub use initializer::Initializer;
pub use kinds::{ChannelsFirst, Feedforward, Layer, TimeDistributed};
pub(crate) use kinds::{Kind, State};
pub(crate) use lowering::Lowering;
pub use merging::{Concatenate, Dot, Merge};
pub use name::default_name;
pub use normalization::{
    BatchNormalization, GroupNormalization, LayerNormalization, Normalization, RmsNormalization,
    UnitNormalization,
};
pub use padding::Padding;
pub use pooling::{
    AveragePooling1d, AveragePooling2d, AveragePooling3d, GlobalAveragePooling1d,
    GlobalAveragePooling2d, GlobalAveragePooling3d, GlobalMaxPooling1d, GlobalMaxPooling2d,
    GlobalMaxPooling3d, MaxPooling1d, MaxPooling2d, MaxPooling3d,
};
#[cfg(test)]
#[allow(unused_imports)]
pub(crate) use probe::{Operand, Probe};
pub use recurrent::{
    Gru, GruCell, Lstm, LstmCell, Recurrent, RecurrentBuilder, SimpleRnn, SimpleRnnCell,
};
pub use reshaping::{
    Cropping1d, Cropping2d, Cropping3d, Flatten, Interpolation, Permute, RepeatVector, Reshape,
    UpSampling1d, UpSampling2d, UpSampling3d, ZeroPadding1d, ZeroPadding2d, ZeroPadding3d,
};
pub use role::{Direction, Role};
pub use weights::Weights;
