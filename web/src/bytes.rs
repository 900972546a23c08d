//! A file while it comes in.

use crate::error::failure;
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

/// The bytes of a file, to which pieces are added.
#[wasm_bindgen]
pub struct Bytes {
    bytes: Vec<u8>,
}

#[wasm_bindgen]
impl Bytes {
    /// Makes room for so many bytes, where it is known how many there will be.
    #[wasm_bindgen(constructor)]
    pub fn new(expected: usize) -> Result<Bytes, JsValue> {
        let mut bytes = Vec::new();
        match bytes.try_reserve_exact(expected) {
            Ok(()) => Ok(Bytes { bytes }),
            Err(_) => Err(out_of_memory(expected)),
        }
    }

    /// Adds a piece.
    pub fn push(&mut self, piece: &Uint8Array) -> Result<(), JsValue> {
        let (before, more) = (self.bytes.len(), piece.length() as usize);
        self.bytes.try_reserve(more).map_err(|_| out_of_memory(before.saturating_add(more)))?;
        self.bytes.resize(before + more, 0);
        piece.copy_to(&mut self.bytes[before..]);
        Ok(())
    }
}

impl Bytes {
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }
}

fn out_of_memory(bytes: usize) -> JsValue {
    failure(&birnn::Error::OutOfMemory { what: format!("a file of {bytes} bytes") })
}
