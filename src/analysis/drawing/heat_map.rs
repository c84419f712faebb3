//! An agreement matrix as a heat map.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::numbers::{grouped, ticks};
use super::svg::{Anchor, FONT_SIZE, Point, Px, Rectangle, SMALL, Stroke, Svg};
use super::{Color, Theme, sequential};
use crate::Agreement;

/// Most squares of a side of the picture.
const MOST_SQUARES: usize = 128;
/// Side of the matrix, place of its upper left corner, and the room at its right and below, in pixels.
const SIDE: f64 = 240.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 12.0;
const RIGHT: f64 = 122.0;
const BELOW: f64 = 64.0;
/// Width of the color bar, and its distance from the matrix.
const BAR: f64 = 14.0;
const BAR_GAP: f64 = 14.0;
/// Left end of notes, in pixels.
const NOTE: f64 = 10.0;

/// An agreement matrix in squares of so many entries, for pictures with fewer pixels than it has entries.
///
/// ```
/// use naswot::{Agreement, analysis::drawing::Blocks};
///
/// let kernel = Agreement::new(3, vec![4, 2, 1, 2, 4, 0, 1, 0, 4])?;
/// let blocks = Blocks::of(&kernel, 2);
/// assert_eq!((blocks.side, blocks.images), (2, 2));
/// // The means of 4, 2, 2, 4; of 1, 0; and of 4, as parts of the four bits.
/// assert_eq!(blocks.shares, [0.75, 0.125, 0.125, 1.0]);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Blocks {
    /// Squares of a side.
    pub side: usize,
    /// Images, thus entries, of the side of a square; the last squares may have fewer.
    pub images: usize,
    /// The mean of each square as a share of N_A, 0 to 1, row by row.
    pub shares: Vec<f64>,
}

impl Blocks {
    /// The matrix in at most `most` squares a side (at least one), each of as few entries as that allows.
    pub fn of(kernel: &Agreement, most: usize) -> Self {
        let n = kernel.images();
        let images = n.div_ceil(most.max(1));
        let side = n.div_ceil(images);
        let mut sums = vec![0_u64; side * side];
        for (i, row) in kernel.as_slice().chunks_exact(n).enumerate() {
            let sums = &mut sums[i / images * side..][..side];
            for (sum, entries) in sums.iter_mut().zip(row.chunks(images)) {
                *sum += entries.iter().map(|&entry| u64::from(entry)).sum::<u64>();
            }
        }
        let length = |block: usize| images.min(n - block * images) as f64;
        // Codes without bits have shares of 0, not of 0 / 0.
        let activations = f64::from(kernel.activations().max(1));
        let share = |(block, &sum): (usize, &u64)| {
            sum as f64 / (length(block / side) * length(block % side)) / activations
        };
        Blocks { side, images, shares: sums.iter().enumerate().map(share).collect() }
    }
}

/// The values at the two ends of the color scale: shares of agreement, K / N_A, or other numbers.
///
/// ```
/// use naswot::{Agreement, analysis::drawing::Shades};
///
/// let kernel = Agreement::new(2, vec![4, 1, 1, 4])?;
/// assert_eq!(Shades::of(&kernel), Shades { low: 0.25, high: 1.0 });
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shades {
    /// The value that is darkest.
    pub low: f64,
    /// The value that is brightest.
    pub high: f64,
}

impl Shades {
    /// From the smallest entry of a matrix to N_A, which the diagonal has.
    pub fn of(kernel: &Agreement) -> Self {
        let least = kernel.as_slice().iter().min().map_or(0, |&least| least);
        Shades { low: f64::from(least) / f64::from(kernel.activations().max(1)), high: 1.0 }
    }

    /// The color of a value.
    ///
    /// ```
    /// use naswot::analysis::drawing::{Shades, sequential};
    ///
    /// assert_eq!(Shades { low: 0.5, high: 1.0 }.color(0.75), sequential(0.5));
    /// ```
    pub fn color(self, share: f64) -> Color {
        sequential(self.part(share))
    }

    /// The place of a value between the ends, of one within them from 0 to 1. A scale of one value has it at its upper end.
    pub(super) fn part(self, value: f64) -> f64 {
        if self.high > self.low { (value - self.low) / (self.high - self.low) } else { 1.0 }
    }
}

/// An agreement matrix as a picture, with its color bar in bits and as a share of N_A. A matrix of more than 128 images is
/// drawn in squares of several entries, their mean, and the picture says so.
///
/// ```
/// use naswot::{Agreement, analysis::drawing::{Shades, Theme, heat_map_svg}};
///
/// let kernel = Agreement::from_codes(&[[true, false, true], [false, false, true], [true, false, false]])?;
/// let svg = heat_map_svg(&kernel, Shades::of(&kernel), Theme::Light);
/// assert!(svg.contains("bits that agree"));
/// # Ok::<(), naswot::Error>(())
/// ```
pub fn heat_map_svg(kernel: &Agreement, shades: Shades, theme: Theme) -> String {
    let n = kernel.images();
    let blocks = Blocks::of(kernel, MOST_SQUARES);
    let title = format!("agreement matrix of {n} images, {} bits each", grouped(kernel.activations().into()));
    let mut svg = Svg::new(LEFT + SIDE + RIGHT, TOP + SIDE + BELOW, theme, &title);
    squares(&mut svg, &blocks, n, shades, Point { x: LEFT, y: TOP }, SIDE);
    let frame = Stroke::new(theme.muted(), 1.0);
    svg.rectangle(Rectangle { x: LEFT, y: TOP, width: SIDE, height: SIDE }, 0.0, None, frame);
    axes(&mut svg, n);
    bar(&mut svg, shades, kernel.activations());
    if blocks.images > 1 {
        let side = blocks.images;
        let note = format!("Each square is the mean of {side} × {side} entries.");
        svg.text(NOTE, TOP + SIDE + 61.0, Anchor::Start, SMALL, theme.muted(), &note);
    }
    svg.finish()
}

/// The squares of a matrix of n images, whose upper left corner and side are these: one path for each color, in units of an
/// entry.
pub(super) fn squares(svg: &mut Svg, blocks: &Blocks, n: usize, shades: Shades, corner: Point, side: f64) {
    let at = |block: usize| (block * blocks.images).min(n);
    let mut paths: BTreeMap<[u8; 3], String> = BTreeMap::new();
    for (place, &share) in blocks.shares.iter().enumerate() {
        let (row, column) = (place / blocks.side, place % blocks.side);
        let (x, y) = (at(column), at(row));
        let (width, height) = (at(column + 1) - x, at(row + 1) - y);
        let path = paths.entry(shades.color(share).0).or_default();
        let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
    }
    // Where a viewer smooths the edges of squares, their mean shows through, and not the ground.
    let mean = blocks.shares.iter().sum::<f64>() / blocks.shares.len() as f64;
    let below = (shades.color(mean), format!("M0 0h{n}v{n}h-{n}z"));
    let paths = paths.into_iter().map(|(color, path)| (Color(color), path));
    let paths = std::iter::once(below).chain(paths);
    svg.squares(corner, side / n as f64, paths);
}

/// Numbers of images below and at the left.
fn axes(svg: &mut Svg, n: usize) {
    let theme = svg.theme;
    let scale = SIDE / n as f64;
    let line = Stroke::new(theme.muted(), 1.0);
    let bottom = TOP + SIDE;
    for image in ticks(0.0, (n - 1) as f64, 5, 1.0) {
        let middle = (image + 0.5) * scale;
        let label = image.to_string();
        svg.line(
            &format!("M{} {}v4M{} {}h-4", Px(LEFT + middle), Px(bottom), Px(LEFT), Px(TOP + middle)),
            line,
        );
        svg.text(LEFT + middle, bottom + 17.0, Anchor::Middle, FONT_SIZE, theme.ink(), &label);
        svg.text(LEFT - 7.0, TOP + middle + 4.0, Anchor::End, FONT_SIZE, theme.ink(), &label);
    }
    svg.text(LEFT + SIDE / 2.0, bottom + 33.0, Anchor::Middle, FONT_SIZE, theme.ink(), "image j");
    svg.text_upwards(14.0, TOP + SIDE / 2.0, FONT_SIZE, theme.ink(), "image i");
}

/// The bar of colors, with numbers of bits at its right.
fn bar(svg: &mut Svg, shades: Shades, activations: u32) {
    let theme = svg.theme;
    let left = LEFT + SIDE + BAR_GAP;
    svg.color_bar(Rectangle { x: left, y: TOP, width: BAR, height: SIDE });
    let frame = Stroke::new(theme.muted(), 1.0);
    let all = f64::from(activations);
    let (low, high) = (shades.low * all, shades.high * all);
    for bits in ticks(low, high, 6, 1.0) {
        let y = TOP + SIDE * (1.0 - Shades { low, high }.part(bits));
        svg.line(&format!("M{} {}h4", Px(left + BAR), Px(y)), frame);
        svg.text(left + BAR + 7.0, y + 4.0, Anchor::Start, FONT_SIZE, theme.ink(), &grouped(bits as u64));
    }
    let label = "bits that agree, K_ij";
    svg.text_upwards(LEFT + SIDE + RIGHT - 8.0, TOP + SIDE / 2.0, FONT_SIZE, theme.ink(), label);
    let end = |share: f64| format!("{} ({:.0} %)", grouped((share * all).round() as u64), share * 100.0);
    let note = format!(
        "Colors from {} to {} of {} bits.",
        end(shades.low),
        end(shades.high),
        grouped(activations.into())
    );
    svg.text(NOTE, TOP + SIDE + 48.0, Anchor::Start, SMALL, theme.muted(), &note);
}
