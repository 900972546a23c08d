// output = a function of a and b, or a where the condition c isn't zero and b elsewhere, value by
// value. Arrays are repeated along some axes.

#import shared/flat
#import shared/walk
#import shared/nan
#import shared/differs
#import shared/power

struct Broadcast {
    // Of the output, and the lengths of its axes as walk.wgsl has them.
    values: u32,
    axis1: u32,
    axis2: u32,
    axis3: u32,
    axis4: u32,
    axis5: u32,
    // The number of the function in BinaryFunction (src/operator/binary.rs), and two more.
    function: u32,
    // The last axis of the output.
    features: u32,
    a: Side,
    b: Side,
    c: Side,
}

@group(0) @binding(0) var<uniform> p: Broadcast;
// Any shape, the last axis filled up to a multiple of 4; so the next three.
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> c: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

fn truth(is_true: bool) -> f32 {
    return select(0.0, 1.0, is_true);
}

// What is left of x / y rounded down. Rounding may have the quotient one too large or too small; of
// an x that is smaller than y all is left, of an infinite y, too.
fn modulo(x: f32, y: f32) -> f32 {
    let rest = select(fma(-trunc(x / y), y, x), x, abs(x) < abs(y));
    if abs(rest) >= abs(y) { return 0.0; }
    let down = rest == 0.0 || (rest < 0.0) == (y < 0.0);
    return select(rest + y, rest, down);
}

// Comparisons of NaN are false.
fn function_of(x: f32, y: f32) -> f32 {
    let ordered = !is_nan(x) && !is_nan(y);
    switch p.function {
        case 0u: { return x + y; }
        case 1u: { return x - y; }
        case 2u: { return x * y; }
        case 3u: { return x / y; }
        case 4u: { return power(x, y); }
        case 5u: { return select(y, x, is_nan(x) || (x > y && ordered)); }
        case 6u: { return select(y, x, is_nan(x) || (x < y && ordered)); }
        case 7u: { return truth(!differs(x, y)); }
        case 8u: { return truth(ordered && x < y); }
        case 9u: { return truth(ordered && x <= y); }
        case 10u: { return truth(differs(x, 0.0) && differs(y, 0.0)); }
        case 11u: { return truth(differs(x, 0.0) || differs(y, 0.0)); }
        case 12u: { return truth(differs(x, 0.0) != differs(y, 0.0)); }
        case 13u: { return modulo(x, y); }
        default: { return truth(differs(x, y)); }
    }
}

@compute @workgroup_size(WORKGROUP)
fn broadcast(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let i = indices(index, p.axis1, p.axis2, p.axis3, p.axis4, p.axis5);
    let x = a[place(p.a, i)];
    let y = b[place(p.b, i)];
    var value: f32;
    if p.function == 14u {
        value = select(y, x, differs(c[place(p.c, i)], 0.0));
    } else {
        value = function_of(x, y);
    }
    output[padded(index, p.features)] = value;
}
