//! What the operations of a file compute, until a layer reads it: operations in a row become one
//! layer of the graph, a [`Function`].

use crate::program::{Function, Kind, Length, Operation, Program, Returned, Values};
use crate::{Error, Graph, Layer, Result, Tensor, TimeDistributed};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};

/// How many values of constants, and operations, are looked at for all functions together: what
/// isn't an array of the graph is computed again for everybody who reads it.
const MOST_REPEATED: usize = 1 << 24;

/// An array that an operation reads or returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::import::keras) struct Id(usize);

#[derive(Debug)]
enum Origin {
    /// An array of the graph, of which a model in so many `TimeDistributed` sees no more than what
    /// is behind the timesteps.
    Array {
        tensor: Tensor,
        time_distributed: usize,
    },
    Constant(Values),
    /// Of the step of this number.
    Result(usize),
}

#[derive(Debug)]
struct Step {
    name: String,
    operation: Operation,
    operands: Vec<Option<Id>>,
    first_result: Id,
    results: usize,
}

/// All of them.
#[derive(Debug, Default)]
pub(in crate::import::keras) struct Computed {
    origins: Vec<Origin>,
    steps: Vec<Step>,
    /// The arrays of the graph among them, for a depth of `TimeDistributed`.
    of_tensor: HashMap<(Tensor, usize), Id>,
    /// What was computed by a layer of the graph.
    made: HashMap<Id, Tensor>,
    /// What is known of each, once somebody asked.
    known: HashMap<Id, Tried>,
    /// What the numbers of an array of the graph are, where they aren't of any kind.
    kinds: HashMap<Tensor, Kind>,
    /// The size of the batch, where the file fixes it.
    pub rows: Option<usize>,
    /// What was found for arrays whose first axis isn't the batch alone.
    split: HashMap<Id, Option<(Id, usize)>>,
    /// How many layers have a name.
    names: HashMap<String, usize>,
    /// How many values and operations functions were made of so far.
    repeated: Cell<usize>,
}

/// What an array was found to be, with the batch of any size or of this one.
#[derive(Clone, Debug)]
struct Tried {
    returned: Returned,
    rows: Option<usize>,
}

/// What a function needs.
struct Needed {
    /// Arrays of the graph, in order.
    arrays: Vec<Id>,
    steps: Vec<usize>,
    constants: Vec<Id>,
}

impl Computed {
    fn push(&mut self, origin: Origin) -> Id {
        self.origins.push(origin);
        Id(self.origins.len() - 1)
    }

    /// Says what the numbers of an array of the graph are.
    pub fn set_kind(&mut self, tensor: Tensor, kind: Kind) {
        self.kinds.insert(tensor, kind);
    }

    /// An array of the graph.
    pub fn array(&mut self, tensor: Tensor, time_distributed: usize) -> Id {
        if let Some(&known) = self.of_tensor.get(&(tensor, time_distributed)) {
            return known;
        }
        let id = self.push(Origin::Array { tensor, time_distributed });
        self.of_tensor.insert((tensor, time_distributed), id);
        id
    }

    /// An array of the graph whose first axes, so many beside the batch, are one with it.
    pub fn merged(&mut self, tensor: Tensor, axes: usize) -> Id {
        let array = self.array(tensor, 0);
        let shape = self.add("merged", Operation::Shape, vec![Some(array)])[0];
        let rest = self.part_of_shape(shape, (axes as i64 + 1, i64::MAX));
        let rows = self.constant(Values::integers([-1]));
        self.reshaped(array, [rows, rest])
    }

    fn part_of_shape(&mut self, shape: Id, (from, to): (i64, i64)) -> Id {
        let [from, to] = [from, to].map(|place| self.constant(Values::integers([place])));
        self.add("merged", Operation::Slice, [shape, from, to].map(Some).to_vec())[0]
    }

    fn reshaped(&mut self, array: Id, shape: [Id; 2]) -> Id {
        let shape = self.add("merged", Operation::Concat { axis: 0 }, shape.map(Some).to_vec());
        let reshape = Operation::Reshape { zero_copies: false };
        self.add("merged", reshape, vec![Some(array), Some(shape[0])])[0]
    }

    /// An array whose first axis isn't the batch, with the axes that are merged with it as an array
    /// of the graph has them that it is computed from, and how many they are; `None` where they
    /// are those of none.
    pub fn split(&mut self, graph: &Graph, id: Id) -> Option<(Id, usize)> {
        if let Some(found) = self.split.get(&id) {
            return *found;
        }
        let mut found = None;
        'arrays: for array in self.needed(id, false).arrays {
            let Some((known, _)) = self.read(graph, array, 0) else { continue };
            for axes in 1..=known.len() {
                let of_array = self.add("merged", Operation::Shape, vec![Some(array)])[0];
                let own = self.add("merged", Operation::Shape, vec![Some(id)])[0];
                let first = self.part_of_shape(of_array, (0, axes as i64 + 1));
                let rest = self.part_of_shape(own, (1, i64::MAX));
                let split = self.reshaped(id, [first, rest]);
                let returned = self.describe(graph, split, 0);
                if returned.is_ok_and(|returned| returned.has_batch) {
                    found = Some((split, axes));
                    break 'arrays;
                }
            }
        }
        self.split.insert(id, found);
        found
    }

    pub fn constant(&mut self, values: Values) -> Id {
        self.push(Origin::Constant(values))
    }

    /// Adds an operation; `name` is the layer's in the file.
    pub fn add(&mut self, name: &str, operation: Operation, operands: Vec<Option<Id>>) -> Vec<Id> {
        let (step, results) = (self.steps.len(), operation.results());
        let first_result = Id(self.origins.len());
        let name = name.to_string();
        self.steps.push(Step { name, operation, operands, first_result, results });
        (0..results).map(|_| self.push(Origin::Result(step))).collect()
    }

    /// The values of a constant.
    pub fn values(&self, id: Id) -> Option<&Values> {
        match &self.origins[id.0] {
            Origin::Constant(values) => Some(values),
            _ => None,
        }
    }

    /// What an array needs that the graph hasn't yet. `describing`: what is described already isn't
    /// taken apart.
    fn needed(&self, target: Id, describing: bool) -> Needed {
        let mut seen = HashSet::new();
        let mut open = vec![target];
        let mut needed = Needed { arrays: Vec::new(), steps: Vec::new(), constants: Vec::new() };
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let described = describing
                && id != target
                && self.known.get(&id).is_some_and(|tried| tried.returned.has_batch);
            match &self.origins[id.0] {
                _ if described || self.made.contains_key(&id) => needed.arrays.push(id),
                Origin::Array { .. } => needed.arrays.push(id),
                Origin::Constant(_) => needed.constants.push(id),
                Origin::Result(step) => {
                    needed.steps.push(*step);
                    open.extend(self.steps[*step].operands.iter().flatten());
                }
            }
        }
        needed.arrays.sort_unstable_by_key(|id| id.0);
        needed.steps.sort_unstable();
        needed.steps.dedup();
        needed
    }

    /// How many operations an array needs that aren't in the graph yet.
    pub fn depth(&self, id: Id) -> usize {
        self.needed(id, false).steps.len()
    }

    /// An array that the graph has: which one, and in how many `TimeDistributed` it is read.
    fn in_graph(&self, id: Id, time_distributed: usize) -> Option<(Tensor, usize)> {
        match (self.made.get(&id), &self.origins[id.0]) {
            (Some(&tensor), _) => Some((tensor, time_distributed)),
            (_, &Origin::Array { tensor, time_distributed }) => Some((tensor, time_distributed)),
            _ => None,
        }
    }

    /// The axes of an array behind the batch, and its kind, where it is one of the graph or is
    /// described.
    fn read<'g>(
        &'g self,
        graph: &'g Graph,
        id: Id,
        time_distributed: usize,
    ) -> Option<(&'g [Option<usize>], Kind)> {
        if let Some((tensor, depth)) = self.in_graph(id, time_distributed) {
            let kind = self.kinds.get(&tensor).copied().unwrap_or(Kind::Float);
            return Some((inner_axes(graph, tensor, depth), kind));
        }
        let Returned { axes, kind, .. } = &self.known.get(&id)?.returned;
        Some((axes.get(1..).unwrap_or_default(), *kind))
    }

    /// The function that computes an array, and what it reads.
    fn function(
        &self,
        graph: &Graph,
        id: Id,
        time_distributed: usize,
        (rows, describing): (Option<usize>, bool),
    ) -> Result<(Function, Vec<Id>)> {
        let needed = self.needed(id, describing);
        let values = needed.constants.iter().filter_map(|id| self.values(*id));
        let values =
            values.fold(needed.steps.len(), |sum, values| sum.saturating_add(values.len()));
        self.repeated.set(self.repeated.get().saturating_add(values));
        if self.repeated.get() > MOST_REPEATED {
            let name = needed.steps.last().map_or("", |&step| self.steps[step].name.as_str());
            return Err(Error::Graph(format!(
                "operation {name:?}: what doesn't depend on the batch is read too often; compute \
                 it before the model"
            )));
        }
        let mut program = Program::new();
        let mut values = HashMap::new();
        for (index, &array) in needed.arrays.iter().enumerate() {
            let Some((found, kind)) = self.read(graph, array, time_distributed) else { continue };
            let mut axes = vec![rows.map_or(Length::Any, Length::Fixed)];
            axes.extend(found.iter().map(|_| Length::Any));
            values.insert(array, program.input(&format!("array {index}"), axes, kind)?);
        }
        if needed.arrays.is_empty() {
            program.input("none", [Length::Any], Kind::Float)?; // a function has to read an array
        }
        for &id in &needed.constants {
            if let Origin::Constant(constant) = &self.origins[id.0] {
                values.insert(id, program.constant(constant.clone()));
            }
        }
        for &step in &needed.steps {
            let step = &self.steps[step];
            let operands = step.operands.iter();
            let operands = operands.map(|operand| operand.and_then(|id| values.get(&id).copied()));
            let results = program.add(&step.name, step.operation.clone(), operands)?;
            let ids = (step.first_result.0..step.first_result.0 + step.results).map(Id);
            values.extend(ids.zip(results));
        }
        match values.get(&id) {
            Some(&value) => program.output("output", value),
            None => return Err(Error::Graph("an operation returns nothing".into())),
        }
        Ok((program.function()?, needed.arrays))
    }

    /// What is known of an array before a call: its axes, whether the batch is the first one, and
    /// its kind.
    pub fn describe(&mut self, graph: &Graph, id: Id, time_distributed: usize) -> Result<Returned> {
        Ok(self.tried(graph, id, time_distributed)?.returned)
    }

    fn tried(&mut self, graph: &Graph, id: Id, time_distributed: usize) -> Result<Tried> {
        if let Some(known) = self.known.get(&id) {
            return Ok(known.clone());
        }
        let of_any = self.returned(graph, id, time_distributed, None);
        let is_of_any = of_any.as_ref().is_ok_and(|tried| tried.returned.has_batch);
        let of_fixed = match self.rows.filter(|_| !is_of_any) {
            Some(rows) => self.returned(graph, id, time_distributed, Some(rows)).ok(),
            None => None,
        };
        let tried = match of_fixed.filter(|tried| tried.returned.has_batch || of_any.is_err()) {
            Some(tried) => tried,
            None => of_any?,
        };
        self.known.insert(id, tried.clone());
        Ok(tried)
    }

    fn returned(
        &self,
        graph: &Graph,
        id: Id,
        time_distributed: usize,
        rows: Option<usize>,
    ) -> Result<Tried> {
        let (function, reads) = self.function(graph, id, time_distributed, (rows, true))?;
        let axes = reads.iter().filter_map(|&id| self.read(graph, id, time_distributed));
        let mut axes: Vec<_> = axes.map(|(axes, _)| axes).collect();
        if reads.is_empty() {
            axes.push(&[]);
        }
        match function.returns(&axes)?.pop() {
            Some(returned) => Ok(Tried { returned, rows }),
            None => Err(Error::Graph("an operation returns nothing".into())),
        }
    }

    /// An array as one of the graph: it, or the layer that computes it, of this name or with a
    /// number behind it.
    pub fn made(
        &mut self,
        graph: &Graph,
        id: Id,
        name: &str,
        time_distributed: usize,
    ) -> Result<Made> {
        if let Some((tensor, _)) = self.in_graph(id, time_distributed) {
            return Ok(Made::Array(tensor));
        }
        let needed = self.needed(id, false);
        if needed.arrays.is_empty() {
            return Ok(Made::NotOfTheBatch);
        }
        let returned = self.describe(graph, id, time_distributed)?;
        if !returned.has_batch {
            return Ok(Made::NotOfTheBatch);
        }
        // For a batch of one size where an operation is.
        let results = needed.steps.iter().flat_map(|&step| {
            let Step { first_result, results, .. } = &self.steps[step];
            (first_result.0..first_result.0 + results).map(Id)
        });
        let rows = results.filter_map(|id| self.known.get(&id)?.rows).next();
        let (function, reads) = self.function(graph, id, time_distributed, (rows, false))?;
        let reads = reads.into_iter().filter_map(|id| self.in_graph(id, time_distributed));
        let reads: Vec<Tensor> = reads.map(|(tensor, _)| tensor).collect();
        let count = self.names.entry(name.to_string()).or_default();
        *count += 1;
        let own = if *count == 1 { name.to_string() } else { format!("{name}/call_{count}") };
        let mut layer: Layer = function.named(&own);
        for _ in 0..time_distributed {
            layer = TimeDistributed::new(layer).named(&own);
        }
        Ok(Made::By(Box::new(layer), reads, returned.kind))
    }

    /// Says which array of the graph one is now.
    pub fn set_made(&mut self, id: Id, tensor: Tensor, kind: Kind) {
        self.made.insert(id, tensor);
        self.kinds.insert(tensor, kind);
    }
}

/// The axes of an array behind the batch and the timesteps of the `TimeDistributed` around.
fn inner_axes(graph: &Graph, tensor: Tensor, time_distributed: usize) -> &[Option<usize>] {
    graph.axes(tensor).get(time_distributed..).unwrap_or_default()
}

/// How an array comes to be one of the graph.
pub(in crate::import::keras) enum Made {
    /// It is this one.
    Array(Tensor),
    /// This layer returns it that is called on these, of numbers of this kind.
    By(Box<Layer>, Vec<Tensor>, Kind),
    /// Its first axis isn't the batch.
    NotOfTheBatch,
}
