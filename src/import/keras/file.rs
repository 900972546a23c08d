//! Takes a file apart: the model's configuration, which Keras wrote it, and its weights.

use super::hdf5::Hdf5;
use super::malformed;
use super::weights::WeightFile;
use crate::error::{Error, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use zip::ZipArchive;

const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
const ZIP_SIGNATURES: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The largest file, and the largest weights inside of one.
const MAX_BYTES: u64 = 2 << 30;
/// The largest configuration: parsed JSON takes many times its size in memory, and a layer's takes 3 KiB.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// Which Keras wrote a file: a name can mean different things in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Keras2,
    Keras3,
    /// The file doesn't say.
    Unknown,
}

/// Where in the weights' HDF5 a layer's arrays stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `.keras`: by the layer's class and a counter.
    Archive,
    /// Legacy HDF5: by the layer's name behind this prefix, with a list of the arrays' names.
    Legacy(&'static str),
}

/// A file taken apart.
pub(super) struct KerasFile {
    /// The file and the part with the configuration, for messages.
    pub config_label: String,
    pub config: Value,
    pub version: Version,
    pub weights: WeightFile,
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Zip,
    Hdf5,
}

/// Reads a file, unless its first bytes already tell that it is none of Keras's.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let name = path.display().to_string();
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    (&mut file).take(HDF5_SIGNATURE.len() as u64).read_to_end(&mut bytes).map_err(io)?;
    format(&name, &bytes)?;
    (&mut file).take(MAX_BYTES).read_to_end(&mut bytes).map_err(io)?;
    Ok(bytes)
}

fn format(name: &str, bytes: &[u8]) -> Result<Format> {
    if bytes.starts_with(HDF5_SIGNATURE) {
        Ok(Format::Hdf5)
    } else if ZIP_SIGNATURES.iter().any(|signature| bytes.starts_with(signature)) {
        Ok(Format::Zip)
    } else {
        let found = if bytes.is_empty() { "it is empty" } else { "its first bytes are of neither" };
        malformed(name, format!("is no .keras archive (zip) and no Keras model or weights in HDF5: {found}"))
    }
}

impl KerasFile {
    /// `name` stands for the file in messages.
    pub(super) fn open(name: &str, bytes: Vec<u8>) -> Result<KerasFile> {
        if bytes.len() as u64 > MAX_BYTES {
            return malformed(name, format!("is larger than {MAX_BYTES} bytes, the most that is read"));
        }
        match format(name, &bytes)? {
            Format::Zip => open_archive(name, bytes),
            Format::Hdf5 => open_legacy(name, bytes),
        }
    }
}

fn open_archive(name: &str, bytes: Vec<u8>) -> Result<KerasFile> {
    let mut archive = zip(name, bytes)?;
    let config = member(name, &mut archive, "config.json", MAX_CONFIG_BYTES)?;
    let metadata = member(name, &mut archive, "metadata.json", MAX_CONFIG_BYTES)?;
    let config_label = format!("{name}: config.json");
    let config = parse(&config_label, &config)?;
    let metadata_label = format!("{name}: metadata.json");
    let metadata = parse(&metadata_label, &metadata)?;
    let version = version(&metadata_label, metadata.get("keras_version").and_then(Value::as_str))?;
    let weights = member(name, &mut archive, "model.weights.h5", MAX_BYTES)?;
    drop(archive);
    let hdf5 = Hdf5::open(format!("{name}: model.weights.h5"), weights)?;
    Ok(KerasFile { config_label, config, version, weights: WeightFile { hdf5, layout: Layout::Archive } })
}

fn zip(name: &str, bytes: Vec<u8>) -> Result<ZipArchive<Cursor<Vec<u8>>>> {
    ZipArchive::new(Cursor::new(bytes)).or_else(|e| malformed(name, format!("is no whole zip archive: {e}")))
}

/// Reads a member of the archive; what its header says of the size isn't believed.
fn member(name: &str, archive: &mut ZipArchive<Cursor<Vec<u8>>>, member: &str, limit: u64) -> Result<Vec<u8>> {
    let label = format!("{name}: {member}");
    let found = match archive.by_name(member) {
        Ok(found) => found,
        Err(zip::result::ZipError::FileNotFound) => {
            return malformed(&label, "is missing: is this a model saved by model.save(\"….keras\")?");
        }
        Err(e) => return malformed(&label, format!("can't be read: {e}")),
    };
    let mut bytes = Vec::new();
    match found.take(limit + 1).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() as u64 > limit => {
            malformed(&label, format!("is larger than {limit} bytes, the most that is read"))
        }
        Ok(_) => Ok(bytes),
        Err(e) => malformed(&label, format!("is damaged: {e}")),
    }
}

fn open_legacy(name: &str, bytes: Vec<u8>) -> Result<KerasFile> {
    let hdf5 = Hdf5::open(name.to_string(), bytes)?;
    let Some(config) = hdf5.text("", "model_config")? else {
        return malformed(
            name,
            "has no model_config: it may hold weights only; save the whole model with model.save(...), or build it with Model::from_keras_config and read the weights with Model::load_keras_weights",
        );
    };
    let config_label = format!("{name}: model_config");
    let config = parse_config(&config_label, config.as_bytes())?;
    let version = hdf5_version(name, &hdf5, "model_weights")?;
    let weights = WeightFile { hdf5, layout: Layout::Legacy("model_weights/") };
    Ok(KerasFile { config_label, config, version, weights })
}

/// Weights alone, or those of a whole model.
pub(super) fn open_weights(name: &str, bytes: Vec<u8>) -> Result<WeightFile> {
    if bytes.len() as u64 > MAX_BYTES {
        return malformed(name, format!("is larger than {MAX_BYTES} bytes, the most that is read"));
    }
    if format(name, &bytes)? == Format::Zip {
        let weights = member(name, &mut zip(name, bytes)?, "model.weights.h5", MAX_BYTES)?;
        let hdf5 = Hdf5::open(format!("{name}: model.weights.h5"), weights)?;
        return Ok(WeightFile { hdf5, layout: Layout::Archive });
    }
    let hdf5 = Hdf5::open(name.to_string(), bytes)?;
    let is_list = |names: Option<Vec<String>>| names.is_some();
    let layout = match hdf5.has_group("model_weights")? {
        true => Layout::Legacy("model_weights/"),
        // Keras 2 lists the layers, in several attributes where there are many.
        false if is_list(hdf5.texts("", "layer_names")?) || is_list(hdf5.texts("", "layer_names0")?) => {
            Layout::Legacy("")
        }
        false => Layout::Archive,
    };
    Ok(WeightFile { hdf5, layout })
}

/// A configuration that isn't too large.
pub(super) fn parse_config(label: &str, json: &[u8]) -> Result<Value> {
    match json.len() as u64 > MAX_CONFIG_BYTES {
        true => malformed(label, format!("is larger than {MAX_CONFIG_BYTES} bytes, the most that is read")),
        false => parse(label, json),
    }
}

fn hdf5_version(name: &str, hdf5: &Hdf5, group: &str) -> Result<Version> {
    let written_by = match hdf5.text("", "keras_version")? {
        None => hdf5.text(group, "keras_version")?,
        some => some,
    };
    version(name, written_by.as_deref())
}

fn parse(label: &str, json: &[u8]) -> Result<Value> {
    serde_json::from_slice(json).or_else(|e| malformed(label, format!("is not valid JSON: {e}")))
}

pub(super) fn version(label: &str, text: Option<&str>) -> Result<Version> {
    let Some(text) = text else {
        return Ok(Version::Unknown);
    };
    match text.split('.').next().and_then(|major| major.parse::<u32>().ok()) {
        Some(2) => Ok(Version::Keras2),
        Some(3) => Ok(Version::Keras3),
        _ => malformed(
            label,
            format!("was saved by Keras {text:?}; load it in Keras 2 or 3 and save it again, or update this crate"),
        ),
    }
}
