//! What a model consists of, for people: as Keras's `model.summary()`.

use super::Model;
use crate::layer::{Feedforward, Kind, Layer};
use crate::operator::product;
use crate::program;
use std::fmt;

/// A table of a model's inputs and layers, like Keras's `model.summary()`.
/// [`Model::summary`] makes it, and [`Display`](std::fmt::Display) prints it.
///
/// ```
/// use birnn::{Dense, Gru, Layer, Model};
/// let layers: [Layer; 2] = [Gru::new(8).into(), Dense::new(3).into()];
/// let summary = Model::sequential(2, layers)?.summary();
/// let row = &summary.rows[1];
/// assert_eq!((row.name.as_str(), row.class_name, row.parameters), ("gru", "GRU", 288));
/// assert_eq!(row.output_shapes, [[None, Some(8)]]); // None is any batch
/// assert_eq!(summary.parameters, 288 + 27);
/// println!("{summary}");
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// A row for each input, then one for each layer in the order of [`Model::layers`].
    pub rows: Vec<SummaryRow>,
    /// The number of values in all weights together; of a model of operations also those of the
    /// arrays that it holds, such as the kernel of a product.
    pub parameters: usize,
}

/// An input or a layer of a model, as a row of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SummaryRow {
    /// The name of the input or layer.
    pub name: String,
    /// The layer's class in Keras; `InputLayer` for an input.
    pub class_name: &'static str,
    /// The shape of each array that the layer's first call returns. The first axis is the batch;
    /// `None` is any length.
    pub output_shapes: Vec<Vec<Option<usize>>>,
    /// The number of values in the layer's weights; 0 for an input.
    pub parameters: usize,
    /// The names of the inputs and layers whose arrays the layer's first call reads, as inputs,
    /// initial states or masks.
    pub connected_to: Vec<String>,
    /// What an input is read as, where not as plain values: `ids`, `mask` or `initial state`. Of a
    /// model of operations `ids` are whole numbers, and a `mask` truth values, 1 and 0.
    pub given_as: Option<&'static str>,
}

impl Model {
    /// Lists the model's inputs and layers with their shapes and numbers of weights; see
    /// [`Summary`].
    pub fn summary(&self) -> Summary {
        let inputs = self.given_inputs().iter().map(|input| SummaryRow {
            name: input.name.clone(),
            class_name: "InputLayer",
            output_shapes: vec![self.shape_of(input.tensor)],
            parameters: 0,
            connected_to: Vec::new(),
            given_as: self.given_as(input.tensor),
        });
        let layers = (0..self.layers.len()).map(|layer| self.layer_row(layer));
        let rows: Vec<SummaryRow> = inputs.chain(layers).collect();
        let of_operations = self.program.as_ref().map_or(0, |program| program.parameters());
        let parameters =
            rows.iter().fold(of_operations, |sum, row| sum.saturating_add(row.parameters));
        Summary { rows, parameters }
    }

    fn shape_of(&self, tensor: usize) -> Vec<Option<usize>> {
        // A program's arrays have no batch.
        let batch = self.program.is_none().then_some(None);
        batch.into_iter().chain(self.tensors[tensor].shape.iter().copied()).collect()
    }

    fn layer_row(&self, index: usize) -> SummaryRow {
        let built = &self.layers[index];
        let weights = built.layer.weight_specs(&built.inputs);
        let first = self.nodes.iter().find(|node| node.layer == index);
        let read = first.map_or(vec![], |node| {
            let masks = node.masks.iter().flatten();
            node.inputs.iter().chain(&node.initial_state).chain(masks).copied().collect()
        });
        let mut connected_to: Vec<String> = Vec::new();
        for name in read.into_iter().map(|tensor| &self.tensors[tensor].source) {
            if !connected_to.contains(name) {
                connected_to.push(name.clone());
            }
        }
        let output_shapes = match first {
            Some(node) => node.results.iter().map(|&tensor| self.shape_of(tensor)).collect(),
            // A recurrence of a program, which reads [batch, timesteps, features] all the same.
            None => {
                let results = built.layer.results(&built.inputs).unwrap_or_default();
                results.into_iter().map(|(_, shape)| [vec![None], shape].concat()).collect()
            }
        };
        SummaryRow {
            name: built.layer.name().to_string(),
            class_name: built.layer.class_name(),
            output_shapes,
            parameters: weights
                .iter()
                .fold(0usize, |sum, weight| sum.saturating_add(product(&weight.shape))),
            connected_to,
            given_as: None,
        }
    }

    fn given_as(&self, tensor: usize) -> Option<&'static str> {
        if let Some(program) = &self.program {
            let input = self.inputs.iter().find(|input| input.tensor == tensor)?;
            let declared = program.inputs.iter().find(|known| known.name == input.name)?;
            return match declared.kind {
                program::Kind::Integer => Some("ids"),
                program::Kind::Bool => Some("mask"),
                program::Kind::Float => None,
            };
        }
        let is_embedding = |layer: usize| {
            matches!(
                &self.layers[layer].layer,
                Layer::Feedforward(Feedforward { kind: Kind::Embedding(_), .. })
            )
        };
        let mut uses = self.nodes.iter().filter_map(|node| match () {
            _ if node.inputs.contains(&tensor) => {
                Some(if is_embedding(node.layer) { Some("ids") } else { None })
            }
            _ if node.initial_state.contains(&tensor) => Some(Some("initial state")),
            _ if node.masks.contains(&Some(tensor)) => Some(Some("mask")),
            _ => None,
        });
        uses.next().flatten()
    }
}

impl SummaryRow {
    /// The output shapes as Keras prints them, such as `(None, 8)`, with commas between them.
    pub fn shapes(&self) -> String {
        let axis = |axis: &Option<usize>| axis.map_or("None".to_string(), |n| n.to_string());
        let shape = |axes: &Vec<Option<usize>>| {
            format!("({})", axes.iter().map(axis).collect::<Vec<_>>().join(", "))
        };
        self.output_shapes.iter().map(shape).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles = ["Layer (type)", "Output Shape", "Param #", "Connected to"].map(String::from);
        let cells = |row: &SummaryRow| {
            let name = format!("{} ({})", row.name, row.class_name);
            [name, row.shapes(), row.parameters.to_string(), row.connected_to.join(", ")]
        };
        let lines: Vec<[String; 4]> =
            std::iter::once(titles).chain(self.rows.iter().map(cells)).collect();
        // A name can have any length, and a format's width can't.
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0).min(120)
        };
        let [name, shape, parameters] = [0, 1, 2].map(width);
        for line in &lines {
            let [a, b, c, d] = line;
            let line = format!("{a:name$}  {b:shape$}  {c:>parameters$}  {d}");
            writeln!(f, "{}", line.trim_end())?;
        }
        write!(f, "Total params: {}", self.parameters)
    }
}
