//! Tables of what is supported, which tests write and compare: by layer and feature, on how many of
//! how many cases each backend gives what the framework computed.
#![allow(dead_code)] // what is used depends on the features

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// How many cases pass, of how many.
#[derive(Clone, Copy, Default)]
pub struct Count {
    passed: usize,
    of: usize,
}

impl Count {
    pub fn add(&mut self, passed: bool) {
        self.passed += usize::from(passed);
        self.of += 1;
    }

    pub fn shown(self) -> String {
        if self.of == 0 { "-".to_string() } else { format!("{} of {}", self.passed, self.of) }
    }
}

/// By layer and feature: CPU in f32, in f64, and the GPU.
pub type Table = BTreeMap<(String, String), [Count; 3]>;

/// The last cell of each line of the committed file, by what stands before it.
fn committed_gpu(text: &str) -> BTreeMap<(String, String), String> {
    let cells = |line: &str| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect::<Vec<_>>()
    };
    let lines = text.lines().map(cells).filter(|cells| cells.len() == 5);
    lines.map(|cells| ((cells[0].clone(), cells[1].clone()), cells[4].clone())).collect()
}

/// The lines of a table. Without a GPU its column is that of the committed file.
pub fn rows(table: &Table, gpu_tested: bool, committed: &str) -> String {
    let (mut text, known) = (String::new(), committed_gpu(committed));
    for ((layer, feature), [f32_count, f64_count, gpu_count]) in table {
        let feature = feature.replace('|', "/");
        let gpu = match gpu_tested {
            true => gpu_count.shown(),
            false => known
                .get(&(layer.clone(), feature.clone()))
                .cloned()
                .unwrap_or("not tested".to_string()),
        };
        writeln!(
            text,
            "| {layer} | {feature} | {} | {} | {gpu} |",
            f32_count.shown(),
            f64_count.shown()
        )
        .unwrap();
    }
    text
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The text of a document of `docs/generated`; empty where there is none.
pub fn committed(document: &str) -> String {
    std::fs::read_to_string(path("docs/generated").join(document)).unwrap_or_default()
}

/// That a document says what was found, or writes it there; and into `target` in any case.
pub fn compare_document(document: &str, test: &str, found: &str) {
    std::fs::write(path("target").join(document), found).unwrap();
    if std::env::var_os("BIRNN_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(path("docs/generated")).unwrap();
        std::fs::write(path("docs/generated").join(document), found).unwrap();
        return;
    }
    let committed = committed(document);
    let differing =
        found.lines().zip(committed.lines()).find(|(found, committed)| found != committed);
    let hint = format!(
        "BIRNN_WRITE_DOCS=1 cargo test --all-features --test formats {test} writes \
         docs/generated/{document}"
    );
    assert!(
        found == committed,
        "docs/generated/{document} differs from what was tested: {differing:?}; {hint}"
    );
}
