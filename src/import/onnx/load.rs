//! From a file to a model.

use super::external::External;
use super::importer::Importer;
use super::nodes;
use super::options::OnnxOptions;
use super::proto::{self, Budget, Dimension, Graph, ValueInfo};
use super::tensor::DataType;
use crate::program::{Kind, Length, Operation, Value, Values};
use crate::{Error, Model, Result};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The versions of ONNX's operators that are known.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=28;

impl OnnxOptions {
    /// [`Model::from_onnx`] with these options.
    ///
    /// # Errors
    /// As [`Model::from_onnx`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        file(path.as_ref(), self)
    }

    /// [`Model::from_onnx_bytes`] with these options.
    ///
    /// # Errors
    /// As [`Model::from_onnx_bytes`].
    pub fn load_bytes(&self, name: &str, bytes: &[u8]) -> Result<Model> {
        self::bytes(name, bytes, self)
    }
}

fn file(path: &Path, options: &OnnxOptions) -> Result<Model> {
    let bytes = read(path, options)?;
    let external = External::in_folder_of(path, options.external_bytes);
    model(&path.display().to_string(), &bytes, options, &external)
}

fn bytes(name: &str, bytes: &[u8], options: &OnnxOptions) -> Result<Model> {
    check_size(name, bytes.len() as u64, options)?;
    model(name, bytes, options, &External::given(&options.external, options.external_bytes))
}

fn malformed<T>(file: &str, reason: impl Into<String>) -> Result<T> {
    Err(Error::MalformedFile { file: file.to_string(), reason: reason.into() })
}

fn check_size(name: &str, bytes: u64, options: &OnnxOptions) -> Result<()> {
    match bytes <= options.file_bytes {
        true => Ok(()),
        false => {
            malformed(name, format!("it has {bytes} bytes, more than OnnxOptions::file_bytes"))
        }
    }
}

/// A file's bytes; it may grow while it is read.
pub(super) fn read(path: &Path, options: &OnnxOptions) -> Result<Vec<u8>> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let name = path.display().to_string();
    if path.is_dir() {
        return malformed(&name, "is a folder: give the model's file");
    }
    let file = File::open(path).map_err(io)?;
    check_size(&name, file.metadata().map_err(io)?.len(), options)?;
    let mut bytes = Vec::new();
    let limit = options.file_bytes.saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(io)?;
    check_size(&name, bytes.len() as u64, options)?;
    Ok(bytes)
}

/// The file's graph and the version of its operators.
pub(super) fn graph<'a>(
    file: &str,
    bytes: &'a [u8],
    budget: &Budget,
) -> Result<(proto::Model<'a>, Graph<'a>, i64)> {
    let damaged = |reason: String| Error::MalformedFile {
        file: file.to_string(),
        reason: format!("it is no ONNX model, or damaged: {reason}"),
    };
    let model = proto::Model::read(bytes, budget).map_err(damaged)?;
    let graph = match model.graph {
        Some(graph) => Graph::read(graph, budget).map_err(damaged)?,
        None => return Err(damaged("there is no graph in it".into())),
    };
    let own = model.opsets.iter().find(|(domain, _)| matches!(*domain, "" | "ai.onnx"));
    // Files of the first version say nothing.
    let opset = own.map_or(1, |(_, version)| *version);
    Ok((model, graph, opset))
}

fn model(file: &str, bytes: &[u8], options: &OnnxOptions, external: &External) -> Result<Model> {
    let budget = Budget::new(options.messages);
    let (found, graph, opset) = graph(file, bytes, &budget)?;
    if !OPSETS.contains(&opset) {
        return malformed(
            file,
            format!(
                "its operators are of opset {opset}, and {} to {} are known: export it with one of \
                 these, or convert it with onnx.version_converter",
                OPSETS.start(),
                OPSETS.end()
            ),
        );
    }
    let mut importer = Importer::new(file, opset, &budget, external);
    for message in found.functions {
        match proto::Function::names(message, &budget) {
            Ok(names) => importer.functions.insert(names, message),
            Err(reason) => return malformed(file, format!("a function of it: {reason}")),
        };
    }
    inputs(&mut importer, &graph, options)?;
    importer.initializers(&graph)?;
    nodes::graph(&mut importer, &graph)?;
    for output in &graph.outputs {
        match importer.find(output.name) {
            Some(value) => importer.program.output(output.name, value),
            None => {
                return malformed(file, format!("no node computes the output {:?}", output.name));
            }
        }
    }
    for (input, output) in &options.ties {
        importer.program.tie(input, output);
    }
    importer.program.build()
}

/// The inputs that a call gives: those that no initializer is the default of.
fn inputs<'a>(importer: &mut Importer<'a>, graph: &Graph<'a>, options: &OnnxOptions) -> Result<()> {
    let constants: HashSet<&str> = graph.initializers.iter().map(|tensor| tensor.name).collect();
    for (name, values) in &options.fixed {
        let Some(input) = graph.inputs.iter().find(|input| input.name == name) else {
            return unknown_input(name, graph);
        };
        let value = fixed(importer, input, values)?;
        importer.name(input.name, value)?;
    }
    const MOST: usize = 4096;
    let given = graph.inputs.iter().filter(|input| !constants.contains(input.name)).count();
    if given > MOST {
        return importer.malformed(format!("it has {given} inputs; {MOST} are supported"));
    }
    check_lengths(graph, options)?;
    check_tied(graph, options, &constants)?;
    for input in &graph.inputs {
        if !constants.contains(input.name) && importer.find(input.name).is_none() {
            self::input(importer, input, options)?;
        }
    }
    Ok(())
}

/// An input that is a constant now, of its own kind. A number may be given as an array of one.
fn fixed(importer: &mut Importer, input: &ValueInfo, values: &Values) -> Result<Value> {
    let data_type = match DataType::new(input.data_type) {
        Ok(data_type) => data_type,
        Err(what) => {
            return importer.malformed(format!("the input {:?} holds {what}", input.name));
        }
    };
    check_values(input.name, values, data_type)?;
    let value = importer.constant(values.cast(data_type.kind()));
    importer.set_type(value, data_type);
    match &input.shape {
        Some(axes) if axes.is_empty() && values.shape() == [1] => {
            let none = importer.integers([]);
            let reshape = Operation::Reshape { zero_copies: false };
            Ok(importer.program.add(input.name, reshape, [value, none])?[0])
        }
        Some(axes) if axes.len() != values.shape().len() => Err(Error::InputShape {
            input: format!("the fixed input {:?}", input.name),
            found: values.shape().to_vec(),
            expected: format!("{} axes", axes.len()),
        }),
        _ => Ok(value),
    }
}

/// That each length that the options give is of an axis whose length the file leaves open.
fn check_lengths(graph: &Graph, options: &OnnxOptions) -> Result<()> {
    let mut open = Vec::new();
    for input in &graph.inputs {
        for (place, dimension) in input.shape.iter().flatten().enumerate() {
            let own = format!("{}:{place}", input.name);
            match dimension {
                Dimension::Length(length) if *length > 0 => {}
                Dimension::Named(called) if !called.is_empty() => {
                    open.extend([called.to_string(), own]);
                }
                _ => open.push(own),
            }
        }
    }
    let unknown = |(axis, _): &&(String, usize)| !open.contains(axis);
    let Some((axis, _)) = options.lengths.iter().find(unknown) else { return Ok(()) };
    const MOST: usize = 30;
    let mut known: Vec<&str> = Vec::new();
    for name in &open {
        if known.len() < MOST && !known.contains(&name.as_str()) {
            known.push(name);
        }
    }
    let known = match &known[..] {
        [] => "the inputs have none".to_string(),
        known => format!("those of the inputs are {known:?}"),
    };
    Err(Error::Graph(format!("no axis of an open length is called {axis:?}; {known}")))
}

/// That the lengths of all axes of tied inputs are known, which no call gives: each has to be fixed
/// or to have the name of an axis that a call gives.
fn check_tied(graph: &Graph, options: &OnnxOptions, constants: &HashSet<&str>) -> Result<()> {
    let is_tied = |input: &ValueInfo| options.ties.iter().any(|(tied, _)| tied == input.name);
    let is_fixed = |input: &ValueInfo| {
        constants.contains(input.name) || options.fixed.iter().any(|(name, _)| name == input.name)
    };
    let given = graph.inputs.iter().filter(|input| !is_tied(input) && !is_fixed(input));
    let mut known: HashSet<&str> = given
        .flat_map(|input| input.shape.iter().flatten())
        .filter_map(|axis| match axis {
            Dimension::Named(called) if !called.is_empty() => Some(*called),
            _ => None,
        })
        .collect();
    known.extend(options.lengths.iter().map(|(axis, _)| axis.as_str()));
    for input in graph.inputs.iter().filter(|input| is_tied(input)) {
        for (place, axis) in input.shape.iter().flatten().enumerate() {
            let own = format!("{}:{place}", input.name);
            let called = match axis {
                Dimension::Length(length) if *length > 0 => continue,
                Dimension::Named(called) if !called.is_empty() => *called,
                _ => &own,
            };
            if !known.contains(called) && !known.contains(own.as_str()) {
                return Err(Error::Graph(format!(
                    "no call gives the tied input {:?}, and the file leaves the length of its \
                     axis {called:?} open: say it (OnnxOptions::length)",
                    input.name
                )));
            }
        }
    }
    Ok(())
}

/// That the values of a constant are ones of the input's type, as those of a call have to be.
fn check_values(name: &str, values: &Values, data_type: DataType) -> Result<()> {
    let numbers = match values {
        Values::Floats(numbers) => numbers.mapv(f64::from),
        Values::Integers(numbers) => numbers.mapv(|number| number as f64),
        Values::Bools(values) => values.mapv(|value| f64::from(u8::from(value))),
    };
    let (least, most) = match data_type.range() {
        Some(range) => (*range.start() as f64, *range.end() as f64),
        None if data_type.kind() == Kind::Bool => (0.0, 1.0),
        None => (f64::NEG_INFINITY, f64::INFINITY),
    };
    let is_wrong = |number: f64| number.fract() != 0.0 || !(least..=most).contains(&number);
    let mut numbers = numbers.indexed_iter().filter(|_| data_type.kind() != Kind::Float);
    match numbers.find(|(_, number)| is_wrong(**number)) {
        None => Ok(()),
        Some((index, &value)) => Err(Error::InputValue {
            input: name.to_string(),
            value,
            index: ndarray::Dimension::slice(&index).to_vec(),
            expected: format!("it takes whole numbers from {least} to {most}"),
        }),
    }
}

fn unknown_input(name: &str, graph: &Graph) -> Result<()> {
    Err(Error::InputName {
        name: name.to_string(),
        reason: "isn't one of the model's".into(),
        known: graph.inputs.iter().map(|input| input.name.to_string()).collect(),
    })
}

fn input<'a>(
    importer: &mut Importer<'a>,
    input: &ValueInfo<'a>,
    options: &OnnxOptions,
) -> Result<()> {
    let name = input.name;
    let data_type = match DataType::new(input.data_type) {
        Ok(data_type) => data_type,
        Err(what) => return importer.malformed(format!("the input {name:?} holds {what}")),
    };
    let Some(shape) = &input.shape else {
        return importer.malformed(format!(
            "it doesn't say how many axes the input {name:?} has: run onnx.shape_inference, or \
             export the model with shapes"
        ));
    };
    let mut axes = Vec::new();
    for (place, dimension) in shape.iter().enumerate() {
        let own = format!("{name}:{place}");
        let called = match dimension {
            Dimension::Named(called) if !called.is_empty() => *called,
            _ => &own,
        };
        let asked = options.lengths.iter().rev().find(|(axis, _)| axis == called || *axis == own);
        axes.push(match (dimension, asked) {
            (Dimension::Length(length), _) if *length > 0 => match usize::try_from(*length) {
                Ok(length) => Length::Fixed(length),
                Err(_) => return importer.malformed(format!("{name:?} has an axis of {length}")),
            },
            (_, Some((_, length))) => Length::Fixed(*length),
            (Dimension::Named(called), None) if !called.is_empty() => {
                Length::Named(called.to_string())
            }
            _ => Length::Any,
        });
    }
    let fixed = |axis: &Length| match axis {
        Length::Fixed(length) => Some(*length),
        _ => None,
    };
    let whole: Option<Vec<usize>> = axes.iter().map(fixed).collect();
    let value = match data_type.range() {
        Some(range) => importer.program.input_in_range(name, axes, range)?,
        None => importer.program.input(name, axes, data_type.kind())?,
    };
    importer.set_type(value, data_type);
    if let Some(shape) = whole {
        importer.set_shape(value, shape);
    }
    importer.name(name, value)
}
