//! Products of many rows with a kernel, cut into pieces that caches hold and threads share.

use super::cores::{Cores, Reused};
use birnn_cell::Activation;
use birnn_simd::{Arch, Kernel, Product, Sums};
use ndarray::{ArrayViewMut2, Axis, ShapeError};
use std::ops::Range;

/// Rows that are multiplied together: each panel of the kernel is read once for all of them. A
/// multiple of the rows of any tile.
pub(super) const ROWS: usize = 120;
/// Features that are multiplied together, about: so many of 120 rows and of a panel of 64 columns
/// have 370 KiB, which stay in a second-level cache.
pub(super) const FEATURES: usize = 512;
/// Pieces that each thread has, so that none is left waiting for long.
const PIECES: usize = 4;

/// The rows of a product.
pub(super) trait Rows: Sync {
    /// Into which parts their features are cut.
    fn parts(&self) -> Vec<Range<usize>>;

    /// What some rows have in a part, or nothing of a row that has zeros alone; `room` is for
    /// values that have to be gathered.
    fn read<'a>(
        &'a self,
        rows: Range<usize>,
        part: usize,
        room: &'a mut Vec<f32>,
    ) -> Vec<&'a [f32]>;
}

/// Memory for a piece of a product.
#[derive(Debug, Default)]
pub(super) struct Room {
    gathered: Vec<f32>,
    sums: Sums,
}

/// A kernel with what is done beside the product.
#[derive(Clone, Copy)]
pub(super) struct Factor<'a> {
    pub kernel: &'a Kernel,
    /// A value for each column.
    pub bias: Option<&'a [f32]>,
    pub activation: Activation,
}

/// `output = activation(x · kernel + bias)`, `[rows, columns]`.
pub(super) fn multiply(
    cores: &Cores,
    rooms: &Reused<Room>,
    x: &impl Rows,
    factor: Factor,
    output: ArrayViewMut2<f32>,
) {
    let kernel = factor.kernel;
    let (rows, columns) = output.dim();
    let work = rows * columns * kernel.features();
    let grid = Grid::new(rows, kernel.panels(), cores.threads_for(work));
    let parts = x.parts();
    cores.for_each(work, grid.pieces(kernel, output), |piece| {
        let product = Product { kernel, panels: piece.panels, rows: piece.rows.len() };
        rooms.with(|Room { gathered, sums }| {
            product.start(factor.bias, sums);
            for (part, features) in parts.iter().enumerate() {
                let rows = x.read(piece.rows.clone(), part, gathered);
                product.add(cores.arch, features.clone(), &rows, sums);
            }
            product.finish(cores.arch, factor.activation, sums, piece.output);
        });
    });
}

/// Rows that are multiplied at a time without memory for more of them.
const FEW_ROWS: usize = 12;

/// The same of rows that stand one after another, on this thread, and without memory but `sums`.
pub(super) fn multiply_here(
    arch: Arch,
    x: &[f32],
    factor: Factor,
    sums: &mut Sums,
    output: &mut [f32],
) -> Result<(), ShapeError> {
    let Factor { kernel, bias, activation } = factor;
    let (features, panels) = (kernel.features(), 0..kernel.panels());
    let columns = kernel.columns(panels.clone()).len();
    let parts = parts_of(features);
    let groups = x.chunks(FEW_ROWS * features).zip(output.chunks_mut(FEW_ROWS * columns));
    for (x, output) in groups {
        let rows = x.len() / features;
        let product = Product { kernel, panels: panels.clone(), rows };
        product.start(bias, sums);
        for part in (0..parts).map(|part| part_of(features, part, parts)) {
            let mut few: [&[f32]; FEW_ROWS] = [&[]; FEW_ROWS];
            let all = x.chunks_exact(features);
            few.iter_mut().zip(all).for_each(|(few, row)| *few = &row[part.clone()]);
            product.add(arch, part, &few[..rows], sums);
        }
        let output = ArrayViewMut2::from_shape((rows, columns), output)?;
        product.finish(arch, activation, sums, output);
    }
    Ok(())
}

/// `output = rows · kernel` on one thread, of rows whose values stand somewhere.
pub(super) fn product(
    arch: Arch,
    kernel: &Kernel,
    rows: &[&[f32]],
    sums: &mut Sums,
    output: ArrayViewMut2<f32>,
) {
    let product = Product { kernel, panels: 0..kernel.panels(), rows: rows.len() };
    product.start(None, sums);
    for features in cut(kernel.features()) {
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[features.clone()]).collect();
        product.add(arch, features, &rows, sums);
    }
    product.finish(arch, Activation::Linear, sums, output);
}

/// How a product is cut.
struct Grid {
    /// Rows of a piece.
    rows: usize,
    /// In how many parts the panels are cut.
    parts: usize,
}

impl Grid {
    fn new(rows: usize, panels: usize, threads: usize) -> Grid {
        let groups = rows.div_ceil(ROWS).max(1);
        if threads == 1 {
            return Grid { rows: rows.div_ceil(groups), parts: 1 };
        }
        // Of few rows panels are shared: their weights are then read by one thread each. Where
        // there are too few panels the rows are cut further, into as many for each thread.
        let parts = (PIECES * threads).div_ceil(groups).clamp(1, panels.max(1));
        let groups = if parts < threads { groups.next_multiple_of(threads) } else { groups };
        Grid { rows: rows.div_ceil(groups.min(rows.max(1))), parts }
    }

    fn pieces<'a>(&self, kernel: &Kernel, output: ArrayViewMut2<'a, f32>) -> Vec<Piece<'a>> {
        let (rows, panels) = (output.nrows(), kernel.panels());
        let mut pieces = Vec::new();
        let mut rest = output;
        let mut first = 0;
        while first < rows {
            let count = self.rows.min(rows - first);
            let (mut group, after) = rest.split_at(Axis(0), count);
            rest = after;
            for part in 0..self.parts {
                let own = part * panels / self.parts..(part + 1) * panels / self.parts;
                let (output, right) = group.split_at(Axis(1), kernel.columns(own.clone()).len());
                group = right;
                pieces.push(Piece { rows: first..first + count, panels: own, output });
            }
            first += count;
        }
        pieces
    }
}

/// Some rows with some panels.
struct Piece<'a> {
    rows: Range<usize>,
    panels: Range<usize>,
    output: ArrayViewMut2<'a, f32>,
}

/// Rows that stand one after another in memory.
pub(super) struct Dense<'a> {
    pub x: &'a [f32],
    pub features: usize,
}

impl Rows for Dense<'_> {
    fn parts(&self) -> Vec<Range<usize>> {
        cut(self.features)
    }

    fn read<'a>(&'a self, rows: Range<usize>, part: usize, _: &'a mut Vec<f32>) -> Vec<&'a [f32]> {
        let part = &self.parts()[part];
        let rows = &self.x[rows.start * self.features..rows.end * self.features];
        rows.chunks_exact(self.features).map(|row| &row[part.clone()]).collect()
    }
}

/// Numbers from 0 on, cut into parts as equal as can be of about [`FEATURES`].
pub(super) fn cut(numbers: usize) -> Vec<Range<usize>> {
    let parts = parts_of(numbers);
    (0..parts).map(|part| part_of(numbers, part, parts)).collect()
}

fn parts_of(numbers: usize) -> usize {
    ((numbers + FEATURES / 2) / FEATURES).max(1)
}

fn part_of(numbers: usize, part: usize, parts: usize) -> Range<usize> {
    part * numbers / parts..(part + 1) * numbers / parts
}
