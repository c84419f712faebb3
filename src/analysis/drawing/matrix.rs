//! The matrix of Kendall's tau-b between settings.

use super::numbers::{decimals, label, ticks};
use super::svg::{Anchor, FONT_SIZE, Px, Rectangle, SMALL, Stroke, Svg};
use super::{Shades, Theme};
use crate::{Error, Result};

/// Side of a square with a number in it, and of the whole where there are too many settings for that.
const SQUARE: f64 = 38.0;
const MOST_WITH_NUMBERS: usize = 12;
const MOST_SETTINGS: usize = 200;
const TOP: f64 = 26.0;
const CHARACTER: f64 = 6.3;
/// Room for a number between the end of a name and the matrix.
const NUMBER: f64 = 34.0;
const BAR: f64 = 14.0;

/// A matrix of rank correlations between settings: rows with the settings' names, columns with their numbers, from 0. Colors go
/// from the smallest of them to 1. What is not defined (none) stays empty.
///
/// ```
/// use naswot::analysis::drawing::{Theme, matrix_svg};
///
/// let names = ["seed 0".to_owned(), "seed 1".to_owned()];
/// let svg = matrix_svg(&names, &[vec![Some(1.0), Some(0.9)], vec![Some(0.9), Some(1.0)]], Theme::Light)?;
/// assert!(svg.contains("seed 1") && svg.contains("0.90"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] where there are no settings or more than 200, or where the matrix is not square, of their number,
/// with numbers from -1 to 1.
pub fn matrix_svg(settings: &[String], taus: &[Vec<Option<f64>>], theme: Theme) -> Result<String> {
    let n = settings.len();
    check(n, taus)?;
    let numbered = n <= MOST_WITH_NUMBERS;
    let square = if numbered { SQUARE } else { SQUARE * MOST_WITH_NUMBERS as f64 / n as f64 };
    let side = square * n as f64;
    // Names of very many settings would overlap.
    let named = square >= 11.0;
    let longest = settings.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = if named { NUMBER + 12.0 + longest as f64 * CHARACTER } else { 30.0 };
    let shades = Shades { low: taus.iter().flatten().flatten().copied().fold(1.0, f64::min), high: 1.0 };
    let side_of_bar = side.max(120.0);
    let height = TOP + side_of_bar + 34.0;
    let mut svg = Svg::new(left + side + 84.0, height, theme, &format!("Kendall tau-b between {n} settings"));
    for (i, row) in taus.iter().enumerate() {
        let y = TOP + i as f64 * square;
        for (j, tau) in row.iter().enumerate() {
            let Some(tau) = *tau else { continue };
            let x = left + j as f64 * square;
            let fill = shades.color(tau);
            // Half a pixel under the next squares, so that no ground shows between them.
            let [width, height] = [j, i].map(|at| Px(if at + 1 < n { square + 0.5 } else { square }));
            svg.area(&format!("M{} {}h{width}v{height}h-{width}z", Px(x), Px(y)), fill, true);
            if numbered {
                let middle = (x + square / 2.0, y + square / 2.0 + 4.0);
                svg.text(middle.0, middle.1, Anchor::Middle, SMALL, fill.text(), &format!("{tau:.2}"));
            }
        }
    }
    let size = if numbered { FONT_SIZE } else { SMALL.min(square) };
    if named {
        for (i, name) in settings.iter().enumerate() {
            let middle = (i as f64 + 0.5) * square;
            svg.text(left - NUMBER, TOP + middle + 4.0, Anchor::End, size, theme.ink(), name);
            svg.text(left - 8.0, TOP + middle + 4.0, Anchor::End, size, theme.ink(), &i.to_string());
            svg.text(left + middle, TOP - 7.0, Anchor::Middle, size, theme.ink(), &i.to_string());
        }
    }
    let frame = Rectangle { x: left, y: TOP, width: side, height: side };
    svg.rectangle(frame, 0.0, None, Stroke::new(theme.muted(), 1.0));
    bar(&mut svg, left + side + 16.0, side_of_bar, shades);
    let note = match shades.low {
        1.0 => "All are 1.".to_owned(),
        low => format!("Colors from {}, the smallest, to 1.", label(low, 3)),
    };
    svg.text(10.0, height - 8.0, Anchor::Start, SMALL, theme.muted(), &note);
    Ok(svg.finish())
}

/// The bar of colors, with numbers at its right.
fn bar(svg: &mut Svg, left: f64, height: f64, shades: Shades) {
    let theme = svg.theme;
    svg.color_bar(Rectangle { x: left, y: TOP, width: BAR, height });
    let taus = ticks(shades.low, shades.high, 6, 0.0);
    for &tau in &taus {
        let y = TOP + height * (1.0 - shades.part(tau));
        svg.line(&format!("M{} {}h4", Px(left + BAR), Px(y)), Stroke::new(theme.muted(), 1.0));
        let number = label(tau, decimals(&taus));
        svg.text(left + BAR + 7.0, y + 4.0, Anchor::Start, FONT_SIZE, theme.ink(), &number);
    }
    svg.text_upwards(left + BAR + 52.0, TOP + height / 2.0, FONT_SIZE, theme.ink(), "Kendall τ");
}

/// Checks that a matrix is one of correlations between so many settings.
fn check(n: usize, taus: &[Vec<Option<f64>>]) -> Result<()> {
    let wrong = |message| Err(Error::Correlation { message });
    if !(1..=MOST_SETTINGS).contains(&n) {
        return wrong(format!("a matrix of {n} settings cannot be drawn, of 1 to {MOST_SETTINGS} only"));
    }
    if taus.len() != n {
        return wrong(format!("the matrix has {} rows, and there are {n} settings", taus.len()));
    }
    for (i, row) in taus.iter().enumerate() {
        if row.len() != n {
            return wrong(format!(
                "row {i} of the matrix has {} entries, and there are {n} settings",
                row.len()
            ));
        }
        if let Some(tau) = row.iter().flatten().find(|tau| !(-1.0..=1.0).contains(*tau)) {
            return wrong(format!("row {i} of the matrix holds {tau}, which is no Kendall tau"));
        }
    }
    Ok(())
}
