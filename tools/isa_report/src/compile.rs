//! Compiling one kernel: WGSL to SPIR-V by naga, SPIR-V to machine code by the Vulkan driver, and
//! what the driver says of the machine code.

use anyhow::{Context, Result, anyhow};
use ash::{ext, khr, vk};
use naga::back::{pipeline_constants::process_overrides, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};

/// A kernel to compile.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    pub wgsl: &'a str,
    pub entry: &'a str,
    pub constants: &'a [(String, f64)],
}

/// What the driver says of a kernel's machine code.
#[derive(Clone, Debug)]
pub struct Compiled {
    pub subgroup_size: u32,
    pub statistics: BTreeMap<String, f64>,
    /// The disassembly; empty where the driver has none.
    pub assembly: String,
}

/// A Vulkan device that compiles.
pub struct Compiler {
    pub name: String,
    device: ash::Device,
    properties: khr::pipeline_executable_properties::Device,
    /// Vulkan's functions live in it.
    _entry: ash::Entry,
}

impl Compiler {
    /// The first device of the driver that the environment picks.
    pub fn open() -> Result<Compiler> {
        // SAFETY: the Vulkan loader is a library whose initialisers have no preconditions.
        let entry = unsafe { ash::Entry::load() }.context("no Vulkan loader")?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: `create` and what it points to live through the call.
        let instance = unsafe { entry.create_instance(&create, None) }?;
        // SAFETY: the instance is alive; it is never destroyed, as the process ends with it.
        let physical = unsafe { instance.enumerate_physical_devices() }?;
        let physical = *physical.first().context("the driver has no device")?;
        // SAFETY: `physical` comes from this instance, here and below.
        let name = unsafe { instance.get_physical_device_properties(physical) };
        let name = name.device_name_as_c_str()?.to_string_lossy().into_owned();
        let queues =
            [vk::DeviceQueueCreateInfo::default().queue_family_index(0).queue_priorities(&[1.0])];
        let extensions =
            [khr::pipeline_executable_properties::NAME.as_ptr(), ext::robustness2::NAME.as_ptr()];
        let mut executable = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default();
        let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default();
        let mut v11 = vk::PhysicalDeviceVulkan11Features::default();
        let mut v12 = vk::PhysicalDeviceVulkan12Features::default();
        let mut v13 = vk::PhysicalDeviceVulkan13Features::default();
        // Everything that the device has is asked for.
        let mut features = vk::PhysicalDeviceFeatures2::default()
            .push_next(&mut executable)
            .push_next(&mut robustness)
            .push_next(&mut v11)
            .push_next(&mut v12)
            .push_next(&mut v13);
        // SAFETY: the chain lives through the call.
        unsafe { instance.get_physical_device_features2(physical, &mut features) };
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .push_next(&mut features);
        // SAFETY: `create` and what it points to live through the call.
        let device = unsafe { instance.create_device(physical, &create, None) }?;
        let properties = khr::pipeline_executable_properties::Device::new(&instance, &device);
        Ok(Compiler { name, device, properties, _entry: entry })
    }

    pub fn compile(&self, source: Source) -> Result<Compiled> {
        let module = naga::front::wgsl::parse_str(source.wgsl)
            .map_err(|e| anyhow!(e.emit_to_string(source.wgsl)))?;
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
        let info =
            validator.validate(&module).map_err(|e| anyhow!(e.emit_to_string(source.wgsl)))?;
        let point = (naga::ShaderStage::Compute, source.entry);
        let constants = source.constants.iter().cloned().collect();
        let (module, info) = process_overrides(&module, &info, Some(point), &constants)?;
        // As wgpu has it on a Vulkan 1.3 driver that checks the bounds of buffers itself.
        let options = spv::Options {
            lang_version: (1, 6),
            flags: spv::WriterFlags::empty(),
            bounds_check_policies: BoundsCheckPolicies {
                index: BoundsCheckPolicy::Restrict,
                ..Default::default()
            },
            zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
            force_loop_bounding: true,
            ..Default::default()
        };
        let choice =
            spv::PipelineOptions { shader_stage: point.0, entry_point: source.entry.to_string() };
        let words = spv::write_vec(&module, &info, &options, Some(&choice))?;
        self.pipeline(&module, &words, source.entry)
    }

    fn pipeline(&self, module: &naga::Module, words: &[u32], entry: &str) -> Result<Compiled> {
        let device = &self.device;
        let layout = self.layout(module)?;
        // SAFETY: naga wrote valid SPIR-V; the handles below are alive until they are destroyed at
        // the end.
        let shader = unsafe {
            device.create_shader_module(&vk::ShaderModuleCreateInfo::default().code(words), None)
        }?;
        let entry = CString::new(entry)?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(shader)
            .name(&entry);
        let flags = vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
            | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
        let create =
            [vk::ComputePipelineCreateInfo::default().stage(stage).layout(layout).flags(flags)];
        // SAFETY: as above.
        let pipelines =
            unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &create, None) };
        let pipeline = pipelines.map_err(|(_, error)| error)?[0];
        let compiled = self.read(pipeline);
        // SAFETY: nothing uses them any more.
        unsafe {
            device.destroy_pipeline(pipeline, None);
            device.destroy_shader_module(shader, None);
            device.destroy_pipeline_layout(layout, None);
        }
        compiled
    }

    /// The layout of the kernel's bindings, as wgpu would make it.
    fn layout(&self, module: &naga::Module) -> Result<vk::PipelineLayout> {
        let mut sets: BTreeMap<u32, Vec<vk::DescriptorSetLayoutBinding>> = BTreeMap::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            let kind = match variable.space {
                naga::AddressSpace::Uniform => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
                _ => vk::DescriptorType::STORAGE_BUFFER,
            };
            let entry = vk::DescriptorSetLayoutBinding::default()
                .binding(binding.binding)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE);
            sets.entry(binding.group).or_default().push(entry);
        }
        let count = sets.keys().max().map_or(0, |last| last + 1);
        let layouts = (0..count).map(|group| {
            let bindings = sets.get(&group).map_or(&[][..], Vec::as_slice);
            let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(bindings);
            // SAFETY: `create` and what it points to live through the call.
            unsafe { self.device.create_descriptor_set_layout(&create, None) }
        });
        let layouts = layouts.collect::<Result<Vec<_>, _>>()?;
        let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&layouts);
        // SAFETY: as above.
        Ok(unsafe { self.device.create_pipeline_layout(&create, None) }?)
    }

    fn read(&self, pipeline: vk::Pipeline) -> Result<Compiled> {
        let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline is alive, and was made with the flags that these functions need.
        let executables = unsafe { self.properties.get_pipeline_executable_properties(&info) }?;
        let executable = executables.first().context("the driver made no machine code")?;
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline).executable_index(0);
        // SAFETY: as above.
        let statistics = unsafe { self.properties.get_pipeline_executable_statistics(&info) }?;
        let statistics =
            statistics.iter().map(|statistic| (text(&statistic.name), value(statistic))).collect();
        Ok(Compiled {
            subgroup_size: executable.subgroup_size,
            statistics,
            assembly: self.assembly(&info)?,
        })
    }

    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR) -> Result<String> {
        let get = self.properties.fp().get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        // SAFETY: the pipeline is alive and has captured its representations; a null array asks for
        // their number.
        unsafe { get(device, info, &mut count, std::ptr::null_mut()) }.result()?;
        let mut list =
            vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        // SAFETY: the array has `count` elements; where data is null, the driver writes its size.
        unsafe { get(device, info, &mut count, list.as_mut_ptr()) }.result()?;
        let mut texts: Vec<Vec<u8>> = list.iter().map(|each| vec![0; each.data_size]).collect();
        for (each, text) in list.iter_mut().zip(&mut texts) {
            each.p_data = text.as_mut_ptr().cast();
        }
        // SAFETY: every `p_data` points to `data_size` bytes.
        unsafe { get(device, info, &mut count, list.as_mut_ptr()) }.result()?;
        let assembly =
            list.iter().zip(&texts).find(|(each, _)| text(&each.name).contains("Assembly"));
        Ok(assembly.map_or(String::new(), |(_, text)| {
            String::from_utf8_lossy(text).trim_end_matches('\0').to_string()
        }))
    }
}

fn text(name: &[c_char]) -> String {
    let bytes: Vec<u8> = name.iter().map(|&c| c.to_ne_bytes()[0]).collect();
    CStr::from_bytes_until_nul(&bytes)
        .map_or(String::new(), |text| text.to_string_lossy().into_owned())
}

fn value(statistic: &vk::PipelineExecutableStatisticKHR) -> f64 {
    use vk::PipelineExecutableStatisticFormatKHR as Format;
    // SAFETY: the format says which member of the union the driver wrote.
    unsafe {
        match statistic.format {
            Format::FLOAT64 => statistic.value.f64,
            Format::INT64 => statistic.value.i64 as f64,
            Format::BOOL32 => f64::from(statistic.value.b32),
            _ => statistic.value.u64 as f64,
        }
    }
}
