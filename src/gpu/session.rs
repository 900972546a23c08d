//! A model on a GPU: weights uploaded once, buffers and bind groups kept for the shapes that ran before.

use super::device::GpuDevice;
use super::kernels::Pipeline;
use super::network::{Group, WeightPart, lower, recurrent_of};
use super::parameters::pack;
use super::plan::{BufferId, CallShape, Limits, PARAMETERS, Plan, STEP_TABLE, Stage, plan, rows_at_once};
use super::readback::{Placed, Region, Staging, Wait};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::{Bound, Model, Output, Outputs};
use crate::session::Counters;
use ndarray::{ArrayViewD, Axis, IxDyn, Slice};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// How many shapes are kept ready; above it all are dropped, so that a caller with ever new shapes doesn't fill memory.
const PREPARED_SHAPES: usize = 16;
/// The work of one submit, so that drivers don't take a long sequence for a hang: about 0.1 s of 10 GFLOP/s
/// (a software adapter) or 200 GFLOP/s (any GPU).
const SUBMIT_FLOPS_SOFTWARE: u64 = 1_000_000_000;
const SUBMIT_FLOPS: u64 = 20_000_000_000;
/// What launching counts for in that sum.
const DISPATCH_FLOPS: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct GpuSession {
    device: Arc<GpuDevice>,
    groups: Vec<Vec<Group>>,
    /// Weights and scratch. A buffer only ever grows.
    buffers: HashMap<BufferId, wgpu::Buffer>,
    step_table: wgpu::BindGroup,
    prepared: HashMap<CallShape, Arc<Prepared>>,
    /// The rows whose states stateful layers hold from the last call.
    carried: Option<usize>,
    staging: Staging,
    upload: Vec<f32>,
    counters: Counters,
}

/// A plan with its pipelines, bind groups and parameters.
#[derive(Debug)]
struct Prepared {
    plan: Plan,
    /// For each launch of the plan, for each stage.
    launches: Vec<Vec<PreparedStage>>,
}

#[derive(Debug)]
struct PreparedStage {
    pipeline: Pipeline,
    bind_group: wgpu::BindGroup,
    /// Where its parameters stand in the uniform buffer.
    offset: u32,
}

impl GpuSession {
    pub fn new(model: &Model, device: Arc<GpuDevice>) -> Result<GpuSession> {
        let groups = lower(model, &device.limits)?;
        model.check_weights()?; // after the limits: a layer that can't run needs no weights first
        let (step_table, buffers) = device.checked("the weights", || {
            let step_table = create_step_table(&device);
            Ok((step_table, upload_weights(model, &groups, &device)))
        })?;
        let mut session = GpuSession {
            device,
            groups,
            buffers,
            step_table,
            prepared: HashMap::new(),
            carried: None,
            staging: Staging::default(),
            upload: Vec::new(),
            counters: Counters::default(),
        };
        session.build_pipelines(model)?;
        Ok(session)
    }

    /// Builds the kernels now, from the plans of a small and a larger batch, so that no call has to.
    fn build_pipelines(&mut self, model: &Model) -> Result<()> {
        let Some(shapes) = smallest_shapes(model) else { return Ok(()) };
        // Only the kernels of these plans are of interest, not whether their buffers would fit.
        let limits = Limits { binding: u64::MAX, ..self.device.limits };
        for rows in [1, 5] {
            let given = model.nodes.iter().map(|node| no_states(model, node.layer)).collect();
            let call = CallShape {
                rows,
                shapes: shapes.clone(),
                given,
                masks: vec![false; model.inputs.len()],
                carried: false,
            };
            let plan = plan(model, &self.groups, &call, &limits)?;
            let device = self.device.clone();
            device.checked("the kernels", || {
                for stage in plan.launches.iter().flat_map(|launch| &launch.stages) {
                    self.pipeline(stage);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn pipeline(&mut self, stage: &Stage) -> Pipeline {
        let (pipeline, built) = self.device.pipelines().get(&self.device.device, stage.kernel, stage.constants);
        self.counters.pipelines_created += u64::from(built);
        pipeline
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Stateful layers start from zeros again.
    pub fn reset_states(&mut self) {
        self.carried = None;
    }

    pub fn run(&mut self, model: &Model, inputs: &Bound<'_, f32>) -> Result<Outputs> {
        pollster::block_on(self.execute(model, inputs, Wait::Blocking))
    }

    pub async fn run_async(&mut self, model: &Model, inputs: &Bound<'_, f32>) -> Result<Outputs> {
        self.execute(model, inputs, Wait::Async).await
    }

    async fn execute(&mut self, model: &Model, inputs: &Bound<'_, f32>, wait: Wait) -> Result<Outputs> {
        self.counters = Counters::default();
        let mut outputs = allocate_outputs(model, inputs)?;
        let rows = rows_at_once(model, &self.groups, inputs.batch, &inputs.shapes, &self.device.limits);
        if model.is_stateful() && rows < inputs.batch {
            return Err(Error::Limit {
                what: format!("the states of {} rows of stateful layers", inputs.batch),
                needed: inputs.batch as u64,
                limit: "rows at a time",
                allowed: rows as u64,
                instead: "raise DeviceOptions::memory_budget, or use a session for each part of the batch",
            });
        }
        let carried = self.carried.take(); // lost where the call fails
        for first in (0..inputs.batch).step_by(rows) {
            let part = first..(first + rows).min(inputs.batch);
            let device = self.device.clone();
            let (prepared, submission, placed) =
                device.checked("a call", || self.start(model, inputs, part.clone(), carried.is_some()))?;
            let waited = self.staging.wait(&device, &placed, submission, wait).await;
            let read = waited.and_then(|()| self.finish(model, &prepared.plan, &placed, part, &mut outputs));
            self.staging.release();
            read?;
        }
        self.carried = model.is_stateful().then_some(inputs.batch);
        Ok(Outputs::new(outputs))
    }

    /// Uploads a part of the batch and submits its work.
    fn start(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        part: Range<usize>,
        carried: bool,
    ) -> Result<(Arc<Prepared>, wgpu::SubmissionIndex, Vec<Placed>)> {
        let prepared = self.prepare(model, inputs, part.len(), carried)?;
        self.upload(model, inputs, &prepared.plan, part);
        let (submission, placed) = self.submit(model, &prepared);
        Ok((prepared, submission, placed))
    }

    /// The plan for this shape with everything it binds; made once.
    fn prepare(&mut self, model: &Model, inputs: &Bound<'_, f32>, rows: usize, carried: bool) -> Result<Arc<Prepared>> {
        let key = CallShape {
            rows,
            shapes: inputs.shapes.clone(),
            given: inputs.states.iter().map(|states| states.iter().map(Option::is_some).collect()).collect(),
            masks: inputs.masks.iter().map(Option::is_some).collect(),
            carried,
        };
        if let Some(prepared) = self.prepared.get(&key) {
            return Ok(prepared.clone());
        }
        let plan = plan(model, &self.groups, &key, &self.device.limits)?;
        self.grow_buffers(&plan);
        let prepared = Arc::new(self.bind(plan));
        if self.prepared.len() >= PREPARED_SHAPES {
            self.prepared.clear();
        }
        self.prepared.insert(key, prepared.clone());
        Ok(prepared)
    }

    fn grow_buffers(&mut self, plan: &Plan) {
        for (&id, &bytes) in &plan.buffers {
            if self.buffers.get(&id).is_none_or(|buffer| buffer.size() < bytes) {
                // What was bound before refers to the smaller buffer.
                self.prepared.clear();
                self.buffers.insert(id, create_buffer(&self.device, bytes, wgpu::BufferUsages::STORAGE));
                self.counters.buffers_created += 1;
            }
        }
    }

    fn bind(&mut self, plan: Plan) -> Prepared {
        let stride = self.device.uniform_stride;
        let count = plan.launches.iter().map(|launch| launch.stages.len()).sum::<usize>() as u64;
        let parameters = create_buffer(&self.device, count * stride, wgpu::BufferUsages::UNIFORM);
        self.counters.buffers_created += 1;
        let mut bytes = vec![0u8; (count * stride) as usize];
        let mut offset = 0;
        let mut launches = Vec::new();
        for launch in &plan.launches {
            let mut stages = Vec::new();
            for stage in &launch.stages {
                bytes[offset..offset + 4 * PARAMETERS].copy_from_slice(bytemuck::cast_slice(&stage.parameters));
                stages.push(self.bind_stage(stage, &parameters, offset as u32));
                offset += stride as usize;
            }
            launches.push(stages);
        }
        self.device.queue.write_buffer(&parameters, 0, &bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
        Prepared { plan, launches }
    }

    fn bind_stage(&mut self, stage: &Stage, parameters: &wgpu::Buffer, offset: u32) -> PreparedStage {
        let pipeline = self.pipeline(stage);
        let uniform =
            wgpu::BufferBinding { buffer: parameters, offset: 0, size: wgpu::BufferSize::new(4 * PARAMETERS as u64) };
        let mut entries = vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(uniform) }];
        for (index, id) in stage.buffers.iter().enumerate() {
            if let Some(buffer) = self.buffers.get(id) {
                entries.push(wgpu::BindGroupEntry { binding: index as u32 + 1, resource: buffer.as_entire_binding() });
            }
        }
        let bind_group = self.device.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(stage.kernel.name()),
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.counters.bind_groups_created += 1;
        PreparedStage { pipeline, bind_group, offset }
    }

    /// Sends the rows of the inputs, their masks and the given initial states.
    fn upload(&mut self, model: &Model, inputs: &Bound<'_, f32>, plan: &Plan, part: Range<usize>) {
        let rows = Slice::from(part);
        for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
            let layout = plan.tensors[input.tensor];
            let array = array.slice_axis(Axis(0), rows);
            for segment in 0..layout.segments() {
                let first = segment * layout.segment;
                let times = Slice::from(first..first + layout.segment_timesteps(segment));
                let array = if layout.segments() > 1 { array.slice_axis(Axis(1), times) } else { array.view() };
                self.upload_array(BufferId::Tensor { tensor: input.tensor, segment }, array);
            }
        }
        for (mask, given) in plan.given_masks.iter().zip(&inputs.masks) {
            if let (Some(mask), Some(given)) = (*mask, given) {
                let numbers = given.slice_axis(Axis(0), rows).mapv(|counts| f32::from(u8::from(counts))).into_dyn();
                self.upload_array(BufferId::Mask(mask), numbers.view());
            }
        }
        for (node, states) in inputs.states.iter().enumerate() {
            for (index, state) in states.iter().enumerate() {
                if let Some(state) = state {
                    let state = state.view().into_dyn();
                    self.upload_array(BufferId::State { node, index }, state.slice_axis(Axis(0), rows));
                }
            }
        }
    }

    /// Sends an array, its last axis filled up to a multiple of 4 with zeros.
    fn upload_array(&mut self, id: BufferId, array: ArrayViewD<'_, f32>) {
        let Some(buffer) = self.buffers.get(&id) else { return };
        let features = array.len_of(Axis(array.ndim() - 1));
        let values = match array.as_slice() {
            Some(values) if features.is_multiple_of(4) => values,
            _ => {
                self.upload.clear();
                for lane in array.lanes(Axis(array.ndim() - 1)) {
                    self.upload.extend(lane);
                    self.upload.resize(self.upload.len().next_multiple_of(4), 0.0);
                }
                &self.upload
            }
        };
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.device.queue.write_buffer(buffer, 0, bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
    }

    /// Encodes and submits the launches, in as many submits as their work asks for, and the copies to staging.
    fn submit(&mut self, model: &Model, prepared: &Prepared) -> (wgpu::SubmissionIndex, Vec<Placed>) {
        let software = self.device.info.kind == crate::DeviceKind::SoftwareGpu;
        let mut encoding = Encoding {
            device: self.device.clone(),
            step_table: &self.step_table,
            pass: None,
            work: 0,
            most: if software { SUBMIT_FLOPS_SOFTWARE } else { SUBMIT_FLOPS },
            counters: &mut self.counters,
        };
        for (launch, stages) in prepared.plan.launches.iter().zip(&prepared.launches) {
            for step in 0..launch.steps.unwrap_or(1) {
                for (stage, prepared) in launch.stages.iter().zip(stages) {
                    encoding.dispatch(stage, prepared, launch.steps.map(|_| step));
                }
            }
        }
        let mut encoder = encoding.finish();
        let regions: Vec<_> = output_segments(model, &prepared.plan)
            .filter_map(|(_, id, bytes)| Some(Region { buffer: self.buffers.get(&id)?.clone(), bytes }))
            .collect();
        let (placed, created) = self.staging.copy(&self.device, &mut encoder, &regions);
        self.counters.buffers_created += created;
        self.counters.submits += 1;
        (self.device.queue.submit([encoder.finish()]), placed)
    }

    /// Reads the outputs' rows out of the staging buffers.
    fn finish(
        &mut self,
        model: &Model,
        plan: &Plan,
        placed: &[Placed],
        part: Range<usize>,
        outputs: &mut [Output],
    ) -> Result<()> {
        for ((index, id, bytes), &place) in output_segments(model, plan).zip(placed) {
            let BufferId::Tensor { tensor, segment } = id else { continue };
            let layout = plan.tensors[tensor];
            let first = segment * layout.segment;
            let timesteps = layout.segment_timesteps(segment);
            let mut target = outputs[index].array.slice_axis_mut(Axis(0), Slice::from(part.clone()));
            if layout.segments() > 1 {
                target.slice_axis_inplace(Axis(1), Slice::from(first..first + timesteps));
            }
            self.counters.bytes_read += bytes;
            self.staging.read(&self.device, place, |bytes| {
                let values: &[f32] = bytemuck::cast_slice(bytes);
                match target.as_slice_mut() {
                    Some(target) if layout.features == layout.features_padded => target.copy_from_slice(values),
                    _ => {
                        let last = Axis(target.ndim() - 1);
                        for (mut lane, values) in
                            target.lanes_mut(last).into_iter().zip(values.chunks(layout.features_padded))
                        {
                            lane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            })?;
        }
        Ok(())
    }
}

/// The segments of the outputs: the output's number, its buffer, and its bytes.
fn output_segments<'a>(model: &'a Model, plan: &'a Plan) -> impl Iterator<Item = (usize, BufferId, u64)> + 'a {
    model.outputs.iter().enumerate().flat_map(move |(index, &tensor)| {
        let layout = plan.tensors[tensor];
        (0..layout.segments())
            .map(move |segment| (index, BufferId::Tensor { tensor, segment }, layout.segment_bytes(segment, plan.rows)))
    })
}

/// Commands being written.
struct Encoding<'a> {
    device: Arc<GpuDevice>,
    step_table: &'a wgpu::BindGroup,
    pass: Option<(wgpu::CommandEncoder, wgpu::ComputePass<'static>)>,
    /// The work since the last submit, in flops.
    work: u64,
    most: u64,
    counters: &'a mut Counters,
}

impl Encoding<'_> {
    fn dispatch(&mut self, stage: &Stage, prepared: &PreparedStage, step: Option<usize>) {
        let device = &self.device;
        let (_, pass) = self.pass.get_or_insert_with(|| {
            let mut encoder = device.device.create_command_encoder(&Default::default());
            let pass = encoder.begin_compute_pass(&Default::default()).forget_lifetime();
            (encoder, pass)
        });
        pass.set_pipeline(&prepared.pipeline.pipeline);
        pass.set_bind_group(0, &prepared.bind_group, &[prepared.offset]);
        if let Some(step) = step {
            pass.set_bind_group(1, self.step_table, &[step as u32 * self.device.uniform_stride as u32]);
        }
        let [x, y, z] = stage.workgroups;
        pass.dispatch_workgroups(x, y, z);
        self.counters.dispatches += 1;
        self.work += stage.flops + DISPATCH_FLOPS;
        if self.work >= self.most {
            self.submit();
        }
    }

    fn submit(&mut self) {
        if let Some((encoder, pass)) = self.pass.take() {
            drop(pass);
            self.device.queue.submit([encoder.finish()]);
            self.counters.submits += 1;
        }
        self.work = 0;
    }

    /// Ends the pass and leaves the encoder to what follows in the same submit.
    fn finish(self) -> wgpu::CommandEncoder {
        match self.pass {
            Some((encoder, pass)) => {
                drop(pass); // which ends it: an encoder with an open pass takes no copies
                encoder
            }
            None => self.device.device.create_command_encoder(&Default::default()),
        }
    }
}

/// The shapes of a call with the fewest timesteps that the model takes, where some few do.
fn smallest_shapes(model: &Model) -> Option<Vec<Vec<usize>>> {
    [1, 4, 16, 64, 256].into_iter().find_map(|timesteps| {
        let axes = |tensor: usize| model.tensors[tensor].shape.iter().map(|axis| axis.unwrap_or(timesteps)).collect();
        let inputs: Vec<Vec<usize>> = model.inputs.iter().map(|input| axes(input.tensor)).collect();
        model.shapes(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok()
    })
}

fn no_states(model: &Model, layer: usize) -> Vec<bool> {
    let states = model.layers[layer].layer.directions().iter().map(|(_, l)| l.cell().states()).sum();
    vec![false; states]
}

fn create_buffer(device: &GpuDevice, bytes: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("birnn"),
        size: bytes.max(16),
        usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// A uniform buffer with the numbers of the steps, each where a dynamic offset can point.
fn create_step_table(device: &GpuDevice) -> wgpu::BindGroup {
    let stride = device.uniform_stride as usize;
    let buffer = create_buffer(device, (STEP_TABLE * stride) as u64, wgpu::BufferUsages::UNIFORM);
    let mut bytes = vec![0u8; STEP_TABLE * stride];
    for step in 0..STEP_TABLE {
        bytes[step * stride..step * stride + 4].copy_from_slice(&(step as u32).to_ne_bytes());
    }
    device.queue.write_buffer(&buffer, 0, &bytes);
    let binding = wgpu::BufferBinding { buffer: &buffer, offset: 0, size: wgpu::BufferSize::new(16) };
    device.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("birnn step"),
        layout: &device.pipelines().step_layout,
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(binding) }],
    })
}

fn upload_weights(model: &Model, groups: &[Vec<Group>], device: &GpuDevice) -> HashMap<BufferId, wgpu::Buffer> {
    let mut buffers = HashMap::new();
    for (layer, groups) in groups.iter().enumerate() {
        let built = &model.layers[layer];
        let (recurrent, _) = recurrent_of(&built.layer, &built.inputs);
        let directions = recurrent.directions();
        if let Layer::Feedforward(feedforward) = &built.layer {
            for (index, packed) in pack(feedforward).into_iter().enumerate() {
                let buffer = create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Parameter { layer, index }, buffer);
            }
        }
        for (group_index, group) in groups.iter().enumerate() {
            let weights: Vec<_> =
                group.directions.iter().filter_map(|&member| directions[member].1.weights()).collect();
            for part in WeightPart::ALL {
                let packed = group.pack(&weights, part);
                let buffer = create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Weight { layer, group: group_index, part }, buffer);
            }
        }
    }
    buffers
}

/// The outputs' arrays, to be filled part by part.
fn allocate_outputs(model: &Model, inputs: &Bound<'_, f32>) -> Result<Vec<Output>> {
    let mut outputs = Vec::new();
    for &tensor in &model.outputs {
        let spec = &model.tensors[tensor];
        let shape: Vec<_> = [inputs.batch].iter().chain(&inputs.shapes[tensor]).copied().collect();
        let len = shape.iter().try_fold(1usize, |len, &n| len.checked_mul(n));
        let mut values = Vec::new();
        let reserved = len.filter(|&len| values.try_reserve_exact(len).is_ok());
        let memory = || Error::OutOfMemory { what: format!("{} of {} {shape:?}", spec.role, spec.source) };
        values.resize(reserved.ok_or_else(memory)?, 0.0);
        let array = ndarray::ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| memory())?;
        outputs.push(Output { layer: spec.source.clone(), role: spec.role, array });
    }
    Ok(outputs)
}
