// What a mask does to a step. Stands before every step kernel that writes a state; each declares step_mask.
//
//   step_mask  [direction][step of the chunk][batch4], from step_mask.wgsl: 2 where the timestep counts

// 1: the layer's input has a mask. 0: step_mask is not read.
override MASKED: u32 = 0u;

// The state after the step: the old one where the timestep is masked.
fn masked(p: Place, row: u32, old: vec4<f32>, stepped: vec4<f32>) -> vec4<f32> {
    if MASKED == 0u { return stepped; }
    let code = step_mask[(p.direction * recurrence.steps + step.index) * recurrence.batch4 + row];
    return select(old, stepped, code > vec4(1.5));
}
