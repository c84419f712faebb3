//! The thread of a run that compiles its networks ahead of the groups, on all cores.

use rayon::prelude::*;

use super::most_networks;
use super::packed::Queued;
use super::prepared::Prepared;
use super::run::Run;
use super::session::DeviceSession;
use crate::Result;
use crate::backend::queue::Request;

/// Networks that are compiled at once: a few for each core of a large machine, and enough to start an idle device with.
const AT_ONCE: usize = 64;

/// Compiles the networks of a queue until it has no more.
pub(super) fn compile_all<S: DeviceSession>(run: &Run<'_, S>) {
    let limits = run.limits();
    let most = most_networks(&limits);
    loop {
        {
            let mut state = run.wait_while(|state| state.ready.len() >= most && !state.is_over);
            if state.is_over {
                return;
            }
            state.compiling = true;
        }
        let requests = run.queue.take_waiting(AT_ONCE.min(most));
        if requests.is_empty() {
            run.change(|state| state.compiling = false);
            if run.queue.wait() == 0 {
                return run.change(|state| state.all_compiled = true);
            }
            continue;
        }
        let compiled: Vec<(usize, Result<Box<Prepared>>)> = run.threads.install(|| {
            let prepare = |Request { index, network }| {
                let plan = run.setup.plan(&network);
                (index, plan.and_then(|plan| Prepared::new(plan, &limits, &*run.setup.source)))
            };
            requests.into_par_iter().map(prepare).collect()
        });
        let mut networks = Vec::with_capacity(compiled.len());
        for (index, network) in compiled {
            match network {
                Ok(network) => networks.push(Queued { index, network }),
                Err(error) => run.queue.put(index, Err(error)),
            }
        }
        run.change(|state| {
            state.ready.extend(networks);
            state.compiling = false;
        });
    }
}
