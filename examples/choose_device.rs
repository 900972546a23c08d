//! Which devices there are, how to open one of them, and that they agree: lists the adapters, opens
//! the best device, the CPU path on one thread and on all, and an adapter by its name (or part of
//! it), and runs the same model on each.
//!
//! `cargo run --release --example choose_device [NAME]`

use birnn::{Bidirectional, CpuOptions, Device, DeviceOptions, Lstm, Model};
use ndarray::{Array3, ArrayD};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::time::Instant;

fn main() -> birnn::Result<()> {
    let adapters = Device::adapters();
    println!("Adapters, best first: {}", adapters.len());
    for adapter in &adapters {
        let verdict = adapter.unusable.as_deref().unwrap_or("can be used");
        println!("  {}: {verdict}", adapter.info);
    }

    let one_thread = DeviceOptions::from(CpuOptions::new().threads(1));
    let mut devices = vec![
        // Reads BIRNN_DEVICE and BIRNN_ALLOW_SOFTWARE, too; without a GPU it is the CPU path.
        ("Device::best".to_string(), Device::best()),
        ("the CPU path on all cores".to_string(), Ok(Device::cpu())),
        // One thread, where the other cores have work of their own.
        ("the CPU path on one thread".to_string(), one_thread.open()),
    ];
    let usable = adapters.iter().find(|adapter| adapter.unusable.is_none());
    let first = || usable.map(|adapter| adapter.info.name.clone());
    let given = std::env::args_os().nth(1).map(|name| name.to_string_lossy().into_owned());
    if let Some(name) = given.or_else(first) {
        // By its name an adapter that computes on the CPU, such as lavapipe, can be had, too.
        devices.push((format!("the adapter named {name:?}"), Device::named(&name)));
    }

    let layer = Bidirectional::new(Lstm::new(32).return_sequences(true));
    let model = Model::sequential(8, [layer])?.initialize(5)?;
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let x = Array3::from_shape_simple_fn((4, 30, 8), || rng.random_range(-1.0f32..1.0));
    let expected = Device::cpu().compile(&model)?.run(x.view())?;

    let mut largest = 0.0f32;
    for (wanted, device) in devices {
        // A device that isn't there shouldn't keep the others from running.
        let device = match device {
            Ok(device) => device,
            Err(error) => {
                println!("\n{wanted}: {error}");
                continue;
            }
        };
        println!("\n{wanted}: {}\n  why: {}", device.info(), device.info().reason);
        let mut session = device.compile(&model)?;
        session.run(x.view())?; // the first call makes kernels and buffers
        let start = Instant::now();
        let outputs = session.run(x.view())?;
        let took = start.elapsed();
        let difference = largest_difference(outputs.output(), expected.output());
        println!("  {took:.1?}, at most {difference:.1e} from the CPU path");
        largest = largest.max(difference);
    }
    println!("\nAll devices agree: {}", largest < 1e-5);
    Ok(())
}

fn largest_difference(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    (a - b).iter().fold(0.0, |largest, difference| largest.max(difference.abs()))
}
