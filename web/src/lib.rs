//! birnn's package for browsers, the part in Rust. What pages import is `birnn.js`, whose types and
//! documentation are `birnn.d.ts`; it checks what it is given, and calls what is here.
//!
//! * `bytes` holds a file while it comes in.
//! * `model` reads models, `device` opens devices, `session` runs models on them.
//! * `given` puts what a call gives into `birnn::Inputs`, and gives arrays back.
//! * `error` makes JavaScript's errors of birnn's.
#![deny(unsafe_code)]

mod bytes;
mod device;
mod error;
mod given;
mod model;
mod session;

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn log(text: &str);
}

/// Makes a panic, which is a fault of birnn's, say where it was.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| log(&panic.to_string())));
}
