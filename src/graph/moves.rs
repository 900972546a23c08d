//! Reshapes and transposes in a row as one move: which parts of the axes in memory make which axes
//! of the array that comes out.

use super::{ArrayId, OperatorGraph, Source, Step};
use crate::operator::{Operator, Reshape, Transpose};

/// An array that moves made of another one. Axes of length one have no parts.
#[derive(Clone, Debug)]
pub(super) struct Moved {
    /// The array whose values it has.
    pub base: ArrayId,
    /// The length of each part.
    lengths: Vec<usize>,
    /// The parts as they stand in memory, from the outermost to the innermost.
    in_memory: Vec<usize>,
    /// The parts of each axis of what comes out.
    pub axes: Vec<Vec<usize>>,
}

impl Moved {
    /// The array itself, of this shape.
    pub fn new(base: ArrayId, shape: &[usize]) -> Moved {
        let mut moved =
            Moved { base, lengths: Vec::new(), in_memory: Vec::new(), axes: Vec::new() };
        for &length in shape {
            let part = moved.lengths.len();
            if length != 1 {
                moved.lengths.push(length);
                moved.in_memory.push(part);
            }
            moved.axes.push(if length == 1 { Vec::new() } else { vec![part] });
        }
        moved
    }

    /// What a step makes of it that moves values. `None`: the step does something else, or a new
    /// axis has less than all of a part and no number of it.
    pub fn through(&self, operator: &Operator) -> Option<Moved> {
        match operator {
            Operator::Transpose(operator) => {
                let axes = operator.order.iter().map(|&axis| self.axes[axis].clone()).collect();
                Some(Moved { axes, ..self.clone() })
            }
            Operator::Reshape(operator) => self.reshaped(&operator.shape),
            _ => None,
        }
    }

    pub fn reshaped(&self, shape: &[usize]) -> Option<Moved> {
        let mut moved = self.clone();
        let mut rest: Vec<usize> = moved.axes.drain(..).flatten().rev().collect();
        for &length in shape {
            let (mut axis, mut left) = (Vec::new(), length);
            while left > 1 {
                let part = rest.pop()?;
                let whole = moved.lengths[part];
                if left.is_multiple_of(whole) {
                    left /= whole;
                } else if whole.is_multiple_of(left) {
                    rest.push(moved.split(part, left));
                    left = 1;
                } else {
                    return None;
                }
                axis.push(part);
            }
            moved.axes.push(axis);
        }
        rest.is_empty().then_some(moved)
    }

    /// Cuts a part in two, of which the outer one has this length and keeps its number. Returns the
    /// inner one.
    fn split(&mut self, part: usize, outer: usize) -> usize {
        let inner = self.lengths.len();
        self.lengths.push(self.lengths[part] / outer);
        self.lengths[part] = outer;
        let place = self.in_memory.iter().position(|&other| other == part).unwrap_or(0);
        self.in_memory.insert(place + 1, inner);
        inner
    }

    pub fn length(&self, parts: &[usize]) -> usize {
        parts.iter().map(|&part| self.lengths[part]).product()
    }

    /// Whether these parts follow one another in memory.
    pub fn are_neighbours(&self, parts: &[usize]) -> bool {
        parts.is_empty() || self.in_memory.windows(parts.len()).any(|window| window == parts)
    }

    /// The pieces of memory, in order, that stay in one piece in these axes: of each its axis and
    /// its parts.
    fn runs(&self, axes: &[Vec<usize>]) -> Vec<(usize, Vec<usize>)> {
        let place = |part: usize| {
            let places = axes.iter().enumerate().find_map(|(axis, parts)| {
                parts.iter().position(|&other| other == part).map(|at| (axis, at))
            });
            places.unwrap_or((0, 0))
        };
        let mut runs: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut last = None;
        for &part in &self.in_memory {
            let (axis, at) = place(part);
            match (runs.last_mut(), last) {
                (Some((_, run)), Some((before, of))) if (before, of + 1) == (axis, at) => {
                    run.push(part);
                }
                _ => runs.push((axis, vec![part])),
            }
            last = Some((axis, at));
        }
        runs
    }
}

impl OperatorGraph {
    /// Steps, as few as can be, that make axes of these parts of the base. Returns what the last of
    /// them writes, or the base where there is nothing to do. A transpose is the last of them where
    /// each axis comes from one piece of memory: what follows strides then reads values where they
    /// are.
    pub(super) fn move_to(
        &mut self,
        moved: &Moved,
        axes: &[Vec<usize>],
        layer: &str,
        steps: &mut Vec<Step>,
    ) -> ArrayId {
        let shape: Vec<usize> = axes.iter().map(|parts| moved.length(parts)).collect();
        let runs = moved.runs(axes);
        let mut move_ = |graph: &mut OperatorGraph, array, operator: Operator, shape: &[usize]| {
            if graph.shape(array) == shape && matches!(operator, Operator::Reshape(_)) {
                return array;
            }
            let written = graph.array(Source::Step, shape.to_vec());
            let layer = layer.to_string();
            steps.push(Step { operator, reads: vec![Some(array)], writes: vec![written], layer });
            written
        };
        let reshape = |shape: &[usize]| Operator::from(Reshape { shape: shape.to_vec() });
        if runs.is_sorted_by_key(|(axis, parts)| (*axis, place_in(&axes[*axis], parts))) {
            return move_(self, moved.base, reshape(&shape), &shape);
        }
        // Axes of length one stand first in what is turned, each by itself.
        let of_one = axes.iter().filter(|parts| parts.is_empty()).count();
        let lengths = runs.iter().map(|(_, parts)| moved.length(parts));
        let before: Vec<usize> = std::iter::repeat_n(1, of_one).chain(lengths).collect();
        let (mut order, mut ones) = (Vec::new(), 0..of_one);
        for (axis, parts) in axes.iter().enumerate() {
            let mut own: Vec<usize> = (0..runs.len()).filter(|&run| runs[run].0 == axis).collect();
            own.sort_by_key(|&run| place_in(parts, &runs[run].1));
            order.extend(own.iter().map(|run| run + of_one));
            if parts.is_empty() {
                order.extend(ones.next());
            }
        }
        let turned: Vec<usize> = order.iter().map(|&place| before[place]).collect();
        let array = move_(self, moved.base, reshape(&before), &before);
        let array = move_(self, array, Transpose { order }.into(), &turned);
        move_(self, array, reshape(&shape), &shape)
    }
}

/// Where parts stand among those of an axis.
fn place_in(axis: &[usize], parts: &[usize]) -> Option<usize> {
    axis.iter().position(|part| Some(part) == parts.first())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(operator: impl Into<Operator>) -> Operator {
        operator.into()
    }

    fn reshape(shape: &[usize]) -> Operator {
        step(Reshape { shape: shape.to_vec() })
    }

    fn transpose(order: &[usize]) -> Operator {
        step(Transpose { order: order.to_vec() })
    }

    /// The steps that do what these do, of an array of this shape, or how far they are one move.
    fn short(shape: &[usize], steps: &[Operator]) -> Result<Vec<Operator>, usize> {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), shape);
        let mut moved = Moved::new(x, shape);
        for (index, step) in steps.iter().enumerate() {
            moved = moved.through(step).ok_or(index)?;
        }
        let mut written = Vec::new();
        graph.move_to(&moved, &moved.axes, "moves", &mut written);
        Ok(written.into_iter().map(|step| step.operator).collect())
    }

    #[test]
    fn moves_in_a_row_are_as_few_as_can_be() {
        // [time, batch, heads · features] as queries of heads, and back.
        let heads = [
            reshape(&[5, 6, 4]),
            transpose(&[1, 0, 2]),
            reshape(&[3, 2, 5, 4]),
            transpose(&[0, 2, 1, 3]),
            reshape(&[3, 5, 8]),
        ];
        assert_eq!(short(&[5, 3, 8], &heads), Ok(vec![transpose(&[1, 0, 2])]));
        let back = [transpose(&[1, 0]), transpose(&[1, 0])];
        assert_eq!(short(&[3, 4], &back), Ok(vec![]));
        let joined = [transpose(&[1, 0, 2]), reshape(&[12, 5])];
        assert_eq!(short(&[3, 4, 5], &joined), Ok(joined.to_vec()));
        let cut = [reshape(&[2, 6, 5]), transpose(&[1, 0, 2])];
        assert_eq!(short(&[3, 4, 5], &cut), Err(0));
    }

    #[test]
    fn axes_of_length_one_move_nothing() {
        let moves = [reshape(&[1, 3, 4]), transpose(&[1, 0, 2]), reshape(&[3, 1, 4, 1])];
        assert_eq!(short(&[3, 4], &moves), Ok(vec![reshape(&[3, 1, 4, 1])]));
        let moves = [transpose(&[2, 1, 0]), reshape(&[4, 1, 3])];
        let expected = vec![reshape(&[1, 3, 4]), transpose(&[2, 0, 1])];
        assert_eq!(short(&[3, 1, 4], &moves), Ok(expected));
    }

    /// On random shapes: what the few steps make of numbered values is what the moves make of them.
    #[test]
    fn few_steps_do_what_the_moves_do() {
        use ndarray::{ArrayD, IxDyn};
        use rand::seq::SliceRandom;
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
        let apply = |array: ArrayD<u32>, operator: &Operator| match operator {
            Operator::Reshape(reshape) => {
                array.as_standard_layout().into_owned().into_shape_with_order(&reshape.shape[..])
            }
            Operator::Transpose(turn) => Ok(array.permuted_axes(IxDyn(&turn.order))),
            _ => Ok(array),
        };
        let mut moved_at_all = 0;
        for _ in 0..2000 {
            let random_shape = |rng: &mut rand_chacha::ChaCha12Rng| {
                let mut shape = vec![1usize; rng.random_range(1..6)];
                for factor in [2, 2, 3, 5, 2] {
                    let axis = rng.random_range(0..shape.len());
                    shape[axis] *= factor;
                }
                shape
            };
            let first = random_shape(&mut rng);
            let numbers = (0..120).collect();
            let x = ArrayD::<u32>::from_shape_vec(&first[..], numbers).unwrap();
            let (mut expected, mut steps) = (x.clone(), Vec::new());
            for _ in 0..rng.random_range(1..6) {
                let operator = if rng.random_bool(0.5) {
                    reshape(&random_shape(&mut rng))
                } else {
                    let mut order: Vec<usize> = (0..expected.ndim()).collect();
                    order.shuffle(&mut rng);
                    transpose(&order)
                };
                expected = apply(expected, &operator).unwrap();
                steps.push(operator);
            }
            let Ok(few) = short(&first, &steps) else { continue };
            assert!(few.len() <= 3, "{few:?} for {steps:?}");
            let found = few.iter().try_fold(x, apply).unwrap();
            assert_eq!(found, expected, "{first:?}: {few:?} for {steps:?}");
            moved_at_all += 1;
        }
        assert!(moved_at_all > 500, "{moved_at_all}");
    }
}
