//! Any bytes as an ONNX file; a small model that builds runs, too.
#![no_main]

use birnn::{Device, Inputs, Model};
use libfuzzer_sys::fuzz_target;
use ndarray::ArrayD;

/// So few values of inputs that a run takes no time.
const SMALL: usize = 1_000;

fuzz_target!(|bytes: &[u8]| {
    let model = match Model::from_onnx_bytes("file", bytes) {
        Ok(model) => model,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let summary = model.summary();
    assert!(!summary.to_string().is_empty());
    let inputs = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let axes = inputs.map(|row| row.output_shapes[0].iter().map(|axis| axis.unwrap_or(2)));
    let shapes: Vec<Vec<usize>> = axes.map(|axes| axes.collect()).collect();
    let values = shapes.iter().map(|shape| shape.iter().copied().fold(1, usize::saturating_mul));
    if values.fold(0, usize::saturating_add) > SMALL {
        return;
    }
    let arrays: Vec<ArrayD<f32>> = shapes.into_iter().map(ArrayD::ones).collect();
    let Some((first, rest)) = arrays.split_first() else { return };
    let inputs = rest.iter().fold(Inputs::new(first.view()), |all, array| all.input(array.view()));
    let Ok(mut session) = Device::reference().compile(&model) else { return };
    let _ = session.run(inputs);
});
