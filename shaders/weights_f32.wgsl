// The weights of a matmul, vectors of four rows of the kernel. Stands before every kernel that multiplies by a kernel.
//
//   kernel  [direction][k4][gate][unit]: vectors of four k, zeros past the last

@group(0) @binding(1) var<storage, read> kernel: array<vec4<f32>>;

fn kernel_at(index: u32) -> vec4<f32> {
    return kernel[index];
}
