//! The processor's cores as the CPU path uses them.

use crate::host::Threads;
use birnn_simd::Arch;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::sync::{Mutex, PoisonError};

/// Work below which threads cost more than they save, in multiplications and additions.
pub(super) const LEAST_WORK: usize = 500_000;

/// An instruction set and threads.
#[derive(Debug)]
pub(super) struct Cores {
    pub arch: Arch,
    pub threads: Threads,
}

impl Cores {
    /// How many threads share so much work.
    pub fn threads_for(&self, work: usize) -> usize {
        if work < LEAST_WORK { 1 } else { self.threads.count() }
    }

    /// Does each piece of so much work, in any order, on threads where it takes long enough.
    pub fn for_each<T: Send>(
        &self,
        work: usize,
        pieces: impl IntoIterator<Item = T>,
        run: impl Fn(T) + Sync + Send,
    ) {
        if self.threads_for(work) == 1 {
            return pieces.into_iter().for_each(run);
        }
        let pieces: Vec<T> = pieces.into_iter().collect();
        if pieces.len() < 2 {
            return pieces.into_iter().for_each(run);
        }
        self.threads.install(|| pieces.into_par_iter().for_each(run));
    }

    /// What becomes of each piece of so much work, in order.
    pub fn map<T: Send, R: Send>(
        &self,
        work: usize,
        pieces: Vec<T>,
        run: impl Fn(T) -> R + Sync + Send,
    ) -> Vec<R> {
        if self.threads_for(work) == 1 || pieces.len() < 2 {
            return pieces.into_iter().map(run).collect();
        }
        let mut results = Vec::new();
        self.threads.install(|| results = pieces.into_par_iter().map(run).collect());
        results
    }
}

/// How many threads have a place of their own in [`Reused`].
const PLACES: usize = 16;

/// Memory that threads take for a piece of work, kept for the next one. Each thread looks in a
/// place of its own, so that none waits for another.
#[derive(Debug, Default)]
pub(super) struct Reused<T>([Mutex<Vec<T>>; PLACES]);

impl<T: Default> Reused<T> {
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(test)]
        crate::host::WAITS.set(crate::host::WAITS.get() + 1);
        let place = &self.0[rayon::current_thread_index().unwrap_or(0) % PLACES];
        let lock = || place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = lock().pop().unwrap_or_default();
        let result = work(&mut taken);
        lock().push(taken);
        result
    }
}
