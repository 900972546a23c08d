//! Buffers that the host and the GPU both reach: a call's inputs go up in one, its outputs come
//! down in others. A session has a ring of such sets, so that the host fills one and reads another
//! while the GPU works on a third.

use super::device::GpuDevice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The sets of a session.
#[derive(Debug, Default)]
pub(super) struct Ring {
    free: Mutex<Vec<Buffers>>,
    in_use: AtomicUsize,
}

#[derive(Debug, Default)]
struct Buffers {
    /// Mapped for writing.
    up: Option<wgpu::Buffer>,
    /// Not mapped.
    down: Vec<wgpu::Buffer>,
}

/// A set in use. Dropping it gives it back to the ring.
#[derive(Debug)]
pub(super) struct Staging {
    ring: Arc<Ring>,
    buffers: Buffers,
    /// What the GPU has to be done with before it can be mapped again.
    up_sent: Option<wgpu::Buffer>,
    /// How many of the buffers that come down were asked to be mapped.
    mapped: usize,
    /// The buffers that had to be made.
    pub created: u64,
}

impl Ring {
    pub fn in_use(&self) -> usize {
        self.in_use.load(Ordering::Acquire)
    }

    fn free(&self) -> MutexGuard<'_, Vec<Buffers>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A set with `up` bytes for the inputs (0: none) and buffers of `down` bytes for the outputs.
    pub fn take(self: &Arc<Ring>, device: &GpuDevice, up: u64, down: &[u64]) -> Staging {
        let fits = |set: &Buffers| {
            let enough = |buffer: Option<&wgpu::Buffer>, bytes: u64| {
                buffer.map_or(0, wgpu::Buffer::size) >= bytes
            };
            enough(set.up.as_ref(), up)
                && down.iter().enumerate().all(|(i, &bytes)| enough(set.down.get(i), bytes))
        };
        let mut free = self.free();
        let buffers = match free.iter().rposition(fits) {
            Some(index) => free.swap_remove(index),
            None => free.pop().unwrap_or_default(),
        };
        drop(free);
        self.in_use.fetch_add(1, Ordering::AcqRel);
        let mut staging =
            Staging { ring: self.clone(), buffers, up_sent: None, mapped: 0, created: 0 };
        staging.grow(device, up, down);
        staging
    }
}

impl Staging {
    fn grow(&mut self, device: &GpuDevice, up: u64, down: &[u64]) {
        let mut create = |label, size, usage, mapped_at_creation| {
            self.created += 1;
            let descriptor =
                wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation };
            device.device.create_buffer(&descriptor)
        };
        let buffers = &mut self.buffers;
        if buffers.up.as_ref().map_or(0, wgpu::Buffer::size) < up {
            let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
            buffers.up = Some(create("birnn inputs", up, usage, true));
        }
        for (index, &size) in down.iter().enumerate() {
            if buffers.down.get(index).map_or(0, wgpu::Buffer::size) < size {
                let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
                let buffer = create("birnn outputs", size, usage, false);
                match buffers.down.get_mut(index) {
                    Some(old) => *old = buffer,
                    None => buffers.down.push(buffer),
                }
            }
        }
    }

    /// The buffer that the inputs are written into.
    pub fn up(&self) -> Option<&wgpu::Buffer> {
        self.buffers.up.as_ref()
    }

    /// The inputs are written: from here on the buffer is the GPU's.
    pub fn send_up(&mut self) {
        self.up_sent = self.buffers.up.take();
        if let Some(buffer) = &self.up_sent {
            buffer.unmap();
        }
    }

    pub fn down(&self, index: usize) -> &wgpu::Buffer {
        &self.buffers.down[index]
    }

    /// Asks for `down` bytes of each buffer to be readable, and the inputs' buffer to be writable
    /// again, as soon as what was submitted is done; `mapped` makes what is called then, once for
    /// each of them.
    pub fn map<F>(&mut self, down: &[u64], mut mapped: impl FnMut() -> F)
    where
        F: FnOnce(Result<(), wgpu::BufferAsyncError>) + Send + 'static,
    {
        self.mapped = down.len();
        for (buffer, &bytes) in self.buffers.down.iter().zip(down) {
            buffer.map_async(wgpu::MapMode::Read, 0..bytes, mapped());
        }
        if let Some(buffer) = &self.up_sent {
            buffer.map_async(wgpu::MapMode::Write, .., mapped());
        }
    }

    /// Everything was mapped: from here on all buffers are the GPU's once more, the inputs with
    /// what was written into them, for a call that runs again.
    pub fn send_again(&mut self) {
        let mapped = self.buffers.down.iter().take(std::mem::take(&mut self.mapped));
        mapped.chain(&self.up_sent).for_each(wgpu::Buffer::unmap);
    }

    /// The buffer that the inputs were sent in.
    pub fn sent(&self) -> Option<&wgpu::Buffer> {
        self.up_sent.as_ref()
    }

    /// Everything was mapped, and is read: the set can serve again with all its buffers.
    pub fn done(mut self) {
        self.buffers.up = self.up_sent.take().or(self.buffers.up.take());
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for buffer in self.buffers.down.iter().take(self.mapped) {
            buffer.unmap();
        }
        // A buffer that the GPU may still read, where nobody waited, isn't kept: it can't be
        // written now.
        self.ring.free().push(std::mem::take(&mut self.buffers));
        self.ring.in_use.fetch_sub(1, Ordering::AcqRel);
    }
}
