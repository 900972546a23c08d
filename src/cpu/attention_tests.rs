//! Attention as exporters write it, in steps, is one step on the CPU path, with what the steps give
//! in f64.

use super::*;
use crate::graph::{ArrayId, Source};
use crate::layer::{Operand, Probe};
use crate::model::{Graph, Inputs};
use crate::operator;
use crate::operator::{
    BatchedMatMul, Binary, BinaryFunction, Concat, Normalization, Normalize, Operator, Reshape,
    Slice, Transpose,
};
use crate::reference::{self, Ran, Sequences};
use birnn_simd::each_arch;
use ndarray::ArrayD;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::sync::Arc;

/// A graph in the making, of one input of all values, of which each array takes some.
#[derive(Default)]
struct Chain {
    graph: OperatorGraph,
    /// Shapes of what is given.
    given: Vec<Vec<usize>>,
    values: usize,
}

impl Chain {
    fn step(&mut self, operator: impl Into<Operator>, reads: &[ArrayId]) -> ArrayId {
        let reads: Vec<_> = reads.iter().copied().map(Some).collect();
        self.graph.step("attends", operator, reads).unwrap()[0]
    }

    fn reshape(&mut self, x: ArrayId, shape: &[usize]) -> ArrayId {
        self.step(Reshape { shape: shape.to_vec() }, &[x])
    }

    fn transpose(&mut self, x: ArrayId, order: &[usize]) -> ArrayId {
        self.step(Transpose { order: order.to_vec() }, &[x])
    }

    fn binary(&mut self, function: BinaryFunction, a: ArrayId, b: ArrayId) -> ArrayId {
        self.step(Binary { function }, &[a, b])
    }

    fn number(&mut self, number: f32) -> ArrayId {
        self.graph.known.push(Arc::new(ArrayD::from_elem(vec![1], number)));
        let index = self.graph.known.len() - 1;
        self.graph.feed(Source::Known(index), [1])
    }

    fn softmax(&mut self, x: ArrayId) -> ArrayId {
        let axes = vec![self.graph.shape(x).len() - 1];
        self.step(Normalize { axes, normalization: Normalization::Softmax }, &[x])
    }

    /// An array that a call gives.
    fn given(&mut self, all: usize, shape: &[usize]) -> ArrayId {
        let input = self.graph.feed(Source::Input(0), [1, all]);
        let length = shape.iter().product();
        let part = Slice { axis: 1, start: self.values, step: 1, length };
        self.values += length;
        self.given.push(shape.to_vec());
        let part = self.step(part, &[input]);
        self.reshape(part, shape)
    }
}

/// The values that all given arrays of a chain have together are as many as its input has: it is
/// built once to count them.
fn built(build: &dyn Fn(&mut Chain, usize) -> ArrayId) -> (OperatorGraph, usize) {
    let mut counting = Chain::default();
    build(&mut counting, 1 << 20);
    let mut chain = Chain::default();
    let output = build(&mut chain, counting.values);
    chain.graph.outputs = vec![output];
    (chain.graph, counting.values)
}

/// By the formulas; of recurrences there are none.
struct Plain;

impl reference::Operators<f64> for Plain {
    fn recur(&self, operator: &operator::Recurrent, _: Sequences<'_, f64>) -> Result<Ran<f64>> {
        panic!("{operator:?} in an attention")
    }
}

/// Runs a graph of steps in f64 as it is, and fused on the CPU path; `steps` are the names of those
/// that are no moves.
fn check(name: &str, steps: &[&str], build: &dyn Fn(&mut Chain, usize) -> ArrayId) {
    let (graph, values) = built(build);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let x = ArrayD::from_shape_simple_fn(vec![1, values], || rng.random_range(-1.0f32..1.0));
    // A model with the input.
    let operands = vec![Operand::Input(x.clone())];
    let probe = Probe { operator: Concat { axis: 0 }.into(), operands };
    let mut layers = Graph::new();
    let input = layers.input("x", &[Some(values)]).unwrap();
    let output = layers.add(probe.named("model"), &[input][..]).unwrap();
    let model = layers.build(output).unwrap().initialize(1).unwrap();
    let constants = Constants::<f32>::new([]);
    let fused = graph.clone().fused(&constants);
    let moves = ["reshape", "transpose", "slice"];
    let names = fused.steps.iter().map(|step| step.operator.rules().name());
    let names: Vec<_> = names.filter(|name| !moves.contains(name)).collect();
    assert_eq!(names, steps, "{name}");

    let wide = x.mapv(f64::from);
    let bound = model.bind(Inputs::new(wide.view())).unwrap();
    let constants_of_64 = Constants::<f64>::new([]);
    let shared = Shared { model: &model, constants: &constants_of_64, operators: &Plain };
    let exact = run_graph(shared, &graph, &bound, &mut Carried::default(), None).unwrap();
    let bound = model.bind(Inputs::new(x.view())).unwrap();
    for arch in each_arch() {
        let run = |threads: usize| {
            let threads = Threads::new(threads).open().unwrap();
            let session = CpuSession::with_arch(&model, threads, false, arch).unwrap();
            let shared =
                Shared { model: &model, constants: &constants, operators: &session.engine };
            run_graph(shared, &fused, &bound, &mut Carried::default(), None)
                .unwrap()
                .output()
                .clone()
        };
        let alone = run(1);
        assert_eq!(alone.shape(), exact.output().shape(), "{name}");
        for (&found, &exact) in alone.iter().zip(exact.output()) {
            let far = (f64::from(found) - exact).abs() / exact.abs().max(1.0);
            assert!(far < 5e-6, "{name}, {arch:?}: {found}, not {exact}");
        }
        let bits = |array: &ArrayD<f32>| array.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&run(3)), bits(&alone), "{name}, {arch:?}: other bits on three threads");
    }
}

/// What `nn.MultiheadAttention` becomes: `[time, batch, features]`, batch and heads as one axis,
/// and scales before the product.
#[test]
fn attention_of_pytorch() {
    for [batch, queries, keys, heads, features] in
        [[3, 37, 50, 4, 9], [1, 130, 1000, 2, 16], [2, 1, 7, 1, 5]]
    {
        let build = move |chain: &mut Chain, all: usize| {
            let root = chain.number(0.6);
            let split = |chain: &mut Chain, length: usize| {
                let x = chain.given(all, &[length, batch, heads * features]);
                let x = chain.reshape(x, &[length, batch * heads, features]);
                let x = chain.transpose(x, &[1, 0, 2]);
                chain.reshape(x, &[batch, heads, length, features])
            };
            let (q, k, v) = (split(chain, queries), split(chain, keys), split(chain, keys));
            let q = chain.binary(BinaryFunction::Multiply, q, root);
            let k = chain.transpose(k, &[0, 1, 3, 2]);
            let k = chain.binary(BinaryFunction::Multiply, root, k);
            let scores = chain.step(BatchedMatMul, &[q, k]);
            let shares = chain.softmax(scores);
            let mixed = chain.step(BatchedMatMul, &[shares, v]);
            let mixed = chain.transpose(mixed, &[2, 0, 1, 3]);
            chain.reshape(mixed, &[queries * batch, heads * features])
        };
        check(&format!("PyTorch {batch} {heads}"), &["attention"], &build);
    }
}

/// The usual way of transformers, with a divided product and a mask that is added.
#[test]
fn attention_of_transformers() {
    let [batch, queries, keys, heads, features, of_value] = [2, 20, 33, 3, 8, 5];
    let masks: [&[usize]; 6] = [
        &[batch, 1, 1, keys],
        &[1, 1, queries, keys],
        &[batch, heads, queries, keys],
        &[heads, 1, 1],
        &[keys],
        &[1],
    ];
    for mask in masks {
        let build = move |chain: &mut Chain, all: usize| {
            let q = chain.given(all, &[batch, queries, heads * features]);
            let q = chain.reshape(q, &[batch, queries, heads, features]);
            let q = chain.transpose(q, &[0, 2, 1, 3]);
            let k = chain.given(all, &[batch, keys, heads * features]);
            let k = chain.reshape(k, &[batch, keys, heads, features]);
            let k = chain.transpose(k, &[0, 2, 3, 1]);
            let v = chain.given(all, &[batch, keys, heads * of_value]);
            let v = chain.reshape(v, &[batch, keys, heads, of_value]);
            let v = chain.transpose(v, &[0, 2, 1, 3]);
            let mask = chain.given(all, mask);
            let scores = chain.step(BatchedMatMul, &[q, k]);
            let by = chain.number(2.8);
            let scores = chain.binary(BinaryFunction::Divide, scores, by);
            let scores = chain.binary(BinaryFunction::Add, mask, scores);
            let shares = chain.softmax(scores);
            let mixed = chain.step(BatchedMatMul, &[shares, v]);
            let mixed = chain.transpose(mixed, &[0, 2, 1, 3]);
            chain.reshape(mixed, &[batch, queries, heads * of_value])
        };
        check(&format!("with a mask {mask:?}"), &["attention"], &build);
    }
}

/// Without heads, of two axes and of three.
#[test]
fn attention_of_products() {
    let shapes: [[&[usize]; 3]; 3] = [
        [&[7, 5], &[5, 9], &[9, 4]],
        [&[3, 40, 6], &[3, 6, 70], &[3, 70, 33]],
        // A key that is one for all is a step of its own.
        [&[3, 4, 6], &[6, 7], &[3, 7, 2]],
    ];
    for [q, k, v] in shapes {
        let build = move |chain: &mut Chain, all: usize| {
            let [q, k, v] = [q, k, v].map(|shape| chain.given(all, shape));
            let scores = chain.step(BatchedMatMul, &[q, k]);
            let shares = chain.softmax(scores);
            chain.step(BatchedMatMul, &[shares, v])
        };
        let steps = ["batched matmul", "normalize", "batched matmul"];
        let is_one = k.len() == q.len();
        check(&format!("{q:?}"), if is_one { &["attention"] } else { &steps }, &build);
    }
}

/// What something else needs, too, stays.
#[test]
fn scores_that_are_read_stay() {
    for returned in 0..3 {
        let build = move |chain: &mut Chain, all: usize| {
            let [q, k, v] = [&[3, 5, 6], &[3, 6, 7], &[3, 7, 4]]
                .map(|shape: &[usize; 3]| chain.given(all, shape));
            let scores = chain.step(BatchedMatMul, &[q, k]);
            let shares = chain.softmax(scores);
            let mixed = chain.step(BatchedMatMul, &[shares, v]);
            let [rows, columns] = [chain.reshape(mixed, &[60]), {
                let other = [scores, shares, mixed][returned];
                let length = chain.graph.shape(other).iter().product();
                chain.reshape(other, &[length])
            }];
            chain.step(Concat { axis: 0 }, &[rows, columns])
        };
        let whole = ["batched matmul", "normalize", "batched matmul", "concat"];
        let steps = if returned == 2 { &["attention", "concat"][..] } else { &whole };
        check(&format!("returned {returned}"), steps, &build);
    }
}

/// Features before positions, as convolutions write them.
#[test]
fn attention_of_channels_first() {
    let build = |chain: &mut Chain, all: usize| {
        let q = chain.given(all, &[2, 6, 40]);
        let q = chain.transpose(q, &[0, 2, 1]);
        let k = chain.given(all, &[2, 6, 33]);
        let v = chain.given(all, &[2, 5, 33]);
        let v = chain.transpose(v, &[0, 2, 1]);
        let scores = chain.step(BatchedMatMul, &[q, k]);
        let shares = chain.softmax(scores);
        chain.step(BatchedMatMul, &[shares, v])
    };
    check("channels first", &["attention"], &build);
}
