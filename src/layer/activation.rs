use std::fmt;

/// An activation function, for a layer's `activation` (states and candidates)
/// or `recurrent_activation` (gates).
///
/// The formulas stand in [`crate::reference::activate`]; they are those of `keras.activations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Activation {
    /// `x`
    Linear = 0,
    /// `tanh(x)`: the default `activation`.
    Tanh = 1,
    /// `1 / (1 + exp(-x))`: the default `recurrent_activation`.
    Sigmoid = 2,
    /// `max(x, 0)`
    Relu = 3,
    /// `clip(x / 6 + 0.5, 0, 1)`: Keras 3's definition.
    HardSigmoid = 4,
    /// `clip(0.2 x + 0.5, 0, 1)`: Keras 2's definition, what files saved by Keras 2 mean by `hard_sigmoid`.
    HardSigmoidKeras2 = 5,
    /// `x / (1 + |x|)`
    Softsign = 6,
    /// `ln(1 + exp(x))`
    Softplus = 7,
    /// `x` above zero, `exp(x) - 1` below (alpha = 1).
    Elu = 8,
    /// The scaled ELU of Klambauer et al. 2017.
    Selu = 9,
    /// `exp(x)`
    Exponential = 10,
    /// `x · sigmoid(x)`, also called swish.
    Silu = 11,
    /// `x · clip(x / 6 + 0.5, 0, 1)`, also called hard swish.
    HardSilu = 12,
    /// `clip(x, 0, 6)`
    Relu6 = 13,
    /// `x` above zero, `0.2 x` below (Keras's default slope).
    LeakyRelu = 14,
}

impl Activation {
    /// Every activation, in the order of the numbers that the kernels use.
    pub const ALL: [Activation; 15] = [
        Activation::Linear,
        Activation::Tanh,
        Activation::Sigmoid,
        Activation::Relu,
        Activation::HardSigmoid,
        Activation::HardSigmoidKeras2,
        Activation::Softsign,
        Activation::Softplus,
        Activation::Elu,
        Activation::Selu,
        Activation::Exponential,
        Activation::Silu,
        Activation::HardSilu,
        Activation::Relu6,
        Activation::LeakyRelu,
    ];

    /// The activation that Keras calls by this name (Keras 3's meaning), or `None`.
    ///
    /// ```
    /// use birnn::Activation;
    /// assert_eq!(Activation::from_keras_name("swish"), Some(Activation::Silu));
    /// assert_eq!(Activation::from_keras_name("gelu"), None);
    /// ```
    pub fn from_keras_name(name: &str) -> Option<Activation> {
        match name {
            "swish" => Some(Activation::Silu),
            "hard_swish" => Some(Activation::HardSilu),
            _ => Activation::ALL.into_iter().find(|a| a.keras_name() == name && *a != Activation::HardSigmoidKeras2),
        }
    }

    /// Keras's name for it.
    pub fn keras_name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Tanh => "tanh",
            Activation::Sigmoid => "sigmoid",
            Activation::Relu => "relu",
            Activation::HardSigmoid | Activation::HardSigmoidKeras2 => "hard_sigmoid",
            Activation::Softsign => "softsign",
            Activation::Softplus => "softplus",
            Activation::Elu => "elu",
            Activation::Selu => "selu",
            Activation::Exponential => "exponential",
            Activation::Silu => "silu",
            Activation::HardSilu => "hard_silu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu => "leaky_relu",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.keras_name())
    }
}
