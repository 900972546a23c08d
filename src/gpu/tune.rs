//! Timing the planner's candidates.

use super::calls::shortened;
use super::encode::Encoding;
use super::pace::Pace;
use super::plan::{Plan, plan};
use super::workspace::{Prepared, Workspace};
use crate::error::Result;
use crate::host::Instant;
use crate::model::{CallShape, Model};
use crate::runner::{Counters, Wait};
use std::time::Duration;

/// The most timesteps of a call that is timed: what a step costs doesn't depend on their number.
const TIMESTEPS: usize = 64;
/// How often each way is timed; the fastest counts.
const RUNS: usize = 3;

/// Times the ways to run the layers of a call, of which the device knows nothing yet. The states of
/// stateful layers are written to: not for calls that go on from them.
pub(super) async fn tune(
    workspace: &mut Workspace,
    model: &Model,
    call: &CallShape,
    wait: Wait,
) -> Result<()> {
    let device = workspace.device.clone();
    if device.autotune().is_none() {
        return Ok(());
    }
    let graph = model.lower(&shortened(model, call, TIMESTEPS))?;
    let limits = device.plan_limits();
    let own = plan(&graph, &limits, &device.tuned())?;
    for chosen in own.choices {
        let tuned = device.tuned();
        if tuned.contains_key(&chosen.class) || chosen.candidates.len() < 2 {
            continue;
        }
        let mut fastest: Option<(Duration, String)> = None;
        for name in chosen.candidates {
            let mut tuned = tuned.clone();
            tuned.insert(chosen.class.clone(), name.clone());
            // Where workgroups wait in vain, that takes so long that another way is the fastest.
            let plan = plan(&graph, &limits, &tuned)?;
            let Ok(time) = time(workspace, model, plan, wait).await else {
                // One that the driver can't build is out of the running.
                workspace.drop_buffers();
                continue;
            };
            tracing::debug!(class = chosen.class, name, ?time, "autotune");
            if fastest.as_ref().is_none_or(|(least, _)| time < *least) {
                fastest = Some((time, name));
            }
        }
        if let (Some((_, name)), Some(mut cache)) = (fastest, device.autotune()) {
            cache.remember(chosen.class, name);
        }
    }
    Ok(())
}

/// The least time of some runs of a plan, on whatever its buffers hold.
async fn time(
    workspace: &mut Workspace,
    model: &Model,
    plan: Plan,
    wait: Wait,
) -> Result<Duration> {
    let device = workspace.device.clone();
    let prepared = device.checked("autotune", || workspace.bind(model, plan)).await?;
    let mut least = Duration::MAX;
    for run in 0..=RUNS {
        let began = Instant::now();
        let launched = device.checked("autotune", || Ok(launch(workspace, &prepared))).await?;
        device.wait_until_done(launched, wait).await?;
        if run > 0 {
            least = least.min(began.elapsed());
        }
    }
    Ok(least)
}

fn launch(workspace: &Workspace, prepared: &Prepared) -> wgpu::SubmissionIndex {
    let device = &workspace.device;
    let pace = Pace::of(device.info.kind);
    let mut counters = Counters::default();
    let _turn = workspace.turn.take();
    let mut encoding = Encoding::new(device, &workspace.step_table, None, &pace, &mut counters);
    prepared.encode(&mut encoding);
    encoding.finish(|_| ())
}
