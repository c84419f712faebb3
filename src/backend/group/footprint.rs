//! Footprints: what a network takes in each of a group's buffers, and how many networks make a group.

use std::cmp::Ordering;

use super::forms::Forms;
use super::memory::{Buffer, Measure, PerBuffer, Sizes};
use super::partials::most_partials;
use super::planar::{UNITS, plane};
use super::records::{COUNTS, NONE};
use crate::graph::Window;
use crate::plan::Plan;
use crate::plan::jobs::{IMAGE, Slot, Tensor, UNIT};
use crate::{Error, Result};

/// Networks of a group at most: records count them in 16 bits, and more would not make a launch fuller.
const MOST_NETWORKS: usize = 256;
/// The bound of two sizes that share a word.
const HALF_WORD: usize = 1 << 16;

/// Limits of a device: what it can hold, and what it is worth filling with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one buffer.
    pub(crate) buffer: u64,
    /// Bytes of all buffers.
    pub(crate) memory: u64,
    /// Groups in flight at most, and whether each has buffers of its own.
    pub(crate) in_flight: usize,
    pub(crate) has_own_buffers: bool,
    /// Networks of a group, when the user has said so.
    pub(crate) networks: Option<usize>,
    /// Blocks that keep the device busy from the start of a launch to its end. The convolutions of the smallest images have
    /// fewest, and a group grows until half of their launches have so many.
    pub(crate) launch_blocks: usize,
    /// Bytes of a number of activations, and of one of the Cholesky factor in the free arena and its pivots.
    pub(crate) number: usize,
    pub(crate) factor_number: usize,
    /// The kernels that it has.
    pub(crate) forms: Forms,
}

impl Limits {
    /// Bytes of each buffer.
    pub(crate) fn bytes(&self, sizes: &Sizes) -> PerBuffer<u64> {
        PerBuffer::from_fn(|buffer| {
            let bytes = match buffer.measure() {
                Measure::Units(numbers) => numbers * UNIT * self.number,
                Measure::Factor => self.factor_number,
                Measure::Word => size_of::<u32>(),
            };
            (sizes[buffer] * bytes) as u64
        })
    }

    /// Bytes of each buffer that the host reads after a group.
    pub(crate) fn reads(&self, sizes: &Sizes, keeps_codes: bool) -> PerBuffer<u64> {
        let bytes = self.bytes(sizes);
        PerBuffer::from_fn(|buffer| if buffer.is_read(keeps_codes) { bytes[buffer] } else { 0 })
    }

    /// Bytes of the buffers of a group, while others are in flight.
    pub(super) fn share(&self) -> u64 {
        if self.has_own_buffers { self.memory / self.in_flight as u64 } else { self.memory }
    }

    /// Bytes of all buffers together, where none is larger than a buffer can be.
    ///
    /// # Errors
    /// Bytes of the first that is.
    fn total(&self, sizes: &Sizes) -> Result<u64, u64> {
        let bytes = self.bytes(sizes);
        match bytes.iter().find(|&(_, &bytes)| bytes > self.buffer) {
            Some((_, &bytes)) => Err(bytes),
            None => Ok(bytes.iter().map(|(_, bytes)| bytes).sum()),
        }
    }
}

/// The load of a group: the networks on their way into it, and what they take together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Load {
    pub(crate) networks: usize,
    pub(crate) sizes: Sizes,
    /// Blocks of the convolutions of the smallest images, by slot.
    convs: Vec<(Slot, usize)>,
}

impl Load {
    /// The load of one network.
    ///
    /// # Errors
    /// What the kernels do not know (channels in groups), sizes that the records do not hold, more memory than the
    /// limits.
    pub(crate) fn of(plan: &Plan, limits: &Limits) -> Result<Self> {
        check(plan)?;
        let load =
            Load { networks: 1, sizes: sizes(plan, limits), convs: smallest_convs(plan, limits.forms) };
        match limits.total(&(load.sizes + image(plan))) {
            Err(needed) => return Err(Error::Memory { needed, limit: limits.buffer }),
            Ok(needed) if needed > limits.memory => {
                return Err(Error::Memory { needed, limit: limits.memory });
            }
            Ok(_) => {}
        }
        Ok(load)
    }

    /// Whether there are networks enough.
    pub(crate) fn is_full(&self, limits: &Limits) -> bool {
        let wanted = match limits.networks {
            Some(networks) => self.networks < networks,
            None => self.networks == 0 || self.median_blocks() < limits.launch_blocks,
        };
        !wanted || self.networks == MOST_NETWORKS
    }

    /// Blocks of the median launch of convolutions of the smallest images. Without any, launches are never full.
    fn median_blocks(&self) -> usize {
        let mut blocks: Vec<usize> = self.convs.iter().map(|&(_, blocks)| blocks).collect();
        let middle = blocks.len() / 2;
        if blocks.is_empty() { 0 } else { *blocks.select_nth_unstable(middle).1 }
    }

    /// Whether the memory has room for another network: always for the first.
    pub(crate) fn has_room_for(&self, other: &Load, image: Sizes, limits: &Limits) -> bool {
        let total = || limits.total(&(self.sizes + other.sizes + image));
        self.networks == 0 || total().is_ok_and(|bytes| bytes <= limits.share())
    }

    /// Adds another network.
    pub(crate) fn add(&mut self, other: &Load) {
        self.networks += other.networks;
        self.sizes += other.sizes;
        let pixels = |convs: &[(Slot, usize)]| convs.first().map_or(usize::MAX, |&(slot, _)| pixels(slot));
        match pixels(&other.convs).cmp(&pixels(&self.convs)) {
            Ordering::Less => self.convs.clone_from(&other.convs),
            Ordering::Greater => {}
            Ordering::Equal => {
                for &(slot, blocks) in &other.convs {
                    match self.convs.binary_search_by_key(&slot, |&(slot, _)| slot) {
                        Ok(place) => self.convs[place].1 += blocks,
                        Err(place) => self.convs.insert(place, (slot, blocks)),
                    }
                }
            }
        }
    }
}

fn pixels(slot: Slot) -> usize {
    slot.height * slot.width
}

/// Blocks of a plan's convolutions whose outputs are smallest, by slot.
fn smallest_convs(plan: &Plan, forms: Forms) -> Vec<(Slot, usize)> {
    let smallest = plan.convs.iter().map(|job| pixels(job.slot)).min();
    let mut convs: Vec<(Slot, usize)> = Vec::new();
    for job in plan.convs.iter().filter(|job| Some(pixels(job.slot)) == smallest) {
        let blocks = forms.conv(plan, job).blocks(plan.images(), pixels(job.slot));
        match convs.last_mut() {
            Some((slot, all)) if *slot == job.slot => *all += blocks,
            _ => convs.push((job.slot, blocks)),
        }
    }
    convs
}

/// Bytes that a plan takes by itself.
pub(super) fn bytes(plan: &Plan, limits: &Limits) -> u64 {
    limits.bytes(&(sizes(plan, limits) + image(plan))).iter().map(|(_, bytes)| bytes).sum()
}

/// Sizes of one network.
pub(super) fn sizes(plan: &Plan, limits: &Limits) -> Sizes {
    let n = plan.images();
    let factor = (n * n * limits.factor_number).div_ceil(UNIT * limits.number);
    PerBuffer::from_fn(|buffer| match buffer {
        // An even number, so that planes begin at multiples of 32 bytes.
        Buffer::Arena => (UNITS * plan.arena_octets).max(factor.next_multiple_of(2)),
        Buffer::Norms => plan.norm_entries / UNIT,
        Buffer::Partials => most_partials(plan, limits.forms),
        Buffer::Codes => n * plan.words_per_image,
        Buffer::AgreementMatrices => n * n,
        Buffer::Pivots => n,
        Buffer::Statuses => 1,
        Buffer::Maps => plan.memory().patterns,
        Buffer::Patterns => plan.swap.map_or(0, |_| COUNTS),
    })
}

/// Networks that a group has room for at most.
pub(crate) fn most_networks(limits: &Limits) -> usize {
    limits.networks.unwrap_or(MOST_NETWORKS).min(MOST_NETWORKS)
}

/// The batch, which every group's arena starts with.
pub(crate) fn image(plan: &Plan) -> Sizes {
    let mut sizes = Sizes::default();
    let Tensor { shape, pitch, .. } = &plan.tensors[IMAGE];
    sizes[Buffer::Arena] = (UNITS * pitch * plane(plan.images(), shape.pixels())).next_multiple_of(32);
    sizes
}

/// Whether the kernels can run a plan and the records hold it.
fn check(plan: &Plan) -> Result<()> {
    let too_large = |name: &str| {
        Error::graph(
            name,
            format!("has an extent of {HALF_WORD} or more, which this backend does not run; use cpu"),
        )
    };
    for job in &plan.convs {
        let name = &plan.parameters[job.parts[0].parameter].name;
        if job.groups > 1 {
            let message =
                format!("has channels in {} groups, which this backend does not run; use cpu", job.groups);
            return Err(Error::graph(name, message));
        }
        let sizes = [job.kernel, job.stride, job.padding, job.dilation].concat();
        let units = [job.input, job.output].map(|tensor| UNITS * plan.tensors[tensor].pitch);
        if sizes.into_iter().chain(units).any(|size| size >= HALF_WORD) {
            return Err(too_large(name));
        }
    }
    for job in &plan.combines {
        let window = job.window.map_or([0; 6], |(_, Window { kernel, stride, padding })| {
            [kernel[0], kernel[1], stride[0], stride[1], padding[0], padding[1]]
        });
        if window.into_iter().any(|size| size >= HALF_WORD) {
            return Err(too_large(&job.name));
        }
    }
    let extents = plan.tensors.iter().flat_map(|tensor| [tensor.shape.height, tensor.shape.width]);
    let norms = plan.norms().count() + plan.combines.len();
    if extents.chain([norms, plan.convs.len()]).any(|size| size >= HALF_WORD)
        || UNITS * plan.arena_octets >= NONE as usize
    {
        return Err(too_large("input"));
    }
    Ok(())
}
