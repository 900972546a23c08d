//! Inputs for measuring and comparing where nobody gives any.

use crate::inputs::{Arrays, InputArgs};
use crate::model_args::ModelArgs;
use anyhow::{Result, bail};
use birnn::{Model, Summary, SummaryRow};
use clap::Args;
use ndarray::{ArrayD, IxDyn};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

#[derive(Debug, Args)]
pub struct SampleArgs {
    /// Timesteps of the inputs that are drawn, where the model takes any number.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 100,
        conflicts_with_all = ["inputs", "named"],
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    pub timesteps: u32,
    /// The inputs are drawn from this seed, uniformly from -1 to 1; ids from 1 on, masks all true.
    #[arg(
        long,
        default_value_t = 42,
        allow_negative_numbers = true,
        conflicts_with_all = ["inputs", "named"]
    )]
    pub seed: u64,
}

impl SampleArgs {
    /// The files' arrays, or inputs of so many rows.
    pub fn inputs(
        &self,
        files: &InputArgs,
        file: &ModelArgs,
        model: &Model,
        batch: usize,
    ) -> Result<Arrays<f32>> {
        match files.is_empty() {
            true => self.draw(file, model, batch),
            false => files.read(file, model),
        }
    }

    fn draw(&self, file: &ModelArgs, model: &Model, batch: usize) -> Result<Arrays<f32>> {
        if model.is_program() {
            bail!(
                "{}: an ONNX model doesn't say which axis of its inputs is the batch, and what \
                 they may hold: give its inputs as files",
                file.path().display()
            );
        }
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed);
        let summary = model.summary();
        let inputs = summary.rows.iter().filter(|row| row.class_name == "InputLayer");
        let mut list = Vec::new();
        for input in inputs {
            list.push((None, self.array(input, &summary, model, batch, &mut rng)?));
        }
        Ok(Arrays::new(list))
    }

    fn array(
        &self,
        input: &SummaryRow,
        summary: &Summary,
        model: &Model,
        batch: usize,
        rng: &mut ChaCha12Rng,
    ) -> Result<ArrayD<f32>> {
        let axes = input.output_shapes.first().map(Vec::as_slice).unwrap_or_default();
        let axes = axes.iter().skip(1).map(|axis| axis.unwrap_or(self.timesteps as usize));
        let shape: Vec<usize> = std::iter::once(batch).chain(axes).collect();
        let values = shape.iter().try_fold(1usize, |values, &n| values.checked_mul(n));
        if values.is_none_or(|values| Vec::<f32>::new().try_reserve_exact(values).is_err()) {
            bail!("there is no memory for an input of shape {shape:?}");
        }
        let ids = match input.given_as {
            Some("ids") => Some(ids(&input.name, summary, model)?),
            _ => None,
        };
        let is_mask = input.given_as == Some("mask");
        let mut draw = || match ids {
            _ if is_mask => 1.0,
            // 0 often stands for padding.
            Some(ids @ 2..) => (1 + rng.next_u32() as usize % (ids - 1)) as f32,
            Some(_) => 0.0,
            // 24 bits, which f32 holds.
            None => (rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0,
        };
        Ok(ArrayD::from_shape_simple_fn(IxDyn(&shape), &mut draw))
    }
}

/// How many ids there are: the fewest rows of an embedding that reads this input. Of a model of
/// operations, which doesn't say it, 2: then all are 1, which most take.
fn ids(input: &str, summary: &Summary, model: &Model) -> Result<usize> {
    if model.is_program() {
        return Ok(2);
    }
    let mut ids = usize::MAX;
    for row in &summary.rows {
        if row.connected_to.iter().any(|name| name == input) {
            let specs = model.weight_specs(&row.name)?;
            ids = specs.first().and_then(|spec| spec.shape.first()).map_or(ids, |&n| n.min(ids));
        }
    }
    Ok(ids.min(1 << 24))
}
