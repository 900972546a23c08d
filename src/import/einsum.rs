//! Einstein sums as operations of a program, for the importers whose formats have them.

use super::operations::Operations;
use crate::Result;
use crate::program::{Binary, Operation, Reduction};

/// The arrays of an Einstein sum at most.
const MOST_OPERANDS: usize = 16;

/// Stands for `...`: any number of axes, as one.
const DOTS: char = '.';

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
        let left = equation.split_once("->").map_or(&*equation, |(left, _)| left);
        if arrays > MOST_OPERANDS {
            return Err(format!("it has more than {MOST_OPERANDS} inputs"));
        }
        let terms = left.split(',').map(|text| term(&equation, text));
        let terms = terms.collect::<Result<Vec<_>, _>>()?;
        if terms.len() != arrays {
            return Err(format!("its equation {equation:?} has not {arrays} terms"));
        }
        let there = terms.concat();
        let result = match equation.split_once("->") {
            Some((_, right)) => term(&equation, right)?,
            None => letters_that_are_there_once(&there),
        };
        if (1..result.len()).any(|index| result[..index].contains(&result[index])) {
            return Err(format!("its equation {equation:?} returns a letter twice"));
        }
        if result.iter().any(|letter| !there.contains(letter)) {
            return Err(format!("its equation {equation:?} returns an axis that no input has"));
        }
        if there.contains(&DOTS) && !result.contains(&DOTS) {
            return Err(format!("its equation {equation:?} has no dots in what it returns"));
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
        let dots = dots_as_one(to, &mut rest)?;
        for array in &mut rest {
            *array = diagonals(to, array.clone())?;
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
        let mut array = transposed(to, result.array, order)?;
        if let (Some(lengths), Some(place)) = (dots, place_of_dots(&self.result)) {
            let shape = to.add(Operation::Shape, &[array])?;
            let parts =
                [part(to, shape, (0, place))?, lengths, part(to, shape, (place + 1, i64::MAX))?];
            array = reshaped(to, array, &parts)?;
        }
        Ok(Some(array))
    }
}

/// The letters of a term, each an axis.
fn term(equation: &str, text: &str) -> Result<Vec<char>, String> {
    let (first, last) = text.split_once("...").unwrap_or((text, ""));
    if !first.chars().chain(last.chars()).all(|letter| letter.is_ascii_alphabetic()) {
        return Err(format!("its equation is {equation:?}; only letters and dots are supported"));
    }
    let dots = text.contains("...").then_some(DOTS);
    Ok(first.chars().chain(dots).chain(last.chars()).collect())
}

/// An array with a letter for each axis.
#[derive(Clone)]
struct Lettered<A> {
    array: A,
    letters: Vec<char>,
}

/// What the result has where an equation doesn't say: what dots stand for, and the letters that are
/// there once, in order.
fn letters_that_are_there_once(all: &[char]) -> Vec<char> {
    let once = |letter: &char| all.iter().filter(|other| *other == letter).count() == 1;
    let mut letters: Vec<char> = all.iter().copied().filter(|c| *c != DOTS && once(c)).collect();
    letters.sort_unstable();
    letters.splice(0..0, all.contains(&DOTS).then_some(DOTS));
    letters
}

fn place_of_dots(letters: &[char]) -> Option<i64> {
    letters.iter().position(|letter| *letter == DOTS).map(|place| place as i64)
}

/// The axes that dots stand for, repeated to each other as NumPy does, as one axis of each array.
/// Their lengths; `None`: there are no dots. How many there are is known when shapes are.
fn dots_as_one<O: Operations>(
    to: &mut O,
    arrays: &mut [Lettered<O::Array>],
) -> Result<Option<O::Array>> {
    // Of each array with dots its lengths before them, in them, and behind them.
    let mut found = Vec::new();
    for (index, array) in arrays.iter().enumerate() {
        let Some(before) = place_of_dots(&array.letters) else { continue };
        let behind = array.letters.len() as i64 - 1 - before;
        let end = if behind == 0 { i64::MAX } else { -behind };
        let shape = to.add(Operation::Shape, &[array.array])?;
        let first = part(to, shape, (0, before))?;
        let own = part(to, shape, (before, end))?;
        let last = if behind == 0 { to.numbers(vec![]) } else { part(to, shape, (end, i64::MAX))? };
        found.push((index, [first, own, last]));
    }
    let mut most = None;
    for (_, [_, own, _]) in &found {
        let rank = to.add(Operation::Shape, &[*own])?;
        most = Some(match most {
            None => rank,
            Some(most) => to.binary(Binary::Maximum, most, rank)?,
        });
    }
    let Some(most) = most else { return Ok(None) };
    // With ones before them all are equally many.
    let mut lengths = None;
    for (_, [_, own, _]) in &mut found {
        let rank = to.add(Operation::Shape, &[*own])?;
        let missing = to.binary(Binary::Subtract, most, rank)?;
        let one = to.numbers(vec![1]);
        let ones = to.add(Operation::Fill, &[missing, one])?;
        *own = to.add(Operation::Concat { axis: 0 }, &[ones, *own])?;
        lengths = Some(match lengths {
            None => *own,
            Some(lengths) => to.binary(Binary::Maximum, lengths, *own)?,
        });
    }
    let Some(lengths) = lengths else { return Ok(None) };
    let product = Operation::Reduce { reduction: Reduction::Product, keep: true };
    let all = to.add(product, &[lengths])?;
    let repeats = found.len() > 1;
    for (index, [first, own, last]) in found {
        let mut array = arrays[index].array;
        if repeats {
            array = reshaped(to, array, &[first, own, last])?;
            let shape = to.add(Operation::Concat { axis: 0 }, &[first, lengths, last])?;
            array = to.add(Operation::Expand, &[array, shape])?;
        }
        arrays[index].array = reshaped(to, array, &[first, all, last])?;
    }
    Ok(Some(lengths))
}

/// Each letter once: of axes with one letter, which are equally long, the diagonal is taken.
fn diagonals<O: Operations>(to: &mut O, mut x: Lettered<O::Array>) -> Result<Lettered<O::Array>> {
    loop {
        let letters = &x.letters;
        let second = (1..letters.len()).find(|&index| letters[..index].contains(&letters[index]));
        let Some(second) = second else { return Ok(x) };
        let letter = letters[second];
        let first = letters.iter().position(|other| *other == letter).unwrap_or(second);
        let others = (0..letters.len()).filter(|axis| ![first, second].contains(axis));
        let order: Vec<usize> = [first, second].into_iter().chain(others.clone()).collect();
        let letters = [letter].into_iter().chain(others.map(|axis| letters[axis])).collect();
        let turned = transposed(to, x.array, order)?;
        let shape = to.add(Operation::Shape, &[turned])?;
        // Of n · n values each n + 1st; a second axis of another length can't be reshaped so.
        let length = part(to, shape, (0, 1))?;
        let all = to.binary(Binary::Multiply, length, length)?;
        let rest = part(to, shape, (2, i64::MAX))?;
        let flat = reshaped(to, turned, &[all, rest])?;
        let (zero, one) = (to.numbers(vec![0]), to.numbers(vec![1]));
        let step = to.binary(Binary::Add, length, one)?;
        let places = to.add(Operation::Range, &[zero, all, step])?;
        let array = to.add(Operation::Take { axis: 0 }, &[flat, places])?;
        x = Lettered { array, letters };
    }
}

/// Reshaped to these lengths, one list after another.
fn reshaped<O: Operations>(to: &mut O, x: O::Array, lengths: &[O::Array]) -> Result<O::Array> {
    let shape = to.add(Operation::Concat { axis: 0 }, lengths)?;
    to.add(Operation::Reshape { zero_copies: false }, &[x, shape])
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
    let array = reshaped(to, product, &[first, last])?;
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
    reshaped(to, x, &lengths)
}
