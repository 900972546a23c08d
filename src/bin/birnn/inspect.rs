//! `birnn inspect`

use crate::run::in_file;
use anyhow::{Context, Result};
use birnn::{Error, KerasFileReport, Summary, inspect_keras};
use clap::Args;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The model: a .keras or legacy .h5 file that Keras saved.
    model: PathBuf,
}

pub fn inspect(args: &InspectArgs, out: &mut impl Write) -> Result<ExitCode> {
    let report = inspect_keras(&args.model).map_err(|error| in_file(&args.model, error))?;
    match &report.model {
        Ok(model) => {
            let summary = model.summary();
            writeln!(out, "{}\nTotal params: {}", rows(&summary), summary.parameters)?;
            writeln!(out, "Inputs: {}", inputs(&summary))?;
            writeln!(out, "Outputs: {}", model.output_names().join(", "))?;
            Ok(ExitCode::SUCCESS)
        }
        Err(_) => {
            writeln!(out, "{}", problems(&report))?;
            let problem = report
                .model
                .map(|_| ExitCode::SUCCESS)
                .map_err(|error| in_file(&args.model, error));
            problem.context("the model can't be run")
        }
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
fn problems(report: &KerasFileReport) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["Layer (type)", "Supported"]);
    for layer in &report.layers {
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
