//! Reads a layer's arguments; each one in the file is looked at.

use super::custom::Registry;
use super::entry::Entry;
use super::json;
use super::messages::excerpt;
use super::version::Version;
use crate::{Error, Result};
use serde_json::{Map, Value};

/// Arguments that don't change what a trained layer computes, or that are read elsewhere (the
/// shapes, how weights are quantized and what is added to them). `softmax_robust_masking` and
/// `robust_masking` set a masked score in place of lowering it, which is what birnn always does.
const NO_EFFECT: [&str; 26] = [
    "name",
    "trainable",
    "autocast",
    "dynamic",
    "dropout",
    "recurrent_dropout",
    "implementation",
    "unroll",
    "seed",
    "use_cudnn",
    "flash_attention",
    "softmax_robust_masking",
    "robust_masking",
    "unit_forget_bias",
    "quantization_config",
    "lora_rank",
    "lora_alpha",
    "shared_object_id",
    "build_config",
    "batch_input_shape",
    "batch_shape",
    "batch_size",
    "input_shape",
    "input_dim",
    "input_length",
    "shape",
];
const NO_EFFECT_ENDINGS: [&str; 3] = ["_initializer", "_regularizer", "_constraint"];

/// Arguments of which only the default is supported, which Keras writes as false or None, and what
/// to do about other values.
const ONLY_THE_DEFAULT: [(&str, &str); 9] = [
    ("time_major", "save the model with time_major=False and give [batch, timesteps, features]"),
    ("return_runtime", "save the model with return_runtime=False"),
    ("sparse", "save the model with a dense input"),
    (
        "ragged",
        "save the model with a dense input; run sequences of different lengths one by one, or \
         with a mask",
    ),
    ("optional", "save the model with optional=False and always give the input"),
    ("renorm", "save the model with renorm=False"),
    ("rms_scaling", "use the layer RMSNormalization, or rms_scaling=False"),
    ("use_gate", "save the model with use_gate=False"),
    ("quantization_mode", "save the model before it is quantized"),
];

/// A size in a file is at least one and less than this.
const MAX_SIZE: usize = 1 << 24;

/// The arguments of a layer, or of one that it wraps.
pub(super) struct Arguments<'a> {
    layer: &'a str,
    version: Version,
    /// Which wrapped layer's they are: empty, or for example `backward_layer.cell.`.
    prefix: String,
    values: &'a Map<String, Value>,
    /// What the caller builds and names.
    registry: &'a Registry,
}

/// How many at both ends of the rows of an image, and of its columns.
type AllEnds = ((usize, usize), (usize, usize));

impl<'a> Arguments<'a> {
    pub(super) fn new(entry: &'a Entry<'a>, version: Version) -> Arguments<'a> {
        let Entry { path, config, registry, .. } = entry;
        Arguments { layer: path, version, prefix: String::new(), values: config, registry }
    }

    /// The arguments of the layer that is the value of `argument`.
    pub(super) fn of(&self, argument: &str, value: &'a Value) -> Result<Arguments<'a>> {
        match value.get("config").and_then(Value::as_object) {
            Some(values) => {
                let prefix = format!("{}{argument}.", self.prefix);
                Ok(Arguments { prefix, values, ..*self })
            }
            None => self.wrong(argument, "has no config".into()),
        }
    }

    pub(super) fn layer(&self) -> &'a str {
        self.layer
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn values(&self) -> &'a Map<String, Value> {
        self.values
    }

    pub(super) fn registry(&self) -> &'a Registry {
        self.registry
    }

    /// The value of an argument, unless it is missing or None.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        self.values.get(name).and_then(Value::as_str)
    }

    pub(super) fn wrong<T>(&self, name: &str, reason: String) -> Result<T> {
        let argument = format!("{}{name}", self.prefix);
        Err(Error::Argument { layer: self.layer.to_string(), argument, reason })
    }

    pub(super) fn unsupported<T>(&self, name: &str, value: &Value, reason: &str) -> Result<T> {
        Err(Error::UnsupportedArgument {
            layer: self.layer.to_string(),
            argument: format!("{}{name}", self.prefix),
            value: excerpt(value),
            reason: reason.to_string(),
        })
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.values.get(name) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(value) => {
                self.wrong(name, format!("{} is neither true nor false", excerpt(value)))
            }
        }
    }

    /// A size that has no default.
    pub(super) fn size(&self, name: &str) -> Result<usize> {
        match self.values.get(name) {
            None => self.wrong(name, "is missing".into()),
            Some(value) => self.size_of(name, value),
        }
    }

    fn size_of(&self, name: &str, value: &Value) -> Result<usize> {
        match natural(value).filter(|size| (1..MAX_SIZE).contains(size)) {
            Some(size) => Ok(size),
            None => self.wrong(
                name,
                format!("{} is not a whole number from 1 to below 2^24", excerpt(value)),
            ),
        }
    }

    /// A size that may be missing or None.
    pub(super) fn optional_size(&self, name: &str) -> Result<Option<usize>> {
        self.get(name).map(|value| self.size_of(name, value)).transpose()
    }

    /// A size along time: a number, or a list of one.
    pub(super) fn time_size(&self, name: &str) -> Result<Option<usize>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => match &items[..] {
                [item] => self.size_of(name, item).map(Some),
                _ => self.wrong(name, format!("{:?} is not one number", items.len())),
            },
            Some(value) => self.size_of(name, value).map(Some),
        }
    }

    /// Sizes along the rows and the columns of an image: a number for both, or a list of two.
    pub(super) fn image_size(&self, name: &str) -> Result<Option<(usize, usize)>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => match &items[..] {
                [rows, columns] => {
                    Ok(Some((self.size_of(name, rows)?, self.size_of(name, columns)?)))
                }
                _ => self.wrong(name, format!("{:?} are not two numbers", items.len())),
            },
            Some(value) => self.size_of(name, value).map(|both| Some((both, both))),
        }
    }

    /// Sizes along the depth, the rows and the columns of a volume: a number for all, or a list of
    /// three.
    pub(super) fn volume_size(&self, name: &str) -> Result<Option<(usize, usize, usize)>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Array(items)) => match &items[..] {
                [depth, rows, columns] => Ok(Some((
                    self.size_of(name, depth)?,
                    self.size_of(name, rows)?,
                    self.size_of(name, columns)?,
                ))),
                _ => self.wrong(name, format!("{:?} are not three numbers", items.len())),
            },
            Some(value) => self.size_of(name, value).map(|all| Some((all, all, all))),
        }
    }

    /// How many at the start and at the end: a number for both, or a list of two.
    pub(super) fn both_ends(&self, name: &str) -> Result<(usize, usize)> {
        let value = self.get(name).unwrap_or(&Value::Null);
        let ends = match value.as_array().map(Vec::as_slice) {
            Some([start, end]) => natural(start).zip(natural(end)),
            Some([both]) => natural(both).map(|n| (n, n)),
            Some(_) => None,
            None => natural(value).map(|n| (n, n)),
        };
        match ends.filter(|(start, end)| start.max(end) < &MAX_SIZE) {
            Some(ends) => Ok(ends),
            None => self.wrong(
                name,
                format!("{} is not one or two whole numbers below 2^24", excerpt(value)),
            ),
        }
    }

    /// How many at all ends of an image: a number for all, or a list with a number or two for the
    /// rows and for the columns.
    pub(super) fn all_ends(&self, name: &str) -> Result<AllEnds> {
        let value = self.get(name).unwrap_or(&Value::Null);
        let ends = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([start, end]) => natural(start).zip(natural(end)),
            Some(_) => None,
            None => natural(value).map(|n| (n, n)),
        };
        let all = match value.as_array().map(Vec::as_slice) {
            Some([rows, columns]) => ends(rows).zip(ends(columns)),
            Some(_) => None,
            None => ends(value).map(|both| (both, both)),
        };
        let fits = |((top, bottom), (left, right)): &AllEnds| {
            [top, bottom, left, right].into_iter().all(|end| *end < MAX_SIZE)
        };
        match all.filter(fits) {
            Some(all) => Ok(all),
            None => self.wrong(
                name,
                format!("{} is no number below 2^24, or two or four of them", excerpt(value)),
            ),
        }
    }

    /// How many at all ends of a volume: a number for all, or a list with a number or two for the
    /// depth, for the rows and for the columns.
    pub(super) fn volume_ends(&self, name: &str) -> Result<[(usize, usize); 3]> {
        let value = self.get(name).unwrap_or(&Value::Null);
        let ends = |value: &Value| match value.as_array().map(Vec::as_slice) {
            Some([start, end]) => natural(start).zip(natural(end)),
            Some(_) => None,
            None => natural(value).map(|n| (n, n)),
        };
        let all: Option<Vec<_>> = match value.as_array() {
            Some(items) => items.iter().map(ends).collect(),
            None => ends(value).map(|both| vec![both; 3]),
        };
        let fits = |all: &[(usize, usize); 3]| all.iter().all(|(a, b)| a.max(b) < &MAX_SIZE);
        match all.and_then(|all| all.try_into().ok()).filter(fits) {
            Some(all) => Ok(all),
            None => self.wrong(
                name,
                format!("{} is no number below 2^24, or three or six of them", excerpt(value)),
            ),
        }
    }

    /// A number as the f32 that Keras computes with.
    pub(super) fn number(&self, name: &str, default: f32) -> Result<f32> {
        match self.values.get(name) {
            None => Ok(default),
            Some(value) => self.number_of(name, value),
        }
    }

    /// A number that Keras keeps as it is.
    pub(super) fn exact_number(&self, name: &str, default: f64) -> Result<f64> {
        match self.values.get(name) {
            None => Ok(default),
            Some(value) => self
                .number_of(name, value)
                .map(|number| value.as_f64().unwrap_or(f64::from(number))),
        }
    }

    pub(super) fn optional_number(&self, name: &str) -> Result<Option<f32>> {
        self.get(name).map(|value| self.number_of(name, value)).transpose()
    }

    /// A number that may be infinite or NaN, and may be missing or None.
    pub(super) fn any_number(&self, name: &str) -> Result<Option<f32>> {
        self.get(name)
            .map(|value| match json::number(value) {
                Some(number) => Ok(number as f32),
                None => self.wrong(name, format!("{} is no number", excerpt(value))),
            })
            .transpose()
    }

    fn number_of(&self, name: &str, value: &Value) -> Result<f32> {
        match value.as_f64().map(|number| number as f32).filter(|number| number.is_finite()) {
            Some(number) => Ok(number),
            None => self.wrong(name, format!("{} is no finite number", excerpt(value))),
        }
    }

    /// One or several axes in Keras's count.
    pub(super) fn axes(&self, name: &str) -> Result<Vec<isize>> {
        let value = self.get(name).unwrap_or(&Value::Null);
        let axis = |value: &Value| value.as_i64().and_then(|axis| isize::try_from(axis).ok());
        let axes: Option<Vec<_>> = match value {
            Value::Null => Some(vec![-1]),
            Value::Array(items) if !items.is_empty() && items.len() <= 16 => {
                items.iter().map(axis).collect()
            }
            value => axis(value).map(|axis| vec![axis]),
        };
        match axes.filter(|axes| axes.iter().all(|axis| axis.unsigned_abs() < 256)) {
            Some(axes) => Ok(axes),
            None => self.wrong(name, format!("{} is no axis or list of axes", excerpt(value))),
        }
    }

    /// One axis; a list of one is the same.
    pub(super) fn axis(&self, name: &str) -> Result<isize> {
        match self.axes(name)?[..] {
            [axis] => Ok(axis),
            _ => {
                let value = self.get(name).unwrap_or(&Value::Null);
                self.unsupported(name, value, "only one axis is supported; save the model with one")
            }
        }
    }

    /// A list of whole numbers; none where it is missing.
    pub(super) fn naturals(&self, name: &str) -> Result<Vec<usize>> {
        let Some(value) = self.get(name) else { return Ok(Vec::new()) };
        let numbers = value.as_array().filter(|items| items.len() <= 64);
        match numbers.and_then(|items| items.iter().map(natural).collect()) {
            Some(numbers) => Ok(numbers),
            None => self.wrong(name, format!("{} is no list of whole numbers", excerpt(value))),
        }
    }

    /// Refuses every argument that is not in `read`, unless it has no effect or, as far as is
    /// known, its default.
    pub(super) fn check_others(&self, read: &[&str]) -> Result<()> {
        self.values
            .iter()
            .filter(|(name, _)| !read.contains(&name.as_str()))
            .try_for_each(|(n, v)| self.check(n, v))
    }

    fn check(&self, name: &str, value: &Value) -> Result<()> {
        if NO_EFFECT.contains(&name)
            || NO_EFFECT_ENDINGS.iter().any(|ending| name.ends_with(ending))
            || value.is_null()
        {
            return Ok(());
        }
        let is_false = value == &Value::Bool(false);
        if let Some((_, reason)) = ONLY_THE_DEFAULT.iter().find(|(only, _)| *only == name) {
            return if is_false { Ok(()) } else { self.unsupported(name, value, reason) };
        }
        match name {
            "dtype" => self.check_dtype(value),
            "num_constants" if value.as_u64() == Some(0) => Ok(()),
            // Every layer that has it can have both: see `stateless`.
            "data_format" if value == "channels_last" || value == "channels_first" => Ok(()),
            "data_format" => {
                self.wrong(name, format!("{} is neither order of Keras's", excerpt(value)))
            }
            // A newer Keras adds an argument so that older models go on as they did: by None, which
            // passed above, or by false.
            _ if is_false => {
                let argument = format!("{}{name}", self.prefix);
                tracing::warn!(
                    "layer {:?}: {argument}=false isn't known; as a default of a newer Keras it \
                     is taken to have no effect",
                    self.layer
                );
                Ok(())
            }
            _ => self.unsupported(
                name,
                value,
                "this argument isn't known, so its effect can't be computed; save without it",
            ),
        }
    }

    fn check_dtype(&self, value: &Value) -> Result<()> {
        let policy = match value {
            value if quantization_mode(value).is_some() => {
                return self.check_quantization(value);
            }
            Value::String(name) => Some(name.as_str()),
            value => match value.get("class_name").and_then(Value::as_str) {
                Some("DTypePolicy" | "Policy") => {
                    value.pointer("/config/name").and_then(Value::as_str)
                }
                _ => None,
            },
        };
        match policy.and_then(|policy| POLICIES.iter().find(|known| **known == policy)) {
            Some(_) => Ok(()),
            None => self.unsupported(
                "dtype",
                value,
                "birnn computes in float32: save the model with a policy of floats",
            ),
        }
    }

    /// Weights of int8 and int4 are numbers with a scale; others aren't read.
    fn check_quantization(&self, dtype: &Value) -> Result<()> {
        let mode = quantization_mode(dtype).unwrap_or_default();
        match mode.split('/').next() {
            Some("int8" | "int4") => Ok(()),
            Some("float8") => self.unsupported(
                "dtype",
                dtype,
                "birnn multiplies no float8 numbers: save the model before \
                 model.quantize(\"float8\")",
            ),
            _ => self.unsupported(
                "dtype",
                dtype,
                "of quantized weights only int8 and int4 are read: save the model before it is \
                 quantized",
            ),
        }
    }
}

/// How a dtype policy has weights quantized: `int8`, `int4/128`, `float8`…; `None` where it hasn't.
pub(super) fn quantization_mode(dtype: &Value) -> Option<&str> {
    match dtype {
        Value::String(name) => name.split_once("_from_").map(|(mode, _)| mode),
        value => value.pointer("/config/mode").and_then(Value::as_str),
    }
}

/// The dtype policies of floats. Whatever a file says, the model computes in f32.
const POLICIES: [&str; 6] =
    ["float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16"];

/// Whether a dtype is one of floats.
pub(super) fn is_float(dtype: &Value) -> bool {
    dtype.as_str().is_some_and(|name| POLICIES.contains(&name) && !name.starts_with("mixed"))
}

fn natural(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|n| usize::try_from(n).ok())
}
