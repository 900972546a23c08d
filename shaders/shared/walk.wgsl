// A walk over the values of a box of up to six axes: where it finds the values of an array.

#import shared/padded

// An array beside a walk: an offset, and a stride for each axis of the box, in the array's own
// order of values. A stride backward is the two's complement, and one of zero repeats values.
struct Side {
    offset: u32,
    stride0: u32,
    stride1: u32,
    stride2: u32,
    stride3: u32,
    stride4: u32,
    stride5: u32,
    // The array's last axis.
    features: u32,
}

// A place in the box.
struct Indices {
    i0: u32,
    i1: u32,
    i2: u32,
    i3: u32,
    i4: u32,
    i5: u32,
}

// The place of a number in the box's order. The lengths of the axes but the first; of a box of at
// most four axes, which are the last ones, `axis1` and `axis2` are 0.
fn indices(number: u32, axis1: u32, axis2: u32, axis3: u32, axis4: u32, axis5: u32) -> Indices {
    var i: Indices;
    i.i5 = number % axis5;
    var rest = number / axis5;
    i.i4 = rest % axis4;
    rest /= axis4;
    i.i3 = rest % axis3;
    rest /= axis3;
    i.i2 = rest;
    if axis2 != 0u {
        i.i2 = rest % axis2;
        rest /= axis2;
        i.i1 = rest % axis1;
        i.i0 = rest / axis1;
    }
    return i;
}

fn place(side: Side, i: Indices) -> u32 {
    let outer = i.i0 * side.stride0 + i.i1 * side.stride1 + i.i2 * side.stride2;
    let inner = i.i3 * side.stride3 + i.i4 * side.stride4 + i.i5 * side.stride5;
    return padded(side.offset + outer + inner, side.features);
}
