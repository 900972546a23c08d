//! Every cell on the CPU path beside the reference in f64, on shapes that fill tiles and vectors
//! and on such that don't. Apart from birnn's other tests, which depend on much that isn't compiled
//! for WebAssembly: `tests/wasm/run.sh` runs this one there.

use birnn::layer::RecurrentBuilder;
use birnn::{Activation, Bidirectional, Cell, Device, Inputs, Layer, Lstm, Model};
use ndarray::{Array, Array2, Array3, ArrayD, Dimension, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// (batch, timesteps, features, units)
const SHAPES: [[usize; 4]; 8] = [
    [1, 8, 2, 3],
    [1, 40, 16, 64],
    [2, 5, 3, 17],
    [3, 9, 5, 4],
    [5, 4, 33, 20],
    [7, 3, 1, 1],
    [32, 6, 12, 65],
    [130, 2, 8, 9],
];

/// What the CPU path's tests allow (`src/cpu/tests.rs`).
const TOLERANCE: f64 = 2e-6;

fn random<D: Dimension>(rng: &mut ChaCha12Rng, shape: impl ShapeBuilder<Dim = D>) -> Array<f32, D> {
    Array::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
}

/// The layer with weights of its own for each seed, the biases too.
fn model(layer: Layer, features: usize, rng: &mut ChaCha12Rng) -> birnn::Result<Model> {
    let mut model = Model::sequential(features, [layer])?.initialize(3)?;
    let name = model.layer_names()[0].clone();
    let weights: Vec<ArrayD<f32>> = model
        .weights(&name)?
        .iter()
        .map(|weight| random(rng, weight.raw_dim()) / (1.0 + weight.shape()[0] as f32).sqrt())
        .collect();
    model.set_weights(&name, weights)?;
    Ok(model)
}

/// Runs the layer on both devices, masked and not; returns how far they are apart.
fn compare(name: &str, layer: Layer, states: usize, shape: [usize; 4]) -> birnn::Result<f64> {
    let [batch, timesteps, features, units] = shape;
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let model = model(layer, features, &mut rng)?;
    let x: Array3<f32> = random(&mut rng, (batch, timesteps, features));
    let states: Vec<Array2<f32>> = (0..states).map(|_| random(&mut rng, (batch, units))).collect();
    let mask = Array2::from_shape_simple_fn((batch, timesteps), || rng.random_bool(0.7));
    let mut far = 0.0f64;
    for masked in [false, true] {
        let run = |device: Device| {
            let mut inputs = Inputs::new(x.view()).initial_state(states.iter().map(|s| s.view()));
            if masked {
                inputs = inputs.mask(mask.view());
            }
            device.compile(&model)?.run(inputs)
        };
        let (found, exact) = (run(Device::cpu())?, run(Device::reference())?);
        assert_eq!(found.list().len(), exact.list().len());
        for (found, exact) in found.list().iter().zip(exact.list()) {
            assert_eq!(found.array.shape(), exact.array.shape(), "{name} of {shape:?}");
            for (&found, &exact) in found.array.iter().zip(&exact.array) {
                let apart = f64::from((found - exact).abs()) / f64::from(exact.abs().max(1.0));
                assert!(apart < TOLERANCE, "{name} of {shape:?}: {found} is not {exact}");
                far = far.max(apart);
            }
        }
    }
    Ok(far)
}

fn layers(units: usize) -> Vec<(String, Layer, usize)> {
    let all = |layer: RecurrentBuilder<Cell>| layer.return_sequences(true).return_state(true);
    let mut layers = Vec::new();
    for &cell in Cell::ALL {
        let states = 2 * cell.states();
        let layer = Bidirectional::new(all(RecurrentBuilder::of(cell, units)));
        layers.push((cell.name().to_string(), layer.into(), states));
        let other = all(RecurrentBuilder::of(cell, units))
            .activation(Activation::Softsign)
            .recurrent_activation(Activation::HardSigmoid);
        let name = format!("{} with other activations", cell.name());
        layers.push((name, Bidirectional::new(other).into(), states));
    }
    let lstm = || Lstm::new(units).return_sequences(true).return_state(true);
    let variants = [
        ("lstm with peepholes", lstm().peepholes(true)),
        ("lstm with coupled gates", lstm().coupled(true)),
        ("lstm with a clip", lstm().clip(0.6)),
    ];
    let variants = variants.map(|(name, layer)| (name, Bidirectional::new(layer)));
    layers.extend(variants.map(|(name, layer)| (name.to_string(), layer.into(), 4)));
    layers
}

#[test]
fn every_cell_is_as_the_reference_computes_it() -> birnn::Result<()> {
    println!("{}", Device::cpu().info());
    let mut farthest: Vec<(String, f64)> = Vec::new();
    for shape in SHAPES {
        for (name, layer, states) in layers(shape[3]) {
            let far = compare(&name, layer, states, shape)?;
            match farthest.iter_mut().find(|(known, _)| *known == name) {
                Some((_, most)) => *most = far.max(*most),
                None => farthest.push((name, far)),
            }
        }
    }
    for (name, far) in farthest {
        println!("{name}: within {far:.1e} of the reference");
    }
    Ok(())
}
