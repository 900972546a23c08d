//! A model's layers as the kernels see them: groups of directions that run in the same launches, and their
//! weights in the kernels' layouts. Pure.

use super::plan::Limits;
use crate::error::{Error, Result};
use crate::layer::{Cell, Dims, Feedforward, Kind, Layer, Recurrent, TimeDistributed, Weights};
use crate::model::{BuiltLayer, Model};

/// One or both directions of a layer, computed by the same launches.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// The layer's arguments; equal for all directions of the group where they matter.
    pub layer: Recurrent,
    pub features: usize,
    /// Which of the layer's directions: 0 forward, 1 backward.
    pub directions: Vec<usize>,
    /// Bit d: the group's direction d reads time from the end.
    pub reversed: u32,
}

/// A weight in the layout that a kernel reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum WeightPart {
    Kernel,
    Bias,
    RecurrentKernel,
    RecurrentBias,
}

impl WeightPart {
    pub const ALL: [WeightPart; 4] =
        [WeightPart::Kernel, WeightPart::Bias, WeightPart::RecurrentKernel, WeightPart::RecurrentBias];
}

impl Group {
    pub fn columns(&self) -> usize {
        self.layer.cell().gates() * self.layer.units()
    }

    pub fn features4(&self) -> usize {
        self.features.div_ceil(4)
    }

    /// The bytes of the largest weight buffer.
    fn largest_weight(&self) -> u64 {
        let rows = self.layer.units().max(self.features4() * 4);
        4 * (self.directions.len() * rows) as u64 * self.columns() as u64
    }

    /// A weight of all directions of the group, packed; empty where the cell has no such weight.
    pub fn pack(&self, weights: &[&Weights], part: WeightPart) -> Vec<f32> {
        let mut packed = Vec::new();
        for weights in weights {
            match part {
                WeightPart::Kernel => self.pack_kernel(weights, &mut packed),
                WeightPart::Bias => packed.extend(self.bias(weights)),
                WeightPart::RecurrentKernel => self.pack_recurrent_kernel(weights, &mut packed),
                WeightPart::RecurrentBias if self.layer.cell() == (Cell::Gru { reset_after: true }) => {
                    packed.extend(weights.recurrent_bias.iter().skip(2 * self.layer.units()));
                }
                WeightPart::RecurrentBias => {}
            }
        }
        packed
    }

    /// `[features4][column]`, vectors of four features, zeros past the last.
    fn pack_kernel(&self, weights: &Weights, packed: &mut Vec<f32>) {
        for k in 0..self.features4() {
            for column in 0..self.columns() {
                packed.extend((4 * k..4 * k + 4).map(|row| weights.kernel.get((row, column)).copied().unwrap_or(0.0)));
            }
        }
    }

    /// `[column]`. The recurrent bias of a GRU's z and r is only ever added to this one, so it is added here.
    fn bias(&self, weights: &Weights) -> Vec<f32> {
        let gates_added = match self.layer.cell() {
            Cell::Gru { reset_after: true } => 2 * self.layer.units(),
            _ => 0,
        };
        let mut bias = weights.bias.to_vec();
        for (b, r) in bias.iter_mut().zip(&weights.recurrent_bias).take(gates_added) {
            *b += r;
        }
        bias
    }

    /// LSTM: `[k][unit]`, vectors of the gates i f c o. Others: `[k][gate][unit]`, Keras's order.
    fn pack_recurrent_kernel(&self, weights: &Weights, packed: &mut Vec<f32>) {
        let units = self.layer.units();
        for row in weights.recurrent_kernel.rows() {
            match self.layer.cell() {
                Cell::Lstm => (0..units).for_each(|u| packed.extend((0..4).map(|gate| row[gate * units + u]))),
                _ => packed.extend(row),
            }
        }
    }
}

/// The groups of each layer of the model.
pub(super) fn lower(model: &Model, limits: &Limits) -> Result<Vec<Vec<Group>>> {
    let lowered = |built: &BuiltLayer| {
        let (layer, inputs) = recurrent_of(&built.layer, &built.inputs);
        let features = inputs.first().and_then(|dims| dims.last().copied().flatten()).unwrap_or(0);
        lower_layer(layer, features, limits)
    };
    model.layers.iter().map(lowered).collect()
}

/// The recurrent layer that a TimeDistributed holds, with what that reads; otherwise the layer itself.
pub(super) fn recurrent_of<'a>(layer: &'a Layer, inputs: &[Dims]) -> (&'a Layer, Vec<Dims>) {
    match layer {
        Layer::Feedforward(Feedforward { kind: Kind::TimeDistributed(each), .. }) => {
            recurrent_of(&each.layer, &TimeDistributed::inside(inputs))
        }
        layer => (layer, inputs.to_vec()),
    }
}

fn lower_layer(layer: &Layer, features: usize, limits: &Limits) -> Result<Vec<Group>> {
    let directions = layer.directions();
    if directions.is_empty() {
        return Ok(Vec::new());
    }
    let group = |members: &[usize]| {
        let reversed = members.iter().enumerate().map(|(d, &m)| u32::from(directions[m].1.go_backwards()) << d).sum();
        Group { layer: directions[members[0]].1.clone(), features, directions: members.to_vec(), reversed }
    };
    let together: Vec<usize> = (0..directions.len()).collect();
    let all = group(&together);
    let alike = directions.iter().all(|(_, l)| l.same_computation(directions[0].1));
    let groups = match alike && all.largest_weight() <= limits.weight {
        true => vec![all],
        false => together.iter().map(|&member| group(&[member])).collect(),
    };
    match groups.iter().map(Group::largest_weight).max() {
        Some(needed) if needed > limits.weight => Err(Error::Limit {
            what: format!("a weight of layer {:?}", layer.name()),
            needed,
            limit: "bytes of max_storage_buffer_binding_size",
            allowed: limits.weight,
            instead: "use a device with higher limits, or Device::cpu()",
        }),
        _ => Ok(groups),
    }
}
