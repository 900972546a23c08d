// All steps of a chunk in one dispatch, which needs nothing of other workgroups: a workgroup has all units of one group of
// rows of one direction, and keeps the hidden state in workgroup memory. Stands before every sequence kernel, and before
// what brings the weights to the invocations: weights_held.wgsl or weights_streamed.wgsl.

// Twice the units, filled up to whole subgroups (or vectors of four), with zeros: a step reads one side and writes the
// other, so that one barrier a step is enough.
override STATES: u32 = 2u;
override SIDE: u32 = STATES / 2u;

var<workgroup> shared_states: array<Rows, STATES>;

struct Place {
    direction: u32,
    group: u32,
    unit: u32,
    // Whether the unit exists.
    exists: bool,
    // Where the unit stands in a group's states.
    state: u32,
}

fn place(invocation: Invocation) -> Place {
    var p: Place;
    p.direction = invocation.workgroup.y;
    p.group = invocation.workgroup.x;
    p.unit = min(invocation.lane, recurrence.units - 1u);
    p.exists = invocation.lane < recurrence.units;
    p.state = p.group * recurrence.units + p.unit;
    return p;
}

// An initial state.
fn initial(index: u32) -> Rows {
    if recurrence.zeros == 1u { return Rows(); }
    return states[index];
}

// Fills the workgroup's memory before the first step.
fn start(p: Place, invocation: Invocation, hidden: Rows) {
    hold_weights(p.direction, p.unit);
    for (var i = invocation.lane; i < STATES; i += WORKGROUP) {
        shared_states[i] = Rows();
    }
    if p.exists { shared_states[invocation.lane] = hidden; }
    workgroupBarrier();
}

// Where the unit's gates of a step stand in the projection.
fn projected_at(p: Place, step: u32) -> u32 {
    return (p.direction * recurrence.steps + step) * recurrence.groups * recurrence.units + p.state;
}
