//! A plan in the making: what the operators' launches have in common.

use super::array::Array;
use super::launch::{BufferId, Launch, Placed, Plan, Stage, Tuned, WORKGROUP, Work, grid};
use super::layout::{ArrayLayout, Segments, same_in_memory};
use super::weight::{ConstantLayout, Weight};
use crate::error::{Error, Result};
use crate::gpu::kernel::{Constants, Kernel, UniformData};
use crate::gpu::limits::Limits;
use crate::graph::{ArrayId, OperatorGraph, Source, Step};
use crate::operator::Operator;

/// Workgroups along the first axis of a grid that is folded into rows; `GRID_ROW` in the kernels.
pub(super) const GRID_ROW: usize = 32_768;

pub(super) struct Planner<'a> {
    pub graph: &'a OperatorGraph,
    pub limits: &'a Limits,
    /// What was found to be the fastest.
    pub tuned: &'a Tuned,
    pub segments: &'a Segments,
    /// What stands for an array of the graph while a step runs segment by segment.
    pub parts: Vec<(ArrayId, Array)>,
    /// The array in whose buffer each array is: its own, or that of which it is another shape.
    roots: Vec<ArrayId>,
    /// Whether a step reads an array, or the model returns it.
    pub used: Vec<bool>,
    /// The scratch arrays of the operator so far.
    scratch: usize,
    pub plan: Plan,
}

impl<'a> Planner<'a> {
    pub fn new(
        graph: &'a OperatorGraph,
        limits: &'a Limits,
        tuned: &'a Tuned,
        segments: &'a Segments,
    ) -> Planner<'a> {
        let mut used = vec![false; graph.arrays.len()];
        let read = graph.steps.iter().flat_map(|step| step.reads.iter().flatten());
        for array in read.chain(&graph.outputs) {
            used[array.0] = true;
        }
        Planner {
            graph,
            limits,
            tuned,
            segments,
            parts: Vec::new(),
            roots: roots(graph),
            used,
            scratch: 0,
            plan: Plan::default(),
        }
    }

    /// To the next operator, which may have the scratch arrays of the one before.
    pub fn next_operator(&mut self, work: Work) {
        self.restart_scratch();
        self.plan.works.push(work);
    }

    /// What the scratch arrays hold is done with.
    pub fn restart_scratch(&mut self) {
        self.scratch = 0;
    }

    /// What the launches of a step are for, or of steps that run in the same ones.
    pub fn work(&self, steps: &[&Step]) -> Work {
        let layers: Vec<_> = steps.iter().map(|step| &step.layer[..]).collect();
        let last = steps.last();
        Work {
            layer: layers.join(" + "),
            operator: last.map_or("", |step| step.operator.rules().name()),
            shape: last.map(|step| self.graph.shape(step.writes[0]).to_vec()).unwrap_or_default(),
        }
    }

    /// Asks for a buffer, or for more of it.
    pub fn need(&mut self, buffer: BufferId, bytes: u64) -> Result<()> {
        if bytes > self.limits.binding {
            return Err(Error::Limit {
                what: format!("the buffer {buffer:?}"),
                needed: bytes,
                limit: "bytes of max_storage_buffer_binding_size",
                allowed: self.limits.binding,
                instead: "use fewer timesteps, a device with higher limits, or Device::cpu()",
            });
        }
        let size = self.plan.buffers.entry(buffer).or_insert(bytes);
        *size = (*size).max(bytes);
        Ok(())
    }

    pub fn launch(&mut self, stages: Vec<Stage>, steps: Option<usize>) {
        self.exchanging_launch(stages, steps, 0);
    }

    /// A launch that needs so many bytes of zeros in the exchange.
    pub fn exchanging_launch(&mut self, stages: Vec<Stage>, steps: Option<usize>, exchanged: u64) {
        let fits = |stage: &Stage| stage.uniform.layout == stage.kernel.row().uniform;
        debug_assert!(stages.iter().all(fits));
        let work = self.plan.works.len().saturating_sub(1);
        self.plan.launches.push(Launch { stages, steps, exchanged, work });
    }

    /// A launch of one invocation after another.
    pub fn flat(
        &mut self,
        kernel: Kernel,
        buffers: Vec<BufferId>,
        uniform: impl Into<UniformData>,
        invocations: usize,
    ) {
        self.flat_with(kernel, Constants::default(), buffers, uniform, invocations);
    }

    pub fn flat_with(
        &mut self,
        kernel: Kernel,
        constants: Constants,
        buffers: Vec<BufferId>,
        uniform: impl Into<UniformData>,
        invocations: usize,
    ) {
        if invocations == 0 {
            return; // there is nothing to compute
        }
        let workgroups = invocations.div_ceil(WORKGROUP);
        let workgroups = grid([workgroups.min(GRID_ROW), workgroups.div_ceil(GRID_ROW), 1]);
        let uniform = uniform.into();
        self.launch(
            vec![Stage { kernel, constants, buffers, uniform, workgroups, flops: 0 }],
            None,
        );
    }

    pub fn layout(&self, array: ArrayId) -> ArrayLayout {
        self.segments.layouts[array.0]
    }

    /// The array in whose buffer an array is.
    pub fn root(&self, array: ArrayId) -> ArrayId {
        self.roots[array.0]
    }

    /// The buffer of a segment of an array.
    pub fn buffer(&mut self, array: ArrayId, segment: usize) -> BufferId {
        let root = self.root(array);
        match self.graph.arrays[root.0].source {
            Source::Carried(state) => BufferId::Carried(state),
            Source::Constant(id) => {
                self.weight(Weight::Constant { id, layout: ConstantLayout::Vectors })
            }
            _ => BufferId::Array { array: root, segment },
        }
    }

    /// An array that isn't cut along time, or the part of it that a step is at.
    pub fn array(&mut self, array: ArrayId) -> Array {
        if let Some((_, part)) = self.parts.iter().find(|(of, _)| *of == array) {
            return part.clone();
        }
        Array { buffer: self.buffer(array, 0), shape: self.graph.shape(array).to_vec() }
    }

    /// An array of the graph with all its segments.
    fn placed(&mut self, array: ArrayId) -> Placed {
        let layout = self.layout(array);
        let segments = 0..layout.segments();
        let shape = self.graph.shape(array).to_vec();
        let buffers = segments.map(|segment| self.buffer(array, segment)).collect();
        Placed { shape, layout, buffers }
    }

    /// An array between the launches of an operator.
    pub fn scratch_array(&mut self, shape: Vec<usize>) -> Result<Array> {
        let array = Array { buffer: BufferId::Scratch(self.scratch), shape };
        self.scratch += 1;
        self.need(array.buffer, array.bytes())?;
        Ok(array)
    }

    pub fn weight(&mut self, weight: Weight) -> BufferId {
        let known = self.plan.weights.iter().position(|other| *other == weight);
        BufferId::Weight(known.unwrap_or_else(|| {
            self.plan.weights.push(weight);
            self.plan.weights.len() - 1
        }))
    }

    /// The array that a step reads as this operand.
    pub fn read(&self, step: &Step, operand: usize) -> Result<ArrayId> {
        let array = step.reads.get(operand).copied().flatten();
        array.ok_or_else(|| self.wrong_operand(step, operand, "is missing"))
    }

    /// An operand that is one of the model's weights, as the operator's kernel has it.
    pub fn constant(
        &mut self,
        step: &Step,
        operand: usize,
        layout: ConstantLayout,
    ) -> Result<BufferId> {
        match self.graph.arrays[self.read(step, operand)?.0].source {
            Source::Constant(id) => Ok(self.weight(Weight::Constant { id, layout })),
            _ => {
                let reason = "is computed, and the GPU path takes weights there; use Device::cpu()";
                Err(self.wrong_operand(step, operand, reason))
            }
        }
    }

    pub fn optional_constant(
        &mut self,
        step: &Step,
        operand: usize,
        layout: ConstantLayout,
    ) -> Result<Option<BufferId>> {
        match step.reads.get(operand) {
            Some(Some(_)) => self.constant(step, operand, layout).map(Some),
            _ => Ok(None),
        }
    }

    fn wrong_operand(&self, step: &Step, operand: usize, reason: &str) -> Error {
        let name = step.operator.rules().name();
        Error::Graph(format!("layer {:?}: {name}: its operand {operand} {reason}", step.layer))
    }

    /// The plan, with the buffers of the graph's arrays, and what goes in and out.
    pub fn finish(mut self) -> Result<Plan> {
        let graph = self.graph;
        for (index, array) in graph.arrays.iter().enumerate() {
            let id = ArrayId(index);
            if !self.used[index] || self.root(id) != id {
                continue;
            }
            match array.source {
                Source::Constant(_) | Source::Ones => continue,
                Source::Step | Source::Carried(_) => {}
                source => {
                    let placed = self.placed(id);
                    self.plan.inputs.push((source, placed));
                }
            }
            let layout = self.layout(id);
            for segment in 0..layout.segments() {
                let buffer = self.buffer(id, segment);
                self.need(buffer, layout.segment_bytes(segment))?;
            }
        }
        self.plan.known.clone_from(&graph.known);
        self.plan.demands.clone_from(&graph.demands);
        self.plan.outputs = graph.outputs.iter().map(|&output| self.placed(output)).collect();
        Ok(self.plan)
    }
}

/// The array in whose buffer each array is: a reshape that leaves the values where they are costs
/// nothing.
pub(super) fn roots(graph: &OperatorGraph) -> Vec<ArrayId> {
    let mut roots: Vec<_> = (0..graph.arrays.len()).map(ArrayId).collect();
    for step in &graph.steps {
        if let (Operator::Reshape(_), &[Some(from)], &[to]) =
            (&step.operator, &step.reads[..], &step.writes[..])
            && same_in_memory(graph.shape(from), graph.shape(to))
        {
            roots[to.0] = roots[from.0];
        }
    }
    roots
}
