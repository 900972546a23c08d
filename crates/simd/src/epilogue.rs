//! What the epilogues of all cells are made of: gates, candidates, and states from both.

use crate::activation::{activate, clip};
use crate::step::{Finish, Panels, States};
use birnn_cell::Reader;
use pulp::Simd;

/// What a cell makes of sums.
pub(crate) trait Activated {
    /// A gate from its sum.
    fn gate<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s;

    /// A candidate from its sum.
    fn candidate<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s;
}

impl Activated for Reader {
    #[inline(always)]
    fn gate<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s {
        activate(simd, self.recurrent_activation, clipped(simd, self, sum))
    }

    #[inline(always)]
    fn candidate<S: Simd>(&self, simd: S, sum: S::f32s) -> S::f32s {
        activate(simd, self.activation, clipped(simd, self, sum))
    }
}

#[inline(always)]
fn clipped<S: Simd>(simd: S, reader: &Reader, sum: S::f32s) -> S::f32s {
    match reader.cell.options.clip.map(f32::from) {
        Some(limit) => clip(simd, sum, -limit, limit),
        None => sum,
    }
}

/// `gate ⊙ kept + (1 - gate) ⊙ other`
#[inline(always)]
pub(crate) fn blend<S: Simd>(simd: S, gate: S::f32s, kept: S::f32s, other: S::f32s) -> S::f32s {
    let rest = simd.mul_f32s(simd.sub_f32s(simd.splat_f32s(1.0), gate), other);
    simd.mul_add_e_f32s(gate, kept, rest)
}

/// New states of a cell whose candidate waits for its gates.
pub(crate) struct GatedCandidate<'a> {
    pub states: States<'a>,
    /// What blends the hidden state and the candidate, of all blocks.
    pub gate: &'a [f32],
    /// Whether the gate is the share of the hidden state, or that of the candidate.
    pub gate_keeps: bool,
}

impl Finish<4> for GatedCandidate<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        let (reader, gate_keeps) = (self.states.reader, self.gate_keeps);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            for block in 0..4 {
                let gate = place.all::<S>(self.gate, block);
                self.states.write::<S>(
                    place,
                    block,
                    #[inline(always)]
                    |row, hidden| {
                        let sum = simd.add_f32s(sums[row][block], projected[row][block]);
                        let candidate = reader.candidate(simd, sum);
                        match gate_keeps {
                            true => blend(simd, gate[row], hidden, candidate),
                            false => blend(simd, gate[row], candidate, hidden),
                        }
                    },
                );
            }
        }
    }
}
