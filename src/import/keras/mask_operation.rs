//! Masks that a file of Keras 3 spells out.
//!
//! Where a layer is called with a mask, Keras 3 writes the operations that compute it into the
//! model: `NotEqual` and `Any` for a `Masking`, `NotEqual` for an `Embedding`, more where masked
//! arrays are joined. A model here computes the masks that arrays carry by itself, so these
//! operations only say which mask is meant.

use super::arguments::is_float;
use super::entry::Entry;
use crate::{Graph, MaskOrigin, Tensor};
use serde_json::Value;

/// More masks than any real model joins.
const MAX_JOINED: usize = 256;

/// A mask, by its place among [`MaskExpressions`]; `None` is true everywhere, as good as none.
pub(super) type Mask = Option<usize>;

/// What an operation of a mask reads or returns.
#[derive(Clone, Debug)]
pub(super) enum MaskPiece {
    /// An array of the model.
    Array(Tensor),
    Mask(Mask),
    /// True where a value of an array of features is not this one.
    NotEqual(Tensor, f32),
    /// A mask with an axis of length one behind it.
    Expanded(Mask),
    /// True or false everywhere, in the shape of an array.
    Filled(Tensor, bool),
    /// A mask in the shape of an array.
    Spread(Tensor, Mask),
    /// Such arrays one after another along an axis.
    Joined(Vec<(Tensor, Mask)>, isize),
}

/// The masks that operations compute, each in terms of those before it.
#[derive(Debug, Default)]
pub(super) struct MaskExpressions {
    origins: Vec<MaskOrigin>,
}

impl MaskExpressions {
    fn add(&mut self, origin: MaskOrigin) -> usize {
        self.origins.iter().position(|known| *known == origin).unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        })
    }

    /// The array that a mask is, where it is one.
    pub(super) fn array(&self, mask: usize) -> Option<Tensor> {
        match self.origins[mask] {
            MaskOrigin::NotZero(array) => Some(array),
            _ => None,
        }
    }

    /// What an operation returns; `None` where it is none that Keras makes masks with.
    pub(super) fn run(
        &mut self,
        graph: &Graph,
        entry: &Entry,
        operands: &[MaskPiece],
        number: Option<f32>,
    ) -> Option<MaskPiece> {
        let axis = entry.config.get("axis").and_then(Value::as_i64).unwrap_or(-1) as isize;
        let inside = entry.time_distributed;
        let keepdims =
            entry.config.get("keepdims").is_some_and(|value| value != &Value::Bool(false));
        match (entry.class.name(), operands, number) {
            ("NotEqual", &[MaskPiece::Array(array)], Some(value)) => {
                match graph.axes(array).len().saturating_sub(inside) {
                    1 if value == 0.0 => {
                        Some(MaskPiece::Mask(Some(self.add(MaskOrigin::NotZero(array)))))
                    }
                    2.. => Some(MaskPiece::NotEqual(array, value)),
                    _ => None,
                }
            }
            ("Any", [piece], None) if !keepdims && axis == -1 => self.any(graph, piece, inside),
            ("Cast", [piece], None) if entry.config.get("dtype").is_some_and(is_float) => {
                Some(piece.clone())
            }
            ("ConvertToTensor", [piece], None) => {
                self.mask(graph, piece, inside).map(MaskPiece::Mask)
            }
            ("LogicalOr", [MaskPiece::Expanded(mask), MaskPiece::Filled(array, false)], None) => {
                Some(MaskPiece::Spread(*array, *mask))
            }
            ("LogicalOr", [a, b], None) => self.either(graph, a, b, inside).map(MaskPiece::Mask),
            ("ExpandDims", [piece], None) if axis == -1 => {
                self.mask(graph, piece, inside).map(MaskPiece::Expanded)
            }
            ("ZerosLike", [MaskPiece::Array(array)], None) => {
                Some(MaskPiece::Filled(*array, false))
            }
            ("OnesLike", [MaskPiece::Array(array)], None) => Some(MaskPiece::Filled(*array, true)),
            ("Concatenate", parts, None) => {
                joined(parts).map(|parts| MaskPiece::Joined(parts, axis))
            }
            _ => None,
        }
    }

    /// An operand as a mask, `inside` so many `TimeDistributed`; an array of one axis is one, too,
    /// and so is what isn't zero of any.
    pub(super) fn mask(&mut self, graph: &Graph, piece: &MaskPiece, inside: usize) -> Option<Mask> {
        match piece {
            MaskPiece::Mask(mask) => Some(*mask),
            MaskPiece::Array(array) if graph.axes(*array).len() == 1 + inside => {
                Some(Some(self.add(MaskOrigin::NotZero(*array))))
            }
            MaskPiece::NotEqual(array, value) if *value == 0.0 => {
                Some(Some(self.add(MaskOrigin::NotZero(*array))))
            }
            _ => None,
        }
    }

    fn either(
        &mut self,
        graph: &Graph,
        a: &MaskPiece,
        b: &MaskPiece,
        inside: usize,
    ) -> Option<Mask> {
        let (a, b) = (self.mask(graph, a, inside)?, self.mask(graph, b, inside)?);
        self.any_of(&[a, b])
    }

    /// True where any of the masks is; masks joined before are taken apart, so that the order
    /// doesn't matter.
    fn any_of(&mut self, masks: &[Mask]) -> Option<Mask> {
        let Some(masks) = masks.iter().copied().collect::<Option<Vec<usize>>>() else {
            return Some(None);
        };
        let parts = |mask: &usize| match &self.origins[*mask] {
            MaskOrigin::Any(of) => of.clone(),
            _ => vec![*mask],
        };
        let mut of: Vec<usize> = masks.iter().flat_map(parts).collect();
        of.sort_unstable();
        of.dedup();
        match of[..] {
            [] => None,
            [one] => Some(Some(one)),
            _ => (of.len() <= MAX_JOINED).then(|| Some(self.add(MaskOrigin::Any(of)))),
        }
    }

    fn any(&mut self, graph: &Graph, piece: &MaskPiece, inside: usize) -> Option<MaskPiece> {
        let mask = match piece {
            MaskPiece::NotEqual(array, value) => {
                Some(self.add(MaskOrigin::NotEqual { array: *array, value: *value }))
            }
            MaskPiece::Joined(parts, along) => {
                let last = graph.axes(parts.first()?.0).len().saturating_sub(inside) as isize;
                match *along {
                    1 if last == 2 && inside == 0 => {
                        Some(self.add(MaskOrigin::Concatenate(parts.clone())))
                    }
                    axis if axis == -1 || axis == last => {
                        self.any_of(&parts.iter().map(|(_, mask)| *mask).collect::<Vec<_>>())?
                    }
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(MaskPiece::Mask(mask))
    }

    /// The masks of a model in these terms.
    pub(super) fn of_model(&mut self, origins: &[MaskOrigin]) -> Vec<Mask> {
        let mut found: Vec<Mask> = Vec::new();
        for origin in origins {
            let translated = match origin {
                MaskOrigin::Any(of) => {
                    self.any_of(&of.iter().map(|&mask| found[mask]).collect::<Vec<_>>()).flatten()
                }
                MaskOrigin::All(of) => {
                    let of = of.iter().map(|&mask| found[mask]).collect::<Option<_>>();
                    of.map(|of| self.add(MaskOrigin::All(of)))
                }
                MaskOrigin::AnyInLastAxis(mask) => {
                    found[*mask].map(|mask| self.add(MaskOrigin::AnyInLastAxis(mask)))
                }
                MaskOrigin::Concatenate(parts) => {
                    let parts = parts
                        .iter()
                        .map(|(array, mask)| (*array, mask.and_then(|mask| found[mask])))
                        .collect();
                    Some(self.add(MaskOrigin::Concatenate(parts)))
                }
                origin => Some(self.add(origin.clone())),
            };
            found.push(translated);
        }
        found
    }
}

fn joined(parts: &[MaskPiece]) -> Option<Vec<(Tensor, Mask)>> {
    let part = |piece: &MaskPiece| match piece {
        MaskPiece::Spread(array, mask) => Some((*array, *mask)),
        MaskPiece::Filled(array, true) => Some((*array, None)),
        _ => None,
    };
    if parts.len() <= MAX_JOINED { parts.iter().map(part).collect() } else { None }
}
