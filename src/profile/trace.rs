//! A profile as a picture of time.

use super::Profile;
use super::span::{Span, Track};
use serde_json::{Value, json};
use std::time::Duration;

impl Profile {
    /// The profile as Chrome's trace events, a JSON object that <https://ui.perfetto.dev> and
    /// `chrome://tracing` draw along time.
    ///
    /// It has a track for the host, and one for the operators of the CPU or the queue of the GPU.
    /// Events bear the names of layers; their `args` say which operator, by which kernels, and the
    /// shape. A GPU's clock isn't the host's: its first launch is drawn where the host began to
    /// submit.
    ///
    /// ```
    /// use birnn::{Device, Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3)])?.initialize(1)?;
    /// let mut session = Device::cpu().compile(&model)?;
    /// let profile = session.profile(ndarray::Array3::<f32>::zeros((1, 8, 2)).view())?;
    /// assert!(profile.trace().starts_with(r#"{"displayTimeUnit":"ms","traceEvents":["#));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn trace(&self) -> String {
        let mut tracks: Vec<Track> = self.spans.iter().map(|span| span.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        let process = json!({ "name": format!("birnn on {}", self.device) });
        let mut events = vec![metadata("process_name", 0, &process)];
        for track in tracks {
            let named = json!({ "name": track.to_string() });
            events.push(metadata("thread_name", number(track), &named));
        }
        events.extend(self.spans.iter().map(event));
        json!({ "displayTimeUnit": "ms", "traceEvents": events }).to_string()
    }
}

/// A track's number in the trace; the viewers draw the lowest on top.
fn number(track: Track) -> usize {
    match track {
        Track::Host => 1,
        Track::Cpu => 2,
        Track::Gpu => 3,
    }
}

fn metadata(name: &str, thread: usize, args: &Value) -> Value {
    json!({ "name": name, "ph": "M", "pid": 1, "tid": thread, "args": args })
}

/// A complete event; its times are in microseconds.
fn event(span: &Span) -> Value {
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
    let args = match span.track {
        Track::Host => json!({}),
        _ => json!({
            "operator": span.operator,
            "kernel": span.kernel,
            "shape": span.shape,
            "launches": span.launches,
        }),
    };
    json!({
        "name": span.name,
        "cat": if span.track == Track::Host { "host" } else { span.operator },
        "ph": "X",
        "ts": microseconds(span.start),
        "dur": microseconds(span.time),
        "pid": 1,
        "tid": number(span.track),
        "args": args,
    })
}
