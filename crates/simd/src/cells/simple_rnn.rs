use crate::beside::Beside;
use crate::step::{Finish, Panels, States};
use crate::timestep::{Timestep, Written};
use pulp::Simd;

pub(super) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: &mut dyn Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, sums, .. } = written;
    timestep.run(0, timestep.hidden, sums, beside, [next, &mut []], |next, _| {
        SimpleRnnStates(timestep.states(next))
    });
}

/// New states of a SimpleRNN.
struct SimpleRnnStates<'a>(States<'a>);

impl Finish<4> for SimpleRnnStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        panels.add(simd, sums, 0..4);
        self.0.reader.candidates(simd, sums, &[0, 1, 2, 3]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            (0..4).for_each(|block| {
                self.0.write::<S>(panels.place(panel), block, |row, _| sums[row][block])
            });
        }
    }
}
