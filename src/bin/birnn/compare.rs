//! `birnn compare`

use crate::device_args::HowArgs;
use crate::inputs::{Arrays, InputArgs};
use crate::model_args::ModelArgs;
use crate::sample::SampleArgs;
use crate::show::{self, Difference};
use crate::{json, progress};
use anyhow::{Context, Result, bail};
use birnn::{Model, Output, reference};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct CompareArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A device, as --device of other commands takes it: best, gpu, cpu, part of an adapter's name,
    /// or reference, the plain formulas in float64.
    #[arg(value_name = "DEVICE_A")]
    a: String,
    /// The device to compare it with.
    #[arg(value_name = "DEVICE_B")]
    b: String,
    /// Inputs to compare on, instead of drawn ones.
    #[command(flatten)]
    inputs: InputArgs,
    /// Rows of the inputs that are drawn.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    batch: u32,
    #[command(flatten)]
    sample: SampleArgs,
    /// Exit with status 1 where a value differs by more than this, or NaN is in one alone.
    #[arg(long, value_name = "DIFFERENCE", value_parser = tolerance)]
    tolerance: Option<f64>,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    how: HowArgs,
}

fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(tolerance) if tolerance >= 0.0 => Ok(tolerance),
        _ => Err("a number from 0 on is needed".to_string()),
    }
}

/// An array of both devices.
struct Compared {
    a: Output<f64>,
    difference: Difference,
    /// The largest size of a finite value.
    largest: f64,
}

pub fn compare(args: &CompareArgs, out: &mut impl Write) -> Result<ExitCode> {
    let model = args.model.load()?;
    let batch = args.batch as usize;
    let arrays = args.sample.inputs(&args.inputs, &args.model, &model, batch)?;
    let progress = progress::bar("comparing", 4, "runs");
    let mut compared = Vec::new();
    let mut devices = (String::new(), String::new());
    // The model itself, too: its layers may run otherwise where not all of them are returned.
    for model in [&model, &model.with_layer_outputs()] {
        let (a, of_a) = args.run(&args.a, model, &arrays)?;
        progress.add(1);
        let (b, of_b) = args.run(&args.b, model, &arrays)?;
        progress.add(1);
        devices = (a, b);
        compared.push(of_a.into_iter().zip(of_b).map(|(a, b)| compared_with(a, &b)).collect());
    }
    drop(progress);
    let (outputs, layers): (Vec<Compared>, Vec<Compared>) =
        (compared.swap_remove(0), compared.swap_remove(0));
    let class = |name: &str| {
        let layer = model.layers().find(|layer| layer.name() == name);
        layer.map_or("", |layer| layer.class_name())
    };
    if args.json {
        let object = |compared: &Compared| as_json(compared, class(&compared.a.layer));
        let object = json!({
            "a": devices.0,
            "b": devices.1,
            "layers": layers.iter().map(object).collect::<Value>(),
            "outputs": outputs.iter().map(object).collect::<Value>(),
        });
        json::print(out, &object)?;
    } else {
        writeln!(out, "A: {}\nB: {}\n", devices.0, devices.1)?;
        writeln!(out, "Layers, in the order of their calls:\n{}", table(&layers, &class))?;
        writeln!(out, "The model's outputs:\n{}", table(&outputs, &class))?;
    }
    let Some(tolerance) = args.tolerance else { return Ok(ExitCode::SUCCESS) };
    let is_wrong = |compared: &&Compared| {
        compared.difference.value.is_nan() || compared.difference.value > tolerance
    };
    match layers.iter().chain(&outputs).find(is_wrong) {
        Some(Compared { a, difference, .. }) => bail!(
            "the {} of {} differs by {:.1e} at {:?}; {tolerance:e} is allowed",
            a.role,
            a.layer,
            difference.value,
            difference.index
        ),
        None => Ok(ExitCode::SUCCESS),
    }
}

impl CompareArgs {
    /// What a device is, and what the model returns on it.
    fn run(
        &self,
        device: &str,
        model: &Model,
        arrays: &Arrays<f32>,
    ) -> Result<(String, Vec<Output<f64>>)> {
        let explain = |error| match self.inputs.is_empty() {
            true => anyhow::Error::new(error).context(self.model.path().display().to_string()),
            false => self.inputs.explain(error, &self.model, model, arrays),
        };
        if device == "reference" {
            let in_f64 = arrays.map(f64::from);
            let outputs = in_f64.inputs().and_then(|inputs| reference::run(model, inputs));
            let name = "reference (plain formulas, float64)".to_string();
            return Ok((name, outputs.map_err(explain)?.into_list()));
        }
        let opened = self.how.open(device).with_context(|| {
            format!("device {device:?} (reference, best, gpu, cpu or part of an adapter's name)")
        })?;
        let mut session = opened.compile(model).map_err(explain)?;
        let outputs = arrays.inputs().and_then(|inputs| session.run(inputs)).map_err(explain)?;
        let widened = outputs.into_list().into_iter().map(|output| Output {
            layer: output.layer,
            role: output.role,
            array: output.array.mapv(f64::from),
        });
        Ok((session.device_info().to_string(), widened.collect()))
    }
}

fn compared_with(a: Output<f64>, b: &Output<f64>) -> Compared {
    let difference = show::difference(&a.array, &b.array);
    let sizes = a.array.iter().map(|value| value.abs()).filter(|size| size.is_finite());
    let largest = sizes.fold(0.0, f64::max);
    Compared { a, difference, largest }
}

fn table(compared: &[Compared], class: &dyn Fn(&str) -> &'static str) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "Layer (type)",
        "Array",
        "Shape",
        "Largest difference",
        "At",
        "Largest value",
    ]);
    for Compared { a, difference, largest } in compared {
        let name = match class(&a.layer) {
            "" => a.layer.clone(),
            class => format!("{} ({class})", a.layer),
        };
        table.add_row([
            name,
            a.role.to_string(),
            format!("{:?}", a.array.shape()),
            format!("{:.1e}", difference.value),
            format!("{:?}", difference.index),
            format!("{largest:.3}"),
        ]);
    }
    if let Some(column) = table.column_mut(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn as_json(compared: &Compared, class: &str) -> Value {
    let Compared { a, difference, largest } = compared;
    let mut object = json::output(a);
    object.insert("class_name".into(), class.into());
    object.insert("largest_difference".into(), json::float(difference.value));
    object.insert("at".into(), difference.index.clone().into());
    object.insert("largest_value".into(), json::float(*largest));
    Value::Object(object)
}
