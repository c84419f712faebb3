//! The cache of weights on the device: which rows are in the pool, and where.
//!
//! Octets of output channels have places of their own, so that a wider convolution of the same name adds only what is missing. Seeded octets are made on the device;
//! those of a checkpoint, and its gammas and betas, are uploaded. Nothing leaves the pool until all of it does:
//! [`DeviceWeightCache::clear`], between groups.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::RowFormat;
use super::prepared::{ParameterOctets, Prepared};
use super::records::{NONE, WeightsRecord};
use super::tables::StatusNode;
use crate::plan::jobs::{NormJob, OCTET, Parameter, octets};
use crate::random::fnv1a;
use crate::weights::WeightSource;
use crate::{Distribution, Error, ParameterErrorKind, Result};

/// Blocks from which on a job does not grow: all jobs of a launch should be about as long.
const JOB_BLOCKS: u32 = 1024;

/// The cache of weights that networks of a run have asked for, by their places in the pool.
pub(crate) struct DeviceWeightCache {
    source: Arc<dyn WeightSource>,
    rows: RowFormat,
    /// Octets that the pool holds at most, and those in use.
    capacity: usize,
    used: usize,
    /// Places of each parameter's octets, NONE for those that are not there, by its hash.
    parameters: HashMap<u128, Vec<u32>, BuildHasherDefault<IdentityHasher>>,
    affines: HashMap<String, u32>,
    new: NewWeights,
}

/// A hasher of what is a hash already: its own low half.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0 << 8 | u64::from(byte));
    }

    fn write_u128(&mut self, hash: u128) {
        self.0 = hash as u64;
    }
}

/// Weights that are not on the device yet, and have to reach it before the next launch.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewWeights {
    /// Rows to make on the device.
    pub(crate) jobs: Vec<WeightsRecord>,
    /// Numbers to upload, and their first octet.
    pub(crate) place: u32,
    pub(crate) numbers: Vec<f32>,
}

/// Places of one network's weights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WeightPlaces {
    /// Places of the rows of each octet of each conv, in the order of the records.
    pub(super) rows: Vec<u32>,
    /// Gamma and beta of each batch norm, in the order of the records; empty where all are 1 and 0.
    pub(super) affines: Vec<u32>,
}

impl DeviceWeightCache {
    /// An empty pool for so many octets, fewer than 2^32.
    pub(crate) fn new(source: Arc<dyn WeightSource>, rows: RowFormat, capacity: usize) -> Self {
        DeviceWeightCache {
            source,
            rows,
            capacity: capacity.min(NONE as usize),
            used: 0,
            parameters: HashMap::default(),
            affines: HashMap::new(),
            new: NewWeights::default(),
        }
    }

    pub(crate) fn source(&self) -> &dyn WeightSource {
        &*self.source
    }

    /// The format of rows.
    pub(crate) fn rows(&self) -> RowFormat {
        self.rows
    }

    /// Octets in use: the pool's buffer needs no more.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Forgets all rows. What has been launched must have ended.
    pub(crate) fn clear(&mut self) {
        self.parameters.clear();
        self.affines.clear();
        self.used = 0;
        self.new = NewWeights::default();
    }

    /// Hands over the weights that have come since the last call.
    pub(crate) fn take_new(&mut self) -> NewWeights {
        std::mem::take(&mut self.new)
    }

    /// Finds or makes room for a network's weights; none when the pool is too full for them.
    ///
    /// # Errors
    /// Weights that the source lacks; more of them than an empty pool has room for.
    pub(crate) fn place(&mut self, network: &Prepared) -> Result<Option<WeightPlaces>> {
        let needed = network.row_octets + self.affine_octets(network, |_| true);
        if needed > self.capacity {
            let bytes = |octets: usize| (octets * OCTET * size_of::<f32>()) as u64;
            return Err(Error::Memory { needed: bytes(needed), limit: bytes(self.capacity) });
        }
        // What is there already is counted only where it matters.
        let is_full = |missing: usize| self.used + missing > self.capacity;
        if is_full(needed) && is_full(self.missing(network)) {
            return Ok(None);
        }
        let octets = network.rows.iter().map(|rows| rows.octets).sum();
        let mut places = WeightPlaces { rows: Vec::with_capacity(octets), affines: Vec::new() };
        for rows in &network.rows {
            self.find(&network.plan.parameters[rows.parameter], rows, &mut places.rows)?;
        }
        if self.source.seed().is_none() {
            let norms: Vec<&NormJob> = network.plan.norms().collect();
            for node in &network.nodes {
                if let StatusNode::Norm(norm) = node {
                    places.affines.push(self.affine(norms[*norm])?);
                }
            }
        }
        Ok(Some(places))
    }

    /// Octets of a network's weights that are not there yet.
    fn missing(&self, network: &Prepared) -> usize {
        let rows = network.rows.iter().map(|rows| {
            let places = self.parameters.get(&rows.hash).map_or(&[][..], |places| places);
            let there =
                places.iter().skip(rows.row).take(rows.octets).filter(|&&place| place != NONE).count();
            (rows.octets - there) * self.rows.octets(&network.plan.parameters[rows.parameter].shape)
        });
        rows.sum::<usize>() + self.affine_octets(network, |norm| !self.affines.contains_key(&norm.name))
    }

    /// Octets of gammas and betas of some batch norms of a network.
    fn affine_octets(&self, network: &Prepared, counts: impl Fn(&NormJob) -> bool) -> usize {
        if self.source.seed().is_some() {
            return 0;
        }
        let norms = network.plan.norms().filter(|norm| counts(norm));
        norms.map(|norm| 2 * octets(norm.all_channels)).sum()
    }

    /// Appends the places of some rows.
    fn find(&mut self, parameter: &Parameter, rows: &ParameterOctets, out: &mut Vec<u32>) -> Result<()> {
        let octets = rows.row..rows.row + rows.octets;
        let places = self.parameters.get(&rows.hash);
        if let Some(places) = places.and_then(|places| places.get(octets.clone()))
            && !places.contains(&NONE)
        {
            out.extend_from_slice(places);
            return Ok(());
        }
        for row in octets {
            let place = self.parameters.get(&rows.hash).and_then(|places| places.get(row)).copied();
            out.push(match place {
                Some(place) if place != NONE => place,
                _ => self.add(parameter, rows.hash, row)?,
            });
        }
        Ok(())
    }

    /// Has one octet's rows made, and notes their place.
    fn add(&mut self, parameter: &Parameter, hash: u128, row: usize) -> Result<u32> {
        let place = self.make(parameter, row)?;
        self.used += self.rows.octets(&parameter.shape);
        let places = self.parameters.entry(hash).or_default();
        places.resize(places.len().max(row + 1), NONE);
        places[row] = place;
        Ok(place)
    }

    /// Has one octet's rows made or uploaded at the end of the pool.
    fn make(&mut self, parameter: &Parameter, row: usize) -> Result<u32> {
        let place = self.rows.place(self.used);
        let Parameter { name, shape, distribution, .. } = parameter;
        let Some(seed) = self.source.seed() else {
            let mut rows = Vec::new();
            self.source.rows(name, shape, *distribution, row..row + 1, &mut rows)?;
            let start = self.new.numbers.len();
            self.rows.append(shape, &rows, &mut self.new.numbers);
            self.note_upload(start, self.used as u32);
            return Ok(place);
        };
        // Eight output channels are as many blocks as one of them has elements, pads included.
        let blocks = parameter.shape.row_len();
        let end = (row + 1).checked_mul(blocks).and_then(|block| u32::try_from(block).ok());
        let end = end.ok_or_else(|| Error::parameter(&parameter.name, ParameterErrorKind::TooLarge))?;
        let (first, blocks) = (end - blocks as u32, blocks as u32);
        let hash = fnv1a(&parameter.name);
        let job = WeightsRecord {
            key: [seed as u32, (seed >> 32) as u32],
            name: [hash as u32, (hash >> 32) as u32],
            first,
            blocks,
            table: match parameter.distribution {
                Distribution::Normal => 0,
                Distribution::Uniform => 1,
            },
            place,
            in_octets: octets(shape.in_channels) as u32,
            taps: (shape.kernel[0] * shape.kernel[1]) as u32,
            ..WeightsRecord::default()
        };
        let row = self.rows.place(self.rows.octets(shape));
        match self.new.jobs.last_mut() {
            Some(last) if continues(last, &job, row) && last.blocks < JOB_BLOCKS => last.blocks += blocks,
            _ => self.new.jobs.push(job),
        }
        Ok(place)
    }

    /// Gamma and beta of a batch norm's first octet of channels.
    fn affine(&mut self, norm: &NormJob) -> Result<u32> {
        let first = 2 * (norm.first / OCTET) as u32;
        if let Some(place) = self.affines.get(&norm.name) {
            return Ok(place + first);
        }
        let Some((gamma, beta)) = self.source.batch_norm(&norm.name, norm.all_channels)? else {
            return Ok(NONE);
        };
        let place = self.used as u32;
        let start = self.new.numbers.len();
        for octet in 0..octets(norm.all_channels) {
            for (values, pad) in [(&gamma, 1.0), (&beta, 0.0)] {
                let value = |l| values.get(octet * OCTET + l).copied().unwrap_or(pad);
                self.new.numbers.extend((0..OCTET).map(value));
            }
        }
        self.note_upload(start, place);
        self.used += 2 * octets(norm.all_channels);
        self.affines.insert(norm.name.clone(), place);
        Ok(place + first)
    }

    /// Uploads of one source are one piece: the pool grows at its end alone.
    fn note_upload(&mut self, start: usize, place: u32) {
        if start == 0 {
            self.new.place = place;
        }
    }
}

/// Whether a job makes the blocks that come after another's, at the place behind it, where its own take so much room.
fn continues(last: &WeightsRecord, job: &WeightsRecord, room: u32) -> bool {
    let same = |job: &WeightsRecord| (job.key, job.name, job.table, job.in_octets, job.taps);
    let end = last.place + last.blocks / job.blocks * room;
    same(last) == same(job) && last.first + last.blocks == job.first && end == job.place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::group::tests::LIMITS;
    use crate::plan::Plan;
    use crate::{Conv, Convention, Graph, Weights};

    fn network(channels: usize) -> Box<Prepared> {
        named("a.weight", channels)
    }

    fn other(channels: usize) -> Box<Prepared> {
        named("b.weight", channels)
    }

    fn named(name: &str, channels: usize) -> Box<Prepared> {
        let mut g = Graph::builder(3).unwrap();
        let x = g.conv(g.input(), Conv::new(channels, 3), name).unwrap();
        let x = g.batch_norm(x, "a.norm").unwrap();
        let x = g.relu(x).unwrap();
        let graph = g.output(x).unwrap();
        let plan = Plan::new(&graph, [2, 3, 8, 8], Convention::Relu).unwrap();
        Prepared::new(plan, &LIMITS, &*Weights::default().source()).unwrap()
    }

    #[test]
    fn networks_share_rows_and_a_wider_one_adds_what_is_missing() {
        let mut cache =
            DeviceWeightCache::new(Weights::Seeded { seed: 1 << 32 }.source(), RowFormat::Numbers, 1000);
        let narrow = cache.place(&network(11)).unwrap().unwrap();
        assert_eq!(narrow.rows, [0, 72]);
        assert!(narrow.affines.is_empty());
        let new = cache.take_new();
        assert_eq!((new.jobs.len(), new.jobs[0].blocks, new.jobs[0].key), (1, 2 * 72, [0, 1]));
        let wide = cache.place(&network(32)).unwrap().unwrap();
        assert_eq!(wide.rows, [0, 72, 144, 216]);
        let new = cache.take_new();
        assert_eq!((new.jobs.len(), new.jobs[0].first, new.jobs[0].place), (1, 144, 144));
        assert_eq!(cache.place(&network(20)).unwrap().unwrap().rows, [0, 72, 144]);
        assert!(cache.take_new().jobs.is_empty());
    }

    #[test]
    fn a_full_pool_says_so_and_one_that_is_too_small_is_an_error() {
        let mut cache = DeviceWeightCache::new(Weights::default().source(), RowFormat::Numbers, 200);
        assert!(cache.place(&network(8)).unwrap().is_some());
        assert!(cache.place(&network(16)).unwrap().is_some());
        assert!(cache.place(&other(16)).unwrap().is_none());
        assert!(cache.place(&network(24)).is_err());
        cache.clear();
        assert_eq!(cache.used(), 0);
        assert!(cache.place(&other(16)).unwrap().is_some());
    }
}
