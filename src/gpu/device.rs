//! An open GPU: its limits, how its work is waited for, and how its errors become ours.

use super::adapter::{choice, fixed_subgroup, halves, passed_over, ranked, report, wanted_limits};
use super::kernel::UNIFORM_BYTES;
use super::limits::Limits;
use super::pipelines::Pipelines;
use super::plan::{PlanAdapter, Tuned, footprint};
use super::residency::Residency;
use crate::device::{DeviceInfo, DeviceKind, DeviceOptions, WantedAdapter};
use crate::error::{Error, Result};
use crate::host::{self, Instant, Poller};
use crate::runner::Wait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Submissions of a device that may be under way with nobody waiting for them.
const MOST_ABANDONED: usize = 16;
/// What a driver can say of work, in the order in which it is asked.
const ERRORS: [wgpu::ErrorFilter; 3] =
    [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];

/// An open GPU. Sessions share it.
#[derive(Debug)]
pub(crate) struct GpuDevice {
    /// First, so that its thread ends before the device is given up.
    poller: Poller,
    pub info: DeviceInfo,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: Limits,
    /// The distance between two entries of a uniform buffer.
    pub(super) uniform_stride: u64,
    /// Whether passes can be timed.
    pub(super) timestamps: bool,
    /// Whether the GPU's time of every call was asked for.
    pub(super) gpu_time: bool,
    pipelines: Mutex<Pipelines>,
    lost: Arc<Mutex<Option<String>>>,
    /// What the GPU was working on when nobody wanted it any more, oldest first.
    abandoned: Mutex<Abandoned>,
    /// When work was last seen to be done.
    last_done: Mutex<Option<Instant>>,
    /// What is known of the workgroups that run side by side, where persistent kernels are wanted.
    pub(super) residency: Option<Residency>,
    /// What was found to be the fastest, where that is asked for.
    #[cfg(feature = "autotune")]
    autotune: Option<Mutex<super::autotune::Cache>>,
}

#[derive(Debug, Default)]
struct Abandoned {
    submissions: VecDeque<wgpu::SubmissionIndex>,
    /// How many before them are known to be done.
    done: u64,
}

impl GpuDevice {
    /// Opens the best adapter that is wanted. One that won't open is passed over.
    pub async fn open(options: &DeviceOptions, wanted: &WantedAdapter) -> Result<GpuDevice> {
        let mut found = Vec::new();
        let mut failure = None;
        for (index, adapter) in ranked().await.iter().enumerate() {
            let report = report(index, adapter);
            match passed_over(&report, options, wanted) {
                Some(reason) => found.push(format!("{} ({reason})", report.info)),
                None => {
                    let info = choice(report.info, &found, wanted);
                    match GpuDevice::request(adapter, options, info).await {
                        Ok(device) => return Ok(device),
                        Err(error) => {
                            found.push(error.to_string());
                            failure = Some(error);
                        }
                    }
                }
            }
        }
        Err(failure.unwrap_or(Error::NoAdapter { wanted: wanted.to_string(), found }))
    }

    async fn request(
        adapter: &wgpu::Adapter,
        options: &DeviceOptions,
        info: DeviceInfo,
    ) -> Result<GpuDevice> {
        let limits = wanted_limits(&adapter.limits(), &options.gpu);
        if options.half_weights && !halves(adapter) {
            let reason =
                "half_weights: it can't unpack 16-bit floats; open it without them".to_string();
            return Err(Error::DeviceRequest { adapter: info.name, reason });
        }
        // Nothing is slower with them: `Session::profile` alone asks for them, or `gpu_time`.
        let timestamps = adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let subgroup = fixed_subgroup(adapter);
        let limits = match options.gpu.plan_for {
            Some(PlanAdapter::DownlevelGpu) => {
                wgpu::Limits::downlevel_defaults().or_worse_values_from(&limits)
            }
            _ => limits,
        };
        let software = match options.gpu.plan_for {
            Some(adapter) => adapter == PlanAdapter::Software,
            None => info.kind == DeviceKind::SoftwareGpu,
        };
        let mut features = wgpu::Features::empty();
        features.set(wgpu::Features::TIMESTAMP_QUERY, timestamps);
        features.set(wgpu::Features::SUBGROUP, subgroup.is_some());
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("birnn"),
            required_features: features,
            required_limits: limits.clone(),
            ..Default::default()
        };
        let opened = adapter.request_device(&descriptor).await;
        let (device, queue) = opened.map_err(|e| Error::DeviceRequest {
            adapter: info.name.clone(),
            reason: e.to_string(),
        })?;
        let lost = Arc::new(Mutex::new(None));
        let callback_lost = lost.clone();
        device.set_device_lost_callback(move |reason, message| {
            *lock(&callback_lost) = Some(format!("{reason:?}: {message}"));
        });
        // Errors are caught in scopes; one that slips through must not panic, which is wgpu's
        // default.
        device.on_uncaptured_error(Arc::new(
            |error: wgpu::Error| tracing::error!(%error, "uncaptured GPU error"),
        ));
        let limits_of_plans = Limits {
            software,
            cores: host::cores(),
            subgroup,
            half_weights: options.half_weights,
            budget: options.gpu.memory_budget,
            ..Limits::new(&limits, options.gpu.max_buffer_bytes)
        };
        let residency =
            Residency::of(&info, footprint(&limits_of_plans), info.kind == DeviceKind::SoftwareGpu);
        Ok(GpuDevice {
            residency: options.gpu.persistent.then_some(residency),
            #[cfg(feature = "autotune")]
            autotune: options
                .gpu
                .autotune
                .then(|| Mutex::new(super::autotune::Cache::of(&options.gpu, &info))),
            info,
            limits: limits_of_plans,
            uniform_stride: u64::from(limits.min_uniform_buffer_offset_alignment)
                .max(UNIFORM_BYTES as u64),
            timestamps,
            gpu_time: options.gpu.gpu_time,
            pipelines: Mutex::new(Pipelines::new(&device)),
            device,
            queue,
            lost,
            poller: Poller::default(),
            abandoned: Mutex::default(),
            last_done: Mutex::default(),
        })
    }

    /// The limits that plans keep to now.
    pub(super) fn plan_limits(&self) -> Limits {
        let persistent = self.residency.as_ref().and_then(Residency::allowed);
        Limits { persistent, ..self.limits }
    }

    /// The choices that were found to be the fastest.
    #[cfg(feature = "autotune")]
    pub(super) fn tuned(&self) -> Tuned {
        self.autotune.as_ref().map(|cache| lock(cache).tuned().clone()).unwrap_or_default()
    }

    #[cfg(not(feature = "autotune"))]
    pub(super) fn tuned(&self) -> Tuned {
        Tuned::new()
    }

    /// Where what autotune finds is kept, if it is wanted.
    #[cfg(feature = "autotune")]
    pub(super) fn autotune(&self) -> Option<MutexGuard<'_, super::autotune::Cache>> {
        self.autotune.as_ref().map(lock)
    }

    pub(super) fn pipelines(&self) -> MutexGuard<'_, Pipelines> {
        lock(&self.pipelines)
    }

    /// The numbers of the steps, for kernels that take one. One that failed is not kept.
    pub(super) async fn step_table(&self) -> Result<wgpu::BindGroup> {
        if let Some(table) = &self.pipelines().step_table {
            return Ok(table.clone());
        }
        let stride = self.uniform_stride as usize;
        let create = || Ok(self.pipelines().create_step_table(&self.device, stride));
        let table = self.checked("the numbers of the steps", create).await?;
        Ok(self.pipelines().step_table.insert(table).clone())
    }

    pub fn destroy(&self) {
        // wgpu calls the lost callback only when the device is next polled.
        *lock(&self.lost) = Some("it was destroyed".into());
        self.device.destroy();
    }

    /// An error where the device is lost.
    pub(super) fn check_lost(&self) -> Result<()> {
        match lock(&self.lost).clone() {
            Some(reason) => Err(Error::DeviceLost { reason }),
            None => Ok(()),
        }
    }

    /// An error where no launch can be timed.
    pub(super) fn check_timestamps(&self) -> Result<()> {
        match self.timestamps {
            true => Ok(()),
            false => Err(Error::Profile {
                device: self.info.name.clone(),
                reason: "its driver has no timestamps (WebGPU's feature timestamp-query); use \
                         Device::cpu(), or time whole calls"
                    .into(),
            }),
        }
    }

    /// The device's loss where it is lost, or else what the driver said.
    pub(super) fn lost_or(&self, message: String) -> Error {
        self.check_lost().err().unwrap_or(Error::Gpu(message))
    }

    /// Notes that work is done. Returns when work was seen to be done before.
    pub(super) fn note_done(&self) -> Option<Instant> {
        lock(&self.last_done).replace(Instant::now())
    }

    /// Waits for a submission. Where others wait meanwhile and nobody blocks, that it is done is
    /// said by its callbacks, and this may return before.
    pub(super) fn wait_for_callbacks(
        &self,
        submission: wgpu::SubmissionIndex,
        wait: Wait,
    ) -> Result<()> {
        match wait {
            Wait::Blocking => self.wait_blocking(submission),
            Wait::Async => self.poller.watch(&self.device, submission),
        }
    }

    /// Waits until a submission is done.
    pub(super) async fn wait_until_done(
        &self,
        submission: wgpu::SubmissionIndex,
        wait: Wait,
    ) -> Result<()> {
        match wait {
            Wait::Blocking => self.wait_blocking(submission),
            Wait::Async => {
                self.poller.wait(&self.device, &self.queue, submission).await?;
                self.check_lost()
            }
        }
    }

    fn wait_blocking(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        match host::wait_blocking(&self.device, submission, !self.limits.software) {
            Ok(()) => self.check_lost(),
            // The submission never reached the queue: wgpu takes none once the device is lost.
            Err(wgpu::PollError::WrongSubmissionIndex(..)) => {
                self.check_lost()?;
                Err(Error::DeviceLost { reason: "it takes no more work".into() })
            }
            Err(error) => Err(self.lost_or(error.to_string())),
        }
    }

    /// Notes that nobody waits for a submission any more.
    pub(super) fn abandon(&self, submission: wgpu::SubmissionIndex) {
        lock(&self.abandoned).submissions.push_back(submission);
    }

    /// Waits for the oldest of the abandoned submissions where there are many: who only ever gives
    /// up calls would fill memory with what the GPU is still to do. A wait that is given up, too,
    /// counts for nothing.
    pub(super) async fn wait_for_abandoned(&self, wait: Wait) -> Result<()> {
        loop {
            let (oldest, number) = {
                let abandoned = lock(&self.abandoned);
                match abandoned.submissions.front() {
                    Some(oldest) if abandoned.submissions.len() >= MOST_ABANDONED => {
                        (oldest.clone(), abandoned.done)
                    }
                    _ => return Ok(()),
                }
            };
            self.wait_until_done(oldest, wait).await?;
            let mut abandoned = lock(&self.abandoned);
            if abandoned.done == number {
                abandoned.submissions.pop_front();
                abandoned.done += 1;
            }
        }
    }

    /// Does `work`, and turns what the driver says of it into an error. `what` names what memory
    /// was for.
    pub(super) async fn checked<T>(
        &self,
        what: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.check_lost()?;
        let scopes = ERRORS.map(|filter| self.device.push_error_scope(filter));
        let result = work();
        // A scope belongs to a thread: all end before anything is awaited.
        let caught: Vec<_> = scopes.into_iter().rev().map(wgpu::ErrorScopeGuard::pop).collect();
        let mut error = None;
        for scope in caught {
            error = scope.await.or(error);
        }
        self.check_lost()?;
        match error {
            None => result,
            Some(wgpu::Error::OutOfMemory { .. }) => {
                Err(Error::OutOfMemory { what: what.to_string() })
            }
            Some(error) => Err(Error::Gpu(self.pipelines().located(format!("{what}: {error}")))),
        }
    }
}

/// A lock whose holder panicked still guards sound data: every critical section here is a single
/// assignment or insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
