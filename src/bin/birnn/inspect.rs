//! `birnn inspect`

use crate::model_args::{ModelArgs, word};
use crate::{json, show, words};
use anyhow::Result;
use birnn::torch::{PartInfo, StateDict, TensorInfo};
use birnn::{
    Error, FileFormat, KerasLayerReport, Model, OnnxAxis, OnnxFileReport, OnnxInputReport, Summary,
    SummaryRow, inspect_keras,
};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct InspectArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
}

/// What is found in a file.
struct Found {
    format: FileFormat,
    /// The model, or why it can't be run.
    model: Result<Model>,
    parts: Parts,
}

/// What a file consists of, as far as its format tells without the model.
enum Parts {
    None,
    Keras(Vec<KerasLayerReport>),
    /// The report's model has become that of [`Found`].
    Onnx(Box<OnnxFileReport>),
    /// Of a state dict that is more or less than a recurrent module.
    Torch {
        tensors: Vec<TensorInfo>,
        parts: Vec<PartInfo>,
    },
}

pub fn inspect(args: &InspectArgs, out: &mut impl Write) -> Result<ExitCode> {
    let found = look(&args.model)?;
    match args.json {
        true => json::print(out, &as_json(&args.model, &found))?,
        false => print(out, &found)?,
    }
    match found.model {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.context("the model can't be run")),
    }
}

fn look(file: &ModelArgs) -> Result<Found> {
    let format = file.format()?;
    let (model, parts) = match format {
        FileFormat::Keras if !file.has_config() => {
            let report = inspect_keras(file.path()).map_err(|error| file.named(error))?;
            (report.model.map_err(|error| file.named(error)), Parts::Keras(report.layers))
        }
        FileFormat::Onnx => {
            let report = file.onnx_options().inspect(file.path());
            let mut report = report.map_err(|error| file.named(error))?;
            let taken = Err(Error::Graph(String::new()));
            let model = std::mem::replace(&mut report.model, taken);
            (model.map_err(|error| file.named(error)), Parts::Onnx(Box::new(report)))
        }
        FileFormat::Torch => match file.load() {
            Ok(model) => (Ok(model), Parts::None),
            Err(error) => {
                let state = StateDict::open(file.path()).map_err(|error| file.named(error))?;
                let parts = state.parts().unwrap_or_default();
                (Err(error), Parts::Torch { tensors: state.tensors().collect(), parts })
            }
        },
        _ => (file.load(), Parts::None),
    };
    Ok(Found { format, model, parts })
}

fn print(out: &mut impl Write, found: &Found) -> Result<()> {
    if let Parts::Onnx(report) = &found.parts {
        let producer = match report.producer.as_str() {
            "" => "an unknown producer",
            producer => producer,
        };
        writeln!(out, "ONNX, opset {}, written by {producer}", report.opset)?;
        writeln!(out, "{}", operators(report))?;
    }
    match (&found.model, &found.parts) {
        (Ok(model), Parts::Onnx(report)) => {
            let summary = model.summary();
            let layers = summary.rows.iter().filter(|row| row.class_name != "InputLayer");
            for layer in layers {
                let (name, class, count) = (&layer.name, layer.class_name, layer.parameters);
                writeln!(out, "Layer: {name} ({class}), {count} params")?;
            }
            writeln!(out, "Total params: {}", summary.parameters)?;
            let inputs: Vec<_> = given(&summary, report).map(declared).collect();
            writeln!(out, "Inputs: {}", inputs.join(", "))?;
            writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
            let ties = model.likely_ties();
            if !ties.is_empty() {
                let options = ties.iter().map(|(input, output)| format!("--tie {input}={output}"));
                let lengths = open_lengths(report, &ties);
                let options = options.chain(lengths).collect::<Vec<_>>().join(" ");
                writeln!(out, "States by their names, which can be handed on: {options}")?;
            }
        }
        (Ok(model), _) => {
            let summary = model.summary();
            writeln!(out, "{}\nTotal params: {}", rows(&summary), summary.parameters)?;
            writeln!(out, "Inputs: {}", inputs(&summary))?;
            writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
        }
        (Err(_), Parts::Torch { tensors, parts }) => {
            let mut table = table(["Tensor", "Shape", "Type"]);
            for tensor in tensors {
                let (name, dtype) = (tensor.name.clone(), tensor.dtype.clone());
                table.add_row([name, format!("{:?}", tensor.shape), dtype]);
            }
            writeln!(out, "{table}")?;
            if !parts.is_empty() {
                let mut table = self::table(["Part", "Class", "Sizes"]);
                for part in parts {
                    let (prefix, class, sizes) = (&part.prefix, &part.class, &part.sizes);
                    table.add_row([prefix.clone(), class.clone(), sizes.clone()]);
                }
                writeln!(out, "{table}")?;
            }
        }
        (Err(error), Parts::Keras(layers)) => {
            if !layers.is_empty() {
                writeln!(out, "{}", problems(layers))?;
            }
            supported(out, layers, error)?;
        }
        (Err(error), Parts::None) => supported(out, &[], error)?,
        (Err(_), Parts::Onnx(_)) => {}
    }
    Ok(())
}

/// The classes that are supported, where one isn't.
fn supported(
    out: &mut impl Write,
    layers: &[KerasLayerReport],
    error: &anyhow::Error,
) -> Result<()> {
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
    Ok(())
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    table
}

fn operators(report: &OnnxFileReport) -> Table {
    let mut table = table(["Operator", "Nodes", "Supported"]);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(100);
    for operator in &report.operators {
        let supported = match &operator.problem {
            None => "yes".to_string(),
            Some(problem) => format!("no: {}", words::told(problem)),
        };
        table.add_row([operator.op_type.clone(), operator.count.to_string(), supported]);
    }
    table
}

fn input_rows(summary: &Summary) -> impl Iterator<Item = &SummaryRow> {
    summary.rows.iter().filter(|row| row.class_name == "InputLayer")
}

/// Those of an ONNX file's inputs that a call gives, in the model's order.
fn given<'a>(
    summary: &'a Summary,
    report: &'a OnnxFileReport,
) -> impl Iterator<Item = &'a OnnxInputReport> {
    let declared =
        move |row: &SummaryRow| report.inputs.iter().find(|input| input.name == row.name);
    input_rows(summary).filter_map(declared)
}

/// The options that say the lengths of axes of states, where no other input's axis is called so.
fn open_lengths(report: &OnnxFileReport, ties: &[(String, String)]) -> Vec<String> {
    let is_state = |input: &OnnxInputReport| ties.iter().any(|(state, _)| *state == input.name);
    let axes = |of_states: bool| {
        let inputs = report.inputs.iter().filter(move |input| is_state(input) == of_states);
        inputs.flat_map(|input| input.axes.iter().flatten()).filter_map(|axis| match axis {
            OnnxAxis::Named(name) => Some(name),
            OnnxAxis::Length(_) => None,
        })
    };
    let mut open: Vec<String> = axes(true)
        .filter(|name| !axes(false).any(|other| other == *name))
        .map(|name| format!("--length {name}=N"))
        .collect();
    let mut seen = std::collections::HashSet::new();
    open.retain(|option| seen.insert(option.clone()));
    open
}

/// An input of an ONNX file with its type and, as `--length` calls them, its axes.
fn declared(input: &OnnxInputReport) -> String {
    let axes = input.axes.iter().flatten().map(|axis| axis.to_string()).collect::<Vec<_>>();
    format!("{} {} ({})", input.name, input.dtype, axes.join(", "))
}

/// Each input with its shape and what it is given as.
fn inputs(summary: &Summary) -> String {
    let told = input_rows(summary).map(|row| {
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
        let supported =
            problem(layer).map_or("yes".to_string(), |problem| format!("no: {problem}"));
        table.add_row([format!("{} ({})", layer.name, layer.class_name), supported]);
    }
    table
}

/// Why a layer isn't supported. What can be done about it the error at the end says.
fn problem(layer: &KerasLayerReport) -> Option<String> {
    Some(match layer.problem.as_ref()? {
        Error::UnsupportedLayer { class_name, .. } => format!("{class_name} is not supported"),
        problem => words::told(&problem.to_string()),
    })
}

fn as_json(file: &ModelArgs, found: &Found) -> Value {
    let mut object = json!({
        "file": file.path().display().to_string(),
        "format": word(found.format),
        "supported": found.model.is_ok(),
    });
    match &found.model {
        Ok(model) => {
            let summary = model.summary();
            let layers = summary.rows.iter().filter(|row| row.class_name != "InputLayer");
            let layers = layers.map(|row| {
                json!({
                    "name": row.name,
                    "class": row.class_name,
                    "shapes": row.output_shapes,
                    "parameters": row.parameters,
                    "connected_to": row.connected_to,
                })
            });
            object["parameters"] = summary.parameters.into();
            object["layers"] = layers.collect();
            object["inputs"] = input_rows(&summary).map(input).collect();
            object["outputs"] = model.output_names().into();
            if let Parts::Onnx(report) = &found.parts {
                object["inputs"] = given(&summary, report).map(onnx_input).collect();
            }
        }
        Err(error) => object["problem"] = crate::terminal::one_line(error).into(),
    }
    match &found.parts {
        Parts::Onnx(report) => {
            let operators = report.operators.iter().map(|one| {
                let problem = one.problem.as_deref().map(words::told);
                json!({ "operator": one.op_type, "nodes": one.count, "problem": problem })
            });
            object["producer"] = report.producer.as_str().into();
            object["opset"] = report.opset.into();
            object["operators"] = operators.collect();
        }
        Parts::Keras(layers) if found.model.is_err() => {
            let layers = layers.iter().map(|layer| {
                json!({ "name": layer.name, "class": layer.class_name, "problem": problem(layer) })
            });
            object["layers"] = layers.collect();
        }
        Parts::Torch { tensors, parts } => {
            let tensors = tensors
                .iter()
                .map(|one| json!({ "name": one.name, "shape": one.shape, "dtype": one.dtype }));
            let parts = parts.iter().map(
                |part| json!({ "prefix": part.prefix, "class": part.class, "sizes": part.sizes }),
            );
            object["tensors"] = tensors.collect();
            object["parts"] = parts.collect();
        }
        Parts::Keras(_) | Parts::None => {}
    }
    object
}

fn input(row: &SummaryRow) -> Value {
    let shape = row.output_shapes.first();
    json!({ "name": row.name, "shape": shape, "given_as": row.given_as })
}

fn onnx_input(input: &OnnxInputReport) -> Value {
    let axes = input.axes.iter().flatten();
    let length = |axis: &OnnxAxis| match axis {
        OnnxAxis::Length(length) => Some(*length),
        _ => None,
    };
    let name = |axis: &OnnxAxis| match axis {
        OnnxAxis::Named(name) => Some(name.clone()),
        _ => None,
    };
    let shape: Vec<Option<usize>> = axes.clone().map(length).collect();
    let names: Vec<Option<String>> = axes.map(name).collect();
    json!({ "name": input.name, "dtype": input.dtype, "shape": shape, "axes": names })
}
