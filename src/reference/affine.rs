use super::operands::{Computed, Reads};
use birnn_cell::Real;
use ndarray::Zip;

/// `x · scale + shift`
pub(super) fn affine<F: Real>(reads: &Reads<F>) -> Computed<F> {
    let mut output = reads.get(0)?.into_owned();
    let (scale, shift) = (reads.get(1)?, reads.get(2)?);
    for mut example in output.outer_iter_mut() {
        Zip::from(&mut example)
            .and_broadcast(&scale)
            .and_broadcast(&shift)
            .for_each(|x, &scale, &shift| *x = *x * scale + shift);
    }
    Ok(output)
}

/// `x` above zero, `slope · x` below.
pub(super) fn p_relu<F: Real>(reads: &Reads<F>) -> Computed<F> {
    let mut output = reads.get(0)?.into_owned();
    let slope = reads.get(1)?;
    for mut example in output.outer_iter_mut() {
        Zip::from(&mut example).and_broadcast(&slope).for_each(|x, &slope| {
            if *x < F::zero() {
                *x *= slope;
            }
        });
    }
    Ok(output)
}
