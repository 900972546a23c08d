//! The launches of matrix products: over the last axis, over windows, and of computed matrices.

use super::array::Array;
use super::launch::{BufferId, Stage, WORKGROUP, grid};
use super::normalize::OfVectors;
use super::planner::{GRID_ROW, Planner};
use super::walk::{Route, behind, check_axes, joined};
use super::weight::ConstantLayout;
use super::windows::{along, two_axes};
use crate::error::Result;
use crate::gpu::kernel::{self, BatchedMatmul, Constants, Dense, GroupedConvolution, Kernel};
use crate::graph::Step;
use crate::layer::Activation;
use crate::operator::{Convolution, MatMul, Windows};

/// A matrix product before its activation.
struct Product {
    source: Array,
    kernel: BufferId,
    bias: BufferId,
    /// Down and across, as `windows.wgsl` has them.
    windows: [kernel::Windows; 2],
    groups: usize,
    /// Of a group.
    features: usize,
}

impl Planner<'_> {
    /// Windows of one vector each.
    pub(super) fn matmul(&mut self, step: &Step, operator: &MatMul) -> Result<()> {
        let source = self.operand(step, 0)?;
        let vectors = source.vectors();
        let windows = Windows { outputs: vectors, ..Windows::whole(1) };
        let windows = [along(Windows::whole(1), 1), along(windows, vectors)];
        let product = self.product(step, source, windows, 1)?;
        self.activated(step, &product, operator.activation)
    }

    pub(super) fn convolution(&mut self, step: &Step, operator: &Convolution) -> Result<()> {
        let source = self.operand(step, 0)?;
        let windows = two_axes(&operator.windows, &source.shape)?;
        let product = self.product(step, source, windows, operator.groups)?;
        self.activated(step, &product, operator.activation)
    }

    fn product(
        &mut self,
        step: &Step,
        source: Array,
        windows: [kernel::Windows; 2],
        groups: usize,
    ) -> Result<Product> {
        let layout = if groups == 1 { ConstantLayout::Matrix } else { ConstantLayout::Vectors };
        let kernel = self.constant(step, 1, layout)?;
        let bias = match self.optional_constant(step, 2, ConstantLayout::Vectors)? {
            Some(bias) => bias,
            None => {
                let columns = self.columns(step)?.next_multiple_of(4);
                self.need(BufferId::Zeros, 4 * columns as u64)?;
                BufferId::Zeros
            }
        };
        let features = source.features() / groups;
        Ok(Product { source, kernel, bias, windows, groups, features })
    }

    /// The columns of a step's kernel.
    fn columns(&self, step: &Step) -> Result<usize> {
        let kernel = self.graph.shape(self.read(step, 1)?);
        Ok(kernel.last().copied().unwrap_or(1))
    }

    /// A product with the activation behind it.
    fn activated(&mut self, step: &Step, product: &Product, activation: Activation) -> Result<()> {
        let target = self.array(step.writes[0]);
        if activation == Activation::Glu {
            let mut shape = target.shape.clone();
            shape.pop();
            shape.push(self.columns(step)?);
            let sums = self.scratch_array(shape)?;
            self.dense(product, &sums, Activation::Linear);
            return self.glu(&sums, &target);
        }
        if activation.is_elementwise() {
            self.dense(product, &target, activation);
        } else {
            self.dense(product, &target, Activation::Linear);
            self.normalize_vectors(&target, OfVectors::activation(activation));
        }
        Ok(())
    }

    /// A product with an element-wise activation.
    fn dense(&mut self, product: &Product, target: &Array, activation: Activation) {
        if product.groups > 1 {
            return self.grouped(product, target, activation);
        }
        let Product { source, windows: [down, across], .. } = product;
        let (vectors, columns4) = (target.vectors(), target.features_padded() / 4);
        // Side by side along the columns as far as there are any.
        let lanes = columns4.next_power_of_two().min(WORKGROUP);
        let groups = vectors.div_ceil(4).div_ceil(WORKGROUP / lanes);
        let uniform = Dense {
            vectors: vectors as u32,
            features4: (source.features_padded() / 4) as u32,
            columns: target.features() as u32,
            columns4: columns4 as u32,
            lanes: lanes as u32,
            down: *down,
            across: *across,
            ..Dense::default()
        };
        if vectors == 0 || columns4 == 0 {
            return; // there is nothing to compute
        }
        let columns = [columns4.div_ceil(lanes), groups.min(GRID_ROW), groups.div_ceil(GRID_ROW)];
        let stage = Stage {
            kernel: Kernel::Dense,
            constants: Constants { activation, ..Constants::default() },
            buffers: vec![source.buffer, product.kernel, product.bias, target.buffer],
            uniform: uniform.into(),
            workgroups: grid(columns),
            flops: product.flops(target),
        };
        self.launch(vec![stage], None);
    }

    /// The same of a kernel in groups.
    fn grouped(&mut self, product: &Product, target: &Array, activation: Activation) {
        let Product { source, windows: [down, across], .. } = product;
        let (vectors, columns4) = (target.vectors(), target.features_padded() / 4);
        let uniform = GroupedConvolution {
            vectors: vectors as u32,
            columns: target.features() as u32,
            features: product.features as u32,
            columns_of_group: (target.features() / product.groups) as u32,
            features_padded: source.features_padded() as u32,
            columns4: columns4 as u32,
            down: *down,
            across: *across,
            ..GroupedConvolution::default()
        };
        let constants = Constants { activation, ..Constants::default() };
        let buffers = vec![source.buffer, product.kernel, product.bias, target.buffer];
        self.flat_with(Kernel::GroupedConvolution, constants, buffers, uniform, vectors * columns4);
    }

    pub(super) fn batched_matmul(&mut self, step: &Step) -> Result<()> {
        let (a, b) = (self.operand(step, 0)?, self.operand(step, 1)?);
        let target = self.array(step.writes[0]);
        let axes = target.shape.len() - 2;
        // The strides in matrices.
        let matrices = |x: &Array| {
            let shape = x.shape[..x.shape.len() - 2].to_vec();
            Route::repeating(&Array { buffer: x.buffer, shape }, axes)
        };
        let mut routes = [matrices(&a), matrices(&b)];
        let axes = joined(&target.shape[..axes], &mut routes);
        check_axes(axes.len(), 4)?;
        let [_, axis1, axis2, axis3] = behind(&axes, 1);
        let [a_stride0, a_stride1, a_stride2, a_stride3] = behind(&routes[0].strides, 0);
        let [b_stride0, b_stride1, b_stride2, b_stride3] = behind(&routes[1].strides, 0);
        let (rows, columns4) = (a.shape[a.shape.len() - 2], target.features_padded() / 4);
        let matrices: usize = axes.iter().product();
        let uniform = BatchedMatmul {
            matrices: matrices as u32,
            rows: rows as u32,
            k: a.features() as u32,
            columns: target.features() as u32,
            a_stride: a.features_padded() as u32,
            columns4: columns4 as u32,
            axis1,
            axis2,
            axis3,
            a_stride0,
            a_stride1,
            a_stride2,
            a_stride3,
            b_stride0,
            b_stride1,
            b_stride2,
            b_stride3,
        };
        let buffers = vec![a.buffer, b.buffer, target.buffer];
        let invocations = matrices * rows.div_ceil(4) * columns4;
        self.flat(Kernel::BatchedMatmul, buffers, uniform, invocations);
        Ok(())
    }
}

impl Product {
    fn flops(&self, target: &Array) -> u64 {
        let taps = self.windows.iter().map(|windows| u64::from(windows.size)).product::<u64>();
        2 * taps * (target.values() * self.features) as u64
    }
}
