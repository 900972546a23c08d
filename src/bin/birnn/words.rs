//! The program's words for what the library's texts tell to use, which are Rust's.

/// What stands in the library's texts, and what the program says in its place; of names of which
/// one begins with another the longer one comes first. tests/architecture finds what is missing.
const WORDS: [(&str, &str); 26] = [
    ("CpuOptions::thread_pool", "CpuOptions::thread_pool in Rust"),
    ("CustomLayer::supports_masking", "CustomLayer::supports_masking in Rust"),
    ("Device::cpu()", "--device cpu"),
    ("DeviceOptions::allow_software", "--allow-software"),
    ("GpuOptions::memory_budget", "GpuOptions::memory_budget in Rust"),
    ("KerasLimits::", "Rust's KerasLimits::"),
    (
        "KerasOptions::activation",
        "activations of birnn.load in Python, KerasOptions::activation in Rust",
    ),
    ("KerasOptions::custom", "custom of birnn.load in Python, KerasOptions::custom in Rust"),
    ("KerasOptions::lambda", "lambdas of birnn.load in Python, KerasOptions::lambda in Rust"),
    ("Model::from_keras_config", "--config CONFIG.json"),
    ("Model::from_keras", "birnn run"),
    ("Model::from_onnx", "birnn run"),
    ("Model::from_portable", "birnn run"),
    ("Model::from_torch", "birnn run"),
    ("Model::initialize", "Model::initialize in Rust"),
    ("Model::load", "birnn run"),
    ("Model::set_weights", "Model::set_weights in Rust"),
    ("OnnxOptions::length", "--length AXIS=N"),
    ("OnnxOptions::", "Rust's OnnxOptions::"),
    ("Outputs::list", "the list of outputs"),
    ("PortableLimits::", "Rust's PortableLimits::"),
    ("Session::reset_states", "Session::reset_states in Rust"),
    ("TorchLimits::", "Rust's TorchLimits::"),
    ("TorchOptions::nonlinearity", "--nonlinearity tanh or relu says it"),
    ("TorchOptions::prefix", "--prefix PREFIX"),
    ("torch::StateDict", "torch::StateDict in Rust, or export it as ONNX (torch.onnx.export)"),
];

/// A text of the library's in the program's words.
pub fn told(text: &str) -> String {
    WORDS.iter().fold(text.to_string(), |text, (rust, program)| text.replace(rust, program))
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn names_of_options_are_the_programs() {
        let text = "name one (TorchOptions::prefix), or build it with torch::StateDict";
        assert_eq!(
            told(text),
            "name one (--prefix PREFIX), or build it with torch::StateDict in Rust, or export it \
             as ONNX (torch.onnx.export)"
        );
        assert_eq!(told("too (Model::from_keras_config)"), "too (--config CONFIG.json)");
        assert_eq!(told("(KerasLimits::calls)"), "(Rust's KerasLimits::calls)");
    }
}
