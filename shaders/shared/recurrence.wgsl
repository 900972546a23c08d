// What every recurrent kernel is told, and how the arrays that these kernels share are laid out:
//
//   projection  [direction][step of the chunk][group][unit]: x·kernel + bias, the gates of a unit
//               one after the other, each of a group's rows
//   states      the hidden states  [direction][slot][group][unit]: a ring, step s reads slot
//               s mod slots and writes the next one;
//               what the cell keeps, from cell_start on  [array][direction][group][unit]: a cell
//               state, or what goes from a first product to a second (two_products.wgsl);
//               what the mask means, from mask_start on  [direction][step of the chunk][group]: as
//               step_mask.wgsl writes it
//
// group: four rows of the batch, the last group filled up with rows that nothing reads; or the one
// row of a batch of one.

#import shared/activations
#import shared/rows
#import shared/weights

struct Recurrence {
    groups: u32,
    units: u32,
    slots: u32,
    // Steps before this chunk, and in it.
    first_step: u32,
    steps: u32,
    cell_start: u32,
    mask_start: u32,
    directions: u32,
    // 1: the chunk starts from zeros, and nothing has written its initial states.
    zeros: u32,
    // The direction of the first workgroup.
    first_direction: u32,
    // How many directions stand before the first one of all in the recurrent weights.
    weights_before: u32,
    // The rest is for kernels that write the layer's outputs (outputs.wgsl).
    // The first step of the chunk that is in the output; `steps`: none is.
    first_written: u32,
    // Where that step stands in time, of both directions.
    first_timestep_0: u32,
    first_timestep_1: u32,
    // Bit d: the steps of direction d run back in time from there.
    reversed: u32,
    // Of the output: rows, timesteps, features filled up to a multiple of four, and the first
    // feature of both directions.
    batch: u32,
    timesteps: u32,
    features_padded: u32,
    first_feature_0: u32,
    first_feature_1: u32,
    // Bit 2 s + d: state s of direction d, 0 the hidden state and 1 the cell state, is final.
    final_states: u32,
    // Units filled up to a multiple of four.
    units_padded: u32,
    // Of persistent kernels: the groups of rows that are computed side by side, and how often an
    // invocation looks for a value of another workgroup.
    groups_at_once: u32,
    looks: u32,
}

override WORKGROUP: u32 = 64u;
// The numbers of the activations in activations.wgsl, and their parameters.
override ACTIVATION: u32 = 1u;
override ACTIVATION_ALPHA: f32 = 0.0;
override ACTIVATION_BETA: f32 = 0.0;
override RECURRENT_ACTIVATION: u32 = 2u;
override RECURRENT_ALPHA: f32 = 0.0;
override RECURRENT_BETA: f32 = 0.0;

// Where a direction stands in the recurrent weights: in a stack of layers, of which each is a
// direction, not where its states stand if it runs alone.
fn weights_direction(direction: u32) -> u32 {
    return direction + recurrence.weights_before;
}

// Where the weights of a unit start.
fn weights_start(direction: u32, unit: u32) -> u32 {
    let units = recurrence.units;
    let vectors = (units + 3u) / 4u * KERNEL_GATES;
    let first = weights_direction(direction) * vectors * units;
    return first + unit_start(unit, vectors) + FIRST_GATE * panel_units(units);
}

// Where a direction's hidden states of before a step of the chunk start.
fn slot_start(direction: u32, step: u32) -> u32 {
    let slot = (recurrence.first_step + step) % recurrence.slots;
    return (direction * recurrence.slots + slot) * recurrence.groups * recurrence.units;
}

// Where a direction's states of what the cell keeps start; `array`: the number of the array.
fn cell_start(direction: u32, array: u32) -> u32 {
    let place = array * recurrence.directions + direction;
    return recurrence.cell_start + place * recurrence.groups * recurrence.units;
}
