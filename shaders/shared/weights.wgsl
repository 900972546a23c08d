// The weights of a recurrent layer's matmul, and where they stand.
//
//   kernel  [direction][panel][k4][gate][unit of the panel]: vectors of four rows (four k) of the
//           layer's kernel, zeros past the last row
//
// One panel has all units, but on software adapters (PANELS).

#if HALF_WEIGHTS
// Four halves, two in a u32, so that the device needs no feature for them.
alias StoredWeights = vec2<u32>;
#else
alias StoredWeights = vec4<f32>;
#endif

fn kernel_at(index: u32) -> vec4<f32> {
#if HALF_WEIGHTS
    let four = kernel[index];
    return vec4(unpack2x16float(four.x), unpack2x16float(four.y));
#else
    return kernel[index];
#endif
}

#if PANELS
#import software/panels
#else
// From one vector of a unit to the next.
fn panel_units(units: u32) -> u32 {
    return units;
}

// A unit's first vector, of so many in a direction.
fn unit_start(unit: u32, vectors: u32) -> u32 {
    return unit;
}
#endif
