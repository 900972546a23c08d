//! Any text as the configuration of a model; one that builds gets weights, where they are few, and
//! runs.
#![no_main]

use birnn::{Inputs, Model, reference};
use libfuzzer_sys::fuzz_target;
use ndarray::ArrayD;

/// So few that a run takes no time.
const SMALL: usize = 10_000;

fuzz_target!(|config: &str| {
    let Ok(model) = Model::from_keras_config(config) else { return };
    let summary = model.summary();
    assert!(!summary.to_string().is_empty());
    let sizes = summary.rows.iter().flat_map(|row| &row.output_shapes);
    let axes = sizes.map(|shape| shape.iter().map(|axis| axis.unwrap_or(3)));
    let largest = axes.map(|axes| axes.fold(1, usize::saturating_mul)).max();
    if summary.parameters > SMALL || largest.unwrap_or(0) > SMALL {
        return;
    }
    let Ok(model) = model.initialize(1) else { return };
    let inputs = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let arrays: Vec<ArrayD<f32>> = inputs
        .map(|row| {
            let axes = row.output_shapes[0].iter().skip(1).map(|axis| axis.unwrap_or(3));
            ArrayD::ones(std::iter::once(2).chain(axes).collect::<Vec<_>>())
        })
        .collect();
    let Some((first, rest)) = arrays.split_first() else { return };
    let first = Inputs::new(first.view());
    let inputs = rest.iter().fold(first, |inputs, array| inputs.input(array.view()));
    let _ = reference::run(&model, inputs);
});
