// All steps of a chunk in one dispatch, which needs nothing of other workgroups: a workgroup has
// all units of one group of rows of one direction, and keeps the hidden state in workgroup memory.
//
// An invocation computes one unit, with SPLIT > 1 a part of its sums, which SPLIT invocations then
// add up.

#import shared/invocation
#import shared/recurrence
#import shared/outputs

// The length of `shared_states`: two sides, each the units filled up with zeros to what all parts
// read at a time. A step reads one side and writes the other.
override STATES: u32 = 2u;
override SIDE: u32 = STATES / 2u;
// Invocations that share a sum.
override SPLIT: u32 = 1u;
override LANES: u32 = WORKGROUP / SPLIT;
// The length of `partial`: WORKGROUP where SPLIT is above 1, otherwise 1.
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
    return states[index];
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
    let steps = p.direction * recurrence.steps + step;
    return steps * recurrence.groups * recurrence.units + p.state;
}

#if SUBGROUPS
#import software/weights_held
#else
// The weights come from the caches, every step anew.
fn hold_weights(direction: u32, unit: u32) {}

// Hands the hidden states and the weights to the kernel's `accumulate`, four k at a time. `side`:
// where the side of `shared_states` starts that the step reads; `phase`: for `accumulate`.
fn multiply(side: u32, phase: u32, direction: u32, unit: u32, invocation: Invocation) {
    let panel = panel_units(recurrence.units);
    let first = weights_start(direction, unit);
    for (var i = invocation.lane / LANES; i < (recurrence.units + 3u) / 4u; i += SPLIT) {
        let k = side + 4u * i;
        let rows = Quad(
            shared_states[k],
            shared_states[k + 1u],
            shared_states[k + 2u],
            shared_states[k + 3u],
        );
        accumulate(rows, weights_at(first + i * KERNEL_GATES * panel, panel), phase);
    }
}
#endif

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
