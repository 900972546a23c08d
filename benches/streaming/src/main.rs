//! birnn's part of `run.sh` beside this crate: a stateful layer and a Dense, called again and
//! again.
//!
//!     streaming CELL UNITS WEIGHTS INPUT SECONDS
//!
//! prints the outputs of the first 256 timesteps from zero states, one timestep a call, and then
//! for calls of one timestep and of 64 the median time of a timestep, the 99th percentile, and the
//! number of calls, in nanoseconds. The time of asking the clock is in them.

use birnn::{Dense, Device, DeviceOptions, Gru, Layer, Lstm, Model, Session};
use ndarray::{Array3, ArrayD};
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

/// The timesteps whose outputs are printed.
const COMPARED: usize = 256;
/// The most calls that are timed.
const MOST_CALLS: usize = 1 << 22;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [cell, units, weights, input, seconds] = &arguments[..] else {
        return Err("streaming CELL UNITS WEIGHTS INPUT SECONDS".into());
    };
    let (units, seconds) = (units.parse()?, seconds.parse()?);
    let mut session = session(cell, units, read(weights.as_ref())?)?;
    let input = read(input.as_ref())?;
    let (mut x, mut y) = (Array3::zeros((1, 1, 1)), Array3::zeros((1, 1, 1)));
    print!("outputs");
    for &value in &input[..COMPARED] {
        x.fill(value);
        session.run_into(x.view(), &mut y)?;
        print!(" {}", y[[0, 0, 0]]);
    }
    println!();
    for (what, timesteps) in [("one", 1), ("step", 64)] {
        let times = measure(&mut session, &input, timesteps, seconds)?;
        let at = |part: usize| times[times.len() * part / 100];
        println!("{what} {:.1} {:.1} {}", at(50), at(99), times.len());
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect())
}

/// The weights stand one after another: kernel, recurrent kernel and bias of the layer, kernel and
/// bias of the Dense.
fn session(cell: &str, units: usize, weights: Vec<f32>) -> Result<Session, Box<dyn Error>> {
    let (layer, columns, biases): (Layer, usize, &[usize]) = match cell {
        "lstm" => (Lstm::new(units).return_sequences(true).stateful(true).into(), 4 * units, &[]),
        "gru" => (Gru::new(units).return_sequences(true).stateful(true).into(), 3 * units, &[2]),
        other => return Err(format!("{other} is neither lstm nor gru").into()),
    };
    let layer = layer.named("layer");
    let dense = Layer::from(Dense::new(1)).named("dense");
    let mut model = Model::sequential(1, [layer, dense])?;
    let mut rest = weights.into_iter();
    let mut take = |shape: &[usize]| {
        let values = rest.by_ref().take(shape.iter().product()).collect();
        ArrayD::from_shape_vec(shape, values)
    };
    let bias = [biases, &[columns]].concat();
    let of_layer = [take(&[1, columns])?, take(&[units, columns])?, take(&bias)?];
    model.set_weights("layer", of_layer)?;
    model.set_weights("dense", [take(&[units, 1])?, take(&[1])?])?;
    let device: Device = DeviceOptions::new().cpu().open()?;
    Ok(device.compile(&model)?)
}

/// The time of a timestep in calls of so many, in nanoseconds, in order.
fn measure(
    session: &mut Session,
    input: &[f32],
    timesteps: usize,
    seconds: f64,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let pieces = input
        .chunks_exact(timesteps)
        .map(|piece| Array3::from_shape_vec((1, timesteps, 1), piece.to_vec()));
    let pieces = pieces.collect::<Result<Vec<_>, _>>()?;
    let mut y = Array3::zeros((1, timesteps, 1));
    let mut times = Vec::with_capacity(MOST_CALLS);
    let (start, length) = (Instant::now(), Duration::from_secs_f64(seconds));
    while start.elapsed() < length && times.len() < MOST_CALLS {
        for piece in pieces.iter().cycle().skip(times.len() % pieces.len()).take(64) {
            let before = Instant::now();
            session.run_into(piece.view(), &mut y)?;
            times.push(before.elapsed().as_nanos() as f64 / timesteps as f64);
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
