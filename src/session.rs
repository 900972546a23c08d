//! A model made ready for a device.

use crate::cpu::CpuSession;
use crate::device::{Backend, Device, DeviceInfo};
use crate::error::{Error, Result};
use crate::model::{Bound, Inputs, Model, Outputs};
use crate::recovery::Recovery;
use std::pin::Pin;
#[cfg(feature = "gpu")]
use std::sync::Arc;
use std::time::Duration;

/// What the last submitted call of a [`Session`] asked of the GPU. All zero on the CPU path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Dispatches, that is, launches of kernels.
    pub dispatches: u64,
    /// Command buffers handed to the GPU.
    pub submits: u64,
    /// Bytes sent to the GPU: inputs, and of a new shape the parameters of its dispatches.
    pub bytes_uploaded: u64,
    /// Bytes of outputs read back from the GPU.
    pub bytes_read: u64,
    /// Buffers created; 0 where a shape that is kept runs again with no more calls in flight than
    /// before.
    pub buffers_created: u64,
    /// Bind groups created; 0 where a shape that is kept runs again.
    pub bind_groups_created: u64,
    /// Compute pipelines built, which compiles a kernel; 0 where a shape runs again.
    pub pipelines_created: u64,
}

/// A [`Model`] made ready for a [`Device`] by [`Device::compile`]: its weights are on the device
/// and its kernels are built.
///
/// A session runs any batch size and any number of timesteps that the model takes. Buffers are kept
/// from call to call. On a GPU the preparations for up to 16 shapes of calls are kept, too; a
/// further shape drops them, and they are made again when needed.
#[derive(Debug)]
pub struct Session {
    model: Model,
    info: DeviceInfo,
    /// The batch whose states stateful layers hold.
    carried_batch: Option<usize>,
    runner: Runner,
    pub(crate) recovery: Recovery,
}

#[derive(Debug)]
enum Runner {
    Cpu(CpuSession),
    #[cfg(feature = "gpu")]
    Gpu(Box<crate::gpu::GpuSession>),
}

impl Session {
    pub(crate) fn new(model: Model, device: &Device) -> Result<Session> {
        let runner = match device.backend() {
            Backend::Cpu { threads, half_weights } => {
                Runner::Cpu(CpuSession::new(&model, threads.clone(), *half_weights)?)
            }
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => {
                Runner::Gpu(Box::new(crate::gpu::GpuSession::new(&model, gpu.clone())?))
            }
        };
        let info = device.info().clone();
        Ok(Session { model, info, carried_batch: None, runner, recovery: Recovery::default() })
    }

    /// Runs the model and waits for its outputs.
    ///
    /// `inputs` is the array of the only input (`x.view()`, `[batch, timesteps, features]`) or
    /// [`Inputs`], which also holds further inputs, masks and initial states. Inputs may hold NaN
    /// and infinities, which do what they do in Keras.
    ///
    /// # Errors
    /// * The inputs don't fit the model: [`Error::InputCount`], [`Error::InputName`],
    ///   [`Error::InputShape`], [`Error::EmptyAxis`], [`Error::Length`], [`Error::IdRange`],
    ///   [`Error::StatefulBatch`], for masks [`Error::Graph`], and for initial states
    ///   [`Error::Argument`] or [`Error::UnknownLayer`].
    /// * The call is too large: [`Error::Limit`] or [`Error::OutOfMemory`].
    /// * The GPU fails: [`Error::DeviceLost`] or [`Error::Gpu`]. After `DeviceLost` the session has
    ///   to be built again with [`Session::rebuild`], unless [`Session::recover_with`] was called;
    ///   after any other error it can be used as it is.
    ///
    /// ```
    /// use birnn::{Device, Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3).return_sequences(true)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// let x = ndarray::Array3::<f32>::zeros((4, 8, 2)); // [batch, timesteps, features]
    /// let outputs = session.run(x.view())?;
    /// assert_eq!(outputs.output().shape(), [4, 8, 3]); // [batch, timesteps, units]
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn run<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Outputs> {
        let inputs = inputs.into();
        let (again, had_states) = (self.recovery.keeps(&inputs), self.recovery.has_states);
        let mut result = self.submit(inputs).and_then(Pending::wait);
        for inputs in again {
            match result {
                Err(Error::DeviceLost { reason }) => self.recover(reason, had_states)?,
                result => return result,
            }
            result = self.submit(inputs).and_then(Pending::wait);
        }
        result
    }

    /// Starts a call and returns while the GPU computes. The outputs are taken from the [`Pending`]
    /// that it returns. `inputs` are those of [`Session::run`]; they are copied before `submit`
    /// returns.
    ///
    /// Several calls can be in flight, so that the inputs of the next call are uploaded and the
    /// outputs of the last one are read back while the GPU works on another. The GPU runs them in
    /// the order in which they were submitted; their outputs can be waited for in any order and
    /// from any thread.
    ///
    /// At most [`Session::IN_FLIGHT`] calls have buffers at a time (of a call whose batch runs in
    /// parts, each part counts). Where all are in use, `submit` first waits for the oldest call and
    /// keeps its outputs for its `Pending`. A call whose `Pending` is dropped is computed all the
    /// same, and stateful layers go on from its final states; of such calls a device has at most 16
    /// under way, and then a new call waits. On the CPU path `submit` itself computes.
    ///
    /// # Errors
    /// Those of [`Session::run`]. What goes wrong on the GPU after `submit` has returned is an
    /// error of [`Pending::wait`].
    ///
    /// ```
    /// use birnn::{Device, Gru, Model};
    /// use ndarray::{Array3, Axis};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// let batches = vec![Array3::<f32>::ones((4, 6, 2)); 10];
    /// let mut before = None;
    /// for x in &batches {
    ///     let pending = session.submit(x.view())?;
    ///     if let Some(before) = before.replace(pending) {
    ///         println!("{}", before.wait()?.output().sum_axis(Axis(0))); // while the GPU works on the next
    ///     }
    /// }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn submit<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Pending> {
        let (bound, timesteps) = self.bind(inputs.into())?;
        let work = match &mut self.runner {
            Runner::Cpu(session) => Work::Done(session.run(&self.model, &bound)?),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => Work::Gpu(pollster::block_on(session.submit(
                &self.model,
                &bound,
                crate::gpu::Wait::Blocking,
            ))?),
        };
        self.recovery.has_states |= self.model.is_stateful();
        Ok(Pending { work, timesteps })
    }

    /// How many calls of a session can have buffers for their inputs and outputs at a time; see
    /// [`Session::submit`].
    #[cfg(feature = "gpu")]
    pub const IN_FLIGHT: usize = crate::gpu::IN_FLIGHT;
    /// How many calls of a session can have buffers for their inputs and outputs at a time; see
    /// [`Session::submit`].
    #[cfg(not(feature = "gpu"))]
    pub const IN_FLIGHT: usize = 1;

    /// Runs the model as [`Session::run`], without blocking the thread while the GPU computes. It
    /// works with any executor.
    ///
    /// A future that is dropped leaves the session usable. If it was polled before, its call may
    /// have run, and stateful layers then go on from its final states. On the CPU path the first
    /// poll computes everything.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    ///
    /// ```
    /// use birnn::{Device, Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// let x = ndarray::Array3::<f32>::zeros((1, 4, 2));
    /// let outputs = pollster::block_on(session.run_async(x.view()))?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub async fn run_async<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Outputs> {
        let inputs = inputs.into();
        let (again, had_states) = (self.recovery.keeps(&inputs), self.recovery.has_states);
        let mut result = self.run_once(inputs).await;
        for inputs in again {
            match result {
                Err(Error::DeviceLost { reason }) => self.recover(reason, had_states)?,
                result => return result,
            }
            result = self.run_once(inputs).await;
        }
        result
    }

    async fn run_once(&mut self, inputs: Inputs<'_, f32>) -> Result<Outputs> {
        let (bound, timesteps) = self.bind(inputs)?;
        let work = match &mut self.runner {
            Runner::Cpu(session) => Work::Done(session.run(&self.model, &bound)?),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => {
                Work::Gpu(session.submit(&self.model, &bound, crate::gpu::Wait::Async).await?)
            }
        };
        self.recovery.has_states |= self.model.is_stateful();
        Pending { work, timesteps }.await
    }

    /// Takes back outputs that are no longer needed, so that later calls write into their arrays
    /// instead of new ones. An array is used again for an output with as many values.
    ///
    /// It pays for outputs of some megabytes: the system hands out new memory page by page, which
    /// can take longer than a fast GPU takes to compute. On the CPU path it only drops the outputs.
    ///
    /// ```
    /// use birnn::{Device, Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3).return_sequences(true)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// let x = ndarray::Array3::<f32>::ones((64, 50, 2));
    /// for _ in 0..3 {
    ///     let outputs = session.run(x.view())?;
    ///     println!("{}", outputs.output().sum());
    ///     session.recycle(outputs);
    /// }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn recycle(&mut self, outputs: Outputs) {
        match &mut self.runner {
            Runner::Cpu(_) => drop(outputs),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.recycle(&self.model, outputs),
        }
    }

    /// Makes stateful layers start from zero states in the next call, as Keras's `reset_states()`.
    /// Without it they start from the states that the last call ended with. The next call may also
    /// have another batch size.
    ///
    /// ```
    /// use birnn::{Device, Lstm, Model};
    /// use ndarray::{Array3, s};
    /// let model = Model::sequential(2, [Lstm::new(3).stateful(true)])?.initialize(1)?;
    /// let mut session = Device::cpu().compile(&model)?;
    /// let x = Array3::<f32>::ones((1, 6, 2));
    /// let whole = session.run(x.view())?;
    /// session.reset_states();
    /// session.run(x.slice(s![.., ..4, ..]))?;
    /// let rest = session.run(x.slice(s![.., 4.., ..]))?; // goes on where the first four timesteps ended
    /// assert_eq!(rest.output(), whole.output());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn reset_states(&mut self) {
        self.carried_batch = None;
        self.recovery.has_states = false;
        match &mut self.runner {
            Runner::Cpu(session) => session.reset_states(),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.reset_states(),
        }
    }

    /// Checks the inputs; a stateful model's against the batch whose states it holds. Returns them
    /// without what is padding in every row, and then the timesteps that the outputs are to have.
    fn bind<'a>(&mut self, inputs: Inputs<'a, f32>) -> Result<(Bound<'a, f32>, Option<usize>)> {
        let mut bound = self.model.bind(inputs)?;
        if self.model.is_stateful() {
            let expected = *self.carried_batch.get_or_insert(bound.batch);
            if bound.batch != expected {
                return Err(Error::StatefulBatch { found: bound.batch, expected });
            }
        }
        let timesteps = self.model.without_padding(&mut bound)?;
        Ok((bound, timesteps))
    }

    /// What the call that was submitted last asked of the GPU.
    pub fn counters(&self) -> Counters {
        match &self.runner {
            Runner::Cpu(_) => Counters::default(),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.counters(),
        }
    }

    /// How long the GPU worked on the call whose outputs were taken last: from the beginning of its
    /// first kernel to the end of its last one, summed over the parts of its batch. `None` on the
    /// CPU path, and unless the device has timestamps and was opened with
    /// [`DeviceOptions::gpu_time`](crate::DeviceOptions::gpu_time).
    pub fn gpu_time(&self) -> Option<Duration> {
        match &self.runner {
            Runner::Cpu(_) => None,
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.gpu_time(),
        }
    }

    /// Describes the device that the session runs on, and says why it was chosen.
    pub fn device_info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The model that the session runs.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// A call in flight, which [`Session::submit`] returned. [`wait`](Pending::wait) blocks until its
/// outputs are there; `.await` waits for them on any executor.
///
/// It doesn't borrow the session, can be sent to another thread, and can outlive the session.
#[derive(Debug)]
#[must_use = "the outputs are brought home by wait() or .await"]
pub struct Pending {
    work: Work,
    /// The timesteps that the outputs are to have, where padding was left out.
    timesteps: Option<usize>,
}

#[derive(Debug)]
enum Work {
    Done(Outputs),
    #[cfg(feature = "gpu")]
    Gpu(Arc<crate::gpu::Flight>),
}

#[cfg_attr(not(feature = "gpu"), allow(clippy::infallible_destructuring_match))]
impl Pending {
    /// Blocks the thread until the outputs are there, and returns them.
    ///
    /// # Errors
    /// [`Error::DeviceLost`] where the GPU was lost meanwhile, or another failure of the driver, such
    /// as [`Error::Gpu`].
    pub fn wait(self) -> Result<Outputs> {
        let outputs = match self.work {
            Work::Done(outputs) => outputs,
            #[cfg(feature = "gpu")]
            Work::Gpu(flight) => {
                Outputs::new(pollster::block_on(flight.wait(crate::gpu::Wait::Blocking))?)
            }
        };
        Ok(padded(outputs, self.timesteps))
    }
}

#[cfg_attr(not(feature = "gpu"), allow(clippy::infallible_destructuring_match))]
impl IntoFuture for Pending {
    type Output = Result<Outputs>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Outputs>> + Send>>;

    /// Waits for the outputs without blocking the thread; the errors are those of
    /// [`Pending::wait`].
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let outputs = match self.work {
                Work::Done(outputs) => outputs,
                #[cfg(feature = "gpu")]
                Work::Gpu(flight) => Outputs::new(flight.wait(crate::gpu::Wait::Async).await?),
            };
            Ok(padded(outputs, self.timesteps))
        })
    }
}

fn padded(outputs: Outputs, timesteps: Option<usize>) -> Outputs {
    match timesteps {
        Some(timesteps) => outputs.with_padding(timesteps),
        None => outputs,
    }
}
