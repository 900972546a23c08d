//! A call of an operation: its arguments, and the operations of a program that it is made of.

use super::super::json;
use super::super::messages::excerpt;
use super::computed::{Computed, Id};
use crate::program::{Binary, Kind, Operation, Reduction, Unary, Values};
use crate::{Activation, Error, Graph, Result};
use ndarray::ArrayD;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::HashSet;

/// More axes than this no array of a file has.
const MOST_AXES: usize = 16;

/// A call of an operation of the file.
pub(in crate::import::keras) struct Call<'c, 'a> {
    pub computed: &'c mut Computed,
    pub graph: &'c Graph,
    /// The layer's name in the file, for messages.
    pub layer: &'c str,
    /// By the names that the table of operations has.
    pub arguments: Vec<(&'static str, &'a Value)>,
    /// Those that the call names itself, of an operation that takes any.
    pub extra: Vec<(&'a str, &'a Value)>,
    /// The names of the arguments that were looked at.
    pub seen: RefCell<HashSet<String>>,
    /// The arrays, by where they stand in the arguments.
    pub arrays: Vec<(&'a Value, Id)>,
    pub time_distributed: usize,
}

impl<'a> Call<'_, 'a> {
    /// The value of an argument, unless it is missing or None.
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.seen.borrow_mut().insert(name.to_string());
        let found = self.arguments.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }

    pub fn wrong<T>(&self, name: &str, reason: impl Into<String>) -> Result<T> {
        let (layer, argument) = (self.layer.to_string(), name.to_string());
        Err(Error::Argument { layer, argument, reason: reason.into() })
    }

    pub fn unsupported<T>(&self, name: &str, reason: &str) -> Result<T> {
        let value = self.arguments.iter().find(|(known, _)| *known == name);
        Err(Error::UnsupportedArgument {
            layer: self.layer.to_string(),
            argument: name.to_string(),
            value: excerpt(value.map_or(&Value::Null, |(_, value)| value)),
            reason: reason.to_string(),
        })
    }

    /// That the operation looked at every argument, but for what Keras writes as false or None.
    pub fn check_others(&self) -> Result<()> {
        let seen = self.seen.borrow();
        let mut others = self.arguments.iter().filter(|(name, value)| {
            !seen.contains(*name) && !value.is_null() && *value != &Value::Bool(false)
        });
        match others.next() {
            Some((name, _)) => self.unsupported(name, "its effect isn't computed; leave it out"),
            None => Ok(()),
        }
    }

    /// The array that stands at a place of the file.
    pub fn array_at(&self, value: &Value) -> Option<Id> {
        self.arrays.iter().find(|(place, _)| std::ptr::eq(*place, value)).map(|(_, id)| *id)
    }

    /// An argument that is an array, or numbers that become one.
    pub fn array(&mut self, name: &str) -> Result<Id> {
        match self.optional_array(name)? {
            Some(id) => Ok(id),
            None => self.wrong(name, "is missing"),
        }
    }

    pub fn optional_array(&mut self, name: &str) -> Result<Option<Id>> {
        self.get(name).map(|value| self.array_of(name, value)).transpose()
    }

    /// Arrays in a list.
    pub fn arrays(&mut self, name: &str) -> Result<Vec<Id>> {
        let Some(value) = self.get(name) else { return self.wrong(name, "is missing") };
        let several = self.arguments.iter().filter(|(known, _)| *known == name);
        let several: Vec<&Value> = several.map(|(_, value)| *value).collect();
        if several.len() > 1 {
            return several.into_iter().map(|value| self.array_of(name, value)).collect();
        }
        match (self.array_at(value), value) {
            (None, Value::Array(items)) if !items.is_empty() => {
                items.iter().map(|item| self.array_of(name, item)).collect()
            }
            _ => Ok(vec![self.array_of(name, value)?]),
        }
    }

    /// An array, a number, an array of numbers, or a list of such, which are put one on another.
    pub fn array_of(&mut self, name: &str, value: &'a Value) -> Result<Id> {
        if let Some(id) = self.array_at(value) {
            return Ok(id);
        }
        let value = constant_value(value);
        if let Some(values) = literal(value) {
            return Ok(self.computed.constant(values));
        }
        match value {
            Value::Array(items) if !items.is_empty() => {
                let mut rows = Vec::with_capacity(items.len());
                for item in items {
                    let id = self.array_of(name, item)?;
                    rows.push(self.expanded(id, &[0])?);
                }
                self.op(Operation::Concat { axis: 0 }, rows)
            }
            value => self.wrong(name, format!("{} is neither array nor numbers", excerpt(value))),
        }
    }

    pub fn int(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name).map(|value| (whole(value), value)) {
            None => Ok(None),
            Some((Some(number), _)) => Ok(Some(number)),
            Some((None, value)) => {
                self.wrong(name, format!("{} is no whole number", excerpt(value)))
            }
        }
    }

    /// As [`Call::int`], unless the argument is a list.
    pub fn int_unless(&self, name: &str, is_list: bool) -> Result<Option<i64>> {
        if is_list { Ok(None) } else { self.int(name) }
    }

    /// A whole number that the call has for a name of its own.
    pub fn extra_int(&self, name: &str) -> Result<Option<i64>> {
        match self.extra.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_i64()) {
            None => Ok(None),
            Some(Some(number)) => Ok(Some(number)),
            Some(None) => self.wrong(name, "is no whole number"),
        }
    }

    pub fn required_int(&self, name: &str) -> Result<i64> {
        match self.int(name)? {
            Some(number) => Ok(number),
            None => self.wrong(name, "is missing"),
        }
    }

    /// One whole number, or a list of them.
    pub fn ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let numbers = match value {
            Value::Array(items) => items.iter().map(whole).collect(),
            value => whole(value).map(|number| vec![number]),
        };
        match numbers {
            Some(numbers) => Ok(Some(numbers)),
            None => self.wrong(name, format!("{} isn't of whole numbers", excerpt(value))),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => {
                self.wrong(name, format!("{} is neither true nor false", excerpt(value)))
            }
        }
    }

    pub fn number(&self, name: &str, default: f64) -> Result<f64> {
        match self.get(name).map(|value| (json::number(value), value)) {
            None => Ok(default),
            Some((Some(number), _)) => Ok(number),
            Some((None, value)) => self.wrong(name, format!("{} is no number", excerpt(value))),
        }
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name).map(|value| (value.as_str(), value)) {
            None => Ok(None),
            Some((Some(text), _)) => Ok(Some(text)),
            Some((None, value)) => self.wrong(name, format!("{} is no text", excerpt(value))),
        }
    }

    /// What the numbers of a dtype are.
    pub fn dtype(&self, name: &str) -> Result<Option<Kind>> {
        match self.text(name)?.map(kind_of) {
            None => Ok(None),
            Some(Some(kind)) => Ok(Some(kind)),
            Some(None) => self.unsupported(name, "only floats, integers and bool are supported"),
        }
    }

    /// The lengths of an array's axes, the batch among them, as far as they are known before a
    /// call.
    pub fn axes(&mut self, id: Id) -> Result<Vec<Option<usize>>> {
        match self.computed.values(id) {
            Some(values) => Ok(values.shape().iter().map(|&length| Some(length)).collect()),
            None => Ok(self.computed.describe(self.graph, id, self.time_distributed)?.axes),
        }
    }

    pub fn rank(&mut self, id: Id) -> Result<usize> {
        Ok(self.axes(id)?.len())
    }

    pub fn kind(&mut self, id: Id) -> Result<Kind> {
        match self.computed.values(id) {
            Some(values) => Ok(values.kind()),
            None => Ok(self.computed.describe(self.graph, id, self.time_distributed)?.kind),
        }
    }

    /// An axis of an array, counted from 0.
    pub fn axis_of(&mut self, name: &str, axis: i64, rank: usize) -> Result<usize> {
        let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
        match usize::try_from(counted) {
            Ok(axis) if axis < rank => Ok(axis),
            _ => self.wrong(name, format!("an array of {rank} axes has no axis {axis}")),
        }
    }

    /// Adds an operation that returns one array.
    pub fn op(
        &mut self,
        operation: Operation,
        operands: impl IntoIterator<Item = impl Into<Option<Id>>>,
    ) -> Result<Id> {
        match self.all(operation, operands)?[..] {
            [only] => Ok(only),
            _ => self.wrong("call", "it returns several arrays"),
        }
    }

    /// Adds an operation that returns several.
    pub fn all(
        &mut self,
        operation: Operation,
        operands: impl IntoIterator<Item = impl Into<Option<Id>>>,
    ) -> Result<Vec<Id>> {
        let operands = operands.into_iter().map(Into::into).collect();
        Ok(self.computed.add(self.layer, operation, operands))
    }

    pub fn float(&mut self, number: f32) -> Id {
        self.computed.constant(Values::float(number))
    }

    pub fn integers(&mut self, numbers: impl IntoIterator<Item = i64>) -> Id {
        self.computed.constant(Values::integers(numbers))
    }

    pub fn unary(&mut self, function: Unary, x: Id) -> Result<Id> {
        self.op(Operation::Unary(function), [x])
    }

    pub fn binary(&mut self, function: Binary, a: Id, b: Id) -> Result<Id> {
        self.op(Operation::Binary(function), [a, b])
    }

    /// A function of an array and a number.
    pub fn with_number(&mut self, function: Binary, x: Id, number: f32) -> Result<Id> {
        let number = self.float(number);
        self.binary(function, x, number)
    }

    pub fn activate(&mut self, activation: Activation, x: Id) -> Result<Id> {
        self.op(Operation::Activate(activation), [x])
    }

    pub fn cast(&mut self, x: Id, kind: Kind) -> Result<Id> {
        self.op(Operation::Cast(kind), [x])
    }

    pub fn select(&mut self, condition: Id, a: Id, b: Id) -> Result<Id> {
        self.op(Operation::Select, [condition, a, b])
    }

    /// A value of all along these axes, or of all.
    pub fn reduce(
        &mut self,
        reduction: Reduction,
        x: Id,
        axes: Option<&[i64]>,
        keep: bool,
    ) -> Result<Id> {
        let axes = axes.map(|axes| self.integers(axes.iter().copied()));
        self.op(Operation::Reduce { reduction, keep }, [Some(x), axes])
    }

    pub fn shape(&mut self, x: Id) -> Result<Id> {
        self.op(Operation::Shape, [x])
    }

    pub fn reshape(&mut self, x: Id, shape: Id) -> Result<Id> {
        self.op(Operation::Reshape { zero_copies: false }, [x, shape])
    }

    /// With axes of length one at these places.
    pub fn expanded(&mut self, x: Id, axes: &[i64]) -> Result<Id> {
        let axes = self.integers(axes.iter().copied());
        self.op(Operation::Unsqueeze, [x, axes])
    }

    /// Without these axes, which are of length one.
    pub fn squeezed(&mut self, x: Id, axes: &[i64]) -> Result<Id> {
        let axes = self.integers(axes.iter().copied());
        self.op(Operation::Squeeze, [x, axes])
    }

    /// From a place of an axis to before another one.
    pub fn slice(&mut self, x: Id, axis: i64, (start, end): (i64, i64)) -> Result<Id> {
        let [start, end, axis] = [start, end, axis].map(|number| self.integers([number]));
        self.op(Operation::Slice, [x, start, end, axis])
    }

    pub fn concat(&mut self, axis: i64, parts: Vec<Id>) -> Result<Id> {
        self.op(Operation::Concat { axis }, parts)
    }

    /// The numbers from 0 to below a number.
    pub fn range(&mut self, limit: Id) -> Result<Id> {
        let zero = self.computed.constant(Values::integer(0));
        let one = self.computed.constant(Values::integer(1));
        self.op(Operation::Range, [zero, limit, one])
    }

    /// How long an axis is, as a number.
    pub fn length(&mut self, x: Id, axis: i64) -> Result<Id> {
        let shape = self.shape(x)?;
        let place = self.computed.constant(Values::integer(axis));
        self.op(Operation::Take { axis: 0 }, [shape, place])
    }
}

/// What the numbers of a dtype are; `None` where it is none that is supported.
pub(in crate::import::keras) fn kind_of(dtype: &str) -> Option<Kind> {
    match dtype {
        "bool" => Some(Kind::Bool),
        "float16" | "bfloat16" | "float32" | "float64" => Some(Kind::Float),
        "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" => {
            Some(Kind::Integer)
        }
        _ => None,
    }
}

/// What stands in for an array that is a constant in Keras 2.
fn constant_value(value: &Value) -> &Value {
    match value.as_array().map(Vec::as_slice) {
        Some([name, number, value, ..])
            if name == "_CONSTANT_VALUE" && number.as_i64() == Some(-1) =>
        {
            value
        }
        _ => value,
    }
}

fn whole(value: &Value) -> Option<i64> {
    let is_whole = |number: f64| number.fract() == 0.0 && number.abs() < 9e15;
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|&number| is_whole(number));
            number.as_i64().or(float.map(|number| number as i64))
        }
        Value::Object(object) => of_array(object)?.0.as_i64(),
        _ => None,
    }
}

/// The values of an array that stands in the file, and its dtype.
fn of_array(object: &Map<String, Value>) -> Option<(&Value, Option<&str>)> {
    let class = object.get("class_name")?.as_str()?;
    let config = object.get("config")?.as_object()?;
    let dtype = config.get("dtype").and_then(Value::as_str);
    ["__numpy__", "__tensor__"].contains(&class).then_some(())?;
    Some((config.get("value")?, dtype))
}

/// A number, truth value, nested lists of them, or an array of Keras 3.
fn literal(value: &Value) -> Option<Values> {
    let (value, dtype) = match value {
        Value::Object(object) => of_array(object)?,
        value => (value, None),
    };
    let (mut shape, mut first) = (Vec::new(), value);
    while let Value::Array(items) = first {
        shape.push(items.len());
        if shape.len() > MOST_AXES {
            return None;
        }
        match items.first() {
            Some(item) => first = item,
            None => break,
        }
    }
    let mut numbers = Numbers::default();
    numbers.read(value, &shape)?;
    let kind = match dtype {
        Some(dtype) => kind_of(dtype)?,
        None if numbers.floats.is_empty() => Kind::Integer,
        None if numbers.all_bool => Kind::Bool,
        None if numbers.all_whole => Kind::Integer,
        None => Kind::Float,
    };
    let Numbers { floats, integers, .. } = numbers;
    let values = match kind {
        Kind::Float => Values::Floats(ArrayD::from_shape_vec(shape, floats).ok()?),
        _ => Values::Integers(ArrayD::from_shape_vec(shape, integers).ok()?),
    };
    Some(values.cast(kind))
}

/// The numbers in nested lists.
struct Numbers {
    floats: Vec<f32>,
    integers: Vec<i64>,
    all_bool: bool,
    all_whole: bool,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers { floats: Vec::new(), integers: Vec::new(), all_bool: true, all_whole: true }
    }
}

impl Numbers {
    /// Those of lists that are as long as the shape says.
    fn read(&mut self, value: &Value, shape: &[usize]) -> Option<()> {
        match (value, shape) {
            (Value::Array(items), [length, inner @ ..]) if items.len() == *length => {
                items.iter().try_for_each(|item| self.read(item, inner))
            }
            (Value::Array(_), _) | (_, [_, ..]) => None,
            (Value::Bool(value), []) => {
                self.floats.push(f32::from(u8::from(*value)));
                self.integers.push(i64::from(*value));
                Some(())
            }
            (number, []) => {
                let float = json::number(number)?;
                self.all_bool = false;
                self.all_whole &= number.is_i64() || number.is_u64();
                self.floats.push(float as f32);
                self.integers.push(number.as_i64().unwrap_or(float as i64));
                Some(())
            }
        }
    }
}
