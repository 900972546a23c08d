//! From layers to operators, for calls of one shape. Every rule of Keras's own ends here: what
//! masks which array, which states a layer starts from, what is returned.

use super::masks::{MaskSource, Masks};
use super::{Bound, Inputs, Model, Node};
use crate::error::{Error, Result};
use crate::graph::{ArrayId, Constant, Constants, OperatorGraph, Source, StateOfLayer};
use crate::layer::{Layer, Lowering};
use crate::operator::{Binary, BinaryFunction, Concat, Differs};
use crate::program::Given;
use birnn_cell::Real;
use std::collections::HashMap;

/// What the graph of a call depends on, beside the model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallShape {
    /// Rows of the batch; 1 for a program, whose arrays have none.
    pub batch: usize,
    /// The shapes of the model's inputs and constants, without the batch; of a program whole.
    pub inputs: Vec<Vec<usize>>,
    /// Of which inputs the mask is given.
    pub masks: Vec<bool>,
    /// Which initial states of each node are given.
    pub states: Vec<Vec<bool>>,
    /// Whether stateful layers start from the states that the last call ended with.
    pub carried: bool,
    /// Of a program the bits of the values of each input on which shapes depend.
    pub values: Vec<Option<Vec<u32>>>,
}

impl<F> Bound<'_, F> {
    /// The shape of the call, for `batch` rows of it.
    pub(crate) fn call_shape(&self, batch: usize, carried: bool) -> CallShape {
        let arrays = self.arrays.iter().map(|array| self.axes_in_a_call(array.shape()));
        let is_given = |states: &Vec<Option<_>>| states.iter().map(Option::is_some).collect();
        CallShape {
            batch,
            inputs: arrays.map(<[usize]>::to_vec).collect(),
            masks: self.masks.iter().map(Option::is_some).collect(),
            states: self.states.iter().map(is_given).collect(),
            carried,
            values: self.values.clone(),
        }
    }

    /// Whether its shape is this one, for all rows of it.
    pub(crate) fn has_shape(&self, shape: &CallShape, carried: bool) -> bool {
        let arrays = self.arrays.iter().map(|array| self.axes_in_a_call(array.shape()));
        let given = |(states, given): (&Vec<Option<_>>, &Vec<bool>)| {
            states.iter().map(Option::is_some).eq(given.iter().copied())
        };
        shape.batch == self.batch
            && shape.carried == carried
            && shape.inputs.iter().map(|axes| &axes[..]).eq(arrays)
            && shape.masks.iter().copied().eq(self.masks.iter().map(Option::is_some))
            && shape.states.len() == self.states.len()
            && self.states.iter().zip(&shape.states).all(given)
            && shape.values == self.values
    }

    fn axes_in_a_call<'s>(&self, shape: &'s [usize]) -> &'s [usize] {
        if self.has_batch { &shape[1..] } else { shape }
    }
}

impl Model {
    /// The graph of operators for calls of a shape that the model takes.
    pub(crate) fn lower(&self, call: &CallShape) -> Result<OperatorGraph> {
        if let Some(program) = &self.program {
            let (shapes, values) = (&call.inputs, &call.values);
            return program.lower(Given { shapes, values, carried: call.carried });
        }
        let masks = self.masks(|input| call.masks[input]);
        let mut lowered = Lowered {
            model: self,
            call,
            graph: OperatorGraph::default(),
            tensors: vec![None; self.tensors.len()],
            of_mask: vec![None; masks.sources.len()],
            masks,
            carried: HashMap::new(),
        };
        for (index, (input, shape)) in self.inputs.iter().zip(&call.inputs).enumerate() {
            let shape = [&[call.batch], &shape[..]].concat();
            lowered.tensors[input.tensor] = Some(lowered.graph.feed(Source::Input(index), shape));
        }
        for node in 0..self.nodes.len() {
            lowered.node(node)?;
        }
        for &output in &self.outputs {
            let array = lowered.tensor(output)?;
            lowered.graph.outputs.push(array);
        }
        lowered.graph.carried = lowered.carried.into_iter().collect();
        lowered.graph.carried.sort_unstable();
        Ok(lowered.graph.without_unused_steps())
    }

    /// The graph of a call of one row, of which a call of more rows is a multiple; `None` where
    /// rows can't run in parts.
    pub(crate) fn lower_a_row(&self, call: &CallShape) -> Result<Option<OperatorGraph>> {
        let of_rows = |batch| self.lower(&CallShape { batch, ..call.clone() });
        if !self.layers().any(Layer::is_of_whole_shapes) {
            let graph = of_rows(1)?;
            return Ok(graph.rows_are_independent(1).then_some(graph));
        }
        // A function may be one for batches of another size only.
        let (Ok(one), Ok(two)) = (of_rows(1), of_rows(2)) else { return Ok(None) };
        let alike = one.does_the_same_to_rows_of(&two) && one.rows_are_independent(1);
        Ok(alike.then_some(one))
    }

    /// That the rows of a call can run in parts of the batch, one after another, whose outputs put
    /// together are those of the whole call. Of stateful layers it isn't asked: they go on from
    /// part to part, as in Keras's `predict`.
    ///
    /// # Errors
    /// [`Error::Parts`] where the model is of operations, whose arrays needn't have a batch, or a
    /// function in it ([`Function`](crate::program::Function)) mixes the rows. To find that out
    /// takes the inputs; where they don't fit the model, the errors of
    /// [`Session::run`](crate::Session::run).
    ///
    /// ```
    /// use birnn::{Gru, Model};
    /// let model = Model::sequential(2, [Gru::new(3)])?;
    /// model.check_parts(ndarray::Array3::<f32>::zeros((64, 5, 2)).view())?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn check_parts<'a>(&self, inputs: impl Into<Inputs<'a, f32>>) -> Result<()> {
        if self.is_program() {
            let reason = "an ONNX model doesn't say which axis of its arrays is the batch: run it \
                          on arrays of one part each";
            return Err(Error::Parts { reason });
        }
        // All other layers compute each row alone.
        if !self.layers().any(Layer::is_of_whole_shapes) {
            return Ok(());
        }
        let bound = self.bind(inputs.into())?;
        match self.lower_a_row(&bound.call_shape(bound.batch, false))? {
            Some(_) => Ok(()),
            None => {
                let reason = "an operation in it may read several rows at once, such as a mean \
                              over the batch: run all rows in one call";
                Err(Error::Parts { reason })
            }
        }
    }

    /// The constants that the graphs of all calls read.
    pub(crate) fn constants<F: Real>(&self) -> Constants<F> {
        let layers = self.layers.len() + usize::from(self.program.is_some());
        Constants::new((0..layers).map(|layer| self.constants_of(layer)))
    }

    /// The constants of a layer; behind the last one those of the program.
    pub(crate) fn constants_of(&self, layer: usize) -> Vec<Constant<'_>> {
        match (self.layers.get(layer), &self.program) {
            (Some(built), _) => built.layer.constants(&built.inputs),
            (None, Some(program)) => program.constants(),
            (None, None) => Vec::new(),
        }
    }
}

/// The graph so far.
struct Lowered<'m> {
    model: &'m Model,
    call: &'m CallShape,
    graph: OperatorGraph,
    /// Of each array of the model.
    tensors: Vec<Option<ArrayId>>,
    masks: Masks,
    /// Of each mask, once a layer computes with it.
    of_mask: Vec<Option<ArrayId>>,
    /// The states that stateful layers ended with so far.
    carried: HashMap<StateOfLayer, ArrayId>,
}

impl Lowered<'_> {
    fn tensor(&self, tensor: usize) -> Result<ArrayId> {
        let array = self.tensors.get(tensor).copied().flatten();
        array.ok_or_else(|| {
            let what = self.model.tensors[tensor].describe();
            Error::Graph(format!("{what} is read before it is computed"))
        })
    }

    /// A call of a layer.
    fn node(&mut self, index: usize) -> Result<()> {
        let node = &self.model.nodes[index];
        let layer = &self.model.layers[node.layer].layer;
        let inputs =
            node.inputs.iter().map(|&tensor| self.tensor(tensor)).collect::<Result<_>>()?;
        let read = layer.computes_with_masks();
        let masks: Vec<_> =
            self.masks.of_node[index].iter().map(|mask| mask.filter(|_| read)).collect();
        let masks = masks
            .into_iter()
            .map(|mask| mask.map(|mask| self.mask(mask)).transpose())
            .collect::<Result<_>>()?;
        let states = self.initial_states(index, node, layer)?;
        let (graph, name) = (&mut self.graph, layer.name());
        let mut call = Lowering { graph, layer: node.layer, name, inputs, masks };
        let written = layer.lower(&mut call, &states)?;
        let (outputs, finals) = written.split_at(written.len() - states.len());
        for (index, &state) in
            finals.iter().enumerate().filter(|(index, _)| is_carried(layer, *index))
        {
            self.carried.insert(StateOfLayer { layer: node.layer, index }, state);
        }
        // Where the layer doesn't return its states, there are no results for them.
        for (&tensor, &array) in node.results.iter().zip(outputs.iter().chain(finals)) {
            self.tensors[tensor] = Some(array);
        }
        Ok(())
    }

    /// What a call of a recurrent layer starts from; `None` is zeros.
    fn initial_states(
        &mut self,
        index: usize,
        node: &Node,
        layer: &Layer,
    ) -> Result<Vec<Option<ArrayId>>> {
        let mut inputs = Vec::new();
        for &tensor in &node.inputs {
            let shape = self.graph.shape(self.tensor(tensor)?);
            inputs.push(shape[1..].iter().map(|&length| Some(length)).collect());
        }
        let states = layer.states(&inputs).into_iter().enumerate();
        states
            .map(|(number, state)| {
                let lengths = state.shape.into_iter().flatten();
                let shape: Vec<usize> = std::iter::once(self.call.batch).chain(lengths).collect();
                self.initial_state(index, node, number, shape)
            })
            .collect()
    }

    fn initial_state(
        &mut self,
        index: usize,
        node: &Node,
        state: usize,
        shape: Vec<usize>,
    ) -> Result<Option<ArrayId>> {
        if let Some(&tensor) = node.initial_state.get(state) {
            return self.tensor(tensor).map(Some);
        }
        if self.call.states[index].get(state) == Some(&true) {
            let source = Source::InitialState { node: index, index: state };
            return Ok(Some(self.graph.feed(source, shape)));
        }
        let of_layer = StateOfLayer { layer: node.layer, index: state };
        let before = self.carried.get(&of_layer).copied();
        let from_last_call =
            self.call.carried && is_carried(&self.model.layers[node.layer].layer, state);
        Ok(match before {
            None if from_last_call => Some(self.graph.feed(Source::Carried(of_layer), shape)),
            before => before, // of an earlier call of a layer that is called twice
        })
    }

    /// The array of a mask, made where it isn't yet.
    fn mask(&mut self, mask: usize) -> Result<ArrayId> {
        if let Some(known) = self.of_mask[mask] {
            return Ok(known);
        }
        let array = match self.masks.sources[mask].clone() {
            MaskSource::Given(input) => {
                let shape = [self.call.batch, self.call.inputs[input][0]];
                self.graph.feed(Source::Mask(input), shape)
            }
            MaskSource::Tensor(tensor) => {
                let array = self.tensor(tensor)?;
                self.make_mask(Differs { value: 0.0, any_feature: false }, array)?
            }
            MaskSource::Values { tensor, value } => {
                let array = self.tensor(tensor)?;
                let differs = Differs { value: f32::from_bits(value), any_feature: true };
                self.make_mask(differs, array)?
            }
            MaskSource::AnyInLastAxis(longer) => {
                let longer = self.mask(longer)?;
                self.make_mask(Differs { value: 0.0, any_feature: true }, longer)?
            }
            MaskSource::Any(masks) => self.joined(masks, BinaryFunction::Maximum)?,
            MaskSource::All(masks) => self.joined(masks, BinaryFunction::Minimum)?,
            MaskSource::Concatenate(parts) => {
                let parts = parts.into_iter().map(|(tensor, mask)| match mask {
                    Some(mask) => self.mask(mask).map(Some),
                    None => {
                        let shape = self.graph.shape(self.tensor(tensor)?);
                        let shape = shape[..shape.len() - 1].to_vec();
                        Ok(Some(self.graph.feed(Source::Ones, shape)))
                    }
                });
                let parts = parts.collect::<Result<Vec<_>>>()?;
                self.graph.step("mask", Concat { axis: 1 }, parts)?[0]
            }
        };
        Ok(*self.of_mask[mask].insert(array))
    }

    fn make_mask(&mut self, differs: Differs, array: ArrayId) -> Result<ArrayId> {
        Ok(self.graph.step("mask", differs, [Some(array)])?[0])
    }

    /// Of no masks there is none to join: a source has at least one.
    fn joined(&mut self, masks: Vec<usize>, function: BinaryFunction) -> Result<ArrayId> {
        let mut joined = None;
        for mask in masks {
            let mask = self.mask(mask)?;
            joined = Some(match joined {
                None => mask,
                Some(before) => {
                    self.graph.step("mask", Binary { function }, [Some(before), Some(mask)])?[0]
                }
            });
        }
        joined.ok_or_else(|| Error::Graph("a mask is joined of none".to_string()))
    }
}

/// Whether a state of a layer is carried from call to call.
fn is_carried(layer: &Layer, state: usize) -> bool {
    layer.states(&[]).get(state).is_some_and(|state| state.stateful)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{
        Attention, BatchNormalization, Conv1d, Dense, Flatten, GlobalAveragePooling1d, Gru,
        LayerNormalization, Lstm, Masking, MultiHeadAttention, Permute, Reshape, TimeDistributed,
    };
    use crate::model::{Call, Graph, Tensor};
    use crate::operator::{Operator, Transpose};
    use crate::program::{self, Kind, Length, Operation, Program, Reduction, Value, Values};

    /// The graph for a batch of 2 rows of 8 timesteps.
    fn lowered(model: &Model) -> OperatorGraph {
        let axes = |&tensor: &usize| model.tensors[tensor].shape.clone();
        let inputs = model.inputs.iter().map(|input| axes(&input.tensor));
        let shape = |axes: Vec<Option<usize>>| axes.iter().map(|n| n.unwrap_or(8)).collect();
        let states = |node: &Node| vec![false; model.layers[node.layer].layer.state_roles().len()];
        let call = CallShape {
            batch: 2,
            inputs: inputs.map(shape).collect(),
            masks: vec![false; model.inputs.len()],
            states: model.nodes.iter().map(states).collect(),
            carried: false,
            values: Vec::new(),
        };
        model.lower(&call).unwrap()
    }

    fn names(graph: &OperatorGraph) -> Vec<&str> {
        graph.steps.iter().map(|step| step.operator.rules().name()).collect()
    }

    fn sequential(layers: impl IntoIterator<Item = Layer>) -> OperatorGraph {
        lowered(&Model::sequential(4, layers).unwrap())
    }

    fn sequence(units: usize) -> Layer {
        Lstm::new(units).return_sequences(true).into()
    }

    #[test]
    fn rows_of_every_layer_run_in_parts() {
        let layers: [Layer; 11] = [
            sequence(6),
            TimeDistributed::new(Dense::new(3)).into(),
            TimeDistributed::new(Reshape::new(vec![Some(3), Some(1)])).into(),
            TimeDistributed::new(Gru::new(4)).into(),
            BatchNormalization::new().into(),
            Permute::new(vec![2, 1]).into(),
            Permute::new(vec![2, 1]).into(),
            Conv1d::new(4, 2).into(),
            GlobalAveragePooling1d::new().into(),
            Reshape::new(vec![None, Some(2)]).into(),
            Flatten::new().into(),
        ];
        assert!(sequential(layers).rows_are_independent(2));
        let mut graph = Graph::new();
        let x = graph.sequence_input("x", None, 4).unwrap();
        let one = graph.add(Attention::new(), [x, x]).unwrap()[0];
        let other = graph.add(MultiHeadAttention::new(2, 3), [x, one]).unwrap();
        assert!(lowered(&graph.build(other).unwrap()).rows_are_independent(2));
    }

    /// Not so where an operator turns the batch into another axis, or mixes its rows.
    #[test]
    fn rows_that_are_mixed_do_not_run_in_parts() {
        let turned = |order: Vec<usize>| {
            let mut graph = OperatorGraph::default();
            let x = graph.feed(Source::Input(0), [2, 3, 4]);
            graph.outputs = graph.step("turned", Transpose { order }, [Some(x)]).unwrap();
            graph.rows_are_independent(2)
        };
        assert!(turned(vec![0, 2, 1]));
        assert!(!turned(vec![1, 0, 2]));
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [2, 3]);
        graph.outputs = graph.step("joined", Concat { axis: 0 }, [Some(x), Some(x)]).unwrap();
        assert!(!graph.rows_are_independent(2));
    }

    /// A function that reads `[batch, timesteps, 4]`.
    fn function(build: impl Fn(&mut Program, Value) -> Value) -> Model {
        let mut program = Program::new();
        let axes = [Length::Any, Length::Any, Length::Fixed(4)];
        let x = program.input("x", axes, Kind::Float).unwrap();
        let y = build(&mut program, x);
        program.output("y", y);
        let mut graph = Graph::new();
        let x = graph.sequence_input("x", None, 4).unwrap();
        let y = graph.add(program.function().unwrap(), x).unwrap();
        graph.build(y).unwrap()
    }

    /// So they do in functions, unless what is computed depends on the number of rows.
    #[test]
    fn rows_of_functions_run_in_parts_where_they_do_not_depend_on_each_other() {
        let add = |program: &mut Program, operation: Operation, operands: Vec<Value>| {
            program.add("it", operation, operands).unwrap()[0]
        };
        let mean = |axis: i64| {
            function(move |program, x| {
                let axes = program.constant(Values::integers([axis]));
                let reduce = Operation::Reduce { reduction: Reduction::Mean, keep: true };
                let mean = add(program, reduce, vec![x, axes]);
                add(program, Operation::Binary(program::Binary::Subtract), vec![x, mean])
            })
        };
        let divided_by_length = |axis: i64| {
            function(move |program, x| {
                let shape = add(program, Operation::Shape, vec![x]);
                let place = program.constant(Values::integer(axis));
                let length = add(program, Operation::Take { axis: 0 }, vec![shape, place]);
                let length = add(program, Operation::Cast(Kind::Float), vec![length]);
                add(program, Operation::Binary(program::Binary::Divide), vec![x, length])
            })
        };
        let in_parts = |model: Model| {
            let call = CallShape {
                batch: 2,
                inputs: vec![vec![8, 4]],
                masks: vec![false],
                states: vec![Vec::new()],
                carried: false,
                values: Vec::new(),
            };
            model.lower_a_row(&call).unwrap().is_some()
        };
        assert!(in_parts(mean(1)) && in_parts(mean(2)) && !in_parts(mean(0)));
        assert!(in_parts(divided_by_length(1)) && !in_parts(divided_by_length(0)));
        let x = ndarray::Array3::<f32>::zeros((5, 8, 4));
        let refused =
            |model: Model| matches!(model.check_parts(x.view()), Err(Error::Parts { .. }));
        assert!(!refused(mean(1)) && refused(mean(0)) && refused(divided_by_length(0)));
        let other = ndarray::Array3::<f32>::zeros((5, 8, 3));
        let error = mean(1).check_parts(other.view()).unwrap_err();
        assert!(matches!(error, Error::InputShape { .. }), "{error:?}");
    }

    /// Which arrays of a sequence can be cut along time, by the names of the operators that
    /// write them; "" is the input.
    fn cut(layers: impl IntoIterator<Item = Layer>) -> Vec<String> {
        let graph = sequential(layers);
        let cut = graph.cut_along_time();
        let writer = |array: usize| {
            let mut steps = graph.steps.iter();
            let step = steps.find(|step| step.writes.iter().any(|written| written.0 == array));
            step.map_or(String::new(), |step| step.operator.rules().name().into())
        };
        (0..cut.len()).filter(|&array| cut[array]).map(writer).collect()
    }

    #[test]
    fn arrays_are_cut_along_time_where_all_steps_go_along_it() {
        let last: Layer = Gru::new(4).into();
        let dense = || -> Layer { Dense::new(4).into() };
        assert_eq!(cut([sequence(3), last.clone()]), ["", "recurrent"]);
        assert_eq!(cut([sequence(3), dense()]), ["", "recurrent", "matmul"]);
        assert_eq!(
            cut([dense(), LayerNormalization::new().into(), sequence(3), dense(), last.clone()]),
            ["", "matmul", "normalize", "recurrent", "matmul"]
        );
        // A mean over time needs all of it, a convolution what is beside.
        assert_eq!(
            cut([sequence(3), dense(), GlobalAveragePooling1d::new().into()]),
            ["", "recurrent"]
        );
        let convolution: Layer = Conv1d::new(3, 2).into();
        assert_eq!(cut([sequence(3), convolution, dense(), last]), ["", "matmul"]);
    }

    /// What nothing needs is no step: masks that nothing reads, layers beside the outputs.
    #[test]
    fn steps_that_nothing_needs_are_left_out() {
        let dense = || Dense::new(3).into();
        assert_eq!(names(&sequential([Masking::new().into(), dense()])), ["blank", "matmul"]);
        let masked = [Masking::new().into(), sequence(3)];
        assert_eq!(names(&sequential(masked)), ["blank", "differs", "recurrent"]);
        let mut graph = Graph::new();
        let x = graph.sequence_input("x", None, 4).unwrap();
        let aside = graph.add(sequence(2), x).unwrap();
        graph.add(dense(), aside[0]).unwrap();
        let kept = graph.add(dense(), x).unwrap();
        assert_eq!(names(&lowered(&graph.build(kept).unwrap())), ["matmul"]);
    }

    /// A stateful layer that is called twice goes on from its own first call.
    #[test]
    fn the_second_call_of_a_stateful_layer_reads_the_states_of_the_first() {
        let mut graph = Graph::new();
        let x = graph.sequence_input("x", None, 4).unwrap();
        let layer = graph.layer(Lstm::new(4).return_sequences(true).stateful(true)).unwrap();
        let first = graph.call(layer, Call::on(x)).unwrap();
        let second: Vec<Tensor> = graph.call(layer, Call::on(first[0])).unwrap();
        let graph = lowered(&graph.build(second).unwrap());
        let [one, other] = &graph.steps[..] else { panic!("{:?}", names(&graph)) };
        assert_eq!(one.reads[2..], [None, None]);
        assert_eq!(other.reads[2..], [Some(one.writes[1]), Some(one.writes[2])]);
        let carried: Vec<ArrayId> = graph.carried.iter().map(|(_, array)| *array).collect();
        assert_eq!(carried, other.writes[1..]);
    }

    #[test]
    fn an_operator_that_is_given_other_shapes_is_an_error() {
        let mut graph = OperatorGraph::default();
        let x = graph.feed(Source::Input(0), [2, 3]);
        let error = graph.step("odd", Differs { value: 0.0, any_feature: true }, [None]);
        assert!(error.unwrap_err().to_string().contains("\"odd\": differs"));
        let shape = vec![2, 4];
        let error = graph.step("odd", crate::operator::Reshape { shape }, [Some(x)]).unwrap_err();
        assert!(error.to_string().contains("[2, 3]"), "{error}");
        let reshaped: Operator = crate::operator::Reshape { shape: vec![6] }.into();
        assert_eq!(graph.step("odd", reshaped, [Some(x)]).unwrap().len(), 1);
    }
}
