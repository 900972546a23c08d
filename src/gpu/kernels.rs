//! The kernels of `shaders/`: their sources, bindings, and pipelines.

use crate::layer::Activation;
use std::collections::HashMap;

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
    Merge,
}

/// What a pipeline is specialised for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Constants {
    pub activation: Activation,
    pub recurrent_activation: Activation,
    /// Vectors of four batch rows that an invocation of a step kernel computes: 1 or 2.
    pub tiles: u32,
}

impl Default for Constants {
    fn default() -> Self {
        Constants { activation: Activation::Tanh, recurrent_activation: Activation::Sigmoid, tiles: 1 }
    }
}

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}
use Access::{Read, Write};

const SHARED: &str =
    concat!(include_str!("../../shaders/activations.wgsl"), include_str!("../../shaders/recurrence.wgsl"));

macro_rules! step_source {
    ($file:literal) => {
        (SHARED, include_str!(concat!("../../shaders/", $file)))
    };
}

impl Kernel {
    #[cfg(test)]
    pub const ALL: [Kernel; 8] = [
        Kernel::InputProjection,
        Kernel::LoadState,
        Kernel::LstmStep,
        Kernel::GruStep,
        Kernel::GruResetStep,
        Kernel::GruCandidateStep,
        Kernel::SimpleRnnStep,
        Kernel::Merge,
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
            Kernel::Merge => "merge",
        }
    }

    /// What the step kernels share, and the kernel itself.
    fn source(self) -> String {
        let (shared, own) = match self {
            Kernel::InputProjection => ("", include_str!("../../shaders/input_projection.wgsl")),
            Kernel::LoadState => ("", include_str!("../../shaders/load_state.wgsl")),
            Kernel::Merge => ("", include_str!("../../shaders/merge.wgsl")),
            Kernel::LstmStep => step_source!("lstm_step.wgsl"),
            Kernel::GruStep => step_source!("gru_step.wgsl"),
            Kernel::GruResetStep => step_source!("gru_reset_step.wgsl"),
            Kernel::GruCandidateStep => step_source!("gru_candidate_step.wgsl"),
            Kernel::SimpleRnnStep => step_source!("simple_rnn_step.wgsl"),
        };
        [shared, own].concat()
    }

    /// The storage buffers, from binding 1 on.
    fn storage(self) -> &'static [Access] {
        match self {
            Kernel::InputProjection => &[Read, Read, Read, Write],
            Kernel::LoadState => &[Read, Write],
            Kernel::LstmStep => &[Read, Read, Write, Write],
            Kernel::GruStep => &[Read, Read, Read, Write],
            Kernel::GruResetStep => &[Read, Read, Read, Write, Write],
            Kernel::GruCandidateStep => &[Read, Read, Read, Read, Write],
            Kernel::SimpleRnnStep => &[Read, Read, Write],
            Kernel::Merge => &[Read, Write],
        }
    }

    /// Whether it runs once a step, and reads the step's number.
    fn steps(self) -> bool {
        !matches!(self, Kernel::InputProjection | Kernel::LoadState | Kernel::Merge)
    }

    fn constants(self, constants: Constants) -> Vec<(&'static str, f64)> {
        match self {
            kernel if !kernel.steps() => vec![],
            kernel => {
                let mut list =
                    vec![("ACTIVATION", f64::from(constants.activation as u32)), ("TILES", f64::from(constants.tiles))];
                let gated = !matches!(kernel, Kernel::SimpleRnnStep | Kernel::GruCandidateStep);
                list.extend(
                    gated.then_some(("RECURRENT_ACTIVATION", f64::from(constants.recurrent_activation as u32))),
                );
                list
            }
        }
    }
}

/// A kernel ready to run.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// The pipelines built so far on a device.
#[derive(Debug)]
pub(super) struct Pipelines {
    /// The layout of the bind group that holds the step's number.
    pub step_layout: wgpu::BindGroupLayout,
    built: HashMap<(Kernel, Constants), Pipeline>,
}

impl Pipelines {
    pub fn new(device: &wgpu::Device) -> Pipelines {
        let step_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("birnn step"),
            entries: &[layout_entry(0, wgpu::BufferBindingType::Uniform, true)],
        });
        Pipelines { step_layout, built: HashMap::new() }
    }

    /// The pipeline, and whether it had to be built.
    pub fn get(&mut self, device: &wgpu::Device, kernel: Kernel, constants: Constants) -> (Pipeline, bool) {
        if let Some(pipeline) = self.built.get(&(kernel, constants)) {
            return (pipeline.clone(), false);
        }
        let pipeline = build(device, &self.step_layout, kernel, constants);
        self.built.insert((kernel, constants), pipeline.clone());
        (pipeline, true)
    }
}

fn build(device: &wgpu::Device, step_layout: &wgpu::BindGroupLayout, kernel: Kernel, constants: Constants) -> Pipeline {
    let storage = kernel.storage().iter().enumerate().map(|(i, access)| {
        let read_only = *access == Read;
        layout_entry(i as u32 + 1, wgpu::BufferBindingType::Storage { read_only }, false)
    });
    let entries: Vec<_> =
        [layout_entry(0, wgpu::BufferBindingType::Uniform, true)].into_iter().chain(storage).collect();
    let layout = device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(kernel.name()), entries: &entries });
    let mut groups = vec![Some(&layout)];
    groups.extend(kernel.steps().then_some(Some(step_layout)));
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name()),
        bind_group_layouts: &groups,
        immediate_size: 0,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(kernel.name()),
        source: wgpu::ShaderSource::Wgsl(kernel.source().into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name()),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(kernel.name()),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &kernel.constants(constants),
            // Every buffer is written before it is read, and no kernel uses workgroup memory.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    Pipeline { pipeline, layout }
}

fn layout_entry(binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::back::{hlsl, msl, pipeline_constants::process_overrides, spv, wgsl};
    use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};

    fn validate(module: &naga::Module) -> ModuleInfo {
        Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(module).expect("the kernel is valid")
    }

    /// A kernel as the shader compiler of each of wgpu's backends gets it.
    fn translate(kernel: Kernel, constants: Constants) {
        let module = naga::front::wgsl::parse_str(&kernel.source()).expect("the kernel parses");
        let info = validate(&module);
        let constants =
            kernel.constants(constants).into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let point = (naga::ShaderStage::Compute, kernel.name());
        let (module, _) = process_overrides(&module, &info, Some(point), &constants).expect("the overrides fit");
        let info = validate(&module);
        spv::write_vec(&module, &info, &spv::Options::default(), None).expect("SPIR-V");
        wgsl::write_string(&module, &info, wgsl::WriterFlags::empty()).expect("WGSL");
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = msl::PipelineOptions::default();
        msl::write_string(&module, &info, &options, &pipeline).expect("MSL");
        let options = hlsl::Options { fake_missing_bindings: true, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        hlsl::Writer::new(&mut String::new(), &options, &pipeline).write(&module, &info, None).expect("HLSL");
    }

    #[test]
    fn every_kernel_and_setting_translates_to_every_backend() {
        for kernel in Kernel::ALL {
            for tiles in [1, 2] {
                for activation in Activation::ALL {
                    translate(kernel, Constants { activation, recurrent_activation: activation, tiles });
                    if !kernel.steps() {
                        break;
                    }
                }
            }
        }
    }

    #[test]
    fn bindings_are_those_of_the_source() {
        for kernel in Kernel::ALL {
            let module = naga::front::wgsl::parse_str(&kernel.source()).expect("the kernel parses");
            let mut storage: Vec<_> = module
                .global_variables
                .iter()
                .filter_map(|(_, variable)| match (variable.space, &variable.binding) {
                    (naga::AddressSpace::Storage { access }, Some(binding)) => Some((binding.binding, access)),
                    _ => None,
                })
                .collect();
            storage.sort_by_key(|(binding, _)| *binding);
            let found: Vec<_> = storage
                .iter()
                .map(|(_, access)| if access.contains(naga::StorageAccess::STORE) { Write } else { Read })
                .collect();
            assert_eq!(found, kernel.storage(), "{}", kernel.name());
            assert!(storage.iter().enumerate().all(|(i, (binding, _))| *binding == i as u32 + 1), "{}", kernel.name());
        }
    }
}
