//! How much a file may ask for.

#[cfg(doc)]
use crate::{Error, Model};

const MIB: u64 = 1 << 20;

/// How much a file of PyTorch's may ask for while it is read: a file from elsewhere can say
/// anything about itself. What is beyond a limit is [`Error::MalformedFile`], which names the
/// limit. [`Model::from_torch`] and [`StateDict::open`](super::StateDict::open) read with the
/// defaults.
///
/// ```
/// use birnn::torch::TorchLimits;
/// let limits = TorchLimits::new().file_bytes(100);
/// let error = limits.open("tests/fixtures/torch/tagger.safetensors");
/// assert!(error.unwrap_err().to_string().contains("TorchLimits::file_bytes"));
/// ```
#[derive(Clone, Debug)]
pub struct TorchLimits {
    pub(super) file_bytes: u64,
    unpacked_bytes: Option<u64>,
    pub(super) values: usize,
    pub(super) tensors: usize,
}

impl Default for TorchLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl TorchLimits {
    /// The defaults.
    pub fn new() -> TorchLimits {
        TorchLimits { file_bytes: 2 << 30, unpacked_bytes: None, values: 1 << 22, tensors: 1 << 16 }
    }

    /// The largest file (default 2 GiB).
    pub fn file_bytes(mut self, bytes: u64) -> TorchLimits {
        self.file_bytes = bytes;
        self
    }

    /// The most that the tensors may take, unpacked and each by itself, even where several share
    /// their values (default 64 MiB and eight times the file's size).
    pub fn unpacked_bytes(mut self, bytes: u64) -> TorchLimits {
        self.unpacked_bytes = Some(bytes);
        self
    }

    /// The most values of a pickle: numbers, texts, lists, and what refers to them (default
    /// 4,194,304; a tensor has about 40, a word of a vocabulary beside it three).
    pub fn values(mut self, values: usize) -> TorchLimits {
        self.values = values;
        self
    }

    /// The most tensors (default 65,536).
    pub fn tensors(mut self, tensors: usize) -> TorchLimits {
        self.tensors = tensors;
        self
    }

    /// What a file of this size may unpack to.
    pub(super) fn unpacked(&self, file_bytes: usize) -> u64 {
        let by_size = (file_bytes as u64).saturating_mul(8).saturating_add(64 * MIB);
        self.unpacked_bytes.unwrap_or(by_size)
    }
}
