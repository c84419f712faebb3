//! NASWOT.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod data;
mod digest;
mod error;
#[cfg(test)]
mod fuzz;
mod graph;
mod network;
pub mod plan;
mod random;
mod space;
mod weights;

pub use data::{Batch, Dataset};
pub use error::{Error, Result};
pub use graph::{
    Conv, Convention, Distribution, Eps, Graph, GraphBuilder, Initializer, Multiplicity, Node, NodeId, Op,
    Shape, Window,
};
pub use network::Network;
pub use space::{nasbench101, nasbench201};
pub use weights::{Checkpoint, Weights};
