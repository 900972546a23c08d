//! Sessions on a GPU: calls that fail, profiles, and ways of running that autotune chooses.

#[cfg(feature = "autotune")]
use super::super::autotune::Cache;
use super::*;
use crate::device::{DeviceOptions, GpuOptions, WantedAdapter};
use crate::host;
use crate::layer::Lstm;
use ndarray::Array3;

/// A device with these options; `None` where there is no GPU.
fn device(options: &GpuOptions) -> Option<Arc<GpuDevice>> {
    let options = DeviceOptions::from(options.clone()).allow_software(true);
    match host::block_on(GpuDevice::open(&options, &WantedAdapter::Best)) {
        Ok(device) => Some(device.into()),
        Err(error) if std::env::var_os("BIRNN_REQUIRE_GPU").is_none() => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "NOT RUN: sessions on a GPU: {error}");
            None
        }
        Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
    }
}

fn compile(device: &Arc<GpuDevice>, model: &Model) -> GpuSession {
    host::block_on(GpuSession::new(model, device.clone())).unwrap()
}

fn run(session: &mut GpuSession, model: &Model, x: &Array3<f32>) -> Outputs {
    let inputs = model.bind(x.view().into()).unwrap();
    let run = async {
        match session.submit(model, &inputs, Wait::Blocking).await? {
            Started::InFlight(flight) => flight.outputs(Wait::Blocking).await,
            Started::Done(outputs) => Ok(outputs),
        }
    };
    host::block_on(run).unwrap()
}

/// No driver runs out of memory here when it is asked to: the work says that it failed.
#[test]
fn a_call_that_fails_on_the_device_takes_the_states_with_it() {
    let Some(gpu) = device(&GpuOptions::new()) else { return };
    let layer = Lstm::new(5).stateful(true);
    let model = Model::sequential(5, [layer]).and_then(|m| m.initialize(3)).unwrap();
    let x = Array3::from_shape_fn((2, 4, 5), |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin());
    let mut session = compile(&gpu, &model);
    let from_zeros = run(&mut session, &model, &x);
    assert_eq!(session.carried_batch(), Some(2));
    let failed = session.on_device(|_| Err::<(), _>(Error::Gpu("no memory".into())));
    assert!(host::block_on(failed).is_err());
    assert_eq!(session.carried_batch(), None);
    assert_eq!(run(&mut session, &model, &x), from_zeros);
    assert_eq!(session.carried_batch(), Some(2));
}

/// Nothing is run, and the session can be used.
#[test]
fn a_device_without_timestamps_says_that_it_cannot_be_profiled() {
    let Some(mut gpu) = device(&GpuOptions::new()) else { return };
    Arc::get_mut(&mut gpu).expect("nobody else has it").timestamps = false;
    let model = Model::sequential(5, [Lstm::new(5)]).and_then(|m| m.initialize(3)).unwrap();
    let x = Array3::<f32>::ones((2, 4, 5));
    let mut session = compile(&gpu, &model);
    let inputs = model.bind(x.view().into()).unwrap();
    let mut recorder = Recorder::new("a GPU".into()).unwrap();
    let profile = session.profile(&model, &inputs, Wait::Blocking, &mut recorder);
    let error = host::block_on(profile).unwrap_err();
    assert!(matches!(&error, Error::Profile { device, .. } if *device == gpu.info.name));
    assert!(error.to_string().contains("timestamps"), "{error}");
    run(&mut session, &model, &x);
}

#[cfg(feature = "autotune")]
fn models() -> Vec<Model> {
    use crate::layer::{Bidirectional, Gru, SimpleRnn};
    let layers = [
        Bidirectional::new(Lstm::new(37).return_sequences(true)),
        Bidirectional::new(Gru::new(37).return_sequences(true)),
        Bidirectional::new(Gru::new(37).reset_after(false).return_sequences(true)),
        Bidirectional::new(SimpleRnn::new(37).return_sequences(true)),
    ];
    layers
        .into_iter()
        .map(|layer| Model::sequential(5, [layer]).and_then(|m| m.initialize(3)).unwrap())
        .collect()
}

#[cfg(feature = "autotune")]
#[test]
fn the_fastest_way_is_remembered_and_every_way_gives_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = GpuOptions::new().autotune(true).autotune_file(folder.path().join("a.json"));
    let Some(gpu) = device(&options) else { return };
    for model in models() {
        for batch in [1, 3, 17] {
            let at = |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin();
            let x = Array3::from_shape_fn((batch, 9, 5), at);
            let exact = crate::reference::run(&model, x.mapv(f64::from).view()).unwrap();
            let check = || {
                let found = run(&mut compile(&gpu, &model), &model, &x);
                let pairs = found.output().iter().zip(exact.output());
                let worst = pairs.map(|(&f, &e)| (f64::from(f) - e).abs()).fold(0.0, f64::max);
                assert!(worst < 2e-6, "{worst} with {:?}", gpu.tuned());
            };
            let before = gpu.tuned();
            check();
            let found = gpu.tuned();
            assert_eq!(Cache::of(&options, &gpu.info).tuned(), &found, "the file has it");
            let (class, fastest) =
                found.iter().find(|(class, _)| !before.contains_key(*class)).expect("a new class");
            let graph = model.lower(&plain_call(&model, batch, 9).unwrap()).unwrap();
            let plan = plan(&graph, &gpu.limits, &found).unwrap();
            assert_eq!((&plan.choices[0].class, &plan.choices[0].name), (class, fastest));
            for name in &plan.choices[0].candidates {
                gpu.autotune().unwrap().remember(class.clone(), name.clone());
                check();
            }
            gpu.autotune().unwrap().remember(class.clone(), "no such way".into());
            check();
        }
    }
}
