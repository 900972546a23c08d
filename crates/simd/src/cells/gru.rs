use crate::epilogue::{Activated, GatedCandidate, blend};
use crate::parts::Crew;
use crate::product_beside::ProductBeside;
use crate::step::{Finish, Panels, States};
use crate::timestep::{CellStep, Timestep, Written};
use birnn_cell::Reader;
use pulp::Simd;

/// With reset_after.
pub(super) struct Gru;

impl CellStep for Gru {
    #[inline(always)]
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    ) {
        let Written { next, sums, .. } = written;
        let candidate_bias = &timestep.unit_weights[0];
        timestep.run(0, timestep.hidden, sums, beside, [next, &mut []], |next, _| GruStates {
            states: timestep.states(next),
            candidate_bias,
        });
    }
}

pub(super) struct GruResetBefore;

impl CellStep for GruResetBefore {
    #[inline(always)]
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    ) {
        let Written { next, gate, gated, sums, .. } = written;
        let (hidden, reader) = (timestep.hidden, timestep.reader);
        timestep.run(
            0,
            hidden,
            sums,
            beside,
            [&mut *gate, &mut *gated],
            |update_gate, reset_hidden| GruGates { hidden, update_gate, reset_hidden, reader },
        );
        let none = std::iter::empty();
        timestep.run(1, gated, sums, none, [next, &mut []], |next, _| GatedCandidate {
            states: timestep.states(next),
            gate,
            gate_keeps: true,
        });
    }
}

/// New states of a GRU with reset_after true.
struct GruStates<'a> {
    states: States<'a>,
    /// The candidate's recurrent bias, of all blocks.
    candidate_bias: &'a [f32],
}

impl Finish<3> for GruStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 3>, sums: &[[S::f32s; 3]]) {
        let reader = self.states.reader;
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            let bias = S::as_simd_f32s(self.candidate_bias).0[place.block];
            self.states.write::<S>(
                place,
                0,
                #[inline(always)]
                |row, hidden| {
                    let ([z, r, candidate], projected) = (sums[row], projected[row]);
                    let z = reader.gate(simd, simd.add_f32s(z, projected[0]));
                    let r = reader.gate(simd, simd.add_f32s(r, projected[1]));
                    let sum = simd.mul_add_e_f32s(r, simd.add_f32s(candidate, bias), projected[2]);
                    blend(simd, z, hidden, reader.candidate(simd, sum))
                },
            );
        }
    }
}

/// The gates of a GRU with reset_after false: z, and r ⊙ h for the candidate. They take no notice
/// of masks.
struct GruGates<'a> {
    hidden: &'a [f32],
    /// Of the part's blocks.
    update_gate: &'a mut [f32],
    reset_hidden: &'a mut [f32],
    reader: &'a Reader,
}

impl Finish<4> for GruGates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            for block in 0..2 {
                let hidden = place.all::<S>(self.hidden, block);
                let update_gate = place.part::<S>(self.update_gate, block);
                let reset_hidden = place.part::<S>(self.reset_hidden, block);
                for row in 0..panels.rows {
                    let sum = |of| simd.add_f32s(sums[row][of], projected[row][of]);
                    update_gate[row] = self.reader.gate(simd, sum(2 * block));
                    let r = self.reader.gate(simd, sum(2 * block + 1));
                    reset_hidden[row] = simd.mul_f32s(r, hidden[row]);
                }
            }
        }
    }
}
