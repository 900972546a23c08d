//! With an operating system: a thread can block, and others can be started.

use crate::error::Result;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Blocks the thread until the future is done.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let mut future = pin!(future);
    // What never waits, as the CPU path, needs nothing to wake it.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => pollster::block_on(future),
    }
}

pub(crate) use std::time::Instant;

/// Whether there is a clock.
pub(crate) const HAS_CLOCK: bool = true;

#[cfg(feature = "gpu")]
pub(crate) use gpu::*;

#[cfg(feature = "gpu")]
mod gpu {
    use super::Instant;
    use crate::error::{Error, Result};
    use futures_intrusive::channel::shared::{OneshotSender, oneshot_channel};
    use std::sync::{Mutex, PoisonError, mpsc};
    use std::thread::JoinHandle;
    use std::time::Duration;

    /// How long a thread asks again and again whether the GPU is done, before it sleeps.
    const AWAKE: Duration = Duration::from_micros(200);

    /// What an adapter is called whose driver doesn't say its name.
    pub(crate) const NAMELESS: &str = "adapter without a name";

    /// The adapters of all drivers.
    pub(crate) async fn adapters() -> Vec<wgpu::Adapter> {
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
        wgpu::Instance::new(descriptor).enumerate_adapters(wgpu::Backends::all()).await
    }

    /// How many threads can run at the same time.
    pub(crate) fn cores() -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }

    /// Does each piece of work on a thread of its own, and returns when all are done.
    pub(crate) fn on_threads(work: impl Iterator<Item = impl FnOnce() + Send>) {
        std::thread::scope(|scope| work.for_each(|piece| drop(scope.spawn(piece))));
    }

    /// Blocks the thread until a submission is done and its callbacks were called. With `awake` it
    /// first asks for a moment again and again: being woken takes longer than a short call.
    pub(crate) fn wait_blocking(
        device: &wgpu::Device,
        submission: wgpu::SubmissionIndex,
        awake: bool,
    ) -> Result<(), wgpu::PollError> {
        let began = Instant::now();
        while awake && began.elapsed() < AWAKE {
            match device.poll(wgpu::PollType::Poll) {
                Ok(wgpu::PollStatus::QueueEmpty) => return Ok(()),
                Ok(_) => std::hint::spin_loop(),
                Err(_) => break,
            }
        }
        device.poll(wait_for(submission)).map(|_| ())
    }

    fn wait_for(submission: wgpu::SubmissionIndex) -> wgpu::PollType {
        wgpu::PollType::Wait { submission_index: Some(submission), timeout: None }
    }

    /// Waits for a device's submissions, so that those who await them need not block: a thread that
    /// is started when it is first needed. One is enough: a GPU does in order what was submitted.
    #[derive(Debug, Default)]
    pub(crate) struct Poller {
        thread: Mutex<Option<PollingThread>>,
    }

    #[derive(Debug)]
    struct PollingThread {
        sender: mpsc::Sender<Submission>,
        handle: JoinHandle<()>,
    }

    struct Submission {
        index: wgpu::SubmissionIndex,
        /// Told when it is done.
        done: Option<OneshotSender<()>>,
    }

    impl Poller {
        /// Has the callbacks of a submission called when it is done.
        pub fn watch(&self, device: &wgpu::Device, index: wgpu::SubmissionIndex) -> Result<()> {
            self.send(device, Submission { index, done: None })
        }

        /// Waits until a submission is done.
        pub async fn wait(
            &self,
            device: &wgpu::Device,
            _: &wgpu::Queue,
            index: wgpu::SubmissionIndex,
        ) -> Result<()> {
            let (done, waiting) = oneshot_channel();
            self.send(device, Submission { index, done: Some(done) })?;
            waiting.receive().await;
            Ok(())
        }

        fn send(&self, device: &wgpu::Device, submission: Submission) -> Result<()> {
            let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
            let thread = match &mut *thread {
                Some(thread) => thread,
                none => none.insert(PollingThread::start(device.clone())?),
            };
            let sent = thread.sender.send(submission);
            sent.map_err(|_| Error::Gpu("the thread that waits for the GPU has ended".into()))
        }
    }

    impl PollingThread {
        fn start(device: wgpu::Device) -> Result<PollingThread> {
            let (sender, receiver) = mpsc::channel::<Submission>();
            let work = move || {
                while let Ok(Submission { index, done }) = receiver.recv() {
                    // What goes wrong reaches those who wait through the callbacks.
                    if let Err(error) = device.poll(wait_for(index)) {
                        tracing::debug!(%error, "waiting for the GPU");
                    }
                    if let Some(done) = done {
                        let _ = done.send(()); // nobody there: given up
                    }
                }
            };
            let handle = std::thread::Builder::new().name("birnn-poll".into()).spawn(work);
            let handle = handle.map_err(|e| Error::OutOfMemory {
                what: format!("a thread to wait for the GPU: {e}"),
            })?;
            Ok(PollingThread { sender, handle })
        }
    }

    /// Ends the thread. One that went on could be the last to hold the driver's device, and would
    /// destroy it while the process exits.
    impl Drop for Poller {
        fn drop(&mut self) {
            let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(PollingThread { sender, handle }) = thread.take() {
                drop(sender);
                // A callback that drops the device runs on that thread.
                if handle.thread().id() != std::thread::current().id() {
                    let _ = handle.join(); // one that panicked has ended, too
                }
            }
        }
    }
}
