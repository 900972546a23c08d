//! Masks and lengths given with a call, on every device: against each other and against sequences
//! run one by one.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{Attention, GlobalAveragePooling1d};
use birnn::{
    Bidirectional, Call, Device, Embedding, Error, Graph, Gru, Inputs, Layer, Lstm, MergeMode,
    Model, SimpleRnn,
};
use ndarray::{Array2, Array3, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

fn devices() -> Vec<Device> {
    #[allow(unused_mut)]
    let mut devices = vec![Device::cpu()];
    #[cfg(feature = "gpu")]
    devices.extend(device::open(device::options()));
    devices
}

fn models() -> Vec<Model> {
    let lists: Vec<Vec<Layer>> = vec![
        vec![Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true)).into()],
        vec![Bidirectional::new(Gru::new(5).return_state(true)).merge_mode(MergeMode::None).into()],
        vec![
            Lstm::new(6).return_sequences(true).into(),
            Gru::new(4).return_sequences(true).return_state(true).into(),
        ],
        vec![SimpleRnn::new(6).return_sequences(true).go_backwards(true).into()],
        vec![
            Bidirectional::new(Gru::new(5).reset_after(false).return_sequences(true))
                .merge_mode(MergeMode::Sum)
                .into(),
            Lstm::new(4).go_backwards(true).return_state(true).into(),
        ],
    ];
    lists
        .into_iter()
        .map(|layers| Model::sequential(3, layers).unwrap().initialize(9).unwrap())
        .collect()
}

const LENGTHS: [usize; 5] = [4, 9, 0, 1, 7];

fn input() -> Array3<f32> {
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    Array3::from_shape_simple_fn((LENGTHS.len(), 23, 3), || rng.random_range(-1.5f32..1.5))
}

#[test]
fn lengths_are_the_mask_of_right_padding() {
    let x = input();
    let mask = Array2::from_shape_fn((LENGTHS.len(), 23), |(row, t)| t < LENGTHS[row]);
    for device in devices() {
        for model in models() {
            let mut session = device.compile(&model).unwrap();
            let masked = session.run(Inputs::new(x.view()).mask(mask.view())).unwrap();
            let by_lengths = session.run(Inputs::new(x.view()).lengths(&LENGTHS)).unwrap();
            assert_eq!(masked, by_lengths);
        }
    }
}

/// Each row alone, without its padding, ends with the same states.
#[test]
fn padded_rows_end_as_they_do_alone() {
    let x = input();
    for device in devices() {
        let layer = Bidirectional::new(Lstm::new(5).return_sequences(true).return_state(true));
        let model = Model::sequential(3, [layer]).unwrap().initialize(9).unwrap();
        let mut session = device.compile(&model).unwrap();
        let together = session.run(Inputs::new(x.view()).lengths(&LENGTHS)).unwrap();
        for (row, &length) in LENGTHS.iter().enumerate().filter(|(_, length)| **length > 0) {
            let alone = session.run(x.slice(s![row..=row, ..length, ..])).unwrap();
            for (together, alone) in together.list().iter().zip(alone.list()) {
                let mut rows = together.array.slice_axis(Axis(0), (row..=row).into());
                if rows.ndim() == 3 {
                    assert!(
                        rows.slice_axis(Axis(1), (length..).into()).iter().all(|v| *v == 0.0),
                        "padding is zero"
                    );
                    rows.slice_axis_inplace(Axis(1), (..length).into());
                }
                let difference =
                    (&rows - &alone.array).iter().fold(0.0f32, |max, d| max.max(d.abs()));
                assert!(difference < 1e-6, "row {row}, {}: {difference}", together.role);
            }
        }
    }
}

/// In a model of recurrent layers the work follows the longest row.
#[cfg(feature = "gpu")]
#[test]
fn lengths_cost_as_much_as_the_longest() {
    let Some(gpu) = device::open(device::options()) else { return };
    let model =
        Model::sequential(3, [Bidirectional::new(Lstm::new(5))]).unwrap().initialize(9).unwrap();
    let mut session = gpu.compile(&model).unwrap();
    let x = input();
    let long = ndarray::concatenate(Axis(1), &[x.view(); 20]).unwrap();
    session.run(Inputs::new(x.view()).lengths(&LENGTHS)).unwrap();
    let short = session.counters().dispatches;
    session.run(Inputs::new(long.view()).lengths(&LENGTHS)).unwrap();
    assert_eq!(session.counters().dispatches, short);
}

#[test]
fn masks_that_do_not_fit_are_named() {
    let x = input();
    let model = &models()[0];
    let mut session = Device::cpu().compile(model).unwrap();
    let mut error = |inputs: Inputs| session.run(inputs).unwrap_err().to_string();
    let wide = Array2::from_elem((5, 24), true);
    assert!(error(Inputs::new(x.view()).mask(wide.view())).contains("[5, 24], expected [5, 23]"));
    assert!(error(Inputs::new(x.view()).lengths(&[1, 2])).contains("[2], expected [5]"));
    assert!(
        error(Inputs::new(x.view()).lengths(&[1, 2, 3, 4, 24]))
            .contains("row 4 of input \"input\" is 24")
    );
    // Neither counts more than the other.
    let mask = Array2::from_elem((5, 23), true);
    for both in [
        Inputs::new(x.view()).mask(mask.view()).lengths(&LENGTHS),
        Inputs::new(x.view()).lengths(&LENGTHS).mask(mask.view()),
    ] {
        assert!(error(both).contains("input \"input\" is given a mask and lengths"));
    }
}

#[test]
fn ids_take_no_mask_and_the_error_says_what_does() {
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[None]).unwrap();
    let vectors = graph.add(Embedding::new(5, 3), ids).unwrap();
    let output = graph.add(Lstm::new(2), vectors[0]).unwrap();
    let model = graph.build(output).unwrap().initialize(1).unwrap();
    let x = Array2::<f32>::ones((2, 4));
    let error = Device::cpu()
        .compile(&model)
        .unwrap()
        .run(Inputs::new(x.view()).lengths(&[1, 2]))
        .unwrap_err();
    assert!(
        error.to_string().contains("\"ids\"") && error.to_string().contains("mask_zero"),
        "{error}"
    );
}

/// A mask that is an input of the model has to have the timesteps of what it masks.
#[test]
fn masks_of_other_timesteps_are_named_on_every_device() {
    let pooled: Vec<Layer> = vec![
        Lstm::new(3).named("reader").into(),
        Bidirectional::new(Gru::new(3)).named("reader").into(),
        GlobalAveragePooling1d::new().named("reader"),
        Attention::new().named("reader"),
    ];
    for device in devices() {
        for layer in &pooled {
            let mut graph = Graph::new();
            let x = graph.sequence_input("x", None, 3).unwrap();
            let mask = graph.input("mask", &[None]).unwrap();
            let call = match layer.class_name() {
                "Attention" => Call::on([x, x]).masks(&[None, Some(mask)]),
                _ => Call::on(x).mask(mask),
            };
            let output = graph.add(layer.clone(), call).unwrap();
            let model = graph.build(output).unwrap().initialize(1).unwrap();
            let mut session = device.compile(&model).unwrap();
            let x = Array3::<f32>::ones((4, 8, 3));
            for timesteps in [7, 1, 9] {
                let mask = Array2::<f32>::ones((4, timesteps));
                let error = session.run(Inputs::new(x.view()).input(mask.view())).unwrap_err();
                assert!(matches!(error, Error::InputShape { .. }), "{error}");
                let text = error.to_string();
                assert!(text.contains(&format!("[4, {timesteps}], expected [4, 8]")), "{text}");
                assert!(text.contains("\"reader\""), "{text}");
            }
            assert!(
                session
                    .run(Inputs::new(x.view()).input(Array2::<f32>::ones((4, 8)).view()))
                    .is_ok()
            );
        }
    }
}
