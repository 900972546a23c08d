//! Models of random layers with random arguments, some of which don't fit together. The same ones
//! in every run.

use birnn::layer::{Activation, AdditiveAttention, Attention, Dense, Layer, ScoreMode};
use birnn::layer::{
    AveragePooling1d, AveragePooling2d, AveragePooling3d, BatchNormalization, Bidirectional,
    BidirectionalConvLstm1d, CategoryEncoding, ChannelsFirst, Concatenate, Conv1d, Conv1dTranspose,
    Conv2d, Conv2dTranspose, Conv3d, ConvLstm1d, ConvLstm2d, Cropping1d, Cropping2d, Cropping3d,
    DepthwiseConv1d, DepthwiseConv2d, Discretization, Dot, Embedding, EncodingMode, Flatten,
    GlobalAveragePooling1d, GlobalAveragePooling2d, GlobalAveragePooling3d, GlobalMaxPooling1d,
    GlobalMaxPooling2d, GlobalMaxPooling3d, GroupNormalization, Gru, LayerNormalization, Lstm,
    Masking, MaxPooling1d, MaxPooling2d, MaxPooling3d, Merge, MergeMode, MultiHeadAttention,
    Normalization, PRelu, Padding, Permute, ReluLayer, RepeatVector, Rescaling, Reshape,
    RmsNormalization, SeparableConv1d, SeparableConv2d, SimpleRnn, SoftmaxLayer, TimeDistributed,
    UnitNormalization, UpSampling1d, UpSampling2d, UpSampling3d, ZeroPadding1d, ZeroPadding2d,
    ZeroPadding3d,
};
use birnn::{Graph, Model, Result, Tensor};

/// A small generator of numbers, so that a failure can be run again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low)
    }

    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    fn axis(&mut self) -> isize {
        self.below(6) as isize - 3
    }

    fn activation(&mut self) -> Activation {
        Activation::ALL[self.below(Activation::ALL.len())]
    }

    fn padding(&mut self) -> Padding {
        [Padding::Valid, Padding::Same, Padding::Causal][self.below(3)]
    }
}

fn conv_lstm(random: &mut Random, filters: usize) -> ConvLstm1d {
    ConvLstm1d::new(filters, random.from(1, 4))
        .padding(random.padding())
        .dilation_rate(random.from(1, 3))
        .channels_first(random.coin())
        .go_backwards(random.coin())
        .return_sequences(random.coin())
        .use_bias(random.coin())
        .activation(random.activation())
}

/// A layer that reads one array; its arguments may be wrong.
fn layer(random: &mut Random) -> Layer {
    let n = random.from(1, 5);
    let number = random.below(60);
    match number {
        0 => Dense::new(n).activation(random.activation()).use_bias(random.coin()).into(),
        1 => Masking::new().mask_value(random.below(2) as f32).into(),
        2 => random.activation().into(),
        3 => ReluLayer::new()
            .max_value(random.coin().then_some(1.0))
            .threshold(random.below(2) as f32)
            .into(),
        4 => PRelu::new()
            .shared_axes((0..random.below(3)).map(|_| random.from(1, 4)).collect())
            .into(),
        5 => SoftmaxLayer::new().axis(random.axis()).into(),
        6 => LayerNormalization::new()
            .axis((0..random.from(1, 3)).map(|_| random.axis()).collect())
            .into(),
        7 => RmsNormalization::new()
            .axis((0..random.from(1, 3)).map(|_| random.axis()).collect())
            .into(),
        8 => BatchNormalization::new()
            .axis(random.axis())
            .scale(random.coin())
            .center(random.coin())
            .into(),
        9 => UnitNormalization::new()
            .axis((0..random.from(1, 3)).map(|_| random.axis()).collect())
            .into(),
        10 | 11 => Conv1d::new(random.from(1, 7), n)
            .strides(random.from(1, 4))
            .padding(random.padding())
            .dilation_rate(random.from(1, 4))
            .groups(random.from(1, 4))
            .into(),
        12 => MaxPooling1d::new()
            .pool_size(n)
            .strides(random.coin().then_some(2))
            .padding(random.padding())
            .into(),
        13 => AveragePooling1d::new()
            .pool_size(n)
            .strides(random.coin().then_some(3))
            .padding(random.padding())
            .into(),
        14 => GlobalMaxPooling1d::new().keepdims(random.coin()).into(),
        15 => GlobalAveragePooling1d::new().keepdims(random.coin()).into(),
        16 => Flatten::new().into(),
        17 => Reshape::new(
            (0..random.from(1, 4)).map(|_| random.coin().then(|| random.from(1, 4))).collect(),
        )
        .into(),
        18 => {
            Permute::new([vec![1], vec![2, 1], vec![3, 1, 2], vec![1, 2]][random.below(4)].clone())
                .into()
        }
        19 => RepeatVector::new(n).into(),
        20 => Cropping1d::new((random.below(3), random.below(3))).into(),
        21 => ZeroPadding1d::new((random.below(3), random.below(3))).into(),
        22 => UpSampling1d::new().size(n).into(),
        23 => Embedding::new(n, random.from(1, 4)).mask_zero(random.coin()).into(),
        24 => Lstm::new(n)
            .return_sequences(random.coin())
            .peepholes(random.coin())
            .coupled(random.coin())
            .into(),
        25 => Bidirectional::new(Gru::new(n).return_sequences(random.coin())).into(),
        26 => SimpleRnn::new(n)
            .return_sequences(random.coin())
            .go_backwards(random.coin())
            .clip(random.below(3) as f32)
            .into(),
        27 => Rescaling::new(0.5).offset(n as f64).into(),
        28 => DepthwiseConv1d::new(n)
            .padding(random.padding())
            .strides(random.from(1, 3))
            .depth_multiplier(random.from(1, 3))
            .into(),
        29 => SeparableConv1d::new(random.from(1, 4), n)
            .padding(random.padding())
            .dilation_rate(random.from(1, 3))
            .into(),
        30 => Conv1dTranspose::new(random.from(1, 4), n)
            .padding(random.padding())
            .strides(random.from(1, 4))
            .output_padding(random.coin().then(|| random.below(3)))
            .into(),
        31 => GroupNormalization::new().groups(random.axis()).axis(random.axis()).into(),
        32 => Normalization::new()
            .axis((0..random.below(3)).map(|_| random.axis()).collect())
            .invert(random.coin())
            .into(),
        33 => Conv2d::new(random.from(1, 5), (n, random.from(1, 3)))
            .strides((random.from(1, 3), random.from(1, 3)))
            .padding(random.padding())
            .groups(random.from(1, 3))
            .into(),
        34 => DepthwiseConv2d::new((n, 2)).padding(random.padding()).into(),
        35 => SeparableConv2d::new(random.from(1, 4), (2, n)).padding(random.padding()).into(),
        36 => Conv2dTranspose::new(random.from(1, 4), (n, 2))
            .strides((random.from(1, 3), 2))
            .padding(random.padding())
            .into(),
        37 => MaxPooling2d::new().pool_size((n, 2)).padding(random.padding()).into(),
        38 => AveragePooling2d::new()
            .pool_size((2, n))
            .strides(random.coin().then_some((1, 2)))
            .into(),
        39 => GlobalMaxPooling2d::new().keepdims(random.coin()).into(),
        40 => GlobalAveragePooling2d::new().keepdims(random.coin()).into(),
        42 => Cropping2d::new(((random.below(2), 0), (random.below(2), random.below(2)))).into(),
        43 => ZeroPadding2d::new(((random.below(2), 1), (0, random.below(3)))).into(),
        44 => UpSampling2d::new().size((n, 2)).into(),
        41 => Reshape::new(vec![Some(2), None, Some(random.from(1, 4))]).into(),
        48 => CategoryEncoding::new(n)
            .output_mode(
                [EncodingMode::OneHot, EncodingMode::MultiHot, EncodingMode::Count]
                    [random.below(3)],
            )
            .into(),
        49 => Discretization::new(vec![-0.5, 0.0, n as f32]).into(),
        45 => conv_lstm(random, n).into(),
        46 => BidirectionalConvLstm1d::new(conv_lstm(random, n))
            .merge_mode([MergeMode::Concat, MergeMode::Sum, MergeMode::Ave][random.below(3)])
            .into(),
        47 => ConvLstm2d::new(n, (random.from(1, 3), 2))
            .padding(random.padding())
            .strides((random.from(1, 3), 1))
            .channels_first(random.coin())
            .into(),
        51 => Conv3d::new(2 * n, (n, random.from(1, 3), 2))
            .strides((random.from(1, 3), 1, random.from(1, 3)))
            .padding(random.padding())
            .groups(random.from(1, 3))
            .into(),
        52 => MaxPooling3d::new().pool_size((n, 2, 1)).padding(random.padding()).into(),
        53 => AveragePooling3d::new()
            .pool_size((2, 1, n))
            .strides(random.coin().then_some((1, 2, 1)))
            .padding(random.padding())
            .into(),
        54 if random.coin() => GlobalMaxPooling3d::new().keepdims(random.coin()).into(),
        54 => GlobalAveragePooling3d::new().keepdims(random.coin()).into(),
        55 if random.coin() => {
            Cropping3d::new(((random.below(2), 0), (0, random.below(2)), (0, 1))).into()
        }
        55 => ZeroPadding3d::new(((random.below(2), 1), (0, random.below(2)), (1, 0))).into(),
        56 => UpSampling3d::new().size((n, 1, 2)).into(),
        57 => Reshape::new(vec![Some(2), None, Some(2), Some(random.from(1, 3))]).into(),
        58 | 59 => ChannelsFirst::new(layer(random)).into(),
        50 => TimeDistributed::new(layer(random)).into(),
        _ => unreachable!("layer {number} has no arm"),
    }
}

/// A layer that reads two or three arrays.
fn joining(random: &mut Random) -> Layer {
    match random.below(10) {
        0 => Merge::add().into(),
        1 => Merge::multiply().into(),
        2 => Merge::maximum().into(),
        3 => Merge::minimum().into(),
        4 => Merge::average().into(),
        5 => Concatenate::new().axis(random.axis()).into(),
        6 => Attention::new()
            .use_scale(random.coin())
            .score_mode([ScoreMode::Dot, ScoreMode::Concat][random.below(2)])
            .use_causal_mask(random.coin())
            .return_attention_scores(random.coin())
            .into(),
        7 => Dot::new((random.axis(), random.axis())).normalize(random.coin()).into(),
        8 => AdditiveAttention::new()
            .use_scale(random.coin())
            .return_attention_scores(random.coin())
            .into(),
        9 => MultiHeadAttention::new(random.from(1, 3), random.from(1, 4))
            .dropout(random.below(2) as f32)
            .use_causal_mask(random.coin())
            .return_attention_scores(random.coin())
            .into(),
        number => unreachable!("layer {number} has no arm"),
    }
}

/// A graph of a few layers, each called on arrays that came before; calls that don't fit are left
/// out.
pub fn model(random: &mut Random) -> Result<Model> {
    let mut graph = Graph::new();
    let axes = [
        vec![Some(3)],
        vec![None, Some(2)],
        vec![Some(4), Some(3)],
        vec![Some(2), Some(3), Some(2)],
    ];
    let mut arrays = vec![graph.input("x", &axes[random.below(4)])?];
    for _ in 0..random.from(2, 8) {
        let pick = |random: &mut Random, arrays: &[Tensor]| arrays[random.below(arrays.len())];
        let results = match random.below(4) {
            0 => {
                let read: Vec<Tensor> =
                    (0..random.from(2, 4)).map(|_| pick(random, &arrays)).collect();
                graph.add(joining(random), &read[..])
            }
            _ => graph.add(layer(random), pick(random, &arrays)),
        };
        arrays.extend(results.into_iter().flatten());
    }
    graph.build(arrays[1..].to_vec())?.initialize(1)
}
