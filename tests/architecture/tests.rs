//! The checks themselves, on small trees and pieces of code.

use crate::circles::{circles, describe};
use crate::lines;
use crate::modules::{Crate, Files};
use crate::silence::silent_skips;
use crate::tokens::{Token, tokens, without_tests};
use crate::words;
use std::collections::BTreeSet;

fn tree(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(file, source)| (file.to_string(), source.to_string())).collect()
}

/// The circles of a crate whose root is `lib.rs`, each as its files.
fn circles_of(files: &[(&str, &str)]) -> Vec<String> {
    let uses = Crate::new(&tree(files), "lib.rs").uses();
    let files = |circle: &BTreeSet<&str>| circle.iter().copied().collect::<Vec<_>>().join(" ");
    circles(&uses).iter().map(files).collect()
}

#[test]
fn circles_through_use_are_found() {
    let lib = ("lib.rs", "mod a; mod b; mod c;");
    let a = ("a.rs", "use crate::b::B; pub struct A(B);");
    let c = ("c.rs", "use crate::a::A;");
    let apart = circles_of(&[lib, a, ("b.rs", "pub struct B;"), c]);
    assert!(apart.is_empty(), "{apart:?}");
    for b in [
        "use super::a::A; pub struct B(A);",
        "use super::{a::{self, A}, c::{}}; pub struct B;",
        "pub struct B(crate::a::A);",
        "use super::a; pub struct B(a::A);",
        "pub fn f() { let x = super::a::A::new(); } pub struct B;",
        "pub mod inner { pub use super::super::a::A; pub fn f() -> A {} } pub struct B;",
        "use crate::a::A as Other; pub struct B(Other);",
        "use crate::a::*; pub struct B;",
        "macro_rules! m { () => { $crate::a::A } } pub struct B;",
        "use crate::a::made_by_a_macro; pub struct B;",
    ] {
        assert_eq!(circles_of(&[lib, a, ("b.rs", b), c]), ["a.rs b.rs"], "{b}");
    }
}

#[test]
fn what_is_no_use_makes_no_circle() {
    let files =
        |b| [("lib.rs", "mod a; mod b;"), ("a.rs", "use crate::b::B; pub struct A;"), ("b.rs", b)];
    for b in [
        "pub struct B; // use crate::a::A;",
        "/* /* crate::a::A */ crate::a::A */ pub struct B;",
        "pub struct B; const TEXT: &str = \"crate::a::A\";",
        "pub struct B; const TEXT: &str = r#\"\" crate::a::A \"#; const C: char = '\"';",
        "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }",
        "pub struct B; #[cfg(test)] use crate::a::A; #[test] fn f<'a>() {}",
        "pub struct B { #[cfg(test)] a: crate::a::A, b: u8 }",
        "use super::a; pub struct B;", // nothing of it is used
        "pub struct B; mod a { pub struct A; } use a::A;", // a module of its own
        "pub use crate::a::A; pub struct B;", // a re-export
    ] {
        let found = circles_of(&files(b));
        assert!(found.is_empty(), "{b}: {found:?}");
    }
}

#[test]
fn a_re_export_counts_as_the_file_that_defines_the_name() {
    let parent = ("deep/mod.rs", "mod a; mod b; pub use a::A; pub(crate) use b::*;");
    let files = |a, b| {
        [("lib.rs", "mod deep; pub use deep::A;"), parent, ("deep/a.rs", a), ("deep/b.rs", b)]
    };
    let with_a = "pub struct A;";
    assert!(circles_of(&files(with_a, "use super::A; pub struct B;")).is_empty());
    for (a, b) in [
        ("use super::B; pub struct A(B);", "use super::A; pub struct B(A);"),
        ("use crate::deep::B; pub struct A(B);", "use crate::A; pub struct B(A);"),
        ("pub struct A(super::b::B);", "pub struct B(super::super::A);"),
    ] {
        assert_eq!(circles_of(&files(a, b)), ["deep/a.rs deep/b.rs"], "{a} {b}");
    }
}

#[test]
fn a_parent_with_code_of_its_own_can_be_in_a_circle() {
    let child = ("deep/child.rs", "use super::Shared; pub fn child() {}");
    let lib = ("lib.rs", "mod deep;");
    let declares = ("deep/mod.rs", "mod child; pub use child::child; pub struct Shared;");
    assert!(circles_of(&[lib, declares, child]).is_empty());
    let calls = ("deep/mod.rs", "mod child; pub struct Shared; pub fn f() { child::child() }");
    assert_eq!(circles_of(&[lib, calls, child]), ["deep/child.rs deep/mod.rs"]);
    let both =
        ("deep/mod.rs", "mod child; pub use child::child; pub struct Shared; fn f() { child() }");
    assert_eq!(circles_of(&[lib, both, child]), ["deep/child.rs deep/mod.rs"]);
}

#[test]
fn longer_circles_are_one_and_name_what_ties_them() {
    let files = tree(&[
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "use crate::b::B; pub struct A;"),
        ("b.rs", "use crate::c::{C, D}; pub struct B;"),
        ("c.rs", "use crate::a::A; pub struct C; pub struct D;"),
        ("d.rs", "use crate::a::A;"),
    ]);
    let uses = Crate::new(&files, "lib.rs").uses();
    let circles = circles(&uses);
    assert_eq!(circles.len(), 1);
    let message = describe(&uses, &circles[0]);
    assert!(
        message.starts_with("3 files") && message.contains("b.rs uses C, D of c.rs"),
        "{message}"
    );
}

#[test]
fn exports_are_what_the_root_makes_public() {
    let files = tree(&[
        ("lib.rs", "mod a; pub mod b; pub use a::{A, Other as Renamed}; use a::Private;"),
        ("a.rs", ""),
        ("b.rs", ""),
    ]);
    let exports = Crate::new(&files, "lib.rs");
    assert_eq!(exports.exports(), BTreeSet::from(["A", "Renamed", "b"]));
}

#[test]
fn literals_and_lifetimes_are_told_apart() {
    let words = |source: &str| {
        let words = tokens(source).into_iter().filter(|token| matches!(token, Token::Word(_)));
        words.map(|token| token.word().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        words(r#"f('a', '\'', '\u{1F600}', "x \" y", b"z", b'"', r"w") g"#),
        ["f", "b", "g"]
    );
    assert_eq!(words("fn f<'a>(x: &'a str) {}"), ["fn", "f", "x", "str"]);
}

#[test]
fn tests_are_left_out() {
    let left = |source: &str| without_tests(&tokens(source)).len();
    assert_eq!(left("#[cfg(test)] mod tests { fn f() {} } struct A;"), 3);
    assert_eq!(left("#[cfg(test)] #[path = \"x.rs\"] pub(crate) mod tests; struct A;"), 3);
    assert_eq!(left("#[cfg(test)] fn f<A, B>(a: [u8; 3]) -> A { } struct A;"), 3);
    assert_eq!(left("#[cfg(all(test, unix))] use a::{b, c}; struct A;"), 4);
    assert_eq!(left("#[cfg(not(test))] struct A;"), 13);
}

#[test]
fn silent_skips_are_found() {
    for code in [
        "if let Some(x) = a.as_slice() { f(x) }",
        "if let Some(x) = a.slice_mut(s![..]).as_slice_mut() { f(x) } g()",
        "if let Ok(x) = b.get_mapped_range_mut(..) { f(x) }",
        "let Some(x) = a.as_slice() else { return };",
        "let Some(x) = a.as_slice() else { continue };",
        "match a.as_slice() { Some(x) => f(x), None => {} }",
        "match (a.as_slice(), b.as_slice()) { (Some(x), Some(y)) => f(x, y), _ => () }",
        "match a.as_slice() { Some(x) => f(x), None => return, }",
        "f(a.as_slice().unwrap_or_default())",
        "f(a.as_slice().unwrap_or(&[]))",
        "a.as_slice().map(f);",
        "let x = a.as_slice();",
        "while let Some(x) = a.as_slice() { f(x) }",
        "if let Some(state) = states.get(index) { f(state) }",
        "if a.is_standard_layout() { f(a) }",
    ] {
        assert!(!silent_skips(code).is_empty(), "{code}");
    }
}

#[test]
fn answers_are_no_silent_skips() {
    for code in [
        "let x = a.as_slice().ok_or_else(|| Error::Graph(text))?;",
        "if let Some(x) = a.as_slice() { f(x) } else { g(a) }",
        "if let Some(known) = self.known.get(&key) { return known; } make()",
        "let view = b.get_mapped_range(); let view = view?;",
        "let Some(x) = a.as_slice() else { return Err(error) };",
        "match a.as_slice() { Some(x) => f(x), None => a.iter().for_each(g) }",
        "match (a.as_slice_mut(), n) { (Some(x), 4) => f(x), _ => { for v in a { g(v) } } }",
        "match a.is_standard_layout() { true => a, false => copy(a) }",
        "let x = states.get(index).copied().unwrap_or(0);",
        "let x = inputs.iter().map(Vec::as_slice).collect();",
        "#[cfg(test)] fn f() { if let Some(x) = a.as_slice() { f(x) } }",
    ] {
        let found = silent_skips(code);
        assert!(found.is_empty(), "{code}: {found:?}");
    }
}

#[test]
fn names_that_texts_tell_are_found() {
    let source = r#"
        // A comment names Model::load, too.
        fn f() -> String {
            let own = Device::cpu();
            format!("call Model::initialize, or torch::StateDict ({KerasLimits}, Option::is_none)")
        }
        const LIMIT: &str = "(KerasLimits::{limit})";
        const CLASS: &str = "a Class::Other isn't";
        #[cfg(test)]
        const ONLY: &str = "Session::run";
    "#;
    assert_eq!(words::told(source), ["Model::initialize", "torch::StateDict", "KerasLimits::"]);
}

#[test]
fn long_lines_are_found_but_for_what_cannot_be_broken() {
    let long = "word ".repeat(20) + "end";
    let fits = "word ".repeat(19) + "words";
    assert_eq!((long.len(), fits.chars().count()), (103, 100));
    let link = format!("https://{}", "x".repeat(120));
    let wide = "ü".repeat(100);
    let prose = format!(
        "{fits}\n{long}\n* {link}\nsee {link}\n| {long} |\n```text\n{long}\n```\n{long}\n{wide}\n"
    );
    assert_eq!(lines::of_prose(&prose), [2, 4, 9]);
    let rust =
        format!("{fits}\n    /// {long}\n//! | {long} |\n// {link}\n  f(\"{long}\")\n{wide}");
    assert_eq!(lines::of_rust(&rust), [2, 5]);
}
