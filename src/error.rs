use std::path::PathBuf;

/// What went wrong, with the value at fault.
///
/// Nothing in this crate panics on what a user, a file or a driver does: every fallible function
/// returns this type. After an error a [`Session`](crate::Session) can be used again; after
/// [`Error::DeviceLost`] it has to be built again on a new [`Device`](crate::Device),
/// [`Session::rebuild`](crate::Session::rebuild), unless
/// [`Session::recover_with`](crate::Session::recover_with) does so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer was built with an argument that it can't have.
    #[error("layer {layer:?}: {argument}: {reason}")]
    Argument {
        /// The layer's name.
        layer: String,
        /// The argument, by Keras's name.
        argument: String,
        /// What is wrong with it, and what to do instead.
        reason: String,
    },
    /// Layers don't fit together, or the graph has no inputs or outputs.
    #[error("model: {0}")]
    Graph(String),
    /// No layer has this name.
    #[error("no layer is named {name:?}; the model has {known:?}")]
    UnknownLayer {
        /// The name that was asked for.
        name: String,
        /// The names of the layers that there are.
        known: Vec<String>,
    },
    /// A layer has no weights yet.
    #[error(
        "layer {layer:?} has no weights: call Model::initialize, Model::set_weights, or load the model from a file"
    )]
    MissingWeights {
        /// The layer's name.
        layer: String,
    },
    /// A layer was given more or fewer weight arrays than it has.
    #[error("layer {layer:?} takes {expected} weight arrays ({names}), got {found}")]
    WeightCount {
        /// The layer's name.
        layer: String,
        /// How many it takes.
        expected: usize,
        /// Their names, in order.
        names: String,
        /// How many came.
        found: usize,
    },
    /// A weight has the wrong shape.
    #[error("layer {layer:?}: {weight} has shape {found:?}, expected {expected:?}")]
    WeightShape {
        /// The layer's name.
        layer: String,
        /// `kernel`, `recurrent_kernel` or `bias`.
        weight: String,
        /// The shape that was given.
        found: Vec<usize>,
        /// The shape that the layer's arguments ask for.
        expected: Vec<usize>,
    },
    /// A weight is NaN or infinite.
    #[error("layer {layer:?}: {weight} holds {value} at index {index:?}")]
    NonFiniteWeight {
        /// The layer's name.
        layer: String,
        /// `kernel`, `recurrent_kernel` or `bias`.
        weight: String,
        /// The value.
        value: f32,
        /// Where it stands.
        index: Vec<usize>,
    },
    /// The model takes more or fewer inputs than were given.
    #[error("the model takes {expected} input{} ({names:?}), got {found}", if *expected == 1 { "" } else { "s" })]
    InputCount {
        /// How many it takes.
        expected: usize,
        /// Their names, in order.
        names: Vec<String>,
        /// How many came.
        found: usize,
    },
    /// Inputs given by name aren't those of the model.
    #[error("input {name:?} {reason}; the model takes {known:?}")]
    InputName {
        /// The name that was given, or the place of an input without one.
        name: String,
        /// What is wrong with it.
        reason: String,
        /// The names of the model's inputs, in order.
        known: Vec<String>,
    },
    /// An input or an initial state has the wrong shape.
    #[error("{input} has shape {found:?}, expected {expected}")]
    InputShape {
        /// Which array.
        input: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits.
        expected: String,
    },
    /// A row's length is beyond the array's timesteps.
    #[error(
        "the length of row {row} of input {input:?} is {length}, and the input has {timesteps} timesteps"
    )]
    Length {
        /// The input's name.
        input: String,
        /// The row.
        row: usize,
        /// Its length.
        length: usize,
        /// The timesteps that there are.
        timesteps: usize,
    },
    /// An input has an axis of length zero.
    #[error("{input} has shape {shape:?}: its {axis} axis is empty")]
    EmptyAxis {
        /// Which array.
        input: String,
        /// `batch`, `timesteps` or `features`.
        axis: &'static str,
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// An input holds a number that is no id of the embedding that reads it.
    #[error(
        "input {input:?} holds {value} at {index:?}; layer {layer:?} reads whole numbers from 0 to below {ids}"
    )]
    IdRange {
        /// The input's name.
        input: String,
        /// The embedding's name.
        layer: String,
        /// The number.
        value: f64,
        /// Where it stands.
        index: Vec<usize>,
        /// How many ids the embedding has.
        ids: usize,
    },
    /// A stateful model was called on another batch than the one whose states it holds.
    #[error(
        "the model is stateful and holds the states of {expected} rows, got {found}; call Session::reset_states first"
    )]
    StatefulBatch {
        /// The batch of the call.
        found: usize,
        /// The batch of the calls before.
        expected: usize,
    },
    /// A state was asked for that the model doesn't return.
    #[error("the model returns no {wanted}; it returns {available:?}")]
    NoSuchOutput {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: Vec<String>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it says it is: truncated, corrupted, or of another format.
    #[error("{file}: {reason}")]
    MalformedFile {
        /// The file, and the part of it.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file holds a layer that this crate doesn't run.
    #[error("layer {layer:?} of class {class_name} is not supported; supported are {supported}")]
    UnsupportedLayer {
        /// The layer's name.
        layer: String,
        /// Its Keras class.
        class_name: String,
        /// The classes that are supported.
        supported: &'static str,
    },
    /// A layer of a file has an argument value that this crate doesn't run.
    #[error("layer {layer:?}: {argument}={value} is not supported: {reason}")]
    UnsupportedArgument {
        /// The layer's name.
        layer: String,
        /// The argument, by Keras's name.
        argument: String,
        /// Its value in the file.
        value: String,
        /// What to do instead.
        reason: String,
    },
    /// No adapter fits what was asked for.
    #[error("no usable {wanted}; found: {}", if found.is_empty() { "none (is a Vulkan, Metal or DX12 driver installed?)".to_string() } else { found.join(", ") })]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// The adapters that there are, and why each was passed over.
        found: Vec<String>,
    },
    /// An adapter was found but would not open.
    #[error("adapter {adapter:?} can't be opened: {reason}")]
    DeviceRequest {
        /// The adapter's name.
        adapter: String,
        /// The driver's reason.
        reason: String,
    },
    /// The GPU went away: driver reset, unplugged, or destroyed. Open a new device and compile
    /// again.
    #[error("the GPU device was lost: {reason}; open a new device and compile the model again")]
    DeviceLost {
        /// The driver's reason.
        reason: String,
    },
    /// The GPU or the host has not enough memory.
    #[error("out of memory: {what}")]
    OutOfMemory {
        /// What was being allocated.
        what: String,
    },
    /// The model doesn't fit the device's limits at any chunking.
    #[error("{what} needs {needed} {limit}, and the device allows {allowed}; {instead}")]
    Limit {
        /// What is too large.
        what: String,
        /// What it needs.
        needed: u64,
        /// The limit's name in WebGPU.
        limit: &'static str,
        /// The limit's value.
        allowed: u64,
        /// What to do instead.
        instead: &'static str,
    },
    /// The driver or wgpu refused a command: a bug in this crate or in the driver. Please report
    /// it.
    #[error("GPU error: {0}")]
    Gpu(String),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
