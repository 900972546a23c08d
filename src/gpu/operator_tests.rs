//! Every operator that no recurrence is, on random arrays of odd shapes: the GPU and the CPU path
//! against the reference in f64.

use crate::layer::{Operand, Probe};
use crate::model::{Graph, Inputs, Model};
use crate::operator::*;
use crate::{Device, DeviceOptions};
use ndarray::{ArrayD, Axis};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng as Rng;
use std::io::Write;
use std::sync::OnceLock;

/// Relative to max(1, |exact|). Where the f32 reference itself is further off, the GPU may be
/// [`FACTOR`] times as far.
const TOLERANCE: f64 = 5e-6;
const FACTOR: f64 = 8.0;

/// Opened once; `None`: there is no adapter, not even a software one.
pub(super) fn gpu() -> Option<&'static Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let open = || match DeviceOptions::new().allow_software(true).gpu().open() {
        Ok(device) => Some(device),
        Err(error) if std::env::var_os("BIRNN_REQUIRE_GPU").is_none() => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: operators on a GPU: {error}");
            None
        }
        Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
    };
    GPU.get_or_init(open).as_ref()
}

/// A model of the operator alone.
fn model(probe: &Probe) -> Model {
    let mut graph = Graph::new();
    let inputs: Vec<_> = (probe.inputs().iter().enumerate())
        .map(|(index, array)| graph.input(&format!("x{index}"), &[Some(array.len())]).unwrap())
        .collect();
    let output = graph.add(probe.clone().named("operator"), &inputs[..]);
    let output = output.unwrap_or_else(|e| panic!("{}: {e}", describe(probe)));
    graph.build(output).unwrap().initialize(1).unwrap()
}

/// The operator with the shapes of its operands.
fn describe(probe: &Probe) -> String {
    let shapes: Vec<_> = probe.operands.iter().map(Operand::shape).collect();
    format!("{:?} of {shapes:?}", probe.operator)
}

/// The inputs as the model reads them.
fn inputs<F>(arrays: &[ArrayD<F>]) -> Inputs<'_, F> {
    let mut views = arrays.iter().map(|array| {
        let row = array.view().into_shape_with_order((1, array.len()));
        row.expect("the arrays are in C order")
    });
    let first = Inputs::new(views.next().unwrap());
    views.fold(first, |inputs, view| inputs.input(view))
}

/// What the reference computes in f64.
fn exact(probe: &Probe, model: &Model) -> ArrayD<f64> {
    let arrays: Vec<_> = probe.inputs().iter().map(|array| array.mapv(f64::from)).collect();
    let outputs = crate::reference::run(model, inputs(&arrays)).unwrap();
    let shape = probe.writes().unwrap();
    outputs.output().clone().into_shape_with_order(shape).unwrap()
}

/// What a device computes.
pub(super) fn run(device: &Device, probe: &Probe) -> ArrayD<f32> {
    let arrays: Vec<_> = probe.inputs().into_iter().cloned().collect();
    let outputs = device.compile(&model(probe)).unwrap().run(inputs(&arrays));
    let outputs = outputs.unwrap_or_else(|e| panic!("{}: {e}", describe(probe)));
    outputs.output().clone().into_shape_with_order(probe.writes().unwrap()).unwrap()
}

pub(super) fn check(probe: Probe) {
    let model = model(&probe);
    let exact = exact(&probe, &model);
    let arrays: Vec<_> = probe.inputs().into_iter().cloned().collect();
    let rounded = crate::reference::run(&model, inputs(&arrays)).unwrap();
    let allowed = TOLERANCE.max(FACTOR * error(rounded.output(), &exact));
    let cpu = Device::cpu();
    for device in std::iter::once(&cpu).chain(gpu()) {
        let mut session = device.compile(&model).unwrap();
        // Twice, as buffers then hold what the first call left.
        for _ in 0..2 {
            let outputs = session.run(inputs(&arrays));
            let outputs = outputs.unwrap_or_else(|e| panic!("{}: {e}", describe(&probe)));
            let error = error(outputs.output(), &exact);
            let found = || format!("{:?}\nexact {exact:?}\nof {arrays:?}", outputs.output());
            let name = &device.info().name;
            assert!(error <= allowed, "{name}: {}: error {error:e}\n{}", describe(&probe), found());
        }
    }
    check_axes(&probe, &exact);
}

/// The largest difference, relative to max(1, |exact|); NaN equals NaN, and infinity itself.
fn error(found: &ArrayD<f32>, exact: &ArrayD<f64>) -> f64 {
    assert_eq!(found.len(), exact.len());
    let difference = |(&found, &exact): (&f32, &f64)| match f64::from(found) {
        found if found == exact || (found.is_nan() && exact.is_nan()) => 0.0,
        found => (found - exact).abs() / exact.abs().max(1.0),
    };
    let differences = found.iter().zip(exact).map(difference);
    differences.fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a })
}

/// Where indices of an axis are said to be independent, some of them give the same part of what is
/// written.
fn check_axes(probe: &Probe, exact: &ArrayD<f64>) {
    let shapes: Vec<_> = probe.operands.iter().map(Operand::shape).collect();
    for (index, operand) in probe.operands.iter().enumerate() {
        let Operand::Input(array) = operand else { continue };
        for axis in (0..array.ndim()).filter(|&axis| array.len_of(Axis(axis)) > 1) {
            let along = probe.operator.rules().along(index, axis, &shapes);
            let Along::Independent(written) = along else { continue };
            let part = |length: usize| ndarray::Slice::from(1..length);
            let length = array.len_of(Axis(axis));
            let mut of_part = probe.clone();
            let rows = array.slice_axis(Axis(axis), part(length));
            of_part.operands[index] = Operand::Input(rows.as_standard_layout().into_owned());
            let expected = exact.slice_axis(Axis(written), part(length));
            // Attributes that are lengths, and other operands, may not fit the part.
            if of_part.writes().as_deref() == Ok(expected.shape()) {
                let found = self::exact(&of_part, &model(&of_part));
                let message = format!("{}: operand {index}, axis {axis}", describe(probe));
                let same = |(a, b): (&f64, &f64)| a == b || (a.is_nan() && b.is_nan());
                assert!(found.iter().zip(expected).all(same), "{message}");
            }
        }
    }
}

/// A shape of so many axes, of which some are one long.
pub(super) fn shape(rng: &mut Rng, rank: usize) -> Vec<usize> {
    let longest = [40, 40, 14, 7, 5, 4, 3][rank];
    (0..rank).map(|_| rng.random_range(1..=longest)).collect()
}

pub(super) fn random(rng: &mut Rng, shape: &[usize]) -> ArrayD<f32> {
    ArrayD::from_shape_simple_fn(shape, || rng.random_range(-1.5f32..1.5))
}

/// Few different numbers, so that some are equal, and NaN.
fn few(rng: &mut Rng, shape: &[usize]) -> ArrayD<f32> {
    let numbers = [-1.0, -0.5, 0.0, 0.5, 1.0, 2.0, f32::NAN];
    ArrayD::from_shape_simple_fn(shape, || *numbers.choose(rng).unwrap())
}

/// A shape that is broadcast to this one.
pub(super) fn narrower(rng: &mut Rng, shape: &[usize]) -> Vec<usize> {
    let first = if rng.random_bool(0.5) { 0 } else { rng.random_range(0..=shape.len()) };
    let axis = |&length: &usize| if rng.random_bool(0.3) { 1 } else { length };
    shape[first..].iter().map(axis).collect()
}

/// Runs so many random cases.
pub(super) fn cases(count: u64, mut case: impl FnMut(&mut Rng) -> Probe) {
    for seed in 0..count {
        check(case(&mut Rng::seed_from_u64(seed)));
    }
}

pub(super) fn probe(operator: impl Into<Operator>, operands: impl Into<Vec<Operand>>) -> Probe {
    Probe { operator: operator.into(), operands: operands.into() }
}

#[test]
fn functions_of_two_arrays() {
    for function in BinaryFunction::ALL {
        cases(7, |rng| {
            let rank = rng.random_range(0..=6);
            let both = shape(rng, rank);
            let (one, other) = (narrower(rng, &both), narrower(rng, &both));
            let arrays = match function {
                BinaryFunction::Power => {
                    // Of numbers below zero only whole powers.
                    let whole = random(rng, &other).mapv(|b| (3.0 * b).round());
                    match rng.random_bool(0.5) {
                        true => [random(rng, &one), whole],
                        false => [random(rng, &one).mapv(|a| a.abs() + 0.1), random(rng, &other)],
                    }
                }
                BinaryFunction::Modulo => {
                    let whole = |x: f32| (5.0 * x).round();
                    let divisor = random(rng, &other).mapv(|b| whole(b + b.signum()));
                    [random(rng, &one).mapv(|a| whole(4.0 * a)), divisor]
                }
                BinaryFunction::Add | BinaryFunction::Multiply | BinaryFunction::Divide => {
                    [random(rng, &one), random(rng, &other).mapv(|b| b + b.signum())]
                }
                _ => [few(rng, &one), few(rng, &other)],
            };
            let [a, b] = arrays;
            let b = if rng.random_bool(0.3) { Operand::Constant(b) } else { Operand::Input(b) };
            probe(Binary { function }, [Operand::Input(a), b])
        });
    }
}

#[test]
fn powers_of_zero_infinity_and_nan() {
    let numbers = [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 20.0, 21.0, f32::INFINITY, f32::NAN];
    let base = ArrayD::from_shape_fn(vec![10, 1], |i| numbers[i[0]]);
    let exponent = ArrayD::from_shape_fn(vec![10], |i| numbers[i[0]]);
    let exponent = exponent.mapv(|b| if b.is_infinite() { 2.5 } else { b });
    let operands = [base.slice_axis(Axis(0), (3..).into()).to_owned(), exponent];
    let function = BinaryFunction::Power;
    check(probe(Binary { function }, operands.map(Operand::Input)));
}

/// By an infinite divisor of the same sign all is left; of an infinite number and by zero it is
/// NaN.
#[test]
fn what_is_left_by_zero_and_infinity() {
    let numbers = [-5.0, -0.5, 0.0, 3.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    let dividend = ArrayD::from_shape_fn(vec![7, 1], |i| numbers[i[0]]);
    let divisor = ArrayD::from_shape_fn(vec![7], |i| numbers[i[0]]);
    let function = BinaryFunction::Modulo;
    check(probe(Binary { function }, [dividend, divisor].map(Operand::Input)));
}

#[test]
fn choices() {
    cases(20, |rng| {
        let rank = rng.random_range(0..=6);
        let all = shape(rng, rank);
        let condition = narrower(rng, &all);
        let condition = few(rng, &condition).mapv(|x| if x > 0.0 { 1.0 } else { 0.0 });
        let (a, b) = (narrower(rng, &all), narrower(rng, &all));
        let arrays = [condition, random(rng, &a), few(rng, &b)];
        probe(Where, arrays.map(Operand::Input))
    });
}

#[test]
fn functions_of_one_array() {
    for function in UnaryFunction::ALL {
        cases(3, |rng| {
            let rank = rng.random_range(1..=4);
            let shape = shape(rng, rank);
            let x = match function {
                UnaryFunction::Log | UnaryFunction::Sqrt => {
                    random(rng, &shape).mapv(|x| (4.0 * x).exp())
                }
                UnaryFunction::Reciprocal => random(rng, &shape).mapv(|x| x + x.signum()),
                UnaryFunction::Sin | UnaryFunction::Cos => {
                    random(rng, &shape).mapv(|x| x.powi(7) * 100.0)
                }
                UnaryFunction::Not | UnaryFunction::IsNan => few(rng, &shape),
                _ => random(rng, &shape).mapv(|x| 3.0 * x),
            };
            probe(Unary { function }, [Operand::Input(x)])
        });
        // Where it is defined there.
        let edges = [0.0, 0.5, 1.0, 1.5, 2.5, -0.5, -2.5, 1e-30, 1e30, f32::NAN];
        let finite = |x: &f32| match function {
            UnaryFunction::Log | UnaryFunction::Sqrt => x.is_nan() || *x >= 0.0,
            UnaryFunction::Sin | UnaryFunction::Cos => x.is_nan() || *x <= 1e4,
            UnaryFunction::Reciprocal => *x != 0.0,
            _ => true,
        };
        let edges: Vec<f32> = edges.into_iter().filter(finite).collect();
        let x = ArrayD::from_shape_vec(vec![edges.len()], edges).unwrap();
        check(probe(Unary { function }, [Operand::Input(x)]));
    }
}

#[test]
fn moved_values() {
    cases(60, |rng| {
        let rank = rng.random_range(1..=6);
        let shape = shape(rng, rank);
        let axis = rng.random_range(0..rank);
        let length = shape[axis];
        let x = Operand::Input(random(rng, &shape));
        match rng.random_range(0..4) {
            0 => {
                let mut order: Vec<_> = (0..rank).collect();
                order.shuffle(rng);
                probe(Transpose { order }, [x])
            }
            1 => {
                let (one, other) = (rng.random_range(0..length), rng.random_range(0..length));
                let apart = one.abs_diff(other);
                let step = rng.random_range(1..=apart.max(1));
                let count = apart / step + 1;
                let step = if other < one { -(step as isize) } else { step as isize };
                probe(Slice { axis, start: one, step, length: count }, [x])
            }
            2 => {
                let first = rng.random_range(0..=2);
                let mut wider = vec![3; first];
                let narrow: Vec<_> =
                    shape.iter().map(|&n| if rng.random_bool(0.5) { 1 } else { n }).collect();
                wider.extend(&shape);
                let x = random(rng, &narrow);
                let six = wider.len() <= 6;
                let wider = if six { wider } else { shape };
                probe(Expand { shape: wider }, [Operand::Input(x)])
            }
            _ => {
                let part = |rng: &mut Rng| {
                    let mut part = shape.clone();
                    part[axis] = rng.random_range(1..=5);
                    random(rng, &part)
                };
                let others = [Operand::Constant(part(rng)), Operand::Input(part(rng))];
                let [one, other] = others;
                probe(Concat { axis }, [x, one, other])
            }
        }
    });
}

#[test]
fn padded_arrays() {
    let fillings = [Filling::Constant(0.7), Filling::Reflect, Filling::Edge, Filling::Wrap];
    for filling in fillings {
        cases(12, |rng| {
            let rank = rng.random_range(1..=4);
            let mut shape = shape(rng, rank);
            let axis = rng.random_range(0..rank);
            shape[axis] += 1;
            let most = if filling == Filling::Reflect { shape[axis] - 1 } else { shape[axis] };
            let (before, after) = (rng.random_range(0..=most), rng.random_range(0..=most));
            let x = Operand::Input(random(rng, &shape));
            probe(Pad { axis, before, after, filling }, [x])
        });
    }
}

#[test]
fn rows_by_their_numbers() {
    cases(30, |rng| {
        let rank = rng.random_range(1..=4);
        let shape = shape(rng, rank);
        let axis = rng.random_range(0..rank);
        let ids_rank = rng.random_range(0..=2);
        let ids = self::shape(rng, ids_rank);
        // Some beyond both ends.
        let length = shape[axis] as f32;
        let ids = random(rng, &ids).mapv(|id| (id * length).round());
        let ids = if rng.random_bool(0.5) { Operand::Constant(ids) } else { Operand::Input(ids) };
        let x = random(rng, &shape);
        let x = match ids {
            Operand::Input(_) if rng.random_bool(0.5) => Operand::Constant(x),
            _ => Operand::Input(x),
        };
        probe(Gather { axis, from_end: rng.random_bool(0.5) }, [x, ids])
    });
    cases(30, |rng| {
        let rank = rng.random_range(1..=4);
        let shape = shape(rng, rank);
        let axes = rng.random_range(0..=rank);
        let rows = shape[..axes].iter().product::<usize>();
        // One that isn't there.
        let mut numbers: Vec<f32> = (0..=rows).map(|row| row as f32).collect();
        numbers.shuffle(rng);
        numbers.truncate(rng.random_range(1..=rows));
        let values = [&[numbers.len()], &shape[axes..]].concat();
        let numbers = ArrayD::from_shape_vec(vec![numbers.len()], numbers).unwrap();
        let (x, values) = (random(rng, &shape), random(rng, &values));
        let operands = [Operand::Input(x), Operand::Constant(numbers), Operand::Input(values)];
        probe(Scatter { axes }, operands)
    });
}

#[test]
fn reduced_arrays() {
    for function in ReduceFunction::ALL {
        cases(10, |rng| {
            let rank = rng.random_range(1..=6);
            let shape = shape(rng, rank);
            let axes = match function.is_index() {
                true => vec![rng.random_range(0..rank)],
                false => (0..rank).filter(|_| rng.random_bool(0.5)).collect(),
            };
            let x = match function {
                ReduceFunction::Product => random(rng, &shape).mapv(|x| x.signum() + 0.1 * x),
                ReduceFunction::Sum | ReduceFunction::Mean => random(rng, &shape),
                ReduceFunction::SumOfSquares | ReduceFunction::SumOfAbsolutes => {
                    random(rng, &shape)
                }
                _ if rng.random_bool(0.5) => few(rng, &shape),
                _ => random(rng, &shape),
            };
            let reduce = Reduce { axes, function, keep_axes: rng.random_bool(0.5) };
            probe(reduce, [Operand::Input(x)])
        });
    }
    let long = random(&mut Rng::seed_from_u64(1), &[3, 5_000]);
    for function in [ReduceFunction::Mean, ReduceFunction::SumOfSquares] {
        let reduce = Reduce { axes: vec![1], function, keep_axes: false };
        check(probe(reduce, [Operand::Input(long.clone())]));
    }
}

#[test]
fn values_scaled_along_axes() {
    cases(30, |rng| {
        let rank = rng.random_range(1..=6);
        let shape = shape(rng, rank);
        let first = rng.random_range(1..=rank);
        let axis = |&length: &usize| if rng.random_bool(0.5) { 1 } else { length };
        let along: Vec<_> = shape[first..].iter().map(axis).collect();
        let x = Operand::Input(random(rng, &shape));
        let scale = Operand::Constant(random(rng, &along));
        match rng.random_bool(0.5) {
            true => probe(Affine, [x, scale, Operand::Constant(random(rng, &along))]),
            false => probe(PRelu, [x, scale]),
        }
    });
}

#[test]
fn normalized_arrays() {
    cases(30, |rng| {
        let rank = rng.random_range(1..=4);
        let shape = shape(rng, rank);
        let axes: Vec<_> = (0..rank).filter(|_| rng.random_bool(0.5)).collect();
        let axes = if axes.is_empty() { vec![rank - 1] } else { axes };
        let normalizations = [
            Normalization::Softmax,
            Normalization::LogSoftmax,
            Normalization::Moments { epsilon: 1e-2 },
            Normalization::RootMeanSquare { epsilon: 1e-2 },
        ];
        let normalization = *normalizations.choose(rng).unwrap();
        let x = Operand::Input(random(rng, &shape));
        probe(Normalize { axes, normalization }, [x])
    });
}

/// Windows along an axis, and its length.
pub(super) fn windows(rng: &mut Rng, spread: usize) -> (Windows, usize) {
    let (length, size) = (rng.random_range(1..=9), rng.random_range(1..=4));
    let [strides, dilation] = [0; 2].map(|_: usize| rng.random_range(1..=3));
    let before = rng.random_range(-2i32..=3) as isize;
    (Windows { outputs: rng.random_range(1..=7), size, strides, dilation, spread, before }, length)
}

#[test]
fn pooled_arrays() {
    cases(60, |rng| {
        let axes = rng.random_range(1..=2);
        let mut pooled: Vec<_> = (0..axes).map(|_| windows(rng, 1)).collect();
        // Every window holds something.
        for (windows, length) in &mut pooled {
            windows.before = windows.before.clamp(0, windows.size as isize - 1);
            windows.dilation = 1;
            windows.outputs =
                windows.outputs.min((*length - 1 + windows.before as usize) / windows.strides + 1);
        }
        let (windows, lengths): (Vec<_>, Vec<_>) = pooled.into_iter().unzip();
        let x = [&[2], &lengths[..], &[rng.random_range(1..=9)]].concat();
        let reduction = *[Reduction::Maximum, Reduction::Mean].choose(rng).unwrap();
        let mask = match rng.random_bool(0.5) && reduction == Reduction::Mean {
            true => Operand::Input(few(rng, &x[..=axes]).mapv(|x| if x > 0.0 { 1.0 } else { 0.0 })),
            false => Operand::Missing,
        };
        let x = if rng.random_bool(0.2) { few(rng, &x) } else { random(rng, &x) };
        probe(Pool { windows, reduction }, [Operand::Input(x), mask])
    });
}

#[test]
fn wrong_attributes_and_operands_are_errors() {
    let x = || Operand::Input(ArrayD::ones(vec![3, 4]));
    let y = || Operand::Input(ArrayD::ones(vec![2, 5]));
    let filling = Filling::Reflect;
    let function = ReduceFunction::Maximum;
    let keep_axes = false;
    let windows = |before, strides| {
        vec![Windows { outputs: 2, size: 1, strides, dilation: 1, spread: 1, before }]
    };
    let reduction = Reduction::Mean;
    let wrong: Vec<(Operator, Vec<Operand>)> = vec![
        (Binary { function: BinaryFunction::Add }.into(), vec![x(), y()]),
        (Binary { function: BinaryFunction::Add }.into(), vec![x()]),
        (Where.into(), vec![x(), x()]),
        (Slice { axis: 2, start: 0, step: 1, length: 1 }.into(), vec![x()]),
        (Slice { axis: 0, start: 3, step: 1, length: 1 }.into(), vec![x()]),
        (Slice { axis: 0, start: 0, step: -1, length: 2 }.into(), vec![x()]),
        (Slice { axis: 0, start: 1, step: isize::MAX, length: 3 }.into(), vec![x()]),
        (Slice { axis: 0, start: 0, step: 1, length: usize::MAX }.into(), vec![x()]),
        (Expand { shape: vec![4] }.into(), vec![x()]),
        (Expand { shape: vec![3, 1] }.into(), vec![x()]),
        (Pad { axis: 2, before: 0, after: 0, filling }.into(), vec![x()]),
        (Pad { axis: 0, before: 3, after: 0, filling }.into(), vec![x()]),
        (Pad { axis: 0, before: 4, after: 0, filling: Filling::Wrap }.into(), vec![x()]),
        (Gather { axis: 2, from_end: false }.into(), vec![x(), y()]),
        (Scatter { axes: 3 }.into(), vec![x(), y(), y()]),
        (Scatter { axes: 1 }.into(), vec![x(), y(), y()]),
        (BatchedMatMul.into(), vec![x(), y()]),
        (BatchedMatMul.into(), vec![x(), Operand::Input(ArrayD::ones(vec![4]))]),
        (Reduce { axes: vec![1, 0], function, keep_axes }.into(), vec![x()]),
        (Reduce { axes: vec![2], function, keep_axes }.into(), vec![x()]),
        (
            Reduce { axes: vec![0, 1], function: ReduceFunction::IndexOfMaximum, keep_axes }.into(),
            vec![x()],
        ),
        (Pool { windows: windows(0, 1), reduction }.into(), vec![x()]),
        (
            Pool { windows: windows(0, 0), reduction }.into(),
            vec![Operand::Input(ArrayD::ones(vec![1, 2, 3]))],
        ),
        (
            Pool { windows: windows(isize::MIN, 1), reduction }.into(),
            vec![Operand::Input(ArrayD::ones(vec![1, 2, 3]))],
        ),
    ];
    for (operator, operands) in wrong {
        let probe = Probe { operator, operands };
        assert!(probe.writes().is_err(), "{}", describe(&probe));
    }
}
