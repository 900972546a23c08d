use super::super::activation::softmax_lane;
use super::{Call, Computed, Real, rows};
use crate::layer::{AdditiveAttention, Attention, MultiHeadAttention, ScoreMode};
use ndarray::{
    Array1, Array2, Array3, ArrayD, ArrayView2, ArrayView3, Axis, Ix2, Ix3, ShapeError, s,
};

/// Query, value and key, each `[batch, timesteps, features]`; without a key the value is the key,
/// too.
fn query_value_key<'a, F: Real>(call: &'a Call<F>) -> Result<[ArrayView3<'a, F>; 3], ShapeError> {
    let array = |index: usize| call.inputs[index].view().into_dimensionality::<Ix3>();
    Ok([array(0)?, array(1)?, array(if call.inputs.len() > 2 { 2 } else { 1 })?])
}

/// `scale · (query · key)`, or `weight · Σ tanh(scale · (query + key))`
pub(super) fn attention<F: Real>(layer: &Attention, call: &Call<F>) -> Computed<F> {
    let number = |index: usize| call.weights.get(index).and_then(|weight| weight.first().copied());
    let scale = number(0).filter(|_| layer.use_scale).unwrap_or_else(F::one);
    let concat_weight = number(usize::from(layer.use_scale)).unwrap_or_else(F::one);
    attend(call, layer.use_causal_mask, |query, key| match layer.score_mode {
        ScoreMode::Dot => query.dot(&key.t()) * scale,
        ScoreMode::Concat => {
            pairs(query, key, |q, k| (scale * (q + k)).tanh(), None) * concat_weight
        }
    })
}

/// `Σ scale · tanh(query + key)`
pub(super) fn additive<F: Real>(layer: &AdditiveAttention, call: &Call<F>) -> Computed<F> {
    let scale = call.weights.first().map(|scale| scale.iter().copied().collect());
    attend(call, layer.use_causal_mask, |query, key| {
        pairs(query, key, |q, k| (q + k).tanh(), scale.as_ref())
    })
}

/// `Σ scale · f(query, key)` of each query with each key.
fn pairs<F: Real>(
    query: ArrayView2<F>,
    key: ArrayView2<F>,
    f: impl Fn(F, F) -> F,
    scale: Option<&Array1<F>>,
) -> Array2<F> {
    Array2::from_shape_fn((query.nrows(), key.nrows()), |(t, s)| {
        let features =
            query.row(t).to_owned().into_iter().zip(key.row(s)).map(|(q, &k)| f(q, k)).enumerate();
        features
            .fold(F::zero(), |sum, (feature, x)| sum + scale.map_or(x, |scale| scale[feature] * x))
    })
}

/// `softmax(scores) · value`, zero at masked queries.
fn attend<F: Real>(
    call: &Call<F>,
    causal: bool,
    scores: impl Fn(ArrayView2<F>, ArrayView2<F>) -> Array2<F>,
) -> Computed<F> {
    let [query, value, key] = query_value_key(call)?;
    let mut output = ArrayD::zeros(call.shape.clone()).into_dimensionality::<Ix3>()?;
    for (example, mut output) in output.outer_iter_mut().enumerate() {
        let mut weights =
            scores(query.index_axis(Axis(0), example), key.index_axis(Axis(0), example));
        for ((t, s), score) in weights.indexed_iter_mut() {
            let seen = kept(call, 1, example, s) && (!causal || s <= t);
            if !seen {
                *score = masked_score(*score);
            }
        }
        softmax(&mut weights);
        output.assign(&weights.dot(&value.index_axis(Axis(0), example)));
        for (t, mut row) in output.rows_mut().into_iter().enumerate() {
            if !kept(call, 0, example, t) {
                row.fill(F::zero());
            }
        }
    }
    Ok(output.into_dyn())
}

/// Whether the mask of an input, where it has one, is true.
fn kept<F: Real>(call: &Call<F>, input: usize, example: usize, timestep: usize) -> bool {
    call.mask(input).is_none_or(|mask| mask[[example, timestep]])
}

fn softmax<F: Real>(scores: &mut Array2<F>) {
    scores.rows_mut().into_iter().for_each(|mut row| softmax_lane(&mut row, false));
}

/// The score less 1e9, in f32 also where `F` is f64: there masked scores nearly always are the
/// same, so that a query that sees no value gets the mean of all.
fn masked_score<F: Real>(score: F) -> F {
    F::nearest((score.to_f32().unwrap_or(f32::NAN) - 1e9).into())
}

/// Of each head `softmax(query · key / √key_dim) · value`, of projected queries, keys and values;
/// then projected back.
pub(super) fn multi_head<F: Real>(layer: &MultiHeadAttention, call: &Call<F>) -> Computed<F> {
    let each = if layer.use_bias { 2 } else { 1 };
    let projection = |index: usize| {
        let kernel = index * each;
        (&call.weights[kernel], layer.use_bias.then(|| &call.weights[kernel + 1]))
    };
    let [to_query, to_key, to_value, to_output] = [0, 1, 2, 3].map(projection);
    let key_input = if call.inputs.len() > 2 { 2 } else { 1 };
    let query = projected(call.inputs[0], to_query, 1)?;
    let key = projected(call.inputs[key_input], to_key, 1)?;
    let value = projected(call.inputs[1], to_value, 1)?;
    // TensorFlow holds it in f32 even where it computes in f64.
    let scale = F::nearest(((1.0 / (layer.key_dim as f64).sqrt()) as f32).into());
    // Keras's masked score, which outweighs any other; with dropout it takes another path, that of
    // its Softmax layer.
    let lowest = F::nearest(if layer.dropout > 0.0 { -1e9 } else { -0.7 * 3.38953e38 });
    let (batch, timesteps, _) = query.dim();
    let mut heads = Array3::zeros((batch, timesteps, layer.num_heads * layer.value_size()));
    for example in 0..batch {
        for head in 0..layer.num_heads {
            let keys = s![example, .., head * layer.key_dim..(head + 1) * layer.key_dim];
            let values =
                s![example, .., head * layer.value_size()..(head + 1) * layer.value_size()];
            let mut weights = query.slice(keys).dot(&key.slice(keys).t()) * scale;
            let seen = |(t, s): (usize, usize)| {
                let kept = kept(call, 0, example, t)
                    && kept(call, 1, example, s)
                    && kept(call, 2, example, s);
                kept && (!layer.use_causal_mask || s <= t)
            };
            weights
                .indexed_iter_mut()
                .filter(|(place, _)| !seen(*place))
                .for_each(|(_, score)| *score = lowest);
            softmax(&mut weights);
            if layer.dropout > 0.0 {
                weights
                    .indexed_iter_mut()
                    .filter(|(place, _)| !seen(*place))
                    .for_each(|(_, w)| *w = F::zero());
            }
            heads.slice_mut(values).assign(&weights.dot(&value.slice(values)));
        }
    }
    Ok(projected(&heads.into_dyn(), to_output, 2)?.into_dyn())
}

/// `x · kernel + bias`, where the kernel's first axes are those that `x` has as its last.
fn projected<F: Real>(
    x: &ArrayD<F>,
    (kernel, bias): (&ArrayD<F>, Option<&ArrayD<F>>),
    axes: usize,
) -> Result<Array3<F>, ShapeError> {
    let x_rows = rows(x)?;
    let inner: usize = kernel.shape()[..axes].iter().product();
    let outer = kernel.len() / inner.max(1);
    let kernel = kernel.to_shape((inner, outer))?.into_dimensionality::<Ix2>()?;
    let mut sums = x_rows.dot(&kernel);
    if let Some(bias) = bias {
        sums += &bias.to_shape(outer)?;
    }
    sums.into_shape_with_order((x.shape()[0], x.shape()[1], outer))
}
