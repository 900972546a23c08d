//! Which device to open, and how its backend runs models.

use crate::host::Threads;
use std::fmt;
use std::sync::Arc;

/// Which device to open, and how to use it. [`DeviceOptions::open`] opens it.
///
/// ```
/// use birnn::{DeviceKind, DeviceOptions};
/// let device = DeviceOptions::new().cpu().open()?;
/// assert_eq!(device.info().kind, DeviceKind::Cpu);
/// # Ok::<(), birnn::Error>(())
/// ```
///
/// What concerns one backend alone is in [`CpuOptions`] and [`GpuOptions`](crate::GpuOptions):
///
/// ```
/// use birnn::{CpuOptions, DeviceOptions};
/// // The best device; where that is the CPU path, on four threads.
/// let device = DeviceOptions::new().with_cpu(CpuOptions::new().threads(4)).open()?;
/// // The CPU path on four threads.
/// let device = DeviceOptions::from(CpuOptions::new().threads(4)).open()?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    pub(super) wanted: Wanted,
    #[cfg_attr(not(feature = "gpu"), allow(dead_code))] // adapters are the GPU path's
    pub(crate) allow_software: bool,
    pub(crate) half_weights: bool,
    pub(crate) cpu: CpuOptions,
    #[cfg(feature = "gpu")]
    pub(crate) gpu: GpuOptions,
}

/// The device that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Best,
    Gpu(WantedAdapter),
    Cpu,
    Reference,
}

/// The adapter that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "gpu"), allow(dead_code))] // adapters are the GPU path's
pub(crate) enum WantedAdapter {
    /// The best that is no software adapter.
    Best,
    /// The best whose name contains this.
    Named(String),
    /// The one of this place in [`Device::adapters`](crate::Device::adapters).
    Index(usize),
    /// The one of this PCI address, in lower case.
    Pci(String),
}

impl fmt::Display for WantedAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WantedAdapter::Best => f.write_str("GPU"),
            WantedAdapter::Named(name) => write!(f, "adapter named {name:?}"),
            WantedAdapter::Index(index) => write!(f, "adapter number {index}"),
            WantedAdapter::Pci(address) => write!(f, "adapter at PCI address {address:?}"),
        }
    }
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl DeviceOptions {
    /// Asks for the best device, in the order that [`Device::best`](crate::Device::best) gives,
    /// with the defaults of all other options.
    ///
    /// The environment variables that set defaults are named at the options. `BIRNN_DEVICE` is not
    /// read: give its value to [`DeviceOptions::parse`] where it should count.
    pub fn new() -> DeviceOptions {
        DeviceOptions {
            wanted: Wanted::Best,
            allow_software: environment_says("BIRNN_ALLOW_SOFTWARE"),
            half_weights: false,
            cpu: CpuOptions::new(),
            #[cfg(feature = "gpu")]
            gpu: GpuOptions::new(),
        }
    }

    /// Asks for the best GPU; without one, [`DeviceOptions::open`] returns an error.
    pub fn gpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Gpu(WantedAdapter::Best);
        self
    }

    /// Asks for the CPU path, which needs no driver.
    pub fn cpu(mut self) -> DeviceOptions {
        self.wanted = Wanted::Cpu;
        self
    }

    /// Asks for the reference, as [`Device::reference`](crate::Device::reference).
    pub fn reference(mut self) -> DeviceOptions {
        self.wanted = Wanted::Reference;
        self
    }

    /// Asks for the best adapter whose name contains `name`, ignoring upper and lower case. It may
    /// be a software adapter. `lavapipe` and `warp` stand for the names that those drivers report.
    pub fn named(mut self, name: impl Into<String>) -> DeviceOptions {
        self.wanted = Wanted::Gpu(WantedAdapter::Named(name.into()));
        self
    }

    /// Asks for the adapter of this place in [`Device::adapters`](crate::Device::adapters), from 0.
    /// It may be a software adapter. Of several GPUs each process can so be given its own.
    ///
    /// ```
    /// use birnn::{Device, DeviceOptions};
    /// let adapters = Device::adapters();
    /// if let Some(adapter) = adapters.iter().find(|adapter| adapter.unusable.is_none()) {
    ///     let device = DeviceOptions::new().index(adapter.info.index.unwrap_or(0)).open()?;
    ///     assert_eq!(device.info().name, adapter.info.name);
    /// }
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn index(mut self, index: usize) -> DeviceOptions {
        self.wanted = Wanted::Gpu(WantedAdapter::Index(index));
        self
    }

    /// Asks for the adapter of this PCI address, such as `0000:3b:00.0`, which
    /// [`DeviceInfo::pci`](crate::DeviceInfo::pci) shows where the driver says it. It stays the
    /// same when other GPUs come and go.
    pub fn pci(mut self, address: impl Into<String>) -> DeviceOptions {
        self.wanted = Wanted::Gpu(WantedAdapter::Pci(address.into().to_lowercase()));
        self
    }

    /// Asks for the device that a text names, as in `--device` and `BIRNN_DEVICE`: `best` (also
    /// `auto` or an empty text), `gpu`, `cpu`, `reference`, `gpu:1` (the adapter of this
    /// [`index`](DeviceOptions::index)), `pci:0000:3b:00.0` (the one of this
    /// [`pci`](DeviceOptions::pci) address), or part of an adapter's name.
    pub fn parse(self, wanted: &str) -> DeviceOptions {
        match wanted.trim().to_lowercase().as_str() {
            "" | "best" | "auto" => DeviceOptions { wanted: Wanted::Best, ..self },
            "gpu" => self.gpu(),
            "cpu" => self.cpu(),
            "reference" => self.reference(),
            other => {
                let index = other.strip_prefix("gpu:").and_then(|index| index.parse().ok());
                match (index, other.strip_prefix("pci:")) {
                    (Some(index), _) => self.index(index),
                    (_, Some(address)) => self.pci(address),
                    _ => self.named(wanted.trim()),
                }
            }
        }
    }

    /// The adapter that is asked for, where one is.
    #[cfg(all(test, feature = "gpu"))]
    pub(crate) fn wanted_adapter(&self) -> Option<&WantedAdapter> {
        match &self.wanted {
            Wanted::Gpu(wanted) => Some(wanted),
            _ => None,
        }
    }

    /// Whether a software adapter (lavapipe, WARP) may be chosen (default: false, or true where the
    /// environment variable `BIRNN_ALLOW_SOFTWARE` is `1`).
    pub fn allow_software(mut self, yes: bool) -> DeviceOptions {
        self.allow_software = yes;
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
    ///   infinite, is refused by [`Device::compile`](crate::Device::compile) with
    ///   [`Error::Argument`](crate::Error::Argument). Outputs of LSTMs of 5 to 300 units are off by
    ///   up to 1e-3 (`tests/gpu/session.rs`). Where a GPU can't unpack half floats,
    ///   [`DeviceOptions::open`] returns
    ///   [`Error::DeviceRequest`](crate::Error::DeviceRequest).
    /// * The CPU path stores only the `recurrent_kernel` so. A small batch through a layer of 512
    ///   units or more, which spends most of its time on reading weights, gains most: up to 1.9
    ///   times (`docs/performance.md`). Fewer units and large batches can take longer.
    pub fn half_weights(mut self, yes: bool) -> DeviceOptions {
        self.half_weights = yes;
        self
    }

    /// How the CPU path runs models, where it is the device that is opened.
    pub fn with_cpu(mut self, options: CpuOptions) -> DeviceOptions {
        self.cpu = options;
        self
    }

    /// How a GPU runs models, where it is the device that is opened.
    ///
    /// ```
    /// use birnn::{DeviceOptions, GpuOptions};
    /// let options = DeviceOptions::new().with_gpu(GpuOptions::new().memory_budget(4 << 30));
    /// ```
    #[cfg(feature = "gpu")]
    pub fn with_gpu(mut self, options: GpuOptions) -> DeviceOptions {
        self.gpu = options;
        self
    }
}

/// Asks for the CPU path with these options.
impl From<CpuOptions> for DeviceOptions {
    fn from(options: CpuOptions) -> DeviceOptions {
        DeviceOptions::new().cpu().with_cpu(options)
    }
}

/// Asks for the best GPU with these options.
#[cfg(feature = "gpu")]
impl From<GpuOptions> for DeviceOptions {
    fn from(options: GpuOptions) -> DeviceOptions {
        DeviceOptions::new().gpu().with_gpu(options)
    }
}

/// How the CPU path runs models: part of [`DeviceOptions`].
#[derive(Clone, Debug, Default)]
pub struct CpuOptions {
    pub(super) threads: Threads,
}

impl CpuOptions {
    /// The defaults.
    pub fn new() -> CpuOptions {
        CpuOptions::default()
    }

    /// How many threads the CPU path computes on (default: 0).
    ///
    /// * 0: the threads of the rayon pool that the call is made from. This is the global pool (as
    ///   many threads as cores, or `RAYON_NUM_THREADS`) unless the caller runs in another one.
    /// * 1: the calling thread alone.
    /// * 2 to 1024: so many threads of the device's own. [`DeviceOptions::open`] starts them, and
    ///   returns [`Error::Limit`](crate::Error::Limit) for more.
    ///
    /// The results are equal to the bit, whatever the number. Of this option and
    /// [`thread_pool`](CpuOptions::thread_pool) the one that was set last counts.
    ///
    /// The directions of a layer and parts of the batch run on different threads. Where there are
    /// more threads than those, threads also share the units of a layer; the same where the
    /// directions are so large that a cache holds only one of them, which then run one after the
    /// other. Products, convolutions, attention and most of what is computed value by value are
    /// shared, too; what the CPU path has no code of its own for runs on the calling thread, and so
    /// do calls with little work.
    ///
    /// ```
    /// use birnn::{CpuOptions, DeviceOptions};
    /// let device = DeviceOptions::from(CpuOptions::new().threads(1)).open()?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn threads(mut self, threads: usize) -> CpuOptions {
        self.threads = Threads::new(threads);
        self
    }

    /// The rayon pool that the CPU path computes on. It can have any size, and others can use it,
    /// too. Of this option and [`threads`](CpuOptions::threads) the one that was set last
    /// counts.
    ///
    /// ```
    /// use birnn::{CpuOptions, DeviceOptions};
    /// use std::sync::Arc;
    /// let pool = Arc::new(rayon::ThreadPoolBuilder::new().num_threads(2).build()?);
    /// let device = DeviceOptions::from(CpuOptions::new().thread_pool(pool.clone())).open()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn thread_pool(mut self, pool: Arc<rayon::ThreadPool>) -> CpuOptions {
        self.threads = Threads::Pool(pool);
        self
    }
}

/// How a GPU runs models: part of [`DeviceOptions`].
#[cfg(feature = "gpu")]
#[derive(Clone, Debug)]
pub struct GpuOptions {
    pub(crate) default_limits: bool,
    pub(crate) max_buffer_bytes: u64,
    pub(crate) memory_budget: u64,
    pub(crate) gpu_time: bool,
    pub(crate) plan_for: Option<crate::PlanAdapter>,
    pub(crate) persistent: bool,
    #[cfg(feature = "autotune")]
    pub(crate) autotune: bool,
    #[cfg(feature = "autotune")]
    pub(crate) autotune_file: Option<std::path::PathBuf>,
}

#[cfg(feature = "gpu")]
impl Default for GpuOptions {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "gpu")]
impl GpuOptions {
    /// The defaults, of which environment variables set some: these are named at the options.
    pub fn new() -> GpuOptions {
        GpuOptions {
            default_limits: false,
            max_buffer_bytes: u64::MAX,
            memory_budget: 1 << 30,
            gpu_time: false,
            plan_for: None,
            persistent: environment_says("BIRNN_PERSISTENT"),
            #[cfg(feature = "autotune")]
            autotune: environment_says("BIRNN_AUTOTUNE"),
            #[cfg(feature = "autotune")]
            autotune_file: std::env::var_os("BIRNN_AUTOTUNE_FILE")
                .filter(|path| !path.is_empty())
                .map(Into::into),
        }
    }

    /// Whether to keep within WebGPU's default limits where the adapter allows larger buffers and
    /// workgroups (default: false).
    pub fn default_limits(mut self, yes: bool) -> GpuOptions {
        self.default_limits = yes;
        self
    }

    /// The size of the largest buffer, in bytes; weights don't count (default: the adapter's
    /// limit). Larger batches run in parts, and sequences are cut along time where the layers that
    /// read and write them go along it timestep by timestep. A call that can't be cut small enough
    /// is an [`Error::Limit`](crate::Error::Limit).
    pub fn max_buffer_bytes(mut self, bytes: u64) -> GpuOptions {
        self.max_buffer_bytes = bytes;
        self
    }

    /// About how many bytes of GPU memory the arrays between layers may take (default: 1 GiB). A
    /// larger batch runs in parts. The batch of a stateful model can't, and is an
    /// [`Error::Limit`](crate::Error::Limit).
    pub fn memory_budget(mut self, bytes: u64) -> GpuOptions {
        self.memory_budget = bytes;
        self
    }

    /// Whether the GPU records when a call begins and ends, where the adapter has timestamps
    /// (default: false). [`Session::gpu_time`](crate::Session::gpu_time) returns the time between
    /// the two.
    pub fn gpu_time(mut self, yes: bool) -> GpuOptions {
        self.gpu_time = yes;
        self
    }

    /// Chooses the GPU kernels as if the adapter were of this kind (default: its own kind), to
    /// compare kernels, and to test the kernels for one kind of adapter on another.
    ///
    /// The kernels for a software adapter need subgroups that all have the same size; on an adapter
    /// without them, those for a GPU are chosen.
    pub fn plan_for(mut self, adapter: crate::PlanAdapter) -> GpuOptions {
        self.plan_for = Some(adapter);
        self
    }

    /// Whether recurrent layers may run by persistent kernels (default: false, or true where the
    /// environment variable `BIRNN_PERSISTENT` is `1`): one dispatch for all timesteps of a chunk,
    /// in several workgroups that hold the weights in their registers and wait for each other's
    /// states, in place of a dispatch for each timestep.
    ///
    /// No standard says that workgroups run side by side, so [`DeviceOptions::open`] tries how many
    /// do, which takes a moment, and layers that would need more run as without this option. So do
    /// stateful layers, and layers that one workgroup can run alone. Where a workgroup waits in
    /// vain all the same, its call runs again without such kernels, with the results that it has
    /// without this option, and no more of them run on that adapter as long as the process lives.
    /// [`Session::counters`](crate::Session::counters) says how many ran, and how often a call ran
    /// again. Results differ from those without this option by a few units in the last place.
    ///
    /// With [`autotune`](GpuOptions::autotune), too, persistent kernels run only where they were
    /// found to be the fastest.
    ///
    /// ```
    /// use birnn::{DeviceOptions, GpuOptions};
    /// let options = DeviceOptions::new().with_gpu(GpuOptions::new().persistent(true));
    /// ```
    pub fn persistent(mut self, yes: bool) -> GpuOptions {
        self.persistent = yes;
        self
    }

    /// Whether the GPU finds out by timing how to run recurrent layers (default: false, or true
    /// where the environment variable `BIRNN_AUTOTUNE` is `1`).
    ///
    /// The first call with a kind of layer (cell, units, features, directions) and a size of the
    /// batch (up to the same power of two) that are new to the adapter then times up to six ways
    /// of running the layer, and this and later calls use the fastest. That first call takes a few
    /// times as long. The results of all ways are the same to within a few units in the last place.
    ///
    /// The choice is kept in a file, [`autotune_file`](GpuOptions::autotune_file), for this
    /// adapter and this version of its driver.
    #[cfg(feature = "autotune")]
    pub fn autotune(mut self, yes: bool) -> GpuOptions {
        self.autotune = yes;
        self
    }

    /// The file that keeps the choices of [`autotune`](GpuOptions::autotune) (default: the one
    /// that the environment variable `BIRNN_AUTOTUNE_FILE` names, or else `birnn/autotune.json` in
    /// the user's cache folder). A damaged file is replaced.
    #[cfg(feature = "autotune")]
    pub fn autotune_file(mut self, path: impl Into<std::path::PathBuf>) -> GpuOptions {
        self.autotune_file = Some(path.into());
        self
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
