//! What the calls of a model have returned so far.

use super::class::{Class, Root};
use super::entry::Entry;
use super::layer;
use super::mask_operation::MaskPiece;
use super::network::{Network, Node};
use super::operation::Id;
use super::reference::Reference;
use crate::{Error, Result, Tensor};
use std::collections::HashMap;

/// What a call returns.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// An array of the graph.
    Array(Tensor),
    /// One whose first axes, so many beside the batch, stand for a single one.
    Merged(Tensor, usize),
    /// What an operation computes, and the mask that it may be one of.
    Computed(Id, Option<MaskPiece>),
}

/// One call of a model: its inputs, and what the calls in it have returned so far.
pub(super) struct Scope<'s, 'a> {
    pub network: &'s Network<'a>,
    /// The input of a Sequential.
    pub input: Option<Piece>,
    /// By entry and number of the call.
    pub results: HashMap<(usize, usize), Vec<Piece>>,
}

impl Scope<'_, '_> {
    pub(super) fn piece(&self, reader: &str, reference: &Reference) -> Result<&Piece> {
        let network = self.network;
        if *reference == Reference::Input {
            return self.input.as_ref().map_or_else(|| network.dangling(reader, reference), Ok);
        }
        let found = network.entry(reader, reference)?;
        let found =
            found.and_then(|(entry, call, tensor)| self.results.get(&(entry, call))?.get(tensor));
        found.map_or_else(|| network.dangling(reader, reference), Ok)
    }

    /// That what comes before a layer of a Sequential returns one array.
    pub(super) fn check_row(&self, entry: &Entry, node: &Node) -> Result<()> {
        let before = node.entry.checked_sub(1).and_then(|before| self.results.get(&(before, 0)));
        match before.map(Vec::len) {
            Some(count) if self.network.root == Root::Sequential && count != 1 => {
                Err(Error::Graph(format!(
                    "layer {:?} of a Sequential follows one that returns {count} arrays; only the \
                     last layer may have return_state or merge_mode None",
                    entry.path
                )))
            }
            _ => Ok(()),
        }
    }
}

/// That a call in a model in `TimeDistributed` can be run on all timesteps.
pub(super) fn check_on_every_timestep(entry: &Entry, node: &Node) -> Result<()> {
    let call = &node.call;
    let constant = call.references().any(|read| matches!(read, Reference::Constant(_)));
    let reason = match entry.time_distributed {
        0 => return Ok(()),
        _ if matches!(entry.class, Class::Operation(_)) => return Ok(()),
        _ if !call.initial_state.is_empty() => "it has initial states",
        _ if constant => "it reads a constant",
        _ => return Ok(()),
    };
    Err(layer::in_time_distributed(entry, reason))
}
