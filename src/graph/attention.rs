//! Attention as exporters write it: the product of queries and keys, with scales and a mask that is
//! added, a softmax, and the product with the values. As one step a backend needs the scores of
//! some queries at a time only.

use super::moves::Moved;
use super::{ArrayId, OperatorGraph, Source, Step};
use crate::operator::{
    Attention, BinaryFunction, MaskedScore, Normalization, Operator, Reshape, Score, Transpose,
};
use birnn_cell::Activation;

/// Steps that are followed back from an operand at most.
const MOST_MOVES: usize = 16;

/// The products around a softmax.
struct Found {
    query: ArrayId,
    /// `[batch…, features, keys]`
    key: ArrayId,
    value: ArrayId,
    /// What scores are multiplied by before the bias is added.
    factor: f64,
    bias: Option<ArrayId>,
    /// The step that multiplies with the values.
    last: usize,
}

/// An operand with its parts.
struct Operand {
    moved: Moved,
    /// What its values are multiplied by.
    factor: f64,
    batch: Vec<usize>,
    length: Vec<usize>,
    features: Vec<usize>,
}

impl Operand {
    /// The numbers of heads whose features may stand side by side, and of how many parts of the
    /// batch they are.
    fn heads(&self) -> Vec<(usize, usize)> {
        let mut heads = vec![(1, 0)];
        for count in 1..=self.batch.len() {
            let parts = &self.batch[self.batch.len() - count..];
            if self.features.is_empty()
                || !self.moved.are_neighbours(&[parts, &self.features[..]].concat())
            {
                break;
            }
            heads.push((self.moved.length(parts), count));
        }
        heads
    }
}

/// What is known of a graph's arrays.
struct Links<'a> {
    /// The step that writes each, unless it is gone.
    writers: Vec<Option<usize>>,
    /// The steps that read each; `None`: it is needed behind all steps.
    readers: Vec<Vec<Option<usize>>>,
    /// The value of an array that has one and is the same in all calls of the graph.
    number: &'a dyn Fn(ArrayId) -> Option<f32>,
}

impl OperatorGraph {
    /// The same graph with each attention as one step. `number` gives the value of a constant that
    /// has one.
    pub(super) fn with_attention(
        mut self,
        number: &dyn Fn(&OperatorGraph, ArrayId) -> Option<f32>,
    ) -> OperatorGraph {
        let mut writers = vec![None; self.arrays.len()];
        for (at, step) in self.steps.iter().enumerate() {
            step.writes.iter().for_each(|array| writers[array.0] = Some(at));
        }
        let readers = self.readers();
        let numbers: Vec<Option<f32>> =
            (0..self.arrays.len()).map(|array| number(&self, ArrayId(array))).collect();
        let number = |array: ArrayId| numbers[array.0];
        let mut links = Links { writers, readers, number: &number };
        // What stands in place of a step.
        let mut instead: Vec<(usize, Vec<Step>)> = Vec::new();
        for softmax in 0..self.steps.len() {
            let Some(found) = self.attention_around(softmax, &links) else { continue };
            let Some(steps) = self.as_attention(&found, &mut links) else { continue };
            instead.push((found.last, steps));
        }
        if instead.is_empty() {
            return self;
        }
        instead.sort_by_key(|(at, _)| *at);
        let mut instead = instead.into_iter().peekable();
        let mut steps = Vec::with_capacity(self.steps.len());
        for (at, step) in std::mem::take(&mut self.steps).into_iter().enumerate() {
            match instead.next_if(|(of, _)| *of == at) {
                Some((_, new)) => steps.extend(new),
                // What was moved on from a product is written by the new steps.
                None if step.writes.iter().all(|array| links.writers[array.0] != Some(at)) => {}
                None => steps.push(step),
            }
        }
        self.steps = steps;
        self.without_unused_steps()
    }

    /// The products around a step, where it is a softmax and nothing else needs what is between
    /// them.
    fn attention_around(&self, softmax: usize, links: &Links) -> Option<Found> {
        let step = &self.steps[softmax];
        let scores = step.reads.first().copied().flatten()?;
        let last_axis = self.shape(scores).len().checked_sub(1)?;
        let is_softmax = match &step.operator {
            Operator::Normalize(operator) => {
                operator.normalization == Normalization::Softmax && operator.axes == [last_axis]
            }
            Operator::Activate(operator) => operator.activation == Activation::Softmax,
            _ => false,
        };
        let shares = step.writes[0];
        let [Some(last)] = links.readers[shares.0][..] else { return None };
        let product = &self.steps[last];
        let is_first = product.reads[0] == Some(shares);
        let is_product = is_first && matches!(product.operator, Operator::BatchedMatMul(_));
        let value = product.reads.get(1).copied().flatten()?;
        if !is_softmax || !is_product {
            return None;
        }
        let (factors, factor, bias) = self.product_of(scores, None, links)?;
        let [query, key] = factors;
        Some(Found { query, key, value, factor, bias, last })
    }

    /// The operands of the product that scores are, what it is multiplied by, and what is then
    /// added, which may be known already.
    fn product_of(
        &self,
        scores: ArrayId,
        bias: Option<ArrayId>,
        links: &Links,
    ) -> Option<([ArrayId; 2], f64, Option<ArrayId>)> {
        let (mut at, mut factor) = (scores, 1.0);
        loop {
            let [Some(_)] = links.readers[at.0][..] else { return None };
            let step = &self.steps[links.writers[at.0]?];
            let operand = |number: usize| step.reads.get(number).copied().flatten();
            let (a, b) = (operand(0)?, operand(1)?);
            if let Operator::BatchedMatMul(_) = step.operator {
                return Some(([a, b], factor, bias));
            }
            if let Some((of, by)) = self.scaled(step, links) {
                (at, factor) = (of, factor * by);
                continue;
            }
            let is_sum = matches!(&step.operator, Operator::Binary(operator)
                if operator.function == BinaryFunction::Add);
            if !is_sum || bias.is_some() || factor != 1.0 {
                return None;
            }
            let whole = [(a, b), (b, a)].into_iter();
            let mut whole = whole.filter(|(array, _)| self.shape(*array) == self.shape(at));
            return whole.find_map(|(array, other)| self.product_of(array, Some(other), links));
        }
    }

    /// The operand of a step that multiplies or divides it by a number, and what it is multiplied
    /// by.
    fn scaled(&self, step: &Step, links: &Links) -> Option<(ArrayId, f64)> {
        let Operator::Binary(operator) = &step.operator else { return None };
        let (a, b) = (step.reads[0]?, step.reads[1]?);
        let number = |array: ArrayId| (links.number)(array).map(f64::from);
        let (of, by) = match operator.function {
            BinaryFunction::Multiply => match (number(a), number(b)) {
                (_, Some(by)) => (a, by),
                (Some(by), None) => (b, by),
                _ => return None,
            },
            BinaryFunction::Divide => (a, number(b)?.recip()),
            _ => return None,
        };
        let is_alike = self.shape(of) == self.shape(step.writes[0]);
        (is_alike && by.is_finite() && by != 0.0).then_some((of, by))
    }

    /// An array, followed back through moves, and through scales where they are asked for, as far
    /// as the moves are one.
    fn traced(&self, array: ArrayId, with_scales: bool, links: &Links) -> (Moved, f64) {
        let (mut at, mut chain) = (array, Vec::new());
        while let Some(writer) = links.writers[at.0].filter(|_| chain.len() < MOST_MOVES) {
            let step = &self.steps[writer];
            let next = match &step.operator {
                Operator::Reshape(_) | Operator::Transpose(_) => step.reads[0],
                _ if with_scales => self.scaled(step, links).map(|(of, _)| of),
                _ => None,
            };
            let Some(next) = next else { break };
            chain.push(step);
            at = next;
        }
        let (mut moved, mut factor) = (Moved::new(at, self.shape(at)), 1.0);
        for step in chain.into_iter().rev() {
            if let Some((_, by)) = self.scaled(step, links) {
                factor *= by;
                continue;
            }
            match moved.through(&step.operator) {
                Some(next) => moved = next,
                None => {
                    let written = step.writes[0];
                    (moved, factor) = (Moved::new(written, self.shape(written)), 1.0);
                }
            }
        }
        (moved, factor)
    }

    /// An operand `[batch…, length, features]`, or with its last two axes turned around.
    fn operand(
        &self,
        array: ArrayId,
        (turned, with_scales): (bool, bool),
        links: &Links,
    ) -> Option<Operand> {
        let (moved, factor) = self.traced(array, with_scales, links);
        let (batch, last) = moved.axes.split_last_chunk::<2>()?;
        let [mut length, mut features] = last.clone();
        if turned {
            std::mem::swap(&mut length, &mut features);
        }
        let batch = batch.concat();
        Some(Operand { moved, factor, batch, length, features })
    }

    /// The steps of an attention. What is moved on from the last product is written by them, too.
    fn as_attention(&mut self, found: &Found, links: &mut Links) -> Option<Vec<Step>> {
        let (query, value) = (self.shape(found.query).to_vec(), self.shape(found.value).to_vec());
        let (batch, &[queries, features]) = query.split_last_chunk()?;
        let &[keys, value_features] = value.last_chunk()?;
        let of_key = [batch, &[features, keys]].concat();
        let of_value = [batch, &[keys, value_features]].concat();
        if self.shape(found.key) != of_key || value != of_value || query.contains(&0) || keys == 0 {
            return None;
        }
        let query = self.operand(found.query, (false, true), links)?;
        let key = self.operand(found.key, (true, true), links)?;
        let of_values = self.operand(found.value, (false, false), links)?;
        let of_each = [query.heads(), key.heads(), of_values.heads()];
        let parts_of = |heads: usize| {
            let of_each = of_each.iter();
            let parts = of_each.map(|all| all.iter().find(|(count, _)| *count == heads));
            parts.map(|found| found.map(|(_, parts)| *parts)).collect::<Option<Vec<_>>>()
        };
        let mut counts = of_each[0].iter().rev();
        let (heads, parts, bias) = counts.find_map(|&(heads, _)| {
            let parts = parts_of(heads)?;
            let bias = match found.bias {
                Some(bias) => Some((bias, self.of_scores(bias, batch, heads, [queries, keys])?)),
                None => None,
            };
            Some((heads, parts, bias))
        })?;
        let examples = batch.iter().product::<usize>() / heads;

        let last = self.steps[found.last].clone();
        let (layer, mut steps) = (last.layer.clone(), Vec::new());
        let factor = found.factor * query.factor * key.factor;
        let mut reads = Vec::new();
        for (operand, parts) in [query, key, of_values].iter().zip(parts) {
            let (batch, heads) = operand.batch.split_at(operand.batch.len() - parts);
            let side_by_side = [heads, &operand.features[..]].concat();
            let axes = [batch.to_vec(), operand.length.clone(), side_by_side];
            reads.push(Some(self.move_to(&operand.moved, &axes, &layer, &mut steps)));
        }
        if let Some((bias, shape)) = bias {
            reads.resize(7, None);
            let reshape = Reshape { shape: shape.clone() };
            let written = self.array(Source::Step, shape);
            steps.push(Step {
                operator: reshape.into(),
                reads: vec![Some(bias)],
                writes: vec![written],
                layer: layer.clone(),
            });
            reads.push(Some(written));
        }
        let attention = Attention {
            heads,
            score: Score::Dot,
            factor: factor as f32,
            causal: false,
            masked_score: MaskedScore::Lowest,
        };
        let output = self.array(Source::Step, vec![examples, queries, heads * value_features]);
        steps.push(Step {
            operator: attention.into(),
            reads,
            writes: vec![output],
            layer: layer.clone(),
        });
        let shape = self.shape(output).to_vec();
        let mut moved = Moved::new(output, &shape)
            .reshaped(&[examples, queries, heads, value_features])?
            .through(&Transpose { order: vec![0, 2, 1, 3] }.into())?
            .reshaped(&[batch, &[queries, value_features]].concat())?;
        // As far as it is only moved on.
        let mut end = last.writes[0];
        while let [Some(reader)] = links.readers[end.0][..] {
            let Some(next) = moved.through(&self.steps[reader].operator) else { break };
            links.writers[end.0] = None;
            moved = next;
            end = self.steps[reader].writes[0];
        }
        self.move_to(&moved, &moved.axes, &layer, &mut steps);
        if let Some(step) = steps.last_mut() {
            step.writes = vec![end];
        }
        links.writers[end.0] = Some(found.last);
        Some(steps)
    }

    /// The shape `[batch, heads, queries, keys]` of what is added to scores of these axes, with
    /// ones where it is repeated. `None`: it is repeated in another way.
    fn of_scores(
        &self,
        bias: ArrayId,
        batch: &[usize],
        heads: usize,
        [queries, keys]: [usize; 2],
    ) -> Option<Vec<usize>> {
        let all = [batch, &[queries, keys]].concat();
        let shape = self.shape(bias);
        let missing = all.len().checked_sub(shape.len())?;
        let shape = [&vec![1; missing][..], shape].concat();
        let (of_batch, last) = shape.split_at(batch.len());
        // How many of the last axes of the batch are heads.
        let of_heads = |count: &usize| batch[batch.len() - count..].iter().product::<usize>();
        let mut counts = 0..=batch.len();
        let first_head = match counts.find(|count| of_heads(count) == heads) {
            Some(count) => batch.len() - count,
            None if of_batch == batch => return Some(of_all(batch, heads, last)),
            None if of_batch.iter().all(|&length| length == 1) => batch.len(),
            None => return None,
        };
        let (examples, own) = of_batch.split_at(first_head);
        let (all_examples, all_own) = batch.split_at(first_head);
        let repeated = |found: &[usize], all: &[usize]| match found {
            found if found == all => Some(all.iter().product()),
            found => found.iter().all(|&length| length == 1).then_some(1),
        };
        Some(vec![repeated(examples, all_examples)?, repeated(own, all_own)?, last[0], last[1]])
    }
}

/// The shape of a bias that has all of the batch.
fn of_all(batch: &[usize], heads: usize, last: &[usize]) -> Vec<usize> {
    let examples = batch.iter().product::<usize>() / heads;
    vec![examples, heads, last[0], last[1]]
}
