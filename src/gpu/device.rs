//! Adapters and the device: which one is chosen, its limits, and how its errors become ours.

use super::kernel::UNIFORM_BYTES;
use super::pipelines::Pipelines;
use super::plan::{Limits, PlanAdapter, Tuned};
use super::readback::Wait;
use crate::device::{AdapterReport, DeviceInfo, DeviceKind, DeviceOptions};
use crate::error::{Error, Result};
use futures_intrusive::channel::shared::{OneshotSender, oneshot_channel};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread asks again and again whether the GPU is done, before it sleeps.
const AWAKE: Duration = Duration::from_micros(200);
/// Submissions of a device that may be under way with nobody waiting for them.
const MOST_ABANDONED: usize = 16;
/// The storage buffers that every recurrent kernel keeps to; few others need more.
const STORAGE_BUFFERS: u32 = 4;

/// An open GPU. Sessions share it.
#[derive(Debug)]
pub(crate) struct GpuDevice {
    pub info: DeviceInfo,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: Limits,
    /// The distance between two entries of a uniform buffer.
    pub(super) uniform_stride: u64,
    /// Whether passes can be timed, and were asked to be.
    pub(super) timestamps: bool,
    pipelines: Mutex<Pipelines>,
    lost: Arc<Mutex<Option<String>>>,
    poller: Mutex<Option<Poller>>,
    /// What the GPU was working on when nobody wanted it any more, oldest first.
    abandoned: Mutex<Abandoned>,
    /// When work was last seen to be done.
    last_done: Mutex<Option<Instant>>,
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

/// The thread that waits for what is awaited without blocking. One is enough: the GPU does what was
/// submitted in order.
#[derive(Debug)]
struct Poller {
    sender: mpsc::Sender<Poll>,
    thread: JoinHandle<()>,
}

/// What the polling thread is told.
#[derive(Debug)]
struct Poll {
    submission: wgpu::SubmissionIndex,
    /// Told when it is done.
    done: Option<OneshotSender<()>>,
}

/// The adapters, best first.
pub(crate) fn adapters() -> Vec<AdapterReport> {
    ranked().iter().map(report).collect()
}

fn ranked() -> Vec<wgpu::Adapter> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let mut adapters = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    adapters.sort_by_key(|adapter| rank(kind(adapter.get_info().device_type))); // stable: the driver's order among equals
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

fn report(adapter: &wgpu::Adapter) -> AdapterReport {
    let info = adapter.get_info();
    let limits = adapter.limits();
    AdapterReport {
        info: DeviceInfo {
            kind: kind(info.device_type),
            name: info.name,
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
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
fn passed_over(
    report: &AdapterReport,
    options: &DeviceOptions,
    name: Option<&str>,
) -> Option<String> {
    if let Some(reason) = &report.unusable {
        return Some(reason.clone());
    }
    match name {
        Some(name) if !is_called(&report.info.name, name) => Some("has another name".into()),
        Some(_) => None,
        None => (report.info.kind == DeviceKind::SoftwareGpu && !options.allow_software)
            .then(|| "a software adapter: ask for it by name, with --allow-software, DeviceOptions::allow_software(true) or BIRNN_ALLOW_SOFTWARE=1".to_string()),
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

impl GpuDevice {
    /// Opens the best adapter, or the best whose name contains `name`. One that won't open is
    /// passed over.
    pub fn open(options: &DeviceOptions, name: Option<&str>) -> Result<GpuDevice> {
        let mut found = Vec::new();
        let mut failure = None;
        for adapter in ranked() {
            let report = report(&adapter);
            match passed_over(&report, options, name) {
                Some(reason) => found.push(format!("{} ({reason})", report.info)),
                None => {
                    match GpuDevice::request(&adapter, options, choice(report.info, &found, name)) {
                        Ok(device) => return Ok(device),
                        Err(error) => {
                            found.push(error.to_string());
                            failure = Some(error);
                        }
                    }
                }
            }
        }
        let wanted = name.map_or("GPU".to_string(), |name| format!("adapter named {name:?}"));
        Err(failure.unwrap_or(Error::NoAdapter { wanted, found }))
    }

    fn request(
        adapter: &wgpu::Adapter,
        options: &DeviceOptions,
        info: DeviceInfo,
    ) -> Result<GpuDevice> {
        let limits = wanted_limits(&adapter.limits(), options);
        if options.half_weights && !halves(adapter) {
            let reason =
                "half_weights: it can't unpack 16-bit floats; open it without them".to_string();
            return Err(Error::DeviceRequest { adapter: info.name, reason });
        }
        let timestamps =
            options.gpu_time && adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        let subgroup = fixed_subgroup(adapter);
        let limits = match options.plan_for {
            Some(PlanAdapter::DownlevelGpu) => {
                wgpu::Limits::downlevel_defaults().or_worse_values_from(&limits)
            }
            _ => limits,
        };
        let software = match options.plan_for {
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
        let opened = pollster::block_on(adapter.request_device(&descriptor));
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
        Ok(GpuDevice {
            #[cfg(feature = "autotune")]
            autotune: options
                .autotune
                .then(|| Mutex::new(super::autotune::Cache::of(options, &info))),
            info,
            limits: Limits {
                software,
                cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
                subgroup,
                half_weights: options.half_weights,
                budget: options.memory_budget,
                ..Limits::new(&limits, options.max_buffer_bytes)
            },
            uniform_stride: u64::from(limits.min_uniform_buffer_offset_alignment)
                .max(UNIFORM_BYTES as u64),
            timestamps,
            pipelines: Mutex::new(Pipelines::new(&device)),
            device,
            queue,
            lost,
            poller: Mutex::default(),
            abandoned: Mutex::default(),
            last_done: Mutex::default(),
        })
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
    pub(super) fn step_table(&self) -> Result<wgpu::BindGroup> {
        if let Some(table) = &self.pipelines().step_table {
            return Ok(table.clone());
        }
        let stride = self.uniform_stride as usize;
        let create = || Ok(self.pipelines().create_step_table(&self.device, stride));
        let table = self.checked("the numbers of the steps", create)?;
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

    /// The device's loss where it is lost, or else what the driver said.
    pub(super) fn lost_or(&self, message: String) -> Error {
        self.check_lost().err().unwrap_or(Error::Gpu(message))
    }

    /// Notes that work is done. Returns when work was done before.
    pub(super) fn note_done(&self) -> Option<Instant> {
        lock(&self.last_done).replace(Instant::now())
    }

    /// Waits for a submission: for a moment awake, as being woken takes longer than a short call.
    pub(super) fn poll(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        let began = Instant::now();
        while !self.limits.software && began.elapsed() < AWAKE {
            match self.device.poll(wgpu::PollType::Poll) {
                Ok(wgpu::PollStatus::QueueEmpty) => return self.check_lost(),
                Ok(_) => std::hint::spin_loop(),
                Err(_) => break,
            }
        }
        match self.device.poll(wait_for(submission)) {
            Ok(_) => Ok(()),
            // The submission never reached the queue: wgpu takes none once the device is lost.
            Err(wgpu::PollError::WrongSubmissionIndex(..)) => {
                self.check_lost()?;
                Err(Error::DeviceLost { reason: "it takes no more work".into() })
            }
            Err(error) => Err(self.lost_or(error.to_string())),
        }
    }

    /// Has a thread wait for a submission, so that the callbacks of what was mapped are called. It
    /// is kept until the device is dropped.
    pub(super) fn poll_in_background(&self, submission: wgpu::SubmissionIndex) -> Result<()> {
        self.tell_poller(Poll { submission, done: None })
    }

    fn tell_poller(&self, poll: Poll) -> Result<()> {
        let mut poller = lock(&self.poller);
        let poller = match &mut *poller {
            Some(poller) => poller,
            none => none.insert(start_poller(self.device.clone())?),
        };
        let sent = poller.sender.send(poll);
        sent.map_err(|_| Error::Gpu("the thread that waits for the GPU has ended".into()))
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
            match wait {
                Wait::Blocking => self.poll(oldest)?,
                Wait::Async => {
                    let (done, waiting) = oneshot_channel();
                    self.tell_poller(Poll { submission: oldest, done: Some(done) })?;
                    waiting.receive().await;
                    self.check_lost()?;
                }
            }
            let mut abandoned = lock(&self.abandoned);
            if abandoned.done == number {
                abandoned.submissions.pop_front();
                abandoned.done += 1;
            }
        }
    }

    /// Does `work`, and turns what the driver says of it into an error. `what` names what memory
    /// was for.
    pub(super) fn checked<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check_lost()?;
        let filters = [
            wgpu::ErrorFilter::Internal,
            wgpu::ErrorFilter::OutOfMemory,
            wgpu::ErrorFilter::Validation,
        ];
        let scopes = filters.map(|filter| self.device.push_error_scope(filter));
        let result = work();
        let mut caught = None;
        for scope in scopes.into_iter().rev() {
            caught = pollster::block_on(scope.pop()).or(caught);
        }
        self.check_lost()?;
        match caught {
            None => result,
            Some(wgpu::Error::OutOfMemory { .. }) => {
                Err(Error::OutOfMemory { what: what.to_string() })
            }
            Some(error) => Err(Error::Gpu(self.pipelines().located(format!("{what}: {error}")))),
        }
    }
}

/// Ends the polling thread. One that went on could be the last to hold the driver's device, and
/// would destroy it while the process exits.
impl Drop for GpuDevice {
    fn drop(&mut self) {
        let poller = self.poller.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Poller { sender, thread }) = poller.take() {
            drop(sender);
            // A callback that drops the device runs on that thread.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join(); // one that panicked has ended, too
            }
        }
    }
}

fn start_poller(device: wgpu::Device) -> Result<Poller> {
    let (sender, receiver) = mpsc::channel::<Poll>();
    let work = move || {
        while let Ok(Poll { submission, done }) = receiver.recv() {
            // What goes wrong reaches those who wait through the callbacks.
            if let Err(error) = device.poll(wait_for(submission)) {
                tracing::debug!(%error, "waiting for the GPU");
            }
            if let Some(done) = done {
                let _ = done.send(()); // nobody there: given up
            }
        }
    };
    let thread = std::thread::Builder::new().name("birnn-poll".into()).spawn(work);
    let thread = thread
        .map_err(|e| Error::OutOfMemory { what: format!("a thread to wait for the GPU: {e}") })?;
    Ok(Poller { sender, thread })
}

/// Whether kernels can read 16-bit floats.
fn halves(adapter: &wgpu::Adapter) -> bool {
    adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32)
}

/// The size of every subgroup, where they all have the same, and kernels may use them.
fn fixed_subgroup(adapter: &wgpu::Adapter) -> Option<u32> {
    let info = adapter.get_info();
    let fixed = info.subgroup_min_size == info.subgroup_max_size && info.subgroup_min_size >= 4;
    (fixed && adapter.features().contains(wgpu::Features::SUBGROUP))
        .then_some(info.subgroup_min_size)
}

fn wait_for(submission: wgpu::SubmissionIndex) -> wgpu::PollType {
    wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }
}

/// A lock whose holder panicked still guards sound data: every critical section here is a single
/// assignment or insertion.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// WebGPU's default limits or what less the adapter has; and the largest buffers that it has,
/// unless the defaults are wanted.
fn wanted_limits(adapter: &wgpu::Limits, options: &DeviceOptions) -> wgpu::Limits {
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
fn choice(info: DeviceInfo, passed_over: &[String], name: Option<&str>) -> DeviceInfo {
    let mut reason = match name {
        Some(name) => format!("the first adapter whose name contains {name:?}"),
        None => format!("the first {} adapter", info.kind),
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
        let reason = passed_over(&software, &usual, None).expect("passed over");
        assert!(reason.contains("--allow-software"), "{reason}");
        assert_eq!(passed_over(&software, &allowed, None), None);
        assert_eq!(passed_over(&software, &usual, Some("lavapipe")), None);
        assert_eq!(passed_over(&gpu, &usual, None), None);
        assert_eq!(
            passed_over(&gpu, &usual, Some("lavapipe")).as_deref(),
            Some("has another name")
        );
        let broken = AdapterReport { unusable: Some("no compute shaders".into()), ..gpu };
        assert_eq!(passed_over(&broken, &usual, None).as_deref(), Some("no compute shaders"));
    }

    #[test]
    fn default_limits_are_never_exceeded_where_they_are_wanted() {
        let large = wgpu::Limits {
            max_buffer_size: 1 << 40,
            max_compute_invocations_per_workgroup: 1024,
            ..wgpu::Limits::default()
        };
        let default = wanted_limits(&large, &DeviceOptions::default().default_limits(true));
        assert_eq!(default, wgpu::Limits::default());
        let all = wanted_limits(&large, &DeviceOptions::default());
        assert_eq!(
            (all.max_buffer_size, all.max_compute_invocations_per_workgroup),
            (1 << 40, 1024)
        );
        let small = wgpu::Limits::downlevel_defaults();
        assert_eq!(
            wanted_limits(&small, &DeviceOptions::default()).max_storage_buffers_per_shader_stage,
            4
        );
    }

    #[test]
    fn the_choice_says_what_was_passed_over() {
        let info = adapter("NVIDIA H100", DeviceKind::DiscreteGpu).info;
        let reason =
            choice(info.clone(), &["llvmpipe (a software adapter)".to_string()], None).reason;
        assert_eq!(
            reason,
            format!("the first {} adapter; passed over: llvmpipe (a software adapter)", info.kind)
        );
        let named = choice(info, &[], Some("nvidia")).reason;
        assert_eq!(named, "the first adapter whose name contains \"nvidia\"");
    }
}
