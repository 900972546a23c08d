//! `birnn kernel`

use crate::plan::{AdapterArg, cell};
use anyhow::{Result, bail};
use birnn::layer::RecurrentBuilder;
use birnn::{Bidirectional, Cell, KernelEntry, Layer, PlanAdapter};
use birnn::{kernel_names, planned_kernel};
use clap::Args;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct KernelArgs {
    /// The kernel's name, which is also that of its file in shaders/; without one all are listed.
    name: Option<String>,
    /// Units of the recurrent layer that it runs for: 512 for kernels of one timestep and
    /// persistent ones, 64 for others.
    #[arg(
        long,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    units: Option<u32>,
    /// Rows of the batch.
    #[arg(
        long,
        default_value_t = 32,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    rows: u32,
    /// The cell of the layer, for the kernels that serve several.
    #[arg(long, value_parser = cell, default_value = "lstm")]
    cell: Cell,
    /// The kind of adapter.
    #[arg(long, value_enum, ignore_case = true, default_value = "gpu")]
    adapter: AdapterArg,
    /// The kernels stored as 16-bit floats.
    #[arg(long)]
    half_weights: bool,
    /// A layer whose input has a mask.
    #[arg(long)]
    masked: bool,
    /// Print the values of the override constants, not the WGSL.
    #[arg(long)]
    overrides: bool,
}

pub fn kernel(args: &KernelArgs, out: &mut impl Write) -> Result<ExitCode> {
    let Some(name) = &args.name else {
        let names = kernel_names();
        let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        for (name, about) in names {
            writeln!(out, "{name:width$}  {about}")?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let entry = args.entry(name)?;
    if args.overrides {
        for (name, value) in &entry.constants {
            writeln!(out, "{name} = {value}")?;
        }
    } else {
        write!(out, "{}", entry.wgsl)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl KernelArgs {
    /// The kernel as it runs for the layer that the options describe.
    fn entry(&self, name: &str) -> Result<KernelEntry> {
        if kernel_names().iter().all(|(other, _)| *other != name) {
            bail!("there is no kernel {name:?}; birnn kernel lists them");
        }
        let of_many_units = ["_step", "_persistent"].iter().any(|ending| name.ends_with(ending));
        let units = self.units.unwrap_or(if of_many_units { 512 } else { 64 });
        let (layer, rows) = (self.layer(name, units as usize), self.rows as usize);
        let adapter = PlanAdapter::from(self.adapter);
        match planned_kernel(name, layer, rows, adapter, self.half_weights, self.masked) {
            Some(entry) => Ok(entry),
            None => bail!(
                "{name} doesn't run for a layer of {units} units and {rows} rows on a {adapter}; \
                 birnn plan says which kernels do"
            ),
        }
    }

    /// A bidirectional layer of the kernel's cell.
    fn layer(&self, name: &str, units: usize) -> Layer {
        let own = Cell::ALL.iter().filter(|cell| name.starts_with(&format!("{}_", cell.name())));
        let own = own.max_by_key(|cell| cell.name().len());
        let layer = RecurrentBuilder::of(own.copied().unwrap_or(self.cell), units);
        Bidirectional::new(layer.return_sequences(true)).into()
    }
}
