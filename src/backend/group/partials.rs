//! The room that partial statistics take.

use super::forms::Forms;
use super::planar::{UNITS, units};
use crate::graph::Shape;
use crate::plan::jobs::{CombineJob, ConvJob, OCTET, Statistics};
use crate::plan::{Plan, SlotJobs};

/// Units of a job's partial statistics.
pub(super) fn partial_units(
    plan: &Plan,
    statistics: &Statistics,
    shape: Shape,
    tile: usize,
    units: usize,
) -> usize {
    if statistics.norms.is_empty() { 0 } else { (plan.images() * shape.pixels()).div_ceil(tile) * units }
}

/// Units of the partial statistics of the slot that has most of them: they live for one slot only.
pub(super) fn most_partials(plan: &Plan, forms: Forms) -> usize {
    let conv = |job: &ConvJob| {
        let shape = plan.tensors[job.output].shape;
        partial_units(plan, &job.statistics, shape, forms.conv(plan, job).tile, out_units(plan, job))
    };
    let combine = |job: &CombineJob| {
        let cut = forms.combine(plan, job);
        partial_units(plan, &job.statistics, job.shape, cut.tile, cut.units)
    };
    let slot = |jobs: &SlotJobs| {
        let convs: usize = plan.convs[jobs.convs.clone()].iter().map(conv).sum();
        convs + plan.combines[jobs.combines.clone()].iter().map(combine).sum::<usize>()
    };
    plan.slots.iter().map(slot).max().unwrap_or(0)
}

/// Units that a convolution writes: all of its octets but the second one of the last, where that has no channel.
pub(super) fn out_units(plan: &Plan, job: &ConvJob) -> usize {
    let Some(last) = job.parts.last() else { unreachable!("a conv job writes at least one part") };
    let of_last = last.channels(&plan.parameters) - (last.octets - 1) * OCTET;
    (job.octets().len() - 1) * UNITS + units(of_last)
}
