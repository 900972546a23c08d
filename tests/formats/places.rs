//! Values that models look up by: places along axes, ids, lengths, and numbers of a type. What a
//! call gives is compared with what the model takes, as onnxruntime and Keras do, on the reference,
//! the CPU path, and a GPU; what is computed within a model counts as the nearest place.

#[cfg(feature = "gpu")]
use crate::device;
use birnn::layer::{Embedding, Flatten, Reshape};
use birnn::program::{Binary, Kind, Length, Operation, Program, Values};
use birnn::{Device, Error, Graph, Gru, Inputs, Model, reference};
use ndarray::{ArrayD, IxDyn, arr1, arr2};

/// The devices that there are: reference, CPU, GPU.
fn devices() -> Vec<Device> {
    #[cfg(feature = "gpu")]
    let gpu = device::open(device::options());
    #[cfg(not(feature = "gpu"))]
    let gpu = None;
    #[cfg(feature = "reference")]
    let exact = Some(Device::reference());
    #[cfg(not(feature = "reference"))]
    let exact = None;
    exact.into_iter().chain([Device::cpu()]).chain(gpu).collect()
}

#[cfg(feature = "onnx")]
fn given(arrays: &[ArrayD<f32>]) -> Inputs<'_, f32> {
    let first = Inputs::new(arrays[0].view());
    arrays[1..].iter().fold(first, |inputs, array| inputs.input(array.view()))
}

/// What `tests/fixtures/generate_onnx_places.py` made: onnxruntime raises an error for each of the
/// wrong values.
#[cfg(feature = "onnx")]
#[test]
fn what_onnxruntime_refuses_is_an_error() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx/places");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "onnx") {
            continue;
        }
        let file = std::fs::File::open(path.with_extension("npz")).unwrap();
        let mut npz = ndarray_npy::NpzReader::new(file).unwrap();
        let mut arrays = |kind: &str| -> Vec<ArrayD<f32>> {
            let mut array = |number: usize| npz.by_name(&format!("{kind}_{number}.npy"));
            (0..).map_while(|number| array(number).ok()).collect()
        };
        let (right, outputs, wrong) = (arrays("in"), arrays("out"), arrays("wrong"));
        assert!(!wrong.is_empty());
        let model = Model::from_onnx(&path).unwrap();
        let names = model.input_names();
        for device in devices() {
            let mut session = device.compile(&model).unwrap();
            for wrong in &wrong {
                let wrong: Vec<f32> = wrong.iter().copied().collect();
                let (input, value) = (wrong[0] as usize, wrong[1]);
                let index: Vec<usize> = wrong[2..].iter().map(|&place| place as usize).collect();
                for value in [value, f32::NAN, right[input][&index[..]] + 0.5] {
                    let mut arrays = right.clone();
                    arrays[input][&index[..]] = value;
                    let error = session.run(given(&arrays)).unwrap_err();
                    let Error::InputValue { input: name, index: at, value: found, .. } = &error
                    else {
                        panic!("{}: {error}", path.display());
                    };
                    assert_eq!((name, at), (&names[input], &index), "{error}");
                    assert!(*found == f64::from(value) || found.is_nan(), "{error}");
                }
            }
            let found = session.run(given(&right)).unwrap();
            assert_eq!(found.list().len(), outputs.len());
            for (found, expected) in found.list().iter().zip(&outputs) {
                assert_eq!(found.array.shape(), expected.shape(), "{}", path.display());
                let far = (&found.array - expected).mapv(f32::abs);
                assert!(far.iter().all(|&far| far < 2e-6), "{}: {far}", path.display());
            }
        }
        count += 1;
    }
    assert_eq!(count, 10);
}

/// A program that returns its input.
fn same(kind: Kind, range: Option<std::ops::RangeInclusive<i64>>) -> Model {
    let mut program = Program::new();
    let x = match range {
        Some(range) => program.input_in_range("x", [Length::Any], range),
        None => program.input("x", [Length::Any], kind),
    };
    program.output("y", x.unwrap());
    program.build().unwrap()
}

#[test]
fn inputs_take_the_values_of_their_type() {
    let any = [0.0, -1.0, 1.0, 16_777_216.0];
    let (none, half) = ([f32::NAN, f32::INFINITY], [0.5, -0.25]);
    // Of each type what it takes, and what it doesn't.
    let table: [(Model, Vec<f32>, Vec<f32>); 6] = [
        (same(Kind::Float, None), [&any[..], &none, &half].concat(), vec![]),
        (same(Kind::Integer, None), any.to_vec(), [none, half].concat()),
        (
            same(Kind::Integer, Some(0..=255)),
            vec![0.0, 255.0],
            [&[-1.0, 256.0], &none[..], &half].concat(),
        ),
        (same(Kind::Integer, Some(-128..=127)), vec![-128.0, 127.0], vec![-129.0, 128.0]),
        (same(Kind::Integer, Some(0..=i64::MAX)), vec![0.0, 16_777_216.0], vec![-1.0]),
        (same(Kind::Bool, None), vec![0.0, 1.0], [&[2.0, -1.0], &none[..], &half].concat()),
    ];
    for device in devices() {
        for (model, right, wrong) in &table {
            let mut session = device.compile(model).unwrap();
            let found = session.run(Inputs::new(arr1(right).view())).unwrap();
            let bits = |array: &ArrayD<f32>| array.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(found.output()), bits(&arr1(right).into_dyn()));
            for &value in wrong {
                let error = session.run(Inputs::new(arr1(&[0.0, value]).view())).unwrap_err();
                assert!(matches!(&error, Error::InputValue { index, .. } if *index == [1]));
                let text = error.to_string();
                assert!(text.contains("\"x\" holds") && text.contains("it takes"), "{text}");
            }
        }
    }
    let error = reference::run(&table[1].0, Inputs::new(arr1(&[0.5f64]).view())).unwrap_err();
    assert_eq!(error.to_string(), "input \"x\" holds 0.5 at [0]; it takes whole numbers");
}

/// A program that takes values of a table `[3, 2]` at `ids · 1`, which a step computes.
fn computed(operation: Operation, axes: usize) -> Model {
    let mut program = Program::new();
    let ids = program.input("ids", vec![Length::Any; axes], Kind::Float).unwrap();
    let one = program.constant(Values::float(1.0));
    let times = Operation::Binary(Binary::Multiply);
    let ids = program.add("ids", times, [ids, one]).unwrap()[0];
    let table = Values::Floats(arr2(&[[0.0, 1.0], [10.0, 11.0], [20.0, 21.0]]).into_dyn());
    let table = program.constant(table);
    let y = program.add("taken", operation, [table, ids]).unwrap()[0];
    program.output("y", y);
    program.build().unwrap()
}

/// The same numbers on each device.
#[test]
fn of_computed_places_the_nearest_counts() {
    let take = computed(Operation::Take { axis: 0 }, 1);
    let ids = [2.0, -1.0, -3.0, 3.0, 1e9, -4.0, 1.9, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let rows = [2.0, 2.0, 0.0, 2.0, 2.0, 0.0, 1.0, 2.0, 0.0, 0.0];
    let nd = computed(Operation::TakeNd { batch_axes: 0 }, 2);
    // No row but the nearest.
    let places = arr2(&[[0.0, -1.0], [0.0, 7.0], [-9.0, 1.0], [5.0, -5.0], [1.0, 1.0]]);
    let at = [1.0, 1.0, 1.0, 20.0, 11.0];
    let along = computed(Operation::TakeAlong { axis: 0 }, 2);
    for device in devices() {
        let name = device.info().name.clone();
        let found = device.compile(&take).unwrap().run(Inputs::new(arr1(&ids).view())).unwrap();
        let first: Vec<f32> = found.output().iter().copied().step_by(2).collect();
        assert_eq!(first, rows.map(|row| row * 10.0), "{name}");
        let found = device.compile(&nd).unwrap().run(Inputs::new(places.view())).unwrap();
        assert_eq!(found.output(), &arr1(&at).into_dyn(), "{name}");
        let places = arr2(&[[-1.0, 4.0], [-4.0, 0.0]]);
        let found = device.compile(&along).unwrap().run(Inputs::new(places.view())).unwrap();
        assert_eq!(found.output(), &arr2(&[[20.0, 21.0], [0.0, 1.0]]).into_dyn(), "{name}");
    }
}

/// Ids of a Keras model, also behind layers that only move them, and behind a function.
#[test]
fn ids_are_followed_through_layers() {
    let mut program = Program::new();
    let ids = program.input("array 0", [Length::Any, Length::Any], Kind::Integer).unwrap();
    let table = program.constant(Values::Floats(arr2(&[[1.0], [2.0], [3.0]]).into_dyn()));
    let taken = program.add("take", Operation::Take { axis: 0 }, [table, ids]).unwrap()[0];
    program.output("taken", taken);
    let take = program.function().unwrap();
    let mut graph = Graph::new();
    let ids = graph.input("ids", &[Some(2), Some(3)]).unwrap();
    let flat = graph.add(Flatten::new(), ids).unwrap()[0];
    let same = graph.add(Reshape::new(vec![Some(6)]), flat).unwrap()[0];
    let embedded = graph.add(Embedding::new(5, 4).named("table"), same).unwrap()[0];
    let state = graph.add(Gru::new(2), embedded).unwrap()[0];
    let taken = graph.add(take.named("take"), same).unwrap()[0];
    let model = graph.build([state, taken]).and_then(|model| model.initialize(1)).unwrap();
    let mut ids = ArrayD::zeros(IxDyn(&[4, 2, 3]));
    ids[[3, 1, 2]] = -3.0;
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let mut run = |value: f32| {
            let mut ids = ids.mapv(f32::abs);
            ids[[3, 1, 2]] = value;
            session.run(ids.view())
        };
        assert!(run(2.0).is_ok());
        for value in [5.0, 0.5] {
            let error = run(value).unwrap_err();
            let Error::IdRange { layer, index, ids, .. } = error else { panic!("{error}") };
            assert_eq!((&layer[..], &index[..], ids), ("table", &[3, 1, 2][..], 5));
        }
        // An id of the table that the function's isn't so long for.
        let text = run(4.0).unwrap_err().to_string();
        assert!(text.contains("holds 4 at [3, 1, 2]") && text.contains("\"take\""), "{text}");
    }
}

/// A call that is an error changes no state.
#[test]
fn states_stay_as_they_were() {
    let mut program = Program::new();
    let ids = program.input("ids", [Length::Any], Kind::Integer).unwrap();
    let before = program.input("sum", [Length::Fixed(1)], Kind::Float).unwrap();
    let table = program.constant(Values::Floats(arr1(&[1.0, 10.0, 100.0]).into_dyn()));
    let taken = program.add("take", Operation::Take { axis: 0 }, [table, ids]).unwrap()[0];
    let sum = program.add("add", Operation::Binary(Binary::Add), [before, taken]).unwrap()[0];
    program.output("sums", sum);
    program.tie("sum", "sums");
    let model = program.build().unwrap();
    for device in devices() {
        let mut session = device.compile(&model).unwrap();
        let mut run = |id: f32| session.run(Inputs::new(arr1(&[id]).view()));
        assert_eq!(run(1.0).unwrap().output()[[0]], 10.0);
        assert!(run(3.0).is_err());
        assert_eq!(run(-1.0).unwrap().output()[[0]], 110.0);
    }
}

/// What an output was in the call before is named where it isn't given.
#[test]
fn states_that_are_not_given_are_named() {
    let mut program = Program::new();
    let x = program.input("x", [Length::Any], Kind::Float).unwrap();
    let mut state = |name: &str| program.input(name, [Length::Fixed(1)], Kind::Float).unwrap();
    let (h, c) = (state("h0"), state("c0"));
    program.output("y", x);
    program.output("hn", h);
    program.output("cn", c);
    let model = program.clone().build().unwrap();
    let error =
        Device::cpu().compile(&model).unwrap().run(Inputs::new(arr1(&[1.0]).view())).unwrap_err();
    let text = error.to_string();
    for words in [
        "takes 3 inputs ([\"x\", \"h0\", \"c0\"]), got 1",
        "OnnxOptions::new().tied(\"h0\", \"hn\").tied(\"c0\", \"cn\") in Rust",
        "tied={\"h0\": \"hn\", \"c0\": \"cn\"} in Python",
        "--tie h0=hn --tie c0=cn",
    ] {
        assert!(text.contains(words), "{text:?} doesn't say {words:?}");
    }
    program.tie("h0", "hn");
    let tied = program.build().unwrap();
    assert_eq!(tied.likely_ties(), [("c0".to_string(), "cn".to_string())]);
}
