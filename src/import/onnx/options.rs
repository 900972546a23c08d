//! How a file is read.

#[cfg(doc)]
use crate::Model;
use crate::program::Values;

/// How an ONNX file is read: what the model's inputs mean, and how much the file may ask for. What
/// is beyond a limit is [`Error::MalformedFile`](crate::Error::MalformedFile), which names the
/// limit. [`Model::from_onnx`] reads with the defaults.
///
/// ```no_run
/// use birnn::{OnnxOptions, program::Values};
/// // A voice detector that reads its own states, at a sample rate that doesn't change.
/// let options = OnnxOptions::new()
///     .fixed_input("sr", Values::integer(16_000))
///     .tied("state", "stateN")
///     .length("batch", 1);
/// let model = options.load("silero_vad.onnx")?;
/// assert_eq!(model.input_names(), ["input"]);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnnxOptions {
    pub(super) file_bytes: u64,
    pub(super) external_bytes: u64,
    pub(super) messages: usize,
    pub(super) ties: Vec<(String, String)>,
    pub(super) fixed: Vec<(String, Values)>,
    pub(super) lengths: Vec<(String, usize)>,
    pub(super) external: Vec<(String, Vec<u8>)>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        OnnxOptions::new()
    }
}

impl OnnxOptions {
    /// The defaults.
    pub fn new() -> OnnxOptions {
        OnnxOptions {
            file_bytes: 2 << 30,
            external_bytes: 8 << 30,
            messages: 1 << 22,
            ties: Vec::new(),
            fixed: Vec::new(),
            lengths: Vec::new(),
            external: Vec::new(),
        }
    }

    /// Ties an input to an output, for models that read their own states: no call gives the input,
    /// which is what the output was in the call before, and zeros in the first call and after
    /// [`Session::reset_states`](crate::Session::reset_states). The state stays on the device.
    pub fn tied(mut self, input: &str, output: &str) -> OnnxOptions {
        self.ties.push((input.to_string(), output.to_string()));
        self
    }

    /// Makes an input a constant, which no call gives.
    pub fn fixed_input(mut self, input: &str, values: Values) -> OnnxOptions {
        self.fixed.push((input.to_string(), values));
        self
    }

    /// Gives all axes of inputs that the file calls by this name this length. An axis without a
    /// name is called by its input and its place, as in `x:0`. Reading fails where no axis of an
    /// open length is called so.
    pub fn length(mut self, axis: &str, length: usize) -> OnnxOptions {
        self.lengths.push((axis.to_string(), length));
        self
    }

    /// Gives a file of values of a model that isn't read from a path
    /// ([`OnnxOptions::load_bytes`]), where there is no folder with the file: `name` is what the
    /// model calls it.
    pub fn external_file(mut self, name: &str, bytes: Vec<u8>) -> OnnxOptions {
        self.external.push((name.to_string(), bytes));
        self
    }

    /// The largest file (default 2 GiB).
    pub fn file_bytes(mut self, bytes: u64) -> OnnxOptions {
        self.file_bytes = bytes;
        self
    }

    /// The most bytes of values in other files (default 8 GiB).
    pub fn external_bytes(mut self, bytes: u64) -> OnnxOptions {
        self.external_bytes = bytes;
        self
    }

    /// The most messages and texts of a file, each of which takes up to some hundred bytes (default
    /// 4,194,304; a node has about ten).
    pub fn messages(mut self, messages: usize) -> OnnxOptions {
        self.messages = messages;
        self
    }
}
