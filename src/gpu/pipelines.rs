//! Kernels built on a device: each once for all its sessions.

use super::kernel::{Access, Constants, Kernel, Step, located};
use super::plan::STEP_TABLE;
use std::collections::HashMap;

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
    step_layout: wgpu::BindGroupLayout,
    /// What every session binds there; made with the first.
    pub step_table: Option<wgpu::BindGroup>,
    built: HashMap<(Kernel, Constants), Pipeline>,
    /// The kernels in the order in which they were built; a shader module's label has the number.
    modules: Vec<(Kernel, Constants)>,
}

impl Pipelines {
    pub fn new(device: &wgpu::Device) -> Pipelines {
        let step_layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("birnn step"),
            entries: &[layout_entry(0, wgpu::BufferBindingType::Uniform, true)],
        });
        Pipelines { step_layout, step_table: None, built: HashMap::new(), modules: Vec::new() }
    }

    /// A uniform buffer with the numbers of the steps, `stride` bytes apart, where a dynamic offset
    /// can point.
    pub fn create_step_table(&self, device: &wgpu::Device, stride: usize) -> wgpu::BindGroup {
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("birnn step"),
            size: (STEP_TABLE * stride) as u64,
            usage: wgpu::BufferUsages::UNIFORM,
            mapped_at_creation: true,
        });
        let mut bytes = vec![0u8; STEP_TABLE * stride];
        for step in 0..STEP_TABLE {
            let step = Step { index: step as u32 };
            let start = step.index as usize * stride;
            bytes[start..start + size_of::<Step>()].copy_from_slice(bytemuck::bytes_of(&step));
        }
        // There is nothing to write to where the buffer could not be made, which the scope around
        // this says.
        if let Ok(mut view) = buffer.get_mapped_range_mut(..) {
            view.copy_from_slice(&bytes);
        }
        buffer.unmap();
        let binding =
            wgpu::BufferBinding { buffer: &buffer, offset: 0, size: wgpu::BufferSize::new(16) };
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("birnn step"),
            layout: &self.step_layout,
            entries: &[wgpu::BindGroupEntry {
                binding: 0,
                resource: wgpu::BindingResource::Buffer(binding),
            }],
        })
    }

    /// The pipeline, and whether it had to be built.
    pub fn get(
        &mut self,
        device: &wgpu::Device,
        kernel: Kernel,
        constants: Constants,
    ) -> (Pipeline, bool) {
        if let Some(pipeline) = self.built.get(&(kernel, constants)) {
            return (pipeline.clone(), false);
        }
        let label = module_label(self.modules.len(), kernel);
        self.modules.push((kernel, constants));
        let pipeline = build(device, &self.step_layout, kernel, constants, &label);
        self.built.insert((kernel, constants), pipeline.clone());
        (pipeline, true)
    }

    /// What wgpu says, with files and lines of `shaders/` where it is about a kernel's source.
    pub fn located(&self, message: String) -> String {
        let labels = self.modules.iter().enumerate().map(|(number, (kernel, constants))| {
            (module_label(number, *kernel), kernel, constants)
        });
        let mut about = labels.filter(|(label, ..)| message.contains(&format!("'{label}'")));
        match about.next() {
            Some((label, kernel, constants)) => {
                // What breaks WGSL's grammar is said of `wgsl`, other mistakes of the module.
                let message = message.replace(&format!("{label}:"), "wgsl:");
                located(&kernel.source(constants.tiling).lines, &message)
            }
            None => message,
        }
    }
}

fn module_label(number: usize, kernel: Kernel) -> String {
    format!("{} {number}", kernel.name())
}

fn build(
    device: &wgpu::Device,
    step_layout: &wgpu::BindGroupLayout,
    kernel: Kernel,
    constants: Constants,
    module_label: &str,
) -> Pipeline {
    let storage = kernel.storage(constants.tiling).enumerate().map(|(i, access)| {
        let read_only = access == Access::Read;
        layout_entry(i as u32 + 1, wgpu::BufferBindingType::Storage { read_only }, false)
    });
    let entries: Vec<_> = [layout_entry(0, wgpu::BufferBindingType::Uniform, true)]
        .into_iter()
        .chain(storage)
        .collect();
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: Some(kernel.name()),
        entries: &entries,
    });
    let mut groups = vec![Some(&layout)];
    groups.extend(kernel.steps().then_some(Some(step_layout)));
    let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(kernel.name()),
        bind_group_layouts: &groups,
        immediate_size: 0,
    });
    let source = kernel.source(constants.tiling);
    let overrides = kernel.overrides(constants, &source);
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(module_label),
        source: wgpu::ShaderSource::Wgsl(source.wgsl.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(kernel.name()),
        layout: Some(&pipeline_layout),
        module: &module,
        entry_point: Some(kernel.name()),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &overrides,
            // Every buffer and all workgroup memory is written before it is read.
            zero_initialize_workgroup_memory: false,
        },
        cache: None,
    });
    Pipeline { pipeline, layout }
}

fn layout_entry(
    binding: u32,
    ty: wgpu::BufferBindingType,
    has_dynamic_offset: bool,
) -> wgpu::BindGroupLayoutEntry {
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
    use crate::device::{DeviceOptions, WantedAdapter};
    use crate::gpu::GpuDevice;
    use crate::host;

    #[test]
    fn an_error_in_a_kernel_names_its_file_and_line() {
        let options = DeviceOptions::new().allow_software(true).gpu();
        let gpu = match host::block_on(GpuDevice::open(&options, &WantedAdapter::Best)) {
            Ok(gpu) => gpu,
            Err(error) if std::env::var_os("BIRNN_REQUIRE_GPU").is_none() => {
                use std::io::Write;
                let _ = writeln!(std::io::stderr(), "NOT RUN: errors in kernels: {error}");
                return;
            }
            Err(error) => panic!("BIRNN_REQUIRE_GPU is set: {error}"),
        };
        let (kernel, constants) = (Kernel::Masking, Constants::default());
        gpu.pipelines().modules.push((kernel, constants));
        let label = module_label(gpu.pipelines().modules.len() - 1, kernel);
        let source = kernel.source(constants.tiling).wgsl;
        for (right, wrong, file) in [
            ("fn differs(a: f32", "fn differs(a: nothing", "shared/differs"),
            ("output[start + i] =", "x[start + i] =", "masking"),
        ] {
            assert!(source.contains(right), "{source}");
            let wrong = source.replace(right, wrong);
            let error = host::block_on(gpu.checked("a kernel", || {
                Ok(gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                    label: Some(&label),
                    source: wgpu::ShaderSource::Wgsl(wrong.into()),
                }))
            }));
            let said = error.map(|_| ()).expect_err("it is wrong").to_string();
            assert!(said.contains(&format!("shaders/{file}.wgsl:")), "{said}");
        }
    }
}
