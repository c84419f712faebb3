//! Scores neural architectures without training them.
//!
//! NASWOT (Mellor, Turner, Storkey and Crowley, "Neural Architecture Search without Training", ICML 2021) tells
//! from an untrained network how well it would do when trained. It feeds one batch of N images, takes the sign
//! of every ReLU's input as a bit, so that each image has a code of N_A bits, and builds the N x N matrix
//! K_ij = N_A - Hamming distance of codes i and j. The score is log |det K|: higher is better.
//!
//! ```
//! use naswot::{Batch, Scorer, nasbench101};
//!
//! let scorer = Scorer::builder(Batch::synthetic(16, 0)?).build()?;
//! let skeleton = nasbench101::Skeleton { stem: 4, stacks: 3, cells: 1 };
//! let cells = nasbench101::sample(3, 0)?;
//! let networks = cells.iter().map(|cell| cell.network(&skeleton)).collect::<Result<Vec<_>, _>>()?;
//! for (network, score) in networks.iter().zip(scorer.score_all(&networks)) {
//!     println!("{} {:.3}", network.id(), score?.log_det);
//! }
//! # Ok::<(), naswot::Error>(())
//! ```
//!
//! - A [`Network`] is a [`Graph`] with a name. Search spaces make them ([`nasbench101`], [`nasbench201`]); a
//!   [`GraphBuilder`] makes any other.
//! - A [`Batch`] of images and the [`Weights`] are the same for every network of a run.
//! - A [`Scorer`] compiles each network into a [`plan::Plan`] and runs it on a [`Backend`]; it takes one network,
//!   a slice, or a lazy stream of any length.
//! - A [`Score`] may be negative infinity: K is singular. That is a result. What failed is an [`Error`].
//! - An [`Agreement`] is K itself, the paper's kernel matrix, and can be scored without any network.
//!
//! Scores depend on the batch, the weights and the precision, all of which are in [`Settings`], and never on
//! how networks were grouped, ordered or spread over threads.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod analysis;
mod backend;
mod cache;
mod cases;
mod codes;
mod data;
mod digest;
mod error;
mod graph;
mod network;
mod parallel;
#[doc(hidden)]
pub mod pickle;
pub mod plan;
mod precision;
mod probe;
mod random;
mod real;
mod score;
mod scorer;
mod space;
#[doc(hidden)]
pub mod testing;
mod weights;
pub mod workloads;

pub use backend::{Backend, Device, devices, processor};
#[doc(hidden)]
pub use cache::cache_refusal;
pub use codes::{CodeRegion, Codes};
pub use data::{Batch, Dataset, Normalization, NumpyArray};
pub use error::{BackendErrorKind, Error, ParameterErrorKind, Result};
pub use graph::{
    Conv, Convention, Distribution, Eps, Graph, GraphBuilder, Initializer, Multiplicity, Node, NodeId, Op,
    Shape, Window,
};
pub use network::Network;
pub use precision::Precision;
pub use probe::{Groups, Probe, Stage};
pub use score::{Agreement, ScoreKind, Scores};
pub use scorer::{Score, Scorer, ScorerBuilder, Session, Settings, Stream, Ticket};
pub use space::*;
pub use weights::{Checkpoint, Weights};

/// Runs the examples of the guide as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/method.md")]
struct Method;
