//! What the crate is built from, and what it says of itself: licences, the oldest Rust, no unsafe
//! code. cargo-deny checks the same and the advisories, where it is installed (`.ci/run`); this
//! needs nothing but Cargo.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

const RUST: (u64, u64) = (1, 89);

/// Licences that ask for no more than to be named; the same list as in `deny.toml`.
const LICENCES: [&str; 9] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "CC0-1.0",
    "Unicode-3.0",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every package that a build with all features needs, for any system.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let arguments = ["metadata", "--format-version=1", "--locked", "--offline", "--all-features"];
    let run = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    let run = match run.status.success() {
        true => run,
        // Packages of other systems were never downloaded: those of this one, then.
        false => {
            let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
            let host = host();
            let filtered = arguments.iter().copied().chain(["--filter-platform", &host]);
            Command::new(cargo).args(filtered).current_dir(root()).output().unwrap()
        }
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let metadata: Value = serde_json::from_slice(&run.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn host() -> String {
    let run = Command::new("rustc").arg("-vV").output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_string()
}

/// Whether an SPDX expression of `OR`, `AND` and `/` can be met with the allowed licences.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "");
    let one =
        |choice: &str| choice.split(" AND ").all(|licence| LICENCES.contains(&licence.trim()));
    plain.replace('/', " OR ").split(" OR ").any(one)
}

#[test]
fn licences_are_those_that_deny_toml_allows() {
    let deny = include_str!("../deny.toml");
    let list = deny.split("allow = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap();
    let allowed: Vec<&str> = list
        .split(',')
        .map(|entry| entry.trim().trim_matches('"'))
        .filter(|e| !e.is_empty())
        .collect();
    assert_eq!(allowed, LICENCES);
    let packages = packages();
    assert!(packages.len() > 50, "{} packages", packages.len());
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(is_allowed))
        .map(|package| {
            format!("{} {}: {}", package["name"], package["version"], package["license"])
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn rust_version(text: &str) -> (u64, u64) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What users build (dependencies, not what only the tests need) states no newer Rust than the
/// crate does. That the crate itself uses nothing newer, clippy's `incompatible_msrv` says.
#[test]
fn the_oldest_rust_is_true() {
    let stated = env!("CARGO_PKG_RUST_VERSION");
    assert_eq!(rust_version(stated), RUST);
    let readme = include_str!("../README.md");
    assert!(readme.contains(&format!("Rust {}.{} or newer", RUST.0, RUST.1)));
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let tree = [
        "tree",
        "--locked",
        "--offline",
        "--all-features",
        "--edges=normal,build",
        "--prefix=none",
        "--format={p}",
    ];
    let run = Command::new(cargo).args(tree).current_dir(root()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let tree = String::from_utf8(run.stdout).unwrap();
    let packages = packages();
    let mut newer = Vec::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        let (name, version) =
            (words.next().unwrap(), words.next().unwrap_or_default().trim_start_matches('v'));
        let package = packages
            .iter()
            .find(|package| package["name"] == name && package["version"] == version);
        if let Some(rust) = package.and_then(|package| package["rust_version"].as_str())
            && rust_version(rust) > RUST
        {
            newer.push(format!("{name} {version} needs Rust {rust}"));
        }
    }
    newer.dedup();
    assert!(tree.lines().count() > 20, "{tree}");
    assert!(newer.is_empty(), "{}", newer.join("\n"));
}

/// The compiler refuses it, and no file makes an exception. (`forbid` can't be had: ndarray's `s!`
/// allows it inside.)
#[test]
fn there_is_no_unsafe_code() {
    let mut folders = vec![root().join("src"), root().join("crates")];
    let (mut files, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                if lines.any(|line| line.contains("unsafe") && !line.contains("(unsafe_code)]")) {
                    wrong.push(path);
                }
            }
        }
    }
    assert!(files > 50 && wrong.is_empty(), "{files} files; {wrong:?}");
    assert!(include_str!("../src/lib.rs").contains("#![deny(unsafe_code)]"));
    assert!(include_str!("../src/bin/birnn/main.rs").contains("#![deny(unsafe_code)]"));
}
