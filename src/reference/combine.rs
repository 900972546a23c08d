use super::binary::spread_to;
use super::operands::{Computed, Reads};
use crate::operator::{Combination, Combine, larger, smaller};
use birnn_cell::Real;
use ndarray::{ArrayD, ArrayViewD, Axis, ShapeError, Zip};

/// Value by value, as the masks say; an axis of length one is repeated.
pub(super) fn combine<F: Real>(operator: &Combine, reads: &Reads<F>) -> Computed<F> {
    let arrays =
        (0..operator.count).map(|index| reads.get(index)).collect::<Result<Vec<_>, _>>()?;
    let mask = |index: usize| reads.optional(operator.count + index);
    let masks: Vec<_> = (0..operator.count).map(mask).collect();
    match operator.operation {
        Combination::Product => product(&arrays, &masks),
        Combination::Largest => extreme(&arrays, &masks, larger),
        Combination::Smallest => extreme(&arrays, &masks, smaller),
    }
}

/// The product, in which masked values count as one; zero where all are masked.
fn product<F: Real>(arrays: &[ArrayViewD<F>], masks: &[Option<ArrayViewD<F>>]) -> Computed<F> {
    let number = |value: F| ArrayD::from_elem(vec![1; arrays[0].ndim()], value);
    let (zero, one) = (number(F::zero()), number(F::one()));
    let factor = |index: usize| match &masks[index] {
        Some(mask) => choose(&spread(mask), &arrays[index], &one.view()),
        None => Ok(arrays[index].to_owned()),
    };
    let product = (1..arrays.len())
        .try_fold(factor(0)?, |product, index| Ok::<_, ShapeError>(product * factor(index)?))?;
    let masks: Option<Vec<_>> = masks.iter().map(|mask| mask.as_ref().map(spread)).collect();
    match masks.and_then(|masks| masks.into_iter().reduce(|a, b| either(&a, &b))) {
        Some(any) => choose(&any, &product.view(), &zero.view()),
        None => Ok(product),
    }
}

/// The largest or smallest, where of a masked value and one that is not the latter is taken.
fn extreme<F: Real>(
    arrays: &[ArrayViewD<F>],
    masks: &[Option<ArrayViewD<F>>],
    better: impl Fn(F, F) -> F,
) -> Computed<F> {
    let mut output = arrays[0].to_owned();
    let mut output_mask = masks[0].as_ref().map(spread);
    for (array, mask) in arrays.iter().zip(masks).skip(1) {
        let mask = mask.as_ref().map(spread);
        let array = match &mask {
            Some(mask) => choose(mask, array, &output.view())?,
            None => array.to_owned(),
        };
        if let Some(mask) = &output_mask {
            output = choose(mask, &output.view(), &array.view())?;
        }
        output_mask = output_mask.zip(mask).map(|(a, b)| either(&a, &b));
        let shape = longest(&[output.shape(), array.shape()]);
        output = Zip::from(spread_to(&output.view(), &shape)?)
            .and(spread_to(&array.view(), &shape)?)
            .map_collect(|&a, &b| better(a, b));
    }
    Ok(output)
}

/// A mask with an axis for the features.
fn spread<F: Real>(mask: &ArrayViewD<F>) -> ArrayD<F> {
    mask.to_owned().insert_axis(Axis(mask.ndim()))
}

/// The mask of what counts in any of two masks.
fn either<F: Real>(a: &ArrayD<F>, b: &ArrayD<F>) -> ArrayD<F> {
    (a + b).mapv(|counts| if counts == F::zero() { F::zero() } else { F::one() })
}

/// `a` where the mask is not 0, otherwise `b`; each as long as the longest.
fn choose<F: Real>(mask: &ArrayD<F>, a: &ArrayViewD<F>, b: &ArrayViewD<F>) -> Computed<F> {
    let shape = longest(&[mask.shape(), a.shape(), b.shape()]);
    let (mask, a, b) = (mask.view(), a.view(), b.view());
    Ok(Zip::from(spread_to(&mask, &shape)?)
        .and(spread_to(&a, &shape)?)
        .and(spread_to(&b, &shape)?)
        .map_collect(|&mask, &a, &b| if mask == F::zero() { b } else { a }))
}

/// The longest length of each axis.
fn longest(shapes: &[&[usize]]) -> Vec<usize> {
    let length = |axis: usize| shapes.iter().map(|shape| shape[axis]).max().unwrap_or(1);
    (0..shapes[0].len()).map(length).collect()
}
