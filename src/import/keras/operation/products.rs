//! Operations that multiply matrices.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::import::einsum::Equation;
use crate::import::operations::Operations;
use crate::program::{Binary, Operation, Reduction, Unary};
use serde_json::Value;

impl Operations for Call<'_, '_> {
    type Array = Id;

    fn add(&mut self, operation: Operation, operands: &[Id]) -> Result<Id> {
        self.op(operation, operands.iter().copied())
    }

    fn numbers(&mut self, numbers: Vec<i64>) -> Id {
        self.integers(numbers)
    }

    fn constant_number(&mut self, number: f32) -> Id {
        self.float(number)
    }
}

/// NumPy's `matmul`; TensorFlow's can turn each matrix first.
pub(super) fn matmul(call: &mut Call) -> Result<Id> {
    let (mut a, mut b) = (call.array("x")?, call.array("y")?);
    if call.flag("transpose_a")? || call.flag("adjoint_a")? {
        a = call.op(Operation::MoveAxis { from: -1, to: -2 }, [a])?;
    }
    if call.flag("transpose_b")? || call.flag("adjoint_b")? {
        b = call.op(Operation::MoveAxis { from: -1, to: -2 }, [b])?;
    }
    call.op(Operation::Product, [a, b])
}

/// NumPy's `dot`: the last axis of one with the last but one of the other.
pub(super) fn dot(call: &mut Call) -> Result<Id> {
    let (a, b) = (call.array("x")?, call.array("y")?);
    match (call.rank(a)?, call.rank(b)?) {
        (0, _) | (_, 0) => call.binary(Binary::Multiply, a, b),
        (_, 1 | 2) => call.op(Operation::Product, [a, b]),
        (of_a, of_b) => contracted(call, (a, of_a, &[of_a - 1]), (b, of_b, &[of_b - 2])),
    }
}

/// The last axes of both.
pub(super) fn inner(call: &mut Call) -> Result<Id> {
    let (a, b) = (call.array("x")?, call.array("y")?);
    match (call.rank(a)?, call.rank(b)?) {
        (0, _) | (_, 0) => call.binary(Binary::Multiply, a, b),
        (of_a, of_b) => contracted(call, (a, of_a, &[of_a - 1]), (b, of_b, &[of_b - 1])),
    }
}

/// Each value of one with each of the other.
pub(super) fn outer(call: &mut Call) -> Result<Id> {
    let (a, b) = (call.array("x")?, call.array("y")?);
    let (column, row) = (call.integers([-1, 1]), call.integers([1, -1]));
    let (column, row) = (call.reshape(a, column)?, call.reshape(b, row)?);
    call.binary(Binary::Multiply, column, row)
}

/// The sum over some axes of each: so many of the last and the first, or lists.
pub(super) fn tensordot(call: &mut Call) -> Result<Id> {
    let (a, b) = (call.array("x")?, call.array("y")?);
    let (of_a, of_b) = (call.rank(a)?, call.rank(b)?);
    let listed = |value: &Value| match value {
        Value::Array(items) => items.iter().map(Value::as_i64).collect::<Option<Vec<_>>>(),
        value => value.as_i64().map(|axis| vec![axis]),
    };
    let lists = match call.get("axes").map(|value| (value.as_u64(), value.as_array())) {
        None => Some((vec![-2, -1], vec![0, 1])),
        Some((Some(count), _)) if count as usize <= of_a.min(of_b) => {
            let count = count as i64;
            Some(((-count..0).collect(), (0..count).collect()))
        }
        Some((_, Some(lists))) => match &lists[..] {
            [one, other] => listed(one).zip(listed(other)),
            _ => None,
        },
        _ => None,
    };
    let Some((axes_a, axes_b)) = lists.filter(|(one, other)| one.len() == other.len()) else {
        return call.wrong("axes", "are neither a number nor two lists of axes");
    };
    let counted = |call: &mut Call, axes: Vec<i64>, rank: usize| {
        axes.into_iter().map(|axis| call.axis_of("axes", axis, rank)).collect::<Result<Vec<_>>>()
    };
    let (axes_a, axes_b) = (counted(call, axes_a, of_a)?, counted(call, axes_b, of_b)?);
    contracted(call, (a, of_a, &axes_a), (b, of_b, &axes_b))
}

/// Two arrays summed over axes, as an equation of letters.
fn contracted(
    call: &mut Call,
    (a, of_a, axes_a): (Id, usize, &[usize]),
    (b, of_b, axes_b): (Id, usize, &[usize]),
) -> Result<Id> {
    let mut letters = 'a'..='z';
    let mut next = || letters.next().unwrap_or('?');
    let term_a: Vec<char> = (0..of_a).map(|_| next()).collect();
    let mut term_b: Vec<char> = (0..of_b).map(|_| next()).collect();
    let own = |term: &[char], axes: &[usize]| -> String {
        let kept = term.iter().enumerate().filter(|(axis, _)| !axes.contains(axis));
        kept.map(|(_, letter)| *letter).collect()
    };
    let result = own(&term_a, axes_a) + &own(&term_b, axes_b);
    for (&axis, &other) in axes_a.iter().zip(axes_b) {
        term_b[other] = term_a[axis];
    }
    let [a_term, b_term] = [&term_a, &term_b].map(|term| term.iter().collect::<String>());
    computed(call, &format!("{a_term},{b_term}->{result}"), vec![a, b])
}

pub(super) fn einsum(call: &mut Call) -> Result<Id> {
    let Some(equation) = call.text("equation")? else {
        return call.wrong("equation", "is missing");
    };
    let arrays = call.arrays("arrays")?;
    let equation = without_dots(call, equation, &arrays)?;
    computed(call, &equation, arrays)
}

/// With letters in place of the axes that dots stand for.
fn without_dots(call: &mut Call, equation: &str, arrays: &[Id]) -> Result<String> {
    if !equation.contains("...") {
        return Ok(equation.to_string());
    }
    let Some((left, right)) = equation.split_once("->") else {
        return call.unsupported("equation", "with dots the result has to be written, too");
    };
    let free: Vec<char> = ('A'..='Z').filter(|letter| !equation.contains(*letter)).collect();
    let (mut terms, mut most) = (Vec::new(), 0);
    for (term, &array) in left.split(',').zip(arrays) {
        let letters = term.chars().filter(char::is_ascii_alphabetic).count();
        let Some(count) = call.rank(array)?.checked_sub(letters).filter(|&n| n <= free.len())
        else {
            return call.wrong("equation", format!("{term:?} has more axes than its array"));
        };
        // The last axes of each lie beside each other.
        let named: String = free[free.len() - count..].iter().collect();
        most = most.max(if term.contains("...") { count } else { 0 });
        terms.push(term.replace("...", &named));
    }
    let named: String = free[free.len() - most..].iter().collect();
    Ok(format!("{}->{}", terms.join(","), right.replace("...", &named)))
}

fn computed(call: &mut Call, equation: &str, arrays: Vec<Id>) -> Result<Id> {
    let equation = match Equation::read(equation, arrays.len()) {
        Ok(equation) => equation,
        Err(reason) => return call.wrong("equation", reason),
    };
    match equation.add(call, arrays)? {
        Some(result) => Ok(result),
        None => call.wrong("equation", "has no arrays"),
    }
}

/// The sum of the products of all values.
pub(super) fn vdot(call: &mut Call) -> Result<Id> {
    let (a, b, all) = (call.array("x")?, call.array("y")?, call.integers([-1]));
    let (a, b) = (call.reshape(a, all)?, call.reshape(b, all)?);
    let product = call.binary(Binary::Multiply, a, b)?;
    call.reduce(Reduction::Sum, product, None, false)
}

/// The vectors that stand upright on two, along the last axis.
pub(super) fn cross(call: &mut Call) -> Result<Id> {
    for name in ["axisa", "axisb", "axisc", "axis"] {
        if call.int(name)?.unwrap_or(-1) != -1 {
            return call.unsupported(name, "only the last axis is supported");
        }
    }
    let (a, b) = (call.array("x")?, call.array("y")?);
    for (name, array) in [("x", a), ("y", b)] {
        if call.axes(array)?.last() != Some(&Some(3)) {
            return call.unsupported(name, "only vectors of three numbers are supported");
        }
    }
    let turned = |call: &mut Call, x: Id, first: [i64; 3]| {
        let places = call.integers(first);
        call.op(Operation::Take { axis: -1 }, [x, places])
    };
    let (one, other) = ([1, 2, 0], [2, 0, 1]);
    let (a1, b2) = (turned(call, a, one)?, turned(call, b, other)?);
    let (a2, b1) = (turned(call, a, other)?, turned(call, b, one)?);
    let (more, less) =
        (call.binary(Binary::Multiply, a1, b2)?, call.binary(Binary::Multiply, a2, b1)?);
    call.binary(Binary::Subtract, more, less)
}

/// The distances of all rows of one array from those of another.
pub(super) fn distances(call: &mut Call) -> Result<Id> {
    let (a, b) = (call.array("x")?, call.array("y")?);
    let (a, b) = (call.expanded(a, &[-2])?, call.expanded(b, &[-3])?);
    let difference = call.binary(Binary::Subtract, a, b)?;
    let sum = call.reduce(Reduction::SumOfSquares, difference, Some(&[-1]), false)?;
    call.unary(Unary::Sqrt, sum)
}

/// `softmax(scale · query · key) · value` of heads: query `[batch, query times, heads, features]`,
/// key and value `[batch, value times, heads or a part of them, features]`.
pub(super) fn attention(call: &mut Call) -> Result<Id> {
    let _ = call.get("flash_attention"); // which only makes it faster
    let causal = call.flag("is_causal")?;
    let query = call.array("query")?;
    let known = call.axes(query)?;
    let (&[_, _, Some(heads), Some(features)], [4, 4]) = (&known[..], {
        let (key, value) = (call.array("key")?, call.array("value")?);
        [call.rank(key)?, call.rank(value)?]
    }) else {
        return call.wrong("query", "isn't [batch, timesteps, heads, features], with known heads");
    };
    let mut shared = Vec::new();
    for name in ["key", "value"] {
        let mut x = call.array(name)?;
        let Some(own) = call.axes(x)?[2].filter(|&own| own > 0 && heads % own == 0) else {
            return call.wrong(name, format!("its heads don't fit {heads}"));
        };
        if own != heads {
            let places = (0..heads).map(|head| (head * own / heads) as i64);
            let places = call.integers(places);
            x = call.op(Operation::Take { axis: 2 }, [x, places])?;
        }
        shared.push(x);
    }
    let scale = call.number("scale", 1.0 / (features as f64).sqrt())?;
    let scores = computed(call, "btnh,bsnh->bnts", vec![query, shared[0]])?;
    let mut scores = call.with_number(Binary::Multiply, scores, scale as f32)?;
    if let Some(bias) = call.optional_array("bias")? {
        scores = call.binary(Binary::Add, scores, bias)?;
    }
    let cap = call.number("attn_logits_soft_cap", 0.0)? as f32;
    if cap != 0.0 {
        let smaller = call.with_number(Binary::Divide, scores, cap)?;
        let within = call.activate(crate::Activation::Tanh, smaller)?;
        scores = call.with_number(Binary::Multiply, within, cap)?;
    }
    // What no query sees has the smallest score, so that of no value at all it is the mean.
    let lowest = call.float(-0.7 * f32::MAX);
    if let Some(mask) = call.optional_array("mask")? {
        let mask = call.cast(mask, crate::program::Kind::Bool)?;
        scores = call.select(mask, scores, lowest)?;
    }
    if causal {
        let (shape, one) = (call.shape(scores)?, call.float(1.0));
        let ones = call.op(Operation::Fill, [shape, one])?;
        let zero = call.computed.constant(crate::program::Values::integer(0));
        let seen = call.op(Operation::Triangle { upper: false }, [ones, zero])?;
        let seen = call.cast(seen, crate::program::Kind::Bool)?;
        scores = call.select(seen, scores, lowest)?;
    }
    let weights = call.op(Operation::Softmax { axis: -1, log: false }, [scores])?;
    computed(call, "bnts,bsnh->btnh", vec![weights, shared[1]])
}
