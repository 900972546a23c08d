//! A model's layers as the kernels see them: groups of directions that run in the same launches,
//! and their weights in the kernels' layouts. Pure.

use super::plan::Limits;
use super::software;
use crate::error::{Error, Result};
use crate::layer::{Cell, Dims, Feedforward, Kind, Layer, Recurrent, TimeDistributed, Weights};
use crate::model::{BuiltLayer, Model, Node};

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
    /// Whether the kernels are stored as halves.
    pub half_weights: bool,
    /// The width in units of a panel of the kernels; `None`: one panel has all units.
    pub panel: Option<u32>,
    /// Where the layer is one of a stack.
    pub stacked: Option<Stacked>,
}

/// A layer's place in a stack: layers in one direction and of the same kind, each on the sequence
/// of the one below, which can be at work at the same time, each at later timesteps than the one
/// above. Their recurrent weights are one array, a layer in it what a direction is in a group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stacked {
    /// The number in the model of the lowest layer, whose buffers have the recurrent weights of
    /// all.
    pub lowest: usize,
    pub layers: usize,
    /// From the lowest layer on.
    pub place: usize,
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
    /// Whether a stack has one array for all its layers.
    pub fn is_recurrent(self) -> bool {
        matches!(self, WeightPart::RecurrentKernel | WeightPart::RecurrentBias)
    }

    pub const ALL: [WeightPart; 4] = [
        WeightPart::Kernel,
        WeightPart::Bias,
        WeightPart::RecurrentKernel,
        WeightPart::RecurrentBias,
    ];
}

impl Group {
    pub fn columns(&self) -> usize {
        self.layer.cell().gates() * self.layer.units()
    }

    pub fn features4(&self) -> usize {
        self.features.div_ceil(4)
    }

    /// The columns of the projection's array: a vector of three takes the room of four.
    pub fn columns_padded(&self) -> usize {
        gates_padded(self.layer.cell()) * self.layer.units()
    }

    /// The bytes of the largest weight buffer.
    fn largest_weight(&self) -> u64 {
        let rows = self.layer.units().max(self.features).next_multiple_of(4);
        self.weight_bytes() * (self.directions.len() * rows) as u64 * self.columns() as u64
    }

    /// The bytes of a direction's recurrent kernel.
    fn recurrent_weight(&self) -> u64 {
        self.weight_bytes() * self.layer.units().next_multiple_of(4) as u64 * self.columns() as u64
    }

    /// The bytes of all weights.
    pub fn total_weight(&self) -> u64 {
        let rows = self.layer.units().next_multiple_of(4) + self.features4() * 4;
        let kernels = self.weight_bytes() * rows as u64 * self.columns() as u64;
        let biases = 4 * (self.columns_padded() + self.layer.units()) as u64;
        self.directions.len() as u64 * (kernels + biases)
    }

    /// The bytes of a number of a kernel.
    pub fn weight_bytes(&self) -> u64 {
        if self.half_weights { 2 } else { 4 }
    }

    /// The bits of a weight of all directions of the group, packed; empty where the cell has no
    /// such weight.
    pub fn pack(&self, weights: &[&Weights], part: WeightPart) -> Vec<u32> {
        let mut packed = Vec::new();
        for weights in weights {
            match part {
                WeightPart::Kernel => self.pack_kernel(&weights.kernel, &mut packed),
                WeightPart::Bias => self.pack_bias(weights, &mut packed),
                WeightPart::RecurrentKernel => {
                    self.pack_kernel(&weights.recurrent_kernel, &mut packed)
                }
                WeightPart::RecurrentBias
                    if self.layer.cell() == (Cell::Gru { reset_after: true }) =>
                {
                    packed.extend(weights.recurrent_bias.iter().skip(2 * self.layer.units()));
                }
                WeightPart::RecurrentBias => {}
            }
        }
        let is_kernel = matches!(part, WeightPart::Kernel | WeightPart::RecurrentKernel);
        match is_kernel && self.half_weights {
            true => packed.chunks_exact(2).map(two_halves).collect(),
            false => packed.into_iter().map(f32::to_bits).collect(),
        }
    }

    /// `[panel][k4][gate][unit of the panel]`, vectors of four rows of the kernel, zeros past the
    /// last.
    fn pack_kernel(&self, kernel: &ndarray::Array2<f32>, packed: &mut Vec<f32>) {
        let (units, gates) = (self.layer.units(), self.layer.cell().gates());
        let panel = self.panel.map_or(units, |panel| panel as usize);
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

    /// `[unit]`: the gates, three filled up to four. The recurrent bias of a GRU's z and r is only
    /// ever added to this one, so it is added here.
    fn pack_bias(&self, weights: &Weights, packed: &mut Vec<f32>) {
        let (units, cell) = (self.layer.units(), self.layer.cell());
        let gates_added = if cell == (Cell::Gru { reset_after: true }) { 2 } else { 0 };
        for unit in 0..units {
            for gate in 0..gates_padded(cell) {
                let of = |bias: &[f32], gates: usize| match gate < gates {
                    true => bias.get(gate * units + unit).copied().unwrap_or(0.0),
                    false => 0.0,
                };
                packed.push(
                    of(&weights.bias.to_vec(), cell.gates())
                        + of(&weights.recurrent_bias.to_vec(), gates_added),
                );
            }
        }
    }
}

fn gates_padded(cell: Cell) -> usize {
    if cell.gates() == 3 { 4 } else { cell.gates() }
}

/// Two numbers rounded to halves, as WGSL's `unpack2x16float` reads them.
fn two_halves(numbers: &[f32]) -> u32 {
    numbers
        .iter()
        .rev()
        .fold(0, |bits, &number| bits << 16 | u32::from(half::f16::from_f32(number).to_bits()))
}

/// The groups of each layer of the model.
pub(super) fn lower(model: &Model, limits: &Limits) -> Result<Vec<Vec<Group>>> {
    let lowered = |built: &BuiltLayer| {
        let (layer, inputs) = recurrent_of(&built.layer, &built.inputs);
        let features = inputs.first().and_then(|dims| dims.last().copied().flatten()).unwrap_or(0);
        lower_layer(layer, features, limits)
    };
    let mut groups = model.layers.iter().map(lowered).collect::<Result<Vec<_>>>()?;
    for stack in stacks(model, &groups, limits) {
        for (place, &layer) in stack.iter().enumerate() {
            groups[layer][0].stacked =
                Some(Stacked { lowest: stack[0], layers: stack.len(), place });
        }
    }
    Ok(groups)
}

/// The array that each array of the graph is a copy of, where a layer returns its input as it is;
/// otherwise itself.
pub(super) fn originals(model: &Model) -> Vec<usize> {
    let mut originals: Vec<usize> = (0..model.tensors.len()).collect();
    for node in &model.nodes {
        let identity = matches!(&model.layers[node.layer].layer, Layer::Feedforward(l) if matches!(l.kind, Kind::Identity(_)));
        // What the model returns has a buffer of its own.
        if identity && !model.outputs.contains(&node.results[0]) {
            originals[node.results[0]] = originals[node.inputs[0]];
        }
    }
    originals
}

/// The layers of each stack of at least two, from the lowest on.
fn stacks(model: &Model, groups: &[Vec<Group>], limits: &Limits) -> Vec<Vec<usize>> {
    let originals = originals(model);
    let mut stacks: Vec<Vec<usize>> = Vec::new();
    // The nodes of the stack that may go on.
    let mut stack: Vec<&Node> = Vec::new();
    for node in &model.nodes {
        if originals[node.results[0]] != node.results[0] {
            continue; // nothing runs for it
        }
        let alone = model.nodes.iter().filter(|other| other.layer == node.layer).count() == 1;
        let candidate = alone && matches!(model.layers[node.layer].layer, Layer::Recurrent(_));
        if !candidate || !goes_on(&stack, node, groups, &originals, limits) {
            stack.clear();
        }
        if candidate {
            stack.push(node);
        }
        match stack.len() {
            0 | 1 => {}
            2 => stacks.push(stack.iter().map(|node| node.layer).collect()),
            _ => stacks.last_mut().into_iter().for_each(|stack| stack.push(node.layer)),
        }
    }
    stacks
}

/// Whether a call of a recurrent layer is the next of a stack.
fn goes_on(
    stack: &[&Node],
    node: &Node,
    groups: &[Vec<Group>],
    originals: &[usize],
    limits: &Limits,
) -> bool {
    let Some(below) = stack.last() else { return true };
    let (group, group_below) = (&groups[node.layer][0], &groups[below.layer][0]);
    let of_stack = |tensor: &usize| {
        stack.iter().flat_map(|node| &node.results).any(|&r| r == originals[*tensor])
    };
    let masks = node.masks.iter().flatten();
    originals[node.inputs[0]] == below.results[0]
        && group_below.layer.return_sequences()
        && !group.layer.go_backwards()
        && group.layer.same_computation(&group_below.layer)
        && !node.initial_state.iter().chain(masks).any(of_stack)
        && group.recurrent_weight() * (stack.len() as u64 + 1) <= limits.weight
}

/// The recurrent layer that a TimeDistributed holds, with what that reads; otherwise the layer
/// itself.
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
        let reversed = members
            .iter()
            .enumerate()
            .map(|(d, &m)| u32::from(directions[m].1.go_backwards()) << d)
            .sum();
        Group {
            layer: directions[members[0]].1.clone(),
            features,
            directions: members.to_vec(),
            reversed,
            half_weights: limits.half_weights,
            panel: software::panel(directions[members[0]].1.units(), limits),
            stacked: None,
        }
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
