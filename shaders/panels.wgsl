// Where a unit's weights stand in a kernel. Stands before every kernel that multiplies by a kernel.
//
//   kernel  [direction][panel][k4][gate][unit of the panel]: vectors of four k, zeros past the last
//
// A panel has the units of a subgroup on software adapters, where a subgroup goes through all k
// before the next one starts, and so reads the memory in order; otherwise all units.

const ALL_UNITS: u32 = 0xffffffffu;
// The units of a panel.
override PANEL: u32 = ALL_UNITS;

// From one vector of a unit to the next.
fn panel_units(units: u32) -> u32 {
    if PANEL == ALL_UNITS { return units; }
    return PANEL;
}

// A unit's first vector, of so many in a direction.
fn unit_start(unit: u32, vectors: u32) -> u32 {
    if PANEL == ALL_UNITS { return unit; }
    return unit / PANEL * PANEL * vectors + unit % PANEL;
}
