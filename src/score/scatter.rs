//! The scatter matrix of a tensor's channels over all its pixels and images, and the matrices that scores read of it.
//!
//! ```text
//! S = sum_p (x_p - mean) (x_p - mean)^T      covariance = S / n      correlation = S_cd / sqrt(S_cc S_dd)
//! ```
//!
//! It is made of blocks of pixels, each of which has added up d = x - shift and d d^T, its shift being its first pixel. So the
//! sums stay of the size of the deviation, and those of a constant channel are 0. Blocks are merged by the formula of Chan,
//! Golub and LeVeque (1979), for matrices.
//!
//! A channel is constant where its standard deviation is at most [`CONSTANT`] of its mean: f32 rounds equal numbers apart where
//! they are sums in different orders. Its row and column are 0 then, its diagonal too.
//!
//! Symmetric matrices are packed lower triangles, row by row: entry (c, d), d <= c, at c (c + 1) / 2 + d.

/// Share of the mean that rounding alone makes of a standard deviation.
const CONSTANT: f64 = 1e-6;

/// The scatter matrix of some channels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scatter {
    /// Pixels, over all images.
    count: f64,
    mean: Vec<f64>,
    /// Packed products about the mean.
    products: Vec<f64>,
}

impl Scatter {
    /// That of no pixels.
    pub(crate) fn empty(channels: usize) -> Self {
        Scatter { count: 0.0, mean: vec![0.0; channels], products: vec![0.0; packed(channels)] }
    }

    /// Numbers of f64 of one of so many channels.
    pub(crate) fn numbers(channels: usize) -> usize {
        channels + packed(channels)
    }

    /// That of a block of pixels, from sums of d = x - shift and of the packed d d^T.
    pub(crate) fn of_block(count: usize, shift: &[f64], sums: &[f64], mut products: Vec<f64>) -> Self {
        let count = count as f64;
        for_entries(&mut products, sums.len(), |c, d, product| *product -= sums[c] * (sums[d] / count));
        let mean = shift.iter().zip(sums).map(|(shift, sum)| shift + sum / count).collect();
        Scatter { count, mean, products }
    }

    /// Adds other pixels of the same channels.
    pub(crate) fn merge(&mut self, other: &Scatter) {
        if other.count == 0.0 {
            return;
        }
        let count = self.count + other.count;
        let (share, weight) = (other.count / count, self.count * (other.count / count));
        let deltas: Vec<f64> = self.mean.iter().zip(&other.mean).map(|(mean, other)| other - mean).collect();
        self.products.iter_mut().zip(&other.products).for_each(|(product, other)| *product += other);
        for_entries(&mut self.products, deltas.len(), |c, d, product| {
            *product += weight * deltas[c] * deltas[d]
        });
        self.mean.iter_mut().zip(&deltas).for_each(|(mean, delta)| *mean += delta * share);
        self.count = count;
    }

    pub(crate) fn channels(&self) -> usize {
        self.mean.len()
    }

    /// Whether all its numbers are finite.
    pub(crate) fn is_finite(&self) -> bool {
        // What is not finite anywhere is not on the diagonal either.
        (0..self.channels()).all(|c| self.diagonal(c).is_finite())
    }

    /// The packed covariance, of n in the divisor; none where every channel is constant.
    pub(crate) fn covariance(&self) -> Option<Vec<f64>> {
        let varies = self.varies();
        let scale = |c: usize| f64::from(varies[c]);
        varies.contains(&true).then(|| self.scaled(|c, d| scale(c) * scale(d) / self.count))
    }

    /// The packed correlation.
    pub(crate) fn correlation(&self) -> Vec<f64> {
        let root = |(c, varies)| if varies { self.diagonal(c).sqrt().recip() } else { 0.0 };
        let roots: Vec<f64> = self.varies().into_iter().enumerate().map(root).collect();
        let mut correlation = self.scaled(|c, d| roots[c] * roots[d]);
        (0..self.channels()).filter(|&c| roots[c] > 0.0).for_each(|c| correlation[packed(c) + c] = 1.0);
        correlation
    }

    fn diagonal(&self, c: usize) -> f64 {
        self.products[packed(c) + c]
    }

    /// For each channel, whether it is not constant.
    fn varies(&self) -> Vec<bool> {
        let varies = |c: usize| (self.diagonal(c) / self.count).sqrt() > CONSTANT * self.mean[c].abs();
        (0..self.channels()).map(varies).collect()
    }

    fn scaled(&self, scale: impl Fn(usize, usize) -> f64) -> Vec<f64> {
        let mut scaled = self.products.clone();
        for_entries(&mut scaled, self.channels(), |c, d, entry| *entry *= scale(c, d));
        scaled
    }
}

/// Entries of a packed triangle of so many rows.
pub(crate) fn packed(rows: usize) -> usize {
    rows * (rows + 1) / 2
}

/// Visits each entry of a packed triangle, with its row and column.
#[inline(always)]
fn for_entries(triangle: &mut [f64], rows: usize, mut visit: impl FnMut(usize, usize, &mut f64)) {
    let mut rest = triangle;
    for c in 0..rows {
        let (row, others) = rest.split_at_mut(c + 1);
        row.iter_mut().enumerate().for_each(|(d, entry)| visit(c, d, entry));
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Domain, Rng};

    /// Pixels of three channels, the last of which is constant, far from zero.
    fn pixels(count: usize) -> Vec<[f64; 3]> {
        let mut rng = Rng::new(7, Domain::Sampling, "pixels");
        let mut number = move || rng.below(1 << 20) as f64 / f64::from(1 << 20) - 0.3;
        (0..count).map(|_| number()).map(|x| [1e3 + x, x * x - 2.0, 0.1]).collect()
    }

    fn block(pixels: &[[f64; 3]]) -> Scatter {
        let (mut sums, mut products) = ([0.0; 3], vec![0.0; packed(3)]);
        for pixel in pixels {
            let d: Vec<f64> = pixel.iter().zip(pixels[0]).map(|(x, shift)| x - shift).collect();
            sums.iter_mut().zip(&d).for_each(|(sum, d)| *sum += d);
            for_entries(&mut products, 3, |a, b, product| *product += d[a] * d[b]);
        }
        Scatter::of_block(pixels.len(), &pixels[0], &sums, products)
    }

    #[test]
    fn blocks_merge_to_the_whole() {
        let pixels = pixels(1000);
        let n = pixels.len() as f64;
        let mean: Vec<f64> = (0..3).map(|c| pixels.iter().map(|pixel| pixel[c]).sum::<f64>() / n).collect();
        let covariance = |c: usize, d: usize| {
            pixels.iter().map(|pixel| (pixel[c] - mean[c]) * (pixel[d] - mean[d])).sum::<f64>() / n
        };
        for size in [1000, 999, 128, 7, 1] {
            let mut whole = Scatter::empty(3);
            pixels.chunks(size).for_each(|pixels| whole.merge(&block(pixels)));
            let merged = whole.covariance().unwrap();
            for (entry, (c, d)) in [(0, 0), (1, 0), (1, 1)].into_iter().enumerate() {
                approx::assert_relative_eq!(merged[entry], covariance(c, d), max_relative = 1e-9);
            }
            let correlation = whole.correlation();
            let expected = covariance(1, 0) / (covariance(0, 0) * covariance(1, 1)).sqrt();
            approx::assert_relative_eq!(correlation[1], expected, max_relative = 1e-9);
            assert_eq!([correlation[0], correlation[2]], [1.0, 1.0]);
        }
    }

    #[test]
    fn a_constant_channel_is_a_row_of_zeros_and_nothing_but_constants_has_no_covariance() {
        let scatter = block(&pixels(100));
        for matrix in [scatter.covariance().unwrap(), scatter.correlation()] {
            assert_eq!(matrix[3..], [0.0; 3]);
        }
        let constant = block(&[[3.0, 0.0, -1.0]; 50]);
        assert_eq!(constant.covariance(), None);
        assert_eq!(constant.correlation(), [0.0; 6]);
        // As f32 rounds a third apart.
        let third = 1.0 / 3.0;
        assert_eq!(block(&[[third, third + 2e-8, 0.0], [third + 2e-8, third, 0.0]]).covariance(), None);
    }
}
