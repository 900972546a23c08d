//! Rules of the source tree that the compiler doesn't check: no circles between files, what may
//! use what, and no code that passes over values silently.
//!
//! Each list of exceptions only shrinks: a test fails where one isn't needed any more.

mod circles;
mod lines;
mod modules;
mod silence;
mod tests;
mod tokens;
mod words;

use circles::{circles, describe};
use modules::{Crate, Files, read, read_all};
use std::collections::BTreeSet;
use std::path::Path;
use tokens::{Token, attribute, tokens};

/// What says what is computed, and knows neither where nor which file it came from.
const DESCRIPTIONS: [&str; 6] =
    ["crates/cell/", "src/operator/", "src/graph/", "src/layer/", "src/program/", "src/model/"];
/// What runs models or reads files.
const BACKENDS_AND_FORMATS: [&str; 12] = [
    "src/cpu/",
    "src/gpu/",
    "src/reference/",
    "src/import/",
    "src/portable/",
    "src/device",
    "src/session",
    "src/pending",
    "src/recovery",
    "src/profile/",
    "src/host/",
    "src/runner",
];
/// Crates that only such files need.
const THEIR_CRATES: [&str; 12] = [
    "wgpu",
    "naga",
    "pollster",
    "futures_intrusive",
    "pulp",
    "rayon",
    "birnn_simd",
    "memmap2",
    "hdf5_reader",
    "zip",
    "serde_json",
    "safetensors",
];

/// The reference itself, and what runs it for those who ask for it.
const RUNS_THE_REFERENCE: [&str; 2] = ["src/reference/", "src/device"];
/// Other code that still uses the reference. The CPU path takes the operators that it has no code
/// for from there.
const KNOWN_USES_OF_THE_REFERENCE: [&str; 1] = ["src/cpu/"];

/// Where values that aren't as a fast path wants them have to be copied, or to be an error.
const FAST_PATHS: [&str; 5] = ["src/cpu/", "src/gpu/", "src/graph/", "src/operator/", "crates/"];
/// Questions of fast paths whose "no" passes as it should, and why.
const REVIEWED: [(&str, &str, &str); 7] = [
    (
        "src/gpu/pipelines.rs",
        "if let Ok(mut view) = buffer.get_mapped_range_mut",
        "there is no buffer to write to, which the error scope around it says",
    ),
    (
        "src/cpu/operators.rs",
        "let Some(kernel) = constants.get",
        "a step without a packed kernel is the reference's, which says what is missing",
    ),
    (
        "src/cpu/workspace.rs",
        "if let Some(array) = array.filter(|array|array.as_slice",
        "an array in C order is read where it is, any other one is copied here",
    ),
    (
        "src/cpu/workspace.rs",
        "inputs.given_state(state).and_then(|array|array.as_slice",
        "what isn't in C order was copied into the workspace, which is read instead",
    ),
    (
        "src/cpu/workspace.rs",
        "known.array(inputs,input).and_then(|array|array.as_slice",
        "what isn't in C order was copied into the workspace, which is read instead",
    ),
    (
        "src/cpu/workspace.rs",
        "let array = carried.get(state).and_then(|array|array.as_slice",
        "a state that isn't there is an error",
    ),
    (
        "src/cpu/workspace.rs",
        "let constant = common.constants.get(id).and_then(|constant|constant.as_slice",
        "a constant that isn't in C order is an error",
    ),
];

/// Folders of Rust of our own, whose lines have a width.
const RUST: [&str; 10] = [
    "src",
    "crates",
    "tests",
    "tools",
    "benches",
    "examples",
    "fuzz/fuzz_targets",
    "python/src",
    "web/src",
    "web/bindgen",
];
/// Prose beside the files of `docs/`; what is in `docs/generated` is written by tests.
const PROSE: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "shaders/README.md"];
/// Folders of WGSL.
const KERNELS: [&str; 2] = ["shaders", "benches"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of the repository that run models: the files and the root of each.
fn crates() -> Vec<(Files, String)> {
    let own = read(root(), "src");
    let mut crates = vec![(own.clone(), "src/lib.rs".to_string())];
    crates.push((own, "src/bin/birnn/main.rs".to_string()));
    for member in std::fs::read_dir(root().join("crates")).into_iter().flatten() {
        let folder = format!("crates/{}/src", member.unwrap().file_name().to_str().unwrap());
        crates.push((read(root(), &folder), format!("{folder}/lib.rs")));
    }
    crates
}

/// The files of all of them.
fn files_of_crates() -> Files {
    crates().into_iter().flat_map(|(files, _)| files).collect()
}

fn library() -> Crate {
    Crate::new(&read(root(), "src"), "src/lib.rs")
}

fn begins_with(file: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| file.starts_with(beginning))
}

/// Fails with those of a list that are the beginning of no file: they hold nothing.
fn assert_there(beginnings: &[&str]) {
    let files = files_of_crates();
    let is_gone = |beginning: &&&str| !files.keys().any(|file| file.starts_with(**beginning));
    let gone: Vec<_> = beginnings.iter().filter(is_gone).collect();
    assert!(gone.is_empty(), "there are no such files: {gone:?}");
}

/// Fails with what was found beside the known exceptions, and with those that weren't found.
fn compare(found: BTreeSet<String>, known: impl IntoIterator<Item = impl Into<String>>) {
    let known: BTreeSet<String> = known.into_iter().map(Into::into).collect();
    let more = found.difference(&known).map(|found| format!("against the rule: {found}"));
    let gone = known.difference(&found).map(|gone| format!("take it from the list: {gone}"));
    let problems: Vec<String> = more.chain(gone).collect();
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn files_form_no_circles() {
    let mut found = Vec::new();
    for (files, root) in crates() {
        let uses = Crate::new(&files, &root).uses();
        found.extend(circles(&uses).iter().map(|circle| describe(&uses, circle)));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n\n"));
}

#[test]
fn descriptions_use_no_backend_and_no_file_format() {
    assert_there(&DESCRIPTIONS);
    assert_there(&BACKENDS_AND_FORMATS);
    let mut found = BTreeSet::new();
    for (file, uses) in library().uses() {
        if begins_with(&file, &DESCRIPTIONS) {
            let wrong = BACKENDS_AND_FORMATS
                .iter()
                .filter(|beginning| uses.keys().any(|used| used.starts_with(*beginning)));
            found.extend(wrong.map(|beginning| format!("{file} uses {beginning}")));
        }
    }
    for (files, root) in crates() {
        for (file, path) in Crate::new(&files, &root).paths() {
            if begins_with(file, &DESCRIPTIONS) && THEIR_CRATES.contains(&&path[0][..]) {
                found.insert(format!("{file} uses the crate {}", path[0]));
            }
        }
    }
    compare(found, [""; 0]);
}

#[test]
fn descriptions_are_the_same_whatever_the_features() {
    let files = files_of_crates();
    let names_a_feature = |source: &str| {
        let tokens = tokens(source);
        let attributes = (0..tokens.len()).filter_map(|at| Some((at, attribute(&tokens, at)?)));
        let mut words = attributes.flat_map(|(at, end)| tokens[at..end].iter().map(Token::word));
        words.any(|word| word == "feature")
    };
    let described = files.iter().filter(|(file, _)| begins_with(file, &DESCRIPTIONS));
    let found = described.filter(|(_, source)| names_a_feature(source));
    compare(found.map(|(file, _)| file.clone()).collect(), [""; 0]);
}

/// What lies deeper than the names at the root, and methods and fields, the compiler checks:
/// `tests/toy_importer` compiles the importers outside of the crate.
#[test]
fn importers_use_public_names() {
    let library = library();
    let exports = library.exports();
    let private = library.paths().filter(|(file, path)| {
        file.starts_with("src/import/")
            && path[0] == "crate"
            && path.get(1).is_some_and(|name| name != "import" && !exports.contains(&name[..]))
    });
    compare(
        private.map(|(file, path)| format!("{file} uses {}", path.join("::"))).collect(),
        [""; 0],
    );
}

#[test]
fn nothing_but_tests_uses_the_reference() {
    let uses = library().uses();
    let users = uses.iter().filter(|(file, uses)| {
        !begins_with(file, &RUNS_THE_REFERENCE)
            && uses.keys().any(|used| used.starts_with("src/reference/"))
    });
    let known = |file: &String| {
        let known = KNOWN_USES_OF_THE_REFERENCE.iter().find(|known| file.starts_with(*known));
        known.map_or(file.clone(), |known| known.to_string())
    };
    compare(users.map(|(file, _)| known(file)).collect(), KNOWN_USES_OF_THE_REFERENCE);
}

#[test]
fn fast_paths_pass_over_nothing_silently() {
    assert_there(&FAST_PATHS);
    let files = files_of_crates();
    let is_test = |file: &str| file.ends_with("/tests.rs") || file.contains("/tests/");
    let mut found = BTreeSet::new();
    for (file, source) in files {
        if begins_with(&file, &FAST_PATHS) && !is_test(&file) {
            let skips = silence::silent_skips(&source);
            found.extend(skips.into_iter().map(|skip| format!("{file}: {skip}")));
        }
    }
    compare(found, REVIEWED.map(|(file, skip, _)| format!("{file}: {skip}")));
}

/// rustfmt sees to most of it, but not to comments, texts, macros and prose.
#[test]
fn lines_have_at_most_100_columns() {
    let mut files: Vec<(String, Vec<usize>)> = Vec::new();
    let rust = RUST.into_iter().map(|folder| read(root(), folder));
    let kernels = KERNELS.into_iter().map(|folder| read_all(root(), folder, "wgsl"));
    for (file, source) in rust.chain(kernels).flatten() {
        if !file.contains("/target/") {
            files.push((file, lines::of_rust(&source)));
        }
    }
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
    let prose = docs.filter(|file| file.ends_with(".md")).chain(PROSE.map(str::to_string));
    for file in prose {
        let source = std::fs::read_to_string(root().join(&file)).unwrap();
        files.push((file, lines::of_prose(&source)));
    }
    let found = files.iter().flat_map(|(file, lines)| {
        lines.iter().map(move |line| format!("{file}:{line} is too long"))
    });
    compare(found.collect(), [] as [&str; 0]);
}

/// The library's texts tell what to use in Rust; who runs the program or the Python package reads
/// what it is called there.
#[test]
fn the_program_and_the_package_have_words_for_what_texts_tell() {
    let is_text = |file: &str| {
        !file.starts_with("src/bin/") && !file.ends_with("/tests.rs") && !file.contains("/tests/")
    };
    let files = read(root(), "src");
    let mut told = BTreeSet::new();
    for (file, source) in files.iter().filter(|(file, _)| is_text(file)) {
        told.extend(words::told(source).into_iter().map(|name| (name, file)));
    }
    assert!(told.iter().any(|(name, _)| name == "TorchOptions::prefix"));
    let mut missing = BTreeSet::new();
    for front_end in ["src/bin/birnn/words.rs", "python/src/words.rs"] {
        let source = std::fs::read_to_string(root().join(front_end)).unwrap();
        let known = words::texts(&source);
        let is_known = |name: &str| {
            known
                .iter()
                .any(|word| !word.is_empty() && name.starts_with(word.trim_end_matches("()")))
        };
        let unknown = told.iter().filter(|(name, _)| !is_known(name));
        missing.extend(unknown.map(|(name, file)| format!("{front_end}: {name} of {file}")));
    }
    compare(missing, [""; 0]);
}
