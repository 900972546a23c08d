//! What a model is built from, as it stands in files.

use super::graph::{Call, Graph, Tensor};
use super::mask_rules::MaskRules;
use super::{BuiltLayer, InputSpec, Model, Node};
use crate::error::{Error, Result};
use crate::layer::{Dims, Layer};
use crate::program::{Function, ProgramParts, Values};
use ndarray::ArrayD;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a model is built from: layers, or operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Parts {
    Graph(GraphParts),
    Program(ProgramParts),
}

/// A graph of layers. Its arrays are numbered: first the inputs, then the constants, then what each
/// call returns, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GraphParts {
    mask_rules: MaskRules,
    inputs: Vec<InputPart>,
    constants: Vec<ConstantPart>,
    layers: Vec<LayerPart>,
    /// In an order in which each reads what was there before.
    calls: Vec<CallPart>,
    /// The numbers of the arrays that the model returns.
    outputs: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InputPart {
    name: String,
    /// The lengths of the axes after the batch; none is any.
    axes: Dims,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConstantPart {
    name: String,
    tensor: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerPart {
    layer: Layer,
    /// The names of the tensors of its weights, in the order of [`Model::set_weights`].
    weights: Vec<String>,
    /// The operations of a function, whose layer says no more than that it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<ProgramParts>,
}

/// A layer that is called on arrays, by their numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CallPart {
    /// The layer's place in the list.
    layer: usize,
    inputs: Vec<usize>,
    initial_state: Vec<usize>,
    masks: Vec<Option<usize>>,
    /// The call of a model that it stands in, where that isn't the outermost one.
    #[serde(default, skip_serializing_if = "is_outermost")]
    model: usize,
}

fn is_outermost(model: &usize) -> bool {
    *model == 0
}

impl Model {
    /// What the model can be built from again. `store` keeps the values of a constant or weight
    /// under a name like the one that it is given, and returns that name.
    ///
    /// # Errors
    /// [`Error::MissingWeights`] where a layer has none.
    pub(crate) fn parts(&self, store: &mut dyn FnMut(String, &Values) -> String) -> Result<Parts> {
        let Model { inputs, layers, nodes, tensors, outputs, mask_rules, program, attachment: _ } =
            self;
        self.check_weights()?;
        if let Some(program) = program {
            let weights: Vec<_> = layers.iter().map(|built| weights(&built.layer)).collect();
            return Ok(Parts::Program(program.parts(&weights, store)));
        }
        let results = nodes.iter().flat_map(|node| &node.results);
        let order = inputs.iter().map(|input| &input.tensor).chain(results);
        let mut numbers = vec![0; tensors.len()];
        order.enumerate().for_each(|(number, &tensor)| numbers[tensor] = number);
        let numbered = |tensors: &[usize]| tensors.iter().map(|&tensor| numbers[tensor]).collect();
        let mut parts = GraphParts {
            mask_rules: *mask_rules,
            inputs: Vec::new(),
            constants: Vec::new(),
            layers: Vec::new(),
            calls: Vec::new(),
            outputs: numbered(outputs),
        };
        for InputSpec { name, tensor, constant } in inputs {
            let name = name.clone();
            match constant {
                None => parts.inputs.push(InputPart { name, axes: tensors[*tensor].shape.clone() }),
                Some(array) => {
                    let values = Values::Floats(ArrayD::clone(array));
                    let tensor = store(format!("{name}/constant"), &values);
                    parts.constants.push(ConstantPart { name, tensor });
                }
            }
        }
        for BuiltLayer { layer, inputs } in layers {
            let names = layer.weight_labels(inputs).into_iter();
            let names = names.map(|label| format!("{}/{label}", layer.name()));
            let weights = names.zip(weights(layer)).map(|(name, values)| store(name, &values));
            let weights = weights.collect();
            let function = Function::of(layer).map(|function| {
                let mut store = |name: String, values: &Values| {
                    store(format!("{}/{name}", layer.name()), values)
                };
                function.parts(&mut store)
            });
            let layer = layer.clone().bare();
            parts.layers.push(LayerPart { layer, weights, function });
        }
        for Node { layer, inputs, initial_state, masks, results: _, model } in nodes {
            parts.calls.push(CallPart {
                layer: *layer,
                inputs: numbered(inputs),
                initial_state: numbered(initial_state),
                masks: masks.iter().map(|mask| mask.map(|tensor| numbers[tensor])).collect(),
                model: *model,
            });
        }
        Ok(Parts::Graph(parts))
    }
}

/// The weights of a layer that has its weights.
fn weights(layer: &Layer) -> Vec<Values> {
    layer.weight_arrays().unwrap_or_default().into_iter().map(Values::Floats).collect()
}

impl Parts {
    /// The layers; those of a program are its recurrent operations.
    pub(crate) fn layers(&self) -> Box<dyn Iterator<Item = &Layer> + '_> {
        match self {
            Parts::Graph(graph) => Box::new(graph.layers.iter().map(|part| &part.layer)),
            Parts::Program(program) => Box::new(program.layers()),
        }
    }

    /// How many inputs and constants it has, and calls, or operations with what they return.
    pub(crate) fn calls(&self) -> usize {
        match self {
            Parts::Graph(graph) => {
                let functions = graph.layers.iter().filter_map(|part| part.function.as_ref());
                let operations = functions.map(ProgramParts::calls);
                let arrays = graph.inputs.len() + graph.constants.len() + graph.calls.len();
                operations.fold(arrays, usize::saturating_add)
            }
            Parts::Program(program) => program.calls(),
        }
    }

    /// The model, with its weights. `fetch` gives the values of a constant or weight by its name.
    ///
    /// # Errors
    /// As [`Graph`]'s functions, [`Model::set_weights`] and those of
    /// [`Program`](crate::program::Program); [`Error::Graph`] where an array isn't there.
    pub(crate) fn model(self, fetch: &mut dyn FnMut(&str) -> Result<Values>) -> Result<Model> {
        match self {
            Parts::Program(program) => program.program(fetch)?.build(),
            Parts::Graph(graph) => graph.model(fetch),
        }
    }
}

impl GraphParts {
    fn model(self, fetch: &mut dyn FnMut(&str) -> Result<Values>) -> Result<Model> {
        let mut graph = Graph::new().mask_rules(self.mask_rules);
        let mut arrays = Vec::new();
        for InputPart { name, axes } in &self.inputs {
            arrays.push(graph.input(name, axes)?);
        }
        for ConstantPart { name, tensor } in &self.constants {
            arrays.push(graph.constant(name, fetch(tensor)?.to_floats())?);
        }
        let mut layers = Vec::new();
        let mut weights = Vec::new();
        for LayerPart { mut layer, weights: tensors, function } in self.layers {
            if let Some(program) = function {
                layer = layer.with_foreign(Arc::new(program.program(fetch)?.function()?));
            }
            weights.push((layer.name().to_string(), tensors));
            layers.push(graph.layer(layer)?);
        }
        for CallPart { layer, inputs, initial_state, masks, model } in &self.calls {
            let Some(id) = layers.get(*layer) else {
                let count = layers.len();
                return Err(Error::Graph(format!(
                    "layer {layer} is called, and there are {count}"
                )));
            };
            let name = &weights[*layer].0;
            let of_number = |&number: &usize| array(&arrays, number, name);
            let inputs = inputs.iter().map(of_number).collect::<Result<Vec<_>>>()?;
            let states = initial_state.iter().map(of_number).collect::<Result<Vec<_>>>()?;
            let masks = masks.iter().map(|mask| mask.as_ref().map(of_number).transpose());
            let masks = masks.collect::<Result<Vec<_>>>()?;
            let call =
                Call::from(&inputs[..]).initial_state(&states).masks(&masks).in_model(*model);
            arrays.extend(graph.call(*id, call)?);
        }
        let outputs = self.outputs.iter().map(|&number| array(&arrays, number, "the model"));
        let mut model = graph.build(outputs.collect::<Result<Vec<_>>>()?)?;
        for (name, tensors) in weights {
            let arrays = tensors.iter().map(|tensor| Ok(fetch(tensor)?.to_floats()));
            let arrays = arrays.collect::<Result<Vec<_>>>()?;
            model.set_weights(&name, arrays)?;
        }
        Ok(model)
    }
}

fn array(arrays: &[Tensor], number: usize, reader: &str) -> Result<Tensor> {
    let missing = || {
        let there = arrays.len();
        Error::Graph(format!("{reader:?} reads array {number}, and there are {there} before it"))
    };
    arrays.get(number).copied().ok_or_else(missing)
}
