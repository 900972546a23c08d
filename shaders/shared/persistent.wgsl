// All timesteps of a chunk in one dispatch of several workgroups, which hold the recurrent weights
// in their invocations' own memory and hand each other the hidden states through `exchange`.
//
// A workgroup has LANES units of one direction, and computes them for every so many groups of rows
// (`recurrence.groups_at_once`), one group after the other. SPLIT invocations share the sums of a
// unit: each holds the weights of the vectors of four k that are SPLIT apart, so that sums run in
// the order of a step kernel of the same SPLIT.
//
// Why it is right. Between workgroups WGSL has relaxed atomics alone: nothing orders an access to
// one place after an access to another, so no counter can say that values elsewhere are there. What
// can be relied on is that all accesses to one atomic have one order, in which no reader goes back.
// Hence a word says of itself whether it is there. `exchange` has a word for each value of each
// timestep of the chunk, zero before the dispatch; it is written once, with anything but zero.
// Whoever finds zero looks again, and what is not zero is the value: there is no other. Everything
// else in memory is either written by no workgroup of the dispatch (weights, projection, mask, the
// states of before the chunk: the ring has more slots than the chunk has steps), or read by none
// but the invocation that wrote it (the states after each timestep).
//
// WGSL doesn't promise that workgroups run side by side: one that waits may keep the one that it
// waits for from starting. So an invocation looks `recurrence.looks` times at most; then it sets
// the word GIVEN_UP, and every workgroup leaves, at once or one product later. What was computed
// until then is worth nothing. The host finds the word set, and runs the call again by other
// kernels.

#import shared/invocation
#import shared/recurrence
#import shared/mask
#import shared/states

// The vectors of four k that an invocation holds the weights of, at most 8.
const HELD: u32 = #{HELD}u;
// Invocations that share a sum.
override SPLIT: u32 = 1u;
override LANES: u32 = WORKGROUP / SPLIT;
// The length of `shared_states`: what all parts read, 4 · HELD · SPLIT, with zeros past the units.
override STATES: u32 = 4u;
// The length of `partial`: the sums of all parts but the first; at least 1.
override PARTIAL: u32 = 1u;

// GIVEN_UP, and from FIRST_WORD on [product][direction][step of the chunk][group][unit][row]: what
// the timestep hands on, the hidden state for the first product of the next one, or what the second
// product multiplies (two_products.wgsl). Zero: not there yet; otherwise the value's bits inverted.
@group(0) @binding(#{FIRST_OUTPUT}) var<storage, read_write> exchange: array<atomic<u32>>;
const GIVEN_UP: u32 = 0u;
const FIRST_WORD: u32 = 4u;

var<private> held: array<Weights, HELD>;
var<workgroup> shared_states: array<Rows, STATES>;
var<workgroup> partial: array<Sums, PARTIAL>;
// Whether the workgroup leaves: what its first invocation saw of GIVEN_UP.
var<workgroup> leaves: u32;

struct Place {
    direction: u32,
    unit: u32,
    // The first group of rows.
    group: u32,
    // Which part of its unit's sums the invocation has.
    part: u32,
    // Whether the unit exists, and this invocation is the one that finishes it.
    finishes: bool,
}

fn place(invocation: Invocation) -> Place {
    var p: Place;
    p.direction = recurrence.first_direction + invocation.workgroup.z;
    let unit = invocation.workgroup.x * LANES + invocation.lane % LANES;
    p.unit = min(unit, recurrence.units - 1u);
    p.group = invocation.workgroup.y;
    p.part = invocation.lane / LANES;
    p.finishes = unit < recurrence.units && invocation.lane < LANES;
    return p;
}

// Before the first timestep: holds the weights, and fills the workgroup's memory with zeros.
fn start(p: Place, invocation: Invocation) {
    hold_all(p);
    for (var i = invocation.lane; i < STATES; i += WORKGROUP) {
        shared_states[i] = Rows();
    }
    workgroupBarrier();
}

// How many groups each workgroup computes in a timestep, of which the last may not exist.
fn rounds() -> u32 {
    return (recurrence.groups + recurrence.groups_at_once - 1u) / recurrence.groups_at_once;
}

fn group_of(p: Place, round: u32) -> u32 {
    return p.group + round * recurrence.groups_at_once;
}

// Holds the weights of a vector of four k. Past the last one any weights do: the states are zeros.
fn hold(j: u32, p: Place) {
    let panel = panel_units(recurrence.units);
    let k4 = min(p.part + SPLIT * j, (recurrence.units + 3u) / 4u - 1u);
    held[j] = weights_at(weights_start(p.direction, p.unit) + k4 * KERNEL_GATES * panel, panel);
}

// No loop, here and below: an array whose indices are constants can be kept in registers.
fn hold_all(p: Place) {
    if HELD > 0u { hold(0u, p); }
    if HELD > 1u { hold(1u, p); }
    if HELD > 2u { hold(2u, p); }
    if HELD > 3u { hold(3u, p); }
    if HELD > 4u { hold(4u, p); }
    if HELD > 5u { hold(5u, p); }
    if HELD > 6u { hold(6u, p); }
    if HELD > 7u { hold(7u, p); }
}

fn multiply_held(j: u32, part: u32, product: u32) {
    let k = 4u * (part + SPLIT * j);
    let rows = Quad(
        shared_states[k],
        shared_states[k + 1u],
        shared_states[k + 2u],
        shared_states[k + 3u],
    );
    accumulate(rows, held[j], product);
}

// Hands what is in the workgroup's memory and the weights to the kernel's `accumulate`, four k at a
// time, of this invocation's part.
fn multiply(part: u32, product: u32) {
    if HELD > 0u { multiply_held(0u, part, product); }
    if HELD > 1u { multiply_held(1u, part, product); }
    if HELD > 2u { multiply_held(2u, part, product); }
    if HELD > 3u { multiply_held(3u, part, product); }
    if HELD > 4u { multiply_held(4u, part, product); }
    if HELD > 5u { multiply_held(5u, part, product); }
    if HELD > 6u { multiply_held(6u, part, product); }
    if HELD > 7u { multiply_held(7u, part, product); }
}

// The sum of all parts, for the invocations that finish. All have multiplied when it returns.
fn gathered(part: Sums, lane: u32) -> Sums {
    if lane >= LANES { partial[lane - LANES] = part; }
    workgroupBarrier();
    var sum = part;
    if lane < LANES {
        for (var other = 1u; other < SPLIT; other++) {
            sum += partial[(other - 1u) * LANES + lane];
        }
    }
    return sum;
}

// Where what a timestep hands on of a group starts in `exchange`.
fn words_start(product: u32, direction: u32, t: u32, group: u32) -> u32 {
    let steps = (product * recurrence.directions + direction) * recurrence.steps + t;
    return FIRST_WORD + (steps * recurrence.groups + group) * recurrence.units * ROWS;
}

// The one value whose word would be zero, a NaN, is handed on as another NaN.
fn send_value(word: u32, value: f32) {
    let bits = bitcast<u32>(value);
    atomicStore(&exchange[word], ~select(bits, 0x7fc00000u, bits == 0xffffffffu));
}

// Hands on a unit's value of each row. `start`: where the group's words start.
fn send(start: u32, unit: u32, value: Rows) {
    let word = start + unit * ROWS;
    let values = row_values(value);
    send_value(word, values.x);
    if ROWS > 1u {
        send_value(word + 1u, values.y);
        send_value(word + 2u, values.z);
        send_value(word + 3u, values.w);
    }
}

fn look(word: u32) -> vec4<u32> {
    let first = atomicLoad(&exchange[word]);
    if ROWS == 1u { return vec4(first); }
    return vec4(
        first,
        atomicLoad(&exchange[word + 1u]),
        atomicLoad(&exchange[word + 2u]),
        atomicLoad(&exchange[word + 3u]),
    );
}

// A unit's value of each row, as soon as it is there.
fn received(word: u32) -> Rows {
    for (var looks = 0u; looks < recurrence.looks; looks++) {
        let words = look(word);
        if all(words != vec4(0u)) { return rows_from(bitcast<vec4<f32>>(~words)); }
        // Whoever waits in vain isn't alone.
        if looks % 64u == 63u && atomicLoad(&exchange[GIVEN_UP]) != 0u { return Rows(); }
    }
    atomicStore(&exchange[GIVEN_UP], 1u);
    return Rows();
}

// Brings what a product multiplies to the workgroup's memory. `start`: where the group's words
// start.
fn receive(start: u32, lane: u32) {
    for (var unit = lane; unit < recurrence.units; unit += WORKGROUP) {
        shared_states[unit] = received(start + unit * ROWS);
    }
}

// The same of the hidden states of before a timestep, which no workgroup of this dispatch has
// written where the timestep is the first.
fn receive_hidden(direction: u32, t: u32, group: u32, lane: u32) {
    if t > 0u {
        receive(words_start(0u, direction, t - 1u, group), lane);
        return;
    }
    let start = slot_start(direction, 0u) + group * recurrence.units;
    for (var unit = lane; unit < recurrence.units; unit += WORKGROUP) {
        shared_states[unit] = old_state(0u, start + unit);
    }
}

// Waits until all of the workgroup have brought theirs. Returns whether it goes on, the same to all
// of its invocations.
fn all_go_on(lane: u32) -> bool {
    if lane == 0u { leaves = atomicLoad(&exchange[GIVEN_UP]); }
    return workgroupUniformLoad(&leaves) == 0u;
}

// The sums of a product of what is in the workgroup's memory, for the invocations that finish.
fn product_sums(p: Place, product: u32, lane: u32) -> Sums {
    sums = Sums();
    multiply(p.part, product);
    return gathered(sums, lane);
}

// All timesteps of the chunk: the kernel's `timestep` does one of a group of rows.
fn all_timesteps(invocation: Invocation) {
    let p = place(invocation);
    start(p, invocation);
    for (var t = 0u; t < recurrence.steps; t++) {
        for (var round = 0u; round < rounds(); round++) {
            if !timestep(p, t, group_of(p, round), invocation.lane) { return; }
        }
    }
}
