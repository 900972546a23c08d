//! How much a file may ask for.

#[cfg(doc)]
use crate::{Error, Model};

const MIB: u64 = 1 << 20;

/// How much a file of Keras's may ask for while it is read: a file from elsewhere can say anything
/// about itself, and a small one can unpack to a large one. What is beyond a limit is
/// [`Error::MalformedFile`], which names the limit. [`Model::from_keras`] reads with the defaults.
///
/// ```no_run
/// use birnn::KerasLimits;
/// let limits = KerasLimits::new().unpacked_bytes(8 << 30); // weights that are nearly all zero
/// let model = limits.load("pruned.keras")?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KerasLimits {
    pub(super) file_bytes: u64,
    unpacked_bytes: Option<u64>,
    pub(super) config_bytes: u64,
    pub(super) config_values: usize,
    pub(super) layers: usize,
    pub(super) calls: usize,
}

impl Default for KerasLimits {
    fn default() -> Self {
        Self::new()
    }
}

impl KerasLimits {
    /// The defaults.
    pub fn new() -> KerasLimits {
        KerasLimits {
            file_bytes: 2 << 30,
            unpacked_bytes: None,
            config_bytes: 16 * MIB,
            config_values: 1 << 20,
            layers: 4096,
            calls: 1 << 16,
        }
    }

    /// The largest file (default 2 GiB).
    pub fn file_bytes(mut self, bytes: u64) -> KerasLimits {
        self.file_bytes = bytes;
        self
    }

    /// The most that the weights may take unpacked, in the archive's HDF5 file and again as arrays
    /// (default 64 MiB and eight times the file's size).
    pub fn unpacked_bytes(mut self, bytes: u64) -> KerasLimits {
        self.unpacked_bytes = Some(bytes);
        self
    }

    /// The largest configuration, in bytes of JSON (default 16 MiB).
    pub fn config_bytes(mut self, bytes: u64) -> KerasLimits {
        self.config_bytes = bytes;
        self
    }

    /// The most values (numbers, texts, lists, …) in a configuration, each of which takes up to
    /// some hundred bytes when it is parsed (default 1,048,576; a layer has about a hundred).
    pub fn config_values(mut self, values: usize) -> KerasLimits {
        self.config_values = values;
        self
    }

    /// The most layers of a model, those of the models among them included (default 4,096).
    pub fn layers(mut self, layers: usize) -> KerasLimits {
        self.layers = layers;
        self
    }

    /// The most calls of a model's layers (default 65,536). Those of a model that is a layer count
    /// as often as it is called.
    pub fn calls(mut self, calls: usize) -> KerasLimits {
        self.calls = calls;
        self
    }

    /// What a file of this size may unpack to.
    pub(super) fn unpacked(&self, file_bytes: usize) -> u64 {
        let by_size = (file_bytes as u64).saturating_mul(8).saturating_add(64 * MIB);
        self.unpacked_bytes.unwrap_or(by_size)
    }
}
