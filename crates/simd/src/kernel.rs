//! Products of rows with a kernel that is no part of a recurrence, as those of dense layers and of
//! convolutions.

use crate::activation::Activate;
use crate::arch::Arch;
use crate::lines::Lines;
use crate::matmul::{Whole, multiply, vectors_mut};
use crate::pages::Pages;
use birnn_cell::Activation;
use ndarray::{ArrayView2, ArrayViewMut2, Axis};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Vectors of a panel; the last one of a kernel may have fewer.
const VECTORS: usize = 4;

/// A kernel `[features, columns]` in the order in which the vectors read it: its columns are cut
/// into panels, each `[feature][vector][lane]`.
#[derive(Debug)]
pub struct Kernel {
    features: usize,
    columns: usize,
    lanes: usize,
    panels: Pages<f32>,
}

impl Kernel {
    /// `lanes` are those of the instruction set that it will be multiplied on.
    pub fn new(kernel: ArrayView2<f32>, lanes: usize) -> Kernel {
        let (features, columns) = kernel.dim();
        let vectors = columns.div_ceil(lanes);
        let mut panels = Pages::zeros(vectors * lanes * features);
        let width = VECTORS * lanes;
        for (panel, values) in panels.chunks_mut(features.max(1) * width).enumerate() {
            let a_row = values.len() / features.max(1);
            let own = panel * width..columns.min((panel + 1) * width);
            let kernel = kernel.slice_axis(Axis(1), own.into());
            if kernel.strides()[0] == 1 {
                // One that is turned, such as keys: column by column it is read in order.
                for (place, column) in kernel.columns().into_iter().enumerate() {
                    let values = values.chunks_exact_mut(a_row).zip(column);
                    values.for_each(|(values, &weight)| values[place] = weight);
                }
                continue;
            }
            for (row, values) in kernel.outer_iter().zip(values.chunks_exact_mut(a_row)) {
                values.iter_mut().zip(row).for_each(|(value, &weight)| *value = weight);
            }
        }
        Kernel { features, columns, lanes, panels }
    }

    /// How many values a row has that is multiplied with it.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Into how many panels its columns are cut.
    pub fn panels(&self) -> usize {
        self.columns.div_ceil(VECTORS * self.lanes)
    }

    /// The columns that some panels have.
    pub fn columns(&self, panels: Range<usize>) -> Range<usize> {
        let column = |panel: usize| (panel * VECTORS * self.lanes).min(self.columns);
        column(panels.start)..column(panels.end)
    }

    /// The vectors of a panel.
    fn vectors(&self, panel: usize) -> usize {
        self.columns(panel..panel + 1).len().div_ceil(self.lanes)
    }

    /// Some rows of a panel, of the features.
    fn panel(&self, panel: usize, features: Range<usize>) -> &[f32] {
        let a_row = self.vectors(panel) * self.lanes;
        let start = panel * VECTORS * self.lanes * self.features;
        &self.panels[start + features.start * a_row..start + features.end * a_row]
    }
}

/// The sums of a [`Product`] at work, kept from one to the next: `[panel][row][vector][lane]`.
#[derive(Debug, Default)]
pub struct Sums(Lines<f32>);

impl Sums {
    pub(crate) fn values(&self) -> &[f32] {
        &self.0
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

/// The product of so many rows with some panels of a kernel. Its features can be added in any
/// number of parts: the sums run over them in order.
#[derive(Clone, Debug)]
pub struct Product<'k> {
    /// The kernel.
    pub kernel: &'k Kernel,
    /// The panels.
    pub panels: Range<usize>,
    /// How many rows are multiplied.
    pub rows: usize,
}

impl Product<'_> {
    /// Starts the sums from a bias, which has a value for each column of the kernel, or from zeros.
    pub fn start(&self, bias: Option<&[f32]>, sums: &mut Sums) {
        let kernel = self.kernel;
        let vectors: usize = self.panels.clone().map(|panel| kernel.vectors(panel)).sum();
        sums.0.resize(vectors * kernel.lanes * self.rows);
        match bias {
            None => sums.0.fill(0.0),
            Some(bias) => self.each_row(sums, |_, columns, row| {
                let (first, rest) = row.split_at_mut(columns.len());
                first.copy_from_slice(&bias[columns]);
                rest.fill(0.0);
            }),
        }
    }

    /// Adds the products of some of the features, of which `rows` have the values. Nothing is added
    /// to the sums of a row that is empty: all of its values are zero.
    pub fn add(&self, arch: Arch, features: Range<usize>, rows: &[&[f32]], sums: &mut Sums) {
        let mut first = 0;
        for rows in rows.chunk_by(|row, next| row.is_empty() == next.is_empty()) {
            if rows.iter().any(|row| !row.is_empty()) {
                let features = features.clone();
                arch.dispatch(Add { product: self, features, first, rows, sums: &mut sums.0 });
            }
            first += rows.len();
        }
    }

    /// Writes the activations of the sums to `output`, which has as many rows and the columns of
    /// the panels.
    pub fn finish(
        &self,
        arch: Arch,
        activation: Activation,
        sums: &mut Sums,
        mut output: ArrayViewMut2<f32>,
    ) {
        self.activate(arch, activation, sums);
        let first = self.kernel.columns(self.panels.clone()).start;
        self.each_row(sums, |row, columns, sums| {
            let own = columns.start - first..columns.end - first;
            let mut to = output.row_mut(row);
            match to.as_slice_mut() {
                Some(to) => to[own].copy_from_slice(&sums[..columns.len()]),
                None => own.zip(sums).for_each(|(column, sum)| to[column] = *sum),
            }
        });
    }

    /// Replaces the sums by their activations.
    pub fn activate(&self, arch: Arch, activation: Activation, sums: &mut Sums) {
        if activation != Activation::Linear {
            arch.dispatch(Activate { activation, values: &mut sums.0 });
        }
    }

    /// Calls `work` with each row of each panel, the columns of the panel, and its sums, behind
    /// which there may be more.
    pub fn each_row(&self, sums: &mut Sums, mut work: impl FnMut(usize, Range<usize>, &mut [f32])) {
        let mut rest = &mut sums.0[..];
        for panel in self.panels.clone() {
            let a_row = self.kernel.vectors(panel) * self.kernel.lanes;
            let (own, after) = std::mem::take(&mut rest).split_at_mut(a_row * self.rows);
            rest = after;
            let columns = self.kernel.columns(panel..panel + 1);
            for (row, sums) in own.chunks_exact_mut(a_row).enumerate() {
                work(row, columns.clone(), sums);
            }
        }
    }
}

struct Add<'a, 'k> {
    product: &'a Product<'k>,
    features: Range<usize>,
    /// Which of the product's rows is the first of these.
    first: usize,
    rows: &'a [&'a [f32]],
    /// `[panel][row][vector][lane]`
    sums: &'a mut [f32],
}

impl WithSimd for Add<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Add { product, features, first, rows, sums } = self;
        let own = first..first + rows.len();
        let rows = &Whole { rows, first: 0 };
        let mut rest = sums;
        for panel in product.panels.clone() {
            let vectors = product.kernel.vectors(panel);
            let a_row = vectors * S::F32_LANES;
            let (sums, after) = std::mem::take(&mut rest).split_at_mut(a_row * product.rows);
            rest = after;
            let sums = &mut sums[own.start * a_row..own.end * a_row];
            let weights = product.kernel.panel(panel, features.clone());
            match vectors {
                1 => multiply::<S, _, _, 1, 1>(simd, rows, weights, vectors_mut::<S, 1>(sums)),
                2 => multiply::<S, _, _, 2, 1>(simd, rows, weights, vectors_mut::<S, 2>(sums)),
                3 => multiply::<S, _, _, 3, 1>(simd, rows, weights, vectors_mut::<S, 3>(sums)),
                _ => multiply::<S, _, _, 4, 1>(simd, rows, weights, vectors_mut::<S, 4>(sums)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{each_arch, lanes};
    use ndarray::{Array1, Array2, s};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    fn random(rng: &mut ChaCha12Rng, rows: usize, columns: usize) -> Array2<f32> {
        Array2::from_shape_simple_fn((rows, columns), || rng.random_range(-1.0..1.0))
    }

    /// Some of its panels at a time, and features in parts.
    fn product(
        arch: Arch,
        x: &Array2<f32>,
        kernel: &Kernel,
        bias: Option<&[f32]>,
        (panels, features): (usize, usize),
    ) -> Array2<f32> {
        let mut sums = Sums::default();
        let mut output = Array2::from_elem((x.nrows(), kernel.columns), f32::NAN);
        for first in (0..kernel.panels()).step_by(panels) {
            let panels = first..kernel.panels().min(first + panels);
            let product = Product { kernel, panels: panels.clone(), rows: x.nrows() };
            product.start(bias, &mut sums);
            for start in (0..kernel.features()).step_by(features) {
                let part = start..kernel.features().min(start + features);
                let rows: Vec<Vec<f32>> =
                    x.rows().into_iter().map(|row| row.slice(s![part.clone()]).to_vec()).collect();
                let is_zero = |row: &[f32]| row.iter().all(|value| *value == 0.0);
                let length = |row: &[f32]| if is_zero(row) { 0 } else { row.len() };
                let rows: Vec<&[f32]> = rows.iter().map(|row| &row[..length(row)]).collect();
                product.add(arch, part, &rows, &mut sums);
            }
            let columns = kernel.columns(panels);
            let output = output.slice_mut(s![.., columns]);
            product.finish(arch, Activation::Relu, &mut sums, output);
        }
        output
    }

    #[test]
    fn products_are_exact_and_the_same_in_any_parts() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for (rows, features, columns) in [
            (1, 1, 1),
            (3, 5, 16),
            (7, 9, 17),
            (13, 64, 33),
            (25, 70, 64),
            (50, 33, 100),
            (6, 130, 129),
            (100, 3, 200),
        ] {
            let (x, weights) =
                (random(&mut rng, rows, features), random(&mut rng, features, columns));
            let bias: Array1<f32> = random(&mut rng, 1, columns).row(0).to_owned();
            let bias = bias.as_slice().unwrap();
            let wide = |array: &Array2<f32>| array.mapv(f64::from);
            let exact = wide(&x).dot(&wide(&weights));
            for arch in each_arch() {
                let kernel = Kernel::new(weights.view(), lanes(arch));
                let turned = weights.t().as_standard_layout().into_owned();
                assert_eq!(Kernel::new(turned.t(), lanes(arch)).panels[..], kernel.panels[..]);
                for bias in [None, Some(bias)] {
                    let whole = product(arch, &x, &kernel, bias, (usize::MAX >> 1, 1 << 20));
                    for ((row, column), &found) in whole.indexed_iter() {
                        let exact = exact[[row, column]] + bias.map_or(0.0, |b| b[column].into());
                        let far = (f64::from(found) - exact.max(0.0)).abs();
                        assert!(far < 1e-6 * (features + 1) as f64, "{far} off of {exact}");
                    }
                    for parts in [(1, 7), (2, 1), (1, 64)] {
                        assert_eq!(product(arch, &x, &kernel, bias, parts), whole, "{parts:?}");
                    }
                    // Every third row has nothing but zeros in the first half of the features.
                    let mut zeros = x.clone();
                    zeros.slice_mut(s![..;3, ..features / 2]).fill(0.0);
                    let found = product(arch, &zeros, &kernel, bias, (2, (features / 2).max(1)));
                    let expected = wide(&zeros).dot(&wide(&weights));
                    for ((row, column), &found) in found.indexed_iter() {
                        let sum = expected[[row, column]] + bias.map_or(0.0, |b| b[column].into());
                        let far = (f64::from(found) - sum.max(0.0)).abs();
                        assert!(far < 1e-6 * (features + 1) as f64, "{far} off of {sum}");
                    }
                    let alone = x.slice(s![rows - 1.., ..]).to_owned();
                    let alone = product(arch, &alone, &kernel, bias, (3, 50));
                    assert_eq!(alone.row(0), whole.row(rows - 1), "a row alone");
                }
            }
        }
    }
}
