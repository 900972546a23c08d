//! Commands: a plan's dispatches, in as many submits as their work asks for.

use super::device::GpuDevice;
use super::pace::Pace;
use super::pipelines::Pipeline;
use super::plan::{EXCHANGE_HEAD, Launch, Plan, Stage};
use super::stamps::Stamps;
use super::timer::Timer;
use crate::runner::Counters;

/// What launching counts for in that sum, and what a byte of weights does, which every dispatch
/// reads once: 40 GB/s.
const DISPATCH_FLOPS: u64 = 100_000;
const FLOPS_A_WEIGHT_BYTE: u64 = 5;
/// A call of many dispatches submits so many of them first: the GPU works on these while the others
/// are written.
const HEAD_START: u64 = 64;

/// The work of the submit that is being written.
#[derive(Debug)]
struct Meter {
    work: u64,
    most: u64,
}

impl Meter {
    /// Adds a dispatch; `true`: to the next submit, as this one has enough.
    fn add(&mut self, cost: u64) -> bool {
        let full = self.work > 0 && self.work + cost > self.most;
        self.work = if full { cost } else { self.work + cost };
        full
    }
}

/// A stage with what it binds.
#[derive(Debug)]
pub(super) struct PreparedStage {
    pub pipeline: Pipeline,
    pub bind_group: wgpu::BindGroup,
    /// Where its uniform stands in the uniform buffer.
    pub offset: u32,
    /// What a dispatch counts for, in flops.
    cost: u64,
}

impl PreparedStage {
    /// `weights`: the bytes of weights that it reads.
    pub fn new(
        stage: &Stage,
        weights: u64,
        pipeline: Pipeline,
        bind_group: wgpu::BindGroup,
        offset: u32,
    ) -> Self {
        PreparedStage { pipeline, bind_group, offset, cost: cost(stage.flops, weights) }
    }
}

fn cost(flops: u64, weights: u64) -> u64 {
    DISPATCH_FLOPS + flops.max(weights.saturating_mul(FLOPS_A_WEIGHT_BYTE))
}

/// Commands being written.
pub(super) struct Encoding<'a> {
    device: &'a GpuDevice,
    step_table: &'a wgpu::BindGroup,
    timer: Option<&'a Timer>,
    /// Where the call is profiled: each launch is a pass of its own.
    pub stamps: Option<&'a mut Stamps>,
    /// The launch that is being written.
    at: usize,
    encoder: wgpu::CommandEncoder,
    pass: Option<wgpu::ComputePass<'static>>,
    /// Whether a pass was begun, so that the timer runs.
    begun: bool,
    meter: Meter,
    /// The dispatches of the first submit, where there are to be more.
    head_start: Option<u64>,
    counters: &'a mut Counters,
}

impl<'a> Encoding<'a> {
    pub fn new(
        device: &'a GpuDevice,
        step_table: &'a wgpu::BindGroup,
        timer: Option<&'a Timer>,
        pace: &Pace,
        counters: &'a mut Counters,
    ) -> Encoding<'a> {
        let encoder = device.device.create_command_encoder(&Default::default());
        let meter = Meter { work: 0, most: pace.flops() };
        Encoding {
            device,
            step_table,
            timer,
            stamps: None,
            at: 0,
            encoder,
            pass: None,
            begun: false,
            meter,
            head_start: None,
            counters,
        }
    }

    /// Copies to do before the first dispatch.
    pub fn copy(&mut self, from: &wgpu::Buffer, offset: u64, to: &wgpu::Buffer, bytes: u64) {
        self.encoder.copy_buffer_to_buffer(from, offset, to, 0, bytes);
    }

    /// The launches of a plan; `exchange`: what its persistent kernels exchange.
    pub fn launches(
        &mut self,
        plan: &Plan,
        prepared: &[Vec<PreparedStage>],
        exchange: Option<&wgpu::Buffer>,
    ) {
        if let Some(exchange) = exchange {
            self.zero(exchange, 0, EXCHANGE_HEAD);
        }
        let dispatches: usize =
            plan.launches.iter().map(|l| l.stages.len() * l.steps.unwrap_or(1)).sum();
        self.head_start =
            (dispatches as u64 >= 4 * HEAD_START).then_some(self.counters.dispatches + HEAD_START);
        for (index, (launch, stages)) in plan.launches.iter().zip(prepared).enumerate() {
            if let (Some(exchange), 1..) = (exchange, launch.exchanged) {
                self.zero(exchange, EXCHANGE_HEAD, launch.exchanged);
            }
            self.at = index;
            if self.stamps.is_some() {
                self.pass = None;
            }
            self.launch(launch, stages);
        }
    }

    /// Writes zeros before what is encoded next.
    fn zero(&mut self, buffer: &wgpu::Buffer, offset: u64, bytes: u64) {
        self.pass = None;
        self.encoder.clear_buffer(buffer, offset, Some(bytes));
    }

    fn launch(&mut self, launch: &Launch, stages: &[PreparedStage]) {
        let mut bound = None;
        for step in 0..launch.steps.unwrap_or(1) {
            for (index, (stage, prepared)) in launch.stages.iter().zip(stages).enumerate() {
                let (table, stride) = (self.step_table, self.device.uniform_stride as u32);
                let ahead =
                    self.head_start.take_if(|last| *last == self.counters.dispatches).is_some();
                if self.meter.add(prepared.cost) || ahead {
                    self.submit();
                    bound = None; // a new pass knows nothing of the last
                }
                let pass = self.pass();
                if bound != Some(index) {
                    pass.set_pipeline(&prepared.pipeline.pipeline);
                    pass.set_bind_group(0, &prepared.bind_group, &[prepared.offset]);
                    bound = Some(index);
                }
                if launch.steps.is_some() {
                    pass.set_bind_group(1, table, &[step as u32 * stride]);
                }
                let [x, y, z] = stage.workgroups;
                pass.dispatch_workgroups(x, y, z);
                self.counters.dispatches += 1;
                self.counters.persistent_dispatches += u64::from(stage.kernel.is_persistent());
                self.stamps.as_mut().into_iter().for_each(|stamps| stamps.count());
            }
        }
    }

    fn pass(&mut self) -> &mut wgpu::ComputePass<'static> {
        let begun = std::mem::replace(&mut self.begun, true);
        self.pass.get_or_insert_with(|| {
            let of_call = self.timer.map(|timer| wgpu::ComputePassTimestampWrites {
                query_set: &timer.queries,
                beginning_of_pass_write_index: (!begun).then_some(0),
                end_of_pass_write_index: Some(1),
            });
            let timestamp_writes = match &mut self.stamps {
                Some(stamps) => stamps.begin(&self.device.device, self.at),
                None => of_call,
            };
            let descriptor = wgpu::ComputePassDescriptor { label: Some("birnn"), timestamp_writes };
            self.encoder.begin_compute_pass(&descriptor).forget_lifetime()
        })
    }

    fn submit(&mut self) {
        self.pass = None; // which ends it: an encoder with an open pass can't be finished
        let next = self.device.device.create_command_encoder(&Default::default());
        self.device.queue.submit([std::mem::replace(&mut self.encoder, next).finish()]);
        self.counters.submits += 1;
    }

    /// Ends the pass, adds what `last` encodes, and submits.
    pub fn finish(mut self, last: impl FnOnce(&mut wgpu::CommandEncoder)) -> wgpu::SubmissionIndex {
        self.pass = None;
        if let Some(stamps) = &mut self.stamps {
            stamps.resolve(self.device, &mut self.encoder);
        } else if let (Some(timer), true) = (self.timer, self.begun) {
            self.encoder.resolve_query_set(&timer.queries, 0..2, &timer.resolved, 0);
        }
        last(&mut self.encoder);
        self.counters.submits += 1;
        self.device.queue.submit([self.encoder.finish()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_submit_has_more_than_the_pace_allows() {
        let mut meter = Meter { work: 0, most: 100 };
        let costs = [30, 40, 30, 1, 99, 250, 10, 10];
        // What is too much for a submit is one of its own; all else fills them up.
        let cut: Vec<bool> = costs.iter().map(|&cost| meter.add(cost)).collect();
        assert_eq!(cut, [false, false, false, true, false, true, true, false]);
    }

    #[test]
    fn a_dispatch_counts_its_flops_or_the_weights_that_it_reads() {
        assert_eq!(cost(5_000_000, 100), DISPATCH_FLOPS + 5_000_000);
        // A step of a batch of one: two flops for each weight of four bytes.
        assert_eq!(cost(2_000_000, 4_000_000), DISPATCH_FLOPS + 20_000_000);
    }
}
