//! Recurrences and the layers of the model that have their weights.

/// Where a recurrence's weights are.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfLayer {
    /// The number of the layer in the model.
    pub layer: usize,
    /// The features that it reads.
    pub features: usize,
    /// Whether something reads its output, and not only its final states.
    pub has_reader: bool,
}
