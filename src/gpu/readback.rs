//! What a plan's calls bring home, and where it stands in the staging buffers.

use super::plan::EXCHANGE_HEAD;
use super::staging::Staging;
use super::timer::TIMER_BYTES;
use std::ops::Range;

/// A segment of an output.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// Which of the model's outputs.
    pub output: usize,
    pub buffer: wgpu::Buffer,
    pub bytes: u64,
    /// Its timesteps, where the output has more than this segment.
    pub times: Option<Range<usize>>,
    pub features_padded: usize,
}

/// Where something stands in the staging buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct StagingRange {
    pub buffer: usize,
    pub offset: u64,
    pub bytes: u64,
}

/// What a plan's calls read back, and where it stands in the staging buffers.
#[derive(Debug)]
pub(super) struct Readback {
    pub segments: Vec<(Segment, StagingRange)>,
    /// The timestamps of the beginning and the end.
    pub timer: Option<(wgpu::Buffer, StagingRange)>,
    /// The head of the exchange, where workgroups wait for each other.
    pub exchange: Option<(wgpu::Buffer, StagingRange)>,
    /// The bytes of each staging buffer.
    pub sizes: Vec<u64>,
}

impl Readback {
    /// No staging buffer is larger than `limit`, unless one segment is.
    pub fn new(
        segments: Vec<Segment>,
        timer: Option<wgpu::Buffer>,
        exchange: Option<wgpu::Buffer>,
        limit: u64,
    ) -> Readback {
        let mut sizes: Vec<u64> = Vec::new();
        let mut place = |bytes: u64| {
            match sizes.last_mut().filter(|size| **size + bytes <= limit) {
                Some(size) => *size += bytes,
                None => sizes.push(bytes),
            }
            let buffer = sizes.len() - 1;
            StagingRange { buffer, offset: sizes[buffer] - bytes, bytes }
        };
        let segments =
            segments.into_iter().map(|segment| (segment.clone(), place(segment.bytes))).collect();
        let timer = timer.map(|buffer| (buffer, place(TIMER_BYTES)));
        let exchange = exchange.map(|buffer| (buffer, place(EXCHANGE_HEAD)));
        Readback { segments, timer, exchange, sizes }
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(segment, _)| segment.bytes).sum()
    }

    /// Encodes the copies into the staging buffers.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder, staging: &Staging) {
        let segments = self.segments.iter().map(|(segment, place)| (&segment.buffer, place));
        let others = self.timer.iter().chain(&self.exchange);
        for (buffer, place) in segments.chain(others.map(|(buffer, place)| (buffer, place))) {
            encoder.copy_buffer_to_buffer(
                buffer,
                0,
                staging.down(place.buffer),
                place.offset,
                place.bytes,
            );
        }
    }
}
