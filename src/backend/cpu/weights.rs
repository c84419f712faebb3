//! Weights as `conv` reads them: made once for a run and shared by all networks.
//!
//! Sources give rows [C_out padded to 8][r][s][C_in padded to 8]; `conv` wants the eight output channels
//! of an octet side by side and no pads, so each octet is kept as [r][s][C_in][8].

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::workspace::reserve;
use crate::plan::Plan;
use crate::plan::jobs::{OCTET, Parameter, Part};
use crate::real::Real;
use crate::weights::{RowShape, WeightSource};
use crate::{Distribution, Result};

/// Numbers that the cache holds before it is emptied, where nobody says how many: 1 GiB in f32.
const CAPACITY: usize = 1 << 28;

/// Most bytes that rows of one part of a job take on their way to be packed.
pub(super) fn most_row_bytes(plan: &Plan) -> u64 {
    let rows = |part: &Part| part.octets * OCTET * plan.parameters[part.parameter].shape.row_len();
    let most = plan.convs.iter().flat_map(|job| &job.parts).map(rows).max();
    (size_of::<f32>() * most.unwrap_or(0)) as u64
}

/// Weights of one octet of output channels.
pub(crate) type Octet<T> = Arc<[[T; OCTET]]>;

/// With its name, all that a parameter's weights depend on beside the source.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    kernel: [usize; 2],
    in_channels: usize,
    distribution: Distribution,
}

/// A parameter's octets, those that somebody has asked for.
type CachedOctets<T> = Vec<Option<Octet<T>>>;

/// The octets of all parameters, and how many numbers they are.
#[derive(Default)]
struct Octets<T> {
    by_name: HashMap<String, HashMap<Kind, CachedOctets<T>>>,
    numbers: usize,
}

impl<T> Octets<T> {
    /// Whether there is room for more numbers, if need be since all others are dropped.
    fn make_room(&mut self, numbers: usize, capacity: usize) -> bool {
        if self.numbers + numbers > capacity {
            self.by_name = HashMap::new();
            self.numbers = 0;
        }
        numbers <= capacity
    }
}

/// The cache of weights that networks of a run have asked for.
pub(crate) struct TwinWeightCache<T> {
    source: Arc<dyn WeightSource>,
    octets: RwLock<Octets<T>>,
    /// Numbers that it holds at most.
    capacity: AtomicUsize,
}

impl<T: Real> TwinWeightCache<T> {
    pub(crate) fn new(source: Arc<dyn WeightSource>) -> Self {
        let octets = RwLock::new(Octets { by_name: HashMap::new(), numbers: 0 });
        TwinWeightCache { source, octets, capacity: AtomicUsize::new(CAPACITY) }
    }

    /// Holds at most so many bytes from now on.
    pub(crate) fn keep(&self, bytes: u64) {
        let capacity = CAPACITY.min(bytes as usize / size_of::<T>());
        self.capacity.store(capacity, Relaxed);
        self.octets.write().unwrap_or_else(PoisonError::into_inner).make_room(0, capacity);
    }

    pub(crate) fn source(&self) -> &dyn WeightSource {
        &*self.source
    }

    /// Appends the octets of a part of a job.
    pub(crate) fn octets(&self, parameter: &Parameter, part: &Part, out: &mut Vec<Octet<T>>) -> Result<()> {
        let RowShape { kernel, in_channels, .. } = parameter.shape;
        let kind = Kind { kernel, in_channels, distribution: parameter.distribution };
        let wanted = part.row..part.row + part.octets;
        {
            let octets = self.octets.read().unwrap_or_else(PoisonError::into_inner);
            let cached = octets.by_name.get(&parameter.name).and_then(|kinds| kinds.get(&kind));
            let cached = cached.and_then(|cached| cached.get(wanted.clone()));
            if let Some(cached) = cached.filter(|cached| cached.iter().all(Option::is_some)) {
                out.extend(cached.iter().flatten().cloned());
                return Ok(());
            }
        }
        let made = self.make(parameter, wanted.clone())?;
        let mut octets = self.octets.write().unwrap_or_else(PoisonError::into_inner);
        let numbers: usize = made.iter().map(|octet| octet.len() * OCTET).sum();
        if !octets.make_room(numbers, self.capacity.load(Relaxed)) {
            out.extend(made);
            return Ok(());
        }
        octets.numbers += numbers;
        let cached = octets.by_name.entry(parameter.name.clone()).or_default().entry(kind).or_default();
        cached.resize(cached.len().max(wanted.end), None);
        for (place, octet) in cached[wanted].iter_mut().zip(made) {
            out.push(Arc::clone(place.insert(octet)));
        }
        Ok(())
    }

    fn make(&self, parameter: &Parameter, octets: std::ops::Range<usize>) -> Result<Vec<Octet<T>>> {
        let mut rows = Vec::new();
        reserve(&mut rows, octets.len() * OCTET * parameter.shape.row_len())?;
        self.source.rows(&parameter.name, &parameter.shape, parameter.distribution, octets, &mut rows)?;
        let row = parameter.shape.row_len();
        let channels = parameter.shape.in_channels;
        let pack = |octet: &[f32]| -> Octet<T> {
            let taps = (0..row).step_by(channels.next_multiple_of(OCTET));
            let places = taps.flat_map(|tap| tap..tap + channels);
            places.map(|place| std::array::from_fn(|l| T::from_f32(octet[l * row + place]))).collect()
        };
        Ok(rows.chunks_exact(row * OCTET).map(pack).collect())
    }
}
