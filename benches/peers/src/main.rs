//! birnn's GPU path beside burn's wgpu backend, in one process, on the same adapter, weights and
//! input.
//!
//!     cargo run --release                                    a table of eight shapes
//!     cargo run --release -- --shape 1,8,2,3 --cell lstm     one row of it
//!     cargo run --release -- --plot ../../target/gpu.svg     throughput against batch, timesteps
//!                                                            and units
//!     cargo run --release -- --without-burn --plot FILE      birnn's alone: on software adapters
//!                                                            burn tunes for minutes a shape
//!
//! Both get their input from host memory and bring all outputs back to it within the time that is
//! measured; both run some calls first (burn tunes its kernels in them), and the outputs are
//! compared before anything is measured. They take turns then, a call of the slower one and as long
//! of the other, and the medians are printed. burn picks the adapter, which
//! `CUBECL_WGPU_DEFAULT_DEVICE` overrides, and birnn opens the one of the same name.

mod engines;
mod plot;

use clap::Parser;
use engines::{Answer, Birnn, Burn, Cell, Engine, Shape, model};
use ndarray::Array3;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const SHAPES: [[usize; 4]; 8] = [
    [1, 8, 2, 3],
    [1, 256, 128, 128],
    [32, 100, 128, 128],
    [8, 400, 80, 512],
    [64, 50, 512, 512],
    [1, 1000, 256, 256],
    [16, 50, 512, 512],
    [4, 50, 1536, 1536],
];
/// The largest difference between the engines' outputs, all of which are between -1 and 1, but for
/// cell states.
const TOLERANCE: f32 = 1e-4;

#[derive(Debug, Parser)]
#[command(about = "Measures birnn's GPU path beside burn's wgpu backend")]
struct Arguments {
    /// BATCH,TIMESTEPS,FEATURES,UNITS; may be repeated.
    #[arg(long)]
    shape: Vec<Shape>,
    /// One cell only.
    #[arg(long)]
    cell: Option<Cell>,
    /// How long each engine is measured on a shape, at least three calls.
    #[arg(long, default_value_t = 4.0)]
    seconds: f64,
    /// Draw throughput against batch, timesteps and units into this SVG instead.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Measure birnn alone.
    #[arg(long)]
    without_burn: bool,
}

/// Both engines on one adapter.
struct Bench {
    burn: burn::tensor::Device,
    birnn: birnn::Device,
    seconds: f64,
    without_burn: bool,
}

/// The median times of a shape.
struct Times {
    birnn: Duration,
    /// Where it is measured: its time, and the largest difference between the outputs.
    burn: Option<(Duration, f32)>,
}

fn main() {
    let arguments = Arguments::parse();
    let (burn, setup) = burn::tensor::Device::wgpu_options().init_with_setup().expect("burn opens an adapter");
    let adapter = setup.adapter.get_info();
    let options = birnn::DeviceOptions::new().allow_software(true).named(&adapter.name);
    let birnn = options.open().expect("birnn opens the same adapter");
    println!(
        "burn 0.22, wgpu backend: {} ({:?}, {} {})",
        adapter.name, adapter.backend, adapter.driver, adapter.driver_info
    );
    println!("birnn: {}", birnn.info());
    assert_eq!(adapter.name, birnn.info().name, "both run on the same adapter");
    let Arguments { seconds, without_burn, .. } = arguments;
    let bench = Bench { burn, birnn, seconds, without_burn };
    match &arguments.plot {
        Some(path) => plot::draw(&bench, path).expect("the plot can be written"),
        None => table(&bench, &arguments),
    }
}

fn table(bench: &Bench, arguments: &Arguments) {
    let shapes = if arguments.shape.is_empty() { SHAPES.map(Shape).to_vec() } else { arguments.shape.clone() };
    let cells = arguments.cell.map_or(vec![Cell::Lstm, Cell::Gru], |cell| vec![cell]);
    println!("\n| layer | (batch, timesteps, features, units) | burn | birnn | ratio | largest difference |");
    println!("|---|---|---|---|---|---|");
    for cell in cells {
        for &shape in &shapes {
            let Times { birnn, burn } = bench.measure(cell, shape);
            let shown = |time: Duration| {
                format!("{} ms, {:.2} GFLOP/s", milliseconds(time), shape.flops(cell) / time.as_secs_f64() / 1e9)
            };
            let (burn, ratio, difference) = burn.map_or_else(Default::default, |(burn, difference)| {
                let ratio = burn.as_secs_f64() / birnn.as_secs_f64();
                (shown(burn), format!("{ratio:.1}"), format!("{difference:.1e}"))
            });
            println!("| {cell:?} | {shape} | {burn} | {} | {ratio} | {difference} |", shown(birnn));
        }
    }
}

fn milliseconds(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms >= 100.0 { format!("{ms:.0}") } else { format!("{ms:.3}") }
}

impl Bench {
    /// # Panics
    /// Where the engines' outputs differ.
    fn measure(&self, cell: Cell, shape: Shape) -> Times {
        let (model, x) = model(cell, shape);
        let mut birnn = Birnn::new(&self.birnn, &model);
        if self.without_burn {
            return Times { birnn: self.medians(&mut [&mut birnn], &x)[0], burn: None };
        }
        let mut burn = Burn::new(&self.burn, cell, shape, &model);
        let difference = difference(&birnn.run(&x), &burn.run(&x));
        assert!(difference < TOLERANCE, "{cell:?} {shape}: the outputs differ by {difference}");
        let medians = self.medians(&mut [&mut birnn, &mut burn], &x);
        Times { birnn: medians[0], burn: Some((medians[1], difference)) }
    }

    /// The median times of engines that take turns, each as long as a call of the slowest: what
    /// else the machine does meets all of them alike.
    fn medians(&self, engines: &mut [&mut dyn Engine], x: &Array3<f32>) -> Vec<Duration> {
        let second_call = |engine: &mut &mut dyn Engine| {
            drop(engine.run(x));
            timed(*engine, x)
        };
        let turn = engines.iter_mut().map(second_call).max().unwrap_or_default();
        let mut times = vec![Vec::new(); engines.len()];
        let (began, limit) = (Instant::now(), Duration::from_secs_f64(self.seconds * engines.len() as f64));
        while began.elapsed() < limit || times.iter().any(|times| times.len() < 3) {
            for (engine, times) in engines.iter_mut().zip(&mut times) {
                let began = Instant::now();
                while began.elapsed() < turn {
                    times.push(timed(*engine, x));
                }
            }
        }
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[times.len() / 2]
        };
        times.into_iter().map(median).collect()
    }
}

fn timed(engine: &mut dyn Engine, x: &Array3<f32>) -> Duration {
    let call = Instant::now();
    std::hint::black_box(engine.run(x));
    call.elapsed()
}

fn difference(found: &Answer, expected: &Answer) -> f32 {
    assert_eq!(found.len(), expected.len());
    let pairs = found.iter().zip(expected).flat_map(|(found, expected)| {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected)
    });
    // A difference that isn't a number is the largest.
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |most, d| if d > most || d.is_nan() { d } else { most })
}
