//! Groups of plans laid out for a GPU: what the WGSL and CUDA backends share.
//!
//! A [`Group`] is some plans side by side: places in one set of buffers, records of all their jobs, and the launches
//! that run them. One launch is one slot, tile class and stage of the whole group, with an exact grid of (tiles, jobs).
//! So a group costs the launches of its deepest network. A job's arithmetic is a function of its own plan: a group says
//! where and when, never how.
//!
//! - `memory` is the register of the memory that kernels work on: tables and buffers.
//! - `records` has the structs that kernels read.
//! - `planar` is the layout of tensors, `rows` that of weights.
//! - `forms` says which kernels a device has for which jobs.
//! - `launch` is what a group is run by.
//! - `partials` says where partial statistics lie.
//! - `footprint` says what a network takes, and when a group is full.
//! - `prepared` is a network with all that a group needs of it; `tables` makes its records.
//! - `device_weights` knows which weights are on the device.
//! - `merge` puts the records of networks side by side, and makes launches.
//! - `packed` has the networks on their way into a group: queued, placed, packed.
//! - `session` is a device with what a run needs of it, and its groups in flight; `fault` is what can go wrong.
//! - `run` takes the networks of a queue through a session, on the threads of `compile`, `submit` and `land`, which share a
//!   `pipeline`; `executor` is a device for whoever runs networks.
//! - `twin` runs launches on the CPU's twins, over a `mirror` of the buffers; `lockstep` compares the two.
//! - `check` looks whether every extent lies inside its buffer: kernels check nothing.
//!
//! # Order of launches
//!
//! Weights and K's start; then the slots, combine or conv, each followed by the batch norms that it leaves; agreement;
//! Cholesky; where SWAP was asked for, its maps are emptied and filled. A backend whose last block of a job makes the
//! batch norms itself takes [`BatchNormsBy::LastBlock`], and gets no launches for them.

mod check;
mod compile;
mod device_weights;
mod executor;
mod fault;
mod footprint;
mod forms;
mod land;
mod launch;
pub(crate) mod lockstep;
mod memory;
mod merge;
pub(crate) mod mirror;
pub(crate) mod packed;
mod partials;
mod pipeline;
mod planar;
mod prepared;
mod records;
mod results;
mod rows;
mod run;
pub(crate) mod session;
mod submit;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod twin;

pub(crate) use device_weights::{DeviceWeightCache, NewWeights, WeightPlaces};
pub(crate) use executor::{Grouped, check};
pub use fault::Fault;
pub(crate) use footprint::{Limits, Load, image, most_networks};
pub(crate) use forms::Forms;
pub(crate) use launch::{BatchNormsBy, Launch, LaunchKind, PerKind};
pub(crate) use memory::{Buffer, Memory, PerBuffer, PerShared, PerTable, Shared, Sizes, Table};
pub(crate) use merge::Group;
pub(crate) use mirror::Mirror;
pub(crate) use planar::batch;
pub(crate) use prepared::Prepared;
pub(crate) use records::*;
pub(crate) use results::Results;
pub(crate) use rows::RowFormat;

use crate::plan::Plan;
use crate::score::ScoreValues;
use crate::score::cholesky::Pivots;
use crate::score::swap::Patterns;
use crate::{Agreement, Codes, Error, Result, ScoreKind};

/// A member of a group: one network, and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) network: Box<Prepared>,
    /// Where it begins in each buffer.
    pub(crate) places: Sizes,
}

impl Member {
    pub(crate) fn plan(&self) -> &Plan {
        &self.network.plan
    }

    /// ln |det K| and K from what came back: the status, K itself and the pivots of K / N_A.
    ///
    /// # Errors
    /// Numbers that were not finite, or a K that is none.
    fn judge(&self, results: &Results, precision: &'static str) -> Result<(f64, Agreement)> {
        let (places, n) = (&self.places, self.plan().images());
        let words = |buffer: Buffer, count: usize| results.words(buffer, places[buffer], count);
        if let [status] = words(Buffer::Statuses, 1)[..]
            && status != NONE
        {
            let node = self.network.node(status).to_owned();
            return Err(Error::NonFinite { node, precision });
        }
        let agreement = Agreement::new(n, words(Buffer::AgreementMatrices, n * n))?;
        let pivots = results.factors(Buffer::Pivots, places[Buffer::Pivots], n);
        Ok((agreement.judge(log_det(pivots, agreement.activations())), agreement))
    }

    /// Scores beside NASWOT's from what came back, where they were asked for.
    fn scores(&self, results: &Results) -> ScoreValues {
        let mut scores = ScoreValues::default();
        if let Some(job) = self.plan().swap {
            let counts = results.words(Buffer::Patterns, self.places[Buffer::Patterns], COUNTS);
            let swap = job.score(Patterns { distinct: counts[0], active_units: counts[1] });
            scores.set(ScoreKind::Swap, f64::from(swap));
        }
        scores
    }

    /// The codes that came back: those of a group whose codes are to be kept.
    fn codes(&self, results: &Results) -> Codes {
        let words = self.plan().images() * self.plan().words_per_image;
        Codes::new(self.plan(), &results.words(Buffer::Codes, self.places[Buffer::Codes], words))
    }
}

/// N ln N_A + sum_p ln d_p of the pivots of K / N_A, which stand up to the first that is not positive. Logarithms are
/// taken here, in f64: those of shaders are rough.
fn log_det(pivots: Vec<f64>, activations: u32) -> Pivots {
    let mut all = Pivots { log_det: 0.0, smallest_pivot: f64::INFINITY };
    let ln_activations = f64::from(activations).ln();
    for pivot in pivots {
        if pivot <= 0.0 || pivot.is_nan() {
            return Pivots { log_det: f64::NAN, smallest_pivot: pivot };
        }
        all.log_det += pivot.ln() + ln_activations;
        all.smallest_pivot = all.smallest_pivot.min(pivot);
    }
    all
}
