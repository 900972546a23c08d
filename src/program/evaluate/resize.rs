//! Arrays of other lengths, whose values lie between those that there were: along one axis after
//! another.

use super::operands::Operands;
use super::{Array, Computed, Evaluator, empty};
use crate::program::host;
use crate::program::resizing::{Coordinates, Interpolation, Ratio, Resizing, Rounding};
use crate::program::shapes::{self, Reason, axis as axis_of};
use crate::program::values::{Kind, Values};
use ndarray::{Array2, ArrayD};

/// How an axis is resized.
struct Along {
    axis: usize,
    length: usize,
    /// How many times as long the axis becomes; a length is cut to a whole number.
    scale: f64,
    /// The part of the axis that is taken, from 0 to 1.
    part: (f64, f64),
}

impl Evaluator {
    pub(super) fn resize(&mut self, operands: &Operands, how: &Resizing) -> Reason<Array> {
        let mut x = operands.get(0)?.clone();
        for along in lengths(operands, x.shape(), how)? {
            x = self.resize_axis(&x, &along, how)?;
        }
        Ok(x)
    }

    fn resize_axis(&mut self, x: &Array, along: &Along, how: &Resizing) -> Reason<Array> {
        let n = x.shape()[along.axis];
        let same = along.length == n && (along.scale - 1.0).abs() < 1e-9;
        if same && along.part == (0.0, 1.0) {
            return Ok(x.clone());
        }
        let mut shape = x.shape().to_vec();
        shape[along.axis] = along.length;
        if shapes::count(&shape)? == 0 {
            return Ok(empty(&shape, x.kind()));
        }
        if n == 0 {
            return Err(format!("{:?} has no values along axis {}", x.shape(), along.axis));
        }
        self.afford(&[along.length])?;
        let places: Vec<f64> = (0..along.length).map(|at| place(at, n, along, how)).collect();
        let resized = match how.interpolation {
            Interpolation::Nearest(rounding) => {
                let nearest = places.iter().map(|&place| rounded(place, rounding, n) as i64);
                self.take(x, &Values::integers(nearest).into(), along.axis as i64)?
            }
            _ => {
                self.afford(&[along.length, n])?;
                let weights = weights(&places, n, along.scale, how);
                self.times_along(x, &weights.into_dyn(), along.axis)?
            }
        };
        if how.coordinates != Coordinates::Crop {
            return Ok(resized);
        }
        // What lies outside of the array.
        let outside = places.iter().map(|&place| place < 0.0 || place > (n - 1) as f64);
        let outside: ndarray::Array1<bool> = outside.collect();
        let mut shape = vec![1; x.rank()];
        shape[along.axis] = along.length;
        let outside = host::reshape(&Values::Bools(outside.into_dyn()), &shape)?;
        let value = Values::float(how.outside).cast(x.kind());
        self.select(&outside.into(), &value.into(), &resized)
    }

    /// The product of an axis with `[new length, length]`.
    fn times_along(&mut self, x: &Array, weights: &ArrayD<f32>, axis: usize) -> Reason<Array> {
        let last = x.rank() - 1;
        let mut order: Vec<usize> = (0..=last).collect();
        order.swap(axis, last);
        let turned = self.transpose(x, &order)?;
        let turned = self.cast(&turned, Kind::Float)?;
        let weights = Values::Floats(weights.t().as_standard_layout().into_owned());
        let product = self.product(&turned, &weights.into())?;
        match self.transpose(&product, &order)? {
            Array::Computed(product) => {
                Ok(Array::Computed(Computed { kind: Kind::Float, ..product }))
            }
            known => Ok(known),
        }
    }
}

/// The axes that are resized, by the operands: x, parts of axes, scales, lengths.
fn lengths(operands: &Operands, shape: &[usize], how: &Resizing) -> Reason<Vec<Along>> {
    let axes = match &how.axes {
        Some(listed) => {
            listed.iter().map(|&one| axis_of(one, shape.len())).collect::<Reason<Vec<_>>>()?
        }
        None => (0..shape.len()).collect(),
    };
    let numbers = |operand: usize, count: usize| -> Reason<Option<Vec<f64>>> {
        let Some(array) = operands.optional(operand) else { return Ok(None) };
        let unknown = || format!("its operand {operand} depends on the values of an input");
        let known = array.known().ok_or_else(unknown)?;
        match known.len() {
            0 => Ok(None),
            found if found == count => {
                Ok(Some(known.to_floats().iter().map(|&number| number.into()).collect()))
            }
            found => Err(format!("its operand {operand} has {found} numbers, not {count}")),
        }
    };
    let parts = match how.coordinates {
        Coordinates::Crop => numbers(1, 2 * axes.len())?.ok_or("it takes no part of the array")?,
        _ => [vec![0.0; axes.len()], vec![1.0; axes.len()]].concat(),
    };
    let (scales, sizes) = (numbers(2, axes.len())?, numbers(3, axes.len())?);
    let along = |index: usize, length: f64, scale: f64| {
        if !(scale > 0.0 && (0.0..=(1u64 << 31) as f64).contains(&length)) {
            return Err(format!("an axis becomes {scale} times as long, {length}"));
        }
        let part = (parts[index], parts[axes.len() + index]);
        Ok(Along { axis: axes[index], length: length as usize, scale, part })
    };
    let length_of = |index: usize| shape[axes[index]] as f64;
    match (scales, sizes) {
        (Some(scales), None) => (0..axes.len())
            .map(|index| along(index, (scales[index] * length_of(index)).floor(), scales[index]))
            .collect(),
        (None, Some(sizes)) => {
            let scales: Vec<f64> =
                sizes.iter().enumerate().map(|(index, size)| size / length_of(index)).collect();
            let same = match how.ratio {
                Ratio::Free => None,
                Ratio::NotLarger => scales.iter().copied().reduce(f64::min),
                Ratio::NotSmaller => scales.iter().copied().reduce(f64::max),
            };
            (0..axes.len())
                .map(|index| match same {
                    None => along(index, sizes[index], scales[index]),
                    Some(scale) => along(index, (scale * length_of(index) + 0.5).floor(), scale),
                })
                .collect()
        }
        _ => Err("it has to have either scales or lengths".into()),
    }
}

/// Where in an axis of n values the new value of this index lies.
fn place(index: usize, n: usize, along: &Along, how: &Resizing) -> f64 {
    let (at, n) = (index as f64, n as f64);
    let exact = along.scale * n;
    let half_pixel = (at + 0.5) / along.scale - 0.5;
    match how.coordinates {
        Coordinates::HalfPixel => half_pixel,
        Coordinates::HalfPixelOfMore if exact == 1.0 => -0.5,
        Coordinates::HalfPixelOfMore => half_pixel,
        Coordinates::HalfPixelSymmetric => {
            half_pixel + n / 2.0 * (1.0 - along.length as f64 / exact)
        }
        Coordinates::AlignCorners if exact == 1.0 => 0.0,
        Coordinates::AlignCorners => at * (n - 1.0) / (exact - 1.0),
        Coordinates::Asymmetric => at / along.scale,
        Coordinates::Crop => {
            let (start, end) = along.part;
            let first = start * (n - 1.0);
            match exact == 1.0 {
                true => first + (end - start) * (n - 1.0) / 2.0,
                false => first + at * (end - start) * (n - 1.0) / (exact - 1.0),
            }
        }
    }
}

fn rounded(place: f64, rounding: Rounding, n: usize) -> usize {
    let whole = match rounding {
        Rounding::HalfDown => (place - 0.5).ceil(),
        Rounding::HalfUp => (place + 0.5).floor(),
        Rounding::Down => place.floor(),
        Rounding::Up => place.ceil(),
    };
    whole.clamp(0.0, (n - 1) as f64) as usize
}

/// `[new value, value]`: what each value counts for each new one.
fn weights(places: &[f64], n: usize, scale: f64, how: &Resizing) -> Array2<f32> {
    // A window of so many values on each side; wider where the axis becomes shorter.
    let narrow = if how.smooth { scale.min(1.0) } else { 1.0 };
    let (reach, curve): (f64, Box<dyn Fn(f64) -> f64>) = match how.interpolation {
        Interpolation::Cubic(a) => (2.0, Box::new(move |x| cubic(f64::from(a), x.abs()))),
        _ => (1.0, Box::new(|x: f64| (1.0 - x.abs()).max(0.0))),
    };
    // No window needs more than the axis has on both sides.
    let most = 2 * n as i64 + 2;
    let first = ((-reach / narrow).floor() as i64 + 1).max(-most);
    let mut weights = Array2::<f64>::zeros((places.len(), n));
    for (&place, mut row) in places.iter().zip(weights.rows_mut()) {
        let base = place.ceil() - 1.0;
        let (mut sum, last) = (0.0, n as i64 - 1);
        for step in first..2 - first {
            let weight = curve((step as f64 - (place - base)) * narrow);
            let at = (base.clamp(-(most as f64), most as f64) as i64).saturating_add(step);
            if how.only_inside && !(0..=last).contains(&at) {
                continue;
            }
            sum += weight;
            row[at.clamp(0, last) as usize] += weight;
        }
        if sum != 0.0 {
            row.mapv_inplace(|weight| weight / sum);
        }
    }
    weights.mapv(|weight| weight as f32)
}

/// Keys' curve of four values: Robert Keys, "Cubic convolution interpolation for digital image
/// processing", 1981.
fn cubic(a: f64, x: f64) -> f64 {
    match x {
        x if x <= 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
        x if x < 2.0 => ((x - 5.0) * x + 8.0) * x * a - 4.0 * a,
        _ => 0.0,
    }
}
