//! Footprints: what a network takes in each of a group's buffers, and how many networks make a group.

use super::forms::Forms;
use super::memory::{Buffer, Measure, PerBuffer, Sizes};
use super::partials::most_partials;
use super::planar::{UNITS, plane};
use super::records::{COUNTS, NONE};
use crate::graph::Window;
use crate::plan::Plan;
use crate::plan::jobs::{IMAGE, OCTET, Tensor, UNIT, octets};
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
    /// Bytes of all buffers, and groups that share them.
    pub(crate) memory: u64,
    pub(crate) in_flight: u64,
    /// Networks of a group, when the user has said so.
    pub(crate) networks: Option<usize>,
    /// Bytes that one launch should move, so that its own cost is small beside them.
    pub(crate) launch_bytes: u64,
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
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) networks: usize,
    pub(crate) sizes: Sizes,
    /// Bytes of activations that all launches move, and the launches of the deepest network.
    traffic: u64,
    slots: usize,
}

impl Load {
    /// The load of one network.
    ///
    /// # Errors
    /// What the kernels do not know (channels in groups), sizes that the records do not hold, more memory than the
    /// limits.
    pub(crate) fn of(plan: &Plan, limits: &Limits) -> Result<Self> {
        check(plan)?;
        let load = Load {
            networks: 1,
            sizes: sizes(plan, limits),
            traffic: traffic(plan, limits.number),
            slots: plan.slots.len(),
        };
        match limits.total(&(load.sizes + image(plan))) {
            Err(needed) => return Err(Error::Memory { needed, limit: limits.buffer }),
            Ok(needed) if needed > limits.memory => {
                return Err(Error::Memory { needed, limit: limits.memory });
            }
            Ok(_) => {}
        }
        Ok(load)
    }

    /// Whether another network should still be added: there is room for it, and launches are not full yet.
    pub(crate) fn has_room_for(&self, other: &Load, image: Sizes, limits: &Limits) -> bool {
        if self.networks == 0 {
            return true;
        }
        let room = limits
            .total(&(self.sizes + other.sizes + image))
            .is_ok_and(|bytes| bytes <= limits.memory / limits.in_flight);
        let wanted = match limits.networks {
            Some(networks) => self.networks < networks,
            None => self.traffic < self.slots as u64 * limits.launch_bytes,
        };
        room && wanted && self.networks < MOST_NETWORKS
    }

    /// Adds another network.
    pub(crate) fn add(&mut self, other: &Load) {
        self.networks += other.networks;
        self.sizes += other.sizes;
        self.traffic += other.traffic;
        self.slots = self.slots.max(other.slots);
    }
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

/// Bytes of activations that a plan's jobs read and write, each once.
fn traffic(plan: &Plan, number: usize) -> u64 {
    let whole = |tensor: usize| plan.tensors[tensor].image_octets();
    let convs = plan.convs.iter().map(|job| {
        let out = &plan.tensors[job.output];
        whole(job.input) + out.shape.pixels() * job.octets().len()
    });
    let combines = plan.combines.iter().map(|job| {
        let terms =
            job.terms.iter().map(|term| plan.tensors[term.tensor].shape.pixels() * octets(term.channels));
        terms.sum::<usize>() + job.output.map_or(0, whole)
    });
    (plan.images() * OCTET * number * convs.chain(combines).sum::<usize>()) as u64
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
