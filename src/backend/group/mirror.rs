//! Host copies of a group's buffers, which twins work on.

use super::{Group, NONE, Sizes};
use crate::plan::jobs::OCTET;

/// All buffers of a group, with the layouts of [`super::records`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Mirror {
    pub(crate) pool: Vec<f32>,
    pub(crate) arena: Vec<f32>,
    pub(crate) norms: Vec<f32>,
    pub(crate) partials: Vec<f32>,
    pub(crate) codes: Vec<u32>,
    pub(crate) kernels: Vec<u32>,
    pub(crate) pivots: Vec<f32>,
    pub(crate) statuses: Vec<u32>,
}

impl Mirror {
    /// Buffers of a group and a pool of so many octets, filled with a number and a word that nobody computes.
    pub(crate) fn new(group: &Group, pool: usize, number: f32) -> Self {
        let Sizes { arena, norms, partials, codes, kernels, pivots, statuses } = group.sizes;
        let numbers = |count: usize| vec![number; count];
        Mirror {
            pool: numbers(pool * OCTET),
            arena: numbers(arena * OCTET),
            norms: numbers(norms * 3 * OCTET),
            partials: numbers(partials * 2 * OCTET),
            codes: vec![NONE; codes],
            kernels: vec![NONE; kernels],
            pivots: numbers(pivots),
            statuses: vec![NONE; statuses],
        }
    }
}
