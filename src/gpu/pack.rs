//! Weights in the layouts of the kernels. Pure.

use super::kernel::gates_padded;
use super::plan::{ConstantLayout, RecurrentWeight, Weight, WeightPart};
use crate::error::{Error, Result};
use crate::graph::ConstantId;
use crate::layer::Weights;
use crate::model::Model;
use ndarray::{Array2, ArrayD};

/// The bits of a weight as its kernel reads it; empty where the cell has no such weight.
pub(super) fn pack(model: &Model, weight: &Weight) -> Result<Vec<u32>> {
    match weight {
        Weight::Recurrent(weight) => pack_recurrent(model, weight),
        Weight::Constant { id, layout } => pack_constant(model, *id, *layout).map(bits),
        Weight::One => Ok(bits(vec![1.0])),
    }
}

fn bits(values: Vec<f32>) -> Vec<u32> {
    values.into_iter().map(f32::to_bits).collect()
}

fn pack_recurrent(model: &Model, weight: &RecurrentWeight) -> Result<Vec<u32>> {
    let mut packed = Vec::new();
    for &(layer, direction) in &weight.directions {
        let missing = || Error::Graph(format!("layer {layer} has no direction {direction}"));
        let (_, weights) = *model.directions(layer)?.get(direction).ok_or_else(missing)?;
        if weight.halves {
            check_halves(model, layer, weights)?;
        }
        match weight.part {
            WeightPart::Kernel => pack_kernel(weight, &weights.kernel, &mut packed),
            WeightPart::Bias => pack_bias(weight, weights, &mut packed),
            WeightPart::RecurrentKernel => {
                pack_kernel(weight, &weights.recurrent_kernel, &mut packed)
            }
            WeightPart::UnitWeights => {
                for unit_weight in weight.cell.unit_weights() {
                    packed.extend(weights.of_units(unit_weight));
                }
            }
        }
    }
    let is_kernel = matches!(weight.part, WeightPart::Kernel | WeightPart::RecurrentKernel);
    Ok(match is_kernel && weight.halves {
        true => packed.chunks_exact(2).map(two_halves).collect(),
        false => bits(packed),
    })
}

/// The least number that a 16-bit float rounds to infinity.
const TOO_LARGE_FOR_HALF: f32 = 65520.0;

/// That no kernel holds a weight that 16 bits would make infinite.
fn check_halves(model: &Model, layer: usize, weights: &Weights) -> Result<()> {
    let mut values = weights.kernel.iter().chain(&weights.recurrent_kernel);
    match values.find(|value| value.abs() >= TOO_LARGE_FOR_HALF) {
        Some(value) => Err(Error::Argument {
            layer: model.layers[layer].layer.name().to_string(),
            argument: "half_weights".into(),
            reason: format!(
                "a kernel holds {value}, and 16-bit floats end at 65504; open the device without \
                 half_weights"
            ),
        }),
        None => Ok(()),
    }
}

/// `[panel][k4][gate][unit of the panel]`, vectors of four rows of the kernel, zeros past the last.
fn pack_kernel(weight: &RecurrentWeight, kernel: &Array2<f32>, packed: &mut Vec<f32>) {
    let (units, gates) = (weight.units, weight.cell.gates().len());
    let panel = weight.panel.map_or(units, |panel| panel as usize);
    for first in (0..units).step_by(panel) {
        for k in (0..kernel.nrows()).step_by(4) {
            for column in (0..gates)
                .flat_map(|gate| (first..first + panel).map(move |unit| gate * units + unit))
            {
                packed.extend(
                    (k..k + 4).map(|row| kernel.get((row, column)).copied().unwrap_or(0.0)),
                );
            }
        }
    }
}

/// `[unit]`: the gates, three filled up to four.
fn pack_bias(weight: &RecurrentWeight, weights: &Weights, packed: &mut Vec<f32>) {
    let bias = weights.projection_bias(weight.cell);
    for unit in 0..weight.units {
        let columns = (0..gates_padded(weight.cell)).map(|gate| gate * weight.units + unit);
        packed.extend(columns.map(|column| bias.get(column).copied().unwrap_or(0.0)));
    }
}

/// Two numbers rounded to halves, as WGSL's `unpack2x16float` reads them.
fn two_halves(numbers: &[f32]) -> u32 {
    numbers
        .iter()
        .rev()
        .fold(0, |bits, &number| bits << 16 | u32::from(half::f16::from_f32(number).to_bits()))
}

fn pack_constant(model: &Model, id: ConstantId, layout: ConstantLayout) -> Result<Vec<f32>> {
    let constants = model.constants_of(id.layer);
    let missing =
        || Error::MissingWeights { layer: model.layers[id.layer].layer.name().to_string() };
    let values: ArrayD<f32> = constants.get(id.index).ok_or_else(missing)?.values();
    match layout {
        ConstantLayout::Flat => Ok(values.iter().copied().collect()),
        ConstantLayout::Vectors => Ok(pack_vectors(&values)),
        ConstantLayout::Matrix => pack_matrix(&values),
    }
}

fn pack_vectors(values: &ArrayD<f32>) -> Vec<f32> {
    let features = values.shape().last().copied().unwrap_or(1).max(1);
    let mut packed = Vec::with_capacity(values.len() / features * features.next_multiple_of(4));
    for (index, &value) in values.iter().enumerate() {
        packed.push(value);
        if (index + 1) % features == 0 {
            packed.resize(packed.len().next_multiple_of(4), 0.0);
        }
    }
    packed
}

fn pack_matrix(kernel: &ArrayD<f32>) -> Result<Vec<f32>> {
    let &[ref sizes @ .., rows, columns] = kernel.shape() else {
        let shape = kernel.shape();
        return Err(Error::Graph(format!("no kernel multiplies with weights of {shape:?}")));
    };
    let taps: usize = sizes.iter().product();
    let kernel: Vec<f32> = kernel.iter().copied().collect();
    let value = |tap: usize, row: usize, column: usize| match row < rows && column < columns {
        true => kernel[(tap * rows + row) * columns + column],
        false => 0.0,
    };
    let mut packed =
        Vec::with_capacity(taps * rows.next_multiple_of(4) * columns.next_multiple_of(4));
    for tap in 0..taps {
        for k in (0..rows).step_by(4) {
            for column in (0..columns).step_by(4) {
                for row in k..k + 4 {
                    packed.extend((column..column + 4).map(|column| value(tap, row, column)));
                }
            }
        }
    }
    Ok(packed)
}
