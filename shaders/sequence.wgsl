// All steps of a chunk in one dispatch, which needs nothing of other workgroups: a workgroup has
// all units of one group of rows of one direction, and keeps the hidden state in workgroup memory.
// Stands before every sequence kernel, and before what brings the weights to the invocations:
// weights_held.wgsl or weights_streamed.wgsl.
//
// An invocation computes one unit, with SPLIT > 1 a part of its sums, which SPLIT invocations then
// add up.

// Twice the units, filled up to what all parts read at a time (or whole subgroups), with zeros: a
// step reads one side and writes the other.
override STATES: u32 = 2u;
override SIDE: u32 = STATES / 2u;
override SPLIT: u32 = 1u;
override LANES: u32 = WORKGROUP / SPLIT;

// WORKGROUP where SPLIT is above 1.
override PARTIAL: u32 = 1u;

var<workgroup> shared_states: array<Rows, STATES>;
var<workgroup> partial: array<Sums, PARTIAL>;

struct Place {
    direction: u32,
    group: u32,
    unit: u32,
    // Whether the unit exists, and this invocation is the one that finishes it.
    finishes: bool,
    // Where the unit stands in a group's states.
    state: u32,
}

fn place(invocation: Invocation) -> Place {
    var p: Place;
    p.direction = recurrence.first_direction + invocation.workgroup.y;
    p.group = invocation.workgroup.x;
    p.unit = min(invocation.lane % LANES, recurrence.units - 1u);
    p.finishes = invocation.lane < min(LANES, recurrence.units);
    p.state = p.group * recurrence.units + p.unit;
    return p;
}

// An initial state.
fn initial(index: u32) -> Rows {
    if recurrence.zeros == 1u { return Rows(); }
    return rows(states[index]);
}

// Fills the workgroup's memory before the first step.
fn start(p: Place, invocation: Invocation, hidden: Rows) {
    hold_weights(p.direction, p.unit);
    for (var i = invocation.lane; i < STATES; i += WORKGROUP) {
        shared_states[i] = Rows();
    }
    if p.finishes { shared_states[invocation.lane] = hidden; }
    workgroupBarrier();
}

// Where the unit's gates of a step stand in the projection.
fn projected_at(p: Place, step: u32) -> u32 {
    return (p.direction * recurrence.steps + step) * recurrence.groups * recurrence.units + p.state;
}

// The sum of all parts, for the invocations that finish.
fn gathered(part: Sums, invocation: Invocation) -> Sums {
    if SPLIT == 1u { return part; }
    partial[invocation.lane] = part;
    workgroupBarrier();
    var sum = part;
    if invocation.lane < LANES {
        for (var other = 1u; other < SPLIT; other++) {
            sum += partial[other * LANES + invocation.lane];
        }
    }
    return sum;
}
