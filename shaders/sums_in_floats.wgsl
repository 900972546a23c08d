// The sums of a sequence kernel in plain floats. sums_in_pairs.wgsl is the same in pairs. Stands
// before every sequence kernel.

// The gates of a unit, each of all rows.
alias Accumulator = Sums;
// One gate of all rows.
alias GateSum = Rows;

// Adds four k times the weights.
fn accumulated(sums: Accumulator, rows: Quad, weights: Weights) -> Accumulator {
    return added(sums, rows, weights);
}

// The same of one gate.
fn gate_accumulated(sum: GateSum, rows: Quad, weights: vec4<f32>) -> GateSum {
    return gate_added(sum, rows, weights);
}

fn read_projection(at: u32) -> Accumulator {
    return all_sums(projection[at]);
}

fn total(a: Accumulator, b: Accumulator) -> Accumulator {
    return a + b;
}

fn gate_total(a: GateSum, b: GateSum) -> GateSum {
    return a + b;
}
