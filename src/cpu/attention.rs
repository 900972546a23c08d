//! Attention: scores, softmax and the product with the values, of some queries of a head at a time,
//! whose scores stay in a cache.

use super::cores::{Cores, Reused};
use super::memory::Memory;
use super::product::{ROWS, product};
use crate::operator::{Attention, Score};
use crate::reference::{AttentionMasks, Computed, Reads, repeated_bias, score_bias};
use birnn_cell::Activation;
use birnn_simd::{Kernel, Sums, softmax};
use ndarray::{
    ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, ArrayViewMut3, Axis, Ix3, ShapeError, s,
};
use std::ops::Range;

/// Scores that a thread has at a time, about: with their sums they stay in a second-level cache.
const SCORES: usize = 1 << 16;

/// Memory for a piece of an attention.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The queries, `[queries, features]`, or what queries and keys make with each other.
    values: Vec<f32>,
    /// `[queries, keys]`
    scores: Vec<f32>,
    sums: Sums,
}

/// Some queries of a head.
struct Piece<'a> {
    example: usize,
    head: usize,
    queries: Range<usize>,
    output: ArrayViewMut2<'a, f32>,
}

/// See [`Attention`]; there is at least one key, with at least one feature.
pub(super) fn attention(
    cores: &Cores,
    (rooms, memory): (&Reused<Room>, &Memory),
    operator: &Attention,
    reads: &Reads<f32>,
) -> Computed<f32> {
    let array = |operand: usize| reads.get(operand)?.into_dimensionality::<Ix3>();
    let (query, key, value) = (array(0)?, array(1)?, array(2)?);
    let masks = AttentionMasks::of(operator, reads)?;
    let scale: Vec<f32> = reads.optional(3).iter().flatten().copied().collect();
    let heads = operator.heads;
    let (batch, queries, features) = query.dim();
    let (_, keys, value_features) = value.dim();
    let bias = score_bias(reads)?;
    let bias = repeated_bias(&bias, [batch, heads, queries, keys])?;
    let lanes = birnn_simd::lanes(cores.arch);
    let of_head =
        |head: usize, features: usize| features * head / heads..features * (head + 1) / heads;

    // Of each example and head the keys, `[features, keys]`, and the values, `[keys, features]`.
    let each: Vec<_> = (0..batch * heads).map(|index| (index / heads, index % heads)).collect();
    let kernels = cores.map(key.len() + value.len(), each, |(example, head)| {
        let key = key.slice(s![example, .., of_head(head, features)]);
        let value = value.slice(s![example, .., of_head(head, value_features)]);
        [Kernel::new(key.t(), lanes), Kernel::new(value, lanes)]
    });

    let mut output = memory.array(Ix3(batch, queries, value_features));
    let work = batch * queries * keys * (features + value_features + 8 * heads);
    let pieces = pieces(output.view_mut(), heads, (SCORES / keys).clamp(1, ROWS));
    let done = cores.map(work, pieces, |Piece { example, head, queries, mut output }| {
        let [keys_kernel, values_kernel] = &kernels[example * heads + head];
        rooms.with(|Room { values, scores, sums }| {
            let of_head = of_head(head, features);
            let query = query.slice(s![example, queries.clone(), of_head.clone()]);
            scores.resize(queries.len() * keys, 0.0);
            if operator.score == Score::Dot {
                let factor = scale.first().unwrap_or(&1.0) * operator.factor;
                values.clear();
                // Features of a query stand in one piece, or apart where queries stand in rows.
                for query in query.outer_iter() {
                    values.extend(query.iter().map(|x| x * factor));
                }
                let rows: Vec<&[f32]> = values.chunks_exact(of_head.len()).collect();
                let output = ArrayViewMut2::from_shape((rows.len(), keys), scores);
                product(cores.arch, keys_kernel, &rows, sums, output?);
            } else {
                let key = key.slice(s![example, .., of_head]);
                scores_of_sums(cores, operator, [query, key], &scale, values, scores);
            }
            for (t, scores) in queries.clone().zip(scores.chunks_exact_mut(keys)) {
                if let Some(bias) = &bias {
                    add(bias.slice(s![example, head, t, ..]), scores);
                }
                masks.hide(example, t, ArrayViewMut1::from(scores));
            }
            softmax(cores.arch, scores, keys, false);
            for (t, weights) in queries.clone().zip(scores.chunks_exact_mut(keys)) {
                masks.drop_hidden(example, t, ArrayViewMut1::from(weights));
            }
            let rows: Vec<&[f32]> = scores.chunks_exact(keys).collect();
            product(cores.arch, values_kernel, &rows, sums, output.view_mut());
            for (t, row) in queries.zip(output.outer_iter_mut()) {
                masks.blank(example, t, row);
            }
            Ok(())
        })
    });
    done.into_iter().collect::<Result<(), ShapeError>>()?;
    Ok(output.into_dyn())
}

/// Adds a value to each, which may be the same one.
fn add(values: ArrayView1<f32>, to: &mut [f32]) {
    match values.as_slice() {
        Some(values) => to.iter_mut().zip(values).for_each(|(to, value)| *to += value),
        None => to.iter_mut().zip(values).for_each(|(to, value)| *to += value),
    }
}

/// The output `[batch, queries, heads · features]` in pieces of so many queries of a head.
fn pieces(output: ArrayViewMut3<'_, f32>, heads: usize, at_a_time: usize) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for (example, mut rest) in output.into_outer_iter_mut().enumerate() {
        let (queries, features) = (rest.nrows(), rest.ncols() / heads);
        for first in (0..queries).step_by(at_a_time) {
            let queries = first..queries.min(first + at_a_time);
            let (mut block, behind) = rest.split_at(Axis(0), queries.len());
            rest = behind;
            for head in 0..heads {
                let (output, after) = block.split_at(Axis(1), features);
                block = after;
                pieces.push(Piece { example, head, queries: queries.clone(), output });
            }
        }
    }
    pieces
}

/// The scores of [`Score::Concat`] and [`Score::Additive`], which go over the hyperbolic tangents
/// of what a query and a key add up to.
fn scores_of_sums(
    cores: &Cores,
    operator: &Attention,
    [query, key]: [ArrayView2<f32>; 2],
    scale: &[f32],
    sums: &mut Vec<f32>,
    scores: &mut [f32],
) {
    let number = |index: usize| scale.get(index).copied().unwrap_or(1.0);
    let is_concat = operator.score == Score::Concat;
    let (before, behind) = if is_concat { (number(0), number(1)) } else { (1.0, 1.0) };
    let weights: Vec<f32> = match is_concat {
        true => vec![1.0; key.ncols()],
        false => (0..key.ncols()).map(number).collect(),
    };
    for (query, scores) in query.outer_iter().zip(scores.chunks_exact_mut(key.nrows())) {
        sums.clear();
        for key in key.outer_iter() {
            sums.extend(query.iter().zip(key).map(|(query, key)| before * (query + key)));
        }
        birnn_simd::activate_all(cores.arch, Activation::Tanh, sums);
        for (score, sums) in scores.iter_mut().zip(sums.chunks_exact(weights.len())) {
            let sum: f32 = sums.iter().zip(&weights).map(|(sum, weight)| sum * weight).sum();
            *score = sum * behind * operator.factor;
        }
    }
}
