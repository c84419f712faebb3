//! 2-D convolution as implicit matrix product, channels last.
//!
//! ```text
//! y[p, k] = sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//! ```
//!
//! in that order of r, s, c. An image is staged first: copied into a frame of zeros, its pad channels left out
//! and the ReLU on load done. The taps of one row of the window are then contiguous, and the inner loop
//! has neither borders nor branches. It keeps P pixels of a row by one octet of output channels in
//! registers, and each weight that it loads serves P pixels. Weights are packed by octet, [r][s][c][8]
//! (`weights.rs`).

use super::weights::Octet;
use crate::plan::jobs::{ConvJob, OCTET, Tensor};
use crate::real::Real;

/// A convolution with its weights.
pub(crate) struct Conv<'a, T> {
    job: &'a ConvJob,
    input: &'a Tensor,
    output: &'a Tensor,
    /// Input channels of one group, and output channels of one group.
    group_channels: [usize; 2],
    /// Packed weights of each octet that the job writes.
    weights: &'a [Octet<T>],
    /// The factor of each octet's outputs.
    scales: &'a [Option<T>],
    frame: Frame,
    /// In the order of the weights.
    taps: Vec<ContiguousTaps>,
}

/// Layout of a frame: the image within its border of zeros.
#[derive(Clone, Copy)]
struct Frame {
    /// Numbers from one pixel to the next, and from one row to the next.
    pixel: usize,
    row: usize,
    rows: usize,
    /// Whether the frame is the image as it comes, which needs no staging.
    direct: bool,
}

/// Taps of a window whose numbers are contiguous in the frame.
#[derive(Clone, Copy)]
struct ContiguousTaps {
    /// Distance from the first number of the window.
    offset: usize,
    length: usize,
}

impl<'a, T: Real> Conv<'a, T> {
    /// `group_channels`: inputs and outputs of one group.
    pub(crate) fn new(
        job: &'a ConvJob,
        [input, output]: [&'a Tensor; 2],
        group_channels: [usize; 2],
        weights: &'a [Octet<T>],
        scales: &'a [Option<T>],
    ) -> Self {
        let channels = group_channels[0] * job.groups;
        let frame = Frame::new(job, input, output, channels, T::PIXELS);
        let taps = contiguous_taps(job, frame, group_channels[0]);
        Conv { job, input, output, group_channels, weights, scales, frame, taps }
    }

    /// A frame for [`Conv::image`] to stage images in, one after the other.
    pub(crate) fn frame(&self) -> Vec<T> {
        let length = if self.frame.direct { 0 } else { self.frame.rows * self.frame.row };
        vec![T::ZERO; length]
    }

    /// Convolves one image, [h][w][octets] to [h][w][octets].
    pub(crate) fn image(&self, frame: &mut [T], x: &[T], y: &mut [T]) {
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
                        None => tile_sums(x, right, &self.taps, weights),
                        Some(firsts) => grouped_sums(x, right, &self.taps, weights, firsts),
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

/// The taps of a window, in the order of its weights; `inputs` are the channels of one group.
fn contiguous_taps(job: &ConvJob, frame: Frame, inputs: usize) -> Vec<ContiguousTaps> {
    let whole_rows = job.groups == 1 && job.dilation[1] == 1 && job.kernel[1] > 1;
    let pieces = if whole_rows { 1 } else { job.kernel[1] };
    let length = inputs * job.kernel[1] / pieces;
    let offset = |r, s| r * job.dilation[0] * frame.row + s * job.dilation[1] * frame.pixel;
    let piece = |r, s| ContiguousTaps { offset: offset(r, s), length };
    (0..job.kernel[0]).flat_map(|r| (0..pieces).map(move |s| piece(r, s))).collect()
}

/// One octet of P output pixels; `step` is the distance of their inputs.
fn tile_sums<T: Real, const P: usize>(
    x: &[T],
    step: usize,
    taps: &[ContiguousTaps],
    mut weights: &[[T; OCTET]],
) -> [[T; OCTET]; P] {
    let mut sums = [[T::ZERO; OCTET]; P];
    for &ContiguousTaps { offset, length } in taps {
        let (tap_weights, rest) = weights.split_at(length);
        let pixels: [&[T]; P] = std::array::from_fn(|p| &x[offset + p * step..][..tap_weights.len()]);
        for (i, weights) in tap_weights.iter().enumerate() {
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
    taps: &[ContiguousTaps],
    weights: &[[T; OCTET]],
    firsts: [usize; OCTET],
) -> [[T; OCTET]; P] {
    let mut sums = [[T::ZERO; OCTET]; P];
    let places = taps.iter().flat_map(|taps| taps.offset..taps.offset + taps.length);
    for (place, weights) in places.zip(weights) {
        for (p, sums) in sums.iter_mut().enumerate() {
            for ((sum, &weight), first) in sums.iter_mut().zip(weights).zip(firsts) {
                *sum += x[place + p * step + first] * weight;
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::Shape;
    use crate::plan::jobs::{Part, Slot, Statistics, TileClass, octets};

    fn tensor(channels: usize, height: usize, width: usize) -> Tensor {
        Tensor { shape: Shape { channels, height, width }, pitch: octets(channels), raw: false, offset: 0 }
    }

    /// Small integers, so that sums are exact in any order.
    fn numbers<T: Real>(count: usize, seed: usize) -> Vec<T> {
        (0..count).map(|i| T::from_f64(((i * 37 + seed * 11) % 17) as f64 - 8.0)).collect()
    }

    /// The sum as the header of this file writes it, for one output.
    fn expected(job: &ConvJob, input: &Tensor, x: &[f64], w: &[f64], at: [usize; 2], inputs: usize) -> f64 {
        let mut sum = 0.0;
        for r in 0..job.kernel[0] {
            for s in 0..job.kernel[1] {
                let y = (at[0] * job.stride[0] + r * job.dilation[0]).wrapping_sub(job.padding[0]);
                let x_ = (at[1] * job.stride[1] + s * job.dilation[1]).wrapping_sub(job.padding[1]);
                if y >= input.shape.height || x_ >= input.shape.width {
                    continue;
                }
                for c in 0..inputs {
                    let value = x[(y * input.shape.width + x_) * input.pitch * OCTET + c];
                    let value = if job.relu { value.max(0.0) } else { value };
                    sum += w[(r * job.kernel[1] + s) * inputs + c] * value;
                }
            }
        }
        sum
    }

    fn equals_the_sum<T: Real>(job: &ConvJob, size: [usize; 2], inputs: usize, outputs: usize) {
        let output = |axis: usize| {
            let reach = (job.kernel[axis] - 1) * job.dilation[axis] + 1;
            (size[axis] + 2 * job.padding[axis] - reach) / job.stride[axis] + 1
        };
        let (channels, all) = (inputs * job.groups, outputs * job.groups);
        let (from, to) = (tensor(channels, size[0], size[1]), tensor(all, output(0), output(1)));
        let x: Vec<f64> = numbers(from.image_octets() * OCTET, 1);
        let taps = job.kernel[0] * job.kernel[1] * inputs;
        let rows: Vec<Vec<f64>> = (0..octets(all) * OCTET).map(|k| numbers(taps, k)).collect();
        let pack = |rows: &[Vec<f64>]| -> Octet<T> {
            (0..taps).map(|i| std::array::from_fn(|l| T::from_f64(rows[l][i]))).collect()
        };
        let weights: Vec<Octet<T>> = rows.chunks(OCTET).map(pack).collect();
        let scales = vec![job.scaled.then(|| T::from_f64(0.5)); weights.len()];
        let job = ConvJob {
            parts: vec![Part { parameter: 0, row: 0, octet: 0, octets: octets(all) }],
            ..job.clone()
        };
        let conv = Conv::new(&job, [&from, &to], [inputs, outputs], &weights, &scales);
        let x_real: Vec<T> = x.iter().map(|&v| T::from_f64(v)).collect();
        let mut y = vec![T::ZERO; to.image_octets() * OCTET];
        let mut frame = conv.frame();
        // Twice: nothing of the first image may stay in the frame.
        conv.image(&mut frame, &numbers(x.len(), 5), &mut y);
        conv.image(&mut frame, &x_real, &mut y);
        for (p, pixel) in y.chunks_exact(to.pitch * OCTET).enumerate() {
            let at = [p / to.shape.width, p % to.shape.width];
            for (k, &value) in pixel[..all].iter().enumerate() {
                let group = &x[k / outputs * inputs..];
                let sum = expected(&job, &from, group, &rows[k], at, inputs);
                let sum = if job.scaled { 0.5 * sum } else { sum };
                assert_eq!(value.to_f64(), sum, "pixel {p}, channel {k}");
            }
        }
    }

    proptest! {
        #[test]
        fn equals_the_sum_over_taps_and_channels(
            kernel in [1usize..4, 1usize..4],
            stride in [1usize..3, 1usize..3],
            dilation in [1usize..3, 1usize..3],
            padding in [0usize..3, 0usize..3],
            size in [5usize..10, 5usize..10],
            inputs in 1usize..18,
            outputs in 1usize..18,
            groups in 1usize..3,
            relu: bool,
            scaled: bool,
        ) {
            let job = ConvJob {
                slot: Slot::default(),
                class: TileClass::Narrow,
                input: 0,
                relu,
                kernel,
                stride,
                padding,
                dilation,
                groups,
                output: 0,
                parts: Vec::new(),
                scaled,
                statistics: Statistics::default(),
            };
            equals_the_sum::<f32>(&job, size, inputs, outputs);
            equals_the_sum::<f64>(&job, size, inputs, outputs);
        }
    }
}
