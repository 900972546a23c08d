//! Calls in flight, whose outputs are mapped once the GPU is done, awaited without blocking or
//! with; and calls that run again, because workgroups of a persistent kernel waited in vain.

use super::device::GpuDevice;
use super::encode::Encoding;
use super::pace::Pace;
use super::readback::{Readback, StagingRange};
use super::staging::Staging;
use super::timer::Timer;
use super::workspace::{Prepared, Turn};
use crate::error::{Error, Result};
use crate::host::{self, Instant};
use crate::model::{Output, Outputs};
use crate::runner::{Awaited, CallInFlight, Counters, Wait};
use futures_intrusive::channel::shared::{OneshotReceiver, oneshot_channel};
use futures_intrusive::sync::Mutex;
use ndarray::{Axis, Slice};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A part of the batch in flight.
#[derive(Debug)]
pub(super) struct Part {
    readback: Arc<Readback>,
    /// The rows of the batch that it computes; `None`: the outputs have no batch.
    rows: Option<Range<usize>>,
    staging: Staging,
    /// One for each buffer that is to be mapped.
    receivers: VecDeque<OneshotReceiver<Result<(), wgpu::BufferAsyncError>>>,
    submission: wgpu::SubmissionIndex,
    submitted: Submitted,
    /// Where its workgroups wait for each other, and may do so in vain.
    again: Option<Again>,
}

/// What it takes to run a part once more from the inputs that went up with it.
#[derive(Debug)]
pub(super) struct Again {
    pub prepared: Arc<Prepared>,
    pub step_table: wgpu::BindGroup,
    pub timer: Option<Timer>,
    pub turn: Turn,
    /// Where the inputs go, one after another as they stand in the staging buffer, and their bytes.
    pub inputs: Vec<(wgpu::Buffer, u64)>,
}

/// What was submitted for a part, and when.
#[derive(Debug)]
pub(super) struct Submitted {
    pub at: Instant,
    pub submits: u64,
    pub pace: Arc<Pace>,
}

impl Part {
    pub fn new(
        readback: Arc<Readback>,
        rows: Option<Range<usize>>,
        staging: Staging,
        submission: wgpu::SubmissionIndex,
        submitted: Submitted,
    ) -> Part {
        let receivers = VecDeque::new();
        let mut part =
            Part { readback, rows, staging, receivers, submission, submitted, again: None };
        part.map();
        part
    }

    pub fn with_again(self, again: Option<Again>) -> Part {
        Part { again, ..self }
    }

    /// Asks for everything to be mapped once what was submitted is done.
    fn map(&mut self) {
        let receivers = &mut self.receivers;
        self.staging.map(&self.readback.sizes, || {
            let (sender, receiver) = oneshot_channel();
            receivers.push_back(receiver);
            move |result| {
                // The receiver is gone where the call was dropped: nobody waits any more.
                let _ = sender.send(result);
            }
        });
    }

    /// Where a workgroup waited in vain, runs the part again without such waits, and waits for
    /// that. After a wait. Can be given up; the next wait is for what runs then.
    async fn make_up(&mut self, device: &GpuDevice, again: &AtomicU64, wait: Wait) -> Result<()> {
        let Some((_, place)) = self.readback.exchange.as_ref().filter(|_| self.again.is_some())
        else {
            return Ok(());
        };
        if self.view(device, *place, |head: &[u32]| head[0] == 0)? {
            return Ok(());
        }
        if let Some(residency) = &device.residency {
            residency.give_up();
        }
        again.fetch_add(1, Ordering::Relaxed);
        device.checked("a call", || self.run_again(device)).await?;
        self.wait(device, wait).await
    }

    fn run_again(&mut self, device: &GpuDevice) -> Result<()> {
        let lost = || Error::Gpu("a call that is to run again has lost its inputs".into());
        let again = self.again.take().ok_or_else(lost)?;
        let Again { prepared, step_table, timer, turn, inputs } = again;
        self.staging.send_again();
        let _turn = turn.take();
        let mut counters = Counters::default();
        let mut encoding =
            Encoding::new(device, &step_table, timer.as_ref(), &prepared.pace, &mut counters);
        let mut offset = 0;
        for (buffer, bytes) in &inputs {
            encoding.copy(self.staging.sent().ok_or_else(lost)?, offset, buffer, *bytes);
            offset += bytes;
        }
        prepared.encode(&mut encoding);
        self.submission = encoding.finish(|encoder| self.readback.copy(encoder, &self.staging));
        self.map();
        Ok(())
    }

    /// Waits until the submission is done and everything is mapped. Can be given up and tried
    /// again.
    async fn wait(&mut self, device: &GpuDevice, wait: Wait) -> Result<()> {
        device.wait_for_callbacks(self.submission.clone(), wait)?;
        while let Some(receiver) = self.receivers.front() {
            let mapped = receiver.receive().await;
            self.receivers.pop_front();
            match mapped {
                Some(Ok(())) => {}
                Some(Err(error)) => return Err(device.lost_or(error.to_string())),
                None => return Err(device.lost_or("the driver dropped a readback".into())),
            }
        }
        device.check_lost()
    }

    /// Copies the rows into the outputs' arrays. Returns how long the GPU worked, where it was
    /// asked for.
    fn read(&self, device: &GpuDevice, outputs: &mut [Output]) -> Result<Option<Duration>> {
        for (segment, place) in &self.readback.segments {
            let mut target = outputs[segment.output].array.view_mut();
            if let Some(rows) = &self.rows {
                target.slice_axis_inplace(Axis(0), Slice::from(rows.clone()));
            }
            if let Some(times) = &segment.times {
                target.slice_axis_inplace(Axis(1), Slice::from(times.clone()));
            }
            let last = Axis(target.ndim() - 1);
            let features = target.len_of(last);
            let padded = segment.features_padded;
            self.view(device, *place, |values: &[f32]| match target.as_slice_mut() {
                Some(target) => copy(values, padded, target, features),
                None => {
                    for (mut lane, values) in
                        target.lanes_mut(last).into_iter().zip(values.chunks(padded))
                    {
                        lane.iter_mut().zip(values).for_each(|(to, from)| *to = *from);
                    }
                }
            })?;
        }
        let Some((_, place)) = self.readback.timer else { return Ok(None) };
        let ticks =
            self.view(device, place, |stamps: &[u64]| stamps[1].saturating_sub(stamps[0]))?;
        Ok(Some(Duration::from_nanos(
            (ticks as f64 * f64::from(device.queue.get_timestamp_period())) as u64,
        )))
    }

    fn view<T: bytemuck::AnyBitPattern, R>(
        &self,
        device: &GpuDevice,
        place: StagingRange,
        read: impl FnOnce(&[T]) -> R,
    ) -> Result<R> {
        let range = place.offset..place.offset + place.bytes;
        let view = self.staging.down(place.buffer).slice(range).get_mapped_range();
        let view = view.map_err(|e| device.lost_or(e.to_string()))?;
        Ok(read(bytemuck::cast_slice(&view)))
    }
}

/// The least numbers that are worth a thread of their own, and the most threads that copy. Where
/// memory is new, its pages cost far more than what is copied into them.
const COPIED_BY_ONE: usize = 1 << 19;
const COPYING: usize = 8;

/// Copies rows without what fills them up. Threads of its own: one of a pool would take up other
/// work while it waits, which may be to wait for the very call that is being read.
fn copy(from: &[f32], padded: usize, to: &mut [f32], features: usize) {
    let threads = match from.len() / COPIED_BY_ONE {
        0 | 1 => 1,
        worth => worth.min(COPYING).min(host::cores()),
    };
    let rows = (from.len() / padded.max(1)).div_ceil(threads);
    if threads == 1 {
        return copy_rows(from, padded, to, features);
    }
    let pieces = from.chunks(rows * padded).zip(to.chunks_mut(rows * features));
    host::on_threads(pieces.map(|(from, to)| move || copy_rows(from, padded, to, features)));
}

fn copy_rows(from: &[f32], padded: usize, to: &mut [f32], features: usize) {
    if features == padded {
        to.copy_from_slice(from);
    } else {
        let rows = to.chunks_mut(features.max(1)).zip(from.chunks(padded));
        rows.for_each(|(to, from)| to.copy_from_slice(&from[..features]));
    }
}

/// A call in flight.
#[derive(Debug)]
pub(super) struct Flight {
    device: Arc<GpuDevice>,
    /// Where the time of the call that was read last goes.
    gpu_time: Arc<std::sync::Mutex<Option<Duration>>>,
    /// Where it is counted that a part runs again.
    runs_again: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Sent and not yet read, oldest first.
    parts: VecDeque<Part>,
    outputs: Vec<Output>,
    gpu_time: Option<Duration>,
    failed: Option<Error>,
}

impl Flight {
    pub fn new(
        device: Arc<GpuDevice>,
        outputs: Vec<Output>,
        gpu_time: Arc<std::sync::Mutex<Option<Duration>>>,
        runs_again: Arc<AtomicU64>,
    ) -> Flight {
        let state = State { parts: VecDeque::new(), outputs, gpu_time: None, failed: None };
        Flight { device, gpu_time, runs_again, state: Mutex::new(state, true) }
    }

    pub(super) async fn push(&self, part: Part) {
        self.state.lock().await.parts.push_back(part);
    }

    /// Waits for the oldest part that isn't read yet, and reads it; `false`: there is none.
    pub async fn read_oldest(&self, wait: Wait) -> bool {
        let mut state = self.state.lock().await;
        let State { parts, outputs, gpu_time, failed } = &mut *state;
        let Some(part) = parts.front_mut() else { return false };
        let began = Instant::now();
        let waited = part.wait(&self.device, wait).await;
        part.submitted.learn(&self.device, began);
        let waited = match waited {
            Ok(()) => part.make_up(&self.device, &self.runs_again, wait).await,
            failed => failed,
        };
        let read = waited.and_then(|()| part.read(&self.device, outputs));
        let part = parts.pop_front();
        match read {
            Ok(time) => {
                part.into_iter().for_each(|part| part.staging.done());
                *gpu_time = match (*gpu_time, time) {
                    (Some(sum), Some(time)) => Some(sum + time),
                    (sum, time) => sum.or(time),
                };
            }
            Err(error) => {
                parts.clear();
                failed.get_or_insert(error);
            }
        }
        true
    }

    /// Waits for all of it.
    pub async fn wait(&self, wait: Wait) -> Result<Vec<Output>> {
        while self.read_oldest(wait).await {}
        let mut state = self.state.lock().await;
        *self.gpu_time.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state.gpu_time;
        match state.failed.take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut state.outputs)),
        }
    }
}

impl CallInFlight for Arc<Flight> {
    fn outputs(self: Box<Self>, wait: Wait) -> Awaited<'static, Outputs> {
        Box::pin(async move { self.wait(wait).await.map(Outputs::new) })
    }
}

/// What nobody waited for, the GPU still does.
impl Drop for Flight {
    fn drop(&mut self) {
        if let Some(state) = self.state.try_lock() {
            state.parts.iter().for_each(|part| self.device.abandon(part.submission.clone()));
        }
    }
}

impl Submitted {
    /// Compares the time that the submits took with what is wanted, where it is known: who only
    /// comes to wait when all is done doesn't know when that was.
    fn learn(&self, device: &GpuDevice, began_waiting: Instant) {
        const BLOCKED: Duration = Duration::from_millis(1);
        let before = device.note_done();
        if began_waiting.elapsed() > BLOCKED {
            let began = before.map_or(self.at, |before| before.max(self.at));
            self.pace.learn(began.elapsed(), self.submits);
        }
    }
}
