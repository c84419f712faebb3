//! Layout of tensors whose images lie in lanes.

use std::ops::Range;

use super::simd::Simd;
use super::units::{LINE, Unit, Units};
use crate::plan::Plan;
use crate::plan::jobs::{ConvJob, OCTET, Part, Tensor, TensorId};
use crate::plan::place::{Life, first_fit};
use crate::{Batch, Result};

/// Images of a block.
pub(super) const fn block<S: Simd, const W: usize>() -> usize {
    W * S::LANES
}

/// The order of units in a row: channel c of pixel p is `first + p * pixel + c * channel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RowOrder {
    pub(super) first: usize,
    pub(super) pixel: usize,
    pub(super) channel: usize,
}

impl RowOrder {
    /// [pixel][channel].
    pub(super) fn pixels(channels: usize) -> Self {
        RowOrder { first: 0, pixel: channels, channel: 1 }
    }

    #[inline(always)]
    pub(super) fn at(&self, pixel: usize, channel: usize) -> usize {
        self.first + pixel * self.pixel + channel * self.channel
    }
}

/// The place of one block of a tensor, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether it lies in what all groups of instructions share, or in what one group needs while it works on one block.
    pub(super) lasts: bool,
    pub(super) units: Range<usize>,
}

/// The use of a tensor, by when it begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// From one group of instructions to another.
    Lasts(Life),
    /// From one instruction to another of the same group.
    Passes(Life),
}

/// The layout of a plan's tensors, in units. Every block has an arena of its own.
pub(super) struct TensorLayout {
    images: usize,
    /// Blocks of images; the lanes of the last one that hold no image compute, and are never counted.
    pub(super) blocks: usize,
    places: Vec<Place>,
    /// Units of a pixel of each tensor.
    pitches: Vec<usize>,
    /// Parts of raw tensors, in order of tensor and channel.
    parts: Vec<RawPart>,
    /// Units of a block's arena.
    pub(super) arena: usize,
    /// Units of what passes, which a thread needs once.
    pub(super) passing: usize,
}

/// A part of a raw tensor.
#[derive(Clone, Copy, Debug)]
struct RawPart {
    tensor: TensorId,
    /// First channel, as the plan counts.
    channel: usize,
    channels: usize,
    /// First unit of a pixel.
    unit: usize,
}

impl TensorLayout {
    /// Places the tensors that are in use.
    pub(super) fn new<S: Simd, const W: usize>(plan: &Plan, uses: &[Option<Use>]) -> Self {
        let line = LINE.div_ceil(size_of::<Unit<S, W>>());
        let mut pitches: Vec<usize> = plan.tensors.iter().map(|tensor| tensor.shape.channels).collect();
        let parts = parts(plan, &mut pitches);
        let units = |(tensor, pitch): (&Tensor, &usize)| tensor.shape.pixels() * pitch;
        let units: Vec<usize> = plan.tensors.iter().zip(&pitches).map(units).collect();
        let sizes: Vec<usize> = units.iter().map(|units| units.next_multiple_of(line)).collect();
        let lasting = |tensor: &Option<Use>| match tensor {
            Some(Use::Lasts(life)) => Some(*life),
            _ => None,
        };
        let passing = |tensor: &Option<Use>| match tensor {
            Some(Use::Passes(life)) => Some(*life),
            _ => None,
        };
        let (lasting_starts, arena) = first_fit(&sizes, &uses.iter().map(lasting).collect::<Vec<_>>());
        let (passing_starts, passing) = first_fit(&sizes, &uses.iter().map(passing).collect::<Vec<_>>());
        let place = |tensor: usize| {
            let lasts = !matches!(uses[tensor], Some(Use::Passes(_)));
            let start = if lasts { lasting_starts[tensor] } else { passing_starts[tensor] };
            Place { lasts, units: start..start + units[tensor] }
        };
        let places = (0..units.len()).map(place).collect();
        let blocks = plan.images().div_ceil(block::<S, W>());
        TensorLayout { images: plan.images(), blocks, places, pitches, parts, arena, passing }
    }

    /// Units from one pixel to the next: there are no pads here.
    pub(super) fn pitch(&self, tensor: TensorId) -> usize {
        self.pitches[tensor]
    }

    /// Where a channel of a pixel is. The plan starts parts of a raw tensor on octets, which here stand side by side.
    pub(super) fn unit(&self, tensor: TensorId, channel: usize) -> usize {
        let end = self.parts.partition_point(|part| (part.tensor, part.channel) <= (tensor, channel));
        match self.parts[..end].last() {
            Some(part) if part.tensor == tensor => part.unit + channel - part.channel,
            _ => channel,
        }
    }

    /// Where a block of a tensor lies, among what lasts in the block's arena or among what passes.
    pub(super) fn place(&self, tensor: TensorId) -> &Place {
        &self.places[tensor]
    }

    /// Images in the lanes of a block.
    pub(super) fn images_of<S: Simd, const W: usize>(&self, b: usize) -> usize {
        (self.images - b * block::<S, W>()).min(block::<S, W>())
    }
}

/// The parts of raw tensors, side by side; sets the units that pixels of such tensors take.
fn parts(plan: &Plan, pitches: &mut [usize]) -> Vec<RawPart> {
    let of = |job: &ConvJob| {
        let part = |part: &Part| RawPart {
            tensor: job.output,
            channel: part.octet * OCTET,
            channels: part.channels(&plan.parameters),
            unit: 0,
        };
        job.parts.iter().map(part).collect::<Vec<_>>()
    };
    let mut parts: Vec<RawPart> = plan.convs.iter().flat_map(of).collect();
    parts.sort_unstable_by_key(|part| (part.tensor, part.channel));
    for tensor in parts.chunk_by_mut(|a, b| a.tensor == b.tensor) {
        let mut end = 0;
        for part in &mut *tensor {
            part.unit = end;
            end += part.channels;
        }
        pitches[tensor[0].tensor] = end;
    }
    parts
}

/// The batch in lanes: [block][h][w][channel], zeros in lanes that hold no image.
pub(super) fn image<S: Simd, const W: usize>(batch: &Batch) -> Result<Units<S, W>> {
    let [images, channels, height, width] = batch.shape();
    let pixels = height * width;
    let mut units = Units::<S, W>::default();
    units.resize(images.div_ceil(block::<S, W>()) * pixels * channels)?;
    let numbers: &mut [f32] = bytemuck::cast_slice_mut(units.get_mut());
    for (plane, values) in batch.data().chunks_exact(pixels).enumerate() {
        let (n, c) = (plane / channels, plane % channels);
        let (b, lane) = (n / block::<S, W>(), n % block::<S, W>());
        for (p, &value) in values.iter().enumerate() {
            numbers[((b * pixels + p) * channels + c) * block::<S, W>() + lane] = value;
        }
    }
    Ok(units)
}
