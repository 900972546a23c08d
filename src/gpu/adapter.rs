//! Adapters: which one is chosen, and what is asked of it.

use crate::device::{
    AdapterReport, DeviceInfo, DeviceKind, DeviceOptions, GpuOptions, WantedAdapter,
};
use crate::host;

/// The storage buffers that every recurrent kernel keeps to; few others need more.
const STORAGE_BUFFERS: u32 = 4;

/// The adapters, best first.
pub(crate) async fn adapters() -> Vec<AdapterReport> {
    ranked().await.iter().enumerate().map(|(index, adapter)| report(index, adapter)).collect()
}

pub(super) async fn ranked() -> Vec<wgpu::Adapter> {
    let mut adapters = host::adapters().await;
    // Stable: equals stay in the driver's order.
    adapters.sort_by_key(|adapter| rank(kind(adapter.get_info().device_type)));
    adapters
}

fn rank(kind: DeviceKind) -> u32 {
    match kind {
        DeviceKind::DiscreteGpu => 0,
        DeviceKind::IntegratedGpu => 1,
        DeviceKind::VirtualGpu => 2,
        DeviceKind::OtherGpu => 3,
        DeviceKind::SoftwareGpu | DeviceKind::Cpu => 4,
    }
}

fn kind(device_type: wgpu::DeviceType) -> DeviceKind {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
        wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
        wgpu::DeviceType::Cpu => DeviceKind::SoftwareGpu,
        wgpu::DeviceType::Other => DeviceKind::OtherGpu,
    }
}

/// Of the adapter of this place among [`adapters`].
pub(super) fn report(index: usize, adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    AdapterReport {
        info: DeviceInfo {
            kind: kind(info.device_type),
            name: if info.name.is_empty() { host::NAMELESS.into() } else { info.name },
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
            index: Some(index),
            pci: info.device_pci_bus_id,
            reason: String::new(),
        },
        max_buffer_size: limits.max_buffer_size,
        max_storage_buffer_binding_size: limits.max_storage_buffer_binding_size,
        max_compute_invocations_per_workgroup: limits.max_compute_invocations_per_workgroup,
        max_compute_workgroup_storage_size: limits.max_compute_workgroup_storage_size,
        unusable: unusable(adapter, &limits),
    }
}

fn unusable(adapter: &wgpu::Adapter, limits: &wgpu::Limits) -> Option<String> {
    let compute =
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
    if !compute {
        return Some("no compute shaders".into());
    }
    let buffers = limits.max_storage_buffers_per_shader_stage;
    (buffers < STORAGE_BUFFERS)
        .then(|| format!("{buffers} storage buffers a kernel, {STORAGE_BUFFERS} needed"))
}

/// Why an adapter is passed over; `None`: it is not.
pub(super) fn passed_over(
    report: &AdapterReport,
    options: &DeviceOptions,
    wanted: &WantedAdapter,
) -> Option<String> {
    if let Some(reason) = &report.unusable {
        return Some(reason.clone());
    }
    let unless = |fits: bool, reason: &str| (!fits).then(|| reason.to_string());
    match wanted {
        WantedAdapter::Named(name) => {
            unless(is_called(&report.info.name, name), "has another name")
        }
        WantedAdapter::Index(index) => {
            unless(report.info.index == Some(*index), "is another number")
        }
        WantedAdapter::Pci(address) => {
            unless(report.info.pci.to_lowercase() == *address, "has another PCI address")
        }
        WantedAdapter::Best => {
            (report.info.kind == DeviceKind::SoftwareGpu && !options.allow_software).then(|| {
                "a software adapter: ask for it by name, with DeviceOptions::allow_software or \
                 BIRNN_ALLOW_SOFTWARE=1"
                    .to_string()
            })
        }
    }
}

/// Whether an adapter's name contains the name, or is of the software driver that the name stands
/// for.
fn is_called(adapter: &str, name: &str) -> bool {
    let (adapter, name) = (adapter.to_lowercase(), name.to_lowercase());
    let means = match name.as_str() {
        "lavapipe" => "llvmpipe",
        "warp" => "microsoft basic render",
        name => name,
    };
    adapter.contains(means)
}

/// Whether kernels can read 16-bit floats.
pub(super) fn halves(adapter: &wgpu::Adapter) -> bool {
    adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32)
}

/// The size of every subgroup, where they all have the same, and kernels may use them.
pub(super) fn fixed_subgroup(adapter: &wgpu::Adapter) -> Option<u32> {
    let info = adapter.get_info();
    let fixed = info.subgroup_min_size == info.subgroup_max_size && info.subgroup_min_size >= 4;
    (fixed && adapter.features().contains(wgpu::Features::SUBGROUP))
        .then_some(info.subgroup_min_size)
}

/// WebGPU's default limits or what less the adapter has; and the largest buffers that it has,
/// unless the defaults are wanted.
pub(super) fn wanted_limits(adapter: &wgpu::Limits, options: &GpuOptions) -> wgpu::Limits {
    let mut limits = wgpu::Limits::default().or_worse_values_from(adapter);
    if !options.default_limits {
        limits.max_buffer_size = adapter.max_buffer_size;
        limits.max_storage_buffer_binding_size = adapter.max_storage_buffer_binding_size;
        // A workgroup that has all units of a layer.
        limits.max_compute_invocations_per_workgroup =
            adapter.max_compute_invocations_per_workgroup;
        limits.max_compute_workgroup_size_x = adapter.max_compute_workgroup_size_x;
        limits.max_compute_workgroup_storage_size = adapter.max_compute_workgroup_storage_size;
    }
    limits
}

/// The device's description with the reason for the choice.
pub(super) fn choice(
    info: DeviceInfo,
    passed_over: &[String],
    wanted: &WantedAdapter,
) -> DeviceInfo {
    let mut reason = match wanted {
        WantedAdapter::Named(name) => format!("the first adapter whose name contains {name:?}"),
        WantedAdapter::Best => format!("the first {} adapter", info.kind),
        wanted => format!("the {wanted}"),
    };
    if !passed_over.is_empty() {
        reason.push_str(&format!("; passed over: {}", passed_over.join(", ")));
    }
    DeviceInfo { reason, ..info }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str, kind: DeviceKind) -> AdapterReport {
        AdapterReport {
            info: DeviceInfo {
                kind,
                name: name.into(),
                backend: "Vulkan".into(),
                driver: String::new(),
                index: Some(1),
                pci: "0000:3B:00.0".into(),
                reason: String::new(),
            },
            max_buffer_size: 1 << 30,
            max_storage_buffer_binding_size: 1 << 30,
            max_compute_invocations_per_workgroup: 256,
            max_compute_workgroup_storage_size: 16 << 10,
            unusable: None,
        }
    }

    #[test]
    fn discrete_gpus_come_first_and_software_last() {
        let types = [
            wgpu::DeviceType::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu,
            wgpu::DeviceType::Other,
            wgpu::DeviceType::Cpu,
        ];
        assert_eq!(types.map(|device_type| rank(kind(device_type))), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn names_are_found_in_part_whatever_their_case() {
        let found = |adapter, name| is_called(adapter, name);
        assert!(
            found("AMD Radeon RX 7900 XTX", "radeon") && found("AMD Radeon RX 7900 XTX", "RX 79")
        );
        assert!(!found("AMD Radeon RX 7900 XTX", "geforce"));
        assert!(found("llvmpipe (LLVM 19.1.4, 256 bits)", "Lavapipe"));
        assert!(found("Microsoft Basic Render Driver", "WARP"));
    }

    #[test]
    fn software_adapters_are_passed_over_unless_asked_for() {
        let software = adapter("llvmpipe (LLVM 19.1.4, 256 bits)", DeviceKind::SoftwareGpu);
        let gpu = adapter("NVIDIA H100", DeviceKind::DiscreteGpu);
        let (usual, allowed) =
            (DeviceOptions::default(), DeviceOptions::default().allow_software(true));
        let lavapipe = WantedAdapter::Named("lavapipe".into());
        let best = WantedAdapter::Best;
        let reason = passed_over(&software, &usual, &best).expect("passed over");
        assert!(reason.contains("DeviceOptions::allow_software"), "{reason}");
        assert_eq!(passed_over(&software, &allowed, &best), None);
        assert_eq!(passed_over(&software, &usual, &lavapipe), None);
        assert_eq!(passed_over(&gpu, &usual, &best), None);
        assert_eq!(passed_over(&gpu, &usual, &lavapipe).as_deref(), Some("has another name"));
        let broken = AdapterReport { unusable: Some("no compute shaders".into()), ..gpu };
        assert_eq!(passed_over(&broken, &usual, &best).as_deref(), Some("no compute shaders"));
    }

    #[test]
    fn adapters_are_found_by_number_and_pci_address() {
        let gpu = adapter("NVIDIA H100", DeviceKind::SoftwareGpu); // number 1 at 0000:3B:00.0
        let usual = DeviceOptions::default();
        let found = |text: &str| match DeviceOptions::new().parse(text).wanted_adapter() {
            Some(wanted) => passed_over(&gpu, &usual, wanted),
            None => panic!("{text}"),
        };
        assert_eq!(found("gpu:1"), None);
        assert_eq!(found(" GPU:0").as_deref(), Some("is another number"));
        assert_eq!(found("gpu:one").as_deref(), Some("has another name"));
        assert_eq!(found("pci:0000:3b:00.0"), None);
        assert_eq!(found("PCI:0000:3B:00.1").as_deref(), Some("has another PCI address"));
        let chosen = choice(gpu.info.clone(), &[], &WantedAdapter::Index(1));
        assert_eq!(chosen.reason, "the adapter number 1");
    }

    #[test]
    fn default_limits_are_never_exceeded_where_they_are_wanted() {
        let large = wgpu::Limits {
            max_buffer_size: 1 << 40,
            max_compute_invocations_per_workgroup: 1024,
            ..wgpu::Limits::default()
        };
        let default = wanted_limits(&large, &GpuOptions::default().default_limits(true));
        assert_eq!(default, wgpu::Limits::default());
        let all = wanted_limits(&large, &GpuOptions::default());
        assert_eq!(
            (all.max_buffer_size, all.max_compute_invocations_per_workgroup),
            (1 << 40, 1024)
        );
        let small = wgpu::Limits::downlevel_defaults();
        assert_eq!(
            wanted_limits(&small, &GpuOptions::default()).max_storage_buffers_per_shader_stage,
            4
        );
    }

    #[test]
    fn the_choice_says_what_was_passed_over() {
        let info = adapter("NVIDIA H100", DeviceKind::DiscreteGpu).info;
        let reason = choice(
            info.clone(),
            &["llvmpipe (a software adapter)".to_string()],
            &WantedAdapter::Best,
        )
        .reason;
        assert_eq!(
            reason,
            format!("the first {} adapter; passed over: llvmpipe (a software adapter)", info.kind)
        );
        let named = choice(info, &[], &WantedAdapter::Named("nvidia".into())).reason;
        assert_eq!(named, "the first adapter whose name contains \"nvidia\"");
    }
}
