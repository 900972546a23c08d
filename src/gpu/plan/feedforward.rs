//! The launches of the layers that keep no state.

use super::moving::{Array, Combine, four_axes};
use super::recurrent::View;
use super::{BufferId, Limits, Planner, Stage, WORKGROUP, grid};
use crate::error::{Error, Result};
use crate::gpu::kernel::{
    self, Affine, Constants, Dense, Elementwise, Kernel, Masking, Normalize, Pool, UniformData,
};
use crate::gpu::network::Group;
use crate::layer::{Activation, Embedding, Feedforward, Kind, Layer, Padding, axes_of, axis_of};

/// Workgroups along the first axis of a grid that is folded into rows; `GRID_ROW` in the kernels.
const GRID_ROW: usize = 32_768;

/// A grid of invocations one after another.
pub(super) fn flat_grid(invocations: usize) -> [u32; 3] {
    let workgroups = invocations.div_ceil(WORKGROUP);
    grid([workgroups.min(GRID_ROW), workgroups.div_ceil(GRID_ROW), 1])
}

/// How many rows of the batch the launches of a layer allow at a time.
pub(super) fn rows_at_once(
    layer: &Layer,
    inputs: &[usize],
    shapes: &[Vec<usize>],
    limits: &Limits,
) -> usize {
    let Layer::Feedforward(layer) = layer else { return usize::MAX };
    let scratch: usize = match &layer.kind {
        Kind::MultiHeadAttention(attention) => {
            let (queries, keys) = (shapes[inputs[0]][0], shapes[inputs[1]][0]);
            let size = attention.num_heads
                * attention.key_dim.max(attention.value_size()).next_multiple_of(4);
            (attention.num_heads * queries * keys.next_multiple_of(4)).max(queries.max(keys) * size)
        }
        Kind::Attention(_) | Kind::AdditiveAttention(_) => {
            shapes[inputs[0]][0] * shapes[inputs[1]][0].next_multiple_of(4)
        }
        // At most one array of the input's shape, its axes in another order, or one of sums that
        // glu halves.
        kind => {
            let (features, others) = shapes[inputs[0]].split_last().unwrap_or((&1, &[]));
            4 * others.iter().product::<usize>() * (*features).max(halved(kind))
        }
    };
    (limits.binding / (4 * scratch.max(1) as u64)) as usize
}

/// The features of the sums that a layer's glu halves.
fn halved(kind: &Kind) -> usize {
    match kind {
        Kind::Dense(layer) if layer.activation == Activation::Glu => layer.units,
        Kind::Conv1d(layer) if layer.activation == Activation::Glu => layer.filters,
        Kind::TimeDistributed(each) => match &*each.layer {
            Layer::Feedforward(inside) => halved(&inside.kind),
            _ => 0,
        },
        _ => 0,
    }
}

impl Planner<'_> {
    /// An array of the graph.
    pub(super) fn tensor(&self, tensor: usize) -> Array {
        let shape = [self.call.rows].iter().chain(&self.call.shapes[tensor]).copied().collect();
        Array { buffer: BufferId::Tensor { tensor, segment: 0 }, shape }
    }

    /// An array between the launches of a layer.
    pub(super) fn scratch_array(&mut self, node: usize, shape: Vec<usize>) -> Result<Array> {
        let array = Array { buffer: BufferId::Scratch { node, index: self.scratch }, shape };
        self.scratch += 1;
        self.need(array.buffer, array.bytes())?;
        Ok(array)
    }

    pub(super) fn parameter(&self, node: usize, index: usize) -> BufferId {
        BufferId::Parameter { layer: self.model.nodes[node].layer, index }
    }

    pub(super) fn feedforward(
        &mut self,
        node: usize,
        layer: &Feedforward,
        groups: &[Group],
    ) -> Result<()> {
        let result = self.model.nodes[node].results[0];
        if !self.used[result] {
            return Ok(());
        }
        for mask in self.masks.of_node[node].clone().into_iter().flatten() {
            if layer.kind.definition().computes_with_masks() {
                self.mask(mask)?;
            }
        }
        if let (Kind::TimeDistributed(each), false) = (&layer.kind, groups.is_empty()) {
            return self.recurrent_inside(node, &each.layer, groups, 1);
        }
        let sources: Vec<_> =
            self.model.nodes[node].inputs.iter().map(|&t| self.tensor(t)).collect();
        let target = self.tensor(result);
        self.apply(node, &layer.kind, &sources, &target)
    }

    fn recurrent_inside(
        &mut self,
        node: usize,
        layer: &Layer,
        groups: &[Group],
        depth: usize,
    ) -> Result<()> {
        match layer {
            Layer::Feedforward(inside) => match &inside.kind {
                Kind::TimeDistributed(each) => {
                    self.recurrent_inside(node, &each.layer, groups, depth + 1)
                }
                _ => Ok(()),
            },
            layer => {
                let view = View::inside(self, node, depth);
                self.keep_inner_masks(node, depth);
                self.recurrent(node, layer, groups, view)
            }
        }
    }

    /// Forgets the masks that only have the outer timesteps of a TimeDistributed: they say nothing
    /// about what the layer in it reads.
    fn keep_inner_masks(&mut self, node: usize, depth: usize) {
        for slot in 0..self.masks.of_node[node].len() {
            let axes = |mask| self.masks.shape(self.model, &self.call.shapes, mask).len();
            if self.masks.of_node[node][slot].is_some_and(|mask| axes(mask) <= depth) {
                self.masks.of_node[node][slot] = None;
            }
        }
    }

    /// The launches that compute `target` from `sources`.
    fn apply(&mut self, node: usize, kind: &Kind, sources: &[Array], target: &Array) -> Result<()> {
        let source = &sources[0];
        match kind {
            Kind::Identity(_) => self.copy(source, target, Combine::Store),
            Kind::Activation(layer) => self.activation(node, layer.activation, source, target)?,
            Kind::Relu(layer) => {
                let lowest = if layer.max_value.is_some() { 0.0 } else { f32::MIN };
                let numbers = [
                    layer.negative_slope,
                    layer.max_value.unwrap_or(f32::MAX),
                    layer.threshold,
                    lowest,
                ];
                self.elementwise(Activation::Linear, Some(numbers), source, target);
            }
            Kind::PRelu(layer) => {
                let strides = shared_strides(&source.shape[1..], &layer.shared_axes);
                self.affine(node, source, target, &strides, true)?;
            }
            Kind::BatchNormalization(layer) => {
                let axis = axis_of(layer.axis, source.shape.len() - 1).map_err(Error::Graph)?;
                let strides: Vec<_> =
                    (0..source.shape.len() - 1).map(|i| usize::from(i == axis)).collect();
                self.affine(node, source, target, &strides, false)?;
            }
            Kind::Softmax(layer) => {
                self.normalize(node, source, target, &[layer.axis], Normalization::softmax())?
            }
            Kind::LayerNormalization(layer) => {
                let normalization = Normalization {
                    mode: 2,
                    epsilon: layer.epsilon as f32,
                    gamma: layer.scale.then(|| self.parameter(node, 0)),
                    beta: layer.center.then(|| self.parameter(node, 1)),
                };
                self.normalize(node, source, target, &layer.axis, normalization)?;
            }
            Kind::RmsNormalization(layer) => {
                let gamma = Some(self.parameter(node, 0));
                let normalization =
                    Normalization { mode: 3, epsilon: layer.epsilon as f32, gamma, beta: None };
                self.normalize(node, source, target, &layer.axis, normalization)?;
            }
            Kind::UnitNormalization(layer) => {
                let normalization =
                    Normalization { mode: 4, epsilon: 1e-24, gamma: None, beta: None };
                self.normalize(node, source, target, &layer.axis, normalization)?;
            }
            Kind::Dense(layer) => {
                let parameters = [self.parameter(node, 0), self.parameter(node, 1)];
                self.activated(
                    node,
                    parameters,
                    source,
                    target,
                    Windows::vectors(source),
                    layer.activation,
                )?;
            }
            Kind::Conv1d(layer) => {
                let parameters = [self.parameter(node, 0), self.parameter(node, 1)];
                let windows = Windows {
                    outputs: target.shape[1],
                    timesteps: source.shape[1],
                    taps: layer.kernel_size,
                    strides: layer.strides,
                    dilation_rate: layer.dilation_rate,
                    before: layer.padding.before(source.shape[1], layer.window(), layer.strides),
                };
                self.activated(node, parameters, source, target, windows, layer.activation)?;
            }
            Kind::MaxPooling1d(layer) => {
                self.pool(
                    source,
                    target,
                    layer.pool_size,
                    layer.strides.unwrap_or(layer.pool_size),
                    layer.padding,
                    false,
                    None,
                );
            }
            Kind::AveragePooling1d(layer) => {
                self.pool(
                    source,
                    target,
                    layer.pool_size,
                    layer.strides.unwrap_or(layer.pool_size),
                    layer.padding,
                    true,
                    None,
                );
            }
            Kind::GlobalMaxPooling1d(_) => {
                self.pool(source, target, source.shape[1], 1, Padding::Valid, false, None);
            }
            Kind::GlobalAveragePooling1d(_) => {
                let mask = self.masks.of_node[node][0];
                self.pool(source, target, source.shape[1], 1, Padding::Valid, true, mask);
            }
            Kind::Embedding(layer) => self.embedding(node, layer, source, target),
            Kind::Masking(layer) => {
                let vectors = source.vectors();
                let uniform = Masking {
                    vectors: vectors as u32,
                    features: source.features() as u32,
                    features_padded: source.features_padded() as u32,
                    mask_value: layer.mask_value,
                };
                self.flat(Kernel::Masking, vec![source.buffer, target.buffer], uniform, vectors);
            }
            Kind::Merge(layer) => self.merge_arrays(node, layer.operation, sources, target)?,
            Kind::Concatenate(layer) => {
                let axis = axis_of(layer.axis, target.shape.len() - 1).map_err(Error::Graph)? + 1;
                let mut first = 0;
                for source in sources {
                    self.copy_into(source, target, axis, first, Combine::Store);
                    first += source.shape[axis];
                }
            }
            Kind::Flatten(_) | Kind::Reshape(_) => self.reshape(source, target),
            Kind::Permute(layer) => {
                let order: Vec<_> = [0].into_iter().chain(layer.dims.iter().copied()).collect();
                self.permute(source, target, &order)?;
            }
            Kind::RepeatVector(_) => {
                let strides = vec![source.features(), 0, 1];
                self.walk(
                    source,
                    target,
                    target.shape.clone(),
                    strides,
                    target.strides(),
                    Combine::Store,
                )?;
            }
            Kind::Cropping1d(layer) => {
                let offset = layer.cropping.0 * source.features();
                self.shift(source, target, target.shape.clone(), offset, 0)?;
            }
            Kind::ZeroPadding1d(layer) => {
                self.copy(target, target, Combine::Zero);
                let offset = layer.padding.0 * target.features();
                self.shift(source, target, source.shape.clone(), 0, offset)?;
            }
            Kind::UpSampling1d(layer) => {
                let [batch, timesteps, features] = source.shape[..] else {
                    return Err(Error::Graph(format!(
                        "UpSampling1D of an array of shape {:?}",
                        source.shape
                    )));
                };
                let source_strides = vec![timesteps * features, features, 0, 1];
                let target_strides =
                    vec![timesteps * layer.size * features, layer.size * features, features, 1];
                let axes = vec![batch, timesteps, layer.size, features];
                self.walk(source, target, axes, source_strides, target_strides, Combine::Store)?;
            }
            Kind::Attention(layer) => self.attention(node, layer, sources, target)?,
            Kind::AdditiveAttention(layer) => {
                self.additive_attention(node, layer, sources, target)?
            }
            Kind::MultiHeadAttention(layer) => {
                self.multi_head_attention(node, layer, sources, target)?
            }
            Kind::TimeDistributed(each) => {
                let Layer::Feedforward(inside) = &*each.layer else {
                    return Err(Error::Graph(format!(
                        "the recurrent layer {:?} in a TimeDistributed is planned with its groups",
                        each.layer.name()
                    )));
                };
                self.keep_inner_masks(node, 1);
                let sources: Vec<_> = sources.iter().map(Array::folded).collect();
                let target = match target.shape.len() {
                    2 => Array { buffer: target.buffer, shape: vec![target.values()] },
                    _ => target.folded(),
                };
                self.apply(node, &inside.kind, &sources, &target)?;
            }
        }
        Ok(())
    }

    /// A launch of one invocation after another.
    pub(super) fn flat(
        &mut self,
        kernel: Kernel,
        buffers: Vec<BufferId>,
        uniform: impl Into<UniformData>,
        invocations: usize,
    ) {
        let constants = Constants::default();
        let (uniform, workgroups) = (uniform.into(), flat_grid(invocations));
        self.launch(
            vec![Stage { kernel, constants, buffers, uniform, workgroups, flops: 0 }],
            None,
        );
    }

    fn activation(
        &mut self,
        node: usize,
        activation: Activation,
        source: &Array,
        target: &Array,
    ) -> Result<()> {
        match activation {
            Activation::Glu => self.glu(node, source, target)?,
            activation if activation.is_elementwise() => {
                self.elementwise(activation, None, source, target)
            }
            activation => {
                self.copy(source, target, Combine::Store);
                self.normalize_vectors(target, Normalization::of_activation(activation));
            }
        }
        Ok(())
    }

    /// The first half of each vector times the sigmoid of the second.
    fn glu(&mut self, node: usize, source: &Array, target: &Array) -> Result<()> {
        let gates = self.scratch_array(node, source.shape.clone())?;
        self.elementwise(Activation::Sigmoid, None, source, &gates);
        self.take_features(source, target, 0, Combine::Store);
        self.take_features(&gates, target, target.features(), Combine::Multiply);
        Ok(())
    }

    /// An activation, or the ReLU layer with its negative_slope, max_value, threshold and least
    /// value above that.
    fn elementwise(
        &mut self,
        activation: Activation,
        relu: Option<[f32; 4]>,
        source: &Array,
        target: &Array,
    ) {
        let features4 = source.features_padded() / 4;
        let [negative_slope, max_value, threshold, lowest] = relu.unwrap_or_default();
        let uniform = Elementwise {
            vectors: source.vectors() as u32,
            features: source.features() as u32,
            features4: features4 as u32,
            relu: relu.is_some().into(),
            negative_slope,
            max_value,
            threshold,
            lowest,
        };
        let stage = Stage {
            kernel: Kernel::Elementwise,
            constants: Constants { activation, ..Constants::default() },
            buffers: vec![source.buffer, target.buffer],
            uniform: uniform.into(),
            workgroups: flat_grid(source.vectors() * features4),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }

    /// `strides`: of the weights, along each axis but the batch.
    fn affine(
        &mut self,
        node: usize,
        source: &Array,
        target: &Array,
        strides: &[usize],
        prelu: bool,
    ) -> Result<()> {
        four_axes(source.shape.len())?;
        let mut axes = [1; 3];
        axes[4 - source.shape.len()..].copy_from_slice(&source.shape[1..]);
        let mut weight_strides = [0; 3];
        weight_strides[3 - strides.len()..].copy_from_slice(strides);
        let [stride1, stride2, stride3] = weight_strides.map(|stride| stride as u32);
        let uniform = Affine {
            values: source.values() as u32,
            features: source.features() as u32,
            features_padded: source.features_padded() as u32,
            axis1: axes[0] as u32,
            axis2: axes[1] as u32,
            stride1,
            stride2,
            stride3,
            prelu: prelu.into(),
        };
        let shift = if prelu { BufferId::Nothing } else { self.parameter(node, 1) };
        let buffers = vec![source.buffer, self.parameter(node, 0), shift, target.buffer];
        self.flat(Kernel::Affine, buffers, uniform, source.values());
        Ok(())
    }

    /// Normalizes over axes: where they aren't the last, the array is turned so that they are, and
    /// back.
    fn normalize(
        &mut self,
        node: usize,
        source: &Array,
        target: &Array,
        axes: &[isize],
        normalization: Normalization,
    ) -> Result<()> {
        let rank = source.shape.len();
        let dims = vec![None; rank - 1];
        let axes: Vec<_> =
            axes_of(axes, &dims).map_err(Error::Graph)?.into_iter().map(|axis| axis + 1).collect();
        if axes == [rank - 1] {
            self.copy(source, target, Combine::Store);
            self.normalize_vectors(target, normalization);
            return Ok(());
        }
        let order: Vec<_> =
            (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect();
        let turned_shape: Vec<_> = order.iter().map(|&axis| source.shape[axis]).collect();
        let (outer, inner) = turned_shape.split_at(rank - axes.len());
        let vectors = vec![outer.iter().product(), inner.iter().product()];
        let turned = self.scratch_array(node, vectors)?;
        four_axes(rank)?;
        let in_order = Array { buffer: turned.buffer, shape: turned_shape }.strides();
        let strides = source.strides();
        let from: Vec<_> = order.iter().map(|&axis| strides[axis]).collect();
        let axes: Vec<_> = order.iter().map(|&axis| source.shape[axis]).collect();
        self.walk(source, &turned, axes.clone(), from.clone(), in_order.clone(), Combine::Store)?;
        self.normalize_vectors(&turned, normalization);
        self.walk(&turned, target, axes, in_order, from, Combine::Store)
    }

    /// Normalizes each vector in place.
    pub(super) fn normalize_vectors(&mut self, array: &Array, normalization: Normalization) {
        let Normalization { mode, epsilon, gamma, beta } = normalization;
        let vectors = array.vectors();
        let uniform = Normalize {
            vectors: vectors as u32,
            features: array.features() as u32,
            features_padded: array.features_padded() as u32,
            mode,
            epsilon,
            has_gamma: gamma.is_some().into(),
            has_beta: beta.is_some().into(),
        };
        let nothing = BufferId::Nothing;
        let buffers = vec![gamma.unwrap_or(nothing), beta.unwrap_or(nothing), array.buffer];
        self.flat(Kernel::NormalizeVectors, buffers, uniform, vectors);
    }

    /// A dense launch with the activation behind it.
    fn activated(
        &mut self,
        node: usize,
        parameters: [BufferId; 2],
        source: &Array,
        target: &Array,
        windows: Windows,
        activation: Activation,
    ) -> Result<()> {
        if activation != Activation::Glu {
            return self.dense(parameters, source, target, windows, activation);
        }
        let mut shape = target.shape.clone();
        shape.pop();
        shape.push(2 * target.features());
        let sums = self.scratch_array(node, shape)?;
        self.dense(parameters, source, &sums, windows, Activation::Linear)?;
        self.glu(node, &sums, target)
    }

    pub(super) fn dense(
        &mut self,
        [kernel, bias]: [BufferId; 2],
        source: &Array,
        target: &Array,
        windows: Windows,
        activation: Activation,
    ) -> Result<()> {
        let (vectors, columns4) = (target.vectors(), target.features_padded() / 4);
        // Side by side along the columns as far as there are any.
        let lanes = columns4.next_power_of_two().min(WORKGROUP);
        let groups = vectors.div_ceil(4).div_ceil(WORKGROUP / lanes);
        let elementwise = activation.is_elementwise();
        let stage = Stage {
            kernel: Kernel::Dense,
            constants: Constants {
                activation: if elementwise { activation } else { Activation::Linear },
                ..Constants::default()
            },
            buffers: vec![source.buffer, kernel, bias, target.buffer],
            uniform: Dense {
                vectors: vectors as u32,
                outputs: windows.outputs as u32,
                timesteps: windows.timesteps as u32,
                features4: (source.features_padded() / 4) as u32,
                columns: target.features() as u32,
                columns4: columns4 as u32,
                taps: windows.taps as u32,
                strides: windows.strides as u32,
                dilation_rate: windows.dilation_rate as u32,
                before: windows.before as u32,
                lanes: lanes as u32,
            }
            .into(),
            workgroups: grid([
                columns4.div_ceil(lanes),
                groups.min(GRID_ROW),
                groups.div_ceil(GRID_ROW),
            ]),
            flops: 2
                * (vectors * windows.taps * source.features()) as u64
                * target.features() as u64,
        };
        self.launch(vec![stage], None);
        if !elementwise {
            self.normalize_vectors(target, Normalization::of_activation(activation));
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn pool(
        &mut self,
        source: &Array,
        target: &Array,
        pool_size: usize,
        strides: usize,
        padding: Padding,
        mean: bool,
        mask: Option<usize>,
    ) {
        let timesteps = source.shape[1];
        let outputs = padding.outputs(timesteps, pool_size, strides);
        let vectors = source.shape[0] * outputs;
        let features4 = source.features_padded() / 4;
        let uniform = Pool {
            vectors: vectors as u32,
            outputs: outputs as u32,
            timesteps: timesteps as u32,
            features4: features4 as u32,
            pool_size: pool_size as u32,
            strides: strides as u32,
            before: padding.before(timesteps, pool_size, strides) as u32,
            mean: mean.into(),
            masked: mask.is_some().into(),
            mask_padded: timesteps.next_multiple_of(4) as u32,
        };
        let mask = mask.map_or(BufferId::Nothing, BufferId::Mask);
        self.flat(
            Kernel::Pool,
            vec![source.buffer, mask, target.buffer],
            uniform,
            vectors * features4,
        );
    }

    fn embedding(&mut self, node: usize, layer: &Embedding, source: &Array, target: &Array) {
        let features4 = target.features_padded() / 4;
        let places = source.values();
        let uniform = kernel::Embedding {
            places: places as u32,
            ids: source.features() as u32,
            ids_padded: source.features_padded() as u32,
            features4: features4 as u32,
            input_dim: layer.input_dim as u32,
        };
        let buffers = vec![source.buffer, self.parameter(node, 0), target.buffer];
        self.flat(Kernel::Embedding, buffers, uniform, places * features4);
    }
}

/// The windows of timesteps that a dense launch multiplies.
pub(super) struct Windows {
    outputs: usize,
    timesteps: usize,
    taps: usize,
    strides: usize,
    dilation_rate: usize,
    before: usize,
}

impl Windows {
    /// Each vector by itself.
    pub fn vectors(source: &Array) -> Windows {
        let vectors = source.vectors();
        Windows {
            outputs: vectors,
            timesteps: vectors,
            taps: 1,
            strides: 1,
            dilation_rate: 1,
            before: 0,
        }
    }
}

/// What is done to each vector; the modes of `normalize_vectors.wgsl`.
pub(super) struct Normalization {
    mode: u32,
    epsilon: f32,
    gamma: Option<BufferId>,
    beta: Option<BufferId>,
}

impl Normalization {
    pub fn softmax() -> Normalization {
        Normalization { mode: 0, epsilon: 0.0, gamma: None, beta: None }
    }

    fn of_activation(activation: Activation) -> Normalization {
        let mode = match activation {
            Activation::LogSoftmax => 1,
            Activation::Sparsemax => 5,
            _ => 0,
        };
        Normalization { mode, ..Normalization::softmax() }
    }
}

/// The strides of a weight with length one along the shared axes, which count from 1.
fn shared_strides(shape: &[usize], shared_axes: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for axis in (0..shape.len()).rev() {
        if !shared_axes.contains(&(axis + 1)) {
            strides[axis] = stride;
            stride *= shape[axis];
        }
    }
    strides
}
