// projection = x·kernel + bias, for a chunk of timesteps, in one dispatch for the directions that read the same segment of x.
//
//   x           [batch][timesteps of the segment][features4]   vectors of four features
//   kernel      [direction][features4][column]                 vectors of four features; columns are gate · units + unit
//   bias        [direction][column]
//   projection  [direction][step][column][batch, filled up to a multiple of 4]
//
// An invocation computes 8 rows (a row is a step and a batch index) of 2 columns.

struct Projection {
    batch: u32,
    batch_padded: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
    // Timesteps of the whole sequence.
    timesteps: u32,
    features4: u32,
    columns: u32,
    // The direction that workgroup z = 0 computes.
    first_direction: u32,
    // Bit d: direction d reads time from the end.
    reversed: u32,
    segment_start: u32,
    segment_timesteps: u32,
}

@group(0) @binding(0) var<uniform> p: Projection;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> kernel: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> projection: array<f32>;

override WORKGROUP: u32 = 64u;

// Where a row of x starts; rows past the end repeat the last one.
fn row_start(row: u32, direction: u32) -> u32 {
    let clamped = min(row, p.steps * p.batch - 1u);
    let step = p.first_step + clamped / p.batch;
    let from_end = ((p.reversed >> direction) & 1u) == 1u;
    let t = select(step, p.timesteps - 1u - step, from_end);
    return ((clamped % p.batch) * p.segment_timesteps + t - p.segment_start) * p.features4;
}

fn store(row: u32, direction: u32, column: u32, value: f32) {
    if row < p.steps * p.batch && column < p.columns {
        let step = direction * p.steps + row / p.batch;
        projection[(step * p.columns + column) * p.batch_padded + row % p.batch] = value;
    }
}

@compute @workgroup_size(WORKGROUP)
fn input_projection(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let direction = p.first_direction + workgroup.z;
    let row = workgroup.y * 8u;
    let x0 = row_start(row, direction);
    let x1 = row_start(row + 1u, direction);
    let x2 = row_start(row + 2u, direction);
    let x3 = row_start(row + 3u, direction);
    let x4 = row_start(row + 4u, direction);
    let x5 = row_start(row + 5u, direction);
    let x6 = row_start(row + 6u, direction);
    let x7 = row_start(row + 7u, direction);

    let column_a = workgroup.x * WORKGROUP * 2u + lane;
    let column_b = column_a + WORKGROUP;
    let a = min(column_a, p.columns - 1u);
    let b = min(column_b, p.columns - 1u);
    let kernel_start = direction * p.features4 * p.columns;

    var a_low = vec4(bias[direction * p.columns + a]);
    var a_high = a_low;
    var b_low = vec4(bias[direction * p.columns + b]);
    var b_high = b_low;
    for (var k = 0u; k < p.features4; k++) {
        let wa = kernel[kernel_start + k * p.columns + a];
        let wb = kernel[kernel_start + k * p.columns + b];
        let r0 = x[x0 + k];
        let r1 = x[x1 + k];
        let r2 = x[x2 + k];
        let r3 = x[x3 + k];
        let r4 = x[x4 + k];
        let r5 = x[x5 + k];
        let r6 = x[x6 + k];
        let r7 = x[x7 + k];
        a_low += vec4(dot(r0, wa), dot(r1, wa), dot(r2, wa), dot(r3, wa));
        a_high += vec4(dot(r4, wa), dot(r5, wa), dot(r6, wa), dot(r7, wa));
        b_low += vec4(dot(r0, wb), dot(r1, wb), dot(r2, wb), dot(r3, wb));
        b_high += vec4(dot(r4, wb), dot(r5, wb), dot(r6, wb), dot(r7, wb));
    }

    store(row, direction, column_a, a_low.x);
    store(row + 1u, direction, column_a, a_low.y);
    store(row + 2u, direction, column_a, a_low.z);
    store(row + 3u, direction, column_a, a_low.w);
    store(row + 4u, direction, column_a, a_high.x);
    store(row + 5u, direction, column_a, a_high.y);
    store(row + 6u, direction, column_a, a_high.z);
    store(row + 7u, direction, column_a, a_high.w);
    store(row, direction, column_b, b_low.x);
    store(row + 1u, direction, column_b, b_low.y);
    store(row + 2u, direction, column_b, b_low.z);
    store(row + 3u, direction, column_b, b_low.w);
    store(row + 4u, direction, column_b, b_high.x);
    store(row + 5u, direction, column_b, b_high.y);
    store(row + 6u, direction, column_b, b_high.z);
    store(row + 7u, direction, column_b, b_high.w);
}
