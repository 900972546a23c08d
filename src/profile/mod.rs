//! Where the time of a call goes: what [`Session::profile`](crate::Session::profile) returns.

mod recorder;
mod span;
mod trace;

pub(crate) use recorder::{Recorder, Work};
use span::CALL;
pub use span::{Span, Track};

use crate::model::Outputs;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

/// Where the time of a call went, or of several: [`Session::profile`](crate::Session::profile)
/// makes one of a call, and `profile += session.profile(inputs)?` adds further calls.
///
/// Printed it is a table: a row for each layer and operator, and what is left, so that the shares
/// are those of the whole. [`Profile::trace`] draws it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// The device that the calls ran on.
    pub device: String,
    /// How many calls there are.
    pub calls: usize,
    /// The time of all calls together, from comparing the inputs with the model to having the
    /// outputs, by the clock of the host.
    pub total: Duration,
    /// Everything that was measured: of each call in the order in which it ended, on the host the
    /// whole call last.
    pub spans: Vec<Span>,
    /// The outputs of the last call, equal to those of [`Session::run`](crate::Session::run).
    pub outputs: Outputs,
}

/// The time of an operator of a layer, over all calls of a [`Profile`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct OperatorTime {
    /// The layer's name, as [`Span::name`].
    pub layer: String,
    /// The operator, such as `recurrent`.
    pub operator: &'static str,
    /// What computed it, as [`Span::kernel`], each once, in the order of their first launches.
    pub kernels: Vec<String>,
    /// The shape of the first array that it writes, with the batch (on a GPU with the rows that run
    /// at a time).
    pub shape: Vec<usize>,
    /// How many launches of kernels it took in all calls; on the CPU how often it ran.
    pub count: usize,
    /// The time that it took in all calls.
    pub total: Duration,
    /// The part of the whole time of the calls, from 0 to 1.
    pub share: f64,
}

impl Profile {
    /// The time of each operator of each layer, in the order in which they ran first. An operator
    /// that ran in several places for the same layer, with the same shape, is one.
    ///
    /// Their times together are less than [`Profile::total`]. On a GPU they are those between the
    /// first and the last kernel of the operator, measured by the GPU; a reshape that leaves the
    /// values where they are isn't launched, and isn't listed.
    pub fn operators(&self) -> Vec<OperatorTime> {
        let mut list: Vec<OperatorTime> = Vec::new();
        for span in self.spans.iter().filter(|span| span.track != Track::Host) {
            let known = list.iter().position(|row| {
                row.layer == span.name && row.operator == span.operator && row.shape == span.shape
            });
            let index = known.unwrap_or_else(|| {
                list.push(OperatorTime {
                    layer: span.name.clone(),
                    operator: span.operator,
                    kernels: Vec::new(),
                    shape: span.shape.clone(),
                    count: 0,
                    total: Duration::ZERO,
                    share: 0.0,
                });
                list.len() - 1
            });
            let row = &mut list[index];
            if !row.kernels.contains(&span.kernel) {
                row.kernels.push(span.kernel.clone());
            }
            row.count += span.launches;
            row.total += span.time;
        }
        for row in &mut list {
            row.share = self.share(row.total);
        }
        list
    }

    /// The time of the calls in which no operator ran: what the host did, copies to and from the
    /// device, waiting.
    pub fn outside(&self) -> Duration {
        let operators = self.spans.iter().filter(|span| span.track != Track::Host);
        self.total.saturating_sub(operators.map(|span| span.time).sum())
    }

    /// What the host did, each kind of work with its time in all calls, in the order of the first
    /// call: `inputs` (comparing them with the model), `prepare` (planning the work of a new
    /// shape), `submit` (copying inputs and writing commands), `wait` (for the GPU, and copying its
    /// outputs). The CPU path computes on the host, and has the first two alone.
    pub fn host(&self) -> Vec<(&str, Duration)> {
        let mut list: Vec<(&str, Duration)> = Vec::new();
        let is_part = |span: &&Span| span.track == Track::Host && span.name != CALL;
        for span in self.spans.iter().filter(is_part) {
            match list.iter_mut().find(|(what, _)| *what == span.name) {
                Some((_, time)) => *time += span.time,
                None => list.push((&span.name, span.time)),
            }
        }
        list
    }

    fn share(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.total.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Milliseconds of a call.
    fn milliseconds(&self, time: Duration) -> String {
        format!("{:.4}", time.as_secs_f64() * 1e3 / self.calls.max(1) as f64)
    }
}

/// Adds calls of the same session, behind those that are there.
impl AddAssign for Profile {
    fn add_assign(&mut self, later: Profile) {
        let behind = self.total;
        self.spans.extend(later.spans.into_iter().map(|mut span| {
            span.start += behind;
            span
        }));
        self.calls += later.calls;
        self.total += later.total;
        self.outputs = later.outputs;
    }
}

/// A table: milliseconds of a call, and shares of the whole.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let titles = ["Layer", "Operator", "Kernels", "Shape", "Count", "ms", "Share"];
        let mut rows = vec![titles.map(String::from)];
        for row in self.operators() {
            rows.push([
                row.layer,
                row.operator.to_string(),
                row.kernels.join(", "),
                format!("{:?}", row.shape),
                row.count.to_string(),
                self.milliseconds(row.total),
                percent(row.share),
            ]);
        }
        for (what, time) in [("outside of operators", self.outside()), ("all", self.total)] {
            let (ms, share) = (self.milliseconds(time), percent(self.share(time)));
            let empty = String::new;
            rows.push([what.to_string(), empty(), empty(), empty(), empty(), ms, share]);
        }
        let mut widths = [0; 7];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        match self.calls {
            1 => writeln!(f, "Profile of a call on {}", self.device)?,
            n => writeln!(f, "Profile of {n} calls on {}: mean times, all counts", self.device)?,
        }
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                match column {
                    0..4 => line.push_str(&format!("{cell:<width$}  ")),
                    _ => line.push_str(&format!("{cell:>width$}  ")),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        let host = self.host();
        let host = host.iter().map(|(what, time)| format!("{what} {}", self.milliseconds(*time)));
        write!(f, "On the host, ms: {}", host.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(track: Track, name: &str, [start, time]: [u64; 2]) -> Span {
        Span {
            track,
            name: name.into(),
            operator: if track == Track::Host { "" } else { "matmul" },
            kernel: if track == Track::Host { "" } else { "vectors" }.into(),
            shape: vec![2, 3],
            launches: 1,
            start: Duration::from_micros(start),
            time: Duration::from_micros(time),
        }
    }

    fn of(spans: Vec<Span>) -> Profile {
        let outputs = Outputs::new(Vec::new());
        let total = Duration::from_micros(100);
        Profile { device: "a device".into(), calls: 1, total, spans, outputs }
    }

    #[test]
    fn calls_of_an_operator_are_added_up_and_what_is_left_is_shown() {
        let call = || {
            of(vec![
                span(Track::Host, "inputs", [0, 5]),
                span(Track::Cpu, "one", [5, 20]),
                span(Track::Cpu, "two", [25, 30]),
                span(Track::Cpu, "one", [55, 10]),
                span(Track::Host, CALL, [0, 100]),
            ])
        };
        let mut profile = call();
        profile += call();
        let rows = profile.operators();
        let found: Vec<_> = rows.iter().map(|row| (&row.layer[..], row.count, row.share)).collect();
        assert_eq!(found, [("one", 4, 0.3), ("two", 2, 0.3)]);
        assert_eq!(profile.outside(), Duration::from_micros(80));
        assert_eq!(profile.host(), [("inputs", Duration::from_micros(10))]);
        assert_eq!(profile.spans[5].start, Duration::from_micros(100));
        let table = profile.to_string();
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "Profile of 2 calls on a device: mean times, all counts");
        assert!(lines[2].starts_with("one ") && lines[2].ends_with("0.0300   30.0 %"), "{table}");
        assert!(lines[4].starts_with("outside of operators") && lines[4].ends_with("40.0 %"));
        assert!(lines[5].ends_with("0.1000  100.0 %"), "{table}");
        assert_eq!(lines[6], "On the host, ms: inputs 0.0050");
    }
}
