//! Convolutions with windows of 3 · 3 in tiles of 2 · 2 windows, by 16 products in place of 36:
//! [`birnn_simd::winograd`].

use super::convolution::Operands;
use super::cores::{Cores, Reused};
use super::windows::Held;
use crate::operator::{Convolution, Windows};
use birnn_simd::winograd::{IN_EACH_WINDOW, PRODUCTS, kernel_factors, of_tile, windows_of_sums};
use birnn_simd::{Kernel, Product, Sums};
use ndarray::{Array2, ArrayViewD, ArrayViewMut2, Axis, ErrorKind, Ix4, ShapeError};
use std::ops::Range;

/// Tiles whose products run together: each panel of a kernel is read once for all of them.
const TILES: usize = 48;
/// Features that are multiplied together: so many of all products of the tiles have 400 KiB.
const FEATURES: usize = 128;
/// Panels of a kernel that a piece of work has at most, whose sums for all products of the tiles
/// have 200 KiB each.
const PANELS: usize = 2;
/// Pieces that each thread has, so that none is left waiting for long.
const PIECES: usize = 4;
/// Of fewer features or filters tiles cost more than they save.
const LEAST: usize = 16;

/// Memory for a piece of work.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// What is multiplied: `[product][tile][feature]`.
    values: Vec<f32>,
    sums: [Sums; PRODUCTS],
    /// What lies outside of the image.
    zeros: Vec<f32>,
}

/// Whether a convolution with a kernel of this shape gains by tiles.
pub(super) fn takes(operator: &Convolution, kernel: &[usize]) -> bool {
    let is_plain = |windows: &Windows| {
        let &Windows { outputs, size, strides, dilation, spread, before: _ } = windows;
        outputs > 1 && [size, strides, dilation, spread] == [3, 1, 1, 1]
    };
    let is_wide = matches!(kernel, [3, 3, features, filters] if *features.min(filters) >= LEAST);
    let two_axes = operator.windows.len() == 2 && operator.windows.iter().all(is_plain);
    two_axes && is_wide && operator.groups == 1
}

/// The kernels of the products, of one `[3, 3, features, filters]`.
pub(super) fn kernels(kernel: &ArrayViewD<f32>, lanes: usize) -> Result<Vec<Kernel>, ShapeError> {
    let kernel = kernel.view().into_dimensionality::<Ix4>()?;
    let (down, across, features, filters) = kernel.dim();
    if (down, across) != (3, 3) {
        return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
    }
    let of_product = |product: usize| {
        let factors = kernel_factors(product);
        let mut sums = Array2::<f64>::zeros((features, filters));
        for (at, factor) in factors.as_flattened().iter().enumerate().filter(|(_, f)| **f != 0.0) {
            let part = kernel.index_axis(Axis(0), at / 3);
            let part = part.index_axis(Axis(0), at % 3);
            sums.zip_mut_with(&part, |sum, weight| *sum += factor * f64::from(*weight));
        }
        Kernel::new(sums.mapv(|sum| sum as f32).view(), lanes)
    };
    Ok((0..PRODUCTS).map(of_product).collect())
}

/// Lines of tiles, one after the other over all examples.
#[derive(Clone, Copy)]
struct Lines {
    /// Windows down and across an image.
    windows: [usize; 2],
    /// Lines of an image, and tiles of a line.
    lines: usize,
    tiles: usize,
}

impl Lines {
    /// The windows of a line that stand first in each of its tiles: the example, and where.
    fn tile(&self, line: usize, tile: usize) -> (usize, [usize; 2]) {
        (line / self.lines, [line % self.lines * 2, tile * 2])
    }

    /// The number of the first window of a line.
    fn first(&self, line: usize) -> usize {
        let [down, across] = self.windows;
        (line / self.lines * down + line % self.lines * 2) * across
    }
}

/// A convolution at work.
struct Job<'a> {
    cores: &'a Cores,
    operator: &'a Convolution,
    operands: &'a Operands<'a>,
    kernels: &'a [Kernel],
    lines: Lines,
}

/// Some lines with some panels.
struct Piece<'a> {
    lines: Range<usize>,
    panels: Range<usize>,
    output: ArrayViewMut2<'a, f32>,
}

/// `output = activation(Σ x[window] · kernel + bias)`, `[batch · windows, filters]`, of a
/// convolution that [`takes`] tiles, with its [`kernels`].
pub(super) fn convolution(
    cores: &Cores,
    rooms: &Reused<Room>,
    operator: &Convolution,
    operands: &Operands,
    kernels: &[Kernel],
    output: ArrayViewMut2<f32>,
) {
    let &Operands { shape, .. } = operands;
    let windows = [operator.windows[0].outputs, operator.windows[1].outputs];
    let [down, across] = windows.map(|windows| windows.div_ceil(2));
    let lines = Lines { windows, lines: down, tiles: across };
    let work = output.len() * shape[3] * 4;
    let pieces = pieces(lines, shape[0] * down, &kernels[0], cores.threads_for(work), output);
    let job = Job { cores, operator, operands, kernels, lines };
    cores.for_each(work, pieces, |mut piece| {
        let tiles = piece.lines.len() * lines.tiles;
        rooms.with(|room| {
            for first in (0..tiles).step_by(TILES) {
                job.some_tiles(first..tiles.min(first + TILES), &mut piece, room);
            }
        });
    });
}

/// The lines and panels in pieces for so many threads.
fn pieces<'a>(
    lines: Lines,
    count: usize,
    kernel: &Kernel,
    threads: usize,
    output: ArrayViewMut2<'a, f32>,
) -> Vec<Piece<'a>> {
    let at_a_time = (TILES / lines.tiles.max(1)).clamp(1, count.div_ceil(threads).max(1));
    let groups = count.div_ceil(at_a_time).max(1);
    let panels = kernel.panels();
    let wanted = if threads > 1 { (PIECES * threads).div_ceil(groups) } else { 1 };
    let parts = wanted.max(panels.div_ceil(PANELS)).min(panels).max(1);
    let mut pieces = Vec::new();
    let mut rest = output;
    for first in (0..count).step_by(at_a_time) {
        let own = first..count.min(first + at_a_time);
        let windows = lines.first(own.end) - lines.first(own.start);
        let (mut group, after) = rest.split_at(Axis(0), windows);
        rest = after;
        for part in 0..parts {
            let panels = part * panels / parts..(part + 1) * panels / parts;
            let (output, right) = group.split_at(Axis(1), kernel.columns(panels.clone()).len());
            group = right;
            pieces.push(Piece { lines: own.clone(), panels, output });
        }
    }
    pieces
}

impl Job<'_> {
    /// The windows of some tiles of a piece, which are counted from its first line on.
    fn some_tiles(&self, own: Range<usize>, piece: &mut Piece, room: &mut Room) {
        let &Operands { x: _, shape, kernel: _, bias } = self.operands;
        let product = |number: usize| Product {
            kernel: &self.kernels[number],
            panels: piece.panels.clone(),
            rows: own.len(),
        };
        // The example of a tile, and where its first window stands.
        let place_of = |number: usize| {
            let number = own.start + number;
            self.lines
                .tile(piece.lines.start + number / self.lines.tiles, number % self.lines.tiles)
        };
        let Room { values, sums, zeros } = room;
        for (number, sums) in sums.iter_mut().enumerate() {
            product(number).start(bias.filter(|_| number == IN_EACH_WINDOW), sums);
        }
        let features = shape[3];
        zeros.resize(features, 0.0);
        for first in (0..features).step_by(FEATURES) {
            let part = first..features.min(first + FEATURES);
            let of_product = own.len() * part.len();
            values.resize(PRODUCTS * of_product, 0.0);
            for number in 0..own.len() {
                let (example, place) = place_of(number);
                let held = self.held(example, place, part.clone(), zeros);
                let mut rows = values.chunks_exact_mut(of_product);
                let mut rows: [&mut [f32]; PRODUCTS] = std::array::from_fn(|_| {
                    let rows = rows.next().unwrap_or_default();
                    &mut rows[number * part.len()..(number + 1) * part.len()]
                });
                of_tile(self.cores.arch, &held, &mut rows);
            }
            let each = values.chunks_exact(of_product).zip(sums.iter_mut());
            for (number, (values, sums)) in each.enumerate() {
                let rows: Vec<&[f32]> = values.chunks_exact(part.len()).collect();
                product(number).add(self.cores.arch, part.clone(), &rows, sums);
            }
        }
        let are_finite = windows_of_sums(self.cores.arch, sums);
        let first_column = self.kernels[0].columns(piece.panels.clone()).start;
        let start = self.lines.first(piece.lines.start);
        let product = product(0);
        for (window, sums) in sums[..4].iter_mut().enumerate() {
            // The number of a tile's window; `None`: it is outside of the image.
            let window_of = |number: usize| {
                let (example, [down, across]) = place_of(number);
                let (down, across) = (down + window / 2, across + window % 2);
                let [all_down, all_across] = self.lines.windows;
                let inside = down < all_down && across < all_across;
                inside.then_some((example * all_down + down) * all_across + across)
            };
            if !are_finite {
                product.each_row(sums, |number, columns, sums| {
                    let Some(window) = window_of(number) else { return };
                    for (column, sum) in columns.zip(sums).filter(|(_, sum)| !sum.is_finite()) {
                        *sum = self.plain(window, column);
                    }
                });
            }
            product.activate(self.cores.arch, self.operator.activation, sums);
            product.each_row(sums, |number, columns, sums| {
                let Some(window) = window_of(number) else { return };
                let own = columns.start - first_column..columns.end - first_column;
                let mut to = piece.output.row_mut(window - start);
                match to.as_slice_mut() {
                    Some(to) => to[own.clone()].copy_from_slice(&sums[..own.len()]),
                    None => own.zip(sums).for_each(|(column, sum)| to[column] = *sum),
                }
            });
        }
    }

    /// Some features of the values of a tile, whose first window stands at this place.
    fn held<'v>(
        &'v self,
        example: usize,
        [down, across]: [usize; 2],
        part: Range<usize>,
        zeros: &'v [f32],
    ) -> [&'v [f32]; PRODUCTS] {
        let &Operands { x, shape, .. } = self.operands;
        let index = |axis: usize, place: usize| {
            let index =
                usize::try_from(place as isize - self.operator.windows[axis].before).ok()?;
            (index < shape[1 + axis]).then_some(index)
        };
        std::array::from_fn(|value| {
            match (index(0, down + value / 4), index(1, across + value % 4)) {
                (Some(down), Some(across)) => {
                    let vector = (example * shape[1] + down) * shape[2] + across;
                    &x[vector * shape[3]..][part.clone()]
                }
                _ => &zeros[part.clone()],
            }
        })
    }

    /// A window's sum of a column, term by term: where a tile's isn't finite, it may be what
    /// infinities of both signs made in it.
    fn plain(&self, window: usize, column: usize) -> f32 {
        let &Operands { x, shape, kernel, bias } = self.operands;
        let columns = self.kernels[0].columns(0..self.kernels[0].panels()).len();
        let mut sum = bias.map_or(0.0, |bias| bias[column]);
        let held = Held::new(x, shape, &self.operator.windows);
        held.for_each(window..window + 1, |window| {
            for element in 0..held.elements() {
                let Some(values) = window.held(element) else { continue };
                let weights = kernel[element * values.len() * columns..].iter().skip(column);
                let terms = values.iter().zip(weights.step_by(columns));
                sum = terms.fold(sum, |sum, (value, weight)| sum + value * weight);
            }
        });
        sum
    }
}
