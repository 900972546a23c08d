//! Arrays, and the launches that move and join their values: reshape, permute, repeat, concatenate,
//! add, …

use super::{BufferId, Planner};
use crate::error::{Error, Result};
use crate::gpu::kernel::{self, CombineMasked, Kernel, Side};
use crate::operator::Operation;

/// An array that a launch reads or writes: `[…][features]`, the features filled up to a multiple of
/// four.
#[derive(Clone, Debug)]
pub(super) struct Array {
    pub buffer: BufferId,
    /// With the batch.
    pub shape: Vec<usize>,
}

impl Array {
    pub fn features(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    pub fn features_padded(&self) -> usize {
        self.features().next_multiple_of(4)
    }

    /// The vectors of features.
    pub fn vectors(&self) -> usize {
        self.shape[..self.shape.len().saturating_sub(1)]
            .iter()
            .fold(1, |n, &axis| n.saturating_mul(axis))
    }

    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn bytes(&self) -> u64 {
        (self.vectors() as u64).saturating_mul(4 * self.features_padded() as u64)
    }

    /// The strides of its values in order.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        strides
    }

    /// The same memory with the first two axes as one.
    pub fn folded(&self) -> Array {
        let mut shape = self.shape.clone();
        let first = shape.remove(0);
        shape[0] *= first;
        Array { buffer: self.buffer, shape }
    }
}

/// How a value joins what is in its place; the numbers of `combine.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Combine {
    Store = 0,
    Add = 1,
    Subtract = 2,
    Multiply = 3,
    /// The sum with it, divided by the count.
    Mean = 4,
    Maximum = 5,
    Minimum = 6,
    Zero = 7,
    One = 8,
    /// One where it is not zero.
    NotZero = 9,
}

/// A walk over a box: how far a step along each axis goes in the source and in the target.
struct Walk {
    axes: Vec<usize>,
    source_strides: Vec<usize>,
    target_strides: Vec<usize>,
    source_offset: usize,
    target_offset: usize,
}

impl Planner<'_> {
    /// All values, in order, to an array of the same shape.
    pub(super) fn copy(&mut self, source: &Array, target: &Array, combine: Combine) {
        let flat = Walk {
            axes: vec![source.values()],
            source_strides: vec![1],
            target_strides: vec![1],
            source_offset: 0,
            target_offset: 0,
        };
        self.combine(source, target, flat, combine, 1);
    }

    /// All values, in order, to an array of another shape.
    pub(super) fn reshape(&mut self, source: &Array, target: &Array) {
        self.copy(source, target, Combine::Store);
    }

    /// All values to a part of the target that starts at `first` along `axis`.
    pub(super) fn copy_into(
        &mut self,
        source: &Array,
        target: &Array,
        axis: usize,
        first: usize,
        combine: Combine,
    ) {
        // All axes before it as one, and all from it on.
        let outer = source.shape[..axis].iter().product();
        let inner: usize = source.shape[axis..].iter().product();
        let stride: usize = target.shape[axis..].iter().product();
        let one: usize = target.shape[axis + 1..].iter().product();
        let walk = Walk {
            axes: vec![outer, inner],
            source_strides: vec![inner, 1],
            target_strides: vec![stride, 1],
            source_offset: 0,
            target_offset: first * one,
        };
        self.combine(source, target, walk, combine, 1);
    }

    /// The features of each vector from `first` on, as many as the target has.
    pub(super) fn take_features(
        &mut self,
        source: &Array,
        target: &Array,
        first: usize,
        combine: Combine,
    ) {
        let walk = Walk {
            axes: vec![target.vectors(), target.features()],
            source_strides: vec![source.features(), 1],
            target_strides: vec![target.features(), 1],
            source_offset: first,
            target_offset: 0,
        };
        self.combine(source, target, walk, combine, 1);
    }

    pub(super) fn permute(
        &mut self,
        source: &Array,
        target: &Array,
        order: &[usize],
    ) -> Result<()> {
        let strides = source.strides();
        let source_strides = order.iter().map(|&axis| strides[axis]).collect();
        self.walk(
            source,
            target,
            target.shape.clone(),
            source_strides,
            target.strides(),
            Combine::Store,
        )
    }

    pub(super) fn shift(
        &mut self,
        source: &Array,
        target: &Array,
        axes: Vec<usize>,
        from: usize,
        to: usize,
    ) -> Result<()> {
        let walk = Walk {
            axes,
            source_strides: source.strides(),
            target_strides: target.strides(),
            source_offset: from,
            target_offset: to,
        };
        self.combine(source, target, walk, Combine::Store, 1);
        Ok(())
    }

    pub(super) fn walk(
        &mut self,
        source: &Array,
        target: &Array,
        axes: Vec<usize>,
        source_strides: Vec<usize>,
        target_strides: Vec<usize>,
        combine: Combine,
    ) -> Result<()> {
        four_axes(axes.len())?;
        let walk =
            Walk { axes, source_strides, target_strides, source_offset: 0, target_offset: 0 };
        self.combine(source, target, walk, combine, 1);
        Ok(())
    }

    fn combine(
        &mut self,
        source: &Array,
        target: &Array,
        walk: Walk,
        combine: Combine,
        count: usize,
    ) {
        let four = |values: &[usize], fill: u32| {
            let mut four = [fill; 4];
            for (place, &value) in four[4 - values.len()..].iter_mut().zip(values) {
                *place = value as u32;
            }
            four
        };
        let side = |array: &Array, offset: usize, strides: &[usize]| {
            let [stride0, stride1, stride2, stride3] = four(strides, 0);
            Side {
                offset: offset as u32,
                stride0,
                stride1,
                stride2,
                stride3,
                features: array.features() as u32,
                features_padded: array.features_padded() as u32,
                unused: 0,
            }
        };
        let values = walk.axes.iter().product();
        let [_, axis1, axis2, axis3] = four(&walk.axes, 1);
        let uniform = kernel::Combine {
            values: values as u32,
            axis1,
            axis2,
            axis3,
            source: side(source, walk.source_offset, &walk.source_strides),
            destination: side(target, walk.target_offset, &walk.target_strides),
            operation: combine as u32,
            count: count as u32,
        };
        let reads = !matches!(combine, Combine::Zero | Combine::One);
        let source = if reads { source.buffer } else { BufferId::Nothing };
        self.flat(Kernel::Combine, vec![source, target.buffer], uniform, values);
    }

    pub(super) fn merge_arrays(
        &mut self,
        node: usize,
        operation: Operation,
        sources: &[Array],
        target: &Array,
    ) -> Result<()> {
        use Operation::{Maximum, Minimum, Multiply};
        let masks = self.masks.of_node[node].clone();
        if matches!(operation, Multiply | Maximum | Minimum) && masks.iter().any(Option::is_some) {
            return self.merge_masked(node, operation, sources, target, &masks);
        }
        let last = sources.len() - 1;
        for (index, source) in sources.iter().enumerate() {
            let combine = match operation {
                _ if index == 0 => Combine::Store,
                Operation::Add => Combine::Add,
                Operation::Subtract => Combine::Subtract,
                Operation::Multiply => Combine::Multiply,
                Operation::Average if index == last => Combine::Mean,
                Operation::Average => Combine::Add,
                Operation::Maximum => Combine::Maximum,
                Operation::Minimum => Combine::Minimum,
            };
            four_axes(target.shape.len())?;
            let walk = Walk {
                axes: target.shape.clone(),
                source_strides: repeating_strides(source),
                target_strides: target.strides(),
                source_offset: 0,
                target_offset: 0,
            };
            self.combine(source, target, walk, combine, sources.len());
        }
        Ok(())
    }

    /// A product in which masked values count as one, and is zero where all are masked; or the
    /// largest or smallest, where of a masked value and one that is not the latter is taken.
    fn merge_masked(
        &mut self,
        node: usize,
        operation: Operation,
        sources: &[Array],
        target: &Array,
        masks: &[Option<usize>],
    ) -> Result<()> {
        // The mask of what is joined so far; none where an array had none.
        let joined = self.scratch_array(node, target.shape[..target.shape.len() - 1].to_vec())?;
        let mut known = false;
        for (index, source) in sources.iter().enumerate() {
            let mask = masks.get(index).copied().flatten().map(BufferId::Mask);
            let mask = match mask {
                Some(buffer) => {
                    let mask =
                        Array { buffer, shape: source.shape[..source.shape.len() - 1].to_vec() };
                    Some(self.repeated(node, &mask, &joined.shape)?.buffer)
                }
                None => None,
            };
            let mut shape = target.shape.clone();
            shape.truncate(target.shape.len() - 1);
            shape.push(source.features()); // a single feature is repeated by the kernel
            let source = &self.repeated(node, source, &shape)?;
            let combine = match operation {
                Operation::Multiply if index > 0 => Combine::Multiply,
                Operation::Multiply => Combine::Store,
                Operation::Maximum if index > 0 => Combine::Maximum,
                Operation::Minimum if index > 0 => Combine::Minimum,
                _ => Combine::Store,
            };
            let joined_mask = (known && operation != Operation::Multiply).then_some(joined.buffer);
            // The first of a maximum is taken as it is; of a product a masked one is one, too.
            let source_mask = mask.filter(|_| index > 0 || operation == Operation::Multiply);
            self.combine_masked(source, target, [source_mask, joined_mask], combine);
            known = mask.is_some() && (known || index == 0);
            if let (Some(buffer), true) = (mask, known) {
                let mask = Array { buffer, ..joined.clone() };
                self.copy(
                    &mask,
                    &joined,
                    if index == 0 { Combine::Store } else { Combine::Maximum },
                );
            }
        }
        if known && operation == Operation::Multiply {
            self.combine_masked(target, target, [None, Some(joined.buffer)], Combine::Zero);
        }
        Ok(())
    }

    /// The array with its axes of length one repeated to this shape.
    fn repeated(&mut self, node: usize, source: &Array, shape: &[usize]) -> Result<Array> {
        if source.shape == shape {
            return Ok(source.clone());
        }
        let target = self.scratch_array(node, shape.to_vec())?;
        let strides = repeating_strides(source);
        self.walk(source, &target, shape.to_vec(), strides, target.strides(), Combine::Store)?;
        Ok(target)
    }

    /// `masks`: of the source and of the target, each of the target's shape without features.
    fn combine_masked(
        &mut self,
        source: &Array,
        target: &Array,
        masks: [Option<BufferId>; 2],
        combine: Combine,
    ) {
        let timesteps = target.shape.iter().rev().nth(1).copied().unwrap_or(1);
        let uniform = CombineMasked {
            values: target.values() as u32,
            features: target.features() as u32,
            features_padded: target.features_padded() as u32,
            source_features: source.features() as u32,
            source_padded: source.features_padded() as u32,
            timesteps: timesteps as u32,
            timesteps_padded: timesteps.next_multiple_of(4) as u32,
            operation: combine as u32,
            has_source_mask: masks[0].is_some().into(),
            has_destination_mask: masks[1].is_some().into(),
        };
        let [source_mask, target_mask] = masks.map(|mask| mask.unwrap_or(BufferId::Nothing));
        let source = if combine == Combine::Zero { BufferId::Nothing } else { source.buffer };
        self.flat(
            Kernel::CombineMasked,
            vec![source, source_mask, target_mask, target.buffer],
            uniform,
            target.values(),
        );
    }
}

/// The strides of an array whose axes of length one are repeated.
fn repeating_strides(array: &Array) -> Vec<usize> {
    array
        .strides()
        .into_iter()
        .zip(&array.shape)
        .map(|(stride, &n)| if n == 1 { 0 } else { stride })
        .collect()
}

pub(super) fn four_axes(axes: usize) -> Result<()> {
    match axes {
        0..=4 => Ok(()),
        _ => Err(Error::Graph(format!(
            "an array of {axes} axes: the GPU path takes 4; use Device::cpu()"
        ))),
    }
}
