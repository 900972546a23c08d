//! A call in flight.

use crate::error::Result;
use crate::host;
use crate::model::Outputs;
use crate::runner::{Started, Wait};
use std::pin::Pin;

/// A call in flight, which [`Session::submit`](crate::Session::submit) returned.
/// [`wait`](Pending::wait) blocks until its outputs are there; `.await` waits for them on any
/// executor.
///
/// It doesn't borrow the session, can be sent to another thread, and can outlive the session.
#[derive(Debug)]
#[must_use = "the outputs are brought home by wait() or .await"]
pub struct Pending {
    started: Started,
    /// The timesteps that the outputs are to have, where padding was left out.
    timesteps: Option<usize>,
}

impl Pending {
    pub(crate) fn new(started: Started, timesteps: Option<usize>) -> Pending {
        Pending { started, timesteps }
    }

    /// Blocks the thread until the outputs are there, and returns them.
    ///
    /// # Errors
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) where the GPU was lost meanwhile, or another
    /// failure of the driver, such as [`Error::Gpu`](crate::Error::Gpu).
    pub fn wait(self) -> Result<Outputs> {
        host::block_on(self.outputs(Wait::Blocking))
    }

    pub(crate) async fn outputs(self, wait: Wait) -> Result<Outputs> {
        let outputs = match self.started {
            Started::Done(outputs) => outputs,
            Started::InFlight(flight) => flight.outputs(wait).await?,
        };
        Ok(match self.timesteps {
            Some(timesteps) => outputs.with_padding(timesteps),
            None => outputs,
        })
    }
}

impl IntoFuture for Pending {
    type Output = Result<Outputs>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Outputs>> + Send>>;

    /// Waits for the outputs without blocking the thread; the errors are those of
    /// [`Pending::wait`].
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.outputs(Wait::Async))
    }
}
