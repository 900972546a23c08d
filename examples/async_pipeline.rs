//! Many batches: `submit` returns while the GPU computes, so several calls are in flight, and their
//! outputs are taken in order. Then the same batches with `run_async`, which leaves the thread free
//! while the GPU computes. Both work on the CPU path, too, which computes before it returns.
//!
//! `cargo run --release --example async_pipeline`

use birnn::{Bidirectional, Device, Gru, Model, Outputs, Pending, Session};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::collections::VecDeque;
use std::time::Instant;

const BATCHES: usize = 12;
const SHAPE: (usize, usize, usize) = (32, 50, 16); // batch, timesteps, features

fn main() -> birnn::Result<()> {
    let layer = Bidirectional::new(Gru::new(32).return_sequences(true));
    let model = Model::sequential(SHAPE.2, [layer])?.initialize(1)?;
    let mut session = Device::best()?.compile(&model)?;
    println!("Device: {}", session.device_info());

    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut batch = || Array3::from_shape_simple_fn(SHAPE, || rng.random_range(-1.0f32..1.0));
    let batches: Vec<Array3<f32>> = (0..BATCHES).map(|_| batch()).collect();
    session.run(batches[0].view())?; // the first call of a shape makes kernels and buffers

    let start = Instant::now();
    let submitted = with_submit(&mut session, &batches)?;
    println!("submit and wait: {BATCHES} batches in {:.1?}", start.elapsed());

    // Any executor does; pollster's block_on is the smallest.
    let start = Instant::now();
    let awaited = pollster::block_on(with_run_async(&mut session, &batches))?;
    println!("run_async: {BATCHES} batches in {:.1?}", start.elapsed());

    println!("means of the outputs: {submitted:.4?}");
    println!("both ways give the same: {}", submitted == awaited);
    Ok(())
}

fn with_submit(session: &mut Session, batches: &[Array3<f32>]) -> birnn::Result<Vec<f32>> {
    let mut means = Vec::new();
    let mut in_flight: VecDeque<Pending> = VecDeque::new();
    for x in batches {
        // Only so many calls have buffers; a further submit would itself wait for the oldest.
        if in_flight.len() == Session::IN_FLIGHT
            && let Some(oldest) = in_flight.pop_front()
        {
            means.push(take(session, oldest.wait()?));
        }
        in_flight.push_back(session.submit(x.view())?); // x is copied: it can change now
    }
    for pending in in_flight {
        means.push(take(session, pending.wait()?));
    }
    Ok(means)
}

async fn with_run_async(session: &mut Session, batches: &[Array3<f32>]) -> birnn::Result<Vec<f32>> {
    let mut means = Vec::new();
    for x in batches {
        let outputs = session.run_async(x.view()).await?;
        means.push(take(session, outputs));
    }
    Ok(means)
}

/// What is wanted of the outputs. Then the next call can write into their arrays: for outputs of
/// megabytes new memory can take longer than the GPU's work.
fn take(session: &mut Session, outputs: Outputs) -> f32 {
    let mean = outputs.output().mean().unwrap_or(f32::NAN);
    session.recycle(outputs);
    mean
}
