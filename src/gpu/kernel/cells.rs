//! The kernels of cells. A cell's file in `shaders/cells` is the entry file of all of them.

use birnn_cell::{Cell, UnitWeight};

/// The files of some cells, and the names of their kernels.
macro_rules! cells {
    ($($name:literal),+ $(,)?) => {
        pub(super) const FILES: &[(&str, &str)] = &[$((
            concat!("cells/", $name),
            include_str!(concat!("../../../shaders/cells/", $name, ".wgsl")),
        )),+];
        const NAMES: &[Names] = &[$(Names {
            cell: $name,
            file: concat!("cells/", $name),
            step: concat!($name, "_step"),
            second_step: concat!($name, "_second_step"),
            sequence: concat!($name, "_sequence"),
            persistent: concat!($name, "_persistent"),
        }),+];
    };
}

cells!["gru", "gru_reset_before", "lstm", "mgu", "simple_rnn"];

struct Names {
    cell: &'static str,
    file: &'static str,
    step: &'static str,
    second_step: &'static str,
    sequence: &'static str,
    persistent: &'static str,
}

/// Names of a cell that no kernel was written for.
const NONE: &Names =
    &Names { cell: "", file: "", step: "", second_step: "", sequence: "", persistent: "" };

/// How the timesteps of a chunk become dispatches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gpu) enum Way {
    /// A dispatch for each; two where the cell has a second product.
    Steps,
    /// One dispatch for all, whose workgroups need nothing of each other.
    Sequence,
    /// One dispatch for all, whose workgroups hand on the hidden states to each other.
    Persistent,
}

/// What a kernel computes of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) enum Part {
    /// A timestep; of a cell with a second product what comes before that.
    Step,
    /// The rest of the timestep.
    SecondStep,
    /// All timesteps of a chunk, in workgroups that need nothing of each other.
    Sequence,
    /// All timesteps of a chunk, in workgroups that hand on the hidden states to each other.
    Persistent,
}

/// A kernel of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::gpu) struct CellKernel {
    /// With its options.
    pub cell: Cell,
    pub part: Part,
}

impl CellKernel {
    /// The kernels that run the cell, a dispatch each: for a chunk of timesteps, or for one.
    pub fn of(cell: Cell, way: Way) -> Vec<CellKernel> {
        let parts: &[Part] = match (way, cell.second_gates().is_empty()) {
            (Way::Sequence, _) => &[Part::Sequence],
            (Way::Persistent, _) => &[Part::Persistent],
            (Way::Steps, true) => &[Part::Step],
            (Way::Steps, false) => &[Part::Step, Part::SecondStep],
        };
        parts.iter().map(|&part| CellKernel { cell, part }).collect()
    }

    fn names(self) -> &'static Names {
        NAMES.iter().find(|names| names.cell == self.cell.name()).unwrap_or(NONE)
    }

    /// The name of the kernel, which is that of its entry point.
    pub fn name(self) -> &'static str {
        match self.part {
            Part::Step => self.names().step,
            Part::SecondStep => self.names().second_step,
            Part::Sequence => self.names().sequence,
            Part::Persistent => self.names().persistent,
        }
    }

    pub fn file(self) -> &'static str {
        self.names().file
    }

    /// The gates whose recurrent product it computes.
    pub fn gates(self) -> Vec<usize> {
        match self.part {
            Part::Step => self.cell.first_gates(),
            Part::SecondStep => self.cell.second_gates(),
            Part::Sequence | Part::Persistent => (0..self.cell.gates().len()).collect(),
        }
    }

    /// The values that a step reads and writes of each unit and row, beside the projection; a
    /// sequence keeps them in its workgroup, and a persistent kernel hands on others, too.
    pub fn values_moved(self) -> usize {
        match self.part {
            Part::Sequence => 0,
            Part::Persistent => 2 * self.cell.states() + 2 * handed_on(self.cell),
            Part::Step if self.cell.second_gates().is_empty() => 2 * self.cell.states(),
            Part::Step => 1 + BETWEEN,
            Part::SecondStep => BETWEEN + 2,
        }
    }

    /// What its file is composed for.
    pub fn settings(self) -> Vec<(&'static str, u32)> {
        let (cell, gates, all) = (self.cell, self.gates(), self.cell.gates().len());
        let unit_weights = cell.unit_weights().len();
        let number = |value: usize| value as u32;
        vec![
            ("GATES", number(gates.len())),
            ("ONE_GATE", (gates.len() == 1).into()),
            ("THREE_GATES", (gates.len() == 3).into()),
            ("KERNEL_GATES", number(all)),
            ("FIRST_GATE", number(gates.first().copied().unwrap_or(0))),
            ("LAST_GATE", number(all - 1)),
            ("STEP", matches!(self.part, Part::Step | Part::SecondStep).into()),
            ("SEQUENCE", (self.part == Part::Sequence).into()),
            ("PERSISTENT", (self.part == Part::Persistent).into()),
            ("FIRST_PRODUCT", (self.part != Part::SecondStep).into()),
            ("SECOND_PRODUCT", (self.part == Part::SecondStep).into()),
            ("CELL_STATE", cell.has_cell_state().into()),
            ("UNIT_WEIGHTS", number(unit_weights)),
            ("PEEPHOLES", cell.unit_weights().contains(&UnitWeight::Peephole(0)).into()),
            ("COUPLED", cell.options.coupled.into()),
            ("FIRST_OUTPUT", 4 + u32::from(unit_weights > 0)),
        ]
    }
}

/// The arrays that the first product hands on to the second: a gate, and the gated hidden state.
const BETWEEN: usize = 2;

/// The arrays that a cell keeps in the states beside the hidden state.
pub(in crate::gpu) fn further_states(cell: Cell) -> usize {
    let between = if cell.second_gates().is_empty() { 0 } else { BETWEEN };
    cell.states() - 1 + between
}

/// The values of each unit and row that workgroups hand on in a timestep: one for each product.
pub(in crate::gpu) fn handed_on(cell: Cell) -> usize {
    if cell.second_gates().is_empty() { 1 } else { 2 }
}

/// The gates that a unit has room for in the projection: a vector of three takes that of four.
pub(in crate::gpu) fn gates_padded(cell: Cell) -> usize {
    match cell.gates().len() {
        3 => 4,
        gates => gates,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_kernels() {
        let cells: Vec<_> = NAMES.iter().map(|names| names.cell).collect();
        let mut wanted: Vec<_> = Cell::ALL.iter().map(Cell::name).collect();
        wanted.sort();
        assert_eq!(cells, wanted);
    }

    #[test]
    fn a_second_product_is_of_the_last_gate_alone() {
        for cell in Cell::ALL {
            let (second, last) = (cell.second_gates(), cell.gates().len() - 1);
            assert!(second.is_empty() || second == [last], "{cell:?}");
            assert!(second.is_empty() || !cell.has_cell_state(), "{cell:?}");
        }
    }
}
