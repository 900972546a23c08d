//! Cutting the panels of a matrix into parts, which threads share.

use crate::arch::Arch;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Whether there is the calling thread alone, so that nothing that shares work is compiled: in a
/// web page, unless the module has atomics and its user starts rayon's threads.
pub const ONE_THREAD: bool = cfg!(all(target_arch = "wasm32", not(target_feature = "atomics")));

/// How a sequence uses the machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Its instruction set.
    pub arch: Arch,
    /// The threads that a sequence has, each with its part of the units.
    pub shares: usize,
}

/// Who computes the parts of a timestep.
pub(crate) trait Crew: Copy {
    /// In how many parts.
    fn parts(self) -> usize;

    /// Does all of the work, a piece for each part.
    fn for_each<W: WithSimd<Output = ()> + Send>(self, work: impl Iterator<Item = W>);

    /// Cuts panels into the parts, or fewer where there are fewer panels.
    fn cut(self, panels: usize) -> impl Iterator<Item = Range<usize>> + Clone {
        let parts = self.parts().clamp(1, panels);
        (0..parts).map(move |part| part * panels / parts..(part + 1) * panels / parts)
    }
}

/// Threads, each of which calls code for its instruction set.
impl Crew for Machine {
    fn parts(self) -> usize {
        self.shares
    }

    fn for_each<W: WithSimd<Output = ()> + Send>(self, mut work: impl Iterator<Item = W>) {
        let arch = self.arch;
        if ONE_THREAD {
            return work.for_each(|work| arch.dispatch(work));
        }
        match (work.next(), work.next()) {
            (Some(only), None) => arch.dispatch(only),
            (first, second) => {
                let all = [first, second].into_iter().chain(work.map(Some));
                halves(&mut all.collect::<Vec<_>>(), |work| arch.dispatch(work));
            }
        }
    }
}

/// Code that runs for an instruction set already, alone: of few units a timestep takes less than
/// the calls that lead to it.
#[derive(Clone, Copy)]
pub(crate) struct Alone<S>(pub S);

impl<S: Simd> Crew for Alone<S> {
    fn parts(self) -> usize {
        1
    }

    #[inline(always)]
    fn for_each<W: WithSimd<Output = ()> + Send>(self, work: impl Iterator<Item = W>) {
        for work in work {
            work.with_simd(self.0);
        }
    }
}

/// The pieces of an array that belong to the parts; empty ones of an empty array.
pub(crate) fn split(
    array: &mut [f32],
    parts: impl Iterator<Item = Range<usize>>,
    a_panel: usize,
) -> impl Iterator<Item = &mut [f32]> {
    let mut rest = array;
    parts.map(move |part| {
        let values = (part.len() * a_panel).min(rest.len());
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(values);
        rest = after;
        piece
    })
}

/// The second half is there for the taking while this thread is at the first.
fn halves<T: Send>(work: &mut [Option<T>], run: impl Fn(T) + Copy + Sync + Send) {
    match work {
        [] => {}
        [work] => work.take().into_iter().for_each(run),
        _ => {
            let (first, second) = work.split_at_mut(work.len().div_ceil(2));
            rayon::join(|| halves(first, run), || halves(second, run));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Part<'a>(usize, &'a std::sync::Mutex<Vec<usize>>);

    impl WithSimd for Part<'_> {
        type Output = ();

        fn with_simd<S: Simd>(self, _: S) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    #[test]
    #[cfg_attr(target_arch = "wasm32", ignore = "there is one thread")]
    fn every_part_runs_once() {
        for threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for parts in 0..12 {
                let ran = std::sync::Mutex::new(Vec::new());
                let machine = Machine { arch: Arch::new(), shares: parts };
                pool.install(|| machine.for_each((0..parts).map(|part| Part(part, &ran))));
                let mut ran = ran.into_inner().unwrap();
                ran.sort_unstable();
                assert!(ran.into_iter().eq(0..parts));
            }
        }
    }

    #[test]
    fn panels_are_cut_into_parts_without_a_gap() {
        for (shares, panels) in [(1, 1), (2, 1), (3, 7), (4, 4), (5, 16)] {
            let parts: Vec<_> = Machine { arch: Arch::new(), shares }.cut(panels).collect();
            assert!(parts.iter().cloned().flatten().eq(0..panels));
            assert_eq!(parts.len(), shares.min(panels));
        }
    }
}
