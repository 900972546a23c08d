//! A model made ready for a device.

use crate::device::{Device, DeviceInfo, DeviceOptions};
use crate::error::{Error, Result};
use crate::host;
use crate::model::{Bound, FittingCall, Inputs, KnownCall, Model, Outputs, OutputsMut, Places};
use crate::pending::Pending;
use crate::profile::{Profile, Recorder};
use crate::recovery::{Compiled, Recovery};
use crate::runner::{Counters, IN_FLIGHT, Started, Wait};
use std::time::Duration;

/// A [`Model`] made ready for a [`Device`] by [`Device::compile`]: its weights are on the device
/// and its kernels are built.
///
/// A session runs any batch size and any number of timesteps that the model takes. Buffers are kept
/// from call to call. On a GPU the preparations for up to 16 shapes of calls are kept, too; a
/// further shape drops them, and they are made again when needed.
#[derive(Debug)]
pub struct Session {
    model: Model,
    compiled: Compiled,
    recovery: Recovery,
    /// The last call.
    last: Option<FittingCall>,
    /// Of a program the shapes of what the last call handed on.
    tied: Vec<Vec<usize>>,
    /// The calls that the runner has workspaces for, in the order of its workspaces.
    known: Vec<KeptCall>,
}

/// For which calls a workspace is.
#[derive(Debug)]
struct KeptCall {
    call: KnownCall,
    /// Whether stateful layers start from states that the last call ended with.
    carried: bool,
    /// What such a call hands on, as in [`Session`].
    tied: Vec<Vec<usize>>,
}

/// How many workspaces are kept; above it all are dropped, so that a caller with ever new shapes
/// doesn't fill memory.
const KEPT_WORKSPACES: usize = 16;

impl Device {
    /// Makes the model ready to run: uploads its weights and builds the kernels for its layers, so
    /// that calls of one row don't have to. Where more rows, or states from the last call, take
    /// others, the first such call builds them. The session has a copy of the model, whose later
    /// changes don't reach it.
    ///
    /// # Errors
    /// [`Error::MissingWeights`](crate::Error::MissingWeights) where a layer has no weights,
    /// [`Error::Limit`](crate::Error::Limit) where a layer is too large for the device,
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::DeviceLost`](crate::Error::DeviceLost), or [`Error::Gpu`](crate::Error::Gpu).
    pub fn compile(&self, model: &Model) -> Result<Session> {
        host::block_on(self.compile_async(model))
    }

    /// Makes the model ready to run as [`Device::compile`], without blocking the thread: what a web
    /// page uses. It works with any executor.
    ///
    /// # Errors
    /// Those of [`Device::compile`].
    pub async fn compile_async(&self, model: &Model) -> Result<Session> {
        let compiled = Compiled::new(model, self).await?;
        let recovery = Recovery::default();
        let (tied, known) = (Vec::new(), Vec::new());
        Ok(Session { model: model.clone(), compiled, recovery, last: None, tied, known })
    }
}

impl Session {
    /// Runs the model and waits for its outputs.
    ///
    /// `inputs` is the array of the only input (`x.view()`, `[batch, timesteps, features]`) or
    /// [`Inputs`], which also holds further inputs, masks and initial states. Inputs may hold NaN
    /// and infinities, which do what they do in Keras.
    ///
    /// # Errors
    /// * The inputs don't fit the model: [`Error::InputCount`], [`Error::InputName`],
    ///   [`Error::InputShape`], [`Error::EmptyAxis`], [`Error::Length`], [`Error::IdRange`],
    ///   [`Error::InputValue`],
    ///   [`Error::StatefulBatch`], for masks [`Error::Graph`], and for initial states
    ///   [`Error::Argument`] or [`Error::UnknownLayer`].
    /// * The call is too large: [`Error::Limit`] or [`Error::OutOfMemory`].
    /// * The GPU fails: [`Error::DeviceLost`] or [`Error::Gpu`]. After `DeviceLost` the session has
    ///   to be built again with [`Session::rebuild`], unless [`Session::recover_with`] was called;
    ///   after any other error it can be used as it is. Where the GPU failed while it worked on the
    ///   call, stateful layers start from zeros again.
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
        host::block_on(self.run_or_recover(inputs.into(), Wait::Blocking))
    }

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
        self.run_or_recover(inputs.into(), Wait::Async).await
    }

    async fn run_or_recover(&mut self, inputs: Inputs<'_, f32>, wait: Wait) -> Result<Outputs> {
        let copies = self.recovery.copies(&inputs);
        let had_states = self.compiled.runner.carried_batch().is_some();
        let mut result = self.run_once(inputs, wait).await;
        for inputs in copies {
            match result {
                Err(Error::DeviceLost { reason }) => self.recover(reason, had_states).await?,
                result => return result,
            }
            result = self.run_once(inputs, wait).await;
        }
        result
    }

    async fn run_once(&mut self, inputs: Inputs<'_, f32>, wait: Wait) -> Result<Outputs> {
        self.start(inputs, wait, None).await?.outputs(wait).await
    }

    /// Runs the model and writes its outputs to arrays of the caller's. For calls that follow one
    /// another quickly, such as those of an audio callback with a timestep each.
    ///
    /// `inputs` are those of [`Session::run`]. `outputs` is the array for the model's first output
    /// (`&mut y` or `y.view_mut()`), of its shape, or [`OutputsMut`], which names several. Arrays
    /// may be in any memory order.
    ///
    /// On the CPU path a call allocates nothing and takes no lock once one of its shapes, with
    /// arrays and states given in the same way, was made (a stateful layer's first call, which
    /// starts from zeros, counts as another shape than those after it). The session keeps the
    /// memory for up to 16 shapes. This holds for recurrent layers in one direction, `Dense`,
    /// element-wise activations, normalization, scaling and reshaping, as far as one thread
    /// computes them, which all of less than 500,000 multiplications are. Other layers may allocate
    /// what they write. Calls with masks or lengths, and those on a GPU or the
    /// reference, are those of [`Session::run`], whose outputs are copied.
    ///
    /// # Errors
    /// Those of [`Session::run`]; [`Error::NoSuchOutput`] where the model doesn't return an output
    /// that an array is given for, or one is given twice, and [`Error::OutputShape`] where an
    /// array has another shape than its output. Arrays hold no outputs then, and stateful layers
    /// stay as they were; only with a program on a GPU or the reference have its states gone on
    /// where a shape is wrong.
    ///
    /// ```
    /// use birnn::{Dense, Device, Layer, Lstm, Model};
    /// use ndarray::Array3;
    /// let layers: [Layer; 2] = [
    ///     Lstm::new(16).return_sequences(true).stateful(true).into(),
    ///     Dense::new(1).into(),
    /// ];
    /// let model = Model::sequential(1, layers)?.initialize(1)?;
    /// let mut session = Device::cpu().compile(&model)?;
    /// let (mut x, mut y) = (Array3::<f32>::zeros((1, 1, 1)), Array3::<f32>::zeros((1, 1, 1)));
    /// for sample in [0.1, 0.4, -0.2] {
    ///     x[[0, 0, 0]] = sample;
    ///     session.run_into(x.view(), &mut y)?; // goes on from the states of the call before
    ///     println!("{}", y[[0, 0, 0]]);
    /// }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn run_into<'a, 'o>(
        &mut self,
        inputs: impl Into<Inputs<'a, f32>>,
        outputs: impl Into<OutputsMut<'o>>,
    ) -> Result<()> {
        let inputs = inputs.into();
        let mut outputs = outputs.into();
        let places = outputs.places(&self.model)?;
        match self.known_place(&inputs) {
            Some(workspace) => self.run_known(workspace, &inputs, &mut outputs, &places),
            None => self.run_unknown(inputs, &mut outputs, &places),
        }
    }

    /// The workspace for a call.
    fn known_place(&self, inputs: &Inputs<'_, f32>) -> Option<usize> {
        let batch = self.compiled.runner.carried_batch();
        self.known.iter().position(|workspace| {
            let goes_on = batch
                .is_none_or(|batch| batch == workspace.call.batch && self.tied == workspace.tied);
            workspace.carried == batch.is_some() && goes_on && workspace.call.is_like(inputs)
        })
    }

    fn run_known(
        &mut self,
        number: usize,
        inputs: &Inputs<'_, f32>,
        outputs: &mut OutputsMut<'_>,
        places: &Places,
    ) -> Result<()> {
        let (Some(workspaces), Some(workspace)) =
            (self.compiled.runner.workspaces(), self.known.get(number))
        else {
            return Err(Error::Graph(format!("there is no workspace {number} for a call")));
        };
        self.model.check_known(&workspace.call, inputs)?;
        workspaces.run(number, &self.model, (&workspace.call, inputs), (outputs, places))?;
        if self.tied != workspace.tied {
            self.tied.clone_from(&workspace.tied);
        }
        Ok(())
    }

    /// A call that no workspace was made for yet.
    fn run_unknown(
        &mut self,
        inputs: Inputs<'_, f32>,
        outputs: &mut OutputsMut<'_>,
        places: &Places,
    ) -> Result<()> {
        let bound = self.bound(inputs.clone())?;
        if self.model.program.is_none() {
            let shape = |place: usize| {
                let axes = &bound.shapes[self.model.outputs[place]];
                [&[bound.batch][..], &axes[..]].concat()
            };
            outputs.check(&self.model, places, |place, found| found == shape(place), shape)?;
        }
        let carried = self.compiled.runner.carried_batch().is_some();
        if let Some(workspaces) = self.compiled.runner.workspaces()
            && let Some(call) = self.model.known_call(&inputs, &bound)?
        {
            if self.known.len() >= KEPT_WORKSPACES {
                self.known.clear();
                workspaces.clear();
            }
            workspaces.add(&self.model, &call, &bound)?;
            self.known.push(KeptCall { call, carried, tied: bound.tied.clone() });
            return self.run_known(self.known.len() - 1, &inputs, outputs, places);
        }
        drop(bound);
        let found = self.run(inputs)?;
        let shape = |place: usize| found.list()[place].array.shape().to_vec();
        outputs.check(&self.model, places, |place, found| found == shape(place), shape)?;
        outputs.fill(places, &found);
        self.recycle(found);
        Ok(())
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
    ///         // While the GPU works on the next:
    ///         println!("{}", before.wait()?.output().sum_axis(Axis(0)));
    ///     }
    /// }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn submit<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Pending> {
        host::block_on(self.start(inputs.into(), Wait::Blocking, None))
    }

    /// Starts a call as [`Session::submit`], without blocking the thread where it has to wait for
    /// an earlier call.
    ///
    /// # Errors
    /// Those of [`Session::submit`].
    pub async fn submit_async<'a>(
        &mut self,
        inputs: impl Into<Inputs<'a, f32>>,
    ) -> Result<Pending> {
        self.start(inputs.into(), Wait::Async, None).await
    }

    /// Checks the inputs and starts the call, without what is padding in every row.
    /// With a recorder it is a call whose time is noted, and which is done when this returns.
    async fn start(
        &mut self,
        inputs: Inputs<'_, f32>,
        wait: Wait,
        recorder: Option<&mut Recorder>,
    ) -> Result<Pending> {
        let mut bound = self.bound(inputs)?;
        self.tied.clone_from(&bound.tied);
        let timesteps = self.model.without_padding(&mut bound)?;
        let (model, runner) = (&self.model, &mut self.compiled.runner);
        let started = match recorder {
            None => runner.submit(model, &bound, wait).await?,
            Some(recorder) => {
                recorder.host("inputs");
                Started::Done(runner.profile(model, &bound, wait, recorder).await?)
            }
        };
        Ok(Pending::new(started, timesteps))
    }

    /// Checks the inputs against the model and the states that its layers hold.
    fn bound<'a>(&mut self, inputs: Inputs<'a, f32>) -> Result<Bound<'a, f32>> {
        let bound = self.model.bind_after(&mut self.last, inputs)?;
        match self.compiled.runner.carried_batch() {
            Some(expected) if bound.batch != expected => {
                Err(Error::StatefulBatch { found: bound.batch, expected })
            }
            Some(_) if bound.tied != self.tied => Err(Error::Graph(format!(
                "the states of this call have shapes {:?}, and the last call left {:?}: call \
                     Session::reset_states first",
                bound.tied, self.tied
            ))),
            _ => Ok(bound),
        }
    }

    /// Runs the model as [`Session::run`], and returns where the time went besides the outputs: of
    /// each layer the operators that it ran, with their kernels, shapes and times.
    ///
    /// The outputs, and the states that stateful layers are left with, are those of `run`, to the
    /// bit. The first call of a shape also plans its work: call `run` before, where that is not to
    /// be measured. On a GPU each launch is a pass of its own while it is profiled, which takes
    /// some microseconds more for each, and earlier calls in flight are waited for first. A call
    /// that isn't profiled takes as long as ever.
    ///
    /// # Errors
    /// Those of [`Session::run`]; a lost device is not recovered from. [`Error::Profile`] where a
    /// GPU has no timestamps: the CPU path, the reference and nearly all GPUs can be profiled, some
    /// browsers only with a setting; and where the call ran again without persistent kernels.
    ///
    /// ```
    /// use birnn::{Dense, Device, Layer, Lstm, Model};
    /// let layers: [Layer; 2] = [Lstm::new(32).into(), Dense::new(4).into()];
    /// let model = Model::sequential(8, layers)?.initialize(1)?;
    /// let mut session = Device::cpu().compile(&model)?;
    /// let x = ndarray::Array3::<f32>::ones((16, 50, 8));
    /// let outputs = session.run(x.view())?; // which also prepares calls of this shape
    /// let mut profile = session.profile(x.view())?;
    /// for _ in 1..5 {
    ///     profile += session.profile(x.view())?;
    /// }
    /// println!("{profile}"); // a table, of the mean of five calls
    /// let slowest = profile.operators().into_iter().max_by_key(|row| row.total);
    /// println!("{:?}", slowest.map(|row| (row.layer, row.share)));
    /// assert_eq!(profile.outputs, outputs);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn profile<'a>(&mut self, inputs: impl Into<Inputs<'a, f32>>) -> Result<Profile> {
        host::block_on(self.profiled(inputs.into(), Wait::Blocking))
    }

    /// Profiles a call as [`Session::profile`], without blocking the thread.
    ///
    /// # Errors
    /// Those of [`Session::profile`].
    pub async fn profile_async<'a>(
        &mut self,
        inputs: impl Into<Inputs<'a, f32>>,
    ) -> Result<Profile> {
        self.profiled(inputs.into(), Wait::Async).await
    }

    async fn profiled(&mut self, inputs: Inputs<'_, f32>, wait: Wait) -> Result<Profile> {
        let mut recorder = Recorder::new(self.compiled.info.to_string())?;
        let pending = self.start(inputs, wait, Some(&mut recorder)).await?;
        let outputs = pending.outputs(wait).await?;
        Ok(recorder.finish(outputs))
    }

    /// How many calls of a session can have buffers for their inputs and outputs at a time; see
    /// [`Session::submit`].
    pub const IN_FLIGHT: usize = IN_FLIGHT;

    /// Takes back outputs that are no longer needed, so that later calls write into their arrays
    /// instead of new ones. On a GPU an array is used again for an output with as many values, on
    /// the CPU path for any array of the next call that needs as much memory, or half of it.
    ///
    /// It pays for outputs of some megabytes: the system hands out new memory page by page, which
    /// can take longer than a fast GPU takes to compute.
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
        self.compiled.runner.recycle(outputs);
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
    /// // Goes on where the first four timesteps ended.
    /// let rest = session.run(x.slice(s![.., 4.., ..]))?;
    /// assert_eq!(rest.output(), whole.output());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn reset_states(&mut self) {
        self.compiled.runner.reset_states();
    }

    /// Makes the session carry on when its device is lost, for instance because the driver was
    /// reset or the GPU unplugged: the session is built again on the first of `devices` that opens,
    /// and the call is made again. `devices` replaces what was set before; by default there is
    /// none, and a call on a lost device returns [`Error::DeviceLost`].
    ///
    /// This works for [`Session::run`] and [`Session::run_async`]. Calls of [`Session::submit`]
    /// that are in flight when the device is lost fail, and the next `run` recovers. The states of
    /// stateful layers are lost with the device. If the call would have started from such states,
    /// the session is built again and starts from zeros, but the call still returns
    /// [`Error::DeviceLost`], since its result would be another one.
    ///
    /// ```
    /// use birnn::{Device, DeviceOptions, Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// // Once more on a GPU, and else without one.
    /// session.recover_with([DeviceOptions::new().gpu(), DeviceOptions::new().cpu()]);
    /// let outputs = session.run(ndarray::Array3::<f32>::zeros((1, 4, 2)).view())?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn recover_with(&mut self, devices: impl IntoIterator<Item = DeviceOptions>) {
        self.recovery = Recovery::new(devices);
    }

    /// Builds the session again on the first device that opens. An error where none does, or where
    /// the call started from states, which are lost.
    async fn recover(&mut self, reason: String, had_states: bool) -> Result<()> {
        self.compiled = self.recovery.compile(&self.model, &reason).await?;
        self.known.clear();
        if had_states {
            let lost = "the states of its stateful layers are lost with it; the session starts \
                        from zeros again";
            return Err(Error::DeviceLost { reason: format!("{reason}; {lost}") });
        }
        let device = self.device_info();
        tracing::warn!(reason, %device, "the device was lost: another one goes on");
        Ok(())
    }

    /// Builds the session again on `device`, after [`Error::DeviceLost`] or to move it to another
    /// device. Stateful layers then start from zeros.
    ///
    /// # Errors
    /// Those of [`Device::compile`]; the session then stays as it was.
    ///
    /// ```
    /// use birnn::{Device, Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let mut session = Device::best()?.compile(&model)?;
    /// session.rebuild(&Device::cpu())?;
    /// assert_eq!(session.device_info().name, "cpu");
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn rebuild(&mut self, device: &Device) -> Result<()> {
        host::block_on(self.rebuild_async(device))
    }

    /// Builds the session again as [`Session::rebuild`], without blocking the thread.
    ///
    /// # Errors
    /// Those of [`Session::rebuild`].
    pub async fn rebuild_async(&mut self, device: &Device) -> Result<()> {
        self.compiled = Compiled::new(&self.model, device).await?;
        self.known.clear();
        Ok(())
    }

    /// What the call that was submitted last asked of the GPU.
    pub fn counters(&self) -> Counters {
        self.compiled.runner.counters()
    }

    /// How long the GPU worked on the call whose outputs were taken last: from the beginning of its
    /// first kernel to the end of its last one, summed over the parts of its batch. `None` on the
    /// CPU path, and unless the device has timestamps and was opened with
    /// `GpuOptions::gpu_time`.
    pub fn gpu_time(&self) -> Option<Duration> {
        self.compiled.runner.gpu_time()
    }

    /// Describes the device that the session runs on, and says why it was chosen.
    pub fn device_info(&self) -> &DeviceInfo {
        &self.compiled.info
    }

    /// The model that the session runs.
    pub fn model(&self) -> &Model {
        &self.model
    }
}
