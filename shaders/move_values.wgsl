// Moves values from one array to another, or fills a part of an array with a number: all that
// reshapes, transposes, slices, repeats, pads and concatenates.

#import shared/flat
#import shared/walk

struct MoveValues {
    // Of the box that is walked over, and the lengths of its axes as walk.wgsl has them.
    values: u32,
    axis1: u32,
    axis2: u32,
    axis3: u32,
    axis4: u32,
    axis5: u32,
    // 1: `number` goes to all places; 0: the source's values.
    fill: u32,
    number: f32,
    source: Side,
    destination: Side,
}

@group(0) @binding(0) var<uniform> p: MoveValues;
// Any shape, the last axis filled up to a multiple of 4.
@group(0) @binding(1) var<storage, read> source: array<f32>;
// The same.
@group(0) @binding(2) var<storage, read_write> destination: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn move_values(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let i = indices(index, p.axis1, p.axis2, p.axis3, p.axis4, p.axis5);
    var value = p.number;
    if p.fill == 0u { value = source[place(p.source, i)]; }
    destination[place(p.destination, i)] = value;
}
