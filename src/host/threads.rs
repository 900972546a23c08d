//! The threads that the CPU path computes on: rayon's, which fall back to the calling thread in a
//! web page.

use super::ONE_THREAD;
use crate::error::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::Arc;

/// More than any machine has; starting tens of thousands takes minutes.
const MOST_THREADS: usize = if ONE_THREAD { 1 } else { 1024 };

#[cfg(test)]
thread_local! {
    /// How often this thread took a lock or asked for other threads.
    pub(crate) static WAITS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The threads that a session computes on.
#[derive(Clone, Debug, Default)]
pub(crate) enum Threads {
    /// Those of the rayon pool that the call is made from: the global one, unless the caller has
    /// one of its own.
    #[default]
    Current,
    /// A pool of so many, once it is opened; one is the calling thread.
    Number(usize),
    Pool(Arc<ThreadPool>),
}

impl Threads {
    /// So many; 0 for those that are there.
    pub fn new(threads: usize) -> Threads {
        if threads == 0 { Threads::Current } else { Threads::Number(threads) }
    }

    /// Starts the pool.
    pub fn open(&self) -> Result<Threads> {
        match self {
            Threads::Number(threads) if *threads > MOST_THREADS => Err(Error::Limit {
                what: "the CPU path's pool".into(),
                needed: *threads as u64,
                limit: "threads",
                allowed: MOST_THREADS as u64,
                instead: "use 0 for as many as there are cores, or CpuOptions::thread_pool for a \
                          larger pool",
            }),
            Threads::Number(threads) if *threads > 1 => {
                let pool = ThreadPoolBuilder::new().num_threads(*threads).build();
                let pool = pool.map_err(|e| Error::OutOfMemory {
                    what: format!("a pool of {threads} threads: {e}"),
                })?;
                Ok(Threads::Pool(pool.into()))
            }
            known => Ok(known.clone()),
        }
    }

    pub fn count(&self) -> usize {
        match self {
            _ if ONE_THREAD => 1,
            Threads::Current => rayon::current_num_threads(),
            Threads::Number(threads) => *threads,
            Threads::Pool(pool) => pool.current_num_threads(),
        }
    }

    /// Runs `work` where its tasks find these threads.
    pub fn install(&self, work: impl FnOnce() + Send) {
        #[cfg(test)]
        WAITS.set(WAITS.get() + 1);
        match self {
            _ if ONE_THREAD => work(),
            Threads::Pool(pool) => pool.install(work),
            // Once into the pool, not at each of its tasks.
            Threads::Current => rayon::scope(|_| work()),
            Threads::Number(_) => work(),
        }
    }
}
