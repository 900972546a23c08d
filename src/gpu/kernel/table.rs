//! The kernels: a row each.

use super::cells::{CellKernel, Part};
use super::uniforms::*;

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Access {
    Read,
    Write,
}
use Access::{Read, Write};

/// What a kernel does in a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Role {
    /// Multiplies the input of a chunk of timesteps.
    Projection,
    /// Computes one timestep; it reads the step's number from a bind group of its own.
    Step,
    /// Computes all timesteps of a chunk.
    Sequence,
    /// All else: the tiling means nothing to it.
    Other,
}

/// What is known of a kernel beside its source.
#[derive(Clone, Copy, Debug)]
pub(in crate::gpu) struct Row {
    /// Of its entry point; but for cells' kernels that of its file in `shaders/`, too.
    pub name: &'static str,
    pub role: Role,
    pub uniform: &'static Layout,
    /// The storage buffers, from binding 1 on.
    pub storage: &'static [Access],
    /// The storage buffers that a sequence kernel has after those, where it writes what the layer
    /// returns.
    pub outputs: usize,
    /// The gates of the cells that it serves, for lists of settings.
    #[cfg_attr(not(any(test, feature = "kernel_list")), allow(dead_code))]
    pub gates: &'static [u32],
}

macro_rules! kernels {
    ($($kernel:ident: $row:expr,)+) => {
        /// A kernel, named as its file in `shaders/`; those of a cell share the cell's file.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::gpu) enum Kernel {
            Cell(CellKernel),
            $($kernel),+
        }

        impl Kernel {
            /// Those that serve all cells or none.
            #[cfg(any(test, feature = "kernel_list"))]
            const OF_NO_CELL: &'static [Kernel] = &[$(Kernel::$kernel),+];

            pub fn row(self) -> Row {
                match self {
                    Kernel::Cell(kernel) => of_cell(kernel),
                    $(Kernel::$kernel => $row),+
                }
            }
        }
    };
}

/// A kernel that no recurrent layer tiles.
const fn other(name: &'static str, uniform: &'static Layout, storage: &'static [Access]) -> Row {
    Row { name, role: Role::Other, uniform, storage, outputs: 0, gates: &[] }
}

/// A kernel of a cell.
fn of_cell(kernel: CellKernel) -> Row {
    let cell = kernel.cell;
    Row {
        name: kernel.name(),
        role: if kernel.part == Part::Sequence { Role::Sequence } else { Role::Step },
        uniform: Recurrence::LAYOUT,
        storage: if cell.unit_weights().is_empty() { &OF_CELL[..3] } else { OF_CELL },
        outputs: 1 + 2 * cell.states(),
        gates: &COUNTS[cell.gates().len() - 1..][..1],
    }
}

/// The recurrent kernel, the projection, the states, and what each unit has one value of.
const OF_CELL: &[Access] = &[Read, Read, Write, Read];
const COUNTS: &[u32] = &[1, 2, 3, 4];

kernels! {
    InputProjection: Row {
        name: "input_projection",
        role: Role::Projection,
        uniform: Projection::LAYOUT,
        storage: &[Read, Read, Read, Write],
        outputs: 0,
        gates: COUNTS,
    },
    LoadState: other("load_state", LoadState::LAYOUT, &[Read, Write]),
    StepMask: other("step_mask", StepMask::LAYOUT, &[Read, Write, Write]),
    Merge: other("merge", Merge::LAYOUT, &[Read, Write]),
    MergeLast: other("merge_last", Merge::LAYOUT, &[Read, Write, Write, Write, Write, Write]),
    FinalStates: other("final_states", FinalStates::LAYOUT, &[Read, Write, Write, Write]),
    Dense: other("dense", Dense::LAYOUT, &[Read, Read, Read, Write]),
    GroupedConvolution: other(
        "grouped_convolution",
        GroupedConvolution::LAYOUT,
        &[Read, Read, Read, Write],
    ),
    BatchedMatmul: other("batched_matmul", BatchedMatmul::LAYOUT, &[Read, Read, Write]),
    Elementwise: other("elementwise", Elementwise::LAYOUT, &[Read, Write]),
    Affine: other("affine", Affine::LAYOUT, &[Read, Read, Read, Write]),
    Unary: other("unary", Unary::LAYOUT, &[Read, Write]),
    MoveValues: other("move_values", MoveValues::LAYOUT, &[Read, Write]),
    Broadcast: other("broadcast", Broadcast::LAYOUT, &[Read, Read, Read, Write]),
    Reduce: other("reduce", Reduce::LAYOUT, &[Read, Write]),
    CombineMasked: other("combine_masked", CombineMasked::LAYOUT, &[Read, Read, Read, Write]),
    NormalizeVectors: other("normalize_vectors", Normalize::LAYOUT, &[Read, Read, Write]),
    Pool: other("pool", Pool::LAYOUT, &[Read, Read, Write]),
    Gather: other("gather", Gather::LAYOUT, &[Read, Read, Write]),
    Scatter: other("scatter", Scatter::LAYOUT, &[Read, Read, Write]),
    Masking: other("masking", Masking::LAYOUT, &[Read, Write]),
    MaskValues: other("mask_values", MaskValues::LAYOUT, &[Read, Write]),
    AttentionScores: other(
        "attention_scores",
        AttentionScores::LAYOUT,
        &[Read, Read, Read, Read, Read, Read, Read, Write],
    ),
    AttentionApply: other("attention_apply", AttentionApply::LAYOUT, &[Read, Read, Read, Write]),
}

impl Kernel {
    /// Every kernel, those of cells without options.
    #[cfg(any(test, feature = "kernel_list"))]
    pub fn all() -> Vec<Kernel> {
        let of_cell = |&cell: &birnn_cell::Cell| {
            [CellKernel::of(cell, false), CellKernel::of(cell, true)].concat()
        };
        let of_cells = birnn_cell::Cell::ALL.iter().flat_map(of_cell).map(Kernel::Cell);
        of_cells.chain(Kernel::OF_NO_CELL.iter().copied()).collect()
    }

    /// The entry point.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it runs once a step, and reads the step's number.
    pub fn steps(self) -> bool {
        self.row().role == Role::Step
    }

    /// Whether it runs all steps of a chunk.
    pub fn is_sequence(self) -> bool {
        self.row().role == Role::Sequence
    }

    /// Whether it multiplies by a recurrent kernel.
    #[cfg(test)]
    pub fn is_recurrent(self) -> bool {
        self.steps() || self.is_sequence()
    }
}
