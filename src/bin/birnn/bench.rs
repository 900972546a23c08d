//! `birnn bench`

use crate::device_args::DeviceArgs;
use crate::inputs::{Arrays, InputArgs};
use crate::model_args::ModelArgs;
use crate::sample::SampleArgs;
use crate::{json, profiles, progress};
use anyhow::{Context, Result, bail};
use birnn::{Device, Model, Profile};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    // Their batch is the one that is measured.
    #[command(flatten)]
    inputs: InputArgs,
    /// Rows of the batch, one after the other.
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        conflicts_with_all = ["inputs", "named"],
        default_values_t = [1, 8, 32],
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    batch: Vec<u32>,
    #[command(flatten)]
    sample: SampleArgs,
    /// How long each batch is measured on each device, at least.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0, value_parser = seconds)]
    seconds: f64,
    /// Also print where the time goes: of each layer its operators, on each device.
    #[arg(long)]
    profile: bool,
    /// Write where the time goes to a file for https://ui.perfetto.dev or chrome://tracing.
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("seconds from 0.001 to 3600 are needed".to_string()),
    }
}

/// Calls before those that count, at least.
const WARM_UP: usize = 3;
/// Calls that count, at least: where a call takes long, the measurement does.
const LEAST: usize = 5;
const MOST: usize = 1_000_000;
/// Calls that are profiled, after those that count: more would only make the trace larger.
const PROFILED: usize = 5;

/// What was measured for a batch on a device.
struct Measured {
    /// Rows of the batch, where the arrays say so.
    rows: Option<usize>,
    timesteps: Option<usize>,
    first: Duration,
    /// Of the calls after the warm-up, the fastest first.
    times: Vec<Duration>,
    /// Where the time of some more calls went, if it was asked for.
    profile: Option<Profile>,
}

pub fn bench(args: &BenchArgs, out: &mut impl Write) -> Result<ExitCode> {
    let model = args.model.load()?;
    let chosen = args.device.open_for_work()?;
    let mut devices = vec![chosen];
    if devices[0].info().name != "cpu" {
        devices.push(args.device.how.open("cpu")?);
    }
    let batches: &[u32] = if args.inputs.is_empty() { &args.batch } else { &[0] };
    let batches: Result<Vec<_>> = batches
        .iter()
        .map(|&rows| args.sample.inputs(&args.inputs, &args.model, &model, rows as usize))
        .collect();
    let batches = batches?;
    // Not found out only when all is measured.
    let mut trace = match &args.trace {
        Some(path) => Some(File::create(path).with_context(|| path.display().to_string())?),
        None => None,
    };
    let progress = progress::bar("measuring", devices.len() * batches.len(), "batches");
    let mut measured = Vec::new();
    for device in &devices {
        let mut of_device = Vec::new();
        for arrays in &batches {
            of_device.push(args.measure(device, &model, arrays)?);
            progress.add(1);
        }
        measured.push(of_device);
    }
    drop(progress);
    if let Some(file) = &mut trace {
        let events = profiles::trace(measured.iter().flatten().filter_map(Measured::traced))?;
        file.write_all(events.as_bytes()).context("the trace")?;
    }
    match args.json {
        true => json::print(out, &as_json(&devices, &measured, args.profile))?,
        false => print(out, &devices, &measured, args.profile)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl BenchArgs {
    /// Each batch gets a session of its own, so that its first call is one.
    fn measure(&self, device: &Device, model: &Model, arrays: &Arrays<f32>) -> Result<Measured> {
        let named = || format!("{} on {}", self.inputs.describe(&self.model), device.info().name);
        let start = Instant::now();
        let mut session = device.compile(model).with_context(named)?;
        let mut call = || -> Result<Duration> {
            let start = Instant::now();
            session.run(arrays.inputs()?).map_err(|error| match self.inputs.is_empty() {
                true => anyhow::Error::new(error).context(named()),
                false => self.inputs.explain(error, &self.model, model, arrays),
            })?;
            Ok(start.elapsed())
        };
        call()?;
        let first = start.elapsed();
        let limit = Duration::from_secs_f64(self.seconds);
        let warming = Instant::now();
        for calls in 0.. {
            if calls >= WARM_UP && warming.elapsed() >= limit / 10 {
                break;
            }
            call()?;
        }
        let measuring = Instant::now();
        let mut times = Vec::new();
        while times.len() < LEAST || (measuring.elapsed() < limit && times.len() < MOST) {
            times.push(call()?);
        }
        let mut profile: Option<Profile> = None;
        let profiled = if self.profile || self.trace.is_some() { PROFILED } else { 0 };
        for _ in 0..profiled {
            let call = session.profile(arrays.inputs()?).with_context(named)?;
            match &mut profile {
                Some(profile) => *profile += call,
                none => *none = Some(call),
            }
        }
        times.sort_unstable();
        if times.is_empty() {
            bail!("nothing was measured");
        }
        // Nobody knows which axes those of a program are.
        let known = !model.is_program();
        let (rows, timesteps) = (arrays.rows(), arrays.timesteps());
        Ok(Measured {
            rows: rows.filter(|_| known),
            timesteps: timesteps.filter(|_| known),
            first,
            times,
            profile,
        })
    }
}

impl Measured {
    /// What a trace shows, and what it is called there.
    fn traced(&self) -> Option<(String, &Profile)> {
        let profile = self.profile.as_ref()?;
        let rows = self.rows.map_or(String::new(), |rows| format!(", batch {rows}"));
        Some((format!("{}{rows}", profile.device), profile))
    }

    /// The time that so many of a hundred calls don't exceed, in seconds (nearest rank).
    fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        self.times[rank - 1].as_secs_f64()
    }

    /// Rows of the batch in a second, of calls one after the other.
    fn samples_per_second(&self) -> Option<f64> {
        let all: f64 = self.times.iter().map(Duration::as_secs_f64).sum();
        self.rows.map(|rows| (rows * self.times.len()) as f64 / all)
    }

    fn timesteps_per_second(&self) -> Option<f64> {
        Some(self.samples_per_second()? * self.timesteps? as f64)
    }
}

fn print(
    out: &mut impl Write,
    devices: &[Device],
    measured: &[Vec<Measured>],
    shows_profiles: bool,
) -> Result<()> {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "Device",
        "Batch",
        "Timesteps",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "Samples/s",
        "Timesteps/s",
        "First call ms",
        "Calls",
    ]);
    for (device, measured) in devices.iter().zip(measured) {
        writeln!(out, "Device: {}", device.info())?;
        for one in measured {
            let count = |n: Option<usize>| n.map_or("-".to_string(), |n| n.to_string());
            let rate = |n: Option<f64>| n.map_or("-".to_string(), digits);
            let mut cells = vec![device.info().name.clone(), count(one.rows), count(one.timesteps)];
            cells.extend([50, 90, 99].map(|percent| digits(one.percentile(percent) * 1e3)));
            cells.extend([rate(one.samples_per_second()), rate(one.timesteps_per_second())]);
            cells.extend([digits(one.first.as_secs_f64() * 1e3), one.times.len().to_string()]);
            table.add_row(cells);
        }
    }
    table
        .column_iter_mut()
        .skip(1)
        .for_each(|column| column.set_cell_alignment(CellAlignment::Right));
    writeln!(out, "{table}")?;
    writeln!(
        out,
        "A call copies its inputs to the device and its outputs back; the first one makes the \
         model ready, too."
    )?;
    let profiles = measured.iter().flatten().filter(|_| shows_profiles);
    for (name, profile) in profiles.filter_map(Measured::traced) {
        writeln!(out, "\nWhere the time goes on {name}\n{profile}")?;
    }
    Ok(())
}

/// Four digits, or all before the point.
fn digits(value: f64) -> String {
    let before = if value >= 1.0 { value.log10() as usize + 1 } else { 1 };
    format!("{value:.0$}", 4usize.saturating_sub(before))
}

fn as_json(devices: &[Device], measured: &[Vec<Measured>], shows_profiles: bool) -> Value {
    let of_device = |(device, measured): (&Device, &Vec<Measured>)| {
        let batches = measured.iter().map(|one| {
            let mut batch = json!({
                "batch": one.rows,
                "timesteps": one.timesteps,
                "calls": one.times.len(),
                "seconds": {
                    "first_call": one.first.as_secs_f64(),
                    "p50": one.percentile(50),
                    "p90": one.percentile(90),
                    "p99": one.percentile(99),
                },
                "samples_per_second": one.samples_per_second(),
                "timesteps_per_second": one.timesteps_per_second(),
            });
            if let Some(profile) = one.profile.as_ref().filter(|_| shows_profiles) {
                batch["profile"] = profiles::as_json(profile);
            }
            batch
        });
        json!({ "device": json::device(device.info()), "batches": batches.collect::<Value>() })
    };
    json!({ "devices": devices.iter().zip(measured).map(of_device).collect::<Value>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let measured = Measured {
            rows: Some(4),
            timesteps: Some(10),
            first: Duration::ZERO,
            times,
            profile: None,
        };
        let percentiles = [0, 50, 90, 99, 100].map(|p| (measured.percentile(p) * 1e3).round());
        assert_eq!(percentiles, [1.0, 100.0, 180.0, 198.0, 200.0]);
        assert_eq!(measured.samples_per_second().map(f64::round), Some(40.0)); // 800 in 20.1 s
        assert_eq!(measured.timesteps_per_second().map(f64::round), Some(398.0));
    }

    #[test]
    fn numbers_have_four_digits() {
        let shown = [0.01234, 1.0, 12.345, 1234.5, 1234567.0].map(digits);
        assert_eq!(shown, ["0.012", "1.000", "12.35", "1234", "1234567"]);
    }
}
