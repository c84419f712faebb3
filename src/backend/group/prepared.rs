//! A network with all that a group needs of it, made ahead of the group on any core.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::tables::{NetworkTables, SlotTables, StatusNode, Tables, tables};
use super::{Limits, Load, RowFormat};
use crate::Result;
use crate::plan::Plan;
use crate::plan::jobs::{Parameter, Part};
use crate::weights::WeightSource;

/// Octets of a parameter's rows, which a conv reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParameterOctets {
    /// Hash of the parameter; see [`parameter_hash`].
    pub(super) hash: u128,
    pub(super) parameter: usize,
    /// First octet.
    pub(super) row: usize,
    pub(super) octets: usize,
}

/// A network that can be part of any group.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) load: Load,
    /// Its records, as they are when it is alone in its group.
    pub(super) tables: Tables,
    pub(super) slots: Vec<SlotTables>,
    /// The node that each status names.
    pub(super) nodes: Vec<StatusNode>,
    /// Rows that its convs read, in the order of the records.
    pub(super) rows: Vec<ParameterOctets>,
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
        let NetworkTables { tables, slots, nodes } = tables(&plan, source, limits.forms);
        let hashes: Vec<u128> = plan.parameters.iter().map(parameter_hash).collect();
        let parts = plan.convs.iter().flat_map(|job| &job.parts);
        let rows = parts.map(|part| ParameterOctets {
            hash: hashes[part.parameter],
            parameter: part.parameter,
            row: part.row,
            octets: part.octets,
        });
        let rows = rows.collect();
        let format = RowFormat::new(limits.forms, source);
        let octets = |part: &Part| part.octets * format.octets(&plan.parameters[part.parameter].shape);
        let row_octets = plan.convs.iter().flat_map(|job| &job.parts).map(octets).sum();
        Ok(Box::new(Prepared { plan, load, tables, slots, nodes, rows, row_octets }))
    }

    /// Name of the node that a status names.
    pub(super) fn node(&self, status: u32) -> &str {
        match self.nodes[status as usize] {
            StatusNode::Combine(job) => &self.plan.combines[job].name,
            StatusNode::Norm(norm) => match self.plan.norms().nth(norm) {
                Some(norm) => &norm.name,
                None => unreachable!("statuses are made of the plan's batch norms"),
            },
        }
    }

    /// Position of the combine whose status this is.
    pub(super) fn combine_job(&self, status: u32) -> usize {
        match self.nodes[status as usize] {
            StatusNode::Combine(job) => job,
            StatusNode::Norm(_) => unreachable!("a combine's own status names the combine"),
        }
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
