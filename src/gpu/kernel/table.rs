//! The kernels: a row each.

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
#[derive(Debug)]
pub(in crate::gpu) struct Row {
    /// Of its file in `shaders/`, and of its entry point.
    pub name: &'static str,
    pub role: Role,
    pub uniform: &'static Layout,
    /// The storage buffers, from binding 1 on.
    pub storage: &'static [Access],
    /// The storage buffers that a sequence kernel has after those, where it writes what the layer
    /// returns.
    pub outputs: usize,
    /// The gates of the cells that it serves.
    pub gates: &'static [u32],
}

macro_rules! kernels {
    ($($kernel:ident: $row:expr,)+) => {
        /// A kernel, named as its file in `shaders/`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::gpu) enum Kernel {
            $($kernel),+
        }

        impl Kernel {
            #[cfg(any(test, feature = "kernel_list"))]
            pub const ALL: &'static [Kernel] = &[$(Kernel::$kernel),+];

            pub fn row(self) -> &'static Row {
                match self {
                    $(Kernel::$kernel => const { &$row }),+
                }
            }
        }
    };
}

/// A kernel that no recurrent layer tiles.
const fn other(name: &'static str, uniform: &'static Layout, storage: &'static [Access]) -> Row {
    Row { name, role: Role::Other, uniform, storage, outputs: 0, gates: &[] }
}

const fn step(name: &'static str, gates: &'static [u32], storage: &'static [Access]) -> Row {
    Row { name, role: Role::Step, uniform: Recurrence::LAYOUT, storage, outputs: 0, gates }
}

const fn sequence(
    name: &'static str,
    gates: &'static [u32],
    storage: &'static [Access],
    outputs: usize,
) -> Row {
    Row { name, role: Role::Sequence, uniform: Recurrence::LAYOUT, storage, outputs, gates }
}

kernels! {
    InputProjection: Row {
        name: "input_projection",
        role: Role::Projection,
        uniform: Projection::LAYOUT,
        storage: &[Read, Read, Read, Write],
        outputs: 0,
        gates: &[1, 3, 4],
    },
    LstmStep: step("lstm_step", &[4], &[Read, Read, Write]),
    GruStep: step("gru_step", &[3], &[Read, Read, Write, Read]),
    GruResetStep: step("gru_reset_step", &[3], &[Read, Read, Write]),
    GruCandidateStep: step("gru_candidate_step", &[3], &[Read, Read, Write]),
    SimpleRnnStep: step("simple_rnn_step", &[1], &[Read, Read, Write]),
    LstmSequence: sequence("lstm_sequence", &[4], &[Read, Read, Write], 5),
    GruSequence: sequence("gru_sequence", &[3], &[Read, Read, Write, Read], 3),
    GruResetSequence: sequence("gru_reset_sequence", &[3], &[Read, Read, Write], 3),
    SimpleRnnSequence: sequence("simple_rnn_sequence", &[1], &[Read, Read, Write], 3),
    LoadState: other("load_state", LoadState::LAYOUT, &[Read, Write]),
    StepMask: other("step_mask", StepMask::LAYOUT, &[Read, Write, Write]),
    Merge: other("merge", Merge::LAYOUT, &[Read, Write]),
    MergeLast: other("merge_last", Merge::LAYOUT, &[Read, Write, Write, Write, Write, Write]),
    FinalStates: other("final_states", FinalStates::LAYOUT, &[Read, Write, Write, Write]),
    Dense: other("dense", Dense::LAYOUT, &[Read, Read, Read, Write]),
    Elementwise: other("elementwise", Elementwise::LAYOUT, &[Read, Write]),
    Affine: other("affine", Affine::LAYOUT, &[Read, Read, Read, Write]),
    Combine: other("combine", Combine::LAYOUT, &[Read, Write]),
    CombineMasked: other("combine_masked", CombineMasked::LAYOUT, &[Read, Read, Read, Write]),
    NormalizeVectors: other("normalize_vectors", Normalize::LAYOUT, &[Read, Read, Write]),
    Pool: other("pool", Pool::LAYOUT, &[Read, Read, Write]),
    Embedding: other("embedding", Embedding::LAYOUT, &[Read, Read, Write]),
    Masking: other("masking", Masking::LAYOUT, &[Read, Write]),
    MaskValues: other("mask_values", MaskValues::LAYOUT, &[Read, Write]),
    AttentionScores: other(
        "attention_scores",
        AttentionScores::LAYOUT,
        &[Read, Read, Read, Read, Read, Read, Write],
    ),
    AttentionApply: other("attention_apply", AttentionApply::LAYOUT, &[Read, Read, Read, Write]),
}

impl Kernel {
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
    pub fn is_recurrent(self) -> bool {
        self.steps() || self.is_sequence()
    }
}
