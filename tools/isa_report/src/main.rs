//! Compiles birnn's kernels, in every setting that its planner uses, with Mesa's RADV driver for
//! AMD GPUs that are not there, and prints what the driver says of the machine code: registers,
//! spills, workgroup memory, occupancy, its own cost model, and what the innermost busy loop
//! consists of.
//!
//!     cargo run -p isa_report > docs/generated/kernels.md          a table of all kernels
//!     cargo run -p isa_report -- --kernel lstm --assembly          the machine code of some
//!     cargo run -p isa_report -- --wgsl FILE [NAME=VALUE...]       any kernel
//!     cargo run -p isa_report -- --check                           fails where a kernel spills
//!                                                                  or uses scratch memory
//!
//! RADV's null device compiles and can't run: nothing is computed. Each GPU is a process of its
//! own, since the driver reads which one it stands for from the environment when it is loaded.

mod assembly;
mod compile;

use anyhow::{Context, Result, bail};
use assembly::{Mix, inner_loop};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use compile::{Compiler, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

/// What the tables mean.
const HEAD: &str = "\
# What a GPU makes of the kernels

Written by `cargo run -p isa_report > docs/generated/kernels.md`: Mesa's RADV driver compiles every
kernel, in every setting that the planner uses for the shapes of the benchmarks, for AMD GPUs that
need not be there, the way wgpu has it compiled. NAVI31 is a Radeon RX 7900 (RDNA 3), POLARIS10 a
Radeon RX 480 (GCN 4). Nothing runs: latency and inverse throughput are the compiler's estimates, in
cycles, for one pass through the code, loops counted as it guesses them. `--all` adds the settings
with masks and with weights of 16 bits.

* VGPRs, SGPRs: registers of a subgroup. Spilled ones and scratch memory are 0 in every kernel,
  which a test sees to.
* occupancy: subgroups that fit a SIMD at a time, of at most 16 (NAVI31: in the driver's count of
  wave32 up to 32) or 8 (POLARIS10). LDS: bytes of workgroup memory.
* The last two columns are of the innermost loop with the most multiply-adds (of all the kernel,
  where it has none): the share of multiply-adds in the vector arithmetic; and multiply-adds, loads
  by lanes (of them those of 16 bytes), loads that all lanes share, and accesses of workgroup
  memory, of so many instructions.";

/// The exit status where the driver isn't there.
const NO_DRIVER: u8 = 3;

#[derive(Debug, Parser)]
#[command(about = "What AMD's GPUs make of birnn's kernels, by Mesa's RADV compiler")]
struct Arguments {
    /// GPUs, as RADV_FORCE_FAMILY names them.
    #[arg(long, value_delimiter = ',', default_value = "NAVI31,POLARIS10")]
    family: Vec<String>,
    /// Only kernels whose name contains this.
    #[arg(long, default_value = "")]
    kernel: String,
    /// A kernel in a file instead of birnn's.
    #[arg(long)]
    wgsl: Option<PathBuf>,
    /// Override constants for --wgsl, NAME=VALUE.
    constants: Vec<String>,
    /// Print the machine code, too.
    #[arg(long)]
    assembly: bool,
    /// Print the settings with masks and with weights of 16 bits, too.
    #[arg(long)]
    all: bool,
    /// Print all of the driver's statistics.
    #[arg(long)]
    statistics: bool,
    /// Fail where a kernel spills registers or uses scratch memory.
    #[arg(long)]
    check: bool,
    /// RADV's driver file.
    #[arg(long, default_value = "/usr/share/vulkan/icd.d/radeon_icd.json")]
    icd: PathBuf,
    /// Compile for the GPU that the environment names, and write JSON.
    #[arg(long, hide = true)]
    child: bool,
}

/// A kernel to compile.
#[derive(Clone, Debug)]
struct Job {
    kernel: String,
    setting: String,
    wgsl: String,
    constants: Vec<(String, f64)>,
    variant: bool,
}

/// A kernel compiled.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row {
    kernel: String,
    setting: String,
    subgroup_size: u32,
    statistics: BTreeMap<String, f64>,
    mix: Mix,
    assembly: String,
    /// Another setting with a mask or weights of 16 bits.
    variant: bool,
    /// Why there is nothing, where the GPU can't have this kernel.
    failed: Option<String>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.child {
        serde_json::to_writer(std::io::stdout().lock(), &compile_all(&arguments)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.icd.exists() {
        eprintln!(
            "NOT RUN: {} is missing: install Mesa's RADV driver (mesa-vulkan-drivers)",
            arguments.icd.display()
        );
        return Ok(ExitCode::from(NO_DRIVER));
    }
    println!("{HEAD}");
    let mut bad = 0;
    // The processes of all GPUs at the same time.
    let compiled: Vec<Result<Vec<Row>>> = std::thread::scope(|scope| {
        let arguments = &arguments;
        let families = arguments.family.iter();
        let waiting: Vec<_> =
            families.map(|family| scope.spawn(move || run_child(arguments, family))).collect();
        waiting.into_iter().map(|child| child.join().expect("it only waits")).collect()
    });
    for (family, rows) in arguments.family.iter().zip(compiled) {
        let rows = rows?;
        let shown: Vec<&Row> = rows.iter().filter(|row| arguments.all || !row.variant).collect();
        println!("\n## {family}\n\n{}", table(&shown));
        shown.into_iter().for_each(|row| details(row, &arguments));
        for row in rows.iter().filter(|row| arguments.check && !row.is_clean()) {
            eprintln!(
                "{family}: {} ({}) spills registers or uses scratch memory",
                row.kernel, row.setting
            );
            bad += 1;
        }
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Starts this program once more, for one GPU.
fn run_child(arguments: &Arguments, family: &str) -> Result<Vec<Row>> {
    let output = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--child")
        .env("RADV_FORCE_FAMILY", family)
        .env("VK_ICD_FILENAMES", &arguments.icd)
        .env("VK_DRIVER_FILES", &arguments.icd)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("compiling for {family} failed ({})", output.status);
    }
    serde_json::from_slice(&output.stdout).context("the child's answer")
}

fn jobs(arguments: &Arguments) -> Result<Vec<Job>> {
    let Some(path) = &arguments.wgsl else {
        let all = birnn::kernel_list()
            .into_iter()
            .filter(|entry| entry.kernel.contains(&arguments.kernel));
        let job = |entry: birnn::KernelEntry| Job {
            kernel: entry.kernel.to_string(),
            setting: entry.setting,
            wgsl: entry.wgsl,
            variant: entry.variant,
            constants: entry
                .constants
                .into_iter()
                .map(|(name, value)| (name.to_string(), value))
                .collect(),
        };
        return Ok(all.map(job).collect());
    };
    let wgsl = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let constant = |text: &String| {
        let (name, value) =
            text.split_once('=').with_context(|| format!("{text}: not NAME=VALUE"))?;
        Ok((name.to_string(), value.parse().with_context(|| text.clone())?))
    };
    let constants: Vec<_> = arguments.constants.iter().map(constant).collect::<Result<_>>()?;
    let module = naga::front::wgsl::parse_str(&wgsl)
        .map_err(|e| anyhow::anyhow!(e.emit_to_string(&wgsl)))?;
    let setting = arguments.constants.join(" ");
    let job = |point: &naga::EntryPoint| Job {
        kernel: point.name.clone(),
        setting: setting.clone(),
        wgsl: wgsl.clone(),
        variant: false,
        constants: constants.clone(),
    };
    Ok(module.entry_points.iter().map(job).collect())
}

fn compile_all(arguments: &Arguments) -> Result<Vec<Row>> {
    let compiler = Compiler::open()?;
    eprintln!("device: {}", compiler.name);
    let row = |job: Job| {
        let source = Source { wgsl: &job.wgsl, entry: &job.kernel, constants: &job.constants };
        let (compiled, failed) = match compiler.compile(source) {
            Ok(compiled) => (Some(compiled), None),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        let (subgroup_size, statistics, assembly) =
            compiled.map_or_else(Default::default, |c| (c.subgroup_size, c.statistics, c.assembly));
        let mix = inner_loop(&assembly);
        let assembly = if arguments.assembly { assembly } else { String::new() };
        let Job { kernel, setting, variant, .. } = job;
        Row { kernel, setting, variant, subgroup_size, statistics, mix, assembly, failed }
    };
    Ok(jobs(arguments)?.into_iter().map(row).collect())
}

impl Row {
    fn statistic(&self, name: &str) -> Option<f64> {
        self.statistics.get(name).copied()
    }

    /// Registers spilled, and bytes of scratch memory.
    fn is_clean(&self) -> bool {
        let found = self
            .statistics
            .iter()
            .filter(|(name, _)| name.contains("pill") || name.contains("cratch"));
        self.failed.is_none() && found.map(|(_, value)| *value).sum::<f64>() == 0.0
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.kernel.clone(), self.setting.clone()];
        if let Some(failed) = &self.failed {
            cells.push(failed.clone());
            return cells;
        }
        cells.push(self.subgroup_size.to_string());
        let names =
            ["VGPRs", "SGPRs", "Spilled VGPRs", "Spilled SGPRs", "Scratch size", "LDS size"];
        let more = ["Subgroups per SIMD", "Instructions", "Latency", "Inverse Throughput"];
        for name in names.iter().chain(&more) {
            cells.push(self.statistic(name).map_or("".into(), |value| value.to_string()));
        }
        let Mix { all, loads, wide_loads, scalar_loads, workgroup, .. } = self.mix;
        cells.push(
            self.mix.multiply_add_percent().map_or("".into(), |percent| format!("{percent} %")),
        );
        cells.push(format!(
            "{}, {loads} ({wide_loads}), {scalar_loads}, {workgroup} of {all}",
            self.mix.multiply_add
        ));
        cells
    }
}

fn table(rows: &[&Row]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "kernel",
        "setting",
        "subgroup",
        "VGPRs",
        "SGPRs",
        "spilled VGPRs",
        "spilled SGPRs",
        "scratch",
        "LDS",
        "occupancy",
        "instructions",
        "latency",
        "inverse throughput",
        "multiply-adds of VALU",
        "inner loop: multiply-adds, loads (of 16 bytes), scalar loads, LDS of instructions",
    ]);
    table.add_rows(rows.iter().map(|row| row.cells()));
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn details(row: &Row, arguments: &Arguments) {
    if arguments.statistics || arguments.assembly {
        println!("\n{} ({})", row.kernel, row.setting);
    }
    if arguments.statistics {
        row.statistics.iter().for_each(|(name, value)| println!("  {name:28} {value}"));
    }
    if arguments.assembly {
        println!("{}", row.assembly);
    }
}
