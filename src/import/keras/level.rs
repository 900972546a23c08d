//! The models of a file, each with its layers on their way into the graph.

use super::assembly::Added;
use super::class::{Class, Root};
use super::entry::{Entry, Nested};
use super::layer;
use super::messages::malformed;
use super::network::Network;
use super::recurrent::Built;
use super::stateless::Calling;
use super::version::Version;
use crate::{Error, LayerId, Result, Tensor};
use serde_json::Value;
use std::collections::HashMap;

/// A model that stands in a file.
pub(super) struct Source<'a> {
    /// What the file is called in messages.
    pub label: &'a str,
    pub version: Version,
    pub root: Root,
    pub value: &'a Value,
    pub entries: &'a [Entry<'a>],
    pub max_calls: usize,
    /// Whether the whole model makes masks.
    pub masks: bool,
}

/// The whole model or one in it, with its layers on their way into the graph.
pub(super) struct Level<'a> {
    pub path: &'a str,
    pub network: Network<'a>,
    pub steps: Vec<Step<'a>>,
    /// The entries of its inputs; none of a Sequential without an input layer.
    pub inputs: Vec<usize>,
    /// Whether its inputs have names by which they are given.
    pub inputs_are_dict: bool,
    /// By input the layer that gives it the masks of calls, once there is one.
    pub mask_layers: HashMap<usize, LayerId>,
    /// Of a model in `TimeDistributed` the layers that keep its masks inside, once there are any:
    /// before it, and behind it.
    pub borders: Vec<LayerId>,
}

/// A layer of the file on its way into the graph.
pub(super) enum Step<'a> {
    /// It isn't in the graph yet; one that no call asks for never is.
    New(Built),
    Called(Added),
    Model(Box<Level<'a>>),
    /// An input, or an operation.
    None,
}

impl<'a> Level<'a> {
    pub(super) fn new(source: &Source<'a>, path: &'a str) -> Result<Level<'a>> {
        let Source { label, version, root, value, entries, max_calls, .. } = *source;
        let network = Network::new(label, version, root, value, entries, max_calls)?;
        let steps = Level::steps(source, &network)?;
        let inputs_are_dict = value.pointer("/config/input_layers").is_some_and(Value::is_object);
        let mask_layers = HashMap::new();
        let (inputs, borders) = (Vec::new(), Vec::new());
        Ok(Level { path, network, steps, inputs, inputs_are_dict, mask_layers, borders })
    }

    /// A model that is a layer.
    fn inside(source: &Source<'a>, entry: &'a Entry, nested: &'a Nested) -> Result<Level<'a>> {
        let Nested { value, root, entries } = nested;
        let source = Source { root: *root, value, entries, ..*source };
        let mut level = Level::new(&source, &entry.path)?;
        level.inputs = level.network.inputs(value)?;
        Ok(level)
    }

    /// The layers, each as its calls ask for it.
    fn steps(source: &Source<'a>, network: &Network<'a>) -> Result<Vec<Step<'a>>> {
        let mut callings: Vec<Option<Calling>> = vec![None; network.entries.len()];
        for node in &network.nodes {
            let calling = node.call.calling;
            let before = callings[node.entry].replace(calling).unwrap_or(calling);
            let (argument, value) = match before.use_causal_mask != calling.use_causal_mask {
                true => ("use_causal_mask", calling.use_causal_mask),
                false => ("return_attention_scores", calling.return_attention_scores),
            };
            if before != calling {
                return Err(Error::UnsupportedArgument {
                    layer: network.entries[node.entry].path.clone(),
                    argument: argument.into(),
                    value: value.to_string(),
                    reason:
                        "another call of the layer has it otherwise; use the same in every call"
                            .into(),
                });
            }
        }
        let is_functional = network.root == Root::Functional;
        let step = |(index, calling): (usize, Option<Calling>)| {
            let entry = &network.entries[index];
            match (entry.class, &entry.model) {
                (_, Some(nested)) => {
                    Level::inside(source, entry, nested).map(|level| Step::Model(Box::new(level)))
                }
                (Class::Input | Class::Operation(_), _) if is_functional => Ok(Step::None),
                (Class::Input, _) if index == 0 => Ok(Step::None),
                _ => {
                    let (calling, masks) = (calling.unwrap_or_default(), source.masks);
                    layer::build(source.label, entry, source.version, calling, masks).map(Step::New)
                }
            }
        };
        callings.into_iter().enumerate().map(step).collect()
    }

    /// The arrays in the order of the model's inputs, where the call names them and the model
    /// doesn't.
    pub(super) fn in_order(
        &self,
        label: &str,
        names: &[&str],
        inputs: Vec<Tensor>,
    ) -> Result<Vec<Tensor>> {
        if names.len() != inputs.len() || self.inputs_are_dict {
            return Ok(inputs);
        }
        let place = |&entry: &usize| {
            let name = self.network.entries[entry].name;
            let place = names.iter().position(|given| *given == name)?;
            inputs.get(place).copied()
        };
        match self.inputs.iter().map(place).collect() {
            Some(ordered) => Ok(ordered),
            None => malformed(
                label,
                format!(
                    "layer {:?} is called on {names:?}, which its inputs aren't named",
                    self.path
                ),
            ),
        }
    }
}
