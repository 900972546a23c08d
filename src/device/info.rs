//! Descriptions of devices and adapters.

use std::fmt;

/// The kind of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU that shares the CPU's memory.
    IntegratedGpu,
    /// A GPU that a virtual machine is given by its host.
    VirtualGpu,
    /// A GPU whose driver doesn't say which kind it is.
    OtherGpu,
    /// A software adapter: a GPU driver that computes on the CPU, such as Mesa's lavapipe or
    /// Windows' WARP. It is used only when it is asked for.
    SoftwareGpu,
    /// The CPU path, which needs no driver, or the reference.
    Cpu,
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DeviceKind::DiscreteGpu => "discrete GPU",
            DeviceKind::IntegratedGpu => "integrated GPU",
            DeviceKind::VirtualGpu => "virtual GPU",
            DeviceKind::OtherGpu => "GPU",
            DeviceKind::SoftwareGpu => "software GPU",
            DeviceKind::Cpu => "CPU",
        })
    }
}

/// Describes a device, and says why it was chosen.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// Its kind.
    pub kind: DeviceKind,
    /// The adapter's name; `cpu` for the CPU path, `reference` for the reference.
    pub name: String,
    /// The graphics API: `Vulkan`, `Metal` or `Dx12`. For the CPU path `CPU path, vectors of n`,
    /// where n is how many floats one instruction computes: 16 with AVX-512, 8 with AVX2. For the
    /// reference `float64`.
    pub backend: String,
    /// The driver's name and version; empty for the CPU path and the reference.
    pub driver: String,
    /// The adapter's place in [`Device::adapters`](crate::Device::adapters), for
    /// [`DeviceOptions::index`](crate::DeviceOptions::index); `None` for the CPU path and the
    /// reference.
    pub index: Option<usize>,
    /// The adapter's PCI address, such as `0000:3b:00.0`, for
    /// [`DeviceOptions::pci`](crate::DeviceOptions::pci); empty where the driver doesn't say it.
    pub pci: String,
    /// Why this device was chosen; empty in an [`AdapterReport`].
    pub reason: String,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {}", self.name, self.kind, self.backend)?;
        if !self.driver.is_empty() {
            write!(f, ", driver {}", self.driver)?;
        }
        f.write_str(")")
    }
}

/// An adapter (a GPU or a software adapter) that wgpu found, with its limits;
/// [`Device::adapters`](crate::Device::adapters) and `birnn devices` list them.
#[derive(Clone, Debug)]
pub struct AdapterReport {
    /// The adapter's kind, name, graphics API and driver.
    pub info: DeviceInfo,
    /// The size of the largest buffer, in bytes.
    pub max_buffer_size: u64,
    /// The largest part of a buffer that a kernel can be given at once, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// The most invocations that a workgroup can have.
    pub max_compute_invocations_per_workgroup: u32,
    /// The most memory that the invocations of a workgroup can share, in bytes.
    pub max_compute_workgroup_storage_size: u32,
    /// Why this crate can't use the adapter; `None` if it can.
    pub unusable: Option<String>,
}
