//! Every kernel in every setting by Tint, the WGSL compiler of Chrome, which is stricter than naga:
//! by the program `tint` where it is on the PATH, and by Dawn on the Vulkan driver where
//! `tools/tint/run.sh` has installed it.

use birnn::{KernelEntry, kernel_settings};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Not eprintln!: the test harness would swallow it.
fn not_run(reason: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_string();
    let _ = writeln!(std::io::stderr(), "NOT RUN: {name}: {reason}");
}

/// Every kernel and setting, in WGSL as it is written: naga knows subgroups without the directive,
/// and refuses it.
fn kernels() -> Vec<KernelEntry> {
    let mut list = kernel_settings();
    for entry in list.iter_mut().filter(|entry| entry.wgsl.contains("subgroupShuffle")) {
        entry.wgsl = format!("enable subgroups; {}", entry.wgsl);
    }
    list
}

/// The source with its override constants in it: not every build of the program can set them.
fn resolved(entry: &KernelEntry) -> String {
    let mut given = entry.constants.iter().copied().collect::<HashMap<_, _>>();
    let mut line_of = |line: &str| match line
        .strip_prefix("override ")
        .and_then(|rest| rest.split_once(':'))
    {
        None => line.to_string(),
        Some((name, rest)) => {
            let (type_name, default) =
                rest.trim_end_matches(';').split_once('=').expect("every override has a default");
            let value =
                given.remove(name).map_or(default.trim().to_string(), |value| value.to_string());
            format!("const {name}: {} = {}({value});", type_name.trim(), type_name.trim())
        }
    };
    let wgsl = entry.wgsl.lines().map(|line| line_of(line) + "\n").collect();
    assert!(given.is_empty(), "{}: no override {given:?}", entry.kernel);
    wgsl
}

/// What Tint says of a kernel, by way of its intermediate representation and back. Of the folder it
/// takes files of this number.
fn complaint(entry: &KernelEntry, folder: &Path, number: usize) -> Option<String> {
    let file = folder.join(format!("kernel_{number}.wgsl"));
    let out = folder.join(format!("out_{number}.wgsl"));
    std::fs::write(&file, resolved(entry)).expect("it is written");
    let output = Command::new("tint")
        .args(["--format=wgsl", "--ir-roundtrip", "--entry-point", entry.kernel, "--output-name"])
        .args([&out, &file])
        .output()
        .expect("tint starts");
    let said = String::from_utf8_lossy(&output.stderr);
    (!output.status.success() || !said.is_empty()).then(|| {
        let said = entry.located(&said);
        format!("{} ({}) {:?}\n{said}", entry.kernel, entry.setting, entry.constants)
    })
}

/// A folder of its own, if the program is there.
fn folder(test: &str) -> Option<PathBuf> {
    if let Err(error) = Command::new("tint").arg("--help").output() {
        not_run(&format!("the program tint: {error}"));
        return None;
    }
    let folder = std::env::temp_dir().join(format!("birnn-tint-{}-{test}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    Some(folder)
}

#[test]
fn tint_compiles_every_kernel_and_setting() {
    let Some(folder) = folder("all") else { return };
    let list = kernels();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let parts = list.chunks(list.len().div_ceil(cores)).enumerate().map(|(number, part)| {
            let folder = &folder;
            scope.spawn(move || {
                let complaints = part.iter().filter_map(|entry| complaint(entry, folder, number));
                complaints.collect::<Vec<_>>()
            })
        });
        let parts: Vec<_> = parts.collect();
        parts.into_iter().flat_map(|part| part.join().expect("it ends")).collect()
    });
    std::fs::remove_dir_all(&folder).expect("it is removed");
    assert!(list.len() > 500, "{} settings", list.len());
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), list.len(), complaints[0]);
}

/// A test of the one above: what Tint refuses is seen, in the source and in a constant.
#[test]
fn tint_refuses_what_is_wrong() {
    let Some(folder) = folder("wrong") else { return };
    let good =
        kernels().into_iter().find(|entry| entry.kernel == "lstm_step").expect("there is one");
    let wgsl = good.wgsl.replacen("fn lstm_step(", "fn lstm_step(missing: nothing, ", 1);
    assert_ne!(wgsl, good.wgsl);
    let source = complaint(&KernelEntry { wgsl, ..good.clone() }, &folder, 0);
    let constants = good
        .constants
        .iter()
        .map(|&(name, value)| (name, if name == "WORKGROUP" { 0.0 } else { value }));
    let constant = complaint(&KernelEntry { constants: constants.collect(), ..good }, &folder, 0);
    std::fs::remove_dir_all(&folder).expect("it is removed");
    assert!(source.as_ref().is_some_and(|said| said.contains("nothing")), "{source:?}");
    assert!(constant.is_some(), "a workgroup of no invocations");
}

#[test]
fn dawn_builds_every_kernel_and_setting() {
    let Some(folder) = std::env::var_os("BIRNN_DAWN") else {
        return not_run("tools/tint/run.sh has it run (BIRNN_DAWN isn't set)");
    };
    let list = kernels();
    let kernels: Vec<_> = list
        .iter()
        .map(|entry| {
            let constants = entry.constants.iter();
            let constants: serde_json::Map<_, _> =
                constants.map(|(name, value)| (name.to_string(), (*value).into())).collect();
            serde_json::json!({
                "name": entry.kernel,
                "setting": entry.setting,
                "wgsl": entry.wgsl,
                "constants": constants,
            })
        })
        .collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/tint/check.mjs");
    let mut node = Command::new("node")
        .arg(script)
        .arg(folder)
        .stdin(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut input = node.stdin.take().expect("it is piped");
    serde_json::to_writer(&mut input, &kernels).expect("node reads");
    drop(input);
    assert!(node.wait().expect("it ends").success(), "see what node printed");
}
