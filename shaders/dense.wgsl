// output = activation(Σ windows x·kernel + bias): Dense (a window of one vector), convolutions, and
// the projections of multi-head attention.
//
// An invocation computes four consecutive output vectors (over the rows) of four columns; `lanes`
// invocations of a workgroup stand side by side along the columns.

#import shared/invocation
#import shared/activations
#import shared/windows

struct Dense {
    // Output vectors in all.
    vectors: u32,
    features4: u32,
    columns: u32,
    columns4: u32,
    lanes: u32,
    // The struct below starts at a multiple of 16 bytes.
    unused0: u32,
    unused1: u32,
    unused2: u32,
    // Windows over lines, such as the rows of an image, and along each line; of a sequence there is
    // one line.
    down: Windows,
    across: Windows,
}

@group(0) @binding(0) var<uniform> p: Dense;
// [row][line][place in it][features4]: vectors of four features.
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
// [tap][features4][columns4][feature]: vectors of four columns.
@group(0) @binding(2) var<storage, read> kernel: array<vec4<f32>>;
// [columns4]
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
// [row][output line][output place in it][columns4]
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

// The number of the activation in activations.wgsl, and its parameters.
override ACTIVATION: u32 = 1u;
override ACTIVATION_ALPHA: f32 = 0.0;
override ACTIVATION_BETA: f32 = 0.0;
override WORKGROUP: u32 = 64u;
// Workgroups along the grid's second axis, before it goes on in the third.
const GRID_ROW: u32 = 32768u;

// Which window of a row a vector of the output is.
struct Position {
    row: u32,
    y: u32,
    x: u32,
}

fn position(vector: u32) -> Position {
    let clamped = min(vector, p.vectors - 1u);
    let line = clamped / p.across.outputs;
    return Position(line / p.down.outputs, line % p.down.outputs, clamped % p.across.outputs);
}

struct Held {
    // Where the vector that an element of a window holds starts, and whether there is one.
    start: u32,
    inside: bool,
}

// `y`: the line that the element is in.
fn vector_held(position: Position, y: u32, tap: u32) -> Held {
    let x = held(p.across, position.x, tap);
    let inside = y < p.down.length && x < p.across.length;
    let place = select(0u, (position.row * p.down.length + y) * p.across.length + x, inside);
    return Held(place * p.features4, inside);
}

// Adds four features times their columns.
fn added(sum: vec4<f32>, x: vec4<f32>, columns: mat4x4<f32>) -> vec4<f32> {
    let low = fma(vec4(x.y), columns[1], fma(vec4(x.x), columns[0], sum));
    return fma(vec4(x.w), columns[3], fma(vec4(x.z), columns[2], low));
}

fn store(vector: u32, column4: u32, sum: vec4<f32>) {
    if vector >= p.vectors { return; }
    let value = activate(ACTIVATION, ACTIVATION_ALPHA, ACTIVATION_BETA, sum);
    // What fills the columns up stays zero.
    let column = vec4(column4 * 4u) + vec4(0u, 1u, 2u, 3u);
    output[vector * p.columns4 + column4] = select(vec4(0.0), value, column < vec4(p.columns));
}

@compute @workgroup_size(WORKGROUP)
fn dense(invocation: Invocation) {
    let column4 = invocation.workgroup.x * p.lanes + invocation.lane % p.lanes;
    let workgroup = invocation.workgroup.z * GRID_ROW + invocation.workgroup.y;
    let group = workgroup * (WORKGROUP / p.lanes) + invocation.lane / p.lanes;
    let vector = group * 4u;
    if column4 >= p.columns4 || vector >= p.vectors { return; }
    var s0 = bias[column4];
    var s1 = s0;
    var s2 = s0;
    var s3 = s0;
    let at0 = position(vector);
    let at1 = position(vector + 1u);
    let at2 = position(vector + 2u);
    let at3 = position(vector + 3u);
    for (var tap_y = 0u; tap_y < p.down.size; tap_y++) {
        let y0 = held(p.down, at0.y, tap_y);
        let y1 = held(p.down, at1.y, tap_y);
        let y2 = held(p.down, at2.y, tap_y);
        let y3 = held(p.down, at3.y, tap_y);
        for (var tap_x = 0u; tap_x < p.across.size; tap_x++) {
            let v0 = vector_held(at0, y0, tap_x);
            let v1 = vector_held(at1, y1, tap_x);
            let v2 = vector_held(at2, y2, tap_x);
            let v3 = vector_held(at3, y3, tap_x);
            // So most elements of a transposed convolution.
            if !(v0.inside || v1.inside || v2.inside || v3.inside) { continue; }
            let tap = tap_y * p.across.size + tap_x;
            var weight = (tap * p.features4 * p.columns4 + column4) * 4u;
            for (var k = 0u; k < p.features4; k++) {
                let columns = mat4x4<f32>(
                    kernel[weight],
                    kernel[weight + 1u],
                    kernel[weight + 2u],
                    kernel[weight + 3u],
                );
                let x0 = select(vec4(0.0), x[v0.start + k], v0.inside);
                let x1 = select(vec4(0.0), x[v1.start + k], v1.inside);
                let x2 = select(vec4(0.0), x[v2.start + k], v2.inside);
                let x3 = select(vec4(0.0), x[v3.start + k], v3.inside);
                s0 = added(s0, x0, columns);
                s1 = added(s1, x1, columns);
                s2 = added(s2, x2, columns);
                s3 = added(s3, x3, columns);
                weight += p.columns4 * 4u;
            }
        }
    }
    store(vector, column4, s0);
    store(vector + 1u, column4, s1);
    store(vector + 2u, column4, s2);
    store(vector + 3u, column4, s3);
}
