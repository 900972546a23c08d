// The kernels of a cell whose gates all multiply the hidden state of the timestep before. The file
// of the cell says what the states are `after` a timestep.

#import shared/cell
#if SEQUENCE
#import shared/sequence
#endif
#if PERSISTENT
#import shared/persistent
#endif
#if STEP
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

#if STEP
#else
// Of the step, of this invocation's part.
var<private> sums: Sums;

fn accumulate(rows: Quad, weights: Weights, product: u32) {
    sums = added(sums, rows, weights);
}
#endif

#if SEQUENCE
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
// What a timestep finds in memory of a unit and a group of rows.
struct Found {
    projected: Sums,
    old: CellStates,
}

fn find(direction: u32, unit: u32, group: u32, t: u32) -> Found {
    let state = group * recurrence.units + unit;
    var found: Found;
    found.projected = all_sums(projection[projected_at(direction, t, state)]);
    found.old.hidden = old_state(t, slot_start(direction, t) + state);
#if CELL_STATE
    found.old.cell = old_state(t, cell_start(direction, 0u) + state);
#endif
    return found;
}

// The timestep of a unit and a group of rows, from its sums: keeps the states of after it, and
// returns the hidden state.
fn stepped(direction: u32, unit: u32, group: u32, t: u32, found: Found, sums: Sums) -> Rows {
    let state = group * recurrence.units + unit;
    let old = found.old;
    let next = after(found.projected, sums, old, Unit(direction, unit));
#if CELL_STATE
    states[cell_start(direction, 0u) + state] = masked(direction, t, group, old.cell, next.cell);
#endif
    let hidden = masked(direction, t, group, old.hidden, next.hidden);
    states[slot_start(direction, t + 1u) + state] = hidden;
    return hidden;
}
#endif

#if PERSISTENT
// The timestep of a group of rows; of one that doesn't exist nothing is handed on that could be
// waited for. Returns whether the workgroup goes on, the same to all of its invocations.
fn timestep(p: Place, t: u32, group: u32, lane: u32) -> bool {
    let exists = group < recurrence.groups;
    let finishes = p.finishes && exists;
    var found: Found;
    // Before the wait, so that the loads are done with when it ends.
    if finishes { found = find(p.direction, p.unit, group, t); }
    if exists { receive_hidden(p.direction, t, group, lane); }
    if !all_go_on(lane) { return false; }
    let all = product_sums(p, 0u, lane);
    if finishes {
        let hidden = stepped(p.direction, p.unit, group, t, found, all);
        send(words_start(0u, p.direction, t, group), p.unit, hidden);
    }
    return true;
}
#endif

#if STEP
// The timestep of the unit and a group of rows, from its sums.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let found = find(p.direction, p.unit, group, step.index);
    stepped(p.direction, p.unit, group, step.index, found, sums);
}

// The timestep that `step` has the number of.
fn one_timestep(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(step.index), invocation);
    finish_tiles(p);
}
#endif
