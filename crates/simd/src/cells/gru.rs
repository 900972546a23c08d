use crate::beside::Beside;
use crate::epilogue::blend;
use crate::reader::Reader;
use crate::step::{Finish, Panels, States};
use crate::timestep::{Timestep, Written};
use pulp::Simd;

/// With reset_after.
pub(super) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: &mut dyn Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, sums, .. } = written;
    let candidate_bias = &timestep.unit_weights[0];
    timestep.run(0, timestep.hidden, sums, beside, [next, &mut []], |next, _| GruStates {
        states: timestep.states(next),
        candidate_bias,
    });
}

pub(super) fn step_reset_before<'a>(
    timestep: &Timestep<'a>,
    beside: &mut dyn Iterator<Item = Beside<'a>>,
    written: Written<'a>,
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
    timestep.run(1, gated, sums, none, [next, &mut []], |next, _| GruCandidate {
        states: timestep.states(next),
        update_gate: gate,
    });
}

/// New states of a GRU with reset_after true.
struct GruStates<'a> {
    states: States<'a>,
    /// The candidate's recurrent bias, of all blocks.
    candidate_bias: &'a [f32],
}

impl Finish<3> for GruStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 3>, sums: &mut [[S::f32s; 3]]) {
        panels.add(simd, sums, 0..2);
        self.states.reader.gates(simd, sums, &[0, 1]);
        for (panel, sums) in sums.chunks_exact_mut(panels.rows).enumerate() {
            let bias = S::as_simd_f32s(self.candidate_bias).0[panels.place(panel).block];
            for ([_, r, candidate], projected) in sums.iter_mut().zip(panels.projected(panel)) {
                *candidate = simd.mul_add_e_f32s(*r, simd.add_f32s(*candidate, bias), projected[2]);
            }
        }
        self.states.reader.candidates(simd, sums, &[2]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let place = panels.place(panel);
            self.states.write::<S>(place, 0, |row, hidden| {
                blend(simd, sums[row][0], hidden, sums[row][2])
            });
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
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        self.reader.gates(simd, sums, &[0, 1, 2, 3]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let place = panels.place(panel);
            for block in 0..2 {
                let update_gate = place.part::<S>(self.update_gate, block);
                update_gate.iter_mut().zip(sums).for_each(|(z, sums)| *z = sums[2 * block]);
                let reset_hidden = place.part::<S>(self.reset_hidden, block).iter_mut();
                for ((reset, &hidden), sums) in
                    reset_hidden.zip(place.all::<S>(self.hidden, block)).zip(sums)
                {
                    *reset = simd.mul_f32s(sums[2 * block + 1], hidden);
                }
            }
        }
    }
}

/// New states of a GRU with reset_after false, from its candidate.
struct GruCandidate<'a> {
    states: States<'a>,
    /// Of all blocks.
    update_gate: &'a [f32],
}

impl Finish<4> for GruCandidate<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        self.states.reader.candidates(simd, sums, &[0, 1, 2, 3]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let place = panels.place(panel);
            for (block, z) in (0..4).map(|block| (block, place.all::<S>(self.update_gate, block))) {
                self.states.write::<S>(place, block, |row, hidden| {
                    blend(simd, z[row], hidden, sums[row][block])
                });
            }
        }
    }
}
