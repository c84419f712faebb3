//! The layout of a cell: the places of its boxes and edges.

use std::fmt::Write;

use serde::Serialize;

use super::graph::{Graph, Kind};
use super::levels::{Item, Levels, Places};
use crate::Architecture;

/// Which way a cell runs from its input to its output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From left to right.
    #[default]
    LeftToRight,
    /// From top to bottom.
    TopToBottom,
}

/// A cell laid out in layers, in pixels from the upper left corner.
///
/// Each vertex is behind all that lead to it, and in as few layers as the longest path needs. In NAS-Bench-101 boxes are
/// the cell's vertices. In NAS-Bench-201, where operations are on edges, the box of an operation stands upon its edge; those of
/// `none` are there too, marked [`faint`](Edge::faint), so that all its cells have one shape.
///
/// Of all layers that vertices can be in and all orders within them, those are taken that cross fewest edges; among those the
/// ones with the straightest edges. Edges run through no box but their ends.
///
/// ```
/// use naswot::{Space, analysis::drawing::{Direction, Layout}};
///
/// let cell = Space::NasBench101.parse_arch("0110000100010000/02")?;
/// let layout = Layout::new(&cell, Direction::LeftToRight);
/// assert_eq!((layout.nodes.len(), layout.edges.len(), layout.crossings), (4, 4, 0));
/// assert!(layout.nodes.iter().all(|node| node.x < layout.width && node.y < layout.height));
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Layout {
    /// Width of the whole.
    pub width: f64,
    /// Height of the whole.
    pub height: f64,
    /// Which way it runs.
    pub direction: Direction,
    /// The boxes: the vertices in their order; of NAS-Bench-201 the nodes 0 to 3, then the operations in the order of the
    /// arch string.
    pub nodes: Vec<NodeBox>,
    /// The edges.
    pub edges: Vec<Edge>,
    /// Pairs of edges that cross.
    pub crossings: usize,
}

/// A box of a cell's drawing: an operation, or a node where edges meet.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NodeBox {
    /// Its center, from the left.
    pub x: f64,
    /// Its center, from above.
    pub y: f64,
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What it stands for, which says its label and color.
    pub kind: Kind,
}

/// A connection between two boxes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Edge {
    /// The box that it leaves, by its position in [`Layout::nodes`].
    pub from: usize,
    /// The box that it enters.
    pub to: usize,
    /// Whether it carries nothing: it is multiplied by zero.
    pub faint: bool,
    /// Where it runs, as (x, y): straight from the first point to the second, then curved to the third, straight to the
    /// fourth, and so on in turn; the last piece is straight. Curves have the direction of the layout at both ends.
    pub points: Vec<(f64, f64)>,
}

/// Margin around the whole, in pixels.
const MARGIN: f64 = 8.0;

impl Direction {
    /// The size of a box along the direction and across it.
    fn extent(self, kind: Kind) -> (f64, f64) {
        let (width, height) = match kind {
            Kind::Sum => (24.0, 24.0),
            Kind::Input | Kind::Output => (34.0, 24.0),
            _ => (64.0, 24.0),
        };
        match self {
            Direction::LeftToRight => (width, height),
            Direction::TopToBottom => (height, width),
        }
    }

    /// Distance between one layer and the next, in pixels.
    fn gap(self) -> f64 {
        match self {
            Direction::LeftToRight => 32.0,
            Direction::TopToBottom => 26.0,
        }
    }

    /// Distance between one place of a layer and the next, in pixels; boxes are two places apart.
    fn pitch(self) -> f64 {
        match self {
            Direction::LeftToRight => 18.0,
            Direction::TopToBottom => 37.0,
        }
    }

    /// A point that is so far along the direction and across it.
    fn point(self, along: f64, across: f64) -> (f64, f64) {
        match self {
            Direction::LeftToRight => (along, across),
            Direction::TopToBottom => (across, along),
        }
    }
}

impl Layout {
    /// Lays out a cell. Takes some 0.1 ms.
    ///
    /// ```
    /// use naswot::{Space, analysis::drawing::{Direction, Layout}};
    ///
    /// let cell = &Space::NasBench201.sample(1, 0)?[0];
    /// let layout = Layout::new(cell, Direction::TopToBottom);
    /// assert_eq!((layout.nodes.len(), layout.edges.len(), layout.crossings), (10, 12, 0));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn new(architecture: &Architecture, direction: Direction) -> Self {
        let graph = Graph::of(architecture);
        draw(&graph, &Placement::best(&graph), direction)
    }
}

/// Vertices and bends in layers, with their places there.
struct Placement {
    levels: Levels,
    places: Places,
    crossings: usize,
}

impl Placement {
    /// The one with the fewest crossings and then the straightest edges.
    fn best(graph: &Graph) -> Self {
        let candidates = graph.layerings.iter().map(|layering| {
            let levels = Levels::new(layering, &graph.edges);
            let orders = levels.orders();
            (levels, orders)
        });
        let candidates: Vec<_> = candidates.collect();
        let fewest = candidates.iter().map(|(_, orders)| orders.crossings).min();
        let Some(fewest) = fewest else { unreachable!("a graph has a layering") };
        let placed = candidates.into_iter().filter(|(_, orders)| orders.crossings == fewest).map(
            |(levels, orders)| {
                let places = levels.place(&orders);
                Placement { levels, places, crossings: fewest }
            },
        );
        placed
            .min_by_key(|placed| placed.places.cost)
            .unwrap_or_else(|| unreachable!("a graph has a layering"))
    }
}

/// The layout of vertices and bends that have their places.
fn draw(graph: &Graph, placement: &Placement, direction: Direction) -> Layout {
    let &Placement { ref levels, ref places, crossings } = placement;
    let extents: Vec<(f64, f64)> = graph.vertices.iter().map(|&kind| direction.extent(kind)).collect();
    // Where each layer begins and ends.
    let mut columns = Vec::with_capacity(levels.layers.len());
    let mut along = MARGIN;
    for layer in &levels.layers {
        let widths = layer.iter().map(|item| match *item {
            Item::Vertex(v) => extents[v].0,
            Item::Bend(_) => 0.0,
        });
        let end = along + widths.fold(0.0, f64::max);
        columns.push((along, end));
        along = end + direction.gap();
    }
    let length = along - direction.gap() + MARGIN;
    let side = MARGIN + extents.iter().map(|extent| extent.1).fold(0.0, f64::max) / 2.0;
    let across = |place: usize| side + place as f64 * direction.pitch();
    let breadth = across(places.most) + side;

    let mut centers = vec![(0.0, 0.0); graph.vertices.len()];
    let mut bends = vec![Vec::new(); graph.edges.len()];
    for ((layer, places), &(start, end)) in levels.layers.iter().zip(&places.places).zip(&columns) {
        for (item, &place) in layer.iter().zip(places) {
            match *item {
                Item::Vertex(v) => centers[v] = ((start + end) / 2.0, across(place)),
                Item::Bend(edge) => bends[edge].extend([(start, across(place)), (end, across(place))]),
            }
        }
    }
    let column = |v: usize| {
        let around = |&&(start, end): &&(f64, f64)| (start..=end).contains(&centers[v].0);
        columns.iter().find(around).copied().unwrap_or_else(|| unreachable!("vertex {v} is in no layer"))
    };
    let edges = graph.edges.iter().zip(&bends).map(|(&(from, to), bends)| {
        let ((x0, y0), (x1, y1)) = (centers[from], centers[to]);
        let start = [(x0 + extents[from].0 / 2.0, y0), (column(from).1, y0)];
        let end = [(column(to).0, y1), (x1 - extents[to].0 / 2.0, y1)];
        let points = start.iter().chain(bends).chain(&end);
        let points = points.map(|&(along, across)| direction.point(along, across)).collect();
        let faint = [from, to].iter().any(|&v| graph.vertices[v] == Kind::None);
        Edge { from, to, faint, points }
    });
    let nodes = graph.vertices.iter().zip(&centers).map(|(&kind, &(along, across))| {
        let (x, y) = direction.point(along, across);
        let extent = direction.extent(kind);
        let (width, height) = direction.point(extent.0, extent.1);
        NodeBox { x, y, width, height, kind }
    });
    let (edges, nodes) = (edges.collect(), nodes.collect());
    let (width, height) = direction.point(length, breadth);
    Layout { width, height, direction, nodes, edges, crossings }
}

impl Edge {
    /// The edge as the `d` of an SVG `path`: lines, and cubic curves whose ends run along the direction of the layout.
    ///
    /// ```
    /// use naswot::{Space, analysis::drawing::{Direction, Layout}};
    ///
    /// let cell = Space::NasBench101.parse_arch("0100/")?;
    /// let layout = Layout::new(&cell, Direction::LeftToRight);
    /// assert_eq!(layout.edges[0].svg_path(layout.direction), "M42 20H74");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn svg_path(&self, direction: Direction) -> String {
        let mut path = String::new();
        let mut at = (f64::NAN, f64::NAN);
        for (i, &(x, y)) in self.points.iter().enumerate() {
            // Writing to a `String` does not fail.
            let _ = match direction {
                _ if i == 0 => write!(path, "M{x} {y}"),
                _ if at == (x, y) => Ok(()),
                _ if at.1 == y => write!(path, "H{x}"),
                _ if at.0 == x => write!(path, "V{y}"),
                Direction::LeftToRight => {
                    let middle = (at.0 + x) / 2.0;
                    write!(path, "C{middle} {} {middle} {y} {x} {y}", at.1)
                }
                Direction::TopToBottom => {
                    let middle = (at.1 + y) / 2.0;
                    write!(path, "C{} {middle} {x} {middle} {x} {y}", at.0)
                }
            };
            at = (x, y);
        }
        path
    }
}
