//! One network compiled once, for all backends.
//!
//! A [`Plan`] is made from a [`Graph`] by these passes, one file each: `simplify`, `merge`, `fuse`,
//! `schedule`, `codes`, `place`. It prints itself as a table (`naswot plan`).
//!
//! Layouts:
//! - A tensor is `pitch` octets (8 channels each) of N x H x W pixels, octets last in the CPU's twins; GPUs have planes of
//!   units, half an octet each. *Plain* tensors, which `combine` writes,
//!   hold zeros in their pad channels; the pads of *raw* ones, which `conv` writes, are undefined.
//! - A batch norm is two numbers a channel in the norm arena, scale = gamma / sqrt(var + eps) and
//!   shift = beta - mean * scale: whoever reads computes y * scale + shift.
//! - Partial statistics are (sum, M2 about the block's own mean) for each block of pixels and each channel of the producing
//!   tensor; the twins' blocks have `Plan::block_pixels`.
//! - Codes are 32-bit words, image by image, at the places that the regions say.
//! - A scatter matrix is its packed lower triangle, row by row, of products about the mean.

mod codes;
mod display;
mod features;
mod fuse;
pub(crate) mod jobs;
mod merge;
pub(crate) mod place;
mod schedule;
mod simplify;
#[cfg(test)]
mod tests;
mod value;

use std::ops::Range;

use crate::graph::{Convention, Graph, MOST_NUMBERS, Op, Shape, numbers};
use crate::score::ScoreValues;
use crate::score::features::{Feature, feature_scores};
use crate::score::scatter::Scatter;
use crate::score::swap::map_words;
use crate::{Error, Precision, Result};
pub(crate) use features::Wanted;
use fuse::Jobs;
use jobs::{
    AgreementJob, CombineJob, ConvJob, GramJob, NormJob, OCTET, Parameter, Region, Statistics, SwapJob,
    Tensor, octets,
};
pub use jobs::{Slot, TileClass};

/// Blocks of pixels that a job leaves partial statistics of, at most.
const MAX_BLOCKS: usize = 128;
/// Pixels of a block are a multiple of this.
const BLOCK_UNIT: usize = 128;

/// Most jobs of a network: the time to find places for their tensors grows with their square.
const MOST_JOBS: usize = 1 << 16;

/// Jobs of one slot, by position.
#[derive(Clone, Debug)]
pub(crate) struct SlotJobs {
    pub(crate) slot: Slot,
    pub(crate) combines: Range<usize>,
    pub(crate) convs: Range<usize>,
    pub(crate) grams: Range<usize>,
}

/// A network compiled for batches of one size and shape, under one convention.
///
/// ```
/// use naswot::{Convention, nasbench201::{Cell, Skeleton}, plan::Plan};
///
/// let cell: Cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|".parse()?;
/// let network = cell.network(&Skeleton::default())?;
/// let plan = Plan::new(network.graph(), [32, 3, 32, 32], Convention::Relu)?;
/// assert_eq!(plan.activations(), 40_960 + 143_360);
/// println!("{plan}");
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    images: usize,
    convention: Convention,
    activations: u32,
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) combines: Vec<CombineJob>,
    pub(crate) convs: Vec<ConvJob>,
    pub(crate) regions: Vec<Region>,
    pub(crate) agreements: Vec<AgreementJob>,
    /// None where no score needs patterns.
    pub(crate) swap: Option<SwapJob>,
    pub(crate) grams: Vec<GramJob>,
    /// What scores asked for beside codes.
    pub(crate) wanted: Wanted,
    /// Marks whose eigenvalues are asked for. Those that no gram job names are zeros.
    pub(crate) marks: usize,
    pub(crate) slots: Vec<SlotJobs>,
    pub(crate) words_per_image: usize,
    pub(crate) arena_octets: usize,
    pub(crate) norm_entries: usize,
    pub(crate) partial_entries: usize,
}

impl Plan {
    /// Compiles a network for a batch of N x C x H x W images.
    ///
    /// # Errors
    /// A shape that does not fit the graph (naming the node), a batch norm over a single value, or so many
    /// code bits that K would not fit 32-bit integers.
    pub fn new(graph: &Graph, batch: [usize; 4], convention: Convention) -> Result<Self> {
        Plan::compile(graph, batch, convention, Wanted::default())
    }

    /// The same with what else scores ask for.
    pub(crate) fn compile(
        graph: &Graph,
        batch: [usize; 4],
        convention: Convention,
        wanted: Wanted,
    ) -> Result<Self> {
        let [images, channels, height, width] = batch;
        if images == 0 {
            return Err(Error::Batch { message: "holds no images".to_owned() });
        }
        if channels != graph.in_channels() {
            let message = format!("has {channels} channels, the network reads {}", graph.in_channels());
            return Err(Error::Batch { message });
        }
        let shapes = graph.shapes(height, width)?;
        check_tensors(graph, &shapes, images)?;
        check_batch_norms(graph, &shapes, images)?;
        let reached = graph.reached();
        let activations: u32 = graph.activations_of(&shapes, &reached, convention)?;
        let features = features::uses(graph, &shapes, &reached, images, wanted);
        let values = simplify::simplify(graph, &shapes, &reached, convention, &features.nodes);
        let (values, groups) = merge::merge(values);
        let mut jobs = fuse::fuse(&values, &groups, shapes[0]);
        let pieces = schedule::most_pieces(&jobs);
        if pieces > MOST_JOBS {
            let message = format!("the network takes {pieces} jobs, more than {MOST_JOBS}");
            return Err(Error::graph(graph.nodes()[graph.output().index()].name(), message));
        }
        schedule::schedule(&mut jobs);
        let codes = codes::codes(&mut jobs);
        let Jobs { mut tensors, mut convs, mut combines, mut grams, parameters, norm_entries, .. } = jobs;
        convs.sort_by_key(|job| job.slot);
        combines.sort_by_key(|job| job.slot);
        grams.sort_by_key(|job| job.slot);
        let slots = slots(&combines, &convs, &grams);
        let lives = lives(tensors.len(), &combines, &convs, &grams, &slots);
        let arena_octets = place::place(&mut tensors, &lives, images);
        let partial_entries = place_partials(&slots, &mut combines, &mut convs, &tensors, images);
        let mut plan = Plan {
            images,
            convention,
            activations,
            tensors,
            parameters,
            combines,
            convs,
            regions: codes.regions,
            agreements: codes.agreements,
            swap: None,
            grams,
            wanted,
            marks: features.marks,
            slots,
            words_per_image: codes.words_per_image,
            arena_octets,
            norm_entries,
            partial_entries,
        };
        plan.swap = wanted.swap_images.map(|images| SwapJob { images, units: plan.units() });
        Ok(plan)
    }

    /// N, images of the batch.
    pub fn images(&self) -> usize {
        self.images
    }

    /// N_A, code bits of one image: the diagonal of K.
    pub fn activations(&self) -> u32 {
        self.activations
    }

    /// How many of the [code bits](Self::activations) of one image are zero whatever the image is, so that nothing computes
    /// them: those of ReLUs that read nothing but zeros. All images agree in them.
    ///
    /// ```
    /// use naswot::{Convention, Graph, plan::Plan};
    ///
    /// let mut g = Graph::builder(3)?;
    /// let zero = g.zero(g.input())?;
    /// let (x, y) = (g.relu(g.input())?, g.relu(zero)?);
    /// let sum = g.add(&[x, y])?;
    /// let plan = Plan::new(&g.output(sum)?, [2, 3, 4, 4], Convention::Relu)?;
    /// assert_eq!((plan.activations(), plan.constant_bits()), (96, 48));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn constant_bits(&self) -> u32 {
        let computed: u32 = self.regions.iter().map(|region| region.weight * region.bits() as u32).sum();
        assert!(computed <= self.activations, "regions have {computed} bits, all ReLUs {}", self.activations);
        self.activations - computed
    }

    /// ReLU units of one image: those that have bits, and those that are zero whatever the image is. (Of the latter it matters
    /// whether there are any, so that each may count as often as K counts it.)
    fn units(&self) -> u32 {
        let computed: u32 = self.regions.iter().map(|region| region.bits() as u32).sum();
        computed + self.constant_bits()
    }

    /// Words of an image's code that hold bits: a range for each weight. Nobody writes the words between them.
    pub(crate) fn sections(&self) -> impl Iterator<Item = Range<usize>> {
        self.agreements.chunk_by(|a, b| a.weight == b.weight).map(|pieces| {
            let words: usize = pieces.iter().map(|piece| piece.words).sum();
            pieces[0].word..pieces[0].word + words
        })
    }

    /// How ReLUs are counted.
    pub fn convention(&self) -> Convention {
        self.convention
    }

    /// When its jobs run, in order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().map(|jobs| jobs.slot)
    }

    /// Multiplications of its convolutions for one image: by each weight under each output, padding included.
    pub(crate) fn multiplications(&self) -> u64 {
        let of = |job: &ConvJob| {
            let taps = job.kernel[0] * job.kernel[1] * self.tensors[job.output].shape.pixels();
            taps as u64 * job.channel_pairs(&self.parameters)
        };
        self.convs.iter().map(of).sum()
    }

    /// The scores of the features that its gram jobs asked for.
    ///
    /// # Errors
    /// A feature with numbers that are not finite.
    #[inline(always)]
    pub(crate) fn feature_scores(&self, features: &[Feature], precision: Precision) -> Result<ScoreValues> {
        let marks = self.wanted.spectra.then_some(self.marks);
        feature_scores(features, self.wanted.correlations, marks, precision)
    }

    /// Memory that running it takes.
    pub fn memory(&self) -> Memory {
        let scratch = self.combines.iter().filter(|job| job.window.is_some());
        let scratch = scratch.map(|job| job.source[0] * job.source[1] * job.octets()).max().unwrap_or(0);
        Memory {
            arena: self.arena_octets * OCTET,
            norms: 2 * self.norm_entries,
            partials: 2 * self.partial_entries,
            scratch: scratch * OCTET,
            codes: self.images * self.words_per_image,
            patterns: self.swap.map_or(0, |job| map_words(job.images)),
            scatter: self.grams.iter().map(|job| Scatter::numbers(job.channels)).sum(),
            kernel: self.images * self.images,
        }
    }

    /// Its batch norms, those of convs first.
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU takes them job by job")
    )]
    pub(crate) fn norms(&self) -> impl Iterator<Item = &NormJob> {
        let convs = self.convs.iter().flat_map(|job| &job.statistics.norms);
        convs.chain(self.combines.iter().flat_map(|job| &job.statistics.norms))
    }

    /// Pixels of one block of partial statistics, counted over all images: a function of N, H and W alone, so
    /// that sums do not depend on threads or groups.
    pub(crate) fn block_pixels(images: usize, shape: Shape) -> usize {
        (images * shape.pixels()).div_ceil(MAX_BLOCKS).next_multiple_of(BLOCK_UNIT)
    }
}

/// Memory of one network on its way, in numbers; weights are shared by networks and not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Activations, in numbers of the storage type.
    pub arena: usize,
    /// Batch norms, in numbers of the storage type.
    pub norms: usize,
    /// Partial statistics, in numbers of the storage type.
    pub partials: usize,
    /// One image before pooling, in numbers of the storage type, for each thread that pools.
    pub scratch: usize,
    /// Code words of 4 bytes.
    pub codes: usize,
    /// Words of 4 bytes of a bitmap of activation patterns.
    pub patterns: usize,
    /// Numbers of scatter matrices, 8 bytes each.
    pub scatter: usize,
    /// Entries of K, 4 bytes each.
    pub kernel: usize,
}

impl Memory {
    /// Bytes in all for a storage type of so many bytes.
    ///
    /// ```
    /// use naswot::{Convention, Graph, plan::Plan};
    ///
    /// let mut g = Graph::builder(3)?;
    /// let x = g.input();
    /// let x = g.relu(x)?;
    /// let plan = Plan::new(&g.output(x)?, [2, 3, 4, 4], Convention::Relu)?;
    /// assert_eq!(plan.memory().bytes(4), 4 * (2 * 32 + 2 * 2));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn bytes(&self, storage: usize) -> u64 {
        let sum = |numbers: &[usize]| numbers.iter().map(|&numbers| numbers as u128).sum::<u128>();
        let stored = storage as u128 * sum(&[self.arena, self.norms, self.partials, self.scratch]);
        let words = 4 * sum(&[self.codes, self.patterns, self.kernel]);
        u64::try_from(stored + words + 8 * self.scatter as u128).unwrap_or(u64::MAX)
    }
}

/// Refuses tensors that no memory holds, so that places in it fit 64 bits.
fn check_tensors(graph: &Graph, shapes: &[Shape], images: usize) -> Result<()> {
    for (node, shape) in graph.nodes().iter().zip(shapes) {
        if numbers(&[images, octets(shape.channels) * OCTET, shape.height, shape.width]).is_none() {
            let message = format!("has {images}x{shape} numbers, more than {MOST_NUMBERS}");
            return Err(Error::graph(node.name(), message));
        }
    }
    Ok(())
}

fn check_batch_norms(graph: &Graph, shapes: &[Shape], images: usize) -> Result<()> {
    for (node, shape) in graph.nodes().iter().zip(shapes) {
        if matches!(node.op(), Op::BatchNorm { .. }) && images * shape.pixels() == 1 {
            return Err(Error::graph(
                node.name(),
                "normalizes over a single value: take more or larger images",
            ));
        }
    }
    Ok(())
}

fn slots(combines: &[CombineJob], convs: &[ConvJob], grams: &[GramJob]) -> Vec<SlotJobs> {
    let of_grams = grams.iter().map(|job| job.slot);
    let mut all: Vec<Slot> =
        combines.iter().map(|job| job.slot).chain(convs.iter().map(|job| job.slot)).chain(of_grams).collect();
    all.sort_unstable();
    all.dedup();
    all.into_iter()
        .map(|slot| SlotJobs {
            slot,
            combines: combines.partition_point(|job| job.slot < slot)
                ..combines.partition_point(|job| job.slot <= slot),
            convs: convs.partition_point(|job| job.slot < slot)
                ..convs.partition_point(|job| job.slot <= slot),
            grams: grams.partition_point(|job| job.slot < slot)
                ..grams.partition_point(|job| job.slot <= slot),
        })
        .collect()
}

/// First and last slot of every tensor; none for the image.
fn lives(
    tensors: usize,
    combines: &[CombineJob],
    convs: &[ConvJob],
    grams: &[GramJob],
    slots: &[SlotJobs],
) -> Vec<Option<place::Life>> {
    let mut lives: Vec<Option<place::Life>> = vec![None; tensors];
    let mut extend = |tensor: usize, position: usize| {
        let life = lives[tensor].get_or_insert(place::Life::at(position));
        *life = place::Life { first: life.first.min(position), last: life.last.max(position) };
    };
    for (position, jobs) in slots.iter().enumerate() {
        for job in &combines[jobs.combines.clone()] {
            job.output
                .into_iter()
                .chain(job.terms.iter().map(|term| term.tensor))
                .for_each(|t| extend(t, position));
        }
        for job in &convs[jobs.convs.clone()] {
            [job.output, job.input].into_iter().for_each(|tensor| extend(tensor, position));
        }
        grams[jobs.grams.clone()].iter().for_each(|job| extend(job.tensor, position));
    }
    lives[jobs::IMAGE] = None;
    lives
}

/// Places of partial statistics, which live for one slot only; returns the entries of their arena.
fn place_partials(
    slots: &[SlotJobs],
    combines: &mut [CombineJob],
    convs: &mut [ConvJob],
    tensors: &[Tensor],
    images: usize,
) -> usize {
    let mut arena = 0;
    for jobs in slots {
        let mut next = 0;
        let mut take = |statistics: &mut Statistics, shape: Shape, octets: usize| {
            if !statistics.norms.is_empty() {
                let blocks = (images * shape.pixels()).div_ceil(Plan::block_pixels(images, shape));
                statistics.partials = next;
                next += blocks * octets * OCTET;
            }
        };
        for job in &mut combines[jobs.combines.clone()] {
            take(&mut job.statistics, job.shape, octets(job.shape.channels));
        }
        for job in &mut convs[jobs.convs.clone()] {
            let octets = job.octets().len();
            take(&mut job.statistics, tensors[job.output].shape, octets);
        }
        arena = arena.max(next);
    }
    arena
}
