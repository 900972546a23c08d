//! Takes a file apart: the model's configuration, which Keras wrote it, and its weights.

use super::hdf5::Hdf5;
use super::json;
use super::limits::KerasLimits;
use super::messages::{CONFIG, malformed};
use super::version::Version;
use crate::import::recognize::{self, Format};
use crate::{Error, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use zip::ZipArchive;

/// Where in the weights' HDF5 a layer's arrays stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `.keras`: by the layer's class and a counter.
    Archive,
    /// Legacy HDF5: by the layer's name behind this prefix, with a list of the arrays' names.
    Legacy(&'static str),
}

/// Weights in HDF5, and how they are laid out.
pub(super) struct WeightFile {
    pub hdf5: Hdf5,
    pub layout: Layout,
}

/// A file taken apart.
pub(super) struct KerasFile {
    /// The file and the part with the configuration, for messages.
    pub config_label: String,
    pub config: Value,
    pub version: Version,
    pub weights: WeightFile,
}

/// Reads a file, unless its first bytes or the names in its archive already tell that it is none of
/// Keras's.
pub(super) fn read(path: &Path, limits: &KerasLimits) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    if path.is_dir() {
        return malformed(&name, recognize::folder(path));
    }
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    (&mut file).take(recognize::HEAD as u64).read_to_end(&mut bytes).map_err(io)?;
    let found = format(&name, &bytes);
    if let (Err(_), Some(reason)) = (&found, recognize::by_name(path)) {
        return malformed(&name, reason);
    }
    // Of a file of another kind, such as a pipe, there is no end to begin at.
    let seekable = file.metadata().is_ok_and(|m| m.is_file() && m.len() <= limits.file_bytes);
    if found? == Format::Zip && seekable {
        if let Ok(archive) = ZipArchive::new(BufReader::new(&file)) {
            check_names(&name, &archive)?;
        }
        file.seek(std::io::SeekFrom::Start(bytes.len() as u64)).map_err(io)?;
    }
    (&mut file).take(limits.file_bytes).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn format(name: &str, bytes: &[u8]) -> Result<Format> {
    match recognize::format(&bytes[..bytes.len().min(recognize::HEAD)]) {
        Ok(Format::Onnx) => malformed(name, ONNX),
        Ok(Format::TorchPickle | Format::Safetensors) => malformed(name, recognize::TORCH),
        Ok(Format::Portable) => malformed(name, recognize::PORTABLE),
        Ok(format) => Ok(format),
        Err(reason) => malformed(name, reason),
    }
}

/// That an archive has one of Keras's files at least; which one is missing is said where it is
/// needed.
fn check_names<R: Read + Seek>(name: &str, archive: &ZipArchive<R>) -> Result<()> {
    let has = |member| archive.index_for_name(member).is_some();
    if has("config.json") || has("model.weights.h5") {
        return Ok(());
    }
    let names = archive.file_names().flatten().map(|name| name.into_owned());
    malformed(name, recognize::archive(&names.collect::<Vec<_>>()))
}

impl KerasFile {
    /// `name` stands for the file in messages.
    pub(super) fn open(name: &str, bytes: Vec<u8>, limits: &KerasLimits) -> Result<KerasFile> {
        check_size(name, bytes.len(), "file_bytes", limits.file_bytes)?;
        match format(name, &bytes)? {
            Format::Zip => open_archive(name, bytes, limits),
            _ => open_legacy(name, bytes, limits),
        }
    }
}

/// What to do with a file that isn't of Keras's.
const ONNX: &str = "is an ONNX model: read it with Model::from_onnx, or Model::load";

fn check_size(label: &str, bytes: usize, limit: &str, most: u64) -> Result<()> {
    match bytes as u64 > most {
        true => malformed(
            label,
            format!("is larger than {most} bytes, the most that is read (KerasLimits::{limit})"),
        ),
        false => Ok(()),
    }
}

fn open_archive(name: &str, bytes: Vec<u8>, limits: &KerasLimits) -> Result<KerasFile> {
    let unpacked = limits.unpacked(bytes.len());
    let mut archive = zip(name, bytes)?;
    let mut configuration = |file: &str| {
        let json = member(name, &mut archive, file, "config_bytes", limits.config_bytes)?;
        let label = format!("{name}: {file}");
        parse(&label, &json, limits).map(|value| (label, value))
    };
    let (config_label, config) = configuration("config.json")?;
    let (metadata_label, metadata) = configuration("metadata.json")?;
    let version =
        Version::parse(&metadata_label, metadata.get("keras_version").and_then(Value::as_str))?;
    let weights = member(name, &mut archive, "model.weights.h5", "unpacked_bytes", unpacked)?;
    drop(archive);
    let hdf5 = Hdf5::open(format!("{name}: model.weights.h5"), weights, unpacked)?;
    Ok(KerasFile {
        config_label,
        config,
        version,
        weights: WeightFile { hdf5, layout: Layout::Archive },
    })
}

fn zip(name: &str, bytes: Vec<u8>) -> Result<ZipArchive<Cursor<Vec<u8>>>> {
    let archive = ZipArchive::new(Cursor::new(bytes))
        .or_else(|e| malformed(name, format!("is no zip archive, or one that is cut off: {e}")))?;
    check_names(name, &archive)?;
    Ok(archive)
}

/// Reads a member of the archive; what its header says of the size isn't believed.
fn member(
    name: &str,
    archive: &mut ZipArchive<Cursor<Vec<u8>>>,
    member: &str,
    limit: &str,
    most: u64,
) -> Result<Vec<u8>> {
    let label = format!("{name}: {member}");
    let found = match archive.by_name(member) {
        Ok(found) => found,
        Err(zip::result::ZipError::FileNotFound) => {
            return malformed(
                &label,
                "is missing: is this a model saved by model.save(\"….keras\")?",
            );
        }
        Err(e) => return malformed(&label, format!("can't be read: {e}")),
    };
    let mut bytes = Vec::new();
    match found.take(most.saturating_add(1)).read_to_end(&mut bytes) {
        Ok(_) => check_size(&label, bytes.len(), limit, most).map(|()| bytes),
        Err(e) => malformed(&label, format!("is damaged: {e}")),
    }
}

fn open_legacy(name: &str, bytes: Vec<u8>, limits: &KerasLimits) -> Result<KerasFile> {
    let unpacked = limits.unpacked(bytes.len());
    let hdf5 = Hdf5::open(name.to_string(), bytes, unpacked)?;
    let Some(config) = hdf5.text("", "model_config")? else {
        return malformed(name, without_config(&hdf5)?);
    };
    let config_label = format!("{name}: model_config");
    let config = parse_config(&config_label, config.as_bytes(), limits)?;
    let version = hdf5_version(name, &hdf5, "model_weights")?;
    let weights = WeightFile { hdf5, layout: Layout::Legacy("model_weights/") };
    Ok(KerasFile { config_label, config, version, weights })
}

/// What an HDF5 file without a configuration is: Keras writes its weights in groups of these names,
/// or lists them in these attributes.
fn without_config(hdf5: &Hdf5) -> Result<&'static str> {
    let mut is_keras = false;
    for group in ["vars", "layers", "_layer_checkpoint_dependencies", "model_weights"] {
        is_keras |= hdf5.has_group(group)?;
    }
    for list in ["layer_names", "layer_names0"] {
        is_keras |= hdf5.texts("", list)?.is_some();
    }
    Ok(match is_keras {
        true => {
            "holds weights only: give the model's configuration, the text that model.to_json() \
             returns, too (Model::from_keras_config), or save the whole model with \
             model.save(\"model.keras\")"
        }
        false => {
            "is an HDF5 file, but not of Keras: it has neither a model_config nor Keras's weights; \
             save the model with model.save(\"model.keras\")"
        }
    })
}

/// Weights alone, or those of a whole model.
pub(super) fn open_weights(name: &str, bytes: Vec<u8>, limits: &KerasLimits) -> Result<WeightFile> {
    check_size(name, bytes.len(), "file_bytes", limits.file_bytes)?;
    let unpacked = limits.unpacked(bytes.len());
    if format(name, &bytes)? == Format::Zip {
        let weights =
            member(name, &mut zip(name, bytes)?, "model.weights.h5", "unpacked_bytes", unpacked)?;
        let hdf5 = Hdf5::open(format!("{name}: model.weights.h5"), weights, unpacked)?;
        return Ok(WeightFile { hdf5, layout: Layout::Archive });
    }
    let hdf5 = Hdf5::open(name.to_string(), bytes, unpacked)?;
    let is_list = |names: Option<Vec<String>>| names.is_some();
    let layout = match hdf5.has_group("model_weights")? {
        true => Layout::Legacy("model_weights/"),
        // Keras 2 lists the layers, in several attributes where there are many.
        false
            if is_list(hdf5.texts("", "layer_names")?)
                || is_list(hdf5.texts("", "layer_names0")?) =>
        {
            Layout::Legacy("")
        }
        false => Layout::Archive,
    };
    Ok(WeightFile { hdf5, layout })
}

/// A configuration that isn't too large.
pub(super) fn parse_config(label: &str, json: &[u8], limits: &KerasLimits) -> Result<Value> {
    check_size(label, json.len(), "config_bytes", limits.config_bytes)?;
    parse(label, json, limits)
}

/// Which Keras wrote a configuration that stands alone.
pub(super) fn config_version(config: &Value, json: &str) -> Result<Version> {
    match config.get("keras_version") {
        Some(found) => Version::parse(CONFIG, found.as_str()),
        // Keras 3 doesn't write its version here, but its dtypes are objects.
        None if json.contains("DTypePolicy") => Ok(Version::Keras3),
        None => Ok(Version::Unknown),
    }
}

fn hdf5_version(name: &str, hdf5: &Hdf5, group: &str) -> Result<Version> {
    let written_by = match hdf5.text("", "keras_version")? {
        None => hdf5.text(group, "keras_version")?,
        some => some,
    };
    Version::parse(name, written_by.as_deref())
}

fn parse(label: &str, json: &[u8], limits: &KerasLimits) -> Result<Value> {
    match json::parse(json, limits.config_values) {
        // `json.dump(model.to_json(), file)` encodes the configuration twice.
        Ok(Value::String(text)) if text.trim_start().starts_with(['{', '"']) => {
            parse(label, text.as_bytes(), limits)
        }
        Ok(value) => Ok(value),
        Err(e) if e.is_data() => malformed(label, format!("{e} (KerasLimits::config_values)")),
        Err(e) => malformed(label, format!("is not valid JSON: {e}")),
    }
}
