//! Layers with random arguments on random shapes: a model that builds computes arrays of the shapes
//! that it announced, and none panics. What the values are is tested against Keras.

use crate::random_layers::{Random, model};
use birnn::{Inputs, reference};
use ndarray::ArrayD;

#[test]
fn what_builds_runs() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut ran, mut masked) = (0, 0);
    for _ in 0..6000 {
        let Ok(model) = model(&mut random) else { continue };
        for axes in [vec![3], vec![5, 2], vec![4, 3], vec![2, 3, 2]] {
            let shape: Vec<usize> = std::iter::once(2).chain(axes).collect();
            let x = ArrayD::from_shape_simple_fn(shape.clone(), || random.below(3) as f32);
            let mut inputs = Inputs::new(x.view());
            if shape.len() > 2 && random.coin() {
                inputs = inputs.lengths(&[shape[1], 1]);
                masked += 1;
            }
            // A shape that isn't the input's, a mask that a layer can't use, and ids out of range
            // are errors.
            if let Ok(outputs) = reference::run(&model, inputs) {
                assert_eq!(outputs.list().len(), model.output_names().len());
                assert!(
                    outputs.list().iter().all(|output| output.array.shape()[0] == 2),
                    "{model:?}"
                );
                ran += 1;
            }
        }
    }
    println!("{ran} models ran, {masked} calls with masks");
    assert!(ran > 2000, "{ran}");
}
