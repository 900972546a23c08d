//! The GPU against the arrays that real Keras computed, for every fixture.

use crate::common::{cases, largest_error, on_gpu};

/// Both Keras and the GPU round in f32: each is up to about 1e-6 from the f64 result at these sizes
/// (130 units, 33 steps), relative to max(1, |value|).
const TOLERANCE: f64 = 2e-6;

#[test]
fn every_fixture_gives_what_keras_gave() {
    let Some(found) = on_gpu() else { return };
    let (mut failures, mut worst, mut worst_exact) =
        (Vec::new(), (0.0, String::new()), (0.0, String::new()));
    let cases = cases();
    for (case, outputs) in cases.iter().zip(found) {
        let outputs = outputs.as_ref().unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(outputs.len(), case.outputs.len(), "{}", case.name);
        for (index, (found, keras)) in outputs.iter().zip(&case.outputs).enumerate() {
            let place = format!("{} output {index}", case.name);
            let found = found.mapv(f64::from);
            assert_eq!(found.shape(), keras.shape(), "{place}");
            let error = largest_error(&found, &keras.mapv(f64::from));
            if error.is_nan() || error > TOLERANCE {
                failures.push(format!("{place}: {error:e}"));
            }
            if error > worst.0 {
                worst = (error, place.clone());
            }
            if let Some(exact) = &case.exact[index] {
                let error = largest_error(&found, exact);
                if error > worst_exact.0 {
                    worst_exact = (error, place);
                }
            }
        }
    }
    println!(
        "{} cases; largest difference from Keras f32 {worst:?}, from Keras f64 {worst_exact:?}",
        cases.len()
    );
    assert!(failures.is_empty(), "{failures:#?}");
}
