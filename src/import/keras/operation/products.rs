//! Operations that multiply matrices.

use super::call::Call;
use super::computed::Id;
use crate::Result;
use crate::import::einsum::{Equation, Operations};
use crate::program::{Binary, Operation};
use serde_json::Value;

impl Operations for Call<'_, '_> {
    type Array = Id;

    fn add(&mut self, operation: Operation, operands: &[Id]) -> Result<Id> {
        self.op(operation, operands.iter().copied())
    }

    fn numbers(&mut self, numbers: Vec<i64>) -> Id {
        self.integers(numbers)
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
