use super::*;
use crate::graph::OperatorGraph;
use crate::layer::Lstm;
use crate::{Bidirectional, Error};
use ndarray::{ArrayD, Dimension, IxDyn};
use rand::{RngExt, SeedableRng};
use serde::de::DeserializeOwned;

fn named(names: &[&str]) -> Vec<Length> {
    names.iter().map(|name| Length::Named(name.to_string())).collect()
}

/// The graph for calls with inputs of these shapes.
fn lowered(program: Program, shapes: &[Vec<usize>]) -> Result<OperatorGraph, Error> {
    let (body, _) = program.complete()?;
    let values = vec![None; shapes.len()];
    body.lower(Given { shapes, values: &values, carried: false })
}

fn steps(graph: &OperatorGraph) -> Vec<&'static str> {
    graph.steps.iter().map(|step| step.operator.rules().name()).collect()
}

fn floats(shape: &[usize]) -> Values {
    Values::Floats(ArrayD::from_elem(IxDyn(shape), 0.5))
}

fn integers(program: &mut Program, values: impl IntoIterator<Item = i64>) -> Value {
    program.constant(Values::integers(values))
}

/// What PyTorch's exporter writes around an LSTM with `batch_first`.
#[test]
fn transposes_around_a_recurrence_cost_nothing() {
    let mut program = Program::new();
    let axes = [named(&["batch", "time"]), vec![Length::Fixed(3)]].concat();
    let x = program.input("x", axes, Kind::Float).unwrap();
    let one = |program: &mut Program, operation: Operation, operands: Vec<Value>| {
        program.add("node", operation, operands).unwrap()[0]
    };
    let turn = |order: &[usize]| Operation::Transpose { order: order.to_vec() };
    let time_major = one(&mut program, turn(&[1, 0, 2]), vec![x]);
    // What the node LSTM itself is.
    let batch_major = one(&mut program, turn(&[1, 0, 2]), vec![time_major]);
    let layer = Bidirectional::new(Lstm::new(4).return_sequences(true)).into();
    let mut operands = vec![Some(batch_major), None, None, None, None, None];
    for _ in 0..2 {
        for shape in [&[3, 16][..], &[4, 16], &[16]] {
            operands.push(Some(program.constant(floats(shape))));
        }
    }
    let recurrent = Operation::Recurrent { layer: Box::new(layer), in_order_of_time: true };
    let y = program.add("lstm", recurrent, operands).unwrap()[0];
    let reshape = Operation::Reshape { zero_copies: true };
    let split = integers(&mut program, [0, 0, 2, 4]);
    let y = one(&mut program, reshape.clone(), vec![y, split]);
    let y = one(&mut program, turn(&[1, 2, 0, 3]), vec![y]);
    // What is behind it.
    let y = one(&mut program, turn(&[0, 2, 1, 3]), vec![y]);
    let flat = integers(&mut program, [0, 0, -1]);
    let y = one(&mut program, reshape, vec![y, flat]);
    let y = one(&mut program, turn(&[1, 0, 2]), vec![y]);
    let y = one(&mut program, Operation::Unary(Unary::Exp), vec![y]);
    program.output("y", y);
    let graph = lowered(program, &[vec![2, 5, 3]]).unwrap();
    assert_eq!(steps(&graph), ["recurrent", "activate"]);
    assert_eq!(graph.shape(graph.outputs[0]), [2, 5, 8]);
}

/// Shapes, and what follows from them, need no operator; what nothing reads isn't computed.
#[test]
fn what_is_known_is_computed_on_the_host() {
    let mut program = Program::new();
    let x = program.input("x", named(&["a", "b"]), Kind::Float).unwrap();
    let shape = program.add("shape", Operation::Shape, [x]).unwrap()[0];
    let two = program.constant(Values::integer(2));
    let twice = program.add("twice", Operation::Binary(Binary::Multiply), [shape, two]).unwrap()[0];
    let tile = program.constant(Values::integers([2, 2]));
    let large = program.add("tile", Operation::Tile, [x, tile]).unwrap()[0];
    let unread = program.add("unread", Operation::Unary(Unary::Exp), [x]).unwrap()[0];
    let same = program.add("same", Operation::Reshape { zero_copies: false }, [large, twice]);
    program.output("y", same.unwrap()[0]);
    let graph = lowered(program, &[vec![3, 4]]).unwrap();
    assert_eq!(graph.shape(graph.outputs[0]), [6, 8]);
    assert!(!steps(&graph).contains(&"activate"), "{unread:?}");
}

/// An operand that says a shape has to be known; the error names the operation.
#[test]
fn a_shape_that_depends_on_numbers_is_an_error() {
    let mut program = Program::new();
    let x = program.input("x", named(&["a"]), Kind::Float).unwrap();
    let whole = program.add("whole", Operation::Cast(Kind::Integer), [x]).unwrap()[0];
    let y = program.add("odd", Operation::Reshape { zero_copies: false }, [x, whole]).unwrap()[0];
    program.output("y", y);
    let error = lowered(program, &[vec![3]]).unwrap_err().to_string();
    assert!(error.contains("\"odd\"") && error.contains("depends on the values"), "{error}");
}

/// Values of whole numbers that say a shape are part of the call.
#[test]
fn an_input_that_says_a_shape_is_known_in_a_call() {
    let mut program = Program::new();
    let x = program.input("x", named(&["a"]), Kind::Float).unwrap();
    let shape = program.input("shape", [Length::Fixed(2)], Kind::Integer).unwrap();
    let y = program.add("reshape", Operation::Reshape { zero_copies: false }, [x, shape]);
    program.output("y", y.unwrap()[0]);
    let model = program.build().unwrap();
    let (x, shape) = (ndarray::arr1(&[1.0f32; 6]), ndarray::arr1(&[2.0f32, 3.0]));
    let inputs = crate::Inputs::new(x.view()).input(shape.view());
    let outputs = crate::reference::run(&model, inputs).unwrap();
    assert_eq!(outputs.named("y").unwrap().shape(), [2, 3]);
}

/// The branch that isn't taken may be anything.
#[test]
fn a_choice_computes_one_branch() {
    let mut program = Program::new();
    let x = program.input("x", named(&["a"]), Kind::Float).unwrap();
    let shape = program.add("shape", Operation::Shape, [x]).unwrap()[0];
    let three = program.constant(Values::integers([3]));
    let is_three = program.add("equal", Operation::Binary(Binary::Equal), [shape, three]).unwrap();
    let impossible = program.constant(Values::integers([7]));
    let wrong = program.add("wrong", Operation::Reshape { zero_copies: false }, [x, impossible]);
    let right = program.add("right", Operation::Unary(Unary::Negate), [x]).unwrap()[0];
    let chosen = program.add("choose", Operation::Choose, [is_three[0], right, wrong.unwrap()[0]]);
    program.output("y", chosen.unwrap()[0]);
    assert_eq!(steps(&lowered(program.clone(), &[vec![3]]).unwrap()), ["unary"]);
    let error = lowered(program, &[vec![4]]).unwrap_err().to_string();
    assert!(error.contains("\"wrong\""), "{error}");
}

/// On devices places are numbers in f32.
#[test]
fn places_that_f32_cannot_tell_apart_are_errors() {
    let of = |rows: usize, operation: Operation, operands: usize| {
        let mut program = Program::new();
        let x = program.input("x", named(&["rows", "columns"]), Kind::Float).unwrap();
        let places = program.input("places", named(&["count", "depth"]), Kind::Integer).unwrap();
        let operands = [x, places][..operands].to_vec();
        let y = program.add("far", operation, operands).unwrap()[0];
        program.output("y", y);
        lowered(program, &[vec![rows, 1], vec![3, 1]])
    };
    let maximum = Operation::ArgMax { axis: 0, keep: false, smallest: false, last: false };
    for (operation, operands) in
        [(Operation::Take { axis: 0 }, 2), (Operation::TakeNd { batch_axes: 0 }, 2), (maximum, 1)]
    {
        assert!(of(1 << 24, operation.clone(), operands).is_ok(), "{operation:?}");
        let error = of((1 << 24) + 1, operation, operands).unwrap_err().to_string();
        assert!(error.contains("\"far\"") && error.contains("16777217 places"), "{error}");
    }
}

#[test]
fn a_row_has_no_triangle() {
    let mut program = Program::new();
    let x = program.input("x", named(&["a"]), Kind::Float).unwrap();
    let known = program.constant(floats(&[3]));
    for (name, row) in [("computed", x), ("known", known)] {
        let mut program = program.clone();
        let y = program.add(name, Operation::Triangle { upper: true }, [row]).unwrap()[0];
        program.output("y", y);
        let error = lowered(program, &[vec![3]]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("no diagonal"), "{error}");
    }
}

#[test]
fn programs_that_cannot_be_are_errors() {
    let mut program = Program::new();
    assert!(program.clone().build().is_err());
    let x = program.input("x", named(&["a"]), Kind::Float).unwrap();
    assert!(program.input("x", [], Kind::Float).is_err());
    assert!(program.input("y", [Length::Fixed(0)], Kind::Float).is_err());
    let mut other = Program::new();
    assert!(other.add("odd", Operation::Shape, [x]).is_err());
    program.output("y", x);
    program.tie("x", "gone");
    assert!(program.build().unwrap_err().to_string().contains("gone"));
}

/// A choice that no call decides: what the other branch reads isn't part of the model.
#[test]
fn a_decided_choice_keeps_one_branch() {
    for (is_first, parameters) in [(true, 3), (false, 5)] {
        let mut program = Program::new();
        let x = program.input("x", [Length::Any, Length::Any], Kind::Float).unwrap();
        let condition = program.constant(Values::Bools(ndarray::arr0(is_first).into_dyn()));
        let branches = [3, 5].map(|columns| {
            let weights = program.constant(floats(&[columns]));
            program.add("times", Operation::Binary(Binary::Multiply), [x, weights]).unwrap()[0]
        });
        let operands = [condition, branches[0], branches[1]];
        let y = program.add("if", Operation::Choose, operands).unwrap()[0];
        program.output("y", y);
        let model = program.build().unwrap();
        assert_eq!(model.summary().parameters, parameters);
        let session = crate::Device::cpu().compile(&model);
        let x = ndarray::Array2::<f32>::ones((2, parameters));
        let outputs = session.unwrap().run(crate::Inputs::new(x.view())).unwrap();
        assert_eq!(outputs.output(), &ArrayD::from_elem(IxDyn(&[2, parameters]), 0.5));
    }
}

/// No call gives the tied input, so that its lengths have to be known otherwise.
#[test]
fn tied_inputs_of_unknown_lengths_are_errors() {
    let tied = |x: &str, state: Length| {
        let mut program = Program::new();
        let x = program.input("x", named(&[x]), Kind::Float)?;
        let state = program.input("state", [state], Kind::Float)?;
        let sum = program.add("sum", Operation::Binary(Binary::Add), [x, state])?[0];
        program.output("next", sum);
        program.tie("state", "next");
        program.build()
    };
    let named = |name: &str| Length::Named(name.to_string());
    assert!(tied("n", named("n")).is_ok() && tied("n", Length::Fixed(3)).is_ok());
    for state in [Length::Any, named("m")] {
        let error = tied("n", state).unwrap_err().to_string();
        assert!(error.contains("\"state\" isn't known") && error.contains("fix it"), "{error}");
    }
}

/// All functions of a kind: serde lists them where a name is none of theirs.
fn all<T: DeserializeOwned>() -> Vec<T> {
    let unknown = serde_json::from_str::<T>("\"?\"").err().unwrap().to_string();
    let names: Vec<&str> = unknown.split('`').skip(1).step_by(2).skip(1).collect();
    names.iter().map(|name| serde_json::from_str(&format!("\"{name}\"")).unwrap()).collect()
}

/// What is known before a call is computed on the host, anything else by operators: to the bit.
#[test]
fn what_is_folded_is_what_operators_compute() {
    let mut numbers = vec![1e-45, 1e-40, 1e-20, 0.1, 0.5, 1.0, 2.0, 2.5, 3.0, 5.0, 1e7, 1e30];
    numbers.extend([0.0, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY]);
    let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(5);
    numbers.extend((0..40).map(|_| rng.random_range(0.0f32..8.0)));
    let negative: Vec<f32> = numbers.iter().map(|number| -number).collect();
    numbers.extend(negative);
    numbers.push(f32::NAN);
    let count = numbers.len();
    let (unary, binary) = (all::<Unary>(), all::<Binary>());
    assert!(unary.len() >= 15 && binary.len() >= 17, "{unary:?} {binary:?}");

    // Each number beside each: a column and a row.
    let column = ArrayD::from_shape_vec(IxDyn(&[count, 1]), numbers.clone()).unwrap();
    let row = ArrayD::from_shape_vec(IxDyn(&[count]), numbers).unwrap();
    let mut program = Program::new();
    let axes = [Length::Fixed(count), Length::Fixed(1)];
    let a = program.input("a", axes, Kind::Float).unwrap();
    let b = program.input("b", [Length::Fixed(count)], Kind::Float).unwrap();
    let known_a = program.constant(Values::Floats(column.clone()));
    let known_b = program.constant(Values::Floats(row.clone()));
    let mut names = Vec::new();
    let mut add = |name: String, operation: Operation, computed: &[Value], known: &[Value]| {
        for (how, operands) in [("computed", computed), ("known", known)] {
            let node = format!("{name} {how}");
            let values = program.add(&node, operation.clone(), operands.to_vec()).unwrap();
            program.output(&node, values[0]);
        }
        names.push(name);
    };
    for function in unary {
        add(format!("{function:?}"), Operation::Unary(function), &[a], &[known_a]);
    }
    for function in binary {
        add(format!("{function:?}"), Operation::Binary(function), &[a, b], &[known_a, known_b]);
    }
    let model = program.build().unwrap();
    let inputs = crate::Inputs::new(column.view()).input(row.view());
    let outputs = crate::reference::run(&model, inputs).unwrap();
    for name in names {
        let of = |how: &str| outputs.named(&format!("{name} {how}")).unwrap();
        let (computed, known) = (of("computed"), of("known"));
        assert_eq!(computed.shape(), known.shape(), "{name}");
        for ((place, one), other) in computed.indexed_iter().zip(known) {
            let same = one.to_bits() == other.to_bits() || (one.is_nan() && other.is_nan());
            let places = place.slice();
            let second = places.get(1).filter(|_| computed.len() > count).map(|&at| row[at]);
            assert!(same, "{name} of {} and {second:?}: {one:e}, {other:e}", row[places[0]]);
        }
    }
}
