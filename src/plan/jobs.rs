//! Jobs, terms and tensors: what a backend runs. Layouts are in the header of [`super`].

use std::fmt;
use std::ops::Range;

use serde::Serialize;

use crate::graph::{Distribution, Eps, Shape, Window};
use crate::score::features::Feature;
use crate::score::scatter::Scatter;
use crate::score::swap::Patterns;
use crate::weights::{RowShape, WeightSource};

/// Channels that stand together: one pixel's eight neighbors in a channels-last tensor.
pub(crate) const OCTET: usize = 8;

/// Channels of a unit, whose code words stand side by side, and whose numbers do in a GPU's tensor.
pub(crate) const UNIT: usize = 4;

/// Octets that hold so many channels.
pub(crate) fn octets(channels: usize) -> usize {
    channels.div_ceil(OCTET)
}

/// Position of a tensor in [`super::Plan`]'s list; 0 is the image.
pub(crate) type TensorId = usize;

/// The image, which lies outside the arena and is shared by all networks.
pub(crate) const IMAGE: TensorId = 0;

/// A place in memory: N x H x W pixels of `pitch` octets each.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tensor {
    pub(crate) shape: Shape,
    /// Octets from one pixel to the next.
    pub(crate) pitch: usize,
    /// Convolution output before batch norm: pad channels are undefined. Else they are zero.
    pub(crate) raw: bool,
    /// First octet in the arena.
    pub(crate) offset: usize,
}

impl Tensor {
    /// Octets of one image.
    pub(crate) fn image_octets(&self) -> usize {
        self.shape.pixels() * self.pitch
    }
}

/// When a job runs: see the header of `schedule.rs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Slot {
    /// Changes of resolution before it.
    pub segment: usize,
    /// Even for `combine`, odd for `conv`.
    pub phase: usize,
    /// Rows of pixels of the outputs.
    pub height: usize,
    /// Columns of pixels of the outputs.
    pub width: usize,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:<2} {}x{}", self.segment, self.phase, self.height, self.width)
    }
}

/// Output channels that one conv job covers at most, by the widest single conv of a network's segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TileClass {
    /// 64 channels.
    Narrow,
    /// 128 channels.
    Wide,
}

impl TileClass {
    /// Output channels of a job at most.
    pub(crate) fn channels(self) -> usize {
        match self {
            TileClass::Narrow => 64,
            TileClass::Wide => 128,
        }
    }
}

/// One tensor of weights.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) shape: RowShape,
    pub(crate) distribution: Distribution,
    pub(crate) standard_deviation: f64,
}

/// One way of reading a tensor: normalize, ReLU, average, truncate, shift. The value of an output channel is
/// the sum, in list order, of the terms that cover it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Term {
    pub(crate) tensor: TensorId,
    /// First channel read.
    pub(crate) channel: usize,
    /// Output channel that the first one goes to.
    pub(crate) to: usize,
    pub(crate) channels: usize,
    /// Entry of the norm arena for the first channel.
    pub(crate) norm: Option<usize>,
    pub(crate) relu: bool,
    /// Average over 3 x 3 pixels, padding not counted, of what the other fields make of each pixel.
    pub(crate) average: bool,
    /// Code region where the signs go, before the ReLU.
    pub(crate) code: Option<usize>,
}

/// Channels of a conv job that belong to one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    pub(crate) parameter: usize,
    /// First octet of the parameter's rows.
    pub(crate) row: usize,
    /// First octet of the output tensor.
    pub(crate) octet: usize,
    pub(crate) octets: usize,
}

impl Part {
    /// Output channels that it computes.
    pub(crate) fn channels(&self, parameters: &[Parameter]) -> usize {
        (parameters[self.parameter].shape.out_channels - self.row * OCTET).min(self.octets * OCTET)
    }
}

/// A batch norm's channels, made from partial statistics when its producer has run.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NormJob {
    pub(crate) name: String,
    pub(crate) eps: Eps,
    /// The parameter whose scale was left out of the producer's output.
    pub(crate) scale: Option<usize>,
    /// First channel in the producer's tensor.
    pub(crate) channel: usize,
    pub(crate) channels: usize,
    /// All channels of the batch norm, and the first of these among them.
    pub(crate) all_channels: usize,
    pub(crate) first: usize,
    /// Entry of the norm arena for the first channel.
    pub(crate) entry: usize,
}

impl NormJob {
    /// The eps that normalizes alike where the producer's output lacks its scale: eps / scale^2.
    pub(crate) fn scaled_eps(&self, parameters: &[Parameter], source: &dyn WeightSource) -> f64 {
        let scale =
            self.scale.map_or(1.0, |parameter| source.scale(parameters[parameter].standard_deviation));
        self.eps.get() / (scale * scale)
    }
}

/// Statistics that a job leaves: (sum, M2) per block of pixels and channel of its tensor.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Statistics {
    pub(crate) norms: Vec<NormJob>,
    /// First entry in the arena of partial statistics.
    pub(crate) partials: usize,
}

/// A convolution, or several of one input and geometry side by side.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ConvJob {
    pub(crate) slot: Slot,
    pub(crate) class: TileClass,
    pub(crate) input: TensorId,
    /// ReLU on load.
    pub(crate) relu: bool,
    pub(crate) kernel: [usize; 2],
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    pub(crate) dilation: [usize; 2],
    pub(crate) groups: usize,
    pub(crate) output: TensorId,
    pub(crate) parts: Vec<Part>,
    /// Whether outputs are multiplied by the parameter's scale.
    pub(crate) scaled: bool,
    pub(crate) statistics: Statistics,
}

impl ConvJob {
    /// Octets of the output tensor that the job writes.
    pub(crate) fn octets(&self) -> Range<usize> {
        let (Some(first), Some(last)) = (self.parts.first(), self.parts.last()) else {
            unreachable!("a conv job writes at least one part")
        };
        first.octet..last.octet + last.octets
    }

    /// Pairs of an output channel and an input channel that it depends on.
    pub(crate) fn channel_pairs(&self, parameters: &[Parameter]) -> u64 {
        let pairs = |part: &Part| part.channels(parameters) * parameters[part.parameter].shape.in_channels;
        self.parts.iter().map(pairs).sum::<usize>() as u64
    }
}

/// Maximum or average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pool {
    Max,
    Average,
}

/// A sum of terms, pooled when there is a window, stored when there is an output; emits code bits.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CombineJob {
    pub(crate) slot: Slot,
    /// For errors: the node whose value it is.
    pub(crate) name: String,
    pub(crate) terms: Vec<Term>,
    /// None: only bits are wanted.
    pub(crate) output: Option<TensorId>,
    /// Shape of the output.
    pub(crate) shape: Shape,
    /// Height and width of the terms' tensors.
    pub(crate) source: [usize; 2],
    pub(crate) window: Option<(Pool, Window)>,
    /// How often the bits of the value itself count, and their region.
    pub(crate) weight: u32,
    pub(crate) code: Option<usize>,
    pub(crate) statistics: Statistics,
}

impl CombineJob {
    /// Octets of one output pixel.
    pub(crate) fn octets(&self) -> usize {
        octets(self.shape.channels)
    }

    /// Whether every output pixel stands for the input pixel at its own place.
    pub(crate) fn keeps_pixels(&self) -> bool {
        let same_size = self.source == [self.shape.height, self.shape.width];
        same_size && self.window.is_none_or(|(_, window)| window.stride == [1, 1])
    }
}

/// Makes the scatter matrix of some neighboring channels of a tensor, over all pixels of all images.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct GramJob {
    pub(crate) slot: Slot,
    /// For errors: the node whose channels they are.
    pub(crate) name: String,
    pub(crate) tensor: TensorId,
    /// First channel, and how many.
    pub(crate) channel: usize,
    pub(crate) channels: usize,
    /// ReLU on load.
    pub(crate) relu: bool,
    /// How often the least eigenvalue of the channels' correlation counts.
    pub(crate) least: u32,
    /// The marks that the channels are, whose eigenvalues of the covariance are asked for.
    pub(crate) marks: Vec<usize>,
}

impl GramJob {
    /// The feature of its scatter matrix.
    pub(crate) fn feature(&self, scatter: Scatter) -> Feature<'_> {
        Feature { node: &self.name, scatter, least: self.least, marks: &self.marks }
    }
}

/// Pixels of a code word.
const WORD_PIXELS: usize = u32::BITS as usize;

/// Number of a channel's first bit in a region of so many pixels, channels being counted from the region's first one.
///
/// A word holds 32 pixels of one channel: they are lanes of a GPU, where one vote makes a word. The words of a unit's
/// channels stand side by side, those of its next 32 pixels behind them, and then those of the next unit.
pub(crate) fn channel_bit(channel: usize, pixels: usize) -> usize {
    (UNIT * (channel / UNIT * pixels.div_ceil(WORD_PIXELS)) + channel % UNIT) * WORD_PIXELS
}

/// Bits from the first pixel of a channel to another one.
#[inline(always)]
pub(crate) fn pixel_bit(pixel: usize) -> usize {
    UNIT * WORD_PIXELS * (pixel / WORD_PIXELS) + pixel % WORD_PIXELS
}

/// Code bits of one combine job. A channel of a counted ReLU has a bit at each pixel; all other bits are zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Region {
    /// How often K counts each of its bits.
    pub(crate) weight: u32,
    /// First 32-bit word among an image's codes.
    pub(crate) word: usize,
    /// Height and width of the output.
    pub(crate) size: [usize; 2],
    /// First unit of output channels that has words, and how many have: each holds a channel of a ReLU.
    pub(crate) first_unit: usize,
    pub(crate) units: usize,
    /// Output channels of ReLUs, in rising order; no two ranges touch.
    pub(crate) channels: Vec<Range<usize>>,
}

impl Region {
    /// A region without a place.
    pub(super) fn new(weight: u32, size: [usize; 2], channels: Range<usize>) -> Self {
        let first_unit = channels.start / UNIT;
        let units = channels.end.div_ceil(UNIT) - first_unit;
        Region { weight, word: 0, size, first_unit, units, channels: vec![channels] }
    }

    fn pixels(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Its 32-bit words in an image's codes.
    pub(crate) fn words(&self) -> usize {
        channel_bit(UNIT * self.units, self.pixels()) / WORD_PIXELS
    }

    /// Number of the first bit of an output channel among all of an image; that of a pixel is [`pixel_bit`] behind it.
    pub(crate) fn channel_bit(&self, channel: usize) -> usize {
        self.word * WORD_PIXELS + channel_bit(channel - UNIT * self.first_unit, self.pixels())
    }

    /// Bits of one image that K counts.
    pub(crate) fn bits(&self) -> usize {
        self.pixels() * self.channels.iter().map(Range::len).sum::<usize>()
    }

    /// Whether no unit would lie between its channels and those from this one on.
    pub(super) fn reaches(&self, channel: usize) -> bool {
        channel / UNIT <= self.first_unit + self.units
    }

    /// Adds channels behind those that it has.
    pub(super) fn push(&mut self, channels: Range<usize>) {
        debug_assert!(self.reaches(channels.start), "a region has no gaps of whole units");
        self.units = channels.end.div_ceil(UNIT) - self.first_unit;
        match self.channels.last_mut() {
            Some(last) if last.end == channels.start => last.end = channels.end,
            last => {
                debug_assert!(
                    last.is_none_or(|last| last.end < channels.start),
                    "channels have bits of their own"
                );
                self.channels.push(channels);
            }
        }
    }
}

/// Words of the codes whose agreement is counted in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AgreementJob {
    pub(crate) word: usize,
    pub(crate) words: usize,
    pub(crate) weight: u32,
}

/// Counts the distinct patterns of activation: columns of the code matrix of the first images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SwapJob {
    /// First images of the batch, at most 24.
    pub(crate) images: usize,
    /// ReLU units of one image, those included that are zero for every image and have no bits.
    pub(crate) units: u32,
}

impl SwapJob {
    /// The score. A pattern of zeros counts where a unit is left over for it: padding looks the same.
    pub(crate) fn score(self, found: Patterns) -> u32 {
        debug_assert!(found.active_units <= self.units, "padding is never active");
        found.distinct + u32::from(found.active_units < self.units)
    }
}
