//! How long the GPU works on each launch of a call: timestamps around passes.

use super::device::GpuDevice;
use super::weights::create_buffer;
use crate::error::Result;
use crate::runner::Wait;
use futures_intrusive::channel::shared::oneshot_channel;

/// The most queries that a set may have, of two each pass.
const QUERIES: u32 = wgpu::QUERY_SET_MAX_QUERIES;
const PASSES: usize = QUERIES as usize / 2;
const STAMP_BYTES: u64 = 8;

/// A pass, which has dispatches of one launch alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    /// The launch's place in the plan.
    pub launch: usize,
    pub dispatches: usize,
}

/// The timestamps of the beginning and the end of each pass of a part of a call.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    /// Each has the stamps of `PASSES` passes, the last of those that are left.
    sets: Vec<wgpu::QuerySet>,
    passes: Vec<Pass>,
    /// All stamps, to be mapped.
    stamps: Option<wgpu::Buffer>,
}

impl Stamps {
    /// The next pass.
    pub fn begin(
        &mut self,
        device: &wgpu::Device,
        launch: usize,
    ) -> Option<wgpu::ComputePassTimestampWrites<'_>> {
        let place = self.passes.len() % PASSES;
        if place == 0 {
            self.sets.push(device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("birnn profile"),
                ty: wgpu::QueryType::Timestamp,
                count: QUERIES,
            }));
        }
        self.passes.push(Pass { launch, dispatches: 0 });
        self.sets.last().map(|query_set| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(2 * place as u32),
            end_of_pass_write_index: Some(2 * place as u32 + 1),
        })
    }

    /// A dispatch of the pass that was begun last.
    pub fn count(&mut self) {
        self.passes.last_mut().into_iter().for_each(|pass| pass.dispatches += 1);
    }

    /// Copies all stamps to where they can be read.
    pub fn resolve(&mut self, device: &GpuDevice, encoder: &mut wgpu::CommandEncoder) {
        if self.passes.is_empty() {
            return;
        }
        let bytes = 2 * self.passes.len() as u64 * STAMP_BYTES;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = create_buffer(device, bytes, usage);
        for (index, (set, passes)) in self.sets.iter().zip(self.passes.chunks(PASSES)).enumerate() {
            let offset = (index * PASSES * 2) as u64 * STAMP_BYTES;
            encoder.resolve_query_set(set, 0..2 * passes.len() as u32, &resolved, offset);
        }
        let stamps = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("birnn profile"),
            size: bytes,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        encoder.copy_buffer_to_buffer(&resolved, 0, &stamps, 0, bytes);
        self.stamps = Some(stamps);
    }

    /// Each pass with its beginning and its end, in ticks of the GPU's clock, once the
    /// submission with `resolve` is done.
    pub async fn read(
        &self,
        device: &GpuDevice,
        submission: wgpu::SubmissionIndex,
        wait: Wait,
    ) -> Result<Vec<(Pass, [u64; 2])>> {
        let Some(buffer) = &self.stamps else { return Ok(Vec::new()) };
        let (sender, receiver) = oneshot_channel();
        buffer.slice(..).map_async(wgpu::MapMode::Read, move |result| {
            // The receiver is gone where the call was dropped: nobody waits any more.
            let _ = sender.send(result);
        });
        device.wait_for_callbacks(submission, wait)?;
        match receiver.receive().await {
            Some(Ok(())) => {}
            Some(Err(error)) => return Err(device.lost_or(error.to_string())),
            None => return Err(device.lost_or("the driver dropped timestamps".into())),
        }
        let view = buffer.slice(..).get_mapped_range();
        let view = view.map_err(|error| device.lost_or(error.to_string()))?;
        let stamps: &[[u64; 2]] = bytemuck::cast_slice(&view);
        Ok(self.passes.iter().copied().zip(stamps.iter().copied()).collect())
    }
}
