//! Devices.

use crate::error::failure;
use birnn::{DeviceInfo, DeviceOptions, GpuOptions};
use js_sys::Promise;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// A device that models are compiled for.
#[wasm_bindgen]
pub struct Device {
    pub(crate) device: birnn::Device,
}

#[wasm_bindgen]
impl Device {
    /// Opens a device; the promise is of a `Device`.
    pub fn open(
        wanted: &str,
        allow_software: Option<bool>,
        half_weights: Option<bool>,
        memory_budget: Option<f64>,
    ) -> Promise {
        let mut gpu = GpuOptions::new();
        if let Some(bytes) = memory_budget {
            gpu = gpu.memory_budget(bytes as u64);
        }
        let options = options(wanted)
            .allow_software(allow_software.unwrap_or(false))
            .half_weights(half_weights.unwrap_or(false))
            .with_gpu(gpu);
        future_to_promise(async move {
            let device = options.open_async().await.map_err(|error| failure(&error))?;
            Ok(Device { device }.into())
        })
    }

    /// Its description, in JSON.
    pub fn info(&self) -> String {
        info(self.device.info()).to_string()
    }

    /// Gives the GPU's memory back.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

/// What a page calls WebGPU is birnn's `gpu`.
pub fn options(wanted: &str) -> DeviceOptions {
    match wanted.trim().eq_ignore_ascii_case("webgpu") {
        true => DeviceOptions::new().gpu(),
        false => DeviceOptions::new().parse(wanted),
    }
}

pub fn info(info: &DeviceInfo) -> Value {
    json!({
        "name": info.name,
        "kind": info.kind.to_string(),
        "backend": info.backend,
        "reason": info.reason,
    })
}

/// The adapters that were found, and the CPU path: a promise of JSON.
#[wasm_bindgen]
pub fn devices() -> Promise {
    future_to_promise(async {
        let mut list = Vec::new();
        for adapter in birnn::Device::adapters_async().await {
            list.push(json!({
                "info": info(&adapter.info),
                "unusable": adapter.unusable,
                "maxBufferSize": adapter.max_buffer_size,
                "maxStorageBufferBindingSize": adapter.max_storage_buffer_binding_size,
            }));
        }
        list.push(json!({
            "info": info(birnn::Device::cpu().info()),
            "unusable": null,
            "maxBufferSize": null,
            "maxStorageBufferBindingSize": null,
        }));
        Ok(Value::from(list).to_string().into())
    })
}
