//! Model files of real Keras: what they compute, and that broken or unsupported ones are refused.

use crate::common::{Case, cases, fixtures, inputs, largest_error, refused};
use birnn::{Device, Error, Model, reference};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Keras computes in f32, with its own order of summation.
const F32_TOLERANCE: f64 = 2e-6;
/// The weights are exact in f64, so only the order of summation differs.
const F64_TOLERANCE: f64 = 1e-12;
/// TensorFlow holds the slope of leaky_relu in f32 even when it computes in f64: 0.2 is 3e-9 off.
const LEAKY_RELU_F64_TOLERANCE: f64 = 2e-8;

fn load(case: &Case) -> Result<Model, String> {
    Model::from_keras(&case.model_path).map_err(|e| format!("{}: {e}", case.name))
}

/// Compares every case in the precision of `run`; lists what fails.
fn compare(
    tolerance: impl Fn(&Case) -> f64,
    run: impl Fn(&Model, &Case) -> Result<Vec<f64>, Error>,
) {
    let cases = cases();
    assert!(cases.len() >= 165, "{} cases: some are missing", cases.len());
    let (mut failures, mut largest) = (Vec::new(), (0.0, 1.0, String::new()));
    for case in &cases {
        match load(case)
            .and_then(|model| run(&model, case).map_err(|e| format!("{}: {e}", case.name)))
        {
            Ok(errors) => {
                for (index, error) in errors.into_iter().enumerate() {
                    if error / tolerance(case) > largest.0 / largest.1 {
                        largest = (error, tolerance(case), format!("{} output {index}", case.name));
                    }
                    if error > tolerance(case) {
                        failures.push(format!("{} output {index}: error {error:e}", case.name));
                    }
                }
            }
            Err(e) => failures.push(e),
        }
    }
    let largest = format!(
        "largest error, by its tolerance: {:e} of {:e} ({})",
        largest.0, largest.1, largest.2
    );
    println!("{} cases, {largest}", cases.len());
    assert!(failures.is_empty(), "{largest}\n{}", failures.join("\n"));
}

#[test]
fn every_case_computes_what_keras_computed() {
    compare(
        |_| F32_TOLERANCE,
        |model, case| {
            let outputs = reference::run::<f32>(model, inputs(&case.inputs))?;
            assert_eq!(outputs.list().len(), case.outputs.len(), "{}", case.name);
            Ok(outputs
                .list()
                .iter()
                .zip(&case.outputs)
                .map(|(o, keras)| largest_error(&o.array, keras))
                .collect())
        },
    );
}

#[test]
fn the_cpu_path_computes_what_keras_computed() {
    compare(
        |_| F32_TOLERANCE,
        |model, case| {
            let outputs = Device::cpu().compile(model)?.run(inputs(&case.inputs))?;
            assert_eq!(outputs.list().len(), case.outputs.len(), "{}", case.name);
            Ok(outputs
                .list()
                .iter()
                .zip(&case.outputs)
                .map(|(o, keras)| largest_error(&o.array, keras))
                .collect())
        },
    );
}

#[test]
fn every_case_is_exact_in_f64() {
    let tolerance = |case: &Case| match case.name.contains("leaky_relu") {
        true => LEAKY_RELU_F64_TOLERANCE,
        false => F64_TOLERANCE,
    };
    compare(tolerance, |model, case| {
        let arrays: Vec<_> = case.inputs.iter().map(|input| input.mapv(f64::from)).collect();
        let outputs = reference::run::<f64>(model, inputs(&arrays))?;
        assert_eq!(outputs.list().len(), case.exact.len(), "{}", case.name);
        let compared = outputs.list().iter().zip(&case.exact);
        Ok(compared
            .filter_map(|(o, exact)| Some(largest_error(&o.array, exact.as_ref()?)))
            .collect())
    });
}

#[test]
fn inputs_and_outputs_are_those_of_the_model() {
    for case in cases() {
        let model = load(&case).unwrap();
        assert_eq!(model.input_names().len(), case.inputs.len(), "{}", case.name);
        assert_eq!(model.output_names().len(), case.outputs.len(), "{}", case.name);
    }
    let names = |file: &str| {
        let model = Model::from_keras(fixtures().join(file)).unwrap();
        (model.input_names(), model.layer_names(), model.output_names())
    };
    let (inputs, layers, outputs) = names("inputs_reordered.keras");
    assert_eq!(
        (inputs, layers),
        (vec!["state".into(), "sequence".into()], vec!["gru".to_string()])
    );
    assert_eq!(outputs, ["forward hidden state of gru", "output of gru"]);
    let (inputs, layers, _) = names("names_odd.keras");
    assert_eq!(
        (inputs, layers),
        (vec!["input ∆ 0".into()], vec!["my encoder α".into(), "a.b:0 [x]\\y".to_string()])
    );
    assert_eq!(names("name_slash_keras2.h5").1, ["my.encoder/a-1"]);
    assert_eq!(names("names_swapped.keras").1, ["lstm_1", "lstm"]);
}

/// Loads every file of a list; each has to fail, name its layer, and be an error of the right kind.
fn all_refused(key: &str, count: usize, fits: impl Fn(&str, &Error) -> bool) {
    let files = refused(key);
    assert_eq!(files.len(), count);
    let mut wrong = Vec::new();
    for file in files {
        let stem = file.path.file_name().unwrap().to_string_lossy().to_string();
        match Model::from_keras(&file.path) {
            Ok(_) => wrong.push(format!("{stem}: was loaded")),
            Err(e) => {
                println!("{stem}: {e}");
                let names_layer =
                    file.layer.is_none_or(|layer| e.to_string().contains(&format!("{layer:?}")));
                if !names_layer || !fits(&stem, &e) {
                    wrong.push(format!("{stem}: {e:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The sizes that the fixtures have to have: one, a few, and more than a tile of every kernel.
#[test]
fn fixtures_are_of_every_size() {
    let mut found = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    for case in cases() {
        let model = Model::from_keras(&case.model_path).unwrap();
        for x in case.inputs.iter().filter(|x| x.ndim() == 3) {
            found[0].insert(x.shape()[0]);
            found[1].insert(x.shape()[1]);
        }
        let layers = model.layers().flat_map(|layer| layer.directions());
        found[2].extend(layers.map(|(_, layer)| layer.units()));
    }
    let wanted =
        [("batch", vec![1, 3, 17]), ("timesteps", vec![1, 2, 33]), ("units", vec![1, 3, 64, 130])];
    for ((axis, sizes), found) in wanted.iter().zip(&found) {
        assert!(
            sizes.iter().all(|size| found.contains(size)),
            "{axis}: {found:?} lack some of {sizes:?}"
        );
    }
}

#[test]
fn unsupported_models_are_refused() {
    all_refused("unsupported", 4, |file, e| match e {
        Error::UnsupportedLayer { .. } | Error::UnsupportedNode { .. } => true,
        Error::UnsupportedArgument { argument, .. } => match file.trim_end_matches(".keras") {
            "custom_activation" => argument == "activation",
            "bi_mixed_states" => argument == "backward_layer",
            _ => false,
        },
        _ => false,
    });
}

#[test]
fn damaged_files_are_refused() {
    all_refused("damaged", 37, |file, e| match file {
        "units_zero.keras" | "units_negative.keras" | "units_huge.keras" | "units_text.keras" => {
            matches!(e, Error::Argument { argument, .. } if argument == "units")
        }
        "unknown_class.keras" => matches!(e, Error::UnsupportedLayer { .. }),
        "unknown_merge.keras" => {
            matches!(e, Error::UnsupportedArgument { argument, .. } if argument == "merge_mode")
        }
        "nan_weight.keras" | "inf_weight.keras" | "nan_weight.h5" => {
            matches!(e, Error::NonFiniteWeight { .. })
        }
        "wrong_shape.keras" | "transposed.keras" | "units_differ.keras" | "wrong_shape.h5" => {
            matches!(e, Error::WeightShape { .. })
        }
        _ => matches!(e, Error::MalformedFile { .. }),
    });
}

#[test]
fn a_file_that_cannot_be_read_is_an_io_error() {
    let path = Path::new("no/such/file.keras");
    let e = Model::from_keras(path).unwrap_err();
    assert!(matches!(&e, Error::Io { path: named, .. } if named == path), "{e:?}");
    let e = Model::from_keras(env!("CARGO_MANIFEST_DIR")).unwrap_err();
    assert!(
        matches!(&e, Error::MalformedFile { reason, .. } if reason.contains("folder")),
        "{e:?}"
    );
}

#[test]
fn the_content_decides_the_format() {
    for file in ["notebook_lstm2.keras", "notebook_lstm2_keras3.h5", "notebook_lstm2_keras2.h5"] {
        let bytes = std::fs::read(fixtures().join(file)).unwrap();
        assert_eq!(
            Model::from_keras_bytes("anything", bytes).unwrap().layer_names(),
            ["bidirectional"]
        );
    }
}

/// A small generator of numbers, so that a failure can be run again.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
}

/// Files with bytes changed or cut off load or fail, and nothing else.
#[test]
fn changed_bytes_never_panic() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let layers = [
        "layer_multi_head",
        "rnn_stacked_bi_gru_lstm_rnn",
        "mask_join_concatenate_both",
        "layer_prelu",
    ];
    let layers = layers.map(|name| format!("../layers/{name}.keras"));
    let files = [
        "notebook_lstm2.keras",
        "notebook_lstm2_keras2.h5",
        "names_odd_keras3.h5",
        "shared_chain.keras",
    ];
    for file in files.iter().copied().chain(layers.iter().map(String::as_str)) {
        let good = std::fs::read(fixtures().join(file)).unwrap();
        for _ in 0..400 {
            let mut bytes = good.clone();
            for _ in 0..=random.below(6) {
                let place = random.below(bytes.len());
                bytes[place] =
                    [0, 0xFF, 0x7F, bytes[place] ^ (1 << random.below(8))][random.below(4)];
            }
            if random.below(4) == 0 {
                bytes.truncate(random.below(bytes.len()));
            }
            let _ = Model::from_keras_bytes(file, bytes);
        }
    }
}

/// The configuration in a `.keras` archive, with Python's infinity as the text that it is read as.
fn config(path: &Path) -> Value {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
    let json = std::io::read_to_string(archive.by_name("config.json").unwrap()).unwrap();
    serde_json::from_str(
        &json
            .replace(" NaN", " \"NaN\"")
            .replace(": Infinity", ": \"Infinity\"")
            .replace(", Infinity", ", \"Infinity\""),
    )
    .unwrap()
}

/// Calls `visit` on every value in a configuration.
fn each(value: &mut Value, visit: &mut impl FnMut(&mut Value)) {
    visit(value);
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, visit)),
        Value::Object(object) => object.values_mut().for_each(|item| each(item, visit)),
        _ => {}
    }
}

/// Configurations with values changed or exchanged are built or refused, and nothing else.
#[test]
fn changed_configurations_never_panic() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(16777215),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!({}),
        json!(true),
        json!([1, 2]),
        json!([-1, null, 3]),
        json!(["x", 0, 0]),
        json!("causal"),
        json!("LSTM"),
    ];
    let folder = fixtures().parent().unwrap().join("layers");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "keras"));
    files.sort();
    assert!(files.len() > 500);
    let mut built = 0;
    for path in files.iter().step_by(7) {
        let good = config(path);
        let mut values = odd.to_vec();
        each(&mut good.clone(), &mut |value| values.push(value.clone()));
        let count = values.len() - odd.len();
        for _ in 0..40 {
            let mut changed = good.clone();
            for _ in 0..=random.below(2) {
                let (place, value) =
                    (random.below(count), values[random.below(values.len())].clone());
                let mut index = 0;
                each(&mut changed, &mut |found| {
                    if index == place {
                        *found = value.clone();
                    }
                    index += 1;
                });
            }
            if let Ok(model) = Model::from_keras_config(&changed.to_string()) {
                built += usize::from(!model.summary().to_string().is_empty());
            }
        }
    }
    // Some two fifths are: many values may be others, too. Were all refused, what is behind the
    // reading would never run.
    assert!(built > 1500, "only {built} of the changed configurations are models");
}
