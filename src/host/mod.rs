//! What an operating system and a web page do differently: waiting, threads and clocks. Both files
//! have the same functions; nothing else in the crate blocks a thread, starts one or reads a clock.
//! (The CPU path's pools are rayon's, which falls back to the calling thread on a page.)

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::*;
#[cfg(target_arch = "wasm32")]
pub(crate) use web::*;

/// Whether there is the calling thread alone, so that nothing that shares work is compiled: in a
/// web page, unless the module has atomics and its user starts rayon's threads.
pub(crate) const ONE_THREAD: bool =
    cfg!(all(target_arch = "wasm32", not(target_feature = "atomics")));

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What blocks a thread, starts one or reads a clock.
    const NATIVE: [&str; 5] =
        ["pollster::", "std::thread", "std::time::Instant", "time::SystemTime", "std::sync::mpsc"];

    /// Lines of code with one of these words, in all files but this module's and the program's.
    fn native_lines(folder: &Path, found: &mut Vec<String>) {
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
            let native = code.filter(|line| NATIVE.iter().any(|word| line.contains(word)));
            found.extend(native.map(|line| format!("{}: {line}", path.display())));
        }
    }

    #[test]
    fn nothing_else_blocks_starts_threads_or_reads_clocks() {
        let mut found = Vec::new();
        native_lines(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.is_empty(), "belongs into src/host: {found:#?}");
    }
}
