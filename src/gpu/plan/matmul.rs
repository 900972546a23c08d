//! The launches of matrix products: over the last axis, and over windows of timesteps.

use super::array::Array;
use super::launch::{BufferId, Stage, WORKGROUP, grid};
use super::normalize::OfVectors;
use super::planner::{GRID_ROW, Planner};
use super::weight::ConstantLayout;
use crate::error::Result;
use crate::gpu::kernel::{Constants, Dense, Kernel};
use crate::graph::Step;
use crate::layer::Activation;
use crate::operator::{Convolution, MatMul, Windows};

/// A matrix product before its activation.
struct Product {
    source: Array,
    kernel: BufferId,
    bias: BufferId,
    windows: Windows,
    /// Of a sequence that windows are taken of.
    timesteps: usize,
}

impl Planner<'_> {
    /// Windows of one vector each.
    pub(super) fn matmul(&mut self, step: &Step, operator: &MatMul) -> Result<()> {
        let source = self.operand(step, 0)?;
        let vectors = source.vectors();
        let windows = Windows { outputs: vectors, ..Windows::whole(1) };
        let product = self.product(step, source, windows, vectors, 1)?;
        self.activated(step, &product, operator.activation)
    }

    pub(super) fn convolution(&mut self, step: &Step, operator: &Convolution) -> Result<()> {
        let source = self.operand(step, 0)?;
        let timesteps = source.shape[1];
        let product = self.product(step, source, operator.windows, timesteps, operator.groups)?;
        self.activated(step, &product, operator.activation)
    }

    fn product(
        &mut self,
        step: &Step,
        source: Array,
        windows: Windows,
        timesteps: usize,
        groups: usize,
    ) -> Result<Product> {
        let kernel = self.constant(step, 1, ConstantLayout::Matrix { groups })?;
        let bias = match self.optional_constant(step, 2, ConstantLayout::Vectors)? {
            Some(bias) => bias,
            None => {
                let columns = self.columns(step)?.next_multiple_of(4);
                self.need(BufferId::Zeros, 4 * columns as u64)?;
                BufferId::Zeros
            }
        };
        Ok(Product { source, kernel, bias, windows, timesteps })
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
        let Product { source, windows, .. } = product;
        let (vectors, columns4) = (target.vectors(), target.features_padded() / 4);
        // Side by side along the columns as far as there are any.
        let lanes = columns4.next_power_of_two().min(WORKGROUP);
        let groups = vectors.div_ceil(4).div_ceil(WORKGROUP / lanes);
        let uniform = Dense {
            vectors: vectors as u32,
            outputs: windows.outputs as u32,
            timesteps: product.timesteps as u32,
            features4: (source.features_padded() / 4) as u32,
            columns: target.features() as u32,
            columns4: columns4 as u32,
            taps: windows.size as u32,
            strides: windows.strides as u32,
            dilation_rate: windows.dilation as u32,
            before: windows.before as u32,
            lanes: lanes as u32,
        };
        let columns = [columns4.div_ceil(lanes), groups.min(GRID_ROW), groups.div_ceil(GRID_ROW)];
        let flops = 2 * (vectors * windows.size * source.features()) as u64;
        let stage = Stage {
            kernel: Kernel::Dense,
            constants: Constants { activation, ..Constants::default() },
            buffers: vec![source.buffer, product.kernel, product.bias, target.buffer],
            uniform: uniform.into(),
            workgroups: grid(columns),
            flops: flops * target.features() as u64,
        };
        self.launch(vec![stage], None);
    }
}
