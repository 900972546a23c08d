//! What a session asks of a backend: [`Runner`], which the CPU path, the GPU path and the reference
//! implement.

use crate::error::Result;
use crate::model::{Bound, Inputs, KnownCall, Model, Outputs, OutputsMut, Places};
use crate::profile::Recorder;
use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A model compiled for a device.
pub(crate) trait Runner: Debug + Send {
    /// Starts a call. `model` is the one that was compiled, and `inputs` fit it; a stateful model's
    /// batch is that of the states that it holds.
    fn submit<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        wait: Wait,
    ) -> Awaited<'a, Started>;

    /// Runs a call as `submit` does, and notes where its time goes.
    fn profile<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        wait: Wait,
        recorder: &'a mut Recorder,
    ) -> Awaited<'a, Outputs>;

    /// The rows whose final states stateful layers hold; `None`: they start from zeros.
    fn carried_batch(&self) -> Option<usize>;

    /// Makes stateful layers start from zeros again.
    fn reset_states(&mut self);

    /// What makes calls without allocating; `None`: nothing, and outputs are copied.
    fn workspaces(&mut self) -> Option<&mut dyn Workspaces> {
        None
    }

    /// Keeps the arrays for later outputs.
    fn recycle(&mut self, outputs: Outputs) {
        drop(outputs);
    }

    /// What the last submitted call asked of the GPU.
    fn counters(&self) -> Counters {
        Counters::default()
    }

    /// How long the GPU worked on the call whose outputs were taken last.
    fn gpu_time(&self) -> Option<Duration> {
        None
    }
}

/// Workspaces for calls of one shape each: memory for all that such a call needs.
pub(crate) trait Workspaces {
    /// Makes a workspace for calls like one that is known, which fits the model as `inputs`.
    /// Workspaces are numbered in the order in which they are made.
    fn add(&mut self, model: &Model, known: &KnownCall, inputs: &Bound<'_, f32>) -> Result<()>;

    /// Forgets all workspaces.
    fn clear(&mut self);

    /// Makes a call in the workspace with this number, which was made for one like it. It writes
    /// those of the outputs that have an array, and refuses arrays of another shape before it
    /// computes.
    fn run(
        &mut self,
        workspace: usize,
        model: &Model,
        call: (&KnownCall, &Inputs<'_, f32>),
        outputs: (&mut OutputsMut<'_>, &Places),
    ) -> Result<()>;
}

/// How a call waits for the GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The calling thread polls the device.
    Blocking,
    /// Another thread does, or the web page, and the calling thread is free.
    Async,
}

/// A call that a [`Runner`] started.
#[derive(Debug)]
pub(crate) enum Started {
    Done(Outputs),
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    // only a GPU works while its caller goes on
    InFlight(Box<dyn CallInFlight>),
}

/// A call that a device still works on.
pub(crate) trait CallInFlight: Debug + Send + Sync {
    /// Waits for its outputs.
    fn outputs(self: Box<Self>, wait: Wait) -> Awaited<'static, Outputs>;
}

/// A future of a trait's function.
pub(crate) type Awaited<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// What the last submitted call of a [`Session`](crate::Session) asked of the GPU. All zero on the
/// CPU path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Dispatches, that is, launches of kernels.
    pub dispatches: u64,
    /// Those of them that run all timesteps of a chunk in workgroups that wait for each other
    /// (`GpuOptions::persistent`).
    pub persistent_dispatches: u64,
    /// How often a call or a part of its batch was run once more without such dispatches, because a
    /// workgroup waited in vain: of all calls of the session whose outputs were taken so far.
    pub runs_again: u64,
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

/// The calls of a session, or parts of a call, that can be sent and not yet read. The CPU path
/// computes while a call is submitted.
pub(crate) const IN_FLIGHT: usize = if cfg!(feature = "gpu") { 4 } else { 1 };
