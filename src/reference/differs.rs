use super::operands::{Computed, Reads};
use crate::operator::{Blank, Differs};
use birnn_cell::Real;
use ndarray::Axis;

/// 1 where x differs from the value, or a value of its vector does.
pub(super) fn differs<F: Real>(operator: &Differs, reads: &Reads<F>) -> Computed<F> {
    let x = reads.get(0)?;
    let value = F::nearest(operator.value.into());
    let number = |differs: bool| if differs { F::one() } else { F::zero() };
    Ok(match operator.any_feature {
        true => x.map_axis(Axis(x.ndim() - 1), |vector| number(vector.iter().any(|&x| x != value))),
        false => x.mapv(|x| number(x != value)),
    })
}

/// Zeros in place of the vectors of which all values equal the value.
pub(super) fn blank<F: Real>(operator: &Blank, reads: &Reads<F>) -> Computed<F> {
    let mut output = reads.get(0)?.into_owned();
    let value = F::nearest(operator.value.into());
    let last = Axis(output.ndim() - 1);
    for mut vector in output.lanes_mut(last) {
        if vector.iter().all(|&x| x == value) {
            vector.fill(F::zero());
        }
    }
    Ok(output)
}
