use super::activation::softmax_lane;
use super::operands::{Computed, Reads};
use crate::operator::{Attention, MaskedScore, Score};
use birnn_cell::Real;
use ndarray::{
    Array2, Array3, ArrayView2, ArrayView4, ArrayViewMut1, ErrorKind, Ix2, Ix3, Ix4, ShapeError, s,
};

/// `softmax(scores) · value`, of one example and head after the other.
pub(super) fn attention<F: Real>(operator: &Attention, reads: &Reads<F>) -> Computed<F> {
    let array = |operand: usize| reads.get(operand)?.into_dimensionality::<Ix3>();
    let (query, key, value) = (array(0)?, array(1)?, array(2)?);
    let masks = AttentionMasks::of(operator, reads)?;
    let scale: Vec<F> =
        reads.optional(3).map_or(Vec::new(), |scale| scale.iter().copied().collect());
    let heads = operator.heads;
    let (batch, queries, key_features) = query.dim();
    let (_, keys, value_features) = value.dim();
    let bias = score_bias(reads)?;
    let bias = repeated_bias(&bias, [batch, heads, queries, keys])?;
    let mut output = Array3::zeros((batch, queries, value_features));
    for example in 0..batch {
        for head in 0..heads {
            let part = |features: usize| features * head / heads..features * (head + 1) / heads;
            let keys = s![example, .., part(key_features)];
            let values = s![example, .., part(value_features)];
            let mut weights = scores(operator, query.slice(keys), key.slice(keys), &scale);
            if let Some(bias) = &bias {
                let bias = bias.slice(s![example, head, .., ..]);
                weights.zip_mut_with(&bias, |score, &bias| *score += bias);
            }
            for (t, mut row) in weights.outer_iter_mut().enumerate() {
                masks.hide(example, t, row.view_mut());
                softmax_lane(&mut row, false);
                masks.drop_hidden(example, t, row);
            }
            output.slice_mut(values).assign(&weights.dot(&value.slice(values)));
        }
        let rows = output.slice_mut(s![example, .., ..]);
        let rows = rows.into_outer_iter_mut().enumerate();
        rows.for_each(|(t, row)| masks.blank(example, t, row));
    }
    Ok(output.into_dyn())
}

/// What is added to the scores.
pub(crate) fn score_bias<'a, F: Real>(
    reads: &'a Reads<F>,
) -> Result<Option<ArrayView4<'a, F>>, ShapeError> {
    reads.optional(7).map(|bias| bias.into_dimensionality::<Ix4>()).transpose()
}

/// What is added to scores of these axes, `[batch, heads, queries, keys]`.
pub(crate) fn repeated_bias<'a, F>(
    bias: &'a Option<ArrayView4<'_, F>>,
    scores: [usize; 4],
) -> Result<Option<ArrayView4<'a, F>>, ShapeError> {
    let unlike = || ShapeError::from_kind(ErrorKind::IncompatibleShape);
    bias.as_ref().map(|bias| bias.broadcast(scores).ok_or_else(unlike)).transpose()
}

/// The score of each query with each key, `[queries, keys]`.
fn scores<F: Real>(
    operator: &Attention,
    query: ArrayView2<F>,
    key: ArrayView2<F>,
    scale: &[F],
) -> Array2<F> {
    let number = |index: usize| scale.get(index).copied().unwrap_or_else(F::one);
    let factor = F::nearest(operator.factor.into());
    match operator.score {
        Score::Dot => query.dot(&key.t()) * (number(0) * factor),
        Score::Concat => {
            pairs(query, key, |q, k, _| (number(0) * (q + k)).tanh()) * (number(1) * factor)
        }
        Score::Additive => {
            pairs(query, key, |q, k, feature| number(feature) * (q + k).tanh()) * factor
        }
    }
}

/// `Σ f(query, key, feature)` of each query with each key.
fn pairs<F: Real>(
    query: ArrayView2<F>,
    key: ArrayView2<F>,
    f: impl Fn(F, F, usize) -> F,
) -> Array2<F> {
    Array2::from_shape_fn((query.nrows(), key.nrows()), |(t, s)| {
        let features = query.row(t).into_iter().zip(key.row(s)).enumerate();
        features.fold(F::zero(), |sum, (feature, (&q, &k))| sum + f(q, k, feature))
    })
}

/// What queries see.
pub(crate) struct AttentionMasks<'a, F> {
    operator: &'a Attention,
    query: Option<ArrayView2<'a, F>>,
    /// Those of value and key.
    keys: Vec<ArrayView2<'a, F>>,
}

impl<'a, F: Real> AttentionMasks<'a, F> {
    pub fn of(
        operator: &'a Attention,
        reads: &'a Reads<F>,
    ) -> Result<AttentionMasks<'a, F>, ShapeError> {
        let mask = |operand: usize| {
            reads.optional(operand).map(|mask| mask.into_dimensionality::<Ix2>()).transpose()
        };
        let keys = [mask(5)?, mask(6)?].into_iter().flatten().collect();
        Ok(AttentionMasks { operator, query: mask(4)?, keys })
    }

    /// Calls `hide` with what belongs to each key that query `t` of an example doesn't see.
    fn each_hidden(
        &self,
        example: usize,
        t: usize,
        of_keys: ArrayViewMut1<F>,
        hide: impl Fn(&mut F),
    ) {
        let counts = self.operator.masked_score == MaskedScore::Lowered || self.counts(example, t);
        if counts && self.keys.is_empty() && !self.operator.causal {
            return;
        }
        let masks: Vec<_> = self.keys.iter().map(|mask| mask.row(example)).collect();
        for (s, of_key) in of_keys.into_iter().enumerate() {
            let is_seen = masks.iter().all(|mask| mask[s] != F::zero());
            if !(counts && is_seen && (!self.operator.causal || s <= t)) {
                hide(of_key);
            }
        }
    }

    /// Whether the mask of the query has timestep `t`.
    fn counts(&self, example: usize, t: usize) -> bool {
        self.query.is_none_or(|mask| mask[[example, t]] != F::zero())
    }

    /// Replaces the scores of query `t` with keys that it doesn't see.
    pub fn hide(&self, example: usize, t: usize, scores: ArrayViewMut1<F>) {
        self.each_hidden(example, t, scores, |score| *score = self.hidden_score(*score));
    }

    /// What becomes of the score of a pair that is hidden.
    fn hidden_score(&self, score: F) -> F {
        F::nearest(match self.operator.masked_score {
            // In f32 also where `F` is f64: there hidden scores nearly always are the same, so
            // that a query that sees no value gets the mean of all.
            MaskedScore::Lowered => (score.to_f32().unwrap_or(f32::NAN) - 1e9).into(),
            MaskedScore::Lowest => -0.7 * 3.38953e38,
            MaskedScore::Dropped => -1e9,
        })
    }

    /// Zeros, where they are asked for, the weights of query `t` of keys that it doesn't see.
    pub fn drop_hidden(&self, example: usize, t: usize, weights: ArrayViewMut1<F>) {
        if self.operator.masked_score == MaskedScore::Dropped {
            self.each_hidden(example, t, weights, |weight| *weight = F::zero());
        }
    }

    /// Zeros, where it is asked for, what a query that is masked would get.
    pub fn blank(&self, example: usize, t: usize, mut output: ArrayViewMut1<F>) {
        let is_asked = self.operator.masked_score == MaskedScore::Lowered;
        if is_asked && !self.counts(example, t) {
            output.fill(F::zero());
        }
    }
}
