//! How exact the results are, beside Keras's own in f32: each compared with Keras in f64, over
//! every fixture. Writes the table by layer to `target/accuracy.md` and that by fixture to
//! `target/accuracy.csv`, and with `BIRNN_WRITE_DOCS=1` to
//! `docs/generated/accuracy_by_layer.md` and `docs/generated/accuracy.csv`.

use crate::common;
use crate::layers;
use crate::layers::{Ulps, supported};
use birnn::{Device, Model, reference};
use ndarray::ArrayD;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// Over all cases of a layer the largest error may be at most this many times Keras's.
const MAX_FACTOR: f64 = 2.0;
/// Over all values of a layer's cases the mean error may be at most this many times Keras's.
const MEAN_FACTOR: f64 = 1.25;
/// The largest error, in ulps, of an exact result that is rounded to f32: no bound is below it.
const MAX_ROUNDING: f64 = 0.5;
/// The mean error of such results, in ulps.
const MEAN_ROUNDING: f64 = 0.25;

/// The CPU path, and the GPU where there is one.
const BACKENDS: [&str; 2] = ["CPU", "GPU"];

const HEAD: &str = "\
# Accuracy

Largest and mean error of the models of `tests/fixtures`, by the layer that each is about: Keras's
results in f32 and birnn's, compared with what Keras computes in f64 (or, of the large arrays for
which the fixtures have no f64, the reference). An error is counted in ulps, units of the last place
of an f32; a value that is smaller than the mean size of its array counts as that large. Means are
over all values. The same for each model alone is in [accuracy.csv](accuracy.csv). Written by
`tests/formats/accuracy.rs`, which also fails where birnn is less exact than Keras: where over all
models of a layer the mean error is more than 1.25 times Keras's (or a quarter of an ulp, where that
is more), or the largest error more than twice Keras's (or half an ulp, which is the rounding of an
exact result).

";

/// The errors of a layer's cases.
#[derive(Default)]
struct Row {
    cases: usize,
    keras: Ulps,
    /// By backend.
    ours: Vec<Ulps>,
}

/// A model with what Keras computed, in f32 and in f64.
struct Fixture {
    name: String,
    /// The layer that it is about.
    layer: String,
    keras: Vec<ArrayD<f32>>,
    exact: Vec<Option<ArrayD<f64>>>,
    /// By backend, the outputs of all calls.
    ours: Vec<common::Found>,
}

impl Fixture {
    /// The errors of a backend's outputs, all together: Keras's in f32 and ours.
    fn measure(&self, found: &[ArrayD<f32>]) -> (Ulps, Ulps) {
        let (mut keras, mut ours) = (Ulps::default(), Ulps::default());
        for ((found, of_keras), exact) in found.iter().zip(&self.keras).zip(&self.exact) {
            let Some(exact) = exact else { continue };
            keras = keras.and(Ulps::between(of_keras, exact));
            ours = ours.and(Ulps::between(found, exact));
        }
        (keras, ours)
    }
}

fn fixtures() -> Vec<Fixture> {
    let backends: Vec<_> =
        [Some(layers::on_cpu()), layers_on_gpu()].into_iter().flatten().collect();
    let of_layers = supported().iter().enumerate().map(|(place, case)| Fixture {
        name: case.name.clone(),
        layer: case.layer.clone(),
        keras: case.calls.iter().flat_map(|call| call.outputs.clone()).collect(),
        exact: exact_of_layers(place, case),
        ours: backends.iter().map(|found| Ok(found[place].clone()?.concat())).collect(),
    });
    let on_gpu = recurrent_on_gpu();
    let recurrent = common::cases().into_iter().enumerate().map(|(place, case)| {
        let model = Model::from_keras(&case.model_path).expect("it is read");
        let exact = match case.exact.iter().all(Option::is_some) {
            true => case.exact,
            false => exact_outputs(&model, &case.inputs),
        };
        let on_cpu = Device::cpu()
            .compile(&model)
            .and_then(|mut session| session.run(common::inputs(&case.inputs)))
            .map(|outputs| outputs.list().iter().map(|output| output.array.clone()).collect())
            .map_err(|e| e.to_string());
        Fixture {
            name: case.name,
            layer: model.layers().next().map_or("?", |layer| layer.class_name()).to_string(),
            keras: case.outputs,
            exact,
            ours: [on_cpu].into_iter().chain(on_gpu.map(|found| found[place].clone())).collect(),
        }
    });
    of_layers.chain(recurrent).collect()
}

/// Keras's outputs in f64; those of the reference, which other fixtures show to be the same to
/// 1e-11, where Keras computes something else in f64.
fn exact_of_layers(place: usize, case: &layers::Case) -> Vec<Option<ArrayD<f64>>> {
    if case.exact_from_f32 {
        let calls = layers::in_f64()[place].clone().expect("the reference runs");
        let outputs = case.calls.iter().map(|call| call.outputs.len());
        return calls
            .into_iter()
            .zip(outputs)
            .flat_map(|(call, n)| call.map_or(vec![None; n], some))
            .collect();
    }
    case.calls.iter().flat_map(|call| call.exact.iter().cloned().map(Some)).collect()
}

fn some(outputs: Vec<ArrayD<f64>>) -> Vec<Option<ArrayD<f64>>> {
    outputs.into_iter().map(Some).collect()
}

/// Those of the reference: of large arrays the fixtures have none.
fn exact_outputs(model: &Model, inputs: &[ArrayD<f32>]) -> Vec<Option<ArrayD<f64>>> {
    let wide: Vec<ArrayD<f64>> = inputs.iter().map(|input| input.mapv(f64::from)).collect();
    let outputs = reference::run::<f64>(model, common::inputs(&wide)).expect("the reference runs");
    some(outputs.list().iter().map(|output| output.array.clone()).collect())
}

/// A line for each fixture.
fn csv(lines: &[(String, String, Ulps, Vec<Ulps>)], backends: &[&str]) -> String {
    let mut text = String::from("fixture,layer,keras f32 max,keras f32 mean");
    backends
        .iter()
        .for_each(|name| write!(text, ",{0} max,{0} mean", name.to_lowercase()).unwrap());
    for (fixture, layer, keras, ours) in lines {
        write!(text, "\n{fixture},{layer}").unwrap();
        for ulps in [keras].into_iter().chain(ours) {
            write!(text, ",{:.2},{:.3}", ulps.max, ulps.mean()).unwrap();
        }
    }
    text + "\n"
}

fn table(rows: &BTreeMap<String, Row>, backends: &[&str]) -> String {
    let mut text = String::from("| Layer | Cases | Keras f32 |");
    backends.iter().for_each(|name| write!(text, " {name} |").unwrap());
    text += "\n|---|--:|--:|";
    text += &"--:|".repeat(backends.len());
    text += "\n";
    let shown = |ulps: &Ulps| format!("{:.1} / {:.2}", ulps.max, ulps.mean());
    for (layer, row) in rows {
        write!(text, "| {layer} | {} | {} |", row.cases, shown(&row.keras)).unwrap();
        row.ours.iter().for_each(|ours| write!(text, " {} |", shown(ours)).unwrap());
        text += "\n";
    }
    text
}

/// What the GPU computes of the layers' models and of the recurrent ones, where there is a GPU.
#[cfg(feature = "gpu")]
fn layers_on_gpu() -> Option<&'static [layers::Found]> {
    layers::on_gpu()
}
#[cfg(feature = "gpu")]
fn recurrent_on_gpu() -> Option<&'static [common::Found]> {
    common::on_gpu()
}
#[cfg(not(feature = "gpu"))]
fn layers_on_gpu() -> Option<&'static [layers::Found]> {
    None
}
#[cfg(not(feature = "gpu"))]
fn recurrent_on_gpu() -> Option<&'static [common::Found]> {
    None
}

/// What is wrong with a layer's errors on each backend, beside Keras's.
fn less_exact(layer: &str, row: &Row) -> Vec<String> {
    let mut found = Vec::new();
    for (backend, ours) in BACKENDS.iter().zip(&row.ours) {
        let largest = (MAX_FACTOR * row.keras.max).max(MAX_ROUNDING);
        if ours.max > largest {
            let (max, keras) = (ours.max, row.keras.max);
            found.push(format!("{backend}: {layer}: largest {max:.2} ulps, Keras {keras:.2}"));
        }
        let mean = (MEAN_FACTOR * row.keras.mean()).max(MEAN_ROUNDING);
        if ours.mean() > mean {
            let (mean, keras) = (ours.mean(), row.keras.mean());
            found.push(format!("{backend}: {layer}: mean {mean:.3} ulps, Keras {keras:.3}"));
        }
    }
    found
}

#[test]
fn no_layer_is_less_exact_than_keras() {
    let (mut rows, mut lines, mut failures) =
        (BTreeMap::<String, Row>::new(), Vec::new(), Vec::new());
    let fixtures = fixtures();
    let backends = &BACKENDS[..fixtures[0].ours.len()];
    for fixture in fixtures {
        let row = rows.entry(fixture.layer.clone()).or_default();
        row.cases += 1;
        row.ours.resize(backends.len(), Ulps::default());
        let mut line = (fixture.name.clone(), fixture.layer.clone(), Ulps::default(), Vec::new());
        for (index, (name, found)) in backends.iter().zip(&fixture.ours).enumerate() {
            match found {
                Ok(found) => {
                    let (keras, ours) = fixture.measure(found);
                    row.ours[index] = row.ours[index].and(ours);
                    line.2 = keras;
                    line.3.push(ours);
                }
                Err(e) => failures.push(format!("{name}: {}: {e}", fixture.name)),
            }
        }
        row.keras = row.keras.and(line.2);
        lines.push(line);
    }
    failures.extend(rows.iter().flat_map(|(layer, row)| less_exact(layer, row)));
    let (table, csv) = (table(&rows, backends), csv(&lines, backends));
    println!("{table}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(root.join("target")).unwrap();
    std::fs::write(root.join("target/accuracy.md"), &table).unwrap();
    std::fs::write(root.join("target/accuracy.csv"), &csv).unwrap();
    if std::env::var_os("BIRNN_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(root.join("docs/generated")).unwrap();
        std::fs::write(root.join("docs/generated/accuracy_by_layer.md"), HEAD.to_string() + &table)
            .unwrap();
        std::fs::write(root.join("docs/generated/accuracy.csv"), &csv).unwrap();
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
