//! The launches of attention.

use super::array::Array;
use super::launch::BufferId;
use super::normalize::OfVectors;
use super::planner::Planner;
use super::weight::{ConstantLayout, Weight};
use crate::error::Result;
use crate::gpu::kernel::{AttentionApply, AttentionScores, Kernel};
use crate::graph::Step;
use crate::operator::{Attention, MaskedScore, Score};

/// How scores are computed and masked.
struct Scores {
    /// The mode of `attention_scores.wgsl`.
    mode: u32,
    scale: BufferId,
    /// Of query, value and key, where they hide values.
    masks: [Option<BufferId>; 3],
    /// What is added to them.
    bias: Option<Array>,
}

/// The mode in which weights of masked values become zero.
const ZERO_WEIGHTS: u32 = 4;

impl Planner<'_> {
    pub(super) fn attention(&mut self, step: &Step, operator: &Attention) -> Result<()> {
        let (query, key) = (self.operand(step, 0)?, self.operand(step, 1)?);
        let mut scores = self.how_scores(step, operator)?;
        let query_mask = match operator.masked_score {
            MaskedScore::Lowered => scores.masks[0].take(),
            MaskedScore::Lowest | MaskedScore::Dropped => None,
        };
        let (rows, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let weights = self.scratch_array(vec![rows, operator.heads, queries, keys])?;
        self.scores(operator, &scores, [&query, &key], &weights);
        self.normalize_vectors(&weights, OfVectors::softmax());
        if operator.masked_score == MaskedScore::Dropped {
            let zero = Scores { mode: ZERO_WEIGHTS, ..scores };
            self.scores(operator, &zero, [&query, &key], &weights);
        }
        self.apply_weights(step, operator, &weights, query_mask)
    }

    fn how_scores(&mut self, step: &Step, operator: &Attention) -> Result<Scores> {
        let scale = self.optional_constant(step, 3, ConstantLayout::Flat)?;
        let (mode, scale) = match (operator.score, scale) {
            (Score::Dot, Some(scale)) => (0, scale),
            (Score::Dot, None) => (0, self.weight(Weight::One)),
            (Score::Additive, Some(scale)) => (1, scale),
            (Score::Additive, None) => (3, BufferId::Zeros),
            (Score::Concat, _) => (2, self.constant(step, 3, ConstantLayout::Flat)?),
        };
        let mut masks = [None; 3];
        for (operand, mask) in (4..).zip(&mut masks) {
            if step.reads.get(operand).copied().flatten().is_some() {
                *mask = Some(self.operand(step, operand)?.buffer);
            }
        }
        let has_bias = step.reads.get(7).copied().flatten().is_some();
        let bias = has_bias.then(|| self.operand(step, 7)).transpose()?;
        Ok(Scores { mode, scale, masks, bias })
    }

    fn scores(
        &mut self,
        operator: &Attention,
        scores: &Scores,
        [query, key]: [&Array; 2],
        weights: &Array,
    ) {
        let (rows, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let strides = scores.bias.as_ref().map(bias_strides).unwrap_or_default();
        let [bias_row, bias_head, bias_query, bias_key] = strides;
        let bits = scores.masks.iter().enumerate();
        let uniform = AttentionScores {
            rows: rows as u32,
            heads: operator.heads as u32,
            queries: queries as u32,
            keys: keys as u32,
            size: (query.features() / operator.heads) as u32,
            query_padded: query.features_padded() as u32,
            key_padded: key.features_padded() as u32,
            keys4: (weights.features_padded() / 4) as u32,
            mode: scores.mode,
            causal: operator.causal.into(),
            replace: match operator.masked_score {
                MaskedScore::Lowered => 0,
                MaskedScore::Lowest => 1,
                MaskedScore::Dropped => 2,
            },
            masks: bits.map(|(bit, mask)| u32::from(mask.is_some()) << bit).sum(),
            query_mask_padded: queries.next_multiple_of(4) as u32,
            key_mask_padded: keys.next_multiple_of(4) as u32,
            query_factor: operator.factor,
            has_bias: scores.bias.is_some().into(),
            bias_row,
            bias_head,
            bias_query,
            bias_key,
        };
        let [query_mask, value_mask, key_mask] =
            scores.masks.map(|mask| mask.unwrap_or(BufferId::Zeros));
        let buffers = vec![
            query.buffer,
            key.buffer,
            scores.scale,
            query_mask,
            value_mask,
            key_mask,
            scores.bias.as_ref().map_or(BufferId::Zeros, |bias| bias.buffer),
            weights.buffer,
        ];
        let quads = queries.div_ceil(4) * weights.features_padded() / 4;
        self.flat(Kernel::AttentionScores, buffers, uniform, rows * operator.heads * quads);
    }

    /// `query_mask`: the output at masked queries is zero.
    fn apply_weights(
        &mut self,
        step: &Step,
        operator: &Attention,
        weights: &Array,
        query_mask: Option<BufferId>,
    ) -> Result<()> {
        let (value, target) = (self.operand(step, 2)?, self.array(step.writes[0]));
        let (rows, queries, keys) = (target.shape[0], target.shape[1], value.shape[1]);
        let output4 = target.features_padded() / 4;
        let uniform = AttentionApply {
            rows: rows as u32,
            heads: operator.heads as u32,
            queries: queries as u32,
            keys: keys as u32,
            size: (target.features() / operator.heads) as u32,
            keys4: (weights.features_padded() / 4) as u32,
            value4: (value.features_padded() / 4) as u32,
            output4: output4 as u32,
            masked: query_mask.is_some().into(),
            mask_padded: queries.next_multiple_of(4) as u32,
        };
        let query_mask = query_mask.unwrap_or(BufferId::Zeros);
        let buffers = vec![weights.buffer, value.buffer, query_mask, target.buffer];
        let quads = rows * queries.div_ceil(4) * output4;
        self.flat(Kernel::AttentionApply, buffers, uniform, quads);
        Ok(())
    }
}

/// How far it is from index to index along each axis of a bias, in numbers: 0 where it is repeated.
fn bias_strides(bias: &Array) -> [u32; 4] {
    let rows = bias.features_padded();
    let strides = [bias.shape[1] * bias.shape[2] * rows, bias.shape[2] * rows, rows, 1];
    let mut all = [0; 4];
    for ((all, &length), stride) in all.iter_mut().zip(&bias.shape).zip(strides) {
        *all = if length == 1 { 0 } else { stride as u32 };
    }
    all
}
