//! The values that a call gives, compared with what its graph asks of them.

use super::Model;
use super::bind::Bound;
use crate::error::{Error, Result};
use crate::graph::{Bounds, Demand};
use birnn_cell::Real;
use ndarray::{ArrayViewD, Axis, Slice};
use std::ops::Range;

impl<F: Real> Bound<'_, F> {
    /// Compares the values of these rows of the batch with what a graph for so many rows asks of
    /// them. Of a program, whose arrays have no batch, all count.
    pub(crate) fn check_values(
        &self,
        model: &Model,
        demands: &[Demand],
        rows: Range<usize>,
    ) -> Result<()> {
        demands.iter().try_for_each(|demand| {
            let mut array = self.arrays[demand.input].view();
            let first = if self.has_batch { rows.start } else { 0 };
            if self.has_batch {
                array.slice_axis_inplace(Axis(0), Slice::from(rows.clone()));
            }
            demand.check(model, &array, first)
        })
    }
}

impl Demand {
    /// Compares the values of rows of its input with it, of which the first has the number
    /// `first_row` in the batch.
    pub(crate) fn check<F: Real>(
        &self,
        model: &Model,
        array: &ArrayViewD<'_, F>,
        first_row: usize,
    ) -> Result<()> {
        let is_wrong = |value: F| !self.bounds.hold(value.widened(), self.is_cut);
        let found = match (&self.values, array.as_slice()) {
            (None, _) => first(array, is_wrong),
            (Some(numbers), Some(values)) => {
                let number = numbers.iter().find(|&&number| is_wrong(values[number]));
                number.map(|&number| index(number, array.shape()))
            }
            (Some(numbers), None) => numbers.iter().find_map(|&number| {
                let index = index(number, array.shape());
                is_wrong(array[&index[..]]).then_some(index)
            }),
        };
        let Some(mut index) = found else { return Ok(()) };
        let value = array[&index[..]].widened();
        if let Some(row) = index.first_mut() {
            *row += first_row;
        }
        Err(wrong(&model.inputs[self.input].name, value, index, self))
    }
}

/// The index of the first value that is wrong.
pub(super) fn first<F: Real>(
    array: &ArrayViewD<'_, F>,
    is_wrong: impl Fn(F) -> bool,
) -> Option<Vec<usize>> {
    let number = array.iter().position(|&value| is_wrong(value))?;
    Some(index(number, array.shape()))
}

/// Of the value with this number in C order, the index along each axis.
fn index(mut number: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &length) in index.iter_mut().zip(shape).rev() {
        *place = number % length.max(1);
        number /= length.max(1);
    }
    index
}

fn wrong(input: &str, value: f64, index: Vec<usize>, demand: &Demand) -> Error {
    let (input, reader) = (input.to_string(), &demand.reader);
    let (least, most) = demand.bounds.range();
    let expected = match demand.bounds {
        Bounds::Ids(ids) => {
            return Error::IdRange { input, layer: reader.clone(), value, index, ids };
        }
        Bounds::Places(length) => format!(
            "{reader:?} takes whole numbers from {least} to {most}, the places of an axis of \
             length {length}"
        ),
        Bounds::Lengths(_) => {
            format!("{reader:?} takes lengths, whole numbers from {least} to {most}")
        }
        Bounds::Whole => "it takes whole numbers".to_string(),
        Bounds::Truth => "it takes truth values, 0 or 1".to_string(),
    };
    Error::InputValue { input, value, index, expected }
}
