//! Bringing arrays home: staging buffers that are mapped once the GPU is done, awaited without blocking or with.

use super::device::GpuDevice;
use crate::error::{Error, Result};
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use std::sync::Arc;

/// How a call waits for the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// This thread polls the device.
    Blocking,
    /// Another thread does, and this one is free.
    Async,
}

/// A part of a buffer to read.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub buffer: wgpu::Buffer,
    pub bytes: u64,
}

/// The staging buffers of a session, reused from call to call.
#[derive(Debug, Default)]
pub(super) struct Staging {
    buffers: Vec<wgpu::Buffer>,
    /// Whether a call left them mapped: one whose future was dropped, or that failed.
    mapped: bool,
}

/// Where a region was copied to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    buffer: usize,
    offset: u64,
    bytes: u64,
}

impl Staging {
    /// Encodes copies of the regions into staging buffers of at most `limit` bytes each. Returns how many buffers were made.
    pub fn copy(
        &mut self,
        device: &GpuDevice,
        encoder: &mut wgpu::CommandEncoder,
        regions: &[Region],
    ) -> (Vec<Placed>, u64) {
        self.release();
        let mut placed = Vec::new();
        let mut sizes: Vec<u64> = Vec::new();
        for region in regions {
            match sizes.last_mut().filter(|size| **size + region.bytes <= device.limits.binding) {
                Some(size) => *size += region.bytes,
                None => sizes.push(region.bytes),
            }
            let buffer = sizes.len() - 1;
            placed.push(Placed { buffer, offset: sizes[buffer] - region.bytes, bytes: region.bytes });
        }
        let created = self.grow(device, &sizes);
        for (region, place) in regions.iter().zip(&placed) {
            encoder.copy_buffer_to_buffer(&region.buffer, 0, &self.buffers[place.buffer], place.offset, place.bytes);
        }
        (placed, created)
    }

    fn grow(&mut self, device: &GpuDevice, sizes: &[u64]) -> u64 {
        let mut created = 0;
        for (index, &size) in sizes.iter().enumerate() {
            if self.buffers.get(index).is_some_and(|buffer| buffer.size() >= size) {
                continue;
            }
            let buffer = device.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("birnn staging"),
                size,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            self.buffers.truncate(index);
            self.buffers.push(buffer);
            created += 1;
        }
        created
    }

    /// Waits until the submission is done and the regions can be read.
    pub async fn wait(
        &mut self,
        device: &Arc<GpuDevice>,
        placed: &[Placed],
        submission: wgpu::SubmissionIndex,
        wait: Wait,
    ) -> Result<()> {
        let used = placed.iter().map(|place| place.buffer + 1).max().unwrap_or(0);
        self.mapped = true;
        let mut receivers: Vec<OneshotReceiver<Result<(), wgpu::BufferAsyncError>>> = Vec::new();
        for (index, buffer) in self.buffers.iter().take(used).enumerate() {
            let end = placed.iter().filter(|place| place.buffer == index).map(|place| place.offset + place.bytes).max();
            let (sender, receiver) = oneshot_channel();
            buffer.map_async(wgpu::MapMode::Read, 0..end.unwrap_or(0), move |result| {
                // The receiver is gone where the future was dropped: nobody waits any more.
                let _ = sender.send(result);
            });
            receivers.push(receiver);
        }
        match wait {
            Wait::Blocking => poll(device, submission)?,
            Wait::Async => {
                let device = device.clone();
                let polled =
                    std::thread::Builder::new().name("birnn-poll".into()).spawn(move || poll(&device, submission));
                polled.map_err(|e| Error::OutOfMemory { what: format!("a thread to wait for the GPU: {e}") })?;
            }
        }
        for receiver in receivers {
            match receiver.receive().await {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(lost_or(device, error.to_string())),
                None => return Err(lost_or(device, "the driver dropped a readback".into())),
            }
        }
        device.check_lost()
    }

    /// Hands a region's bytes to `read`.
    pub fn read<T>(&self, device: &GpuDevice, place: Placed, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let range = place.offset..place.offset + place.bytes;
        let view = self.buffers[place.buffer].slice(range).get_mapped_range();
        let view = view.map_err(|e| lost_or(device, e.to_string()))?;
        Ok(read(&view))
    }

    /// Unmaps what a call has mapped.
    pub fn release(&mut self) {
        if std::mem::take(&mut self.mapped) {
            for buffer in &self.buffers {
                buffer.unmap();
            }
        }
    }
}

fn poll(device: &GpuDevice, submission: wgpu::SubmissionIndex) -> Result<()> {
    match device.device.poll(wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }) {
        Ok(_) => Ok(()),
        // The submission never reached the queue: wgpu takes none once the device is lost.
        Err(wgpu::PollError::WrongSubmissionIndex(..)) => {
            device.check_lost()?;
            Err(Error::DeviceLost { reason: "it takes no more work".into() })
        }
        Err(error) => Err(lost_or(device, error.to_string())),
    }
}

fn lost_or(device: &GpuDevice, message: String) -> Error {
    device.check_lost().err().unwrap_or(Error::Gpu(message))
}
