//! Lockstep: a group runs launch by launch on a device and on the twins, from equal buffers, to see how far the two are
//! apart.
//!
//! Buffers are filled with a sentinel first, and compared as wholes: a launch that writes where its twin does not, or
//! reads what nobody has written, is seen. After each launch the device goes on from what the twin has made, so that each
//! deviation belongs to one stage.

use std::fmt::Debug;

use super::memory::{Buffer, Measure};
use super::{
    DeviceWeightCache, Group, Launch, LaunchKind, Limits, Mirror, NewWeights, Prepared, Shared, image, twin,
};
use crate::backend::Setup;
use crate::plan::jobs::{OCTET, UNIT};
use crate::probe::Stage;
use crate::score::cholesky::SAFE_PIVOT;
use crate::weights::WeightSource;
use crate::{BackendErrorKind, Error, Network, Result};

/// A number that nobody computes: NaN, and with a payload of its own.
const SENTINEL: u32 = 0x7fc5_e171;

/// Deviation of a stage of a device from its twin on the CPU, from equal inputs.
#[derive(Clone, Debug)]
pub struct Deviation {
    /// The stage.
    pub stage: Stage,
    /// The largest difference of two numbers, divided by the largest number that the launch wrote.
    pub numbers: f64,
    /// The share of code bits that differ.
    pub bits: f64,
    /// Places that must be equal and are not: integers, what no twin has written, numbers that are not finite. At most ten.
    pub strays: Vec<String>,
}

impl Deviation {
    fn stray(&mut self, place: String, expected: f64, found: f64) {
        if self.strays.len() < 10 {
            self.strays.push(format!("{place}: {expected:e} expected, {found:e} found"));
        }
    }

    fn worse_of(mut self, other: &Self) -> Self {
        self.numbers = self.numbers.max(other.numbers);
        self.bits = self.bits.max(other.bits);
        self.strays.extend(other.strays.iter().take(10 - self.strays.len().min(10)).cloned());
        self
    }
}

/// A device that holds a group's buffers and tables.
pub(crate) trait Device {
    /// Overwrites all buffers.
    fn restore(&mut self, mirror: &Mirror) -> Result<()>;
    /// Runs one launch.
    fn run(&mut self, launch: &Launch) -> Result<()>;
    /// Reads all buffers.
    fn mirror(&mut self) -> Result<Mirror>;
}

/// Lays networks out as one group, and hands over the weights that it needs.
///
/// # Errors
/// As [`Prepared::new`], [`DeviceWeightCache::place`] and [`Group::check`]; weights that the cache has no room for.
pub(crate) fn lay_out(
    networks: &[Network],
    setup: &Setup,
    limits: &Limits,
    cache: &mut DeviceWeightCache,
) -> Result<(Group, NewWeights)> {
    let mut placed = Vec::new();
    for network in networks {
        let network = Prepared::new(setup.plan(network)?, limits, cache.source())?;
        let full = || {
            let reason = "the weight pool has no room for these networks together";
            Error::backend(BackendErrorKind::OutOfMemory, "gpu", reason)
        };
        let places = cache.place(&network)?.ok_or_else(full)?;
        placed.push((network, places));
    }
    let group = Group::new(placed, limits.forms, cache.rows());
    group.check(cache.used())?;
    Ok((group, cache.take_new()))
}

/// The largest deviation of each stage of a group, with so many octets in the weight pool and the units of a batch.
pub(crate) fn lockstep(
    device: &mut dyn Device,
    group: &Group,
    launches: &[Launch],
    new: &NewWeights,
    pool: usize,
    source: &dyn WeightSource,
    batch: &[f32],
) -> Result<Vec<Deviation>> {
    let mut before = Mirror::new(group, pool, f32::from_bits(SENTINEL));
    let arena = before.numbers_mut(Buffer::Arena);
    arena[..batch.len()].copy_from_slice(batch);
    let end = group.members.first().map_or(0, |member| image(member.plan())[Buffer::Arena] * UNIT);
    arena[batch.len()..end].fill(0.0);
    let place = new.place as usize * OCTET;
    if !new.numbers.is_empty() {
        before.pool[place..place + new.numbers.len()].copy_from_slice(&new.numbers);
    }
    let mut deviations = Vec::new();
    for launch in launches {
        let mut expected = before.clone();
        twin::launch(group, new, source, launch, &mut expected);
        device.restore(&before)?;
        device.run(launch)?;
        let found = device.mirror()?;
        deviations.push(deviation(launch, &before, &expected, &found));
        before = expected;
    }
    Ok(Stage::OF_DEVICE.iter().filter_map(|&stage| worst(&deviations, stage)).collect())
}

fn worst(deviations: &[Deviation], stage: Stage) -> Option<Deviation> {
    let mut all = deviations.iter().filter(|deviation| deviation.stage == stage);
    let first = all.next()?.clone();
    Some(all.fold(first, |worst, next| worst.worse_of(next)))
}

fn deviation(launch: &Launch, before: &Mirror, expected: &Mirror, found: &Mirror) -> Deviation {
    let mut all = Deviation { stage: launch.kind.stage(), numbers: 0.0, bits: 0.0, strays: Vec::new() };
    let pool = [before, expected, found].map(|mirror| &mirror.pool[..]);
    numbers(&mut all, launch, Shared::WeightPool, pool);
    for buffer in Buffer::ALL {
        match (buffer, buffer.measure()) {
            // U overwrites the arena of Cholesky, whatever it was.
            (Buffer::Arena, _) if launch.kind == LaunchKind::Cholesky => {}
            (Buffer::Codes, _) => {
                codes(&mut all, launch, [before, expected, found].map(|mirror| &mirror.buffers[buffer][..]));
            }
            (Buffer::Pivots, _) => {
                pivots(&mut all, launch, [before, expected, found].map(|mirror| mirror.numbers(buffer)))
            }
            (_, Measure::Units(_) | Measure::Factor) => {
                numbers(
                    &mut all,
                    launch,
                    buffer,
                    [before, expected, found].map(|mirror| mirror.numbers(buffer)),
                );
            }
            (_, Measure::Word) => {
                words(&mut all, launch, buffer, [expected, found].map(|mirror| &mirror.buffers[buffer][..]));
            }
        }
    }
    all
}

/// Compares floating-point numbers: those that the twin has written may differ by rounding, others are equal.
fn numbers(all: &mut Deviation, launch: &Launch, memory: impl Debug, [before, expected, found]: [&[f32]; 3]) {
    let written = |i: usize| expected[i].to_bits() != before[i].to_bits();
    let scale = (0..expected.len()).filter(|&i| written(i)).map(|i| expected[i].abs()).fold(0.0, f32::max);
    for i in 0..expected.len() {
        if expected[i].to_bits() == found[i].to_bits() {
            continue;
        }
        let difference = f64::from((expected[i] - found[i]).abs()) / f64::from(scale.max(f32::MIN_POSITIVE));
        // NaN compares false.
        if written(i) && difference.is_finite() {
            all.numbers = all.numbers.max(difference);
        } else {
            all.stray(place(launch, &memory, i), expected[i].into(), found[i].into());
        }
    }
}

/// Compares pivots. Where a matrix may be singular they are rounding errors, of either sign, and behind a negative one NaN: the
/// host looks no further than that they are not safe.
fn pivots(all: &mut Deviation, launch: &Launch, [before, expected, found]: [&[f32]; 3]) {
    let is_safe = |pivot: f32| f64::from(pivot) >= SAFE_PIVOT;
    let mut compared = found.to_vec();
    for (i, found) in compared.iter_mut().enumerate() {
        if expected[i].to_bits() != before[i].to_bits() && !is_safe(expected[i]) && !is_safe(*found) {
            *found = expected[i];
        }
    }
    numbers(all, launch, Buffer::Pivots, [before, expected, &compared]);
}

/// Compares code words: bits differ where numbers near zero do, and only in what combines write.
fn codes(all: &mut Deviation, launch: &Launch, [before, expected, found]: [&[u32]; 3]) {
    let (mut differing, mut written) = (0, 0);
    for (i, ((&before, &expected), &found)) in before.iter().zip(expected).zip(found).enumerate() {
        let writes = matches!(launch.kind, LaunchKind::Combine | LaunchKind::CombineAny);
        if before == expected && expected != found && !writes {
            all.stray(place(launch, Buffer::Codes, i), expected.into(), found.into());
        }
        differing += (expected ^ found).count_ones();
        written += usize::from(before != expected);
    }
    all.bits = f64::from(differing) / (32 * written.max(1)) as f64;
}

/// Compares integers, which are equal.
fn words(all: &mut Deviation, launch: &Launch, buffer: Buffer, [expected, found]: [&[u32]; 2]) {
    for (i, (&expected, &found)) in expected.iter().zip(found).enumerate() {
        if expected != found {
            all.stray(place(launch, buffer, i), expected.into(), found.into());
        }
    }
}

fn place(launch: &Launch, memory: impl Debug, place: usize) -> String {
    format!("{memory:?}[{place}] after {launch:?}")
}
