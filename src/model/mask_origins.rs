//! Tells where a model's masks come from.

use super::masks::MaskSource;
use super::{Model, Tensor};

/// How a mask of a model is made; see [`Model::mask_origins`]. A mask is `[batch, timesteps]`, true
/// where the timestep counts. Other masks are meant by their place in [`MaskOrigins::origins`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaskOrigin {
    /// Given with the call, for the model's input of this name.
    Given(String),
    /// True where this array, `[batch, timesteps]`, is not zero.
    NotZero(Tensor),
    /// True where not all features of an array, `[batch, timesteps, features]`, have this value.
    NotEqual {
        /// The array.
        array: Tensor,
        /// The value that all features of a masked timestep have.
        value: f32,
    },
    /// True where this mask is at any place of its last axis.
    AnyInLastAxis(usize),
    /// True where any of these masks is.
    Any(Vec<usize>),
    /// True where all of these masks are.
    All(Vec<usize>),
    /// One after another along time: of each array its mask, or true everywhere.
    Concatenate(Vec<(Tensor, Option<usize>)>),
}

/// Values are compared by their bits, so that NaN equals itself.
impl PartialEq for MaskOrigin {
    fn eq(&self, other: &MaskOrigin) -> bool {
        use MaskOrigin::{All, Any, AnyInLastAxis, Concatenate, Given, NotEqual, NotZero};
        match (self, other) {
            (Given(a), Given(b)) => a == b,
            (NotZero(a), NotZero(b)) => a == b,
            (NotEqual { array: a, value: v }, NotEqual { array: b, value: w }) => {
                a == b && v.to_bits() == w.to_bits()
            }
            (AnyInLastAxis(a), AnyInLastAxis(b)) => a == b,
            (Any(a), Any(b)) | (All(a), All(b)) => a == b,
            (Concatenate(a), Concatenate(b)) => a == b,
            _ => false,
        }
    }
}

/// Where the masks of a model's layers come from; [`Model::mask_origins`] makes it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MaskOrigins {
    /// The masks, each of which is made from those before it at most.
    pub origins: Vec<MaskOrigin>,
    /// Of each call of a layer, in the order in which they were added to the graph, the masks of
    /// its inputs, by their places in `origins`.
    pub calls: Vec<Vec<Option<usize>>>,
}

impl Model {
    /// Says where the mask of each layer's inputs comes from, in a call that gives masks for those
    /// inputs of the model for whose names `given` returns true.
    ///
    /// ```
    /// use birnn::{Graph, Lstm, MaskOrigin, layer::Masking};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 2)?;
    /// let masked = graph.add(Masking::new().mask_value(-1.0), x)?[0];
    /// let y = graph.add(Lstm::new(3), masked)?;
    /// let masks = graph.build(y)?.mask_origins(|_| false);
    /// assert_eq!(masks.calls, [vec![None], vec![Some(0)]]); // of the Masking, of the LSTM
    /// assert_eq!(masks.origins, [MaskOrigin::NotEqual { array: x, value: -1.0 }]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    pub fn mask_origins(&self, given: impl Fn(&str) -> bool) -> MaskOrigins {
        let masks = self.masks(|input| given(&self.inputs[input].name));
        let origin = |source: &MaskSource| match source {
            MaskSource::Given(input) => MaskOrigin::Given(self.inputs[*input].name.clone()),
            MaskSource::Tensor(array) => MaskOrigin::NotZero(Tensor::at(*array)),
            MaskSource::Values { tensor, value } => {
                MaskOrigin::NotEqual { array: Tensor::at(*tensor), value: f32::from_bits(*value) }
            }
            MaskSource::AnyInLastAxis(mask) => MaskOrigin::AnyInLastAxis(*mask),
            MaskSource::Any(of) => MaskOrigin::Any(of.clone()),
            MaskSource::All(of) => MaskOrigin::All(of.clone()),
            MaskSource::Concatenate(parts) => MaskOrigin::Concatenate(
                parts.iter().map(|&(array, mask)| (Tensor::at(array), mask)).collect(),
            ),
        };
        MaskOrigins { origins: masks.sources.iter().map(origin).collect(), calls: masks.of_node }
    }
}
