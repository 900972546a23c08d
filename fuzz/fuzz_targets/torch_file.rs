//! Any bytes as a state dict: its parts, its tensors, and the model where it is one.
#![no_main]

use birnn::torch::{StateDict, TorchOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match StateDict::from_bytes("file", bytes.to_vec()) {
        Ok(mut state) => {
            let _ = state.parts();
            for tensor in state.tensors().collect::<Vec<_>>() {
                let _ = state.array(&tensor.name);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(model) = TorchOptions::new().load_bytes("file", bytes.to_vec()) {
        assert!(!model.summary().to_string().is_empty());
    }
});
