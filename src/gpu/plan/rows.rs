//! In how many parts a batch runs.

use super::launch::{BufferId, Tuned};
use super::layout::ArrayLayout;
use super::operators::plan;
use super::recurrent::most_rows;
use crate::error::Result;
use crate::gpu::limits::Limits;
use crate::graph::OperatorGraph;

/// How many rows of a batch run at a time, so that the arrays fit the memory budget and each buffer
/// a binding. `graph`: that of a call of one row, of which more rows are a multiple; without it all
/// run at once.
pub(in crate::gpu) fn rows_at_once(
    graph: Option<&OperatorGraph>,
    batch: usize,
    limits: &Limits,
) -> Result<usize> {
    let Some(graph) = graph else { return Ok(batch) };
    let of_a_row = plan(graph, &Limits { binding: u64::MAX, ..*limits }, &Tuned::new())?;
    let cut = graph.cut_along_time();
    let (mut all, mut most) = (0u64, most_rows(graph, limits)?);
    for (&buffer, &bytes) in &of_a_row.buffers {
        let least = match buffer {
            BufferId::Array { array, .. } => {
                all = all.saturating_add(bytes);
                match cut[array.0] {
                    true => ArrayLayout::new(graph.shape(array), None).timestep_bytes(),
                    false => bytes,
                }
            }
            BufferId::Scratch(_) => bytes,
            _ => continue,
        };
        most = most.min((limits.binding / least.max(1)) as usize);
    }
    most = most.min((limits.budget / all.max(1)) as usize);
    let parts = batch.div_ceil(most.max(1));
    Ok(batch.div_ceil(parts))
}
