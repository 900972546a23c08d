use super::activation::softmax_lane;
use super::operands::{Computed, Reads};
use crate::operator::{Attention, MaskedScore, Score};
use birnn_cell::Real;
use ndarray::{Array2, Array3, ArrayView2, Ix2, Ix3, ShapeError, s};

/// `softmax(scores) · value`, of one example and head after the other.
pub(super) fn attention<F: Real>(operator: &Attention, reads: &Reads<F>) -> Computed<F> {
    let array = |operand: usize| reads.get(operand)?.into_dimensionality::<Ix3>();
    let (query, key, value) = (array(0)?, array(1)?, array(2)?);
    let masks = Masks::of(operator, reads)?;
    let scale: Vec<F> =
        reads.optional(3).map_or(Vec::new(), |scale| scale.iter().copied().collect());
    let heads = operator.heads;
    let (batch, queries, key_features) = query.dim();
    let value_features = value.dim().2;
    let mut output = Array3::zeros((batch, queries, value_features));
    for example in 0..batch {
        for head in 0..heads {
            let part = |features: usize| features * head / heads..features * (head + 1) / heads;
            let keys = s![example, .., part(key_features)];
            let values = s![example, .., part(value_features)];
            let mut weights = scores(operator, query.slice(keys), key.slice(keys), &scale);
            masks.hide(example, &mut weights);
            weights.rows_mut().into_iter().for_each(|mut row| softmax_lane(&mut row, false));
            masks.drop_hidden(example, &mut weights);
            output.slice_mut(values).assign(&weights.dot(&value.slice(values)));
        }
        masks.blank_queries(example, &mut output);
    }
    Ok(output.into_dyn())
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
struct Masks<'a, F> {
    operator: &'a Attention,
    query: Option<ArrayView2<'a, F>>,
    value: Option<ArrayView2<'a, F>>,
    key: Option<ArrayView2<'a, F>>,
}

impl<'a, F: Real> Masks<'a, F> {
    fn of(operator: &'a Attention, reads: &'a Reads<F>) -> Result<Masks<'a, F>, ShapeError> {
        let mask = |operand: usize| {
            reads.optional(operand).map(|mask| mask.into_dimensionality::<Ix2>()).transpose()
        };
        Ok(Masks { operator, query: mask(4)?, value: mask(5)?, key: mask(6)? })
    }

    /// Whether query `t` of an example sees key `s`.
    fn sees(&self, example: usize, t: usize, s: usize) -> bool {
        let query = self.query.filter(|_| self.operator.masked_score != MaskedScore::Lowered);
        counts(query, example, t)
            && counts(self.value, example, s)
            && counts(self.key, example, s)
            && (!self.operator.causal || s <= t)
    }

    fn hide(&self, example: usize, scores: &mut Array2<F>) {
        let hidden = scores.indexed_iter_mut().filter(|((t, s), _)| !self.sees(example, *t, *s));
        hidden.for_each(|(_, score)| *score = self.hidden_score(*score));
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

    fn drop_hidden(&self, example: usize, weights: &mut Array2<F>) {
        if self.operator.masked_score == MaskedScore::Dropped {
            let hidden =
                weights.indexed_iter_mut().filter(|((t, s), _)| !self.sees(example, *t, *s));
            hidden.for_each(|(_, weight)| *weight = F::zero());
        }
    }

    fn blank_queries(&self, example: usize, output: &mut Array3<F>) {
        if self.operator.masked_score == MaskedScore::Lowered {
            let rows = output.slice_mut(s![example, .., ..]);
            for (t, mut row) in rows.into_outer_iter_mut().enumerate() {
                if !counts(self.query, example, t) {
                    row.fill(F::zero());
                }
            }
        }
    }
}

fn counts<F: Real>(mask: Option<ArrayView2<F>>, example: usize, timestep: usize) -> bool {
    mask.is_none_or(|mask| mask[[example, timestep]] != F::zero())
}
