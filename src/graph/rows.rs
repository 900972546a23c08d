//! Whether a graph can run in parts of the batch, or of time, found by following the axes of what
//! is fed through all steps.

use super::{Array, ArrayId, OperatorGraph, Source, Step};
use crate::operator::{Along, Operator};

/// Whether an array is given anew with every call.
fn depends_on_the_call(source: Source) -> bool {
    !matches!(source, Source::Constant(_) | Source::Known(_) | Source::Step)
}

impl OperatorGraph {
    /// Whether the rows of the batch can run in parts: a graph of the same call with fewer rows
    /// computes those rows of everything that this one does.
    ///
    /// Of each array that depends on the batch it follows how many indices of the first axis a row
    /// of the batch has. Arrays that are known for this call alone count as constants: see
    /// [`OperatorGraph::does_the_same_to_rows_of`].
    #[allow(dead_code)] // Only backends that cut calls ask.
    pub fn rows_are_independent(&self, batch: usize) -> bool {
        let mut rows: Vec<Option<usize>> = vec![None; self.arrays.len()];
        for (rows, array) in rows.iter_mut().zip(&self.arrays) {
            let of_the_batch = depends_on_the_call(array.source);
            match array.shape.first() {
                Some(&first) if of_the_batch && batch > 0 && first.is_multiple_of(batch) => {
                    *rows = Some(first / batch);
                }
                _ if of_the_batch => return false,
                _ => {}
            }
        }
        self.steps.iter().all(|step| {
            let found = self.rows_of_results(step, &rows);
            for (array, found) in step.writes.iter().zip(found.iter().flatten()) {
                rows[array.0] = *found;
            }
            found.is_some()
        })
    }

    /// Of each array that a step writes how many indices of the first axis a row of the batch has;
    /// none where it is made of constants.
    fn rows_of_results(&self, step: &Step, rows: &[Option<usize>]) -> Option<Vec<Option<usize>>> {
        let shapes = self.shapes(&step.reads);
        let rules = step.operator.rules();
        let mut of_the_batch = None;
        for (operand, array) in step.reads.iter().enumerate() {
            let Some(found) = array.and_then(|array| rows[array.0]) else { continue };
            if shapes[operand].is_none_or(<[usize]>::is_empty) {
                return None;
            }
            let independent = rules.along(operand, 0, &shapes) == Along::Independent(0);
            if !independent || of_the_batch.is_some_and(|other| other != found) {
                return None;
            }
            of_the_batch = Some(found);
        }
        let Some(of_the_batch) = of_the_batch else { return Some(vec![None; step.writes.len()]) };
        match &step.operator {
            // A row of the batch has as many values as before, in rows of another length.
            Operator::Reshape(_) => {
                let read = step.reads.first().copied().flatten()?;
                let values = of_the_batch * self.values_of_an_index(read);
                let of_an_index = self.values_of_an_index(step.writes[0]);
                values.is_multiple_of(of_an_index).then(|| vec![Some(values / of_an_index.max(1))])
            }
            _ => Some(vec![Some(of_the_batch); step.writes.len()]),
        }
    }

    /// Whether this graph of a call of one row does what that of a call of more rows does: nothing
    /// but shapes depends on their number. What a function of shapes computes may: the number of
    /// rows as a value, for example.
    #[allow(dead_code)] // As rows_are_independent.
    pub fn does_the_same_to_rows_of(&self, more: &OperatorGraph) -> bool {
        if self.known != more.known || self.steps.len() != more.steps.len() {
            return false;
        }
        let mut depends: Vec<bool> =
            self.arrays.iter().map(|array| depends_on_the_call(array.source)).collect();
        self.steps.iter().zip(&more.steps).all(|(one, other)| {
            let of_call = one.reads.iter().flatten().any(|read| depends[read.0]);
            one.writes.iter().for_each(|written| depends[written.0] = of_call);
            let shaped = |operator: &Operator| {
                of_call && matches!(operator, Operator::Reshape(_) | Operator::Expand(_))
            };
            let same =
                one.operator == other.operator || shaped(&one.operator) && shaped(&other.operator);
            same && one.reads == other.reads && one.writes == other.writes
        })
    }

    /// The values at an index of an array's first axis.
    fn values_of_an_index(&self, array: ArrayId) -> usize {
        self.shape(array).iter().skip(1).product()
    }

    /// Of each array whether it can be cut along its second axis, time, into segments that are
    /// computed one after another: every step that touches it goes along time. They have at least
    /// three axes, `[batch, timesteps, …, features]`.
    #[allow(dead_code)] // As rows_are_independent.
    pub fn cut_along_time(&self) -> Vec<bool> {
        let has_time = |array: &Array| {
            let of_the_call = match array.source {
                Source::Step | Source::Known(_) | Source::Input(_) => true,
                Source::Mask(_)
                | Source::InitialState { .. }
                | Source::Carried(_)
                | Source::Constant(_)
                | Source::Ones => false,
            };
            of_the_call && array.shape.len() > 2 && array.shape[1] > 1
        };
        let mut cut: Vec<bool> = self.arrays.iter().map(has_time).collect();
        self.carried.iter().for_each(|(_, array)| cut[array.0] = false);
        // What a step needs whole may stop other steps.
        loop {
            let whole: Vec<_> = self.steps.iter().flat_map(|step| self.whole(step, &cut)).collect();
            if whole.is_empty() {
                return cut;
            }
            whole.iter().for_each(|array| cut[array.0] = false);
        }
    }

    /// Which of these cut arrays a step can't take in segments.
    fn whole(&self, step: &Step, cut: &[bool]) -> Vec<ArrayId> {
        let reads = || step.reads.iter().enumerate().filter_map(|(at, read)| Some((at, (*read)?)));
        let all = || reads().map(|(_, array)| array).chain(step.writes.iter().copied());
        let cut_of = |arrays: &mut dyn Iterator<Item = ArrayId>| -> Vec<_> {
            arrays.filter(|array| cut[array.0]).collect()
        };
        let shapes = self.shapes(&step.reads);
        let in_order = |at: usize| {
            let has_time = shapes[at].is_some_and(|shape| shape.len() > 1);
            has_time && matches!(step.operator.rules().along(at, 1, &shapes), Along::InOrder(_))
        };
        if reads().any(|(at, _)| in_order(at)) {
            // It goes along such operands, and along what it writes, by itself.
            return cut_of(&mut reads().filter(|(at, _)| !in_order(*at)).map(|(_, array)| array));
        }
        let time = |at: usize| self.time_of(step, at);
        let timesteps = |array: ArrayId| self.shape(array).get(1);
        let goes_along = reads().any(|(at, _)| time(at).is_some())
            && step.writes.iter().all(|&array| timesteps(array) == timesteps(step.writes[0]))
            && reads().all(|(at, array)| {
                let is_constant = matches!(self.arrays[array.0].source, Source::Constant(_));
                // Weights are read as they are, and an array that is read twice is one or the
                // other.
                let twice =
                    || reads().any(|(other, same)| same == array && time(other) != time(at));
                time(at).is_none() || !is_constant && !twice()
            });
        // A reshape that moves nothing has one array.
        let in_place = matches!(step.operator, Operator::Reshape(_));
        if !goes_along || in_place && !all().all(|array| cut[array.0]) {
            return cut_of(&mut all());
        }
        cut_of(&mut reads().filter(|(at, _)| time(*at) != Some(1)).map(|(_, array)| array))
    }

    /// The axis of an operand that comes out as the second one of what a step writes, timestep by
    /// timestep.
    pub fn time_of(&self, step: &Step, operand: usize) -> Option<usize> {
        let shapes = self.shapes(&step.reads);
        let shape = shapes.get(operand).copied().flatten()?;
        let timesteps = self.shape(*step.writes.first()?).get(1)?;
        let comes_out = |&axis: &usize| {
            shape[axis] == *timesteps
                && step.operator.rules().along(operand, axis, &shapes) == Along::Independent(1)
        };
        (0..shape.len()).find(comes_out)
    }
}
