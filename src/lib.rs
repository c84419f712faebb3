//! NASWOT.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod analysis;
mod backend;
mod determinant;
mod error;
mod graph;
mod kernel;
mod network;
pub mod plan;
mod random;
mod space;

pub use error::{Error, Result};
pub use graph::{
    Conv, Convention, Distribution, Eps, Graph, GraphBuilder, Initializer, Multiplicity, Node, NodeId, Op,
    Shape, Window,
};
pub use kernel::Kernel;
pub use network::Network;
pub use space::{nasbench101, nasbench201};
