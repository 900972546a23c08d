//! How exact the results are, beside Keras's own in f32: each compared with Keras in f64, over every layer fixture.
//! Writes the table to `target/accuracy.md`, and with `BIRNN_WRITE_DOCS=1` to `docs/ACCURACY.md`.
#![cfg(feature = "keras")]

mod common;
#[cfg(feature = "gpu")]
#[path = "common/device.rs"]
mod device;
#[path = "common/layers.rs"]
mod layers;

use birnn::{Device, Model};
use layers::{Case, Ulps, cases};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// In no case may the largest error be more than this many times Keras's …
const FACTOR: f64 = 2.0;
/// … and this many ulps: of a few values all may happen to round well in Keras, and then no factor is enough.
const ALLOWANCE: f64 = 4.0;
/// Over all cases of a layer the mean error may not be more than `FACTOR` times Keras's and this many ulps.
const MEAN_ALLOWANCE: f64 = 0.05;

const HEAD: &str = "\
# Accuracy

Largest and mean error of the models of `tests/fixtures/layers`, by the layer that each is about: Keras's results in
f32 and birnn's, compared with what Keras computes in f64. An error is counted in ulps, units of the last place of an
f32; a value that is smaller than the mean size of its array counts as that large. Written by `tests/accuracy.rs`,
which also fails where birnn is less exact than Keras: where in a case the largest error is more than twice Keras's and
4 ulps, or over a layer's cases the mean more than twice Keras's and 0.05 ulps.

";

/// The errors of a layer's cases.
#[derive(Default)]
struct Row {
    cases: usize,
    keras: Ulps,
    /// By backend.
    ours: Vec<Ulps>,
}

/// The errors of one case's outputs, all together: Keras's in f32 and ours.
fn measure(case: &Case, model: &Model, device: &Device) -> Result<(Ulps, Ulps), String> {
    let calls = case.run(device, model).map_err(|e| e.to_string())?;
    let (mut keras, mut ours) = (Ulps::default(), Ulps::default());
    for (outputs, call) in calls.iter().zip(&case.calls) {
        for ((found, of_keras), exact) in outputs.iter().zip(&call.outputs).zip(&call.exact) {
            keras = keras.and(Ulps::between(of_keras, exact));
            ours = ours.and(Ulps::between(found, exact));
        }
    }
    Ok((keras, ours))
}

fn table(rows: &BTreeMap<String, Row>, backends: &[String]) -> String {
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

fn backends() -> Vec<(String, Device)> {
    #[allow(unused_mut)]
    let mut backends = vec![("CPU".to_string(), Device::cpu())];
    #[cfg(feature = "gpu")]
    backends.extend(device::open(device::options()).map(|device| ("GPU".to_string(), device)));
    backends
}

#[test]
fn no_result_is_less_exact_than_twice_kerass() {
    let backends = backends();
    let (mut rows, mut failures) = (BTreeMap::<String, Row>::new(), Vec::new());
    for case in cases().iter().filter(|case| case.unsupported().is_none() && !case.exact_from_f32) {
        let row = rows.entry(case.layer.clone()).or_default();
        row.cases += 1;
        row.ours.resize(backends.len(), Ulps::default());
        let model = match case.load() {
            Ok(model) => model,
            Err(e) => {
                failures.push(format!("{}: {e}", case.name));
                continue;
            }
        };
        for (index, (name, device)) in backends.iter().enumerate() {
            match measure(case, &model, device) {
                Ok((keras, ours)) => {
                    if ours.max > FACTOR * keras.max + ALLOWANCE {
                        failures.push(format!("{name}: {}: {:.1} ulps, Keras {:.1}", case.name, ours.max, keras.max));
                    }
                    row.ours[index] = row.ours[index].and(ours);
                    if index == 0 {
                        row.keras = row.keras.and(keras);
                    }
                }
                Err(e) => failures.push(format!("{name}: {}: {e}", case.name)),
            }
        }
    }
    let names: Vec<String> = backends.into_iter().map(|(name, _)| name).collect();
    for (layer, row) in &rows {
        for (name, ours) in names.iter().zip(&row.ours) {
            if ours.mean() > FACTOR * row.keras.mean() + MEAN_ALLOWANCE {
                failures.push(format!("{name}: {layer}: mean {:.2} ulps, Keras {:.2}", ours.mean(), row.keras.mean()));
            }
        }
    }
    let table = table(&rows, &names);
    println!("{table}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::write(root.join("target/accuracy.md"), &table).unwrap();
    if std::env::var_os("BIRNN_WRITE_DOCS").is_some() {
        std::fs::create_dir_all(root.join("docs")).unwrap();
        std::fs::write(root.join("docs/ACCURACY.md"), HEAD.to_string() + &table).unwrap();
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
