//! Convolutions with windows of 3 · 3 by fewer multiplications, after Winograd (1980), as Lavin and
//! Gray (2015) apply it: tiles of 4 · 4 values give 2 · 2 windows each by 16 products in place
//! of 36. Of a line of a tile, d₀ … d₃, and of a kernel, g₀ … g₂:
//!
//! ```text
//! m₀ = (d₀ - d₂) g₀                  m₁ = (d₁ + d₂) (g₀ + g₁ + g₂) / 2
//! m₂ = (d₂ - d₁) (g₀ - g₁ + g₂) / 2  m₃ = (d₁ - d₃) g₂
//! y₀ = m₀ + m₁ + m₂                  y₁ = m₁ - m₂ - m₃
//! ```
//!
//! down and across. Every window is made of the values that it holds alone.

use crate::Arch;
use crate::kernel::Sums;
use pulp::{Simd, WithSimd};

/// Values of a tile, and its products.
pub const PRODUCTS: usize = 16;

/// The product whose sums are in all four windows of a tile with the factor 1: who starts it with a
/// bias adds the bias to all of them.
pub const IN_EACH_WINDOW: usize = 5;

/// What the kernel of a product of a tile is made of the kernel of a window, `[down][across]`: a
/// factor for each of its values.
pub fn kernel_factors(product: usize) -> [[f64; 3]; 3] {
    const FACTORS: [[f64; 3]; 4] =
        [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
    let (down, across) = (FACTORS[product / 4], FACTORS[product % 4]);
    down.map(|down| across.map(|across| down * across))
}

/// What is multiplied with the kernels, of some features: of the values of a tile, line by line, a
/// row for each product. All have as many values.
pub fn of_tile(arch: Arch, held: &[&[f32]; PRODUCTS], rows: &mut [&mut [f32]; PRODUCTS]) {
    arch.dispatch(OfTile { held, rows });
}

/// Makes of the sums of the products those of the windows, line by line, in the places of the first
/// four. Returns whether all are finite.
pub fn windows_of_sums(arch: Arch, sums: &mut [Sums; PRODUCTS]) -> bool {
    arch.dispatch(WindowsOfSums(sums))
}

/// Of four lines, or of four values of a line.
#[inline(always)]
fn of_line<S: Simd>(simd: S, d: [S::f32s; 4]) -> [S::f32s; 4] {
    [
        simd.sub_f32s(d[0], d[2]),
        simd.add_f32s(d[1], d[2]),
        simd.sub_f32s(d[2], d[1]),
        simd.sub_f32s(d[1], d[3]),
    ]
}

#[inline(always)]
fn windows_of_line<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 2] {
    [simd.add_f32s(simd.add_f32s(m[0], m[1]), m[2]), simd.sub_f32s(simd.sub_f32s(m[1], m[2]), m[3])]
}

/// Down, then across.
#[inline(always)]
fn of_values<S: Simd>(simd: S, d: [[S::f32s; 4]; 4]) -> [[S::f32s; 4]; 4] {
    let mut products = d;
    for column in 0..4 {
        let down = of_line(simd, [d[0][column], d[1][column], d[2][column], d[3][column]]);
        for line in 0..4 {
            products[line][column] = down[line];
        }
    }
    for line in &mut products {
        *line = of_line(simd, *line);
    }
    products
}

/// Across, then down.
#[inline(always)]
fn windows_of_values<S: Simd>(simd: S, m: [[S::f32s; 4]; 4]) -> [[S::f32s; 2]; 2] {
    let mut across = [[m[0][0]; 2]; 4];
    for line in 0..4 {
        across[line] = windows_of_line(simd, m[line]);
    }
    let mut windows = [[m[0][0]; 2]; 2];
    for column in 0..2 {
        let a = &across;
        let lines = [a[0][column], a[1][column], a[2][column], a[3][column]];
        let down = windows_of_line(simd, lines);
        for line in 0..2 {
            windows[line][column] = down[line];
        }
    }
    windows
}

struct OfTile<'a, 'h, 'r> {
    held: &'a [&'h [f32]; PRODUCTS],
    rows: &'a mut [&'r mut [f32]; PRODUCTS],
}

impl WithSimd for OfTile<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let OfTile { held, rows } = self;
        let count = held[0].len();
        let (vectors, rest) = (count / S::F32_LANES, count % S::F32_LANES);
        let zero = simd.splat_f32s(0.0);
        let mut values: [&[S::f32s]; PRODUCTS] = [&[]; PRODUCTS];
        for (values, held) in values.iter_mut().zip(held) {
            *values = &S::as_simd_f32s(held).0[..vectors];
        }
        let mut to: [&mut [S::f32s]; PRODUCTS] = Default::default();
        let mut last: [&mut [f32]; PRODUCTS] = Default::default();
        for ((to, last), row) in to.iter_mut().zip(&mut last).zip(rows) {
            let (whole, behind) = S::as_mut_simd_f32s(row);
            (*to, *last) = (&mut whole[..vectors], behind);
        }
        for vector in 0..vectors {
            let mut d = [[zero; 4]; 4];
            for place in 0..PRODUCTS {
                d[place / 4][place % 4] = values[place][vector];
            }
            let products = of_values(simd, d);
            for place in 0..PRODUCTS {
                to[place][vector] = products[place / 4][place % 4];
            }
        }
        if rest == 0 {
            return;
        }
        let mut d = [[zero; 4]; 4];
        for place in 0..PRODUCTS {
            let lanes = std::slice::from_mut(&mut d[place / 4][place % 4]);
            let lanes: &mut [f32] = bytemuck::cast_slice_mut(lanes);
            lanes[..rest].copy_from_slice(&held[place][count - rest..]);
        }
        let products = of_values(simd, d);
        for place in 0..PRODUCTS {
            let lanes = std::slice::from_ref(&products[place / 4][place % 4]);
            let lanes: &[f32] = bytemuck::cast_slice(lanes);
            last[place][..rest].copy_from_slice(&lanes[..rest]);
        }
    }
}

struct WindowsOfSums<'a>(&'a mut [Sums; PRODUCTS]);

impl WithSimd for WindowsOfSums<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let zero = simd.splat_f32s(0.0);
        let (windows, others) = self.0.split_at_mut(4);
        let mut first: [&mut [S::f32s]; 4] = Default::default();
        for (first, sums) in first.iter_mut().zip(windows) {
            *first = S::as_mut_simd_f32s(sums.values_mut()).0;
        }
        let vectors = first[0].len();
        let mut rest: [&[S::f32s]; PRODUCTS - 4] = [&[]; PRODUCTS - 4];
        for (rest, sums) in rest.iter_mut().zip(others.iter()) {
            *rest = &S::as_simd_f32s(sums.values()).0[..vectors];
        }
        // Of what isn't finite the difference with itself is NaN, and stays so.
        let mut off = zero;
        for vector in 0..vectors {
            let mut m = [[zero; 4]; 4];
            for place in 0..4 {
                m[0][place] = first[place][vector];
            }
            for place in 0..PRODUCTS - 4 {
                m[1 + place / 4][place % 4] = rest[place][vector];
            }
            let windows = windows_of_values(simd, m);
            for place in 0..4 {
                let window = windows[place / 2][place % 2];
                off = simd.add_f32s(off, simd.sub_f32s(window, window));
                first[place][vector] = window;
            }
        }
        let lanes: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&off));
        lanes.iter().all(|value| *value == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernel, Product, each_arch, lanes};
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha12Rng;

    /// Tiles with a kernel `[3][3][feature][column]`, against sums in f64.
    #[test]
    fn tiles_give_what_windows_hold() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for (tiles, features, columns) in [(1, 1, 1), (7, 5, 70), (13, 40, 33), (3, 130, 128)] {
            let mut random = |count: usize| -> Vec<f32> {
                (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
            };
            // [tile][value][feature]
            let values = random(tiles * PRODUCTS * features);
            let kernel = random(9 * features * columns);
            let bias = random(columns);
            let weight = |down: usize, across: usize, feature: usize, column: usize| {
                f64::from(kernel[((down * 3 + across) * features + feature) * columns + column])
            };
            let tile = |tile: usize, value: usize| {
                &values[(tile * PRODUCTS + value) * features..][..features]
            };
            for arch in each_arch() {
                let mut rows = vec![vec![0.0; tiles * features]; PRODUCTS];
                for number in 0..tiles {
                    let held: [&[f32]; PRODUCTS] = std::array::from_fn(|value| tile(number, value));
                    let own = number * features..(number + 1) * features;
                    let mut rows = rows.iter_mut().map(|row| &mut row[own.clone()]);
                    let mut rows: [&mut [f32]; PRODUCTS] =
                        std::array::from_fn(|_| rows.next().unwrap());
                    of_tile(arch, &held, &mut rows);
                }
                let mut sums: [Sums; PRODUCTS] = Default::default();
                let kernels: Vec<Kernel> = (0..PRODUCTS)
                    .map(|product| {
                        let factors = kernel_factors(product);
                        let of_product = Array2::from_shape_fn((features, columns), |(f, c)| {
                            let of = |i: usize| factors[i / 3][i % 3] * weight(i / 3, i % 3, f, c);
                            (0..9).map(of).sum::<f64>() as f32
                        });
                        Kernel::new(of_product.view(), lanes(arch))
                    })
                    .collect();
                let product = |number: usize| {
                    let kernel = &kernels[number];
                    Product { kernel, panels: 0..kernel.panels(), rows: tiles }
                };
                for (number, sums) in sums.iter_mut().enumerate() {
                    let product = product(number);
                    product.start((number == IN_EACH_WINDOW).then_some(&bias), sums);
                    let rows: Vec<&[f32]> = rows[number].chunks_exact(features).collect();
                    product.add(arch, 0..features, &rows, sums);
                }
                assert!(windows_of_sums(arch, &mut sums));
                for (window, sums) in sums[..4].iter_mut().enumerate() {
                    product(0).each_row(sums, |number, own, sums| {
                        for (column, &found) in own.zip(&sums[..]) {
                            let held = |i: usize| {
                                let (down, across) = (i / 3 + window / 2, i % 3 + window % 2);
                                tile(number, down * 4 + across)
                            };
                            let exact = (0..9 * features).map(|at| {
                                let (i, feature) = (at / features, at % features);
                                weight(i / 3, i % 3, feature, column) * f64::from(held(i)[feature])
                            });
                            let exact = exact.sum::<f64>() + f64::from(bias[column]);
                            let far = (f64::from(found) - exact).abs();
                            assert!(far < 1e-6 * (features + 4) as f64, "{far} off of {exact}");
                        }
                    });
                }
                for strange in [f32::NAN, f32::INFINITY] {
                    sums[3].values_mut()[0] = strange;
                    assert!(!windows_of_sums(arch, &mut sums));
                }
            }
        }
    }
}
