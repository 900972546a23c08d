//! Sequences of different lengths in one batch: the shorter ones are filled up with padding, and
//! the call says what is padding, by lengths or by a mask. Both give the same states, and these are
//! those of each sequence run alone, whatever the padding holds.
//!
//! `cargo run --release --example masks_and_lengths`

use birnn::{Bidirectional, Device, Inputs, Lstm, Model, Outputs};
use ndarray::{Array2, Array3, Axis, concatenate, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::error::Error;

const LENGTHS: [usize; 3] = [6, 3, 1];
const TIMESTEPS: usize = 6;
const FEATURES: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let layer = Bidirectional::new(Lstm::new(4).return_state(true));
    let model = Model::sequential(FEATURES, [layer])?.initialize(7)?;
    let mut session = Device::best()?.compile(&model)?;

    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut x = Array3::from_shape_simple_fn((LENGTHS.len(), TIMESTEPS, FEATURES), || {
        rng.random_range(-1.0f32..1.0)
    });
    for (row, &length) in LENGTHS.iter().enumerate() {
        x.slice_mut(s![row, length.., ..]).fill(0.0);
    }

    // Lengths are for padding at the end; a mask, true where a timestep counts, can have it
    // anywhere.
    let by_lengths = states(&session.run(Inputs::new(x.view()).lengths(&LENGTHS))?)?;
    let mask = Array2::from_shape_fn((LENGTHS.len(), TIMESTEPS), |(row, t)| t < LENGTHS[row]);
    let by_mask = states(&session.run(Inputs::new(x.view()).mask(mask.view()))?)?;
    report("lengths and mask", &by_lengths, &by_mask);

    // The padding is never looked at: it needn't be zeros.
    let mut noisy = x.clone();
    for (row, &length) in LENGTHS.iter().enumerate() {
        noisy.slice_mut(s![row, length.., ..]).fill(1e6);
    }
    let with_noise = states(&session.run(Inputs::new(noisy.view()).lengths(&LENGTHS))?)?;
    report("padding of 0 and of 1000000", &by_lengths, &with_noise);

    // Every sequence alone, at its own length, without padding or mask.
    for (row, &length) in LENGTHS.iter().enumerate() {
        let alone = states(&session.run(x.slice(s![row..=row, ..length, ..]))?)?;
        let in_batch = by_lengths.slice(s![row..=row, ..]).to_owned();
        report(&format!("length {length} in the batch and alone"), &in_batch, &alone);
    }

    // Zeros alone don't say that they are padding: the states go on changing at these timesteps,
    // and the backward direction even begins with them.
    let unmasked = states(&session.run(x.view())?)?;
    report("lengths and no lengths", &by_lengths, &unmasked);
    Ok(())
}

/// All final states side by side: hidden and cell state of forward, then of backward.
fn states(outputs: &Outputs) -> Result<Array2<f32>, Box<dyn Error>> {
    let (forward, backward) = (outputs.forward(), outputs.backward());
    let all = [forward.hidden()?, forward.cell()?, backward.hidden()?, backward.cell()?];
    Ok(concatenate(Axis(1), &all)?)
}

fn report(what: &str, a: &Array2<f32>, b: &Array2<f32>) {
    let largest = (a - b).iter().fold(0.0f32, |largest, difference| largest.max(difference.abs()));
    // A few roundings of float32 apart is the same.
    let verdict = if largest < 1e-6 { "the same states" } else { "other states" };
    println!("{what}: {verdict} (largest difference {largest:.1e})");
}
