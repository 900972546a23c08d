//! Any bytes as a file of birnn's own form.
#![no_main]

use birnn::Model;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Model::from_portable_bytes("file", bytes) {
        // What was read can be saved.
        Ok(model) => assert!(model.to_portable_bytes().is_ok()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
