//! Sources of weights: a seed or a checkpoint.

mod checkpoint;
mod seeded;
mod source;

use std::sync::Arc;

pub use checkpoint::Checkpoint;
use seeded::Seeded;
pub(crate) use source::{RowShape, WeightSource};

/// The source of the weights of every network of a run.
///
/// ```
/// use naswot::Weights;
///
/// assert!(matches!(Weights::default(), Weights::Seeded { seed: 0 }));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Weights {
    /// Initial weights, drawn as the search space draws them. The parameter's name and the seed alone decide
    /// them, so networks share the weights of the parameters that they have in common.
    Seeded {
        /// The seed.
        seed: u64,
    },
    /// The weights of a PyTorch checkpoint.
    Checkpoint(Checkpoint),
}

impl Default for Weights {
    fn default() -> Self {
        Weights::Seeded { seed: 0 }
    }
}

impl Weights {
    /// What reports call the initializer: `space` (each search space's own) or `checkpoint`.
    ///
    /// ```
    /// assert_eq!(naswot::Weights::Seeded { seed: 7 }.label(), "space");
    /// ```
    pub fn label(&self) -> &'static str {
        match self {
            Weights::Seeded { .. } => "space",
            Weights::Checkpoint(_) => "checkpoint",
        }
    }

    /// SHA-256 of the checkpoint's file in lowercase hex; none for seeded weights.
    ///
    /// ```
    /// assert_eq!(naswot::Weights::default().sha256(), None);
    /// ```
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Weights::Seeded { .. } => None,
            Weights::Checkpoint(checkpoint) => Some(checkpoint.sha256()),
        }
    }

    /// The source as backends read it.
    pub(crate) fn source(&self) -> Arc<dyn WeightSource> {
        match self {
            Weights::Seeded { seed } => Arc::new(Seeded { seed: *seed }),
            Weights::Checkpoint(checkpoint) => Arc::new(checkpoint.clone()),
        }
    }
}
