//! SVG, written element by element.

use std::borrow::Cow;
use std::fmt::{self, Display, Write};

use super::{Color, Theme, sequential};

/// Font families of all pictures, of which a reader's first is taken.
const FONTS: &str = "Helvetica, Arial, sans-serif";

/// Size of the text of charts, which are some 400 pixels wide: seven points in a column of a paper.
pub(super) const FONT_SIZE: f64 = 12.0;
/// Size of notes.
pub(super) const SMALL: f64 = 10.5;
/// Steps of a color bar.
const BAR_STEPS: usize = 64;

/// A text escaped for XML and HTML, where it then stands as it is: markup and quotes are escaped, and characters that XML cannot hold are
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

/// The alignment of a text at its point.
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

/// The stroke of a line.
#[derive(Clone, Copy)]
pub(super) struct Stroke {
    pub(super) color: Color,
    pub(super) width: f64,
    pub(super) dashed: bool,
}

impl Stroke {
    /// A line without gaps.
    pub(super) fn new(color: Color, width: f64) -> Self {
        Stroke { color, width, dashed: false }
    }
}

impl Display for Stroke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, r#"stroke="{}" stroke-width="{}""#, self.color, Px(self.width))?;
        if self.dashed { f.write_str(r#" stroke-dasharray="3 3""#) } else { Ok(()) }
    }
}

/// A point of a picture, in pixels, or of a chart, in the units of its axes.
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A rectangle: its upper left corner and its size.
#[derive(Clone, Copy)]
pub(super) struct Rectangle {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
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

    /// A rectangle with round corners, filled or not.
    pub(super) fn rectangle(&mut self, at: Rectangle, radius: f64, fill: Option<Color>, stroke: Stroke) {
        let Rectangle { x, y, width, height } = at;
        let (x, y, width, height, radius) = (Px(x), Px(y), Px(width), Px(height), Px(radius));
        let fill = fill.map_or(Cow::Borrowed("none"), |color| Cow::Owned(color.to_string()));
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
    pub(super) fn area(&mut self, path: &str, fill: Color, crisp: bool) {
        let crisp = if crisp { r#" shape-rendering="crispEdges""# } else { "" };
        let _ = writeln!(self.text, r#"<path d="{path}" fill="{fill}"{crisp}/>"#);
    }

    /// Areas in units of their own, from an origin.
    pub(super) fn squares(&mut self, origin: Point, unit: f64, paths: impl Iterator<Item = (Color, String)>) {
        // Not rounded: many units add up.
        let (x, y) = (Px(origin.x), Px(origin.y));
        let _ = writeln!(
            self.text,
            r#"<g transform="translate({x} {y}) scale({unit})" shape-rendering="crispEdges">"#
        );
        for (fill, path) in paths {
            let _ = writeln!(self.text, r#"<path fill="{fill}" d="{path}"/>"#);
        }
        self.text.push_str("</g>\n");
    }

    /// Round dots of one size and color, which let what is below show through.
    pub(super) fn dots(&mut self, centers: &[Point], radius: f64, color: Color, opacity: f64) {
        let _ = writeln!(self.text, r#"<g fill="{color}" fill-opacity="{}">"#, Px(opacity));
        for &Point { x, y } in centers {
            let _ = writeln!(self.text, r#"<circle cx="{}" cy="{}" r="{}"/>"#, Px(x), Px(y), Px(radius));
        }
        self.text.push_str("</g>\n");
    }

    /// The sequential scale, the highest color at the top.
    pub(super) fn color_bar(&mut self, at: Rectangle) {
        let Rectangle { x, y, width, height } = at;
        let step = height / BAR_STEPS as f64;
        // Each down to the end, the next ones over it: no ground shows between them.
        for i in (0..BAR_STEPS).rev() {
            let color = sequential((i as f64 + 0.5) / BAR_STEPS as f64);
            let rest = (i + 1) as f64 * step;
            self.area(
                &format!("M{} {}h{}v{}h-{}z", Px(x), Px(y + height - rest), Px(width), Px(rest), Px(width)),
                color,
                true,
            );
        }
        self.rectangle(at, 0.0, None, Stroke::new(self.theme.muted(), 1.0));
    }

    /// A line of text; y is its baseline.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, size: f64, color: Color, text: &str) {
        let (x, y, size, text) = (Px(x), Px(y), Px(size), escape(text));
        let _ = writeln!(
            self.text,
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}" fill="{color}">{text}</text>"#
        );
    }

    /// A line of text that runs upwards; x is its baseline, y its middle.
    pub(super) fn text_upwards(&mut self, x: f64, y: f64, size: f64, color: Color, text: &str) {
        let (x, y, size, text) = (Px(x), Px(y), Px(size), escape(text));
        let _ = writeln!(
            self.text,
            r#"<text transform="translate({x} {y}) rotate(-90)" text-anchor="middle" font-size="{size}" fill="{color}">{text}</text>"#
        );
    }

    /// The whole picture.
    pub(super) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }
}
