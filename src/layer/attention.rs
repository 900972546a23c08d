//! Attention.

use super::definition::{Definition, MaskArguments, WeightSpec, Wrong, arguments, size};
use super::dims::{Dims, describe, features};
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::role::Role;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{self, Expand, Filling, MaskedScore, MatMul, Pad, Score, Slice, Transpose};
use birnn_cell::Activation;
use ndarray::{ArrayD, arr1};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How [`Attention`] computes the score of a query and a key, which are vectors of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ScoreMode {
    /// `scale · (query · key)`, with the dot product of the two. This is the default.
    #[default]
    Dot,
    /// `concat_score_weight · Σ tanh(scale · (query + key))`, with a sum over the features and a
    /// trained `concat_score_weight`.
    Concat,
}

/// The output of an attention on query, value and perhaps key, whose keys have the query's
/// features.
fn attended(inputs: &[Dims]) -> Result<Dims, String> {
    let (query, value) = (&inputs[0], &inputs[1]);
    let key = inputs.get(2).unwrap_or(value);
    if [query, value, key].iter().any(|dims| dims.len() != 2) {
        return Err(format!(
            "it reads [batch, timesteps, features], and its first inputs are {} and {}",
            describe(query),
            describe(value)
        ));
    }
    if features(query)? != features(key)? {
        return Err(format!(
            "the query has {} features and the key {}",
            features(query)?,
            features(key)?
        ));
    }
    same_timesteps(value, key)?;
    Ok(vec![query[0], value[1]])
}

fn same_timesteps(value: &Dims, key: &Dims) -> Result<(), String> {
    match (value[0], key[0]) {
        (Some(v), Some(k)) if v != k => Err(format!("the value has {v} timesteps and the key {k}")),
        _ => Ok(()),
    }
}

/// Attention of one head: on query, value and perhaps key. Where `one` is the place of a constant,
/// `[1]`, which is 1, the scores follow.
fn attend(
    call: &mut Lowering,
    score: Score,
    scale: Option<ArrayId>,
    causal: bool,
    one: Option<usize>,
) -> Result<Vec<ArrayId>, Error> {
    let [query, value] = [call.input(0), call.input(1)];
    let key = call.inputs.get(2).copied().unwrap_or(value);
    let masked_score = MaskedScore::Lowered;
    let attention = operator::Attention { heads: 1, score, factor: 1.0, causal, masked_score };
    let masks = [call.mask(0), call.mask(1)];
    let reads = [Some(query), Some(key), Some(value), scale, masks[0], masks[1], None];
    let mut written = vec![call.add(attention.clone(), reads)?];
    if let Some(one) = one {
        // The mask of the query is for the output alone.
        written.push(scores(call, attention, [query, key], scale, [None, masks[1], None], one)?);
    }
    Ok(written)
}

/// What each query gives each value: the attention on values of which each is one where it stands
/// and zero at the others. `[batch, queries, heads · values]`.
fn scores(
    call: &mut Lowering,
    attention: operator::Attention,
    [query, key]: [ArrayId; 2],
    scale: Option<ArrayId>,
    masks: [Option<ArrayId>; 3],
    one: usize,
) -> Result<ArrayId, Error> {
    let (batch, keys, heads) = (call.shape(key)[0], call.shape(key)[1], attention.heads);
    // A one and as many zeros as there are keys, again and again: in rows of one number less the
    // ones stand on the diagonal.
    let one = call.constant(one, [1]);
    let (filling, after) = (Filling::Constant(0.0), keys);
    let row = call.apply(Pad { axis: 0, before: 0, after, filling }, one)?;
    let rows = call.apply(Expand { shape: vec![keys, keys + 1] }, row)?;
    let flat = call.reshaped(rows, vec![keys * (keys + 1)])?;
    let diagonal = Slice { axis: 0, start: 0, step: 1, length: keys * keys };
    let diagonal = call.apply(diagonal, flat)?;
    let of_a_head = call.reshaped(diagonal, vec![1, keys, 1, keys])?;
    let of_all = call.apply(Expand { shape: vec![batch, keys, heads, keys] }, of_a_head)?;
    let value = call.reshaped(of_all, vec![batch, keys, heads * keys])?;
    let reads = [Some(query), Some(key), Some(value), scale];
    call.add(attention, [&reads[..], &masks].concat())
}

/// What an attention layer returns: its output and, where it does, the scores.
fn returned(output: Dims, scores: Option<Dims>) -> Vec<(Role, Dims)> {
    let scores = scores.map(|dims| (Role::AttentionScores, dims));
    [(Role::Output, output)].into_iter().chain(scores).collect()
}

/// The constant that [`scores`] needs, where there are some.
fn constant_one<'w>(scores: bool) -> Option<Constant<'w>> {
    scores.then(|| Constant::Derived(arr1(&[1.0]).into_dyn()))
}

arguments! {
    /// Keras's `Attention`: `softmax(scores) · value` (Luong et al. 2015).
    ///
    /// It is called on query, value and optionally key (default: the value). The query is
    /// `[batch, query timesteps, features]`, the key `[batch, value timesteps, features]`, and the
    /// value `[batch, value timesteps, value features]`. The output is
    /// `[batch, query timesteps, value features]`. Masked values get no weight, and at masked
    /// queries the output is zero.
    ///
    /// ```
    /// use birnn::{Graph, Gru, layer::Attention};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 4)?;
    /// let h = graph.add(Gru::new(6).return_sequences(true), x)?[0];
    /// let attended = graph.add(Attention::new(), [h, h])?; // query and value
    /// let model = graph.build(attended)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Attention() {
        /// Whether scores are multiplied by a trained scale, one number (default: false).
        use_scale: bool = false,
        /// How the score of a query and a key is computed (default: [`ScoreMode::Dot`]).
        score_mode: ScoreMode = ScoreMode::Dot,
        /// Whether a query gives no weight to values at later timesteps (default: false). In Keras
        /// this is an argument of the call.
        use_causal_mask: bool = false,
        /// Whether it returns the scores after the output, the weight that each query gives each
        /// value, `[batch, query timesteps, value timesteps]` (default: false). In Keras
        /// this is an argument of the call. It costs attention once more, on a value with a feature
        /// for each of the values.
        return_attention_scores: bool = false,
    }
}

impl Definition for Attention {
    fn class_name(&self) -> &'static str {
        "Attention"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=3
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        attended(inputs)
    }

    fn weights(&self, _: &[Dims]) -> Vec<WeightSpec> {
        let scalar = |name| WeightSpec::new(name, [], Initializer::Ones);
        let scale = self.use_scale.then(|| scalar("scale"));
        let concat = (self.score_mode == ScoreMode::Concat).then(|| scalar("concat_score_weight"));
        scale.into_iter().chain(concat).collect()
    }

    /// Keras's scale and weight, or ones in their place.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let number = |index: usize| weights.get(index).map_or(1.0, |w| f64::from(w.sum()));
        let scale = if self.use_scale { number(0) } else { 1.0 };
        let numbers = match self.score_mode {
            ScoreMode::Dot => vec![scale],
            ScoreMode::Concat => vec![scale, number(usize::from(self.use_scale))],
        };
        let numbers = Constant::Derived(arr1(&numbers).into_dyn());
        [numbers].into_iter().chain(constant_one(self.return_attention_scores)).collect()
    }

    fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
        let output = self.output(inputs)?;
        let scores = self.return_attention_scores.then(|| vec![inputs[0][0], inputs[1][0]]);
        Ok(returned(output, scores))
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        Ok(self.lower_from(call, &[])?[0])
    }

    fn lower_from(
        &self,
        call: &mut Lowering,
        _: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let (score, numbers) = match self.score_mode {
            ScoreMode::Dot => (Score::Dot, 1),
            ScoreMode::Concat => (Score::Concat, 2),
        };
        let scale = call.constant(0, [numbers]);
        let one = self.return_attention_scores.then_some(1);
        attend(call, score, Some(scale), self.use_causal_mask, one)
    }

    fn computes_with_masks(&self) -> bool {
        true
    }

    fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
        mask_axes == 1
    }

    fn mask_arguments(&self) -> MaskArguments {
        MaskArguments::Listed
    }

    fn looks_at_arrays_masks(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `AdditiveAttention`: as [`Attention`], with the same arrays, but with the scores
    /// `Σ scale · tanh(query + key)`, a sum over the features (Bahdanau et al. 2014).
    AdditiveAttention() {
        /// Whether each feature is multiplied by a trained scale, `[features]` (default: true).
        use_scale: bool = true,
        /// Whether a query gives no weight to values at later timesteps (default: false). In Keras
        /// this is an argument of the call.
        use_causal_mask: bool = false,
        /// Whether it returns the scores after the output, the weight that each query gives each
        /// value, `[batch, query timesteps, value timesteps]` (default: false). In Keras
        /// this is an argument of the call. It costs attention once more, on a value with a feature
        /// for each of the values.
        return_attention_scores: bool = false,
    }
}

impl Definition for AdditiveAttention {
    fn class_name(&self) -> &'static str {
        "AdditiveAttention"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=3
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        attended(inputs)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let length = features(&inputs[0]).unwrap_or(0);
        let scale =
            self.use_scale.then(|| WeightSpec::new("scale", [length], Initializer::GlorotUniform));
        scale.into_iter().collect()
    }

    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let scale = weights.iter().map(|weight| Constant::weight(weight.view()));
        scale.chain(constant_one(self.return_attention_scores)).collect()
    }

    fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
        let output = self.output(inputs)?;
        let scores = self.return_attention_scores.then(|| vec![inputs[0][0], inputs[1][0]]);
        Ok(returned(output, scores))
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        Ok(self.lower_from(call, &[])?[0])
    }

    fn lower_from(
        &self,
        call: &mut Lowering,
        _: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let features = call.features(call.input(0));
        let scale = self.use_scale.then(|| call.constant(0, [features]));
        let one = self.return_attention_scores.then_some(usize::from(self.use_scale));
        attend(call, Score::Additive, scale, self.use_causal_mask, one)
    }

    fn computes_with_masks(&self) -> bool {
        true
    }

    fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
        mask_axes == 1
    }

    fn mask_arguments(&self) -> MaskArguments {
        MaskArguments::Listed
    }

    fn looks_at_arrays_masks(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `MultiHeadAttention` (Vaswani et al. 2017): `num_heads` attentions on projections of
    /// query, key and value to `key_dim` features (values to `value_dim`), whose results are
    /// projected to the features of the output.
    ///
    /// It is called on query, value and optionally key (default: the value). The query is
    /// `[batch, query timesteps, features]`; value and key are
    /// `[batch, value timesteps, features]`, each with a number of features of its own. The output
    /// is `[batch, query timesteps, output features]`. Masked values get no weight, and a masked
    /// query sees no value.
    ///
    /// ```
    /// use birnn::{Device, Graph, layer::MultiHeadAttention};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 6)?;
    /// let attended = graph.add(MultiHeadAttention::new(2, 3), [x, x])?; // query and value
    /// let model = graph.build(attended)?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((1, 4, 6));
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [1, 4, 6]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    MultiHeadAttention(num_heads: usize, key_dim: usize) {
        /// The number of features of a value in a head (default: `None`, which is `key_dim`).
        value_dim: Option<usize> = None,
        /// Whether the projections have biases (default: true).
        use_bias: bool = true,
        /// The number of features of the output (default: `None`, those of the query). Keras calls
        /// it `output_shape`.
        output_features: Option<usize> = None,
        /// The share of attention weights that is dropped in training (default: 0). Here it only
        /// decides what the heads give for a query that sees no value: zeros if it is above 0,
        /// otherwise the mean of all values.
        dropout: f32 = 0.0,
        /// Whether a query gives no weight to values at later timesteps (default: false). In Keras
        /// this is an argument of the call.
        use_causal_mask: bool = false,
        /// Whether it returns the scores after the output, the weight that each query gives each
        /// value, `[batch, heads, query timesteps, value timesteps]` (default: false). In Keras
        /// this is an argument of the call. It costs attention once more, on a value with a feature
        /// for each of the values.
        return_attention_scores: bool = false,
        /// Whether a query that sees no value gives all values the same weight, as in Keras 2
        /// (default: false: with `dropout` or with `return_attention_scores` it gives them none, as
        /// in Keras 3). Weights of other queries don't depend on it.
        uniform_where_masked: bool = false,
    }
}

impl MultiHeadAttention {
    pub(crate) fn value_size(&self) -> usize {
        self.value_dim.unwrap_or(self.key_dim)
    }

    /// An array times the kernel of this number.
    fn projected(
        &self,
        call: &mut Lowering,
        kernel: usize,
        x: ArrayId,
        columns: usize,
    ) -> Result<ArrayId, Error> {
        let index = if self.use_bias { 2 * kernel } else { kernel };
        let kernel = call.constant(index, [call.features(x), columns]);
        let bias = self.use_bias.then(|| call.constant(index + 1, [columns]));
        call.add(MatMul { activation: Activation::Linear }, [Some(x), Some(kernel), bias])
    }
}

/// A weight in C order in another shape.
fn flat<'w>(weight: &'w ArrayD<f32>, shape: &[usize]) -> Constant<'w> {
    let reshaped = weight.view().into_shape_with_order(shape);
    Constant::Weight(reshaped.unwrap_or_else(|_| weight.view()))
}

impl Definition for MultiHeadAttention {
    fn class_name(&self) -> &'static str {
        "MultiHeadAttention"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("num_heads", self.num_heads)?;
        size("key_dim", self.key_dim)?;
        size("value_dim", self.value_size())?;
        size("num_heads", self.num_heads.saturating_mul(self.key_dim.max(self.value_size())))?;
        size("output_shape", self.output_features.unwrap_or(1))
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=3
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let key = inputs.get(2).unwrap_or(&inputs[1]);
        for dims in inputs {
            if dims.len() != 2 {
                return Err(format!(
                    "it reads [batch, timesteps, features], and an input is {}",
                    describe(dims)
                ));
            }
            features(dims)?;
        }
        same_timesteps(&inputs[1], key)?;
        Ok(vec![inputs[0][0], self.output_features.or(inputs[0][1])])
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let from =
            |index: usize| inputs.get(index).and_then(|dims| features(dims).ok()).unwrap_or(0);
        let key_features = if inputs.len() > 2 { from(2) } else { from(1) };
        let (heads, key, value) = (self.num_heads, self.key_dim, self.value_size());
        let output = self.output_features.unwrap_or(from(0));
        let projections: [(_, _, Vec<usize>, Vec<usize>); 4] = [
            ("query kernel", "query bias", vec![from(0), heads, key], vec![heads, key]),
            ("key kernel", "key bias", vec![key_features, heads, key], vec![heads, key]),
            ("value kernel", "value bias", vec![from(1), heads, value], vec![heads, value]),
            (
                "attention_output kernel",
                "attention_output bias",
                vec![heads, value, output],
                vec![output],
            ),
        ];
        let mut weights = Vec::new();
        for (kernel_name, bias_name, kernel, bias) in projections {
            let inputs = kernel.len() - bias.len();
            let kernel = WeightSpec::new(kernel_name, kernel, Initializer::GlorotUniform);
            weights.push(kernel.of_inputs(inputs));
            weights.extend(
                self.use_bias.then(|| WeightSpec::new(bias_name, bias, Initializer::Zeros)),
            );
        }
        weights
    }

    /// The kernels as matrices, and the biases as vectors.
    fn constants<'w>(&self, weights: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let kernels = if self.use_bias { 2 } else { 1 };
        let constant = |(index, weight): (usize, &'w ArrayD<f32>)| {
            let shape = weight.shape();
            let inner = match (index / kernels, index % kernels) {
                (3, 0) => shape[0] * shape[1],
                (_, 0) => shape[0],
                _ => return flat(weight, &[weight.len()]),
            };
            flat(weight, &[inner, weight.len() / inner.max(1)])
        };
        let constants = weights.iter().enumerate().map(constant);
        constants.chain(constant_one(self.return_attention_scores)).collect()
    }

    fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
        let output = self.output(inputs)?;
        let scores = vec![Some(self.num_heads), inputs[0][0], inputs[1][0]];
        Ok(returned(output, self.return_attention_scores.then_some(scores)))
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        Ok(self.lower_from(call, &[])?[0])
    }

    fn lower_from(
        &self,
        call: &mut Lowering,
        _: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        let [query, value] = [call.input(0), call.input(1)];
        let key = call.inputs.get(2).copied().unwrap_or(value);
        let (heads, output) = (self.num_heads, self.output_features);
        let output = output.unwrap_or(call.features(query));
        let query = self.projected(call, 0, query, heads * self.key_dim)?;
        let key = self.projected(call, 1, key, heads * self.key_dim)?;
        let value = self.projected(call, 2, value, heads * self.value_size())?;
        let attention = operator::Attention {
            heads,
            score: Score::Dot,
            factor: (1.0 / (self.key_dim as f64).sqrt()) as f32,
            causal: self.use_causal_mask,
            // Keras 3 computes scores that it returns as it does with dropout.
            masked_score: match self.dropout > 0.0 || self.return_attention_scores {
                true if !self.uniform_where_masked => MaskedScore::Dropped,
                _ => MaskedScore::Lowest,
            },
        };
        let masks = [0, 1, 2].map(|index| call.mask(index));
        let reads = [Some(query), Some(key), Some(value), None];
        let attended = call.add(attention.clone(), [&reads[..], &masks].concat())?;
        let mut written = vec![self.projected(call, 3, attended, output)?];
        if self.return_attention_scores {
            let one = if self.use_bias { 8 } else { 4 }; // behind the weights of four projections
            let scores = scores(call, attention, [query, key], None, masks, one)?;
            let [batch, queries, both] = call.shape(scores)[..] else { return Ok(written) };
            let scores = call.reshaped(scores, vec![batch, queries, heads, both / heads])?;
            written.push(call.apply(Transpose { order: vec![0, 2, 1, 3] }, scores)?);
        }
        Ok(written)
    }

    fn takes_masks_away(&self) -> bool {
        true
    }

    fn computes_with_masks(&self) -> bool {
        true
    }

    fn reads_mask(&self, mask_axes: usize, _: usize) -> bool {
        mask_axes == 1
    }

    fn mask_arguments(&self) -> MaskArguments {
        MaskArguments::AllButTheQuery
    }

    fn looks_at_arrays_masks(&self) -> bool {
        true
    }
}
