//! Pictures of cells, of agreement matrices and of scores, as data, SVG, PNG and PDF.
//!
//! A [`Layout`] says where the parts of a cell go, and can be drawn by anybody. [`cell_svg`] draws it, [`heat_map_svg`] the
//! agreement matrix of a network, [`heat_maps_svg`] those of many; [`scatter_svg`], [`histogram_svg`], [`trace_svg`] and [`matrix_svg`] are charts of scores;
//! `png` makes pixels of any of them, `pdf` (each a feature) what papers take. Colors are the same everywhere: [`Kind::fill`] for operations, which carry their
//! name beside it, and [`sequential`] for numbers, both safe for color-blind readers. Every text is escaped.

mod axis_limits;
mod cell;
mod charts;
mod colors;
mod frame;
mod graph;
mod heat_map;
mod heat_maps;
mod layout;
mod levels;
mod matrix;
mod numbers;
#[cfg(feature = "pdf")]
mod pdf;
#[cfg(feature = "png")]
mod png;
mod svg;
#[cfg(feature = "png")]
mod tree;

pub use axis_limits::AxisLimits;
pub use cell::cell_svg;
pub use charts::{Against, TracePoint, histogram_svg, scatter_svg, trace_svg};
pub use colors::{Color, Theme, sequential};
pub use graph::Kind;
pub use heat_map::{Blocks, Shades, heat_map_svg};
pub use heat_maps::{HeatMap, MOST_HEAT_MAPS, heat_maps_svg};
pub use layout::{Direction, Edge, Layout, NodeBox};
pub use matrix::matrix_svg;
pub use numbers::thousands;
#[cfg(feature = "pdf")]
#[cfg_attr(docsrs, doc(cfg(feature = "pdf")))]
pub use pdf::pdf;
#[cfg(feature = "png")]
#[cfg_attr(docsrs, doc(cfg(feature = "png")))]
pub use png::png;
pub use svg::escape;
