//! Pictures of cells and of agreement matrices, as data and as SVG.
//!
//! A [`Layout`] says where the parts of a cell go, and can be drawn by anybody; [`cell_svg`] draws it as SVG and
//! [`heat_map_svg`] the agreement matrix of a network. Colours are the same everywhere: [`Kind::fill`] for operations, which
//! carry their name beside it, and [`sequential`] for numbers, both safe for colour-blind readers.

mod cell;
mod colours;
mod graph;
mod heat_map;
mod layout;
mod levels;
mod numbers;
mod svg;

pub use cell::cell_svg;
pub use colours::{Colour, Theme, sequential};
pub use graph::Kind;
pub use heat_map::{Blocks, Shades, heat_map_svg};
pub use layout::{Direction, Edge, Layout, NodeBox};
pub use svg::escape;
