//! A network with all that a group needs of it, made ahead of the group on any core.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::tables::{SlotTables, Tables, tables};
use super::{Limits, Load};
use crate::Result;
use crate::plan::Plan;
use crate::plan::jobs::{NormJob, Parameter, Part, Slot};
use crate::weights::WeightSource;

/// The node that a status speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Culprit {
    Combine(usize),
    /// A batch norm by its position among the plan's, those of convs first.
    Norm(usize),
}

/// Some octets of a parameter's rows, which a conv reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// Of the parameter; see [`parameter_hash`].
    pub(super) hash: u128,
    pub(super) parameter: usize,
    /// First octet.
    pub(super) row: usize,
    pub(super) octets: usize,
}

/// A network that can join any group.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) load: Load,
    /// Its records, as they are when it is alone in its group.
    pub(super) tables: Tables,
    pub(super) slots: Vec<SlotTables>,
    /// By status.
    pub(super) culprits: Vec<Culprit>,
    /// What its convs read, in the order of the records.
    pub(super) rows: Vec<Rows>,
    /// Octets of all these.
    pub(super) row_octets: usize,
}

impl Prepared {
    /// Prepares a network for a device.
    ///
    /// # Errors
    /// As [`Load::of`].
    pub(crate) fn new(plan: Plan, limits: &Limits, source: &dyn WeightSource) -> Result<Box<Self>> {
        let load = Load::of(&plan, limits)?;
        let (tables, slots, culprits) = tables(&plan, source);
        let hashes: Vec<u128> = plan.parameters.iter().map(parameter_hash).collect();
        let parts = plan.convs.iter().flat_map(|job| &job.parts);
        let rows = parts.map(|part| Rows {
            hash: hashes[part.parameter],
            parameter: part.parameter,
            row: part.row,
            octets: part.octets,
        });
        let rows = rows.collect();
        let octets = |part: &Part| part.octets * plan.parameters[part.parameter].shape.row_len();
        let row_octets = plan.convs.iter().flat_map(|job| &job.parts).map(octets).sum();
        Ok(Box::new(Prepared { plan, load, tables, slots, culprits, rows, row_octets }))
    }

    /// Name of the node that a status speaks of.
    pub(super) fn culprit(&self, status: u32) -> &str {
        match self.culprits.get(status as usize) {
            Some(Culprit::Combine(job)) => &self.plan.combines[*job].name,
            Some(Culprit::Norm(norm)) => norms(&self.plan).nth(*norm).map_or("", |norm| &norm.name),
            None => "",
        }
    }

    /// Position of the combine whose status this is.
    pub(super) fn combine_job(&self, status: u32) -> usize {
        match self.culprits.get(status as usize) {
            Some(Culprit::Combine(job)) => *job,
            _ => 0,
        }
    }

    /// Position of the first conv of a slot.
    pub(super) fn first_conv(&self, slot: Option<Slot>) -> usize {
        self.plan.slots.iter().find(|jobs| Some(jobs.slot) == slot).map_or(0, |jobs| jobs.convs.start)
    }
}

/// A hash of all that a parameter's rows depend on beside the source, of 128 bits: no two parameters share one.
fn parameter_hash(parameter: &Parameter) -> u128 {
    let Parameter { name, shape, distribution, .. } = parameter;
    let half = |half: u8| {
        let mut hasher = DefaultHasher::new();
        (half, name, shape.kernel, shape.in_channels, distribution).hash(&mut hasher);
        hasher.finish()
    };
    u128::from(half(0)) << 64 | u128::from(half(1))
}

/// A plan's batch norms, those of convs first.
pub(super) fn norms(plan: &Plan) -> impl Iterator<Item = &NormJob> {
    let convs = plan.convs.iter().flat_map(|job| &job.statistics.norms);
    convs.chain(plan.combines.iter().flat_map(|job| &job.statistics.norms))
}
