//! What reaches standard error: the program's own error and the crate's warnings, a line each, and
//! not a line that Mesa writes there.

use crate::progress::Lines;
use crate::words;
use std::fmt::{self, Write as _};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Prints the crate's warnings as `warning: ...`, a line each, from now on.
pub fn print_warnings() {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::WARN)
        .with_writer(|| Lines)
        .event_format(OneLine)
        .finish();
    // It fails where there is a subscriber already, which then prints them.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// `warning: what happened (value=..., other=...)`
struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = Text::default();
        event.record(&mut text);
        let fields = if text.fields.is_empty() { "" } else { &format!(" ({})", text.fields) };
        let line = words::told(&format!("{}{fields}", text.message));
        // What a file says may hold newlines.
        writeln!(writer, "warning: {}", line.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

#[derive(Default)]
struct Text {
    message: String,
    /// All other fields.
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let comma = if self.fields.is_empty() { "" } else { ", " };
                write!(self.fields, "{comma}{name}={value:?}")
            }
        };
    }
}

/// The error and its causes in one line. Some errors already hold their cause's text; it is not
/// said twice.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if line.contains(&cause) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&cause);
    }
    words::told(&line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Does some work that opens Vulkan drivers, without the line `error: XDG_RUNTIME_DIR is invalid or
/// not set in the environment.` that Mesa's device-select layer makes libwayland write to standard
/// error, two for each time the adapters are listed: the layer looks for a Wayland compositor,
/// whose default GPU it would prefer. It means nothing here, and looks as if the program had
/// failed.
///
/// The variables that keep the layer quiet can't be set by the program itself: `set_var` is unsafe,
/// as other threads may read the environment. So where XDG_RUNTIME_DIR is no path, and only there,
/// what is written to standard error meanwhile is held back and then written without that line. (A
/// driver that kills the process meanwhile is not heard; with XDG_RUNTIME_DIR set it is.)
#[cfg(target_os = "linux")]
pub fn without_mesas_line<T>(work: impl FnOnce() -> T) -> T {
    let is_absolute = |path| std::path::PathBuf::from(path).is_absolute();
    let is_expected = !std::env::var_os("XDG_RUNTIME_DIR").is_some_and(is_absolute);
    let held = if is_expected { held::Held::new().ok() } else { None };
    let result = work();
    drop(held);
    result
}

/// Mesa writes it on Linux only.
#[cfg(not(target_os = "linux"))]
pub fn without_mesas_line<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[cfg(target_os = "linux")]
mod held {
    use rustix::fs::{MemfdFlags, memfd_create};
    use rustix::stdio::dup2_stderr;
    use std::fs::File;
    use std::io::{self, Read, Seek, Write};
    use std::os::fd::{AsFd, OwnedFd};

    /// Standard error, held back in memory while this lives; a panic ends that, too.
    pub struct Held {
        terminal: OwnedFd,
        memory: File,
    }

    impl Held {
        pub fn new() -> io::Result<Held> {
            let terminal = io::stderr().as_fd().try_clone_to_owned()?;
            let memory = File::from(memfd_create("birnn stderr", MemfdFlags::CLOEXEC)?);
            dup2_stderr(&memory)?;
            Ok(Held { terminal, memory })
        }

        fn release(&mut self) -> io::Result<()> {
            dup2_stderr(&self.terminal)?;
            self.memory.rewind()?;
            let mut text = Vec::new();
            self.memory.read_to_end(&mut text)?;
            let lines = text.split_inclusive(|&byte| byte == b'\n');
            let others = lines.filter(|line| !line.starts_with(b"error: XDG_RUNTIME_DIR is "));
            io::stderr().write_all(&others.collect::<Vec<_>>().concat())
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            // Standard error can't be written to: there is no one to tell.
            let _ = self.release();
        }
    }
}
