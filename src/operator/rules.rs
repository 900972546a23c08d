//! What every operator says of itself, and what their shapes are checked with.

/// The shapes of an operator's operands in order; `None` stands for an operand that isn't there.
pub(crate) type Shapes<'a> = [Option<&'a [usize]>];

/// What is known of an operator without running it.
pub(crate) trait Rules {
    /// Its name in messages and reports.
    fn name(&self) -> &'static str;

    /// The shapes of the arrays that it writes, or why it can't read operands of such shapes.
    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String>;

    /// What becomes of an axis of an operand; asked for only where `writes` succeeds.
    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along;

    /// Whether it reads an operand by its strides, in any order of its axes in memory, as fast as
    /// in C order. Others copy it first.
    fn follows_strides(&self, _operand: usize) -> bool {
        false
    }
}

/// How an operator goes along an axis of one of its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// Index by index, in any order: part of the axis gives the same part of this axis of what it
    /// writes.
    Independent(usize),
    /// One index after another, each from what came before: parts have to be computed in order.
    /// The axis comes out as this one, or not at all.
    InOrder(Option<usize>),
    /// Every value that it writes may need all of the axis.
    Whole,
}

/// The shape of an operand that has to be there.
pub(super) fn shape<'a>(reads: &Shapes<'a>, operand: usize) -> Result<&'a [usize], String> {
    let there = reads.get(operand).copied().flatten();
    there.ok_or_else(|| format!("its operand {operand} is missing"))
}

/// An operand that has to be there and of so many axes.
pub(super) fn axes<'a, const N: usize>(
    reads: &Shapes<'a>,
    operand: usize,
) -> Result<[usize; N], String> {
    let shape = shape(reads, operand)?;
    shape.try_into().map_err(|_| format!("its operand {operand} of {shape:?} has not {N} axes"))
}

/// That an operand, where it is there, has this shape.
pub(super) fn expect(reads: &Shapes, operand: usize, expected: &[usize]) -> Result<(), String> {
    match reads.get(operand).copied().flatten() {
        Some(found) if found != expected => {
            Err(format!("its operand {operand} is {found:?}, expected {expected:?}"))
        }
        _ => Ok(()),
    }
}

/// Every axis but the last by itself.
pub(super) fn vector_by_vector(axis: usize, reads: &Shapes) -> Along {
    let rank = reads.first().copied().flatten().map_or(0, <[usize]>::len);
    if axis + 1 < rank { Along::Independent(axis) } else { Along::Whole }
}

/// The shape that operands have together as numpy broadcasts them: their last axes are laid beside
/// each other, and an axis of length one is repeated.
pub(super) fn broadcast(reads: &Shapes) -> Result<Vec<usize>, String> {
    let mut together: Vec<usize> = Vec::new();
    for operand in 0..reads.len() {
        let other = shape(reads, operand)?;
        let missing = other.len().saturating_sub(together.len());
        together.splice(..0, std::iter::repeat_n(1, missing));
        let first = together.len() - other.len();
        for (axis, &length) in together[first..].iter_mut().zip(other) {
            *axis = match (*axis, length) {
                (1, length) | (length, 1) => length,
                (a, b) if a == b => a,
                (a, b) => return Err(format!("axes of length {a} and {b} are broadcast")),
            };
        }
    }
    Ok(together)
}

/// Operands that are broadcast, value by value: an axis that is repeated is needed whole.
pub(super) fn along_broadcast(operand: usize, axis: usize, reads: &Shapes) -> Along {
    let (Ok(x), Ok(together)) = (shape(reads, operand), broadcast(reads)) else {
        return Along::Whole;
    };
    let place = together.len() - x.len() + axis;
    if x[axis] == together[place] { Along::Independent(place) } else { Along::Whole }
}

/// The product of lengths, or the largest number where it is larger.
pub(crate) fn product(lengths: &[usize]) -> usize {
    lengths.iter().fold(1, |product, &length| product.saturating_mul(length))
}
