//! A device that is lost: what fails, what goes on, and that the numbers are right.

use crate::device;
use birnn::{
    Bidirectional, Device, DeviceKind, DeviceOptions, Error, GpuOptions, Gru, Lstm, Model, Outputs,
    SimpleRnn,
};
use ndarray::{Array3, s};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

fn open() -> Option<Device> {
    device::open(device::options())
}

fn model() -> Model {
    let layer = Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true));
    Model::sequential(3, [layer]).and_then(|m| m.initialize(9)).unwrap()
}

fn input(batch: usize, timesteps: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, 3), |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin())
}

fn close(a: &Outputs, b: &Outputs) -> bool {
    a.list()
        .iter()
        .zip(b.list())
        .all(|(a, b)| a.array.iter().zip(&b.array).all(|(a, b)| (a - b).abs() < 2e-6))
}

#[test]
fn a_session_goes_on_on_the_same_adapter() {
    let Some(first) = open() else { return };
    let (x, name) = (input(4, 9), first.info().name.clone());
    let mut session = first.compile(&model()).unwrap();
    session.recover_with([device::options()]);
    let expected = session.run(x.view()).unwrap();
    for _ in 0..3 {
        first.destroy();
        assert_eq!(session.run(x.view()).unwrap(), expected, "bit for bit: it is the same adapter");
        assert_eq!(session.device_info().name, name);
    }
    let asynchronous = pollster::block_on(session.run_async(x.view())).unwrap();
    assert_eq!(asynchronous, expected);
    // The others of the lost device are as before.
    assert!(matches!(first.compile(&model()), Err(Error::DeviceLost { .. })));
}

#[test]
fn a_session_goes_on_on_the_cpu_path() {
    let Some(first) = open() else { return };
    let x = input(4, 9);
    let mut session = first.compile(&model()).unwrap();
    let expected = session.run(x.view()).unwrap();
    // The first one asked for isn't there.
    session
        .recover_with([DeviceOptions::new().named("no such adapter"), DeviceOptions::new().cpu()]);
    first.destroy();
    let found = pollster::block_on(session.run_async(x.view())).unwrap();
    assert!(close(&found, &expected));
    assert_eq!(session.device_info().kind, DeviceKind::Cpu);
    assert!(close(&session.run(x.view()).unwrap(), &expected));
}

/// Lost while the GPU works on the call.
#[test]
fn a_device_lost_in_the_middle_of_a_call_is_made_up_for() {
    let Some(first) = open() else { return };
    let x = input(8, 2_000);
    let mut session = first.compile(&model()).unwrap();
    let expected = session.run(x.view()).unwrap();
    session.recover_with([device::options()]);
    let mut future = pin!(session.run_async(x.view()));
    assert!(future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    first.destroy();
    assert_eq!(pollster::block_on(future).unwrap(), expected);
}

#[test]
fn where_no_device_takes_over_the_error_says_so() {
    let Some(first) = open() else { return };
    let x = input(4, 9);
    let mut session = first.compile(&model()).unwrap();
    session.recover_with([DeviceOptions::new().named("no such adapter")]);
    first.destroy();
    for _ in 0..2 {
        match session.run(x.view()) {
            Err(Error::DeviceLost { reason }) => {
                assert!(reason.contains("no such adapter"), "{reason}")
            }
            other => panic!("{other:?}"),
        }
    }
    session.rebuild(&Device::cpu()).unwrap();
    assert!(session.run(x.view()).is_ok());
}

/// The result would be another one: so it is an error, and the session starts from zeros.
#[test]
fn lost_states_are_said() {
    let Some(first) = open() else { return };
    let layers = [Gru::new(6).return_sequences(true).stateful(true), Gru::new(3).stateful(true)];
    let model = Model::sequential(3, layers).and_then(|m| m.initialize(9)).unwrap();
    let x = input(2, 12);
    let (start, rest) = (x.slice(s![.., ..6, ..]), x.slice(s![.., 6.., ..]));
    let mut session = first.compile(&model).unwrap();
    let from_zeros = session.run(start).unwrap();
    let expected = session.run(rest).unwrap();

    let second = open().unwrap();
    let mut session = second.compile(&model).unwrap();
    session.recover_with([device::options()]);
    second.destroy();
    // Nothing is lost yet.
    assert_eq!(session.run(start).unwrap(), from_zeros);
    let third = open().unwrap();
    session.rebuild(&third).unwrap();
    session.run(start).unwrap();
    third.destroy();
    match session.run(rest) {
        Err(Error::DeviceLost { reason }) => assert!(reason.contains("states"), "{reason}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(session.run(start).unwrap(), from_zeros);
    assert_eq!(session.run(rest).unwrap(), expected);
}

#[test]
fn a_session_moves_to_another_device() {
    let Some(gpu) = open() else { return };
    let x = input(4, 9);
    let mut session = gpu.compile(&model()).unwrap();
    let expected = session.run(x.view()).unwrap();
    session.rebuild(&Device::cpu()).unwrap();
    assert!(close(&session.run(x.view()).unwrap(), &expected));
    session.rebuild(&gpu).unwrap();
    assert_eq!(session.run(x.view()).unwrap(), expected);
    // A device that is lost takes nothing, and the session stays where it is.
    let lost = open().unwrap();
    lost.destroy();
    assert!(matches!(session.rebuild(&lost), Err(Error::DeviceLost { .. })));
    assert_eq!(session.run(x.view()).unwrap(), expected);
}

/// Destroyed under the hands of several threads: each call is right or says that the device is
/// lost.
#[test]
fn threads_see_the_loss_or_the_right_numbers() {
    let Some(device) = open() else { return };
    let x = input(3, 40);
    let model = Model::sequential(3, [SimpleRnn::new(8)]).and_then(|m| m.initialize(9)).unwrap();
    let expected = device.compile(&model).unwrap().run(x.view()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (device, model, x, expected) = (&device, &model, &x, &expected);
            scope.spawn(move || {
                let mut session = match device.compile(model) {
                    Ok(session) => session,
                    Err(Error::DeviceLost { .. }) => return,
                    Err(other) => panic!("{other}"),
                };
                for call in 0..200 {
                    if thread == 0 && call == 50 {
                        device.destroy();
                    }
                    match session.run(x.view()) {
                        Ok(found) => assert_eq!(&found, expected),
                        Err(Error::DeviceLost { .. }) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
    });
}

/// A first call that fails decides no batch, and one that fails before it has begun takes no
/// states.
#[test]
fn a_call_that_fails_leaves_the_states_as_they_were() {
    let model = Model::sequential(3, [Gru::new(3).stateful(true)]);
    let model = model.and_then(|m| m.initialize(9)).unwrap();
    let options = device::options().with_gpu(GpuOptions::new().memory_budget(4_000));
    let Some(gpu) = device::open(options) else { return };
    for device in [&gpu, &Device::cpu(), &Device::reference()] {
        let mut session = device.compile(&model).unwrap();
        if device.info().kind != DeviceKind::Cpu {
            // More rows than its memory has room for.
            let error = session.run(input(1000, 4).view()).unwrap_err();
            assert!(matches!(error, Error::Limit { .. }), "{error}");
        }
        let x = input(2, 8);
        let first = session.run(x.slice(s![.., ..4, ..])).unwrap();
        let error = session.run(input(3, 4).view()).unwrap_err();
        assert!(matches!(error, Error::StatefulBatch { found: 3, expected: 2 }), "{error}");
        let second = session.run(x.slice(s![.., 4.., ..])).unwrap();
        session.reset_states();
        assert_eq!(session.run(x.slice(s![.., ..4, ..])).unwrap(), first);
        session.reset_states();
        let whole = session.run(x.view()).unwrap();
        assert!(close(&whole, &second), "the second call went on from the states of the first");
        session.reset_states();
        assert_eq!(session.run(input(3, 4).view()).unwrap().output().shape(), [3, 3]);
    }
}

#[test]
fn everything_is_there_without_blocking() {
    let Some(gpu) = open() else { return };
    let (x, model) = (input(4, 9), model());
    let expected = gpu.compile(&model).unwrap().run(x.view()).unwrap();
    pollster::block_on(async {
        let device = device::options().open_async().await?;
        assert_eq!(device.info().name, gpu.info().name);
        let mut session = device.compile_async(&model).await?;
        let (first, second) =
            (session.submit_async(x.view()).await?, session.submit_async(x.view()).await?);
        assert_eq!((second.await?, first.await?), (expected.clone(), expected.clone()));
        session.rebuild_async(&Device::reference()).await?;
        assert!(close(&session.run_async(x.view()).await?, &expected));
        assert_eq!(session.device_info().name, "reference");
        let adapters = Device::adapters_async().await;
        assert!(adapters.iter().any(|adapter| adapter.info.name == gpu.info().name));
        Ok::<(), Error>(())
    })
    .unwrap();
}
