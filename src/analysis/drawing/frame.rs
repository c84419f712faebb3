//! The axes of a chart: what all charts have in common.

use std::ops::RangeInclusive;

use super::numbers::{decimals, label, logarithmic_ticks, ticks};
use super::svg::{Anchor, FONT_SIZE, Point, Px, SMALL, Stroke, Svg};
use super::{AxisLimits, Color, Theme};

/// Size of the area between the axes, and the room above and at its right, in pixels.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 220.0;
const TOP: f64 = 14.0;
const RIGHT: f64 = 22.0;
/// Room below for numbers and label, and for each note.
const BELOW: f64 = 46.0;
const NOTE: f64 = 14.0;
/// Room at the left of the numbers, and for each of their characters.
const LEFT: f64 = 36.0;
const CHARACTER: f64 = 6.8;

/// One axis: what it is of, and from where to where.
pub(super) struct Axis<'a> {
    label: &'a str,
    logarithmic: bool,
    low: f64,
    high: f64,
}

impl<'a> Axis<'a> {
    /// An axis on which all of these finite values lie, with some room around them. Those of a logarithmic one are positive.
    pub(super) fn around(
        values: impl Iterator<Item = f64> + Clone,
        label: &'a str,
        logarithmic: bool,
    ) -> Self {
        let scaled = values.map(|value| if logarithmic { value.log10() } else { value });
        let (low, high) =
            (scaled.clone().fold(f64::INFINITY, f64::min), scaled.fold(f64::NEG_INFINITY, f64::max));
        // Values that are all alike stand in the middle.
        let room = if high > low { 0.04 * (high - low) } else { 0.5_f64.max(0.01 * high.abs()) };
        Axis { label, logarithmic, low: low - room, high: high + room }
    }

    /// An axis from one number to another.
    pub(super) fn between(low: f64, high: f64, label: &'a str) -> Self {
        Axis { label, logarithmic: false, low, high }
    }

    /// The axis cut at its limits, which are positive where it is logarithmic.
    pub(super) fn within(self, limits: AxisLimits) -> Self {
        let scaled =
            |limit: Option<f64>| limit.map(|value| if self.logarithmic { value.log10() } else { value });
        let (low, high) = (scaled(limits.from), scaled(limits.to));
        Axis { low: low.unwrap_or(self.low), high: high.unwrap_or(self.high), ..self }
    }

    /// Where a value is, from 0 to 1.
    fn position(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        (value - self.low) / (self.high - self.low)
    }

    /// From the first value to the last.
    pub(super) fn range(&self) -> RangeInclusive<f64> {
        let value = |end: f64| if self.logarithmic { 10_f64.powf(end) } else { end };
        value(self.low)..=value(self.high)
    }

    /// Values to be named, and their names.
    fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let (low, high) = self.range().into_inner();
        let found =
            if self.logarithmic { logarithmic_ticks(low, high, most) } else { ticks(low, high, most, 0.0) };
        let decimals = decimals(&found);
        found.into_iter().map(|value| (value, label(value, decimals))).collect()
    }
}

/// A chart that has its axes.
pub(super) struct Frame<'a> {
    pub(super) svg: Svg,
    pub(super) x: Axis<'a>,
    pub(super) y: Axis<'a>,
    left: f64,
}

impl<'a> Frame<'a> {
    /// Draws axes, with notes below; the title is for those who cannot see the chart.
    pub(super) fn new(x: Axis<'a>, y: Axis<'a>, notes: &[String], title: &str, theme: Theme) -> Self {
        let (x_ticks, y_ticks) = (x.ticks(6), y.ticks(6));
        let longest = y_ticks.iter().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
        let left = LEFT + longest as f64 * CHARACTER;
        let height = TOP + HEIGHT + BELOW + notes.len() as f64 * NOTE;
        // A long number at the end of the axis reaches beyond it.
        let reach = |(value, name): &(f64, String)| {
            (x.position(*value) - 1.0) * WIDTH + name.chars().count() as f64 * CHARACTER / 2.0
        };
        let right = x_ticks.iter().map(reach).fold(RIGHT, f64::max);
        let mut svg = Svg::new(left + WIDTH + right, height, theme, title);
        let (grid, axis) = (Stroke::new(theme.faint(), 1.0), Stroke::new(theme.muted(), 1.0));
        let bottom = TOP + HEIGHT;
        for (value, name) in &x_ticks {
            let place = left + x.position(*value) * WIDTH;
            svg.line(&format!("M{} {TOP}V{bottom}", Px(place)), grid);
            svg.line(&format!("M{} {bottom}v4", Px(place)), axis);
            svg.text(place, bottom + 17.0, Anchor::Middle, FONT_SIZE, theme.ink(), name);
        }
        for (value, name) in &y_ticks {
            let place = bottom - y.position(*value) * HEIGHT;
            svg.line(&format!("M{} {}h{WIDTH}", Px(left), Px(place)), grid);
            svg.line(&format!("M{} {}h-4", Px(left), Px(place)), axis);
            svg.text(left - 7.0, place + 4.0, Anchor::End, FONT_SIZE, theme.ink(), name);
        }
        svg.line(&format!("M{} {TOP}V{bottom}h{WIDTH}", Px(left)), axis);
        svg.text(left + WIDTH / 2.0, bottom + 35.0, Anchor::Middle, FONT_SIZE, theme.ink(), x.label);
        svg.text_upwards(15.0, TOP + HEIGHT / 2.0, FONT_SIZE, theme.ink(), y.label);
        for (note, i) in notes.iter().zip(0..) {
            svg.text(
                10.0,
                bottom + BELOW + 4.0 + f64::from(i) * NOTE,
                Anchor::Start,
                SMALL,
                theme.muted(),
                note,
            );
        }
        Frame { svg, x, y, left }
    }

    /// Where a point of the chart is in the picture.
    pub(super) fn at(&self, point: Point) -> Point {
        let Point { x, y } = point;
        Point { x: self.left + self.x.position(x) * WIDTH, y: TOP + HEIGHT - self.y.position(y) * HEIGHT }
    }

    /// Draws dots. Many are smaller, and let those below show through.
    pub(super) fn dots(&mut self, points: &[Point], color: Color) {
        let (radius, opacity) = match points.len() {
            0..150 => (3.2, 0.85),
            150..1_000 => (2.5, 0.6),
            1_000..5_000 => (1.8, 0.45),
            _ => (1.3, 0.3),
        };
        let centers: Vec<Point> = points.iter().map(|&point| self.at(point)).collect();
        self.svg.dots(&centers, radius, color, opacity);
    }

    /// Draws a line through points.
    pub(super) fn line(&mut self, points: &[Point], color: Color, width: f64) {
        let mut path = String::new();
        for &point in points {
            let Point { x, y } = self.at(point);
            path += &format!("{}{} {}", if path.is_empty() { 'M' } else { 'L' }, Px(x), Px(y));
        }
        self.svg.line(&path, Stroke::new(color, width));
    }

    /// The whole picture.
    pub(super) fn finish(self) -> String {
        self.svg.finish()
    }
}
