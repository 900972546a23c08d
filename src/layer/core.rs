//! Dense, Embedding, Masking, Rescaling, and the layers that are an activation or nothing at
//! inference.

use super::definition::{Definition, MaskRule, WeightSpec, Wrong, arguments, size};
use super::dims::{Dims, axis_of, features};
use super::initializer::Initializer;
use super::lowering::Lowering;
use crate::error::Error;
use crate::graph::{ArrayId, Bounds, Constant};
use crate::operator::{
    self, Activate, Affine, Blank, Gather, MatMul, Normalization, Normalize, Relu,
};
use birnn_cell::Activation;
use ndarray::{ArrayD, arr0};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::ops::RangeInclusive;

arguments! {
    /// Keras's `Dense`: `activation(x·kernel + bias)` over the last axis. It reads an array of any
    /// rank, `[batch, …, features]`, and returns `[batch, …, units]`. Its weights are `kernel`,
    /// `[features, units]`, and `bias`, `[units]`.
    ///
    /// ```
    /// use birnn::{Activation, Dense, Gru, Layer, Model};
    /// let classes = Dense::new(3).activation(Activation::Softmax);
    /// let layers: [Layer; 2] = [Gru::new(8).into(), classes.into()];
    /// let model = Model::sequential(2, layers)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Dense(units: usize) {
        /// The activation of the sums (default: linear). Softmax and its kin go over the units, and
        /// glu halves their number.
        activation: Activation = Activation::Linear,
        /// Whether it has a bias (default: true).
        use_bias: bool = true,
    }
}

impl Definition for Dense {
    fn class_name(&self) -> &'static str {
        "Dense"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("units", self.units)?;
        self.activation
            .output_features(Some(self.units))
            .map(|_| ())
            .map_err(|reason| ("activation", reason))
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        features(&inputs[0])?;
        let mut output = inputs[0].clone();
        output.pop();
        output.push(self.activation.output_features(Some(self.units))?);
        Ok(output)
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let rows = features(&inputs[0]).unwrap_or(0);
        let mut weights =
            vec![WeightSpec::new("kernel", [rows, self.units], Initializer::GlorotUniform)];
        weights.extend(
            self.use_bias.then(|| WeightSpec::new("bias", [self.units], Initializer::Zeros)),
        );
        weights
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let kernel = call.constant(0, [call.features(x), self.units]);
        let bias = self.use_bias.then(|| call.constant(1, [self.units]));
        call.add(MatMul { activation: self.activation }, [Some(x), Some(kernel), bias])
    }

    fn goes_vector_by_vector(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `Embedding`: for each id the row of its weight `embeddings`,
    /// `[input_dim, output_dim]`. It reads `[batch, timesteps]` and returns
    /// `[batch, timesteps, output_dim]`.
    ///
    /// Ids are whole numbers from 0 to `input_dim - 1`, given as floats like all inputs. Other
    /// values in an input of the model, also behind layers that only reshape it, are an
    /// [`Error::IdRange`](crate::Error::IdRange); those that another layer computed are cut to
    /// whole numbers and limited to this range.
    ///
    /// ```
    /// use birnn::{Device, Embedding, Graph, Gru};
    /// let mut graph = Graph::new();
    /// let ids = graph.input("ids", &[None])?; // [batch, timesteps]
    /// let embedded = graph.add(Embedding::new(10, 4).mask_zero(true), ids)?[0];
    /// let outputs = graph.add(Gru::new(3), embedded)?;
    /// let model = graph.build(outputs)?.initialize(1)?;
    /// let ids = ndarray::arr2(&[[3.0f32, 7.0, 0.0], [1.0, 2.0, 9.0]]).into_dyn();
    /// let outputs = Device::cpu().compile(&model)?.run(ids.view())?;
    /// assert_eq!(outputs.output().shape(), [2, 3]);
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Embedding(
        /// How many ids there are.
        input_dim: usize,
        output_dim: usize
    ) {
        /// Whether the id 0 is padding, at which the output is masked (default: false).
        mask_zero: bool = false,
    }
}

impl Definition for Embedding {
    fn class_name(&self) -> &'static str {
        "Embedding"
    }

    fn check(&self) -> Result<(), Wrong> {
        size("input_dim", self.input_dim)?; // and so every id is exact in f32
        size("output_dim", self.output_dim)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        output.push(Some(self.output_dim));
        Ok(output)
    }

    fn weights(&self, _: &[Dims]) -> Vec<WeightSpec> {
        let initializer = Initializer::RandomUniform { min: -0.05, max: 0.05 };
        vec![WeightSpec::new("embeddings", [self.input_dim, self.output_dim], initializer)]
    }

    fn masking(&self) -> MaskRule {
        if self.mask_zero { MaskRule::Ids } else { MaskRule::Drop }
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (table, ids) = (call.constant(0, [self.input_dim, self.output_dim]), call.input(0));
        call.demand(ids, Bounds::Ids(self.input_dim))?;
        call.add(Gather { axis: 0, from_end: false }, [Some(table), Some(ids)])
    }
}

arguments! { numbers:
    /// Keras's `Masking`: masks the timesteps whose features all equal `mask_value`, and sets their
    /// features to zero. It reads `[batch, timesteps, features]` and returns the same shape; the
    /// mask goes along with the output to the layers after it.
    ///
    /// ```
    /// use birnn::{Gru, Layer, Masking, Model};
    /// let layers: [Layer; 2] = [Masking::new().mask_value(-1.0).into(), Gru::new(4).into()];
    /// let model = Model::sequential(2, layers)?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Masking() {
        /// The value that marks padding (default: 0).
        mask_value: f32 = 0.0,
    }
}

impl Definition for Masking {
    fn class_name(&self) -> &'static str {
        "Masking"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        match inputs[0].len() {
            0 | 1 => Err("it reads [batch, timesteps, features]".to_string()),
            _ => Ok(inputs[0].clone()),
        }
    }

    fn masking(&self) -> MaskRule {
        MaskRule::Values(self.mask_value)
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        call.apply(Blank { value: self.mask_value }, call.input(0))
    }
}

/// An [`Activation`] as a layer of its own: Keras's `Activation`, `LeakyReLU` and `ELU`. It reads
/// an array of any shape and returns the same shape, but for glu, which halves the last axis.
///
/// An [`Activation`] converts to a [`Layer`](super::Layer) by `into()`.
///
/// ```
/// use birnn::{Activation, Dense, Layer, Model};
/// let layers: [Layer; 2] = [Dense::new(8).into(), Activation::Relu.into()];
/// let model = Model::sequential(2, layers)?;
/// # Ok::<(), birnn::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    pub(crate) activation: Activation,
}

impl Definition for ActivationLayer {
    fn class_name(&self) -> &'static str {
        "Activation"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        let mut output = inputs[0].clone();
        if let Some(last) = output.last_mut() {
            *last = self.activation.output_features(*last)?;
        }
        Ok(output)
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        match self.activation {
            Activation::Linear => Ok(call.input(0)),
            activation => call.apply(Activate { activation }, call.input(0)),
        }
    }

    fn returns_its_input(&self) -> bool {
        self.activation == Activation::Linear
    }

    fn reads_numbers(&self) -> bool {
        self.activation.is_elementwise()
    }
}

arguments! { numbers:
    /// Keras's `ReLU` layer: `min(x, max_value)` above `threshold`, and
    /// `negative_slope · (x - threshold)` elsewhere. It reads an array of any shape and returns the
    /// same shape. No argument can be below zero.
    ReluLayer() {
        /// The largest output (default: `None`, no limit).
        max_value: Option<f32> = None,
        /// The slope at and below the threshold (default: 0).
        negative_slope: f32 = 0.0,
        /// The value above which `x` is returned (default: 0).
        threshold: f32 = 0.0,
    }
}

impl Definition for ReluLayer {
    fn class_name(&self) -> &'static str {
        "ReLU"
    }

    fn check(&self) -> Result<(), Wrong> {
        let arguments = [
            ("max_value", self.max_value.unwrap_or(0.0)),
            ("negative_slope", self.negative_slope),
            ("threshold", self.threshold),
        ];
        match arguments.into_iter().find(|(_, value)| *value < 0.0) {
            Some((argument, value)) => Err((argument, format!("{value} is below zero"))),
            None => Ok(()),
        }
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let &ReluLayer { max_value, negative_slope, threshold } = self;
        call.apply(Relu { max_value, negative_slope, threshold }, call.input(0))
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `PReLU`: `x` above zero, `alpha · x` below. It reads an array of any shape and
    /// returns the same shape. The weight `alpha` has the shape of the input without the batch, but
    /// length one along `shared_axes`.
    PRelu() {
        /// The axes along which `alpha` is the same (default: none), counted from 1 for the first
        /// axis after the batch. Axes without a fixed length, such as any number of timesteps, have
        /// to be among them.
        shared_axes: Vec<usize> = Vec::new(),
    }
}

impl Definition for PRelu {
    fn class_name(&self) -> &'static str {
        "PReLU"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        if let Some(axis) =
            self.shared_axes.iter().find(|axis| !(1..=inputs[0].len()).contains(axis))
        {
            return Err(format!("its shared axis {axis} isn't one from 1 to {}", inputs[0].len()));
        }
        for (index, axis) in inputs[0].iter().enumerate() {
            if axis.is_none() && !self.shared_axes.contains(&(index + 1)) {
                return Err(
                    "an axis without a fixed length has to be one of its shared_axes".to_string()
                );
            }
        }
        Ok(inputs[0].clone())
    }

    fn weights(&self, inputs: &[Dims]) -> Vec<WeightSpec> {
        let axes = inputs[0].iter().enumerate();
        let length = |(index, axis): (usize, &Option<usize>)| match self
            .shared_axes
            .contains(&(index + 1))
        {
            true => 1,
            false => axis.unwrap_or(1),
        };
        vec![WeightSpec::new("alpha", axes.map(length).collect::<Vec<_>>(), Initializer::Zeros)]
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let x = call.input(0);
        let mut slope = call.shape(x)[1..].to_vec();
        self.shared_axes.iter().for_each(|&axis| slope[axis - 1] = 1);
        let slope = call.constant(0, slope);
        call.add(operator::PRelu, [Some(x), Some(slope)])
    }
}

arguments! {
    /// Keras's `Softmax` layer: `exp(x) / Σ exp(x)` along an axis. It reads an array of any shape
    /// and returns the same shape. It can't be called on an array that carries a mask.
    SoftmaxLayer() {
        /// The axis along which the output sums to one (default: -1, the last).
        axis: isize = -1,
    }
}

impl Definition for SoftmaxLayer {
    fn class_name(&self) -> &'static str {
        "Softmax"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        axis_of(self.axis, inputs[0].len())?;
        Ok(inputs[0].clone())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let axes = vec![call.axis(self.axis)?];
        let normalization = Normalization::Softmax;
        call.apply(Normalize { axes, normalization }, call.input(0))
    }

    fn reads_mask(&self, _: usize, _: usize) -> bool {
        false
    }

    fn has_mask_argument(&self) -> bool {
        true
    }
}

arguments! {
    /// Keras's `Rescaling`: `x · scale + offset`. It reads an array of any shape and returns the
    /// same shape.
    ///
    /// ```
    /// use birnn::{Device, Graph, layer::Rescaling};
    /// let mut graph = Graph::new();
    /// let pixels = graph.input("pixels", &[Some(3)])?;
    /// let outputs = graph.add(Rescaling::new(1.0 / 127.5).offset(-1.0), pixels)?;
    /// let model = graph.build(outputs)?;
    /// let x = ndarray::arr2(&[[0.0f32, 127.5, 255.0]]).into_dyn();
    /// let outputs = Device::cpu().compile(&model)?.run(x.view())?;
    /// assert_eq!(outputs.output(), &ndarray::arr2(&[[-1.0f32, 0.0, 1.0]]).into_dyn());
    /// # Ok::<(), birnn::Error>(())
    /// ```
    Rescaling(
        /// What values are multiplied by.
        scale: f64
    ) {
        /// What is added then (default: 0).
        offset: f64 = 0.0,
    }
}

impl Definition for Rescaling {
    fn class_name(&self) -> &'static str {
        "Rescaling"
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }

    fn constants<'w>(&self, _: &'w [ArrayD<f32>], _: &[Dims]) -> Vec<Constant<'w>> {
        [self.scale, self.offset].map(|number| Constant::Derived(arr0(number).into_dyn())).into()
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        let (scale, offset) = (call.constant(0, []), call.constant(1, []));
        call.add(Affine, [Some(call.input(0)), Some(scale), Some(offset)])
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}

/// A layer that returns its input as it is: Keras's `Identity`, and the layers that do something in
/// training only, such as `Dropout`, `GaussianNoise`, `ActivityRegularization` and `RandomFlip`;
/// all are in [`Identity::CLASSES`]. It reads an array of any shape.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Identity {
    pub(crate) class_name: &'static str,
}

impl Identity {
    /// The classes of Keras that it stands for. An `InputLayer` is that of a model that is called
    /// as a layer of another.
    pub const CLASSES: [&'static str; 31] = [
        "InputLayer",
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "SpatialDropout3D",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "ActivityRegularization",
        "Identity",
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomShear",
        "RandomPerspective",
        "RandomElasticTransform",
        "RandomContrast",
        "RandomBrightness",
        "RandomHue",
        "RandomSaturation",
        "RandomSharpness",
        "RandomPosterization",
        "RandomColorJitter",
        "RandomColorDegeneration",
        "RandomGrayscale",
        "RandomInvert",
        "RandomGaussianBlur",
        "RandomErasing",
        "RandAugment",
        "AugMix",
    ];

    /// The layer that stands for the class of this name; `None` where it is none of
    /// [`Identity::CLASSES`].
    ///
    /// ```
    /// use birnn::layer::Identity;
    /// assert!(Identity::of_class("GaussianNoise").is_some());
    /// assert!(Identity::of_class("Dense").is_none());
    /// ```
    pub fn of_class(class_name: &str) -> Option<Identity> {
        let class_name = Identity::CLASSES.into_iter().find(|known| *known == class_name)?;
        Some(Identity { class_name })
    }

    /// Keras's `Dropout`, which drops values in training only.
    pub fn dropout() -> Identity {
        Identity { class_name: "Dropout" }
    }
}

arguments! {
    /// Returns its first input, with the mask of its second: what Keras does behind a model that
    /// `TimeDistributed` calls, whose own masks stay in it.
    ///
    /// With [`MaskRules::Keras2`](crate::MaskRules::Keras2) the first input keeps its mask where it
    /// has one; otherwise the second's counts, at no more axes than `axes`: at a place where it
    /// does anywhere along the others.
    ///
    /// ```
    /// use birnn::layer::{Dense, Masking, WithMaskOf};
    /// use birnn::{Graph, Lstm};
    /// let mut graph = Graph::new();
    /// let x = graph.sequence_input("x", None, 4)?;
    /// let masked = graph.add(Masking::new(), x)?[0];
    /// let y = graph.add(Dense::new(3), x)?[0];
    /// let y = graph.add(WithMaskOf::new(1), [y, masked])?[0];
    /// let model = graph.add(Lstm::new(2), y).and_then(|states| graph.build(states))?;
    /// # Ok::<(), birnn::Error>(())
    /// ```
    WithMaskOf(
        /// The axes of a mask in Keras 2, without the batch.
        axes: usize
    ) {}
}

impl Definition for WithMaskOf {
    fn class_name(&self) -> &'static str {
        "WithMaskOf"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn check(&self) -> Result<(), Wrong> {
        size("axes", self.axes)
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        Ok(call.input(0))
    }

    fn masking(&self) -> MaskRule {
        MaskRule::OfSecond(self.axes)
    }

    fn has_mask_argument(&self) -> bool {
        true
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}

/// As [`Identity::of_class`].
impl<'de> Deserialize<'de> for Identity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Identity, D::Error> {
        let name = String::deserialize(from)?;
        let unknown = || D::Error::custom(format!("no class {name:?} does nothing at inference"));
        Identity::of_class(&name).ok_or_else(unknown)
    }
}

impl Definition for Identity {
    fn class_name(&self) -> &'static str {
        self.class_name
    }

    fn output(&self, inputs: &[Dims]) -> Result<Dims, String> {
        Ok(inputs[0].clone())
    }

    fn lower(&self, call: &mut Lowering) -> Result<ArrayId, Error> {
        Ok(call.input(0))
    }

    fn returns_its_input(&self) -> bool {
        true
    }

    /// The call of a model does.
    fn has_mask_argument(&self) -> bool {
        self.class_name == "InputLayer"
    }

    /// Layers that change images hand no mask on.
    fn masking(&self) -> MaskRule {
        let changes_images = self.class_name.starts_with("Rand") || self.class_name == "AugMix";
        if changes_images { MaskRule::Drop } else { MaskRule::Pass }
    }

    fn reads_numbers(&self) -> bool {
        true
    }
}
