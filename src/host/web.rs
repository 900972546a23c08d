//! In a web page: the page's event loop calls back what is awaited, nothing can block, and there is
//! one thread.

use crate::error::{Error, Result};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The result of a future that never waits, as the CPU path's. An error for one that does.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(Error::Gpu(
            "a web page can't block until the GPU is done: use open_async, compile_async and \
             run_async, or await what submit returned"
                .into(),
        )),
    }
}

/// That of the standard library, which a page doesn't have.
#[cfg(not(feature = "gpu"))]
pub(crate) use std::time::Instant;
#[cfg(feature = "gpu")]
pub(crate) use web_time::Instant;

/// Whether there is a clock: what asks the page for its own comes with the feature `gpu`.
pub(crate) const HAS_CLOCK: bool = cfg!(any(feature = "gpu", target_os = "wasi"));

#[cfg(feature = "gpu")]
pub(crate) use gpu::*;

#[cfg(feature = "gpu")]
mod gpu {
    use crate::error::Result;
    use futures_intrusive::channel::shared::oneshot_channel;

    /// What an adapter is called whose name browsers keep to themselves.
    pub(crate) const NAMELESS: &str = "WebGPU adapter";

    /// The adapter that the page is given, where it is given one.
    pub(crate) async fn adapters() -> Vec<wgpu::Adapter> {
        // Where there is no page and no Worker, such as in Node.js, wgpu itself would panic.
        if !wgpu::util::is_browser_webgpu_supported().await {
            return Vec::new();
        }
        let descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = wgpu::Instance::new(descriptor).request_adapter(&options).await;
        adapter.into_iter().collect()
    }

    /// How many threads can run at the same time.
    pub(crate) fn cores() -> usize {
        1
    }

    /// Does each piece of work, one after the other.
    pub(crate) fn on_threads(work: impl Iterator<Item = impl FnOnce() + Send>) {
        work.for_each(|piece| piece());
    }

    /// Nothing: a page that waits here would wait forever. What it then awaits isn't there, which
    /// [`block_on`](super::block_on) says.
    pub(crate) fn wait_blocking(
        _: &wgpu::Device,
        _: wgpu::SubmissionIndex,
        _awake: bool,
    ) -> Result<(), wgpu::PollError> {
        Ok(())
    }

    /// Waits for a device's submissions.
    #[derive(Debug, Default)]
    pub(crate) struct Poller {}

    impl Poller {
        /// Nothing: the page calls the callbacks of a submission by itself.
        pub fn watch(&self, _: &wgpu::Device, _: wgpu::SubmissionIndex) -> Result<()> {
            Ok(())
        }

        /// Waits until everything that was submitted is done.
        pub async fn wait(
            &self,
            _: &wgpu::Device,
            queue: &wgpu::Queue,
            _: wgpu::SubmissionIndex,
        ) -> Result<()> {
            let (done, waiting) = oneshot_channel();
            queue.on_submitted_work_done(move || {
                let _ = done.send(()); // nobody there: given up
            });
            waiting.receive().await;
            Ok(())
        }
    }
}
