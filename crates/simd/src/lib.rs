//! Recurrences, and the products of other layers, in the vectors of every instruction set that a
//! processor may have: what the CPU path of [birnn](https://docs.rs/birnn) computes with. It is a
//! crate of its own because what is compiled for each instruction set takes long: nothing here is
//! generic for callers, and a change of birnn compiles none of it again.
//!
//! The way of the data: [`Packed`] lays the weights of a direction out once (`pack`).
//! [`Packed::run`] takes a [`Sequence`] from its first timestep to the last (`run`): it projects a
//! chunk of timesteps and then runs it `timestep` by `timestep`, whose parts threads share
//! (`parts`). What a thread does for a part is a `step`; what is particular to a cell stands in
//! `cells`. Both projections and steps are `matmul` and `activation`.
//!
//! What isn't recurrent has parts of it: a [`Kernel`] and its [`Product`]s for dense layers and
//! convolutions, what convolutions of 3 · 3 are made of ([`winograd`]), what becomes of the values
//! that a window holds (`held`), [`activate_all`], and normalizations ([`softmax`],
//! [`Normalizer`]).
//!
//! Every sum runs in the same order whatever the batch, the number of threads or the way that the
//! work is split: the results are equal to the bit.

// Not forbid, which refuses what ndarray's s! expands to.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod activation;
mod arch;
mod cells;
mod epilogue;
mod half;
mod held;
mod kernel;
mod lines;
mod matmul;
mod matrix;
mod normalize;
mod pack;
mod packed;
mod pages;
mod parts;
mod product_beside;
mod run;
mod sequence;
mod step;
mod timestep;
mod weights;
pub mod winograd;

pub use activation::activate_all;
pub use arch::Arch;
pub use held::{add, add_weighted, maximum};
pub use kernel::{Kernel, Product, Sums};
pub use normalize::{Normalizer, softmax};
pub use packed::Packed;
pub use parts::{Machine, ONE_THREAD};
pub use run::Scratch;
pub use sequence::{Output, Sequence};
pub use weights::Weights;

use pulp::{Simd, WithSimd};

/// The best instruction set that this machine has.
pub fn best_arch() -> Arch {
    Arch::new()
}

/// How many values a vector has.
pub fn lanes(arch: Arch) -> usize {
    arch.dispatch(Lanes)
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Every instruction set that this machine has, for tests.
#[cfg(not(target_arch = "wasm32"))]
pub fn each_arch() -> Vec<Arch> {
    #[cfg(target_arch = "x86_64")]
    let further = pulp::x86::V3::try_new().map(Arch::V3);
    #[cfg(not(target_arch = "x86_64"))]
    let further = None;
    [Arch::new(), Arch::Scalar].into_iter().chain(further).collect()
}

/// The one that the module is compiled with, for tests.
#[cfg(target_arch = "wasm32")]
pub fn each_arch() -> Vec<Arch> {
    vec![Arch::new()]
}
