//! Many threads, many calls: the numbers are those of one call alone, and memory stays flat.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::{
    Bidirectional, Dense, Device, DeviceInfo, DeviceOptions, Error, Gru, Inputs, Layer, Lstm,
    Model, Outputs, Session, SimpleRnn,
};
use ndarray::Array3;
use std::time::Instant;

/// What goes from thread to thread, and what several threads may use at once. Doesn't have to run
/// to fail.
#[test]
fn types_cross_threads() {
    fn send<T: Send>() {}
    fn sync<T: Send + Sync>() {}
    sync::<Device>();
    sync::<DeviceInfo>();
    sync::<DeviceOptions>();
    sync::<Error>();
    sync::<Inputs>();
    sync::<Model>();
    sync::<Outputs>();
    send::<Session>(); // a call needs it alone: `&mut self`
    fn future<'a>(session: &'a mut Session, x: &'a Array3<f32>) -> impl Future + Send + 'a {
        session.run_async(x.view())
    }
    let _ = future;
}

fn devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut devices = vec![Device::cpu()];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

fn models() -> Vec<Model> {
    let lists: [Vec<Layer>; 3] = [
        vec![Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true)).into()],
        vec![
            Gru::new(6).return_sequences(true).into(),
            Bidirectional::new(Gru::new(3)).into(),
            Dense::new(4).into(),
        ],
        vec![SimpleRnn::new(7).go_backwards(true).into()],
    ];
    lists
        .into_iter()
        .map(|layers| Model::sequential(3, layers).unwrap().initialize(9).unwrap())
        .collect()
}

const SHAPES: [(usize, usize); 5] = [(1, 1), (1, 5), (3, 2), (5, 4), (2, 7)];

fn input(call: usize) -> Array3<f32> {
    let (batch, timesteps) = SHAPES[call % SHAPES.len()];
    Array3::from_shape_fn((batch, timesteps, 3), |(b, t, f)| {
        ((call % 15 * 31 + b * 7 + t * 3 + f) as f32).sin()
    })
}

/// A number from the environment, for longer runs than CI has time for.
fn times(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(usual)
}

/// Sixteen threads, a thousand calls each, on one device: bit for bit what each call returns alone.
#[test]
fn sixteen_threads_on_one_device_compute_what_one_does() {
    let calls = times("BIRNN_LOAD_CALLS", 1000);
    for device in devices() {
        let start = Instant::now();
        let models = models();
        let alone: Vec<Vec<Outputs>> = models
            .iter()
            .map(|model| {
                let mut session = device.compile(model).unwrap();
                (0..15).map(|call| session.run(input(call).view()).unwrap()).collect()
            })
            .collect();
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let (device, models, alone) = (&device, &models, &alone);
                scope.spawn(move || {
                    let index = thread % models.len();
                    let mut session = device.compile(&models[index]).unwrap();
                    for call in 0..calls {
                        let call = (call * 7 + thread) % 15;
                        let found = session.run(input(call).view()).unwrap();
                        assert!(found == alone[index][call], "thread {thread}, call {call}");
                    }
                });
            }
        });
        println!("{}: 16 threads of {calls} calls in {:?}", device.info().name, start.elapsed());
    }
}

/// Sessions that go to another thread between calls, and back.
#[test]
fn a_session_moves_between_threads() {
    for device in devices() {
        let model = &models()[0];
        let mut session = device.compile(model).unwrap();
        let expected = session.run(input(3).view()).unwrap();
        for _ in 0..10 {
            let (back, found) = std::thread::spawn(move || {
                let found = session.run(input(3).view()).unwrap();
                (session, found)
            })
            .join()
            .unwrap();
            assert_eq!(found, expected);
            session = back;
        }
    }
}

/// The memory of this process, in KiB; `None` where the system doesn't tell.
fn memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}

/// How many threads of this process have that name; `None` where the system doesn't tell.
fn threads_called(name: &str) -> Option<usize> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let names =
        tasks.flatten().filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    Some(names.filter(|found| found.trim() == name).count())
}

/// Runs in a process of its own, so that nothing else takes memory meanwhile: the test below starts
/// it.
#[test]
#[ignore = "started by memory_stays_flat"]
fn soak() {
    let calls = times("BIRNN_SOAK_CALLS", 4000);
    for device in devices() {
        let model = &models()[1];
        let mut session = device.compile(model).unwrap();
        let mut after_warm_up = None;
        for call in 0..calls {
            session.run(input(call).view()).unwrap();
            if call >= 20 {
                assert_eq!(session.counters().buffers_created, 0, "call {call}");
            }
            if call == calls / 4 {
                after_warm_up = memory();
            }
        }
        // Sessions come and go, too, some without a call, and so do futures that nobody waits for.
        for _ in 0..calls / 20 {
            drop(device.compile(model).unwrap());
        }
        for round in 0..calls / 20 {
            let mut short = device.compile(model).unwrap();
            let x = input(round);
            drop(short.submit(x.view()).unwrap());
            let mut future = std::pin::pin!(short.run_async(x.view()));
            let _ =
                future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        }
        if let Some(waiting) = threads_called("birnn-poll") {
            assert!(waiting <= 1, "{waiting} threads wait for {}", device.info().name);
        }
        if let (Some(before), Some(after)) = (after_warm_up, memory()) {
            println!("{}: {calls} calls, from {before} to {after} KiB", device.info().name);
            assert!(
                after < before + 16 * 1024,
                "{}: from {before} to {after} KiB",
                device.info().name
            );
        }
    }
}

#[test]
fn memory_stays_flat() {
    let program = std::env::current_exe().unwrap();
    let run = std::process::Command::new(program)
        .args(["--ignored", "--exact", "load::soak", "--nocapture"])
        .output()
        .unwrap();
    print!("{}", String::from_utf8_lossy(&run.stdout));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
