use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::fmt;

/// An activation function: the `activation` or `recurrent_activation` of a layer, or a layer of its
/// own.
///
/// The formulas are those of `keras.activations`, with x for the value that the function is applied
/// to; [`activate`](crate::activate()) computes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Activation {
    /// `x`
    Linear,
    /// `tanh(x)`: a recurrent layer's default `activation`.
    Tanh,
    /// `1 / (1 + exp(-x))`: a recurrent layer's default `recurrent_activation`.
    Sigmoid,
    /// `max(x, 0)`
    Relu,
    /// `clip(x / 6 + 0.5, 0, 1)`: Keras 3's definition.
    HardSigmoid,
    /// `clip(0.2 x + 0.5, 0, 1)`: Keras 2's definition, which files saved by Keras 2 mean by
    /// `hard_sigmoid`.
    HardSigmoidKeras2,
    /// `x / (1 + |x|)`
    Softsign,
    /// `ln(1 + exp(x))`
    Softplus,
    /// `x` above zero, `alpha (exp(x) - 1)` below, with alpha as parameter. Keras's default is 1:
    /// [`Activation::ELU`].
    Elu(Parameter),
    /// The scaled ELU of Klambauer et al. 2017: `1.0507 x` above zero, `1.7581 (exp(x) - 1)` below.
    Selu,
    /// `exp(x)`
    Exponential,
    /// `x · sigmoid(x)`, also called swish.
    Silu,
    /// `x · clip(x / 6 + 0.5, 0, 1)`, also called hard swish.
    HardSilu,
    /// `clip(x, 0, 6)`
    Relu6,
    /// `x` above zero, `negative_slope · x` below, with the slope as parameter. Keras's function
    /// `leaky_relu` has 0.2, which is [`Activation::LEAKY_RELU`]; Keras's layer `LeakyReLU` has
    /// 0.3.
    LeakyRelu(Parameter),
    /// `clip(x, -1, 1)`
    HardTanh,
    /// `x` where `|x| > 0.5`, otherwise 0.
    HardShrink,
    /// `x - 0.5` above 0.5, `x + 0.5` below -0.5, otherwise 0.
    SoftShrink,
    /// `-ln(1 + exp(-x))`
    LogSigmoid,
    /// `x · tanh(softplus(x))`
    Mish,
    /// `(x + √(x² + 4)) / 2`
    Squareplus,
    /// 0 below -1, `x` above 1, `(x + 1)² / 4` between.
    SparsePlus,
    /// `clip((x + 1) / 2, 0, 1)`
    SparseSigmoid,
    /// `x - tanh(x)`
    TanhShrink,
    /// `x (1 + erf(x / √2)) / 2`: Keras's `gelu`.
    Gelu,
    /// `x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2`: Keras's `gelu(approximate=True)`.
    GeluApproximate,
    /// `alpha · x + beta`, with alpha and beta as parameters: ONNX's `Affine`.
    Affine(Parameter, Parameter),
    /// `clip(alpha · x + beta, 0, 1)`, with alpha and beta as parameters: ONNX's `HardSigmoid`, of
    /// which Keras's are two.
    ClippedAffine(Parameter, Parameter),
    /// `alpha · tanh(beta · x)`, with alpha and beta as parameters: ONNX's `ScaledTanh`.
    ScaledTanh(Parameter, Parameter),
    /// `x` above alpha, otherwise 0, with alpha as parameter: ONNX's `ThresholdedRelu`.
    ThresholdedRelu(Parameter),
    /// `exp(x) / Σ exp(x)` over the last axis. Recurrent layers can't have it.
    Softmax,
    /// `x - ln Σ exp(x)` over the last axis. Recurrent layers can't have it.
    LogSoftmax,
    /// `max(x - τ, 0)` over the last axis. Recurrent layers can't have it.
    ///
    /// The threshold τ is Keras's. With c₁, c₂, … the cumulative sums of the values in descending
    /// order, and k the number of values that are kept, Keras has τ = (c₁ + … + c_k - 1) / k. In
    /// Martins & Astudillo 2016 it is τ = (c_k - 1) / k, with which the results sum to one.
    Sparsemax,
    /// `a · sigmoid(b)`, where a is the first half of the last axis and b the second half, so that
    /// the output has half as many features. Recurrent layers can't have it.
    Glu,
}

/// A parameter of an [`Activation`], made from an `f32` by `into()` and back by `f32::from`.
/// Two parameters are equal where their bits are.
///
/// ```
/// # use birnn_cell::{Activation, Parameter};
/// assert_eq!(Activation::LeakyRelu(0.1.into()), Activation::LeakyRelu(Parameter::from(0.1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parameter(u32);

impl Parameter {
    const fn new(value: f32) -> Parameter {
        Parameter(value.to_bits())
    }
}

impl From<f32> for Parameter {
    fn from(value: f32) -> Parameter {
        Parameter::new(value)
    }
}

impl From<Parameter> for f32 {
    fn from(parameter: Parameter) -> f32 {
        f32::from_bits(parameter.0)
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f32::from(*self))
    }
}

/// In files a number, or where it isn't finite a text: `inf`, `-inf`, `NaN`.
impl Serialize for Parameter {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match f32::from(*self) {
            value if value.is_finite() => to.serialize_f32(value),
            value => to.collect_str(&value),
        }
    }
}

impl<'de> Deserialize<'de> for Parameter {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Parameter, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a number")]
        enum Written {
            Number(f32),
            Text(String),
        }
        match Written::deserialize(from)? {
            Written::Number(value) => Ok(value.into()),
            Written::Text(text) => match text.parse::<f32>() {
                Ok(value) if !value.is_finite() => Ok(value.into()),
                _ => Err(D::Error::custom(format!("{text:?} is no number"))),
            },
        }
    }
}

impl Activation {
    /// `leaky_relu` with the slope of `keras.activations.leaky_relu`, 0.2.
    pub const LEAKY_RELU: Activation = Activation::LeakyRelu(Parameter::new(0.2));
    /// `elu` with Keras's alpha of 1.
    pub const ELU: Activation = Activation::Elu(Parameter::new(1.0));

    /// Every activation; those with a parameter have Keras's default. Those that Keras has not have
    /// parameters that differ from each other.
    pub const ALL: [Activation; 34] = [
        Activation::Linear,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
        Activation::HardSigmoid,
        Activation::HardSigmoidKeras2,
        Activation::Softsign,
        Activation::Softplus,
        Activation::ELU,
        Activation::Selu,
        Activation::Exponential,
        Activation::Silu,
        Activation::HardSilu,
        Activation::Relu6,
        Activation::LEAKY_RELU,
        Activation::HardTanh,
        Activation::HardShrink,
        Activation::SoftShrink,
        Activation::LogSigmoid,
        Activation::Mish,
        Activation::Squareplus,
        Activation::SparsePlus,
        Activation::SparseSigmoid,
        Activation::TanhShrink,
        Activation::Gelu,
        Activation::GeluApproximate,
        Activation::Affine(Parameter::new(0.75), Parameter::new(0.125)),
        Activation::ClippedAffine(Parameter::new(0.75), Parameter::new(0.125)),
        Activation::ScaledTanh(Parameter::new(1.5), Parameter::new(0.75)),
        Activation::ThresholdedRelu(Parameter::new(1.0)),
        Activation::Softmax,
        Activation::LogSoftmax,
        Activation::Sparsemax,
        Activation::Glu,
    ];

    /// Whether each value of the output depends on one value of the input alone. All activations
    /// are element-wise but softmax, log_softmax, sparsemax and glu. A recurrent layer takes only
    /// element-wise ones.
    pub fn is_elementwise(self) -> bool {
        use Activation::{Glu, LogSoftmax, Softmax, Sparsemax};
        !matches!(self, Softmax | LogSoftmax | Sparsemax | Glu)
    }

    /// Its parameters as backends have them, alpha and beta; 0 where it has none.
    #[doc(hidden)]
    pub fn parameters(self) -> [f32; 2] {
        use Activation::*;
        match self {
            Elu(alpha) | LeakyRelu(alpha) | ThresholdedRelu(alpha) => [alpha.into(), 0.0],
            Affine(alpha, beta) | ClippedAffine(alpha, beta) | ScaledTanh(alpha, beta) => {
                [alpha.into(), beta.into()]
            }
            _ => [0.0; 2],
        }
    }

    /// The features that it makes of `features`, or why it can't.
    #[doc(hidden)]
    pub fn output_features(self, features: Option<usize>) -> Result<Option<usize>, String> {
        match (self, features) {
            (Activation::Glu, Some(n)) if n % 2 == 1 => {
                Err(format!("glu splits the features into halves, and there are {n}"))
            }
            (Activation::Glu, Some(n)) => Ok(Some(n / 2)),
            (Activation::Glu, None) => Err("glu needs a last axis of fixed length".to_string()),
            (_, features) => Ok(features),
        }
    }

    /// The activation that Keras 3 calls by this name, or `None` where there is none; one with a
    /// parameter has Keras's default.
    ///
    /// ```
    /// # use birnn_cell::Activation;
    /// assert_eq!(Activation::from_keras_name("swish"), Some(Activation::Silu));
    /// assert_eq!(Activation::from_keras_name("crelu"), None);
    /// ```
    pub fn from_keras_name(name: &str) -> Option<Activation> {
        match name {
            "swish" => Some(Activation::Silu),
            "hard_swish" => Some(Activation::HardSilu),
            "celu" => Some(Activation::ELU), // the same function at its default alpha of 1
            _ => {
                let found = Activation::ALL.into_iter().find(|a| a.keras_name() == name);
                found.filter(|a| a.is_of_keras())
            }
        }
    }

    /// Whether Keras has a function of its name; the others are ONNX's.
    fn is_of_keras(self) -> bool {
        use Activation::{Affine, ClippedAffine, ScaledTanh, ThresholdedRelu};
        !matches!(self, Affine(..) | ClippedAffine(..) | ScaledTanh(..) | ThresholdedRelu(_))
    }

    /// Keras's name for it, or one in its manner where it has none. `HardSigmoidKeras2` shares its
    /// name with `HardSigmoid`, and `GeluApproximate` with `Gelu`.
    pub fn keras_name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Relu => "relu",
            Activation::HardSigmoid | Activation::HardSigmoidKeras2 => "hard_sigmoid",
            Activation::Softsign => "softsign",
            Activation::Softplus => "softplus",
            Activation::Elu(_) => "elu",
            Activation::Selu => "selu",
            Activation::Exponential => "exponential",
            Activation::Silu => "silu",
            Activation::HardSilu => "hard_silu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::HardTanh => "hard_tanh",
            Activation::HardShrink => "hard_shrink",
            Activation::SoftShrink => "soft_shrink",
            Activation::LogSigmoid => "log_sigmoid",
            Activation::Mish => "mish",
            Activation::Squareplus => "squareplus",
            Activation::SparsePlus => "sparse_plus",
            Activation::SparseSigmoid => "sparse_sigmoid",
            Activation::TanhShrink => "tanh_shrink",
            Activation::Gelu | Activation::GeluApproximate => "gelu",
            Activation::Affine(..) => "affine",
            Activation::ClippedAffine(..) => "clipped_affine",
            Activation::ScaledTanh(..) => "scaled_tanh",
            Activation::ThresholdedRelu(_) => "thresholded_relu",
            Activation::Softmax => "softmax",
            Activation::LogSoftmax => "log_softmax",
            Activation::Sparsemax => "sparsemax",
            Activation::Glu => "glu",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keras_name())
    }
}
