//! Nodes that multiply matrices.

use crate::Result;
use crate::import::onnx::importer::{Call, Handler};
use crate::program::{Binary, Operation, Reduction, Value};

pub(super) const NODES: &[(&str, Handler)] =
    &[("Einsum", einsum), ("Gemm", gemm), ("MatMul", matmul)];

fn matmul(call: &mut Call) -> Result<()> {
    let inputs = [call.required(0)?, call.required(1)?];
    let product = call.op(Operation::Product, inputs)?;
    call.set(0, product)
}

fn gemm(call: &mut Call) -> Result<()> {
    let result = gemm_of_inputs(call)?;
    call.set(0, result)
}

/// `alpha · a · b + beta · c`
pub(super) fn gemm_of_inputs(call: &mut Call) -> Result<Value> {
    let (alpha, beta) = (call.float("alpha", 1.0)?, call.float("beta", 1.0)?);
    let (mut a, mut b) = (call.required(0)?, call.required(1)?);
    if call.flag("transA", false)? {
        a = call.transpose(a, &[1, 0])?;
    }
    if call.flag("transB", false)? {
        b = call.transpose(b, &[1, 0])?;
    }
    let mut result = call.op(Operation::Product, [a, b])?;
    if alpha != 1.0 {
        result = call.with_number(Binary::Multiply, result, alpha)?;
    }
    if let Some(mut c) = call.input(2)? {
        if beta != 1.0 {
            c = call.with_number(Binary::Multiply, c, beta)?;
        }
        result = call.binary(Binary::Add, result, c)?;
    }
    Ok(result)
}

/// The inputs of an Einsum at most.
const MOST_OPERANDS: usize = 16;

/// An operand of an Einsum: an array with a letter for each axis.
#[derive(Clone)]
struct Lettered {
    value: Value,
    letters: Vec<char>,
}

/// Operand after operand is multiplied to what is there. Letters that no later operand and not the
/// result has are summed over as soon as they can be.
fn einsum(call: &mut Call) -> Result<()> {
    let equation = call.text("equation", "")?;
    let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left.to_string(), right.chars().collect()),
        None => (equation.clone(), letters_that_are_there_once(&equation)),
    };
    let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
    let inputs = call.inputs()?;
    if inputs.len() > MOST_OPERANDS {
        return call.unsupported(format!("it has more than {MOST_OPERANDS} inputs"));
    }
    if terms.len() != inputs.len() {
        return call.malformed(format!("its equation {equation:?} has not {} terms", inputs.len()));
    }
    for term in terms.iter().chain([&right]) {
        let twice = (1..term.len()).any(|index| term[..index].contains(&term[index]));
        if twice || !term.iter().all(char::is_ascii_alphabetic) {
            let reason = "only letters, each once in a term, are supported";
            return call.unsupported(format!("its equation is {equation:?}; {reason}"));
        }
    }
    let there = terms.concat();
    if right.iter().any(|letter| !there.contains(letter)) {
        return call.malformed(format!("its equation is {equation:?}"));
    }
    let mut operands = inputs.into_iter().zip(terms);
    let Some((value, letters)) = operands.next() else {
        return call.malformed("it has no inputs");
    };
    let mut result = Lettered { value, letters };
    let mut rest: Vec<Lettered> =
        operands.map(|(value, letters)| Lettered { value, letters }).collect();
    while !rest.is_empty() {
        let next = rest.remove(0);
        let needed: Vec<char> =
            rest.iter().flat_map(|other| other.letters.iter()).chain(&right).copied().collect();
        result = multiplied(call, result, next, &needed)?;
    }
    let result = summed(call, result, &right)?;
    let order = places(&result.letters, &right);
    let result = call.transpose(result.value, &order)?;
    call.set(0, result)
}

/// What the result has where an equation doesn't say: the letters that are there once, in order.
fn letters_that_are_there_once(left: &str) -> Vec<char> {
    let mut letters: Vec<char> = left.chars().filter(char::is_ascii_alphabetic).collect();
    letters.sort_unstable();
    let once = |letter: &char| letters.iter().filter(|other| *other == letter).count() == 1;
    letters.iter().copied().filter(once).collect()
}

/// Where each of these letters is.
fn places(letters: &[char], wanted: &[char]) -> Vec<usize> {
    wanted.iter().filter_map(|letter| letters.iter().position(|other| other == letter)).collect()
}

/// Without the letters that aren't needed: summed over.
fn summed(call: &mut Call, x: Lettered, needed: &[char]) -> Result<Lettered> {
    let gone: Vec<i64> = (0..x.letters.len())
        .filter(|&axis| !needed.contains(&x.letters[axis]))
        .map(|axis| axis as i64)
        .collect();
    if gone.is_empty() {
        return Ok(x);
    }
    let axes = call.importer.integers(gone);
    let value = call.reduce(Reduction::Sum, x.value, Some(axes), false)?;
    let letters = x.letters.into_iter().filter(|letter| needed.contains(letter)).collect();
    Ok(Lettered { value, letters })
}

/// The product, summed over the letters that both have and nobody needs: matrices
/// `[both, a's own, summed]` and `[both, summed, b's own]`.
fn multiplied(call: &mut Call, a: Lettered, b: Lettered, needed: &[char]) -> Result<Lettered> {
    let a = summed(call, a, &[needed, &b.letters].concat())?;
    let b = summed(call, b, &[needed, &a.letters].concat())?;
    let of = |letters: &[char], other: &[char], shared: bool, kept: bool| -> Vec<char> {
        let fits = |letter: &&char| {
            other.contains(letter) == shared && (!shared || needed.contains(letter) == kept)
        };
        letters.iter().filter(fits).copied().collect()
    };
    let both = of(&a.letters, &b.letters, true, true);
    let over = of(&a.letters, &b.letters, true, false);
    let (own_a, own_b) =
        (of(&a.letters, &b.letters, false, true), of(&b.letters, &a.letters, false, true));
    let a_order = [&both[..], &own_a, &over].concat();
    let b_order = [&both[..], &over, &own_b].concat();
    let turned_a = call.transpose(a.value, &places(&a.letters, &a_order))?;
    let turned_b = call.transpose(b.value, &places(&b.letters, &b_order))?;
    let (shape_a, shape_b) = (call.shape(turned_a)?, call.shape(turned_b)?);
    let [n, rows, k, columns] =
        [both.len(), own_a.len(), over.len(), own_b.len()].map(|n| n as i64);
    let matrices_a =
        joined(call, turned_a, shape_a, [(0, n), (n, n + rows), (n + rows, n + rows + k)])?;
    let matrices_b =
        joined(call, turned_b, shape_b, [(0, n), (n, n + k), (n + k, n + k + columns)])?;
    let product = call.op(Operation::Product, [matrices_a, matrices_b])?;
    let first = call.slice(shape_a, 0, 0, n + rows)?;
    let last = call.slice(shape_b, 0, n + k, n + k + columns)?;
    let shape = call.concat(0, vec![first, last])?;
    let value = call.op(Operation::Reshape { zero_copies: false }, [product, shape])?;
    Ok(Lettered { value, letters: [both, own_a, own_b].concat() })
}

/// Reshaped to three axes: each is the product of the axes of a range.
fn joined(call: &mut Call, x: Value, shape: Value, ranges: [(i64, i64); 3]) -> Result<Value> {
    let mut lengths = Vec::new();
    for (from, to) in ranges {
        let part = call.slice(shape, 0, from, to)?;
        lengths.push(call.reduce(Reduction::Product, part, None, true)?);
    }
    let shape = call.concat(0, lengths)?;
    call.op(Operation::Reshape { zero_copies: false }, [x, shape])
}
