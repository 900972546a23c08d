//! A sequence that arrives in pieces: a stateful layer goes on where the last call ended, so that
//! the pieces give what the whole sequence gives at once. `run_into` writes each piece's outputs
//! where they belong; on the CPU path it allocates nothing once a shape was called.
//! `reset_states` begins a new sequence.
//!
//! `cargo run --release --example streaming`

use birnn::{Device, Lstm, Model};
use ndarray::{Array3, ArrayD, ArrayViewD, Axis, Slice};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

const BATCH: usize = 2;
const FEATURES: usize = 3;
const UNITS: usize = 4;
/// The timesteps of each piece: they needn't be the same number.
const PIECES: [usize; 4] = [5, 1, 8, 2];

fn main() -> birnn::Result<()> {
    // Only forward: a backward direction begins at the end, which hasn't arrived yet.
    let layer = Lstm::new(UNITS).return_sequences(true).stateful(true);
    let model = Model::sequential(FEATURES, [layer])?.initialize(3)?;
    let mut session = Device::best()?.compile(&model)?;

    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let shape = (BATCH, PIECES.iter().sum(), FEATURES);
    let x = Array3::from_shape_simple_fn(shape, || rng.random_range(-1.0f32..1.0));
    let whole = session.run(x.view())?.output().clone();

    // That call left its final states behind. Without this the pieces would go on from them.
    session.reset_states();
    let mut outputs = ArrayD::<f32>::zeros(whole.raw_dim());
    let mut start = 0;
    for timesteps in PIECES {
        let piece = Slice::from(start..start + timesteps);
        let mut y = outputs.slice_axis_mut(Axis(1), piece);
        session.run_into(x.slice_axis(Axis(1), piece), y.view_mut())?;
        let difference = largest_difference(y.view(), whole.slice_axis(Axis(1), piece));
        let end = start + timesteps;
        println!("timesteps {start} to {end}: {difference:.1e} from the whole sequence's output");
        start = end;
    }

    // The first piece once more, as if it came after the last one.
    let first = Slice::from(..PIECES[0]);
    let (piece, expected) = (x.slice_axis(Axis(1), first), whole.slice_axis(Axis(1), first));
    let going_on = largest_difference(session.run(piece)?.output().view(), expected.view());
    println!("the first piece after the last one: {going_on:.1e} from its output before");

    session.reset_states();
    let afresh = largest_difference(session.run(piece)?.output().view(), expected);
    println!("the first piece after reset_states: {afresh:.1e} from its output before");
    let same = afresh < 1e-6 && going_on > 1e-3;
    println!("reset_states begins a new sequence: {}", if same { "yes" } else { "no" });
    Ok(())
}

fn largest_difference(a: ArrayViewD<f32>, b: ArrayViewD<f32>) -> f32 {
    (&a - &b).iter().fold(0.0, |largest, difference| largest.max(difference.abs()))
}
