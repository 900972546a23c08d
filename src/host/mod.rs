//! What an operating system and a web page do differently: waiting, threads and clocks. `native`
//! and `web` have the same functions, and `threads` has the pools that the CPU path computes on;
//! nothing else in the crate blocks a thread, starts one or reads a clock.

#[cfg(not(target_arch = "wasm32"))]
mod native;
mod threads;
#[cfg(target_arch = "wasm32")]
mod web;

pub(crate) use birnn_simd::ONE_THREAD;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
pub(crate) use threads::Threads;
#[cfg(test)]
pub(crate) use threads::WAITS;
#[cfg(target_arch = "wasm32")]
pub(crate) use web::*;

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What blocks a thread, starts one or reads a clock.
    const NATIVE: [&str; 7] = [
        "pollster::",
        "std::thread",
        "std::time::Instant",
        "time::SystemTime",
        "std::sync::mpsc",
        "rayon",
        "ThreadPoolBuilder",
    ];
    /// Where "rayon" may stand: what shares work among threads that `threads.rs` has started, and
    /// the option that takes a pool from the caller.
    const SHARE_WORK: [&str; 3] =
        ["src/cpu/cores.rs", "src/cpu/engine.rs", "src/device/options.rs"];

    /// Lines of code with one of these words, each behind its file, in all files but this module's
    /// and the program's.
    fn native_lines(folder: &Path, found: &mut Vec<(&'static str, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("src/host") && !path.ends_with("src/bin") {
                    native_lines(&path, found);
                }
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                let words = NATIVE.iter().filter(|word| line.contains(*word));
                found.extend(words.map(|word| (*word, format!("{}: {line}", path.display()))));
            }
        }
    }

    #[test]
    fn nothing_else_blocks_starts_threads_or_reads_clocks() {
        let mut found = Vec::new();
        native_lines(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        for file in SHARE_WORK {
            let before = found.len();
            let in_file = |line: &str| line.replace('\\', "/").contains(&format!("/{file}: "));
            found.retain(|(word, line)| *word != "rayon" || !in_file(line));
            assert!(found.len() < before, "take it from the list: {file}");
        }
        assert!(found.is_empty(), "belongs into src/host: {found:#?}");
    }
}
