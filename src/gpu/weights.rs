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

/// The values that go up at once: a web page copies them several times on their way.
const AT_ONCE: usize = 4 << 20;

/// A buffer with a weight of the model.
pub(super) fn upload(device: &GpuDevice, model: &Model, weight: &Weight) -> Result<wgpu::Buffer> {
    let packed = pack(model, weight)?;
    let buffer = create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
    for (number, values) in packed.chunks(AT_ONCE).enumerate() {
        let offset = (4 * number * AT_ONCE) as u64;
        device.queue.write_buffer(&buffer, offset, bytemuck::cast_slice(values));
    }
    Ok(buffer)
}
