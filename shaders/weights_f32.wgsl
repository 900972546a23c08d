// The weights of a matmul, vectors of four rows of the kernel, as panels.wgsl has them.

@group(0) @binding(1) var<storage, read> kernel: array<vec4<f32>>;

fn kernel_at(index: u32) -> vec4<f32> {
    return kernel[index];
}
