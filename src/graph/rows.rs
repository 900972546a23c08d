//! Whether a graph can run in parts of the batch, or of time, found by following the axes of what
//! is fed through all steps.

use super::{ArrayId, OperatorGraph, Source, Step};
use crate::operator::{Along, Operator};

impl OperatorGraph {
    /// Whether the rows of the batch can run in parts: a graph of the same call with fewer rows
    /// computes those rows of everything that this one does.
    ///
    /// Of each array that depends on the batch it follows how many indices of the first axis a row
    /// of the batch has.
    #[allow(dead_code)] // Only backends that cut calls ask.
    pub fn rows_are_independent(&self, batch: usize) -> bool {
        let mut rows: Vec<Option<usize>> = vec![None; self.arrays.len()];
        for (rows, array) in rows.iter_mut().zip(&self.arrays) {
            let of_the_batch = !matches!(array.source, Source::Constant(_) | Source::Step);
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
                rows[array.0] = Some(*found);
            }
            found.is_some()
        })
    }

    /// Of each array that a step writes how many indices of the first axis a row of the batch has.
    fn rows_of_results(&self, step: &Step, rows: &[Option<usize>]) -> Option<Vec<usize>> {
        let shapes = self.shapes(&step.reads);
        let rules = step.operator.rules();
        let mut of_the_batch = None;
        for (operand, array) in step.reads.iter().enumerate() {
            let Some(found) = array.and_then(|array| rows[array.0]) else { continue };
            let independent = rules.along(operand, 0, &shapes) == Along::Independent(0);
            if !independent || of_the_batch.is_some_and(|other| other != found) {
                return None;
            }
            of_the_batch = Some(found);
        }
        let of_the_batch = of_the_batch?;
        match &step.operator {
            // A row of the batch has as many values as before, in rows of another length.
            Operator::Reshape(_) => {
                let read = step.reads.first().copied().flatten()?;
                let values = of_the_batch * self.values_of_an_index(read);
                let of_an_index = self.values_of_an_index(step.writes[0]);
                values.is_multiple_of(of_an_index).then(|| vec![values / of_an_index.max(1)])
            }
            _ => Some(vec![of_the_batch; step.writes.len()]),
        }
    }

    /// The values at an index of an array's first axis.
    fn values_of_an_index(&self, array: ArrayId) -> usize {
        self.shape(array).iter().skip(1).product()
    }

    /// Whether every step reads its sequence timestep by timestep, in order, so that the arrays
    /// can be cut along time.
    #[allow(dead_code)] // As rows_are_independent.
    pub fn runs_along_time(&self) -> bool {
        self.steps.iter().all(|step| {
            let shapes = self.shapes(&step.reads);
            let has_time = shapes.first().copied().flatten().is_some_and(|x| x.len() > 1);
            has_time && matches!(step.operator.rules().along(0, 1, &shapes), Along::InOrder(_))
        })
    }
}
