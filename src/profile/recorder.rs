//! Noting times while a call runs.

use super::Profile;
use super::span::{CALL, Span, Track};
use crate::error::{Error, Result};
use crate::host::{self, Instant};
use crate::model::Outputs;
use std::time::Duration;

/// The times of a call so far.
#[derive(Debug)]
pub(crate) struct Recorder {
    device: String,
    began: Instant,
    /// Until when it is known what the host did.
    known: Duration,
    spans: Vec<Span>,
}

/// Whose time it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work<'a> {
    pub track: Track,
    pub layer: &'a str,
    pub operator: &'static str,
    pub kernel: &'a str,
    pub shape: &'a [usize],
    pub launches: usize,
}

impl Recorder {
    /// Begins a call on a device that is described so.
    pub fn new(device: String) -> Result<Recorder> {
        if !host::HAS_CLOCK {
            return Err(Error::Profile {
                device,
                reason: "a module of WebAssembly without the feature gpu has no clock".into(),
            });
        }
        let began = Instant::now();
        Ok(Recorder { device, began, known: Duration::ZERO, spans: Vec::new() })
    }

    /// The time since the call began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Notes what the host did since what was noted of it last.
    pub fn host(&mut self, what: &str) {
        let end = self.now();
        let start = std::mem::replace(&mut self.known, end);
        self.host_span(what, start, end);
    }

    fn host_span(&mut self, what: &str, start: Duration, end: Duration) {
        let work = Work {
            track: Track::Host,
            layer: what,
            operator: "",
            kernel: "",
            shape: &[],
            launches: 0,
        };
        self.note(work, start, end.saturating_sub(start));
    }

    pub fn note(&mut self, work: Work<'_>, start: Duration, time: Duration) {
        self.spans.push(Span {
            track: work.track,
            name: work.layer.to_string(),
            operator: work.operator,
            kernel: work.kernel.to_string(),
            shape: work.shape.to_vec(),
            launches: work.launches,
            start,
            time,
        });
    }

    /// Ends the call.
    pub fn finish(mut self, outputs: Outputs) -> Profile {
        let total = self.now();
        self.host_span(CALL, Duration::ZERO, total);
        Profile { device: self.device, calls: 1, total, spans: self.spans, outputs }
    }
}
