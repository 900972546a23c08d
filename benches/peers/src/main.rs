//! birnn's GPU path beside burn's wgpu backend, in one process, on the same adapter, weights and input.
//!
//!     cargo run --release                          the table of the README's section Speed
//!     cargo run --release -- --shape 1,8,2,3 --cell lstm
//!     cargo run --release -- --plot ../../docs/SPEED.svg    throughput against batch, timesteps and units
//!     cargo run --release -- --without-burn --plot ...      birnn's alone: on software adapters burn tunes for minutes a shape
//!
//! Both get their input from host memory and bring all outputs back to it within the time that is measured; both run
//! some calls first (burn tunes its kernels in them), and the outputs are compared before anything is measured. burn
//! picks the adapter, which `CUBECL_WGPU_DEFAULT_DEVICE` overrides, and birnn opens the one of the same name.

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
/// The largest difference between the engines' outputs, all of which are between -1 and 1, but for cell states.
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
            return Times { birnn: self.median(&mut birnn, &x), burn: None };
        }
        let mut burn = Burn::new(&self.burn, cell, shape, &model);
        let difference = difference(&birnn.run(&x), &burn.run(&x));
        assert!(difference < TOLERANCE, "{cell:?} {shape}: the outputs differ by {difference}");
        let birnn = self.median(&mut birnn, &x);
        Times { birnn, burn: Some((self.median(&mut burn, &x), difference)) }
    }

    fn median(&self, engine: &mut dyn Engine, x: &Array3<f32>) -> Duration {
        (0..2).for_each(|_| drop(engine.run(x)));
        let (began, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || (began.elapsed().as_secs_f64() < self.seconds && times.len() < 1000) {
            let call = Instant::now();
            std::hint::black_box(engine.run(x));
            times.push(call.elapsed());
        }
        times.sort();
        times[times.len() / 2]
    }
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
