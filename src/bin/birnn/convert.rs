//! `birnn convert`

use crate::model_args::ModelArgs;
use crate::{json, npy, progress};
use anyhow::{Context, Result, bail};
use birnn::{Model, SaveOptions};
use clap::Args;
use ndarray::ArrayD;
use ndarray_npy::WriteNpyExt;
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[derive(Debug, Args)]
pub struct ConvertArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// The file to write; its extension says as what. A file of this name is replaced.
    ///
    /// .safetensors is birnn's own form, a model that every build of birnn reads. .npz holds the
    /// weights alone, in the order of Keras's model.get_weights(), for the same model in Keras.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// Store kernels as 16-bit floats, in about half the bytes; only in birnn's own form.
    #[arg(long)]
    half_weights: bool,
    /// Print one JSON object in place of text.
    #[arg(long)]
    json: bool,
}

pub fn convert(args: &ConvertArgs, out: &mut impl Write) -> Result<ExitCode> {
    let extension = args.out.extension().and_then(|extension| extension.to_str());
    let is_portable = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("safetensors") => true,
        Some("npz") if args.half_weights => {
            bail!("--half-weights is for .safetensors: Keras takes weights as float32")
        }
        Some("npz") => false,
        _ => bail!(
            "{}: models are written as .safetensors, birnn's own form, and weights for Keras as \
             .npz",
            args.out.display()
        ),
    };
    if is_same(args.model.path(), &args.out) {
        bail!("{} is the model itself: give the new file another name", args.out.display());
    }
    let model = args.model.load()?;
    let spinner = progress::spinner(format!("writing {}", args.out.display()));
    let options = SaveOptions::new().half_weights(args.half_weights);
    let written = match is_portable {
        true => options.save(&model, &args.out).map_err(Into::into),
        false => npz(&model, &args.out),
    };
    written.with_context(|| args.model.path().display().to_string())?;
    drop(spinner);
    let summary = model.summary();
    let layers = model.layer_names().len();
    if args.json {
        let object = json!({
            "file": args.out.display().to_string(),
            "layers": layers,
            "parameters": summary.parameters,
        });
        json::print(out, &object)?;
        return Ok(ExitCode::SUCCESS);
    }
    let s = if layers == 1 { "" } else { "s" };
    writeln!(out, "written: {}", args.out.display())?;
    writeln!(out, "{layers} layer{s}, {} params", summary.parameters)?;
    if !is_portable {
        writeln!(out, "\n{}", python(&args.out))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// What loads a file of weights in Keras.
fn python(path: &Path) -> String {
    let name = path.display().to_string();
    format!(
        "import numpy\narrays = numpy.load({name:?})\n\
         model.set_weights([arrays[name] for name in arrays.files])"
    )
}

/// The weights in the order of Keras's `model.get_weights()`, each named by its place, layer and
/// name.
fn npz(model: &Model, path: &Path) -> Result<()> {
    if model.is_program() {
        bail!(
            ".npz holds the weights of Keras's layers in the order of model.get_weights(), and \
             this model is of operations in place of layers, as those of ONNX files are: no Keras \
             model takes them; write it as .safetensors"
        );
    }
    let mut weights = Vec::new();
    for layer in model.layer_names() {
        let specs = model.weight_specs(&layer)?;
        let names = specs.iter().map(|spec| format!("{layer}_{}", spec.name.replace(' ', "_")));
        weights.extend(names.zip(model.weights(&layer)?));
    }
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    archive(file, &weights).with_context(|| format!("cannot write {}", path.display()))
}

fn archive(file: File, weights: &[(String, ArrayD<f32>)]) -> Result<()> {
    let mut writer = ZipWriter::new(BufWriter::new(file));
    // Not compressed, which weights hardly can be.
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let digits = weights.len().saturating_sub(1).to_string().len();
    for (place, (name, array)) in weights.iter().enumerate() {
        let options = options.large_file(array.len() > 1 << 28);
        let name = npy::plain(name);
        writer.start_file(format!("{place:0digits$}_{name}.npy"), options)?;
        array.write_npy(&mut writer)?;
    }
    writer.finish()?.flush()?;
    Ok(())
}
