//! Python's words for what the library's texts tell to use, which are Rust's.

/// What stands in the library's texts, and what the package says in its place; of names of which
/// one begins with another the longer one comes first. tests/architecture finds what is missing.
const WORDS: [(&str, &str); 28] = [
    ("birnn inspect lists", "birnn's docs/generated/onnx.md lists"),
    ("`birnn inspect` lists", "birnn's docs/generated/support.md lists"),
    ("CpuOptions::thread_pool", "CpuOptions::thread_pool in Rust"),
    ("CustomLayer::supports_masking", "CustomLayer(supports_masking=True)"),
    ("Device::cpu()", "compile(\"cpu\")"),
    ("DeviceOptions::allow_software", "allow_software=True"),
    ("GpuOptions::memory_budget", "memory_budget of compile"),
    ("KerasLimits::", "Rust's KerasLimits::"),
    ("KerasOptions::activation", "activations of birnn.load"),
    ("KerasOptions::custom", "custom of birnn.load"),
    ("KerasOptions::lambda", "lambdas of birnn.load"),
    ("Model::from_keras_config", "config of birnn.load"),
    ("Model::from_keras", "birnn.load"),
    ("Model::from_onnx", "birnn.load"),
    ("Model::from_portable", "birnn.load"),
    ("Model::from_torch", "birnn.load"),
    ("Model::initialize", "Model::initialize in Rust"),
    ("Model::load", "birnn.load"),
    ("Model::set_weights", "Model::set_weights in Rust"),
    ("OnnxOptions::length", "axis_lengths={axis: length}"),
    ("OnnxOptions::", "Rust's OnnxOptions::"),
    ("Outputs::list", "the outputs, by their places"),
    ("PortableLimits::", "Rust's PortableLimits::"),
    ("Session::reset_states", "session.reset_states()"),
    ("TorchLimits::", "Rust's TorchLimits::"),
    ("TorchOptions::nonlinearity", "nonlinearity=\"tanh\" or \"relu\" says it"),
    ("TorchOptions::prefix", "prefix"),
    ("torch::StateDict", "torch::StateDict in Rust, or export it as ONNX (torch.onnx.export)"),
];

/// A text of the library's in Python's words.
pub fn told(text: &str) -> String {
    WORDS.iter().fold(text.to_string(), |text, (rust, python)| text.replace(rust, python))
}
