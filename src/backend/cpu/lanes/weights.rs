//! Weights as the convolutions of lanes read them, made once for a run and shared by all networks.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::conv::Tile;
use super::winograd::{POSITIONS, transform_weights};
use crate::plan::jobs::{ConvJob, OCTET, Parameter, Part};
use crate::weights::WeightSource;
use crate::{Distribution, Result};

/// Numbers that are kept before all are dropped.
const CAPACITY: usize = 24 << 20;

/// How a job's outputs are computed: a function of its plan alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// Any convolution.
    Direct,
    /// 3x3, stride 1, padding 1, on an image of whole pieces, from 6 channels on either side: below, its
    /// transforms cost what its products save.
    Winograd,
}

/// Weights of one part of a job.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) tiles: Vec<Tile>,
    pub(super) weights: Vec<f32>,
}

/// All that packed weights depend on, beside the source and the tile.
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

#[derive(Default)]
struct Known {
    packed: HashMap<Key, Arc<Packed>>,
    numbers: usize,
}

/// Packed weights that networks of a run have asked for.
pub(super) struct Pool {
    source: Arc<dyn WeightSource>,
    /// Output channels of a tile at most.
    tile: usize,
    known: RwLock<Known>,
}

impl Pool {
    pub(super) fn new(source: Arc<dyn WeightSource>, tile: usize) -> Self {
        Pool { source, tile, known: RwLock::default() }
    }

    pub(super) fn source(&self) -> &dyn WeightSource {
        &*self.source
    }

    /// Packed weights of one part of a job.
    pub(super) fn part(
        &self,
        job: &ConvJob,
        form: Form,
        parameter: &Parameter,
        part: &Part,
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
        let known = |known: &Known| known.packed.get(&key).cloned();
        if let Some(packed) = known(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(packed);
        }
        let packed = Arc::new(self.pack(&key, parameter, part)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.numbers + packed.weights.len() > CAPACITY {
            *known = Known::default();
        }
        known.numbers += packed.weights.len();
        known.packed.insert(key, Arc::clone(&packed));
        Ok(packed)
    }

    fn pack(&self, key: &Key, parameter: &Parameter, part: &Part) -> Result<Packed> {
        let mut rows = Vec::new();
        let octets = part.row..part.row + part.octets;
        self.source.rows(&parameter.name, &parameter.shape, parameter.distribution, octets, &mut rows)?;
        let row_len = parameter.shape.row_len();
        let padded = key.in_channels.next_multiple_of(OCTET);
        let tap = |k: usize, tap: usize, c: usize| rows[k * row_len + tap * padded + c];
        let taps = key.kernel[0] * key.kernel[1];
        let mut packed = Packed { tiles: self.tiles(key), weights: Vec::new() };
        for tile in &mut packed.tiles {
            tile.weights = packed.weights.len();
            let channels = tile.channel..tile.channel + tile.channels;
            match key.form {
                Form::Direct => {
                    for t in 0..taps {
                        for c in 0..key.in_channels {
                            packed.weights.extend(channels.clone().map(|k| tap(k, t, c)));
                        }
                    }
                }
                Form::Winograd => {
                    let start = packed.weights.len();
                    let position = key.in_channels * tile.channels;
                    packed.weights.resize(start + POSITIONS * position, 0.0);
                    for c in 0..key.in_channels {
                        for (j, k) in channels.clone().enumerate() {
                            let g = [0, 1, 2].map(|r| [0, 1, 2].map(|s| tap(k, 3 * r + s, c)));
                            for (p, weight) in transform_weights(g).into_iter().enumerate() {
                                packed.weights[start + p * position + c * tile.channels + j] = weight;
                            }
                        }
                    }
                }
            }
        }
        Ok(packed)
    }

    /// Cuts the channels of a part into tiles as equal as can be; a tile never spans groups.
    fn tiles(&self, key: &Key) -> Vec<Tile> {
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
                tiles.push(Tile { channel, channels, input, weights: 0 });
                channel += channels;
            }
        }
        tiles
    }
}
