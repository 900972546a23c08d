//! What is noted of a call while it is profiled.

use super::device::GpuDevice;
use super::stamps::Stamps;
use super::workspace::Prepared;
use crate::error::Result;
use crate::host::Instant;
use crate::profile::{Recorder, Track, Work};
use crate::runner::Wait;
use std::sync::Arc;
use std::time::Duration;

/// A call that is profiled.
#[derive(Debug)]
pub(super) struct Recording<'a> {
    pub recorder: &'a mut Recorder,
    parts: Vec<Part>,
}

/// A part of the batch.
#[derive(Debug)]
struct Part {
    prepared: Arc<Prepared>,
    stamps: Stamps,
    submission: wgpu::SubmissionIndex,
    /// When the host began to submit it.
    began: Instant,
}

impl Recording<'_> {
    pub fn new(recorder: &mut Recorder) -> Recording<'_> {
        Recording { recorder, parts: Vec::new() }
    }

    pub fn push(
        &mut self,
        prepared: &Arc<Prepared>,
        stamps: Stamps,
        submission: wgpu::SubmissionIndex,
        began: Instant,
    ) {
        let prepared = prepared.clone();
        self.parts.push(Part { prepared, stamps, submission, began });
    }

    /// Tells the recorder of the launches of all parts, which are done. Returns how long the GPU
    /// worked, from the first launch of each part to its last.
    pub async fn finish(self, device: &GpuDevice, wait: Wait) -> Result<Duration> {
        let (now, mut worked) = (self.recorder.now(), Duration::ZERO);
        let Some(first) = self.parts.first().map(|part| part.began) else { return Ok(worked) };
        // The GPU's clock and the host's have no moment in common but this.
        let origin = now.saturating_sub(first.elapsed());
        // Ticks count from long ago: as f64 their difference is exact, they themselves aren't.
        let period = f64::from(device.queue.get_timestamp_period());
        let between = |from: u64, to: u64| {
            Duration::from_nanos((to.saturating_sub(from) as f64 * period) as u64)
        };
        let mut earliest = None;
        for part in &self.parts {
            let passes = part.stamps.read(device, part.submission.clone(), wait).await?;
            if let (Some((_, [begin, _])), Some((_, [_, end]))) = (passes.first(), passes.last()) {
                worked += between(*begin, *end);
            }
            for (pass, [begin, end]) in passes {
                let earliest = *earliest.get_or_insert(begin);
                let start = origin + between(earliest, begin);
                let plan = &part.prepared.plan;
                let launch = &plan.launches[pass.launch];
                let work = &plan.works[launch.work];
                let kernels: Vec<_> =
                    launch.stages.iter().map(|stage| stage.kernel.name()).collect();
                self.recorder.note(
                    Work {
                        track: Track::Gpu,
                        layer: &work.layer,
                        operator: work.operator,
                        kernel: &kernels.join(" + "),
                        shape: &work.shape,
                        launches: pass.dispatches,
                    },
                    start,
                    between(begin, end),
                );
            }
        }
        Ok(worked)
    }
}
