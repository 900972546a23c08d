//! Cutting the panels of a matrix into parts, which threads share.

use pulp::Arch;
use std::ops::Range;

/// How a sequence uses the machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// Its instruction set.
    pub arch: Arch,
    /// The threads that a sequence has, each with its share of the units.
    pub shares: usize,
    /// In how many parts a share is computed, of which threads that are idle take some.
    pub parts: usize,
}

impl Machine {
    /// The parts of all shares.
    pub fn all_parts(&self) -> usize {
        self.shares * self.parts
    }

    /// Cuts panels into them, or fewer where there are fewer panels.
    pub(crate) fn cut(&self, panels: usize) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let parts = self.all_parts().clamp(1, panels);
        (0..parts).map(move |part| part * panels / parts..(part + 1) * panels / parts)
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

/// Runs all of them, but for those that idle threads take, in their order: of each share of `back`
/// of them, if that is given, from the last to the first.
pub(crate) fn each<T: FnOnce() + Send>(mut tasks: impl Iterator<Item = T>, back: Option<usize>) {
    match (tasks.next(), tasks.next()) {
        (Some(only), None) => only(),
        (first, second) => {
            let mut all: Vec<_> = [first, second].into_iter().chain(tasks.map(Some)).collect();
            if let Some(share) = back {
                all.chunks_mut(share).for_each(<[_]>::reverse);
            }
            halves(&mut all);
        }
    }
}

/// The second half is there for the taking while this thread is at the first.
fn halves<T: FnOnce() + Send>(tasks: &mut [Option<T>]) {
    match tasks {
        [] => {}
        [task] => task.take().into_iter().for_each(|task| task()),
        _ => {
            let (first, second) = tasks.split_at_mut(tasks.len().div_ceil(2));
            rayon::join(|| halves(first), || halves(second));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_runs_once_and_in_the_order_of_its_share() {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let run = |threads, parts: usize, back| {
            let ran = std::sync::Mutex::new(Vec::new());
            let tasks: Vec<_> = (0..parts).map(|part| (part, &ran)).collect();
            let tasks = tasks.into_iter().map(|(part, ran)| move || ran.lock().unwrap().push(part));
            pool(threads).install(|| each(tasks, back));
            ran.into_inner().unwrap()
        };
        for parts in 0..12 {
            assert!(run(1, parts, None).into_iter().eq(0..parts));
            for threads in [2, 3] {
                let mut ran = run(threads, parts, Some(3));
                ran.sort_unstable();
                assert!(ran.into_iter().eq(0..parts));
            }
        }
        assert_eq!(run(1, 8, Some(8)), [7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(run(1, 8, Some(4)), [3, 2, 1, 0, 7, 6, 5, 4]);
    }
}
