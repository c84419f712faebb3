//! Networks on their way into a group: queued, then with places for their weights, then packed, which is laid out.

use std::time::Instant;

use super::results::Results;
use super::{DeviceWeightCache, Forms, Group, Member, Prepared, RowFormat, WeightPlaces};
use crate::backend::{Outcome, Setup};
use crate::{Error, Result};

/// A prepared network that waits for its group.
pub(crate) struct Queued {
    /// Position in the input.
    pub(crate) index: usize,
    pub(crate) network: Box<Prepared>,
}

/// Networks whose weights have places.
pub(crate) struct Placed {
    networks: Vec<(Box<Prepared>, WeightPlaces)>,
    indices: Vec<usize>,
    start: Instant,
    /// Whether the cache was cleared for these: what was launched before must end before its rows are overwritten.
    pub(crate) cleared: bool,
}

impl Placed {
    /// Finds places for weights, and hands back the networks that the cache has no room for; those whose weights are wrong
    /// go to `fail`.
    pub(crate) fn new(
        networks: Vec<Queued>,
        cache: &mut DeviceWeightCache,
        fail: &mut dyn FnMut(usize, Error),
    ) -> (Self, Vec<Queued>) {
        let (start, count) = (Instant::now(), networks.len());
        let mut placed = Placed {
            networks: Vec::with_capacity(count),
            indices: Vec::with_capacity(count),
            start,
            cleared: false,
        };
        let mut networks = networks.into_iter();
        while let Some(Queued { index, network }) = networks.next() {
            let mut places = cache.place(&network);
            if placed.networks.is_empty() && matches!(places, Ok(None)) {
                cache.clear();
                placed.cleared = true;
                places = cache.place(&network);
            }
            match places {
                Ok(Some(places)) => {
                    placed.indices.push(index);
                    placed.networks.push((network, places));
                }
                Ok(None) => {
                    let left = std::iter::once(Queued { index, network }).chain(networks).collect();
                    return (placed, left);
                }
                Err(error) => fail(index, error),
            }
        }
        (placed, Vec::new())
    }

    /// Lays the networks out as a group; none where there are none.
    pub(crate) fn pack(self, forms: Forms, rows: RowFormat) -> Option<Packed> {
        let Placed { networks, indices, start, .. } = self;
        (!networks.is_empty()).then(|| Packed { group: Group::new(networks, forms, rows), indices, start })
    }
}

/// A group that has been laid out, and where its networks come from.
pub(crate) struct Packed {
    pub(crate) group: Group,
    indices: Vec<usize>,
    start: Instant,
}

/// Outcomes by position in the input.
pub(crate) type Outcomes = Vec<(usize, Result<Outcome>)>;

impl Packed {
    /// Its networks, to be run again.
    pub(crate) fn into_queued(self) -> Vec<Queued> {
        let members = self.group.members.into_iter().zip(self.indices);
        members.map(|(member, index)| Queued { index, network: member.network }).collect()
    }

    /// Judges its networks; `previous` is when the group before has ended.
    pub(crate) fn outcomes(&self, results: &Results, setup: &Setup, previous: Option<Instant>) -> Outcomes {
        // Two groups overlap: this one's time begins when the one before has ended.
        let start = previous.map_or(self.start, |previous| previous.max(self.start));
        let seconds = start.elapsed().as_secs_f64() / self.group.members.len() as f64;
        let outcome = |member: &Member| {
            let (log_det, agreement) = member.judge(results, "f32")?;
            Ok(Outcome {
                log_det,
                scores: member.scores(results),
                agreement: setup.keep_kernels.then_some(agreement),
                codes: setup.keep_codes.then(|| member.codes(results)),
                activations: member.plan().activations(),
                seconds,
            })
        };
        self.indices.iter().copied().zip(self.group.members.iter().map(outcome)).collect()
    }
}
