use std::path::PathBuf;

/// What went wrong, with the values that are at fault. [`Display`](std::fmt::Display) says in a
/// sentence what is wrong and, where there is a remedy, what to do.
///
/// Every fallible function of this crate returns this type: the crate doesn't panic because of
/// what a user, a file or a driver does. After an error a [`Session`](crate::Session) can be used
/// again. The exception is [`Error::DeviceLost`]: then the session has to be built again on a newly
/// opened [`Device`](crate::Device) with [`Session::rebuild`](crate::Session::rebuild), unless
/// [`Session::recover_with`](crate::Session::recover_with) was called, which does so by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer has an argument whose value it can't have, or a call gives a layer initial states
    /// that it can't have.
    #[error("layer {layer:?}: {argument}: {reason}")]
    Argument {
        /// The layer's name.
        layer: String,
        /// The argument's name in Keras.
        argument: String,
        /// What is wrong with the value and, where there is a remedy, what to do instead.
        reason: String,
    },
    /// Layers, arrays or masks don't fit together, or a graph has no layer or no output. The text
    /// says what is wrong.
    #[error("model: {0}")]
    Graph(String),
    /// No layer of the model, or no layer whose arrays it returns, has this name.
    #[error("no layer is named {name:?}; the model has {known:?}")]
    UnknownLayer {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A layer has weights, but they were neither set, nor initialized, nor read from a file.
    #[error(
        "layer {layer:?} has no weights: call Model::initialize, Model::set_weights, or load the \
         model from a file"
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
        /// How many arrays the layer has.
        expected: usize,
        /// Their names, in order, with commas between them.
        names: String,
        /// How many arrays were given.
        found: usize,
    },
    /// A weight array has the wrong shape.
    #[error("layer {layer:?}: {weight} has shape {found:?}, expected {expected:?}")]
    WeightShape {
        /// The layer's name.
        layer: String,
        /// The array's name, such as `kernel`, `recurrent_kernel` or `bias`; for a `Bidirectional`
        /// with `forward` or `backward` before it.
        weight: String,
        /// The shape that was given.
        found: Vec<usize>,
        /// The shape that follows from the layer's arguments and its input.
        expected: Vec<usize>,
    },
    /// A weight array holds a value that is NaN or infinite. Only the `moving_variance` of a
    /// [`BatchNormalization`](crate::layer::BatchNormalization) may be infinite.
    #[error("layer {layer:?}: {weight} holds {value} at index {index:?}")]
    NonFiniteWeight {
        /// The layer's name.
        layer: String,
        /// The array's name, as in [`Error::WeightShape`].
        weight: String,
        /// The first such value.
        value: f32,
        /// The index of this value along each axis of the array.
        index: Vec<usize>,
    },
    /// A call gives more or fewer input arrays than the model takes.
    #[error(
        "the model takes {expected} input{} ({names:?}), got {found}{}",
        if *expected == 1 { "" } else { "s" },
        ties_instead(ties)
    )]
    InputCount {
        /// How many inputs the model takes.
        expected: usize,
        /// Their names, in order.
        names: Vec<String>,
        /// How many arrays were given.
        found: usize,
        /// Inputs that look like what an output was in the call before, each with that output:
        /// [`Model::likely_ties`](crate::Model::likely_ties).
        ties: Vec<(String, String)>,
    },
    /// A call gives inputs by name, and a name is unknown, given twice, or missing from one of the
    /// arrays.
    #[error("input {name:?} {reason}; the model takes {known:?}")]
    InputName {
        /// The name that was given; for an array without a name, `number` and its index from 0.
        name: String,
        /// What is wrong with it.
        reason: String,
        /// The names of the model's inputs, in order.
        known: Vec<String>,
    },
    /// An input, a mask, a list of lengths or an initial state has the wrong shape.
    #[error("{input} has shape {found:?}, expected {expected}")]
    InputShape {
        /// Which array it is, in words.
        input: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that fits, such as `[batch, timesteps, 2]`.
        expected: String,
    },
    /// The length that a call gives for a row is larger than the number of timesteps of the array.
    #[error(
        "the length of row {row} of input {input:?} is {length}, and the input has {timesteps} \
         timesteps"
    )]
    Length {
        /// The input's name.
        input: String,
        /// The index of the row in the batch.
        row: usize,
        /// The length that was given for it.
        length: usize,
        /// The number of timesteps of the array.
        timesteps: usize,
    },
    /// An input has an axis of length zero.
    #[error("{input} has shape {shape:?}: its {axis} axis is empty")]
    EmptyAxis {
        /// Which array it is, in words.
        input: String,
        /// `batch` or `timesteps`; of a program's input, whose axes have no names, which in words.
        axis: &'static str,
        /// The array's shape.
        shape: Vec<usize>,
    },
    /// An input holds a value that is not an id of the
    /// [`Embedding`](crate::layer::Embedding) that reads it: ids are whole numbers from 0 to
    /// `ids - 1`.
    #[error(
        "input {input:?} holds {value} at {index:?}; layer {layer:?} reads whole numbers from 0 \
         to below {ids}"
    )]
    IdRange {
        /// The input's name.
        input: String,
        /// The name of the `Embedding`.
        layer: String,
        /// The first such value.
        value: f64,
        /// The index of this value along each axis of the array.
        index: Vec<usize>,
        /// The `input_dim` of the `Embedding`.
        ids: usize,
    },
    /// An input holds a value that it can't have: one that is none of its type, a place outside of
    /// the axis that it is looked up on, or a length beyond it.
    #[error("input {input:?} holds {value} at {index:?}; {expected}")]
    InputValue {
        /// The input's name.
        input: String,
        /// The first such value.
        value: f64,
        /// The index of this value along each axis of the array.
        index: Vec<usize>,
        /// Who takes which values, in words.
        expected: String,
    },
    /// A call of a stateful model has another batch size than the calls before, whose states it
    /// would start from.
    #[error(
        "the model is stateful and holds the states of {expected} rows, got {found}; call \
         Session::reset_states first"
    )]
    StatefulBatch {
        /// The batch size of the call.
        found: usize,
        /// The batch size of the calls before.
        expected: usize,
    },
    /// The rows of a call can't run in parts, one after another, as
    /// [`Model::check_parts`](crate::Model::check_parts) says.
    #[error("the model's rows can't run in parts: {reason}")]
    Parts {
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An output or a state was asked for that the model doesn't return, or twice.
    #[error("the model returns no {wanted}; it returns {available:?}")]
    NoSuchOutput {
        /// What was asked for, in words.
        wanted: String,
        /// The arrays that the model returns, each as its role and layer.
        available: Vec<String>,
    },
    /// An array that a call is to write an output to has another shape than the output.
    #[error("the array for the {output} has shape {found:?}, expected {expected:?}")]
    OutputShape {
        /// The output's role and layer, such as `output of dense`.
        output: String,
        /// The array's shape.
        found: Vec<usize>,
        /// The shape of the output in this call.
        expected: Vec<usize>,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The reason that the operating system gives.
        #[source]
        source: std::io::Error,
    },
    /// A file is truncated or corrupted, or has another format than it should have.
    #[error("{file}: {reason}")]
    MalformedFile {
        /// The file, and the part of it that is wrong.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file holds a layer of a class that this crate doesn't run.
    #[error("layer {layer:?} of class {class_name} is not supported: {}", instead(class_name))]
    UnsupportedLayer {
        /// The layer's name.
        layer: String,
        /// The layer's class in Keras; of a wrapper with the class in it, as in
        /// `TimeDistributed(Conv2D)`.
        class_name: String,
        /// The classes that are supported, with commas between them.
        supported: &'static str,
    },
    /// A file's model is of a class of its own, a subclass of Keras's `Model`. What it computes is
    /// Python code, which no file holds.
    #[error(
        "the model is of a class of its own, {class_name}, whose code isn't in the file: rebuild \
         it as a functional model, keras.Model(inputs, outputs), of the same layers, and save it \
         again"
    )]
    UnsupportedModel {
        /// The model's class.
        class_name: String,
    },
    /// A layer of a file has an argument with a value that this crate doesn't run.
    #[error("layer {layer:?}: {argument}={value} is not supported: {reason}")]
    UnsupportedArgument {
        /// The layer's name.
        layer: String,
        /// The argument's name in Keras.
        argument: String,
        /// The argument's value in the file.
        value: String,
        /// Why it isn't supported, or what to do instead.
        reason: String,
    },
    /// A node of an ONNX file, or an operation in the place of a layer of a Keras file, computes
    /// something that this crate doesn't run.
    #[error("node {node:?} ({op_type}) is not supported: {reason}")]
    UnsupportedNode {
        /// The node's name; where it has none, the name of its first output.
        node: String,
        /// Its operator, with the domain before it where that isn't ONNX's own; of Keras the
        /// operation's class with its module, or TensorFlow's function.
        op_type: String,
        /// Why it isn't supported, and what to do.
        reason: String,
    },
    /// No GPU adapter fits what was asked for.
    #[error(
        "no usable {wanted}; found: {}",
        if found.is_empty() { format!("none ({NO_ADAPTER})") } else { found.join(", ") }
    )]
    NoAdapter {
        /// What was asked for, in words.
        wanted: String,
        /// The adapters that there are, and why each was passed over.
        found: Vec<String>,
    },
    /// An adapter fits, but the driver doesn't open it, or it can't do what the
    /// [`DeviceOptions`](crate::DeviceOptions) ask for.
    #[error("adapter {adapter:?} can't be opened: {reason}")]
    DeviceRequest {
        /// The adapter's name.
        adapter: String,
        /// Why it can't be opened.
        reason: String,
    },
    /// A device can't measure where the time of a call goes:
    /// [`Session::profile`](crate::Session::profile).
    #[error("{device:?} can't be profiled: {reason}")]
    Profile {
        /// The device's name.
        device: String,
        /// Why not, and what to do instead.
        reason: String,
    },
    /// The GPU is gone: its driver was reset, it was unplugged, or
    /// [`Device::destroy`](crate::Device::destroy) was called. Open a new device and compile the
    /// model again.
    #[error("the GPU device was lost: {reason}; open a new device and compile the model again")]
    DeviceLost {
        /// The reason that the driver gives.
        reason: String,
    },
    /// The GPU or the host has not enough memory.
    #[error("out of memory: {what}")]
    OutOfMemory {
        /// What the memory is for.
        what: String,
    },
    /// Something exceeds a limit of the device, and splitting the work into smaller parts doesn't
    /// help.
    #[error("{what} needs {needed} {limit}, and the device allows {allowed}; {instead}")]
    Limit {
        /// What is too large.
        what: String,
        /// How much of the limited quantity it needs.
        needed: u64,
        /// What is limited: the name of a limit of WebGPU, such as
        /// `max_storage_buffers_per_shader_stage`, or words such as `threads`.
        limit: &'static str,
        /// How much of it there is.
        allowed: u64,
        /// What to do instead.
        instead: &'static str,
    },
    /// The driver or wgpu refused a command, which is a bug in this crate or in the driver. Please
    /// report it.
    #[error("GPU error: {0}")]
    Gpu(String),
}

/// What to ask where there is no adapter at all.
const NO_ADAPTER: &str = match cfg!(target_arch = "wasm32") {
    true => "has this browser WebGPU, and is the page from https or localhost?",
    false => "is a Vulkan, Metal or DX12 driver installed?",
};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What to do where inputs look like states of the call before.
fn ties_instead(ties: &[(String, String)]) -> String {
    if ties.is_empty() {
        return String::new();
    }
    let states: Vec<_> = ties.iter().map(|(input, _)| format!("{input:?}")).collect();
    let rust: String =
        ties.iter().map(|(input, output)| format!(".tied({input:?}, {output:?})")).collect();
    let python: Vec<_> =
        ties.iter().map(|(input, output)| format!("{input:?}: {output:?}")).collect();
    let program: Vec<_> =
        ties.iter().map(|(input, output)| format!("--tie {input}={output}")).collect();
    format!(
        "; if {} {} outputs of the call before, and zeros in the first one, tie them: \
         OnnxOptions::new(){rust} in Rust, tied={{{}}} in Python, {} for the program birnn",
        states.join(", "),
        if ties.len() == 1 { "is one of the" } else { "are" },
        python.join(", "),
        program.join(" ")
    )
}

/// What to do about a class of layers that isn't supported. A wrapper's class is given with the one
/// in it, and one that isn't Keras's with its package or module.
fn instead(class_name: &str) -> &'static str {
    let inner = class_name.rsplit('(').next().unwrap_or_default().trim_end_matches(')');
    if class_name.contains("RNN(") {
        return "say which recurrent layer, such as an Lstm, computes this cell \
                (KerasOptions::custom), or replace it by LSTMCell, GRUCell or SimpleRNNCell and \
                save the model again";
    }
    if inner.contains(['>', '.']) && !inner.starts_with("keras") {
        return "its code isn't in the file; say which layers compute it (KerasOptions::custom), \
                or replace it by layers of Keras's (`birnn inspect` lists those that are \
                supported) and save the model again";
    }
    match inner.rsplit('.').next().unwrap_or_default() {
        "Lambda" => {
            "its code isn't in the file in a form that birnn runs; say which layers compute it \
             (KerasOptions::lambda), put layers of Keras's in its place, or compute it \
             before or after the model, and save the model again"
        }
        "TensorFlowOpLayer" => {
            "its code isn't in the file in a form that birnn runs; put layers of Keras's in its \
             place, or compute it before or after the model, and save the model again"
        }
        "StringLookup" | "IntegerLookup" | "TextVectorization" | "Hashing" | "HashedCrossing" => {
            "it makes integers of words or categories: let it do so before the model, and save the \
             model behind it, keras.Model(layer.output, model.output), which is given the integers"
        }
        "Functional" | "Sequential" | "Model" => {
            "put the layers of this inner model in its place and save the model again"
        }
        _ => {
            "replace it by layers that are (`birnn inspect` lists them), or compute it before or \
             after the model, and save the model again; where the class is your own, say which \
             layers compute it (KerasOptions::custom)"
        }
    }
}
