// As weights_f32.wgsl, with weights stored as halves: two in a u32, so that no feature is needed.
// They are computed with as f32.

@group(0) @binding(1) var<storage, read> kernel: array<vec2<u32>>;

fn kernel_at(index: u32) -> vec4<f32> {
    let four = kernel[index];
    return vec4(unpack2x16float(four.x), unpack2x16float(four.y));
}
