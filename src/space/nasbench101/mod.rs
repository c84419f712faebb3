//! NAS-Bench-101 (Ying et al., "NAS-Bench-101: Towards Reproducible Neural Architecture Search", ICML 2019):
//! every convolutional cell of at most 7 vertices and 9 edges, 423,624 up to isomorphism.
//!
//! A [`Cell`] is a directed acyclic graph whose interior vertices are operations. Vertex 0 is the cell's
//! input, the last vertex its output, and an edge leads from a lower to a higher number. A [`Skeleton`]
//! stacks copies of the cell to a network.
//!
//! Isomorphic cells are one architecture to the benchmark and share their [`hash`](Cell::hash). They are not
//! quite one network: output channels that do not divide evenly go to the first vertices, so a cell is kept
//! in the order in which it was given, and [`all`] and [`sample`] yield the order that the benchmark used,
//! the [`representative`](Cell::representative).
//!
//! ```
//! use naswot::nasbench101::{Cell, Skeleton};
//!
//! let adjacency = [[0, 1, 1], [0, 0, 1], [0, 0, 0]];
//! let cell = Cell::new(&adjacency, &["input", "conv3x3-bn-relu", "output"])?;
//! let network = cell.network(&Skeleton::default())?;
//! assert_eq!(network.id(), cell.hash());
//! # Ok::<(), naswot::Error>(())
//! ```

mod arch;
mod cell;
mod definition;
mod enumerate;
mod hash;
mod hashes;
mod isomorphism;
mod mutate;
mod network;
mod notation;
mod sample;

pub use cell::{Cell, MAX_EDGES, MAX_VERTICES, VertexOp};
pub use enumerate::{COUNT, all};
pub use network::Skeleton;
pub use sample::{sample, sample_matrices};

use crate::Error;

/// The space's name in files and options.
const NAME: &str = "nasbench101";

/// The error of what is no cell of the space.
fn invalid(message: impl Into<String>) -> Error {
    Error::Cell { space: NAME, message: message.into() }
}
