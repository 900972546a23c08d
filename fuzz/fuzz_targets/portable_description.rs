//! Any text as the description of a file of birnn's own form, whose tensors are `a`, `b` and `c`.
#![no_main]

use birnn::Model;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let tensor = |shape: &[usize], start: usize| {
        let end = start + 4 * shape.iter().product::<usize>();
        json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, end] })
    };
    let header = json!({
        "__metadata__": { "birnn": text },
        "a": tensor(&[2, 2], 0),
        "b": tensor(&[2], 16),
        "c": tensor(&[1, 2], 24),
    });
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    let file = [&length[..], header.as_bytes(), &[0; 32]].concat();
    match Model::from_portable_bytes("file", &file) {
        Ok(model) => assert!(model.to_portable_bytes().is_ok()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
