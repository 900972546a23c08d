//! Runs a model that Keras saved, any `.keras` or `.h5` file: prints its layers, feeds it random
//! input of the right shape, and prints what it returns by role, as the notebook's
//! `o, h1, c1, h2, c2 = model(x)`.
//!
//! `cargo run --release --example run_keras [FILE]`

use birnn::{Device, Direction, Inputs, Model, Role, Summary, SummaryRow};
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

const NOTEBOOK: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/keras/notebook_lstm1.keras");

/// For the axes that a model leaves open (`None`): any other number would do as well.
const BATCH: usize = 1;
const TIMESTEPS: usize = 8;

fn main() -> birnn::Result<()> {
    let file = std::env::args_os().nth(1).unwrap_or_else(|| NOTEBOOK.into());
    let model = Model::from_keras(&file)?;
    let summary = model.summary();
    println!("{summary}\n\nInputs: {}", model.input_names().join(", "));
    println!("Outputs:\n  {}\n", model.output_names().join("\n  "));

    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let mut arrays = Vec::new();
    // The rows of the summary begin with the inputs, in the order in which a call gives them.
    for row in summary.rows.iter().filter(|row| row.class_name == "InputLayer") {
        arrays.push(random_input(&model, &summary, row, &mut rng)?);
    }
    let first = Inputs::new(arrays[0].view()); // every model has an input
    let inputs = arrays[1..].iter().fold(first, |inputs, array| inputs.input(array.view()));

    let mut session = Device::best()?.compile(&model)?;
    println!("Device: {}", session.device_info());
    let outputs = session.run(inputs)?;
    // Of a model that is known, `outputs.output()`, `outputs.forward().hidden()?` and so on say
    // what is meant. The list has everything that any model returns, in Keras's order.
    for output in outputs.list() {
        let (role, shape) = (output.role, output.array.shape());
        println!("\n{} = {role} of {}, shape {shape:?}:", short(role), output.layer);
        println!("{:.4}", output.array);
    }
    Ok(())
}

/// What the notebook calls it. A layer that isn't bidirectional is forward; a GRU has no `c1`.
fn short(role: Role) -> &'static str {
    match role {
        Role::HiddenState(Direction::Forward) => "h1",
        Role::CellState(Direction::Forward) => "c1",
        Role::HiddenState(Direction::Backward) => "h2",
        Role::CellState(Direction::Backward) => "c2",
        _ => "o",
    }
}

fn random_input(
    model: &Model,
    summary: &Summary,
    row: &SummaryRow,
    rng: &mut ChaCha12Rng,
) -> birnn::Result<ArrayD<f32>> {
    let axes = row.output_shapes[0].iter().enumerate();
    let shape: Vec<usize> = axes
        .map(|(axis, length)| length.unwrap_or(if axis == 0 { BATCH } else { TIMESTEPS }))
        .collect();
    // Not every number is an id: the embedding's weights have a row for each that is.
    let reads = |layer: &&SummaryRow| layer.connected_to.contains(&row.name);
    let ids = match summary.rows.iter().find(reads) {
        Some(layer) if row.given_as == Some("ids") => model.weights(&layer.name)?[0].shape()[0],
        _ => 1,
    };
    Ok(ArrayD::from_shape_simple_fn(shape, || match row.given_as {
        Some("ids") => rng.random_range(0..ids) as f32,
        Some("mask") => 1.0, // every timestep counts
        _ => rng.random_range(-1.0..1.0),
    }))
}
