//! Every setting that a kernel can have, for developers' tools and tests.

use super::tilings::tilings;
use super::{CellKernel, Constants, Kernel, Tiling};
use crate::layer::{Activation, CellOptions};

/// Every kernel in every way in which the planner can cut it, with a mask and without, and with
/// every activation.
pub(in crate::gpu) fn settings() -> Vec<(Kernel, Constants)> {
    let kernels = Kernel::all().into_iter().flat_map(|kernel| cut(kernel).chain(activated(kernel)));
    kernels.chain(Kernel::all().into_iter().flat_map(with_options)).collect()
}

/// A cell's kernel with the options that the cell can have, for one row and for four.
fn with_options(kernel: Kernel) -> Vec<(Kernel, Constants)> {
    let Kernel::Cell(CellKernel { cell, part }) = kernel else { return Vec::new() };
    let mut options = Vec::new();
    for clip in [None, Some(3.0.into())] {
        for (peepholes, coupled) in [(false, false), (true, false), (false, true), (true, true)] {
            options.push(CellOptions { clip, peepholes, coupled, ..CellOptions::default() });
        }
    }
    let state_activation = Some(Activation::LEAKY_RELU);
    options.push(CellOptions { state_activation, ..CellOptions::default() });
    let cells = options.into_iter().map(|options| cell.with(options));
    let kernels = cells
        .filter(|cell| cell.wrong_option().is_none())
        .map(|cell| Kernel::Cell(CellKernel { cell, part }));
    let rows = [1, 4].into_iter();
    let constants: Vec<_> = rows
        .filter_map(|rows| tilings(kernel).into_iter().find(|tiling| tiling.group_rows == rows))
        .map(|tiling| Constants { tiling, ..Constants::default() })
        .collect();
    let with = |kernel| constants.iter().map(move |&constants| (kernel, constants));
    kernels.flat_map(with).collect()
}

fn cut(kernel: Kernel) -> impl Iterator<Item = (Kernel, Constants)> {
    let masks: &[bool] = if has(kernel, "MASKED") { &[false, true] } else { &[false] };
    tilings(kernel).into_iter().flat_map(move |tiling| {
        masks
            .iter()
            .map(move |&masked| (kernel, Constants { masked, tiling, ..Constants::default() }))
    })
}

fn activated(kernel: Kernel) -> impl Iterator<Item = (Kernel, Constants)> {
    let tiling = tilings(kernel)[0];
    Activation::ALL.into_iter().filter(move |_| has(kernel, "ACTIVATION")).map(move |activation| {
        (kernel, Constants { activation, recurrent_activation: activation, masked: false, tiling })
    })
}

fn has(kernel: Kernel, constant: &str) -> bool {
    kernel.source(Tiling::default()).wgsl.contains(&format!("override {constant}:"))
}
