//! Packed weights, as the convolutions of lanes read them: made once for a run and shared by all networks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::form::Form;
use super::winograd::{POSITIONS, transform_weights};
use crate::backend::cpu::lanes::simd::{Simd, WithSimd};
use crate::backend::cpu::lanes::units::advise;
use crate::backend::cpu::workspace::reserve;
use crate::plan::Plan;
use crate::plan::jobs::{ConvJob, OCTET, Parameter, Part};
use crate::weights::WeightSource;
use crate::{Distribution, Error, Result};

/// Numbers that are kept, where nobody says how many: 1 GiB. Beyond it, what was not asked for longest is dropped, until half are left.
const CAPACITY: usize = 256 << 20;

/// A tile of packed weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackedTile {
    /// First output channel, from the part's first on.
    pub(super) channel: usize,
    pub(super) channels: usize,
    /// First input channel.
    pub(super) input: usize,
}

/// Weights of one part of a job, tile by tile.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(super) tiles: Vec<PackedTile>,
    weights: Vec<f32>,
    /// Numbers of an output channel.
    of_channel: usize,
}

impl Packed {
    /// The weights of a tile.
    pub(super) fn weights(&self, tile: &PackedTile) -> &[f32] {
        &self.weights[tile.channel * self.of_channel..][..tile.channels * self.of_channel]
    }
}

/// The key of packed weights: all that they depend on, beside the source and the tile.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    form: Form,
    kernel: [usize; 2],
    in_channels: usize,
    distribution: Distribution,
    first: usize,
    channels: usize,
    /// Output channels of a group, where there are groups.
    group: Option<usize>,
}

/// Packed weights, and their age.
struct Entry {
    packed: Arc<Packed>,
    /// Time at which they were asked for last, by the cache's clock.
    asked: AtomicU64,
}

/// Packed weights by their key, and how many numbers they are in all.
#[derive(Default)]
struct CacheEntries {
    entries: HashMap<Key, Entry>,
    numbers: usize,
}

impl CacheEntries {
    /// Keeps packed weights, if there is room for them at all, and drops the oldest where there are more than `capacity`
    /// numbers then.
    fn insert(&mut self, key: Key, packed: Arc<Packed>, now: u64, capacity: usize) {
        if packed.weights.len() > capacity {
            return;
        }
        self.numbers += packed.weights.len();
        self.drop_oldest(capacity);
        self.entries.insert(key, Entry { packed, asked: AtomicU64::new(now) });
    }

    /// Drops the oldest where there are more than `capacity` numbers, until half are left.
    fn drop_oldest(&mut self, capacity: usize) {
        if self.numbers > capacity {
            let mut ages: Vec<(u64, usize)> = self
                .entries
                .values()
                .map(|entry| (entry.asked.load(Relaxed), entry.packed.weights.len()))
                .collect();
            ages.sort_unstable();
            let mut oldest = ages.into_iter();
            let mut before = 0;
            while self.numbers > capacity / 2
                && let Some((asked, numbers)) = oldest.next()
            {
                self.numbers -= numbers;
                before = asked + 1;
            }
            self.entries.retain(|_, entry| entry.asked.load(Relaxed) >= before);
        }
    }
}

/// The cache of packed weights that networks of a run have asked for.
pub(crate) struct LanesWeightCache {
    source: Arc<dyn WeightSource>,
    /// Output channels of a tile at most.
    tile: usize,
    cached: RwLock<CacheEntries>,
    /// The count of what was asked for, by which entries age.
    clock: AtomicU64,
    /// Numbers that are kept at most.
    capacity: AtomicUsize,
}

impl LanesWeightCache {
    pub(crate) fn new(source: Arc<dyn WeightSource>, tile: usize) -> Self {
        let capacity = AtomicUsize::new(CAPACITY);
        LanesWeightCache { source, tile, cached: RwLock::default(), clock: AtomicU64::default(), capacity }
    }

    /// Keeps at most so many bytes from now on.
    pub(crate) fn keep(&self, bytes: u64) {
        let capacity = CAPACITY.min(bytes as usize / size_of::<f32>());
        self.capacity.store(capacity, Relaxed);
        let too_many = self.cached.read().unwrap_or_else(PoisonError::into_inner).numbers > capacity;
        if too_many {
            self.cached.write().unwrap_or_else(PoisonError::into_inner).drop_oldest(capacity);
        }
    }

    /// Bytes of the packed weights of a plan.
    pub(crate) fn bytes(plan: &Plan) -> u64 {
        let numbers = |job: &ConvJob| {
            let products = Form::of(job, plan).products(job.kernel);
            let of_part = |part: &Part| {
                let in_channels = plan.parameters[part.parameter].shape.in_channels;
                part.channels(&plan.parameters) * in_channels * products
            };
            job.parts.iter().map(of_part).sum::<usize>()
        };
        (size_of::<f32>() * plan.convs.iter().map(numbers).sum::<usize>()) as u64
    }

    pub(crate) fn source(&self) -> &dyn WeightSource {
        &*self.source
    }

    /// Packed weights of one part of a job.
    pub(crate) fn part<S: Simd>(
        &self,
        simd: S,
        job: &ConvJob,
        form: Form,
        parameter: &Parameter,
        part: &Part,
        rows: &mut Vec<f32>,
    ) -> Result<Arc<Packed>> {
        let shape = &parameter.shape;
        let first = part.row * OCTET;
        let key = Key {
            name: parameter.name.clone(),
            form,
            kernel: shape.kernel,
            in_channels: shape.in_channels,
            distribution: parameter.distribution,
            first,
            channels: (shape.out_channels - first).min(part.octets * OCTET),
            group: (job.groups > 1).then_some(shape.out_channels / job.groups),
        };
        let now = self.clock.fetch_add(1, Relaxed);
        if let Some(entry) = self.cached.read().unwrap_or_else(PoisonError::into_inner).entries.get(&key) {
            entry.asked.store(now, Relaxed);
            return Ok(Arc::clone(&entry.packed));
        }
        rows.clear();
        let octets = part.row..part.row + part.octets;
        reserve(rows, octets.len() * OCTET * shape.row_len())?;
        self.source.rows(&parameter.name, &parameter.shape, parameter.distribution, octets, rows)?;
        let of_channel = form.products(key.kernel) * key.in_channels;
        let numbers = of_channel * key.channels;
        // Fresh pages are zero, and nobody has to write them.
        let mut weights = bytemuck::try_zeroed_vec(numbers)
            .map_err(|()| Error::machine_memory((numbers * size_of::<f32>()) as u64))?;
        advise(bytemuck::cast_slice_mut(&mut weights));
        let mut packed = Packed { tiles: self.tiles(&key), weights, of_channel };
        simd.call(PackTiles { key: &key, rows, packed: &mut packed });
        let packed = Arc::new(packed);
        let mut cached = self.cached.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been quicker.
        if !cached.entries.contains_key(&key) {
            cached.insert(key, Arc::clone(&packed), now, self.capacity.load(Relaxed));
        }
        Ok(packed)
    }

    /// Cuts the channels of a part into tiles as equal as can be; a tile never spans groups.
    fn tiles(&self, key: &Key) -> Vec<PackedTile> {
        let mut tiles = Vec::new();
        let mut channel = 0;
        while channel < key.channels {
            let (end, input) = match key.group {
                None => (key.channels, 0),
                Some(group) => {
                    let g = (key.first + channel) / group;
                    (((g + 1) * group - key.first).min(key.channels), g * key.in_channels)
                }
            };
            let count = (end - channel).div_ceil(self.tile);
            let (share, more) = ((end - channel) / count, (end - channel) % count);
            for i in 0..count {
                let channels = share + usize::from(i < more);
                tiles.push(PackedTile { channel, channels, input });
                channel += channels;
            }
        }
        tiles
    }
}

/// The packing of rows of a parameter, [channel][tap][in channel padded to an octet], tile by tile.
struct PackTiles<'a> {
    key: &'a Key,
    rows: &'a [f32],
    packed: &'a mut Packed,
}

impl<S: Simd> WithSimd<S> for PackTiles<'_> {
    #[inline(always)]
    fn run(self, _simd: S) {
        let PackTiles { key, rows, packed: Packed { tiles, weights, of_channel } } = self;
        let taps = key.kernel[0] * key.kernel[1];
        let row_len = taps * key.in_channels.next_multiple_of(OCTET);
        for tile in tiles {
            let to = &mut weights[tile.channel * *of_channel..][..tile.channels * *of_channel];
            let rows = &rows[tile.channel * row_len..][..tile.channels * row_len];
            match key.form {
                Form::Direct => direct(rows, key.in_channels, tile.channels, to),
                Form::Winograd => winograd(rows, key.in_channels, tile.channels, to),
            }
        }
    }
}

/// [channel][tap][in channel padded] to [tap][in channel][channel].
#[inline(always)]
fn direct(rows: &[f32], in_channels: usize, channels: usize, to: &mut [f32]) {
    let (padded, row_len) = (in_channels.next_multiple_of(OCTET), rows.len() / channels);
    for (t, to) in to.chunks_exact_mut(in_channels * channels).enumerate() {
        for (c, to) in to.chunks_exact_mut(channels).enumerate() {
            for (k, weight) in to.iter_mut().enumerate() {
                *weight = rows[k * row_len + t * padded + c];
            }
        }
    }
}

/// [channel][tap][in channel padded] to [36][in channel][channel]. The transforms of an octet of input channels are
/// collected for all channels of the tile, so that what is written lies together.
#[inline(always)]
fn winograd(rows: &[f32], in_channels: usize, channels: usize, to: &mut [f32]) {
    let (padded, position) = (in_channels.next_multiple_of(OCTET), in_channels * channels);
    let mut near = vec![[[0.0; OCTET]; POSITIONS]; channels];
    for first in (0..in_channels).step_by(OCTET) {
        for (row, near) in rows.chunks_exact(9 * padded).zip(&mut near) {
            let mut g = [[0.0; OCTET]; 9];
            for (t, g) in g.iter_mut().enumerate() {
                g.copy_from_slice(&row[t * padded + first..][..OCTET]);
            }
            transform_weights(&g, near);
        }
        let count = OCTET.min(in_channels - first);
        for (p, to) in to.chunks_exact_mut(position).enumerate() {
            for (c, to) in to[first * channels..][..count * channels].chunks_exact_mut(channels).enumerate() {
                for (near, weight) in near.iter().zip(to) {
                    *weight = near[p][c];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_is_kept() {
        let key = |first| Key {
            name: String::new(),
            form: Form::Direct,
            kernel: [1, 1],
            in_channels: 1,
            distribution: Distribution::Normal,
            first,
            channels: 1,
            group: None,
        };
        let mut cached = CacheEntries::default();
        for i in 0..10 {
            let packed = Arc::new(Packed { tiles: Vec::new(), weights: vec![0.0; 10], of_channel: 1 });
            cached.insert(key(i), packed, i as u64, 100);
        }
        // The oldest is asked for again, and what comes next is one too many.
        cached.entries[&key(0)].asked.store(10, Relaxed);
        cached.insert(
            key(10),
            Arc::new(Packed { tiles: Vec::new(), weights: vec![0.0; 10], of_channel: 1 }),
            11,
            100,
        );
        let mut kept: Vec<usize> = cached.entries.keys().map(|key| key.first).collect();
        kept.sort_unstable();
        assert_eq!(kept, [0, 7, 8, 9, 10]);
        assert_eq!(cached.numbers, 50);
    }
}
