//! In which order lanes run a plan's jobs, and where its tensors lie.
//!
//! Lanes take one job after the other, where a plan's places let all jobs of a slot run at once. And a sum that
//! nothing but one convolution reads is not stored: it is made row by row while that convolution runs, so its terms
//! must live until then. So tensors have other lives here than in the plan, and places of their own.

use super::layout::Layout;
use super::simd::Simd;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, IMAGE};
use crate::plan::place::Life;

/// A job of the plan, by its position among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Combine(usize),
    /// A convolution, and the sum that goes straight into it.
    Conv {
        job: usize,
        sum: Option<usize>,
    },
}

/// A plan as lanes run it.
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) layout: Layout,
}

impl Program {
    pub(super) fn new<S: Simd, const W: usize>(plan: &Plan) -> Self {
        let sums = sums(plan);
        let stored = |&job: &usize| !sums.contains(&Some(job));
        let mut steps = Vec::with_capacity(plan.combines.len() + plan.convs.len());
        for slot in &plan.slots {
            steps.extend(slot.combines.clone().filter(stored).map(Step::Combine));
            steps.extend(slot.convs.clone().map(|job| Step::Conv { job, sum: sums[job] }));
        }
        let layout = Layout::new::<S, W>(plan, &lives(plan, &steps));
        Program { steps, layout }
    }
}

/// For each convolution the combine job that makes its input for it alone: one without a window, whose rows need
/// no others, and without statistics, which a batch norm would wait for.
fn sums(plan: &Plan) -> Vec<Option<usize>> {
    let mut readers = vec![0; plan.tensors.len()];
    plan.convs.iter().for_each(|job| readers[job.input] += 1);
    plan.combines.iter().flat_map(|job| &job.terms).for_each(|term| readers[term.tensor] += 1);
    let mut makers = vec![None; plan.tensors.len()];
    let plain = |job: &CombineJob| job.window.is_none() && job.statistics.norms.is_empty();
    for (i, job) in plan.combines.iter().enumerate().filter(|(_, job)| plain(job)) {
        if let Some(output) = job.output.filter(|&output| readers[output] == 1) {
            makers[output] = Some(i);
        }
    }
    plan.convs.iter().map(|job| makers[job.input]).collect()
}

/// First and last step of every tensor; none for the image, and for what is not stored.
fn lives(plan: &Plan, steps: &[Step]) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; plan.tensors.len()];
    for (position, step) in steps.iter().enumerate() {
        let (sum, input, output) = match *step {
            Step::Combine(job) => (Some(job), None, plan.combines[job].output),
            Step::Conv { job, sum } => (sum, Some(plan.convs[job].input), Some(plan.convs[job].output)),
        };
        let read = match sum {
            Some(sum) => plan.combines[sum].terms.iter().map(|term| term.tensor).collect(),
            None => Vec::from_iter(input),
        };
        for tensor in read.into_iter().chain(output) {
            lives[tensor].get_or_insert((position, position)).1 = position;
        }
    }
    lives[IMAGE] = None;
    lives
}
