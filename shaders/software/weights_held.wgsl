// A sequence's weights in the invocations' own memory, read once, and hidden states shared by the
// subgroup as in rows_by_subgroup.wgsl. For software adapters, where private memory is read a whole
// vector at a time if its indices are constants: hence no loop in `multiply`.

// The vectors of four k of a unit: (units + 3) / 4, at most 64.
const QUADS: u32 = #{QUADS}u;

override SUBGROUP: u32 = 8u;

var<private> held: array<Weights, QUADS>;
var<private> block_rows: Rows;

fn hold_weights(direction: u32, unit: u32) {
    let panel = panel_units(recurrence.units);
    let first = weights_start(direction, unit);
    for (var i = 0u; i < (recurrence.units + 3u) / 4u; i++) {
        held[i] = weights_at(first + i * KERNEL_GATES * panel, panel);
    }
}

fn multiply_quad(i: u32, side: u32, phase: u32, subgroup_lane: u32) {
    let j = 4u * i % SUBGROUP;
    if j == 0u { block_rows = shared_states[side + 4u * i + subgroup_lane]; }
    let rows = Quad(
        subgroupShuffle(block_rows, j),
        subgroupShuffle(block_rows, j + 1u),
        subgroupShuffle(block_rows, j + 2u),
        subgroupShuffle(block_rows, j + 3u),
    );
    accumulate(rows, held[i], phase);
}

// Hands the hidden states and the weights to the kernel's `accumulate`, four k at a time.
fn multiply(side: u32, phase: u32, direction: u32, unit: u32, invocation: Invocation) {
    if QUADS > 0u { multiply_quad(0u, side, phase, invocation.subgroup_lane); }
    if QUADS > 1u { multiply_quad(1u, side, phase, invocation.subgroup_lane); }
    if QUADS > 2u { multiply_quad(2u, side, phase, invocation.subgroup_lane); }
    if QUADS > 3u { multiply_quad(3u, side, phase, invocation.subgroup_lane); }
    if QUADS > 4u { multiply_quad(4u, side, phase, invocation.subgroup_lane); }
    if QUADS > 5u { multiply_quad(5u, side, phase, invocation.subgroup_lane); }
    if QUADS > 6u { multiply_quad(6u, side, phase, invocation.subgroup_lane); }
    if QUADS > 7u { multiply_quad(7u, side, phase, invocation.subgroup_lane); }
    if QUADS > 8u { multiply_quad(8u, side, phase, invocation.subgroup_lane); }
    if QUADS > 9u { multiply_quad(9u, side, phase, invocation.subgroup_lane); }
    if QUADS > 10u { multiply_quad(10u, side, phase, invocation.subgroup_lane); }
    if QUADS > 11u { multiply_quad(11u, side, phase, invocation.subgroup_lane); }
    if QUADS > 12u { multiply_quad(12u, side, phase, invocation.subgroup_lane); }
    if QUADS > 13u { multiply_quad(13u, side, phase, invocation.subgroup_lane); }
    if QUADS > 14u { multiply_quad(14u, side, phase, invocation.subgroup_lane); }
    if QUADS > 15u { multiply_quad(15u, side, phase, invocation.subgroup_lane); }
    if QUADS > 16u { multiply_quad(16u, side, phase, invocation.subgroup_lane); }
    if QUADS > 17u { multiply_quad(17u, side, phase, invocation.subgroup_lane); }
    if QUADS > 18u { multiply_quad(18u, side, phase, invocation.subgroup_lane); }
    if QUADS > 19u { multiply_quad(19u, side, phase, invocation.subgroup_lane); }
    if QUADS > 20u { multiply_quad(20u, side, phase, invocation.subgroup_lane); }
    if QUADS > 21u { multiply_quad(21u, side, phase, invocation.subgroup_lane); }
    if QUADS > 22u { multiply_quad(22u, side, phase, invocation.subgroup_lane); }
    if QUADS > 23u { multiply_quad(23u, side, phase, invocation.subgroup_lane); }
    if QUADS > 24u { multiply_quad(24u, side, phase, invocation.subgroup_lane); }
    if QUADS > 25u { multiply_quad(25u, side, phase, invocation.subgroup_lane); }
    if QUADS > 26u { multiply_quad(26u, side, phase, invocation.subgroup_lane); }
    if QUADS > 27u { multiply_quad(27u, side, phase, invocation.subgroup_lane); }
    if QUADS > 28u { multiply_quad(28u, side, phase, invocation.subgroup_lane); }
    if QUADS > 29u { multiply_quad(29u, side, phase, invocation.subgroup_lane); }
    if QUADS > 30u { multiply_quad(30u, side, phase, invocation.subgroup_lane); }
    if QUADS > 31u { multiply_quad(31u, side, phase, invocation.subgroup_lane); }
    if QUADS > 32u { multiply_quad(32u, side, phase, invocation.subgroup_lane); }
    if QUADS > 33u { multiply_quad(33u, side, phase, invocation.subgroup_lane); }
    if QUADS > 34u { multiply_quad(34u, side, phase, invocation.subgroup_lane); }
    if QUADS > 35u { multiply_quad(35u, side, phase, invocation.subgroup_lane); }
    if QUADS > 36u { multiply_quad(36u, side, phase, invocation.subgroup_lane); }
    if QUADS > 37u { multiply_quad(37u, side, phase, invocation.subgroup_lane); }
    if QUADS > 38u { multiply_quad(38u, side, phase, invocation.subgroup_lane); }
    if QUADS > 39u { multiply_quad(39u, side, phase, invocation.subgroup_lane); }
    if QUADS > 40u { multiply_quad(40u, side, phase, invocation.subgroup_lane); }
    if QUADS > 41u { multiply_quad(41u, side, phase, invocation.subgroup_lane); }
    if QUADS > 42u { multiply_quad(42u, side, phase, invocation.subgroup_lane); }
    if QUADS > 43u { multiply_quad(43u, side, phase, invocation.subgroup_lane); }
    if QUADS > 44u { multiply_quad(44u, side, phase, invocation.subgroup_lane); }
    if QUADS > 45u { multiply_quad(45u, side, phase, invocation.subgroup_lane); }
    if QUADS > 46u { multiply_quad(46u, side, phase, invocation.subgroup_lane); }
    if QUADS > 47u { multiply_quad(47u, side, phase, invocation.subgroup_lane); }
    if QUADS > 48u { multiply_quad(48u, side, phase, invocation.subgroup_lane); }
    if QUADS > 49u { multiply_quad(49u, side, phase, invocation.subgroup_lane); }
    if QUADS > 50u { multiply_quad(50u, side, phase, invocation.subgroup_lane); }
    if QUADS > 51u { multiply_quad(51u, side, phase, invocation.subgroup_lane); }
    if QUADS > 52u { multiply_quad(52u, side, phase, invocation.subgroup_lane); }
    if QUADS > 53u { multiply_quad(53u, side, phase, invocation.subgroup_lane); }
    if QUADS > 54u { multiply_quad(54u, side, phase, invocation.subgroup_lane); }
    if QUADS > 55u { multiply_quad(55u, side, phase, invocation.subgroup_lane); }
    if QUADS > 56u { multiply_quad(56u, side, phase, invocation.subgroup_lane); }
    if QUADS > 57u { multiply_quad(57u, side, phase, invocation.subgroup_lane); }
    if QUADS > 58u { multiply_quad(58u, side, phase, invocation.subgroup_lane); }
    if QUADS > 59u { multiply_quad(59u, side, phase, invocation.subgroup_lane); }
    if QUADS > 60u { multiply_quad(60u, side, phase, invocation.subgroup_lane); }
    if QUADS > 61u { multiply_quad(61u, side, phase, invocation.subgroup_lane); }
    if QUADS > 62u { multiply_quad(62u, side, phase, invocation.subgroup_lane); }
    if QUADS > 63u { multiply_quad(63u, side, phase, invocation.subgroup_lane); }
}
