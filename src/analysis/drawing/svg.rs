//! SVG, written element by element.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use super::{Colour, Theme};

/// The fonts of all pictures: what of them a reader has.
const FONTS: &str = "Helvetica, Arial, sans-serif";

/// Size of the text of charts, which are some 400 pixels wide: seven points in a column of a paper.
pub(super) const FONT_SIZE: f64 = 12.0;

/// A text that stands in XML, or HTML, as it is: markup and quotes are escaped, and characters that XML cannot hold are
/// replaced.
///
/// ```
/// use naswot::analysis::drawing::escape;
///
/// assert_eq!(escape("</script> & 'more'"), "&lt;/script&gt; &amp; &#39;more&#39;");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    let special = |c: char| {
        matches!(c, '<' | '>' | '&' | '"' | '\'' | '\u{fffe}' | '\u{ffff}')
            || (c.is_control() && c != '\n' && c != '\t')
    };
    if !text.contains(special) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if special(c) => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// A number with two decimals at most.
#[derive(Clone, Copy)]
pub(super) struct Px(pub(super) f64);

impl Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding zero makes 0 of -0.
        write!(f, "{}", (self.0 * 100.0).round() / 100.0 + 0.0)
    }
}

/// Where a text stands beside its place.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        })
    }
}

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) colour: Colour,
    pub(super) width: f64,
    pub(super) dashed: bool,
}

impl Display for Stroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"stroke="{}" stroke-width="{}""#, self.colour, Px(self.width))?;
        if self.dashed { f.write_str(r#" stroke-dasharray="3 3""#) } else { Ok(()) }
    }
}

/// A picture that is being written. Sizes and places are in pixels, from the upper left corner.
pub(super) struct Svg {
    text: String,
    pub(super) theme: Theme,
}

// Writing to a `String` does not fail, hence the results that are dropped.
impl Svg {
    /// Begins a picture; the title is for those who cannot see it.
    pub(super) fn new(width: f64, height: f64, theme: Theme, title: &str) -> Self {
        let (width, height, title) = (Px(width), Px(height), escape(title));
        let mut text = String::new();
        let _ = write!(
            text,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" font-family="{FONTS}">
<title>{title}</title>
<rect width="{width}" height="{height}" fill="{}"/>
"#,
            theme.ground()
        );
        Svg { text, theme }
    }

    /// A box with round corners, with or without a ground of its own.
    pub(super) fn rect(
        &mut self,
        x: f64,
        y: f64,
        size: (f64, f64),
        radius: f64,
        fill: Option<Colour>,
        stroke: Stroke,
    ) {
        let (x, y, width, height, radius) = (Px(x), Px(y), Px(size.0), Px(size.1), Px(radius));
        let fill = fill.map_or(Cow::Borrowed("none"), |colour| Cow::Owned(colour.to_string()));
        let _ = writeln!(
            self.text,
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" fill="{fill}" {stroke}/>"#
        );
    }

    /// A line along a path.
    pub(super) fn line(&mut self, path: &str, stroke: Stroke) {
        let _ = writeln!(self.text, r#"<path d="{path}" fill="none" {stroke}/>"#);
    }

    /// The inside of a path. `crisp` keeps squares that touch from showing the ground between them.
    pub(super) fn area(&mut self, path: &str, fill: Colour, crisp: bool) {
        let crisp = if crisp { r#" shape-rendering="crispEdges""# } else { "" };
        let _ = writeln!(self.text, r#"<path d="{path}" fill="{fill}"{crisp}/>"#);
    }

    /// A line of text; y is its baseline.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, colour: Colour, text: &str) {
        let (x, y, size, text) = (Px(x), Px(y), Px(size), escape(text));
        let _ = writeln!(
            self.text,
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{text}</text>"#
        );
    }

    /// A line of text that runs upwards; x is its baseline, y its middle.
    pub(super) fn text_upwards(&mut self, x: f64, y: f64, size: f64, colour: Colour, text: &str) {
        let (x, y, size, text) = (Px(x), Px(y), Px(size), escape(text));
        let _ = writeln!(
            self.text,
            r#"<text transform="translate({x} {y}) rotate(-90)" text-anchor="middle" font-size="{size}" fill="{colour}">{text}</text>"#
        );
    }

    /// The whole picture.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}
