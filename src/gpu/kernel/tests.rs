use super::tilings::tilings;
use super::*;
use std::collections::HashMap;

fn parsed(source: &Composed) -> naga::Module {
    naga::front::wgsl::parse_str(&source.wgsl)
        .unwrap_or_else(|e| panic!("{}", located(&source.lines, &e.emit_to_string(&source.wgsl))))
}

#[test]
fn bindings_are_those_of_the_source() {
    for kernel in Kernel::all() {
        // Tilings of other sizes alone share a source.
        let mut modules = HashMap::new();
        for tiling in tilings(kernel) {
            let source = kernel.source(tiling);
            let module = modules.entry(source.wgsl.clone()).or_insert_with(|| parsed(&source));
            check_bindings(kernel, tiling, module);
        }
    }
}

fn check_bindings(kernel: Kernel, tiling: Tiling, module: &naga::Module) {
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
