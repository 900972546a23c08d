//! What becomes of a session whose device is lost.

use crate::device::{Device, DeviceOptions};
use crate::error::{Error, Result};
use crate::model::Inputs;
use crate::session::Session;

/// What a session does when its device is lost.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// The devices that take over: the first that opens.
    options: Vec<DeviceOptions>,
    /// Whether stateful layers hold the states of an earlier call.
    pub has_states: bool,
}

impl Recovery {
    /// The inputs once for each time that the call may have to be made again.
    pub fn keeps<'a>(&self, inputs: &Inputs<'a, f32>) -> Vec<Inputs<'a, f32>> {
        vec![inputs.clone(); self.options.len()]
    }
}

impl Session {
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
    /// session.recover_with([DeviceOptions::new().gpu(), DeviceOptions::new().cpu()]); // once more, and else without a GPU
    /// let outputs = session.run(ndarray::Array3::<f32>::zeros((1, 4, 2)).view())?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn recover_with(&mut self, devices: impl IntoIterator<Item = DeviceOptions>) {
        self.recovery.options = devices.into_iter().collect();
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
        let options = std::mem::take(&mut self.recovery.options);
        let built = device.compile(self.model());
        match built {
            Ok(session) => *self = session,
            Err(error) => {
                self.recovery.options = options;
                return Err(error);
            }
        }
        self.recovery.options = options;
        Ok(())
    }

    /// Builds the session again on the first device that opens. An error where none does, or where
    /// the call started from states, which are lost.
    pub(crate) fn recover(&mut self, reason: String, had_states: bool) -> Result<()> {
        let mut failures = Vec::new();
        for options in self.recovery.options.clone() {
            match options.open().and_then(|device| self.rebuild(&device)) {
                Ok(()) if had_states => {
                    let lost = "the states of its stateful layers are lost with it; the session starts from zeros again";
                    return Err(Error::DeviceLost { reason: format!("{reason}; {lost}") });
                }
                Ok(()) => {
                    tracing::warn!(reason, device = %self.device_info(), "the device was lost: another one goes on");
                    return Ok(());
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(Error::DeviceLost {
            reason: format!("{reason}; no other took over: {}", failures.join("; ")),
        })
    }
}
