//! The kernels of `shaders/`: their sources, constants, bindings and uniforms. Pure.

#[cfg(any(test, feature = "kernel_list"))]
mod settings;
mod uniforms;

#[cfg(feature = "kernel_list")]
pub(super) use settings::settings;
pub(super) use uniforms::*;

use crate::layer::Activation;
use std::mem::discriminant;

/// A kernel, named as its file in `shaders/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    InputProjection,
    LoadState,
    LstmStep,
    GruStep,
    GruResetStep,
    GruCandidateStep,
    SimpleRnnStep,
    LstmSequence,
    GruSequence,
    GruResetSequence,
    SimpleRnnSequence,
    StepMask,
    Merge,
    MergeLast,
    FinalStates,
    Dense,
    Elementwise,
    Affine,
    Combine,
    CombineMasked,
    NormalizeVectors,
    Pool,
    Embedding,
    Masking,
    MaskValues,
    AttentionScores,
    AttentionApply,
}

/// What a pipeline is specialised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Constants {
    pub activation: Activation,
    pub recurrent_activation: Activation,
    /// Whether a recurrent kernel reads the mask.
    pub masked: bool,
    /// How a recurrent kernel or the projection is cut.
    pub tiling: Tiling,
}

impl Default for Constants {
    fn default() -> Self {
        Constants {
            activation: Activation::Tanh,
            recurrent_activation: Activation::Sigmoid,
            masked: false,
            tiling: Tiling::default(),
        }
    }
}

/// How a matmul of a recurrent layer is cut into workgroups and invocations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiling {
    /// The cell's gates, of which the kernel has weights.
    pub gates: u32,
    /// Rows of the batch in a group: 4, or 1 for a batch of one.
    pub group_rows: u32,
    pub sharing: Sharing,
    /// Whether weights are stored as halves.
    pub half_weights: bool,
    /// The width in units of a panel of the weights; `None`: one panel has all units.
    pub panel: Option<u32>,
    /// Invocations of a workgroup.
    pub workgroup: u32,
    /// Groups of rows that an invocation computes (the projection: quads of rows): 1, 2 or 4.
    pub tiles: u32,
    /// Invocations that share a sum; more than 1 only with one tile, and rows shared by workgroup
    /// memory.
    pub split: u32,
    /// The k that a workgroup loads at a time, where it shares rows by its memory.
    pub block: u32,
    /// A sequence kernel's units.
    pub units: u32,
    /// Whether a sequence kernel writes what the layer returns, and not only states that others
    /// move.
    pub writes_outputs: bool,
}

impl Default for Tiling {
    fn default() -> Self {
        Tiling {
            gates: 4,
            group_rows: 4,
            sharing: Sharing::Workgroup,
            half_weights: false,
            panel: None,
            workgroup: 64,
            tiles: 1,
            split: 1,
            block: 64,
            units: 0,
            writes_outputs: false,
        }
    }
}

/// How the rows that all invocations multiply by reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Sharing {
    /// Through workgroup memory.
    Workgroup,
    /// Through shuffles of subgroups, which always have this size. A sequence kernel then holds its
    /// weights.
    Subgroup(u32),
}

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}
use Access::{Read, Write};

macro_rules! wgsl {
    ($($file:literal),+) => {
        &[$(include_str!(concat!("../../../shaders/", $file, ".wgsl"))),+]
    };
}

impl Kernel {
    #[cfg(any(test, feature = "kernel_list"))]
    pub const ALL: [Kernel; 27] = [
        Kernel::InputProjection,
        Kernel::LoadState,
        Kernel::LstmStep,
        Kernel::GruStep,
        Kernel::GruResetStep,
        Kernel::GruCandidateStep,
        Kernel::SimpleRnnStep,
        Kernel::LstmSequence,
        Kernel::GruSequence,
        Kernel::GruResetSequence,
        Kernel::SimpleRnnSequence,
        Kernel::StepMask,
        Kernel::Merge,
        Kernel::MergeLast,
        Kernel::FinalStates,
        Kernel::Dense,
        Kernel::Elementwise,
        Kernel::Affine,
        Kernel::Combine,
        Kernel::CombineMasked,
        Kernel::NormalizeVectors,
        Kernel::Pool,
        Kernel::Embedding,
        Kernel::Masking,
        Kernel::MaskValues,
        Kernel::AttentionScores,
        Kernel::AttentionApply,
    ];

    /// The entry point.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::InputProjection => "input_projection",
            Kernel::LoadState => "load_state",
            Kernel::LstmStep => "lstm_step",
            Kernel::GruStep => "gru_step",
            Kernel::GruResetStep => "gru_reset_step",
            Kernel::GruCandidateStep => "gru_candidate_step",
            Kernel::SimpleRnnStep => "simple_rnn_step",
            Kernel::LstmSequence => "lstm_sequence",
            Kernel::GruSequence => "gru_sequence",
            Kernel::GruResetSequence => "gru_reset_sequence",
            Kernel::SimpleRnnSequence => "simple_rnn_sequence",
            Kernel::StepMask => "step_mask",
            Kernel::Merge => "merge",
            Kernel::MergeLast => "merge_last",
            Kernel::FinalStates => "final_states",
            Kernel::Dense => "dense",
            Kernel::Elementwise => "elementwise",
            Kernel::Affine => "affine",
            Kernel::Combine => "combine",
            Kernel::CombineMasked => "combine_masked",
            Kernel::NormalizeVectors => "normalize_vectors",
            Kernel::Pool => "pool",
            Kernel::Embedding => "embedding",
            Kernel::Masking => "masking",
            Kernel::MaskValues => "mask_values",
            Kernel::AttentionScores => "attention_scores",
            Kernel::AttentionApply => "attention_apply",
        }
    }

    /// What it shares with other kernels, and the kernel itself.
    pub fn source(self, tiling: Tiling) -> String {
        let parts: &[&str] = match self {
            Kernel::InputProjection => return projection_source(tiling),
            Kernel::LstmStep => {
                return recurrent_source(
                    self,
                    tiling,
                    4,
                    wgsl!["masked", "lstm_cell", "lstm_step"],
                );
            }
            Kernel::GruStep => {
                return recurrent_source(self, tiling, 3, wgsl!["masked", "gru_cell", "gru_step"]);
            }
            Kernel::GruResetStep => {
                return recurrent_source(self, tiling, 2, wgsl!["gru_reset_step"]);
            }
            Kernel::GruCandidateStep => {
                return recurrent_source(self, tiling, 1, wgsl!["masked", "gru_candidate_step"]);
            }
            Kernel::SimpleRnnStep => {
                return recurrent_source(self, tiling, 1, wgsl!["masked", "simple_rnn_step"]);
            }
            Kernel::LstmSequence => {
                return sequence_source(self, tiling, 4, wgsl!["lstm_cell", "lstm_sequence"]);
            }
            Kernel::GruSequence => {
                return sequence_source(self, tiling, 3, wgsl!["gru_cell", "gru_sequence"]);
            }
            Kernel::GruResetSequence => {
                let cell = wgsl!["gru_reset_cell", "gru_reset_sequence"];
                return sequence_source(self, tiling, 3, cell);
            }
            Kernel::SimpleRnnSequence => {
                let cell = wgsl!["simple_rnn_cell", "simple_rnn_sequence"];
                return sequence_source(self, tiling, 1, cell);
            }
            Kernel::LoadState => wgsl!["load_state"],
            Kernel::StepMask => wgsl!["step_mask"],
            Kernel::Merge => wgsl!["merge_unit", "merge"],
            Kernel::MergeLast => wgsl!["merge_unit", "merge_last"],
            Kernel::FinalStates => wgsl!["final_states"],
            Kernel::Dense => wgsl!["activations", "dense"],
            Kernel::Elementwise => wgsl!["activations", "flat", "elementwise"],
            Kernel::Affine => wgsl!["flat", "affine"],
            Kernel::Combine => wgsl!["flat", "differs", "combine"],
            Kernel::CombineMasked => wgsl!["flat", "combine_masked"],
            Kernel::NormalizeVectors => wgsl!["activations", "flat", "normalize_vectors"],
            Kernel::Pool => wgsl!["flat", "pool"],
            Kernel::Embedding => wgsl!["flat", "embedding"],
            Kernel::Masking => wgsl!["flat", "differs", "masking"],
            Kernel::MaskValues => wgsl!["flat", "differs", "mask_values"],
            Kernel::AttentionScores => wgsl!["activations", "flat", "attention_scores"],
            Kernel::AttentionApply => wgsl!["flat", "attention_apply"],
        };
        parts.concat()
    }

    /// The storage buffers, from binding 1 on.
    pub fn storage(self, tiling: Tiling) -> &'static [Access] {
        match self {
            // What every recurrent kernel has, the output, and the final states.
            Kernel::LstmSequence if tiling.writes_outputs => {
                &[Read, Read, Write, Write, Write, Write, Write, Write]
            }
            Kernel::GruSequence if tiling.writes_outputs => {
                &[Read, Read, Write, Read, Write, Write, Write]
            }
            Kernel::GruResetSequence | Kernel::SimpleRnnSequence if tiling.writes_outputs => {
                &[Read, Read, Write, Write, Write, Write]
            }
            Kernel::InputProjection => &[Read, Read, Read, Write],
            Kernel::LoadState => &[Read, Write],
            Kernel::GruStep | Kernel::GruSequence => &[Read, Read, Write, Read],
            Kernel::LstmStep
            | Kernel::LstmSequence
            | Kernel::GruResetStep
            | Kernel::GruCandidateStep
            | Kernel::GruResetSequence
            | Kernel::SimpleRnnStep
            | Kernel::SimpleRnnSequence => &[Read, Read, Write],
            Kernel::StepMask => &[Read, Write, Write],
            Kernel::Merge => &[Read, Write],
            Kernel::MergeLast => &[Read, Write, Write, Write, Write, Write],
            Kernel::FinalStates => &[Read, Write, Write, Write],
            Kernel::Dense | Kernel::Affine => &[Read, Read, Read, Write],
            Kernel::Elementwise | Kernel::Combine | Kernel::Masking | Kernel::MaskValues => {
                &[Read, Write]
            }
            Kernel::NormalizeVectors | Kernel::Pool | Kernel::Embedding => &[Read, Read, Write],
            Kernel::AttentionScores => &[Read, Read, Read, Read, Read, Read, Write],
            Kernel::AttentionApply | Kernel::CombineMasked => &[Read, Read, Read, Write],
        }
    }

    /// How its uniform is laid out.
    pub fn uniform(self) -> &'static Layout {
        match self {
            Kernel::InputProjection => Projection::LAYOUT,
            Kernel::LoadState => LoadState::LAYOUT,
            Kernel::LstmStep
            | Kernel::GruStep
            | Kernel::GruResetStep
            | Kernel::GruCandidateStep
            | Kernel::SimpleRnnStep
            | Kernel::LstmSequence
            | Kernel::GruSequence
            | Kernel::GruResetSequence
            | Kernel::SimpleRnnSequence => Recurrence::LAYOUT,
            Kernel::StepMask => StepMask::LAYOUT,
            Kernel::Merge | Kernel::MergeLast => Merge::LAYOUT,
            Kernel::FinalStates => FinalStates::LAYOUT,
            Kernel::Dense => Dense::LAYOUT,
            Kernel::Elementwise => Elementwise::LAYOUT,
            Kernel::Affine => Affine::LAYOUT,
            Kernel::Combine => Combine::LAYOUT,
            Kernel::CombineMasked => CombineMasked::LAYOUT,
            Kernel::NormalizeVectors => Normalize::LAYOUT,
            Kernel::Pool => Pool::LAYOUT,
            Kernel::Embedding => Embedding::LAYOUT,
            Kernel::Masking => Masking::LAYOUT,
            Kernel::MaskValues => MaskValues::LAYOUT,
            Kernel::AttentionScores => AttentionScores::LAYOUT,
            Kernel::AttentionApply => AttentionApply::LAYOUT,
        }
    }

    /// Whether it runs once a step, and reads the step's number.
    pub fn steps(self) -> bool {
        matches!(
            self,
            Kernel::LstmStep
                | Kernel::GruStep
                | Kernel::GruResetStep
                | Kernel::GruCandidateStep
                | Kernel::SimpleRnnStep
        )
    }

    /// Whether it runs all steps of a chunk.
    pub fn is_sequence(self) -> bool {
        matches!(
            self,
            Kernel::LstmSequence
                | Kernel::GruSequence
                | Kernel::GruResetSequence
                | Kernel::SimpleRnnSequence
        )
    }

    pub fn constants(self, constants: Constants) -> Vec<(&'static str, f64)> {
        let mut list = Vec::new();
        let recurrent = self.steps() || self.is_sequence();
        let tiling = constants.tiling;
        if matches!(self, Kernel::Dense | Kernel::Elementwise) || recurrent {
            let (code, parameter) = activation_code(constants.activation);
            list.extend([
                ("ACTIVATION", f64::from(code)),
                ("ACTIVATION_PARAMETER", f64::from(parameter)),
            ]);
        }
        if recurrent {
            let (code, parameter) = activation_code(constants.recurrent_activation);
            list.extend([
                ("RECURRENT_ACTIVATION", f64::from(code)),
                ("RECURRENT_PARAMETER", f64::from(parameter)),
            ]);
            list.push(("KERNEL_GATES", f64::from(tiling.gates)));
        }
        if recurrent && self != Kernel::GruResetStep {
            list.push(("MASKED", f64::from(u8::from(constants.masked))));
        }
        if self == Kernel::GruCandidateStep {
            list.push(("FIRST_GATE", 2.0));
        }
        if recurrent || self == Kernel::InputProjection {
            list.push(("WORKGROUP", f64::from(tiling.workgroup)));
            list.extend(tiling.panel.map(|units| ("PANEL", f64::from(units))));
        }
        if self.steps() || self == Kernel::InputProjection {
            list.push(("TILES", f64::from(tiling.tiles)));
            list.push(("BLOCK", f64::from(tiling.block_size())));
        }
        if recurrent {
            list.push(("SPLIT", f64::from(tiling.split)));
            list.push(("PARTIAL", f64::from(if tiling.split > 1 { tiling.workgroup } else { 1 })));
        }
        if self.is_sequence() {
            list.push(("STATES", 2.0 * f64::from(tiling.side())));
            if let Sharing::Subgroup(size) = tiling.sharing {
                list.push(("SUBGROUP", f64::from(size)));
            }
        }
        list
    }
}

impl Tiling {
    /// The k that are loaded at a time and shared.
    pub fn block_size(self) -> u32 {
        match self.sharing {
            Sharing::Workgroup => self.block,
            Sharing::Subgroup(size) => size,
        }
    }

    /// The states of one side of a sequence kernel's workgroup memory: what is read of them is
    /// whole subgroups, or vectors of four.
    pub fn side(self) -> u32 {
        match self.sharing {
            Sharing::Workgroup => self.units.next_multiple_of(4),
            Sharing::Subgroup(size) => self.units.next_multiple_of(size.max(4)),
        }
    }
}

/// The number that the kernels know an activation by, and its parameter.
fn activation_code(activation: Activation) -> (u32, f32) {
    let same = |other: &Activation| discriminant(other) == discriminant(&activation);
    let code = Activation::ALL.iter().position(same).unwrap_or(0) as u32;
    match activation {
        Activation::Elu(parameter) | Activation::LeakyRelu(parameter) => (code, parameter.into()),
        _ => (code, 0.0),
    }
}

fn weights(tiling: Tiling) -> &'static str {
    if tiling.half_weights { wgsl!["weights_f16"][0] } else { wgsl!["weights_f32"][0] }
}

fn gates(gates: u32) -> &'static str {
    match gates {
        1 => wgsl!["gates_1"][0],
        2 => wgsl!["gates_2"][0],
        3 => wgsl!["gates_3"][0],
        _ => wgsl!["gates_4"][0],
    }
}

fn projection_source(tiling: Tiling) -> String {
    let sharing = match tiling.sharing {
        Sharing::Workgroup => wgsl!["input_by_workgroup"],
        Sharing::Subgroup(_) => wgsl!["input_by_subgroup"],
    };
    let rows = if tiling.group_rows == 1 { wgsl!["projected_1"] } else { wgsl!["projected_4"] };
    let common = [wgsl!["panels"][0], weights(tiling), wgsl!["sums"][0], gates(tiling.gates)];
    [&common[..], sharing, rows, wgsl!["input_projection"]].concat().concat()
}

fn sequence_source(kernel: Kernel, tiling: Tiling, computed: u32, cell: &[&str]) -> String {
    let target: &[&str] = match (tiling.writes_outputs, kernel) {
        (false, _) => wgsl!["masked", "to_states"],
        (true, Kernel::LstmSequence) => wgsl!["masked", "to_outputs", "cell_to_outputs"],
        (true, _) => wgsl!["masked", "to_outputs"],
    };
    recurrent_source(kernel, tiling, computed, &[target, cell].concat())
}

/// A step or sequence kernel: `computed` gates at a time, after what depends on the tiling.
fn recurrent_source(kernel: Kernel, tiling: Tiling, computed: u32, cell: &[&str]) -> String {
    let rows = if tiling.group_rows == 1 { wgsl!["rows_1"] } else { wgsl!["rows_4"] };
    let way = match (kernel.is_sequence(), tiling.sharing) {
        (false, Sharing::Workgroup) => wgsl!["rows_by_workgroup", "step"],
        (false, Sharing::Subgroup(_)) => wgsl!["rows_by_subgroup", "step"],
        (true, Sharing::Workgroup) => wgsl!["weights_streamed", "sequence"],
        (true, Sharing::Subgroup(_)) => wgsl!["weights_held", "sequence"],
    };
    // The size of an array in private memory is the one thing that can't be an override.
    let quads = format!("const QUADS: u32 = {}u;\n", tiling.units.div_ceil(4).max(1));
    let common = [weights(tiling), wgsl!["sums"][0], gates(computed), rows[0]];
    [
        &[quads.as_str()],
        &wgsl!["activations", "panels"][..],
        &common,
        wgsl!["recurrence"],
        way,
        cell,
    ]
    .concat()
    .concat()
}

#[cfg(test)]
mod tests {
    use super::settings::{settings, tilings};
    use super::*;
    use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv, wgsl};
    use naga::proc::BoundsCheckPolicies;
    use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

    fn validate(module: &naga::Module) -> ModuleInfo {
        let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        Validator::new(ValidationFlags::all(), capabilities)
            .validate(module)
            .expect("the kernel is valid")
    }

    fn write_glsl(
        kernel: Kernel,
        version: glsl::Version,
        module: &naga::Module,
        info: &ModuleInfo,
    ) {
        let options = glsl::Options { version, ..Default::default() };
        let entry_point = kernel.name().to_string();
        let pipeline = glsl::PipelineOptions {
            shader_stage: naga::ShaderStage::Compute,
            entry_point,
            multiview: None,
        };
        let mut out = String::new();
        glsl::Writer::new(
            &mut out,
            module,
            info,
            &options,
            &pipeline,
            BoundsCheckPolicies::default(),
        )
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|e| panic!("{} in GLSL {version}: {e}", kernel.name()));
    }

    /// A kernel as the shader compiler of each of wgpu's backends gets it.
    fn translate(kernel: Kernel, constants: Constants) {
        let source = kernel.source(constants.tiling);
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|e| panic!("{}", e.emit_to_string(&source)));
        let info = validate(&module);
        let constants = kernel
            .constants(constants)
            .into_iter()
            .map(|(name, value)| (name.to_string(), value))
            .collect();
        let point = (naga::ShaderStage::Compute, kernel.name());
        let (module, _) =
            process_overrides(&module, &info, Some(point), &constants).expect("the overrides fit");
        let info = validate(&module);
        // Subgroups came with version 1.3.
        spv::write_vec(
            &module,
            &info,
            &spv::Options { lang_version: (1, 3), ..Default::default() },
            None,
        )
        .expect("SPIR-V");
        wgsl::write_string(&module, &info, wgsl::WriterFlags::empty()).expect("WGSL");
        let options = msl::Options {
            fake_missing_bindings: true,
            lang_version: (2, 4),
            ..Default::default()
        };
        let pipeline = msl::PipelineOptions::default();
        msl::write_string(&module, &info, &options, &pipeline).expect("MSL");
        let options = hlsl::Options {
            fake_missing_bindings: true,
            shader_model: hlsl::ShaderModel::V6_0,
            ..Default::default()
        };
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut String::new(), &options, &pipeline)
            .write(&module, &info, None)
            .expect("HLSL");
        // OpenGL ES 3.1 and OpenGL 4.3 are the first with compute shaders.
        for version in [glsl::Version::new_gles(310), glsl::Version::Desktop(430)] {
            write_glsl(kernel, version, &module, &info);
        }
    }

    #[test]
    fn every_kernel_and_setting_translates_to_every_backend() {
        for (kernel, constants) in settings() {
            translate(kernel, constants);
        }
    }

    #[test]
    fn bindings_are_those_of_the_source() {
        for kernel in Kernel::ALL {
            for tiling in tilings(kernel) {
                check_bindings(kernel, tiling);
            }
        }
    }

    fn check_bindings(kernel: Kernel, tiling: Tiling) {
        let module =
            naga::front::wgsl::parse_str(&kernel.source(tiling)).expect("the kernel parses");
        let mut storage: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| match (variable.space, &variable.binding) {
                (naga::AddressSpace::Storage { access }, Some(binding)) => {
                    Some((binding.binding, access))
                }
                _ => None,
            })
            .collect();
        storage.sort_by_key(|(binding, _)| *binding);
        let found: Vec<_> = storage
            .iter()
            .map(
                |(_, access)| {
                    if access.contains(naga::StorageAccess::STORE) { Write } else { Read }
                },
            )
            .collect();
        assert_eq!(found, kernel.storage(tiling), "{}", kernel.name());
        assert!(
            storage.iter().enumerate().all(|(i, (binding, _))| *binding == i as u32 + 1),
            "{}",
            kernel.name()
        );
    }

    /// The name of a type, as [`Field::wgsl_type`] has it.
    fn type_name(module: &naga::Module, ty: naga::Handle<naga::Type>) -> String {
        match &module.types[ty].inner {
            naga::TypeInner::Scalar(scalar) => match scalar.kind {
                naga::ScalarKind::Float => format!("f{}", 8 * scalar.width),
                _ => format!("u{}", 8 * scalar.width),
            },
            _ => module.types[ty].name.clone().unwrap_or_default(),
        }
    }

    /// Compares a struct of a kernel, and those in it, with its twin in Rust.
    fn check_struct(module: &naga::Module, ty: naga::Handle<naga::Type>) {
        let naga::TypeInner::Struct { members, span } = &module.types[ty].inner else { return };
        let name = type_name(module, ty);
        let layout = LAYOUTS.iter().find(|layout| layout.name == name);
        let layout = layout.unwrap_or_else(|| panic!("{name} has no twin in Rust"));
        let found: Vec<_> = members
            .iter()
            .map(|m| (m.name.clone().unwrap_or_default(), type_name(module, m.ty), m.offset))
            .collect();
        let expected = layout
            .fields
            .iter()
            .map(|f| (f.name.to_string(), f.wgsl_type.to_string(), f.offset as u32));
        assert_eq!(found, expected.collect::<Vec<_>>(), "{name}");
        assert_eq!(*span as usize, layout.size, "the size of {name}");
        assert!(layout.size <= UNIFORM_BYTES, "{name}");
        members.iter().for_each(|member| check_struct(module, member.ty));
    }

    #[test]
    fn uniforms_are_those_of_the_source() {
        for kernel in Kernel::ALL {
            let source = kernel.source(tilings(kernel)[0]);
            let module = naga::front::wgsl::parse_str(&source).expect("the kernel parses");
            let uniforms = module.global_variables.iter().map(|(_, variable)| variable);
            let uniforms = uniforms.filter(|v| v.space == naga::AddressSpace::Uniform);
            let mut found: Vec<_> = uniforms
                .map(|v| (v.binding.as_ref().map(|b| (b.group, b.binding)), v.ty))
                .collect();
            found.sort_by_key(|(binding, _)| *binding);
            found.iter().for_each(|(_, ty)| check_struct(&module, *ty));
            let named: Vec<_> = found.iter().map(|(b, ty)| (*b, type_name(&module, *ty))).collect();
            let mut expected = vec![(Some((0, 0)), kernel.uniform().name.to_string())];
            expected.extend(kernel.steps().then(|| (Some((1, 0)), Step::LAYOUT.name.to_string())));
            assert_eq!(named, expected, "{}", kernel.name());
        }
    }
}
