//! Every kernel in every setting, as naga hands it to the shader compiler of each of wgpu's
//! backends.

use birnn::{KernelEntry, kernel_settings};
use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv, wgsl};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use std::collections::BTreeMap;

fn parsed(entry: &KernelEntry) -> naga::Module {
    naga::front::wgsl::parse_str(&entry.wgsl)
        .unwrap_or_else(|error| panic!("{}", entry.located(&error.emit_to_string(&entry.wgsl))))
}

fn validated(entry: &KernelEntry, module: &naga::Module) -> ModuleInfo {
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(module)
        .unwrap_or_else(|error| panic!("{}", entry.located(&error.emit_to_string(&entry.wgsl))))
}

fn write_glsl(kernel: &str, version: glsl::Version, module: &naga::Module, info: &ModuleInfo) {
    let options = glsl::Options { version, ..Default::default() };
    let pipeline = glsl::PipelineOptions {
        shader_stage: naga::ShaderStage::Compute,
        entry_point: kernel.to_string(),
        multiview: None,
    };
    let mut out = String::new();
    glsl::Writer::new(&mut out, module, info, &options, &pipeline, BoundsCheckPolicies::default())
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|error| panic!("{kernel} in GLSL {version}: {error}"));
}

/// A kernel of this parsed source, with its override constants, in every language.
fn translate(entry: &KernelEntry, module: &naga::Module, info: &ModuleInfo) {
    let constants =
        entry.constants.iter().map(|&(name, value)| (name.to_string(), value)).collect();
    let point = (naga::ShaderStage::Compute, entry.kernel);
    let (module, _) =
        process_overrides(module, info, Some(point), &constants).expect("the overrides fit");
    let info = validated(entry, &module);
    // Subgroups came with version 1.3.
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    spv::write_vec(&module, &info, &options, None).expect("SPIR-V");
    wgsl::write_string(&module, &info, wgsl::WriterFlags::empty()).expect("WGSL");
    let options =
        msl::Options { fake_missing_bindings: true, lang_version: (2, 4), ..Default::default() };
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
        write_glsl(entry.kernel, version, &module, &info);
    }
}

#[test]
fn every_kernel_and_setting_translates_to_every_backend() {
    let list = kernel_settings();
    assert!(list.len() > 500, "{} settings", list.len());
    // Each source is parsed once.
    let mut sources: BTreeMap<&str, Vec<&KernelEntry>> = BTreeMap::new();
    for entry in &list {
        sources.entry(&entry.wgsl).or_default().push(entry);
    }
    for entries in sources.values() {
        let module = parsed(entries[0]);
        let info = validated(entries[0], &module);
        entries.iter().for_each(|entry| translate(entry, &module, &info));
    }
}
