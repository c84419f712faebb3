//! Groups of plans laid out for a GPU: what the WGSL and CUDA backends share.
//!
//! A [`Group`] is some plans side by side: places in one set of buffers, records of all their jobs, and the launches
//! that run them. One launch is one slot, tile class and stage of the whole group, with an exact grid of (tiles, jobs).
//! So a group costs the launches of its deepest network. A job's arithmetic is a function of its own plan: a group says
//! where and when, never how.
//!
//! - `records` has the structs that kernels read, and the units of places.
//! - `pool` knows which weights are on the device.
//! - `footprint` says what a network takes, and when a group is full.
//! - `tables` makes records and launches.
//! - `check` looks whether every extent lies inside its buffer: kernels check nothing.
//!
//! # Buffers
//!
//! The arena starts with the batch; then comes the arena of each network, whose octets are those of its plan. Norms,
//! partial statistics, codes, K, pivots and statuses are those of the networks one after the other.
//!
//! # Order of launches
//!
//! Weights and K's start; then the slots, combine or conv, each followed by the batch norms that it leaves; agreement;
//! Cholesky. A backend whose last block of a job joins the statistics itself takes [`Joins::LastBlock`], and gets no launches for
//! them.

mod check;
mod footprint;
pub(crate) mod lockstep;
mod mirror;
mod pool;
mod records;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use footprint::{Limits, Load, Sizes, image, most_networks};
pub(crate) use mirror::Mirror;
pub(crate) use pool::{Fresh, Pool, Resident};
pub(crate) use records::*;
pub(crate) use tables::Tables;
use tables::tables;

use crate::backend::cpu::cholesky::Pivots;
use crate::measure::Stage;
use crate::plan::Plan;
use crate::plan::jobs::Slot;
use crate::{Error, Kernel, Result};

/// A step of a run, by the kernel that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Makes rows of the weight pool. Jobs are those of [`Fresh`].
    Weights,
    /// Sets K to N_A everywhere and the statuses to NONE.
    Start,
    Combine,
    /// Convolutions of [`TileClass::Narrow`](crate::plan::TileClass::Narrow).
    ConvNarrow,
    /// Those of [`TileClass::Wide`](crate::plan::TileClass::Wide).
    ConvWide,
    /// Joins the partial statistics of convolutions.
    BatchNorm,
    /// Batch norms of what combines have stored: their statistics, and at once the join. A tile is an octet of
    /// channels; the few networks that have such batch norms have them in small tensors.
    StoredBatchNorm,
    Agreement,
    Cholesky,
}

impl Step {
    /// The stage that it belongs to.
    pub(crate) fn stage(self) -> Stage {
        match self {
            Step::Weights => Stage::Weights,
            Step::Combine => Stage::Combine,
            Step::ConvNarrow | Step::ConvWide => Stage::Conv,
            Step::BatchNorm | Step::StoredBatchNorm => Stage::BatchNorm,
            Step::Start | Step::Agreement => Stage::Agreement,
            Step::Cholesky => Stage::Cholesky,
        }
    }
}

/// Who makes batch norms from what a job leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joins {
    /// Launches of their own: there is no fence between the blocks of a launch.
    Launches,
    /// The last block of the job.
    #[cfg_attr(not(test), expect(dead_code, reason = "for kernels with a fence between blocks"))]
    LastBlock,
}

/// One launch: all its jobs may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) step: Step,
    /// The slot whose jobs it runs; none before and after the slots.
    pub(crate) slot: Option<Slot>,
    pub(crate) record: LaunchRecord,
}

/// The node that a status speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Culprit {
    Combine(usize),
    /// A batch norm by its position among the plan's, those of convs first.
    Norm(usize),
}

/// Where one network of a group lies, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) plan: Plan,
    /// First of everything: arena, norms, ..
    pub(crate) places: Sizes,
    /// By status.
    pub(super) culprits: Vec<Culprit>,
}

impl Member {
    /// ln |det K| and K from what came back: K itself, the pivots of K / N_A and the status.
    ///
    /// # Errors
    /// Numbers that were not finite, or a K that is none.
    pub(crate) fn judge(
        &self,
        status: u32,
        kernel: Vec<u32>,
        pivots: impl Iterator<Item = f64>,
        precision: &'static str,
    ) -> Result<(f64, Kernel)> {
        if status != NONE {
            let node = match self.culprits.get(status as usize) {
                Some(Culprit::Combine(job)) => self.plan.combines[*job].name.clone(),
                Some(Culprit::Norm(norm)) => {
                    pool::norms(&self.plan).nth(*norm).map_or(String::new(), |norm| norm.name.clone())
                }
                None => String::new(),
            };
            return Err(Error::NonFinite { node, precision });
        }
        let kernel = Kernel::new(self.plan.images(), kernel)?;
        Ok((kernel.judge(log_det(pivots, kernel.activations())), kernel))
    }
}

/// N ln N_A + sum_p ln d_p of the pivots of K / N_A, which stand up to the first that is not positive. Logarithms are
/// taken here, in f64: those of shaders are rough.
fn log_det(pivots: impl Iterator<Item = f64>, activations: u32) -> Pivots {
    let mut all = Pivots { log_det: 0.0, smallest_pivot: f64::INFINITY };
    for pivot in pivots {
        if pivot <= 0.0 || pivot.is_nan() {
            return Pivots { log_det: f64::NAN, smallest_pivot: pivot };
        }
        all.log_det += pivot.ln() + f64::from(activations).ln();
        all.smallest_pivot = all.smallest_pivot.min(pivot);
    }
    all
}

/// Plans laid out side by side.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) members: Vec<Member>,
    /// Sizes of the buffers.
    pub(crate) sizes: Sizes,
    pub(crate) tables: Tables,
    pub(crate) launches: Vec<Launch>,
}

impl Group {
    /// Lays out plans of one batch, each with its load and its weights. Before anything is launched, [`Group::check`] has
    /// to have passed.
    pub(crate) fn new(plans: Vec<(Plan, Load, Resident)>, pool: &Pool, joins: Joins) -> Self {
        let mut sizes = plans.first().map_or(Sizes::default(), |(plan, ..)| image(plan));
        let mut members = Vec::with_capacity(plans.len());
        let mut residents = Vec::with_capacity(plans.len());
        for (plan, load, resident) in plans {
            members.push(Member { plan, places: sizes, culprits: Vec::new() });
            residents.push(resident);
            sizes += load.sizes;
        }
        let (tables, launches) = tables(&mut members, &residents, pool.source(), joins);
        Group { members, sizes, tables, launches }
    }
}
