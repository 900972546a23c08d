//! Layers that are defined in another room.

use super::definition::{Definition, Wrong};
use super::dims::Dims;
use super::lowering::Lowering;
use crate::error::{Error, Result};
use crate::graph::ArrayId;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A layer that is defined in another room, such as a [`Function`](crate::program::Function). A
/// file has no more of it than that it is one: what it is stands beside the layer there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Foreign {
    #[serde(skip)]
    pub(super) definition: Option<Arc<dyn Definition>>,
}

impl PartialEq for Foreign {
    fn eq(&self, other: &Foreign) -> bool {
        match (&self.definition, &other.definition) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one.equals(&**other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl Foreign {
    pub(super) fn definition(&self) -> &dyn Definition {
        match &self.definition {
            Some(definition) => &**definition,
            None => &Nowhere,
        }
    }
}

/// A layer of another room that a file left out.
#[derive(Debug)]
struct Nowhere;

impl Definition for Nowhere {
    fn class_name(&self) -> &'static str {
        "Function"
    }

    fn check(&self) -> Result<(), Wrong> {
        Err(("function", "is missing".to_string()))
    }

    fn output(&self, _: &[Dims]) -> Result<Dims, String> {
        Err("its operations are missing".to_string())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId> {
        Err(Error::Graph(format!("layer {:?}: its operations are missing", call.name)))
    }
}
