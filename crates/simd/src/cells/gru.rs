use crate::activation::activate_vectors;
use crate::beside::Beside;
use crate::matrix::Gates;
use crate::reader::Weights;
use crate::step::{Finish, Panels, States};
use crate::timestep::{Timestep, Written};
use birnn_cell::Activation;
use pulp::Simd;

pub(super) const RESET_AFTER: &[Gates] = &[Gates { columns: &[0, 1, 2], blocks: 1 }];
/// The candidate's product reads what the gates computed.
pub(super) const RESET_BEFORE: &[Gates] =
    &[Gates { columns: &[0, 1], blocks: 2 }, Gates { columns: &[2], blocks: 4 }];

/// With reset_after: the recurrent bias of z and r is only ever added to the other one.
pub(super) fn bias(weights: &Weights) -> Vec<f32> {
    let units = weights.recurrent_kernel.nrows();
    let both = weights.bias.iter().zip(weights.recurrent_bias).enumerate();
    both.map(|(column, (b, r))| if column < 2 * units { b + r } else { *b }).collect()
}

/// With reset_after.
pub(super) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: impl Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, sums, .. } = written;
    timestep.run(0, timestep.hidden, sums, beside, [next, &mut []], |next, _| GruStates {
        states: timestep.states(next),
        recurrent_bias: timestep.recurrent_bias,
    });
}

pub(super) fn step_reset_before<'a>(
    timestep: &Timestep<'a>,
    beside: impl Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, update_gate, reset_hidden, sums, .. } = written;
    timestep.run(
        0,
        timestep.hidden,
        sums,
        beside,
        [&mut *update_gate, &mut *reset_hidden],
        |update_gate, reset_hidden| GruGates {
            hidden: timestep.hidden,
            update_gate,
            reset_hidden,
            recurrent_activation: timestep.reader.recurrent_activation,
        },
    );
    let none = std::iter::empty();
    timestep.run(1, reset_hidden, sums, none, [next, &mut []], |next, _| GruCandidate {
        states: timestep.states(next),
        update_gate,
    });
}

/// New states of a GRU with reset_after true.
struct GruStates<'a> {
    states: States<'a>,
    /// The candidate's, of all blocks.
    recurrent_bias: &'a [f32],
}

impl Finish<3> for GruStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 3>, sums: &mut [[S::f32s; 3]]) {
        panels.add(simd, sums, 0..2);
        activate_vectors(simd, self.states.recurrent_activation, sums, &[0, 1]);
        for (panel, sums) in sums.chunks_exact_mut(panels.rows).enumerate() {
            let bias = S::as_simd_f32s(self.recurrent_bias).0[panels.place(panel).block];
            for ([_, r, candidate], projected) in sums.iter_mut().zip(panels.projected(panel)) {
                *candidate = simd.mul_add_e_f32s(*r, simd.add_f32s(*candidate, bias), projected[2]);
            }
        }
        activate_vectors(simd, self.states.activation, sums, &[2]);
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
    recurrent_activation: Activation,
}

impl Finish<4> for GruGates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        activate_vectors(simd, self.recurrent_activation, sums, &[0, 1, 2, 3]);
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
        activate_vectors(simd, self.states.activation, sums, &[0, 1, 2, 3]);
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

/// `z ⊙ h + (1 - z) ⊙ candidate`
#[inline(always)]
fn blend<S: Simd>(simd: S, z: S::f32s, hidden: S::f32s, candidate: S::f32s) -> S::f32s {
    let rest = simd.mul_f32s(simd.sub_f32s(simd.splat_f32s(1.0), z), candidate);
    simd.mul_add_e_f32s(z, hidden, rest)
}
