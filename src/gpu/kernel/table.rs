//! The kernels: a row each.

#[cfg(any(test, feature = "kernel_list"))]
use super::cells::Way;
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
    /// Computes all timesteps of a chunk, in workgroups that wait for each other.
    Persistent,
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
    ($($kernel:ident $name:literal: $row:expr,)+) => {
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
                    $(Kernel::$kernel => Row { name: $name, ..$row }),+
                }
            }
        }

        /// Their files in `shaders/`: names without `.wgsl`, and texts.
        pub(super) const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../shaders/", $name, ".wgsl")))),+];
    };
}

/// A kernel that no recurrent layer tiles; [`kernels!`] adds its name.
const fn other(uniform: &'static Layout, storage: &'static [Access]) -> Row {
    Row { name: "", role: Role::Other, uniform, storage, outputs: 0, gates: &[] }
}

/// A kernel of a cell.
fn of_cell(kernel: CellKernel) -> Row {
    let cell = kernel.cell;
    let (role, all): (_, &[Access]) = match kernel.part {
        Part::Step | Part::SecondStep => (Role::Step, OF_CELL),
        Part::Sequence => (Role::Sequence, OF_CELL),
        Part::Persistent if cell.unit_weights().is_empty() => (Role::Persistent, EXCHANGING),
        Part::Persistent => (Role::Persistent, EXCHANGING_WITH_UNIT_WEIGHTS),
    };
    let without_unit_weights = role != Role::Persistent && cell.unit_weights().is_empty();
    Row {
        name: kernel.name(),
        role,
        uniform: Recurrence::LAYOUT,
        storage: if without_unit_weights { &all[..3] } else { all },
        outputs: 1 + 2 * cell.states(),
        gates: &COUNTS[cell.gates().len() - 1..][..1],
    }
}

/// The recurrent kernel, the projection, the states, and what each unit has one value of.
const OF_CELL: &[Access] = &[Read, Read, Write, Read];
/// The same of persistent kernels, with what workgroups hand on to each other behind it.
const EXCHANGING: &[Access] = &[Read, Read, Write, Write];
const EXCHANGING_WITH_UNIT_WEIGHTS: &[Access] = &[Read, Read, Write, Read, Write];
const COUNTS: &[u32] = &[1, 2, 3, 4];

kernels! {
    InputProjection "input_projection": Row {
        name: "",
        role: Role::Projection,
        uniform: Projection::LAYOUT,
        storage: &[Read, Read, Read, Write],
        outputs: 0,
        gates: COUNTS,
    },
    Meeting "meeting": other(Meeting::LAYOUT, &[Read, Write]),
    LoadState "load_state": other(LoadState::LAYOUT, &[Read, Write]),
    StepMask "step_mask": other(StepMask::LAYOUT, &[Read, Write, Write]),
    Merge "merge": other(Merge::LAYOUT, &[Read, Write]),
    MergeLast "merge_last": other(Merge::LAYOUT, &[Read, Write, Write, Write, Write, Write]),
    FinalStates "final_states": other(FinalStates::LAYOUT, &[Read, Write, Write, Write]),
    Dense "dense": other(Dense::LAYOUT, &[Read, Read, Read, Write]),
    GroupedConvolution "grouped_convolution": other(
        GroupedConvolution::LAYOUT,
        &[Read, Read, Read, Write],
    ),
    BatchedMatmul "batched_matmul": other(BatchedMatmul::LAYOUT, &[Read, Read, Write]),
    Elementwise "elementwise": other(Elementwise::LAYOUT, &[Read, Write]),
    Affine "affine": other(Affine::LAYOUT, &[Read, Read, Read, Write]),
    Unary "unary": other(Unary::LAYOUT, &[Read, Write]),
    MoveValues "move_values": other(MoveValues::LAYOUT, &[Read, Write]),
    Broadcast "broadcast": other(Broadcast::LAYOUT, &[Read, Read, Read, Write]),
    Reduce "reduce": other(Reduce::LAYOUT, &[Read, Write]),
    CombineMasked "combine_masked": other(CombineMasked::LAYOUT, &[Read, Read, Read, Write]),
    NormalizeVectors "normalize_vectors": other(Normalize::LAYOUT, &[Read, Read, Write]),
    Pool "pool": other(Pool::LAYOUT, &[Read, Read, Write]),
    Gather "gather": other(Gather::LAYOUT, &[Read, Read, Write]),
    Scatter "scatter": other(Scatter::LAYOUT, &[Read, Read, Write]),
    Masking "masking": other(Masking::LAYOUT, &[Read, Write]),
    MaskValues "mask_values": other(MaskValues::LAYOUT, &[Read, Write]),
    AttentionScores "attention_scores": other(
        AttentionScores::LAYOUT,
        &[Read, Read, Read, Read, Read, Read, Read, Write],
    ),
    AttentionApply "attention_apply": other(AttentionApply::LAYOUT, &[Read, Read, Read, Write]),
}

impl Kernel {
    /// Every kernel, those of cells without options.
    #[cfg(any(test, feature = "kernel_list"))]
    pub fn all() -> Vec<Kernel> {
        let of_cell = |&cell: &birnn_cell::Cell| {
            [Way::Steps, Way::Sequence, Way::Persistent]
                .map(|way| CellKernel::of(cell, way))
                .concat()
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

    /// Whether its workgroups wait for each other.
    pub fn is_persistent(self) -> bool {
        self.row().role == Role::Persistent
    }

    /// Whether it multiplies by a recurrent kernel.
    #[cfg(test)]
    pub fn is_recurrent(self) -> bool {
        self.steps() || self.is_sequence() || self.is_persistent()
    }
}
