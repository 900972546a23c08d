//! What a plan is: launches of kernels, the buffers that they bind, and what goes in and out.

use super::layout::ArrayLayout;
use super::weight::Weight;
use crate::gpu::kernel::{Constants, Kernel, UniformData};
use crate::graph::{ArrayId, Demand, Source, StateOfLayer};
use ndarray::ArrayD;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The entries of the table of step numbers: no chunk has more steps.
pub(in crate::gpu) const STEP_TABLE: usize = 4096;
pub(in crate::gpu) const WORKGROUP: usize = 64;

/// A buffer that a launch binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) enum BufferId {
    /// Its place in `Plan::weights`.
    Weight(usize),
    /// A segment of an array of the graph.
    Array {
        array: ArrayId,
        segment: usize,
    },
    /// The state that a stateful layer ended the last call with.
    Carried(StateOfLayer),
    /// An array between the launches of an operator.
    Scratch(usize),
    Projection,
    /// A recurrence's states, as `recurrence.wgsl` has them.
    States,
    /// What the workgroups of a persistent kernel hand on to each other, as `persistent.wgsl` has
    /// it.
    Exchange,
    MaskSeen,
    /// Zeros, which no kernel writes; bound, too, where a kernel reads nothing.
    Zeros,
    /// Bound where a kernel writes nothing, for each binding another.
    Unwritten(usize),
}

/// One kernel of a launch.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct Stage {
    pub kernel: Kernel,
    pub constants: Constants,
    /// The storage buffers, in the order of the kernel's bindings.
    pub buffers: Vec<BufferId>,
    pub uniform: UniformData,
    pub workgroups: [u32; 3],
    pub flops: u64,
}

impl Stage {
    /// The directions that a recurrent kernel computes.
    pub fn directions(&self) -> u32 {
        self.workgroups[if self.kernel.is_sequence() { 1 } else { 2 }]
    }
}

/// Stages that run once, or once for every step.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct Launch {
    pub stages: Vec<Stage>,
    /// How often the stages run, with the step numbers 0..steps; `None`: once, without one.
    pub steps: Option<usize>,
    /// The bytes of the exchange that have to be zeros before they run, behind its first
    /// [`EXCHANGE_HEAD`].
    pub exchanged: u64,
    /// Its place in `Plan::works`.
    pub work: usize,
}

/// An operator that launches are for, or several that run in the same ones.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct Work {
    /// The name of its layer.
    pub layer: String,
    pub operator: &'static str,
    /// Of the first array that it writes.
    pub shape: Vec<usize>,
}

/// The bytes of the exchange before the first value: a word that says that a wait was given up, and
/// what fills up.
pub(in crate::gpu) const EXCHANGE_HEAD: u64 = 16;

/// Everything that a call does between upload and readback.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::gpu) struct Plan {
    /// What goes up with a call.
    pub inputs: Vec<(Source, Placed)>,
    /// The arrays of the graph that are known, and go up, too.
    pub known: Vec<Arc<ArrayD<f32>>>,
    /// What the values of inputs have to be.
    pub demands: Vec<Demand>,
    /// What is read back, in the order in which the model returns it.
    pub outputs: Vec<Placed>,
    pub weights: Vec<Weight>,
    /// The bytes of every buffer but the weights.
    pub buffers: HashMap<BufferId, u64>,
    pub launches: Vec<Launch>,
    /// What launches are for, in order.
    pub works: Vec<Work>,
    /// How its recurrences run.
    pub choices: Vec<Chosen>,
    /// The stacks whose recurrences work at the same time.
    pub waves: Vec<Waves>,
}

impl Plan {
    /// Whether the workgroups of a dispatch wait for each other.
    pub fn has_persistent(&self) -> bool {
        self.buffers.contains_key(&BufferId::Exchange)
    }
}

/// Where an array of the graph is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct Placed {
    pub shape: Vec<usize>,
    pub layout: ArrayLayout,
    /// Of each segment.
    pub buffers: Vec<BufferId>,
}

/// How the recurrences of a stack work at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) struct Waves {
    /// The lowest recurrence's `Recurrent::weights`.
    pub lowest: usize,
    /// The timesteps by which a recurrence is behind the one below.
    pub timesteps: usize,
}

/// For a class of recurrence and batch the name of the choice that was found to be the fastest.
pub(in crate::gpu) type Tuned = BTreeMap<String, String>;

/// How a plan runs a recurrence.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::gpu) struct Chosen {
    /// All recurrences and batches of a class run alike.
    pub class: String,
    pub name: String,
    /// The names of the ways that are worth timing, the planner's own first.
    pub candidates: Vec<String>,
}

pub(super) fn grid(workgroups: [usize; 3]) -> [u32; 3] {
    workgroups.map(|n| n as u32)
}
