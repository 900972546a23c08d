//! The files of torch.save before PyTorch 1.6, and of `_use_new_zipfile_serialization=False`: five
//! pickles one after the other (a magic number, the format's version, the machine, the object, the
//! keys of the storages), and the storages behind them.

use super::checkpoint::{self, Storage, View};
use super::limits::TorchLimits;
use super::messages::malformed;
use super::pickle::{Pickle, Value};
use super::tensor::{Dtype, FileTensor};
use crate::Result;
use std::collections::HashMap;
use std::sync::Arc;

/// The version of the format, the only one that there was.
const VERSION: i64 = 1001;

pub(super) fn tensors(file: &str, bytes: Vec<u8>, limits: &TorchLimits) -> Result<Vec<FileTensor>> {
    let mut rest = &bytes[..];
    let mut next = |what: &str| match Pickle::read(rest, limits.values) {
        Ok(pickle) => {
            rest = &rest[pickle.bytes..];
            Ok(pickle)
        }
        Err(reason) => malformed(&format!("{file}: {what}"), reason),
    };
    next("magic number")?;
    check_version(file, &next("version")?)?;
    check_byte_order(file, &next("machine")?)?;
    let object = next("pickle")?;
    let keys = next("storage keys")?;
    let begin = bytes.len() - rest.len();
    let views = checkpoint::tensors(file, &object, limits)?;
    let storages = storages(&object, &keys, &bytes[begin..])
        .or_else(|reason| malformed(&format!("{file}: storages"), reason))?;
    let tensor = |view: View| match (&view.storage, &view.dtype) {
        (Some(storage), Dtype::Float(_)) => match storages.get(&storage.key) {
            Some(bytes) => Ok(view.tensor(bytes.clone())),
            None => malformed(file, format!("the values of tensor {:?} are missing", view.name)),
        },
        _ => Ok(view.tensor(Arc::default())), // nobody reads its values
    };
    views.into_iter().map(tensor).collect()
}

fn check_version(file: &str, pickle: &Pickle) -> Result<()> {
    match pickle.integer(pickle.root) {
        Some(VERSION) => Ok(()),
        _ => malformed(file, format!("the version of its format isn't {VERSION}")),
    }
}

fn check_byte_order(file: &str, machine: &Pickle) -> Result<()> {
    let little = machine.entry(machine.root, "little_endian").map(|id| machine.get(id));
    match little {
        Some(Value::Bool(true)) => Ok(()),
        Some(Value::Bool(false)) => malformed(file, BIG_ENDIAN),
        _ => malformed(file, "doesn't say in which order the bytes of its numbers are"),
    }
}

pub(super) const BIG_ENDIAN: &str = "was saved on a big-endian machine: load it there with \
    torch.load and save the state dict with safetensors.torch.save_file";

/// The bytes of each storage, by its key. They follow the number of the storage's values, 8 bytes,
/// in the order of the keys.
fn storages(
    object: &Pickle,
    keys: &Pickle,
    mut bytes: &[u8],
) -> Result<HashMap<String, Arc<Vec<u8>>>, String> {
    let known = checkpoint::storages(object)?;
    let mut storages = HashMap::new();
    for key in keys.items(keys.root).ok_or("their keys are no list")? {
        let key = keys.text(*key).map(String::from_utf8_lossy);
        let storage = key.and_then(|key| known.get(&*key)).ok_or("a key belongs to no tensor")?;
        let (values, rest) = split(storage, bytes)?;
        storages.insert(storage.key.clone(), Arc::new(values.to_vec()));
        bytes = rest;
    }
    Ok(storages)
}

/// The bytes of a storage that comes next, and those behind it.
fn split<'b>(storage: &Storage, bytes: &'b [u8]) -> Result<(&'b [u8], &'b [u8]), String> {
    let Storage { key, values, dtype, .. } = storage;
    let ends = || format!("the file ends before the storage {key:?} does");
    let (count, bytes) = bytes.split_first_chunk::<8>().ok_or_else(ends)?;
    let count = u64::from_le_bytes(*count);
    if count != *values as u64 {
        return Err(format!("the storage {key:?} has {count} values, and not {values}"));
    }
    let length = values.checked_mul(dtype.bytes()).ok_or_else(ends)?;
    bytes.split_at_checked(length).ok_or_else(ends)
}
