//! A cell as SVG.

use super::svg::{Anchor, Rectangle, Stroke, Svg};
use super::{Direction, Kind, Layout, NodeBox, Theme};
use crate::Architecture;

/// Size of labels, and how far their baseline is below the middle of a box.
const FONT_SIZE: f64 = 11.0;
const BASELINE: f64 = 4.0;
/// Length of an arrow's head.
const HEAD: f64 = 6.0;

/// A cell as a picture, laid out as in [`Layout`]: operations in boxes with a label and a color, edges as arrows. Edges and
/// boxes of `none`, which multiply by zero, are faint and dashed.
///
/// ```
/// use naswot::{Space, analysis::drawing::{Direction, Theme, cell_svg}};
///
/// let cell = Space::NasBench101.parse_arch("010001000/0")?;
/// let svg = cell_svg(&cell, Direction::LeftToRight, Theme::Light);
/// assert!(svg.starts_with("<svg") && svg.contains("3×3 conv"));
/// # Ok::<(), naswot::Error>(())
/// ```
pub fn cell_svg(architecture: &Architecture, direction: Direction, theme: Theme) -> String {
    let layout = Layout::new(architecture, direction);
    let title = format!("{} cell {}", architecture.space(), architecture.arch());
    let mut svg = Svg::new(layout.width, layout.height, theme, &title);
    let (faint, plain): (Vec<_>, Vec<_>) = layout.edges.iter().partition(|edge| edge.faint);
    for edge in faint.into_iter().chain(plain) {
        let color = if edge.faint { theme.faint() } else { theme.muted() };
        svg.line(&edge.svg_path(direction), Stroke { color, width: 1.5, dashed: edge.faint });
        if let Some(&(x, y)) = edge.points.last() {
            svg.area(&head(x, y, direction), color, false);
        }
    }
    for node in &layout.nodes {
        draw_box(&mut svg, node);
    }
    svg.finish()
}

/// The head of an arrow with its tip at a point.
fn head(x: f64, y: f64, direction: Direction) -> String {
    let half = HEAD / 2.0;
    match direction {
        Direction::LeftToRight => format!("M{x} {y}l-{HEAD} -{half}v{HEAD}z"),
        Direction::TopToBottom => format!("M{x} {y}l-{half} -{HEAD}h{HEAD}z"),
    }
}

/// Draws the box of a node, with its label.
fn draw_box(svg: &mut Svg, node: &NodeBox) {
    let theme = svg.theme;
    let none = node.kind == Kind::None;
    let fill = node.kind.fill().unwrap_or(theme.ground());
    let outline = match node.kind {
        Kind::None => theme.faint(),
        kind => kind.fill().unwrap_or(theme.muted()),
    };
    let text = if none { theme.muted() } else { node.kind.fill().map_or(theme.ink(), |fill| fill.text()) };
    let NodeBox { x, y, width, height, .. } = *node;
    let outer = Rectangle { x: x - width / 2.0, y: y - height / 2.0, width, height };
    let radius = if node.kind.is_operation() { 4.0 } else { height / 2.0 };
    let stroke = Stroke { color: outline, width: 1.5, dashed: none };
    svg.rectangle(outer, radius, Some(fill), stroke);
    svg.text(x, y + BASELINE, Anchor::Middle, FONT_SIZE, text, node.kind.label());
}
