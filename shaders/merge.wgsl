// Writes what directions computed in a chunk of steps into its place in an output, one merged with
// what the other direction wrote there before, or two side by side. With one step it writes the
// last output.

#import shared/merge_unit

@group(0) @binding(0) var<uniform> p: Merge;
// As recurrence.wgsl has them: the ring of hidden states, [slot][group][unit][row of the group]
// from a direction's start on; [step][group][row of the group] from its mask_start on, 0 where the
// output is zero.
@group(0) @binding(1) var<storage, read> states: array<f32>;
// [batch][timesteps of the segment][features_padded]
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn merge(invocation: Invocation) {
    let unit = invocation.workgroup.x * WORKGROUP + invocation.lane;
    if unit >= p.units { return; }
    merge_unit(unit, invocation.workgroup.y, invocation.workgroup.z);
}
