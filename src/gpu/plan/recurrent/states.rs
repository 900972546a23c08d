//! Initial states: where a recurrence begins.

use super::call::GroupCall;
use crate::error::Result;
use crate::gpu::kernel::{Constants, Kernel, LoadState};
use crate::gpu::plan::launch::{BufferId, Stage, WORKGROUP, grid};
use crate::gpu::plan::planner::Planner;
use crate::operator::Recurrent;

impl Planner<'_> {
    /// Writes the initial states into the hidden ring and the cell state: zeros for all directions
    /// at once, then those that are given or carried over from the last call. Returns whether it
    /// wrote any: where all are zeros, the first step makes them itself. `calls`: of all the
    /// directions that there are; `always`: zeros are written, too.
    pub(super) fn load_states(&mut self, calls: &[&GroupCall], always: bool) -> Result<bool> {
        let call = calls[0];
        let mut sources = Vec::new();
        for state in 0..call.group.reader.cell.states() {
            let mut of_state = Vec::new();
            for call in calls {
                of_state.extend(self.state_sources(call, state)?);
            }
            sources.push(of_state);
        }
        if !always && sources.iter().flatten().all(Option::is_none) {
            return Ok(false);
        }
        for (state, sources) in sources.into_iter().enumerate() {
            if sources.iter().any(Option::is_none) {
                self.load_state(call, state, 0, None);
            }
            for (direction, source) in sources.into_iter().enumerate() {
                if source.is_some() {
                    self.load_state(call, state, direction, source);
                }
            }
        }
        Ok(true)
    }

    /// Where a state of each direction of a group comes from; `None`: it is zeros.
    fn state_sources(&mut self, call: &GroupCall, state: usize) -> Result<Vec<Option<BufferId>>> {
        let mut sources = Vec::new();
        for direction in 0..call.directions() {
            let operand = Recurrent::STATES + call.first_state(direction) + state;
            sources.push(match call.step.reads.get(operand) {
                Some(Some(_)) => Some(self.operand(call.step, operand)?.buffer),
                _ => None,
            });
        }
        Ok(sources)
    }

    /// `direction`: of all that there are.
    fn load_state(
        &mut self,
        call: &GroupCall,
        state: usize,
        direction: usize,
        source: Option<BufferId>,
    ) {
        let units = call.group.reader.units;
        let (start, slots) = if state == 0 { (0, call.slots) } else { (call.cell_start(), 1) };
        let directions = if source.is_some() { 1 } else { call.place.count };
        let stage = Stage {
            kernel: Kernel::LoadState,
            constants: Constants::default(),
            buffers: vec![source.unwrap_or(BufferId::Zeros), BufferId::States],
            uniform: LoadState {
                batch: call.input.rows as u32,
                group_rows: call.choice.group_rows() as u32,
                units: units as u32,
                units_padded: units.next_multiple_of(4) as u32,
                first_direction: direction as u32,
                direction_stride: (slots * call.direction_state()) as u32,
                zeros: source.is_none().into(),
                target_start: start as u32,
            }
            .into(),
            workgroups: grid([units.div_ceil(WORKGROUP), call.groups, directions]),
            flops: 0,
        };
        self.launch(vec![stage], None);
    }
}
