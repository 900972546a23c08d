//! What a profile is made of.

use std::fmt;
use std::time::Duration;

/// What a span on the host is called that is the whole of a call.
pub(super) const CALL: &str = "call";

/// Where something ran that a profile has the time of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Track {
    /// The thread that made the call: everything beside the operators.
    Host,
    /// An operator on the CPU path or the reference, on all threads that it has.
    Cpu,
    /// Launches of kernels on a GPU, by the GPU's own clock.
    Gpu,
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Track::Host => "host",
            Track::Cpu => "CPU operators",
            Track::Gpu => "GPU queue",
        })
    }
}

/// Something that took time, once: an operator on the CPU, launches of an operator's kernels on a
/// GPU, or a part of the call on the host.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Span {
    /// Where it ran.
    pub track: Track,
    /// The name of the layer (of an ONNX model the node's); of layers that run in the same launches
    /// all names, with ` + ` between them. On the host: what was done there.
    pub name: String,
    /// The operator that it ran for the layer, such as `recurrent`; on the host empty.
    pub operator: &'static str,
    /// What computed it. On a GPU the kernels, as in `shaders/`, with ` + ` between those that were
    /// launched in turn. On the CPU path `vectors` (code of its own, on threads), `plain` (the
    /// reference's code, on one thread) or `view` (nothing is copied); on the host empty.
    pub kernel: String,
    /// The shape of the first array that the operator writes, with the batch.
    pub shape: Vec<usize>,
    /// How many launches of kernels it is; on the CPU one.
    pub launches: usize,
    /// When it began, counted from the beginning of the first call of the profile.
    pub start: Duration,
    /// How long it took.
    pub time: Duration,
}

impl Span {
    /// When it ended, counted as `start`.
    pub fn end(&self) -> Duration {
        self.start + self.time
    }
}
