//! The GPU against the f64 reference: random graphs of the layers that keep no state, on random
//! shapes, with masks.

use crate::device;
use birnn::layer::*;
use birnn::{Call, Device, GpuOptions, Graph, Inputs, Model, Result, Tensor};
use ndarray::{Array2, ArrayD, arr0};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::cell::Cell;

/// As in `random.rs`; exponentials of values up to 3 and sums over time cost a little more. Where
/// the f32 reference itself is further off (a LayerNormalization divides by a deviation of as
/// little as √epsilon = 0.03, so that the rounding of its mean shows thirtyfold), the GPU may be
/// [`FACTOR`] times as far.
const TOLERANCE: f64 = 5e-6;
const FACTOR: f64 = 8.0;

/// A layer on `[batch, timesteps, features]`, with the shape's numbers and a random choice for its
/// arguments.
fn one_input(index: usize, timesteps: usize, features: usize, choice: usize) -> Layer {
    let few = choice % 5 + 1;
    // These jump where a value is just above a limit or below, so that rounding shows in full.
    let jumps = |a: &Activation| {
        use Activation::{HardShrink, Sparsemax, ThresholdedRelu};
        matches!(a, HardShrink | Sparsemax | ThresholdedRelu(_))
    };
    let activations: Vec<_> = Activation::ALL.into_iter().filter(|a| !jumps(a)).collect();
    let activation = activations[choice % activations.len()];
    let even = |n: usize| if activation == Activation::Glu { n.next_multiple_of(2) } else { n };
    let padding = [Padding::Valid, Padding::Same, Padding::Causal][choice % 3];
    let pool = [Padding::Valid, Padding::Same][choice % 2];
    let window = few.min(timesteps);
    let groups = if features.is_multiple_of(2) && choice.is_multiple_of(2) { 2 } else { 1 };
    let axis = [-1, 1, 2, -2][choice % 4];
    let axes = [vec![-1], vec![1], vec![1, 2], vec![-2]][choice % 4].clone();
    let conv = Conv1d::new(even(few * groups), window)
        .padding(padding)
        .groups(groups)
        .activation(activation);
    match index {
        0 => Dense::new(even(choice % 70 + 1))
            .activation(activation)
            .use_bias(choice.is_multiple_of(2))
            .into(),
        1 if choice.is_multiple_of(2) => conv.strides(few).into(),
        1 => conv.dilation_rate((timesteps / window).clamp(1, 3)).padding(Padding::Same).into(),
        2 => MaxPooling1d::new().pool_size(window).strides(Some(few)).padding(pool).into(),
        3 => AveragePooling1d::new().pool_size(window).padding(pool).into(),
        4 => GlobalMaxPooling1d::new().keepdims(choice.is_multiple_of(2)).into(),
        5 => GlobalAveragePooling1d::new().keepdims(choice.is_multiple_of(2)).into(),
        6 => LayerNormalization::new()
            .axis(axes)
            .center(!choice.is_multiple_of(3))
            .scale(!choice.is_multiple_of(5))
            .into(),
        7 => BatchNormalization::new()
            .axis(axis)
            .center(!choice.is_multiple_of(3))
            .scale(!choice.is_multiple_of(5))
            .into(),
        8 => UnitNormalization::new().axis(axes).into(),
        9 => SoftmaxLayer::new().axis(axis).into(),
        10 if even(features) > features => Activation::Softmax.into(),
        10 => activation.into(),
        11 => {
            let max_value = (choice.is_multiple_of(2)).then_some(0.8);
            ReluLayer::new()
                .max_value(max_value)
                .negative_slope(0.1)
                .threshold(0.25 * (choice % 3) as f32)
                .into()
        }
        12 => PRelu::new()
            .shared_axes([vec![], vec![1], vec![2], vec![1, 2]][choice % 4].clone())
            .into(),
        13 => Flatten::new().into(),
        14 => Reshape::new(vec![Some(features), None]).into(),
        15 => Permute::new(vec![2, 1]).into(),
        16 => Cropping1d::new((choice % timesteps.div_ceil(2), (timesteps - 1) / 2)).into(),
        17 => ZeroPadding1d::new((choice % 3, choice % 4)).into(),
        18 => UpSampling1d::new().size(few).into(),
        19 => Masking::new().mask_value(0.5).into(),
        20 => Identity::dropout().into(),
        21 => TimeDistributed::new(Dense::new(even(few)).activation(activation)).into(),
        22 => TimeDistributed::new(LayerNormalization::new()).into(),
        23 => Rescaling::new(0.3).offset(few as f64).into(),
        24 => DepthwiseConv1d::new(window).padding(pool).depth_multiplier(few).into(),
        25 => SeparableConv1d::new(even(few), window)
            .padding(padding)
            .depth_multiplier(choice % 2 + 1)
            .activation(activation)
            .into(),
        26 => Conv1dTranspose::new(even(few), choice % 4 + 1)
            .padding(pool)
            .strides(choice / 4 % 3 + 1)
            .activation(activation)
            .into(),
        27 if features.is_multiple_of(2) => {
            GroupNormalization::new().groups(2).center(choice.is_multiple_of(2)).into()
        }
        27 => GroupNormalization::new().groups(1).scale(choice.is_multiple_of(3)).into(),
        28 => Normalization::new()
            .axis([vec![-1], vec![1], vec![1, 2], vec![]][choice % 4].clone())
            .statistics(Some((arr0(0.3).into_dyn(), arr0(2.5).into_dyn())))
            .invert(choice.is_multiple_of(2))
            .into(),
        29 => RmsNormalization::new().into(),
        _ => unreachable!("layer {index} has no arm"),
    }
}

const ONE_INPUT: usize = 30;

fn several_inputs(index: usize, features: usize, choice: usize) -> (Layer, usize) {
    let causal = choice.is_multiple_of(2);
    match index {
        0 => (Merge::add().into(), 3),
        1 => (Merge::subtract().into(), 2),
        2 => (Merge::multiply().into(), 3),
        3 => (Merge::average().into(), 3),
        4 => (Merge::maximum().into(), 3),
        5 => (Merge::minimum().into(), 2),
        6 => (Concatenate::new().axis([-1, 1][choice % 2]).into(), 3),
        7 => {
            let mode = [ScoreMode::Dot, ScoreMode::Concat][choice / 2 % 2];
            (
                Attention::new()
                    .score_mode(mode)
                    .use_scale(choice.is_multiple_of(3))
                    .use_causal_mask(causal)
                    .into(),
                2 + choice % 2,
            )
        }
        8 => (
            AdditiveAttention::new()
                .use_scale(!choice.is_multiple_of(3))
                .use_causal_mask(causal)
                .into(),
            2 + choice % 2,
        ),
        9 => {
            let axes = [(2, 2), (-1, -1), (1, 1)][choice % 3];
            (Dot::new(axes).normalize(choice.is_multiple_of(2)).into(), 2)
        }
        10 => {
            let dropout = [0.0, 0.1][choice / 3 % 2];
            let heads =
                MultiHeadAttention::new(choice % 4 + 1, features % 9 + 1).use_causal_mask(causal);
            let sized = heads
                .value_dim((choice.is_multiple_of(3)).then_some(5))
                .output_features((choice.is_multiple_of(5)).then_some(6));
            (sized.use_bias(!choice.is_multiple_of(7)).dropout(dropout).into(), 2 + choice % 2)
        }
        _ => unreachable!("layer {index} has no arm"),
    }
}

const SEVERAL_INPUTS: usize = 11;

/// A layer on images of these rows, columns and features.
fn on_images(index: usize, [rows, columns, features]: [usize; 3], choice: usize) -> Layer {
    let few = choice % 4 + 1;
    let window = (few.min(rows), (choice / 3 % 3 + 1).min(columns));
    let strides = (choice / 2 % 3 + 1, choice / 5 % 2 + 1);
    let padding = [Padding::Valid, Padding::Same][choice % 2];
    let groups = if features.is_multiple_of(2) { 2 } else { 1 };
    match index {
        0 => Conv2d::new(2 * few, window)
            .strides(strides)
            .padding(padding)
            .groups(groups)
            .activation(Activation::Tanh)
            .into(),
        1 => Conv2d::new(few, window).padding(padding).dilation_rate((1, 2)).into(),
        2 => DepthwiseConv2d::new(window).strides(strides).depth_multiplier(few).into(),
        3 => SeparableConv2d::new(few, window).padding(padding).into(),
        4 => Conv2dTranspose::new(few, window).strides(strides).padding(padding).into(),
        5 => MaxPooling2d::new().pool_size(window).strides(Some(strides)).padding(padding).into(),
        6 => AveragePooling2d::new().pool_size(window).padding(padding).into(),
        7 => GlobalMaxPooling2d::new().keepdims(choice.is_multiple_of(2)).into(),
        8 => GlobalAveragePooling2d::new().keepdims(choice.is_multiple_of(2)).into(),
        9 => BatchNormalization::new().axis([-1, 1, 2][choice % 3]).into(),
        11 => ZeroPadding2d::new(((few, 0), (1, few))).into(),
        12 => UpSampling2d::new().size((few, 2)).into(),
        13 => Cropping2d::new(((choice % rows.div_ceil(2), 0), (0, choice % columns))).into(),
        10 => PRelu::new().shared_axes([vec![], vec![1, 2], vec![2]][choice % 3].clone()).into(),
        14 => Flatten::new().into(),
        _ => unreachable!("layer {index} has no arm"),
    }
}

const ON_IMAGES: usize = 15;

/// A layer on volumes of this depth and of these rows, columns and features; the last two are on
/// images.
fn on_volumes(index: usize, volume: [usize; 4], choice: usize) -> Layer {
    let [depth, rows, columns, features] = volume;
    let few = choice % 4 + 1;
    let window = (few.min(depth), (choice / 3 % 3 + 1).min(rows), few.min(columns));
    let strides = (choice / 2 % 3 + 1, choice / 5 % 2 + 1, 1);
    let padding = [Padding::Valid, Padding::Same][choice % 2];
    let groups = if features.is_multiple_of(2) { 2 } else { 1 };
    match index {
        0 => Conv3d::new(2 * few, window)
            .strides(strides)
            .padding(padding)
            .groups(groups)
            .activation(Activation::Tanh)
            .into(),
        1 => Conv3d::new(few, window).padding(Padding::Same).dilation_rate((2, 1, 1)).into(),
        2 => MaxPooling3d::new().pool_size(window).strides(Some(strides)).padding(padding).into(),
        3 => AveragePooling3d::new().pool_size(window).padding(padding).into(),
        4 => GlobalMaxPooling3d::new().keepdims(choice.is_multiple_of(2)).into(),
        5 => GlobalAveragePooling3d::new().keepdims(choice.is_multiple_of(2)).into(),
        6 => ZeroPadding3d::new(((few, 0), (1, few), (0, 1))).into(),
        7 => UpSampling3d::new().size((few, 2, 1)).into(),
        8 => Cropping3d::new(((choice % depth, 0), (0, choice % rows), (0, 0))).into(),
        9 => ChannelsFirst::new(Conv2d::new(few, (1, 1))).into(),
        10 => UpSampling2d::new().size((few, 2)).interpolation(Interpolation::Bilinear).into(),
        _ => unreachable!("layer {index} has no arm"),
    }
}

const ON_VOLUMES: usize = 11;

#[derive(Clone, Debug)]
struct Case {
    index: usize,
    batch: usize,
    timesteps: usize,
    features: usize,
    choice: usize,
    masked: bool,
    seed: u64,
}

/// An image has the features of a timestep as columns, so many of them.
fn columns(choice: usize) -> usize {
    choice % 6 + 1
}

/// The layer behind a Masking, or behind what makes images of a sequence.
fn model(case: &Case) -> Result<Model> {
    let &Case { index, timesteps, features, choice, .. } = case;
    let mut graph = Graph::new();
    if let Some(index) = index.checked_sub(ONE_INPUT + SEVERAL_INPUTS + ON_IMAGES) {
        let x = graph.sequence_input("x", Some(timesteps), features)?;
        let (rows, others) = (columns(choice), features / columns(choice));
        let last = if others.is_multiple_of(2) { 2 } else { 1 };
        let volume = [timesteps, rows, others / last, last];
        let read = match index {
            0..9 => volume.to_vec(),
            _ => vec![timesteps, rows, others],
        };
        let arrays = graph.add(Reshape::new(read.into_iter().map(Some).collect()), x)?[0];
        let output = graph.add(on_volumes(index, volume, choice), arrays)?;
        return graph.build(output);
    }
    if let Some(index) = index.checked_sub(ONE_INPUT + SEVERAL_INPUTS) {
        let x = graph.sequence_input("x", Some(timesteps), features)?;
        let columns = columns(choice);
        let image = [timesteps, columns, features / columns];
        let images = graph.add(Reshape::new(image.map(Some).to_vec()), x)?[0];
        let output = graph.add(on_images(index, image, choice), images)?;
        return graph.build(output);
    }
    let several = index.checked_sub(ONE_INPUT);
    let (layer, count) = match several {
        Some(index) => several_inputs(index, features, choice),
        None => (one_input(index, timesteps, features, choice), 1),
    };
    let mut inputs: Vec<Tensor> = Vec::new();
    for number in 0..count {
        let x = graph.sequence_input(&format!("x{number}"), Some(timesteps), features)?;
        inputs.push(if case.masked { graph.add(Masking::new(), x)?[0] } else { x });
    }
    let output = graph.add(layer, Call::on(inputs.as_slice()))?;
    graph.build(output)
}

fn random(shape: &[usize], rng: &mut ChaCha12Rng) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

/// Weights that are all but zero and one, and variances above zero.
fn random_weights(model: &mut Model, rng: &mut ChaCha12Rng) -> Result<()> {
    for name in model.layer_names() {
        let weights = model.weights(&name)?;
        let last = weights.len();
        let random: Vec<_> = weights
            .iter()
            .enumerate()
            .map(|(index, weight)| {
                let low = if index + 1 == last { 0.2f32 } else { -0.7 };
                // Matrices such that their products stay near one: a softmax turns differences into
                // ratios.
                let rows = if weight.ndim() > 1 { weight.shape()[0] } else { 1 };
                let size = 1.0 / (rows as f32).sqrt();
                ArrayD::from_shape_simple_fn(weight.shape(), || size * rng.random_range(low..0.9))
            })
            .collect();
        model.set_weights(&name, random)?;
    }
    Ok(())
}

/// `refused`: where it is counted that a call doesn't fit the device's limits; `None`: it has to.
fn check(
    device: &Device,
    case: &Case,
    refused: Option<&Cell<u32>>,
) -> std::result::Result<(), TestCaseError> {
    let fail = |e: birnn::Error| TestCaseError::fail(e.to_string());
    let model = match model(case) {
        Ok(model) => model,
        // What Keras refuses: the layer can't use a mask.
        Err(e) if case.masked && e.to_string().contains("mask") => return Ok(()),
        Err(e) => return Err(fail(e)),
    };
    let mut model = model.initialize(case.seed).map_err(fail)?;
    let mut rng = ChaCha12Rng::seed_from_u64(case.seed);
    random_weights(&mut model, &mut rng).map_err(fail)?;
    let mut arrays = Vec::new();
    for _ in model.input_names() {
        let mut x = random(&[case.batch, case.timesteps, case.features], &mut rng);
        let kept =
            Array2::from_shape_simple_fn((case.batch, case.timesteps), || rng.random_bool(0.7));
        for (mut row, kept) in x.lanes_mut(ndarray::Axis(2)).into_iter().zip(kept) {
            if case.masked && !kept {
                row.fill(0.0);
            }
        }
        arrays.push(x);
    }
    let exact_arrays: Vec<_> = arrays.iter().map(|x| x.mapv(f64::from)).collect();
    let mut inputs = Inputs::new(arrays[0].view());
    let mut exact_inputs = Inputs::new(exact_arrays[0].view());
    for (x, exact) in arrays.iter().zip(&exact_arrays).skip(1) {
        inputs = inputs.input(x.view());
        exact_inputs = exact_inputs.input(exact.view());
    }
    let exact = birnn::reference::run(&model, exact_inputs).map_err(fail)?;
    let rounded = birnn::reference::run(&model, inputs.clone()).map_err(fail)?;
    let mut session = device.compile(&model).map_err(fail)?;
    for _ in 0..2 {
        let found = match session.run(inputs.clone()) {
            Err(birnn::Error::Limit { .. }) if refused.is_some() => {
                refused.inspect(|refused| refused.set(refused.get() + 1));
                return Ok(());
            }
            found => found.map_err(fail)?,
        };
        for ((found, exact), rounded) in found.list().iter().zip(exact.list()).zip(rounded.list()) {
            let allowed = TOLERANCE.max(FACTOR * error(&rounded.array, &exact.array));
            let error = error(&found.array, &exact.array);
            prop_assert!(error <= allowed, "error {error:e}");
        }
    }
    Ok(())
}

/// The largest difference, relative to max(1, |exact|); NaN equals NaN.
fn error(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> f64 {
    assert_eq!(found.shape(), exact.shape());
    let difference = |(&f, &e): (&f32, &f64)| match f.is_nan() && e.is_nan() {
        true => 0.0,
        false => (f64::from(f) - e).abs() / e.abs().max(1.0),
    };
    found
        .iter()
        .zip(exact)
        .map(difference)
        .fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

fn run(device: &Device, index: usize, cases: u32, refused: Option<&Cell<u32>>) {
    let mut runner =
        device::runner(Config { cases, failure_persistence: None, ..Config::default() });
    let sizes = (1usize..10, 1usize..20, 1usize..70, any::<u16>(), any::<bool>(), any::<u64>());
    let cases = sizes.prop_map(move |(batch, timesteps, features, choice, masked, seed)| {
        let choice = choice.into();
        let features = match index < ONE_INPUT + SEVERAL_INPUTS {
            true => features,
            false => columns(choice) * (features % 7 + 1),
        };
        Case { index, batch, timesteps, features, choice, masked, seed }
    });
    let result = runner.run(&cases, |case| check(device, &case, refused));
    result.unwrap_or_else(|e| panic!("layer {index}: {e}"));
}

#[test]
fn every_layer_matches_the_reference() {
    let Some(gpu) = device::open(device::options()) else { return };
    for index in 0..ONE_INPUT + SEVERAL_INPUTS + ON_IMAGES + ON_VOLUMES {
        run(&gpu, index, 20, None);
    }
}

/// With buffers so small that the batch runs in parts.
#[test]
fn every_layer_matches_the_reference_in_small_parts() {
    let options = GpuOptions::new().memory_budget(60_000);
    if let Some(small) = device::open(device::options().with_gpu(options)) {
        for index in 0..ONE_INPUT + SEVERAL_INPUTS + ON_IMAGES + ON_VOLUMES {
            run(&small, index, 4, None);
        }
    }
}

/// With buffers so small that arrays are cut along time, where layers go along it. Others need
/// arrays that don't fit, and say so.
#[test]
fn every_layer_matches_the_reference_in_small_segments() {
    let options = GpuOptions::new().max_buffer_bytes(1_200);
    let Some(small) = device::open(device::options().with_gpu(options)) else { return };
    const CASES: u32 = 8;
    let refused = [(); ONE_INPUT + SEVERAL_INPUTS].map(|()| Cell::new(0));
    for (index, refused) in refused.iter().enumerate() {
        run(&small, index, CASES, Some(refused));
    }
    // Each layer fits where the sequence is short, and those that go along time fit always.
    assert!(refused.iter().all(|refused| refused.get() < CASES), "{refused:?}");
    let always = refused.iter().filter(|refused| refused.get() == 0).count();
    assert!(always >= 12, "{refused:?}");
}
