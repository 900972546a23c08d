use crate::activation::activate;
use crate::epilogue::Activated;
use crate::pages::Pages;
use crate::parts::Crew;
use crate::product_beside::ProductBeside;
use crate::step::{Finish, Panels, States};
use crate::timestep::{CellStep, Timestep, Written};
use pulp::Simd;

pub(super) struct Lstm;

impl CellStep for Lstm {
    #[inline(always)]
    fn step<'b>(
        timestep: &Timestep<impl Crew>,
        beside: impl Iterator<Item = ProductBeside<'b>>,
        written: Written,
    ) {
        let Written { next, cell, sums, .. } = written;
        timestep.run(0, timestep.hidden, sums, beside, [next, cell], |next, cell| LstmStates {
            states: timestep.states(next),
            cell,
            peepholes: timestep.unit_weights,
        });
    }
}

/// New states of an LSTM.
struct LstmStates<'a> {
    states: States<'a>,
    /// The cell state of the part's blocks.
    cell: &'a mut [f32],
    /// Of the gates i, f and o, each `[block][lane]` of all blocks; none where there are none.
    peepholes: &'a [Pages<f32>],
}

impl Finish<4> for LstmStates<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, panels: Panels<S, 4>, sums: &[[S::f32s; 4]]) {
        let (reader, peepholes) = (self.states.reader, self.peepholes);
        let coupled = reader.cell.options.coupled;
        let of_state = reader.cell.options.state_activation.unwrap_or(reader.activation);
        for (panel, sums) in sums.chunks_exact(panels.rows).enumerate() {
            let (place, projected) = (panels.place(panel), panels.projected(panel));
            let cells = place.part::<S>(self.cell, 0);
            self.states.write::<S>(
                place,
                0,
                #[inline(always)]
                |row, _| {
                    let mut gates = sums[row];
                    for gate in 0..4 {
                        gates[gate] = simd.add_f32s(gates[gate], projected[row][gate]);
                    }
                    let [mut i, mut f, candidate, mut o] = gates;
                    if let [of_i, of_f, _] = peepholes {
                        i = see_cell(simd, of_i, place.block, cells[row], i);
                        f = see_cell(simd, of_f, place.block, cells[row], f);
                    }
                    i = reader.gate(simd, i);
                    f = match coupled {
                        true => simd.sub_f32s(simd.splat_f32s(1.0), i),
                        false => reader.gate(simd, f),
                    };
                    let kept = simd.mul_f32s(f, cells[row]);
                    cells[row] = simd.mul_add_e_f32s(i, reader.candidate(simd, candidate), kept);
                    if let [_, _, of_o] = peepholes {
                        o = see_cell(simd, of_o, place.block, cells[row], o);
                    }
                    // Not a candidate: the cell state is no sum, so that no clip limits it.
                    let activated = activate(simd, of_state, cells[row]);
                    simd.mul_f32s(reader.gate(simd, o), activated)
                },
            );
        }
    }
}

/// A sum and what a peephole, one of its weights for each unit, lets the gate see of the cell
/// state.
#[inline(always)]
fn see_cell<S: Simd>(
    simd: S,
    peephole: &[f32],
    block: usize,
    cell: S::f32s,
    sum: S::f32s,
) -> S::f32s {
    simd.mul_add_e_f32s(S::as_simd_f32s(peephole).0[block], cell, sum)
}
