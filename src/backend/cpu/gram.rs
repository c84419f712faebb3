//! Scatter matrices of the channels of tensors: `gram`, the twin.
//!
//! A block of pixels (`Plan::block_pixels`, by N, H and W alone) adds up d = x - shift and d d^T in the type of the tensor, its
//! shift being its first pixel; blocks are merged in f64, in order (`score/scatter.rs`).

use rayon::prelude::*;

use crate::plan::jobs::OCTET;
use crate::real::Real;
use crate::score::scatter::{Scatter, packed};

/// Some neighboring channels of a tensor, channels last.
pub(super) struct GramSource<'a, T> {
    /// N x H x W pixels.
    pub(super) pixels: &'a [T],
    /// Octets from one pixel to the next.
    pub(super) pitch: usize,
    /// First channel, and how many.
    pub(super) channel: usize,
    pub(super) channels: usize,
    /// ReLU on load.
    pub(super) relu: bool,
    /// Pixels of a block.
    pub(super) block: usize,
}

impl<T: Real> GramSource<'_, T> {
    /// The scatter matrix over all pixels; with `spread` the threads of the pool share the blocks.
    pub(super) fn scatter(&self, spread: bool) -> Scatter {
        let blocks = self.pixels.chunks(self.block * self.pitch * OCTET);
        let scatters: Vec<Scatter> = if spread {
            blocks.collect::<Vec<_>>().into_par_iter().map(|block| self.of_block(block)).collect()
        } else {
            blocks.map(|block| self.of_block(block)).collect()
        };
        let mut scatter = Scatter::empty(self.channels);
        scatters.iter().for_each(|block| scatter.merge(block));
        scatter
    }

    fn of_block(&self, block: &[T]) -> Scatter {
        let read = |pixel: &[T]| -> Vec<T> {
            let channels = pixel[self.channel..][..self.channels].iter();
            channels.map(|&x| if self.relu { x.max(T::ZERO) } else { x }).collect()
        };
        let pitch = self.pitch * OCTET;
        let shift = read(block);
        let mut sums = vec![T::ZERO; self.channels];
        let mut products = vec![T::ZERO; packed(self.channels)];
        for pixel in block.chunks_exact(pitch) {
            let mut d = read(pixel);
            d.iter_mut().zip(&shift).for_each(|(d, &shift)| *d -= shift);
            let mut rest = &mut products[..];
            for (c, &d_c) in d.iter().enumerate() {
                sums[c] += d_c;
                let (row, others) = rest.split_at_mut(c + 1);
                row.iter_mut().zip(&d).for_each(|(product, &d)| *product += d_c * d);
                rest = others;
            }
        }
        let wide = |numbers: Vec<T>| -> Vec<f64> { numbers.into_iter().map(Real::to_f64).collect() };
        Scatter::of_block(block.len() / pitch, &wide(shift), &wide(sums), wide(products))
    }
}
