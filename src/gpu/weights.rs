//! Weights on the device: checked, packed, and uploaded once.

use super::device::GpuDevice;
use super::network::{Group, WeightPart, recurrent_of};
use super::parameters::pack;
use super::plan::BufferId;
use crate::error::{Error, Result};
use crate::layer::{Layer, Weights};
use crate::model::Model;
use std::collections::HashMap;

pub(super) fn create_buffer(
    device: &GpuDevice,
    bytes: u64,
    usage: wgpu::BufferUsages,
) -> wgpu::Buffer {
    device.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("birnn"),
        size: bytes.max(16),
        usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: false,
    })
}

/// The least number that a 16-bit float rounds to infinity.
const TOO_LARGE_FOR_HALF: f32 = 65520.0;

/// That no kernel holds a weight that 16 bits would make infinite.
pub(super) fn check_halves(model: &Model) -> Result<()> {
    for layer in model.layers().map(Layer::innermost) {
        for (_, direction) in layer.directions() {
            let missing = || Error::MissingWeights { layer: layer.name().to_string() };
            let weights = direction.weights().ok_or_else(missing)?;
            let values = weights.kernel().iter().chain(weights.recurrent_kernel());
            if let Some(value) = values.copied().find(|value| value.abs() >= TOO_LARGE_FOR_HALF) {
                return Err(Error::Argument {
                    layer: layer.name().to_string(),
                    argument: "half_weights".into(),
                    reason: format!(
                        "a kernel holds {value}, and 16-bit floats end at 65504; open the device without half_weights"
                    ),
                });
            }
        }
    }
    Ok(())
}

pub(super) fn upload_weights(
    model: &Model,
    all: &[Vec<Group>],
    device: &GpuDevice,
) -> HashMap<BufferId, wgpu::Buffer> {
    let mut buffers = HashMap::new();
    for (layer, groups) in all.iter().enumerate() {
        let built = &model.layers[layer];
        let (recurrent, _) = recurrent_of(&built.layer, &built.inputs);
        let directions = recurrent.directions();
        if let Layer::Feedforward(feedforward) = &built.layer {
            for (index, packed) in pack(feedforward).into_iter().enumerate() {
                let buffer =
                    create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Parameter { layer, index }, buffer);
            }
        }
        for (group_index, group) in groups.iter().enumerate() {
            let own: Vec<_> = group
                .directions
                .iter()
                .filter_map(|&member| directions[member].1.weights())
                .collect();
            let of_stack = group.stacked.map(|stacked| stack_weights(model, all, stacked.lowest));
            for part in WeightPart::ALL {
                let weights = match (part.is_recurrent(), &of_stack) {
                    (true, Some(_)) if group.stacked.is_some_and(|stacked| stacked.place > 0) => {
                        continue;
                    }
                    (true, Some(weights)) => weights,
                    _ => &own,
                };
                let packed = group.pack(weights, part);
                let buffer =
                    create_buffer(device, 4 * packed.len() as u64, wgpu::BufferUsages::STORAGE);
                device.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&packed));
                buffers.insert(BufferId::Weight { layer, group: group_index, part }, buffer);
            }
        }
    }
    // wgpu keeps a copy of what was written until the next submit, which a session that is never
    // called doesn't make.
    device.queue.submit([]);
    buffers
}

/// The weights of the layers of a stack, from the lowest on.
fn stack_weights<'m>(model: &'m Model, groups: &[Vec<Group>], lowest: usize) -> Vec<&'m Weights> {
    let place = |layer: usize| {
        let stacked = groups[layer].first().and_then(|group| group.stacked);
        stacked.filter(|stacked| stacked.lowest == lowest).map(|stacked| (stacked.place, layer))
    };
    let mut layers: Vec<_> = (0..groups.len()).filter_map(place).collect();
    layers.sort_unstable();
    layers
        .into_iter()
        .filter_map(|(_, layer)| model.layers[layer].layer.directions()[0].1.weights())
        .collect()
}
