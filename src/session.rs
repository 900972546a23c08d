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

/// What the last submitted call of a [`Session`] asks of the GPU. All zero on the CPU path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Kernel launches.
    pub dispatches: u64,
    /// Command buffers handed to the GPU.
    pub submits: u64,
    /// Bytes sent to the GPU.
    pub bytes_uploaded: u64,
    /// Bytes read back.
    pub bytes_read: u64,
    /// Buffers allocated; none when a shape runs again with no more calls in flight than before.
    pub buffers_created: u64,
    /// Bind groups made; none when a shape runs again.
    pub bind_groups_created: u64,
    /// Kernels compiled; none when a shape runs again.
    pub pipelines_created: u64,
}

/// A model whose weights are on the device and whose kernels are built. Runs any batch and any
/// number of timesteps; buffers are kept from call to call.
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

    /// Runs the model and waits for the result.
    ///
    /// `inputs` is the input alone (`x.view()`, `[batch, timesteps, features]`) or [`Inputs`].
    /// Values that are not finite pass through, as in Keras.
    ///
    /// # Errors
    /// Where the inputs don't fit the model, the GPU is lost or memory runs out. After
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) the session has to be built again,
    /// [`Session::rebuild`], unless [`Session::recover_with`] does it; after any other error it can
    /// be used again as it is.
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

    /// Sends the inputs to the GPU and returns, with the promise of the outputs, while it computes.
    ///
    /// Several calls can be in flight: while the GPU works on one, the inputs of the next go up,
    /// and the outputs of the last come down. The GPU takes them in the order of `submit`; they can
    /// be waited for in any order and from any thread. The inputs are copied before it returns.
    ///
    /// At most [`Session::IN_FLIGHT`] calls (or parts of a call whose batch is too large for one)
    /// have their buffers at a time: beyond that, `submit` first waits for the oldest and keeps its
    /// outputs for whoever waits for them. A [`Pending`] that is dropped was computed all the same,
    /// and stateful layers go on from its states. The CPU path computes before it returns.
    ///
    /// # Errors
    /// As [`Session::run`]. What goes wrong on the GPU after `submit` is an error of
    /// [`Pending::wait`].
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

    /// The most calls whose inputs and outputs have buffers at a time; see [`Session::submit`].
    #[cfg(feature = "gpu")]
    pub const IN_FLIGHT: usize = crate::gpu::IN_FLIGHT;
    /// The most calls whose inputs and outputs have buffers at a time; see [`Session::submit`].
    #[cfg(not(feature = "gpu"))]
    pub const IN_FLIGHT: usize = 1;

    /// Runs the model without blocking the thread while the GPU computes. Needs no particular
    /// executor.
    ///
    /// Dropping the future leaves the session usable; once polled, the call counts for the states
    /// of stateful layers. On the CPU path it computes when first polled.
    ///
    /// # Errors
    /// As [`Session::run`].
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

    /// Takes back outputs that are done with: later calls whose outputs have the same shapes write
    /// into these arrays, in place of new ones. It pays from some megabytes on, as new memory comes
    /// page by page: with a fast GPU that can take longer than the call. Where outputs are of other
    /// shapes, and on the CPU path, it only drops them.
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

    /// Makes stateful layers start from zeros again, as Keras's `reset_states()`. Otherwise they
    /// start from the states that the last call ended with.
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

    /// What the call that was submitted last asks of the GPU.
    pub fn counters(&self) -> Counters {
        match &self.runner {
            Runner::Cpu(_) => Counters::default(),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.counters(),
        }
    }

    /// How long the GPU worked on the call whose outputs were taken last, from the beginning of its
    /// first kernel to the end of its last. `None` unless the device was opened with
    /// [`DeviceOptions::gpu_time`](crate::DeviceOptions::gpu_time) and has timestamps.
    pub fn gpu_time(&self) -> Option<Duration> {
        match &self.runner {
            Runner::Cpu(_) => None,
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.gpu_time(),
        }
    }

    /// The device that it runs on, and why that was chosen.
    pub fn device_info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The model that it runs.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

/// The outputs of a call in flight: [`wait`](Pending::wait) for them, or `.await` them on any
/// executor.
///
/// It doesn't borrow the session, can go to another thread, and outlive the session.
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
    /// Blocks the thread until the outputs are there.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost), or another failure of the driver.
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

    /// Waits without blocking the thread.
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
