//! The thread of a run that compiles its networks ahead of the groups, on all cores.

use rayon::prelude::*;

use super::most_networks;
use super::packed::Queued;
use super::pipeline::Pipeline;
use super::prepared::Prepared;
use super::session::DeviceSession;
use crate::Result;
use crate::backend::queue::Request;

/// Networks that are compiled at once: a few for each core of a large machine, and enough to start an idle device with.
const AT_ONCE: usize = 64;

/// Compiles the networks of a queue until it has no more.
pub(super) fn compile_all<S: DeviceSession>(pipeline: &Pipeline<'_, S>) {
    let limits = pipeline.limits();
    let most = most_networks(&limits);
    loop {
        {
            let mut state = pipeline.wait_while(|state| state.ready.len() >= most && !state.is_over);
            if state.is_over {
                return;
            }
            state.compiling = true;
        }
        let requests = pipeline.queue.take_waiting(AT_ONCE.min(most));
        if requests.is_empty() {
            pipeline.change(|state| state.compiling = false);
            if pipeline.queue.wait() == 0 {
                return pipeline.change(|state| state.all_compiled = true);
            }
            continue;
        }
        let compiled: Vec<(usize, Result<Box<Prepared>>)> = pipeline.threads.install(|| {
            let prepare = |Request { index, network }| {
                let plan = pipeline.setup.plan(&network);
                (index, plan.and_then(|plan| Prepared::new(plan, &limits, &*pipeline.setup.source)))
            };
            requests.into_par_iter().map(prepare).collect()
        });
        let mut networks = Vec::with_capacity(compiled.len());
        for (index, network) in compiled {
            match network {
                Ok(network) => networks.push(Queued { index, network }),
                Err(error) => pipeline.queue.put(index, Err(error)),
            }
        }
        pipeline.change(|state| {
            state.ready.extend(networks);
            state.compiling = false;
        });
    }
}
