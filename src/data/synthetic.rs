//! Images made from a seed, with the statistics of small photographs: "dead leaves" (Matheron, 1968; Lee,
//! Mumford and Huang, 2001), shapes whose sizes fall off as r^-3 and that hide each other, which gives the
//! edges and the 1/f amplitude spectrum of natural images, over shading and 1/f texture.
//!
//! Every platform makes the same bits: the arithmetic is of integers and of f64 by +, -, *, / and square
//! root alone, which IEEE 754 rounds exactly and Rust never contracts. Constants were set against CIFAR-10.

use super::{Normalization, room};
use crate::parallel;
use crate::random::{Domain, Rng};

/// Height and width of an image.
pub(super) const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
/// Height and width of the canvas, whose 2x2 blocks become pixels.
const FINE: usize = 2 * SIDE;
/// Radii of the leaves, in points of the canvas.
const RADIUS: [f64; 2] = [3.5, 40.0];

/// Red, green and blue, each of mean 0 and standard deviation 1 over all images.
type Color = [f64; 3];

/// Normalized images of a seed, N x 3 x 32 x 32; the error says why there are none.
pub(super) fn images(n: usize, seed: u64) -> Result<Vec<f32>, String> {
    if n == 0 {
        return Err("no images were asked for".to_owned());
    }
    let values = n.saturating_mul(3 * PIXELS);
    let mut data = room(values)?;
    data.resize(values, 0.0);
    let Normalization { mean, deviation, .. } = Normalization::CIFAR10;
    let tables = Normalization::CIFAR10.tables();
    parallel::map(
        data.chunks_exact_mut(3 * PIXELS).enumerate().collect(),
        |(i, image): (usize, &mut [f32])| {
            let colors = lens(&paint(&mut Random(Rng::new(seed, Domain::Images, &format!("image {i}")))));
            for (channel, plane) in image.chunks_exact_mut(PIXELS).enumerate() {
                for (value, color) in plane.iter_mut().zip(&colors) {
                    // The cast cuts off what is below 0 or above 255, as a camera does.
                    let pixel = (mean[channel] + deviation[channel] * color[channel] + 0.5) as u8;
                    *value = tables[channel][usize::from(pixel)];
                }
            }
        },
    );
    Ok(data)
}

/// The colors of an image's pixels: each sees its block and half of what surrounds it, so that edges are
/// as soft as a lens makes them.
fn lens(canvas: &[Color]) -> Vec<Color> {
    const WEIGHTS: [f64; 4] = [0.125, 0.375, 0.375, 0.125];
    let points = |i: usize| [(2 * i).saturating_sub(1), 2 * i, 2 * i + 1, (2 * i + 2).min(FINE - 1)];
    let mut colors = vec![[0.0; 3]; PIXELS];
    for (i, color) in colors.iter_mut().enumerate() {
        for (row, down) in points(i / SIDE).into_iter().zip(WEIGHTS) {
            for (column, across) in points(i % SIDE).into_iter().zip(WEIGHTS) {
                for (sum, channel) in color.iter_mut().zip(canvas[row * FINE + column]) {
                    *sum += down * across * channel;
                }
            }
        }
    }
    colors
}

/// A backdrop, and leaves over it from back to front.
fn paint(random: &mut Random) -> Vec<Color> {
    let palette = Palette::new(random);
    let texture = texture(random);
    let mut canvas = vec![[0.0; 3]; FINE * FINE];
    Leaf::backdrop(&palette, random).paint(&mut canvas, &texture);
    // Between few large things and clutter.
    let leaves = 8.0 * random.between(1.0, 3.5) * random.between(1.0, 3.5);
    for _ in 0..leaves as usize {
        Leaf::new(&palette, random).paint(&mut canvas, &texture);
    }
    canvas
}

/// The colors of one image.
struct Palette {
    /// Brightness, red against blue, and green against both, on average.
    mean: Color,
    /// The contrast of the leaves: how far their colors vary about the mean.
    contrast: f64,
}

impl Palette {
    fn new(random: &mut Random) -> Self {
        let mean = [0.35 * random.bell(), 0.2 * random.bell(), 0.05 * random.bell()];
        Palette { mean, contrast: random.between(0.55, 1.6) }
    }

    fn color(&self, random: &mut Random) -> Color {
        let spread = [0.85, 0.24, 0.08].map(|spread| spread * self.contrast);
        let [bright, red, green] = std::array::from_fn(|axis| self.mean[axis] + spread[axis] * random.bell());
        [bright + red - green, bright + 2.0 * green, bright - red - green]
    }
}

/// A shape of one material.
struct Leaf {
    color: Color,
    /// Brightness gained from the center to the edge, along the first axis.
    shade: f64,
    /// The strength of the texture, and its shift over the canvas.
    grain: f64,
    shift: [usize; 2],
    /// Row and column of the center.
    center: [f64; 2],
    /// Unit vector of the first axis.
    axis: [f64; 2],
    /// Half the extent along either axis.
    radius: [f64; 2],
    rectangle: bool,
}

impl Leaf {
    fn new(palette: &Palette, random: &mut Random) -> Self {
        let radius = random.radius();
        Leaf {
            color: palette.color(random),
            shade: 0.35 * palette.contrast * random.bell(),
            grain: 0.25 * palette.contrast * random.unit(),
            shift: [random.below(FINE), random.below(FINE)],
            center: [FINE as f64 * random.unit(), FINE as f64 * random.unit()],
            axis: random.direction(),
            radius: [radius, radius * random.between(0.35, 1.0)],
            rectangle: random.unit() < 0.35,
        }
    }

    /// One that covers the canvas, mostly shaded from top to bottom.
    fn backdrop(palette: &Palette, random: &mut Random) -> Self {
        let middle = FINE as f64 / 2.0;
        let [row, column] = random.direction();
        let (row, column) = (row.abs() + 1.0, column);
        let length = (row * row + column * column).sqrt();
        Leaf {
            center: [middle; 2],
            axis: [row / length, column / length],
            radius: [2.0 * middle; 2],
            rectangle: true,
            shade: 1.2 * palette.contrast * random.bell(),
            ..Leaf::new(palette, random)
        }
    }

    fn paint(&self, canvas: &mut [Color], texture: &[f64]) {
        let reach = self.radius[0] + self.radius[1];
        let span = |center: f64| (center - reach).max(0.0) as usize..((center + reach) as usize).min(FINE);
        let [along, across] = self.radius.map(|radius| self.axis.map(|part| part / radius));
        for y in span(self.center[0]) {
            for x in span(self.center[1]) {
                let (row, column) = (y as f64 + 0.5 - self.center[0], x as f64 + 0.5 - self.center[1]);
                let u = row * along[0] + column * along[1];
                let v = column * across[0] - row * across[1];
                let inside = if self.rectangle { u.abs().max(v.abs()) < 1.0 } else { u * u + v * v < 1.0 };
                if inside {
                    let grain = texture[(y + self.shift[0]) % FINE * FINE + (x + self.shift[1]) % FINE];
                    let light = self.shade * u + self.grain * grain;
                    canvas[y * FINE + x] = self.color.map(|channel| channel + light);
                }
            }
        }
    }
}

/// Periodic noise of the canvas's size with a 1/f amplitude spectrum: octaves of equal variance, each a
/// lattice of random numbers with a smooth surface over it.
fn texture(random: &mut Random) -> Vec<f64> {
    let mut sum = vec![0.0; FINE * FINE];
    for cells in [2, 4, 8, 16, 32] {
        let lattice: Vec<f64> = (0..cells * cells).map(|_| random.bell()).collect();
        let step = FINE / cells;
        // For each coordinate: the cells before and after, and how far it is between them.
        let places: Vec<(usize, usize, f64)> = (0..FINE)
            .map(|i| {
                let t = (i % step) as f64 / step as f64;
                (i / step, (i / step + 1) % cells, t * t * (3.0 - 2.0 * t))
            })
            .collect();
        for (y, &(above, below, down)) in places.iter().enumerate() {
            for (x, &(left, right, across)) in places.iter().enumerate() {
                let row = |row: usize| {
                    let (from, to) = (lattice[row * cells + left], lattice[row * cells + right]);
                    from + (to - from) * across
                };
                sum[y * FINE + x] += row(above) + (row(below) - row(above)) * down;
            }
        }
    }
    sum
}

/// Random numbers that every platform makes alike.
struct Random(Rng);

impl Random {
    /// Uniform on [0, 1).
    fn unit(&mut self) -> f64 {
        f64::from(self.0.next_u32()) / (1u64 << 32) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// An integer below `n`, which is a power of two.
    fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }

    /// Nearly normal, with mean 0 and variance 1: a sum of four uniform numbers.
    fn bell(&mut self) -> f64 {
        let sum = (self.unit() + self.unit()) + (self.unit() + self.unit());
        (sum - 2.0) * 3f64.sqrt()
    }

    /// A unit vector: that of a point in a circle, not too near its center.
    fn direction(&mut self) -> [f64; 2] {
        loop {
            let (a, b) = (self.between(-1.0, 1.0), self.between(-1.0, 1.0));
            let square = a * a + b * b;
            if (0.01..1.0).contains(&square) {
                return [a / square.sqrt(), b / square.sqrt()];
            }
        }
    }

    /// A leaf's radius r, with a density of r^-3: 1 / r^2 is uniform.
    fn radius(&mut self) -> f64 {
        let [least, most] = RADIUS.map(|r| 1.0 / (r * r));
        1.0 / self.between(most, least).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use crate::Batch;

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn every_platform_makes_the_same_images() {
        assert_eq!(
            Batch::synthetic(32, 0).unwrap().sha256(),
            "0ed8d45855740667a665f2d452058d2b4bf107bcff2905d45db88220a9cbcc59"
        );
    }

    #[test]
    fn a_larger_batch_begins_with_a_smaller_one() {
        let larger = Batch::synthetic(5, 7).unwrap();
        assert!(larger.data().starts_with(Batch::synthetic(2, 7).unwrap().data()));
        assert_ne!(larger.data(), Batch::synthetic(5, 8).unwrap().data());
        let message = |n| Batch::synthetic(n, 0).unwrap_err().to_string();
        assert_eq!(message(0), "batch: no images were asked for");
        assert!(message(usize::MAX / 5000).ends_with("bytes, which this machine does not have free"));
        assert!(
            message(usize::MAX / (3 * 1024 * 8)).ends_with("bytes, which this machine does not have free")
        );
    }

    #[test]
    fn statistics_are_those_of_photographs() {
        let batch = Batch::synthetic(256, 1).unwrap();
        let plane = |channel: usize| -> Vec<f64> {
            let planes = batch.data().chunks(1024).skip(channel).step_by(3);
            planes.flatten().map(|&value| f64::from(value)).collect()
        };
        let planes = [plane(0), plane(1), plane(2)];
        for plane in &planes {
            let (mean, deviation) = moments(plane);
            assert!(mean.abs() < 0.15 && (deviation - 1.0).abs() < 0.15, "{mean} {deviation}");
        }
        for (a, b) in [(0, 1), (1, 2), (0, 2)] {
            let product: Vec<f64> = planes[a].iter().zip(&planes[b]).map(|(a, b)| a * b).collect();
            let correlation = moments(&product).0 / (moments(&planes[a]).1 * moments(&planes[b]).1);
            assert!((0.7..0.97).contains(&correlation), "{a} {b}: {correlation}");
        }
    }

    #[test]
    fn amplitudes_fall_off_as_one_over_the_frequency() {
        let batch = Batch::synthetic(64, 2).unwrap();
        // Mean power of the rows' frequencies k, by the discrete Fourier transform under a Hann window.
        let power = |k: usize| -> f64 {
            let rows = batch.data().chunks(32).map(|row| {
                let mean = row.iter().sum::<f32>() / 32.0;
                let (mut re, mut im) = (0.0, 0.0);
                for (x, value) in row.iter().enumerate() {
                    let turn = std::f64::consts::TAU * x as f64 / 32.0;
                    let windowed = f64::from(value - mean) * (1.0 - turn.cos());
                    re += windowed * (k as f64 * turn).cos();
                    im += windowed * (k as f64 * turn).sin();
                }
                re * re + im * im
            });
            rows.sum()
        };
        // Where the amplitude in two dimensions is k^-a, a row's power is k^(1 - 2a).
        let exponent = (1.0 - (power(8) / power(2)).log(8.0 / 2.0)) / 2.0;
        assert!((1.2..1.7).contains(&exponent), "{exponent}");
    }
}
