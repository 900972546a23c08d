//! Writes the JavaScript between a page and a WebAssembly module:
//! `birnn-web-bindgen MODULE.wasm FOLDER NAME`.

use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder, name] = &arguments[..] else {
        return Err("usage: birnn-web-bindgen MODULE.wasm FOLDER NAME".into());
    };
    Bindgen::new()
        .input_path(module)
        .web(true)?
        .typescript(false)
        .out_name(name)
        .omit_default_module_path(false) // the JavaScript finds the module beside itself
        .generate(folder)?;
    Ok(())
}
