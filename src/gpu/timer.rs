//! How long the GPU works on a call.

/// The bytes of two timestamps.
pub(super) const TIMER_BYTES: u64 = 16;

/// Timestamps of the beginning and the end of a call.
#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub queries: wgpu::QuerySet,
    pub resolved: wgpu::Buffer,
}

impl Timer {
    pub fn new(device: &wgpu::Device) -> Timer {
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("birnn timer"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let resolved = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("birnn timer"),
            size: TIMER_BYTES,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        Timer { queries, resolved }
    }
}
