//! Forms of jobs: for which of them a device has kernels, and how these cut the work.

use super::launch::{BatchNormsBy, LaunchKind};
use super::planar::units;
use crate::graph::{Shape, Window};
use crate::plan::jobs::{CombineJob, ConvJob, OCTET, UNIT};
use crate::plan::{Plan, TileClass};

/// The sizes of square images that kernels have forms for.
const SIDES: [usize; 3] = [32, 16, 8];
/// Terms of a job that a block of `combine` takes at most.
const MOST_TERMS: usize = 8;
/// Pixels of a tile: of `combine`, and of its form for any job.
const COMBINE_PIXELS: usize = 1024;
const COMBINE_ANY_PIXELS: usize = 128;
/// Units of the output that a block of `combine` takes at most.
const COMBINE_UNITS: usize = 4;
/// Pixels of a tile of `conv_any`, and octets of outputs of a block of any convolution.
const CONV_ANY_PIXELS: usize = 128;
const CONV_OCTETS: usize = 8;
/// Pixels of a block of partial statistics of what a combine has stored.
const STORED_PIXELS: usize = 256;

/// The kernels that a device has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forms {
    /// One form of each stage, and two of convolutions, by tile class: WGSL.
    Portable,
    /// Forms for the sizes that search spaces have, and others for any: CUDA.
    Special {
        /// Pixels of a tile of convolutions on tensor cores at most; none where there are no such tensor cores.
        tensor_pixels: Option<usize>,
        /// Blocks that keep the device busy.
        blocks: usize,
    },
}

/// Jobs of a slot that share their launches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    Combine,
    /// Combines with windows of stride 2, which read images of twice the size.
    Halving,
    CombineAny,
    ConvNarrow,
    ConvWide,
    ConvTensor,
    ConvAny,
}

impl Class {
    pub(super) const COMBINES: [Class; 3] = [Class::Combine, Class::Halving, Class::CombineAny];
    pub(super) const CONVS: [Class; 4] =
        [Class::ConvNarrow, Class::ConvWide, Class::ConvTensor, Class::ConvAny];

    pub(super) fn kind(self) -> LaunchKind {
        match self {
            Class::Combine | Class::Halving => LaunchKind::Combine,
            Class::CombineAny => LaunchKind::CombineAny,
            Class::ConvNarrow => LaunchKind::ConvNarrow,
            Class::ConvWide => LaunchKind::ConvWide,
            Class::ConvTensor => LaunchKind::ConvTensor,
            Class::ConvAny => LaunchKind::ConvAny,
        }
    }
}

/// How a job is cut, as far as its launch has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) class: Class,
    /// Pixels of a tile, counted over all images.
    pub(super) tile: usize,
    /// Units of the output.
    pub(super) units: usize,
    pub(super) has_window: bool,
}

impl Cut {
    /// Blocks of a convolution over so many pixels of each image.
    pub(super) fn blocks(&self, images: usize, pixels: usize) -> usize {
        (images * pixels).div_ceil(self.tile) * self.class.conv_slices(self.units)
    }
}

impl Forms {
    /// Who makes batch norms from what jobs leave.
    pub(super) fn batch_norms_by(self) -> BatchNormsBy {
        match self {
            Forms::Portable => BatchNormsBy::Launches,
            Forms::Special { .. } => BatchNormsBy::LastBlock,
        }
    }

    /// Pixels of a block of partial statistics of what a combine has stored.
    pub(super) fn stored_pixels(self, images: usize, shape: Shape) -> usize {
        match self {
            Forms::Portable => Plan::block_pixels(images, shape),
            Forms::Special { .. } => STORED_PIXELS,
        }
    }

    pub(super) fn conv(self, plan: &Plan, job: &ConvJob) -> Cut {
        let (input, output) = (&plan.tensors[job.input], &plan.tensors[job.output]);
        let octets = job.octets().len();
        let (class, tile) = match self {
            Forms::Portable => {
                let class = match job.class {
                    TileClass::Narrow => Class::ConvNarrow,
                    TileClass::Wide => Class::ConvWide,
                };
                (class, Plan::block_pixels(plan.images(), output.shape))
            }
            Forms::Special { tensor_pixels: Some(most), .. }
                if is_special(job, input.shape, output.shape) =>
            {
                let pixels = match octets {
                    // A strided tile reads four times its pixels.
                    _ if job.stride != [1, 1] => 64,
                    0..=2 => 256,
                    3..=4 => 128,
                    _ => 64,
                };
                (Class::ConvTensor, pixels.min(most))
            }
            Forms::Special { .. } => (Class::ConvAny, CONV_ANY_PIXELS),
        };
        Cut { class, tile, units: units(octets * OCTET), has_window: false }
    }

    pub(super) fn combine(self, plan: &Plan, job: &CombineJob) -> Cut {
        let has_window = job.window.is_some() || job.terms.iter().any(|term| term.average);
        let class = match self {
            Forms::Portable => Class::CombineAny,
            Forms::Special { .. } => {
                let fits = is_square(job.source) && job.terms.len() <= MOST_TERMS;
                special_window(job).filter(|_| fits).unwrap_or(Class::CombineAny)
            }
        };
        let tile = self.stored_pixels(plan.images(), job.shape);
        Cut { class, tile, units: units(job.shape.channels), has_window }
    }

    /// Tiles of a launch of combines, over so many pixels of each image, and how many units of the output each takes.
    pub(super) fn combine_tiles(
        self,
        class: Class,
        images: usize,
        pixels: usize,
        jobs: usize,
        units: usize,
    ) -> (usize, usize) {
        match self {
            Forms::Special { blocks, .. } if class != Class::CombineAny => {
                let tiles = (images * pixels).div_ceil(COMBINE_PIXELS);
                // As many as leave enough blocks: each has to find out what its units are made of.
                let mut each = COMBINE_UNITS;
                while each > 1 && tiles * jobs * units.div_ceil(each) < blocks {
                    each /= 2;
                }
                (tiles, each)
            }
            _ => (images * pixels.div_ceil(COMBINE_ANY_PIXELS), units),
        }
    }
}

impl Class {
    /// Slices of a launch of convolutions, by channels.
    pub(super) fn conv_slices(self, units: usize) -> usize {
        match self {
            Class::ConvTensor | Class::ConvAny => (units * UNIT).div_ceil(CONV_OCTETS * OCTET),
            _ => 1,
        }
    }

    /// The size of the images that a launch's tiles cover, whose outputs have such a size.
    pub(super) fn tiled(self, [height, width]: [usize; 2]) -> [usize; 2] {
        if self == Class::Halving { [2 * height, 2 * width] } else { [height, width] }
    }
}

fn is_square(size: [usize; 2]) -> bool {
    size[0] == size[1] && SIDES.contains(&size[0])
}

/// Whether the convolution on tensor cores has a form for a job.
fn is_special(job: &ConvJob, input: Shape, output: Shape) -> bool {
    let sides = [input.height, input.width, output.height, output.width];
    let kernel = job.kernel[0];
    let plain = job.kernel == [kernel; 2] && job.padding == [kernel / 2; 2] && job.dilation == [1, 1];
    let stride = match job.stride {
        [1, 1] => 1,
        [2, 2] => 2,
        _ => return false,
    };
    let whole = sides == [stride * output.width, stride * output.width, output.width, output.width];
    plain && [1, 3].contains(&kernel) && whole && SIDES.contains(&output.width) && sides[0] <= SIDES[0]
}

/// The class of a job with such a window, if `combine` has a form for it.
fn special_window(job: &CombineJob) -> Option<Class> {
    match job.window {
        None => Some(Class::Combine),
        Some((_, window)) if window == Window::new(3, 1, 1) => Some(Class::Combine),
        Some((_, window)) if window == Window::new(2, 2, 0) => Some(Class::Halving),
        Some(_) => None,
    }
}
