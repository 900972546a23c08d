// As sums_in_floats.wgsl, in pairs of floats.

alias Accumulator = array<Pair, GATES>;
alias GateSum = Pair;

fn gate_accumulated(sum: GateSum, rows: Quad, weights: vec4<f32>) -> GateSum {
    var next = pair_sum(sum, pair_product(pair(rows[0]), pair(Rows(weights.x))));
    next = pair_sum(next, pair_product(pair(rows[1]), pair(Rows(weights.y))));
    next = pair_sum(next, pair_product(pair(rows[2]), pair(Rows(weights.z))));
    return pair_sum(next, pair_product(pair(rows[3]), pair(Rows(weights.w))));
}

fn accumulated(sums: Accumulator, rows: Quad, weights: Weights) -> Accumulator {
    var next = sums;
    for (var gate = 0u; gate < GATES; gate++) {
        next[gate] = gate_accumulated(next[gate], rows, gate_weights(weights, gate));
    }
    return next;
}

// What floats miss of the projection stands after it: projected_in_pairs.wgsl.
fn read_projection(at: u32) -> Accumulator {
    let high = all_sums(projection[at]);
    let low = all_sums(projection[at + recurrence.directions * recurrence.steps * recurrence.groups * recurrence.units]);
    var sums: Accumulator;
    for (var gate = 0u; gate < GATES; gate++) {
        sums[gate] = Pair(gate_of(high, gate), gate_of(low, gate));
    }
    return sums;
}

fn gate_total(a: GateSum, b: GateSum) -> GateSum {
    return pair_sum(a, b);
}

fn total(a: Accumulator, b: Accumulator) -> Accumulator {
    var of_a = a;
    var of_b = b;
    var sums: Accumulator;
    for (var gate = 0u; gate < GATES; gate++) {
        sums[gate] = pair_sum(of_a[gate], of_b[gate]);
    }
    return sums;
}
