// The number of an invocation in a grid of any length, folded into rows of GRID_ROW workgroups.
// Stands before every kernel that runs once a value or once a vector.

override WORKGROUP: u32 = 64u;
const GRID_ROW: u32 = 32768u;

fn flat(workgroup: vec3<u32>, lane: u32) -> u32 {
    return (workgroup.y * GRID_ROW + workgroup.x) * WORKGROUP + lane;
}
