// Where a unit's weights stand in panels as wide as a subgroup: on a software adapter a subgroup
// goes through all k before the next one starts, and so reads the memory in order.

// The width in units of a panel.
override PANEL: u32 = 8u;

// From one vector of a unit to the next.
fn panel_units(units: u32) -> u32 {
    return PANEL;
}

// A unit's first vector, of so many in a direction.
fn unit_start(unit: u32, vectors: u32) -> u32 {
    return unit / PANEL * PANEL * vectors + unit % PANEL;
}
