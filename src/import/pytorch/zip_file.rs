//! The files of torch.save since PyTorch 1.6: a zip archive with the pickle `data.pkl`, and a
//! member in `data/` for each storage.

use super::checkpoint::{self, Storage, View};
use super::legacy_file::BIG_ENDIAN;
use super::limits::TorchLimits;
use super::messages::malformed;
use super::pickle::Pickle;
use super::tensor::{Dtype, FileTensor};
use crate::Result;
use crate::import::recognize;
use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::sync::Arc;
use zip::ZipArchive;

/// An archive, and how much may still be unpacked from it.
struct Archive<'f> {
    file: &'f str,
    zip: ZipArchive<Cursor<Vec<u8>>>,
    /// The folder that all members are in, with a slash at its end; or nothing.
    folder: String,
    left: u64,
}

const PICKLE: &str = "data.pkl";

pub(super) fn tensors(file: &str, bytes: Vec<u8>, limits: &TorchLimits) -> Result<Vec<FileTensor>> {
    let mut archive = Archive::open(file, bytes, limits)?;
    if archive.member("byteorder")?.is_some_and(|order| order.starts_with(b"big")) {
        return malformed(file, BIG_ENDIAN);
    }
    let label = format!("{file}: {PICKLE}");
    let Some(bytes) = archive.member(PICKLE)? else { return malformed(&label, "is missing") };
    let pickle = Pickle::read(&bytes, limits.values).or_else(|reason| malformed(&label, reason))?;
    let views = checkpoint::tensors(file, &pickle, limits)?;
    drop(pickle);
    let mut storages = HashMap::new();
    views.into_iter().map(|view| archive.tensor(view, &mut storages)).collect()
}

impl<'f> Archive<'f> {
    fn open(file: &'f str, bytes: Vec<u8>, limits: &TorchLimits) -> Result<Archive<'f>> {
        let left = limits.unpacked(bytes.len());
        let zip = recognize::torch_archive(Cursor::new(bytes))
            .or_else(|e| malformed(file, format!("is no zip archive, or is cut off: {e}")))?;
        let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
        match recognize::torch_folder(&names) {
            Some(folder) => Ok(Archive { file, folder: folder.to_string(), zip, left }),
            None => malformed(file, recognize::archive(&names)),
        }
    }

    /// Unpacks a member, where there is one of this name; what its header says of the size isn't
    /// believed.
    fn member(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let label = format!("{}: {name}", self.file);
        let member = match self.zip.by_name(&format!("{}{name}", self.folder)) {
            Ok(member) => member,
            Err(zip::result::ZipError::FileNotFound) => return Ok(None),
            Err(e) => return malformed(&label, format!("can't be read: {e}")),
        };
        let mut bytes = Vec::new();
        if let Err(e) = member.take(self.left.saturating_add(1)).read_to_end(&mut bytes) {
            return malformed(&label, format!("is damaged: {e}"));
        }
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => self.left = left,
            None => {
                let reason = "takes more than the file may unpack to (TorchLimits::unpacked_bytes)";
                return malformed(&label, reason);
            }
        }
        Ok(Some(bytes))
    }

    fn tensor(
        &mut self,
        view: View,
        storages: &mut HashMap<String, Arc<Vec<u8>>>,
    ) -> Result<FileTensor> {
        let bytes = match (&view.storage, &view.dtype) {
            (Some(storage), Dtype::Float(_)) => self.storage(storage, storages)?,
            _ => Arc::default(), // nobody reads its values
        };
        Ok(view.tensor(bytes))
    }

    /// A storage, which is unpacked once.
    fn storage(
        &mut self,
        storage: &Storage,
        storages: &mut HashMap<String, Arc<Vec<u8>>>,
    ) -> Result<Arc<Vec<u8>>> {
        if let Some(bytes) = storages.get(&storage.key) {
            return Ok(bytes.clone());
        }
        let name = format!("data/{}", storage.key);
        let label = format!("{}: {name}", self.file);
        let Some(bytes) = self.member(&name)? else { return malformed(&label, "is missing") };
        if storage.values.checked_mul(storage.dtype.bytes()) != Some(bytes.len()) {
            let (found, values, dtype) = (bytes.len(), storage.values, &storage.dtype);
            let reason = format!("has {found} bytes, and should hold {values} values of {dtype}");
            return malformed(&label, reason);
        }
        let bytes = Arc::new(bytes);
        storages.insert(storage.key.clone(), bytes.clone());
        Ok(bytes)
    }
}
