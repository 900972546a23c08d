//! Which of the planner's candidates an adapter was found to run fastest, kept in a file from
//! process to process.
//!
//! A file is of one version, and has a section for each adapter and driver. What can't be read, or
//! is of another version, is taken for empty and written anew; a choice that the planner no longer
//! offers is timed again.

use super::plan::Tuned;
use crate::device::{DeviceInfo, GpuOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Raised whenever kernels change so that old times say nothing.
const VERSION: u32 = 6;

#[derive(Debug, Serialize, Deserialize)]
struct File {
    version: u32,
    /// By adapter and driver.
    adapters: BTreeMap<String, Tuned>,
}

/// What is known of one adapter.
#[derive(Debug)]
pub(super) struct Cache {
    /// `None`: nothing is kept.
    path: Option<PathBuf>,
    adapter: String,
    tuned: Tuned,
}

impl Cache {
    /// For the adapter and its driver.
    pub fn of(options: &GpuOptions, info: &DeviceInfo) -> Cache {
        let path = options.autotune_file.clone().or_else(default_path);
        Cache::open(path, format!("{}, {}, {}", info.name, info.backend, info.driver))
    }

    /// `adapter` names the adapter and its driver with their versions.
    fn open(path: Option<PathBuf>, adapter: String) -> Cache {
        let tuned =
            path.as_deref().and_then(read).and_then(|mut file| file.adapters.remove(&adapter));
        Cache { path, adapter, tuned: tuned.unwrap_or_default() }
    }

    pub fn tuned(&self) -> &Tuned {
        &self.tuned
    }

    /// Remembers a choice, for other processes too. A file that can't be written is no reason to
    /// fail.
    pub fn remember(&mut self, class: String, choice: String) {
        tracing::info!(class, choice, adapter = self.adapter, "autotune");
        self.tuned.insert(class, choice);
        if let Some(Err(error)) = self.path.as_deref().map(|path| self.write(path)) {
            tracing::warn!(path = ?self.path, %error, "what autotune found can't be kept");
        }
    }

    /// Adds to what other processes have written meanwhile, and replaces the file at once, so that
    /// none is read by half.
    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = read(path).unwrap_or(File { version: VERSION, adapters: BTreeMap::new() });
        file.adapters.entry(self.adapter.clone()).or_default().extend(self.tuned.clone());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
        std::fs::write(&temporary, serde_json::to_vec_pretty(&file)?)?;
        std::fs::rename(&temporary, path)
    }
}

fn read(path: &Path) -> Option<File> {
    let bytes = std::fs::read(path).ok()?;
    match serde_json::from_slice::<File>(&bytes) {
        Ok(file) if file.version == VERSION => Some(file),
        Ok(file) => {
            let version = file.version;
            tracing::debug!(path = %path.display(), version, "autotune file of another version");
            None
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "autotune file can't be read");
            None
        }
    }
}

/// The file in the user's cache folder; `None` where there is no such folder.
fn default_path() -> Option<PathBuf> {
    let variable =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("birnn").join("autotune.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own, removed when dropped, and the file in it.
    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("birnn").join("autotune.json");
        (folder, path)
    }

    fn open(path: &Path, adapter: &str) -> Cache {
        Cache::open(Some(path.to_path_buf()), adapter.into())
    }

    #[test]
    fn what_was_found_is_there_for_the_next_process_and_the_same_adapter_alone() {
        let (_folder, path) = file();
        let mut first = open(&path, "a, driver 1");
        let mut other = open(&path, "b, driver 1");
        first.remember("lstm".into(), "steps".into());
        other.remember("lstm".into(), "sequence".into());
        first.remember("gru".into(), "sequence".into());
        let of = |adapter| open(&path, adapter).tuned().clone();
        let pairs = |list: &[(&str, &str)]| {
            list.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Tuned>()
        };
        assert_eq!(of("a, driver 1"), pairs(&[("gru", "sequence"), ("lstm", "steps")]));
        assert_eq!(of("b, driver 1"), pairs(&[("lstm", "sequence")]));
        assert_eq!(of("a, driver 2"), pairs(&[]));
    }

    #[test]
    fn files_that_are_damaged_or_of_another_version_are_replaced() {
        let (_folder, path) = file();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let foreign = r#"{"version": 999, "adapters": {"a": {"lstm": "steps"}}}"#;
        for content in
            ["", "{", "[1, 2]", "\u{0}\u{1}", r#"{"version": "x"}"#, r#"{"version": 1}"#, foreign]
        {
            std::fs::write(&path, content).unwrap();
            let mut cache = open(&path, "a");
            assert!(cache.tuned().is_empty(), "{content}");
            cache.remember("gru".into(), "sequence".into());
            assert_eq!(open(&path, "a").tuned().len(), 1, "{content}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_is_no_failure() {
        let (_folder, path) = file();
        std::fs::create_dir_all(&path).unwrap(); // a folder where the file should be
        let mut cache = open(&path, "a");
        cache.remember("lstm".into(), "steps".into());
        assert_eq!(cache.tuned().len(), 1);
        assert!(Cache::open(None, "a".into()).tuned().is_empty());
    }
}
