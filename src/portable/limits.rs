//! How much a file may ask for.

#[cfg(doc)]
use crate::{Error, Model};

const MIB: u64 = 1 << 20;

/// How much a file in birnn's own form may ask for while it is read: a file from elsewhere can say
/// anything about itself. What is beyond a limit is [`Error::MalformedFile`], which names the
/// limit. [`Model::from_portable`] reads with the defaults.
///
/// ```no_run
/// use birnn::PortableLimits;
/// let model = PortableLimits::new().file_bytes(8 << 30).load("large.safetensors")?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PortableLimits {
    pub(super) file_bytes: u64,
    unpacked_bytes: Option<u64>,
    pub(super) description_bytes: u64,
    pub(super) layers: usize,
    pub(super) calls: usize,
}

impl Default for PortableLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl PortableLimits {
    /// The defaults.
    pub fn new() -> PortableLimits {
        PortableLimits {
            file_bytes: 2 << 30,
            unpacked_bytes: None,
            description_bytes: 16 * MIB,
            layers: 4096,
            calls: 1 << 15,
        }
    }

    /// The largest file (default 2 GiB).
    pub fn file_bytes(mut self, bytes: u64) -> PortableLimits {
        self.file_bytes = bytes;
        self
    }

    /// The most that the weights and constants may take as arrays, those that several layers share
    /// once for each (default 64 MiB and eight times the file's size).
    pub fn unpacked_bytes(mut self, bytes: u64) -> PortableLimits {
        self.unpacked_bytes = Some(bytes);
        self
    }

    /// The largest header of the file, in which the model's description and the places of all
    /// tensors are, in bytes of JSON (default 16 MiB).
    pub fn description_bytes(mut self, bytes: u64) -> PortableLimits {
        self.description_bytes = bytes;
        self
    }

    /// The most layers of a model (default 4,096).
    pub fn layers(mut self, layers: usize) -> PortableLimits {
        self.layers = layers;
        self
    }

    /// The most inputs and calls of layers of a model, or inputs, operations and arrays that
    /// operations return (default 32,768).
    pub fn calls(mut self, calls: usize) -> PortableLimits {
        self.calls = calls;
        self
    }

    /// What a file of this size may unpack to.
    pub(super) fn unpacked(&self, file_bytes: usize) -> u64 {
        let by_size = (file_bytes as u64).saturating_mul(8).saturating_add(64 * MIB);
        self.unpacked_bytes.unwrap_or(by_size)
    }
}
