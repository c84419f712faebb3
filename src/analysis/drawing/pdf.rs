//! SVG as PDF.

use svg2pdf::{ConversionOptions, PageOptions};

use super::tree::tree;
use crate::{Error, Result};

/// Pixels of an inch of paper, as CSS has it.
const PIXELS_PER_INCH: f32 = 96.0;

/// A picture as PDF, one page of its size, 96 pixels an inch. Text stays text, in Noto Sans: the letters that are used are
/// embedded.
///
/// ```
/// use naswot::{Space, analysis::drawing::{Direction, Theme, cell_svg, pdf}};
///
/// let cell = Space::NasBench101.parse_arch("010001000/0")?;
/// let pdf = pdf(&cell_svg(&cell, Direction::LeftToRight, Theme::Light))?;
/// assert!(pdf.starts_with(b"%PDF-"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Picture`] where the text is no SVG.
pub fn pdf(svg: &str) -> Result<Vec<u8>> {
    let page = PageOptions { dpi: PIXELS_PER_INCH };
    svg2pdf::to_pdf(&tree(svg)?, ConversionOptions::default(), page)
        .map_err(|error| Error::Picture { message: error.to_string() })
}
