//! `birnn inspect`

use crate::model_args::ModelArgs;
use crate::show;
use anyhow::Result;
use birnn::torch::StateDict;
use birnn::{Error, FileFormat, KerasLayerReport, Model, Summary, inspect_keras};
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
    let file = &args.model;
    let (model, layers) = if file.has_config() {
        (file.load(), Vec::new())
    } else if file.is_torch() || format(file)? == FileFormat::Torch {
        return torch(file, out);
    } else if format(file)? == FileFormat::Onnx {
        return onnx(file, out);
    } else if format(file)? == FileFormat::Portable {
        (file.load(), Vec::new())
    } else {
        let report = inspect_keras(file.path()).map_err(|error| file.named(error))?;
        (report.model.map_err(|error| file.named(error)), report.layers)
    };
    let error = match model {
        Ok(model) => return summary(out, &model),
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
    Err(error.context(CANNOT_RUN))
}

const CANNOT_RUN: &str = "the model can't be run";

fn format(file: &ModelArgs) -> Result<FileFormat> {
    FileFormat::of(file.path()).map_err(|error| file.named(error))
}

fn summary(out: &mut impl Write, model: &Model) -> Result<ExitCode> {
    let summary = model.summary();
    writeln!(out, "{}\nTotal params: {}", rows(&summary), summary.parameters)?;
    writeln!(out, "Inputs: {}", inputs(&summary))?;
    writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
    Ok(ExitCode::SUCCESS)
}

/// The model of a state dict; of one that is more or less than a recurrent module its tensors, and
/// the parts that they seem to be of.
fn torch(file: &ModelArgs, out: &mut impl Write) -> Result<ExitCode> {
    let error = match file.load() {
        Ok(model) => return summary(out, &model),
        Err(error) => error,
    };
    let state = StateDict::open(file.path()).map_err(|error| file.named(error))?;
    let mut tensors = table(["Tensor", "Shape", "Type"]);
    for tensor in state.tensors() {
        tensors.add_row([tensor.name, format!("{:?}", tensor.shape), tensor.dtype]);
    }
    writeln!(out, "{tensors}")?;
    if let Ok(found) = state.parts() {
        let mut parts = table(["Part", "Class", "Sizes"]);
        for part in found {
            parts.add_row([part.prefix, part.class, part.sizes]);
        }
        writeln!(out, "{parts}")?;
    }
    Err(error.context(CANNOT_RUN))
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

/// An ONNX file: its operators, its recurrent layers, inputs and outputs.
fn onnx(file: &ModelArgs, out: &mut impl Write) -> Result<ExitCode> {
    let report = file.onnx_options().inspect(file.path());
    let report = report.map_err(|error| file.named(error))?;
    let producer = match report.producer.as_str() {
        "" => "an unknown producer",
        producer => producer,
    };
    writeln!(out, "ONNX, opset {}, written by {producer}", report.opset)?;
    let mut table = table(["Operator", "Nodes", "Supported"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(100);
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
            let ties = model.likely_ties();
            if !ties.is_empty() {
                let ties = ties.iter().map(|(input, output)| format!("--tie {input}={output}"));
                let ties = ties.collect::<Vec<_>>().join(" ");
                writeln!(out, "States by their names, which can be handed on: {ties}")?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => Err(file.named(error).context(CANNOT_RUN)),
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
    let mut table = table(["Layer (type)", "Output Shape", "Param #", "Connected to"]);
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
    let mut table = table(["Layer (type)", "Supported"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(100);
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
