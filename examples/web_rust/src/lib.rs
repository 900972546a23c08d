//! A page in Rust that runs a model with birnn and draws its hidden states with wgpu on a canvas:
//! what a game or a tool in Rust does that is compiled for the web. birnn opens a device of its
//! own, so that it needs nothing of the program's, and the program nothing of birnn's.
//!
//! `examples/web_rust/build.sh` builds the page, and says how to look at it.
#![cfg(target_arch = "wasm32")]

mod canvas;

use birnn::{Bidirectional, DeviceOptions, Lstm, Model};
use ndarray::Array3;
use std::error::Error;
use wasm_bindgen::prelude::*;
use web_sys::{Document, HtmlCanvasElement};

const TIMESTEPS: usize = 64;
const FEATURES: usize = 2;
const UNITS: usize = 24;

/// Called by the page's JavaScript once the module is loaded.
#[wasm_bindgen(start)]
pub fn start() {
    wasm_bindgen_futures::spawn_local(async {
        let said = match run().await {
            Ok(said) => said,
            Err(error) => error.to_string(),
        };
        if let Some(text) = document().and_then(|page| page.get_element_by_id("said")) {
            text.set_text_content(Some(&said));
        }
    });
}

async fn run() -> Result<String, Box<dyn Error>> {
    let layer = Bidirectional::new(Lstm::new(UNITS).return_sequences(true));
    let model = Model::sequential(FEATURES, [layer])?.initialize(1)?;
    // The best device: WebGPU, or else the CPU path. Nothing of it blocks the page.
    let device = DeviceOptions::new().open_async().await?;
    let mut session = device.compile_async(&model).await?;
    let wave = |(_, t, f): (usize, usize, usize)| (t as f32 * 0.2 + f as f32).sin();
    let x = Array3::from_shape_fn((1, TIMESTEPS, FEATURES), wave);
    let outputs = session.run_async(x.view()).await?;
    // [batch, timesteps, units of both directions]: a column of the picture is a timestep.
    let hidden = outputs.output().index_axis(ndarray::Axis(0), 0);
    let said = format!(
        "{TIMESTEPS} timesteps through {UNITS} units in both directions on {}",
        session.device_info()
    );
    let values: Vec<f32> = hidden.iter().copied().collect();
    let drawn = canvas::draw(find_canvas()?, &values, TIMESTEPS as u32, 2 * UNITS as u32).await;
    Ok(match drawn {
        Ok(()) => said,
        Err(error) => format!("{said}; no picture: {error}"),
    })
}

fn document() -> Option<Document> {
    web_sys::window()?.document()
}

fn find_canvas() -> Result<HtmlCanvasElement, Box<dyn Error>> {
    let element = document().and_then(|page| page.get_element_by_id("states"));
    let canvas = element.and_then(|element| element.dyn_into().ok());
    canvas.ok_or_else(|| "the page has no canvas named states".into())
}
