// What the arrays of recurrent kernels are made of, in memory: floats. vectors_in_words.wgsl is the
// same in words of 64 bits. Stands before every kernel that reads or writes such an array.

alias StoredVector = vec4<f32>;
// Three floats in the place of four.
alias StoredThree = vec3<f32>;
// Four 16-bit floats.
alias StoredHalves = vec2<u32>;

fn vector(stored: StoredVector) -> vec4<f32> {
    return stored;
}

fn stored_vector(value: vec4<f32>) -> StoredVector {
    return value;
}

fn three(stored: StoredThree) -> vec3<f32> {
    return stored;
}

fn stored_three(value: vec3<f32>) -> StoredThree {
    return value;
}

fn halves(stored: StoredHalves) -> vec2<u32> {
    return stored;
}
