//! Memory of arrays that a call is done with, for those that are still to come: of new memory the
//! system clears each page when it is first touched, which takes longer than most steps do.

use ndarray::{Array, Dimension};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Arrays of fewer values, 128 KiB, are left to the allocator, which keeps their memory.
const LEAST: usize = 32 << 10;

/// The values that are kept at most, 256 MiB: a call of many steps may be done with far more than
/// it has at a time.
const MOST: usize = 64 << 20;

/// What calls are done with; what a call doesn't take goes when it ends.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Vec<Piece>>);

#[derive(Debug)]
struct Piece {
    values: Vec<f32>,
    /// It was there before this call.
    is_old: bool,
}

impl Memory {
    /// So many zeros.
    pub fn zeros(&self, count: usize) -> Vec<f32> {
        match self.find(count) {
            Some(mut values) => {
                values.clear();
                values.resize(count, 0.0);
                values
            }
            None => vec![0.0; count],
        }
    }

    /// An array of zeros.
    pub fn array<D: Dimension>(&self, shape: D) -> Array<f32, D> {
        let values = self.zeros(shape.size());
        Array::from_shape_vec(shape.clone(), values).unwrap_or_else(|_| Array::zeros(shape))
    }

    /// The smallest piece that has room for so many values, and not for far more.
    fn find(&self, count: usize) -> Option<Vec<f32>> {
        if 2 * count < LEAST {
            return None;
        }
        let mut pieces = self.pieces();
        let fits = |piece: &&Piece| (count..=2 * count).contains(&piece.values.capacity());
        let best = pieces.iter().filter(fits).map(|piece| piece.values.capacity()).min()?;
        let place = pieces.iter().position(|piece| piece.values.capacity() == best)?;
        Some(pieces.swap_remove(place).values)
    }

    /// Takes the memory of an array, if there is not too much by now.
    pub fn give(&self, values: Vec<f32>) {
        if values.capacity() < LEAST {
            return;
        }
        let mut pieces = self.pieces();
        let kept: usize = pieces.iter().map(|piece| piece.values.capacity()).sum();
        if kept.saturating_add(values.capacity()) <= MOST {
            pieces.push(Piece { values, is_old: false });
        }
    }

    /// Lets go of what the call that ends didn't take: another one like it won't, either.
    pub fn end_call(&self) {
        let mut pieces = self.pieces();
        pieces.retain(|piece| !piece.is_old);
        pieces.iter_mut().for_each(|piece| piece.is_old = true);
    }

    fn pieces(&self) -> MutexGuard<'_, Vec<Piece>> {
        #[cfg(test)]
        crate::host::WAITS.set(crate::host::WAITS.get() + 1);
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_serves_what_fits_and_goes_when_nobody_takes_it() {
        let memory = Memory::default();
        let kept = |memory: &Memory| memory.0.lock().unwrap().len();
        memory.give(vec![1.0; LEAST - 1]);
        assert_eq!(kept(&memory), 0, "too few values");
        memory.give(vec![1.0; 3 * LEAST]);
        memory.give(vec![2.0; 2 * LEAST]);
        let place = |values: &Vec<f32>| values.as_ptr();
        let smaller = place(&memory.0.lock().unwrap()[1].values);
        assert_eq!(memory.zeros(LEAST - 1), vec![0.0; LEAST - 1], "none is small enough");
        let taken = memory.zeros(2 * LEAST - 5);
        assert_eq!((taken.len(), place(&taken)), (2 * LEAST - 5, smaller));
        assert!(taken.iter().all(|&value| value == 0.0));
        assert_eq!(memory.zeros(4 * LEAST).len(), 4 * LEAST, "none is large enough");
        assert_eq!(kept(&memory), 1);
        memory.give(taken);
        memory.end_call();
        assert_eq!(kept(&memory), 2);
        let taken = memory.zeros(2 * LEAST);
        memory.give(taken);
        memory.end_call();
        assert_eq!(kept(&memory), 1, "the larger one wasn't taken");
        // Never written: no pages.
        let many = || Vec::with_capacity(MOST / 2);
        memory.give(many());
        memory.give(many());
        assert_eq!(kept(&memory), 2, "too much");
    }
}
