//! Buffers on the device, and the weights in them.

use super::device::GpuDevice;
use super::pack::pack;
use super::plan::Weight;
use crate::error::Result;
use crate::model::Model;

pub(super) fn create_buffer(
    device: &GpuDevice,
    bytes: u64,
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("birnn"),
        size: bytes.max(16),
        usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// A buffer with a weight of the model.
pub(super) fn upload(device: &GpuDevice, model: &Model, weight: &Weight) -> Result<wgpu::Buffer> {
    let packed = pack(model, weight)?;
    let buffer = create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
    device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
    Ok(buffer)
}
