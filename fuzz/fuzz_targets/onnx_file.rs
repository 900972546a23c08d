//! Any bytes as an ONNX file.
#![no_main]

use birnn::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Model::from_onnx_bytes("file", bytes) {
        Ok(model) => assert!(!model.summary().to_string().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
