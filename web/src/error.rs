//! birnn's errors as JavaScript's, of which `birnn.js` makes a `BirnnError` each.

use js_sys::Reflect;
use std::fmt::Debug;
use wasm_bindgen::JsValue;

/// An error of birnn's, with its text and its `kind`.
pub fn failure(error: &birnn::Error) -> JsValue {
    with_kind(&kind(error), &error.to_string())
}

/// An error that birnn itself has none for.
pub fn with_kind(kind: &str, text: &str) -> JsValue {
    let error = JsValue::from(js_sys::Error::new(text));
    // Setting a property of a plain error doesn't fail.
    let _ = Reflect::set(&error, &JsValue::from("kind"), &JsValue::from(kind));
    error
}

/// The name that the error has in Rust, such as `InputShape`.
fn kind(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap_or_default().to_string()
}
