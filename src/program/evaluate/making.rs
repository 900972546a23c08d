//! Arrays that are made of a shape or of limits, and what counts along axes.

use super::operands::Operands;
use super::{Array, Computed, Evaluator};
use crate::program::host;
use crate::program::shapes::{Reason, axis as axis_of};
use crate::program::values::{Kind, Values};

impl Evaluator {
    pub(super) fn range(&mut self, operands: &Operands) -> Reason<Array> {
        let value = |index: usize| -> Reason<&Values> {
            operands.get(index)?.known().ok_or_else(|| "its limits depend on values".to_string())
        };
        let (start, limit, step) = (value(0)?, value(1)?, value(2)?);
        let only = |values: &Values| match values.len() {
            1 => Ok(values.clone()),
            _ => Err(format!("a limit of shape {:?}", values.shape())),
        };
        let whole = [start, limit, step].iter().all(|values| values.kind() == Kind::Integer);
        let [start, limit, step] = [only(start)?, only(limit)?, only(step)?];
        if whole {
            let number = |values: &Values| values.numbers().and_then(|v| v.first().copied());
            let (Some(start), Some(limit), Some(step)) =
                (number(&start), number(&limit), number(&step))
            else {
                return Err("a limit is no number".into());
            };
            let span = i128::from(limit) - i128::from(start);
            if step == 0 {
                return Err("its step is 0".into());
            }
            let step = i128::from(step);
            let count = if (span > 0) == (step > 0) {
                (span.abs() + step.abs() - 1) / step.abs()
            } else {
                0
            };
            self.afford(&[usize::try_from(count).unwrap_or(usize::MAX)])?;
            let at = |index: i128| (i128::from(start) + index * step) as i64;
            return Ok(Values::integers((0..count).map(at)).into());
        }
        let number = |values: &Values| values.only().map(f64::from).unwrap_or(f64::NAN);
        let (start, limit, step) = (number(&start), number(&limit), number(&step));
        let count = ((limit - start) / step).ceil().max(0.0);
        if !count.is_finite() {
            return Err(format!("a range from {start} to {limit} in steps of {step}"));
        }
        self.afford(&[count as usize])?;
        let at = |index: usize| (start + index as f64 * step) as f32;
        let values: ndarray::Array1<f32> = (0..count as usize).map(at).collect();
        Ok(Values::Floats(values.into_dyn()).into())
    }

    pub(super) fn fill(&mut self, operands: &Operands) -> Reason<Array> {
        let shape = operands.lengths(0)?;
        let value = operands.get(1)?;
        match value.known() {
            Some(known) if !self.repeats_on_device(&[], &shape)? => {
                self.afford(&shape)?;
                host::fill(&shape, known).map(Array::from)
            }
            _ => {
                let value = self.reshape(value, &[])?;
                self.expand(&value, &shape)
            }
        }
    }

    pub(super) fn triangle(&mut self, operands: &Operands, upper: bool) -> Reason<Array> {
        let (x, diagonal) = (operands.get(0)?, operands.number_or(1, 0)?);
        if let Some(known) = x.known() {
            self.afford(known.shape())?;
            return host::triangle(known, diagonal, upper).map(Array::from);
        }
        let matrix = &x.shape()[x.rank().saturating_sub(2)..];
        self.afford(matrix)?;
        let ones = host::fill(matrix, &Values::Bools(ndarray::arr0(true).into_dyn()))?;
        let inside = host::triangle(&ones, diagonal, upper)?;
        let zero = Values::float(0.0).cast(x.kind());
        self.select(&inside.into(), x, &zero.into())
    }

    pub(super) fn non_zero(&mut self, x: &Array) -> Reason<Array> {
        let known = x.known().ok_or("how many values aren't zero depends on an input")?;
        self.afford(&[x.rank(), known.len()])?;
        host::non_zero(known).map(Array::from)
    }

    pub(super) fn cumulative_sum(
        &mut self,
        operands: &Operands,
        exclusive: bool,
        reverse: bool,
    ) -> Reason<Array> {
        let x = operands.get(0)?;
        let axis = axis_of(operands.number_or(1, 0)?, x.rank())?;
        if let Some(known) = x.known() {
            self.afford(known.shape())?;
            return Ok(host::cumulative_sum(known, axis, exclusive, reverse).into());
        }
        // The product with a triangle of ones: row k of column j is 1 where k counts for j.
        let length = x.shape()[axis];
        self.afford(&[length, length])?;
        let ones = host::fill(&[length, length], &Values::float(1.0))?;
        let shift = i64::from(exclusive) * if reverse { -1 } else { 1 };
        let counts = host::triangle(&ones, shift, !reverse)?;
        let mut order: Vec<usize> = (0..x.rank()).collect();
        order.swap(axis, x.rank() - 1);
        let last = self.transpose(x, &order)?;
        let sums = self.product(&last, &counts.into())?;
        let sums = self.transpose(&sums, &order)?;
        Ok(match sums {
            Array::Computed(sums) => Array::Computed(Computed { kind: x.kind(), ..sums }),
            known => known,
        })
    }
}
