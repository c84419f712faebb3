//! NASWOT.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backend;
mod data;
mod determinant;
mod digest;
mod error;
#[cfg(test)]
mod fuzz;
mod graph;
mod kernel;
mod network;
pub mod plan;
mod random;
mod scorer;
mod space;
mod weights;

pub use backend::{Backend, Device, Precision, devices};
pub use data::{Batch, Dataset};
pub use error::{Error, Result};
pub use graph::{
    Conv, Convention, Distribution, Eps, Graph, GraphBuilder, Initializer, Multiplicity, Node, NodeId, Op,
    Shape, Window,
};
pub use kernel::Kernel;
pub use network::Network;
pub use scorer::{Score, Scorer, ScorerBuilder, Settings, Stream};
pub use space::{Architecture, Space, nasbench101, nasbench201};
pub use weights::{Checkpoint, Weights};
