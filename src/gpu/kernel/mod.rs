//! The kernels of `shaders/`: a [`table`] of them, what they are told ([`uniforms`]), and their
//! WGSL as the driver gets it ([`compose`](compose::compose)) in each setting. Pure.

mod cells;
mod compose;
#[cfg(feature = "kernel_list")]
pub(in crate::gpu) mod settings;
mod table;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "kernel_list"))]
mod tilings;
mod uniforms;

pub(in crate::gpu) use cells::{CellKernel, Way, further_states, gates_padded, handed_on};
#[cfg(feature = "kernel_list")]
pub use compose::SourceLine;
pub(in crate::gpu) use compose::{Composed, located};
pub(in crate::gpu) use table::{Access, Kernel, Role};
pub(in crate::gpu) use uniforms::*;

use crate::layer::{Activation, CellOptions};
use std::mem::discriminant;

/// What a pipeline is specialised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Constants {
    pub activation: Activation,
    pub recurrent_activation: Activation,
    /// Whether a recurrent kernel reads the mask.
    pub masked: bool,
    /// How a recurrent kernel or the projection is cut.
    pub tiling: Tiling,
}

impl Default for Constants {
    fn default() -> Self {
        Constants {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            masked: false,
            tiling: Tiling::default(),
        }
    }
}

/// How a matmul of a recurrent layer is cut into workgroups and invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    /// The cell's gates, of which the kernel has weights.
    pub gates: u32,
    /// Rows of the batch in a group: 4, or 1 for a batch of one.
    pub group_rows: u32,
    pub sharing: Sharing,
    /// Whether weights are stored as halves.
    pub half_weights: bool,
    /// The width in units of a panel of the weights; `None`: one panel has all units.
    pub panel: Option<u32>,
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Groups of rows that an invocation computes (the projection: quads of rows): 1, 2 or 4.
    pub tiles: u32,
    /// Invocations that share a sum; more than 1 only with one tile, and rows shared by workgroup
    /// memory.
    pub split: u32,
    /// The k that a workgroup loads at a time, where it shares rows by its memory.
    pub block: u32,
    /// The units of a sequence or a persistent kernel.
    pub units: u32,
    /// Whether a sequence kernel writes what the layer returns, and not only states that others
    /// move.
    pub writes_outputs: bool,
}

impl Default for Tiling {
    fn default() -> Self {
        Tiling {
            gates: 4,
            group_rows: 4,
            sharing: Sharing::Workgroup,
            half_weights: false,
            panel: None,
            workgroup: 64,
            tiles: 1,
            split: 1,
            block: 64,
            units: 0,
            writes_outputs: false,
        }
    }
}

/// How the rows that all invocations multiply by reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sharing {
    /// Through workgroup memory.
    Workgroup,
    /// Through shuffles of subgroups, which always have this size. A sequence kernel then holds its
    /// weights.
    Subgroup(u32),
}

impl Tiling {
    /// The k that are loaded at a time and shared.
    pub fn block_size(self) -> u32 {
        match self.sharing {
            Sharing::Workgroup => self.block,
            Sharing::Subgroup(size) => size,
        }
    }

    /// The vectors of four k that an invocation of a persistent kernel holds the weights of.
    pub fn held(self) -> u32 {
        self.units.div_ceil(4).div_ceil(self.split).max(1)
    }

    /// The states in a persistent kernel's workgroup memory, and the sums of parts.
    pub fn received(self) -> (u32, u32) {
        (4 * self.held() * self.split, (self.workgroup - self.workgroup / self.split).max(1))
    }

    /// The states of one side of a sequence kernel's workgroup memory: what is read of them is
    /// whole subgroups, or vectors of four.
    pub fn side(self) -> u32 {
        match self.sharing {
            Sharing::Workgroup => self.units.next_multiple_of(4),
            Sharing::Subgroup(size) => self.units.next_multiple_of(size.max(4)),
        }
    }
}

impl Kernel {
    /// Its WGSL. What numbers decide is left to [`Kernel::overrides`].
    pub fn source(self, tiling: Tiling) -> Composed {
        let mut settings = vec![
            ("ONE_ROW", (tiling.group_rows == 1).into()),
            ("HALF_WEIGHTS", tiling.half_weights.into()),
            ("SUBGROUPS", matches!(tiling.sharing, Sharing::Subgroup(_)).into()),
            ("PANELS", tiling.panel.is_some().into()),
            ("WRITES_OUTPUTS", tiling.writes_outputs.into()),
            ("QUADS", tiling.units.div_ceil(4).max(1)),
            ("HELD", tiling.held()),
        ];
        match self {
            Kernel::Cell(kernel) => {
                settings.extend(kernel.settings());
                compose::compose(kernel.file(), &settings)
            }
            _ => {
                settings.push(("GATES", tiling.gates));
                compose::compose(self.name(), &settings)
            }
        }
    }

    /// What it does, in a sentence.
    #[cfg(feature = "kernel_list")]
    pub fn about(self) -> String {
        self.source(Tiling::default()).about()
    }

    /// The override constants of its WGSL.
    pub fn overrides(self, constants: Constants, source: &Composed) -> Vec<(&'static str, f64)> {
        let tiling = constants.tiling;
        let options = match self {
            Kernel::Cell(kernel) => kernel.cell.options,
            _ => CellOptions::default(),
        };
        let (activation, recurrent) = (constants.activation, constants.recurrent_activation);
        let state = options.state_activation.unwrap_or(activation);
        let [alpha, beta] = activation.parameters().map(f64::from);
        let [recurrent_alpha, recurrent_beta] = recurrent.parameters().map(f64::from);
        let [state_alpha, state_beta] = state.parameters().map(f64::from);
        let subgroup = match tiling.sharing {
            Sharing::Workgroup => 0,
            Sharing::Subgroup(size) => size,
        };
        let (received, parts) = tiling.received();
        let (states, partial) = match self.is_persistent() {
            true => (received, parts),
            false => (2 * tiling.side(), if tiling.split > 1 { tiling.workgroup } else { 1 }),
        };
        let all = [
            ("CLIP", f64::from(options.clip.map_or(0.0, f32::from))),
            ("ACTIVATION", activation_code(activation)),
            ("ACTIVATION_ALPHA", alpha),
            ("ACTIVATION_BETA", beta),
            ("RECURRENT_ACTIVATION", activation_code(recurrent)),
            ("RECURRENT_ALPHA", recurrent_alpha),
            ("RECURRENT_BETA", recurrent_beta),
            ("STATE_ACTIVATION", activation_code(state)),
            ("STATE_ALPHA", state_alpha),
            ("STATE_BETA", state_beta),
            ("MASKED", f64::from(u8::from(constants.masked))),
            ("WORKGROUP", f64::from(tiling.workgroup)),
            ("PANEL", f64::from(tiling.panel.unwrap_or_default())),
            ("TILES", f64::from(tiling.tiles)),
            ("BLOCK", f64::from(tiling.block_size())),
            ("SPLIT", f64::from(tiling.split)),
            ("PARTIAL", f64::from(partial)),
            ("STATES", f64::from(states)),
            ("MEMORY", f64::from(tiling.block)), // of meeting, which loads nothing by blocks
            ("SUBGROUP", f64::from(subgroup)),
        ];
        let declared = |(name, _): &(&str, f64)| source.wgsl.contains(&format!("override {name}:"));
        all.into_iter().filter(declared).collect()
    }

    /// The storage buffers, from binding 1 on.
    pub fn storage(self, tiling: Tiling) -> impl Iterator<Item = Access> {
        let row = self.row();
        let outputs = if tiling.writes_outputs { row.outputs } else { 0 };
        row.storage.iter().copied().chain(std::iter::repeat_n(Access::Write, outputs))
    }
}

/// The number that the kernels know an activation by.
fn activation_code(activation: Activation) -> f64 {
    let same = |other: &Activation| discriminant(other) == discriminant(&activation);
    Activation::ALL.iter().position(same).unwrap_or(0) as f64
}
