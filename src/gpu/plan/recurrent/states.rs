//! Initial states: where a recurrence begins.

use super::GroupCall;
use crate::error::Result;
use crate::gpu::kernel::{Constants, Kernel, LoadState};
use crate::gpu::plan::{BufferId, Planner, Stage, WORKGROUP, grid};

impl Planner<'_> {
    /// Writes the initial states into the hidden ring and the cell state: zeros for all directions
    /// at once, then those that are given or carried over from the last call. Returns whether it
    /// wrote any: where all are zeros, the first step makes them itself. `calls`: of all the
    /// directions that there are; `always`: zeros are written, too.
    pub(super) fn load_states(&mut self, calls: &[&GroupCall], always: bool) -> Result<bool> {
        let call = calls[0];
        let states = 0..call.group.layer.cell().states();
        let of_state =
            |state| calls.iter().flat_map(|call| self.state_sources(call, state)).collect();
        let sources: Vec<Vec<Option<BufferId>>> = states.map(of_state).collect();
        if !always && sources.iter().flatten().all(Option::is_none) {
            return Ok(false);
        }
        for (state, sources) in sources.into_iter().enumerate() {
            if sources.iter().any(Option::is_none) {
                self.load_state(call, state, 0, None);
            }
            for (direction, source) in sources.into_iter().enumerate() {
                if let Some(source) = source {
                    let bytes =
                        4 * (call.view.rows * call.group.layer.units().next_multiple_of(4)) as u64;
                    self.need(source, bytes)?;
                    self.load_state(call, state, direction, Some(source));
                }
            }
        }
        Ok(true)
    }

    /// Where a state of each direction of a group comes from: the graph, the call, or the last
    /// call; `None`: it is zeros.
    fn state_sources(&self, call: &GroupCall, state: usize) -> Vec<Option<BufferId>> {
        let (node, holder) = (call.node, self.state_holder(call.node));
        let from_graph = &self.model.nodes[node].initial_state;
        let given = &self.call.given[node];
        // Where the first state of each of the layer's directions stands in its list.
        let directions = call.layer.directions();
        let before: usize = directions[0].1.cell().states();
        let source = |&direction: &usize| {
            let index = direction * before + state;
            let carried =
                (self.call.carried || holder < node) && directions[direction].1.stateful();
            match from_graph.get(index) {
                Some(&tensor) => Some(BufferId::Tensor { tensor, segment: 0 }),
                None if given.get(index) == Some(&true) => Some(BufferId::State { node, index }),
                None => carried.then_some(BufferId::Carried { node: holder, index }),
            }
        };
        call.group.directions.iter().map(source).collect()
    }

    /// The first call of the same layer: a stateful layer has one state, and goes on from where its
    /// last call ended.
    pub(super) fn state_holder(&self, node: usize) -> usize {
        let layer = self.model.nodes[node].layer;
        self.model.nodes.iter().position(|first| first.layer == layer).unwrap_or(node)
    }

    /// `direction`: of all that there are.
    fn load_state(
        &mut self,
        call: &GroupCall,
        state: usize,
        direction: usize,
        source: Option<BufferId>,
    ) {
        let units = call.group.layer.units();
        let (start, slots) = if state == 0 { (0, call.slots) } else { (call.cell_start(), 1) };
        let directions = if source.is_some() { 1 } else { call.place.of };
        let stage = Stage {
            kernel: Kernel::LoadState,
            constants: Constants::default(),
            buffers: vec![source.unwrap_or(BufferId::Nothing), BufferId::States],
            uniform: LoadState {
                batch: call.view.rows as u32,
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
