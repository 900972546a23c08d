//! Models of the toy format on the CPU, and birnn's own importers as another crate has them.

use ndarray::{Array3, arr3};
use toy_importer::import::keras::KerasLimits;
use toy_importer::{Comments, Device, Error, Model, read};

const SUM: &str = "
# a running sum
input x 1
layer sum SimpleRNN 1 return_sequences no_bias
layer twice Dense 1
weights sum 1 1
weights twice 2 0.5
";

#[test]
fn a_model_runs_on_the_cpu() {
    let model = read("sum.txt", SUM).unwrap();
    assert_eq!(
        (model.input_names(), model.layer_names()),
        (vec!["x".into()], vec!["sum".into(), "twice".into()])
    );
    assert_eq!(model.attachment::<Comments>().unwrap().0, ["# a running sum"]);
    let x = arr3(&[[[0.1_f32], [0.2], [-0.3]]]); // [batch, timesteps, features]
    let outputs = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
    let mut state = 0.0_f32;
    let expected = x.map(|x| {
        state = (x + state).tanh();
        2.0 * state + 0.5
    });
    let difference = outputs.output() - &expected.into_dyn();
    assert!(difference.iter().all(|d| d.abs() < 1e-6), "{difference}");
}

#[test]
fn both_directions_have_their_weights() {
    let kernel = "1 -1 0.5  0.25 2 -0.5"; // [features, 3 · units]
    let rest = "0.1 0.2 0.3";
    let text = format!(
        "input x 2\nlayer both GRU 1 bidirectional return_state no_bias\n\
         weights both {kernel} {rest} {kernel} {rest}"
    );
    let model = read("both.txt", &text).unwrap();
    let x = Array3::from_shape_fn((2, 4, 2), |(row, t, feature)| (row + t * feature) as f32 * 0.1);
    let outputs = Device::cpu().compile(&model).unwrap().run(x.view()).unwrap();
    assert_eq!(outputs.output().shape(), [2, 2]);
    let exact = toy_importer::reference::run(&model, x.mapv(f64::from).view()).unwrap();
    for (found, exact) in outputs.output().iter().zip(exact.output().iter()) {
        assert!((f64::from(*found) - exact).abs() < 1e-6, "{found} {exact}");
    }
}

#[test]
fn what_is_wrong_is_an_error() {
    let wrong = |text: &str| read("wrong.txt", text).unwrap_err();
    for text in [
        "",
        "layer a GRU 3",
        "input x\nlayer a GRU 3",
        "input x 2\nlayer a Conv 3",
        "input x 2\nlayer a GRU 3 fast",
        "input x 2\nlayer a Dense 1\nweights a 1 2 x",
        "input x 2\nlayer a Dense 1\nweights a 1 2",
        "input x 2\nlayer a Dense 1\nweights a 1 2 3 4",
    ] {
        assert!(matches!(wrong(text), Error::MalformedFile { .. }), "{text}: {}", wrong(text));
    }
    let unknown = wrong("input x 2\nlayer a Dense 1\nweights b 1 2 3");
    assert!(matches!(unknown, Error::UnknownLayer { .. }), "{unknown}");
    let infinite = wrong("input x 2\nlayer a Dense 1\nweights a 1 2 inf");
    assert!(matches!(infinite, Error::NonFiniteWeight { .. }), "{infinite}");
}

#[test]
fn the_keras_importer_works_outside_of_the_crate() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/keras/notebook_lstm2.keras");
    let mut model: Model = KerasLimits::new().load(file).unwrap();
    assert_eq!(model.layer_names(), ["bidirectional"]);
    let before = model.weights("bidirectional").unwrap();
    KerasLimits::new().load_weights(&mut model, file).unwrap();
    assert_eq!(model.weights("bidirectional").unwrap(), before);
    assert!(KerasLimits::new().inspect(file).unwrap().model.is_ok());
}
