//! `birnn inspect`

use crate::run::ModelArgs;
use crate::show;
use anyhow::Result;
use birnn::{Error, FileFormat, KerasLayerReport, Summary, inspect_keras};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
}

pub fn inspect(args: &InspectArgs, out: &mut impl Write) -> Result<ExitCode> {
    let format = FileFormat::of(args.model.path());
    if !args.model.has_config() && matches!(format, Ok(FileFormat::Onnx)) {
        return inspect_onnx(args, out);
    }
    let (model, layers) = if args.model.has_config() {
        (args.model.load(), Vec::new())
    } else {
        let report = inspect_keras(args.model.path()).map_err(|error| args.model.named(error))?;
        (report.model.map_err(|error| args.model.named(error)), report.layers)
    };
    let error = match model {
        Ok(model) => {
            let summary = model.summary();
            writeln!(out, "{}\nTotal params: {}", rows(&summary), summary.parameters)?;
            writeln!(out, "Inputs: {}", inputs(&summary))?;
            writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => error,
    };
    if !layers.is_empty() {
        writeln!(out, "{}", problems(&layers))?;
    }
    let of_the_model = error.chain().filter_map(|cause| cause.downcast_ref());
    let supported = |error: &Error| match error {
        Error::UnsupportedLayer { supported, .. } => Some(*supported),
        _ => None,
    };
    let mut errors = layers.iter().filter_map(|layer| layer.problem.as_ref()).chain(of_the_model);
    if let Some(classes) = errors.find_map(supported) {
        let text = format!("Supported are {classes}.");
        let words = text.split_whitespace().map(str::to_string);
        writeln!(out, "{}", show::wrapped(words, "  ", 98))?;
    }
    Err(error.context("the model can't be run"))
}

/// An ONNX file: its operators, its recurrent layers, inputs and outputs.
fn inspect_onnx(args: &InspectArgs, out: &mut impl Write) -> Result<ExitCode> {
    let report = args.model.onnx_options().inspect(args.model.path());
    let report = report.map_err(|error| args.model.named(error))?;
    let producer = match report.producer.as_str() {
        "" => "an unknown producer",
        producer => producer,
    };
    writeln!(out, "ONNX, opset {}, written by {producer}", report.opset)?;
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(100)
        .set_header(["Operator", "Nodes", "Supported"]);
    for operator in &report.operators {
        let supported = match &operator.problem {
            None => "yes".to_string(),
            Some(problem) => format!("no: {problem}"),
        };
        table.add_row([operator.op_type.clone(), operator.count.to_string(), supported]);
    }
    writeln!(out, "{table}")?;
    match report.model {
        Ok(model) => {
            let summary = model.summary();
            let layers = summary.rows.iter().filter(|row| row.class_name != "InputLayer");
            for layer in layers {
                let (name, class, count) = (&layer.name, layer.class_name, layer.parameters);
                writeln!(out, "Layer: {name} ({class}), {count} params")?;
            }
            writeln!(out, "Inputs: {}", inputs(&summary))?;
            writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(args.model.named(error).context("the model can't be run")),
    }
}

/// Each input with its shape and what it is given as.
fn inputs(summary: &Summary) -> String {
    let inputs = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let told = inputs.map(|row| {
        let given_as = row.given_as.map_or(String::new(), |what| format!(" as {what}"));
        format!("{} {}{given_as}", row.name, row.shapes())
    });
    told.collect::<Vec<_>>().join(", ")
}

/// As Keras's `model.summary()`.
fn rows(summary: &Summary) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header([
        "Layer (type)",
        "Output Shape",
        "Param #",
        "Connected to",
    ]);
    for row in &summary.rows {
        let name = format!("{} ({})", row.name, row.class_name);
        table.add_row([
            name,
            row.shapes(),
            row.parameters.to_string(),
            row.connected_to.join(", "),
        ]);
    }
    table
}

/// Every layer of a file that can't be loaded, with what is wrong with it.
fn problems(layers: &[KerasLayerReport]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(100)
        .set_header(["Layer (type)", "Supported"]);
    for layer in layers {
        let supported = match &layer.problem {
            None => "yes".to_string(),
            Some(Error::UnsupportedLayer { class_name, .. }) => {
                format!("no: {class_name} is not supported")
            }
            Some(problem) => format!("no: {problem}"),
        };
        table.add_row([format!("{} ({})", layer.name, layer.class_name), supported]);
    }
    table
}
