//! What a session has on the device: weights, buffers, and of the shapes that ran before the plans
//! with everything they bind.

use super::device::GpuDevice;
use super::encode::{Encoding, PreparedStage};
use super::kernel::UNIFORM_BYTES;
use super::pace::Pace;
use super::pipelines::Pipeline;
use super::plan::{ArrayLayout, BufferId, Placed, Plan, Stage, Weight};
use super::readback::{Readback, Segment};
use super::timer::Timer;
use super::weights::{create_buffer, upload};
use crate::error::{Error, Result};
use crate::model::{CallShape, Model};
use crate::runner::Counters;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many shapes are kept ready; above it all are dropped, so that a caller with ever new shapes
/// doesn't fill memory.
const PREPARED_SHAPES: usize = 16;

#[derive(Debug)]
pub(super) struct Workspace {
    pub device: Arc<GpuDevice>,
    weights: HashMap<Weight, wgpu::Buffer>,
    /// All buffers but the weights. A buffer only ever grows.
    buffers: HashMap<BufferId, wgpu::Buffer>,
    /// Of the shapes that ran before.
    prepared: HashMap<CallShape, Arc<Prepared>>,
    pub step_table: wgpu::BindGroup,
    pub timer: Option<Timer>,
    pub counters: Counters,
    pub turn: Turn,
}

/// Held while a call's commands are submitted, which may take several submits: nothing else of the
/// session may come between them, as a part of an earlier call that runs again, for all work in the
/// same buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

impl Turn {
    pub fn take(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A plan with its pipelines, bind groups and uniforms.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    /// For each launch of the plan, for each stage.
    pub launches: Vec<Vec<PreparedStage>>,
    pub readback: Arc<Readback>,
    pub pace: Arc<Pace>,
    /// What the workgroups of persistent kernels hand on to each other, where there are such
    /// kernels; its first word says that one of them waited in vain.
    pub exchange: Option<wgpu::Buffer>,
    /// What runs in its place then: the same without them, from the same inputs to the same
    /// outputs.
    pub instead: Option<Arc<Prepared>>,
}

impl Prepared {
    /// Encodes its launches.
    pub fn encode(&self, encoding: &mut Encoding<'_>) {
        encoding.launches(&self.plan, &self.launches, self.exchange.as_ref());
    }
}

impl Workspace {
    pub async fn new(device: Arc<GpuDevice>) -> Result<Workspace> {
        let step_table = device.step_table().await?;
        let timer = (device.timestamps && device.gpu_time).then(|| Timer::new(&device.device));
        Ok(Workspace {
            device,
            weights: HashMap::new(),
            buffers: HashMap::new(),
            prepared: HashMap::new(),
            step_table,
            timer,
            counters: Counters::default(),
            turn: Turn::default(),
        })
    }

    /// Uploads the weights of a plan that no plan before it had.
    pub fn upload_weights(&mut self, model: &Model, plan: &Plan) -> Result<()> {
        let known = self.weights.len();
        for weight in &plan.weights {
            if !self.weights.contains_key(weight) {
                let buffer = upload(&self.device, model, weight)?;
                self.weights.insert(weight.clone(), buffer);
            }
        }
        if self.weights.len() > known {
            // wgpu keeps a copy of what was written until the next submit, which a session that is
            // never called doesn't make.
            self.device.queue.submit([]);
        }
        Ok(())
    }

    pub fn pipeline(&mut self, stage: &Stage) -> Pipeline {
        let (pipeline, built) =
            self.device.pipelines().get(&self.device.device, stage.kernel, stage.constants);
        self.counters.pipelines_created += u64::from(built);
        pipeline
    }

    /// What was prepared for calls of this shape.
    pub fn prepared(&self, call: &CallShape) -> Option<Arc<Prepared>> {
        self.prepared.get(call).cloned()
    }

    /// Makes a plan ready to run, and keeps it for further calls of this shape. `instead`: what
    /// runs where workgroups wait in vain.
    pub fn prepare(
        &mut self,
        model: &Model,
        call: CallShape,
        plan: Plan,
        instead: Option<Plan>,
    ) -> Result<Arc<Prepared>> {
        // Both bind the same buffers, which mustn't grow in between.
        [Some(&plan), instead.as_ref()].into_iter().flatten().for_each(|p| self.grow_buffers(p));
        let instead = instead.map(|plan| self.bind(model, plan)).transpose()?.map(Arc::new);
        let prepared = Arc::new(Prepared { instead, ..self.bind(model, plan)? });
        if self.prepared.len() >= PREPARED_SHAPES {
            self.prepared.clear();
        }
        self.prepared.insert(call, prepared.clone());
        Ok(prepared)
    }

    /// Drops all buffers but the weights, and what binds them: some may be invalid where the driver
    /// had no memory for them.
    pub fn drop_buffers(&mut self) {
        self.prepared.clear();
        self.buffers.clear();
    }

    fn grow_buffers(&mut self, plan: &Plan) {
        for (&id, &bytes) in &plan.buffers {
            if self.buffers.get(&id).is_none_or(|buffer| buffer.size() < bytes) {
                let buffer = create_buffer(&self.device, bytes, wgpu::BufferUsages::STORAGE);
                // What was bound before refers to the smaller buffer.
                self.prepared.clear();
                self.buffers.insert(id, buffer);
                self.counters.buffers_created += 1;
            }
        }
    }

    /// The plan with its pipelines, bind groups and uniforms, in buffers that are large enough.
    pub fn bind(&mut self, model: &Model, plan: Plan) -> Result<Prepared> {
        self.grow_buffers(&plan);
        self.upload_weights(model, &plan)?;
        let stride = self.device.uniform_stride;
        let count = plan.launches.iter().map(|launch| launch.stages.len()).sum::<usize>() as u64;
        let uniforms = create_buffer(&self.device, count * stride, wgpu::BufferUsages::UNIFORM);
        self.counters.buffers_created += 1;
        let mut bytes = vec![0u8; (count * stride) as usize];
        let mut offset = 0;
        let mut launches = Vec::new();
        for launch in &plan.launches {
            let mut stages = Vec::new();
            for stage in &launch.stages {
                let uniform = &stage.uniform.bytes;
                bytes[offset..offset + uniform.len()].copy_from_slice(uniform);
                stages.push(self.bind_stage(&plan, stage, &uniforms, offset as u32)?);
                offset += stride as usize;
            }
            launches.push(stages);
        }
        self.device.queue.write_buffer(&uniforms, 0, &bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
        let timer = self.timer.as_ref().map(|timer| timer.resolved.clone());
        let exchange = match plan.has_persistent() {
            true => Some(self.buffer(&plan, BufferId::Exchange)?.clone()),
            false => None,
        };
        let limit = self.device.limits.binding;
        let readback = Readback::new(self.segments(&plan)?, timer, exchange.clone(), limit);
        let (readback, pace) = (Arc::new(readback), Arc::new(Pace::of(self.device.info.kind)));
        Ok(Prepared { plan, launches, readback, pace, exchange, instead: None })
    }

    /// The segments of the outputs.
    fn segments(&self, plan: &Plan) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for (output, Placed { layout, buffers, .. }) in plan.outputs.iter().enumerate() {
            for (segment, &buffer) in buffers.iter().enumerate() {
                segments.push(Segment {
                    output,
                    buffer: self.buffer(plan, buffer)?.clone(),
                    bytes: layout.segment_bytes(segment),
                    times: segment_times(layout, segment),
                    features_padded: layout.features_padded,
                });
            }
        }
        Ok(segments)
    }

    /// A buffer that a plan asked for.
    pub fn buffer(&self, plan: &Plan, id: BufferId) -> Result<&wgpu::Buffer> {
        let found = match id {
            BufferId::Weight(index) => self.weights.get(&plan.weights[index]),
            _ => self.buffers.get(&id),
        };
        found.ok_or_else(|| Error::Gpu(format!("there is no buffer for {id:?}")))
    }

    fn bind_stage(
        &mut self,
        plan: &Plan,
        stage: &Stage,
        uniforms: &wgpu::Buffer,
        offset: u32,
    ) -> Result<PreparedStage> {
        let pipeline = self.pipeline(stage);
        let uniform = wgpu::BufferBinding {
            buffer: uniforms,
            offset: 0,
            size: wgpu::BufferSize::new(UNIFORM_BYTES as u64),
        };
        let mut entries = vec![wgpu::BindGroupEntry {
            binding: 0,
            resource: wgpu::BindingResource::Buffer(uniform),
        }];
        let mut weights = 0;
        for (index, &id) in stage.buffers.iter().enumerate() {
            let buffer = self.buffer(plan, id)?;
            weights += weights_read(plan, stage, id, buffer.size());
            entries.push(wgpu::BindGroupEntry {
                binding: index as u32 + 1,
                resource: buffer.as_entire_binding(),
            });
        }
        let bind_group = self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(stage.kernel.name()),
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.counters.bind_groups_created += 1;
        Ok(PreparedStage::new(stage, weights, pipeline, bind_group, offset))
    }
}

/// The bytes of weights that a stage reads of a buffer: of a stack's, those of the layers at work.
fn weights_read(plan: &Plan, stage: &Stage, id: BufferId, bytes: u64) -> u64 {
    let BufferId::Weight(index) = id else { return 0 };
    match &plan.weights[index] {
        Weight::Recurrent(weight) if weight.part.is_recurrent() => {
            bytes / weight.directions.len() as u64 * u64::from(stage.directions())
        }
        _ => bytes,
    }
}

/// The timesteps of a segment, where there is more than one.
pub(super) fn segment_times(layout: &ArrayLayout, segment: usize) -> Option<Range<usize>> {
    let first = segment * layout.segment;
    (layout.segments() > 1).then(|| first..first + layout.segment_timesteps(segment))
}
