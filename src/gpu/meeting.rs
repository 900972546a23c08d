//! Opening a device; and finding out how many workgroups it runs side by side, where persistent
//! kernels are wanted: dispatches of more and more workgroups, in which all have to meet.

use super::device::GpuDevice;
use super::kernel::{Constants, Kernel, Meeting, Tiling, UNIFORM_BYTES};
use super::plan::footprint;
use super::weights::create_buffer;
use crate::device::{DeviceOptions, WantedAdapter};
use crate::error::Result;
use crate::runner::Wait;
use futures_intrusive::channel::shared::oneshot_channel;

/// The workgroups that are to meet, in a dispatch each; after the first that don't, none wait.
const MEETINGS: [u32; 25] = [
    2, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256,
    384, 512,
];
/// The bytes of the zeros that a meeting reads.
const ZEROS: u64 = 32 * 16;

/// Opens the best adapter that is wanted. One that won't open is passed over.
pub(crate) async fn open(options: &DeviceOptions, wanted: &WantedAdapter) -> Result<GpuDevice> {
    let device = GpuDevice::open(options, wanted).await?;
    find_residency(&device).await;
    Ok(device)
}

/// Finds out how many workgroups run side by side, where that is asked for and isn't known. Where
/// it can't be tried, there are no persistent kernels.
async fn find_residency(device: &GpuDevice) {
    let Some(residency) = device.residency.as_ref().filter(|known| known.seen().is_none()) else {
        return;
    };
    let workgroups = match meet(device, residency.looks).await {
        Ok(workgroups) => workgroups,
        Err(error) => {
            tracing::warn!(%error, "no persistent kernels: what runs side by side is unknown");
            0
        }
    };
    tracing::debug!(adapter = residency.adapter, workgroups, "workgroups side by side");
    residency.found(workgroups);
}

/// The most workgroups that met, of [`MEETINGS`]; 0: not even the fewest.
async fn meet(device: &GpuDevice, looks: u32) -> Result<usize> {
    let (invocations, bytes) = footprint(&device.limits);
    let tiling =
        Tiling { workgroup: invocations as u32, block: bytes as u32 / 16, ..Tiling::default() };
    let constants = Constants { tiling, ..Constants::default() };
    let (stride, count) = (device.uniform_stride, MEETINGS.len() as u64);
    // One that says that a meeting failed, and two for each.
    let counters_size = (4 * (1 + 2 * count)).next_multiple_of(16);
    let (sender, receiver) = oneshot_channel();
    let run = || {
        let (pipeline, _) = device.pipelines().get(&device.device, Kernel::Meeting, constants);
        let uniforms = create_buffer(device, count * stride, wgpu::BufferUsages::UNIFORM);
        let mut uniform_bytes = vec![0u8; (count * stride) as usize];
        for (number, &workgroups) in MEETINGS.iter().enumerate() {
            let meeting = Meeting { workgroups, first_counter: 1 + 2 * number as u32, looks };
            let start = number * stride as usize;
            uniform_bytes[start..start + size_of::<Meeting>()]
                .copy_from_slice(bytemuck::bytes_of(&meeting));
        }
        device.queue.write_buffer(&uniforms, 0, &uniform_bytes);
        let zeros = create_buffer(device, ZEROS, wgpu::BufferUsages::STORAGE);
        let counters = create_buffer(device, counters_size, wgpu::BufferUsages::STORAGE);
        let down = device.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("birnn meeting"),
            size: counters_size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let uniform = wgpu::BufferBinding {
            buffer: &uniforms,
            offset: 0,
            size: wgpu::BufferSize::new(UNIFORM_BYTES as u64),
        };
        let resources = [
            wgpu::BindingResource::Buffer(uniform),
            zeros.as_entire_binding(),
            counters.as_entire_binding(),
        ];
        let entries: Vec<_> = (0..)
            .zip(resources)
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
            .collect();
        let bind_group = device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("birnn meeting"),
            layout: &pipeline.layout,
            entries: &entries,
        });
        let mut encoder = device.device.create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline.pipeline);
        for (number, &workgroups) in MEETINGS.iter().enumerate() {
            pass.set_bind_group(0, &bind_group, &[number as u32 * stride as u32]);
            pass.dispatch_workgroups(workgroups, 1, 1);
        }
        drop(pass);
        encoder.copy_buffer_to_buffer(&counters, 0, &down, 0, counters_size);
        let submission = device.queue.submit([encoder.finish()]);
        down.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = sender.send(result); // nobody there: given up
        });
        Ok((down, submission))
    };
    let (down, submission) = device.checked("the meetings of workgroups", run).await?;
    device.wait_for_callbacks(submission, Wait::Async)?;
    match receiver.receive().await {
        Some(Ok(())) => {}
        Some(Err(error)) => return Err(device.lost_or(error.to_string())),
        None => return Err(device.lost_or("the driver dropped a readback".into())),
    }
    let view = down.slice(..).get_mapped_range();
    let view = view.map_err(|e| device.lost_or(e.to_string()))?;
    let counters: &[u32] = bytemuck::cast_slice(&view);
    Ok(most_that_met(counters))
}

/// The workgroups of the largest meeting before the first that failed, from what they counted.
fn most_that_met(counters: &[u32]) -> usize {
    let saw_all = counters[2..].iter().step_by(2);
    let met =
        MEETINGS.iter().zip(saw_all).take_while(|(workgroups, saw_all)| workgroups == saw_all);
    met.last().map_or(0, |(&workgroups, _)| workgroups as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meeting_counts_only_where_all_came_and_none_before_failed() {
        let counters = |saw_all: &[u32]| -> Vec<u32> {
            let all = saw_all.iter().flat_map(|&n| [n, n]);
            [0].into_iter().chain(all).collect()
        };
        assert_eq!(most_that_met(&counters(&[2, 4, 6, 8])), 8);
        assert_eq!(most_that_met(&counters(&[2, 4, 5, 8])), 4);
        assert_eq!(most_that_met(&counters(&[1, 4, 6])), 0);
        assert_eq!(most_that_met(&counters(&[2, 4, 0, 8])), 4);
    }
}
