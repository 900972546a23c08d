//! Operators as the attributes of ONNX's nodes mean them, beside what onnxruntime computed, where
//! semantics are easy to get wrong: on the CPU path and on a GPU.
//! `tests/fixtures/generate_operators.py` makes the arrays.

use super::operator_tests::{gpu, probe, run};
use crate::Device;
use crate::layer::{Activation, Operand};
use crate::operator::*;
use ndarray::{ArrayD, Axis};
use ndarray_npy::NpzReader;
use std::fs::File;

/// The arrays of a case.
struct Case(&'static str);

impl Case {
    fn array(&self, name: &str) -> ArrayD<f32> {
        let path = "tests/fixtures/operators/operators.npz";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut file = NpzReader::new(File::open(path).unwrap()).unwrap();
        file.by_name(&format!("{}_{name}", self.0)).unwrap()
    }

    fn operand(&self, number: usize) -> ArrayD<f32> {
        self.array(&number.to_string())
    }

    /// Compares what is computed on each device.
    fn check(&self, compute: impl Fn(&Device) -> ArrayD<f32>) {
        let expected = self.array("output");
        let cpu = Device::cpu();
        for device in std::iter::once(&cpu).chain(gpu()) {
            let found = compute(device);
            assert_eq!(found.shape(), expected.shape(), "{}", self.0);
            let difference = (&found - &expected).mapv(f32::abs);
            let largest = difference.fold(0.0, |a: f32, &b| a.max(b));
            let name = &device.info().name;
            assert!(largest < 1e-5, "{} on {name}: {largest:e}\n{found}\n{expected}", self.0);
        }
    }

    /// The same of one operator, whose first operand is the first array.
    fn check_one(&self, operator: impl Into<Operator>, others: &[Operand]) {
        let operator = operator.into();
        let operands = [&[Operand::Input(self.operand(0))], others].concat();
        self.check(|device| run(device, &probe(operator.clone(), operands.clone())));
    }
}

/// From features behind the batch to features as the last axis.
fn last(x: ArrayD<f32>) -> ArrayD<f32> {
    let order: Vec<_> = [0].into_iter().chain(2..x.ndim()).chain([1]).collect();
    x.permuted_axes(order).as_standard_layout().into_owned()
}

/// And back.
fn second(x: ArrayD<f32>) -> ArrayD<f32> {
    let rank = x.ndim();
    let order: Vec<_> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
    x.permuted_axes(order).as_standard_layout().into_owned()
}

/// ONNX's kernel `[filters, features of a group, sizes…]`.
fn kernel(w: ArrayD<f32>) -> ArrayD<f32> {
    let order: Vec<_> = (2..w.ndim()).chain([1, 0]).collect();
    w.permuted_axes(order).as_standard_layout().into_owned()
}

/// ONNX's kernel of a transposed convolution, `[features, filters of a group, sizes…]`, turned
/// round.
fn transposed_kernel(w: &ArrayD<f32>, groups: usize) -> ArrayD<f32> {
    let of_group = w.len_of(Axis(0)) / groups;
    let group = |group: usize| {
        let rows = ndarray::Slice::from(group * of_group..(group + 1) * of_group);
        let mut w = w.slice_axis(Axis(0), rows);
        (2..w.ndim()).for_each(|axis| w.invert_axis(Axis(axis)));
        let order: Vec<_> = (2..w.ndim()).chain([0, 1]).collect();
        w.permuted_axes(order)
    };
    let groups: Vec<_> = (0..groups).map(group).collect();
    let kernel = ndarray::concatenate(Axis(w.ndim() - 1), &groups).unwrap();
    kernel.as_standard_layout().into_owned()
}

fn convolve(
    case: &Case,
    device: &Device,
    kernel: ArrayD<f32>,
    operator: Convolution,
) -> ArrayD<f32> {
    let bias = match operator.windows.len() {
        2 if operator.groups == 1 => Operand::Missing,
        _ => Operand::Constant(case.operand(2)),
    };
    let operands = [Operand::Input(last(case.operand(0))), Operand::Constant(kernel), bias];
    second(run(device, &probe(operator, operands)))
}

/// Windows of a convolution.
fn windows(outputs: usize, size: usize, strides: usize, dilation: usize, before: isize) -> Windows {
    Windows { outputs, size, strides, dilation, spread: 1, before }
}

#[test]
fn convolutions_are_those_of_onnx() {
    let case = Case("conv");
    case.check(|device| {
        let along = vec![windows(7, 2, 1, 2, 1), windows(3, 3, 2, 1, 0)];
        let operator = Convolution { windows: along, groups: 2, activation: Activation::Linear };
        convolve(&case, device, kernel(case.operand(1)), operator)
    });
}

#[test]
fn transposed_convolutions_are_those_of_onnx() {
    // outputs: strides · (length - 1) + output_padding + (size - 1) · dilation + 1 - padding;
    // before: (size - 1) · dilation - the padding at the start.
    let transposed = |outputs, size, spread, dilation, before| Windows {
        outputs,
        size,
        strides: 1,
        dilation,
        spread,
        before,
    };
    let activation = Activation::Linear;
    let case = Case("conv_transpose");
    case.check(|device| {
        let windows = vec![transposed(15, 3, 3, 2, 3)];
        let operator = Convolution { windows, groups: 2, activation };
        convolve(&case, device, transposed_kernel(&case.operand(1), 2), operator)
    });
    let case = Case("conv_transpose_2d");
    case.check(|device| {
        let windows = vec![transposed(6, 3, 2, 1, 2), transposed(10, 2, 3, 1, 0)];
        let operator = Convolution { windows, groups: 1, activation };
        convolve(&case, device, transposed_kernel(&case.operand(1), 1), operator)
    });
}

#[test]
fn pools_are_those_of_onnx() {
    let pool = |case: &Case, device: &Device, windows: Vec<Windows>, reduction: Reduction| {
        let x = Operand::Input(last(case.operand(0)));
        second(run(device, &probe(Pool { windows, reduction }, [x])))
    };
    let (maximum, mean) = (Reduction::Maximum, Reduction::Mean);
    let case = Case("max_pool_ceil");
    case.check(|device| pool(&case, device, vec![windows(4, 3, 2, 1, 0)], maximum));
    let case = Case("max_pool_dilated");
    let along = [windows(4, 2, 1, 2, 1), windows(4, 2, 1, 1, 0)];
    case.check(|device| pool(&case, device, along.to_vec(), maximum));
    let case = Case("average_pool_ceil");
    case.check(|device| pool(&case, device, vec![windows(4, 3, 2, 1, 1)], mean));
    // The padding counts: it is zeros of the array.
    let case = Case("average_pool_padding");
    case.check(|device| {
        let filling = Filling::Constant(0.0);
        let mut x = last(case.operand(0));
        for (axis, before, after) in [(1, 1, 1), (2, 1, 0)] {
            x = run(device, &probe(Pad { axis, before, after, filling }, [Operand::Input(x)]));
        }
        let windows = vec![windows(3, 3, 2, 1, 0), windows(4, 2, 1, 1, 0)];
        let pool = Pool { windows, reduction: mean };
        second(run(device, &probe(pool, [Operand::Input(x)])))
    });
}

#[test]
fn moved_values_are_those_of_onnx() {
    let fillings = [
        ("pad_reflect", Filling::Reflect),
        ("pad_edge", Filling::Edge),
        ("pad_wrap", Filling::Wrap),
    ];
    for (name, filling) in fillings {
        Case(name).check_one(Pad { axis: 1, before: 3, after: 2, filling }, &[]);
    }
    // From the last but one down to 1, every third.
    Case("slice_backward").check_one(Slice { axis: 1, start: 7, step: -3, length: 3 }, &[]);
    let case = Case("gather");
    case.check_one(Gather { axis: 1, from_end: true }, &[Operand::Input(case.operand(1))]);
    let case = Case("scatter");
    // The indices [2, 0] and [0, 1] of rows [3, 2].
    let rows = ArrayD::from_shape_vec(vec![2], vec![4.0, 1.0]).unwrap();
    let values = Operand::Input(case.operand(2));
    case.check_one(Scatter { axes: 2 }, &[Operand::Constant(rows), values]);
}

#[test]
fn functions_are_those_of_onnx() {
    let reduce = |function, keep_axes| Reduce { axes: vec![1], function, keep_axes };
    Case("arg_max").check_one(reduce(ReduceFunction::IndexOfMaximum, false), &[]);
    Case("arg_min").check_one(reduce(ReduceFunction::IndexOfMinimum, true), &[]);
    Case("round").check_one(Unary { function: UnaryFunction::Round }, &[]);
    for name in ["remainder", "remainder_negative"] {
        let divisor = Operand::Constant(Case(name).operand(1));
        Case(name).check_one(Binary { function: BinaryFunction::Modulo }, &[divisor]);
    }
    let normalization = Normalization::LogSoftmax;
    Case("log_softmax").check_one(Normalize { axes: vec![1], normalization }, &[]);
    let case = Case("matmul");
    case.check_one(BatchedMatMul, &[Operand::Input(case.operand(1))]);
}
