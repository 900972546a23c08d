use crate::epilogue::Activated;
use crate::parts::Crew;
use crate::product_beside::ProductBeside;
use crate::step::{Finish, Panels, States};
use crate::timestep::{CellStep, Timestep, Written};
use pulp::Simd;

pub(super) struct SimpleRnn;

impl CellStep for SimpleRnn {
    #[inline(always)]
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    ) {
        let Written { next, sums, .. } = written;
        timestep.run(0, timestep.hidden, sums, beside, [next, &mut []], |next, _| {
            SimpleRnnStates(timestep.states(next))
        });
    }
}

/// New states of a SimpleRNN.
struct SimpleRnnStates<'a>(States<'a>);

impl Finish<4> for SimpleRnnStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        let reader = self.0.reader;
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            for block in 0..4 {
                self.0.write::<S>(
                    place,
                    block,
                    #[inline(always)]
                    |row, _| {
                        let sum = simd.add_f32s(sums[row][block], projected[row][block]);
                        reader.candidate(simd, sum)
                    },
                );
            }
        }
    }
}
