use crate::activation::{activate_vectors, sigmoid, tanh};
use crate::beside::Beside;
use crate::pages::Pages;
use crate::reader::Reader;
use crate::step::{Finish, Panels, States};
use crate::timestep::{Timestep, Written};
use birnn_cell::{Activation, CellOptions};
use pulp::Simd;

pub(super) fn step<'a>(
    timestep: &Timestep<'a>,
    beside: &mut dyn Iterator<Item = Beside<'a>>,
    written: Written<'a>,
) {
    let Written { next, cell, sums, .. } = written;
    timestep.run(0, timestep.hidden, sums, beside, [next, cell], |next, cell| LstmStates {
        states: timestep.states(next),
        cell,
        peepholes: timestep.unit_weights,
        usual: is_usual(timestep.reader),
    });
}

/// Whether there are no options, and the activations are those that nearly all models have.
fn is_usual(reader: &Reader) -> bool {
    (reader.recurrent_activation, reader.activation) == (Activation::Sigmoid, Activation::Tanh)
        && reader.cell.options == CellOptions::default()
}

/// New states of an LSTM.
struct LstmStates<'a> {
    states: States<'a>,
    /// The cell state of the part's blocks.
    cell: &'a mut [f32],
    /// Of the gates i, f and o, each `[block][lane]` of all blocks; none where there are none.
    peepholes: &'a [Pages<f32>],
    usual: bool,
}

impl LstmStates<'_> {
    /// What is usual: vector by vector, without values going to memory in between. Measured: 3 %
    /// less time with 64 units, 1 % with 128.
    #[inline(always)]
    fn finish_usual<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            let cells = place.part::<S>(self.cell, 0);
            self.states.write::<S>(place, 0, |row, _| {
                let gate = |gate: usize| simd.add_f32s(sums[row][gate], projected[row][gate]);
                let kept = simd.mul_f32s(sigmoid(simd, gate(1)), cells[row]);
                cells[row] = simd.mul_add_e_f32s(sigmoid(simd, gate(0)), tanh(simd, gate(2)), kept);
                simd.mul_f32s(sigmoid(simd, gate(3)), tanh(simd, cells[row]))
            });
        }
    }

    /// Adds to the sums of some gates their peepholes on the cell state, where there are any: of each
    /// a gate, and a row of the peepholes.
    #[inline(always)]
    fn add_peepholes<S: Simd>(
        &mut self,
        simd: S,
        panels: &Panels<S, 4>,
        sums: &mut [[S::f32s; 4]],
        which: &[(usize, usize)],
    ) {
        if self.peepholes.is_empty() {
            return;
        }
        for (panel, sums) in sums.chunks_exact_mut(panels.rows).enumerate() {
            let place = panels.place(panel);
            let cells = place.part::<S>(self.cell, 0);
            for &(gate, row) in which {
                let peephole = S::as_simd_f32s(&self.peepholes[row]).0[place.block];
                for (sums, &cell) in sums.iter_mut().zip(&*cells) {
                    sums[gate] = simd.mul_add_e_f32s(peephole, cell, sums[gate]);
                }
            }
        }
    }
}

impl Finish<4> for LstmStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &mut [[S::f32s; 4]]) {
        if self.usual {
            return self.finish_usual(simd, panels, sums);
        }
        let reader = self.states.reader;
        panels.add(simd, sums, 0..4);
        self.add_peepholes(simd, &panels, sums, &[(0, 0), (1, 1)]);
        reader.gates(simd, sums, &[0, 1]);
        reader.candidates(simd, sums, &[2]);
        for (panel, sums) in sums.chunks_exact_mut(panels.rows).enumerate() {
            let cells = panels.place(panel).part::<S>(self.cell, 0);
            for (row, (cell, [i, f, candidate, _])) in cells.iter_mut().zip(sums).enumerate() {
                if reader.cell.options.coupled {
                    *f = simd.sub_f32s(simd.splat_f32s(1.0), *i);
                }
                if self.states.mask.is_none_or(|mask| mask[row]) {
                    *cell = simd.mul_add_e_f32s(*f, *cell, simd.mul_f32s(*i, *candidate));
                }
                *i = *cell;
            }
        }
        self.add_peepholes(simd, &panels, sums, &[(3, 2)]);
        reader.gates(simd, sums, &[3]);
        // Not a candidate: the cell state is no sum, so that no clip limits it.
        activate_vectors(simd, reader.activation, sums, &[0]);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            self.states.write::<S>(panels.place(panel), 0, |row, _| {
                simd.mul_f32s(sums[row][3], sums[row][0])
            });
        }
    }
}
