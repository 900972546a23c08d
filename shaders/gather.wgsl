// output = for each id the index of an axis of x: the rows of an embedding's table, for example.

#import shared/flat
#import shared/padded

struct Gather {
    values: u32,
    // How many values follow an index of the axis.
    behind: u32,
    // The length of the axis.
    length: u32,
    // How many ids there are.
    places: u32,
    // The last axes of x, of the ids and of the output.
    x_features: u32,
    ids_features: u32,
    features: u32,
    // 1: ids below zero count from the end.
    from_end: u32,
}

@group(0) @binding(0) var<uniform> p: Gather;
// [before][length][behind], the last axis filled up to a multiple of 4.
@group(0) @binding(1) var<storage, read> x: array<f32>;
// [place], the same.
@group(0) @binding(2) var<storage, read> ids: array<f32>;
// [before][place][behind], the same.
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn gather(invocation: Invocation) {
    let index = flat(invocation);
    if index >= p.values { return; }
    let vector = index / p.behind;
    var id = ids[padded(vector % p.places, p.ids_features)];
    if p.from_end == 1u && id < 0.0 { id += f32(p.length); }
    // Not `clamp`, of which a driver may make anything where the id is NaN: then it is row 0.
    var row = 0u;
    if id > 0.0 { row = u32(min(id, f32(p.length - 1u))); }
    let source = (vector / p.places * p.length + row) * p.behind + index % p.behind;
    output[padded(index, p.features)] = x[padded(source, p.x_features)];
}
