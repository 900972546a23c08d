// The number of an invocation in a grid of any length, folded into rows of GRID_ROW workgroups.
// For kernels that run once a value or once a vector.

#import shared/invocation

override WORKGROUP: u32 = 64u;
const GRID_ROW: u32 = 32768u;

fn flat(invocation: Invocation) -> u32 {
    let workgroup = invocation.workgroup.y * GRID_ROW + invocation.workgroup.x;
    return workgroup * WORKGROUP + invocation.lane;
}
