//! SVG as pixels.

use resvg::tiny_skia::{Pixmap, Transform};

use super::tree::tree;
use crate::{Error, Result};

/// Most pixels of a side.
const MOST_PIXELS: f32 = 16_384.0;

/// A picture as PNG, `scale` pixels for each of the SVG's. Text is in Noto Sans, which is built in: pictures are the same on every
/// machine.
///
/// ```
/// use naswot::{Space, analysis::drawing::{Direction, Theme, cell_svg, png}};
///
/// let cell = Space::NasBench101.parse_arch("010001000/0")?;
/// let png = png(&cell_svg(&cell, Direction::LeftToRight, Theme::Light), 2.0)?;
/// assert!(png.starts_with(b"\x89PNG"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Picture`] where the text is no SVG, or the picture would have no pixels or more than 16,384 a side.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>> {
    let wrong = |message: String| Error::Picture { message };
    let tree = tree(svg)?;
    let size = [tree.size().width(), tree.size().height()].map(|side| (side * scale).ceil());
    if !size.iter().all(|side| (1.0..=MOST_PIXELS).contains(side)) {
        let [width, height] = size;
        return Err(wrong(format!(
            "would be {width} x {height} pixels; from 1 to {MOST_PIXELS} a side are possible"
        )));
    }
    let no_room = || wrong("is too large for the memory that there is".to_owned());
    let mut pixels = Pixmap::new(size[0] as u32, size[1] as u32).ok_or_else(no_room)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| wrong(error.to_string()))
}
