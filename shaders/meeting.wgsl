// Whether so many workgroups run side by side: each says that it is there, and waits until all are,
// or until it has looked `looks` times. Persistent kernels (shared/persistent.wgsl) need that.
//
// A workgroup takes as much of a GPU as the largest persistent kernel: invocations, workgroup
// memory, and numbers that each invocation holds in its registers while it waits.

#import shared/invocation

struct Meeting {
    // How many are to meet.
    workgroups: u32,
    // Where the meeting's two counters stand: of those that came, and of those that saw all.
    first_counter: u32,
    looks: u32,
}

override WORKGROUP: u32 = 64u;
// The workgroup memory, in vectors of four numbers.
override MEMORY: u32 = 64u;
// Of one workgroup that waits in vain: those of later meetings, which would be larger, don't wait.
const FAILED: u32 = 0u;

@group(0) @binding(0) var<uniform> p: Meeting;
// 32 vectors. Always zero; opaque to the compiler, so that it keeps the registers in use.
@group(0) @binding(1) var<storage, read> zeros: array<vec4<f32>>;
// [1 + 2 · meetings]: FAILED, and then the two of each meeting.
@group(0) @binding(2) var<storage, read_write> counters: array<atomic<u32>>;

var<workgroup> memory: array<vec4<f32>, MEMORY>;

// Four vectors, others for each invocation, so that they are no numbers of the whole workgroup.
fn loaded(lane: u32, number: u32) -> mat4x4<f32> {
    let first = (lane + 4u * number) % 29u;
    return mat4x4(zeros[first], zeros[first + 1u], zeros[first + 2u], zeros[first + 3u]);
}

@compute @workgroup_size(WORKGROUP)
fn meeting(invocation: Invocation) {
    let lane = invocation.lane;
    for (var i = lane; i < MEMORY; i += WORKGROUP) {
        memory[i] = zeros[i % 32u];
    }
    workgroupBarrier();
    var a = loaded(lane, 0u);
    var b = loaded(lane, 1u);
    var c = loaded(lane, 2u);
    var d = loaded(lane, 3u);
    var e = loaded(lane, 4u);
    var f = loaded(lane, 5u);
    var g = loaded(lane, 6u);
    var h = loaded(lane, 7u);
    if lane == 0u { atomicAdd(&counters[p.first_counter], 1u); }
    let looks = select(p.looks, 0u, atomicLoad(&counters[FAILED]) != 0u);
    var met = false;
    for (var look = 0u; look < looks && !met; look++) {
        met = atomicLoad(&counters[p.first_counter]) >= p.workgroups;
        // They change places, so that all of them are in use until the wait ends; seldom, so that a
        // look takes as long as one of a persistent kernel.
        if look % 64u == 63u {
            let first = a;
            a = b;
            b = c;
            c = d;
            d = e;
            e = f;
            f = g;
            g = h;
            h = first;
        }
    }
    if !met { atomicStore(&counters[FAILED], 1u); }
    let held = a * (b * (c * (d * (e * (f * (g * (h * memory[lane % MEMORY])))))));
    if lane == 0u && met && all(held == vec4(0.0)) {
        atomicAdd(&counters[p.first_counter + 1u], 1u);
    }
}
