// The kernels of a cell whose gates all multiply the hidden state of the timestep before. The file
// of the cell says what the states are `after` a timestep.

#import shared/cell
#if SEQUENCE
#import shared/sequence
#else
#import shared/step
#endif

// The gates of a unit as the projection has them.
alias Projected = StoredSums;

// The states of a unit.
struct CellStates {
    hidden: Rows,
#if CELL_STATE
    cell: Rows,
#endif
}

#if SEQUENCE
// Of the step, of this invocation's part.
var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, phase: u32) {
    sums = added(sums, rows, weights);
}

// All timesteps of the chunk.
fn all_timesteps(invocation: Invocation) {
    let p = place(invocation);
    let unit = Unit(p.direction, p.unit);
    var current: CellStates;
    current.hidden = initial(slot_start(p.direction, 0u) + p.state);
#if CELL_STATE
    current.cell = initial(cell_start(p.direction, 0u) + p.state);
#endif
    start(p, invocation, current.hidden);
    for (var t = 0u; t < recurrence.steps; t++) {
        let side = (t & 1u) * SIDE;
        let projected = all_sums(projection[projected_at(p, t)]);
        sums = Sums();
        multiply(side, 0u, p.direction, p.unit, invocation);
        let all = gathered(sums, invocation);
        if p.finishes {
            let next = after(projected, all, current, unit);
#if CELL_STATE
            current.cell = masked(p.direction, t, p.group, current.cell, next.cell);
#endif
            current.hidden = masked(p.direction, t, p.group, current.hidden, next.hidden);
            shared_states[SIDE - side + invocation.lane] = current.hidden;
            keep_hidden(p, t, current.hidden);
        }
        workgroupBarrier();
    }
    if p.finishes {
        finish_hidden(p, current.hidden);
#if CELL_STATE
        finish_cell(p, current.cell);
#endif
    }
}
#else
// The timestep of the unit and a group of rows, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let state = group * recurrence.units + p.unit;
    let projected = all_sums(projection[projected_at(p.direction, state)]);
    var old: CellStates;
    old.hidden = old_state(slot_start(p.direction, step.index) + state);
#if CELL_STATE
    let cell = cell_start(p.direction, 0u) + state;
    old.cell = old_state(cell);
#endif
    let next = after(projected, sums, old, Unit(p.direction, p.unit));
#if CELL_STATE
    states[cell] = masked(p.direction, step.index, group, old.cell, next.cell);
#endif
    let hidden = slot_start(p.direction, step.index + 1u) + state;
    states[hidden] = masked(p.direction, step.index, group, old.hidden, next.hidden);
}

// The timestep that `step` has the number of.
fn one_timestep(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(), invocation);
    finish_tiles(p);
}
#endif
