//! The layers of a stack at the same time, where that pays: in waves. While the lowest layer is at
//! a chunk of timesteps, the one above it is at the chunk before, of which it has the whole input,
//! and so on; a launch runs the recurrence of all layers at work, each as one of its directions,
//! and all the same number of steps.

use super::call::{Chunk, GroupCall, PROJECTION_BYTES, SharedPosition};
use super::group::{Group, Stacked};
use crate::error::Result;
use crate::gpu::kernel::{Sharing, Way, further_states};
use crate::gpu::plan::launch::{STEP_TABLE, Waves};
use crate::gpu::plan::planner::Planner;
use crate::gpu::software;
use crate::operator::Operator;
use std::ops::Range;

/// The chunks that a sequence is cut into at most.
const MOST_CHUNKS: usize = 64;
/// Waves have to be expected to take at most this part of the time of layers one after the other.
const WORTH: f64 = 0.9;
/// What a GPU of the middle is taken to run at the same time, and to multiply in the time that a
/// step takes at least: 5 TFLOP/s for 4 µs.
const GPU_INVOCATIONS: usize = 32 << 10;
const GPU_STEP_FLOPS: f64 = 20e6;
/// What a dispatch takes on a GPU, in steps of a sequence: measured on an H100, 5 of 3.5 µs.
const GPU_DISPATCH: f64 = 1.5;

impl Planner<'_> {
    /// All recurrences of a stack.
    pub(in crate::gpu::plan) fn stack(
        &mut self,
        stacked: &Stacked,
        groups: &[Vec<Group>],
    ) -> Result<()> {
        let graph = self.graph;
        let steps = stacked.steps.iter().filter_map(|&index| match &graph.steps[index].operator {
            Operator::Recurrent(operator) => Some((&graph.steps[index], operator, &groups[index])),
            _ => None,
        });
        let steps: Vec<_> = steps.collect();
        let mut calls = Vec::new();
        for &(step, operator, groups) in &steps {
            calls.push(self.group_call(step, operator, &groups[0])?);
        }
        let Some(schedule) = self.schedule(&calls) else {
            for (step, operator, groups) in steps {
                let work = self.work(&[step]);
                self.next_operator(work);
                self.recurrent(step, operator, groups)?;
            }
            return Ok(());
        };
        let together: Vec<_> = steps.iter().map(|(step, _, _)| *step).collect();
        let work = self.work(&together);
        self.next_operator(work);
        for (first, call) in calls.iter_mut().enumerate() {
            call.place = SharedPosition { first, count: steps.len(), weights_before: 0 };
            // A chunk ends where it began in the ring, so that all layers are at the same slot.
            (call.chunk, call.slots) = (schedule.steps, schedule.steps);
        }
        self.plan.waves.push(Waves { lowest: stacked.layers[0], timesteps: schedule.steps });
        self.waves(&calls, schedule)
    }

    fn waves(&mut self, calls: &[GroupCall], schedule: Schedule) -> Result<()> {
        for call in calls {
            self.note_choice(call.group, call.input.rows, &call.choice);
            self.buffers_of(call)?;
        }
        self.load_states(&calls.iter().collect::<Vec<_>>(), true)?;
        for wave in 0..schedule.waves() {
            let at: Vec<_> = schedule
                .at_work(wave)
                .map(|layer| (&calls[layer], schedule.chunk(layer, wave)))
                .collect();
            self.wave(&at)?;
        }
        Ok(())
    }

    /// Layers that are next to each other, each at its chunk, all at the same slot of their rings.
    fn wave(&mut self, at: &[(&GroupCall, Chunk)]) -> Result<()> {
        let Some(&(_, chunk)) = at.first() else { return Ok(()) };
        for &(call, chunk) in at {
            self.step_mask(call, chunk);
            self.project(call, chunk);
        }
        let calls: Vec<_> = at.iter().map(|&(call, _)| call).collect();
        self.steps(&calls, chunk, true)?;
        for &(call, chunk) in at {
            self.outputs(call, chunk)?;
        }
        Ok(())
    }

    /// `None`: the layers run one after the other.
    fn schedule(&self, calls: &[GroupCall]) -> Option<Schedule> {
        let (lowest, layers) = (&calls[0], calls.len());
        let alike = |call: &GroupCall| {
            let (one, other) = (&call.choice, &lowest.choice);
            let results = call.step.writes.iter().map(|array| self.layout(*array));
            let mut segments = [call.input].into_iter().chain(results);
            call.mask == lowest.mask
                && (one.way, one.recurrent) == (other.way, other.recurrent)
                // The workgroups of one layer are what was seen to run side by side.
                && one.way != Way::Persistent
                && segments.all(|layout| layout.segments() == 1)
        };
        if !calls.iter().all(alike) {
            return None;
        }
        let most = self.most_steps(lowest, layers)?;
        let timesteps = lowest.timesteps();
        let (at_once, dispatch, start) =
            (self.at_once(lowest), self.dispatch(lowest), start(lowest));
        let time = |schedule: &Schedule| schedule.time(at_once, dispatch, start);
        let fewest = timesteps.div_ceil(most).max(2);
        let schedules = (fewest..=MOST_CHUNKS.max(fewest))
            .map(|chunks| Schedule { layers, timesteps, steps: timesteps.div_ceil(chunks) })
            .filter(Schedule::keeps_order);
        let best = schedules.min_by(|a, b| time(a).total_cmp(&time(b)))?;
        let one_after_the_other = Schedule { steps: timesteps, ..best };
        (time(&best) < WORTH * time(&one_after_the_other)).then_some(best)
    }

    /// The most steps of a chunk of all layers that fit the buffers.
    fn most_steps(&self, call: &GroupCall, layers: usize) -> Option<usize> {
        let row = 4 * (layers * call.rows()) as u64;
        let projection = row * call.group.columns_padded() as u64;
        let units = call.group.reader.units as u64;
        let kept = row * units * further_states(call.group.reader.cell) as u64;
        let states = row * (units + u64::from(call.mask.is_some()));
        let fits = (PROJECTION_BYTES.min(self.limits.binding) / projection)
            .min(self.limits.binding.saturating_sub(kept) / states) as usize;
        let most = fits.min(STEP_TABLE).min(self.limits.workgroups / call.groups);
        (most >= 2 && layers <= self.limits.workgroups).then_some(most)
    }

    /// How many layers the adapter can run in the time of one.
    fn at_once(&self, call: &GroupCall) -> f64 {
        let tiling = call.choice.recurrent;
        let lanes = (tiling.workgroup / tiling.split) as usize;
        let workgroups = match call.choice.way {
            Way::Sequence => call.groups,
            Way::Steps | Way::Persistent => {
                call.groups.div_ceil(tiling.tiles as usize)
                    * call.group.reader.units.div_ceil(lanes)
            }
        };
        let at_once = match self.limits.software {
            true => software::layers_at_once(workgroups, self.limits),
            false => {
                let invocations = workgroups * tiling.workgroup as usize;
                (GPU_INVOCATIONS as f64 / invocations as f64).min(GPU_STEP_FLOPS / step_flops(call))
            }
        };
        at_once.max(1.0)
    }

    /// What a dispatch takes, in the time of a step of one layer.
    fn dispatch(&self, call: &GroupCall) -> f64 {
        match (self.limits.software, call.choice.way == Way::Sequence) {
            (true, sequence) => software::dispatch_time(step_flops(call), sequence),
            (false, true) => GPU_DISPATCH,
            (false, false) => 1.0, // a step is one
        }
    }
}

/// What the recurrence of a chunk takes before its first step, in the time of a step of one layer.
fn start(call: &GroupCall) -> f64 {
    let holds = call.choice.way == Way::Sequence
        && matches!(call.choice.recurrent.sharing, Sharing::Subgroup(_));
    let weights = call.group.reader.units * call.group.columns();
    if holds { software::holding_time(weights, step_flops(call)) } else { 0.0 }
}

fn step_flops(call: &GroupCall) -> f64 {
    (2 * call.rows() * call.group.reader.units * call.group.columns()) as f64
}

/// Which layer is at which steps when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Schedule {
    layers: usize,
    timesteps: usize,
    /// Of a wave. One of them, with the lowest layer's last chunk, has what is left.
    steps: usize,
}

impl Schedule {
    /// Of each layer.
    fn chunks(&self) -> usize {
        self.timesteps.div_ceil(self.steps)
    }

    fn waves(&self) -> usize {
        self.layers + self.chunks() - 1
    }

    fn wave_steps(&self, wave: usize) -> usize {
        let shorter = wave + 1 == self.chunks();
        if shorter { self.timesteps - wave * self.steps } else { self.steps }
    }

    /// Whether no layer overtakes the one below, and all at work are at the same slot of a ring of
    /// so many: where the shorter wave, if there is one, comes after each layer has begun. And
    /// whether a step finds its slot unlike the next.
    fn keeps_order(&self) -> bool {
        let equal = self.timesteps.is_multiple_of(self.steps);
        self.steps >= 2 && self.chunks() >= 2 && (equal || self.chunks() >= self.layers)
    }

    fn at_work(&self, wave: usize) -> Range<usize> {
        (wave + 1).saturating_sub(self.chunks())..self.layers.min(wave + 1)
    }

    fn chunk(&self, layer: usize, wave: usize) -> Chunk {
        Chunk {
            first: (layer..wave).map(|before| self.wave_steps(before)).sum(),
            steps: self.wave_steps(wave),
        }
    }

    /// How long it takes, in steps of one layer; with one chunk, one layer after the other.
    /// `at_once`: the layers that run in the time of one; `start`: what the recurrence of a chunk
    /// takes before its first step.
    fn time(&self, at_once: f64, dispatch: f64, start: f64) -> f64 {
        let [layers, timesteps, steps, chunks, waves] =
            [self.layers, self.timesteps, self.steps, self.chunks(), self.waves()]
                .map(|n| n as f64);
        let longest = timesteps + (layers - 1.0) * steps + waves * start;
        let work = layers * (timesteps + chunks * start);
        // A projection and a merge of each layer, and the recurrence of all.
        (work / at_once).max(longest) + (2.0 * layers * chunks + waves) * dispatch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_layer_overtakes_the_one_below(
            layers in 2usize..7, timesteps in 2usize..300, chunks in 2usize..65,
        ) {
            let schedule = Schedule { layers, timesteps, steps: timesteps.div_ceil(chunks) };
            prop_assume!(schedule.keeps_order());
            let mut done = vec![0; layers];
            for wave in 0..schedule.waves() {
                let before = done.clone();
                let slot = |layer: usize| before[layer] % schedule.steps;
                let slots: Vec<_> = schedule.at_work(wave).map(slot).collect();
                prop_assert!(slots.iter().all(|slot| *slot == slots[0]), "wave {wave}: {slots:?}");
                for layer in schedule.at_work(wave) {
                    let chunk = schedule.chunk(layer, wave);
                    prop_assert_eq!(chunk.first, done[layer]);
                    prop_assert!(chunk.steps >= 1 && chunk.steps <= schedule.steps);
                    done[layer] += chunk.steps;
                    let is_below = layer == 0 || done[layer] <= before[layer - 1];
                    prop_assert!(is_below, "wave {wave}, layer {layer}");
                }
            }
            prop_assert!(done.iter().all(|&steps| steps == timesteps), "{done:?}");
        }
    }

    #[test]
    fn waves_take_as_long_as_their_longest_way() {
        let ten = Schedule { layers: 3, timesteps: 100, steps: 10 };
        // No dispatch counted: the sequence, and two chunks to get through.
        assert_eq!(ten.time(8.0, 0.0, 0.0), 120.0);
        // Two at a time at most: one and a half times the sequence.
        assert_eq!(ten.time(2.0, 0.0, 0.0), 150.0);
        // Twelve waves that begin with five steps' time.
        assert_eq!(ten.time(8.0, 0.0, 5.0), 180.0);
        // One chunk: one after the other, with three dispatches each.
        assert_eq!(Schedule { steps: 100, ..ten }.time(8.0, 1.5, 0.0), 300.0 + 9.0 * 1.5);
    }
}
