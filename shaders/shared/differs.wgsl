// Whether two numbers differ, by their bits: compilers may take comparisons for those of numbers
// that are not NaN. As in Keras, NaN differs from everything, itself too, and -0 is 0.
fn differs(a: f32, b: f32) -> bool {
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    let is_nan = (x & 0x7fffffffu) > 0x7f800000u;
    let are_zero = ((x | y) & 0x7fffffffu) == 0u;
    return (x != y || is_nan) && !are_zero;
}

