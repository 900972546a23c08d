//! Weights that Keras quantised, as the numbers that they stand for, and those with a LoRA beside
//! them. What a file holds tells which they are: numbers of a byte with scales.
//!
//! Source: `_int8_build`, `_int4_build` and `_get_kernel_with_merged_lora` of Keras's `Dense`,
//! `EinsumDense` and `Embedding`, and `unpack_int4` and `dequantize_with_sz_map` of its quantizers.

use super::arguments::quantization_mode;
use super::file::Layout;
use super::hdf5::{Hdf5, Wanted};
use super::messages::malformed;
use super::slot::Slot;
use crate::Result;
use ndarray::{Array2, ArrayD, Ix2, IxDyn};
use serde_json::{Map, Value};

/// Where the arrays that belong to a weight stand, if they are there.
struct Companions {
    scale: String,
    zero: String,
    /// Of each row or column which group of scales it has.
    groups: String,
    /// Both factors of the LoRA; archives hold the sum.
    lora: Option<[String; 2]>,
}

impl Companions {
    /// `paths`: those of all weights of the layer.
    fn new(layout: Layout, path: &str, paths: &[String]) -> Companions {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if layout == Layout::Archive {
            let is_in = |path: &&String| path.rsplit_once('/').is_some_and(|(of, _)| of == folder);
            let count = paths.iter().filter(is_in).count();
            let numbered = |more: usize| format!("{folder}/{}", count + more);
            let [scale, zero, groups] = [0, 1, 2].map(numbered);
            return Companions { scale, zero, groups, lora: None };
        }
        let (name, suffix) = name.split_at(name.find(':').unwrap_or(name.len()));
        let named = |name: String| format!("{folder}/{name}{suffix}");
        Companions {
            scale: named(format!("{name}_scale")),
            zero: named(format!("{name}_zero")),
            groups: named("g_idx".to_string()),
            lora: Some(["a", "b"].map(|part| named(format!("lora_{name}_{part}")))),
        }
    }
}

/// A weight that is being read.
struct Weight<'a> {
    file: &'a mut Hdf5,
    wanted: &'a Wanted,
    companions: Companions,
    /// The arguments of the layer.
    config: &'a Map<String, Value>,
    /// Whether its scales are those of rows, as an Embedding's are.
    by_row: bool,
    /// As a matrix.
    rows: usize,
    columns: usize,
}

/// Reads a weight of a layer, of which `paths` are all, with these arguments.
pub(super) fn read(
    file: &mut Hdf5,
    layout: Layout,
    path: &str,
    paths: &[String],
    slot: &Slot,
    config: &Map<String, Value>,
) -> Result<ArrayD<f32>> {
    let wanted = &slot.wanted;
    let name = slot.name.rsplit(' ').next().unwrap_or(slot.name);
    if !matches!(name, "kernel" | "embeddings") || wanted.shape.len() < 2 {
        return file.read(path, wanted);
    }
    let companions = Companions::new(layout, path, paths);
    // The projection of an attention's output sums over all axes but the last.
    let is_output = slot.name == "attention_output kernel";
    let of_rows = if is_output { wanted.shape.len() - 1 } else { 1 };
    let (rows, columns) = wanted.shape.split_at(of_rows);
    let [rows, columns] = [rows, columns].map(|lengths| lengths.iter().product());
    let by_row = name == "embeddings";
    let mut weight = Weight { file, wanted, companions, config, by_row, rows, columns };
    let values = match weight.file.holds_bytes(path)? {
        true => weight.dequantized(path)?,
        false if layout != Layout::Archive && weight.is_there(&weight.companions.scale)? => {
            return weight.wrong("has a scale, but isn't of whole numbers of a byte");
        }
        false => weight.file.read(path, wanted)?,
    };
    weight.with_lora(values)
}

impl Weight<'_> {
    fn wrong<T>(&self, reason: &str) -> Result<T> {
        let Wanted { layer, weight, .. } = self.wanted;
        malformed(self.file.label(), format!("layer {layer:?}: {weight} {reason}"))
    }

    fn is_there(&self, path: &str) -> Result<bool> {
        Ok(self.file.shape(path)?.is_some())
    }

    /// An array beside it, of the shape that it has in the file.
    fn part(&self, path: &str, name: &str) -> Result<Wanted> {
        let Wanted { layer, weight, .. } = self.wanted;
        let shape = self.file.shape(path)?.unwrap_or_default();
        Ok(Wanted { layer: layer.clone(), weight: format!("{weight} {name}"), shape })
    }

    fn dequantized(&mut self, path: &str) -> Result<ArrayD<f32>> {
        let stored = self.file.read_bytes(path, &self.part(path, "(quantized)")?)?;
        let Some(numbers) = self.unpacked(&stored) else {
            let (found, shape) = (stored.shape(), &self.wanted.shape);
            let reason = format!(
                "is quantized and has shape {found:?}, which is neither {shape:?} in int8 nor that \
                 in int4, of which a byte holds two"
            );
            return self.wrong(&reason);
        };
        let scale = self.part(&self.companions.scale, "scale")?;
        let scale = self.file.read(&self.companions.scale, &scale)?;
        let values = match self.is_there(&self.companions.zero)? {
            true => self.by_group(&numbers, &scale)?,
            false => {
                let count = if self.by_row { self.rows } else { self.columns };
                if scale.len() != count {
                    let reason = format!("has {} scales, and {count} are needed", scale.len());
                    return self.wrong(&reason);
                }
                let scale: Vec<f32> = scale.into_iter().collect();
                let index =
                    |i: usize| if self.by_row { i / self.columns } else { i % self.columns };
                let number = |(i, &number): (usize, &i8)| f32::from(number) / scale[index(i)];
                numbers.iter().enumerate().map(number).collect()
            }
        };
        ArrayD::from_shape_vec(IxDyn(&self.wanted.shape), values)
            .or_else(|e| self.wrong(&format!("can't be read: {e}")))
    }

    /// The whole numbers in the order of the matrix; `None` where the shape is none of those that
    /// Keras writes.
    fn unpacked(&self, stored: &ArrayD<i8>) -> Option<Vec<i8>> {
        let (shape, rows, columns) = (&self.wanted.shape, self.rows, self.columns);
        let matrix = [rows, columns.div_ceil(2)];
        // Up to Keras 3.12 kernels are packed along the first axis.
        let first = [&[shape[0].div_ceil(2)], &shape[1..]].concat();
        let is_packed = self.is_int4() && stored.shape() == matrix;
        if stored.shape() == &shape[..] && !is_packed {
            return Some(stored.iter().copied().collect());
        }
        // The lower half of a byte comes first; both are signed.
        let halves = |byte: i8| [byte << 4 >> 4, byte >> 4];
        if stored.shape() == matrix {
            let stored = stored.view().into_dimensionality::<Ix2>().ok()?;
            let row = |row| {
                let bytes = stored.row(row).to_vec();
                bytes.into_iter().flat_map(halves).take(columns)
            };
            return Some((0..rows).flat_map(row).collect());
        }
        if stored.shape() != first {
            return None;
        }
        let of_each = shape[1..].iter().product::<usize>();
        let bytes: Vec<i8> = stored.iter().copied().collect();
        let number = |i: usize| {
            let (index, rest) = (i / of_each, i % of_each);
            halves(bytes[index / 2 * of_each + rest])[index % 2]
        };
        Some((0..rows * columns).map(number).collect())
    }

    /// Whether the configuration says that two numbers share a byte.
    fn is_int4(&self) -> bool {
        let mode = of_inner(self.config, "dtype").and_then(quantization_mode);
        mode.is_some_and(|mode| mode.starts_with("int4"))
    }

    /// Numbers with scales and zeros of groups of rows, or of an Embedding of columns.
    fn by_group(&mut self, numbers: &[i8], scale: &ArrayD<f32>) -> Result<Vec<f32>> {
        let (rows, columns, by_row) = (self.rows, self.columns, self.by_row);
        let zero = self.part(&self.companions.zero, "zero")?;
        let zero = self.file.read_bytes(&self.companions.zero, &zero)?;
        let members = self.part(&self.companions.groups, "groups")?;
        let members = self.file.read(&self.companions.groups, &members)?;
        let (count, of_groups) = if by_row { (columns, rows) } else { (rows, columns) };
        let groups = match *scale.shape() {
            [groups, length] if !by_row && length == of_groups => groups,
            [length, groups] if by_row && length == of_groups => groups,
            _ => return self.wrong(&format!("has scales of shape {:?}", scale.shape())),
        };
        if zero.shape() != scale.shape() || members.shape() != [count] {
            let (zero, members) = (zero.shape(), members.shape());
            let reason = format!(
                "has scales of shape {:?}, zeros of shape {zero:?} and groups of shape \
                 {members:?}, which don't fit each other",
                scale.shape()
            );
            return self.wrong(&reason);
        }
        let is_group =
            |&&group: &&f32| group.fract() != 0.0 || !(0.0..groups as f32).contains(&group);
        if let Some(group) = members.iter().find(is_group) {
            return self.wrong(&format!("has a group {group}, and there are {groups}"));
        }
        let members: Vec<usize> = members.iter().map(|&group| group as usize).collect();
        let (scale, zero): (Vec<f32>, Vec<i8>) =
            (scale.iter().copied().collect(), zero.iter().copied().collect());
        let number = |(i, &number): (usize, &i8)| {
            let (row, column) = (i / columns, i % columns);
            let place = match by_row {
                true => row * groups + members[column],
                false => members[row] * columns + column,
            };
            (f32::from(number) - f32::from(zero[place])) * scale[place]
        };
        Ok(numbers.iter().enumerate().map(number).collect())
    }

    /// The sum with the product of the LoRA, where it has one.
    fn with_lora(&mut self, mut values: ArrayD<f32>) -> Result<ArrayD<f32>> {
        let Some([a, b]) = self.companions.lora.clone() else { return Ok(values) };
        if !self.is_there(&a)? && !self.is_there(&b)? {
            return Ok(values);
        }
        let number = |name: &str| of_inner(self.config, name).and_then(Value::as_f64);
        let rank = number("lora_rank").filter(|rank| *rank >= 1.0 && *rank < 16_777_216.0);
        let Some(rank) = rank else {
            return self.wrong("has a LoRA, and the layer's lora_rank isn't a number from 1 on");
        };
        let alpha = number("lora_alpha").unwrap_or(rank);
        let Wanted { layer, weight, .. } = self.wanted;
        let mut factor = |path: &str, part: &str, shape: [usize; 2]| {
            let (layer, weight) = (layer.clone(), format!("{weight} lora {part}"));
            self.file.read(path, &Wanted { layer, weight, shape: shape.to_vec() })
        };
        let a = factor(&a, "a", [self.rows, rank as usize])?;
        let b = factor(&b, "b", [rank as usize, self.columns])?;
        let matrix = |array: ArrayD<f32>| array.mapv(f64::from).into_dimensionality::<Ix2>();
        let product: Array2<f64> = match (matrix(a), matrix(b)) {
            (Ok(a), Ok(b)) => a.dot(&b),
            _ => return self.wrong("has a LoRA that is no two matrices"),
        };
        for (value, product) in values.iter_mut().zip(&product) {
            *value = (f64::from(*value) + alpha / rank * product) as f32;
        }
        Ok(values)
    }
}

/// An argument of a layer, or of the one that it calls on every timestep.
fn of_inner<'a>(mut config: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    while let Some(inner) = config.get("layer").and_then(|layer| layer.get("config")?.as_object()) {
        config = inner;
    }
    config.get(name)
}
