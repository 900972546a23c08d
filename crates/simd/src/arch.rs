//! The instructions that are computed with.

#[cfg(not(target_arch = "wasm32"))]
pub use pulp::Arch;
#[cfg(target_arch = "wasm32")]
pub use wasm::Arch;

#[cfg(target_arch = "wasm32")]
mod wasm {
    #[cfg(feature = "relaxed-simd")]
    use pulp::wasm::{RelaxedSimd as Vectors, enable_relaxed_simd as enable};
    #[cfg(not(feature = "relaxed-simd"))]
    use pulp::wasm::{Simd128 as Vectors, enable_simd128 as enable};
    use pulp::{Simd, WithSimd};

    /// The vectors that the module is compiled with. An engine without them refuses all of it, so
    /// that nothing is compiled for another, as pulp's own `Arch` would have it: a page waits for
    /// every byte.
    #[derive(Clone, Copy, Debug)]
    pub struct Arch(Vectors);

    impl Arch {
        /// Where this runs, they are there.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Arch {
            enable();
            match Vectors::try_new() {
                Some(vectors) => Arch(vectors),
                None => unreachable!("the vectors of the module aren't there"),
            }
        }

        /// Computes with them.
        #[inline(always)]
        pub fn dispatch<O: WithSimd>(self, work: O) -> O::Output {
            Simd::vectorize(self.0, work)
        }
    }
}
