// What every step kernel is told and how the arrays that it shares are laid out. Stands before every step kernel.
//
//   projection  [direction][step of the chunk][gate][unit][batch4]   x·kernel + bias
//   hidden      [direction][slot][unit][batch4]    a ring: step s reads slot s mod slots, writes the next
//   cell        [direction][unit][batch4]
//
// batch4: the batch in vectors of four rows, the last one filled up with rows that nothing reads.

struct Recurrence {
    batch4: u32,
    units: u32,
    slots: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
}

struct Step {
    // The step within the chunk.
    index: u32,
}

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
@group(1) @binding(0) var<uniform> step: Step;

override WORKGROUP: u32 = 64u;
// How many vectors of four batch rows an invocation computes: 1 or 2.
override TILES: u32 = 1u;

// An invocation computes one unit of four or eight batch rows of one direction.
struct Place {
    direction: u32,
    unit: u32,
    // The vectors of four rows; the second is only computed where TILES is 2, and then may repeat the last.
    row: u32,
    second_row: u32,
    // Where the hidden states before and after this step start.
    previous: u32,
    next: u32,
    // Where this unit's first gate stands in the projection.
    projection: u32,
}

fn place(workgroup: vec3<u32>, lane: u32) -> Place {
    var p: Place;
    p.direction = workgroup.z;
    p.unit = min(workgroup.x * WORKGROUP + lane, recurrence.units - 1u);
    p.row = workgroup.y * TILES;
    p.second_row = min(p.row + 1u, recurrence.batch4 - 1u);
    let global_step = recurrence.first_step + step.index;
    let slot = recurrence.units * recurrence.batch4;
    let ring = p.direction * recurrence.slots;
    p.previous = (ring + global_step % recurrence.slots) * slot;
    p.next = (ring + (global_step + 1u) % recurrence.slots) * slot;
    p.projection = ((p.direction * recurrence.steps + step.index) * GATES * recurrence.units + p.unit) * recurrence.batch4;
    return p;
}

// Where a gate of this unit stands in the projection.
fn gate_offset(gate: u32) -> u32 {
    return gate * recurrence.units * recurrence.batch4;
}
