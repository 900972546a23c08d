//! Lines that are longer than the style allows, in Rust and in prose.

/// The most characters of a line.
pub const WIDTH: usize = 100;

/// The numbers of the lines of Rust, from 1 on, that are too long. Rows of tables are no lines, and
/// rustfmt breaks neither texts nor comments.
pub fn of_rust(source: &str) -> Vec<usize> {
    let comment = |line: &str| line.trim_start().starts_with("//");
    let text = |line: &str| match comment(line) {
        true => line.trim_start_matches([' ', '/', '!']).to_string(),
        false => line.trim_start().to_string(),
    };
    let is_row = |line: &str| comment(line) && text(line).starts_with('|');
    too_long(source, |line| (!is_row(line)).then(|| text(line)))
}

/// The same of prose in Markdown, without tables and blocks of code.
pub fn of_prose(source: &str) -> Vec<usize> {
    let mut is_code = false;
    too_long(source, |line| {
        let text = line.trim_start();
        let is_fence = text.starts_with("```");
        is_code ^= is_fence;
        let text = text.trim_start_matches("* ").trim_start_matches("- ");
        (!is_code && !is_fence && !text.starts_with('|')).then(|| text.to_string())
    })
}

/// Lines that are too long though they could be broken: what `text` gives of them has a space
/// before the end of the line. `None`: any length is right.
fn too_long(source: &str, mut text: impl FnMut(&str) -> Option<String>) -> Vec<usize> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let Some(text) = text(line) else { continue };
        let before = line.chars().count() - text.chars().count();
        // Of a link, say, that is too long by itself only what stands around it can be broken off.
        let can_break = text.chars().take(WIDTH.saturating_sub(before) + 1).any(|c| c == ' ');
        if line.chars().count() > WIDTH && can_break {
            found.push(index + 1);
        }
    }
    found
}
