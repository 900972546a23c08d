//! What becomes of a session whose device is lost.

use crate::device::{Device, DeviceInfo, DeviceOptions};
use crate::error::{Error, Result};
use crate::model::{Inputs, Model};
use crate::runner::Runner;

/// A model compiled for a device, with the device's description.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub info: DeviceInfo,
    pub runner: Box<dyn Runner>,
}

impl Compiled {
    pub async fn new(model: &Model, device: &Device) -> Result<Compiled> {
        Ok(Compiled { info: device.info().clone(), runner: device.runner(model).await? })
    }
}

/// The devices that take over from one that is lost: the first that opens.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    devices: Vec<DeviceOptions>,
}

impl Recovery {
    pub fn new(devices: impl IntoIterator<Item = DeviceOptions>) -> Recovery {
        Recovery { devices: devices.into_iter().collect() }
    }

    /// The inputs once for each time that the call may have to be made again.
    pub fn copies<'a>(&self, inputs: &Inputs<'a, f32>) -> Vec<Inputs<'a, f32>> {
        vec![inputs.clone(); self.devices.len()]
    }

    /// Compiles the model for the first device that opens. `reason` says why the last one was lost.
    pub async fn compile(&self, model: &Model, reason: &str) -> Result<Compiled> {
        let mut failures = Vec::new();
        for options in &self.devices {
            match open(options, model).await {
                Ok(compiled) => return Ok(compiled),
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(Error::DeviceLost {
            reason: format!("{reason}; no other took over: {}", failures.join("; ")),
        })
    }
}

async fn open(options: &DeviceOptions, model: &Model) -> Result<Compiled> {
    let device = options.clone().open_async().await?;
    Compiled::new(model, &device).await
}
