//! birnn's calls beside plain tiled matmuls of the same sizes on the same adapter: what a step's
//! matmul alone takes, without gates, activations, masks and states.
//!
//!     cargo bench --bench matmul                   all shapes
//!     cargo bench --bench matmul -- lstm/32,100    those whose name contains it
//!
//! The matmuls are `matmul.wgsl`: of both directions at once, `[batch·timesteps,
//! features]·[features, gates·units]`, then for each timestep `[batch, units]·[units, gates·units]`
//! in a dispatch of its own, after the last. The fastest of four cuts counts, and is checked
//! against a sum on the CPU. Both sides run all their work in one go and are timed from their first
//! kernel to their last, by the GPU's timestamps where it has them.
//!
//! `BIRNN_DEVICE` picks another adapter; a software adapter runs where there is no other.

use birnn::{Bidirectional, Device, DeviceOptions, GpuOptions, Gru, Layer, Lstm, Model};
use ndarray::Array3;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};
use wgpu::util::{BufferInitDescriptor, DeviceExt};

/// (batch, timesteps, features, units)
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
/// The rows and the columns of an invocation.
const CUTS: [[u32; 2]; 4] = [[1, 1], [1, 4], [4, 1], [4, 4]];
/// GPUs that idled take some tenths of a second to come to speed.
const WARM_UP: Duration = Duration::from_millis(300);
const MEASURED: Duration = Duration::from_millis(300);

fn open() -> birnn::Result<Device> {
    let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
    let options = DeviceOptions::new().allow_software(true);
    let options = options.with_gpu(GpuOptions::new().gpu_time(true));
    let options = if wanted.is_empty() { options.gpu() } else { options.parse(&wanted) };
    options.open()
}

fn layer(cell: &str, units: usize) -> Layer {
    match cell {
        "lstm" => Bidirectional::new(Lstm::new(units).return_sequences(true)).into(),
        _ => Bidirectional::new(Gru::new(units).return_sequences(true)).into(),
    }
}

/// The median time of a call, as `run` measures it.
fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let began = Instant::now();
    while began.elapsed() < WARM_UP {
        run();
    }
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.len() < 3 || began.elapsed() < MEASURED {
        times.push(run());
    }
    times.sort();
    times[times.len() / 2]
}

/// Plain matmuls on an adapter.
struct Plain {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Timestamps, where the adapter has them.
    timer: Option<wgpu::QuerySet>,
}

/// Matrices of both directions.
struct Matmul {
    m: usize,
    n: usize,
    k: usize,
}

/// A dispatch ready to go.
struct Ready {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    workgroups: [u32; 3],
    c: wgpu::Buffer,
    /// What the first number of `c` is.
    expected: f32,
}

impl Plain {
    fn open(name: &str) -> Plain {
        let instance = wgpu::Instance::default();
        let adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
        let adapter = adapters
            .into_iter()
            .find(|adapter| adapter.get_info().name == name)
            .expect("birnn's adapter");
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: adapter.limits(),
            required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
        let timed = device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let timer = timed.then(|| {
            let (ty, count) = (wgpu::QueryType::Timestamp, 2);
            device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty, count })
        });
        Plain { device, queue, timer }
    }

    fn ready(&self, Matmul { m, n, k }: &Matmul, [tm, tn]: [u32; 2]) -> Ready {
        let source = format!(
            "const TM: u32 = {tm}u;\nconst TN: u32 = {tn}u;\n{}",
            include_str!("matmul.wgsl")
        );
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: None,
            source: wgpu::ShaderSource::Wgsl(source.into()),
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: None,
            module: &module,
            entry_point: Some("matmul"),
            compilation_options: Default::default(),
            cache: None,
        });
        let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
        let mut random =
            |len: usize| (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
        let (a, b) = (random(2 * m * k), random(2 * k * n));
        let expected = (0..*k).map(|i| a[i] * b[i * n]).sum();
        let shape = [*m as u32, *n as u32, *k as u32, 0];
        let usage = wgpu::BufferUsages::STORAGE;
        let buffer = |contents, usage| {
            self.device.create_buffer_init(&BufferInitDescriptor { label: None, contents, usage })
        };
        let c = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * (2 * m * n) as u64,
            usage: usage | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        let buffers = [
            buffer(bytemuck::cast_slice(&shape), wgpu::BufferUsages::UNIFORM),
            buffer(bytemuck::cast_slice(&a), usage),
            buffer(bytemuck::cast_slice(&b), usage),
            c.clone(),
        ];
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(i, buffer)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: buffer.as_entire_binding(),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let workgroups = [(*n as u32).div_ceil(16 * tn), (*m as u32).div_ceil(16 * tm), 2];
        Ready { pipeline, bindings, workgroups, c, expected }
    }

    /// Runs a dispatch so often, each after the last.
    fn run(&self, ready: &Ready, times: usize) -> Duration {
        let began = Instant::now();
        let mut encoder = self.device.create_command_encoder(&Default::default());
        let timestamp_writes =
            self.timer.as_ref().map(|query_set| wgpu::ComputePassTimestampWrites {
                query_set,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            });
        let mut pass = encoder
            .begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
        pass.set_pipeline(&ready.pipeline);
        pass.set_bind_group(0, &ready.bindings, &[]);
        for _ in 0..times {
            let [x, y, z] = ready.workgroups;
            pass.dispatch_workgroups(x, y, z);
        }
        drop(pass);
        let resolved = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        if let Some(timer) = &self.timer {
            encoder.resolve_query_set(timer, 0..2, &resolved, 0);
        }
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the GPU is done");
        let took = began.elapsed();
        if self.timer.is_none() {
            return took;
        }
        let [first, last] = self.read::<u64>(&resolved);
        Duration::from_nanos(
            ((last - first) as f64 * f64::from(self.queue.get_timestamp_period())) as u64,
        )
    }

    /// The first 16 bytes of a buffer.
    fn read<T: bytemuck::Pod>(&self, buffer: &wgpu::Buffer) -> [T; 2] {
        let descriptor = wgpu::BufferDescriptor {
            label: None,
            size: 16,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        };
        let home = self.device.create_buffer(&descriptor);
        let mut encoder = self.device.create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &home, 0, 16);
        self.queue.submit([encoder.finish()]);
        home.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the GPU is done");
        let view = home.get_mapped_range(..).expect("mapped");
        let values: &[T] = bytemuck::cast_slice(&view);
        [values[0], values[1]]
    }

    fn check(&self, ready: &Ready) {
        let [found, _] = self.read::<f32>(&ready.c);
        assert!((found - ready.expected).abs() < 1e-3, "{found}, not {}", ready.expected);
    }

    /// The fastest cut of the projection and of the steps.
    fn time(
        &self,
        batch: usize,
        timesteps: usize,
        features: usize,
        columns: usize,
        units: usize,
    ) -> Duration {
        let matmuls = [
            (Matmul { m: batch * timesteps, n: columns, k: features }, 1),
            (Matmul { m: batch, n: columns, k: units }, timesteps),
        ];
        matmuls.iter().fold(Duration::ZERO, |sum, (matmul, times)| {
            let cuts = CUTS.iter().map(|&cut| {
                let ready = self.ready(matmul, cut);
                let time = median(|| self.run(&ready, *times));
                self.check(&ready);
                time
            });
            sum + cuts.min().unwrap_or_default()
        })
    }
}

fn main() -> birnn::Result<()> {
    let wanted =
        std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let device = open()?;
    println!("{}", device.info());
    println!(
        "| layer | birnn's call | of it the GPU | plain matmuls | birnn's GPU time / plain \
         matmuls |"
    );
    println!("|---|---|---|---|---|");
    let plain = Plain::open(&device.info().name);
    for (cell, gates) in [("lstm", 4), ("gru", 3)] {
        for [batch, timesteps, features, units] in SHAPES {
            let name = format!("{cell}/{batch},{timesteps},{features},{units}");
            if !name.contains(&wanted) {
                continue;
            }
            let model = Model::sequential(features, [layer(cell, units)])?.initialize(1)?;
            let mut session = device.compile(&model)?;
            let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
            let x = Array3::from_shape_simple_fn((batch, timesteps, features), || {
                rng.random_range(-1.0f32..1.0)
            });
            session.run(x.view())?;
            let mut gpu = Vec::new();
            let call = median(|| {
                let began = Instant::now();
                let outputs = session.run(x.view()).expect("it ran before");
                let time = began.elapsed();
                gpu.push(session.gpu_time().unwrap_or(time));
                session.recycle(outputs);
                time
            });
            gpu.sort();
            let gpu = gpu[gpu.len() / 2];
            let matmuls = plain.time(batch, timesteps, features, gates * units, units);
            let ratio = gpu.as_secs_f64() / matmuls.as_secs_f64();
            println!("| {name} | {call:.2?} | {gpu:.2?} | {matmuls:.2?} | {ratio:.2} |");
        }
    }
    Ok(())
}
