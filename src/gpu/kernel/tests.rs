use super::settings::{settings, tilings};
use super::*;
use naga::back::{glsl, hlsl, msl, pipeline_constants::process_overrides, spv, wgsl};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use std::collections::HashMap;

fn parsed(source: &Composed) -> naga::Module {
    naga::front::wgsl::parse_str(&source.wgsl)
        .unwrap_or_else(|e| panic!("{}", located(&source.lines, &e.emit_to_string(&source.wgsl))))
}

fn validate(module: &naga::Module) -> ModuleInfo {
    let capabilities = Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
    Validator::new(ValidationFlags::all(), capabilities)
        .validate(module)
        .expect("the kernel is valid")
}

fn write_glsl(kernel: Kernel, version: glsl::Version, module: &naga::Module, info: &ModuleInfo) {
    let options = glsl::Options { version, ..Default::default() };
    let entry_point = kernel.name().to_string();
    let pipeline = glsl::PipelineOptions {
        shader_stage: naga::ShaderStage::Compute,
        entry_point,
        multiview: None,
    };
    let mut out = String::new();
    glsl::Writer::new(&mut out, module, info, &options, &pipeline, BoundsCheckPolicies::default())
        .and_then(|mut writer| writer.write())
        .unwrap_or_else(|e| panic!("{} in GLSL {version}: {e}", kernel.name()));
}

/// A kernel as the shader compiler of each of wgpu's backends gets it. Sources are parsed once:
/// `known` are those so far.
fn translate(
    kernel: Kernel,
    constants: Constants,
    known: &mut HashMap<String, (naga::Module, ModuleInfo)>,
) {
    let source = kernel.source(constants.tiling);
    let (module, info) = known.entry(source.wgsl.clone()).or_insert_with(|| {
        let module = parsed(&source);
        let info = validate(&module);
        (module, info)
    });
    let constants = kernel
        .overrides(constants, &source)
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .collect();
    let point = (naga::ShaderStage::Compute, kernel.name());
    let (module, _) =
        process_overrides(module, info, Some(point), &constants).expect("the overrides fit");
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
        write_glsl(kernel, version, &module, &info);
    }
}

#[test]
fn every_kernel_and_setting_translates_to_every_backend() {
    let mut known = HashMap::new();
    for (kernel, constants) in settings() {
        translate(kernel, constants, &mut known);
    }
}

#[test]
fn bindings_are_those_of_the_source() {
    for kernel in Kernel::all() {
        for tiling in tilings(kernel) {
            check_bindings(kernel, tiling);
        }
    }
}

fn check_bindings(kernel: Kernel, tiling: Tiling) {
    let module = parsed(&kernel.source(tiling));
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
    let writes = |access: &naga::StorageAccess| access.contains(naga::StorageAccess::STORE);
    let found: Vec<_> = storage
        .iter()
        .map(|(_, access)| if writes(access) { Access::Write } else { Access::Read })
        .collect();
    assert_eq!(found, kernel.storage(tiling).collect::<Vec<_>>(), "{}", kernel.name());
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
    for kernel in Kernel::all() {
        let module = parsed(&kernel.source(tilings(kernel)[0]));
        let uniforms = module.global_variables.iter().map(|(_, variable)| variable);
        let uniforms = uniforms.filter(|v| v.space == naga::AddressSpace::Uniform);
        let mut found: Vec<_> =
            uniforms.map(|v| (v.binding.as_ref().map(|b| (b.group, b.binding)), v.ty)).collect();
        found.sort_by_key(|(binding, _)| *binding);
        found.iter().for_each(|(_, ty)| check_struct(&module, *ty));
        let named: Vec<_> = found.iter().map(|(b, ty)| (*b, type_name(&module, *ty))).collect();
        let mut expected = vec![(Some((0, 0)), kernel.row().uniform.name.to_string())];
        expected.extend(kernel.steps().then(|| (Some((1, 0)), Step::LAYOUT.name.to_string())));
        assert_eq!(named, expected, "{}", kernel.name());
    }
}
