//! Value by value with weights that lie along some axes.

use super::rules::{Along, Rules, Shapes, along_broadcast, shape};

/// `x · scale + shift`.
///
/// | operand | shape | |
/// |---|---|---|
/// | 0 | `[batch, …]` | x |
/// | 1, 2 | `[…]` | scale and shift: the last axes of x, as many as they have, but never the batch; an axis that shares them has length one |
///
/// It writes the shape of x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Affine;

/// `x` above zero, `slope · x` below. Operand 0 is x, operand 1 the slope, which lies along x as
/// the scale of an [`Affine`] does. It writes the shape of x.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PRelu;

/// The shape of x, along which the weights fit.
fn along_x(reads: &Shapes, weights: usize) -> Result<Vec<Vec<usize>>, String> {
    let x = shape(reads, 0)?;
    for weight in 1..=weights {
        let weight = shape(reads, weight)?;
        let mut axes = weight.iter().rev().zip(x.iter().rev());
        let fits = weight.len() < x.len() && axes.all(|(&weight, &x)| weight == 1 || weight == x);
        if !fits {
            return Err(format!("a weight of {weight:?} doesn't lie along {x:?}"));
        }
    }
    Ok(vec![x.to_vec()])
}

impl Rules for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        along_x(reads, 2)
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        along_broadcast(operand, axis, reads)
    }
}

impl Rules for PRelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String> {
        along_x(reads, 1)
    }

    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along {
        along_broadcast(operand, axis, reads)
    }
}
