//! What a layer says of itself, and what layers have in common: shapes, arguments, weights, masks.
//! No layer is named here.

use super::dims::Dims;
use super::initializer::Initializer;
use super::lowering::Lowering;
use super::role::Role;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::product;
use birnn_cell::Parameter;
use ndarray::{Array1, ArrayD};
use rand_chacha::ChaCha12Rng;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::any::Any;
use std::fmt::Debug;
use std::ops::RangeInclusive;

/// A struct of arguments with Keras's names and defaults, a setter for each that has a default, and
/// what a file has of them. `numbers:` before it: those with a default are numbers that may be NaN
/// or infinite, for which JSON has no word.
macro_rules! arguments {
    (numbers: $($arguments:tt)*) => {
        arguments! {
            @ "crate::layer::definition::write_number", "crate::layer::definition::given_number";
            $($arguments)*
        }
    };
    (@ $write:tt, $given:tt;
     $(#[$doc:meta])* $layer:ident($($(#[$own:meta])* $required:ident: $required_type:ty),*) {
        $($(#[$field:meta])* $name:ident: $type:ty = $default:expr),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $layer {
            $(pub(crate) $required: $required_type,)*
            $(
                #[serde(serialize_with = $write)]
                pub(crate) $name: $type,
            )*
        }

        impl $layer {
            /// A layer with these arguments, and Keras's defaults for those that have one.
            #[allow(clippy::new_without_default)]
            pub fn new($($required: $required_type),*) -> $layer {
                $layer { $($required,)* $($name: $default,)* }
            }

            $($(#[$field])* pub fn $name(mut self, $name: $type) -> $layer {
                self.$name = $name;
                self
            })*
        }

        /// What has a default may be missing.
        impl<'de> serde::Deserialize<'de> for $layer {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<$layer, D::Error> {
                #[derive(serde::Deserialize)]
                #[serde(deny_unknown_fields)]
                #[serde(rename = "the arguments of a layer")]
                struct Arguments {
                    $($required: $required_type,)*
                    $(
                        #[serde(default, deserialize_with = $given)]
                        $name: Option<$type>,
                    )*
                }
                let Arguments { $($required,)* $($name),* } = Arguments::deserialize(from)?;
                let layer = $layer::new($($required),*);
                $(let layer = match $name {
                    Some($name) => layer.$name($name),
                    None => layer,
                };)*
                Ok(layer)
            }
        }
    };
    ($($arguments:tt)*) => {
        arguments! {
            @ "crate::layer::definition::write", "crate::layer::definition::given";
            $($arguments)*
        }
    };
}
pub(super) use arguments;

pub(super) fn write<T: Serialize, S: Serializer>(argument: &T, to: S) -> Result<S::Ok, S::Error> {
    argument.serialize(to)
}

/// An argument that is there, where `null` may be its value.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A number as a file has it: a text where it isn't finite.
pub(super) trait Number: Sized {
    type Written: Serialize + DeserializeOwned;

    fn written(&self) -> Self::Written;
    fn read(written: Self::Written) -> Self;
}

impl Number for f32 {
    type Written = Parameter;

    fn written(&self) -> Parameter {
        Parameter::from(*self)
    }

    fn read(written: Parameter) -> f32 {
        written.into()
    }
}

impl Number for Option<f32> {
    type Written = Option<Parameter>;

    fn written(&self) -> Option<Parameter> {
        self.map(Parameter::from)
    }

    fn read(written: Option<Parameter>) -> Option<f32> {
        written.map(f32::from)
    }
}

pub(super) fn write_number<T: Number, S: Serializer>(
    argument: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    argument.written().serialize(to)
}

/// As [`given`], of a number.
pub(super) fn given_number<'de, T: Number, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::Written::deserialize(from).map(|written| Some(T::read(written)))
}

/// What an argument can't be: its name and the reason.
pub(super) type Wrong = (&'static str, String);

/// A layer's kind: what follows from its arguments.
pub(crate) trait Definition: Debug + Send + Sync {
    /// Keras's name for the class.
    fn class_name(&self) -> &'static str;

    /// How many arrays it is called on.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self) -> Result<(), Wrong> {
        Ok(())
    }

    /// The output's shape, or why the layer can't be called on such inputs.
    fn output(&self, inputs: &[Dims]) -> Result<Dims, String>;

    /// The weights, in the order of Keras's `get_weights()`; asked for only where `output`
    /// succeeded.
    fn weights(&self, _inputs: &[Dims]) -> Vec<WeightSpec> {
        Vec::new()
    }

    /// The constants that its operators read, of its weights (by default these themselves).
    fn constants<'w>(&'w self, weights: &'w [ArrayD<f32>], _inputs: &[Dims]) -> Vec<Constant<'w>> {
        weights.iter().map(|weight| Constant::weight(weight.view())).collect()
    }

    /// Adds the operators that compute it, and returns what they compute; called only where
    /// `output` succeeds.
    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error>;

    /// Whether it can be called on an array of shape `[batch]`, which has no features.
    fn reads_numbers(&self) -> bool {
        false
    }

    /// It, for the room that it is defined in, where that is another one.
    fn as_any(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether another layer of that room computes the same.
    fn equals(&self, _other: &dyn Definition) -> bool {
        false
    }

    /// The final states that it computes, in Keras's order; none of a layer without states.
    fn states(&self) -> &'static [Role] {
        &[]
    }

    /// The shape of one of its states.
    fn state_shape(&self, _inputs: &[Dims], _state: usize) -> Dims {
        Vec::new()
    }

    /// Whether a call starts from the states that the last call ended with.
    fn is_stateful(&self) -> bool {
        false
    }

    /// What it returns, in Keras's order: the output, and of a layer with states perhaps these.
    fn results(&self, inputs: &[Dims]) -> Result<Vec<(Role, Dims)>, String> {
        Ok(vec![(Role::Output, self.output(inputs)?)])
    }

    /// As `lower`, from these states, of which none is zeros. It returns the output, and then the
    /// final states.
    fn lower_from(
        &self,
        call: &mut Lowering,
        _states: &[Option<ArrayId>],
    ) -> Result<Vec<ArrayId>, Error> {
        Ok(vec![self.lower(call)?])
    }

    /// What [`Model::initialize`](crate::Model::initialize) changes in weights that were drawn.
    fn adjust_initial(&self, _weights: &mut [ArrayD<f32>]) {}

    /// Whether it computes each vector along the last axis by itself, whatever axes are before.
    fn goes_vector_by_vector(&self) -> bool {
        false
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Pass
    }

    /// Whether what it computes depends on its inputs' masks; others only hand them on.
    fn computes_with_masks(&self) -> bool {
        false
    }

    /// Whether it can be called on an array of so many axes with a mask of so many (beside the
    /// batch).
    fn reads_mask(&self, _mask_axes: usize, _axes: usize) -> bool {
        true
    }

    fn mask_arguments(&self) -> MaskArguments {
        MaskArguments::OfEachArray
    }

    /// Whether its call in Keras has an argument `mask`, in which a model's graph keeps the mask.
    fn has_mask_argument(&self) -> bool {
        false
    }

    /// Whether it looks at the masks of the arrays themselves when it runs.
    fn looks_at_arrays_masks(&self) -> bool {
        false
    }

    /// Whether the arrays that it was called on have no masks any more for the layers that look at
    /// them later.
    fn takes_masks_away(&self) -> bool {
        false
    }

    /// Whether Keras returns the very array that it was called on.
    fn returns_its_input(&self) -> bool {
        false
    }
}

/// What the masks that a call of a layer is given mean. Of an array without one, the mask that it
/// carries counts, unless this says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MaskArguments {
    OfEachArray,
    /// They are a list, in which none means that there is no mask.
    Listed,
    /// They are arguments of their own, and there is none for the query: its own counts.
    AllButTheQuery,
}

/// What becomes of the masks of a layer's inputs. Source: `compute_mask` of each layer in Keras.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum MaskRule {
    /// The output has the first input's mask.
    Pass,
    /// The output has none.
    Drop,
    /// Those of the inputs joined: see `Masks` in `src/model/masks.rs`.
    Any,
    /// As the arrays, along this axis of Keras's.
    Concatenate(isize),
    /// Made from the values: false where all features have this value.
    Values(f32),
    /// Made from the ids: false where they are zero.
    Ids,
    /// That of the second input; in Keras 2 that of the first where it has one, otherwise the
    /// second's with so many axes.
    OfSecond(usize),
}

/// A weight that a layer has; see [`Model::weight_specs`](crate::Model::weight_specs).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct WeightSpec {
    /// Keras's name for it, such as `kernel`, `recurrent_kernel` or `bias`; in a
    /// [`MultiHeadAttention`](crate::layer::MultiHeadAttention) with the projection before it, such
    /// as `query kernel`.
    pub name: &'static str,
    /// Its shape, such as `[features, units]`.
    pub shape: Vec<usize>,
    pub(crate) initializer: Initializer,
    /// How many of the first axes are those of the inputs, where not all but the last are.
    input_axes: Option<usize>,
}

impl WeightSpec {
    pub(crate) fn new(
        name: &'static str,
        shape: impl Into<Vec<usize>>,
        initializer: Initializer,
    ) -> WeightSpec {
        WeightSpec { name, shape: shape.into(), initializer, input_axes: None }
    }

    /// A weight whose first `axes` axes are those of the inputs, and all others of the outputs.
    pub(crate) fn of_inputs(self, axes: usize) -> WeightSpec {
        WeightSpec { input_axes: Some(axes), ..self }
    }

    /// How many inputs and outputs an initializer takes it to have. Source: `compute_fans` in
    /// Keras's `initializers/random_initializers.py`.
    fn fans(&self) -> (usize, usize) {
        match (self.input_axes, &self.shape[..]) {
            (Some(axes), shape) => {
                let (inputs, outputs) = shape.split_at(axes.min(shape.len()));
                (product(inputs), product(outputs))
            }
            (None, []) => (1, 1),
            (None, &[length]) => (length, length),
            (None, &[ref window @ .., inputs, outputs]) => {
                let window = product(window);
                (window.saturating_mul(inputs), window.saturating_mul(outputs))
            }
        }
    }

    pub(crate) fn sample(&self, rng: &mut ChaCha12Rng) -> ArrayD<f32> {
        let columns = self.shape.last().copied().unwrap_or(1);
        let count: usize = self.shape.iter().product();
        let rows = count / columns.max(1);
        let values = self.initializer.sample_with_fans((rows, columns), self.fans(), rng);
        let flat: Array1<f32> = values.into_iter().collect();
        flat.into_shape_with_order(self.shape.clone())
            .unwrap_or_else(|_| ArrayD::zeros(self.shape.clone()))
    }
}

/// That a size argument can't overflow what is computed from it.
pub(super) fn size(argument: &'static str, value: usize) -> Result<(), Wrong> {
    match value {
        1..0x100_0000 => Ok(()),
        _ => Err((argument, format!("{value} is not from 1 to below 2^24"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `keras.src.initializers.random_initializers.compute_fans`
    #[test]
    fn fans_are_kerass() {
        let fans = |shape: &[usize]| WeightSpec::new("kernel", shape, Initializer::Zeros).fans();
        assert_eq!(fans(&[]), (1, 1));
        assert_eq!(fans(&[7]), (7, 7));
        assert_eq!(fans(&[3, 4]), (3, 4));
        assert_eq!(fans(&[2, 3, 4]), (6, 8));
        assert_eq!(fans(&[2, 5, 3, 4]), (30, 40));
        let projection = WeightSpec::new("query kernel", [5, 2, 3], Initializer::Zeros);
        assert_eq!(projection.of_inputs(1).fans(), (5, 6));
    }
}
