//! Groups: directions of a recurrence that run in the same launches; and stacks of recurrences.

use crate::error::{Error, Result};
use crate::gpu::kernel::gates_padded;
use crate::gpu::limits::Limits;
use crate::gpu::plan::planner::roots;
use crate::gpu::plan::weight::{RecurrentWeight, Weight, WeightPart};
use crate::gpu::software;
use crate::graph::{ArrayId, OperatorGraph, Step};
use crate::operator::{Operator, Recurrent};
use birnn_cell::Reader;

/// One or both directions of a recurrence, computed by the same launches.
#[derive(Clone, Debug)]
pub(in crate::gpu::plan) struct Group {
    /// The recurrence's `Recurrent::weights`.
    pub layer: usize,
    /// Which of the recurrence's directions: 0 forward, 1 backward.
    pub directions: Vec<usize>,
    /// What each of them does; all the same but for the order of time.
    pub reader: Reader,
    pub features: usize,
    pub return_sequences: bool,
    /// Bit d: the group's direction d reads time from the end.
    pub reversed: u32,
    /// Whether the kernels are stored as halves.
    pub half_weights: bool,
    /// The width in units of a panel of the kernels; `None`: one panel has all units.
    pub panel: Option<u32>,
    /// Where the recurrence is one of a stack.
    pub stacked: Option<Stacked>,
}

/// A recurrence's place in a stack: recurrences in one direction and of the same kind, each on the
/// sequence of the one below, which can be at work at the same time, each at later timesteps than
/// the one above. Their recurrent weights are one array, a recurrence in it what a direction is in
/// a group's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gpu::plan) struct Stacked {
    /// The steps of the graph, from the lowest on.
    pub steps: Vec<usize>,
    /// Their `Recurrent::weights`.
    pub layers: Vec<usize>,
    /// From the lowest on.
    pub place: usize,
}

impl Group {
    pub fn columns(&self) -> usize {
        self.reader.cell.gates().len() * self.reader.units
    }

    pub fn features4(&self) -> usize {
        self.features.div_ceil(4)
    }

    /// The columns of the projection's array: a vector of three takes the room of four.
    pub fn columns_padded(&self) -> usize {
        gates_padded(self.reader.cell) * self.reader.units
    }

    /// The bytes of the largest weight buffer.
    fn largest_weight(&self) -> u64 {
        let rows = self.reader.units.max(self.features).next_multiple_of(4);
        self.weight_bytes() * (self.directions.len() * rows) as u64 * self.columns() as u64
    }

    /// The bytes of a direction's recurrent kernel.
    fn recurrent_weight(&self) -> u64 {
        self.weight_bytes() * self.reader.units.next_multiple_of(4) as u64 * self.columns() as u64
    }

    /// The bytes of all weights.
    pub fn total_weight(&self) -> u64 {
        let rows = self.reader.units.next_multiple_of(4) + self.features4() * 4;
        let kernels = self.weight_bytes() * rows as u64 * self.columns() as u64;
        let unit_weights = self.reader.cell.unit_weights().len() * self.reader.units;
        let biases = 4 * (self.columns_padded() + unit_weights) as u64;
        self.directions.len() as u64 * (kernels + biases)
    }

    /// The bytes of a number of a kernel.
    pub fn weight_bytes(&self) -> u64 {
        if self.half_weights { 2 } else { 4 }
    }

    /// A weight of all its directions; of a stack's recurrences, where these have one together.
    pub fn weight(&self, part: WeightPart) -> Weight {
        let directions = match &self.stacked {
            Some(stacked) if part.is_recurrent() => {
                stacked.layers.iter().map(|&layer| (layer, 0)).collect()
            }
            _ => self.directions.iter().map(|&direction| (self.layer, direction)).collect(),
        };
        Weight::Recurrent(RecurrentWeight {
            directions,
            part,
            cell: self.reader.cell,
            units: self.reader.units,
            halves: self.half_weights,
            panel: self.panel,
        })
    }
}

/// The groups of each step of the graph; none where it isn't a recurrence.
pub(in crate::gpu::plan) fn groups(
    graph: &OperatorGraph,
    limits: &Limits,
) -> Result<Vec<Vec<Group>>> {
    let of_step = |step: &Step| match (&step.operator, step.reads.first()) {
        (Operator::Recurrent(operator), Some(&Some(x))) => {
            let features = graph.shape(x).last().copied().unwrap_or(0);
            groups_of(operator, features, &step.layer, limits)
        }
        _ => Ok(Vec::new()),
    };
    let mut groups = graph.steps.iter().map(of_step).collect::<Result<Vec<_>>>()?;
    for steps in stacks(graph, &groups, limits) {
        let layers: Vec<_> = steps.iter().map(|&step| groups[step][0].layer).collect();
        for (place, &step) in steps.iter().enumerate() {
            let (steps, layers) = (steps.clone(), layers.clone());
            groups[step][0].stacked = Some(Stacked { steps, layers, place });
        }
    }
    Ok(groups)
}

/// How many rows of the batch the recurrences of a graph can have at a time; `graph`: that of one
/// row.
pub(in crate::gpu::plan) fn most_rows(graph: &OperatorGraph, limits: &Limits) -> Result<usize> {
    let mut most = usize::MAX;
    for (step, groups) in graph.steps.iter().zip(groups(graph, limits)?) {
        for group in groups {
            // Of one step, padded to four rows: the projection; or the ring of two slots, what the
            // cell keeps (two arrays at most) and the mask. And the grid of a sequence.
            let a_row = group.columns_padded().max(4 * group.reader.units + 1);
            let bytes = 4 * (group.directions.len() * a_row) as u64;
            let rows = ((limits.binding / bytes) as usize / 4 * 4).min(limits.workgroups * 4);
            // More than one row where other axes are joined with the batch.
            let of_a_row = step.reads[0].map_or(1, |x| graph.shape(x)[0]);
            most = most.min(rows / of_a_row);
        }
    }
    Ok(most)
}

fn groups_of(
    operator: &Recurrent,
    features: usize,
    name: &str,
    limits: &Limits,
) -> Result<Vec<Group>> {
    let readers = &operator.directions;
    let group = |members: &[usize]| {
        let backwards = members.iter().enumerate();
        let bit = |(d, &member): (usize, &usize)| u32::from(readers[member].go_backwards) << d;
        Group {
            layer: operator.weights,
            directions: members.to_vec(),
            reader: readers[members[0]],
            features,
            return_sequences: operator.return_sequences,
            reversed: backwards.map(bit).sum(),
            half_weights: limits.half_weights,
            panel: software::panel(readers[members[0]].units, limits),
            stacked: None,
        }
    };
    let together: Vec<usize> = (0..readers.len()).collect();
    let all = group(&together);
    let alike = readers.iter().all(|reader| same_computation(reader, &readers[0]));
    let groups = match alike && all.largest_weight() <= limits.weight {
        true => vec![all],
        false => together.iter().map(|&member| group(&[member])).collect(),
    };
    match groups.iter().map(Group::largest_weight).max() {
        Some(needed) if needed > limits.weight => Err(Error::Limit {
            what: format!("a weight of layer {name:?}"),
            needed,
            limit: "bytes of max_storage_buffer_binding_size",
            allowed: limits.weight,
            instead: "use a device with higher limits, or Device::cpu()",
        }),
        _ => Ok(groups),
    }
}

/// Whether a kernel computes both in the same way; they may go through time in different orders.
fn same_computation(one: &Reader, other: &Reader) -> bool {
    let order = |reader: &Reader| Reader { go_backwards: false, reverse_output: false, ..*reader };
    order(one) == order(other)
}

/// The steps of each stack of at least two, from the lowest on.
fn stacks(graph: &OperatorGraph, groups: &[Vec<Group>], limits: &Limits) -> Vec<Vec<usize>> {
    let roots = roots(graph);
    let mut stacks: Vec<Vec<usize>> = Vec::new();
    // The steps of the stack that may go on.
    let mut stack: Vec<usize> = Vec::new();
    for (index, step) in graph.steps.iter().enumerate() {
        if step.writes.iter().all(|array| roots[array.0] != *array) {
            continue; // nothing runs for it
        }
        let candidate = matches!(&groups[index][..], [group] if is_alone(group, groups));
        if !candidate || !goes_on(graph, &stack, index, groups, &roots, limits) {
            stack.clear();
        }
        if candidate {
            stack.push(index);
        }
        match stack.len() {
            0 | 1 => {}
            2 => stacks.push(stack.clone()),
            _ => stacks.last_mut().into_iter().for_each(|stack| stack.push(index)),
        }
    }
    stacks
}

/// Whether a group has one direction, and no other step has its weights.
fn is_alone(group: &Group, groups: &[Vec<Group>]) -> bool {
    let same = groups.iter().flatten().filter(|other| other.layer == group.layer);
    group.directions.len() == 1 && same.count() == 1
}

/// Whether a step is the next of a stack.
fn goes_on(
    graph: &OperatorGraph,
    stack: &[usize],
    step: usize,
    groups: &[Vec<Group>],
    roots: &[ArrayId],
    limits: &Limits,
) -> bool {
    let Some(&below) = stack.last() else { return true };
    let (group, group_below) = (&groups[step][0], &groups[below][0]);
    let (reads, output) = (&graph.steps[step].reads, graph.steps[below].writes[0]);
    let of_stack = |array: &ArrayId| {
        let root = roots[array.0];
        stack.iter().any(|&step| graph.steps[step].writes.contains(&root))
    };
    let reads_it = matches!(reads[0], Some(x)
        if roots[x.0] == roots[output.0] && graph.shape(x) == graph.shape(output));
    reads_it
        && group_below.return_sequences
        && !group.reader.go_backwards
        && same_computation(&group.reader, &group_below.reader)
        && !reads[1..].iter().flatten().any(of_stack)
        && group.recurrent_weight() * (stack.len() as u64 + 1) <= limits.weight
}
