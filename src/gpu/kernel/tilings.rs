//! Every way in which the planner can cut a kernel, for tests and developers' tools.

use super::{Kernel, Role, Sharing, Tiling};

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
