//! Agreement matrices of many networks side by side, as figure 1 of Mellor et al. (2021) shows them.

use super::Theme;
use super::heat_map::{Blocks, Shades, squares};
use super::numbers::{decimals, label, ticks};
use super::svg::{Anchor, FONT_SIZE, Point, Px, Rectangle, SMALL, Stroke, Svg};
use crate::{Agreement, Error, Result};

/// Most squares of a side of a matrix.
const MOST_SQUARES: usize = 64;
/// Most matrices of a side of the picture that [`heat_maps_svg`] draws.
///
/// ```
/// assert_eq!(naswot::analysis::drawing::MOST_HEAT_MAPS, 40);
/// ```
pub const MOST_HEAT_MAPS: usize = 40;
/// Side of a matrix, the room between two, and the room above for a caption of two lines, in pixels.
const SIDE: f64 = 84.0;
const GAP: f64 = 12.0;
const CAPTION: f64 = 32.0;
/// Room around all of it, and for each note below.
const MARGIN: f64 = 10.0;
const NOTE: f64 = 14.0;
/// Width of the color bar, and the room for its numbers and label.
const BAR: f64 = 14.0;
const BAR_LABELS: f64 = 56.0;
/// Room for a character of a note.
const CHARACTER: f64 = 5.6;

/// One of many agreement matrices in a picture.
#[derive(Clone, Copy, Debug)]
pub struct HeatMap<'a> {
    /// The matrix.
    pub kernel: &'a Agreement,
    /// The two lines above it: the network's accuracy, say, and its score. There is room for some 14 characters.
    pub caption: [&'a str; 2],
}

/// Agreement matrices of many networks as one picture: rows of so many `columns`, in the order given, all in the same colors
/// by K / N_A, which have a bar at the right; `notes` stand below. A matrix of more than 64 images is drawn in squares of
/// several entries, their mean, and the picture says so.
///
/// ```
/// use naswot::{Agreement, analysis::drawing::{HeatMap, Shades, Theme, heat_maps_svg}};
///
/// let kernels = [Agreement::new(2, vec![4, 1, 1, 4])?, Agreement::new(2, vec![8, 6, 6, 8])?];
/// let maps = [("91.2 %", "310.5"), ("88.0 %", "297.1")].into_iter().zip(&kernels);
/// let maps: Vec<HeatMap> = maps.map(|((a, b), kernel)| HeatMap { kernel, caption: [a, b] }).collect();
/// let svg = heat_maps_svg(&maps, 2, Shades { low: 0.25, high: 1.0 }, &[], Theme::Light)?;
/// assert!(svg.contains("91.2 %") && svg.contains("K / N_A"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Picture`] where there are no matrices, or more than [`MOST_HEAT_MAPS`] in a row or in a column.
pub fn heat_maps_svg(
    maps: &[HeatMap],
    columns: usize,
    shades: Shades,
    notes: &[String],
    theme: Theme,
) -> Result<String> {
    let rows = if columns > 0 { maps.len().div_ceil(columns) } else { 0 };
    if !(1..=MOST_HEAT_MAPS).contains(&rows) || columns > MOST_HEAT_MAPS {
        let message = format!(
            "{} matrices in rows of {columns} cannot be drawn; from 1 to {MOST_HEAT_MAPS} a side are possible",
            maps.len()
        );
        return Err(Error::Picture { message });
    }
    let blocks: Vec<Blocks> = maps.iter().map(|map| Blocks::of(map.kernel, MOST_SQUARES)).collect();
    let largest = blocks.iter().map(|blocks| blocks.images).max().unwrap_or(1);
    let squares_note =
        (largest > 1).then(|| format!("Each square is the mean of up to {largest} × {largest} entries."));
    let notes: Vec<&String> = notes.iter().chain(&squares_note).collect();
    let grid = Rectangle {
        x: MARGIN,
        y: MARGIN,
        width: columns as f64 * (SIDE + GAP) - GAP,
        height: rows as f64 * (CAPTION + SIDE + GAP) - GAP,
    };
    let longest = notes.iter().map(|note| note.chars().count()).max().unwrap_or(0);
    let width =
        (2.0 * MARGIN + grid.width + GAP + BAR + BAR_LABELS).max(2.0 * MARGIN + longest as f64 * CHARACTER);
    let below = if notes.is_empty() { 0.0 } else { MARGIN + notes.len() as f64 * NOTE };
    let height = 2.0 * MARGIN + grid.height + below;
    let mut svg = Svg::new(width, height, theme, &format!("agreement matrices of {} networks", maps.len()));
    for (place, (map, blocks)) in maps.iter().zip(&blocks).enumerate() {
        let corner = Point {
            x: grid.x + (place % columns) as f64 * (SIDE + GAP),
            y: grid.y + (place / columns) as f64 * (CAPTION + SIDE + GAP) + CAPTION,
        };
        draw(&mut svg, map, blocks, shades, corner);
    }
    let at = Rectangle {
        x: grid.x + grid.width + GAP,
        y: grid.y + CAPTION,
        width: BAR,
        height: grid.height - CAPTION,
    };
    bar(&mut svg, shades, at);
    for (note, i) in notes.iter().zip(1..) {
        let y = grid.y + grid.height + MARGIN + f64::from(i) * NOTE - 2.0;
        svg.text(MARGIN, y, Anchor::Start, SMALL, theme.muted(), note);
    }
    Ok(svg.finish())
}

/// Draws a matrix under its caption.
fn draw(svg: &mut Svg, map: &HeatMap, blocks: &Blocks, shades: Shades, corner: Point) {
    let theme = svg.theme;
    let Point { x, y } = corner;
    let [first, second] = map.caption;
    let middle = x + SIDE / 2.0;
    svg.text(middle, y - 18.0, Anchor::Middle, FONT_SIZE, theme.ink(), first);
    svg.text(middle, y - 5.0, Anchor::Middle, SMALL, theme.muted(), second);
    squares(svg, blocks, map.kernel.images(), shades, corner, SIDE);
    let frame = Rectangle { x, y, width: SIDE, height: SIDE };
    svg.rectangle(frame, 0.0, None, Stroke::new(theme.muted(), 1.0));
}

/// The bar of colors, with shares at its right.
fn bar(svg: &mut Svg, shades: Shades, at: Rectangle) {
    let theme = svg.theme;
    svg.color_bar(at);
    let right = at.x + at.width;
    let shares = ticks(shades.low, shades.high, 6, 0.0);
    for &share in &shares {
        let y = at.y + at.height * (1.0 - shades.part(share));
        svg.line(&format!("M{} {}h4", Px(right), Px(y)), Stroke::new(theme.muted(), 1.0));
        let number = label(share, decimals(&shares));
        svg.text(right + 7.0, y + 4.0, Anchor::Start, FONT_SIZE, theme.ink(), &number);
    }
    let middle = at.y + at.height / 2.0;
    svg.text_upwards(right + BAR_LABELS - 8.0, middle, FONT_SIZE, theme.ink(), "K / N_A");
}
