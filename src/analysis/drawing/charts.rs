//! Charts of scores: scatter plots, histograms, and traces over training.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::frame::{Axis, Frame};
use super::numbers::grouped;
use super::svg::{Point, Px};
use super::{AxisLimits, Color, Theme};
use crate::analysis::{Correlation, Histogram, Trend};
use crate::{Error, Result};

/// Colors of the dots and of the line through them: blue and vermilion of Okabe and Ito, lighter on dark ground.
fn colors(theme: Theme) -> (Color, Color) {
    match theme {
        Theme::Light => (Color([0, 114, 178]), Color([213, 94, 0])),
        Theme::Dark => (Color([86, 180, 233]), Color([240, 150, 70])),
    }
}

/// The values that scores are drawn against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Against<'a> {
    /// Name of the values, with their unit.
    pub label: &'a str,
    /// One value for each score, all finite.
    pub values: &'a [f64],
    /// Whether they are sizes, which must be positive: the axis and Pearson's r are of their logarithms, and there is no
    /// line, which is that of accuracies.
    pub logarithmic: bool,
}

/// A scatter plot of scores: a dot for each network, and below it Kendall's tau-b and Pearson's r. Against accuracies, with
/// the least-squares line of accuracy over score, which is what the score predicts. Scores of minus infinity have no dot, and
/// neither have networks beyond the limits of the horizontal axis; the picture says how many. Line, tau and r are of all.
/// `name` is that of the score, with its unit.
///
/// ```
/// use naswot::analysis::drawing::{Against, AxisLimits, Theme, scatter_svg};
///
/// let accuracies = Against { label: "accuracy, %", values: &[91.0, 92.0, 93.0], logarithmic: false };
/// let limits = AxisLimits { from: Some(92.0), to: None };
/// let svg = scatter_svg(&[310.0, f64::NEG_INFINITY, 330.0], "score", &accuracies, limits, Theme::Light)?;
/// assert!(svg.contains("1 of score -inf") && svg.contains("1 network below 92"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] as [`Correlation::of`], where no score is finite or a logarithm is not, and where there is no network
/// within the limits.
pub fn scatter_svg(
    scores: &[f64],
    name: &str,
    against: &Against,
    limits: AxisLimits,
    theme: Theme,
) -> Result<String> {
    limits.check(against.logarithmic)?;
    let scale = |value: f64| if against.logarithmic { value.log10() } else { value };
    let values: Vec<f64> = against.values.iter().map(|&value| scale(value)).collect();
    let correlation = Correlation::of(scores, &values)?;
    let pairs = scores.iter().zip(against.values);
    let mut points: Vec<Point> =
        pairs.filter(|(score, _)| score.is_finite()).map(|(&y, &x)| Point { x, y }).collect();
    if points.is_empty() {
        return Err(nothing("all scores are -inf"));
    }
    let beyond = limits.beyond(points.iter().map(|point| point.x));
    points.retain(|point| limits.hold(point.x));
    if points.is_empty() {
        return Err(nothing(limits.nothing_within()));
    }
    let number = |value: Option<f64>| value.map_or("undefined".to_owned(), |value| format!("{value:.3}"));
    let of = if against.logarithmic { " of the logarithm" } else { "" };
    let mut notes = vec![format!(
        "{} networks: Kendall τ {}, Pearson r{of} {}",
        grouped(correlation.networks as u64),
        number(correlation.kendall_tau),
        number(correlation.pearson)
    )];
    if correlation.infinite > 0 {
        notes.push(format!(
            "{} of score -inf: lowest to τ, without a dot and left out of r",
            correlation.infinite
        ));
    }
    let trend = if against.logarithmic { None } else { Trend::of(scores, against.values) };
    if trend.is_some() {
        notes.push(format!("line: {} over score, least squares", against.label));
    }
    if let Some(note) = beyond.note("network") {
        let figures = if trend.is_some() { "τ, r and the line" } else { "τ and r" };
        notes.extend([note, format!("{figures} are of all networks.")]);
    }
    let x = Axis::around(points.iter().map(|point| point.x), against.label, against.logarithmic);
    let x = x.within(limits);
    let y = Axis::around(points.iter().map(|point| point.y), name, false);
    let title = format!("Score against {}, {} networks", against.label, scores.len());
    let mut frame = Frame::new(x, y, &notes, &title, theme);
    let (dots, line) = colors(theme);
    frame.dots(&points, dots);
    if let Some(trend) = trend {
        let drawn = points.iter().map(|point| point.y);
        let all = drawn.clone().fold(f64::INFINITY, f64::min)..=drawn.fold(f64::NEG_INFINITY, f64::max);
        let (from, to) = within(trend, all, frame.x.range()).into_inner();
        frame.line(&[from, to].map(|score| Point { x: trend.at(score), y: score }), line, 2.0);
    }
    Ok(frame.finish())
}

/// The part of a range of scores in which the line's accuracy is within another range.
fn within(trend: Trend, scores: RangeInclusive<f64>, accuracies: RangeInclusive<f64>) -> RangeInclusive<f64> {
    if trend.slope == 0.0 {
        return scores;
    }
    let at = |accuracy: f64| (accuracy - trend.intercept) / trend.slope;
    let (a, b) = (at(*accuracies.start()), at(*accuracies.end()));
    let (start, end) = scores.into_inner();
    start.max(a.min(b))..=end.min(a.max(b))
}

/// The distribution of the scores within limits, in the bins of [`Histogram`]. Those beyond, and those of minus infinity, are
/// counted below. `name` is that of the score, with its unit.
///
/// ```
/// use naswot::analysis::drawing::{AxisLimits, Theme, histogram_svg};
///
/// let scores = [310.0, 312.5, 311.0, f64::NEG_INFINITY];
/// let svg = histogram_svg(&scores, "score", AxisLimits::default(), Theme::Light)?;
/// assert!(svg.contains("3 networks"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] where no score is finite and within the limits.
pub fn histogram_svg(scores: &[f64], name: &str, limits: AxisLimits, theme: Theme) -> Result<String> {
    limits.check(false)?;
    let finite: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
    if finite.is_empty() {
        return Err(nothing("no score is finite"));
    }
    let within: Vec<f64> = finite.iter().copied().filter(|&score| limits.hold(score)).collect();
    let Some(Histogram { start, width, counts }) = Histogram::of(&within) else {
        return Err(nothing(limits.nothing_within()));
    };
    // Where all scores are alike there is one bin without a width.
    let (start, width) = if width > 0.0 { (start, width) } else { (start - 0.5, 1.0) };
    let end = start + width * counts.len() as f64;
    let highest = counts.iter().max().map_or(0, |&count| count) as f64;
    let mut notes = vec![format!("{} networks, in bins {width:.3} wide", grouped(within.len() as u64))];
    let infinite = scores.iter().filter(|score| **score == f64::NEG_INFINITY).count();
    if infinite > 0 {
        notes.push(format!("{} more of score -inf", grouped(infinite as u64)));
    }
    notes.extend(limits.beyond(finite.into_iter()).note("network"));
    let x = Axis::between(start, end, name).within(limits);
    let y = Axis::between(0.0, highest * 1.05, "networks");
    let title = format!("Distribution of {} scores", scores.len());
    let mut frame = Frame::new(x, y, &notes, &title, theme);
    let mut bars = String::new();
    let (first, last) = frame.x.range().into_inner();
    for (i, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let left = start + width * i as f64;
        let low = frame.at(Point { x: left.max(first), y: 0.0 });
        let high = frame.at(Point { x: (left + width).min(last), y: count as f64 });
        // A pixel between bars.
        let (from, to) = (Px(low.x + 0.5), Px(high.x - 0.5));
        bars += &format!("M{from} {}H{to}V{}H{from}z", Px(low.y), Px(high.y));
    }
    frame.svg.area(&bars, colors(theme).0, false);
    Ok(frame.finish())
}

/// A checkpoint of a trace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TracePoint {
    /// Its epoch, or another number that checkpoints have in order.
    pub epoch: f64,
    /// Its score; none where it has failed.
    pub score: Option<f64>,
}

/// The score of one architecture over its training: a dot for each checkpoint, joined in the order of their epochs. Where a
/// score is minus infinity or missing (none) the line breaks, and the picture says how many, and how many are beyond the limits.
///
/// `label` says what the epochs are, `name` which score it is.
///
/// ```
/// use naswot::analysis::drawing::{AxisLimits, Theme, TracePoint, trace_svg};
///
/// let point = |epoch, score| TracePoint { epoch, score };
/// let points = [point(0.0, Some(371.5)), point(1.0, Some(380.0)), point(2.0, None)];
/// let svg = trace_svg(&points, "epoch", "score", AxisLimits::default(), Theme::Light)?;
/// assert!(svg.contains("1 failed"));
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Correlation`] where no score is finite within the limits.
pub fn trace_svg(
    points: &[TracePoint],
    label: &str,
    name: &str,
    limits: AxisLimits,
    theme: Theme,
) -> Result<String> {
    limits.check(false)?;
    let beyond = limits.beyond(points.iter().map(|point| point.epoch));
    let mut points: Vec<TracePoint> =
        points.iter().copied().filter(|point| limits.hold(point.epoch)).collect();
    if points.is_empty() {
        return Err(nothing(limits.nothing_within()));
    }
    points.sort_by(|a, b| a.epoch.total_cmp(&b.epoch));
    let is_drawn = |point: &TracePoint| point.score.is_some_and(f64::is_finite);
    let drawn = |line: &[TracePoint]| -> Vec<Point> {
        line.iter().filter_map(|point| Some(Point { x: point.epoch, y: point.score? })).collect()
    };
    let lines: Vec<Vec<Point>> =
        points.split(|point| !is_drawn(point)).filter(|line| !line.is_empty()).map(drawn).collect();
    let all = lines.concat();
    if all.is_empty() {
        return Err(nothing("no checkpoint has a finite score"));
    }
    let failed = points.iter().filter(|point| point.score.is_none()).count();
    let infinite = points.len() - all.len() - failed;
    let mut notes = Vec::new();
    if failed + infinite > 0 {
        let counts = [(infinite, "of score -inf"), (failed, "failed")];
        let said =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        notes.push(format!("Not drawn: {}", said.collect::<Vec<_>>().join(", ")));
    }
    notes.extend(beyond.note("checkpoint"));
    let x = Axis::around(all.iter().map(|point| point.x), label, false).within(limits);
    let y = Axis::around(all.iter().map(|point| point.y), name, false);
    let title = format!("Score over training, {} checkpoints", points.len());
    let mut frame = Frame::new(x, y, &notes, &title, theme);
    let (color, _) = colors(theme);
    lines.iter().for_each(|line| frame.line(line, color, 1.5));
    frame.dots(&all, color);
    Ok(frame.finish())
}

/// The error of a chart without a point.
fn nothing(why: impl Display) -> Error {
    Error::Correlation { message: format!("there is nothing to draw: {why}") }
}
