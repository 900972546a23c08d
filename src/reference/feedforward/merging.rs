use super::{Call, Computed, Real, whole};
use crate::layer::{Concatenate, axis_of};
use crate::operator::Operation;
use ndarray::{ArrayD, ArrayViewD, Axis, ErrorKind, IxDyn, ShapeError, Zip, concatenate};

/// Value by value; an axis of length one is repeated.
pub(super) fn merge<F: Real>(operation: Operation, call: &Call<F>) -> Computed<F> {
    match operation {
        Operation::Add => Ok(fold(call, |a, b| a + b)),
        Operation::Subtract => Ok(fold(call, |a, b| a - b)),
        Operation::Average => Ok(fold(call, |a, b| a + b) / whole::<F>(call.inputs.len())),
        Operation::Multiply => product(call),
        Operation::Maximum => extreme(call, |a, b| if b > a || b.is_nan() { b } else { a }),
        Operation::Minimum => extreme(call, |a, b| if b < a || b.is_nan() { b } else { a }),
    }
}

fn fold<F: Real>(call: &Call<F>, join: impl Fn(ArrayD<F>, &ArrayD<F>) -> ArrayD<F>) -> ArrayD<F> {
    call.inputs[1..].iter().fold(call.inputs[0].clone(), |joined, input| join(joined, input))
}

/// A mask with an axis for the features.
fn spread(mask: &ArrayD<bool>) -> ArrayD<bool> {
    mask.clone().insert_axis(Axis(mask.ndim()))
}

/// `a` where the mask is true, otherwise `b`; each as long as the longest.
fn choose<F: Real>(mask: &ArrayD<bool>, a: &ArrayD<F>, b: &ArrayD<F>) -> Computed<F> {
    let shape = (a + b).raw_dim(); // of both together
    let mut chosen = spread_to(a, &shape)?.to_owned();
    Zip::from(&mut chosen)
        .and(spread_to(mask, &shape)?)
        .and(spread_to(b, &shape)?)
        .for_each(|a, &kept, &b| *a = if kept { *a } else { b });
    Ok(chosen)
}

/// The array with its axes of length one repeated.
fn spread_to<'a, T>(array: &'a ArrayD<T>, shape: &IxDyn) -> Result<ArrayViewD<'a, T>, ShapeError> {
    array
        .broadcast(shape.clone())
        .ok_or_else(|| ShapeError::from_kind(ErrorKind::IncompatibleShape))
}

/// The product, in which masked values count as one; zero where all are masked.
fn product<F: Real>(call: &Call<F>) -> Computed<F> {
    let one = ArrayD::from_elem(vec![1; call.input().ndim()], F::one());
    let factor = |index: usize| match call.mask(index) {
        Some(mask) => choose(&spread(mask), call.inputs[index], &one),
        None => Ok(call.inputs[index].clone()),
    };
    let product = (1..call.inputs.len())
        .try_fold(factor(0)?, |product, index| Ok::<_, ShapeError>(product * factor(index)?))?;
    let masks: Option<Vec<_>> = (0..call.inputs.len()).map(|index| call.mask(index)).collect();
    match masks.and_then(|masks| masks.into_iter().cloned().reduce(|a, b| a | &b)) {
        Some(any) => choose(&spread(&any), &product, &ArrayD::zeros(one.raw_dim())),
        None => Ok(product),
    }
}

/// The largest or smallest, where of a masked value and one that is not the latter is taken.
fn extreme<F: Real>(call: &Call<F>, better: impl Fn(F, F) -> F) -> Computed<F> {
    let mut output = call.inputs[0].clone();
    let mut output_mask = call.mask(0).map(spread);
    for (index, &input) in call.inputs.iter().enumerate().skip(1) {
        let mask = call.mask(index).map(spread);
        let input = match &mask {
            Some(mask) => choose(mask, input, &output)?,
            None => input.clone(),
        };
        if let Some(mask) = &output_mask {
            output = choose(mask, &output, &input)?;
        }
        output_mask = output_mask.zip(mask).map(|(a, b)| a | &b);
        let shape = (&output + &input).raw_dim();
        output = Zip::from(spread_to(&output, &shape)?)
            .and(spread_to(&input, &shape)?)
            .map_collect(|&a, &b| if a.is_nan() { a } else { better(a, b) });
    }
    Ok(output)
}

/// One after another along an axis.
pub(super) fn concatenated<F: Real>(layer: &Concatenate, call: &Call<F>) -> Computed<F> {
    let last = call.input().ndim() - 1;
    let axis = axis_of(layer.axis, last).map_or(last, |axis| axis + 1);
    let views: Vec<_> = call.inputs.iter().map(|input| input.view()).collect();
    concatenate(Axis(axis), &views)
}
