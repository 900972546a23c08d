//! Functions of two arrays, value by value, of which one may be repeated.

use super::cores::Cores;
use crate::operator::BinaryFunction;

/// Values that a thread takes at a time: they stay in a second-level cache.
const PIECE: usize = 1 << 15;

/// How an operand is repeated to the shape of what is written: each of its values so often, and
/// then all of it again.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Repeated {
    values: usize,
    each: usize,
}

impl Repeated {
    /// `None`: it is repeated in another way.
    fn new(operand: &[usize], shape: &[usize]) -> Option<Repeated> {
        let missing = shape.len() - operand.len();
        let repeated = |axis: usize| axis < missing || operand[axis - missing] != shape[axis];
        // Axes of length one are repeated or not, as it fits.
        let longer: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        let behind = longer.iter().rev().take_while(|&&axis| repeated(axis)).count();
        let inside = longer[..longer.len() - behind].iter().rev();
        let inside = inside.take_while(|&&axis| !repeated(axis)).count();
        let before = &longer[..longer.len() - behind - inside];
        let each = longer[longer.len() - behind..].iter().map(|&axis| shape[axis]).product();
        let values = operand.iter().product();
        before.iter().all(|&axis| repeated(axis)).then_some(Repeated { values, each })
    }
}

/// A function of an operand as long as what is written, and of another one.
pub(super) struct Pair<'a> {
    function: BinaryFunction,
    whole: &'a [f32],
    other: &'a [f32],
    of_other: Repeated,
    /// Whether the other one comes first.
    turned: bool,
}

impl<'a> Pair<'a> {
    /// Of operands with their shapes. `None`: they take other code.
    pub fn new(
        function: BinaryFunction,
        [(a, a_shape), (b, b_shape)]: [(&'a [f32], &[usize]); 2],
        shape: &[usize],
    ) -> Option<Pair<'a>> {
        use BinaryFunction::{Add, Divide, Multiply, Power, Subtract};
        let count: usize = shape.iter().product();
        let is_square = function == Power && a.len() == count && b == [2.0];
        let has_loop = is_square || matches!(function, Add | Subtract | Multiply | Divide);
        match (a.len() == count, b.len() == count) {
            _ if !has_loop => None,
            (true, _) => {
                let of_other = Repeated::new(b_shape, shape)?;
                Some(Pair { function, whole: a, other: b, of_other, turned: false })
            }
            (_, true) => {
                let of_other = Repeated::new(a_shape, shape)?;
                Some(Pair { function, whole: b, other: a, of_other, turned: true })
            }
            _ => None,
        }
    }

    pub fn apply(&self, cores: &Cores, to: &mut [f32]) {
        match self.function {
            BinaryFunction::Subtract => self.run(cores, to, |a, b| a - b),
            BinaryFunction::Multiply => self.run(cores, to, |a, b| a * b),
            BinaryFunction::Divide => self.run(cores, to, |a, b| a / b),
            BinaryFunction::Power => self.run(cores, to, |a, _| a * a),
            _ => self.run(cores, to, |a, b| a + b), // `new` takes no others
        }
    }

    fn run(
        &self,
        cores: &Cores,
        to: &mut [f32],
        of: impl Fn(f32, f32) -> f32 + Copy + Sync + Send,
    ) {
        match self.turned {
            false => self.rows(cores, to, of),
            true => self.rows(cores, to, |a, b| of(b, a)),
        }
    }

    /// Row by row, of which each has all of the other operand, or one of its values.
    fn rows(
        &self,
        cores: &Cores,
        to: &mut [f32],
        of: impl Fn(f32, f32) -> f32 + Copy + Sync + Send,
    ) {
        let Repeated { values, each } = self.of_other;
        let is_one = values == 1 || each > 1;
        let row = if values == 1 {
            to.len()
        } else if each > 1 {
            each
        } else {
            values
        };
        // A long row is cut where it has one value or stands alone.
        let cut = row > PIECE && (values == 1 || row == to.len());
        let piece = if cut { PIECE } else { row * (PIECE / row).max(1) };
        let pieces = to.chunks_mut(piece).zip(self.whole.chunks(piece)).enumerate();
        let work = self.whole.len();
        cores.for_each(work, pieces, |(index, (to, whole))| {
            if cut && !is_one {
                return zip(to, whole, &self.other[index * piece..], of);
            }
            let first = index * piece / row;
            for (at, (to, whole)) in to.chunks_mut(row).zip(whole.chunks(row)).enumerate() {
                if is_one {
                    let value = self.other[(first + at) % values];
                    zip(to, whole, whole, |a, _| of(a, value));
                } else {
                    zip(to, whole, self.other, of);
                }
            }
        });
    }
}

fn zip(to: &mut [f32], a: &[f32], b: &[f32], of: impl Fn(f32, f32) -> f32) {
    to.iter_mut().zip(a).zip(b).for_each(|((to, &a), &b)| *to = of(a, b));
}

/// `to = x · scale + shift`, of a scale and a shift for each feature.
pub(super) fn affine(cores: &Cores, x: &[f32], [scale, shift]: [&[f32]; 2], to: &mut [f32]) {
    let row = scale.len();
    let piece = row * (PIECE / row).max(1);
    let pieces = to.chunks_mut(piece).zip(x.chunks(piece));
    cores.for_each(x.len(), pieces, |(to, x)| {
        for (to, x) in to.chunks_exact_mut(row).zip(x.chunks_exact(row)) {
            let weights = scale.iter().zip(shift);
            let values = to.iter_mut().zip(x).zip(weights);
            values.for_each(|((to, x), (scale, shift))| *to = x * scale + shift);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_repeated_as_numpy_does() {
        let shape = [2, 3, 4];
        let of = |operand: &[usize]| Repeated::new(operand, &shape).map(|r| (r.values, r.each));
        assert_eq!(of(&[2, 3, 4]), Some((24, 1)));
        assert_eq!(of(&[4]), Some((4, 1)));
        assert_eq!(of(&[1, 3, 4]), Some((12, 1)));
        assert_eq!(of(&[3, 1]), Some((3, 4)));
        assert_eq!(of(&[2, 1, 1]), Some((2, 12)));
        assert_eq!(of(&[1]), Some((1, 24)));
        assert_eq!(of(&[]), Some((1, 24)));
        assert_eq!(of(&[2, 1, 4]), None);
        assert_eq!(Repeated::new(&[1, 4], &[3, 1, 4]), Some(Repeated { values: 4, each: 1 }));
    }
}
