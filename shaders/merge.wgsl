// Writes what directions computed in a chunk of steps into its place in an output, one merged with
// what the other direction wrote there before, or two side by side. With one step it writes the
// last output. Stands after merge_unit.wgsl.

@compute @workgroup_size(WORKGROUP)
fn merge(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let unit = workgroup.x * WORKGROUP + lane;
    if unit >= p.units { return; }
    merge_unit(unit, workgroup.y, workgroup.z);
}
