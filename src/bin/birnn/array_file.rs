//! Arrays from files: NumPy's `.npy` and `.npz`, tables, and Parquet.

use crate::columns::Columns;
use crate::npy::{self, MOST_BYTES};
use crate::table::Table;
use anyhow::{Context, Result, bail};
use ndarray::ArrayD;
use std::io::{self, Cursor, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::read::ZipFile;

/// What a file holds.
pub enum Content {
    Array(ArrayD<f32>),
    /// Those of an archive, with their names.
    Several(Vec<(String, ArrayD<f32>)>),
    Table(Table),
    // Only Parquet files hold them.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code))]
    Columns(Columns),
}

/// Reads a file, or standard input where the path is `-`; of `x.npz:name` one array,
/// of `x.parquet:name` one column.
pub fn read(path: &Path) -> Result<Content> {
    let (file, array) = split(path);
    let bytes = match file.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        _ => std::fs::read(file),
    };
    let bytes = bytes.with_context(|| format!("cannot read {}", file.display()))?;
    let extension = file.extension().map(|extension| extension.to_ascii_lowercase());
    let is_text =
        ["csv", "tsv", "txt"].iter().any(|text| extension.as_deref() == Some((*text).as_ref()));
    let is_table = is_text || file.as_os_str() == "-";
    let is_parquet = bytes.starts_with(b"PAR1");
    let content = match &bytes[..] {
        [b'P', b'K', 3 | 5, ..] => archive(bytes, array),
        _ if is_parquet => columns(bytes, array),
        _ if is_table && !bytes.starts_with(npy::MAGIC) => Table::parse(&bytes).map(Content::Table),
        _ => npy::parse(&bytes).map(Content::Array),
    };
    content.with_context(|| match is_table || is_parquet {
        true => format!("{} can't be read", file.display()),
        false => format!("{} is not a .npy array that birnn reads", file.display()),
    })
}

#[cfg(feature = "parquet")]
fn columns(bytes: Vec<u8>, column: Option<&str>) -> Result<Content> {
    crate::parquet::read(bytes, column).map(Content::Columns)
}

#[cfg(not(feature = "parquet"))]
fn columns(_: Vec<u8>, _: Option<&str>) -> Result<Content> {
    bail!(
        "it is a Parquet file, and this birnn was built without Parquet: cargo install --path . \
         --features cli,parquet builds it in"
    )
}

/// The path of a file, and the name of one of its arrays or columns.
fn split(path: &Path) -> (&Path, Option<&str>) {
    let Some(text) = path.to_str().filter(|_| !path.exists()) else { return (path, None) };
    let after = |extension: &str| {
        let (start, name) = text.split_once(&format!("{extension}:"))?;
        Some((Path::new(text.get(..start.len() + extension.len())?), Some(name)))
    };
    after(".npz").or_else(|| after(".parquet")).unwrap_or((path, None))
}

/// All arrays of an `.npz` archive, or the one of this name.
fn archive(bytes: Vec<u8>, wanted: Option<&str>) -> Result<Content> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))?;
    let mut arrays = Vec::new();
    let mut names = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        let Some(name) = file.name()?.strip_suffix(".npy").map(str::to_string) else { continue };
        if wanted.is_none_or(|wanted| wanted == name) {
            let array = member(&mut file).with_context(|| format!("array {name:?}"))?;
            arrays.push((name.clone(), array));
        }
        names.push(name);
    }
    match (wanted, arrays.len()) {
        (None, 0) => bail!(
            "it is a zip archive without arrays, such as a .keras model; numpy.save and \
             numpy.savez write arrays"
        ),
        (Some(wanted), 0) => bail!("it holds no array {wanted:?}, but {}", names.join(", ")),
        (_, 1) => Ok(Content::Array(arrays.swap_remove(0).1)),
        _ => Ok(Content::Several(arrays)),
    }
}

fn member<R: Read>(file: &mut ZipFile<'_, R>) -> Result<ArrayD<f32>> {
    let size = file.size();
    if size > MOST_BYTES {
        bail!("it has {size} bytes; at most {MOST_BYTES} are read");
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size)?)?;
    // A member may be longer than it says.
    file.take(size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size {
        bail!("it isn't as long as the archive says");
    }
    npy::parse(&bytes)
}
