//! Which device a model runs on, and why.

mod info;
mod options;

pub use info::{AdapterReport, DeviceInfo, DeviceKind};
#[cfg(feature = "gpu")]
pub use options::GpuOptions;
pub use options::{CpuOptions, DeviceOptions};

use crate::cpu::CpuSession;
use crate::error::Result;
use crate::host::{self, Threads};
use crate::model::Model;
#[cfg(feature = "reference")]
use crate::reference::ReferenceSession;
use crate::runner::Runner;
use options::Wanted;
pub(crate) use options::WantedAdapter;
#[cfg(feature = "gpu")]
use std::sync::Arc;

/// A device that models can be compiled for: a GPU or the CPU path. Cloning it is cheap and gives
/// the same device.
#[derive(Clone, Debug)]
pub struct Device {
    info: DeviceInfo,
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Cpu {
        threads: Threads,
        half_weights: bool,
    },
    #[cfg(feature = "reference")]
    Reference,
    #[cfg(feature = "gpu")]
    Gpu(Arc<crate::gpu::GpuDevice>),
}

impl DeviceOptions {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoAdapter`](crate::Error::NoAdapter) where a GPU was asked for and none fits,
    /// [`Error::DeviceRequest`](crate::Error::DeviceRequest) where one fits and can't be opened;
    /// where the best device was asked for, the CPU path is opened instead. Of the CPU path
    /// [`Error::Limit`](crate::Error::Limit) for more than 1024 threads, and
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) where the threads can't be started. In a
    /// web page, which can't block, [`Error::Gpu`](crate::Error::Gpu) unless the CPU path was asked
    /// for.
    pub fn open(self) -> Result<Device> {
        host::block_on(self.open_async())
    }

    /// Opens the device as [`DeviceOptions::open`], without blocking the thread: what a web page
    /// uses. It works with any executor.
    ///
    /// # Errors
    /// Those of [`DeviceOptions::open`].
    ///
    /// ```
    /// use birnn::{DeviceOptions, Gru, Model};
    /// # pollster::block_on(async {
    /// let model = Model::sequential(2, [Gru::new(3)])?.initialize(1)?;
    /// let device = DeviceOptions::new().open_async().await?;
    /// let mut session = device.compile_async(&model).await?;
    /// let x = ndarray::Array3::<f32>::zeros((1, 4, 2));
    /// let outputs = session.run_async(x.view()).await?;
    /// # Ok::<(), birnn::Error>(())
    /// # })?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub async fn open_async(self) -> Result<Device> {
        match self.wanted.clone() {
            Wanted::Cpu => self.open_cpu("it was asked for".into()),
            #[cfg(feature = "reference")]
            Wanted::Reference => Ok(Device::reference()),
            #[cfg(not(feature = "reference"))]
            Wanted::Reference => Err(crate::Error::NoAdapter {
                wanted: "reference".into(),
                found: vec!["none: birnn was built without its feature `reference`".into()],
            }),
            Wanted::Gpu(wanted) => self.open_gpu(&wanted).await,
            Wanted::Best => match self.open_gpu(&WantedAdapter::Best).await {
                Ok(device) => Ok(device),
                Err(error) => self.open_cpu(error.to_string()),
            },
        }
    }

    fn open_cpu(&self, reason: String) -> Result<Device> {
        Ok(Device::cpu_because(reason, self.cpu.threads.open()?, self.half_weights))
    }

    #[cfg(feature = "gpu")]
    async fn open_gpu(&self, wanted: &WantedAdapter) -> Result<Device> {
        let gpu = crate::gpu::open(self, wanted).await?;
        Ok(Device { info: gpu.info.clone(), backend: Backend::Gpu(Arc::new(gpu)) })
    }

    #[cfg(not(feature = "gpu"))]
    async fn open_gpu(&self, wanted: &WantedAdapter) -> Result<Device> {
        let found = vec!["none: birnn was built without its feature `gpu`".to_string()];
        Err(crate::Error::NoAdapter { wanted: wanted.to_string(), found })
    }
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
    /// global pool see [`CpuOptions::threads`].
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

    /// The reference: every layer by the plain formulas in `f64`, its outputs rounded to `f32`. It
    /// is slow, and there to compare other devices with; [`reference::run`](crate::reference::run)
    /// returns what isn't rounded.
    ///
    /// ```
    /// use birnn::{Device, Lstm, Model};
    /// let model = Model::sequential(2, [Lstm::new(3)])?.initialize(1)?;
    /// let x = ndarray::Array3::<f32>::ones((1, 8, 2));
    /// let exact = Device::reference().compile(&model)?.run(x.view())?;
    /// let found = Device::best()?.compile(&model)?.run(x.view())?;
    /// assert!((found.output() - exact.output()).iter().all(|difference| difference.abs() < 1e-6));
    /// # Ok::<(), birnn::Error>(())
    /// ```
    #[cfg(feature = "reference")]
    pub fn reference() -> Device {
        let info = DeviceInfo {
            kind: DeviceKind::Cpu,
            name: "reference".into(),
            backend: "float64".into(),
            driver: String::new(),
            index: None,
            pci: String::new(),
            reason: "it was asked for".into(),
        };
        Device { info, backend: Backend::Reference }
    }

    fn cpu_because(reason: String, threads: Threads, half_weights: bool) -> Device {
        let info = DeviceInfo {
            kind: DeviceKind::Cpu,
            name: "cpu".into(),
            backend: format!("CPU path, vectors of {}", crate::cpu::lanes()),
            driver: String::new(),
            index: None,
            pci: String::new(),
            reason,
        };
        Device { info, backend: Backend::Cpu { threads, half_weights } }
    }

    /// The adapters that wgpu finds, best first; none without the crate's feature `gpu`, nor in a
    /// web page, where [`Device::adapters_async`] finds them.
    pub fn adapters() -> Vec<AdapterReport> {
        host::block_on(async { Ok(Device::adapters_async().await) }).unwrap_or_default()
    }

    /// The adapters as [`Device::adapters`], without blocking the thread.
    pub async fn adapters_async() -> Vec<AdapterReport> {
        #[cfg(feature = "gpu")]
        return crate::gpu::adapters().await;
        #[cfg(not(feature = "gpu"))]
        Vec::new()
    }

    /// Describes the device, and says why it was chosen.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Makes the model ready to run on the device's backend.
    pub(crate) async fn runner(&self, model: &Model) -> Result<Box<dyn Runner>> {
        Ok(match &self.backend {
            Backend::Cpu { threads, half_weights } => {
                Box::new(CpuSession::new(model, threads.clone(), *half_weights)?)
            }
            #[cfg(feature = "reference")]
            Backend::Reference => Box::new(ReferenceSession::new(model)?),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Box::new(crate::gpu::GpuSession::new(model, gpu.clone()).await?),
        })
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
}
