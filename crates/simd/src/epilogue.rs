//! What the epilogues of all cells are made of.

use crate::activation::{activate_vectors, clip};
use crate::reader::Reader;
use pulp::Simd;

impl Reader {
    /// Gates from their sums, which some of the vectors of each row are.
    #[inline(always)]
    pub fn gates<S: Simd, const V: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; V]],
        which: &[usize],
    ) {
        self.clip(simd, sums, which);
        activate_vectors(simd, self.recurrent_activation, sums, which);
    }

    /// Candidates from their sums.
    #[inline(always)]
    pub fn candidates<S: Simd, const V: usize>(
        &self,
        simd: S,
        sums: &mut [[S::f32s; V]],
        which: &[usize],
    ) {
        self.clip(simd, sums, which);
        activate_vectors(simd, self.activation, sums, which);
    }

    #[inline(always)]
    fn clip<S: Simd, const V: usize>(&self, simd: S, sums: &mut [[S::f32s; V]], which: &[usize]) {
        let Some(limit) = self.cell.options.clip.map(f32::from) else { return };
        for sums in sums {
            for &vector in which {
                sums[vector] = clip(simd, sums[vector], -limit, limit);
            }
        }
    }
}

/// `gate ⊙ kept + (1 - gate) ⊙ other`
#[inline(always)]
pub(crate) fn blend<S: Simd>(simd: S, gate: S::f32s, kept: S::f32s, other: S::f32s) -> S::f32s {
    let rest = simd.mul_f32s(simd.sub_f32s(simd.splat_f32s(1.0), gate), other);
    simd.mul_add_e_f32s(gate, kept, rest)
}
