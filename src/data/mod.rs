//! Batches of images, and where they come from.

mod batch;
mod dataset;
mod formats;
pub(crate) mod npy;
mod pickle;
mod synthetic;

pub use batch::Batch;
pub use dataset::Dataset;

use crate::random::{Domain, Rng};

/// Mean and standard deviation of each color channel, of 255.
#[derive(Clone, Copy, Debug)]
struct Normalization {
    mean: [f64; 3],
    deviation: [f64; 3],
}

impl Normalization {
    const CIFAR10: Self = Normalization { mean: [125.3, 123.0, 113.9], deviation: [63.0, 62.1, 66.7] };
    const CIFAR100: Self = Normalization { mean: [129.3, 124.1, 112.4], deviation: [68.2, 65.4, 70.4] };
    const IMAGENET16: Self =
        Normalization { mean: [122.68, 116.66, 104.01], deviation: [63.22, 61.26, 65.09] };

    /// The normalized values of the 256 pixel values, by channel: x / 255 - mean / 255, divided by
    /// deviation / 255, in the order and the roundings of torchvision's `ToTensor` and `Normalize`: the
    /// two constants are divided in f64 and rounded to f32, and then every step is one of f32.
    fn tables(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let mean = (self.mean[channel] / 255.0) as f32;
            let deviation = (self.deviation[channel] / 255.0) as f32;
            std::array::from_fn(|pixel| (pixel as f32 / 255.0 - mean) / deviation)
        })
    }
}

/// Draws n of so many positions without replacement, in the order drawn, so that a smaller draw is the
/// beginning of a larger one. `n` is at most `total`.
fn draw(total: u32, n: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed, Domain::Sampling, "images");
    let mut positions: Vec<usize> = (0..total as usize).collect();
    for (i, left) in (1..=total).rev().enumerate().take(n) {
        positions.swap(i, i + rng.below(left) as usize);
    }
    positions.truncate(n);
    positions
}

/// The message for an impossible number of images; none for a possible one.
fn too_few(total: usize, n: usize) -> Option<String> {
    match n {
        0 => Some("no images were asked for".to_owned()),
        n if n > total => Some(format!("{n} images were asked for, and there are {total}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_normalised_as_torchvision_does() {
        // torch.tensor(x / 255, dtype=float32).sub(mean).div(std) for pixels 0, 1, 128 and 255.
        let tables = Normalization::CIFAR10.tables();
        let known = [
            [0xbffe_93e9u32, 0xbffc_8bc9, 0x3d2f_8b12, 0x4003_c23c],
            [0xbffd_86ce, 0xbffb_7723, 0x3da4_e544, 0x4008_09e4],
            [0xbfda_9426, 0xbfd8_a8df, 0x3e58_77c9, 0x4007_6368],
        ];
        for (table, known) in tables.iter().zip(known) {
            assert_eq!([0, 1, 128, 255].map(|pixel: usize| table[pixel].to_bits()), known);
        }
    }

    #[test]
    fn a_draw_has_no_repeats_and_begins_larger_ones() {
        let all = draw(100, 100, 3);
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert!(all.starts_with(&draw(100, 7, 3)));
        assert_ne!(all, draw(100, 100, 4));
    }
}
