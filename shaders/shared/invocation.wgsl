// What an invocation knows of its place.

struct Invocation {
    @builtin(workgroup_id) workgroup: vec3<u32>,
    // The number of the invocation in its workgroup.
    @builtin(local_invocation_index) lane: u32,
#if SUBGROUPS
    // The same in its subgroup.
    @builtin(subgroup_invocation_id) subgroup_lane: u32,
#endif
}
