//! What stands in a file, also in one that can't be loaded.

use super::importer::op_type;
use super::load;
use super::nodes;
use super::options::OnnxOptions;
use super::proto::{AttributeValue, Budget, Dimension, Function, Graph, Node};
use super::tensor::DataType;
use crate::{Error, Model, Result};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// An ONNX file, operator by operator; see [`inspect_onnx`].
#[derive(Debug)]
#[non_exhaustive]
pub struct OnnxFileReport {
    /// What wrote it, with its version.
    pub producer: String,
    /// The version of ONNX's own operators.
    pub opset: i64,
    /// The operators of its nodes, each once, those of graphs within nodes included.
    pub operators: Vec<OnnxNodeReport>,
    /// The inputs that the file doesn't hold a value of, in order.
    pub inputs: Vec<OnnxInputReport>,
    /// The model, or why it can't be loaded.
    pub model: Result<Model>,
}

/// An operator of a file's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxNodeReport {
    /// Its name, with its domain where that isn't ONNX's own.
    pub op_type: String,
    /// How many nodes have it.
    pub count: usize,
    /// Why it can't be loaded, as far as its name tells.
    pub problem: Option<String>,
}

/// An input of a file, as the file declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxInputReport {
    /// Its name.
    pub name: String,
    /// NumPy's name of its type, such as `float32`. birnn takes all as float32.
    pub dtype: String,
    /// Of each axis its length, or the name that [`OnnxOptions::length`] takes; `None` where the
    /// file doesn't say how many axes there are.
    pub axes: Option<Vec<OnnxAxis>>,
}

/// An axis of an input of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnnxAxis {
    /// Of this length.
    Length(usize),
    /// Of any length, and called so; an axis without a name by its input and its place, as in
    /// `x:0`.
    Named(String),
}

impl std::fmt::Display for OnnxAxis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OnnxAxis::Length(length) => write!(f, "{length}"),
            OnnxAxis::Named(name) => f.write_str(name),
        }
    }
}

/// Lists the operators of a file that [`Model::from_onnx`] reads, each with whether it is
/// supported: all problems at once, where loading stops at the first.
///
/// ```
/// let report = birnn::inspect_onnx("tests/fixtures/onnx/lstm_bidirectional.onnx")?;
/// assert_eq!(report.operators[0].op_type, "LSTM");
/// assert_eq!((&*report.inputs[0].name, &*report.inputs[0].dtype), ("X", "float32"));
/// assert!(report.model.is_ok());
/// # Ok::<(), birnn::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] and [`Error::MalformedFile`] where the file has no list of nodes.
pub fn inspect_onnx(path: impl AsRef<Path>) -> Result<OnnxFileReport> {
    OnnxOptions::new().inspect(path)
}

/// The names of ONNX's operators that are supported, in alphabetical order.
///
/// ```
/// assert!(birnn::onnx_operators().contains(&"LSTM"));
/// ```
pub fn onnx_operators() -> Vec<&'static str> {
    nodes::supported()
}

impl OnnxOptions {
    /// [`inspect_onnx`](crate::inspect_onnx) with these options.
    ///
    /// # Errors
    /// As [`inspect_onnx`](crate::inspect_onnx).
    pub fn inspect(&self, path: impl AsRef<Path>) -> Result<OnnxFileReport> {
        let path = path.as_ref();
        let bytes = load::read(path, self)?;
        let name = path.display().to_string();
        let budget = Budget::new(self.messages);
        let (model, graph, opset) = load::graph(&name, &bytes, &budget)?;
        let damaged = |reason| Error::MalformedFile { file: name.clone(), reason };
        let mut counter =
            Counter { budget: &budget, functions: HashSet::new(), counts: BTreeMap::new() };
        let functions: Vec<Function> = model
            .functions
            .iter()
            .map(|message| Function::read(message, &budget))
            .collect::<std::result::Result<_, _>>()
            .map_err(damaged)?;
        counter.functions = functions.iter().map(|one| (one.domain, one.name)).collect();
        counter.count(&graph.nodes, 0).map_err(damaged)?;
        for function in &functions {
            counter.count(&function.nodes, 0).map_err(damaged)?;
        }
        let counts = counter.counts;
        let mut operators: Vec<_> = counts.into_values().collect();
        operators.sort_by_key(|report: &OnnxNodeReport| std::cmp::Reverse(report.count));
        let producer = format!("{} {}", model.producer, model.producer_version);
        Ok(OnnxFileReport {
            producer: producer.trim().to_string(),
            opset,
            operators,
            inputs: inputs(&graph),
            model: self.load(path),
        })
    }
}

fn inputs(graph: &Graph) -> Vec<OnnxInputReport> {
    let constants: HashSet<&str> = graph.initializers.iter().map(|tensor| tensor.name).collect();
    let given = graph.inputs.iter().filter(|input| !constants.contains(input.name));
    let axis = |input: &str, place: usize, dimension: &Dimension| match dimension {
        Dimension::Named(name) if !name.is_empty() => OnnxAxis::Named(name.to_string()),
        Dimension::Length(length) => match usize::try_from(*length) {
            Ok(length @ 1..) => OnnxAxis::Length(length),
            _ => OnnxAxis::Named(format!("{input}:{place}")),
        },
        _ => OnnxAxis::Named(format!("{input}:{place}")),
    };
    given
        .map(|input| OnnxInputReport {
            name: input.name.to_string(),
            dtype: DataType::new(input.data_type).map_or_else(|what| what, |t| t.name().into()),
            axes: input.shape.as_ref().map(|axes| {
                let axes = axes.iter().enumerate();
                axes.map(|(place, dimension)| axis(input.name, place, dimension)).collect()
            }),
        })
        .collect()
}

/// Counts nodes.
struct Counter<'a> {
    budget: &'a Budget,
    /// The functions of the file, whose own nodes are counted in place of those that stand for
    /// them.
    functions: HashSet<(&'a str, &'a str)>,
    counts: BTreeMap<String, OnnxNodeReport>,
}

impl<'a> Counter<'a> {
    /// The nodes of a graph, and of those within.
    fn count(&mut self, nodes: &[Node<'a>], depth: usize) -> std::result::Result<(), String> {
        const MOST_DEPTH: usize = 16;
        for node in nodes {
            if self.functions.contains(&(node.domain, node.op_type)) {
                continue;
            }
            let op_type = op_type(node);
            let problem = || (!nodes::is_supported(node)).then(|| nodes::instead(&op_type).into());
            let known = self.counts.entry(op_type.clone());
            let report = known.or_insert_with(|| OnnxNodeReport {
                op_type: op_type.clone(),
                count: 0,
                problem: problem(),
            });
            report.count += 1;
            for attribute in &node.attributes {
                if let AttributeValue::Graph(bytes) = attribute.value
                    && depth < MOST_DEPTH
                {
                    self.count(&Graph::read(bytes, self.budget)?.nodes, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}
