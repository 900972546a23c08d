//! The largest values, and products up to each value: by comparing every value of an axis with
//! every other one.

use super::operands::Operands;
use super::{Array, Evaluator};
use crate::program::host;
use crate::program::operation::{Binary, Reduction, Unary};
use crate::program::shapes::{self, Reason, axis as axis_of};
use crate::program::values::{Kind, Values};

/// How many pairs of values are compared at most.
pub(super) const MOST_PAIRS: usize = 1 << 24;

/// That so many pairs aren't too many; `what`: of what.
pub(super) fn check_pairs(shape: &[usize], what: &str) -> Reason<()> {
    match shapes::count(shape)? {
        0..=MOST_PAIRS => Ok(()),
        pairs => Err(format!("{what} takes {pairs} comparisons; {MOST_PAIRS} are supported")),
    }
}

impl Evaluator {
    /// The largest values along an axis in descending order, and their places. The rank of a value
    /// is the number of those before it; of equal ones the first is before the others.
    pub(super) fn top_k(
        &mut self,
        operands: &Operands,
        axis: i64,
        smallest: bool,
    ) -> Reason<Vec<Array>> {
        let x = operands.get(0)?;
        let axis = axis_of(axis, x.rank())?;
        let n = x.shape()[axis];
        let k = usize::try_from(operands.number_or(1, 1)?).unwrap_or(usize::MAX);
        if k > n {
            return Err(format!("the {k} largest values along axis {axis} of {:?}", x.shape()));
        }
        let last = x.rank() - 1;
        let mut order: Vec<usize> = (0..=last).collect();
        order.swap(axis, last);
        let unsorted = x;
        let x = self.transpose(x, &order)?;
        check_pairs(&[x.shape(), &[n.max(k)]].concat(), "finding the largest values")?;
        let (_, values) = self.pairs(&x)?;
        // NaN is as large as a number can be, so that every value has its rank.
        let most = Values::float(f32::INFINITY).into();
        let keys = match x.kind() {
            Kind::Float => {
                let is_nan = self.unary(Unary::IsNan, &x)?;
                self.select(&is_nan, &most, &x)?
            }
            _ => x.clone(),
        };
        let (column, row) = self.pairs(&keys)?;
        let (less, kind) = (Binary::Less, x.kind());
        let above = match smallest {
            true => self.binary(less, &row, &column)?,
            false => self.binary(less, &column, &row)?,
        };
        let equal = self.binary(Binary::Equal, &column, &row)?;
        // [n, n]: whether the column's index is before the row's.
        self.afford(&[n, n])?;
        let all = host::fill(&[n, n], &Values::Bools(ndarray::arr0(true).into_dyn()))?;
        let before = host::triangle(&all, -1, false)?;
        let equal = self.binary(Binary::And, &equal, &before.into())?;
        let before = self.binary(Binary::Or, &above, &equal)?;
        let before = self.cast(&before, Kind::Integer)?;
        let ranks = self.reduce_kept(&before, &[last + 1], Reduction::Sum)?;
        let ranks = self.reshape(&ranks, &[&x.shape()[..last], &[1, n]].concat())?;
        // [k, 1]
        let wanted = host::reshape(&Values::integers(0..k as i64), &[k, 1])?;
        let hits = self.binary(Binary::Equal, &ranks, &wanted.into())?;
        let places = Values::integers(0..n as i64).into();
        let mut results = Vec::new();
        for (values, kind) in [(values, kind), (places, Kind::Integer)] {
            let none = Values::integer(0).cast(kind).into();
            let found = self.select(&hits, &values, &none)?;
            let found = self.reduce_kept(&found, &[last + 1], Reduction::Sum)?;
            let found = self.reshape(&found, &[&x.shape()[..last], &[k]].concat())?;
            results.push(self.transpose(&found, &order)?);
        }
        // All of them: what is asked of them is asked of where they come from.
        if let (Array::Computed(x), [Array::Computed(sorted), Array::Computed(places)], true) =
            (unsorted, &results[..], k == n)
        {
            self.graph.is_reordered(sorted.array, x.array);
            if last == 0 {
                self.graph.is_order(places.array, n);
            }
        }
        Ok(results)
    }

    /// The last axis as `[…, n, 1]` and as `[…, 1, n]`.
    fn pairs(&mut self, x: &Array) -> Reason<(Array, Array)> {
        let (n, outer) = x.shape().split_last().ok_or("a number has no axis")?;
        let column = self.reshape(x, &[outer, &[*n, 1]].concat())?;
        let row = self.reshape(x, &[outer, &[1, *n]].concat())?;
        Ok((column, row))
    }

    pub(super) fn cumulative_product(
        &mut self,
        operands: &Operands,
        exclusive: bool,
        reverse: bool,
    ) -> Reason<Array> {
        let x = operands.get(0)?;
        let axis = axis_of(operands.number_or(1, 0)?, x.rank())?;
        let (n, last) = (x.shape()[axis], x.rank() - 1);
        let mut order: Vec<usize> = (0..=last).collect();
        order.swap(axis, last);
        let x = self.transpose(x, &order)?;
        check_pairs(&[x.shape(), &[n]].concat(), "a cumulative product")?;
        self.afford(&[n, n])?;
        // [n, n]: whether the column counts for the row.
        let all = host::fill(&[n, n], &Values::Bools(ndarray::arr0(true).into_dyn()))?;
        let shift = i64::from(exclusive) * if reverse { 1 } else { -1 };
        let counts = host::triangle(&all, shift, reverse)?;
        let (_, row) = self.pairs(&x)?;
        let one = Values::integer(1).cast(x.kind());
        let factors = self.select(&counts.into(), &row, &one.into())?;
        let products = self.reduce_kept(&factors, &[last + 1], Reduction::Product)?;
        let products = self.reshape(&products, x.shape())?;
        self.transpose(&products, &order)
    }
}
