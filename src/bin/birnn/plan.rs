//! `birnn plan`

use anyhow::Result;
use birnn::layer::RecurrentBuilder;
use birnn::{Bidirectional, Cell, Layer, Model, PlanAdapter, PlanReport};
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Rows of the batch.
    #[arg(
        value_name = "BATCH",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    batch: u32,
    #[arg(
        value_name = "TIMESTEPS",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    timesteps: u32,
    #[arg(
        value_name = "FEATURES",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    features: u32,
    #[arg(
        value_name = "UNITS",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    units: u32,
    /// The cell of the layers; gru has reset_after=True, Keras's default.
    #[arg(long, value_parser = cell, default_value = "lstm")]
    cell: Cell,
    /// The kind of adapter.
    #[arg(long, value_enum, ignore_case = true, default_value = "gpu")]
    adapter: AdapterArg,
    /// One direction instead of two.
    #[arg(long)]
    forward_only: bool,
    /// How many such layers, each on the output of the one below.
    #[arg(
        long,
        default_value_t = 1,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000)
    )]
    layers: u32,
    /// The kernels stored as 16-bit floats.
    #[arg(long)]
    half_weights: bool,
    /// With persistent kernels (BIRNN_PERSISTENT=1), on an adapter that runs so many workgroups
    /// side by side.
    #[arg(
        long,
        value_name = "WORKGROUPS",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    persistent: Option<u32>,
}

/// A cell by its name, with `-` in the place of `_`.
pub fn cell(text: &str) -> Result<Cell, String> {
    let name = |cell: &Cell| cell.name().replace('_', "-");
    let found = Cell::ALL.iter().find(|cell| name(cell) == text.to_lowercase());
    let names = || Cell::ALL.iter().map(name).collect::<Vec<_>>().join(", ");
    found.copied().ok_or_else(|| format!("the cells are {}", names()))
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum AdapterArg {
    /// A GPU, within WebGPU's default limits.
    Gpu,
    /// A GPU with less: four storage buffers a kernel.
    Downlevel,
    /// One that computes on the CPU, as lavapipe.
    Software,
}

impl From<AdapterArg> for PlanAdapter {
    fn from(adapter: AdapterArg) -> PlanAdapter {
        match adapter {
            AdapterArg::Gpu => PlanAdapter::Gpu,
            AdapterArg::Downlevel => PlanAdapter::DownlevelGpu,
            AdapterArg::Software => PlanAdapter::Software,
        }
    }
}

impl PlanArgs {
    fn layer(&self, last: bool) -> Layer {
        let layer = RecurrentBuilder::of(self.cell, self.units as usize)
            .return_sequences(true)
            .return_state(last);
        if self.forward_only { layer.into() } else { Bidirectional::new(layer).into() }
    }
}

pub fn plan(args: &PlanArgs, out: &mut impl Write) -> Result<ExitCode> {
    let layers = (1..=args.layers).map(|layer| args.layer(layer == args.layers));
    let model = Model::sequential(args.features as usize, layers.collect::<Vec<_>>())?;
    let adapter = PlanAdapter::from(args.adapter);
    let (batch, timesteps) = (args.batch as usize, args.timesteps as usize);
    let half_weights = args.half_weights;
    let report = match args.persistent {
        None => PlanReport::new(&model, batch, timesteps, adapter, half_weights)?,
        Some(workgroups) => {
            let workgroups = workgroups as usize;
            PlanReport::persistent(&model, batch, timesteps, adapter, half_weights, workgroups)?
        }
    };
    writeln!(out, "On a {adapter}:")?;
    for choice in &report.choices {
        writeln!(out, "{choice}")?;
    }
    writeln!(out, "{}", table(&report))?;
    if report.parts > 1 {
        writeln!(out, "The batch is cut into {} parts, each with these dispatches.", report.parts)?;
    }
    writeln!(
        out,
        "In all {} dispatches, {} of matmuls, {} moved at least: {:.2} flops a byte.",
        report.dispatch_count(),
        scaled(report.flops(), "flop"),
        scaled(report.bytes(), "B"),
        report.intensity()
    )?;
    writeln!(
        out,
        "Buffers {}, weights {}.",
        scaled(report.buffer_bytes, "B"),
        scaled(report.weight_bytes, "B")
    )?;
    let machine = match adapter {
        PlanAdapter::Software => "100 GFLOP/s, 20 GB/s and 20 µs a dispatch",
        _ => "5 TFLOP/s, 250 GB/s and 3 µs a dispatch",
    };
    let bound = report.bound_seconds() * 1e3;
    writeln!(out, "An adapter of {machine} can't take less than {bound:.3} ms for them.")?;
    Ok(ExitCode::SUCCESS)
}

fn table(report: &PlanReport) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "dispatches",
        "kernel",
        "workgroups",
        "each",
        "flops",
        "bytes",
        "flops a byte",
        "bound by",
    ]);
    for d in &report.dispatches {
        let [x, y, z] = d.workgroups;
        let invocations = format!("{} invocations", d.invocations);
        table.add_row([
            d.count.to_string(),
            d.kernel.to_string(),
            format!("{x} x {y} x {z}"),
            if d.cut.is_empty() { invocations } else { format!("{invocations}, {}", d.cut) },
            scaled(d.flops, "flop"),
            scaled(d.bytes, "B"),
            format!("{:.2}", d.intensity()),
            d.bound.to_string(),
        ]);
    }
    table
}

/// A number with a prefix of 1000s.
fn scaled(number: u64, unit: &str) -> String {
    let (mut value, mut prefixes) = (number as f64, ["", "k", "M", "G", "T"].into_iter());
    let mut prefix = prefixes.next().unwrap_or_default();
    while value >= 1000.0 {
        let Some(next) = prefixes.next() else { break };
        (value, prefix) = (value / 1000.0, next);
    }
    if prefix.is_empty() {
        format!("{number} {unit}")
    } else {
        format!("{value:.1} {prefix}{unit}")
    }
}
