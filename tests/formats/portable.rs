//! birnn's own form: what is saved and read again computes the same, to the bit, whatever the model
//! came from; files of version 1 go on being read.

use crate::random_layers;
use crate::random_layers::Random;
use birnn::layer::{Merge, RecurrentBuilder};
use birnn::program::{Binary, Kind, Length, Operation, Program, Values};
use birnn::{
    Bidirectional, Call, Cell, Dense, Device, Error, FileFormat, Graph, Gru, Inputs, Layer, Lstm,
    MaskRules, Masking, Model, Outputs, PortableLimits, Result, SaveOptions, TimeDistributed,
};
use ndarray::{ArrayD, IxDyn, arr1, arr2};
use std::path::{Path, PathBuf};

fn fixtures(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder)
}

/// Saves and loads, and says whether what is loaded is saved in the same bytes.
fn again(name: &str, model: &Model) -> Model {
    let bytes = model.to_portable_bytes().unwrap_or_else(|e| panic!("{name}: {e}"));
    let read = Model::from_portable_bytes(name, &bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert!(read.to_portable_bytes().unwrap() == bytes, "{name} is saved in other bytes");
    assert_eq!(read.summary(), model.summary());
    assert_eq!(read.output_names(), model.output_names());
    read
}

/// Arrays for the model's inputs: ids and masks, or numbers.
fn arrays(model: &Model, random: &mut Random) -> Vec<ArrayD<f32>> {
    let summary = model.summary();
    let rows = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
    let array = |row: &birnn::SummaryRow| {
        let shape: Vec<_> = row.output_shapes[0].iter().map(|axis| axis.unwrap_or(3)).collect();
        let is_whole = matches!(row.given_as, Some("ids" | "mask"));
        ArrayD::from_shape_simple_fn(IxDyn(&shape), || match is_whole {
            true => random.below(2) as f32,
            false => random.below(2001) as f32 / 1000.0 - 1.0,
        })
    };
    rows.map(array).collect()
}

/// Two calls, of which the second has the states of the first where the model is stateful.
fn calls(model: &Model, arrays: &[ArrayD<f32>]) -> Result<Vec<Outputs>> {
    let mut session = Device::cpu().compile(model)?;
    let mut call = || {
        let first = Inputs::new(arrays[0].view());
        session.run(arrays[1..].iter().fold(first, |inputs, array| inputs.input(array.view())))
    };
    Ok(vec![call()?, call()?])
}

/// That a model computes the same once it was saved and read; whether it ran.
fn check(name: &str, model: &Model, random: &mut Random) -> bool {
    let read = again(name, model);
    let mut arrays = arrays(model, random);
    // What is looked up by is told by the error alone where an operation in a model of layers does.
    for _ in 0..arrays.len() {
        use birnn::Error::{IdRange, InputValue};
        let Err(IdRange { input, .. } | InputValue { input, .. }) = calls(model, &arrays) else {
            break;
        };
        let place = model.input_names().iter().position(|name| *name == input).unwrap();
        arrays[place].mapv_inplace(|value| f32::from(value > 0.0));
    }
    match (calls(model, &arrays), calls(&read, &arrays)) {
        (Ok(before), Ok(after)) => {
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(before.list().len(), after.list().len(), "{name}");
                for (before, after) in before.list().iter().zip(after.list()) {
                    assert_eq!((&before.layer, before.role), (&after.layer, after.role), "{name}");
                    let bits = |array: &ArrayD<f32>| array.mapv(f32::to_bits);
                    assert_eq!(bits(&before.array), bits(&after.array), "{name}");
                }
            }
            true
        }
        (Err(before), Err(after)) => {
            assert_eq!(before.to_string(), after.to_string(), "{name}");
            false
        }
        (before, after) => panic!("{name}: {:?}, and then {:?}", before.err(), after.err()),
    }
}

/// Every model of a folder that can be read, with the least number of those that run.
#[allow(dead_code)] // without importers
fn check_folder(folder: &str, least: usize) {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(fixtures(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut read, mut ran) = (0, 0);
    for file in files {
        let Ok(model) = Model::load(&file) else { continue };
        read += 1;
        ran += usize::from(check(&file.display().to_string(), &model, &mut random));
    }
    println!("{folder}: {read} models, {ran} of them ran");
    assert!(ran >= least, "{folder}: {ran} of {read} models ran");
}

#[cfg(feature = "keras")]
#[test]
fn models_of_keras_compute_the_same_to_the_bit() {
    check_folder("keras", 170);
    check_folder("layers", 500);
    check_folder("operations", 12);
}

/// Layers of the caller's own became some of birnn's.
#[cfg(feature = "keras")]
#[test]
fn custom_layers_are_saved_as_what_they_are_made_of() {
    use birnn::layer::Rescaling;
    use birnn::{CustomLayer, KerasOptions};
    let units = |layer: &birnn::KerasLayer| layer.size("units");
    let options = KerasOptions::new()
        .custom("birnn>Scale", |_| Ok(CustomLayer::new(Rescaling::new(0.1).offset(0.2))))
        .custom("birnn>Mix", move |layer| Ok(CustomLayer::new(Dense::new(units(layer)?))))
        .lambda("double", |_| Ok(CustomLayer::new(Rescaling::new(2.0))));
    let json = std::fs::read(fixtures("custom").join("keras3.keras")).unwrap();
    let model = options.load_bytes("keras3.keras", json);
    // The file has weights for what its layers really are.
    if let Ok(model) = model {
        assert!(check("custom", &model, &mut Random(7)));
    }
}

#[cfg(feature = "onnx")]
#[test]
fn onnx_models_compute_the_same_to_the_bit() {
    check_folder("onnx", 55);
}

/// Models whose weights are inputs of the file, which are constants of the model.
#[cfg(feature = "onnx")]
#[test]
fn fixed_inputs_are_saved() {
    let mut ran = 0;
    for entry in std::fs::read_dir(fixtures("onnx/nodes")).unwrap() {
        let path = entry.unwrap().path();
        let Ok(open) = Model::from_onnx(&path) else { continue };
        let file = std::fs::File::open(path.with_extension("npz")).unwrap();
        let mut npz = ndarray_npy::NpzReader::new(file).unwrap();
        let mut options = birnn::OnnxOptions::new();
        for (place, name) in open.input_names().iter().enumerate().skip(1) {
            let array: ArrayD<f32> = npz.by_name(&format!("in_{place}.npy")).unwrap();
            options = options.fixed_input(name, Values::Floats(array));
        }
        let model = options.load(&path).unwrap();
        assert_eq!(model.input_names().len(), 1);
        ran += usize::from(check(&path.display().to_string(), &model, &mut Random(5)));
    }
    assert!(ran >= 16, "{ran}");
}

#[cfg(feature = "onnx")]
#[test]
fn ties_and_constants_of_onnx_models_are_saved() {
    use birnn::OnnxOptions;
    let path = fixtures("onnx").join("lstm_forward_lengths.onnx");
    let options = OnnxOptions::new().tied("initial_h", "Y_h").tied("initial_c", "Y_c");
    let tied = options.load(&path).unwrap();
    assert!(check("tied", &tied, &mut Random(3)));
    let read = again("tied", &tied);
    assert!(read.is_program());
    assert_eq!(read.input_names(), ["X", "sequence_lens"]);
}

#[cfg(feature = "pytorch")]
#[test]
fn models_of_pytorch_compute_the_same_to_the_bit() {
    check_folder("torch", 100);
}

#[test]
fn random_models_are_read_as_they_were_saved() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut built = 0;
    for _ in 0..2000 {
        let Ok(model) = random_layers::model(&mut random) else { continue };
        again("random", &model);
        built += 1;
    }
    assert!(built > 500, "{built}");
}

/// Shared layers, several inputs and outputs, constants, masks, states: all that a graph has.
fn everything() -> Model {
    let mut graph = Graph::new().mask_rules(MaskRules::Keras2);
    let start = graph.constant("start", arr2(&[[0.1, -0.0, 1e-30]]).into_dyn()).unwrap();
    let x = graph.sequence_input("x", None, 2).unwrap();
    let mask = graph.input("mask", &[None]).unwrap();
    let shared = graph.layer(Gru::new(3).return_sequences(true).named("encoder/gru")).unwrap();
    let y = graph.sequence_input("y", Some(4), 2).unwrap();
    let of_x = graph.call(shared, Call::on(x).mask(mask)).unwrap()[0];
    let of_y = graph.call(shared, Call::on(y).initial_state(&[start])).unwrap()[0];
    let both = Bidirectional::new(Lstm::new(2).return_state(true).stateful(true).peepholes(true));
    let states = graph.add(both.named("both"), of_x).unwrap();
    let last = graph.add(RecurrentBuilder::of(Cell::MGU, 3), of_y).unwrap()[0];
    let halves = graph.add(TimeDistributed::new(Dense::new(2)), of_y).unwrap()[0];
    let sum = graph.add(Merge::add(), [last, last]).unwrap()[0];
    let outputs = [&[sum, halves, of_x], &states[..]].concat();
    graph.build(outputs).unwrap().initialize(5).unwrap()
}

#[test]
fn graphs_with_everything_compute_the_same_to_the_bit() {
    let model = everything();
    assert_eq!(model.input_names(), ["x", "mask", "y"]);
    let mut random = Random(11);
    let read = again("everything", &model);
    assert_eq!(read.input_names(), model.input_names());
    let mut arrays = arrays(&model, &mut random);
    arrays[0] = ArrayD::from_elem(IxDyn(&[2, 5, 2]), 0.3);
    arrays[1] = ArrayD::ones(IxDyn(&[2, 5]));
    arrays[1][[1, 4]] = 0.0;
    arrays[2] = ArrayD::from_elem(IxDyn(&[2, 4, 2]), -0.7);
    let (before, after) = (calls(&model, &arrays).unwrap(), calls(&read, &arrays).unwrap());
    for (before, after) in before.iter().zip(&after) {
        for (before, after) in before.list().iter().zip(after.list()) {
            assert_eq!(before.array, after.array);
        }
    }
    let first = &before[0].list().last().unwrap().array;
    assert_ne!(first, &before[1].list().last().unwrap().array, "its states aren't carried");
}

#[test]
fn programs_are_saved_with_their_constants_and_ties() {
    let mut program = Program::new();
    let x = program.input("x", [Length::Named("rows".into()), Length::Fixed(2)], Kind::Float);
    let x = x.unwrap();
    let sum = program.input("sum", [Length::Named("rows".into()), Length::Fixed(3)], Kind::Float);
    let sum = sum.unwrap();
    let unused = program.constant(Values::integers([1, 2]));
    program.add("unused", Operation::Shape, [unused]).unwrap();
    let kernel =
        program.constant(Values::Floats(arr2(&[[1.0, 2.0, 3.0], [0.5, 0.1, -1.0]]).into_dyn()));
    let truth = program.constant(Values::Bools(arr1(&[true, false, true]).into_dyn()));
    let product = program.add("product", Operation::Product, [x, kernel]).unwrap()[0];
    let zero = program.constant(Values::float(-0.0));
    let chosen = program.add("select", Operation::Select, [truth, product, zero]).unwrap()[0];
    let next = program.add("add", Operation::Binary(Binary::Add), [chosen, sum]).unwrap()[0];
    let shape = program.add("shape", Operation::Shape, [next]).unwrap()[0];
    program.output("next", next);
    program.output("shape", shape);
    program.output("constant", truth);
    program.tie("sum", "next");
    let model = program.build().unwrap();
    assert!(check("program", &model, &mut Random(1)));
    assert_eq!(again("program", &model).input_names(), ["x"]);
}

/// Equal arrays are one tensor, and a model with them takes no more room.
#[test]
fn equal_weights_are_one_tensor() {
    let layers: [Layer; 2] = [Gru::new(16).return_sequences(true).into(), Gru::new(16).into()];
    let mut model = Model::sequential(16, layers).unwrap().initialize(3).unwrap();
    let apart = model.to_portable_bytes().unwrap().len();
    let weights = model.weights("gru").unwrap();
    model.set_weights("gru_1", weights).unwrap();
    let shared = model.to_portable_bytes().unwrap().len();
    assert!(shared + 2 * 16 * 48 * 4 - 200 < apart, "{shared} and {apart} bytes");
    assert!(check("shared", &model, &mut Random(1)));
}

/// Kernels in half the bytes, and other weights as they are.
#[test]
fn kernels_may_be_stored_as_16_bit_floats() {
    let options = SaveOptions::new().half_weights(true);
    let mut model = Model::sequential(8, [Gru::new(16)]).unwrap().initialize(3).unwrap();
    let read = Model::from_portable_bytes("half", &options.bytes(&model).unwrap()).unwrap();
    let (before, after) = (model.weights("gru").unwrap(), read.weights("gru").unwrap());
    for (place, (before, after)) in before.iter().zip(&after).enumerate() {
        let error = (before - after).fold(0.0f32, |most, e| most.max(e.abs()));
        // A bias is [2, 48].
        assert_eq!(error > 0.0, place < 2, "{place}: {error}");
        assert!(error < 1e-3, "{place}: {error}");
    }
    // What was rounded once isn't rounded again.
    assert_eq!(options.bytes(&read).unwrap(), options.bytes(&model).unwrap());
    // A kernel with a value that isn't in their range stays as it is.
    let mut large = before.clone();
    large[0][[0, 0]] = 65_520.0;
    model.set_weights("gru", large.clone()).unwrap();
    let read = Model::from_portable_bytes("half", &options.bytes(&model).unwrap()).unwrap();
    assert_eq!(read.weights("gru").unwrap()[0], large[0]);
}

#[test]
fn layers_that_have_no_weights_have_none() {
    let model = Model::sequential(3, [Masking::new()]).unwrap();
    assert!(model.weights("masking").unwrap().is_empty());
    assert!(again("masking", &model).weights("masking").unwrap().is_empty());
}

#[test]
fn models_without_weights_cannot_be_saved() {
    let error = Model::sequential(2, [Gru::new(3)]).unwrap().to_portable_bytes().unwrap_err();
    assert!(matches!(error, Error::MissingWeights { .. }), "{error}");
    let model = Model::sequential(2, [Gru::new(3)]).unwrap().initialize(1).unwrap();
    let error = model.save("no/such/folder/gru.safetensors").unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
}

#[test]
fn the_content_says_that_a_file_is_birnns() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("model.safetensors");
    let path = folder.path().join("weights.pt");
    let model = Model::sequential(2, [Gru::new(3)]).unwrap().initialize(1).unwrap();
    model.save(&saved).unwrap();
    std::fs::rename(saved, &path).unwrap();
    assert_eq!(FileFormat::of(&path).unwrap(), FileFormat::Portable);
    assert_eq!(Model::load(&path).unwrap().weights("gru").unwrap(), model.weights("gru").unwrap());
    // The same with its metadata behind the tensors.
    let bytes = std::fs::read(&path).unwrap();
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header: serde_json::Map<_, _> = serde_json::from_slice(header).unwrap();
    let mut text: Vec<String> =
        header.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
    text.reverse();
    let header = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}},{}}}",
        text.join(",")
    );
    let header = header.replace("\"__metadata__\": {", "\"__metadata__\": {\"format\":\"pt\",");
    let moved = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    std::fs::write(&path, moved).unwrap();
    assert_eq!(FileFormat::of(&path).unwrap(), FileFormat::Portable);
    assert!(Model::load(&path).is_ok());
}

#[cfg(all(feature = "keras", feature = "pytorch", feature = "onnx"))]
#[test]
fn other_importers_name_the_way() {
    let path = fixtures("portable").join("version_1.safetensors");
    let errors = [
        Model::from_torch(&path).unwrap_err(),
        birnn::torch::StateDict::open(&path).map(|_| ()).unwrap_err(),
        Model::from_keras(&path).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("Model::from_portable"), "{error}");
    }
    let error = Model::from_portable(fixtures("torch").join("lstm.safetensors")).unwrap_err();
    assert!(error.to_string().contains("Model::from_torch"), "{error}");
}

#[test]
fn limits_are_kept_to() {
    let bytes = everything().to_portable_bytes().unwrap();
    let refused = |limits: PortableLimits, name: &str| {
        let error = limits.load_bytes("file", &bytes).unwrap_err();
        assert!(matches!(error, Error::MalformedFile { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    };
    refused(PortableLimits::new().file_bytes(100), "PortableLimits::file_bytes");
    refused(PortableLimits::new().unpacked_bytes(100), "PortableLimits::unpacked_bytes");
    refused(PortableLimits::new().description_bytes(100), "PortableLimits::description_bytes");
    refused(PortableLimits::new().layers(2), "PortableLimits::layers");
    refused(PortableLimits::new().calls(5), "PortableLimits::calls");
    assert!(PortableLimits::new().load_bytes("file", &bytes).is_ok());
}

/// Files of version 1, which were written when it was new: `BIRNN_WRITE_DOCS=1` writes those that
/// aren't there, and nothing replaces them.
#[test]
fn files_of_version_1_are_read() {
    golden("version_1.safetensors", &everything());
    #[cfg(feature = "onnx")]
    {
        let path = fixtures("onnx").join("exported_bilstm.onnx");
        golden("version_1_program.safetensors", &Model::from_onnx(path).unwrap());
    }
}

fn golden(name: &str, model: &Model) {
    let path = fixtures("portable").join(name);
    if !path.exists() && std::env::var_os("BIRNN_WRITE_DOCS").is_some() {
        model.save(&path).unwrap();
    }
    let read = Model::load(&path).unwrap_or_else(|e| panic!("{e}"));
    let bytes = |model: &Model| model.to_portable_bytes().unwrap();
    assert!(bytes(&read) == bytes(model), "{name} is another model");
    let mut random = Random(11);
    let mut arrays = arrays(model, &mut random);
    if name == "version_1.safetensors" {
        arrays[2] = ArrayD::from_elem(IxDyn(&[3, 4, 2]), -0.7);
    }
    let (now, then) = (calls(model, &arrays).unwrap(), calls(&read, &arrays).unwrap());
    for (now, then) in now[0].list().iter().zip(then[0].list()) {
        assert_eq!(now.array, then.array, "{name}");
    }
}
