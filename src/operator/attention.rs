use super::rules::{Along, Rules, Shapes, axes, broadcast, expect};

/// `softmax(scores) · value`, of each head by itself. The features of the heads are side by side.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, queries, heads · key features]` | the query |
/// | 1 | `[batch, keys, heads · key features]` | the key |
/// | 2 | `[batch, keys, heads · value features]` | the value |
/// | 3 | see [`Score`] | the scale, or none |
/// | 4 | `[batch, queries]` | the query's mask, or none |
/// | 5, 6 | `[batch, keys]` | the masks of value and key, or none |
/// | 7 | `[batch, heads, queries, keys]`, each of them or 1 | what is added to the scores, or none |
///
/// It writes `[batch, queries, heads · value features]`. Scores and softmax are one operator with
/// the product, so that a backend needs the scores of one example at a time only.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Attention {
    pub heads: usize,
    pub score: Score,
    /// What scores are multiplied by.
    pub factor: f32,
    /// Whether a query sees no value at a later timestep.
    pub causal: bool,
    pub masked_score: MaskedScore,
}

/// The score of a query and a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Score {
    /// `scale · (query · key)`, with a scale `[1]`; none is 1.
    Dot,
    /// `weight · Σ tanh(scale · (query + key))`, with scale and weight as one array, `[2]`.
    Concat,
    /// `Σ scale · tanh(query + key)`, with a scale `[features]`; none is ones.
    Additive,
}

/// What hides a value from a query. A query sees no value where its mask, or that of the key, is 0;
/// and where it is later in time, of causal attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskedScore {
    /// 1e9 is subtracted from the score. The mask of the query hides nothing: the output at masked
    /// queries is zero instead.
    Lowered,
    /// It is -0.7 · 3.38953e38, also where the query's mask is 0.
    Lowest,
    /// It is -1e9, also where the query's mask is 0, and its weight is zero after the softmax.
    Dropped,
}

impl Attention {
    /// The scores of an example, over which a backend needs room.
    pub fn scores(&self, reads: &Shapes) -> usize {
        let length = |operand: usize| {
            reads.get(operand).copied().flatten().and_then(|shape| shape.get(1)).copied()
        };
        length(0).unwrap_or(0).saturating_mul(length(1).unwrap_or(0))
    }
}

impl Rules for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        let [batch, queries, features] = axes(reads, 0)?;
        let [_, keys, value_features] = axes(reads, 2)?;
        expect(reads, 1, &[batch, keys, features])?;
        expect(reads, 2, &[batch, keys, value_features])?;
        expect(reads, 4, &[batch, queries])?;
        expect(reads, 5, &[batch, keys])?;
        expect(reads, 6, &[batch, keys])?;
        if self.heads == 0 || features % self.heads != 0 || value_features % self.heads != 0 {
            return Err(format!("{:?} and {:?} in {} heads", reads[0], reads[2], self.heads));
        }
        if let Some(&Some(bias)) = reads.get(7) {
            let [_, keys, _] = axes(reads, 2)?;
            let scores = [batch, self.heads, queries, keys];
            if bias.len() != 4 || broadcast(&[Some(bias), Some(&scores[..])])? != scores {
                return Err(format!("its operand 7 is {bias:?}, and is repeated to {scores:?}"));
            }
        }
        Ok(vec![vec![batch, queries, value_features]])
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        // What is repeated is needed whole.
        let length = |operand: usize, axis: usize| reads.get(operand).copied().flatten()?.get(axis);
        match (operand, axis) {
            (7, 0) if length(7, 0) != length(0, 0) => Along::Whole,
            (7, 2) if length(7, 2) == length(0, 1) && !self.causal => Along::Independent(1),
            (_, 0) => Along::Independent(0),
            (0 | 4, 1) if !self.causal => Along::Independent(1),
            _ => Along::Whole,
        }
    }

    fn follows_strides(&self, operand: usize) -> bool {
        operand < 3
    }
}
