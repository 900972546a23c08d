//! Calls in flight: submitted one after the other, waited for in any order, dropped, lost.

use crate::device;
use birnn::{
    Bidirectional, Counters, Device, Error, GpuOptions, Lstm, Model, Outputs, Pending, Session,
};
use ndarray::{Array3, Axis, s};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Instant;

fn open() -> Option<Device> {
    device::open(device::options())
}

fn model() -> Model {
    let layer = Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true));
    Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap()
}

fn input(batch: usize, timesteps: usize, seed: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, 3), |(b, t, f)| {
        ((b * 31 + t * 7 + f + 101 * seed) as f32).sin()
    })
}

/// What each input gives when it runs alone.
fn alone(device: &Device, inputs: &[Array3<f32>]) -> Vec<Outputs> {
    let mut session = device.compile(&model()).unwrap();
    inputs.iter().map(|x| session.run(x.view()).unwrap()).collect()
}

#[test]
fn calls_in_flight_are_waited_for_in_any_order() {
    let devices = open().into_iter().chain([Device::cpu()]);
    for device in devices {
        let inputs: Vec<_> =
            (0..3 * Session::IN_FLIGHT).map(|i| input(1 + i % 5, 3 + i % 4, i)).collect();
        let expected = alone(&device, &inputs);
        let mut session = device.compile(&model()).unwrap();
        let pending: Vec<Pending> =
            inputs.iter().map(|x| session.submit(x.view()).unwrap()).collect();
        let mut session_is_free = || session.run(inputs[0].view()).unwrap();
        assert_eq!(session_is_free(), expected[0]);
        for (index, pending) in pending.into_iter().enumerate().rev() {
            let found = if index % 2 == 0 {
                pending.wait()
            } else {
                pollster::block_on(pending.into_future())
            };
            assert_eq!(found.unwrap(), expected[index], "call {index} on {}", device.info());
        }
    }
}

#[test]
fn calls_in_flight_create_nothing_once_their_buffers_are_there() {
    let Some(device) = open() else { return };
    let mut session = device.compile(&model()).unwrap();
    let x = input(6, 12, 0);
    for round in 0..3 {
        let mut pending = Vec::new();
        for _ in 0..Session::IN_FLIGHT {
            pending.push(session.submit(x.view()).unwrap());
            let Counters {
                buffers_created, bind_groups_created, pipelines_created, submits, ..
            } = session.counters();
            assert_eq!(submits, 1);
            if round > 0 {
                assert_eq!((buffers_created, bind_groups_created, pipelines_created), (0, 0, 0));
            }
        }
        pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    }
}

/// Compiles only where a task of an executor with several threads can hold them.
#[test]
fn calls_and_their_futures_can_go_to_another_thread() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    let mut session = send(Device::cpu().compile(&model()).unwrap());
    let x = input(1, 2, 0);
    let pending = send(session.submit(x.view()).unwrap());
    let expected = pollster::block_on(send(pending.into_future())).unwrap();
    assert_eq!(pollster::block_on(send(session.run_async(x.view()))).unwrap(), expected);
}

#[test]
fn a_call_outlives_its_session_and_goes_to_another_thread() {
    let Some(device) = open() else { return };
    let inputs = [input(4, 9, 1), input(2, 30, 2)];
    let expected = alone(&device, &inputs);
    let mut session = device.compile(&model()).unwrap();
    let [first, second] = inputs.each_ref().map(|x| session.submit(x.view()).unwrap());
    drop(session);
    let second = std::thread::spawn(move || second.wait());
    assert_eq!(first.wait().unwrap(), expected[0]);
    assert_eq!(second.join().unwrap().unwrap(), expected[1]);
}

#[test]
fn waiting_on_other_threads_while_more_is_submitted() {
    let Some(device) = open() else { return };
    let inputs: Vec<_> = (0..40).map(|i| input(1 + i % 3, 4 + i % 5, i)).collect();
    let expected = alone(&device, &inputs);
    let mut session = device.compile(&model()).unwrap();
    std::thread::scope(|scope| {
        for (index, (x, expected)) in inputs.iter().zip(&expected).enumerate() {
            let pending = session.submit(x.view()).unwrap();
            scope.spawn(move || {
                let found = if index % 2 == 0 {
                    pending.wait()
                } else {
                    pollster::block_on(pending.into_future())
                };
                assert_eq!(&found.unwrap(), expected, "call {index}");
            });
        }
    });
}

#[test]
fn dropped_calls_leave_the_session_usable() {
    let Some(device) = open() else { return };
    let x = input(4, 9, 0);
    let mut session = device.compile(&model()).unwrap();
    let expected = session.run(x.view()).unwrap();
    for seed in 0..3 * Session::IN_FLIGHT {
        drop(session.submit(input(4, 9, seed).view()).unwrap());
    }
    assert_eq!(session.run(x.view()).unwrap(), expected);
}

#[test]
fn giving_up_while_waiting_for_room_loses_nothing() {
    let Some(device) = open() else { return };
    let inputs: Vec<_> = (0..Session::IN_FLIGHT).map(|i| input(8, 500, i)).collect();
    let expected = alone(&device, &inputs);
    let mut session = device.compile(&model()).unwrap();
    let pending: Vec<_> = inputs.iter().map(|x| session.submit(x.view()).unwrap()).collect();
    let other = input(1, 2, 77);
    for _ in 0..3 {
        let mut future = pin!(session.run_async(other.view()));
        // Waits for the oldest call first; dropped in the middle of it.
        let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }
    for (index, pending) in pending.into_iter().enumerate() {
        assert_eq!(pending.wait().unwrap(), expected[index], "call {index}");
    }
    assert_eq!(session.run(other.view()).unwrap(), alone(&device, &[other])[0]);
}

#[test]
fn a_batch_in_more_parts_than_the_ring_has_sets() {
    let options = device::options().with_gpu(GpuOptions::new().memory_budget(2_000));
    let Some(device) = device::open(options) else { return };
    let inputs = [input(40, 6, 1), input(3, 5, 2), input(25, 6, 3)];
    let expected = alone(&open().unwrap(), &inputs);
    let mut session = device.compile(&model()).unwrap();
    let pending = inputs.each_ref().map(|x| session.submit(x.view()).unwrap());
    assert!(session.counters().submits > Session::IN_FLIGHT as u64);
    for (pending, expected) in pending.into_iter().zip(&expected) {
        assert_eq!(&pending.wait().unwrap(), expected);
    }
    assert_eq!(pollster::block_on(session.run_async(inputs[0].view())).unwrap(), expected[0]);
}

#[test]
fn states_are_carried_from_call_to_call_in_flight() {
    let devices = open().into_iter().chain([Device::cpu()]);
    for device in devices {
        let layer = Lstm::new(5).return_sequences(true).stateful(true);
        let model = Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap();
        let mut session = device.compile(&model).unwrap();
        let x = input(2, 24, 0);
        let whole = session.run(x.view()).unwrap();
        session.reset_states();
        // One of them is dropped, which changes nothing for the next.
        let pieces: Vec<_> = (0..8)
            .map(|i| session.submit(x.slice(s![.., 3 * i..3 * i + 3, ..])).unwrap())
            .collect();
        for (index, pending) in pieces.into_iter().enumerate().filter(|(index, _)| *index != 4) {
            let expected = whole.output().slice_axis(Axis(1), (3 * index..3 * index + 3).into());
            assert_eq!(
                pending.wait().unwrap().output(),
                expected,
                "piece {index} on {}",
                device.info()
            );
        }
    }
}

#[test]
fn a_device_lost_in_flight_is_an_error_of_every_call() {
    let Some(device) = open() else { return };
    let inputs: Vec<_> = (0..2 * Session::IN_FLIGHT).map(|i| input(4, 200, i)).collect();
    let expected = alone(&open().unwrap(), &inputs);
    let mut session = device.compile(&model()).unwrap();
    let pending: Vec<_> = inputs.iter().map(|x| session.submit(x.view()).unwrap()).collect();
    device.destroy();
    assert!(matches!(session.submit(inputs[0].view()), Err(Error::DeviceLost { .. })));
    for (index, pending) in pending.into_iter().enumerate() {
        // What came home before the loss is right; anything else is the typed error.
        match pending.wait() {
            Ok(outputs) => assert_eq!(outputs, expected[index]),
            Err(error) => assert!(matches!(error, Error::DeviceLost { .. }), "{error}"),
        }
    }
}

#[test]
fn the_gpu_times_a_call_where_it_is_asked_to() {
    let options = device::options().with_gpu(GpuOptions::new().gpu_time(true));
    let Some(device) = device::open(options) else { return };
    // A profile needs the driver's timestamps, too, and says where there are none.
    let profile = device.compile(&model()).unwrap().profile(input(1, 2, 0).view());
    let has_timestamps = match profile {
        Err(Error::Profile { reason, .. }) if reason.contains("no timestamps") => false,
        profile => profile.map(|_| true).unwrap(),
    };
    let mut session = device.compile(&model()).unwrap();
    assert_eq!(session.gpu_time(), None, "nothing ran");
    let x = input(8, 300, 0);
    for _ in 0..2 {
        let began = Instant::now();
        session.run(x.view()).unwrap();
        let wall = began.elapsed();
        if has_timestamps {
            let time = session.gpu_time().expect("the driver has timestamps");
            assert!(time.as_nanos() > 0 && time <= wall, "{time:?} of {wall:?}");
        } else {
            assert_eq!(session.gpu_time(), None);
        }
    }
    let mut session = open().unwrap().compile(&model()).unwrap();
    session.run(x.view()).unwrap();
    assert_eq!(session.gpu_time(), None);
}
