//! Nodes: what each of ONNX's operators is in a program's words.

mod angles;
mod attention;
mod contrib;
mod largest;
mod linear_attention;
mod losses;
mod moving;
mod normalize;
mod numbers;
mod places;
mod product;
mod qlinear;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod sequences;
mod shapes;
mod signal;
mod windows;

use super::importer::{Call, Frame, Handler, Importer, op_type};
use super::proto::{Function, Graph, Node};
use crate::program::{Operation, Value};
use crate::{Error, Result};
use std::collections::HashSet;

/// What is known of each operator, by families.
const NODES: [&[(&str, Handler)]; 18] = [
    angles::NODES,
    attention::NODES,
    contrib::NODES,
    linear_attention::NODES,
    losses::NODES,
    moving::NODES,
    normalize::NODES,
    numbers::NODES,
    places::NODES,
    product::NODES,
    qlinear::NODES,
    quantize::NODES,
    recurrent::NODES,
    reduce::NODES,
    resize::NODES,
    sequences::NODES,
    signal::NODES,
    windows::NODES,
];

/// Operators that return values of their first input, whose type they keep.
const MOVING: [&str; 15] = [
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];

/// Every operator that is supported, with its domain where that isn't ONNX's own.
pub(super) fn supported() -> Vec<&'static str> {
    let mut names: Vec<_> = NODES.concat().into_iter().map(|(name, _)| name).collect();
    names.push("If");
    names.sort_unstable();
    names
}

fn handler(name: &str) -> Option<Handler> {
    let mut nodes = NODES.into_iter().flatten();
    nodes.find(|(known, _)| *known == name).map(|(_, handler)| *handler)
}

/// Whether a node's operator is supported.
pub(super) fn is_supported(node: &Node) -> bool {
    let name = op_type(node);
    name == "If" || handler(&name).is_some()
}

/// Why a node isn't supported, and what to do.
pub(super) fn instead(op_type: &str) -> &'static str {
    match op_type {
        "Loop" | "Scan" => {
            "it runs a graph again and again, which birnn doesn't; if the model comes from Keras, \
             load its .keras file; otherwise export it with a fixed number of timesteps, or with \
             LSTM, GRU or RNN nodes"
        }
        "NonMaxSuppression" | "Unique" | "StringNormalizer" | "TfIdfVectorizer" => {
            "the shape of what it returns depends on values; compute it behind the model"
        }
        "Bernoulli" | "Multinomial" | "RandomNormal" | "RandomNormalLike" | "RandomUniform"
        | "RandomUniformLike" => {
            "it draws random numbers, which birnn doesn't: make them an input of the model"
        }
        "SequenceMap" => "it runs a graph for each array of a list, which birnn doesn't",
        name if name.starts_with("Optional") => {
            "only arrays and lists of arrays are supported, no optional values"
        }
        name if name.contains('.') => {
            "it isn't one of ONNX's own operators; export the model without optimizations for one \
             runtime (docs/onnx.md lists the operators that are supported)"
        }
        _ => {
            "no operator of birnn's computes it (docs/onnx.md lists those that are supported); \
             compute it before or behind the model"
        }
    }
}

/// The nodes of a graph, in order.
pub(super) fn graph<'a>(importer: &mut Importer<'a>, graph: &Graph<'a>) -> Result<()> {
    nodes(importer, &graph.nodes, None)
}

/// Nodes in order; `frame`: those of a function.
fn nodes<'a, 'n>(
    importer: &mut Importer<'a>,
    nodes: &'n [Node<'a>],
    frame: Option<&'n Frame<'a, 'n>>,
) -> Result<()> {
    for node in nodes {
        let label = node.label();
        let mut call = Call { importer, node, label, frame, seen: HashSet::new() };
        if let Some(&message) = call.importer.functions.get(&(node.domain, node.op_type)) {
            function(&mut call, message)?;
            continue;
        }
        let name = op_type(node);
        match (name.as_str(), handler(&name)) {
            ("If", _) => choice(&mut call)?,
            (name, Some(handler)) => {
                handler(&mut call)?;
                if MOVING.contains(&name) {
                    keep_type(&mut call)?;
                }
            }
            (name, None) => {
                let reason = instead(name).to_string();
                let (node, op_type) = (call.label, name.to_string());
                return Err(Error::UnsupportedNode { node, op_type, reason });
            }
        }
        call.check_others()?;
    }
    Ok(())
}

/// What a node returns is of the type of its first input.
fn keep_type(call: &mut Call) -> Result<()> {
    let Some(data_type) = call.input(0)?.and_then(|x| call.importer.facts(x).data_type) else {
        return Ok(());
    };
    for name in &call.node.outputs {
        if let Some(value) = call.importer.find(name) {
            call.importer.set_type(value, data_type);
        }
    }
    Ok(())
}

/// A node that stands for a function of the file: the function's nodes take its place.
fn function<'a>(call: &mut Call<'_, 'a, '_>, message: &'a [u8]) -> Result<()> {
    let function = match Function::read(message, call.importer.budget) {
        Ok(function) => function,
        Err(reason) => return call.malformed(format!("its function: {reason}")),
    };
    if call.node.inputs.len() > function.inputs.len() {
        let (found, most) = (call.node.inputs.len(), function.inputs.len());
        return call.malformed(format!("it has {found} inputs, and its function {most}"));
    }
    let mut given = Vec::with_capacity(function.inputs.len());
    for (index, name) in function.inputs.iter().enumerate() {
        given.extend(call.input(index)?.map(|value| (*name, value)));
    }
    let own = function.opsets.iter().find(|(domain, _)| matches!(*domain, "" | "ai.onnx"));
    let opset = own.map_or(call.importer.opset, |(_, version)| *version);
    let opset = std::mem::replace(&mut call.importer.opset, opset);
    call.importer.enter(true)?;
    for (name, value) in given {
        call.importer.name(name, value)?;
    }
    let attributes = &call.node.attributes;
    let frame = Frame { given: attributes, defaults: &function.defaults, around: call.frame };
    nodes(call.importer, &function.nodes, Some(&frame))?;
    let outputs: Vec<_> = function.outputs.iter().map(|name| call.importer.find(name)).collect();
    call.importer.leave();
    call.importer.opset = opset;
    for (index, value) in outputs.into_iter().enumerate() {
        match value {
            Some(value) => call.set(index, value)?,
            None if !call.has_output(index) => {}
            None => return call.malformed(format!("its function has no output {index}")),
        }
    }
    Ok(())
}

/// `If`: both branches become operations, of which a call computes those of one. What of a branch
/// isn't supported is an error only where that branch is taken, be it when the program is folded or
/// in a call.
fn choice(call: &mut Call) -> Result<()> {
    let condition = call.required(0)?;
    let then_branch = branch(call, "then_branch")?;
    let else_branch = branch(call, "else_branch")?;
    let [then_outputs, else_outputs] = match [then_branch, else_branch] {
        // No call could take either.
        [Branch::Refused(error), Branch::Refused(_)] => return Err(error.into()),
        [one, other] => [one.outputs(call)?, other.outputs(call)?],
    };
    if then_outputs.len() != else_outputs.len() || then_outputs.len() != call.node.outputs.len() {
        return call.malformed("its branches return different numbers of arrays");
    }
    for (index, (one, other)) in then_outputs.into_iter().zip(else_outputs).enumerate() {
        let chosen = call.op(Operation::Choose, [condition, one, other])?;
        let types = [one, other].map(|value| call.importer.facts(value).data_type);
        if let [Some(data_type), Some(same)] = types
            && data_type == same
        {
            call.importer.set_type(chosen, data_type);
        }
        call.set(index, chosen)?;
    }
    Ok(())
}

/// A branch of an `If`.
enum Branch {
    /// What it returns.
    Returns(Vec<Value>),
    /// It has a node that isn't supported.
    Refused(Refusal),
}

/// A node that isn't supported, as [`Error::UnsupportedNode`] has it.
struct Refusal {
    node: String,
    op_type: String,
    reason: String,
}

impl From<Refusal> for Error {
    fn from(Refusal { node, op_type, reason }: Refusal) -> Error {
        Error::UnsupportedNode { node, op_type, reason }
    }
}

impl Branch {
    /// What it returns, or as many arrays that are errors where they are needed.
    fn outputs(self, call: &mut Call) -> Result<Vec<Value>> {
        let Refusal { node, op_type, reason } = match self {
            Branch::Returns(outputs) => return Ok(outputs),
            Branch::Refused(refusal) => refusal,
        };
        let operation = Operation::Unsupported { op_type, reason };
        let none: [Option<Value>; 0] = [];
        let results = call.importer.program.add(&node, operation, none)?;
        Ok(results.repeat(call.node.outputs.len()))
    }
}

/// The branch of this name. Behind one that is refused the importer stands where it stood before.
fn branch(call: &mut Call, name: &'static str) -> Result<Branch> {
    let Some(bytes) = call.graph_attribute(name)? else {
        return call.malformed(format!("its attribute {name:?} is missing"));
    };
    let found = match Graph::read(bytes, call.importer.budget) {
        Ok(graph) => graph,
        Err(reason) => return call.malformed(format!("its {name}: {reason}")),
    };
    let (depth, opset) = (call.importer.depth(), call.importer.opset);
    call.importer.enter(false)?;
    let outputs = returned(call, &found);
    call.importer.leave_to(depth);
    call.importer.opset = opset;
    match outputs {
        Ok(outputs) => Ok(Branch::Returns(outputs)),
        Err(Error::UnsupportedNode { node, op_type, reason }) => {
            Ok(Branch::Refused(Refusal { node, op_type, reason }))
        }
        Err(error) => Err(error),
    }
}

/// What a graph within the graph returns: arrays of its own nodes, its constants, or arrays of the
/// graphs around it.
fn returned<'a>(call: &mut Call<'_, 'a, '_>, graph: &Graph<'a>) -> Result<Vec<Value>> {
    call.importer.initializers(graph)?;
    nodes(call.importer, &graph.nodes, call.frame)?;
    let mut outputs = Vec::with_capacity(graph.outputs.len());
    for output in &graph.outputs {
        match call.importer.find(output.name) {
            Some(value) => outputs.push(value),
            None => return call.malformed(format!("no node computes {:?}", output.name)),
        }
    }
    Ok(outputs)
}
