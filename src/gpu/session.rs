//! A model on a GPU: a call's inputs go up, its plan is submitted, and its outputs come back.

use super::calls::plain_call;
use super::device::GpuDevice;
use super::encode::Encoding;
use super::flight::{Again, Flight, Part, Submitted};
use super::limits::Limits;
use super::plan::{Placed, Plan, Tuned, plan, rows_at_once};
use super::recording::Recording;
use super::staging::{Ring, Staging};
use super::stamps::Stamps;
use super::upload::{given, padded, padded_bytes};
use super::workspace::{Prepared, Workspace, segment_times};
use crate::error::{Error, Result};
use crate::graph::{OperatorGraph, Source};
use crate::host::Instant;
use crate::model::{Bound, CallShape, Model, Output, Outputs};
use crate::profile::Recorder;
use crate::runner::{Awaited, Counters, IN_FLIGHT, Runner, Started, Wait};
use ndarray::{Axis, CowArray, IxDyn, Slice};
use std::collections::{HashMap, VecDeque};
use std::iter;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How many shapes are remembered; above it all are forgotten, so that a caller with ever new
/// shapes doesn't fill memory.
const KEPT_SHAPES: usize = 16;

#[derive(Debug)]
pub(crate) struct GpuSession {
    pub(super) workspace: Workspace,
    /// Of the shapes that ran before, how many rows of the batch run at a time.
    rows_at_once: HashMap<CallShape, usize>,
    /// The rows whose states stateful layers hold from the last call.
    carried: Option<usize>,
    /// The calls that were submitted and may still be in flight, oldest first.
    flights: VecDeque<Weak<Flight>>,
    ring: Arc<Ring>,
    gpu_time: Arc<Mutex<Option<Duration>>>,
    /// How often a part of a call ran again.
    runs_again: Arc<AtomicU64>,
    /// A padded array on its way up.
    upload: Vec<f32>,
    /// Arrays that outputs can be written into.
    recycled: Vec<Vec<f32>>,
}

impl Runner for GpuSession {
    fn submit<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        wait: Wait,
    ) -> Awaited<'a, Started> {
        Box::pin(async move {
            let flight = self.submit_parts(model, inputs, wait, None).await?;
            Ok(Started::InFlight(Box::new(flight)))
        })
    }

    fn profile<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        wait: Wait,
        recorder: &'a mut Recorder,
    ) -> Awaited<'a, Outputs> {
        Box::pin(async move {
            let device = self.workspace.device.clone();
            device.check_timestamps()?;
            // What is still in flight is no part of this call.
            device.check_lost()?;
            let before = device.queue.submit([]);
            device.wait_until_done(before, wait).await?;
            let mut recording = Recording::new(recorder);
            let before = self.runs_again.load(Ordering::Relaxed);
            let flight = self.submit_parts(model, inputs, wait, Some(&mut recording)).await?;
            let outputs = flight.wait(wait).await?;
            if self.runs_again.load(Ordering::Relaxed) != before {
                return Err(Error::Profile {
                    device: device.info.name.clone(),
                    reason: "a workgroup waited in vain for another, and the call ran again by \
                             other kernels: profile it once more"
                        .into(),
                });
            }
            recording.recorder.host("wait");
            let worked = recording.finish(&device, wait).await?;
            if device.gpu_time {
                *self.gpu_time.lock().unwrap_or_else(PoisonError::into_inner) = Some(worked);
            }
            Ok(Outputs::new(outputs))
        })
    }

    fn carried_batch(&self) -> Option<usize> {
        self.carried
    }

    fn reset_states(&mut self) {
        self.carried = None;
    }

    /// Keeps as many arrays as calls in flight can have.
    fn recycle(&mut self, outputs: Outputs) {
        let outputs = outputs.into_list();
        let most = IN_FLIGHT * outputs.len();
        self.recycled
            .extend(outputs.into_iter().map(|output| output.array.into_raw_vec_and_offset().0));
        self.recycled.drain(..self.recycled.len().saturating_sub(most));
    }

    fn counters(&self) -> Counters {
        let runs_again = self.runs_again.load(Ordering::Relaxed);
        Counters { runs_again, ..self.workspace.counters }
    }

    fn gpu_time(&self) -> Option<Duration> {
        *self.gpu_time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GpuSession {
    pub async fn new(model: &Model, device: Arc<GpuDevice>) -> Result<GpuSession> {
        let plans = small_plans(model, &device)?;
        model.check_weights()?; // after the limits: a layer that can't run needs no weights first
        let mut session = GpuSession {
            workspace: Workspace::new(device).await?,
            rows_at_once: HashMap::new(),
            carried: None,
            flights: VecDeque::new(),
            ring: Arc::default(),
            gpu_time: Arc::default(),
            runs_again: Arc::default(),
            upload: Vec::new(),
            recycled: Vec::new(),
        };
        for plan in &plans {
            session.make_ready(model, plan).await?;
        }
        Ok(session)
    }

    /// Uploads the weights and builds the kernels of a plan.
    async fn make_ready(&mut self, model: &Model, plan: &Plan) -> Result<()> {
        let device = self.workspace.device.clone();
        let upload = || self.workspace.upload_weights(model, plan);
        device.checked("the weights", upload).await?;
        let build = || {
            for stage in plan.launches.iter().flat_map(|launch| &launch.stages) {
                self.workspace.pipeline(stage);
            }
            Ok(())
        };
        device.checked("the kernels", build).await
    }

    /// Uploads the inputs and submits the work, a part of the batch after the other. Waits only
    /// where [`IN_FLIGHT`] parts are in flight: for the oldest.
    async fn submit_parts(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        wait: Wait,
        mut recording: Option<&mut Recording<'_>>,
    ) -> Result<Arc<Flight>> {
        let device = self.workspace.device.clone();
        self.workspace.counters = Counters::default();
        let call = inputs.call_shape(inputs.batch, self.carried.is_some());
        let outputs = self.outputs(model, inputs, &call, wait).await?;
        let rows = self.rows_at_once(model, &call)?;
        let (gpu_time, runs_again) = (self.gpu_time.clone(), self.runs_again.clone());
        let flight = Arc::new(Flight::new(device.clone(), outputs, gpu_time, runs_again));
        self.flights.retain(|flight| flight.strong_count() > 0);
        self.flights.push_back(Arc::downgrade(&flight));
        for first in (0..inputs.batch).step_by(rows) {
            self.make_room(wait).await;
            device.wait_for_abandoned(wait).await?;
            let rows = first..(first + rows).min(inputs.batch);
            let part = CallShape { batch: rows.len(), ..call.clone() };
            let prepared = self.prepare(model, part, wait).await?;
            if let Some(recording) = &mut recording {
                recording.recorder.host("prepare");
            }
            inputs.check_values(model, &prepared.plan.demands, rows.clone())?;
            let recording_it = recording.as_deref_mut();
            let submit = |session: &mut GpuSession| {
                session.start(model, inputs, rows, &prepared, recording_it)
            };
            flight.push(self.on_device(submit).await?).await;
            if let Some(recording) = &mut recording {
                recording.recorder.host("submit");
            }
        }
        Ok(flight)
    }

    /// How many rows of the batch run at a time: of a stateful model all, as their states stay on
    /// the device.
    fn rows_at_once(&mut self, model: &Model, call: &CallShape) -> Result<usize> {
        let batch = call.batch;
        if model.program.is_some() {
            return Ok(batch);
        }
        if let Some(&known) = self.rows_at_once.get(call) {
            return Ok(known);
        }
        let of_a_row = model.lower_a_row(call)?;
        let rows = rows_at_once(of_a_row.as_ref(), batch, &self.workspace.device.limits)?;
        if model.is_stateful() && rows < batch {
            return Err(Error::Limit {
                what: format!("the states of {batch} rows of stateful layers"),
                needed: batch as u64,
                limit: "rows at a time",
                allowed: rows as u64,
                instead: "raise GpuOptions::memory_budget, or use a session for each part of the \
                          batch",
            });
        }
        if self.rows_at_once.len() >= KEPT_SHAPES {
            self.rows_at_once.clear();
        }
        self.rows_at_once.insert(call.clone(), rows);
        Ok(rows)
    }

    /// The outputs' arrays, to be filled part by part.
    async fn outputs(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        call: &CallShape,
        wait: Wait,
    ) -> Result<Vec<Output>> {
        let shapes: Vec<Vec<usize>> = match inputs.has_batch {
            true => {
                let shape =
                    |&tensor: &usize| [&[inputs.batch], &inputs.shapes[tensor][..]].concat();
                model.outputs.iter().map(shape).collect()
            }
            false => {
                let prepared = self.prepare(model, call.clone(), wait).await?;
                prepared.plan.outputs.iter().map(|placed| placed.shape.clone()).collect()
            }
        };
        let mut outputs = Vec::new();
        for (&tensor, shape) in model.outputs.iter().zip(shapes) {
            let spec = &model.tensors[tensor];
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

    /// Does work of a call on the device. Where it fails, nobody knows how far the GPU came and
    /// which buffers it had memory for: the states that stateful layers hold, too, are given up.
    async fn on_device<T>(&mut self, work: impl FnOnce(&mut GpuSession) -> Result<T>) -> Result<T> {
        let device = self.workspace.device.clone();
        let result = device.checked("a call", || work(self)).await;
        if result.is_err() {
            self.carried = None;
            self.workspace.drop_buffers();
        }
        result
    }

    /// Uploads a part of the batch and submits its work.
    fn start(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        rows: Range<usize>,
        prepared: &Arc<Prepared>,
        recording: Option<&mut Recording<'_>>,
    ) -> Result<Part> {
        let arrays = self.arrays(inputs, &prepared.plan, rows.clone())?;
        let bytes = arrays.iter().map(|(_, array)| padded_bytes(array)).sum::<u64>();
        // Inputs larger than a buffer can be go up one by one. They couldn't go up again.
        let at_once = bytes <= self.workspace.device.limits.binding;
        let prepared = match &prepared.instead {
            Some(instead) if !at_once => instead,
            _ => prepared,
        };
        let again = prepared.instead.as_ref().map(|instead| Again {
            prepared: instead.clone(),
            step_table: self.workspace.step_table.clone(),
            timer: self.workspace.timer.clone(),
            turn: self.workspace.turn.clone(),
            inputs: arrays.iter().map(|(to, array)| (to.clone(), padded_bytes(array))).collect(),
        });
        let (at, before) = (Instant::now(), self.workspace.counters.submits);
        let mut stamps = recording.is_some().then(Stamps::default);
        let bytes = if at_once { bytes } else { 0 };
        let (staging, submission) = self.send(prepared, arrays, bytes, stamps.as_mut())?;
        if let (Some(recording), Some(stamps)) = (recording, stamps) {
            recording.push(prepared, stamps, submission.clone(), at);
        }
        let submits = self.workspace.counters.submits - before;
        let submitted = Submitted { at, submits, pace: prepared.pace.clone() };
        self.carried = model.is_stateful().then_some(inputs.batch);
        let rows = inputs.has_batch.then_some(rows);
        let part = Part::new(prepared.readback.clone(), rows, staging, submission, submitted);
        Ok(part.with_again(again))
    }

    /// The plan for this shape with everything it binds; made once.
    async fn prepare(
        &mut self,
        model: &Model,
        call: CallShape,
        #[cfg_attr(not(feature = "autotune"), allow(unused_variables))] wait: Wait,
    ) -> Result<Arc<Prepared>> {
        let device = &self.workspace.device;
        let usable = |prepared: &Arc<Prepared>| {
            prepared.exchange.is_none() || device.plan_limits().persistent.is_some()
        };
        if let Some(prepared) = self.workspace.prepared(&call).filter(usable) {
            return Ok(prepared);
        }
        #[cfg(feature = "autotune")]
        if !call.carried {
            super::tune::tune(&mut self.workspace, model, &call, wait).await?;
        }
        let device = &self.workspace.device;
        let graph = model.lower(&call)?;
        let (own, instead) = both_plans(&graph, &device.plan_limits(), &device.tuned())?;
        self.on_device(|session| session.workspace.prepare(model, call, own, instead)).await
    }

    /// What goes up for the rows of a part: the inputs, their masks and the given initial states,
    /// as far as anything on the GPU reads them.
    fn arrays<'a>(
        &self,
        inputs: &'a Bound<'_, f32>,
        plan: &'a Plan,
        rows: Range<usize>,
    ) -> Result<Vec<(wgpu::Buffer, CowArray<'a, f32, IxDyn>)>> {
        let rows = Slice::from(rows);
        let mut arrays = Vec::new();
        for (source, Placed { layout, buffers, .. }) in &plan.inputs {
            for (segment, &buffer) in buffers.iter().enumerate() {
                let missing = || Error::Gpu(format!("the call gives nothing for {source:?}"));
                let mut array = given(inputs, plan, *source).ok_or_else(missing)?;
                // What is known of calls of this shape is the same for all parts.
                if inputs.has_batch && !matches!(source, Source::Known(_)) {
                    array.slice_axis_inplace(Axis(0), rows);
                }
                if let Some(times) = segment_times(layout, segment) {
                    array.slice_axis_inplace(Axis(1), Slice::from(times));
                }
                arrays.push((self.workspace.buffer(plan, buffer)?.clone(), array));
            }
        }
        Ok(arrays)
    }

    /// Writes the arrays and submits the plan's launches and the copies of its outputs, in order.
    /// `at_once`: the bytes of all arrays, where they go up in one buffer; 0: one by one.
    fn send(
        &mut self,
        prepared: &Prepared,
        arrays: Vec<(wgpu::Buffer, CowArray<'_, f32, IxDyn>)>,
        at_once: u64,
        stamps: Option<&mut Stamps>,
    ) -> Result<(Staging, wgpu::SubmissionIndex)> {
        let bytes = arrays.iter().map(|(_, array)| padded_bytes(array)).sum::<u64>();
        let device = self.workspace.device.clone();
        let turn = self.workspace.turn.clone();
        let _turn = turn.take();
        let mut staging = self.ring.take(&device, at_once, &prepared.readback.sizes);
        let Workspace { step_table, timer, counters, .. } = &mut self.workspace;
        counters.bytes_uploaded += bytes;
        counters.bytes_read += prepared.readback.bytes();
        counters.buffers_created += staging.created;
        let mut encoding =
            Encoding::new(&device, step_table, timer.as_ref(), &prepared.pace, counters);
        encoding.stamps = stamps;
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
        prepared.encode(&mut encoding);
        let submission = encoding.finish(|encoder| prepared.readback.copy(encoder, &staging));
        Ok((staging, submission))
    }
}

/// The plan of a call of one row with the fewest timesteps that the model takes, where some few do,
/// and the one in its place where workgroups wait for each other in it. Only their weights and
/// kernels are of interest, not whether their buffers would fit. A model with a function may be
/// none for one row; a call of another size says so.
fn small_plans(model: &Model, device: &GpuDevice) -> Result<Vec<Plan>> {
    let few = [1, 4, 16, 64, 256];
    let call = few.into_iter().find_map(|timesteps| plain_call(model, 1, timesteps).ok());
    // A call of another size says why this one can't be.
    let Some(Ok(graph)) = call.map(|call| model.lower(&call)) else { return Ok(Vec::new()) };
    let limits = Limits { binding: u64::MAX, ..device.plan_limits() };
    let (own, instead) = both_plans(&graph, &limits, &device.tuned())?;
    Ok(iter::once(own).chain(instead).collect())
}

/// The plan of a graph, and, where workgroups wait for each other in it, one in which they don't.
fn both_plans(
    graph: &OperatorGraph,
    limits: &Limits,
    tuned: &Tuned,
) -> Result<(Plan, Option<Plan>)> {
    let own = plan(graph, limits, tuned)?;
    let instead = own.has_persistent().then(|| {
        let limits = Limits { persistent: None, ..*limits };
        plan(graph, &limits, tuned)
    });
    Ok((own, instead.transpose()?))
}

/// `None`: there is no memory for them. Large arrays are new pages, which nothing touches before
/// what is copied into them.
fn zeros(len: usize) -> Option<Vec<f32>> {
    Vec::<f32>::new().try_reserve_exact(len).is_ok().then(|| vec![0.0; len])
}

#[cfg(test)]
mod tests;
