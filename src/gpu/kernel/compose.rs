//! A kernel's WGSL, composed from its entry file in `shaders/` and the modules that this imports,
//! by a small preprocessor: `shaders/README.md` says which lines it knows, and why there is one.
//!
//! What is wrong (an unknown module, an `#if` of an unknown setting or without end) stays in the
//! text, so that the WGSL compiler refuses it; [`located`] brings line numbers back to the files.

use super::{cells, table};
use std::borrow::Cow;

macro_rules! modules {
    ($($name:literal),+ $(,)?) => {
        /// What kernels import of `shaders/`: names without `.wgsl`, and texts.
        const MODULES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../shaders/", $name, ".wgsl")))),+];
    };
}

modules![
    "shared/activations",
    "shared/cell",
    "shared/circle",
    "shared/differs",
    "shared/flat",
    "shared/gates_1",
    "shared/gates_2",
    "shared/gates_3",
    "shared/gates_4",
    "shared/invocation",
    "shared/logarithm",
    "shared/mask",
    "shared/merge_unit",
    "shared/nan",
    "shared/one_product",
    "shared/outputs",
    "shared/padded",
    "shared/persistent",
    "shared/power",
    "shared/quads",
    "shared/recurrence",
    "shared/rows",
    "shared/sequence",
    "shared/states",
    "shared/step",
    "shared/sums",
    "shared/two_products",
    "shared/walk",
    "shared/weights",
    "shared/windows",
    "software/input_by_subgroup",
    "software/panels",
    "software/rows_by_subgroup",
    "software/weights_held",
];

/// What a kernel is composed for: names and numbers, 0 or 1 for those that `#if` asks about.
pub(in crate::gpu) type Settings<'a> = &'a [(&'static str, u32)];

/// A kernel as the driver gets it.
#[derive(Clone, Debug)]
pub(in crate::gpu) struct Composed {
    pub wgsl: String,
    /// Where each of its lines stands.
    pub lines: Vec<SourceLine>,
}

/// A line of a file of `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// The path of the file under `shaders/`, without `.wgsl`.
    pub file: &'static str,
    /// The number of the line, from 1 on.
    pub number: usize,
}

/// The kernel whose entry file has this name.
pub(in crate::gpu) fn compose(entry: &str, settings: Settings) -> Composed {
    let mut composing = Composing {
        settings,
        imported: Vec::new(),
        composed: Composed { wgsl: String::new(), lines: Vec::new() },
    };
    if !composing.file(entry) {
        composing.composed.wgsl = format!("#import {entry}\n");
    }
    composing.composed
}

struct Composing<'a> {
    settings: Settings<'a>,
    imported: Vec<&'static str>,
    composed: Composed,
}

impl Composing<'_> {
    /// Adds a file, unless it has been; `false`: there is no such file.
    fn file(&mut self, name: &str) -> bool {
        let mut files = MODULES.iter().chain(table::FILES).chain(cells::FILES);
        let Some(&(file, text)) = files.find(|(file, _)| *file == name) else {
            return false;
        };
        if !self.imported.contains(&file) {
            self.imported.push(file);
            self.text(file, text);
        }
        true
    }

    fn text(&mut self, file: &'static str, text: &str) {
        // Of each `#if` that is open, whether its lines are kept.
        let mut kept: Vec<bool> = Vec::new();
        let mut number = 0;
        for line in text.lines() {
            number += 1;
            let line = self.numbered(line);
            let known = match directive(&line) {
                ("#if", name) => self.setting(name).map(|value| kept.push(value != 0)).is_some(),
                ("#else", "") => kept.last_mut().map(|keep| *keep = !*keep).is_some(),
                ("#endif", "") => kept.pop().is_some(),
                _ if kept.contains(&false) => true,
                ("#import", name) => self.file(name),
                _ => false,
            };
            if !known {
                self.line(&line, SourceLine { file, number });
            }
        }
        if !kept.is_empty() {
            self.line("#endif is missing", SourceLine { file, number });
        }
    }

    fn line(&mut self, line: &str, place: SourceLine) {
        self.composed.wgsl += line;
        self.composed.wgsl += "\n";
        self.composed.lines.push(place);
    }

    fn setting(&self, name: &str) -> Option<u32> {
        self.settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| *value)
    }

    /// The line with numbers in the place of `#{NAME}`, which few lines have.
    fn numbered<'l>(&self, line: &'l str) -> Cow<'l, str> {
        if !line.contains("#{") {
            return line.into();
        }
        let replace = |line: String, (name, value): &(&str, u32)| {
            line.replace(&format!("#{{{name}}}"), &value.to_string())
        };
        self.settings.iter().fold(line.to_string(), replace).into()
    }
}

/// The first word of a line, and the rest.
fn directive(line: &str) -> (&str, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    (word, rest.trim())
}

/// A compiler's message with files and their lines in the place of `wgsl:LINE`, as naga and wgpu
/// have it. `lines`: where those of the WGSL stand.
pub(in crate::gpu) fn located(lines: &[SourceLine], message: &str) -> String {
    let mut parts = message.split("wgsl:");
    let mut located = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (number, rest) = part.split_at(digits);
        match number.parse::<usize>().ok().and_then(|n| lines.get(n.wrapping_sub(1))) {
            Some(line) => located += &format!("shaders/{}.wgsl:{}{rest}", line.file, line.number),
            None => located += &format!("wgsl:{part}"),
        }
    }
    located
}

impl Composed {
    /// The first sentence of the entry file's head.
    #[cfg(feature = "kernel_list")]
    pub fn about(&self) -> String {
        let head = self.wgsl.lines().map_while(|line| line.strip_prefix("//"));
        let head = head.map(str::trim).collect::<Vec<_>>().join(" ");
        head.split_once(". ").map_or(head.trim_end_matches('.'), |(first, _)| first).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The composed lines of a text that stands in no file.
    fn lines(text: &str, settings: Settings) -> Vec<String> {
        let mut composing = Composing {
            settings,
            imported: Vec::new(),
            composed: Composed { wgsl: String::new(), lines: Vec::new() },
        };
        composing.text("test", text);
        composing.composed.wgsl.lines().map(String::from).collect()
    }

    #[test]
    fn settings_choose_lines() {
        let text = "a\n#if X\nb\n#if Y\nc\n#else\nd\n#endif\n#else\ne\n#endif\nf";
        let chosen = |x, y| lines(text, &[("X", x), ("Y", y)]).concat();
        assert_eq!(chosen(1, 1), "abcf");
        assert_eq!(chosen(1, 0), "abdf");
        assert_eq!(chosen(0, 1), "aef");
        assert_eq!(chosen(0, 0), "aef");
    }

    #[test]
    fn numbers_are_put_in_their_places() {
        assert_eq!(lines("#{N}u + #{N}u, #{M}", &[("N", 12)]), ["12u + 12u, #{M}"]);
    }

    #[test]
    fn modules_are_imported_once_and_by_number() {
        let text = "#import shared/gates_#{N}\n#import shared/sums\nend";
        let found = lines(text, &[("N", 1)]);
        let sums = found.iter().filter(|line| line.starts_with("fn one_row_added(")).count();
        assert_eq!((sums, found.last().map(String::as_str)), (1, Some("end")));
    }

    #[test]
    fn what_is_wrong_stays_for_the_compiler() {
        let stays = |text: &str| lines(text, &[("X", 1)]).join("\n");
        assert_eq!(stays("#import shared/nothing"), "#import shared/nothing");
        assert_eq!(stays("#if UNKNOWN\na\n#endif"), "#if UNKNOWN\na\n#endif");
        assert_eq!(stays("#else"), "#else");
        assert_eq!(stays("#endif"), "#endif");
        assert_eq!(stays("#if X\na"), "a\n#endif is missing");
        assert_eq!(compose("nothing", &[]).wgsl, "#import nothing\n");
    }

    #[test]
    fn a_compiler_names_the_file_and_the_line() {
        let mut composed = compose("masking", &[("SUBGROUPS", 0)]);
        composed.wgsl = composed.wgsl.replace("fn differs(a: f32", "fn differs(a: nothing");
        let error = naga::front::wgsl::parse_str(&composed.wgsl).expect_err("no such type");
        let said = located(&composed.lines, &error.emit_to_string(&composed.wgsl));
        let text = include_str!("../../../shaders/shared/differs.wgsl");
        let line = 1 + text.lines().position(|line| line.contains("fn differs(")).unwrap();
        assert!(said.contains(&format!("shaders/shared/differs.wgsl:{line}:15")), "{said}");
        assert_eq!(located(&composed.lines, "wgsl:999999:1, wgsl:x"), "wgsl:999999:1, wgsl:x");
    }

    #[test]
    fn every_file_is_listed_and_used() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let mut found = Vec::new();
        for part in ["", "cells/", "shared/", "software/"] {
            for entry in std::fs::read_dir(folder.join(part)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|ending| ending == "wgsl") {
                    found.push(format!("{part}{}", path.file_stem().unwrap().to_str().unwrap()));
                }
            }
        }
        found.sort();
        let all = || MODULES.iter().chain(table::FILES).chain(cells::FILES);
        let mut listed: Vec<_> = all().map(|(name, _)| name.to_string()).collect();
        listed.sort();
        assert_eq!(listed, found);
        let imports = |text: &str, name: &str| text.contains(&format!("#import {name}\n"));
        for (name, _) in MODULES {
            let gates = name.starts_with("shared/gates_");
            assert!(gates || all().any(|(_, text)| imports(text, name)), "{name}");
        }
    }
}
