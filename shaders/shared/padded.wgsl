// Where a value of an array stands whose last axis has so many features and is filled up to a
// multiple of 4. `value`: its number in the array's own order, without what fills up.

fn padded(value: u32, features: u32) -> u32 {
    return value / features * ((features + 3u) & 0xfffffffcu) + value % features;
}
