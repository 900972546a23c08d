//! Where the time goes: profiles on every backend.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{Conv1d, LayerNormalization, MultiHeadAttention};
use birnn::{
    Activation, Bidirectional, Dense, Device, Graph, Gru, Inputs, Layer, Lstm, Model, Profile,
    Session, Track,
};
use ndarray::Array3;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The CPU path, the reference and a GPU, each with the track of its operators.
fn devices() -> Vec<(Device, Track)> {
    #[allow(unused_mut)]
    let mut devices = vec![(Device::cpu(), Track::Cpu)];
    #[cfg(feature = "reference")]
    devices.push((Device::reference(), Track::Cpu));
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()).map(|device| (device, Track::Gpu)));
    devices
}

/// Layers of many operators, with an array that two of them read.
fn model() -> Model {
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, 6).unwrap();
    let x = graph.add(Conv1d::new(8, 3).named("filters"), x).unwrap();
    let recurrent = Bidirectional::new(Lstm::new(10).return_sequences(true)).named("both ways");
    let y = graph.add(recurrent, x[0]).unwrap();
    let y = graph.add(MultiHeadAttention::new(2, 5).named("attends"), [y[0], y[0]]).unwrap();
    let y = graph.add(LayerNormalization::new().named("even"), y[0]).unwrap();
    let dense = Dense::new(4).activation(Activation::Softmax).named("labels");
    let y = graph.add(dense, y[0]).unwrap();
    graph.build(y).unwrap().initialize(3).unwrap()
}

fn input(batch: usize, timesteps: usize) -> Array3<f32> {
    Array3::from_shape_fn((batch, timesteps, 6), |(b, t, f)| ((b * 31 + t * 7 + f) as f32).sin())
}

/// What holds of every profile.
fn check(profile: &Profile, track: Track) {
    let rows = profile.operators();
    let sum: Duration = rows.iter().map(|row| row.total).sum();
    assert!(Duration::ZERO < sum && sum <= profile.total, "{profile}");
    assert_eq!(profile.outside(), profile.total - sum);
    let share: f64 = rows.iter().map(|row| row.share).sum();
    assert!((share - sum.as_secs_f64() / profile.total.as_secs_f64()).abs() < 1e-9, "{profile}");
    assert!(rows.iter().all(|row| row.count > 0 && !row.kernels.is_empty()), "{rows:?}");
    let host: Duration = profile.host().iter().map(|(_, time)| *time).sum();
    assert!(host <= profile.total, "{profile}");
    for span in &profile.spans {
        assert!([Track::Host, track].contains(&span.track), "{span:?}");
        // A GPU's clock begins where the host began to submit, and may run at another pace.
        let within = profile.total + Duration::from_millis(if track == Track::Gpu { 5 } else { 0 });
        assert!(span.end() <= within, "{span:?} of {:?}", profile.total);
    }
}

#[test]
fn every_layer_is_there_and_its_parts_are_below_the_whole() {
    let model = model();
    let x = input(3, 20);
    for (device, track) in devices() {
        let mut session = device.compile(&model).unwrap();
        let profile = session.profile(x.view()).unwrap();
        check(&profile, track);
        let rows = profile.operators();
        let found: BTreeSet<_> = rows.iter().map(|row| (&row.layer[..], row.operator)).collect();
        let expected = [
            ("filters", "convolution"),
            ("both ways", "recurrent"),
            ("attends", "attention"),
            ("attends", "matmul"),
            ("even", "normalize"),
            ("labels", "matmul"),
        ];
        for row in expected {
            assert!(found.contains(&row), "{row:?} is missing on {}: {profile}", device.info());
        }
        let recurrent = rows.iter().find(|row| row.operator == "recurrent").unwrap();
        assert_eq!(recurrent.shape, [3, 18, 20]);
        let filters = rows.iter().find(|row| row.layer == "filters").unwrap();
        assert_eq!(filters.shape.last(), Some(&8));
        let plain = device.info().name == "reference";
        if track == Track::Cpu {
            let kernels: BTreeSet<_> = rows.iter().flat_map(|row| &row.kernels[..]).collect();
            assert_eq!(recurrent.kernels, [if plain { "plain" } else { "vectors" }]);
            assert!(!plain || !kernels.contains(&"vectors".to_string()), "{kernels:?}");
        } else {
            let counters = session.counters();
            let counted: usize = rows.iter().map(|row| row.count).sum();
            assert_eq!(counted as u64, counters.dispatches, "{profile}");
            assert!(recurrent.kernels.iter().any(|kernel| kernel.starts_with("lstm_")));
        }
    }
}

#[test]
fn a_profile_returns_what_a_call_does() {
    let stateful = || Gru::new(7).stateful(true).return_sequences(true);
    let layers: [Layer; 2] = [stateful().into(), Lstm::new(5).stateful(true).into()];
    let stateful = Model::sequential(6, layers).unwrap().initialize(5).unwrap();
    for (device, track) in devices() {
        for model in [&model(), &stateful] {
            let mut called = device.compile(model).unwrap();
            let mut profiled = device.compile(model).unwrap();
            for timesteps in [9, 4, 9] {
                let x = input(2, timesteps);
                let expected = called.run(x.view()).unwrap();
                let profile = profiled.profile(x.view()).unwrap();
                check(&profile, track);
                assert_eq!(profile.outputs, expected, "on {}", device.info());
            }
            let x = input(2, 5);
            assert_eq!(profiled.run(x.view()).unwrap(), called.run(x.view()).unwrap());
        }
    }
}

/// Padding in every row isn't computed, and comes back.
#[test]
fn masks_and_lengths_are_those_of_a_call() {
    let layer = Bidirectional::new(Gru::new(7).return_sequences(true));
    let model = Model::sequential(6, [layer]).unwrap().initialize(5).unwrap();
    let x = input(3, 12);
    let inputs = || Inputs::from(x.view()).lengths(&[5, 0, 7]);
    for (device, track) in devices() {
        let mut session = device.compile(&model).unwrap();
        let expected = session.run(inputs()).unwrap();
        let profile = pollster::block_on(session.profile_async(inputs())).unwrap();
        check(&profile, track);
        assert_eq!(profile.outputs, expected);
        assert_eq!(profile.outputs.output().shape(), [3, 12, 14]);
    }
}

#[test]
fn inputs_that_do_not_fit_are_the_errors_of_a_call() {
    for (device, _) in devices() {
        let mut session = device.compile(&model()).unwrap();
        let wrong = || Array3::<f32>::zeros((2, 4, 5));
        let expected = session.run(wrong().view()).unwrap_err().to_string();
        assert_eq!(session.profile(wrong().view()).unwrap_err().to_string(), expected);
        assert!(session.profile(input(1, 4).view()).is_ok());
    }
}

fn several(session: &mut Session, calls: usize) -> Profile {
    let x = input(2, 30);
    let mut profile = session.profile(x.view()).unwrap();
    for _ in 1..calls {
        profile += session.profile(x.view()).unwrap();
    }
    profile
}

#[test]
fn a_trace_is_of_chromes_events() {
    for (device, track) in devices() {
        let mut session = device.compile(&model()).unwrap();
        let profile = several(&mut session, 3);
        check(&profile, track);
        let once = session.profile(input(2, 30).view()).unwrap().operators();
        assert_eq!(profile.operators().len(), once.len());
        for (row, of_one) in profile.operators().iter().zip(&once) {
            assert_eq!((&row.layer, row.count), (&of_one.layer, 3 * of_one.count));
        }
        let trace: Value = serde_json::from_str(&profile.trace()).unwrap();
        assert_eq!(trace["displayTimeUnit"], "ms");
        let events = trace["traceEvents"].as_array().unwrap();
        let of_kind = |kind: &str| {
            let events = events.iter().filter(|event| event["ph"] == kind);
            events.collect::<Vec<_>>()
        };
        let (named, complete) = (of_kind("M"), of_kind("X"));
        assert_eq!(events.len(), named.len() + complete.len());
        assert_eq!(complete.len(), profile.spans.len());
        let threads: Vec<_> = named.iter().filter(|event| event["name"] == "thread_name").collect();
        let names: Vec<_> = threads.iter().map(|event| &event["args"]["name"]).collect();
        assert_eq!(names, ["host", &track.to_string()[..]]);
        let known: Vec<_> = threads.iter().map(|event| &event["tid"]).collect();
        for (event, span) in complete.iter().zip(&profile.spans) {
            assert!(known.contains(&&event["tid"]) && event["pid"] == 1, "{event}");
            assert_eq!(event["name"], span.name);
            let microseconds = |name: &str| event[name].as_f64().expect("a number");
            assert!(microseconds("ts") >= 0.0 && microseconds("dur") >= 0.0, "{event}");
            assert!((microseconds("dur") / 1e6 - span.time.as_secs_f64()).abs() < 1e-9);
            if span.track != Track::Host {
                assert_eq!(event["cat"], span.operator);
                assert_eq!(event["args"]["kernel"], span.kernel);
                assert_eq!(event["args"]["shape"], Value::from(span.shape.clone()));
            }
        }
        let calls = complete.iter().filter(|event| event["name"] == "call");
        assert_eq!(calls.count(), 3);
    }
}

/// On a GPU: layers that run in the same launches, a batch in parts, and more passes than a set of
/// queries has.
#[cfg(feature = "gpu")]
mod on_a_gpu {
    use super::*;
    use birnn::{DeviceOptions, GpuOptions, PlanAdapter};

    fn open(options: GpuOptions) -> Option<Device> {
        let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
        let options = DeviceOptions::from(options).allow_software(true);
        device::open(if wanted.is_empty() { options.gpu() } else { options.parse(&wanted) })
    }

    /// A profile whose launches are all there, and whose outputs are those of a call.
    fn whole(device: &Device, model: &Model, x: &Array3<f32>) -> Profile {
        let mut session = device.compile(model).unwrap();
        let expected = session.run(x.view()).unwrap();
        let profile = session.profile(x.view()).unwrap();
        check(&profile, Track::Gpu);
        assert_eq!(profile.outputs, expected);
        let counted: usize = profile.operators().iter().map(|row| row.count).sum();
        assert_eq!(counted as u64, session.counters().dispatches);
        profile
    }

    #[test]
    fn layers_of_a_stack_share_their_launches() {
        // Planned as for a GPU, whose limits are known.
        let options = GpuOptions::new().default_limits(true).plan_for(PlanAdapter::Gpu);
        let Some(device) = open(options) else { return };
        let layer = || Lstm::new(24).return_sequences(true);
        let layers = ["one", "two", "three"].map(|name| layer().named(name));
        let model = Model::sequential(6, layers).unwrap().initialize(3).unwrap();
        let profile = whole(&device, &model, &input(3, 150));
        let rows = profile.operators();
        assert!(rows.iter().any(|row| row.layer == "one + two + three"), "{profile}");
    }

    #[test]
    fn parts_of_a_batch_are_added_up() {
        let Some(device) = open(GpuOptions::new().memory_budget(1 << 14)) else { return };
        let layers: [Layer; 2] = [Gru::new(9).return_sequences(true).into(), Dense::new(5).into()];
        let model = Model::sequential(6, layers).unwrap().initialize(3).unwrap();
        let profile = whole(&device, &model, &input(40, 25));
        let calls = profile.spans.iter().filter(|span| span.name == "submit").count();
        assert!(calls > 1, "{profile}");
        let rows = profile.operators();
        assert!(rows.iter().any(|row| row.layer.starts_with("dense") && row.count >= calls));
    }

    #[test]
    fn more_passes_than_a_set_of_queries_has() {
        let Some(device) = open(GpuOptions::new().max_buffer_bytes(256)) else { return };
        let layer = Lstm::new(4).return_sequences(true);
        let model = Model::sequential(6, [layer]).unwrap().initialize(3).unwrap();
        let profile = whole(&device, &model, &input(1, 10_000));
        let passes = profile.spans.iter().filter(|span| span.track == Track::Gpu).count();
        assert!(passes > 2048, "{passes} passes");
    }
}
