//! The arguments that say which device runs a model, and how.

use crate::terminal;
use anyhow::{Context, Result};
use birnn::{CpuOptions, Device, DeviceOptions};
use clap::Args;

#[derive(Debug, Args)]
pub struct DeviceArgs {
    /// best (a GPU where there is one, otherwise the CPU), gpu, cpu, reference (plain formulas in
    /// float64, slow), gpu:1 or pci:0000:3b:00.0 (an adapter by its number or PCI address, which
    /// `birnn devices` lists), or part of an adapter's name.
    #[arg(long, value_name = "DEVICE", env = "BIRNN_DEVICE", default_value = "best")]
    pub device: String,
    #[command(flatten)]
    pub how: HowArgs,
}

/// How a device runs a model.
#[derive(Debug, Args)]
pub struct HowArgs {
    /// Let best and gpu choose an adapter that computes on the CPU, too: lavapipe, WARP.
    /// So does the environment variable BIRNN_ALLOW_SOFTWARE=1.
    #[arg(long, env = "BIRNN_ALLOW_SOFTWARE", hide_env = true, value_parser = yes_or_no)]
    allow_software: bool,
    /// Store recurrent layers' kernels as 16-bit floats, rounded to 11 bits: half as much to read,
    /// which pays for large layers and small batches. On the CPU path only the recurrent kernels.
    #[arg(long)]
    pub half_weights: bool,
    /// Threads of the CPU path; 0: as many as cores, or RAYON_NUM_THREADS. They change no bit of
    /// the result.
    #[arg(
        long,
        value_name = "THREADS",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u16).range(..=1024)
    )]
    threads: u16,
}

/// The value of BIRNN_ALLOW_SOFTWARE, with the words that the crate takes; the crate itself takes
/// any other word for 0.
fn yes_or_no(value: &str) -> Result<bool, String> {
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("the environment variable BIRNN_ALLOW_SOFTWARE is 1 or 0".to_string()),
    }
}

impl HowArgs {
    /// The device of this name.
    pub fn open(&self, name: &str) -> birnn::Result<Device> {
        let options = DeviceOptions::new()
            .parse(name)
            .allow_software(self.allow_software)
            .half_weights(self.half_weights)
            .with_cpu(CpuOptions::new().threads(self.threads.into()));
        terminal::without_mesas_line(|| options.open())
    }
}

impl DeviceArgs {
    pub fn open(&self) -> birnn::Result<Device> {
        self.how.open(&self.device)
    }

    pub fn open_for_work(&self) -> Result<Device> {
        self.open().with_context(|| {
            format!(
                "device {:?} (--device, or the environment variable BIRNN_DEVICE; best, gpu, cpu \
                 or part of an adapter's name)",
                self.device
            )
        })
    }
}
