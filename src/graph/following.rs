//! Where the values of an array come from: who lowers a layer or an operation says what the array
//! that it reads has to hold ([`OperatorGraph::demand`]). Where steps only moved its values, they
//! are followed back to the inputs of the model, and every call's inputs are compared with it
//! before it runs. Values that a step computes are on the device, and aren't looked at.

use super::demands::{Bounds, Demand, Origin};
use super::{ArrayId, OperatorGraph, Source};
use crate::operator::{Filling, Operator, UnaryFunction, product};
use ndarray::{ArrayD, Axis, IxDyn, Slice, concatenate};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// An input, and the numbers of those of its values that count; `None`: all.
type ValuesOf = (usize, Option<Vec<usize>>);

/// Values that are followed one by one, in all arrays of a graph together: 128 MiB.
const MOST_FOLLOWED: usize = 1 << 25;

/// Of a value that is of no input.
const OF_NO_INPUT: u32 = u32::MAX;

impl OperatorGraph {
    /// Asks of the values of an array that they are within bounds, as far as a call gives them.
    /// Returns whether no step computes any of them: then all are within bounds when the graph
    /// runs.
    ///
    /// # Errors
    /// Where too many values would have to be followed one by one.
    pub fn demand(&mut self, reader: &str, array: ArrayId, bounds: Bounds) -> Result<bool, String> {
        let origin = self.origin(array);
        let values: Vec<(usize, Option<Vec<usize>>)> = match origin.has_all {
            true => origin.inputs.iter().map(|&input| (input, None)).collect(),
            false => self.followed(array)?,
        };
        let is_cut = origin.is_cut;
        for (input, values) in values {
            if values.is_some() || self.following.asked.insert((input, bounds, is_cut)) {
                let reader = reader.to_string();
                self.demands.push(Demand { input, values, is_cut, bounds, reader });
            }
        }
        // Of a part of values in an order that steps compute it isn't known which they are.
        let is_part = !origin.has_all
            && (self.moved_from(array, |_| false).iter())
                .any(|array| self.following.reordered.contains_key(&array.0));
        Ok(!origin.is_computed && !is_part)
    }

    /// Says that an array has all values of another one, in an order that steps compute.
    pub fn is_reordered(&mut self, array: ArrayId, of: ArrayId) {
        if array != of {
            self.following.reordered.insert(array.0, of.0);
        }
    }

    /// Says that an array has each place of an axis of this length once, in an order that steps
    /// compute.
    pub fn is_order(&mut self, array: ArrayId, length: usize) {
        self.following.orders.insert(array.0, length);
    }

    /// Whether an array is such an order.
    pub fn orders(&self, array: ArrayId, length: usize) -> bool {
        self.following.orders.get(&array.0) == Some(&length)
    }

    /// The operands whose values a step only moves; `None`: it computes.
    fn moved(&self, array: ArrayId) -> Option<Vec<ArrayId>> {
        if let Some(&of) = self.following.reordered.get(&array.0) {
            return Some(vec![ArrayId(of)]);
        }
        // Steps write arrays in the order in which both were added.
        let behind = self.steps.partition_point(|step| step.writes[0] <= array);
        let step = self.steps[..behind].last().filter(|step| step.writes.contains(&array))?;
        let moves = match &step.operator {
            Operator::Reshape(_)
            | Operator::Transpose(_)
            | Operator::Slice(_)
            | Operator::Expand(_)
            | Operator::Concat(_) => true,
            Operator::Pad(pad) => matches!(pad.filling, Filling::Constant(_)),
            Operator::Unary(unary) => unary.function == UnaryFunction::Truncate,
            _ => false,
        };
        moves.then(|| step.reads.iter().flatten().copied().collect())
    }

    /// The step that wrote an array that [`OperatorGraph::moved`] knows.
    fn writer(&self, array: ArrayId) -> Option<&Operator> {
        let behind = self.steps.partition_point(|step| step.writes[0] <= array);
        self.steps[..behind].last().map(|step| &step.operator)
    }

    /// Of an array and of all that its values were moved from, in the order in which they were
    /// written.
    fn moved_from(&self, array: ArrayId, is_known: impl Fn(ArrayId) -> bool) -> Vec<ArrayId> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![array]);
        while let Some(array) = open.pop() {
            if !is_known(array) && seen.insert(array) {
                open.extend(self.moved(array).unwrap_or_default());
            }
        }
        seen.into_iter().collect()
    }

    fn origin(&mut self, array: ArrayId) -> Origin {
        for array in self.moved_from(array, |array| self.following.origins.contains_key(&array.0)) {
            let origin = self.next_origin(array);
            self.following.origins.insert(array.0, origin);
        }
        self.following.origins[&array.0].clone()
    }

    /// Of an array whose operands have theirs.
    fn next_origin(&self, array: ArrayId) -> Origin {
        let leaf = |inputs: Option<usize>, is_computed| Origin {
            inputs: Arc::new(inputs.into_iter().collect()),
            has_all: true,
            is_computed,
            is_cut: false,
        };
        let operands = match (self.arrays[array.0].source, self.moved(array)) {
            (Source::Input(input), _) => return leaf(Some(input), false),
            (Source::Step, Some(operands)) => operands,
            (Source::Constant(_) | Source::Known(_) | Source::Ones, _) => return leaf(None, false),
            _ => return leaf(None, true),
        };
        let mut origin = leaf(None, false);
        for operand in operands {
            let of = &self.following.origins[&operand.0];
            if origin.inputs.is_empty() {
                origin.inputs = of.inputs.clone();
            } else if !of.inputs.is_subset(&origin.inputs) {
                Arc::make_mut(&mut origin.inputs).extend(of.inputs.iter().copied());
            }
            origin.has_all &= of.has_all;
            origin.is_computed |= of.is_computed;
            origin.is_cut |= of.is_cut;
        }
        match self.writer(array) {
            _ if self.following.reordered.contains_key(&array.0) => {}
            Some(Operator::Slice(_)) => origin.has_all = origin.inputs.is_empty(),
            Some(Operator::Unary(_)) => origin.is_cut = true,
            _ => {}
        }
        origin
    }

    /// Which values of which inputs an array has, found by moving their numbers as the steps move
    /// them.
    fn followed(&mut self, array: ArrayId) -> Result<Vec<ValuesOf>, String> {
        let mut numbers: HashMap<ArrayId, ArrayD<u32>> = HashMap::new();
        // Of each input the number of its first value.
        let mut inputs: BTreeMap<usize, (u32, usize)> = BTreeMap::new();
        let mut next = 0u32;
        for array in self.moved_from(array, |_| false) {
            let shape = self.shape(array).to_vec();
            let count = product(&shape);
            let left = MOST_FOLLOWED.checked_sub(self.following.values);
            if left.is_none_or(|left| count > left) {
                return Err(format!(
                    "its places are parts of an input, of more than {MOST_FOLLOWED} values, which \
                     aren't compared with its axis: cut the input before the call"
                ));
            }
            self.following.values += count;
            let found = match (self.arrays[array.0].source, self.moved(array)) {
                (Source::Input(input), _) => {
                    let (first, _) = *inputs.entry(input).or_insert((next, count));
                    next = next.max(first + count as u32);
                    ArrayD::from_shape_vec(IxDyn(&shape), (first..first + count as u32).collect())
                }
                (Source::Step, Some(operands)) => {
                    let operands = operands.iter().filter_map(|operand| numbers.get(operand));
                    self.moved_numbers(array, &operands.collect::<Vec<_>>())
                }
                _ => Ok(ArrayD::from_elem(IxDyn(&shape), OF_NO_INPUT)),
            };
            numbers.insert(array, found.map_err(|error| error.to_string())?);
        }
        let mut found: Vec<u32> = numbers.remove(&array).into_iter().flatten().collect();
        found.sort_unstable();
        found.dedup();
        let of_input = |(&input, &(first, count)): (&usize, &(u32, usize))| {
            let of_it = first..first + count as u32;
            let values = found.iter().filter(|number| of_it.contains(*number));
            let values: Vec<usize> = values.map(|number| (number - first) as usize).collect();
            (!values.is_empty()).then(|| (input, (values.len() < count).then_some(values)))
        };
        Ok(inputs.iter().filter_map(of_input).collect())
    }

    /// What the step that writes an array makes of the numbers of values.
    fn moved_numbers(
        &self,
        array: ArrayId,
        operands: &[&ArrayD<u32>],
    ) -> Result<ArrayD<u32>, ndarray::ShapeError> {
        let shape = IxDyn(self.shape(array));
        // Which value is where isn't known of those in an order that steps compute.
        let is_reordered = self.following.reordered.contains_key(&array.0);
        let (Some(operator), Some(x), false) = (self.writer(array), operands.first(), is_reordered)
        else {
            return Ok(ArrayD::from_elem(shape, OF_NO_INPUT));
        };
        Ok(match operator {
            Operator::Reshape(_) => x.to_shape(shape)?.into_owned(),
            Operator::Transpose(transpose) => {
                let turned = x.view().permuted_axes(IxDyn(&transpose.order));
                turned.as_standard_layout().into_owned()
            }
            Operator::Slice(slice) => {
                let place =
                    |index: usize| slice.start.wrapping_add_signed(index as isize * slice.step);
                let places: Vec<usize> = (0..slice.length).map(place).collect();
                x.select(Axis(slice.axis), &places)
            }
            Operator::Expand(_) => match x.broadcast(shape.clone()) {
                Some(repeated) => repeated.to_owned(),
                None => ArrayD::from_elem(shape, OF_NO_INPUT),
            },
            Operator::Concat(concat) => {
                let views: Vec<_> = operands.iter().map(|array| array.view()).collect();
                concatenate(Axis(concat.axis), &views)?.as_standard_layout().into_owned()
            }
            Operator::Pad(pad) => {
                let mut padded = ArrayD::from_elem(shape, OF_NO_INPUT);
                let inside = pad.before..pad.before + x.len_of(Axis(pad.axis));
                padded.slice_axis_mut(Axis(pad.axis), Slice::from(inside)).assign(*x);
                padded
            }
            _ => (*x).clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{Concat, Expand, Gather, Pad, Reshape, Slice, Transpose, Unary};

    fn step(
        graph: &mut OperatorGraph,
        operator: impl Into<Operator>,
        reads: &[ArrayId],
    ) -> ArrayId {
        let reads: Vec<_> = reads.iter().copied().map(Some).collect();
        graph.step("moves", operator, reads).unwrap()[0]
    }

    /// Each value by its input and number, as a demand names them.
    fn demands(graph: &mut OperatorGraph, array: ArrayId) -> (Vec<ValuesOf>, bool) {
        graph.demands.clear();
        graph.following.asked.clear();
        let given = graph.demand("reader", array, Bounds::Places(3)).unwrap();
        let found = graph.demands.iter().map(|demand| (demand.input, demand.values.clone()));
        (found.collect(), given)
    }

    #[test]
    fn moved_values_are_followed_to_the_inputs() {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [2, 3]);
        let y = graph.feed(Source::Input(1), [1, 3]);
        let turned = step(&mut graph, Transpose { order: vec![1, 0] }, &[x]);
        let flat = step(&mut graph, Reshape { shape: vec![6] }, &[turned]);
        assert_eq!(demands(&mut graph, flat), (vec![(0, None)], true));
        let part = Slice { axis: 0, start: 5, step: -2, length: 2 };
        let part = step(&mut graph, part, &[flat]); // 5 and 3 of the turned one
        assert_eq!(demands(&mut graph, part), (vec![(0, Some(vec![4, 5]))], true));
        let both = step(&mut graph, Concat { axis: 0 }, &[x, y]);
        assert_eq!(demands(&mut graph, both), (vec![(0, None), (1, None)], true));
        let filling = Filling::Constant(0.0);
        let padded = step(&mut graph, Pad { axis: 1, before: 1, after: 0, filling }, &[both]);
        let last = Slice { axis: 0, start: 1, step: 1, length: 2 };
        let last = step(&mut graph, last, &[padded]);
        let wide = step(&mut graph, Expand { shape: vec![4, 2, 4] }, &[last]);
        let expected = vec![(0, Some(vec![3, 4, 5])), (1, None)];
        assert_eq!(demands(&mut graph, wide), (expected, true));
    }

    #[test]
    fn computed_values_are_not_looked_at() {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [4]);
        let cut = step(&mut graph, Unary { function: UnaryFunction::Truncate }, &[x]);
        assert!(graph.demand("reader", cut, Bounds::Places(4)).unwrap());
        assert!(graph.demands[0].is_cut && Bounds::Places(4).hold(-4.5, true));
        assert!(!Bounds::Places(4).hold(-4.5, false) && !Bounds::Places(4).hold(f64::NAN, true));
        let taken = step(&mut graph, Gather { axis: 0, from_end: true }, &[x, x]);
        assert_eq!(demands(&mut graph, taken), (vec![], false));
        let both = step(&mut graph, Concat { axis: 0 }, &[taken, x]);
        assert_eq!(demands(&mut graph, both), (vec![(0, None)], false));
        let part = Slice { axis: 0, start: 3, step: 1, length: 2 };
        let part = step(&mut graph, part, &[both]);
        assert_eq!(demands(&mut graph, part), (vec![(0, Some(vec![0]))], false));
    }

    /// A part of them isn't looked at: which it has, the steps compute.
    #[test]
    fn reordered_values_are_those_of_the_inputs() {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [4]);
        let places = step(&mut graph, Unary { function: UnaryFunction::Floor }, &[x]);
        let sorted = step(&mut graph, Gather { axis: 0, from_end: true }, &[x, places]);
        assert_eq!(demands(&mut graph, sorted), (vec![], false));
        let sorted = step(&mut graph, Gather { axis: 0, from_end: true }, &[x, places]);
        graph.is_reordered(sorted, x);
        let cut = step(&mut graph, Unary { function: UnaryFunction::Truncate }, &[sorted]);
        assert_eq!(demands(&mut graph, cut), (vec![(0, None)], true));
        let part = Slice { axis: 0, start: 1, step: 1, length: 2 };
        let part = step(&mut graph, part, &[cut]);
        assert_eq!(demands(&mut graph, part), (vec![], false));
    }

    /// As long as a file may make a chain, and with an array that doubles in each.
    #[test]
    fn long_chains_end() {
        let mut graph = OperatorGraph::default();
        let mut x = graph.feed(Source::Input(0), [2]);
        for _ in 0..100_000 {
            x = step(&mut graph, Transpose { order: vec![0] }, &[x]);
            let given = graph.demand("reader", x, Bounds::Ids(3)).unwrap();
            assert!(given && graph.demands.len() == 1);
        }
        for _ in 0..28 {
            x = step(&mut graph, Concat { axis: 0 }, &[x, x]);
        }
        assert_eq!(demands(&mut graph, x), (vec![(0, None)], true));
        let x = step(&mut graph, Slice { axis: 0, start: 1, step: 1, length: 1 }, &[x]);
        assert!(graph.demand("reader", x, Bounds::Ids(3)).unwrap_err().contains("cut the input"));
    }
}
