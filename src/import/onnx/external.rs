//! Values in files beside the model's.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

/// The files of values, and how many bytes may still be read of them.
#[derive(Debug)]
pub(super) struct External<'a> {
    place: Files<'a>,
    left: Cell<u64>,
}

/// Where the files are.
#[derive(Debug)]
enum Files<'a> {
    Folder(PathBuf),
    /// In memory, by the names that the model calls them.
    Given(&'a [(String, Vec<u8>)]),
}

impl<'a> External<'a> {
    /// Of a model in this file.
    pub fn in_folder_of(file: &Path, bytes: u64) -> External<'a> {
        let folder = file.parent().map(Path::to_path_buf);
        External { place: Files::Folder(folder.unwrap_or_default()), left: Cell::new(bytes) }
    }

    /// Of a model that isn't in a file: these.
    pub fn given(files: &'a [(String, Vec<u8>)], bytes: u64) -> External<'a> {
        External { place: Files::Given(files), left: Cell::new(bytes) }
    }

    /// The bytes that a tensor's entries point to.
    pub fn read(&self, entries: &[(&str, &str)], bytes: usize) -> Result<Vec<u8>, String> {
        let entry = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|entry| entry.1);
        let number = |key: &str| match entry(key).map(str::parse::<u64>) {
            None => Ok(None),
            Some(Ok(number)) => Ok(Some(number)),
            Some(Err(_)) => Err(format!("the {key} of its values in another file is no number")),
        };
        let location = entry("location").ok_or("its values are in another file, without a name")?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        if length.is_some_and(|length| length != bytes as u64) {
            return Err(format!("{location:?} has {length:?} bytes of it, and it needs {bytes}"));
        }
        let left = self.left.get().checked_sub(bytes as u64).ok_or_else(|| {
            format!("{location:?}: more bytes of values than OnnxOptions::external_bytes allows")
        })?;
        self.left.set(left);
        let values = match &self.place {
            Files::Folder(folder) => read(&path(folder, location)?, offset, bytes),
            Files::Given(files) => {
                let file = files.iter().find(|(name, _)| name == location).ok_or_else(|| {
                    format!(
                        "its values are in the file {location:?}: load the model by its path, or \
                         give the file with OnnxOptions::external_file"
                    )
                })?;
                part(&file.1, offset, bytes)
            }
        };
        values.map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!(
                "its values are in the file {location:?}, which isn't there: the model keeps \
                 weights in that file, which has to lie in the folder of the .onnx file, under \
                 this name"
            ),
            _ => format!("{location:?}: {error}"),
        })
    }
}

/// The file of this name, which has to lie in the model's folder.
fn path(folder: &Path, location: &str) -> Result<PathBuf, String> {
    let plain = |component: Component| matches!(component, Component::Normal(_));
    let is_inside = !location.is_empty()
        && !location.contains(['\\', ':'])
        && Path::new(location).components().all(plain);
    if !is_inside {
        return Err(format!("{location:?} doesn't lie beside the model's file"));
    }
    let mut path = folder.to_path_buf();
    for part in Path::new(location).components() {
        path.push(part);
        let is_link = path.symlink_metadata().is_ok_and(|found| found.is_symlink());
        if is_link {
            return Err(format!("{location:?} is a link, which isn't followed"));
        }
    }
    Ok(path)
}

fn ends() -> Error {
    Error::new(ErrorKind::UnexpectedEof, "it is too short")
}

/// Of a file in memory.
fn part(file: &[u8], offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
    let rest = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
    let values = rest.and_then(|rest| rest.get(..bytes)).ok_or_else(ends)?;
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    copy.extend_from_slice(values);
    Ok(copy)
}

fn read(path: &Path, offset: u64, bytes: usize) -> Result<Vec<u8>, Error> {
    let end = offset.checked_add(bytes as u64).ok_or_else(ends)?;
    // Before it is opened, which a pipe would wait in.
    let found = path.metadata()?;
    if !found.is_file() || found.len() < end {
        return Err(ends());
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut values = Vec::new();
    values.try_reserve_exact(bytes).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
    file.take(bytes as u64).read_to_end(&mut values)?;
    if values.len() == bytes { Ok(values) } else { Err(ends()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_beside_the_model_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("values.bin"), [1, 2, 3, 4]).unwrap();
        std::fs::write(folder.path().join("outside.bin"), [1, 2, 3, 4]).unwrap();
        let model = inside.join("model.onnx");
        let external = External::in_folder_of(&model, 100);
        let at = |location| external.read(&[("location", location), ("offset", "1")], 2);
        assert_eq!(at("values.bin"), Ok(vec![2, 3]));
        for outside in ["../outside.bin", "/etc/passwd", "C:\\x", "", "a/../values.bin", "gone"] {
            assert!(at(outside).is_err(), "{outside:?}");
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../outside.bin", inside.join("link")).unwrap();
            assert!(at("link").unwrap_err().contains("link"));
        }
        #[cfg(target_os = "linux")]
        {
            let made = std::process::Command::new("mkfifo").arg(inside.join("pipe")).status();
            assert!(made.unwrap().success());
            assert!(at("pipe").is_err()); // and doesn't wait for somebody to write
        }
        assert!(at("gone").unwrap_err().contains("has to lie in the folder of the .onnx file"));
        let wrong = |entries: &[(&str, &str)]| external.read(entries, 2).unwrap_err();
        assert!(wrong(&[("location", "values.bin"), ("offset", "3")]).contains("short"));
        assert!(wrong(&[("location", "values.bin"), ("offset", "x")]).contains("offset"));
        let end = u64::MAX.to_string();
        assert!(wrong(&[("location", "values.bin"), ("offset", &end)]).contains("short"));
        assert!(wrong(&[("location", "values.bin"), ("length", "3")]).contains("3"));
        let few = External::in_folder_of(&model, 3);
        assert!(few.read(&[("location", "values.bin")], 4).unwrap_err().contains("external_bytes"));
    }
    #[test]
    fn files_are_given_in_memory() {
        let files = [("a/values.bin".to_string(), vec![1, 2, 3, 4])];
        let external = External::given(&files, 100);
        let at = |location, offset: &str| {
            external.read(&[("location", location), ("offset", offset)], 2)
        };
        assert_eq!(at("a/values.bin", "2"), Ok(vec![3, 4]));
        let end = u64::MAX.to_string();
        for offset in ["3", "4", "5", &end] {
            assert!(at("a/values.bin", offset).unwrap_err().contains("short"));
        }
        assert!(at("values.bin", "0").unwrap_err().contains("OnnxOptions::external_file"));
        let few = External::given(&files, 1);
        let found = few.read(&[("location", "a/values.bin")], 2);
        assert!(found.unwrap_err().contains("external_bytes"));
    }
}
