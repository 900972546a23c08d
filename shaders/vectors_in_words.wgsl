// As vectors_in_floats.wgsl, in words of 64 bits. For software adapters that have them: llvmpipe
// loads and stores scalar by scalar, and checks the bounds of each, so that half as many are half
// the work.

alias StoredVector = vec2<u64>;
alias StoredThree = vec2<u64>;
alias StoredHalves = u64;

fn parts(word: u64) -> vec2<u32> {
    return vec2(u32(word), u32(word >> 32u));
}

fn word(low: u32, high: u32) -> u64 {
    return u64(low) | (u64(high) << 32u);
}

fn vector(stored: StoredVector) -> vec4<f32> {
    return bitcast<vec4<f32>>(vec4(parts(stored.x), parts(stored.y)));
}

fn stored_vector(value: vec4<f32>) -> StoredVector {
    let bits = bitcast<vec4<u32>>(value);
    return vec2(word(bits.x, bits.y), word(bits.z, bits.w));
}

fn three(stored: StoredThree) -> vec3<f32> {
    return vector(stored).xyz;
}

fn stored_three(value: vec3<f32>) -> StoredThree {
    return stored_vector(vec4(value, 0.0));
}

fn halves(stored: StoredHalves) -> vec2<u32> {
    return parts(stored);
}
