// The kernels of a cell whose candidate multiplies the hidden state times another gate. That takes
// the gate of every unit, so this product comes after that of the other gates: in a dispatch of its
// own; in a second phase of each timestep of a sequence, where the gated hidden state stands on the
// other side of the workgroup's memory in between; or, in a persistent kernel, after a second wait
// for what the other workgroups hand on.
//
// The cell's file says what comes `after_first` and `after_second`. The candidate is the last gate.

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

// The gates of a unit as the projection has them, whatever the number that a kernel computes.
#if ONE_ROW
alias Projected = vec#{KERNEL_GATES}<f32>;
#else
alias Projected = array<vec4<f32>, #{KERNEL_GATES}>;
#endif

// The sum of the first gate.
fn first_sum(sums: Sums) -> Rows {
#if ONE_GATE
    return sums;
#else
    return sums[0];
#endif
}

// What goes from the first product to the second, for a unit.
struct Between {
    // A gate that the second one needs.
    gate: Rows,
    // The hidden state times a gate: what the second product multiplies.
    gated: Rows,
}

#if STEP
#else
// Of the step, of this invocation's part.
var<private> sums: Sums;

// Product 0: the other gates; product 1: the candidate.
fn accumulate(rows: Quad, weights: Weights, product: u32) {
    if product == 0u {
        sums[0] = gate_added(sums[0], rows, weights[0]);
#if THREE_GATES
        sums[1] = gate_added(sums[1], rows, weights[1]);
#endif
    } else {
        sums[#{LAST_GATE}] = gate_added(sums[#{LAST_GATE}], rows, weights[#{LAST_GATE}]);
    }
}
#endif

#if SEQUENCE
// All timesteps of the chunk.
fn all_timesteps(invocation: Invocation) {
    let p = place(invocation);
    var h = initial(slot_start(p.direction, 0u) + p.state);
    start(p, invocation, h);
    for (var t = 0u; t < recurrence.steps; t++) {
        let projected = projection[projected_at(p, t)];
        sums = Sums();
        multiply(0u, 0u, p.direction, p.unit, invocation);
        var all = gathered(sums, invocation);
        var between: Between;
        if p.finishes {
            between = after_first(projected, all, h);
            shared_states[SIDE + invocation.lane] = between.gated;
        }
        workgroupBarrier();
        sums = Sums();
        multiply(SIDE, 1u, p.direction, p.unit, invocation);
        all = gathered(sums, invocation);
        if p.finishes {
            let next = after_second(projected, all[#{LAST_GATE}u], between.gate, h);
            h = masked(p.direction, t, p.group, h, next);
            shared_states[invocation.lane] = h;
            keep_hidden(p, t, h);
        }
        workgroupBarrier();
    }
    if p.finishes { finish_hidden(p, h); }
}
#else
// What a timestep finds in memory of a unit and a group of rows.
struct Found {
    projected: Projected,
    old: Rows,
}

fn find(direction: u32, unit: u32, group: u32, t: u32) -> Found {
    let state = group * recurrence.units + unit;
    var found: Found;
    found.projected = projection[projected_at(direction, t, state)];
    found.old = old_state(t, slot_start(direction, t) + state);
    return found;
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
    var all = product_sums(p, 0u, lane);
    var between: Between;
    if finishes {
        between = after_first(found.projected, all, found.old);
        send(words_start(1u, p.direction, t, group), p.unit, between.gated);
    }
    if exists { receive(words_start(1u, p.direction, t, group), lane); }
    if !all_go_on(lane) { return false; }
    all = product_sums(p, 1u, lane);
    if finishes {
        let candidate_sum = all[#{LAST_GATE}u];
        let next = after_second(found.projected, candidate_sum, between.gate, found.old);
        let hidden = masked(p.direction, t, group, found.old, next);
        let state = group * recurrence.units + p.unit;
        states[slot_start(p.direction, t + 1u) + state] = hidden;
        send(words_start(0u, p.direction, t, group), p.unit, hidden);
    }
    return true;
}
#endif

#if STEP
#if SECOND_PRODUCT
// The timestep of the unit and a group of rows, from the candidate's sum.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let state = group * recurrence.units + p.unit;
    let found = find(p.direction, p.unit, group, step.index);
    let first_gate = states[cell_start(p.direction, 0u) + state];
    let next = after_second(found.projected, sums, first_gate, found.old);
    let hidden = slot_start(p.direction, step.index + 1u) + state;
    states[hidden] = masked(p.direction, step.index, group, found.old, next);
}

// The second half of the timestep that `step` has the number of.
fn second_product(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, cell_start(p.direction, 1u), false, invocation);
    finish_tiles(p);
}
#else
// What the unit and a group of rows hand on to the second half, from the sums of the other gates.
fn finish(p: Place, tile: u32, sums: Sums) {
    let group = p.group + tile;
    if group >= recurrence.groups { return; }
    let state = group * recurrence.units + p.unit;
    let found = find(p.direction, p.unit, group, step.index);
    let between = after_first(found.projected, sums, found.old);
    states[cell_start(p.direction, 0u) + state] = between.gate;
    states[cell_start(p.direction, 1u) + state] = between.gated;
}

// The first half of the timestep that `step` has the number of.
fn first_product(invocation: Invocation) {
    let p = place(invocation);
    multiply(p, slot_start(p.direction, step.index), from_zeros(step.index), invocation);
    finish_tiles(p);
}
#endif
#endif
