//! Models that are operations on arrays, in place of layers: a [`Program`].
//!
//! An importer whose format has operations (ONNX's nodes) builds a model with it. Shapes are whole:
//! no axis is the batch, unless the program means it so. When a call's shapes are known the
//! operations are computed on the host as far as their operands are known, and the rest goes to the
//! device.
//!
//! * `values.rs`: arrays whose values are known. `operation.rs` and `resizing.rs`: what
//!   there is to do. `shapes.rs`:
//!   axes, shapes, parts.
//! * `host`: operations on known values. `evaluate`: an operation, on the host or as operators.
//! * `body.rs`: a program that is complete, folded as far as no call is needed for it.
//! * `lower.rs`: its graph of operators for a call. `function.rs`: a program as a layer.
//!   `parts.rs`: what it is built from, in files.

mod body;
mod evaluate;
mod function;
mod host;
mod layers;
mod lower;
mod operation;
mod parts;
mod resizing;
mod shapes;
mod values;

pub(crate) use body::{Body, Weighted};
pub use function::{Function, Returned};
pub(crate) use lower::Given;
pub use operation::{Binary, Operation, PadMode, Pooling, Reduction, Unary, Windows};
pub(crate) use parts::ProgramParts;
pub use resizing::{Coordinates, Interpolation, Ratio, Resizing, Rounding};
pub use values::{Kind, Values};

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;

/// How many arrays an operation returns at most.
const MOST_RESULTS: usize = 1 << 16;

/// Builds a [`Model`](crate::Model) from operations on arrays. [`Program::input`] and
/// [`Program::constant`] add arrays, [`Program::add`] an operation on some, [`Program::output`]
/// names what the model returns, and [`Program::build`] makes the model.
///
/// Inputs of whole numbers and truth values are given as `f32` like all others, so that numbers up
/// to 2^24 are exact. An input of whole numbers that says a shape or decides a
/// [`Operation::Choose`] is looked at before each call, and may hold at most 64 of them.
///
/// ```
/// use birnn::program::{Binary, Kind, Length, Operation, Program, Values};
/// use birnn::{Activation, Device};
/// use ndarray::{Array2, arr2};
///
/// let mut program = Program::new();
/// let axes = [Length::Named("rows".into()), Length::Fixed(2)];
/// let x = program.input("x", axes, Kind::Float)?; // [rows, 2]
/// let kernel = program.constant(Values::Floats(arr2(&[[1.0], [-1.0]]).into_dyn()));
/// let product = program.add("product", Operation::Product, [x, kernel])?[0];
/// let one = program.constant(Values::float(1.0));
/// let sum = program.add("sum", Operation::Binary(Binary::Add), [product, one])?[0];
/// let y = program.add("relu", Operation::Activate(Activation::Relu), [sum])?[0];
/// program.output("y", y);
/// let model = program.build()?;
///
/// let x = arr2(&[[3.0, 1.0], [0.0, 5.0]]);
/// let outputs = Device::cpu().compile(&model)?.run(x.view().into_dyn())?;
/// assert_eq!(outputs.named("y")?, &arr2(&[[3.0], [0.0]]).into_dyn());
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Program {
    inputs: Vec<Input>,
    /// Of each value.
    origins: Vec<Origin>,
    steps: Vec<Step>,
    constants: Vec<Values>,
    outputs: Vec<(String, usize)>,
    /// The names of the inputs that are outputs of the call before.
    ties: Vec<(String, String)>,
}

/// Stands for an array in a [`Program`]; it is valid in that program alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Value(usize);

/// The length of an axis of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Length {
    /// This one.
    Fixed(usize),
    /// Any; axes of the same name are meant to be equally long.
    Named(String),
    /// Any.
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    pub name: String,
    pub axes: Vec<Length>,
    pub kind: Kind,
    /// Of whole numbers the smallest and the largest one; `None`: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(i64, i64)>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug)]
enum Origin {
    Input(usize),
    /// The next one of the constants.
    Constant,
    /// Of the step of this number.
    Result(usize),
}

/// An operation at work.
#[derive(Clone, Debug)]
struct Step {
    name: String,
    operation: Operation,
    /// The numbers of the values that it reads.
    operands: Vec<Option<usize>>,
    /// The number of the first value that it returns.
    first_result: usize,
}

impl Step {
    /// That it can be computed at all.
    fn check_supported(&self) -> Result<()> {
        match &self.operation {
            Operation::Unsupported { op_type, reason } => Err(Error::UnsupportedNode {
                node: self.name.clone(),
                op_type: op_type.clone(),
                reason: reason.clone(),
            }),
            _ => Ok(()),
        }
    }
}

impl Length {
    pub(crate) fn fixed(&self) -> Option<usize> {
        match self {
            Length::Fixed(length) => Some(*length),
            Length::Named(_) | Length::Any => None,
        }
    }
}

impl Program {
    /// A program without an operation.
    pub fn new() -> Program {
        Program::default()
    }

    /// Adds an input, of so many axes and of these lengths. What a call gives for one of
    /// [`Kind::Integer`] has to be whole numbers, and for one of [`Kind::Bool`] 0 and 1.
    ///
    /// # Errors
    /// [`Error::Graph`] where another input has this name, or an axis' length isn't from 1 to
    /// 2^31 - 1.
    pub fn input(&mut self, name: &str, axes: impl Into<Vec<Length>>, kind: Kind) -> Result<Value> {
        self.add_input(Input { name: name.to_string(), axes: axes.into(), kind, range: None })
    }

    /// Adds an input of whole numbers of a range, such as that of a type of few bits.
    ///
    /// # Errors
    /// As [`Program::input`].
    ///
    /// ```
    /// use birnn::program::{Length, Program};
    /// use birnn::{Device, Error};
    /// let mut program = Program::new();
    /// let x = program.input_in_range("x", [Length::Any], 0..=255)?; // bytes
    /// program.output("y", x);
    /// let mut session = Device::cpu().compile(&program.build()?)?;
    /// let error = session.run(ndarray::arr1(&[3.0, 256.0]).view().into_dyn()).unwrap_err();
    /// assert!(matches!(error, Error::InputValue { value: 256.0, .. }));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn input_in_range(
        &mut self,
        name: &str,
        axes: impl Into<Vec<Length>>,
        range: RangeInclusive<i64>,
    ) -> Result<Value> {
        let (name, axes) = (name.to_string(), axes.into());
        let range = Some(range.into_inner());
        self.add_input(Input { name, axes, kind: Kind::Integer, range })
    }

    fn add_input(&mut self, input: Input) -> Result<Value> {
        let name = &input.name;
        let mut lengths = input.axes.iter().filter_map(Length::fixed);
        if let Some(length) = lengths.find(|length| !(1..1 << 31).contains(length)) {
            let text = format!("input {name:?} has an axis of length {length}");
            return Err(Error::Graph(format!("{text}; it has to be 1 to 2^31 - 1")));
        }
        if self.inputs.iter().any(|known| known.name == *name) {
            return Err(Error::Graph(format!("two inputs are named {name:?}")));
        }
        self.inputs.push(input);
        Ok(self.value(Origin::Input(self.inputs.len() - 1)))
    }

    /// Adds an array whose values are known.
    pub fn constant(&mut self, values: Values) -> Value {
        self.constants.push(values);
        self.value(Origin::Constant)
    }

    fn value(&mut self, origin: Origin) -> Value {
        self.origins.push(origin);
        Value(self.origins.len() - 1)
    }

    /// Adds an operation on these operands; `None` is one that is left out. `name` stands for it in
    /// messages. Returns what it returns.
    ///
    /// # Errors
    /// [`Error::Graph`] where an operand isn't of this program. Whether shapes fit is found out
    /// when a call is prepared.
    pub fn add<V: Into<Option<Value>>>(
        &mut self,
        name: &str,
        operation: Operation,
        operands: impl IntoIterator<Item = V>,
    ) -> Result<Vec<Value>> {
        let operands: Vec<Option<usize>> =
            operands.into_iter().map(|operand| operand.into().map(|value| value.0)).collect();
        if operands.iter().flatten().any(|&value| value >= self.origins.len()) {
            let text = format!("{name:?} ({}) reads an array of another program", operation.name());
            return Err(Error::Graph(text));
        }
        let (step, results) = (self.steps.len(), operation.results());
        if results > MOST_RESULTS {
            let text = format!("{name:?} ({}) returns {results} arrays", operation.name());
            return Err(Error::Graph(format!("{text}; {MOST_RESULTS} are supported")));
        }
        let first_result = self.origins.len();
        self.steps.push(Step { name: name.to_string(), operation, operands, first_result });
        Ok((0..results).map(|_| self.value(Origin::Result(step))).collect())
    }

    /// Makes the model return an array by this name. A number without an axis is returned as an
    /// array of shape `[1]`.
    pub fn output(&mut self, name: &str, value: Value) {
        self.outputs.push((name.to_string(), value.0));
    }

    /// Ties an input to an output: no call gives the input, which is what the output was in the
    /// call before, and zeros in the first call and after
    /// [`Session::reset_states`](crate::Session::reset_states). The state stays on the device.
    pub fn tie(&mut self, input: &str, output: &str) {
        self.ties.push((input.to_string(), output.to_string()));
    }
}

#[cfg(test)]
mod tests;
