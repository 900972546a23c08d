//! What a device allows, as far as plans depend on it.

/// What a device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes of a storage binding: no weight can be larger.
    pub weight: u64,
    /// Bytes of every other buffer, at most `weight`.
    pub binding: u64,
    /// Workgroups along an axis of a dispatch.
    pub workgroups: usize,
    /// Bytes that the arrays between layers should take at most.
    pub budget: u64,
    /// Storage buffers that a kernel binds.
    pub storage_buffers: usize,
    /// Invocations of a workgroup, and bytes of its memory.
    pub invocations: usize,
    pub workgroup_bytes: usize,
    /// Whether the adapter computes on the CPU, and on how many cores.
    pub software: bool,
    pub cores: usize,
    /// The size of every subgroup, where all have the same and kernels may use them.
    pub subgroup: Option<u32>,
    /// Whether recurrent layers' weights are stored as halves.
    pub half_weights: bool,
    /// Where persistent kernels are wanted, and were not found to fail.
    pub persistent: Option<Persistent>,
}

/// What persistent kernels are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Persistent {
    /// The workgroups that were seen to run side by side.
    pub workgroups: usize,
    /// How often an invocation looks for a value of another workgroup.
    pub looks: u32,
}

impl Limits {
    /// Those of a GPU without subgroups, with the default budget, and no buffer above `largest`
    /// bytes but for weights.
    pub fn new(limits: &wgpu::Limits, largest: u64) -> Limits {
        // Kernels count elements of 4 bytes in u32, and a binding is whole vectors of 16.
        let binding =
            limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(1 << 31) / 16
                * 16;
        Limits {
            weight: binding,
            binding: binding.min(largest / 16 * 16),
            workgroups: limits.max_compute_workgroups_per_dimension as usize,
            budget: 1 << 30,
            storage_buffers: limits.max_storage_buffers_per_shader_stage as usize,
            invocations: limits
                .max_compute_invocations_per_workgroup
                .min(limits.max_compute_workgroup_size_x) as usize,
            workgroup_bytes: limits.max_compute_workgroup_storage_size as usize,
            software: false,
            cores: 1,
            subgroup: None,
            half_weights: false,
            persistent: None,
        }
    }
}
