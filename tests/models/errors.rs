//! What a caller can do wrong, and the error that says so. Needs no GPU.

use birnn::layer::*;
use birnn::{
    Bidirectional, Call, CpuOptions, Device, DeviceOptions, Direction, Error, Graph, Gru, Inputs,
    Layer, Lstm, MergeMode, Model,
};
use ndarray::{Array1, Array2, Array3, ArrayD};

fn model() -> Model {
    let layer = Bidirectional::new(Lstm::new(3).return_state(true)).named("both");
    Model::sequential(2, [layer]).and_then(|m| m.initialize(1)).unwrap()
}

fn run(shape: (usize, usize, usize)) -> Error {
    let x = Array3::<f32>::zeros(shape);
    Device::cpu().compile(&model()).unwrap().run(x.view()).unwrap_err()
}

fn weights(columns: usize, value: f32) -> Vec<ArrayD<f32>> {
    let direction = [
        Array2::from_elem((2, columns), value).into_dyn(),
        Array2::zeros((3, columns)).into_dyn(),
        Array1::zeros(columns).into_dyn(),
    ];
    [direction.clone(), direction].concat()
}

#[track_caller]
fn says(error: &Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} does not say {word:?}");
    }
}

#[test]
fn empty_axes_are_named() {
    for (shape, axis) in [((0, 4, 2), "batch"), ((1, 0, 2), "timesteps")] {
        let error = run(shape);
        assert!(matches!(error, Error::EmptyAxis { .. }));
        says(&error, &[axis, "input"]);
    }
}

#[test]
fn features_that_do_not_match_are_named() {
    says(&run((1, 4, 5)), &["[1, 4, 5]", "[batch, timesteps, 2]"]);
    let flat = Array2::<f32>::zeros((4, 2));
    let error = Device::cpu().compile(&model()).unwrap().run(Inputs::new(flat.view())).unwrap_err();
    says(&error, &["[4, 2]", "[batch, timesteps, 2]"]);
}

#[test]
fn a_session_works_after_an_error() {
    let mut session = Device::cpu().compile(&model()).unwrap();
    assert!(session.run(Array3::zeros((1, 4, 5)).view()).is_err());
    assert!(session.run(Array3::zeros((1, 4, 2)).view()).is_ok());
}

#[test]
fn inputs_are_counted() {
    let x = Array3::<f32>::zeros((1, 4, 2));
    let error = Device::cpu()
        .compile(&model())
        .unwrap()
        .run(Inputs::new(x.view()).input(x.view()))
        .unwrap_err();
    assert!(matches!(error, Error::InputCount { expected: 1, found: 2, .. }));
}

/// In any order, with their masks; and what is wrong with the names is said.
#[test]
fn inputs_are_given_by_name() {
    let mut graph = Graph::new();
    let (a, b) =
        (graph.sequence_input("a", None, 2).unwrap(), graph.sequence_input("b", None, 2).unwrap());
    let outputs = [
        graph.add(Gru::new(3).named("of_a"), a).unwrap()[0],
        graph.add(Lstm::new(4).named("of_b"), b).unwrap()[0],
    ];
    let model = graph.build(outputs).and_then(|m| m.initialize(1)).unwrap();
    let mut session = Device::cpu().compile(&model).unwrap();
    let a = Array3::<f32>::ones((2, 4, 2));
    let b = Array3::<f32>::from_elem((2, 4, 2), 0.5);
    let by_place = session.run(Inputs::new(a.view()).input(b.view()).lengths(&[1, 3])).unwrap();
    let by_name = Inputs::named("b", b.view()).lengths(&[1, 3]).input_named("a", a.view());
    assert_eq!(session.run(by_name).unwrap(), by_place);
    assert_eq!(by_place.named("of_b").unwrap(), &by_place.list()[1].array);
    says(&by_place.named("b").unwrap_err(), &["output of b", "output of of_b"]);
    let wrong = [
        (Inputs::named("a", a.view()).input_named("c", b.view()), "\"c\" isn't one"),
        (Inputs::named("a", a.view()).input_named("a", b.view()), "\"a\" is given twice"),
        (Inputs::named("a", a.view()).input(b.view()), "without a name"),
        (Inputs::named("a", a.view()), "takes 2 inputs"),
    ];
    for (inputs, words) in wrong {
        says(&session.run(inputs).unwrap_err(), &[words, "[\"a\", \"b\"]"]);
    }
}

#[test]
fn initial_states_are_checked() {
    let mut session = Device::cpu().compile(&model()).unwrap();
    let x = Array3::<f32>::zeros((2, 4, 2));
    let (wrong, right) = (Array2::<f32>::zeros((2, 4)), Array2::<f32>::zeros((2, 3)));
    let error = session
        .run(Inputs::new(x.view()).hidden_state(Direction::Backward, wrong.view()))
        .unwrap_err();
    says(&error, &["both", "[2, 4]", "[2, 3]"]);
    let error =
        session.run(Inputs::new(x.view()).initial_state([right.view(), right.view()])).unwrap_err();
    says(&error, &["both", "initial_state", "4"]);
    let error =
        session.run(Inputs::new(x.view()).initial_state_of("other", [right.view()])).unwrap_err();
    says(&error, &["other", "both"]);

    let gru = Model::sequential(2, [Gru::new(3)]).and_then(|m| m.initialize(1)).unwrap();
    let mut session = Device::cpu().compile(&gru).unwrap();
    let error = session
        .run(Inputs::new(x.view()).cell_state(Direction::Forward, right.view()))
        .unwrap_err();
    says(&error, &["gru", "cell state"]);
}

#[test]
fn weights_are_checked() {
    let mut model = model();
    assert!(model.set_weights("both", weights(12, 0.5)).is_ok());
    assert_eq!(model.weights("both").unwrap(), weights(12, 0.5));
    says(
        &model.set_weights("both", weights(9, 0.5)).unwrap_err(),
        &["both", "kernel", "[2, 9]", "[2, 12]"],
    );
    says(
        &model.set_weights("both", weights(12, f32::NAN)).unwrap_err(),
        &["both", "kernel", "NaN", "[0, 0]"],
    );
    says(
        &model.set_weights("both", weights(12, 0.5).into_iter().take(3)).unwrap_err(),
        &["both", "6", "3"],
    );
    says(&model.set_weights("none", weights(12, 0.5)).unwrap_err(), &["none", "both"]);
    let bare = Model::sequential(2, [Lstm::new(3)]).unwrap();
    assert!(matches!(Device::cpu().compile(&bare), Err(Error::MissingWeights { .. })));
}

#[test]
fn layers_are_checked() {
    let build = |layer: Layer| Model::sequential(2, [layer]).unwrap_err();
    says(&build(Lstm::new(0).into()), &["lstm", "units", "0"]);
    says(&build(Lstm::new(usize::MAX).into()), &["lstm", "units"]);
    let both = Bidirectional::new(Lstm::new(3)).backward_layer(Lstm::new(3));
    says(&build(both.into()), &["bidirectional", "go_backwards"]);
    let both = Bidirectional::new(Lstm::new(3))
        .backward_layer(Lstm::new(3).go_backwards(true).return_sequences(true));
    says(&build(both.into()), &["bidirectional", "return_sequences"]);
    let both = Bidirectional::new(Lstm::new(3)).backward_layer(Lstm::new(4).go_backwards(true));
    says(&build(both.merge_mode(MergeMode::Sum).into()), &["merge_mode", "3", "4"]);
    says(&Model::sequential(0, [Lstm::new(3)]).unwrap_err(), &["features", "0"]);
    says(
        &Model::sequential(2, [Lstm::new(3), Lstm::new(3)]).unwrap_err(),
        &["lstm_1", "return_sequences"],
    );
    let same = [Lstm::new(3).return_sequences(true).named("a"), Lstm::new(3).named("a")];
    says(&Model::sequential(2, same).unwrap_err(), &["two layers", "\"a\""]);
    let huge = Model::sequential(1 << 30, [Lstm::new((1 << 24) - 1)]).unwrap();
    assert!(matches!(huge.initialize(1), Err(Error::OutOfMemory { .. })));
}

#[test]
fn graphs_are_checked() {
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", Some(4), 2).unwrap();
    says(&graph.sequence_input("x", None, 2).unwrap_err(), &["two inputs", "\"x\""]);
    let state = graph.state_input("h", 3).unwrap();
    says(&graph.add(Gru::new(3), state).unwrap_err(), &["gru", "[batch, 3]"]);
    says(
        &graph.add(Gru::new(4), Call::on(x).initial_state(&[state])).unwrap_err(),
        &["[batch, 4]"],
    );
    says(
        &graph.add(Lstm::new(3), Call::on(x).initial_state(&[state])).unwrap_err(),
        &["2 initial states", "got 1"],
    );
    says(&graph.clone().build([x]).unwrap_err(), &["at least one layer"]);
    graph.layer(Gru::new(3).named("idle")).unwrap();
    let y = graph.add(Gru::new(3), x).unwrap();
    says(&graph.build(y).unwrap_err(), &["idle", "never called"]);

    let mut graph = Graph::new();
    let x = graph.sequence_input("x", Some(4), 2).unwrap();
    let y = graph.add(Gru::new(3), x).unwrap();
    let model = graph.build(y).and_then(|m| m.initialize(1)).unwrap();
    let error =
        Device::cpu().compile(&model).unwrap().run(Array3::zeros((1, 5, 2)).view()).unwrap_err();
    says(&error, &["\"x\"", "[1, 5, 2]", "[batch, 4, 2]"]);
}

#[test]
fn outputs_that_are_not_there_are_named() {
    let outputs =
        Device::cpu().compile(&model()).unwrap().run(Array3::zeros((1, 4, 2)).view()).unwrap();
    says(&outputs.forward().output().unwrap_err(), &["forward output", "output of both"]);
    says(&outputs.of_layer("other", Direction::Forward).unwrap_err(), &["other"]);
    let gru = Model::sequential(2, [Gru::new(3).return_state(true)])
        .and_then(|m| m.initialize(1))
        .unwrap();
    let outputs =
        Device::cpu().compile(&gru).unwrap().run(Array3::zeros((1, 4, 2)).view()).unwrap();
    assert!(
        outputs.forward().hidden().is_ok()
            && outputs.forward().cell().is_err()
            && outputs.backward().hidden().is_err()
    );
}

#[test]
fn an_adapter_that_is_not_there_is_an_error_that_lists_what_is() {
    let error = DeviceOptions::new().named("no such adapter").open().unwrap_err();
    assert!(matches!(error, Error::NoAdapter { .. }));
    says(&error, &["no such adapter", "found"]);
}

/// Arguments that are possible one by one, and arrays that no memory holds.
#[test]
fn absurd_sizes_are_errors() {
    let huge = (1 << 24) - 1;
    let run = |layers: Vec<Layer>, timesteps: usize| {
        let model = Model::sequential(4, layers)?.initialize(1)?;
        Device::cpu().compile(&model)?.run(Array3::<f32>::zeros((1, timesteps, 4)).view())
    };
    let many = || UpSampling1d::new().size(huge);
    let layers: [Vec<Layer>; 5] = [
        vec![many().into(), many().into()],
        vec![many().into(), many().into(), many().into(), many().into()],
        vec![GlobalMaxPooling1d::new().into(), RepeatVector::new(huge).into(), many().into()],
        vec![ZeroPadding1d::new((huge, huge)).into(), many().into()],
        vec![Embedding::new(huge, huge).into()],
    ];
    for layers in layers {
        let error = run(layers, 3).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. } | Error::Graph(_)), "{error}");
    }
    let heads: Layer = Dense::new(huge).into();
    assert!(matches!(run(vec![heads, Dense::new(huge).into()], 1), Err(Error::OutOfMemory { .. })));
    let mut graph = Graph::new();
    let x = graph.sequence_input("x", None, 1).unwrap();
    let output = graph.add(Attention::new(), Call::on([x, x])).unwrap();
    let model = graph.build(output).unwrap().initialize(1).unwrap();
    let long = Array3::<f32>::zeros((1, 10_000_000, 1)); // 4e14 bytes of scores
    let error = Device::cpu().compile(&model).unwrap().run(long.view()).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
}

/// A kernel that reaches far beyond the sequence reads little of it and takes no time.
#[test]
fn a_huge_dilation_ends() {
    let conv = Conv1d::new(2, 2).dilation_rate((1 << 24) - 1).padding(Padding::Causal);
    let model = Model::sequential(4, [conv]).unwrap().initialize(1).unwrap();
    let x = Array3::<f32>::ones((1, 8, 4));
    let outputs = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
    assert_eq!(outputs.output().shape(), [1, 8, 2]);
}

/// So do windows that are far larger than an image, and kernels that no memory holds are an error.
#[test]
fn huge_windows_end() {
    let huge = (1 << 24) - 1;
    let of_image = |layer: Layer| {
        let mut graph = Graph::new();
        let image = graph.input("image", &[Some(3), Some(2), Some(1)])?;
        let output = graph.add(layer, image)?;
        let model = graph.build(output)?.initialize(1)?;
        let image = ArrayD::from_shape_fn(vec![1, 3, 2, 1], |at| (at[1] + at[2]) as f32);
        Device::cpu().compile(&model)?.run(image.view())
    };
    let pool = MaxPooling2d::new().pool_size((huge, huge)).strides(Some((1, 1)));
    let outputs = of_image(pool.padding(Padding::Same).into()).unwrap();
    assert_eq!(outputs.output(), &ArrayD::from_elem(vec![1, 3, 2, 1], 3.0));
    for layer in [
        Conv2d::new(huge, (huge, huge)).padding(Padding::Same).into(),
        Conv2dTranspose::new(huge, (huge, huge)).into(),
        DepthwiseConv2d::new((huge, huge)).depth_multiplier(huge).padding(Padding::Same).into(),
    ] {
        let error = of_image(layer).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    }
}

#[test]
fn more_threads_than_any_machine_has_are_an_error() {
    let error = DeviceOptions::from(CpuOptions::new().threads(1_000_000)).open().unwrap_err();
    assert!(matches!(error, Error::Limit { needed: 1_000_000, allowed: 1024, .. }), "{error}");
}

#[test]
fn constants_fit_the_batch_or_any() {
    let graph = |rows: usize| {
        let mut graph = Graph::new();
        let x = graph.sequence_input("x", None, 2)?;
        let start = graph.constant("start", Array2::from_elem((rows, 3), 0.5).into_dyn())?;
        let h = graph.add(Gru::new(3), Call::on(x).initial_state(&[start]))?;
        Device::cpu().compile(&graph.build(h)?.initialize(1)?)
    };
    let x = Array3::<f32>::ones((4, 5, 2));
    let one = graph(1).unwrap().run(x.view()).unwrap();
    assert_eq!(one, graph(4).unwrap().run(x.view()).unwrap());
    says(&graph(3).unwrap().run(x.view()).unwrap_err(), &["\"start\"", "[3, 3]", "a batch of 3"]);
    assert_eq!(graph(4).unwrap().model().input_names(), ["x"]);
    let mut graph = Graph::new();
    for wrong in [vec![], vec![3], vec![0, 3], vec![2, 0]] {
        let error = graph.constant("start", ArrayD::zeros(wrong.clone())).unwrap_err();
        says(&error, &["\"start\"", &format!("{wrong:?}")]);
    }
}

#[test]
fn a_stateful_layer_is_not_distributed_over_time() {
    let layer = TimeDistributed::new(Lstm::new(3).stateful(true));
    let mut graph = Graph::new();
    let x = graph.input("x", &[None, Some(4), Some(2)]).unwrap();
    says(&graph.add(layer, x).unwrap_err(), &["stateful", "stateful=False"]);
}

#[test]
fn a_moving_variance_may_be_infinite_and_nothing_else() {
    let model = || {
        let layers: [Layer; 2] = [BatchNormalization::new().named("norm"), Gru::new(3).into()];
        Model::sequential(2, layers).unwrap().initialize(1).unwrap()
    };
    let ones = || ArrayD::from_elem(vec![2], 1.0);
    for place in 0..4 {
        for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let mut weights = [ones(), ones(), ones(), ones()];
            weights[place][[1]] = value;
            let result = model().set_weights("norm", weights);
            assert_eq!(result.is_ok(), place == 3 && value == f32::INFINITY, "{place} {value}");
        }
    }
}
