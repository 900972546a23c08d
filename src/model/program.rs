//! Models of programs.

use super::{BuiltLayer, InputSpec, MaskRules, Model, TensorSpec};
use crate::error::{Error, Result};
use crate::layer::Role;
use crate::program::{Body, Program, Weighted};
use std::collections::HashSet;
use std::sync::Arc;

impl Program {
    /// Makes the model. What follows from constants alone is computed now.
    ///
    /// The model's layers are the program's recurrent operations, whose weights
    /// [`Model::weights`] has; [`Outputs::named`](crate::Outputs::named) finds the outputs.
    ///
    /// # Errors
    /// [`Error::Graph`] where the program has no output, two recurrent layers have one name, or a
    /// tied input has axes whose length isn't known; [`Error::WeightCount`],
    /// [`Error::WeightShape`], [`Error::NonFiniteWeight`] and [`Error::Argument`] where a recurrent
    /// layer and its weights don't fit each other.
    pub fn build(self) -> Result<Model> {
        let (body, weighted) = self.complete()?;
        let layers = weighted.into_iter().map(built).collect::<Result<Vec<_>>>()?;
        check_names(&layers)?;
        let mut tensors = Vec::new();
        let mut inputs = Vec::new();
        for (index, input) in body.inputs.iter().enumerate() {
            if !body.is_tied(index) {
                let tensor = tensors.len();
                inputs.push(InputSpec { name: input.name.clone(), tensor, constant: None });
                let shape = input.axes.iter().map(|axis| axis.fixed()).collect();
                let source = input.name.clone();
                tensors.push(TensorSpec { shape, role: Role::Input, source });
            }
        }
        let first = tensors.len();
        for (name, _) in &body.outputs {
            let source = name.clone();
            tensors.push(TensorSpec { shape: Vec::new(), role: Role::Output, source });
        }
        Ok(Model {
            inputs,
            layers,
            nodes: Vec::new(),
            outputs: (first..tensors.len()).collect(),
            tensors,
            mask_rules: MaskRules::default(),
            program: Some(Arc::new(body)),
            attachment: None,
        })
    }
}

/// A layer with its weights.
fn built(weighted: Weighted) -> Result<BuiltLayer> {
    let Weighted { mut layer, features, weights } = weighted;
    layer.check()?;
    let inputs = vec![vec![None, Some(features)]];
    layer.set_weights(&inputs, weights)?;
    Ok(BuiltLayer { layer, inputs })
}

fn check_names(layers: &[BuiltLayer]) -> Result<()> {
    let mut names = HashSet::new();
    match layers.iter().map(|built| built.layer.name()).find(|name| !names.insert(*name)) {
        Some(name) => Err(Error::Graph(format!("two recurrent layers are named {name:?}"))),
        None => Ok(()),
    }
}

impl Body {
    /// The shapes of the arrays that are handed on from call to call, in calls whose inputs have
    /// these shapes.
    pub(super) fn tied_shapes(&self, shapes: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        let shape = |tie| {
            self.tied_shape(tie, shapes).ok_or_else(|| {
                let name = self.tied_name(tie);
                Error::Graph(format!(
                    "the length of an axis of the tied input {name:?} isn't known: fix it"
                ))
            })
        };
        (0..self.ties()).map(shape).collect()
    }
}
