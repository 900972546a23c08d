//! The weights of the layers that keep no state, as their kernels read them. Pure.

use crate::layer::{BatchNormalization, Conv1d, Feedforward, Kind, Layer};

/// A layer's weights as its kernels read them; `BufferId::Parameter` numbers them in this order.
pub(super) fn pack(layer: &Feedforward) -> Vec<Vec<f32>> {
    pack_kind(&layer.kind, layer.weights().unwrap_or_default())
}

fn pack_kind(kind: &Kind, weights: &[ndarray::ArrayD<f32>]) -> Vec<Vec<f32>> {
    let flat = |index: usize| {
        weights.get(index).map(|w| w.iter().copied().collect::<Vec<_>>()).unwrap_or_default()
    };
    match kind {
        Kind::Dense(layer) => {
            let rows = weights.first().map_or(0, |w| w.len() / layer.units);
            pack_dense(&flat(0), &flat(1), 1, rows, layer.units)
        }
        Kind::Conv1d(layer) => {
            let features =
                weights.first().map_or(0, |w| w.len() / (layer.kernel_size * layer.filters));
            let kernel = ungrouped(&flat(0), layer, features);
            pack_dense(&kernel, &flat(1), layer.kernel_size, features * layer.groups, layer.filters)
        }
        Kind::Embedding(layer) => {
            let table = flat(0);
            let rows = table.chunks(layer.output_dim);
            vec![rows.flat_map(|row| row.iter().copied().chain(fill(row.len()))).collect()]
        }
        Kind::PRelu(_) => vec![flat(0)],
        Kind::BatchNormalization(layer) => pack_batch_normalization(layer, weights),
        Kind::LayerNormalization(layer) => {
            let gamma = if layer.scale { flat(0) } else { Vec::new() };
            let beta = if layer.center { flat(usize::from(layer.scale)) } else { Vec::new() };
            vec![gamma, beta]
        }
        Kind::RmsNormalization(_) => vec![flat(0)],
        Kind::Attention(layer) => {
            let scale = if layer.use_scale { flat(0) } else { vec![1.0] };
            vec![scale.into_iter().chain(flat(usize::from(layer.use_scale))).collect()]
        }
        Kind::AdditiveAttention(layer) => vec![if layer.use_scale { flat(0) } else { Vec::new() }],
        Kind::MultiHeadAttention(layer) => {
            let step = if layer.use_bias { 2 } else { 1 };
            let bias = |index: usize| if layer.use_bias { flat(index) } else { Vec::new() };
            let mut packed = Vec::new();
            for projection in 0..4 {
                let kernel = &weights[projection * step];
                let shape = kernel.shape();
                let rows: usize = if projection < 3 { shape[0] } else { shape[0] * shape[1] };
                let columns = kernel.len() / rows.max(1);
                packed.extend(pack_dense(
                    &flat(projection * step),
                    &bias(projection * step + 1),
                    1,
                    rows,
                    columns,
                ));
            }
            packed.push(vec![1.0]);
            packed
        }
        Kind::TimeDistributed(each) => match &*each.layer {
            Layer::Feedforward(inside) => pack_kind(&inside.kind, weights),
            _ => Vec::new(), // a recurrent layer's are packed by its groups
        },
        _ => Vec::new(),
    }
}

/// Zeros up to the next multiple of four.
fn fill(length: usize) -> impl Iterator<Item = f32> {
    std::iter::repeat_n(0.0, length.next_multiple_of(4) - length)
}

/// `[tap][features4][columns4][feature]`, vectors of four columns; and the bias, filled up.
fn pack_dense(
    kernel: &[f32],
    bias: &[f32],
    taps: usize,
    rows: usize,
    columns: usize,
) -> Vec<Vec<f32>> {
    let mut packed =
        Vec::with_capacity(taps * rows.next_multiple_of(4) * columns.next_multiple_of(4));
    for tap in 0..taps {
        for k in (0..rows).step_by(4) {
            for column in (0..columns).step_by(4) {
                for row in k..k + 4 {
                    packed.extend((column..column + 4).map(|column| {
                        match row < rows && column < columns {
                            true => kernel[(tap * rows + row) * columns + column],
                            false => 0.0,
                        }
                    }));
                }
            }
        }
    }
    let mut bias = bias.to_vec();
    bias.resize(columns.next_multiple_of(4), 0.0);
    vec![packed, bias]
}

/// The kernel of a convolution in groups as one over all features, with zeros between the groups.
fn ungrouped(kernel: &[f32], layer: &Conv1d, features: usize) -> Vec<f32> {
    if layer.groups == 1 {
        return kernel.to_vec();
    }
    let (filters, all) = (layer.filters, features * layer.groups);
    let mut whole = vec![0.0; layer.kernel_size * all * filters];
    for (index, &value) in kernel.iter().enumerate() {
        let (tap, feature, filter) =
            (index / filters / features, index / filters % features, index % filters);
        let group = filter / (filters / layer.groups);
        whole[(tap * all + group * features + feature) * filters + filter] = value;
    }
    whole
}

/// x · scale + shift, computed in f64 and rounded once.
fn pack_batch_normalization(
    layer: &BatchNormalization,
    weights: &[ndarray::ArrayD<f32>],
) -> Vec<Vec<f32>> {
    let mut rest = weights.iter();
    let gamma = if layer.scale { rest.next() } else { None };
    let beta = if layer.center { rest.next() } else { None };
    let [mean, variance] = [0, 1].map(|index| &weights[weights.len() - 2 + index]);
    let (mut scales, mut shifts) = (Vec::new(), Vec::new());
    for (index, (&mean, &variance)) in mean.iter().zip(variance).enumerate() {
        let of = |weight: Option<&ndarray::ArrayD<f32>>, default: f64| {
            weight.map_or(default, |w| w[[index]].into())
        };
        let scale = of(gamma, 1.0) / (f64::from(variance) + layer.epsilon).sqrt();
        scales.push(scale as f32);
        shifts.push((of(beta, 0.0) - f64::from(mean) * scale) as f32);
    }
    vec![scales, shifts]
}
