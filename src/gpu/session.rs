//! A model on a GPU: weights uploaded once, buffers and bind groups kept for the shapes that ran
//! before.

use super::device::GpuDevice;
use super::encode::{Encoding, Pace, PreparedStage, Timer};
use super::kernel::{Constants, Kernel, UNIFORM_BYTES};
use super::network::{Group, WeightPart, lower, recurrent_of};
use super::parameters::pack;
use super::pipelines::Pipeline;
use super::plan::{BufferId, CallShape, Limits, Plan, Stage, TensorLayout, plan, rows_at_once};
use super::readback::{Flight, Part, Readback, Segment, Submitted, Wait};
use super::staging::{IN_FLIGHT, Ring, Staging};
use crate::error::{Error, Result};
use crate::layer::{Layer, Weights};
use crate::model::{Bound, Model, Output, Outputs};
use crate::session::Counters;
use ndarray::{Axis, CowArray, IxDyn, Slice};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How many shapes are kept ready; above it all are dropped, so that a caller with ever new shapes
/// doesn't fill memory.
const PREPARED_SHAPES: usize = 16;

#[derive(Debug)]
pub(crate) struct GpuSession {
    pub(super) device: Arc<GpuDevice>,
    pub(super) groups: Vec<Vec<Group>>,
    /// Weights and scratch. A buffer only ever grows.
    buffers: HashMap<BufferId, wgpu::Buffer>,
    pub(super) step_table: wgpu::BindGroup,
    prepared: HashMap<CallShape, Arc<Prepared>>,
    /// The rows whose states stateful layers hold from the last call.
    carried: Option<usize>,
    /// The calls that were submitted and may still be in flight, oldest first.
    flights: VecDeque<Weak<Flight>>,
    ring: Arc<Ring>,
    timer: Option<Timer>,
    gpu_time: Arc<Mutex<Option<Duration>>>,
    /// A padded array on its way up.
    upload: Vec<f32>,
    /// Arrays that outputs can be written into.
    recycled: Vec<Vec<f32>>,
    counters: Counters,
}

/// A plan with its pipelines, bind groups and uniforms.
#[derive(Debug)]
pub(super) struct Prepared {
    pub plan: Plan,
    /// For each launch of the plan, for each stage.
    pub launches: Vec<Vec<PreparedStage>>,
    readback: Arc<Readback>,
    pace: Arc<Pace>,
}

impl GpuSession {
    pub fn new(model: &Model, device: Arc<GpuDevice>) -> Result<GpuSession> {
        let groups = lower(model, &device.limits)?;
        model.check_weights()?; // after the limits: a layer that can't run needs no weights first
        if device.limits.half_weights {
            check_halves(model)?;
        }
        let step_table = device.step_table()?;
        let buffers =
            device.checked("the weights", || Ok(upload_weights(model, &groups, &device)))?;
        let timer = device.timestamps.then(|| Timer::new(&device.device));
        let mut session = GpuSession {
            device,
            groups,
            buffers,
            step_table,
            prepared: HashMap::new(),
            carried: None,
            flights: VecDeque::new(),
            ring: Arc::default(),
            timer,
            gpu_time: Arc::default(),
            upload: Vec::new(),
            recycled: Vec::new(),
            counters: Counters::default(),
        };
        session.build_pipelines(model)?;
        Ok(session)
    }

    /// Builds the kernels now, from the plans of batches of all sizes that are cut differently, so
    /// that no call has to.
    fn build_pipelines(&mut self, model: &Model) -> Result<()> {
        let Some(shapes) = smallest_shapes(model) else { return Ok(()) };
        if self.groups.iter().any(|groups| !groups.is_empty()) {
            // Not in a plan where all states start from zeros, or of one chunk.
            let elsewhere = || {
                for kernel in [Kernel::LoadState, Kernel::Merge] {
                    self.device.pipelines().get(&self.device.device, kernel, Constants::default());
                }
                Ok(())
            };
            self.device.checked("the kernels", elsewhere)?;
        }
        // Only the kernels of these plans are of interest, not whether their buffers would fit.
        let limits = Limits { binding: u64::MAX, ..self.device.limits };
        // The cut changes with the batch, until no way has more rows.
        for rows in (0..=16).map(|power| 1 << power).filter(|&rows| rows != 2) {
            let given = model.nodes.iter().map(|node| no_states(model, node.layer)).collect();
            let call = CallShape {
                rows,
                shapes: shapes.clone(),
                given,
                masks: vec![false; model.inputs.len()],
                carried: false,
            };
            let plan = plan(model, &self.groups, &call, &limits, &self.device.tuned())?;
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
        let (pipeline, built) =
            self.device.pipelines().get(&self.device.device, stage.kernel, stage.constants);
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

    /// How long the GPU worked on the call that was read last.
    pub fn gpu_time(&self) -> Option<Duration> {
        *self.gpu_time.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uploads the inputs and submits the work. Waits only where [`IN_FLIGHT`] parts are in flight:
    /// for the oldest.
    pub async fn submit(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        wait: Wait,
    ) -> Result<Arc<Flight>> {
        self.counters = Counters::default();
        let outputs = self.outputs(model, inputs)?;
        let rows =
            rows_at_once(model, &self.groups, inputs.batch, &inputs.shapes, &self.device.limits);
        if model.is_stateful() && rows < inputs.batch {
            return Err(Error::Limit {
                what: format!("the states of {} rows of stateful layers", inputs.batch),
                needed: inputs.batch as u64,
                limit: "rows at a time",
                allowed: rows as u64,
                instead: "raise DeviceOptions::memory_budget, or use a session for each part of the batch",
            });
        }
        let flight = Arc::new(Flight::new(self.device.clone(), outputs, self.gpu_time.clone()));
        self.flights.retain(|flight| flight.strong_count() > 0);
        self.flights.push_back(Arc::downgrade(&flight));
        let carried = self.carried.take(); // lost where the call fails
        for first in (0..inputs.batch).step_by(rows) {
            self.make_room(wait).await;
            self.device.wait_for_abandoned(wait).await?;
            let rows = first..(first + rows).min(inputs.batch);
            let device = self.device.clone();
            let part =
                device.checked("a call", || self.start(model, inputs, rows, carried.is_some()))?;
            flight.push(part).await;
        }
        self.carried = model.is_stateful().then_some(inputs.batch);
        Ok(flight)
    }

    /// Keeps the arrays for later outputs: as many as calls in flight can have.
    pub fn recycle(&mut self, model: &Model, outputs: Outputs) {
        self.recycled.extend(
            outputs.into_list().into_iter().map(|output| output.array.into_raw_vec_and_offset().0),
        );
        let most = IN_FLIGHT * model.outputs.len();
        self.recycled.drain(..self.recycled.len().saturating_sub(most));
    }

    /// The outputs' arrays, to be filled part by part.
    fn outputs(&mut self, model: &Model, inputs: &Bound<'_, f32>) -> Result<Vec<Output>> {
        let mut outputs = Vec::new();
        for &tensor in &model.outputs {
            let spec = &model.tensors[tensor];
            let shape: Vec<_> =
                [inputs.batch].iter().chain(&inputs.shapes[tensor]).copied().collect();
            let len = shape.iter().try_fold(1usize, |len, &n| len.checked_mul(n));
            let memory = || Error::OutOfMemory {
                what: format!("{} of {} {shape:?}", spec.role, spec.source),
            };
            let values = match self.recycled.iter().position(|array| Some(array.len()) == len) {
                Some(index) => self.recycled.swap_remove(index),
                None => zeros(len.ok_or_else(memory)?).ok_or_else(memory)?,
            };
            let array =
                ndarray::ArrayD::from_shape_vec(IxDyn(&shape), values).map_err(|_| memory())?;
            outputs.push(Output { layer: spec.source.clone(), role: spec.role, array });
        }
        Ok(outputs)
    }

    /// Reads the oldest parts in flight, so that one more can be sent.
    async fn make_room(&mut self, wait: Wait) {
        while self.ring.in_use() >= IN_FLIGHT {
            let Some(oldest) = self.flights.front() else { return };
            let read = match oldest.upgrade() {
                Some(flight) => flight.read_oldest(wait).await,
                None => false,
            };
            if !read {
                self.flights.pop_front();
            }
        }
    }

    /// Uploads a part of the batch and submits its work.
    fn start(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        rows: Range<usize>,
        carried: bool,
    ) -> Result<Part> {
        let prepared = self.prepare(model, inputs, rows.len(), carried)?;
        let arrays = self.arrays(model, inputs, &prepared.plan, rows.clone());
        let (at, before) = (Instant::now(), self.counters.submits);
        let (staging, submission) = self.send(&prepared, arrays)?;
        let submitted =
            Submitted { at, submits: self.counters.submits - before, pace: prepared.pace.clone() };
        Ok(Part::new(prepared.readback.clone(), rows, staging, submission, submitted))
    }

    /// The plan for this shape with everything it binds; made once.
    fn prepare(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        rows: usize,
        carried: bool,
    ) -> Result<Arc<Prepared>> {
        let key = CallShape {
            rows,
            shapes: inputs.shapes.clone(),
            given: inputs
                .states
                .iter()
                .map(|states| states.iter().map(Option::is_some).collect())
                .collect(),
            masks: inputs.masks.iter().map(Option::is_some).collect(),
            carried,
        };
        if let Some(prepared) = self.prepared.get(&key) {
            return Ok(prepared.clone());
        }
        #[cfg(feature = "autotune")]
        if !carried {
            self.tune(model, &key)?;
        }
        let plan = plan(model, &self.groups, &key, &self.device.limits, &self.device.tuned())?;
        self.grow_buffers(&plan);
        let prepared = Arc::new(self.bind(model, plan)?);
        if self.prepared.len() >= PREPARED_SHAPES {
            self.prepared.clear();
        }
        self.prepared.insert(key, prepared.clone());
        Ok(prepared)
    }

    pub(super) fn grow_buffers(&mut self, plan: &Plan) {
        for (&id, &bytes) in &plan.buffers {
            if self.buffers.get(&id).is_none_or(|buffer| buffer.size() < bytes) {
                // What was bound before refers to the smaller buffer.
                self.prepared.clear();
                self.buffers
                    .insert(id, create_buffer(&self.device, bytes, wgpu::BufferUsages::STORAGE));
                self.counters.buffers_created += 1;
            }
        }
    }

    pub(super) fn bind(&mut self, model: &Model, plan: Plan) -> Result<Prepared> {
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
                stages.push(self.bind_stage(stage, &uniforms, offset as u32)?);
                offset += stride as usize;
            }
            launches.push(stages);
        }
        self.device.queue.write_buffer(&uniforms, 0, &bytes);
        self.counters.bytes_uploaded += bytes.len() as u64;
        let timer = self.timer.as_ref().map(|timer| timer.resolved.clone());
        let readback =
            Readback::new(self.segments(model, &plan)?, timer, self.device.limits.binding);
        let pace = Arc::new(Pace::of(self.device.info.kind));
        Ok(Prepared { plan, launches, readback: Arc::new(readback), pace })
    }

    /// The segments of the outputs.
    fn segments(&self, model: &Model, plan: &Plan) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for (output, &tensor) in model.outputs.iter().enumerate() {
            let layout = plan.tensors[tensor];
            for segment in 0..layout.segments() {
                segments.push(Segment {
                    output,
                    buffer: self.buffer(&BufferId::Tensor { tensor, segment })?.clone(),
                    bytes: layout.segment_bytes(segment, plan.rows),
                    times: segment_times(&layout, segment),
                    features_padded: layout.features_padded,
                });
            }
        }
        Ok(segments)
    }

    /// A buffer that a plan asked for.
    fn buffer(&self, id: &BufferId) -> Result<&wgpu::Buffer> {
        self.buffers.get(id).ok_or_else(|| Error::Gpu(format!("there is no buffer for {id:?}")))
    }

    fn bind_stage(
        &mut self,
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
        for (index, id) in stage.buffers.iter().enumerate() {
            let buffer = self.buffer(id)?;
            weights += self.weights_read(stage, id, buffer.size());
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

    /// The bytes of weights that a stage reads of a buffer: of a stack's, those of the layers at
    /// work.
    fn weights_read(&self, stage: &Stage, id: &BufferId, bytes: u64) -> u64 {
        match *id {
            BufferId::Parameter { .. } => bytes,
            BufferId::Weight { layer, group, part } => match self.groups[layer][group].stacked {
                Some(stacked) if part.is_recurrent() => {
                    bytes / stacked.layers as u64 * u64::from(stage.directions())
                }
                _ => bytes,
            },
            _ => 0,
        }
    }

    /// What goes up for the rows of a part: the inputs, their masks and the given initial states.
    fn arrays<'a>(
        &self,
        model: &Model,
        inputs: &'a Bound<'_, f32>,
        plan: &Plan,
        rows: Range<usize>,
    ) -> Vec<(wgpu::Buffer, CowArray<'a, f32, IxDyn>)> {
        let rows = Slice::from(rows);
        let mut arrays = Vec::new();
        // An array that nothing on the GPU reads has no buffer and stays here.
        let mut push = |id: BufferId, array: CowArray<'a, f32, IxDyn>| {
            if let Some(buffer) = self.buffers.get(&id) {
                arrays.push((buffer.clone(), array));
            }
        };
        for (input, array) in model.inputs.iter().zip(&inputs.arrays) {
            let layout = plan.tensors[input.tensor];
            for segment in 0..layout.segments() {
                let mut array = array.slice_axis(Axis(0), rows);
                if let Some(times) = segment_times(&layout, segment) {
                    array.slice_axis_inplace(Axis(1), Slice::from(times));
                }
                push(BufferId::Tensor { tensor: input.tensor, segment }, array.into());
            }
        }
        for (mask, given) in plan.given_masks.iter().zip(&inputs.masks) {
            if let (Some(mask), Some(given)) = (*mask, given) {
                let numbers =
                    given.slice_axis(Axis(0), rows).mapv(|counts| f32::from(u8::from(counts)));
                push(BufferId::Mask(mask), numbers.into_dyn().into());
            }
        }
        for (node, states) in inputs.states.iter().enumerate() {
            for (index, state) in states.iter().enumerate() {
                if let Some(state) = state {
                    let state = state.view().into_dyn().slice_axis_move(Axis(0), rows);
                    push(BufferId::State { node, index }, state.into());
                }
            }
        }
        arrays
    }

    /// Writes the arrays and submits the plan's launches and the copies of its outputs, in order.
    fn send(
        &mut self,
        prepared: &Prepared,
        arrays: Vec<(wgpu::Buffer, CowArray<'_, f32, IxDyn>)>,
    ) -> Result<(Staging, wgpu::SubmissionIndex)> {
        let bytes = arrays.iter().map(|(_, array)| padded_bytes(array)).sum::<u64>();
        // Inputs larger than a buffer can be go up one by one.
        let at_once = if bytes <= self.device.limits.binding { bytes } else { 0 };
        let mut staging = self.ring.take(&self.device, at_once, &prepared.readback.sizes);
        let device = self.device.clone();
        let timer = self.timer.as_ref();
        self.counters.bytes_uploaded += bytes;
        self.counters.bytes_read += prepared.readback.bytes();
        self.counters.buffers_created += staging.created;
        let mut encoding =
            Encoding::new(&device, &self.step_table, timer, &prepared.pace, &mut self.counters);
        match staging.up().filter(|_| at_once > 0) {
            Some(up) => {
                let view = up.slice(..at_once).get_mapped_range_mut();
                let mut view = view.map_err(|e| device.lost_or(e.to_string()))?;
                let mut offset = 0;
                for (buffer, array) in &arrays {
                    let values = bytemuck::cast_slice(padded(array, &mut self.upload));
                    view.slice(offset..offset + values.len()).copy_from_slice(values);
                    encoding.copy(up, offset as u64, buffer, values.len() as u64);
                    offset += values.len();
                }
            }
            None => {
                for (buffer, array) in &arrays {
                    let values = padded(array, &mut self.upload);
                    device.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
                }
            }
        }
        staging.send_up();
        encoding.launches(&prepared.plan, &prepared.launches);
        let submission = encoding.finish(|encoder| prepared.readback.copy(encoder, &staging));
        Ok((staging, submission))
    }
}

/// The timesteps of a segment, where there is more than one.
fn segment_times(layout: &TensorLayout, segment: usize) -> Option<Range<usize>> {
    let first = segment * layout.segment;
    (layout.segments() > 1).then(|| first..first + layout.segment_timesteps(segment))
}

/// The bytes of an array whose last axis is filled up to a multiple of 4.
fn padded_bytes(array: &CowArray<'_, f32, IxDyn>) -> u64 {
    let features = array.len_of(Axis(array.ndim() - 1)).max(1);
    4 * (array.len() / features * features.next_multiple_of(4)) as u64
}

/// An array's values, its last axis filled up to a multiple of 4 with zeros, in `space` where they
/// have to be copied.
fn padded<'a>(array: &'a CowArray<'_, f32, IxDyn>, space: &'a mut Vec<f32>) -> &'a [f32] {
    let last = Axis(array.ndim() - 1);
    match array.as_slice() {
        Some(values) if array.len_of(last).is_multiple_of(4) => values,
        _ => {
            space.clear();
            for lane in array.lanes(last) {
                space.extend(lane);
                space.resize(space.len().next_multiple_of(4), 0.0);
            }
            space
        }
    }
}

/// The shapes of a call with the fewest timesteps that the model takes, where some few do.
fn smallest_shapes(model: &Model) -> Option<Vec<Vec<usize>>> {
    [1, 4, 16, 64, 256].into_iter().find_map(|timesteps| {
        let axes = |tensor: usize| {
            model.tensors[tensor].shape.iter().map(|axis| axis.unwrap_or(timesteps)).collect()
        };
        let inputs: Vec<Vec<usize>> = model.inputs.iter().map(|input| axes(input.tensor)).collect();
        model.shapes(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()).ok()
    })
}

fn no_states(model: &Model, layer: usize) -> Vec<bool> {
    let states =
        model.layers[layer].layer.directions().iter().map(|(_, l)| l.cell().states()).sum();
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

/// The least number that a 16-bit float rounds to infinity.
const TOO_LARGE_FOR_HALF: f32 = 65520.0;

/// That no kernel holds a weight that 16 bits would make infinite.
fn check_halves(model: &Model) -> Result<()> {
    for layer in model.layers().map(Layer::innermost) {
        for (_, direction) in layer.directions() {
            let missing = || Error::MissingWeights { layer: layer.name().to_string() };
            let weights = direction.weights().ok_or_else(missing)?;
            let values = weights.kernel().iter().chain(weights.recurrent_kernel());
            if let Some(value) = values.copied().find(|value| value.abs() >= TOO_LARGE_FOR_HALF) {
                return Err(Error::Argument {
                    layer: layer.name().to_string(),
                    argument: "half_weights".into(),
                    reason: format!(
                        "a kernel holds {value}, and 16-bit floats end at 65504; open the device without half_weights"
                    ),
                });
            }
        }
    }
    Ok(())
}

fn upload_weights(
    model: &Model,
    all: &[Vec<Group>],
    device: &GpuDevice,
) -> HashMap<BufferId, wgpu::Buffer> {
    let mut buffers = HashMap::new();
    for (layer, groups) in all.iter().enumerate() {
        let built = &model.layers[layer];
        let (recurrent, _) = recurrent_of(&built.layer, &built.inputs);
        let directions = recurrent.directions();
        if let Layer::Feedforward(feedforward) = &built.layer {
            for (index, packed) in pack(feedforward).into_iter().enumerate() {
                let buffer =
                    create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Parameter { layer, index }, buffer);
            }
        }
        for (group_index, group) in groups.iter().enumerate() {
            let own: Vec<_> = group
                .directions
                .iter()
                .filter_map(|&member| directions[member].1.weights())
                .collect();
            let of_stack = group.stacked.map(|stacked| stack_weights(model, all, stacked.lowest));
            for part in WeightPart::ALL {
                let weights = match (part.is_recurrent(), &of_stack) {
                    (true, Some(_)) if group.stacked.is_some_and(|stacked| stacked.place > 0) => {
                        continue;
                    }
                    (true, Some(weights)) => weights,
                    _ => &own,
                };
                let packed = group.pack(weights, part);
                let buffer =
                    create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Weight { layer, group: group_index, part }, buffer);
            }
        }
    }
    // wgpu keeps a copy of what was written until the next submit, which a session that is never
    // called doesn't make.
    device.queue.submit([]);
    buffers
}

/// The weights of the layers of a stack, from the lowest on.
fn stack_weights<'m>(model: &'m Model, groups: &[Vec<Group>], lowest: usize) -> Vec<&'m Weights> {
    let place = |layer: usize| {
        let stacked = groups[layer].first().and_then(|group| group.stacked);
        stacked.filter(|stacked| stacked.lowest == lowest).map(|stacked| (stacked.place, layer))
    };
    let mut layers: Vec<_> = (0..groups.len()).filter_map(place).collect();
    layers.sort_unstable();
    layers
        .into_iter()
        .filter_map(|(_, layer)| model.layers[layer].layer.directions()[0].1.weights())
        .collect()
}

/// `None`: there is no memory for them. Large arrays are new pages, which nothing touches before
/// what is copied into them.
fn zeros(len: usize) -> Option<Vec<f32>> {
    Vec::<f32>::new().try_reserve_exact(len).is_ok().then(|| vec![0.0; len])
}
