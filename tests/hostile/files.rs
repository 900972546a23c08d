//! What tests with damaged and hostile files share: numbers, archives, damage, and a report that
//! measures time and memory.
#![allow(dead_code)] // what is used depends on the features

use birnn::Error;
use std::io::{Cursor, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The longest that a load may compute. Those of today take at most 1.5 s on a slow machine in the
/// tests' profile; one whose time grows with the square of a length takes minutes.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Memory that a load may take beyond the file itself.
pub const MEMORY: u64 = 256 << 20;

/// A small generator of numbers, so that a failure can be run again.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// What was seen over the files.
#[derive(Default)]
pub struct Report {
    pub files: usize,
    pub loaded: usize,
    pub problems: Vec<String>,
    pub slowest: (Duration, String),
    pub largest: (u64, String),
}

/// The most memory that the process has had since the last reset, in bytes; `None` where the system
/// doesn't tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

fn reset_peak_memory() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// How long this thread has computed, whatever else the machine does; `None` where the system
/// doesn't tell.
fn computed() -> Option<Duration> {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

impl Report {
    /// Loads a file; `load` also looks at what came of it. Returns that, where it loads.
    pub fn check<T>(
        &mut self,
        name: &str,
        load: impl FnOnce() -> Result<T, Error>,
        size: usize,
    ) -> Option<T> {
        self.files += 1;
        let before = memory().filter(|_| reset_peak_memory());
        let (start, already) = (Instant::now(), computed());
        let result = catch_unwind(AssertUnwindSafe(load));
        let time = match (already, computed()) {
            (Some(already), Some(now)) => now.saturating_sub(already),
            _ => start.elapsed(),
        };
        if time > LONGEST {
            self.problems.push(format!("{name}: {time:?}"));
        }
        if time > self.slowest.0 {
            self.slowest = (time, name.to_string());
        }
        if let (Some(before), Some(peak)) = (before, peak_memory()) {
            let taken = peak.saturating_sub(before);
            if taken > MEMORY + size as u64 {
                self.problems.push(format!("{name}: {} MiB", taken >> 20));
            }
            if taken > self.largest.0 {
                self.largest = (taken, name.to_string());
            }
        }
        match result {
            Ok(Ok(loaded)) => {
                self.loaded += 1;
                return Some(loaded);
            }
            Ok(Err(e)) if e.to_string().is_empty() => {
                self.problems.push(format!("{name}: an error without words"))
            }
            Ok(Err(_)) => {}
            Err(_) => self.problems.push(format!("{name}: a panic")),
        }
        None
    }
}

/// That a corpus of so many files at least has no problems. It is read in a thread of its own, so
/// that a file on which loading hangs fails the test; and one corpus after another, because the
/// memory that is measured is that of the process.
pub fn passes(corpus: impl FnOnce() -> Report + Send + 'static, least: usize) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    // One that failed left nothing behind.
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(corpus()));
    let report = receive
        .recv_timeout(Duration::from_secs(600))
        .expect("the corpus was read within ten minutes");
    println!(
        "{} files, {} of them load; slowest {:?} ({}), most memory {} MiB ({})",
        report.files,
        report.loaded,
        report.slowest.0,
        report.slowest.1,
        report.largest.0 >> 20,
        report.largest.1
    );
    assert!(report.files >= least, "{} files", report.files);
    assert!(
        report.problems.is_empty(),
        "{} problems\n{}",
        report.problems.len(),
        report.problems.join("\n")
    );
}

/// The members of a zip archive.
pub fn unzip(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut member, &mut content).unwrap();
        members.push((member.name().unwrap().to_string(), content));
    }
    members
}

pub fn zip(members: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// An archive with one member replaced.
pub fn with_member(archive: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
    let members = unzip(archive);
    let members: Vec<_> = members
        .iter()
        .map(|(found, old)| (found.as_str(), if found == name { content } else { old.as_slice() }))
        .collect();
    zip(&members, CompressionMethod::Stored)
}

/// Changes some bytes: flips, extreme numbers in place of 4 or 8 bytes, zeros, another part of the
/// file.
pub fn damage(random: &mut Random, bytes: &mut [u8]) {
    for _ in 0..=random.below(4) {
        let place = random.below(bytes.len());
        let number = [0u64, 1, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 40, u64::MAX >> 1, u64::MAX]
            [random.below(8)];
        match random.below(5) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = [0, 1, 0x7F, 0xFF][random.below(4)],
            kind @ (2 | 3) => {
                let (place, width) = (place & !7, if kind == 2 { 4 } else { 8 });
                let end = (place + width).min(bytes.len());
                bytes[place..end].copy_from_slice(&number.to_le_bytes()[..end - place]);
            }
            _ => {
                let (from, length) = (random.below(bytes.len()), random.below(64));
                let part = bytes[from..(from + length).min(bytes.len())].to_vec();
                let end = (place + part.len()).min(bytes.len());
                bytes[place..end].copy_from_slice(&part[..end - place]);
            }
        }
    }
}
