//! `birnn run`

use crate::device_args::DeviceArgs;
use crate::inputs::{Arrays, InputArgs};
use crate::model_args::ModelArgs;
use crate::{json, outputs, progress, show};
use anyhow::{Context, Result, bail};
use birnn::{Error, Model, Output, Session, reference};
use clap::Args;
use ndarray::{ArrayViewD, Axis, concatenate};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    inputs: InputArgs,
    /// Run the batch in parts of N rows, one after the other, and put their outputs together, as
    /// Keras's model.predict does.
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    batch_size: Option<u32>,
    /// Write each output to DIR as float32 .npy, named by its place, layer and role:
    /// 0_lstm_output.npy, 1_lstm_forward_hidden_state.npy, ... Files of these names are replaced.
    ///
    /// Where it ends in .parquet it is a file, with a column for each output, named so, and a row
    /// for each of the batch.
    #[arg(long, value_name = "DIR|FILE.parquet")]
    out: Option<PathBuf>,
    /// Compute the f64 reference too and print how far each output is from it.
    #[arg(long)]
    reference: bool,
    /// Run N times more and print the times, copies to and from the device included.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    repeat: u32,
    /// Print one JSON object in place of text; with --quiet without the values of the outputs.
    #[arg(long)]
    json: bool,
    /// Print no arrays, no device and no warnings.
    #[arg(long, short)]
    pub quiet: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &RunArgs, out: &mut impl Write) -> Result<ExitCode> {
    if let Some(target) = &args.out {
        outputs::check(target)?;
    }
    let model = args.model.load()?;
    args.inputs.require(&model);
    let arrays = args.inputs.read(&args.model, &model)?;
    if args.batch_size.is_some() {
        args.check_parts(&model, &arrays)?;
    }
    let device = args.device.open_for_work()?;
    let mut session =
        device.compile(&model).with_context(|| args.model.path().display().to_string())?;
    let explain = |error| args.inputs.explain(error, &args.model, &model, &arrays);
    let outputs = match (args.batch_size, arrays.rows()) {
        (Some(size), Some(rows)) => in_parts(&mut session, &arrays, rows, size as usize),
        _ => arrays.inputs().and_then(|inputs| session.run(inputs)).map(|o| o.into_list()),
    };
    let outputs = outputs.map_err(explain)?;
    // Files before text: a reader of stdout that leaves early must not cost them.
    let written = args.out.as_deref().map(|target| outputs::write(target, &outputs)).transpose()?;
    let written = written.unwrap_or_default();
    let exact = args.reference.then(|| exact(&model, &arrays)).transpose()?;
    if args.json {
        let times = time(args, &mut session, &arrays)?;
        let info = session.device_info();
        let list = outputs.iter().enumerate().map(|(place, output)| {
            let mut object = json::output(output);
            if !args.quiet {
                object.insert("values".into(), json::array(&output.array.view()));
            }
            if let Some(exact) = &exact {
                let difference = json::difference(&output.array, &exact[place].array);
                object.insert("difference_from_reference".into(), difference);
            }
            if let Some(written) = written.get(place) {
                object.insert("file".into(), written.path.display().to_string().into());
                if let Some(column) = &written.column {
                    object.insert("column".into(), column.as_str().into());
                }
            }
            Value::Object(object)
        });
        let mut object =
            json!({ "device": json::device(info), "outputs": list.collect::<Value>() });
        if !times.is_empty() {
            object["seconds"] = times.iter().map(Duration::as_secs_f64).collect();
        }
        json::print(out, &object)?;
        return Ok(ExitCode::SUCCESS);
    }
    if !args.quiet {
        show::device(out, session.device_info())?;
        show::outputs(out, &outputs, exact.as_deref())?;
    } else if let Some(exact) = &exact {
        show::differences(out, &outputs, exact)?;
    }
    let mut files: Vec<_> = written.iter().map(|written| &written.path).collect();
    files.dedup(); // all columns are in one
    for path in files.iter().filter(|_| !args.quiet) {
        writeln!(out, "written: {}", path.display())?;
    }
    let times = time(args, &mut session, &arrays)?;
    if let [fastest, ..] = &times[..] {
        let runs = if times.len() == 1 { "run" } else { "runs" };
        let (median, fastest) = (milliseconds(times[times.len() / 2]), milliseconds(*fastest));
        writeln!(out, "{} more {runs}: median {median}, fastest {fastest}", times.len())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl RunArgs {
    /// That a model can run in parts of the batch.
    fn check_parts(&self, model: &Model, arrays: &Arrays<f32>) -> Result<()> {
        let file = || format!("{}: --batch-size", self.model.path().display());
        // Inputs that don't fit are what the call says.
        if let Err(error @ Error::Parts { .. }) =
            arrays.inputs().and_then(|inputs| model.check_parts(inputs))
        {
            return Err(error).with_context(file);
        }
        let stateful = |(_, layer): &(_, &birnn::layer::Recurrent)| layer.stateful();
        let is_stateful = model.layers().any(|layer| layer.directions().iter().any(stateful));
        let parts = arrays.rows().is_some_and(|rows| rows > self.batch_size.unwrap_or(1) as usize);
        if is_stateful && parts && self.reference {
            bail!(
                "{}: --reference: a stateful layer goes on from part to part, and the reference \
                 starts from zeros: leave one of --batch-size and --reference out",
                self.model.path().display()
            );
        }
        Ok(())
    }
}

/// The outputs of all rows, so many at a time. While the device works on a part the next one is
/// submitted.
fn in_parts(
    session: &mut Session,
    arrays: &Arrays<f32>,
    rows: usize,
    size: usize,
) -> birnn::Result<Vec<Output>> {
    let progress = progress::bar("running", rows, "rows");
    let mut parts = Vec::new();
    let mut pending = VecDeque::new();
    // An empty batch is one part, which the session refuses.
    for start in (0..rows.max(1)).step_by(size) {
        let end = rows.min(start + size);
        pending.push_back((end - start, session.submit(arrays.rows_of_inputs(start..end)?)?));
        if pending.len() > 1
            && let Some((rows, oldest)) = pending.pop_front()
        {
            parts.push(oldest.wait()?.into_list());
            progress.add(rows);
        }
    }
    for (rows, rest) in pending {
        parts.push(rest.wait()?.into_list());
        progress.add(rows);
    }
    Ok(joined(parts))
}

/// Outputs of all parts, from those of each.
fn joined(parts: Vec<Vec<Output>>) -> Vec<Output> {
    let mut parts = parts.into_iter();
    let mut all = parts.next().unwrap_or_default();
    let rest: Vec<_> = parts.collect();
    if rest.is_empty() {
        return all;
    }
    for (place, output) in all.iter_mut().enumerate() {
        let arrays = rest.iter().filter_map(|part| part.get(place));
        let arrays = arrays.map(|output| output.array.view());
        let arrays: Vec<ArrayViewD<f32>> =
            std::iter::once(output.array.view()).chain(arrays).collect();
        // Parts have the same shape but for the rows.
        if let Ok(array) = concatenate(Axis(0), &arrays) {
            output.array = array;
        }
    }
    all
}

fn exact(model: &Model, arrays: &Arrays<f32>) -> birnn::Result<Vec<Output<f64>>> {
    Ok(reference::run(model, arrays.map(f64::from).inputs()?)?.into_list())
}

/// The times of further runs, the fastest first.
fn time(args: &RunArgs, session: &mut Session, arrays: &Arrays<f32>) -> Result<Vec<Duration>> {
    if args.repeat == 0 {
        return Ok(Vec::new());
    }
    let progress = progress::bar("repeating", args.repeat as usize, "runs");
    let mut times = Vec::new();
    for _ in 0..args.repeat {
        let start = Instant::now();
        match (args.batch_size, arrays.rows()) {
            (Some(size), Some(rows)) => in_parts(session, arrays, rows, size as usize).map(drop),
            _ => arrays.inputs().and_then(|inputs| session.run(inputs)).map(drop),
        }
        .with_context(|| args.inputs.describe(&args.model))?;
        times.push(start.elapsed());
        progress.add(1);
    }
    times.sort_unstable();
    Ok(times)
}

/// Three digits after the point, or five where these would say nothing.
fn milliseconds(time: Duration) -> String {
    let time = time.as_secs_f64() * 1e3;
    if time < 0.1 { format!("{time:.5} ms") } else { format!("{time:.3} ms") }
}
