//! Which device a model runs on, and why.

use crate::cpu::Threads;
use crate::error::Result;
use crate::model::Model;
use crate::session::Session;
use std::fmt;
use std::sync::Arc;

/// What kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU that shares the CPU's memory.
    IntegratedGpu,
    /// A GPU of a virtual machine.
    VirtualGpu,
    /// A GPU whose driver doesn't say which kind it is.
    OtherGpu,
    /// A GPU driver that computes on the CPU: Mesa's lavapipe, Windows' WARP. Only used when asked
    /// for.
    SoftwareGpu,
    /// The CPU path, without any driver.
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

/// Which device was chosen, and why.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// What kind it is.
    pub kind: DeviceKind,
    /// The adapter's name, or `cpu`.
    pub name: String,
    /// `Vulkan`, `Metal`, `Dx12`, or `CPU path` and how many floats its vectors have: 16 with
    /// AVX-512, 8 with AVX2.
    pub backend: String,
    /// The driver's name and version; empty for the CPU path.
    pub driver: String,
    /// Why this one was chosen.
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

/// An adapter that wgpu found, as `birnn devices` lists it.
#[derive(Clone, Debug)]
pub struct AdapterReport {
    /// The adapter.
    pub info: DeviceInfo,
    /// The largest buffer, in bytes.
    pub max_buffer_size: u64,
    /// The largest part of a buffer that a kernel can see, in bytes.
    pub max_storage_buffer_binding_size: u64,
    /// The most invocations a workgroup can have.
    pub max_compute_invocations_per_workgroup: u32,
    /// Bytes of workgroup memory.
    pub max_compute_workgroup_storage_size: u32,
    /// Why it can't be used, where it can't.
    pub unusable: Option<String>,
}

/// Which device to open.
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
    /// The best device: [`Device::best`]. Software adapters are allowed where the environment
    /// variable `BIRNN_ALLOW_SOFTWARE` is `1`.
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

    /// A GPU, or an error.
    pub fn gpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Gpu;
        self
    }

    /// The CPU path.
    pub fn cpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Cpu;
        self
    }

    /// The first adapter whose name contains `name` (upper and lower case alike), a software one
    /// too. `lavapipe` and `warp` stand for the names that those drivers report.
    pub fn named(mut self, name: impl Into<String>) -> DeviceOptions {
        self.wanted = Wanted::Named(name.into());
        self
    }

    /// `best`, `gpu`, `cpu`, or part of an adapter's name: what `--device` and `BIRNN_DEVICE` take.
    pub fn parse(self, wanted: &str) -> DeviceOptions {
        match wanted.trim().to_lowercase().as_str() {
            "" | "best" | "auto" => DeviceOptions { wanted: Wanted::Best, ..self },
            "gpu" => self.gpu(),
            "cpu" => self.cpu(),
            _ => self.named(wanted.trim()),
        }
    }

    /// Whether an adapter that computes on the CPU (lavapipe, WARP) may be chosen (default: no).
    pub fn allow_software(mut self, yes: bool) -> DeviceOptions {
        self.allow_software = yes;
        self
    }

    /// Keep within WebGPU's default limits, though the adapter allows more (default: no).
    pub fn default_limits(mut self, yes: bool) -> DeviceOptions {
        self.default_limits = yes;
        self
    }

    /// No buffer larger than this many bytes, but for weights: longer sequences and larger batches
    /// are split (default: the adapter's limit).
    pub fn max_buffer_bytes(mut self, bytes: u64) -> DeviceOptions {
        self.max_buffer_bytes = bytes;
        self
    }

    /// About how many bytes of GPU memory the arrays between layers may take; a larger batch runs
    /// in parts (default 1 GiB).
    pub fn memory_budget(mut self, bytes: u64) -> DeviceOptions {
        self.memory_budget = bytes;
        self
    }

    /// Have the GPU note when a call begins and ends, where the adapter has timestamps (default:
    /// no): [`Session::gpu_time`].
    pub fn gpu_time(mut self, yes: bool) -> DeviceOptions {
        self.gpu_time = yes;
        self
    }

    /// On the first call with a kind of recurrent layer and a size of the batch that are new to the
    /// adapter, time a few ways of running it, and go on with the fastest (default: no, or where
    /// the environment variable `BIRNN_AUTOTUNE` is `1`). That first call takes a few times as
    /// long.
    ///
    /// What was found is kept in a file, [`autotune_file`](DeviceOptions::autotune_file), for the
    /// adapter and the version of its driver. All ways give the same results to a few units in the
    /// last place.
    #[cfg(feature = "autotune")]
    pub fn autotune(mut self, yes: bool) -> DeviceOptions {
        self.autotune = yes;
        self
    }

    /// The file that keeps what [`autotune`](DeviceOptions::autotune) found (default:
    /// `birnn/autotune.json` in the user's cache folder, or the environment variable
    /// `BIRNN_AUTOTUNE_FILE`). A damaged file is replaced.
    #[cfg(feature = "autotune")]
    pub fn autotune_file(mut self, path: impl Into<std::path::PathBuf>) -> DeviceOptions {
        self.autotune_file = Some(path.into());
        self
    }

    /// Stores the kernels of recurrent layers as 16-bit floats, which halves what a step has to
    /// read; they are computed with in f32 (default: no). It changes results: each weight is
    /// rounded to 11 bits, a relative error of at most 4.9e-4; on the GPU, outputs of LSTMs of 5 to
    /// 300 units are off by up to 4.3e-4 (`tests/gpu_session.rs`). The CPU path stores the
    /// recurrent kernels of more than 8 units so, and the input's as they are: with the seeded
    /// weights of the benchmarks, outputs of LSTMs and GRUs of 128 to 2048 units are off by up to
    /// 4.4e-5. Where a call waits for weights, of a small batch and 1024 units or more, it takes
    /// down to 0.41 of the time (README, On the CPU).
    pub fn half_weights(mut self, yes: bool) -> DeviceOptions {
        self.half_weights = yes;
        self
    }

    /// How many threads the CPU path computes on; 0, the default: those of the rayon pool that the
    /// call is made from, which is the global one (as many as cores; `RAYON_NUM_THREADS`) unless
    /// the caller has one of its own. With 1 the calling thread does all. The results are the same
    /// to the bit. More than 1024 are an error of [`DeviceOptions::open`]. The last of this and
    /// [`thread_pool`](DeviceOptions::thread_pool) counts; a GPU is computed on with neither.
    ///
    /// The directions of a layer and parts of the batch run on different threads; where there are
    /// more threads than those, or directions so large that a cache has only one of them at a time,
    /// the units of a layer do.
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

    /// The pool of threads that the CPU path computes on, of any size, which others can share. The
    /// last of this and [`threads`](DeviceOptions::threads) counts.
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

    /// Chooses kernels as for such an adapter, whatever kind it is (default: what it is): to
    /// compare, and to test the kernels of one kind on another. Those of a software adapter need
    /// subgroups of one size; chosen here, they are without words of 64 bits, which not all such
    /// adapters have.
    #[cfg(feature = "gpu")]
    pub fn plan_for(mut self, adapter: crate::PlanAdapter) -> DeviceOptions {
        self.plan_for = Some(adapter);
        self
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where a GPU was asked for and none fits,
    /// [`Error::DeviceRequest`](crate::Error::DeviceRequest) where it won't open,
    /// [`Error::Limit`](crate::Error::Limit) for more than 1024 threads.
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

/// A device that models can be compiled for. Cloning it is cheap and gives the same device.
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
    /// The best device there is: a discrete GPU, then an integrated one, then any other, then the
    /// CPU path. The environment variable `BIRNN_DEVICE` (`gpu`, `cpu`, or part of an adapter's
    /// name) overrides it.
    ///
    /// A software adapter (lavapipe, WARP) is slower than the CPU path and is passed over unless
    /// the environment variable `BIRNN_ALLOW_SOFTWARE` is `1`, or [`DeviceOptions::allow_software`]
    /// or its name asks for it.
    ///
    /// # Errors
    /// Only where `BIRNN_DEVICE` asks for an adapter that isn't there:
    /// [`Error::NoAdapter`](crate::Error::NoAdapter).
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

    /// The best GPU.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where there is none; it lists what was found
    /// and why it was passed over.
    pub fn gpu() -> Result<Device> {
        DeviceOptions::new().gpu().open()
    }

    /// The CPU path, which needs no driver.
    pub fn cpu() -> Device {
        Device::cpu_because("it was asked for".into(), Threads::default(), false)
    }

    /// The first adapter whose name contains `name`.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where there is none; it lists the adapters.
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

    /// The adapters that wgpu finds, best first; without the feature `gpu` none.
    pub fn adapters() -> Vec<AdapterReport> {
        #[cfg(feature = "gpu")]
        return crate::gpu::adapters();
        #[cfg(not(feature = "gpu"))]
        Vec::new()
    }

    /// Which device it is, and why it was chosen.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Makes the model ready to run: uploads its weights and builds its kernels, once.
    ///
    /// # Errors
    /// [`Error::MissingWeights`](crate::Error::MissingWeights),
    /// [`Error::Limit`](crate::Error::Limit) where a layer is too large for the device,
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory),
    /// [`Error::DeviceLost`](crate::Error::DeviceLost).
    pub fn compile(&self, model: &Model) -> Result<Session> {
        Session::new(model.clone(), self)
    }

    /// Gives the device back to the system at once. Every session on it then returns
    /// [`Error::DeviceLost`](crate::Error::DeviceLost), as if the GPU had been unplugged. The CPU
    /// path can't be lost.
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
