//! The thread of a run that waits for its groups to end, and judges their networks.

use std::time::Instant;

use super::pipeline::Pipeline;
use super::session::{DeviceSession, Ended};

/// Waits for all groups, the oldest one first, and hands in the outcomes of their networks.
pub(super) fn land_all<S: DeviceSession>(pipeline: &Pipeline<'_, S>) {
    // When the group before has ended.
    let mut ended_at = None;
    loop {
        let oldest = {
            let mut state = pipeline.wait_while(|state| state.started.is_empty() && !state.is_over);
            state.started.pop_front()
        };
        let Some(oldest) = oldest else { return };
        match oldest.wait() {
            Ok(Ended { packed, results, memory }) => {
                // The next group can start before these networks are judged.
                pipeline.change(|state| {
                    state.freed.push(memory);
                    state.in_flight -= 1;
                });
                let outcomes = packed.outcomes(&results, pipeline.setup, ended_at);
                ended_at = Some(Instant::now());
                outcomes.into_iter().for_each(|(index, outcome)| pipeline.queue.put(index, outcome));
                // Freeing networks takes longer than judging them.
                pipeline.threads.spawn(move || drop(packed));
            }
            Err(failed) => pipeline.change(|state| {
                state.failed.push(failed);
                state.in_flight -= 1;
            }),
        }
    }
}
