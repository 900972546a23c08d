//! What every operator says of itself, and what their shapes are checked with.

/// The shapes of an operator's operands in order; `None` stands for an operand that isn't there.
pub(crate) type Shapes<'a> = [Option<&'a [usize]>];

/// What is known of an operator without running it.
pub(crate) trait Rules {
    /// Its name in messages and reports.
    fn name(&self) -> &'static str;

    /// The shapes of the arrays that it writes, or why it can't read operands of such shapes.
    fn writes(&self, reads: &Shapes) -> Result<Vec<Vec<usize>>, String>;

    /// What becomes of an axis of an operand that depends on the batch; asked for only where
    /// `writes` succeeds.
    fn along(&self, operand: usize, axis: usize, reads: &Shapes) -> Along;
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
