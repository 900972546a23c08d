// What every recurrent kernel is told and how the arrays that it shares are laid out. Stands before
// every step and sequence kernel.
//
//   projection  [direction][step of the chunk][group][unit]   x·kernel + bias: the gates of a unit,
//   each of a group's rows states      one after the other:
//     the hidden states  [direction][slot][group][unit]    a ring: step s reads slot s mod slots,
//     writes the next what the cell keeps, from cell_start on  [direction][group][unit]    an
//     LSTM's cell state what the mask means, from mask_start on  [direction][step of the
//     chunk][group]    from step_mask.wgsl
//
// group: four rows of the batch, the last one filled up with rows that nothing reads; or the one
// row of a batch of one.

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
    // Of to_outputs.wgsl. The first step of the chunk that is in the output; `steps`: none is.
    // Where that step stands in time, of both directions, and bit d: the steps of direction d run
    // back in time from there.
    first_written: u32,
    first_timestep_0: u32,
    first_timestep_1: u32,
    reversed: u32,
    // Of the output: rows, timesteps, features filled up to a multiple of four, the first feature
    // of both directions.
    batch: u32,
    timesteps: u32,
    features_padded: u32,
    first_feature_0: u32,
    first_feature_1: u32,
    // Bit 2 s + d: state s of direction d, 0 the hidden state and 1 the cell state, is final. Units
    // filled up to a multiple of four.
    final_states: u32,
    units_padded: u32,
}

@group(0) @binding(0) var<uniform> recurrence: Recurrence;
@group(0) @binding(3) var<storage, read_write> states: array<StoredRows>;

override WORKGROUP: u32 = 64u;
// The gates that the kernel has of a unit, and the first that is computed.
override KERNEL_GATES: u32 = GATES;
override FIRST_GATE: u32 = 0u;

// Where a direction stands in the recurrent weights: in a stack of layers, of which each is a
// direction, not where its states stand if it runs alone.
fn weights_direction(direction: u32) -> u32 {
    return direction + recurrence.weights_before;
}

// Where the weights of a unit start.
fn weights_start(direction: u32, unit: u32) -> u32 {
    let units = recurrence.units;
    let vectors = (units + 3u) / 4u * KERNEL_GATES;
    return weights_direction(direction) * vectors * units + unit_start(unit, vectors) + FIRST_GATE * panel_units(units);
}

// Where a direction's hidden states of before a step of the chunk start.
fn slot_start(direction: u32, step: u32) -> u32 {
    let slot = (recurrence.first_step + step) % recurrence.slots;
    return (direction * recurrence.slots + slot) * recurrence.groups * recurrence.units;
}

// Where a direction's states of what the cell keeps start; `array`: the number of the array.
fn cell_start(direction: u32, array: u32) -> u32 {
    let directions = recurrence.directions;
    return recurrence.cell_start + (array * directions + direction) * recurrence.groups * recurrence.units;
}
