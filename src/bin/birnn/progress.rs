//! Progress on standard error, only where that is a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Duration;

/// All that is drawn. indicatif hides it where standard error is no terminal.
static DRAWN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

const TICK: Duration = Duration::from_millis(100);

/// Progress that is gone when this is dropped.
pub struct Progress(ProgressBar);

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Progress {
    /// Says that so much more is done.
    pub fn add(&self, more: usize) {
        self.0.inc(more as u64);
    }
}

/// Says that something of unknown length is under way, and for how long.
pub fn spinner(what: String) -> Progress {
    displayed(ProgressBar::new_spinner().with_message(what), "{spinner} {wide_msg} {elapsed}")
}

/// A bar for work of so many parts, such as rows of a batch.
pub fn bar(what: &'static str, parts: usize, unit: &str) -> Progress {
    let template =
        format!("{{msg}} {{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    displayed(ProgressBar::new(parts as u64).with_message(what), &template)
}

fn displayed(bar: ProgressBar, template: &str) -> Progress {
    let bar = DRAWN.add(bar);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(TICK);
    Progress(bar)
}

/// Standard error, for lines that don't run into what is drawn.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        DRAWN.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
