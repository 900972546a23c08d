//! The CPU path: recurrences, products, convolutions and some more in vectors and on threads, all
//! other operators as [`crate::reference`] computes them.
//!
//! The way of the data: weights are [`Packed`] once; [`Engine`] cuts a layer's work into sequences,
//! one for each direction and some rows of the batch, which threads run independently, or where
//! that is better one after the other, each on all threads. What isn't recurrent is in `operators`:
//! kernels are packed once, and `product` cuts the work; convolutions of 3 · 3 go by tiles
//! (`winograd`).
//!
//! Every sum runs in the same order whatever the batch, the number of threads or the way that the
//! work is split: the results are equal to the bit.

mod attention;
mod batched;
mod convolution;
mod cores;
mod engine;
mod memory;
mod moving;
mod normalize;
mod operators;
mod pairs;
mod pool;
mod product;
mod values;
mod windows;
mod winograd;
mod workspace;

use crate::error::{Error, Result};
use crate::graph::{Constants, OperatorGraph};
use crate::host::Threads;
use crate::layer::{Recurrent, Weights};
use crate::model::{Bound, CallShape, Inputs, KnownCall, Model, Outputs, OutputsMut, Places};
use crate::profile::Recorder;
use crate::reference::{Carried, Shared, check_memory, run_graph};
use crate::runner::{Awaited, Runner, Started, Wait, Workspaces};
use birnn_simd::{Arch, Packed};
use cores::{Cores, Reused};
use engine::Engine;
use operators::Operators;
use workspace::{Common, Workspace};

/// How many graphs are kept; above it all are dropped, so that a caller with ever new shapes
/// doesn't fill memory.
const KEPT_GRAPHS: usize = 16;

/// A model made ready for the CPU.
#[derive(Debug)]
pub(crate) struct CpuSession {
    engine: Engine,
    constants: Constants<f32>,
    /// Of the shapes of calls so far.
    graphs: Vec<(CallShape, OperatorGraph)>,
    workspaces: Vec<Workspace>,
    carried: Carried<f32>,
    /// The rows of the batch of the last call.
    rows: usize,
}

impl CpuSession {
    /// With `half_weights` recurrent kernels are kept in 16 bits.
    pub fn new(model: &Model, threads: Threads, half_weights: bool) -> Result<CpuSession> {
        CpuSession::with_arch(model, threads, half_weights, birnn_simd::best_arch())
    }

    fn with_arch(
        model: &Model,
        threads: Threads,
        half_weights: bool,
        arch: Arch,
    ) -> Result<CpuSession> {
        model.check_weights()?;
        let lanes = birnn_simd::lanes(arch);
        let pack = |(layer, weights): (&Recurrent, &Weights)| {
            let bias = weights.projection_bias(layer.cell());
            let unit_weights = layer.cell().unit_weights().into_iter();
            let views = birnn_simd::Weights {
                kernel: weights.kernel.view(),
                recurrent_kernel: weights.recurrent_kernel.view(),
                bias: bias.view(),
                unit_weights: unit_weights.map(|weight| weights.of_units(weight)).collect(),
            };
            let unknown = || Error::Graph(format!("the CPU path has no {}", layer.cell().name()));
            Packed::new(layer.cell(), views, lanes, half_weights).ok_or_else(unknown)
        };
        let of_layer = |layer: usize| model.directions(layer)?.into_iter().map(pack).collect();
        let layers = (0..model.layers.len()).map(of_layer).collect::<Result<_>>()?;
        Ok(CpuSession {
            engine: Engine {
                cores: Cores { arch, threads },
                layers,
                scratch: Reused::default(),
                operators: Operators::default(),
            },
            constants: model.constants(),
            graphs: Vec::new(),
            workspaces: Vec::new(),
            carried: Carried::default(),
            rows: 0,
        })
    }

    fn run(&mut self, model: &Model, inputs: &Bound<'_, f32>) -> Result<Outputs> {
        self.recorded(model, inputs, None)
    }

    /// Runs a call, and tells a recorder where its time goes.
    fn recorded(
        &mut self,
        model: &Model,
        inputs: &Bound<'_, f32>,
        mut recorder: Option<&mut Recorder>,
    ) -> Result<Outputs> {
        let carried = !self.carried.is_empty();
        let known = self.graphs.iter().position(|(known, _)| inputs.has_shape(known, carried));
        let index = match known {
            Some(index) => index,
            None => {
                let shape = inputs.call_shape(inputs.batch, carried);
                let graph = model.lower(&shape)?.fused(&self.constants);
                check_memory::<f32>(&graph)?;
                self.engine.prepare(&graph, &self.constants)?;
                if self.graphs.len() >= KEPT_GRAPHS {
                    self.graphs.clear();
                }
                self.graphs.push((shape, graph));
                self.graphs.len() - 1
            }
        };
        let graph = &self.graphs[index].1;
        let shared = Shared { model, constants: &self.constants, operators: &self.engine };
        self.rows = inputs.batch;
        if let Some(recorder) = &mut recorder {
            recorder.host("prepare");
        }
        let outputs = run_graph(shared, graph, inputs, &mut self.carried, recorder);
        self.engine.operators.memory.end_call();
        outputs
    }
}

impl Runner for CpuSession {
    fn submit<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
    ) -> Awaited<'a, Started> {
        Box::pin(async { self.run(model, inputs).map(Started::Done) })
    }

    fn profile<'a>(
        &'a mut self,
        model: &'a Model,
        inputs: &'a Bound<'_, f32>,
        _: Wait,
        recorder: &'a mut Recorder,
    ) -> Awaited<'a, Outputs> {
        Box::pin(async { self.recorded(model, inputs, Some(recorder)) })
    }

    fn carried_batch(&self) -> Option<usize> {
        (!self.carried.is_empty()).then_some(self.rows)
    }

    fn reset_states(&mut self) {
        self.carried.clear();
    }

    fn workspaces(&mut self) -> Option<&mut dyn Workspaces> {
        Some(self)
    }

    fn recycle(&mut self, outputs: Outputs) {
        for output in outputs.into_list() {
            self.engine.operators.memory.give(output.array.into_raw_vec_and_offset().0);
        }
    }
}

impl Workspaces for CpuSession {
    fn add(&mut self, model: &Model, known: &KnownCall, inputs: &Bound<'_, f32>) -> Result<()> {
        let shape = inputs.call_shape(inputs.batch, !self.carried.is_empty());
        let graph = model.lower(&shape)?.fused(&self.constants);
        check_memory::<f32>(&graph)?;
        self.engine.prepare(&graph, &self.constants)?;
        self.workspaces.push(Workspace::new(&self.engine, graph, known, inputs));
        Ok(())
    }

    fn clear(&mut self) {
        self.workspaces.clear();
    }

    fn run(
        &mut self,
        workspace: usize,
        model: &Model,
        call: (&KnownCall, &Inputs<'_, f32>),
        outputs: (&mut OutputsMut<'_>, &Places),
    ) -> Result<()> {
        let missing = || Error::Graph(format!("there is no workspace {workspace} for a call"));
        let common = Common { engine: &self.engine, constants: &self.constants, model };
        let workspace = self.workspaces.get_mut(workspace).ok_or_else(missing)?;
        workspace.check(&common, call, &outputs)?;
        self.rows = call.0.batch;
        let ran = workspace.run(&common, call, &mut self.carried, outputs);
        if ran.is_err() {
            self.carried.clear();
        }
        ran
    }
}

/// How many values a vector has, of the instructions that this processor has.
pub(crate) fn lanes() -> usize {
    birnn_simd::lanes(birnn_simd::best_arch())
}

#[cfg(test)]
mod attention_tests;
#[cfg(test)]
mod operator_tests;
#[cfg(test)]
mod tests;
