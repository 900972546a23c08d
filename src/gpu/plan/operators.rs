//! The plan of a graph: the launches of each operator, in order.

use super::launch::{BufferId, Plan, Tuned, Work};
use super::layout::Segments;
use super::persistent::limits_for;
use super::planner::Planner;
use super::recurrent::{Group, groups};
use super::segments::in_segments;
use crate::error::{Error, Result};
use crate::gpu::limits::Limits;
use crate::graph::{OperatorGraph, Step};
use crate::operator::Operator;

/// The plan of a call; `tuned`: what was found to be the fastest.
pub(in crate::gpu) fn plan(graph: &OperatorGraph, limits: &Limits, tuned: &Tuned) -> Result<Plan> {
    let groups = groups(graph, limits)?;
    let limits = &limits_for(graph, limits);
    in_segments(graph, limits, |segments| plan_in(segments, graph, limits, tuned, &groups))
}

/// The plan of arrays in such segments.
fn plan_in(
    segments: &Segments,
    graph: &OperatorGraph,
    limits: &Limits,
    tuned: &Tuned,
    groups: &[Vec<Group>],
) -> Result<Plan> {
    let mut planner = Planner::new(graph, limits, tuned, segments);
    planner.need(BufferId::Zeros, 16)?;
    for step in 0..graph.steps.len() {
        let work = planner.work(&[&graph.steps[step]]);
        planner.next_operator(work);
        planner.step(step, groups)?;
    }
    let (layer, operator) = ("states".into(), "hand on");
    planner.next_operator(Work { layer, operator, shape: Vec::new() });
    planner.hand_on()?;
    let plan = planner.finish()?;
    check_bindings(&plan, limits)?;
    Ok(plan)
}

impl Planner<'_> {
    /// Adds the launches of a step; `groups`: those of each step.
    fn step(&mut self, index: usize, groups: &[Vec<Group>]) -> Result<()> {
        let step = &self.graph.steps[index];
        let Operator::Recurrent(operator) = &step.operator else {
            return self.for_each_segment(step);
        };
        let own = &groups[index];
        match own.first().and_then(|group| group.stacked.as_ref()) {
            None => self.recurrent(step, operator, own),
            Some(stacked) if stacked.place == 0 => self.stack(stacked, groups),
            Some(_) => Ok(()), // with the lowest of the stack
        }
    }

    /// Adds the launches of a step that is no recurrence, on the arrays or the parts of them that
    /// it is at.
    pub(super) fn other_step(&mut self, step: &Step) -> Result<()> {
        match &step.operator {
            Operator::Recurrent(_) => Err(Error::Graph(format!(
                "layer {:?}: a recurrence goes from segment to segment by itself",
                step.layer
            ))),
            Operator::MatMul(operator) => self.matmul(step, operator),
            Operator::BatchedMatMul(_) => self.batched_matmul(step),
            Operator::Convolution(operator) => self.convolution(step, operator),
            Operator::Pool(operator) => self.pool(step, operator),
            Operator::Attention(operator) => self.attention(step, operator),
            Operator::Activate(operator) => self.activate(step, operator),
            Operator::Unary(operator) => self.unary(step, operator.function),
            Operator::Relu(operator) => self.relu(step, operator),
            Operator::PRelu(_) => self.p_relu(step),
            Operator::Affine(_) => self.affine(step),
            Operator::Normalize(operator) => self.normalize(step, operator),
            Operator::Binary(operator) => self.binary(step, operator.function),
            Operator::Where(_) => self.choose(step),
            Operator::Combine(operator) => self.combine(step, operator),
            Operator::Reduce(operator) => self.reduce(step, operator),
            Operator::Gather(operator) => self.gather(step, operator),
            Operator::Scatter(operator) => self.scatter(step, operator),
            Operator::Differs(operator) => self.differs(step, operator),
            Operator::Blank(operator) => self.blank(step, operator),
            Operator::Reshape(_) => self.reshape(step),
            Operator::Transpose(operator) => self.transpose(step, operator),
            Operator::Slice(operator) => self.slice(step, operator),
            Operator::Pad(operator) => self.pad(step, operator),
            Operator::Concat(operator) => self.concat(step, operator),
            Operator::Expand(_) => self.expand(step),
        }
    }
}

fn check_bindings(plan: &Plan, limits: &Limits) -> Result<()> {
    let mut stages = plan.launches.iter().flat_map(|launch| &launch.stages);
    match stages.find(|stage| stage.buffers.len() > limits.storage_buffers) {
        Some(stage) => Err(Error::Limit {
            what: format!("the kernel {}", stage.kernel.name()),
            needed: stage.buffers.len() as u64,
            limit: "max_storage_buffers_per_shader_stage",
            allowed: limits.storage_buffers as u64,
            instead: "use a device with higher limits, or Device::cpu()",
        }),
        None => Ok(()),
    }
}
