//! A model made ready for a device.

use crate::device::{Backend, Device, DeviceInfo};
use crate::error::{Error, Result};
use crate::model::{Bound, Inputs, Model, Outputs};
use crate::reference;

/// What the last call of a [`Session`] asked of the GPU. All zero on the CPU path.
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
    /// Buffers allocated; none when a shape runs again.
    pub buffers_created: u64,
    /// Bind groups made; none when a shape runs again.
    pub bind_groups_created: u64,
    /// Kernels compiled; none when a shape runs again.
    pub pipelines_created: u64,
}

/// A model whose weights are on the device and whose kernels are built. Runs any batch and any number of
/// timesteps; buffers are kept from call to call.
#[derive(Debug)]
pub struct Session {
    model: Model,
    info: DeviceInfo,
    /// The batch whose states stateful layers hold.
    carried_batch: Option<usize>,
    runner: Runner,
}

#[derive(Debug)]
enum Runner {
    Cpu(reference::Carried<f32>),
    #[cfg(feature = "gpu")]
    Gpu(Box<crate::gpu::GpuSession>),
}

impl Session {
    pub(crate) fn new(model: Model, device: &Device) -> Result<Session> {
        let runner = match device.backend() {
            Backend::Cpu => {
                model.check_weights()?;
                Runner::Cpu(Vec::new())
            }
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Runner::Gpu(Box::new(crate::gpu::GpuSession::new(&model, gpu.clone())?)),
        };
        Ok(Session { model, info: device.info().clone(), carried_batch: None, runner })
    }

    /// Runs the model and waits for the result.
    ///
    /// `inputs` is the input alone (`x.view()`, `[batch, timesteps, features]`) or [`Inputs`]. Values that are
    /// not finite pass through, as in Keras.
    ///
    /// # Errors
    /// Where the inputs don't fit the model, the GPU is lost or memory runs out. Except after
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) the session can be used again.
    pub fn run<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Outputs> {
        let (bound, timesteps) = self.bind(inputs.into())?;
        let outputs = match &mut self.runner {
            Runner::Cpu(carried) => reference::run_bound(&self.model, &bound, carried),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.run(&self.model, &bound),
        };
        Ok(padded(outputs?, timesteps))
    }

    /// Runs the model without blocking the thread while the GPU computes. Needs no particular executor.
    ///
    /// Dropping the future leaves the session usable. On the CPU path it computes when first polled.
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
        let (bound, timesteps) = self.bind(inputs.into())?;
        let outputs = match &mut self.runner {
            Runner::Cpu(carried) => reference::run_bound(&self.model, &bound, carried),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.run_async(&self.model, &bound).await,
        };
        Ok(padded(outputs?, timesteps))
    }

    /// Makes stateful layers start from zeros again, as Keras's `reset_states()`. Otherwise they start from the states
    /// that the last call ended with.
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
        match &mut self.runner {
            Runner::Cpu(carried) => carried.clear(),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.reset_states(),
        }
    }

    /// Checks the inputs; a stateful model's against the batch whose states it holds. Returns them without what is
    /// padding in every row, and then the timesteps that the outputs are to have.
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

    /// What the last call asked of the GPU.
    pub fn counters(&self) -> Counters {
        match &self.runner {
            Runner::Cpu(_) => Counters::default(),
            #[cfg(feature = "gpu")]
            Runner::Gpu(session) => session.counters(),
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

fn padded(outputs: Outputs, timesteps: Option<usize>) -> Outputs {
    match timesteps {
        Some(timesteps) => outputs.with_padding(timesteps),
        None => outputs,
    }
}
