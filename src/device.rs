//! Which device a model runs on, and why.

use crate::cpu::Threads;
use crate::error::Result;
use crate::model::Model;
use crate::session::Session;
use std::fmt;
use std::sync::Arc;

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
    /// The CPU path, which needs no driver.
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
    /// The adapter's name; `cpu` for the CPU path.
    pub name: String,
    /// The graphics API: `Vulkan`, `Metal` or `Dx12`. For the CPU path `CPU path, vectors of n`,
    /// where n is how many floats one instruction computes: 16 with AVX-512, 8 with AVX2.
    pub backend: String,
    /// The driver's name and version; empty for the CPU path.
    pub driver: String,
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
/// [`Device::adapters`] and `birnn devices` list them.
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

/// Which device to open, and how to use it. [`DeviceOptions::open`] opens it.
///
/// ```
/// use birnn::{DeviceKind, DeviceOptions};
/// let device = DeviceOptions::new().cpu().open()?;
/// assert_eq!(device.info().kind, DeviceKind::Cpu);
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    wanted: Wanted,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) allow_software: bool,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) default_limits: bool,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) max_buffer_bytes: u64,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) memory_budget: u64,
    pub(crate) half_weights: bool,
    #[cfg(feature = "gpu")]
    pub(crate) plan_for: Option<crate::PlanAdapter>,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))]
    pub(crate) gpu_time: bool,
    threads: Threads,
    #[cfg(feature = "autotune")]
    pub(crate) autotune: bool,
    #[cfg(feature = "autotune")]
    pub(crate) autotune_file: Option<std::path::PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Best,
    Gpu,
    Cpu,
    Named(String),
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl DeviceOptions {
    /// Asks for the best device, in the order that [`Device::best`] gives, with the defaults of all
    /// other options.
    ///
    /// The environment variables that set defaults are named at the options. `BIRNN_DEVICE` is not
    /// read: give its value to [`DeviceOptions::parse`] where it should count.
    pub fn new() -> DeviceOptions {
        DeviceOptions {
            wanted: Wanted::Best,
            allow_software: environment_says("BIRNN_ALLOW_SOFTWARE"),
            default_limits: false,
            max_buffer_bytes: u64::MAX,
            memory_budget: 1 << 30,
            half_weights: false,
            #[cfg(feature = "gpu")]
            plan_for: None,
            gpu_time: false,
            threads: Threads::default(),
            #[cfg(feature = "autotune")]
            autotune: environment_says("BIRNN_AUTOTUNE"),
            #[cfg(feature = "autotune")]
            autotune_file: std::env::var_os("BIRNN_AUTOTUNE_FILE")
                .filter(|path| !path.is_empty())
                .map(Into::into),
        }
    }

    /// Asks for the best GPU; without one, [`DeviceOptions::open`] returns an error.
    pub fn gpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Gpu;
        self
    }

    /// Asks for the CPU path, which needs no driver.
    pub fn cpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Cpu;
        self
    }

    /// Asks for the best adapter whose name contains `name`, ignoring upper and lower case. It may
    /// be a software adapter. `lavapipe` and `warp` stand for the names that those drivers report.
    pub fn named(mut self, name: impl Into<String>) -> DeviceOptions {
        self.wanted = Wanted::Named(name.into());
        self
    }

    /// Asks for the device that a text names, as in `--device` and `BIRNN_DEVICE`: `best` (also
    /// `auto` or an empty text), `gpu`, `cpu`, or part of an adapter's name.
    pub fn parse(self, wanted: &str) -> DeviceOptions {
        match wanted.trim().to_lowercase().as_str() {
            "" | "best" | "auto" => DeviceOptions { wanted: Wanted::Best, ..self },
            "gpu" => self.gpu(),
            "cpu" => self.cpu(),
            _ => self.named(wanted.trim()),
        }
    }

    /// Whether a software adapter (lavapipe, WARP) may be chosen (default: false, or true where the
    /// environment variable `BIRNN_ALLOW_SOFTWARE` is `1`).
    pub fn allow_software(mut self, yes: bool) -> DeviceOptions {
        self.allow_software = yes;
        self
    }

    /// Whether to keep within WebGPU's default limits where the adapter allows larger buffers and
    /// workgroups (default: false).
    pub fn default_limits(mut self, yes: bool) -> DeviceOptions {
        self.default_limits = yes;
        self
    }

    /// The size of the largest buffer, in bytes; weights don't count (default: the adapter's
    /// limit). Larger batches run in parts, and sequences are cut along time where all layers of
    /// the model are recurrent. A call that can't be cut small enough is an
    /// [`Error::Limit`](crate::Error::Limit).
    pub fn max_buffer_bytes(mut self, bytes: u64) -> DeviceOptions {
        self.max_buffer_bytes = bytes;
        self
    }

    /// About how many bytes of GPU memory the arrays between layers may take (default: 1 GiB). A
    /// larger batch runs in parts. The batch of a stateful model can't, and is an
    /// [`Error::Limit`](crate::Error::Limit).
    pub fn memory_budget(mut self, bytes: u64) -> DeviceOptions {
        self.memory_budget = bytes;
        self
    }

    /// Whether the GPU records when a call begins and ends, where the adapter has timestamps
    /// (default: false). [`Session::gpu_time`] returns the time between the two.
    pub fn gpu_time(mut self, yes: bool) -> DeviceOptions {
        self.gpu_time = yes;
        self
    }

    /// Whether the GPU finds out by timing how to run recurrent layers (default: false, or true
    /// where the environment variable `BIRNN_AUTOTUNE` is `1`).
    ///
    /// The first call with a kind of layer (cell, units, features, directions) and a size of the
    /// batch (up to the same power of two) that are new to the adapter then times up to five ways
    /// of running the layer, and this and later calls use the fastest. That first call takes a few
    /// times as long. The results of all ways are the same to within a few units in the last place.
    ///
    /// The choice is kept in a file, [`autotune_file`](DeviceOptions::autotune_file), for this
    /// adapter and this version of its driver.
    #[cfg(feature = "autotune")]
    pub fn autotune(mut self, yes: bool) -> DeviceOptions {
        self.autotune = yes;
        self
    }

    /// The file that keeps the choices of [`autotune`](DeviceOptions::autotune) (default: the one
    /// that the environment variable `BIRNN_AUTOTUNE_FILE` names, or else `birnn/autotune.json` in
    /// the user's cache folder). A damaged file is replaced.
    #[cfg(feature = "autotune")]
    pub fn autotune_file(mut self, path: impl Into<std::path::PathBuf>) -> DeviceOptions {
        self.autotune_file = Some(path.into());
        self
    }

    /// Whether the weights of recurrent layers are stored as 16-bit floats, so that every timestep
    /// reads half as many bytes (default: false). Biases and the arithmetic stay in `f32`.
    ///
    /// This changes the results: each weight is rounded to 11 significant bits, which is a relative
    /// error of at most 4.9e-4.
    ///
    /// * A GPU stores both `kernel` and `recurrent_kernel` so, as IEEE half floats: weights below
    ///   6.1e-5 lose more than that, and a model with weights from 65520 on, which would become
    ///   infinite, is refused by [`Device::compile`] with
    ///   [`Error::Argument`](crate::Error::Argument). Outputs of LSTMs of 5 to 300 units are off by
    ///   up to 1e-3 (`tests/gpu_session.rs`). Where a GPU can't unpack half floats,
    ///   [`DeviceOptions::open`] returns
    ///   [`Error::DeviceRequest`](crate::Error::DeviceRequest).
    /// * The CPU path stores only the `recurrent_kernel` so, and only of layers of more than 8
    ///   units. A small batch through a layer of 1024 units or more, which spends most of its time on
    ///   reading weights, gains most; other calls gain little, and large batches can take longer
    ///   (`docs/performance.md`).
    pub fn half_weights(mut self, yes: bool) -> DeviceOptions {
        self.half_weights = yes;
        self
    }

    /// How many threads the CPU path computes on (default: 0). A GPU ignores it.
    ///
    /// * 0: the threads of the rayon pool that the call is made from. This is the global pool (as
    ///   many threads as cores, or `RAYON_NUM_THREADS`) unless the caller runs in another one.
    /// * 1: the calling thread alone.
    /// * 2 to 1024: so many threads of the device's own. [`DeviceOptions::open`] starts them, and
    ///   returns [`Error::Limit`](crate::Error::Limit) for more.
    ///
    /// The results are equal to the bit, whatever the number. Of this option and
    /// [`thread_pool`](DeviceOptions::thread_pool) the one that was set last counts.
    ///
    /// The directions of a layer and parts of the batch run on different threads. Where there are
    /// more threads than those, threads also share the units of a layer; the same where the
    /// directions are so large that a cache holds only one of them, which then run one after the
    /// other. Layers other than recurrent ones run on the calling thread, and so do calls with
    /// little work.
    ///
    /// ```
    /// use birnn::DeviceOptions;
    /// let device = DeviceOptions::new().cpu().threads(1).open()?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn threads(mut self, threads: usize) -> DeviceOptions {
        self.threads = Threads::new(threads);
        self
    }

    /// The rayon pool that the CPU path computes on. It can have any size, and others can use it,
    /// too. Of this option and [`threads`](DeviceOptions::threads) the one that was set last
    /// counts.
    ///
    /// ```
    /// use birnn::DeviceOptions;
    /// use std::sync::Arc;
    /// let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build()?);
    /// let device = DeviceOptions::new().cpu().thread_pool(pool.clone()).open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_pool(mut self, pool: Arc<rayon::ThreadPool>) -> DeviceOptions {
        self.threads = Threads::Pool(pool);
        self
    }

    /// Chooses the GPU kernels as if the adapter were of this kind (default: its own kind), to
    /// compare kernels, and to test the kernels for one kind of adapter on another.
    ///
    /// The kernels for a software adapter need subgroups that all have the same size; on an adapter
    /// without them, those for a GPU are chosen.
    #[cfg(feature = "gpu")]
    pub fn plan_for(mut self, adapter: crate::PlanAdapter) -> DeviceOptions {
        self.plan_for = Some(adapter);
        self
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where a GPU was asked for and none fits,
    /// [`Error::DeviceRequest`](crate::Error::DeviceRequest) where one fits and can't be opened;
    /// where the best device was asked for, the CPU path is opened instead. Of the CPU path
    /// [`Error::Limit`](crate::Error::Limit) for more than 1024 threads, and
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where the threads can't be started.
    pub fn open(self) -> Result<Device> {
        match self.wanted.clone() {
            Wanted::Cpu => self.open_cpu("it was asked for".into()),
            Wanted::Gpu => self.open_gpu(None),
            Wanted::Named(name) => self.open_gpu(Some(&name)),
            Wanted::Best => match self.open_gpu(None) {
                Ok(device) => Ok(device),
                Err(error) => self.open_cpu(error.to_string()),
            },
        }
    }

    fn open_cpu(&self, reason: String) -> Result<Device> {
        Ok(Device::cpu_because(reason, self.threads.open()?, self.half_weights))
    }

    #[cfg(feature = "gpu")]
    fn open_gpu(&self, name: Option<&str>) -> Result<Device> {
        let gpu = crate::gpu::GpuDevice::open(self, name)?;
        Ok(Device { info: gpu.info.clone(), backend: Backend::Gpu(Arc::new(gpu)) })
    }

    #[cfg(not(feature = "gpu"))]
    fn open_gpu(&self, name: Option<&str>) -> Result<Device> {
        let found = vec!["none: birnn was built without its feature `gpu`".to_string()];
        let wanted = name.map_or("GPU".to_string(), |name| format!("adapter named {name:?}"));
        Err(crate::Error::NoAdapter { wanted, found })
    }
}

/// Whether an environment variable is 1.
fn environment_says(name: &str) -> bool {
    let value = std::env::var(name).unwrap_or_default();
    match value.to_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => true,
        "" | "0" | "false" | "no" | "off" => false,
        _ => {
            tracing::warn!(value, "{name} is neither 1 nor 0: taken for 0");
            false
        }
    }
}

/// A device that models can be compiled for: a GPU or the CPU path. Cloning it is cheap and gives
/// the same device.
#[derive(Clone, Debug)]
pub struct Device {
    info: DeviceInfo,
    backend: Backend,
}

#[derive(Clone, Debug)]
pub(crate) enum Backend {
    Cpu {
        threads: Threads,
        half_weights: bool,
    },
    #[cfg(feature = "gpu")]
    Gpu(Arc<crate::gpu::GpuDevice>),
}

impl Device {
    /// Opens the best device that there is: a discrete GPU, or else an integrated GPU, or else any
    /// other GPU, or else the CPU path. The environment variable `BIRNN_DEVICE` (`gpu`, `cpu`, or
    /// part of an adapter's name) asks for another one.
    ///
    /// A software adapter (lavapipe, WARP) is slower than the CPU path. It is passed over unless
    /// `BIRNN_DEVICE` names it or the environment variable `BIRNN_ALLOW_SOFTWARE` is `1`; see also
    /// [`DeviceOptions::allow_software`].
    ///
    /// # Errors
    /// Only where `BIRNN_DEVICE` asks for a GPU: [`Error::NoAdapter`](crate::Error::NoAdapter)
    /// where there is none that fits, [`Error::DeviceRequest`](crate::Error::DeviceRequest) where
    /// it can't be opened.
    ///
    /// ```
    /// let device = birnn::Device::best()?;
    /// println!("{}: {}", device.info(), device.info().reason);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn best() -> Result<Device> {
        let wanted = std::env::var("BIRNN_DEVICE").unwrap_or_default();
        DeviceOptions::new().parse(&wanted).open()
    }

    /// Opens the best GPU.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where there is none; it lists the adapters
    /// that were found and why each was passed over.
    /// [`Error::DeviceRequest`](crate::Error::DeviceRequest) where one fits and can't be opened.
    pub fn gpu() -> Result<Device> {
        DeviceOptions::new().gpu().open()
    }

    /// The CPU path, which needs no driver and is always there. For other threads than rayon's
    /// global pool see [`DeviceOptions::threads`].
    pub fn cpu() -> Device {
        Device::cpu_because("it was asked for".into(), Threads::default(), false)
    }

    /// Opens the best adapter whose name contains `name`, as [`DeviceOptions::named`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where there is none; it lists the adapters
    /// that were found. [`Error::DeviceRequest`](crate::Error::DeviceRequest) where it can't be
    /// opened.
    pub fn named(name: &str) -> Result<Device> {
        DeviceOptions::new().named(name).open()
    }

    fn cpu_because(reason: String, threads: Threads, half_weights: bool) -> Device {
        let info = DeviceInfo {
            kind: DeviceKind::Cpu,
            name: "cpu".into(),
            backend: format!("CPU path, vectors of {}", crate::cpu::lanes()),
            driver: String::new(),
            reason,
        };
        Device { info, backend: Backend::Cpu { threads, half_weights } }
    }

    /// The adapters that wgpu finds, best first; none without the crate's feature `gpu`.
    pub fn adapters() -> Vec<AdapterReport> {
        #[cfg(feature = "gpu")]
        return crate::gpu::adapters();
        #[cfg(not(feature = "gpu"))]
        Vec::new()
    }

    /// Describes the device, and says why it was chosen.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Makes the model ready to run: uploads its weights and builds the kernels for its layers, so
    /// that calls don't have to. The session has a copy of the model, whose later changes don't
    /// reach it.
    ///
    /// # Errors
    /// [`Error::MissingWeights`](crate::Error::MissingWeights) where a layer has no weights,
    /// [`Error::Limit`](crate::Error::Limit) where a layer is too large for the device,
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::DeviceLost`](crate::Error::DeviceLost), or [`Error::Gpu`](crate::Error::Gpu).
    pub fn compile(&self, model: &Model) -> Result<Session> {
        Session::new(model.clone(), self)
    }

    /// Gives a GPU back to the system at once. Every session on it then returns
    /// [`Error::DeviceLost`](crate::Error::DeviceLost), as if the GPU had been unplugged. On the
    /// CPU path it does nothing.
    pub fn destroy(&self) {
        #[cfg(feature = "gpu")]
        if let Backend::Gpu(gpu) = &self.backend {
            gpu.destroy();
        }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }
}
