//! The messages of ONNX's files, as far as they are needed. They borrow from the file. A graph
//! within a node is read when the node is, so that nesting costs nothing here.

use super::wire::{Fields, Reason, Wire};
use std::cell::Cell;

/// How many messages and texts may still be read: each takes up to some hundred bytes.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

impl Budget {
    pub fn new(messages: usize) -> Budget {
        Budget(Cell::new(messages))
    }

    fn take(&self) -> Reason<()> {
        match self.0.get().checked_sub(1) {
            Some(left) => {
                self.0.set(left);
                Ok(())
            }
            None => Err("it has more messages than OnnxOptions::messages allows".into()),
        }
    }
}

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    pub producer: &'a str,
    pub producer_version: &'a str,
    /// The version of each domain's operators.
    pub opsets: Vec<(&'a str, i64)>,
    pub graph: Option<&'a [u8]>,
    /// The functions that the file defines, each a message.
    pub functions: Vec<&'a [u8]>,
}

/// A graph with a name of an operator, which stands for it in nodes.
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub domain: &'a str,
    pub name: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub nodes: Vec<Node<'a>>,
    /// Attributes that a node need not give, with their values.
    pub defaults: Vec<Attribute<'a>>,
    /// The version of each domain's operators in it.
    pub opsets: Vec<(&'a str, i64)>,
}

#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub sparse_initializers: usize,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub name: &'a str,
    pub op_type: &'a str,
    pub domain: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

#[derive(Debug)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub value: AttributeValue<'a>,
}

#[derive(Debug)]
pub(super) enum AttributeValue<'a> {
    Float(f32),
    Integer(i64),
    Text(&'a [u8]),
    Tensor(Box<Tensor<'a>>),
    Graph(&'a [u8]),
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Texts(Vec<&'a [u8]>),
    /// In a function: what the attribute of this name of the node is that stands for it.
    OfFunction(&'a str),
    /// Of a kind that no node here reads.
    Other,
}

#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub raw: Option<&'a [u8]>,
    pub floats: Vec<f32>,
    pub int32s: Vec<i64>,
    pub int64s: Vec<i64>,
    pub doubles: Vec<f64>,
    pub uint64s: Vec<i64>,
    /// Where its values are, if in another file: keys and values.
    pub external: Vec<(&'a str, &'a str)>,
    pub is_external: bool,
}

#[derive(Debug, Default)]
pub(super) struct ValueInfo<'a> {
    pub name: &'a str,
    /// Of a tensor; 0: it is none.
    pub data_type: i64,
    /// `None`: the file doesn't say.
    pub shape: Option<Vec<Dimension<'a>>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dimension<'a> {
    Length(i64),
    Named(&'a str),
    Unknown,
}

/// Reads each field of a message with `read`.
fn fields<'a>(
    message: &'a [u8],
    budget: &Budget,
    mut read: impl FnMut(u64, Wire<'a>) -> Reason<()>,
) -> Reason<()> {
    budget.take()?;
    for field in Fields::of(message) {
        let (number, wire) = field?;
        read(number, wire)?;
    }
    Ok(())
}

impl<'a> Model<'a> {
    pub fn read(message: &'a [u8], budget: &Budget) -> Reason<Model<'a>> {
        let mut model = Model::default();
        fields(message, budget, |number, wire| {
            match number {
                2 => model.producer = wire.text()?,
                3 => model.producer_version = wire.text()?,
                7 => model.graph = Some(wire.bytes()?),
                8 => model.opsets.push(opset(wire.bytes()?, budget)?),
                25 => {
                    budget.take()?;
                    model.functions.push(wire.bytes()?);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(model)
    }
}

fn opset<'a>(message: &'a [u8], budget: &Budget) -> Reason<(&'a str, i64)> {
    let mut opset = ("", 0);
    fields(message, budget, |number, wire| {
        match number {
            1 => opset.0 = wire.text()?,
            2 => opset.1 = wire.integer()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(opset)
}

impl<'a> Function<'a> {
    pub fn read(message: &'a [u8], budget: &Budget) -> Reason<Function<'a>> {
        let mut function = Function::default();
        fields(message, budget, |number, wire| {
            match number {
                1 => function.name = wire.text()?,
                4 => {
                    budget.take()?;
                    function.inputs.push(wire.text()?);
                }
                5 => {
                    budget.take()?;
                    function.outputs.push(wire.text()?);
                }
                7 => function.nodes.push(Node::read(wire.bytes()?, budget)?),
                9 => function.opsets.push(opset(wire.bytes()?, budget)?),
                10 => function.domain = wire.text()?,
                11 => function.defaults.push(Attribute::read(wire.bytes()?, budget)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(function)
    }

    /// Its domain and its name, without reading the rest.
    pub fn names(message: &'a [u8], budget: &Budget) -> Reason<(&'a str, &'a str)> {
        let (mut domain, mut name) = ("", "");
        fields(message, budget, |number, wire| {
            match number {
                1 => name = wire.text()?,
                10 => domain = wire.text()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((domain, name))
    }
}

impl<'a> Graph<'a> {
    pub fn read(message: &'a [u8], budget: &Budget) -> Reason<Graph<'a>> {
        let mut graph = Graph::default();
        fields(message, budget, |number, wire| {
            match number {
                1 => graph.nodes.push(Node::read(wire.bytes()?, budget)?),
                5 => graph.initializers.push(Tensor::read(wire.bytes()?, budget)?),
                11 => graph.inputs.push(ValueInfo::read(wire.bytes()?, budget)?),
                12 => graph.outputs.push(ValueInfo::read(wire.bytes()?, budget)?),
                15 => graph.sparse_initializers += 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8], budget: &Budget) -> Reason<Node<'a>> {
        let mut node = Node::default();
        fields(message, budget, |number, wire| {
            match number {
                1 => {
                    budget.take()?;
                    node.inputs.push(wire.text()?);
                }
                2 => {
                    budget.take()?;
                    node.outputs.push(wire.text()?);
                }
                3 => node.name = wire.text()?,
                4 => node.op_type = wire.text()?,
                5 => node.attributes.push(Attribute::read(wire.bytes()?, budget)?),
                7 => node.domain = wire.text()?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(node)
    }

    /// Its name for messages: that of its first output where it has none.
    pub fn label(&self) -> String {
        match (self.name, self.outputs.first()) {
            ("", Some(output)) => output.to_string(),
            (name, _) => name.to_string(),
        }
    }
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8], budget: &Budget) -> Reason<Attribute<'a>> {
        use AttributeValue::*;
        let mut name = "";
        let mut kind = 0;
        let mut reference = "";
        // Files of early versions don't say which of the values counts.
        let mut single = None;
        let (mut floats, mut integers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        fields(message, budget, |number, wire| {
            match number {
                1 => name = wire.text()?,
                2 => single = Some(Float(wire.float()?)),
                3 => single = Some(Integer(wire.integer()?)),
                4 => single = Some(Text(wire.bytes()?)),
                5 => single = Some(Tensor(self::Tensor::read(wire.bytes()?, budget)?.into())),
                6 => single = Some(Graph(wire.bytes()?)),
                7 => wire.floats(&mut floats)?,
                8 => wire.integers(&mut integers)?,
                9 => {
                    budget.take()?;
                    texts.push(wire.bytes()?);
                }
                20 => kind = wire.integer()?,
                21 => reference = wire.text()?,
                _ => {}
            }
            Ok(())
        })?;
        let value = match kind {
            _ if !reference.is_empty() => OfFunction(reference),
            1 => single.unwrap_or(Float(0.0)),
            2 => single.unwrap_or(Integer(0)),
            3 => single.unwrap_or(Text(&[])),
            4 | 5 => single.unwrap_or(Other),
            6 => Floats(floats),
            7 => Integers(integers),
            8 => Texts(texts),
            0 => match single {
                Some(single) => single,
                None if !floats.is_empty() => Floats(floats),
                None if !texts.is_empty() => Texts(texts),
                None => Integers(integers),
            },
            _ => Other,
        };
        Ok(Attribute { name, value })
    }
}

impl<'a> Tensor<'a> {
    pub fn read(message: &'a [u8], budget: &Budget) -> Reason<Tensor<'a>> {
        let mut tensor = Tensor::default();
        fields(message, budget, |number, wire| {
            match number {
                1 => wire.integers(&mut tensor.dims)?,
                2 => tensor.data_type = wire.integer()?,
                3 => return Err("a tensor in segments".into()),
                4 => wire.floats(&mut tensor.floats)?,
                5 => wire.integers(&mut tensor.int32s)?,
                7 => wire.integers(&mut tensor.int64s)?,
                8 => tensor.name = wire.text()?,
                9 => tensor.raw = Some(wire.bytes()?),
                10 => wire.doubles(&mut tensor.doubles)?,
                11 => wire.integers(&mut tensor.uint64s)?,
                13 => tensor.external.push(entry(wire.bytes()?, budget)?),
                14 => tensor.is_external = wire.integer()? == 1,
                _ => {}
            }
            Ok(())
        })?;
        Ok(tensor)
    }
}

/// A key and its value.
fn entry<'a>(message: &'a [u8], budget: &Budget) -> Reason<(&'a str, &'a str)> {
    let mut entry = ("", "");
    fields(message, budget, |number, wire| {
        match number {
            1 => entry.0 = wire.text()?,
            2 => entry.1 = wire.text()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(entry)
}

impl<'a> ValueInfo<'a> {
    fn read(message: &'a [u8], budget: &Budget) -> Reason<ValueInfo<'a>> {
        let mut info = ValueInfo::default();
        let mut of_type: Option<&[u8]> = None;
        fields(message, budget, |number, wire| {
            match number {
                1 => info.name = wire.text()?,
                2 => of_type = Some(wire.bytes()?),
                _ => {}
            }
            Ok(())
        })?;
        let mut tensor: Option<&[u8]> = None;
        fields(of_type.unwrap_or_default(), budget, |number, wire| {
            if number == 1 {
                tensor = Some(wire.bytes()?);
            }
            Ok(())
        })?;
        let mut shape: Option<&[u8]> = None;
        fields(tensor.unwrap_or_default(), budget, |number, wire| {
            match number {
                1 => info.data_type = wire.integer()?,
                2 => shape = Some(wire.bytes()?),
                _ => {}
            }
            Ok(())
        })?;
        if let Some(shape) = shape {
            let mut dimensions = Vec::new();
            fields(shape, budget, |number, wire| {
                if number == 1 {
                    dimensions.push(dimension(wire.bytes()?, budget)?);
                }
                Ok(())
            })?;
            info.shape = Some(dimensions);
        }
        Ok(info)
    }
}

fn dimension<'a>(message: &'a [u8], budget: &Budget) -> Reason<Dimension<'a>> {
    let mut dimension = Dimension::Unknown;
    fields(message, budget, |number, wire| {
        match number {
            1 => dimension = Dimension::Length(wire.integer()?),
            2 => dimension = Dimension::Named(wire.text()?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(dimension)
}
