//! A group from its submission to its scores.

use std::sync::Arc;
use std::time::Instant;

use wgpu::{Buffer, SubmissionIndex};

use super::gpu::{Fault, Gpu};
use super::pipelines::Content;
use crate::Result;
use crate::backend::group::{Group, Load, Member};
use crate::backend::{Outcome, Setup};
use crate::plan::Plan;

/// A network that waits for its group.
pub(super) struct Planned {
    pub(super) index: usize,
    pub(super) plan: Plan,
    pub(super) load: Load,
}

/// The members of a group, to be run again.
pub(super) fn planned(members: Vec<Member>, indices: Vec<usize>, loads: Vec<Load>) -> Vec<Planned> {
    let members = members.into_iter().zip(indices).zip(loads);
    members.map(|((member, index), load)| Planned { index, plan: member.plan, load }).collect()
}

/// Networks whose group has failed, and why.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) networks: Vec<Planned>,
}

/// Outcomes by position in the input.
pub(super) type Outcomes = Vec<(usize, Result<Outcome>)>;

/// A group that has been submitted.
pub(super) struct Flight {
    pub(super) gpu: Arc<Gpu>,
    pub(super) group: Group,
    pub(super) indices: Vec<usize>,
    pub(super) loads: Vec<Load>,
    pub(super) results: Buffer,
    /// What the results are, one after the other, and their bytes: statuses, pivots, K, and codes where they are kept.
    pub(super) pieces: [(Content, u64); 4],
    pub(super) submission: SubmissionIndex,
    pub(super) start: Instant,
}

/// What the device says of a group.
struct Results {
    statuses: Vec<u32>,
    pivots: Vec<f32>,
    kernels: Vec<u32>,
    codes: Vec<u32>,
}

impl Flight {
    /// Waits for the group and judges its networks; the buffer of results comes back too.
    pub(super) fn land(
        self,
        setup: &Setup,
        previous: Option<Instant>,
    ) -> Result<(Outcomes, Arc<Gpu>, Buffer), Failed> {
        let results = match self.read() {
            Ok(results) => results,
            Err(fault) => {
                return Err(Failed {
                    fault,
                    networks: planned(self.group.members, self.indices, self.loads),
                });
            }
        };
        // Two groups overlap: this one's time begins when the one before has landed.
        let start = previous.map_or(self.start, |previous| previous.max(self.start));
        let seconds = start.elapsed().as_secs_f64() / self.group.members.len() as f64;
        let outcome = |(m, member): (usize, &Member)| {
            let n = member.plan.images();
            let kernel = results.kernels[member.places.kernels..][..n * n].to_vec();
            let pivots = results.pivots[member.places.pivots..][..n].iter().map(|&pivot| f64::from(pivot));
            let (log_det, kernel) = member.judge(results.statuses[m], kernel, pivots, "f32")?;
            if let Some(probe) = setup.probe.as_ref().filter(|_| !results.codes.is_empty()) {
                let words = n * member.plan.words_per_image;
                probe.see_codes(&member.plan, &results.codes[member.places.codes..][..words]);
            }
            Ok(Outcome {
                log_det,
                kernel: setup.keep_kernels.then_some(kernel),
                activations: member.plan.activations(),
                seconds,
            })
        };
        let outcomes = self.group.members.iter().enumerate().map(outcome);
        Ok((self.indices.into_iter().zip(outcomes).collect(), self.gpu, self.results))
    }

    fn read(&self) -> Result<Results, Fault> {
        let size = self.pieces.iter().map(|(_, bytes)| bytes).sum();
        let bytes = self.gpu.read(&self.results, size, Some(self.submission.clone()))?;
        let mut place = 0;
        let mut next = |i: usize| {
            let piece = &bytes[place..place + self.pieces[i].1 as usize];
            place += piece.len();
            piece
        };
        Ok(Results {
            statuses: bytemuck::pod_collect_to_vec(next(0)),
            pivots: bytemuck::pod_collect_to_vec(next(1)),
            kernels: bytemuck::pod_collect_to_vec(next(2)),
            codes: bytemuck::pod_collect_to_vec(next(3)),
        })
    }
}
