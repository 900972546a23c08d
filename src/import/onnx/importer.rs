//! A program in the making: which name stands for which array.

use super::external::External;
use super::proto::{Attribute, AttributeValue, Budget, Graph, Node, Tensor};
use super::tensor::{self, DataType};
use crate::program::{Binary, Kind, Operation, Program, Reduction, Unary, Value, Values};
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};

/// Graphs within graphs.
const MOST_DEPTH: usize = 16;

/// Arrays in lists, all lists counted.
const MOST_LISTED: usize = 1 << 20;

/// A list of arrays.
#[derive(Clone, Debug)]
pub(super) enum Sequence {
    Arrays(Vec<Value>),
    /// An array in parts along an axis, each so long, but the last that may be shorter.
    Parts {
        x: Value,
        axis: i64,
        each: i64,
        /// Whether the parts have the axis.
        keep: bool,
    },
}

/// What is known of an array while the program is built.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Its shape, where the file says it.
    pub shape: Option<Vec<usize>>,
    /// The type of its numbers, where the file says it.
    pub data_type: Option<DataType>,
    /// Its only number, where it is a whole one and a constant.
    pub number: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Importer<'a> {
    pub file: &'a str,
    pub program: Program,
    /// The version of ONNX's own operators.
    pub opset: i64,
    pub budget: &'a Budget,
    pub external: &'a External<'a>,
    /// The functions of the file by their domains and names, each a message.
    pub functions: HashMap<(&'a str, &'a str), &'a [u8]>,
    /// The names of the graph, and of the graphs around it.
    scopes: Vec<Scope<'a>>,
    facts: HashMap<Value, Facts>,
    /// Of each name of a layer how often it was asked for.
    layers: HashMap<String, usize>,
    /// How many arrays are in lists.
    listed: usize,
}

/// The names of a graph.
#[derive(Debug, Default)]
struct Scope<'a> {
    names: HashMap<&'a str, Value>,
    /// Those of lists.
    sequences: HashMap<&'a str, Sequence>,
    /// Whether it is that of a function, which doesn't see the graphs around it.
    is_function: bool,
}

impl<'a> Importer<'a> {
    pub fn new(
        file: &'a str,
        opset: i64,
        budget: &'a Budget,
        external: &'a External<'a>,
    ) -> Importer<'a> {
        Importer {
            file,
            program: Program::new(),
            opset,
            budget,
            external,
            functions: HashMap::new(),
            scopes: vec![Scope::default()],
            facts: HashMap::new(),
            layers: HashMap::new(),
            listed: 0,
        }
    }

    pub fn malformed<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::MalformedFile { file: self.file.to_string(), reason: reason.into() })
    }

    /// Gives an array a name in the graph at work.
    pub fn name(&mut self, name: &'a str, value: Value) -> Result<()> {
        let scope = self.scopes.last_mut();
        match scope.and_then(|scope| scope.names.insert(name, value)) {
            None => Ok(()),
            Some(_) => self.malformed(format!("two arrays are named {name:?}")),
        }
    }

    /// The array of a name, of the graph or one around it.
    pub fn find(&self, name: &str) -> Option<Value> {
        self.find_in(|scope| scope.names.get(name).copied())
    }

    /// The list of a name, likewise.
    fn find_sequence(&self, name: &str) -> Option<Sequence> {
        self.find_in(|scope| scope.sequences.get(name).cloned())
    }

    fn find_in<T>(&self, get: impl Fn(&Scope<'a>) -> Option<T>) -> Option<T> {
        for scope in self.scopes.iter().rev() {
            match get(scope) {
                None if scope.is_function => return None,
                None => {}
                found => return found,
            }
        }
        None
    }

    /// Counts arrays that are put into a list.
    pub fn list(&mut self, arrays: usize) -> Result<()> {
        self.listed = self.listed.saturating_add(arrays);
        match self.listed <= MOST_LISTED {
            true => Ok(()),
            false => self.malformed(format!("its lists have more than {MOST_LISTED} arrays")),
        }
    }

    /// Into a graph within the graph, or that of a function.
    pub fn enter(&mut self, is_function: bool) -> Result<()> {
        if self.scopes.len() >= MOST_DEPTH {
            return self.malformed(format!("graphs are within each other {MOST_DEPTH} times"));
        }
        self.scopes.push(Scope { is_function, ..Scope::default() });
        Ok(())
    }

    pub fn leave(&mut self) {
        self.scopes.pop();
    }

    /// How many graphs are within each other here.
    pub fn depth(&self) -> usize {
        self.scopes.len()
    }

    /// Out of all graphs that are within more than so many.
    pub fn leave_to(&mut self, depth: usize) {
        self.scopes.truncate(depth);
    }

    /// A tensor as a constant.
    pub fn tensor(&mut self, what: &str, tensor: &Tensor) -> Result<Value> {
        match tensor::values(tensor, self.external) {
            Ok(values) => {
                let data_type = DataType::new(tensor.data_type).ok();
                Ok(self.constant_of(values, data_type))
            }
            Err(reason) => self.malformed(format!("the tensor {what:?}: {reason}")),
        }
    }

    pub fn constant(&mut self, values: Values) -> Value {
        self.constant_of(values, None)
    }

    fn constant_of(&mut self, values: Values, data_type: Option<DataType>) -> Value {
        let number = match &values {
            Values::Integers(numbers) if numbers.len() == 1 => numbers.first().copied(),
            _ => None,
        };
        let facts = Facts { shape: Some(values.shape().to_vec()), data_type, number };
        let value = self.program.constant(values);
        self.facts.insert(value, facts);
        value
    }

    pub fn integers(&mut self, values: impl IntoIterator<Item = i64>) -> Value {
        self.constant(Values::integers(values))
    }

    pub fn float(&mut self, value: f32) -> Value {
        self.constant(Values::float(value))
    }

    pub fn facts(&self, value: Value) -> Facts {
        self.facts.get(&value).cloned().unwrap_or_default()
    }

    /// What is known of an array is known of another one, too.
    pub fn same_facts(&mut self, from: Value, to: Value) {
        if let Some(facts) = self.facts.get(&from).cloned() {
            self.facts.insert(to, facts);
        }
    }

    pub fn set_type(&mut self, value: Value, data_type: DataType) {
        self.facts.entry(value).or_default().data_type = Some(data_type);
    }

    pub fn set_shape(&mut self, value: Value, shape: Vec<usize>) {
        self.facts.entry(value).or_default().shape = Some(shape);
    }

    /// A name for a recurrent layer that no other has.
    pub fn layer_name(&mut self, label: &str) -> String {
        let counted = self.layers.entry(label.to_string()).or_default();
        *counted += 1;
        match *counted {
            1 => label.to_string(),
            count => self.layer_name(&format!("{label}_{}", count - 1)),
        }
    }

    /// The graph's own constants and nodes.
    pub fn initializers(&mut self, graph: &Graph<'a>) -> Result<()> {
        if graph.sparse_initializers > 0 {
            return self
                .malformed("it has sparse tensors, which aren't supported: make them dense");
        }
        for tensor in &graph.initializers {
            if self.scopes.last().is_some_and(|scope| scope.names.contains_key(tensor.name)) {
                continue; // an input that was fixed
            }
            let value = self.tensor(tensor.name, tensor)?;
            self.name(tensor.name, value)?;
        }
        Ok(())
    }
}

/// Makes a node's operations, and names what it returns.
pub(super) type Handler = fn(&mut Call) -> Result<()>;

/// The attributes of a node that stands for a function, which the function's nodes may refer to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a, 'n> {
    pub given: &'n [Attribute<'a>],
    pub defaults: &'n [Attribute<'a>],
    /// Of the node that stands for the function around it.
    pub around: Option<&'n Frame<'a, 'n>>,
}

/// The value of an attribute; in a function that of the node that stands for it, if it refers to
/// it.
pub(super) fn attribute<'a, 'n>(
    attributes: &'n [Attribute<'a>],
    name: &str,
    mut frame: Option<&'n Frame<'a, 'n>>,
) -> Option<&'n AttributeValue<'a>> {
    let find = |list: &'n [Attribute<'a>], name: &str| {
        list.iter().find(|attribute| attribute.name == name).map(|attribute| &attribute.value)
    };
    let mut value = find(attributes, name)?;
    while let AttributeValue::OfFunction(name) = value {
        let around = frame?;
        match find(around.given, name) {
            Some(given) => (value, frame) = (given, around.around),
            // A default refers to nothing.
            None => match find(around.defaults, name)? {
                AttributeValue::OfFunction(_) => return None,
                default => return Some(default),
            },
        }
    }
    Some(value)
}

/// A node at work: the operations that it becomes.
pub(super) struct Call<'i, 'a, 'n> {
    pub importer: &'i mut Importer<'a>,
    pub node: &'n Node<'a>,
    pub label: String,
    /// Of the function that it is in.
    pub frame: Option<&'n Frame<'a, 'n>>,
    /// The attributes that were looked at.
    pub seen: HashSet<&'static str>,
}

impl<'a> Call<'_, 'a, '_> {
    pub fn unsupported<T>(&self, reason: impl Into<String>) -> Result<T> {
        Err(Error::UnsupportedNode {
            node: self.label.clone(),
            op_type: op_type(self.node),
            reason: reason.into(),
        })
    }

    pub fn malformed<T>(&self, reason: impl Into<String>) -> Result<T> {
        let reason = reason.into();
        let text = format!("node {:?} ({}): {reason}", self.label, op_type(self.node));
        self.importer.malformed(text)
    }

    /// An operand; `None`: it is left out.
    pub fn input(&self, index: usize) -> Result<Option<Value>> {
        match self.node.inputs.get(index) {
            None | Some(&"") => Ok(None),
            Some(name) => match self.importer.find(name) {
                Some(value) => Ok(Some(value)),
                None => self.malformed(format!("it reads {name:?}, which is no array before it")),
            },
        }
    }

    /// An operand that is a list.
    pub fn sequence(&self, index: usize) -> Result<Sequence> {
        let name = self.node.inputs.get(index).copied().unwrap_or_default();
        match self.importer.find_sequence(name) {
            Some(sequence) => Ok(sequence),
            None => self.malformed(format!("it reads {name:?}, which is no list before it")),
        }
    }

    /// Names the output, which is a list.
    pub fn set_sequence(&mut self, sequence: Sequence) -> Result<()> {
        if let Sequence::Arrays(arrays) = &sequence {
            self.importer.list(arrays.len())?;
        }
        let name = self.node.outputs.first().copied().unwrap_or_default();
        if self.importer.find(name).is_some() {
            return self.malformed(format!("two arrays are named {name:?}"));
        }
        let scope = self.importer.scopes.last_mut();
        match scope.and_then(|scope| scope.sequences.insert(name, sequence)) {
            None => Ok(()),
            Some(_) => self.malformed(format!("two lists are named {name:?}")),
        }
    }

    pub fn required(&self, index: usize) -> Result<Value> {
        match self.input(index)? {
            Some(value) => Ok(value),
            None => self.malformed(format!("its input {index} is missing")),
        }
    }

    /// All inputs, which have to be there.
    pub fn inputs(&self) -> Result<Vec<Value>> {
        (0..self.node.inputs.len()).map(|index| self.required(index)).collect()
    }

    pub fn has_output(&self, index: usize) -> bool {
        self.node.outputs.get(index).is_some_and(|name| !name.is_empty())
    }

    /// Names an output, where the node has it.
    pub fn set(&mut self, index: usize, value: Value) -> Result<()> {
        match self.node.outputs.get(index) {
            None | Some(&"") => Ok(()),
            Some(name) => self.importer.name(name, value),
        }
    }

    /// Adds an operation that returns one array.
    pub fn op<V: Into<Option<Value>>>(
        &mut self,
        operation: Operation,
        operands: impl IntoIterator<Item = V>,
    ) -> Result<Value> {
        let results = self.importer.program.add(&self.label, operation, operands)?;
        match results.first() {
            Some(&value) => Ok(value),
            None => self.malformed("it returns nothing"),
        }
    }

    pub fn unary(&mut self, function: Unary, x: Value) -> Result<Value> {
        self.op(Operation::Unary(function), [x])
    }

    pub fn binary(&mut self, function: Binary, a: Value, b: Value) -> Result<Value> {
        self.op(Operation::Binary(function), [a, b])
    }

    pub fn cast(&mut self, x: Value, kind: Kind) -> Result<Value> {
        self.op(Operation::Cast(kind), [x])
    }

    /// Operand 0 with a number.
    pub fn with_number(&mut self, function: Binary, x: Value, number: f32) -> Result<Value> {
        let number = self.importer.float(number);
        self.binary(function, x, number)
    }

    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value> {
        self.op(Operation::Transpose { order: order.to_vec() }, [x])
    }

    pub fn unsqueeze(&mut self, x: Value, axes: &[i64]) -> Result<Value> {
        let axes = self.importer.integers(axes.iter().copied());
        self.op(Operation::Unsqueeze, [x, axes])
    }

    pub fn squeeze(&mut self, x: Value, axes: &[i64]) -> Result<Value> {
        let axes = self.importer.integers(axes.iter().copied());
        self.op(Operation::Squeeze, [x, axes])
    }

    pub fn concat(&mut self, axis: i64, parts: Vec<Value>) -> Result<Value> {
        self.op(Operation::Concat { axis }, parts)
    }

    /// The indices `from..to` of an axis.
    pub fn slice(&mut self, x: Value, axis: i64, from: i64, to: i64) -> Result<Value> {
        let [from, to, axis] = [from, to, axis].map(|number| self.importer.integers([number]));
        self.op(Operation::Slice, [x, from, to, axis])
    }

    pub fn reshape(&mut self, x: Value, shape: impl IntoIterator<Item = i64>) -> Result<Value> {
        let shape = self.importer.integers(shape);
        self.op(Operation::Reshape { zero_copies: true }, [x, shape])
    }

    pub fn shape(&mut self, x: Value) -> Result<Value> {
        self.op(Operation::Shape, [x])
    }

    /// How many axes an array has.
    pub fn rank(&mut self, x: Value) -> Result<Value> {
        let shape = self.shape(x)?;
        let count = self.shape(shape)?;
        self.squeeze(count, &[0])
    }

    /// The axes from one on to the last, as a list that is known when a call is prepared.
    pub fn axes_from(&mut self, x: Value, first: i64) -> Result<Value> {
        let (first, step) = (Values::integer(first), Values::integer(1));
        let (first, step) = (self.importer.constant(first), self.importer.constant(step));
        let rank = self.rank(x)?;
        self.op(Operation::Range, [first, rank, step])
    }

    /// Over these axes, or all of them.
    pub fn reduce(
        &mut self,
        reduction: Reduction,
        x: Value,
        axes: Option<Value>,
        keep: bool,
    ) -> Result<Value> {
        self.op(Operation::Reduce { reduction, keep }, [Some(x), axes])
    }

    /// The axis of the channels, 1, moved to the end.
    pub fn channels_last(&mut self, x: Value) -> Result<Value> {
        self.op(Operation::MoveAxis { from: 1, to: -1 }, [x])
    }

    pub fn channels_first(&mut self, x: Value) -> Result<Value> {
        self.op(Operation::MoveAxis { from: -1, to: 1 }, [x])
    }
}

/// A node's operator for messages, with its domain where that isn't ONNX's own.
pub(super) fn op_type(node: &Node) -> String {
    match node.domain {
        "" | "ai.onnx" => node.op_type.to_string(),
        domain => format!("{domain}.{}", node.op_type),
    }
}
