use crate::beside::Beside;
use crate::epilogue::blend;
use crate::reader::Reader;
use crate::step::{Finish, Panels, States};
use crate::timestep::{Timestep, Written};
use pulp::Simd;

pub(super) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: &mut dyn Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, gate, gated, sums, .. } = written;
    let (hidden, reader) = (timestep.hidden, timestep.reader);
    timestep.run(0, hidden, sums, beside, [&mut *gate, &mut *gated], |forget_gate, gated| {
        MguGate { hidden, forget_gate, gated, reader }
    });
    let none = std::iter::empty();
    timestep.run(1, gated, sums, none, [next, &mut []], |next, _| MguCandidate {
        states: timestep.states(next),
        forget_gate: gate,
    });
}

/// The gate f, and f ⊙ h for the candidate. They take no notice of masks.
struct MguGate<'a> {
    hidden: &'a [f32],
    /// Of the part's blocks.
    forget_gate: &'a mut [f32],
    gated: &'a mut [f32],
    reader: &'a Reader,
}

impl Finish<4> for MguGate<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        self.reader.gates(simd, sums, &[0, 1, 2, 3]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let place = panels.place(panel);
            for block in 0..4 {
                let forget_gate = place.part::<S>(self.forget_gate, block);
                forget_gate.iter_mut().zip(sums).for_each(|(f, sums)| *f = sums[block]);
                let gated = place.part::<S>(self.gated, block).iter_mut();
                for ((gated, &hidden), sums) in
                    gated.zip(place.all::<S>(self.hidden, block)).zip(sums)
                {
                    *gated = simd.mul_f32s(sums[block], hidden);
                }
            }
        }
    }
}

/// New states from the candidate.
struct MguCandidate<'a> {
    states: States<'a>,
    /// Of all blocks.
    forget_gate: &'a [f32],
}

impl Finish<4> for MguCandidate<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        self.states.reader.candidates(simd, sums, &[0, 1, 2, 3]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let place = panels.place(panel);
            for (block, f) in (0..4).map(|block| (block, place.all::<S>(self.forget_gate, block))) {
                self.states.write::<S>(place, block, |row, hidden| {
                    blend(simd, f[row], sums[row][block], hidden)
                });
            }
        }
    }
}
