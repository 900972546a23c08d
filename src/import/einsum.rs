//! Einstein sums as operations of a program, for the importers whose formats have them.

use super::operations::Operations;
use crate::Result;
use crate::program::{Operation, Reduction};

/// The arrays of an Einstein sum at most.
const MOST_OPERANDS: usize = 16;

/// An equation, taken apart.
pub(super) struct Equation {
    /// The letters of each array's axes.
    terms: Vec<Vec<char>>,
    /// Those of what it returns.
    result: Vec<char>,
}

impl Equation {
    /// Reads it; why it can't be one of so many arrays otherwise.
    pub fn read(equation: &str, arrays: usize) -> Result<Equation, String> {
        let equation: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, result) = match equation.split_once("->") {
            Some((left, right)) => (left.to_string(), right.chars().collect()),
            None => (equation.clone(), letters_that_are_there_once(&equation)),
        };
        let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
        if arrays > MOST_OPERANDS {
            return Err(format!("it has more than {MOST_OPERANDS} inputs"));
        }
        if terms.len() != arrays {
            return Err(format!("its equation {equation:?} has not {arrays} terms"));
        }
        for term in terms.iter().chain([&result]) {
            let twice = (1..term.len()).any(|index| term[..index].contains(&term[index]));
            if twice || !term.iter().all(char::is_ascii_alphabetic) {
                let reason = "only letters, each once in a term, are supported";
                return Err(format!("its equation is {equation:?}; {reason}"));
            }
        }
        let there = terms.concat();
        if result.iter().any(|letter| !there.contains(letter)) {
            return Err(format!("its equation {equation:?} returns an axis that no input has"));
        }
        Ok(Equation { terms, result })
    }

    /// Adds the operations that compute it. Operand after operand is multiplied to what is there;
    /// letters that no later operand and not the result has are summed over as soon as they can be.
    pub fn add<O: Operations>(self, to: &mut O, arrays: Vec<O::Array>) -> Result<Option<O::Array>> {
        let letters = arrays.into_iter().zip(self.terms);
        let mut rest: Vec<_> =
            letters.map(|(array, letters)| Lettered { array, letters }).collect();
        if rest.is_empty() {
            return Ok(None);
        }
        let mut result = rest.remove(0);
        while !rest.is_empty() {
            let next = rest.remove(0);
            let later = rest.iter().flat_map(|other| other.letters.iter());
            let needed: Vec<char> = later.chain(&self.result).copied().collect();
            result = multiplied(to, result, next, &needed)?;
        }
        let result = summed(to, result, &self.result)?;
        let order = places(&result.letters, &self.result);
        transposed(to, result.array, order).map(Some)
    }
}

/// An array with a letter for each axis.
#[derive(Clone)]
struct Lettered<A> {
    array: A,
    letters: Vec<char>,
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

/// An array without axes stays as it is: an empty order is the reverse one.
fn transposed<O: Operations>(to: &mut O, array: O::Array, order: Vec<usize>) -> Result<O::Array> {
    if order.is_empty() { Ok(array) } else { to.add(Operation::Transpose { order }, &[array]) }
}

/// Without the letters that aren't needed: summed over.
fn summed<O: Operations>(
    to: &mut O,
    x: Lettered<O::Array>,
    needed: &[char],
) -> Result<Lettered<O::Array>> {
    let gone: Vec<i64> = (0..x.letters.len())
        .filter(|&axis| !needed.contains(&x.letters[axis]))
        .map(|axis| axis as i64)
        .collect();
    if gone.is_empty() {
        return Ok(x);
    }
    let axes = to.numbers(gone);
    let sum = Operation::Reduce { reduction: Reduction::Sum, keep: false };
    let array = to.add(sum, &[x.array, axes])?;
    let letters = x.letters.into_iter().filter(|letter| needed.contains(letter)).collect();
    Ok(Lettered { array, letters })
}

/// The product, summed over the letters that both have and nobody needs: matrices
/// `[both, a's own, summed]` and `[both, summed, b's own]`.
fn multiplied<O: Operations>(
    to: &mut O,
    a: Lettered<O::Array>,
    b: Lettered<O::Array>,
    needed: &[char],
) -> Result<Lettered<O::Array>> {
    let a = summed(to, a, &[needed, &b.letters].concat())?;
    let b = summed(to, b, &[needed, &a.letters].concat())?;
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
    let turned_a = transposed(to, a.array, places(&a.letters, &a_order))?;
    let turned_b = transposed(to, b.array, places(&b.letters, &b_order))?;
    let shape_a = to.add(Operation::Shape, &[turned_a])?;
    let shape_b = to.add(Operation::Shape, &[turned_b])?;
    let [n, rows, k, columns] =
        [both.len(), own_a.len(), over.len(), own_b.len()].map(|n| n as i64);
    let ranges = [(0, n), (n, n + rows), (n + rows, n + rows + k)];
    let matrices_a = joined(to, turned_a, shape_a, ranges)?;
    let ranges = [(0, n), (n, n + k), (n + k, n + k + columns)];
    let matrices_b = joined(to, turned_b, shape_b, ranges)?;
    let product = to.add(Operation::Product, &[matrices_a, matrices_b])?;
    let first = part(to, shape_a, (0, n + rows))?;
    let last = part(to, shape_b, (n + k, n + k + columns))?;
    let shape = to.add(Operation::Concat { axis: 0 }, &[first, last])?;
    let array = to.add(Operation::Reshape { zero_copies: false }, &[product, shape])?;
    Ok(Lettered { array, letters: [both, own_a, own_b].concat() })
}

/// Some of the lengths of a shape.
fn part<O: Operations>(to: &mut O, shape: O::Array, (from, end): (i64, i64)) -> Result<O::Array> {
    let (from, end) = (to.numbers(vec![from]), to.numbers(vec![end]));
    to.add(Operation::Slice, &[shape, from, end])
}

/// Reshaped to three axes: each is the product of the axes of a range.
fn joined<O: Operations>(
    to: &mut O,
    x: O::Array,
    shape: O::Array,
    ranges: [(i64, i64); 3],
) -> Result<O::Array> {
    let mut lengths = Vec::new();
    for range in ranges {
        let part = part(to, shape, range)?;
        let product = Operation::Reduce { reduction: Reduction::Product, keep: true };
        lengths.push(to.add(product, &[part])?);
    }
    let shape = to.add(Operation::Concat { axis: 0 }, &lengths)?;
    to.add(Operation::Reshape { zero_copies: false }, &[x, shape])
}
