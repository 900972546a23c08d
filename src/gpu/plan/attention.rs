//! The launches of attention.

use super::feedforward::{Normalization, Windows};
use super::moving::Array;
use super::{BufferId, Planner};
use crate::error::Result;
use crate::gpu::kernel::{AttentionApply, AttentionScores, Kernel};
use crate::layer::{Activation, AdditiveAttention, Attention, MultiHeadAttention, ScoreMode};

/// How scores are computed and masked; the numbers of `attention_scores.wgsl`.
struct Scores {
    heads: usize,
    mode: u32,
    causal: bool,
    /// What masked scores become.
    replace: u32,
    query_factor: f32,
    scale: BufferId,
    /// Of query, value and key.
    masks: [Option<usize>; 3],
}

impl Planner<'_> {
    pub(super) fn attention(
        &mut self,
        node: usize,
        layer: &Attention,
        sources: &[Array],
        target: &Array,
    ) -> Result<()> {
        let masks = &self.masks.of_node[node];
        let scores = Scores {
            heads: 1,
            mode: if layer.score_mode == ScoreMode::Dot { 0 } else { 2 },
            causal: layer.use_causal_mask,
            replace: 0,
            query_factor: 1.0,
            scale: self.parameter(node, 0),
            masks: [None, masks[1], None],
        };
        let query_mask = masks[0];
        self.attend(
            node,
            &scores,
            [&sources[0], sources.get(2).unwrap_or(&sources[1]), &sources[1]],
            target,
            query_mask,
        )
    }

    pub(super) fn additive_attention(
        &mut self,
        node: usize,
        layer: &AdditiveAttention,
        sources: &[Array],
        target: &Array,
    ) -> Result<()> {
        let masks = &self.masks.of_node[node];
        let scores = Scores {
            heads: 1,
            mode: if layer.use_scale { 1 } else { 3 },
            causal: layer.use_causal_mask,
            replace: 0,
            query_factor: 1.0,
            scale: if layer.use_scale { self.parameter(node, 0) } else { BufferId::Nothing },
            masks: [None, masks[1], None],
        };
        let query_mask = masks[0];
        self.attend(
            node,
            &scores,
            [&sources[0], sources.get(2).unwrap_or(&sources[1]), &sources[1]],
            target,
            query_mask,
        )
    }

    pub(super) fn multi_head_attention(
        &mut self,
        node: usize,
        layer: &MultiHeadAttention,
        sources: &[Array],
        target: &Array,
    ) -> Result<()> {
        let (heads, size) = (layer.num_heads, layer.key_dim);
        let key_source = sources.get(2).unwrap_or(&sources[1]);
        let query = self.projected(node, 0, &sources[0], heads * size)?;
        let key = self.projected(node, 1, key_source, heads * size)?;
        let value = self.projected(node, 2, &sources[1], heads * layer.value_size())?;
        let mut context_shape = query.shape.clone();
        context_shape[2] = heads * layer.value_size();
        let context = self.scratch_array(node, context_shape)?;
        let of_node = &self.masks.of_node[node];
        let scores = Scores {
            heads,
            mode: 0,
            causal: layer.use_causal_mask,
            replace: if layer.dropout > 0.0 { 2 } else { 1 },
            query_factor: 1.0 / (size as f32).sqrt(),
            scale: self.parameter(node, 8),
            masks: [of_node[0], of_node[1], of_node.get(2).copied().flatten()],
        };
        self.attend(node, &scores, [&query, &key, &value], &context, None)?;
        let parameters = [self.parameter(node, 6), self.parameter(node, 7)];
        self.dense(parameters, &context, target, Windows::vectors(&context), Activation::Linear)
    }

    /// An input's projection to all heads, side by side.
    fn projected(
        &mut self,
        node: usize,
        projection: usize,
        source: &Array,
        columns: usize,
    ) -> Result<Array> {
        let target = self.scratch_array(node, vec![source.shape[0], source.shape[1], columns])?;
        let parameters =
            [self.parameter(node, 2 * projection), self.parameter(node, 2 * projection + 1)];
        self.dense(parameters, source, &target, Windows::vectors(source), Activation::Linear)?;
        Ok(target)
    }

    fn attend(
        &mut self,
        node: usize,
        scores: &Scores,
        [query, key, value]: [&Array; 3],
        target: &Array,
        query_mask: Option<usize>,
    ) -> Result<()> {
        let (rows, queries, keys) = (query.shape[0], query.shape[1], key.shape[1]);
        let weights = self.scratch_array(node, vec![rows, scores.heads, queries, keys])?;
        self.scores(scores, query, key, &weights);
        self.normalize_vectors(&weights, Normalization::softmax());
        if scores.replace == 2 {
            // Keras's path with dropout: masked weights are zero even where all are masked.
            self.scores(&Scores { mode: 4, ..*scores }, query, key, &weights);
        }
        let values = target.values();
        let uniform = AttentionApply {
            values: values as u32,
            heads: scores.heads as u32,
            queries: queries as u32,
            keys: keys as u32,
            size: (target.features() / scores.heads) as u32,
            value_padded: value.features_padded() as u32,
            weights_padded: weights.features_padded() as u32,
            output_padded: target.features_padded() as u32,
            masked: query_mask.is_some().into(),
            mask_padded: queries.next_multiple_of(4) as u32,
        };
        let buffers = vec![weights.buffer, value.buffer, mask_buffer(query_mask), target.buffer];
        self.flat(Kernel::AttentionApply, buffers, uniform, values);
        Ok(())
    }

    fn scores(&mut self, scores: &Scores, query: &Array, key: &Array, weights: &Array) {
        let (queries, keys) = (query.shape[1], key.shape[1]);
        let bits = scores
            .masks
            .iter()
            .enumerate()
            .map(|(bit, mask)| u32::from(mask.is_some()) << bit)
            .sum();
        let uniform = AttentionScores {
            scores: weights.values() as u32,
            heads: scores.heads as u32,
            queries: queries as u32,
            keys: keys as u32,
            size: (query.features() / scores.heads) as u32,
            query_padded: query.features_padded() as u32,
            key_padded: key.features_padded() as u32,
            scores_padded: weights.features_padded() as u32,
            mode: scores.mode,
            causal: scores.causal.into(),
            replace: scores.replace,
            masks: bits,
            query_mask_padded: queries.next_multiple_of(4) as u32,
            key_mask_padded: keys.next_multiple_of(4) as u32,
            query_factor: scores.query_factor,
        };
        let [query_mask, value_mask, key_mask] = scores.masks.map(mask_buffer);
        let buffers = vec![
            query.buffer,
            key.buffer,
            scores.scale,
            query_mask,
            value_mask,
            key_mask,
            weights.buffer,
        ];
        self.flat(Kernel::AttentionScores, buffers, uniform, weights.values());
    }
}

fn mask_buffer(mask: Option<usize>) -> BufferId {
    mask.map_or(BufferId::Nothing, BufferId::Mask)
}
