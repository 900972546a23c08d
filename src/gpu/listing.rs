//! The kernels in every setting that the planner uses, for developers' tools.

use super::calls::plain_call;
use super::kernel::settings::settings;
use super::kernel::{Constants, Kernel, Role, Sharing, SourceLine, located};
use super::limits::{Limits, Persistent};
use super::plan::{PlanAdapter, Tuned, plan};
use crate::layer::{Bidirectional, Cell, Layer, RecurrentBuilder};
use crate::model::{CallShape, Model};
use std::collections::HashSet;

/// A kernel in one setting.
#[derive(Clone, Debug)]
pub struct KernelEntry {
    /// Its entry point.
    pub kernel: &'static str,
    /// What sets it apart from the kernel's other settings.
    pub setting: String,
    /// Its source.
    pub wgsl: String,
    /// The override constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Whether it is another setting with a mask or weights of 16 bits.
    pub variant: bool,
    /// Where each line of the source stands in `shaders/`.
    pub lines: Vec<SourceLine>,
}

impl KernelEntry {
    /// A compiler's message with files and their lines in the place of `wgsl:LINE`.
    pub fn located(&self, message: &str) -> String {
        located(&self.lines, message)
    }
}

/// The name of every kernel, and what it does in a sentence.
pub fn kernel_names() -> Vec<(&'static str, String)> {
    Kernel::all().iter().map(|kernel| (kernel.name(), kernel.about())).collect()
}

/// The kernel that runs for so many rows of the batch through a layer, which stands alone in a
/// model; of a kernel that isn't for recurrent layers any. `None`: the planner doesn't choose it,
/// or there is none of this name.
pub fn planned_kernel(
    name: &str,
    layer: Layer,
    rows: usize,
    adapter: PlanAdapter,
    half_weights: bool,
    masked: bool,
) -> Option<KernelEntry> {
    const TIMESTEPS: usize = 16;
    const FEATURES: usize = 16;
    let kernel = Kernel::all().into_iter().find(|kernel| kernel.name() == name)?;
    if kernel.row().role == Role::Other {
        return Some(entry(kernel, Constants::default()));
    }
    let model = Model::sequential(FEATURES, [layer]).ok()?;
    let mut found = Vec::new();
    let limits = adapter.limits(half_weights);
    let limits = if kernel.is_persistent() { with_persistent(limits) } else { limits };
    stages(&model, [rows, TIMESTEPS], &limits, masked, &mut found);
    let (_, constants) = found.into_iter().find(|(other, _)| *other == kernel)?;
    Some(entry(kernel, constants))
}

/// Batch, timesteps, features and units of the layers whose plans are looked at.
const SHAPES: [[usize; 4]; 9] = [
    [1, 8, 2, 3],
    [1, 256, 128, 128],
    [32, 100, 128, 128],
    [8, 400, 80, 512],
    [64, 50, 512, 512],
    [1, 1000, 256, 256],
    [16, 50, 512, 512],
    [4, 50, 1536, 1536],
    [3, 20, 30, 50],
];

/// Every kernel: those of recurrent layers as the planner sets them up for some shapes, the others
/// as they are.
pub fn kernel_list() -> Vec<KernelEntry> {
    let mut found: Vec<(Kernel, Constants)> = Vec::new();
    for [batch, timesteps, features, units] in SHAPES {
        for layer in layers(units) {
            let Ok(model) = Model::sequential(features, [layer]) else { continue };
            for limits in limits() {
                for masked in [false, true] {
                    stages(&model, [batch, timesteps], &limits, masked, &mut found);
                }
            }
        }
    }
    for kernel in Kernel::all() {
        if !found.iter().any(|(other, _)| *other == kernel) {
            found.push((kernel, Constants::default()));
        }
    }
    let mut list: Vec<_> =
        found.into_iter().map(|(kernel, constants)| entry(kernel, constants)).collect();
    list.sort_by(|a, b| (a.kernel, &a.setting).cmp(&(b.kernel, &b.setting)));
    list
}

/// Every kernel in every setting that it can have, each source with its constants once.
pub fn kernel_settings() -> Vec<KernelEntry> {
    let mut list: Vec<KernelEntry> = Vec::new();
    let mut seen = HashSet::new();
    for (kernel, constants) in settings() {
        let entry = entry(kernel, constants);
        if seen.insert(format!("{}{:?}", entry.wgsl, entry.constants)) {
            list.push(entry);
        }
    }
    list
}

fn layers(units: usize) -> impl Iterator<Item = Layer> {
    Cell::ALL.iter().map(move |&cell| {
        Bidirectional::new(RecurrentBuilder::of(cell, units).return_sequences(true)).into()
    })
}

/// Those of a GPU with WebGPU's default limits, its weights in 32 and 16 bits, without persistent
/// kernels and with them.
fn limits() -> [Limits; 4] {
    let limits = Limits::new(&wgpu::Limits::default(), u64::MAX);
    let [own, halves] = [false, true].map(|half_weights| Limits {
        software: false,
        subgroup: None,
        half_weights,
        ..limits
    });
    [own, halves, with_persistent(own), with_persistent(halves)]
}

/// Where any number of workgroups run side by side.
fn with_persistent(limits: Limits) -> Limits {
    Limits { persistent: Some(Persistent { workgroups: usize::MAX, looks: 0 }), ..limits }
}

/// Adds the kernels of a plan.
fn stages(
    model: &Model,
    [batch, timesteps]: [usize; 2],
    limits: &Limits,
    masked: bool,
    found: &mut Vec<(Kernel, Constants)>,
) {
    let Ok(call) = plain_call(model, batch, timesteps) else { return };
    let call = CallShape { masks: vec![masked; call.masks.len()], ..call };
    let planned = model.lower(&call).and_then(|graph| plan(&graph, limits, &Tuned::new()));
    for stage in planned.iter().flat_map(|plan| &plan.launches).flat_map(|launch| &launch.stages) {
        if !found.contains(&(stage.kernel, stage.constants)) {
            found.push((stage.kernel, stage.constants));
        }
    }
}

fn entry(kernel: Kernel, constants: Constants) -> KernelEntry {
    let tiling = constants.tiling;
    let source = kernel.source(tiling);
    let overrides = kernel.overrides(constants, &source);
    let has = |name: &str| overrides.iter().any(|(constant, _)| *constant == name);
    let mut setting = Vec::new();
    if kernel.row().role != Role::Other {
        setting.push(format!("{} gates, workgroup {}", tiling.gates, tiling.workgroup));
        setting.push(format!("rows {}", tiling.group_rows * tiling.tiles));
        let told = [
            ("SPLIT", tiling.split, 1),
            ("BLOCK", tiling.block_size(), 0),
            ("STATES", tiling.units, 0),
        ];
        let names = ["split", "block", "units"];
        for ((constant, value, plain), name) in told.into_iter().zip(names) {
            if has(constant) && value != plain {
                setting.push(format!("{name} {value}"));
            }
        }
        if tiling.half_weights {
            setting.push("16-bit weights".into());
        }
        if let Sharing::Subgroup(size) = tiling.sharing {
            setting.push(format!("subgroups of {size}"));
        }
        if tiling.writes_outputs {
            setting.push("outputs written".into());
        }
    }
    if constants.masked {
        setting.push("masked".into());
    }
    let variant = constants.masked || tiling.half_weights;
    KernelEntry {
        variant,
        kernel: kernel.name(),
        setting: setting.join(", "),
        wgsl: source.wgsl,
        constants: overrides,
        lines: source.lines,
    }
}
