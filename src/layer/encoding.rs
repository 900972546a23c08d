//! Numbers of categories as arrays of zeros and ones, and values as numbers of categories.

use super::definition::{Definition, MaskRule, Wrong, arguments, size};
use super::dims::{Dims, describe};
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Constant};
use crate::operator::{Binary, BinaryFunction, Reduce, ReduceFunction, Unary, UnaryFunction};
use ndarray::{Array1, ArrayD};
use serde::{Deserialize, Serialize};

/// What a [`CategoryEncoding`] makes of numbers; Keras's `output_mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EncodingMode {
    /// Of each number by itself which category it is.
    OneHot,
    /// Of all numbers of a row together which categories are among them. This is the default.
    #[default]
    MultiHot,
    /// Of all numbers of a row together how often each category is among them.
    Count,
}

impl EncodingMode {
    /// The mode that Keras calls by this name, or `None` where there is none.
    pub fn from_keras_name(name: &str) -> Option<EncodingMode> {
        match name {
            "one_hot" => Some(EncodingMode::OneHot),
            "multi_hot" | "binary" => Some(EncodingMode::MultiHot),
            "count" => Some(EncodingMode::Count),
            _ => None,
        }
    }
}

arguments! {
    /// Keras's `CategoryEncoding`: numbers of categories, from 0 on, as arrays of zeros and ones.
    /// It reads `[batch, numbers]` and returns `[batch, num_tokens]`. With
    /// [`EncodingMode::OneHot`] it reads an array of any shape and returns that shape with a
    /// further axis of `num_tokens`, in place of a last axis of length one.
    ///
    /// A number that is none from 0 to `num_tokens - 1` is no category; fractions are cut off. It
    /// doesn't hand a mask on.
    ///
    /// ```
    /// use birnn::layer::{CategoryEncoding, EncodingMode};
    /// use birnn::{Gru, Layer, Model};
    /// let letters = CategoryEncoding::new(26).output_mode(EncodingMode::OneHot);
    /// let layers: [Layer; 2] = [letters.into(), Gru::new(8).into()];
    /// let model = Model::sequential_on(&[Some(12)], layers)?; // words of 12 letters
    /// # Ok::<(), birnn::Error>(())
    /// ```
    CategoryEncoding(
        /// How many categories there are.
        num_tokens: usize
    ) {
        /// What is made of the numbers (default: [`EncodingMode::MultiHot`]).
        output_mode: EncodingMode = EncodingMode::MultiHot,
    }
}

impl Definition for CategoryEncoding {
    fn class_name(&self) -> &'static str {
        "CategoryEncoding"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("num_tokens", self.num_tokens)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        match (self.output_mode, &output[..]) {
            (EncodingMode::OneHot, [.., Some(1)]) => {
                output.pop();
            }
            (EncodingMode::OneHot, [.., None]) if output.len() == 1 => {
                return Err("the number of its numbers has to be fixed".to_string());
            }
            (EncodingMode::OneHot, _) => {}
            (_, [_]) => output.clear(),
            _ => {
                return Err(format!(
                    "it reads [batch, numbers], and its input is {}",
                    describe(&inputs[0])
                ));
            }
        }
        output.push(Some(self.num_tokens));
        Ok(output)
    }

    /// The numbers of the categories.
    fn constants<'w>(&self, _: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let numbers = Array1::from_iter((0..self.num_tokens).map(|number| number as f64));
        vec![Constant::Derived(numbers.into_dyn())]
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let mut shape = call.shape(call.input(0));
        let is_one = self.output_mode == EncodingMode::OneHot && shape.last() == Some(&1);
        if !is_one {
            shape.push(1);
        }
        let whole = Unary { function: UnaryFunction::Truncate };
        let numbers = call.apply(whole, call.input(0))?;
        let numbers = call.reshaped(numbers, shape)?;
        let categories = call.constant(0, [self.num_tokens]);
        let equal = Binary { function: BinaryFunction::Equal };
        let each = call.add(equal, [Some(numbers), Some(categories)])?;
        let function = match self.output_mode {
            EncodingMode::OneHot => return Ok(each),
            EncodingMode::MultiHot => ReduceFunction::Maximum,
            EncodingMode::Count => ReduceFunction::Sum,
        };
        call.apply(Reduce { axes: vec![1], function, keep_axes: false }, each)
    }
}

arguments! {
    /// Keras's `Discretization` with `output_mode="int"`: of each value the number of its bin,
    /// which is how many of the boundaries are at most as large. It reads an array of any shape and
    /// returns the same shape. It doesn't hand a mask on.
    ///
    /// ```
    /// use birnn::{Device, Model, layer::Discretization};
    /// let layer = Discretization::new(vec![0.0, 1.0]);
    /// let model = Model::sequential_on(&[Some(3)], [layer])?;
    /// let x = ndarray::arr2(&[[-0.5f32, 0.0, 3.0]]).into_dyn();
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output(), &ndarray::arr2(&[[0.0f32, 1.0, 2.0]]).into_dyn());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Discretization(
        /// The values that part the bins, in ascending order.
        bin_boundaries: Vec<f32>
    ) {}
}

impl Definition for Discretization {
    fn class_name(&self) -> &'static str {
        "Discretization"
    }

    fn check(&self) -> Result<(), Wrong> {
        let finite = self.bin_boundaries.iter().all(|boundary| boundary.is_finite());
        match finite && !self.bin_boundaries.is_empty() && self.bin_boundaries.is_sorted() {
            true => Ok(()),
            false => {
                let reason = "has to be one finite number or more, in ascending order";
                Err(("bin_boundaries", reason.to_string()))
            }
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }

    fn constants<'w>(&self, _: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        let boundaries = Array1::from_iter(self.bin_boundaries.iter().copied().map(f64::from));
        vec![Constant::Derived(boundaries.into_dyn())]
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Drop
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let shape = call.shape(x);
        let axis = shape.len();
        let values = call.reshaped(x, [&shape[..], &[1]].concat())?;
        let boundaries = call.constant(0, [self.bin_boundaries.len()]);
        let at_most = Binary { function: BinaryFunction::LessOrEqual };
        let each = call.add(at_most, [Some(boundaries), Some(values)])?;
        let function = ReduceFunction::Sum;
        call.apply(Reduce { axes: vec![axis], function, keep_axes: false }, each)
    }
}
