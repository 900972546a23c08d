// Moves values from one array to another, and joins them with what is there: all layers that
// reshape, permute, repeat, concatenate, add, multiply, …
//
// A box of four axes is walked. An index of it stands for a value of the source and one of the
// target, each by an offset and a stride an axis in the array's own order of values (without what
// fills the last axis up).

#import shared/flat
#import shared/differs

struct Side {
    offset: u32,
    stride0: u32,
    stride1: u32,
    stride2: u32,
    stride3: u32,
    // The last axis, and what it is filled up to.
    features: u32,
    features_padded: u32,
    // A uniform struct inside another has a size of a multiple of 16 bytes.
    unused: u32,
}

struct Combine {
    values: u32,
    axis1: u32,
    axis2: u32,
    axis3: u32,
    source: Side,
    destination: Side,
    operation: u32,
    // How many arrays a mean is of.
    count: u32,
}

@group(0) @binding(0) var<uniform> p: Combine;
// Any shape of at most four axes, the last filled up to a multiple of 4.
@group(0) @binding(1) var<storage, read> source: array<f32>;
// The same.
@group(0) @binding(2) var<storage, read_write> destination: array<f32>;

fn place(side: Side, i0: u32, i1: u32, i2: u32, i3: u32) -> u32 {
    let outer = i0 * side.stride0 + i1 * side.stride1;
    let value = side.offset + outer + i2 * side.stride2 + i3 * side.stride3;
    return value / side.features * side.features_padded + value % side.features;
}

fn is_nan(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}

fn joined(old: f32, new_value: f32) -> f32 {
    switch p.operation {
        case 1u: { return old + new_value; }
        case 2u: { return old - new_value; }
        case 3u: { return old * new_value; }
        case 4u: { return (old + new_value) / f32(p.count); }
        case 5u: { return select(old, new_value, new_value > old || is_nan(new_value)); }
        case 6u: { return select(old, new_value, new_value < old || is_nan(new_value)); }
        case 7u: { return 0.0; }
        case 8u: { return 1.0; }
        case 9u: { return select(0.0, 1.0, differs(new_value, 0.0)); }
        default: { return new_value; }
    }
}

@compute @workgroup_size(WORKGROUP)
fn combine(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let i3 = index % p.axis3;
    let i2 = index / p.axis3 % p.axis2;
    let i1 = index / (p.axis3 * p.axis2) % p.axis1;
    let i0 = index / (p.axis3 * p.axis2 * p.axis1);
    let to = place(p.destination, i0, i1, i2, i3);
    var value = 0.0;
    if p.operation != 7u && p.operation != 8u { value = source[place(p.source, i0, i1, i2, i3)]; }
    destination[to] = joined(destination[to], value);
}
