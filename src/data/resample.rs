//! Images at another size, as torchvision's `Resize` and `CenterCrop` make them of PIL's images: the shorter side becomes
//! the size, and of the longer one the middle is taken.
//!
//! Resampling is PIL's `BILINEAR` to the bit (Pillow, `src/libImaging/Resample.c`): a triangle that is as wide as an output
//! pixel, where that is wider than an input pixel, so that nothing aliases; columns first and then rows, in fixed point, and
//! rounded to bytes between the two.

use std::ops::Range;

/// Bits behind the point of a weight.
const PRECISION: u32 = 22;

/// The weights by which pixels along an axis make one pixel.
struct Window {
    /// Position of the first pixel.
    first: usize,
    weights: Vec<i32>,
}

/// Resizes an image of `width` x `height` pixels, H x W x 3, to a square: planes, 3 x `size` x `size`.
pub(super) fn to_square(pixels: &[u8], [width, height]: [usize; 2], size: usize) -> Vec<u8> {
    let short = width.min(height);
    let [columns, rows] = [width, height].map(|side| windows(side, size * side / short, size));
    let mut narrow = vec![[0; 3]; height * size];
    for (from, to) in pixels.chunks_exact(3 * width).zip(narrow.chunks_exact_mut(size)) {
        for (window, to) in columns.iter().zip(to) {
            *to = window.sum(|at| [from[3 * at], from[3 * at + 1], from[3 * at + 2]]);
        }
    }
    let mut planes = vec![0; 3 * size * size];
    for (row, window) in rows.iter().enumerate() {
        for column in 0..size {
            let pixel = window.sum(|at| narrow[at * size + column]);
            for (channel, value) in pixel.into_iter().enumerate() {
                planes[(channel * size + row) * size + column] = value;
            }
        }
    }
    planes
}

/// The windows of the middle pixels of an axis that goes from so many pixels to so many.
fn windows(from: usize, to: usize, middle: usize) -> Vec<Window> {
    let scale = from as f64 / to as f64;
    // Half of a triangle's base: a pixel of the finer of the two images in the other one's pixels, at least 1.
    let support = scale.max(1.0);
    center(to, middle).map(|pixel| Window::new((pixel as f64 + 0.5) * scale, support, from)).collect()
}

/// The middle of an axis, which begins where Python's `round` says: at the even one of two places that are as near.
fn center(side: usize, middle: usize) -> Range<usize> {
    let rest = side - middle;
    let start = rest / 2 + usize::from(rest % 4 == 3);
    start..start + middle
}

impl Window {
    /// A triangle around a place on an axis of so many pixels.
    fn new(center: f64, support: f64, pixels: usize) -> Self {
        // A cast cuts off, and makes 0 of what is negative.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(pixels);
        let per_pixel = 1.0 / support;
        let heights = (first..end).map(|at| (1.0 - ((at as f64 - center + 0.5) * per_pixel).abs()).max(0.0));
        let heights: Vec<f64> = heights.collect();
        let sum: f64 = heights.iter().sum();
        let one = f64::from(1u32 << PRECISION);
        let weights = heights.into_iter().map(|height| (0.5 + height / sum * one) as i32).collect();
        Window { first, weights }
    }

    /// The weighted mean of the pixels, by channel.
    fn sum(&self, pixel: impl Fn(usize) -> [u8; 3]) -> [u8; 3] {
        let mut sums = [1 << (PRECISION - 1); 3];
        for (at, weight) in (self.first..).zip(&self.weights) {
            for (sum, value) in sums.iter_mut().zip(pixel(at)) {
                *sum += i32::from(value) * weight;
            }
        }
        sums.map(|sum| (sum >> PRECISION).clamp(0, 255) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256_hex;

    #[test]
    fn the_middle_is_where_python_rounds() {
        // int(round(rest / 2)).
        for (rest, start) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 2), (6, 3), (7, 4)] {
            assert_eq!(center(8 + rest, 8).start, start, "{rest}");
        }
    }

    #[test]
    fn pixels_are_those_of_pillow() {
        // SHA-256 of numpy.asarray(image.resize(size, Image.BILINEAR).crop(box)).transpose(2, 0, 1), Pillow 13.0, with size and
        // box as torchvision has them and image the H x W x 3 bytes of the numbers below.
        for (sizes, size, digest) in PILLOW {
            let mut state = 1u32;
            let mut byte = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let pixels: Vec<u8> = (0..3 * sizes[0] * sizes[1]).map(|_| byte()).collect();
            let planes = to_square(&pixels, sizes, size);
            assert_eq!(planes.len(), 3 * size * size);
            assert_eq!(sha256_hex([planes]), digest, "{sizes:?} to {size}");
        }
    }

    const PILLOW: [([usize; 2], usize, &str); 7] = [
        ([32, 32], 32, "5d643d4c0254cd4d844e4759f7f8756a3803e54875ece7204c60cac9d8943771"),
        ([64, 64], 32, "0fafc5771276539f4b928f0030e2608e0e3538d2e8367e8d366e5e6a394d9105"),
        ([53, 97], 32, "d67866a578d404e21f0998adf0dc6161bedafdf7f9dde5f478a342bd3112fba5"),
        ([301, 40], 8, "08cd8ec7fac58a80ff8648024406d196008d6fe5fb611e7600fb9b209aa6d11f"),
        ([7, 5], 16, "de12ffaf50c8aab8abda5a70b5f7f880a13bd9907b22b3fd93894147e0e96a19"),
        ([1, 9], 4, "3b2d8cd1d1ff90c2e37d4ca9efa9c72fd60da72995d1d9b70222f9e7b8652b10"),
        ([500, 375], 224, "06bb2c4269a2e094fed798f19465732bcfa236b51624cd9824060b79b6903783"),
    ];
}
