//! Which of the planner's candidates an adapter was found to run fastest, kept in a file from
//! process to process.
//!
//! A file is of one version, and has a section for each adapter and driver. What can't be read, or
//! is of another version, is taken for empty and written anew; a choice that the planner no longer
//! offers is timed again.

use super::encode::{Encoding, Pace};
use super::plan::{CallShape, Plan, Tuned, plan};
use super::session::GpuSession;
use crate::device::{DeviceInfo, DeviceOptions};
use crate::error::Result;
use crate::model::Model;
use crate::session::Counters;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    pub fn of(options: &DeviceOptions, info: &DeviceInfo) -> Cache {
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

/// The timesteps of a call that is timed.
const TIMESTEPS: usize = 64;
/// How often each way is timed; the fastest counts.
const RUNS: usize = 3;

impl GpuSession {
    /// Times the ways to run the layers of a call, of which the device knows nothing yet. The
    /// states of stateful layers are written to: not for calls that go on from them.
    pub(super) fn tune(&mut self, model: &Model, call: &CallShape) -> Result<()> {
        if self.device.autotune().is_none() {
            return Ok(());
        }
        let call = shortened(model, call);
        let own = plan(model, &self.groups, &call, &self.device.limits, &self.device.tuned())?;
        for chosen in own.choices {
            let tuned = self.device.tuned();
            if tuned.contains_key(&chosen.class) || chosen.candidates.len() < 2 {
                continue;
            }
            let mut fastest: Option<(Duration, String)> = None;
            for name in chosen.candidates {
                let mut tuned = tuned.clone();
                tuned.insert(chosen.class.clone(), name.clone());
                let plan = plan(model, &self.groups, &call, &self.device.limits, &tuned)?;
                // One that the driver can't build is out of the running.
                let Ok(time) = self.time(model, plan) else { continue };
                tracing::debug!(class = chosen.class, name, ?time, "autotune");
                if fastest.as_ref().is_none_or(|(least, _)| time < *least) {
                    fastest = Some((time, name));
                }
            }
            if let (Some((_, name)), Some(mut cache)) = (fastest, self.device.autotune()) {
                cache.remember(chosen.class, name);
            }
        }
        Ok(())
    }

    /// The least time of some runs of a plan, on whatever its buffers hold.
    fn time(&mut self, model: &Model, plan: Plan) -> Result<Duration> {
        let device = self.device.clone();
        device.checked("autotune", || {
            self.grow_buffers(&plan);
            let prepared = self.bind(model, plan)?;
            let mut least = Duration::MAX;
            for run in 0..=RUNS {
                let began = Instant::now();
                let pace = Pace::of(device.info.kind);
                let mut counters = Counters::default();
                let mut encoding =
                    Encoding::new(&device, &self.step_table, None, &pace, &mut counters);
                encoding.launches(&prepared.plan, &prepared.launches);
                device.poll(encoding.finish(|_| ()))?;
                if run > 0 {
                    least = least.min(began.elapsed());
                }
            }
            Ok(least)
        })
    }
}

/// The call with fewer timesteps, where the model takes fewer: what a step costs doesn't depend on
/// their number.
fn shortened(model: &Model, call: &CallShape) -> CallShape {
    let axes = |tensor: usize| {
        let free = model.tensors[tensor].shape.iter().map(Option::is_none);
        let shape = call.shapes[tensor].iter().zip(free);
        shape.map(|(&axis, free)| if free { axis.min(TIMESTEPS) } else { axis }).collect()
    };
    let inputs: Vec<Vec<usize>> = model.inputs.iter().map(|input| axes(input.tensor)).collect();
    match model.shapes(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()) {
        Ok(shapes) => CallShape { shapes, ..call.clone() },
        Err(_) => call.clone(),
    }
}

fn read(path: &Path) -> Option<File> {
    let bytes = std::fs::read(path).ok()?;
    match serde_json::from_slice::<File>(&bytes) {
        Ok(file) if file.version == VERSION => Some(file),
        Ok(file) => {
            tracing::debug!(path = %path.display(), version = file.version, "autotune file of another version");
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

    /// A device that keeps what it finds in this file; `None` where there is no GPU.
    fn device(path: &Path) -> Option<crate::Device> {
        match DeviceOptions::new()
            .allow_software(true)
            .gpu()
            .autotune(true)
            .autotune_file(path)
            .open()
        {
            Ok(device) => Some(device),
            Err(error) if std::env::var_os("BIRNN_REQUIRE_GPU").is_none() => {
                use std::io::Write;
                let _ = writeln!(std::io::stderr(), "NOT RUN: autotune: {error}");
                None
            }
            Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
        }
    }

    fn models() -> Vec<Model> {
        use crate::layer::{Bidirectional, Gru, Lstm, SimpleRnn};
        let layers = [
            Bidirectional::new(Lstm::new(37).return_sequences(true)),
            Bidirectional::new(Gru::new(37).return_sequences(true)),
            Bidirectional::new(Gru::new(37).reset_after(false).return_sequences(true)),
            Bidirectional::new(SimpleRnn::new(37).return_sequences(true)),
        ];
        layers
            .into_iter()
            .map(|layer| Model::sequential(5, [layer]).and_then(|m| m.initialize(3)).unwrap())
            .collect()
    }

    #[test]
    fn the_fastest_way_is_remembered_and_every_way_gives_the_same() {
        let (_folder, path) = file();
        let Some(device) = device(&path) else { return };
        let crate::device::Backend::Gpu(gpu) = device.backend() else { panic!("a GPU") };
        for model in models() {
            for batch in [1, 3, 17] {
                let at = |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin();
                let x = ndarray::Array3::from_shape_fn((batch, 9, 5), at);
                let exact = crate::reference::run(&model, x.mapv(f64::from).view()).unwrap();
                let run = || {
                    let found = device.compile(&model).unwrap().run(x.view()).unwrap();
                    let pairs = found.output().iter().zip(exact.output());
                    let worst = pairs.map(|(&f, &e)| (f64::from(f) - e).abs()).fold(0.0, f64::max);
                    assert!(worst < 2e-6, "{worst} with {:?}", gpu.tuned());
                };
                let before = gpu.tuned();
                run();
                let found = gpu.tuned();
                assert_eq!(
                    read(&path).unwrap().adapters.values().next(),
                    Some(&found),
                    "the file has it"
                );
                let (class, fastest) = found
                    .iter()
                    .find(|(class, _)| !before.contains_key(*class))
                    .expect("a new class");
                let session = GpuSession::new(&model, gpu.clone()).unwrap();
                let shapes = model.shapes(&[&[9, 5]]).unwrap();
                let call = CallShape {
                    rows: batch,
                    shapes,
                    given: vec![Vec::new()],
                    masks: vec![false],
                    carried: false,
                };
                let plan = plan(&model, &session.groups, &call, &gpu.limits, &found).unwrap();
                assert_eq!((&plan.choices[0].class, &plan.choices[0].name), (class, fastest));
                for name in &plan.choices[0].candidates {
                    gpu.autotune().unwrap().remember(class.clone(), name.clone());
                    run();
                }
                gpu.autotune().unwrap().remember(class.clone(), "no such way".into());
                run();
            }
        }
    }
}
