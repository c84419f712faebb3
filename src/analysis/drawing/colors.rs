//! Colors that color-blind readers can tell apart, on light and on dark ground.

use std::fmt;

use serde::Serialize;

use super::graph::Kind;

/// A color of the screen (sRGB), written `#rrggbb`.
///
/// ```
/// assert_eq!(naswot::analysis::drawing::Color([0, 114, 178]).to_string(), "#0072b2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Color(
    /// Red, green, blue.
    pub [u8; 3],
);

impl Color {
    const BLACK: Color = Color([0, 0, 0]);
    const WHITE: Color = Color([255, 255, 255]);

    /// Black or white, whichever can be read better upon it.
    ///
    /// ```
    /// use naswot::analysis::drawing::Color;
    ///
    /// assert_eq!(Color([253, 231, 37]).text().to_string(), "#000000");
    /// ```
    #[must_use]
    pub fn text(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// Ratio of contrast, 1 to 21, as the Web Content Accessibility Guidelines 2.2 define it; text needs 4.5.
    ///
    /// ```
    /// use naswot::analysis::drawing::Color;
    ///
    /// assert!((Color([0, 0, 0]).contrast(Color([255, 255, 255])) - 21.0).abs() < 1e-9);
    /// ```
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// Relative luminance, 0 to 1.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }
}

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl Serialize for Color {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The colors of the ground, and of what has no color of its own: text, axes, edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Theme {
    /// Dark on white, for paper.
    #[default]
    Light,
    /// Light on near black.
    Dark,
}

impl Theme {
    /// The ground.
    ///
    /// ```
    /// assert_eq!(naswot::analysis::drawing::Theme::Light.ground().to_string(), "#ffffff");
    /// ```
    pub fn ground(self) -> Color {
        match self {
            Theme::Light => Color::WHITE,
            Theme::Dark => Color([0x16, 0x18, 0x1d]),
        }
    }

    /// Text and axes.
    ///
    /// ```
    /// use naswot::analysis::drawing::Theme;
    ///
    /// assert!(Theme::Dark.ink().contrast(Theme::Dark.ground()) > 12.0);
    /// ```
    pub fn ink(self) -> Color {
        match self {
            Theme::Light => Color([0x1a, 0x1d, 0x23]),
            Theme::Dark => Color([0xe6, 0xe8, 0xec]),
        }
    }

    /// Edges, and what matters less than the ink.
    ///
    /// ```
    /// use naswot::analysis::drawing::Theme;
    ///
    /// assert!(Theme::Light.muted().contrast(Theme::Light.ground()) > 4.5);
    /// ```
    pub fn muted(self) -> Color {
        match self {
            Theme::Light => Color([0x5c, 0x63, 0x70]),
            Theme::Dark => Color([0xa2, 0xa9, 0xb6]),
        }
    }

    /// Lines of a grid, and what is hardly there.
    ///
    /// ```
    /// use naswot::analysis::drawing::Theme;
    ///
    /// assert_ne!(Theme::Light.faint(), Theme::Dark.faint());
    /// ```
    pub fn faint(self) -> Color {
        match self {
            Theme::Light => Color([0xd5, 0xd9, 0xe0]),
            Theme::Dark => Color([0x3a, 0x40, 0x4b]),
        }
    }
}

impl Kind {
    /// The color of its box; none where the ground shows. Operations have those of Okabe and Ito, "Color universal design"
    /// (2008). A color is never all that tells them apart: see [`Kind::label`].
    ///
    /// ```
    /// use naswot::analysis::drawing::Kind;
    ///
    /// assert_eq!(Kind::Conv3x3.fill().map(|color| color.to_string()).as_deref(), Some("#0072b2"));
    /// assert_eq!(Kind::Input.fill(), None);
    /// ```
    pub fn fill(self) -> Option<Color> {
        match self {
            Kind::Conv3x3 => Some(Color([0, 114, 178])),
            Kind::Conv1x1 => Some(Color([86, 180, 233])),
            Kind::MaxPool3x3 | Kind::AvgPool3x3 => Some(Color([230, 159, 0])),
            Kind::Skip => Some(Color([0, 158, 115])),
            Kind::Input | Kind::Output | Kind::Sum | Kind::None => None,
        }
    }
}

/// Every seventeenth color of the 256 of viridis (van der Walt and Smith, 2015; dedicated to the public domain, CC0).
const VIRIDIS: [[u8; 3]; 16] = [
    [68, 1, 84],
    [72, 26, 108],
    [71, 47, 125],
    [65, 68, 135],
    [57, 86, 140],
    [49, 104, 142],
    [42, 120, 142],
    [35, 136, 142],
    [31, 152, 139],
    [34, 168, 132],
    [53, 183, 121],
    [84, 197, 104],
    [122, 209, 81],
    [165, 219, 54],
    [210, 226, 27],
    [253, 231, 37],
];

/// The sequential scale for numbers from 0 (dark) to 1 (bright): viridis, whose steps look equally large, also to
/// color-blind readers and in gray. What is outside is taken as the nearer end, NaN as 0.
///
/// Interpolated between 16 of the 256 published colors; no channel is further than 7 of 255 from those.
///
/// ```
/// use naswot::analysis::drawing::sequential;
///
/// assert_eq!(sequential(0.0).to_string(), "#440154");
/// assert_eq!(sequential(1.0).to_string(), "#fde725");
/// ```
pub fn sequential(value: f64) -> Color {
    let last = VIRIDIS.len() - 1;
    let position = value.clamp(0.0, 1.0) * last as f64;
    // NaN becomes 0.
    let before = (position as usize).min(last - 1);
    let share = if position.is_nan() { 0.0 } else { position - before as f64 };
    let channel = |c: usize| {
        let (a, b) = (f64::from(VIRIDIS[before][c]), f64::from(VIRIDIS[before + 1][c]));
        (a + (b - a) * share).round() as u8
    };
    Color([channel(0), channel(1), channel(2)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_can_be_read_in_their_boxes_and_boxes_on_their_ground() {
        for fill in Kind::ALL.iter().filter_map(|kind| kind.fill()) {
            assert!(fill.contrast(fill.text()) >= 4.5, "{fill}");
        }
        for theme in [Theme::Light, Theme::Dark] {
            assert!(theme.ink().contrast(theme.ground()) >= 12.0, "{theme:?}");
            assert!(theme.muted().contrast(theme.ground()) >= 4.5, "{theme:?}");
        }
    }

    /// Lightness (CIE 1976 L*) grows evenly, as the scale promises.
    #[test]
    fn the_scale_grows_evenly_in_lightness() {
        let lightness = |i: u32| 116.0 * sequential(f64::from(i) / 50.0).luminance().cbrt() - 16.0;
        let steps: Vec<f64> = (0..50).map(|i| lightness(i + 1) - lightness(i)).collect();
        let mean = steps.iter().sum::<f64>() / 50.0;
        assert!((1.4..1.7).contains(&mean), "{mean}");
        assert!(steps.iter().all(|step| (step / mean - 1.0).abs() < 0.35), "{steps:?}");
    }

    #[test]
    fn the_scale_has_ends() {
        assert_eq!(sequential(-3.0), sequential(0.0));
        assert_eq!(sequential(7.0), sequential(1.0));
        assert_eq!(sequential(f64::NAN), sequential(0.0));
    }
}
