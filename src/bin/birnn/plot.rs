//! `birnn plot`

use crate::inputs::InputArgs;
use crate::model_args::ModelArgs;
use crate::palette::Scale;
use crate::picture::{self, Format, Map, Panel, Picture};
use crate::progress;
use anyhow::{Context, Result, anyhow, bail};
use birnn::layer::GateActivation;
use birnn::reference::{Trace, trace};
use birnn::{Layer, Model};
use clap::Args;
use ndarray::{Array3, s};
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct PlotArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// The picture to write, .png or .svg. A file of this name is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The recurrent layer whose states are drawn; the first one by default.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The row of the batch, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    row: usize,
    /// Of a layer that is called several times the call, from 0 on.
    #[arg(long, value_name = "N", default_value_t = 0)]
    call: usize,
    /// Draw the gates, too.
    #[arg(long)]
    gates: bool,
    /// The units that are drawn, from 0 on and without the last one: 0..16, 8.. or ..8.
    #[arg(long, value_name = "FROM..TO", value_parser = range)]
    units: Option<Part>,
    /// The timesteps that are drawn, in the same way.
    #[arg(long, value_name = "FROM..TO", value_parser = range)]
    timesteps: Option<Part>,
}

/// A part of an axis; without an end all of the rest.
#[derive(Clone, Copy, Debug)]
struct Part {
    start: usize,
    end: Option<usize>,
}

fn range(text: &str) -> Result<Part, String> {
    let wrong = || "two numbers with .. between them are needed, as in 0..16, 8.. or ..8";
    let (start, end) = text.split_once("..").ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    let start = if start.is_empty() { 0 } else { number(start)? };
    let end = if end.is_empty() { None } else { Some(number(end)?) };
    match end {
        Some(end) if end <= start => Err(format!("{start}..{end} is empty")),
        _ => Ok(Part { start, end }),
    }
}

impl Part {
    /// The part of an axis of this length.
    fn of(part: Option<Part>, axis: &str, length: usize) -> Result<Range<usize>> {
        let Some(Part { start, end }) = part else { return Ok(0..length) };
        let end = end.unwrap_or(length);
        if start >= length || end > length {
            bail!("--{axis}: there are {length}, from 0 on");
        }
        Ok(start..end)
    }
}

pub fn plot(args: &PlotArgs, out: &mut impl Write) -> Result<ExitCode> {
    let format = Format::of(&args.out)
        .ok_or_else(|| anyhow!("{}: pictures are written as .png or .svg", args.out.display()))?;
    let model = args.model.load()?;
    args.inputs.require(&model);
    let arrays = args.inputs.read(&args.model, &model)?.map(f64::from);
    let layers: Vec<&Layer> = model.layers().filter(|layer| is_recurrent(layer)).collect();
    let Some(first) = layers.first() else {
        bail!(
            "{}: it has no LSTM, GRU or other recurrent layer with units over time",
            args.model.path().display()
        );
    };
    let name = args.layer.as_deref().unwrap_or(first.name());
    let spinner = progress::spinner(format!("computing {name}"));
    let described = || args.inputs.describe(&args.model);
    let inputs = arrays.inputs().with_context(described)?;
    let calls = trace(&model, name, inputs).with_context(described)?;
    drop(spinner);
    let Some(traces) = calls.get(args.call) else {
        bail!("--call: layer {name:?} is called {} times, from 0 on", calls.len());
    };
    let picture = args.picture(&model, name, traces)?;
    picture::write(&picture, &args.out, format)?;
    writeln!(out, "written: {}", args.out.display())?;
    writeln!(out, "{}", picture.title)?;
    let others: Vec<_> =
        layers.iter().map(|layer| layer.name()).filter(|other| *other != name).collect();
    if !others.is_empty() {
        writeln!(out, "Other recurrent layers, for --layer: {}", others.join(", "))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The layer itself, or the one that a TimeDistributed holds.
fn innermost(layer: &Layer) -> &Layer {
    layer.time_distributed().map_or(layer, innermost)
}

fn is_recurrent(layer: &Layer) -> bool {
    !innermost(layer).directions().is_empty()
}

impl PlotArgs {
    fn picture(&self, model: &Model, name: &str, traces: &[Trace<f64>]) -> Result<Picture> {
        let (batch, timesteps, _) = traces.first().map(|t| t.hidden.dim()).unwrap_or_default();
        if self.row >= batch {
            bail!("--row: the batch has {batch} rows, from 0 on");
        }
        let steps = Part::of(self.timesteps, "timesteps", timesteps)?;
        let fewest = traces.iter().map(|trace| trace.hidden.dim().2).min().unwrap_or_default();
        Part::of(self.units, "units", fewest)?;
        let map = |quantity: &str, of: &dyn Fn(&Trace<f64>) -> Option<Array3<f64>>, is_gate| {
            let mut panels = Vec::new();
            for trace in traces {
                let Some(array) = of(trace) else { continue };
                let units = Part::of(self.units, "units", array.dim().2)?;
                let first = (units.start, steps.start);
                let values = array.slice(s![self.row, steps.clone(), units]).t().to_owned();
                panels.push(Panel { title: title(trace, quantity, traces.len()), values, first });
            }
            let mut values = panels.iter().flat_map(|panel| &panel.values);
            let in_unit = |value: &f64| (0.0..=1.0).contains(value) || value.is_nan();
            let scale = match is_gate && values.all(in_unit) {
                true => Scale::FromZeroToOne,
                false => Scale::around_zero(panels.iter().flat_map(|panel| &panel.values)),
            };
            anyhow::Ok(Map { scale, panels })
        };
        let mut maps = vec![map("hidden state", &|trace| Some(trace.hidden.clone()), false)?];
        if traces.iter().any(|trace| trace.cell.is_some()) {
            maps.push(map("cell state", &|trace| trace.cell.clone(), false)?);
        }
        let gates = traces.first().map(|trace| trace.gates.as_slice()).unwrap_or_default();
        for (number, (gate, _)) in gates.iter().enumerate().filter(|_| self.gates) {
            let quantity = format!("{} {}", gate.title, gate.name);
            let of = |trace: &Trace<f64>| trace.gates.get(number).map(|(_, a)| a.clone());
            maps.push(map(&quantity, &of, gate.activation == GateActivation::Recurrent)?);
        }
        let layer = model.layers().find(|layer| layer.name() == name).map(innermost);
        let class = layer.map_or(String::new(), |layer| {
            let cell = layer.directions().first().map_or("", |(_, one)| one.cell().class_name());
            match layer.class_name() {
                class if class == cell => class.to_string(),
                class => format!("{class} {cell}"),
            }
        });
        let shapes: Vec<_> =
            traces.iter().map(|trace| format!("{:?}", trace.hidden.shape())).collect();
        let has_unknown = maps
            .iter()
            .flat_map(|map| &map.panels)
            .any(|panel| panel.values.iter().any(|v| v.is_nan()));
        let grey = if has_unknown { "; grey: a masked timestep, or NaN" } else { "" };
        Ok(Picture {
            title: format!("{name} ({class}), {}", shapes.join(" and ")),
            note: format!(
                "[batch, timesteps, units], row {} of the batch, computed in float64{grey}",
                self.row
            ),
            maps,
        })
    }
}

/// A panel's title.
fn title(trace: &Trace<f64>, quantity: &str, directions: usize) -> String {
    match (directions, trace.go_backwards) {
        (1, false) => quantity.to_string(),
        (1, true) => format!("{quantity} (reads from right to left)"),
        (_, false) => format!("{quantity}, {}", trace.direction),
        (_, true) => format!("{quantity}, {} ←", trace.direction),
    }
}
