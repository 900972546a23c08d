use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayViewMut1, ArrayViewMut2, Axis, s};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, StandardNormal, Uniform};
use serde::{Deserialize, Serialize};

/// How [`Model::initialize`](crate::Model::initialize) draws a weight, by Keras's names. The random
/// numbers follow from the seed that it is given; they aren't those that Keras would draw from this
/// seed, which depend on Keras's backend.
///
/// `rows` and `columns` are those of a weight with two axes. Of the kernel of a convolution they
/// are multiplied by the length of its window, as in Keras: `rows` is what a filter reads,
/// `columns` the number of filters times the window. Of a weight with one axis both are its length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum Initializer {
    /// All values are 0: Keras's default for `bias`.
    Zeros,
    /// All values are 1.
    Ones,
    /// All values are this number.
    Constant(f32),
    /// A uniform distribution from -l to l, with l = √(6 / (rows + columns)): Keras's default for
    /// `kernel` (Glorot & Bengio 2010).
    GlorotUniform,
    /// A uniform distribution from -l to l, with l = √(6 / rows) (He et al. 2015).
    HeUniform,
    /// A uniform distribution from `min` to `max`.
    RandomUniform {
        /// The lower end of the range.
        min: f32,
        /// The upper end of the range.
        max: f32,
    },
    /// A normal distribution.
    RandomNormal {
        /// The mean.
        mean: f32,
        /// The standard deviation.
        stddev: f32,
    },
    /// A random matrix whose rows are orthonormal, or its columns where these are fewer: Keras's
    /// default for `recurrent_kernel` (Saxe et al. 2013). Of a weight with more than two axes all
    /// but the last are its rows.
    Orthogonal,
}

/// Rows that are made orthonormal at a time.
const ORTHOGONAL_BLOCK: usize = 64;

impl Initializer {
    /// A weight of `rows` × `columns`.
    pub(crate) fn sample(self, rows: usize, columns: usize, rng: &mut ChaCha12Rng) -> Array2<f32> {
        self.sample_with_fans((rows, columns), (rows, columns), rng)
    }

    /// A weight of this shape, that has so many inputs and outputs.
    pub(crate) fn sample_with_fans(
        self,
        shape: (usize, usize),
        (inputs, outputs): (usize, usize),
        rng: &mut ChaCha12Rng,
    ) -> Array2<f32> {
        match self {
            Initializer::Zeros => Array2::zeros(shape),
            Initializer::Ones => Array2::ones(shape),
            Initializer::Constant(value) => Array2::from_elem(shape, value),
            Initializer::GlorotUniform => {
                let fans = inputs.saturating_add(outputs);
                uniform(shape, (6.0 / fans as f32).sqrt(), rng)
            }
            Initializer::HeUniform => uniform(shape, (6.0 / inputs as f32).sqrt(), rng),
            Initializer::RandomUniform { min, max } => {
                uniform(shape, 1.0, rng).mapv_into(|v: f32| min + (v + 1.0) * 0.5 * (max - min))
            }
            Initializer::RandomNormal { mean, stddev } => {
                normal(shape, rng).mapv(|v| mean + stddev * v as f32)
            }
            Initializer::Orthogonal => orthogonal(shape.0, shape.1, rng),
        }
    }
}

fn uniform(shape: (usize, usize), limit: f32, rng: &mut ChaCha12Rng) -> Array2<f32> {
    match Uniform::new_inclusive(-limit, limit) {
        Ok(distribution) => Array2::from_shape_simple_fn(shape, || distribution.sample(rng)),
        Err(_) => Array2::zeros(shape), // only an empty weight has an infinite limit
    }
}

fn normal(shape: (usize, usize), rng: &mut ChaCha12Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn(shape, || StandardNormal.sample(rng))
}

/// Orthonormalises the rows of a random normal matrix (Gram-Schmidt, twice for full precision);
/// a matrix with more rows than columns is made transposed.
fn orthogonal(rows: usize, columns: usize, rng: &mut ChaCha12Rng) -> Array2<f32> {
    let mut matrix = normal((rows.min(columns), rows.max(columns)), rng);
    for first in (0..matrix.nrows()).step_by(ORTHOGONAL_BLOCK) {
        let (done, mut rest) = matrix.view_mut().split_at(Axis(0), first);
        let length = ORTHOGONAL_BLOCK.min(rest.nrows());
        let mut block = rest.slice_mut(s![..length, ..]);
        for _ in 0..2 {
            // Away from all rows before the block as matmuls, which are what makes it fast; then
            // within it.
            let overlaps = block.dot(&done.t());
            general_mat_mul(-1.0, &overlaps, &done, 1.0, &mut block);
            orthonormalise(&mut block);
        }
    }
    let matrix = matrix.mapv(|v| v as f32);
    if rows > columns { matrix.t().as_standard_layout().into_owned() } else { matrix }
}

fn orthonormalise(block: &mut ArrayViewMut2<f64>) {
    for row in 0..block.nrows() {
        let (done, mut rest) = block.view_mut().split_at(Axis(0), row);
        let mut current = rest.row_mut(0);
        for previous in done.rows() {
            let overlap = previous.dot(&current);
            current.scaled_add(-overlap, &previous);
        }
        normalise(&mut current);
    }
}

fn normalise(row: &mut ArrayViewMut1<f64>) {
    let norm = row.dot(row).sqrt();
    row.mapv_inplace(|v| v / norm);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn orthogonal_rows_or_columns_are_orthonormal() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        for (rows, columns) in [(5, 20), (20, 5), (7, 7), (1, 4), (130, 200)] {
            let m = Initializer::Orthogonal.sample(rows, columns, &mut rng);
            let product = if rows <= columns { m.dot(&m.t()) } else { m.t().dot(&m) };
            for ((i, j), v) in product.indexed_iter() {
                assert!((v - f32::from(i == j)).abs() < 1e-5, "{rows}x{columns}: {v} at {i},{j}");
            }
        }
    }

    #[test]
    fn glorot_uniform_fills_its_range() {
        let m = Initializer::GlorotUniform.sample(100, 100, &mut ChaCha12Rng::seed_from_u64(2));
        let limit = (6.0f32 / 200.0).sqrt();
        assert!(m.iter().all(|v| v.abs() <= limit));
        let variance = m.iter().map(|v| v * v).sum::<f32>() / m.len() as f32;
        assert!((variance / (limit * limit / 3.0) - 1.0).abs() < 0.05, "{variance}");
    }
}
