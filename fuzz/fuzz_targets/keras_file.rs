//! Any bytes as a `.keras` archive or a legacy `.h5` file.
#![no_main]

use birnn::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Model::from_keras_bytes("file", bytes.to_vec()) {
        Ok(model) => assert!(!model.summary().to_string().is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
