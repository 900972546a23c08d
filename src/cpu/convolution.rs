//! Convolutions as products: of each window what it holds is a row.

use super::cores::{Cores, Reused};
use super::product::{Dense, FEATURES, Factor, Room, Rows, cut, multiply};
use super::windows::{Held, Window};
use crate::operator::{Convolution, Windows};
use birnn_simd::{Kernel, add_weighted};
use ndarray::{ArrayView1, ArrayViewD, ArrayViewMut2, Axis, ErrorKind, ShapeError, Slice};
use std::ops::Range;

/// A convolution's kernel as the CPU path reads it.
#[derive(Debug)]
pub(super) enum Filters {
    /// Of each group of features, `[elements · features, filters]`.
    Groups(Vec<Kernel>),
    /// Each feature has a filter of its own, `[elements, features]`, which stays as it is.
    OfEachFeature,
}

impl Filters {
    /// From `[sizes of a window…, features of a group, filters]`.
    pub fn new(
        kernel: &ArrayViewD<f32>,
        groups: usize,
        lanes: usize,
    ) -> Result<Filters, ShapeError> {
        let &[ref sizes @ .., of_group, filters] = kernel.shape() else {
            return Err(ShapeError::from_kind(ErrorKind::IncompatibleShape));
        };
        if groups > 1 && of_group == 1 && filters == groups {
            return Ok(Filters::OfEachFeature);
        }
        let rows = sizes.iter().product::<usize>() * of_group;
        let kernel = kernel.to_shape((rows, filters))?;
        let own = kernel.axis_chunks_iter(Axis(1), (filters / groups.max(1)).max(1));
        Ok(Filters::Groups(own.map(|kernel| Kernel::new(kernel, lanes)).collect()))
    }
}

/// What a convolution reads, in C order.
pub(super) struct Operands<'a> {
    pub x: &'a [f32],
    /// The shape of x.
    pub shape: &'a [usize],
    pub kernel: &'a [f32],
    pub bias: Option<&'a [f32]>,
}

/// `output = activation(Σ x[window] · kernel + bias)`, `[batch · windows, filters]`, of an
/// element-wise activation.
pub(super) fn convolution(
    cores: &Cores,
    rooms: &Reused<Room>,
    operator: &Convolution,
    filters: &Filters,
    operands: &Operands,
    mut output: ArrayViewMut2<f32>,
) {
    let &Operands { x, shape, kernel, bias } = operands;
    let features = shape[shape.len() - 1];
    let kernels = match filters {
        Filters::Groups(kernels) => kernels,
        Filters::OfEachFeature => {
            return of_each_feature(cores, operator, operands, kernel, output);
        }
    };
    let of_group = features / operator.groups;
    for (group, kernel) in kernels.iter().enumerate() {
        let each = output.ncols() / kernels.len();
        let own = group * each..(group + 1) * each;
        let bias = bias.map(|bias| &bias[own.clone()]);
        let factor = Factor { kernel, bias, activation: operator.activation };
        let output = output.slice_axis_mut(Axis(1), Slice::from(own));
        if is_pointwise(operator, shape) {
            multiply(cores, rooms, &Dense { x, features }, factor, output);
        } else {
            let held = Held::new(x, shape, &operator.windows);
            let features = group * of_group..(group + 1) * of_group;
            multiply(cores, rooms, &Patches::new(held, features), factor, output);
        }
    }
}

/// Whether each window is a vector of x, in order.
fn is_pointwise(operator: &Convolution, shape: &[usize]) -> bool {
    let whole = |(windows, &length): (&Windows, &usize)| {
        let expected = Windows { outputs: length, ..Windows::whole(1) };
        *windows == Windows { dilation: windows.dilation, ..expected }
    };
    operator.groups == 1 && operator.windows.iter().zip(&shape[1..]).all(whole)
}

/// Values in a row of a window from which on they are multiplied where they stand. Fewer are copied
/// for several rows at once: a product of few features takes longer than its copies.
const LONG_ROW: usize = 128;

/// What windows hold, as the rows of a product.
struct Patches<'a> {
    held: Held<'a>,
    /// Those of the group.
    features: Range<usize>,
    parts: Vec<Part>,
}

/// A part of what a window holds: some of its elements, and of their values, one after another,
/// some.
struct Part {
    elements: Range<usize>,
    values: Range<usize>,
}

impl<'a> Patches<'a> {
    fn new(held: Held<'a>, features: Range<usize>) -> Patches<'a> {
        let mut patches = Patches { held, features, parts: Vec::new() };
        patches.parts = patches.cut();
        patches
    }

    /// Whether rows of a window stand in one piece, and are long.
    fn has_long_rows(&self) -> bool {
        let (size, one_apart) = self.held.a_row();
        let is_whole = self.features.len() == self.held.features();
        one_apart && is_whole && size * self.features.len() >= LONG_ROW
    }

    /// Parts of a window's rows, or of its elements.
    fn cut(&self) -> Vec<Part> {
        let (all, features) = (self.held.elements(), self.features.len());
        let at_a_time = match self.has_long_rows() {
            true => self.held.a_row().0,
            false => (FEATURES / features.max(1)).max(1),
        };
        let mut parts = Vec::new();
        for first in (0..all).step_by(at_a_time) {
            let elements = first..all.min(first + at_a_time);
            for values in cut(elements.len() * features) {
                // Of these elements the part has something.
                let own = values.start / features..values.end.div_ceil(features);
                let start = own.start * features;
                let values = values.start - start..values.end - start;
                parts.push(Part { elements: first + own.start..first + own.end, values });
            }
        }
        parts
    }

    /// Adds what a window holds in some elements to what was gathered.
    fn gather(&self, window: &Window, elements: Range<usize>, room: &mut Vec<f32>) {
        let (features, (size, one_apart)) = (self.features.len(), self.held.a_row());
        let size = size.max(1);
        if one_apart && features == self.held.features() {
            // Row by row of the window, of which each stands in one piece.
            let mut first = elements.start;
            while first < elements.end {
                let end = elements.end.min((first / size + 1) * size);
                let (before, held) = window.held_in_a_row(first..end);
                let start = room.len();
                room.resize(start + before * features, 0.0);
                room.extend_from_slice(held);
                room.resize(start + (end - first) * features, 0.0);
                first = end;
            }
            return;
        }
        for element in elements {
            match window.held(element) {
                Some(held) => room.extend_from_slice(&held[self.features.clone()]),
                None => room.resize(room.len() + self.features.len(), 0.0),
            }
        }
    }
}

/// Where a row of a part is.
enum RowSource<'a> {
    /// In the array, with all of the part's elements.
    Held(&'a [f32]),
    Zeros,
    /// The next one that was gathered.
    Gathered,
}

impl Rows for Patches<'_> {
    fn parts(&self) -> Vec<Range<usize>> {
        let mut first = 0;
        let range = |part: &Part| {
            let start = first;
            first += part.values.len();
            start..first
        };
        self.parts.iter().map(range).collect()
    }

    fn read<'a>(
        &'a self,
        rows: Range<usize>,
        part: usize,
        room: &'a mut Vec<f32>,
    ) -> Vec<&'a [f32]> {
        let Part { elements, values } = &self.parts[part];
        let length = elements.len() * self.features.len();
        let mut places = Vec::with_capacity(rows.len());
        room.clear();
        let has_long_rows = self.has_long_rows();
        self.held.for_each(rows, |window| {
            if has_long_rows {
                let (_, held) = window.held_in_a_row(elements.clone());
                if held.len() == length {
                    return places.push(RowSource::Held(held));
                }
                if held.is_empty() {
                    return places.push(RowSource::Zeros);
                }
            }
            places.push(RowSource::Gathered);
            self.gather(&window, elements.clone(), room);
        });
        let mut gathered = room.chunks_exact(length);
        let row = |place| match place {
            RowSource::Held(held) => Some(&held[values.clone()]),
            RowSource::Zeros => Some(&[][..]),
            RowSource::Gathered => gathered.next().map(|row| &row[values.clone()]),
        };
        places.into_iter().filter_map(row).collect()
    }
}

/// Of each feature the windows' values times its own filter, `[elements, features]`.
fn of_each_feature(
    cores: &Cores,
    operator: &Convolution,
    operands: &Operands,
    kernel: &[f32],
    mut output: ArrayViewMut2<f32>,
) {
    let held = Held::new(operands.x, operands.shape, &operator.windows);
    let (windows, features) = output.dim();
    let work = windows * features * held.elements();
    let at_a_time = windows.div_ceil(4 * cores.threads_for(work)).max(1);
    let pieces = output.axis_chunks_iter_mut(Axis(0), at_a_time).enumerate();
    cores.for_each(work, pieces, |(piece, mut output)| {
        let first = piece * at_a_time;
        let mut pairs = Vec::new();
        let mut rows = output.outer_iter_mut();
        let mut sums = vec![0.0; features];
        held.for_each(first..first + rows.len(), |window| {
            pairs.clear();
            window.each_held(|first, held| {
                pairs.push((held, &kernel[first * features..][..held.len()]));
            });
            match operands.bias {
                Some(bias) => sums.copy_from_slice(bias),
                None => sums.fill(0.0),
            }
            add_weighted(cores.arch, &pairs, &mut sums);
            birnn_simd::activate_all(cores.arch, operator.activation, &mut sums);
            rows.next().iter_mut().for_each(|row| row.assign(&ArrayView1::from(&sums[..])));
        });
    });
}
