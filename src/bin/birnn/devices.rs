//! `birnn devices`

use crate::device_args::DeviceArgs;
use crate::{json, show, terminal, words};
use anyhow::Result;
use birnn::{AdapterReport, Device, DeviceInfo, DeviceKind};
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Exit with status 3 where the device that is chosen is not a GPU.
    #[arg(long)]
    check: bool,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

/// The exit status of `--check` without a GPU.
const NO_GPU: u8 = 3;

pub fn devices(args: &DevicesArgs, out: &mut impl Write) -> Result<ExitCode> {
    let adapters = terminal::without_mesas_line(Device::adapters);
    let chosen = args.device.open();
    let is_gpu = chosen.as_ref().is_ok_and(|device| device.info().kind != DeviceKind::Cpu);
    let status = if args.check && !is_gpu { ExitCode::from(NO_GPU) } else { ExitCode::SUCCESS };
    if args.json {
        json::print(out, &as_json(&adapters, chosen.as_ref()))?;
        return match chosen {
            Err(error) if !args.check => Err(error.into()),
            _ => Ok(status),
        };
    }
    if adapters.is_empty() {
        writeln!(out, "No adapter found. Is a Vulkan, Metal or DX12 driver installed?")?;
    } else {
        writeln!(
            out,
            "Adapters, best first:\n{}",
            table(&adapters, chosen.as_ref().ok().map(Device::info))
        )?;
    }
    match chosen {
        Ok(device) => {
            writeln!(out, "With --device {}:", args.device.device)?;
            show::device(out, device.info())?;
        }
        Err(error) if args.check => writeln!(out, "{}", terminal::one_line(&error.into()))?,
        Err(error) => return Err(error.into()),
    }
    Ok(status)
}

fn as_json(adapters: &[AdapterReport], chosen: Result<&Device, &birnn::Error>) -> Value {
    let info = chosen.ok().map(Device::info);
    let adapter = |adapter: &AdapterReport| {
        json!({
            "name": adapter.info.name,
            "device": adapter.info.index.map(|index| format!("gpu:{index}")),
            "pci": adapter.info.pci,
            "kind": adapter.info.kind.to_string(),
            "backend": adapter.info.backend,
            "driver": adapter.info.driver,
            "max_buffer_size": adapter.max_buffer_size,
            "max_storage_buffer_binding_size": adapter.max_storage_buffer_binding_size,
            "max_compute_invocations_per_workgroup": adapter.max_compute_invocations_per_workgroup,
            "max_compute_workgroup_storage_size": adapter.max_compute_workgroup_storage_size,
            "problem": adapter.unusable.as_deref().map(words::told),
            "chosen": info.is_some_and(|info| is_same(adapter, info)),
        })
    };
    let mut object = json!({
        "adapters": adapters.iter().map(adapter).collect::<Value>(),
        "device": info.map(json::device),
    });
    if let Err(error) = chosen {
        object["problem"] = words::told(&error.to_string()).into();
    }
    object
}

fn is_same(adapter: &AdapterReport, chosen: &DeviceInfo) -> bool {
    (&chosen.name, chosen.index) == (&adapter.info.name, adapter.info.index)
}

/// A column for each adapter: there are few, and their drivers' names are long.
fn table(adapters: &[AdapterReport], chosen: Option<&DeviceInfo>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let mut row = |name: &str, cell: &dyn Fn(&AdapterReport) -> String| {
        table.add_row(std::iter::once(name.to_string()).chain(adapters.iter().map(cell)));
    };
    row("adapter", &|a| a.info.name.clone());
    row("--device", &|a| a.info.index.map_or(String::new(), |index| format!("gpu:{index}")));
    row("PCI address", &|a| a.info.pci.clone());
    row("kind", &|a| a.info.kind.to_string());
    row("backend", &|a| a.info.backend.clone());
    row("driver", &|a| a.info.driver.clone());
    row("largest buffer", &|a| bytes(a.max_buffer_size));
    row("largest storage binding", &|a| bytes(a.max_storage_buffer_binding_size));
    row("invocations a workgroup", &|a| a.max_compute_invocations_per_workgroup.to_string());
    row("workgroup memory", &|a| bytes(a.max_compute_workgroup_storage_size.into()));
    row("use", &|a| usage(a, chosen));
    table
}

fn usage(adapter: &AdapterReport, chosen: Option<&DeviceInfo>) -> String {
    match &adapter.unusable {
        Some(reason) => format!("can't be used: {}", words::told(reason)),
        None if chosen.is_some_and(|chosen| is_same(adapter, chosen)) => "chosen".to_string(),
        None => "can be asked for".to_string(),
    }
}

/// In the largest binary unit that there is one of; a driver's 2^31 - 1 is 2 GiB here.
fn bytes(n: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(shift, _)| n + 1 >= 1 << shift) {
        Some((shift, unit)) => {
            format!("{:.4} {unit}", n as f64 / (1u64 << shift) as f64).replace(".0000", "")
        }
        None => format!("{n} bytes"),
    }
}
