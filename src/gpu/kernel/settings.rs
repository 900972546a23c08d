//! Every setting that a kernel can have, for tests and developers' tools.

use super::{CellKernel, Constants, Kernel, Role, Sharing, Tiling};
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

/// Every way in which the planner can cut a kernel.
pub(super) fn tilings(kernel: Kernel) -> Vec<Tiling> {
    if kernel.row().role == Role::Other {
        return vec![Tiling::default()];
    }
    let mut tilings = Vec::new();
    for &gates in kernel.row().gates {
        for group_rows in [1, 4] {
            for half_weights in [false, true] {
                for sharing in [Sharing::Workgroup, Sharing::Subgroup(4), Sharing::Subgroup(8)] {
                    let panel = match sharing {
                        Sharing::Workgroup => None,
                        Sharing::Subgroup(size) => Some(size),
                    };
                    let tiling = Tiling {
                        gates,
                        group_rows,
                        half_weights,
                        sharing,
                        panel,
                        ..Tiling::default()
                    };
                    let cuts = cuts(kernel, tiling);
                    tilings.extend(&cuts);
                }
            }
        }
    }
    tilings
}

fn cuts(kernel: Kernel, tiling: Tiling) -> Vec<Tiling> {
    if kernel.is_persistent() {
        // It holds its weights whatever the adapter, in panels or not.
        let cut = |(units, split, workgroup)| Tiling {
            units,
            split,
            workgroup,
            sharing: Sharing::Workgroup,
            ..tiling
        };
        return [(1, 1, 64), (30, 1, 64), (130, 8, 256), (512, 16, 128), (2_048, 64, 256)]
            .map(cut)
            .to_vec();
    }
    if kernel.is_sequence() {
        let sized = |units: u32| Tiling { units, workgroup: units.next_multiple_of(32), ..tiling };
        let mut cuts = [1, 3, 8, 130, 256].map(sized).to_vec();
        if tiling.sharing == Sharing::Workgroup {
            let split = |units: u32, split: u32| Tiling {
                split,
                workgroup: split * units.next_multiple_of(32),
                ..sized(units)
            };
            cuts.extend([split(36, 2), split(64, 4), split(128, 2), split(128, 4), split(128, 8)]);
        }
        let writing = cuts.clone().into_iter().map(|cut| Tiling { writes_outputs: true, ..cut });
        cuts.extend(writing);
        return cuts;
    }
    let mut cuts = [1, 2, 4].map(|tiles| Tiling { tiles, ..tiling }).to_vec();
    if let (Kernel::InputProjection, Sharing::Subgroup(size)) = (kernel, tiling.sharing) {
        cuts.push(Tiling { workgroup: size, tiles: 4, ..tiling });
    }
    if kernel.steps() && tiling.sharing == Sharing::Workgroup {
        let split = |(split, workgroup)| Tiling { split, workgroup, block: 128, ..tiling };
        cuts.extend([(4, 128), (8, 64), (16, 64)].map(split));
    }
    cuts
}
