//! Products, convolutions and attention on random arrays of odd shapes and of shapes above the
//! kernels' tiles: the GPU and the CPU path against the reference in f64.

use super::operator_tests::{cases, check, narrower, probe, random, shape, windows};
use crate::layer::{Activation, Operand, Probe};
use crate::operator::*;
use ndarray::ArrayD;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng as Rng;

#[test]
fn products_of_computed_matrices() {
    cases(40, |rng| {
        let rank = rng.random_range(0..=4);
        let batch = shape(rng, rank);
        let [rows, k, columns] = [0; 3].map(|_: usize| rng.random_range(1..=11));
        let a = [&narrower(rng, &batch)[..], &[rows, k]].concat();
        let b = [&narrower(rng, &batch)[..], &[k, columns]].concat();
        let (a, b) = (random(rng, &a), random(rng, &b));
        let b = if rng.random_bool(0.3) { Operand::Constant(b) } else { Operand::Input(b) };
        probe(BatchedMatMul, [Operand::Input(a), b])
    });
}

/// Above the tiles of the kernels, and with rests.
#[test]
fn large_products_of_computed_matrices() {
    let mut rng = Rng::seed_from_u64(1);
    for [batch, rows, k, columns] in [[2, 70, 37, 67], [1, 64, 128, 32], [3, 5, 1, 9]] {
        let a = random(&mut rng, &[batch, rows, k]);
        let b = random(&mut rng, &[batch, k, columns]);
        check(probe(BatchedMatMul, [a, b].map(Operand::Input)));
    }
}

fn attention(rng: &mut Rng, score: Score, sizes: [usize; 6]) -> Probe {
    let [batch, heads, queries, keys, features, of_value] = sizes;
    let mut given = |shape: &[usize]| Operand::Input(random(rng, shape));
    let mut operands = vec![
        given(&[batch, queries, heads * features]),
        given(&[batch, keys, heads * features]),
        given(&[batch, keys, heads * of_value]),
    ];
    let scale = match score {
        Score::Dot => 1,
        Score::Concat => 2,
        Score::Additive => features,
    };
    // An additive scale is for each feature of one head.
    let has_scale = score == Score::Concat || heads == 1 || score == Score::Dot;
    let scale = Operand::Constant(random(rng, &[scale]));
    operands.push(if has_scale { scale } else { Operand::Missing });
    for length in [queries, keys, keys] {
        let counts = ArrayD::from_shape_simple_fn(vec![batch, length], || {
            f32::from(u8::from(rng.random_bool(0.8)))
        });
        let is_there = rng.random_bool(0.5);
        operands.push(if is_there { Operand::Input(counts) } else { Operand::Missing });
    }
    if rng.random_bool(0.6) {
        let mut axis = |length: usize| if rng.random_bool(0.4) { 1 } else { length };
        let shape = [batch, heads, queries, keys].map(&mut axis);
        operands.push(Operand::Input(random(rng, &shape)));
    }
    let all = [MaskedScore::Lowered, MaskedScore::Lowest, MaskedScore::Dropped];
    let masked_score = *all.choose(rng).unwrap();
    let causal = rng.random_bool(0.3);
    probe(Attention { heads, score, factor: 0.4, causal, masked_score }, operands)
}

#[test]
fn attention_with_masks_and_biases() {
    for score in [Score::Dot, Score::Concat, Score::Additive] {
        cases(25, |rng| {
            let sizes = [3, 4, 9, 9, 9, 9].map(|most| rng.random_range(1..=most));
            attention(rng, score, sizes)
        });
        let mut rng = Rng::seed_from_u64(1);
        for sizes in [[2, 4, 37, 70, 16, 32], [1, 3, 66, 33, 10, 6], [2, 1, 5, 130, 65, 3]] {
            check(attention(&mut rng, score, sizes));
        }
    }
}

#[test]
fn convolutions() {
    cases(80, |rng| {
        let axes = rng.random_range(1..=2);
        let spread = if rng.random_bool(0.5) { 1 } else { rng.random_range(2..=3) };
        let (windows, lengths): (Vec<_>, Vec<_>) = (0..axes).map(|_| windows(rng, spread)).unzip();
        let groups = [1, 1, 2, 3][rng.random_range(0..4)];
        let of_group = rng.random_range(1..=5);
        let filters = groups * 2 * rng.random_range(1..=4);
        let batch = rng.random_range(1..=3);
        let x = [&[batch], &lengths[..], &[of_group * groups]].concat();
        let sizes: Vec<_> = windows.iter().map(|windows| windows.size).collect();
        let kernel = [&sizes[..], &[of_group, filters]].concat();
        let activations =
            [Activation::Linear, Activation::Tanh, Activation::Softmax, Activation::Glu];
        let activation = *activations.choose(rng).unwrap();
        let bias = match rng.random_bool(0.7) {
            true => Operand::Constant(random(rng, &[filters])),
            false => Operand::Missing,
        };
        let (x, kernel) = (random(rng, &x), random(rng, &kernel));
        let operands = [Operand::Input(x), Operand::Constant(kernel), bias];
        probe(Convolution { windows, groups, activation }, operands)
    });
}

/// Of features that each have a filter of their own, or several.
#[test]
fn convolutions_of_each_feature() {
    cases(12, |rng| {
        let axes = rng.random_range(1..=2);
        let (windows, lengths): (Vec<_>, Vec<_>) = (0..axes).map(|_| windows(rng, 1)).unzip();
        let (groups, each) = (rng.random_range(2..=9), rng.random_range(1..=5));
        let x = random(rng, &[&[2], &lengths[..], &[groups]].concat());
        let sizes: Vec<_> = windows.iter().map(|windows| windows.size).collect();
        let kernel = random(rng, &[&sizes[..], &[1, groups * each]].concat());
        let operands = [Operand::Input(x), Operand::Constant(kernel)];
        probe(Convolution { windows, groups, activation: Activation::Linear }, operands)
    });
}
