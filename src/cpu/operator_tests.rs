//! The CPU path's own code for operators against the reference in f64, at sizes above those of its
//! tiles and pieces, on every instruction set and on threads.

use super::*;
use crate::layer::{Activation, Dense, Embedding, Layer, Lstm, Operand, Permute, Probe, Reshape};
use crate::model::{Graph, Inputs};
use crate::operator::{
    Activate, Affine, Attention, BatchedMatMul, Binary, BinaryFunction, Concat, Convolution,
    MaskedScore, MatMul, Normalization, Normalize, Operator, Pool, Reduction, Relu, Score, Slice,
    Transpose, Unary, UnaryFunction, Windows,
};
use crate::profile::Track;
use crate::reference;
use birnn_simd::each_arch;
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// Relative to max(1, |exact|).
const TOLERANCE: f64 = 5e-6;

fn random(rng: &mut ChaCha12Rng, shape: &[usize]) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.0..1.0))
}

/// Kernels whose products have about the size of what they multiply.
fn kernel(rng: &mut ChaCha12Rng, shape: &[usize]) -> Operand {
    let features: usize = shape[..shape.len() - 1].iter().product();
    Operand::Constant(random(rng, shape) / (features as f32).sqrt())
}

fn check(operator: impl Into<Operator>, operands: Vec<Operand>) {
    let probe = Probe { operator: operator.into(), operands };
    let shapes: Vec<_> = probe.operands.iter().map(Operand::shape).collect();
    let shown = format!("{:?} of {shapes:?}", probe.operator);
    let mut graph = Graph::new();
    let rows: Vec<_> = probe.inputs().into_iter().map(|array| row(array.clone())).collect();
    let axes = rows.iter().enumerate().map(|(index, row)| (format!("x{index}"), [Some(row.len())]));
    let read: Vec<_> =
        axes.collect::<Vec<_>>().iter().map(|(n, a)| graph.input(n, a).unwrap()).collect();
    let output = graph.add(probe.named("operator"), &read[..]).unwrap();
    let model = graph.build(output).unwrap().initialize(1).unwrap();
    let wide: Vec<_> = rows.iter().map(|row| row.mapv(f64::from)).collect();
    let exact = reference::run(&model, inputs(&wide)).unwrap();
    for arch in each_arch() {
        let run = |threads: usize| {
            let threads = Threads::new(threads).open().unwrap();
            let mut session = CpuSession::with_arch(&model, threads, false, arch).unwrap();
            let outputs = session.run(&model, &model.bind(inputs(&rows)).unwrap()).unwrap();
            outputs.output().clone()
        };
        let alone = run(1);
        for (&found, &exact) in alone.iter().zip(exact.output()) {
            let far = (f64::from(found) - exact).abs() / exact.abs().max(1.0);
            let same = f64::from(found) == exact || found.is_nan() && exact.is_nan();
            assert!(far <= TOLERANCE || same, "{arch:?} {shown}: {found}, not {exact}");
        }
        for threads in [2, 3] {
            let same = run(threads).iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{arch:?} {shown}: other bits on {threads} threads");
        }
    }
}

fn row(array: ArrayD<f32>) -> ArrayD<f32> {
    let values = array.len();
    array.into_shape_with_order(vec![1, values]).unwrap()
}

fn inputs<F>(arrays: &[ArrayD<F>]) -> Inputs<'_, F> {
    let (first, rest) = arrays.split_first().unwrap();
    rest.iter().fold(Inputs::new(first.view()), |inputs, array| inputs.input(array.view()))
}

#[test]
fn products_of_every_size() {
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    for (rows, features, columns, activation) in [
        (1, 700, 37, Activation::Linear),
        (97, 40, 64, Activation::Relu),
        (200, 513, 200, Activation::Tanh),
        (13, 1100, 129, Activation::Sigmoid),
        (500, 3, 1, Activation::Elu(0.5.into())),
        (130, 64, 66, Activation::Softmax),
        (65, 30, 150, Activation::Glu),
    ] {
        let x = Operand::Input(random(&mut rng, &[rows, features]));
        let kernel = kernel(&mut rng, &[features, columns]);
        for bias in [Operand::Constant(random(&mut rng, &[columns])), Operand::Missing] {
            check(MatMul { activation }, vec![x.clone(), kernel.clone(), bias]);
        }
    }
    // Of more axes.
    let x = Operand::Input(random(&mut rng, &[3, 50, 20]));
    let kernel = kernel(&mut rng, &[20, 70]);
    check(MatMul { activation: Activation::Relu }, vec![x, kernel]);
}

/// So many windows of this size over an axis: with strides, dilation, spread, and how far the first
/// begins before the axis.
fn windows(outputs: usize, size: usize, steps: [usize; 3], before: isize) -> Windows {
    let [strides, dilation, spread] = steps;
    Windows { outputs, size, strides, dilation, spread, before }
}

/// Windows, groups, the lengths of x, its features, and filters.
type Case = (Vec<Windows>, usize, &'static [usize], usize, usize);

#[test]
fn convolutions_of_every_kind() {
    let mut rng = ChaCha12Rng::seed_from_u64(2);
    let plain = |outputs, size| windows(outputs, size, [1, 1, 1], (size / 2) as isize);
    let cases: [Case; 12] = [
        (vec![plain(12, 3), plain(31, 3)], 1, &[12, 31], 64, 70),
        (vec![plain(9, 3), plain(17, 5)], 1, &[9, 17], 1, 33),
        (vec![windows(8, 3, [2, 1, 1], 1), windows(20, 3, [1, 2, 1], 2)], 1, &[16, 20], 24, 40),
        (vec![windows(150, 7, [3, 2, 1], 0)], 1, &[460], 20, 130),
        (vec![windows(90, 1, [1, 1, 1], 0)], 1, &[90], 600, 65),
        (vec![windows(45, 1, [2, 1, 1], 0)], 1, &[90], 600, 65),
        (vec![windows(61, 2, [1, 1, 1], 0)], 1, &[62], 800, 64),
        (vec![windows(40, 4, [1, 1, 2], 2), windows(33, 3, [1, 2, 3], 3)], 1, &[20, 11], 9, 17),
        (vec![plain(30, 3), plain(30, 3)], 3, &[30, 30], 12, 51),
        (vec![plain(30, 5), plain(30, 5)], 35, &[30, 30], 35, 35),
        (vec![windows(30, 3, [1, 1, 1], 3), plain(30, 1)], 20, &[30, 30], 20, 40),
        (vec![plain(5, 3), plain(6, 3), plain(7, 3)], 1, &[5, 6, 7], 10, 20),
    ];
    for (windows, groups, lengths, features, filters) in cases {
        let x = random(&mut rng, &[&[2], lengths, &[features]].concat());
        let sizes: Vec<usize> = windows.iter().map(|windows| windows.size).collect();
        let kernel = kernel(&mut rng, &[&sizes[..], &[features / groups, filters]].concat());
        let bias = Operand::Constant(random(&mut rng, &[filters]));
        let operator = Convolution { windows, groups, activation: Activation::Relu };
        let operands = vec![Operand::Input(x), kernel, bias];
        check(operator.clone(), operands.clone());
        let softmax = Convolution { activation: Activation::Softmax, ..operator };
        check(softmax, operands[..2].to_vec());
    }
}

/// In tiles of 2 · 2 windows: of odd and even lengths, above the tiles, features and panels that
/// are taken together, with and without padding.
#[test]
fn convolutions_in_tiles() {
    let mut rng = ChaCha12Rng::seed_from_u64(9);
    let cases: [([usize; 3], [isize; 2], [usize; 2]); 6] = [
        ([3, 9, 31], [1, 1], [20, 70]),
        ([1, 2, 2], [1, 1], [16, 16]),
        ([2, 5, 120], [1, 0], [33, 130]),
        ([1, 30, 7], [0, 2], [300, 129]),
        ([2, 4, 26], [1, 1], [130, 64]),
        ([1, 7, 8], [2, 3], [17, 18]),
    ];
    for ([batch, down, across], before, [features, filters]) in cases {
        let along = |length: usize, before: isize| {
            let outputs = (length as isize - 2 + 2 * before) as usize;
            windows(outputs, 3, [1, 1, 1], before)
        };
        let windows = vec![along(down, before[0]), along(across, before[1])];
        let x = random(&mut rng, &[batch, down, across, features]);
        let kernel = kernel(&mut rng, &[3, 3, features, filters]);
        let bias = Operand::Constant(random(&mut rng, &[filters]));
        for activation in [Activation::Relu, Activation::Softmax] {
            let operator = Convolution { windows: windows.clone(), groups: 1, activation };
            assert!(winograd::takes(&operator, &[3, 3, features, filters]));
            let x = Operand::Input(x.clone());
            check(operator.clone(), vec![x.clone(), kernel.clone(), bias.clone()]);
            check(operator, vec![x, kernel.clone()]);
        }
        // What isn't finite stays in the windows that hold it, with its sign.
        let mut strange = x;
        let count = strange.len();
        let values = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for (place, value) in [count / 7, count / 3, count - 1].into_iter().zip(values) {
            *strange.iter_mut().nth(place).unwrap() = value;
        }
        let operator = Convolution { windows, groups: 1, activation: Activation::Linear };
        check(operator, vec![Operand::Input(strange), kernel, bias]);
    }
}

#[test]
fn pools_of_every_kind() {
    let mut rng = ChaCha12Rng::seed_from_u64(3);
    for (windows, lengths) in [
        (vec![windows(40, 2, [2, 1, 1], 0), windows(41, 2, [1, 1, 1], 1)], vec![80, 40]),
        (vec![windows(200, 3, [1, 2, 1], 2)], vec![200]),
        (vec![windows(1, 70, [1, 1, 1], 0), windows(1, 30, [1, 1, 1], 0)], vec![70, 30]),
        // The first window holds nothing.
        (vec![windows(30, 2, [3, 1, 1], 4)], vec![85]),
        // None of them does.
        (vec![windows(3, 2, [1, 1, 1], 9)], vec![85]),
        // Over no axis.
        (vec![], vec![]),
    ] {
        let mut x = random(&mut rng, &[&[2], &lengths[..], &[37]].concat());
        x.iter_mut().step_by(501).for_each(|value| *value = f32::NAN);
        for reduction in [Reduction::Maximum, Reduction::Mean] {
            let pool = Pool { windows: windows.clone(), reduction };
            check(pool, vec![Operand::Input(x.clone()), Operand::Missing]);
        }
    }
}

#[test]
fn values_by_themselves_and_in_pairs() {
    let mut rng = ChaCha12Rng::seed_from_u64(4);
    let mut x = random(&mut rng, &[9, 70, 1001]);
    x.iter_mut().step_by(777).for_each(|value| *value = f32::NAN);
    let given = || Operand::Input(x.clone());
    for activation in [Activation::Relu, Activation::Tanh, Activation::Silu] {
        check(Activate { activation }, vec![given()]);
    }
    let relu = Relu { max_value: Some(0.8), negative_slope: 0.1, threshold: -0.2 };
    check(relu, vec![given()]);
    use UnaryFunction::{Absolute, Log, Negate, Reciprocal, Sqrt};
    for function in [Absolute, Log, Negate, Reciprocal, Sqrt] {
        check(Unary { function }, vec![given()]);
    }
    let weights = [0, 1].map(|_| Operand::Constant(random(&mut rng, &[1, 1001])));
    let [scale, shift] = weights;
    check(Affine, vec![given(), scale, shift]);
    use BinaryFunction::{Add, Divide, Maximum, Multiply, Subtract};
    let shapes: [&[usize]; 8] = [
        &[9, 70, 1001],
        &[1001],
        &[70, 1001],
        &[70, 1],
        &[9, 1, 1],
        &[1],
        &[9, 1, 1001],
        &[9, 70, 1],
    ];
    for shape in shapes {
        let other = Operand::Input(random(&mut rng, shape));
        let function = Subtract;
        check(Binary { function }, vec![given(), other.clone()]);
        check(Binary { function }, vec![other, given()]);
    }
    // What threads and pieces do with arrays doesn't ask for the function.
    let few = Operand::Input(x.slice(ndarray::s![..2, ..9, ..101]).to_owned().into_dyn());
    for shape in [&[2, 9, 101][..], &[101], &[9, 1]] {
        let other = Operand::Input(random(&mut rng, shape));
        for function in [Add, Divide, Multiply, Maximum] {
            check(Binary { function }, vec![few.clone(), other.clone()]);
            check(Binary { function }, vec![other.clone(), few.clone()]);
        }
    }
    let two = Operand::Constant(ArrayD::from_elem(vec![1], 2.0));
    check(Binary { function: BinaryFunction::Power }, vec![given(), two]);
}

#[test]
fn values_that_move() {
    let mut rng = ChaCha12Rng::seed_from_u64(5);
    let x = random(&mut rng, &[7, 80, 90]);
    let given = || Operand::Input(x.clone());
    for order in [[0, 2, 1], [1, 0, 2], [2, 1, 0]] {
        check(Transpose { order: order.to_vec() }, vec![given()]);
    }
    for (axis, start, step, length) in [(0, 2, 1, 3), (1, 79, -3, 20), (2, 5, 7, 12), (2, 3, 0, 1)]
    {
        check(Slice { axis, start, step, length }, vec![given()]);
    }
    for (axis, shape) in [(0, [2, 80, 90]), (1, [7, 1, 90]), (2, [7, 80, 33])] {
        let other = Operand::Input(random(&mut rng, &shape));
        check(Concat { axis }, vec![given(), other, given()]);
    }
}

#[test]
fn products_of_computed_matrices() {
    let mut rng = ChaCha12Rng::seed_from_u64(6);
    let shapes: [[&[usize]; 2]; 8] = [
        [&[3, 4, 150, 40], &[3, 4, 40, 130]],
        [&[2, 1, 70], &[2, 70, 90]],
        [&[5, 33, 20], &[20, 65]],
        [&[130, 600], &[600, 17]],
        // One of them is the same for all.
        [&[33, 20], &[5, 20, 65]],
        [&[3, 1, 30, 20], &[4, 20, 65]],
        [&[3, 1, 9, 2], &[1, 4, 2, 1]],
        [&[1, 1, 7, 800], &[2, 1, 800, 3]],
    ];
    for [a, b] in shapes {
        let columns = (a[a.len() - 1] as f32).sqrt();
        let operands = [random(&mut rng, a) / columns, random(&mut rng, b)];
        check(BatchedMatMul, operands.map(Operand::Input).to_vec());
    }
}

#[test]
fn attention_with_every_score_and_mask() {
    let mut rng = ChaCha12Rng::seed_from_u64(7);
    let mut cases = Vec::new();
    for (score, masked_score) in [
        (Score::Dot, MaskedScore::Lowest),
        (Score::Concat, MaskedScore::Lowered),
        (Score::Additive, MaskedScore::Dropped),
    ] {
        cases.push((score, masked_score, [2, 70, 65], [3, 11, 20]));
        cases.push((score, masked_score, [1, 3, 150], [1, 40, 1]));
    }
    // Of so many keys that queries are taken in several pieces, and one at a time.
    cases.push((Score::Dot, MaskedScore::Dropped, [1, 150, 1000], [2, 8, 16]));
    cases.push((Score::Dot, MaskedScore::Lowered, [1, 2, 70_000], [1, 4, 3]));
    for (score, masked_score, [batch, queries, keys], [heads, features, of_value]) in cases {
        let mut given = |shape: &[usize]| Operand::Input(random(&mut rng, shape));
        let [query, key, value] = [
            given(&[batch, queries, heads * features]),
            given(&[batch, keys, heads * features]),
            given(&[batch, keys, heads * of_value]),
        ];
        let scale = match score {
            Score::Dot => given(&[1]),
            Score::Concat => given(&[2]),
            Score::Additive => given(&[heads * features]),
        };
        // An additive scale is for each feature of one head.
        let scale = if score == Score::Additive && heads > 1 { Operand::Missing } else { scale };
        let mut mask = |length: usize| {
            let counts = || f32::from(u8::from(rng.random_bool(0.7)));
            Operand::Input(ArrayD::from_shape_simple_fn(vec![batch, length], counts))
        };
        let masks = [mask(queries), mask(keys), mask(keys)];
        let mut bias = |shape: &[usize]| Operand::Input(random(&mut rng, shape));
        let biases = [bias(&[batch, 1, 1, keys]), bias(&[1, heads, queries, 1])];
        for causal in [false, true] {
            let attention = Attention { heads, score, factor: 0.3, causal, masked_score };
            let operands = vec![query.clone(), key.clone(), value.clone(), scale.clone()];
            check(attention.clone(), operands.clone());
            check(attention.clone(), [&operands[..], &masks[..]].concat());
            for bias in &biases {
                check(
                    attention.clone(),
                    [&operands, &masks[..], std::slice::from_ref(bias)].concat(),
                );
            }
        }
    }
}

#[test]
fn normalizations_of_vectors() {
    let mut rng = ChaCha12Rng::seed_from_u64(8);
    use Normalization::{LogSoftmax, Moments, RootMeanSquare, Softmax, Unit};
    let shape = [9, 70, 11, 13];
    for axes in [vec![3], vec![2, 3], vec![1, 3], vec![0]] {
        let x = Operand::Input(random(&mut rng, &shape) * 3.0 + 2.0);
        let lengths: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
        let [gamma, beta] = [0, 1].map(|_| Operand::Constant(random(&mut rng, &lengths)));
        for normalization in [Softmax, LogSoftmax] {
            check(Normalize { axes: axes.clone(), normalization }, vec![x.clone()]);
        }
        for normalization in [Moments { epsilon: 1e-3 }, RootMeanSquare { epsilon: 1e-6 }, Unit] {
            let operator = Normalize { axes: axes.clone(), normalization };
            check(operator.clone(), vec![x.clone(), gamma.clone(), beta.clone()]);
            check(operator, vec![x.clone(), Operand::Missing, beta.clone()]);
        }
    }
    let x = Operand::Input(random(&mut rng, &[400, 1, 77]));
    for activation in [Activation::Softmax, Activation::LogSoftmax, Activation::Sparsemax] {
        check(Activate { activation }, vec![x.clone()]);
    }
}

/// As the graph has them, once steps that belong together are one.
#[test]
fn a_profile_has_every_step_and_what_computed_it() {
    let layers: [Layer; 5] = [
        Embedding::new(20, 6).into(),
        Reshape::new(vec![Some(6), Some(8)]).into(),
        Permute::new(vec![2, 1]).into(),
        Lstm::new(5).into(),
        Dense::new(3).activation(Activation::Tanh).into(),
    ];
    let model = Model::sequential_on(&[Some(8)], layers).unwrap().initialize(1).unwrap();
    let ids = ArrayD::from_shape_fn(vec![4, 8], |at| ((at[0] * 7 + at[1]) % 20) as f32);
    let bound = model.bind(Inputs::new(ids.view())).unwrap();
    let constants = model.constants();
    let graph = model.lower(&bound.call_shape(bound.batch, false)).unwrap().fused(&constants);
    let expected = graph.steps.iter().map(|step| {
        let shape = graph.shape(step.writes[0]).to_vec();
        (step.layer.clone(), step.operator.rules().name(), shape)
    });
    let mut session = CpuSession::new(&model, Threads::default(), false).unwrap();
    let mut recorder = Recorder::new("cpu".into()).unwrap();
    let outputs = session.recorded(&model, &bound, Some(&mut recorder)).unwrap();
    let spans = recorder.finish(outputs).spans;
    let steps: Vec<_> = spans.into_iter().filter(|span| span.track == Track::Cpu).collect();
    let found = steps.iter().map(|span| (span.name.clone(), span.operator, span.shape.clone()));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    let kernels: Vec<_> = steps.iter().map(|span| &span.kernel[..]).collect();
    assert_eq!(kernels, ["plain", "view", "view", "vectors", "vectors"]);
}
