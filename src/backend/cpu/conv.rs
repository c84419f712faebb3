//! 2-D convolution as implicit matrix product, channels last.
//!
//! ```text
//! y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//! ```
//!
//! in that order of r, s, c. An image is staged first: copied into a frame of zeros, its pad channels left out
//! and the ReLU on load done. What lies under one row of the kernel then stands side by side, a *run*, and the
//! inner loop has neither borders nor branches. It keeps P pixels of a row by one octet of output channels in
//! registers, and each weight that it loads serves P pixels. Weights are packed by octet, [r][s][c][8]
//! (`weights.rs`).

use super::real::Real;
use super::weights::Octet;
use crate::plan::jobs::{ConvJob, OCTET, Tensor};

/// What the images of one job have in common.
pub(super) struct Conv<'a, T> {
    job: &'a ConvJob,
    input: &'a Tensor,
    output: &'a Tensor,
    /// Input channels of one group, and output channels of one group.
    group_channels: [usize; 2],
    /// Packed weights of each octet that the job writes.
    weights: &'a [Octet<T>],
    /// For each octet what its outputs are multiplied with.
    scales: &'a [Option<T>],
    frame: Frame,
    runs: Vec<Run>,
}

/// Where the pixels that a convolution reads lie.
#[derive(Clone, Copy)]
struct Frame {
    /// Numbers from one pixel to the next, and from one row to the next.
    pixel: usize,
    row: usize,
    rows: usize,
    /// Whether it is the image as it comes, which needs no staging.
    direct: bool,
}

/// Numbers under the kernel that stand side by side.
#[derive(Clone, Copy)]
struct Run {
    /// Distance from the first number under the kernel.
    offset: usize,
    length: usize,
}

impl<'a, T: Real> Conv<'a, T> {
    /// `group_channels`: inputs and outputs of one group.
    pub(super) fn new(
        job: &'a ConvJob,
        [input, output]: [&'a Tensor; 2],
        group_channels: [usize; 2],
        weights: &'a [Octet<T>],
        scales: &'a [Option<T>],
    ) -> Self {
        let channels = group_channels[0] * job.groups;
        let frame = Frame::new(job, input, output, channels, T::PIXELS);
        let runs = runs(job, frame, group_channels[0]);
        Conv { job, input, output, group_channels, weights, scales, frame, runs }
    }

    /// A frame for [`Conv::image`] to stage images in, one after the other.
    pub(super) fn frame(&self) -> Vec<T> {
        let length = if self.frame.direct { 0 } else { self.frame.rows * self.frame.row };
        vec![T::ZERO; length]
    }

    /// Convolves one image, [h][w][octets] to [h][w][octets].
    pub(super) fn image(&self, frame: &mut [T], x: &[T], y: &mut [T]) {
        let x = if self.frame.direct {
            x
        } else {
            self.stage(frame, x);
            frame
        };
        match T::PIXELS {
            4 => self.octets::<4>(x, y),
            _ => self.octets::<2>(x, y),
        }
    }

    /// Copies an image into its frame, whose border nobody writes.
    fn stage(&self, frame: &mut [T], x: &[T]) {
        let [top, left] = self.job.padding;
        let pitch = self.input.pitch * OCTET;
        let rows = frame.chunks_exact_mut(self.frame.row).skip(top);
        for (to, from) in rows.zip(x.chunks_exact(self.input.shape.width * pitch)) {
            let pixels = to.chunks_exact_mut(self.frame.pixel).skip(left).zip(from.chunks_exact(pitch));
            if self.job.relu {
                pixels
                    .for_each(|(to, from)| to.iter_mut().zip(from).for_each(|(to, v)| *to = v.max(T::ZERO)));
            } else {
                pixels.for_each(|(to, from)| to.copy_from_slice(&from[..to.len()]));
            }
        }
    }

    fn octets<const P: usize>(&self, x: &[T], y: &mut [T]) {
        let pitch = self.output.pitch * OCTET;
        let [down, right] = [self.job.stride[0] * self.frame.row, self.job.stride[1] * self.frame.pixel];
        for ((octet, weights), scale) in self.job.octets().zip(self.weights).zip(self.scales) {
            let firsts = (self.job.groups > 1).then(|| self.first_inputs(octet));
            let rows = y.chunks_exact_mut(self.output.shape.width * pitch);
            for (row, x) in rows.zip((0..).step_by(down).map(|first| &x[first..])) {
                let tiles = row.chunks_mut(P * pitch);
                for (tile, x) in tiles.zip((0..).step_by(P * right).map(|first| &x[first..])) {
                    let mut sums: [[T; OCTET]; P] = match firsts {
                        None => tile_sums(x, right, &self.runs, weights),
                        Some(firsts) => grouped_sums(x, right, &self.runs, weights, firsts),
                    };
                    if let Some(scale) = *scale {
                        sums.iter_mut().flatten().for_each(|sum| *sum *= scale);
                    }
                    for (pixel, sums) in tile.chunks_exact_mut(pitch).zip(&sums) {
                        pixel[octet * OCTET..][..OCTET].copy_from_slice(sums);
                    }
                }
            }
        }
    }

    /// For each channel of an octet, the first input channel of its group.
    fn first_inputs(&self, octet: usize) -> [usize; OCTET] {
        let [inputs, outputs] = self.group_channels;
        // Pad channels repeat the last group; nobody reads them.
        std::array::from_fn(|l| ((octet * OCTET + l) / outputs).min(self.job.groups - 1) * inputs)
    }
}

impl Frame {
    /// A frame that tiles of `pixels` outputs never read beyond.
    fn new(job: &ConvJob, input: &Tensor, output: &Tensor, channels: usize, pixels: usize) -> Self {
        let (from, to) = (input.shape, output.shape);
        let pointwise = job.kernel == [1, 1] && job.padding == [0, 0];
        if pointwise && !job.relu && to.width % pixels == 0 {
            let pixel = input.pitch * OCTET;
            return Frame { pixel, row: from.width * pixel, rows: from.height, direct: true };
        }
        let extent = |axis: usize, outputs: usize| {
            (outputs - 1) * job.stride[axis] + (job.kernel[axis] - 1) * job.dilation[axis] + 1
        };
        let rows = extent(0, to.height).max(job.padding[0] + from.height);
        let columns = extent(1, to.width.next_multiple_of(pixels)).max(job.padding[1] + from.width);
        Frame { pixel: channels, row: columns * channels, rows, direct: false }
    }
}

/// The runs under a kernel, in the order of its weights; `inputs` are the channels of one group.
fn runs(job: &ConvJob, frame: Frame, inputs: usize) -> Vec<Run> {
    let joined = job.groups == 1 && job.dilation[1] == 1 && job.kernel[1] > 1;
    let taps = if joined { 1 } else { job.kernel[1] };
    let length = inputs * job.kernel[1] / taps;
    let offset = |r, s| r * job.dilation[0] * frame.row + s * job.dilation[1] * frame.pixel;
    (0..job.kernel[0]).flat_map(|r| (0..taps).map(move |s| Run { offset: offset(r, s), length })).collect()
}

/// One octet of P output pixels; `step` is the distance of their inputs.
fn tile_sums<T: Real, const P: usize>(
    x: &[T],
    step: usize,
    runs: &[Run],
    mut weights: &[[T; OCTET]],
) -> [[T; OCTET]; P] {
    let mut sums = [[T::ZERO; OCTET]; P];
    for run in runs {
        let (run_weights, rest) = weights.split_at(run.length);
        let pixels: [&[T]; P] = std::array::from_fn(|p| &x[run.offset + p * step..][..run_weights.len()]);
        for (i, weights) in run_weights.iter().enumerate() {
            for (sums, pixel) in sums.iter_mut().zip(&pixels) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += pixel[i] * weight;
                }
            }
        }
        weights = rest;
    }
    sums
}

/// The same where channels fall into groups: each output channel reads inputs from the first of its own on.
fn grouped_sums<T: Real, const P: usize>(
    x: &[T],
    step: usize,
    runs: &[Run],
    weights: &[[T; OCTET]],
    firsts: [usize; OCTET],
) -> [[T; OCTET]; P] {
    let mut sums = [[T::ZERO; OCTET]; P];
    let places = runs.iter().flat_map(|run| run.offset..run.offset + run.length);
    for (place, weights) in places.zip(weights) {
        for (p, sums) in sums.iter_mut().enumerate() {
            for ((sum, &weight), first) in sums.iter_mut().zip(weights).zip(firsts) {
                *sum += x[place + p * step + first] * weight;
            }
        }
    }
    sums
}
