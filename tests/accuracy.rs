//! How exact the results are, beside Keras's own in f32: each compared with Keras in f64, over every layer fixture.
//! Writes the table of `docs/ACCURACY.md` to `target/accuracy.md`.
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

/// No result may be further from Keras in f64 than this many times Keras in f32 is …
const FACTOR: f64 = 2.0;
/// … and this many ulps: where Keras happens to round to the exact value, as in a sum of two, no factor is enough.
const ALLOWANCE: f64 = 2.0;

/// The errors of a layer's cases.
#[derive(Default)]
struct Row {
    cases: usize,
    keras: Ulps,
    /// By backend.
    ours: Vec<Ulps>,
}

/// The errors of one case's outputs, all together: Keras's f32 and ours; and what is too far off.
fn measure(case: &Case, model: &Model, device: &Device) -> Result<(Ulps, Ulps, Vec<String>), String> {
    let calls = case.run(device, model).map_err(|e| e.to_string())?;
    let (mut keras, mut ours, mut failures) = (Ulps::default(), Ulps::default(), Vec::new());
    for (c, (outputs, call)) in calls.iter().zip(&case.calls).enumerate() {
        for (o, (found, exact)) in outputs.iter().zip(&call.exact).enumerate() {
            let of_keras = Ulps::between(&call.outputs[o], exact);
            let of_ours = Ulps::between(found, exact);
            if of_ours.max > FACTOR * of_keras.max + ALLOWANCE {
                let (ours, keras) = (of_ours.max, of_keras.max);
                failures.push(format!("{} call {c} output {o}: {ours:.1} ulps, Keras {keras:.1}", case.name));
            }
            (keras, ours) = (keras.and(of_keras), ours.and(of_ours));
        }
    }
    Ok((keras, ours, failures))
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
                Ok((keras, ours, too_far)) => {
                    failures.extend(too_far.into_iter().map(|place| format!("{name}: {place}")));
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
    let table = table(&rows, &names);
    println!("{table}");
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/target/accuracy.md"), table).unwrap();
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
}
