use crate::epilogue::{Activated, GatedCandidate};
use crate::parts::Crew;
use crate::product_beside::ProductBeside;
use crate::step::{Finish, Panels};
use crate::timestep::{CellStep, Timestep, Written};
use birnn_cell::Reader;
use pulp::Simd;

pub(super) struct Mgu;

impl CellStep for Mgu {
    #[inline(always)]
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    ) {
        let Written { next, gate, gated, sums, .. } = written;
        let (hidden, reader) = (timestep.hidden, timestep.reader);
        timestep.run(0, hidden, sums, beside, [&mut *gate, &mut *gated], |forget_gate, gated| {
            MguGate { hidden, forget_gate, gated, reader }
        });
        let none = std::iter::empty();
        timestep.run(1, gated, sums, none, [next, &mut []], |next, _| GatedCandidate {
            states: timestep.states(next),
            gate,
            gate_keeps: false,
        });
    }
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
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            for block in 0..4 {
                let hidden = place.all::<S>(self.hidden, block);
                let forget_gate = place.part::<S>(self.forget_gate, block);
                let gated = place.part::<S>(self.gated, block);
                for row in 0..panels.rows {
                    let sum = simd.add_f32s(sums[row][block], projected[row][block]);
                    forget_gate[row] = self.reader.gate(simd, sum);
                    gated[row] = simd.mul_f32s(forget_gate[row], hidden[row]);
                }
            }
        }
    }
}
