// Windows along an axis, as src/operator/windows.rs has them.

struct Windows {
    // How many windows there are.
    outputs: u32,
    // The length of the axis that they are taken of.
    length: u32,
    // Elements of a window.
    size: u32,
    strides: u32,
    dilation: u32,
    spread: u32,
    // Below zero as the two's complement.
    before: u32,
    // A uniform struct inside another has a size of a multiple of 16 bytes.
    unused: u32,
}

// The index that an element of a window holds; `length` where it holds none.
fn held(windows: Windows, window: u32, element: u32) -> u32 {
    var index = window * windows.strides + element * windows.dilation - windows.before;
    // What lies before the first index wraps round to a large number.
    var is_one = bitcast<i32>(index) >= 0;
    if windows.spread > 1u {
        is_one = is_one && index % windows.spread == 0u;
        index /= windows.spread;
    }
    return select(windows.length, index, is_one && index < windows.length);
}
