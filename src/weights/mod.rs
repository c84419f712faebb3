//! Where the weights of a network come from: a seed or a checkpoint.

mod checkpoint;
mod seeded;
pub(crate) mod tables;

use std::ops::Range;
use std::sync::Arc;

use crate::{Distribution, Graph, Result};

pub use checkpoint::Checkpoint;
use seeded::Seeded;

/// Where the weights of every network of a run come from.
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
    /// What reports call the initialiser: `space` (each search space's own) or `checkpoint`.
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

    /// What backends read the weights from.
    pub(crate) fn source(&self) -> Arc<dyn WeightSource> {
        match self {
            Weights::Seeded { seed } => Arc::new(Seeded { seed: *seed }),
            Weights::Checkpoint(checkpoint) => Arc::new(checkpoint.clone()),
        }
    }
}

/// Shape of a convolution's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowShape {
    pub(crate) out_channels: usize,
    /// Input channels of one group.
    pub(crate) in_channels: usize,
    /// Height and width.
    pub(crate) kernel: [usize; 2],
}

impl RowShape {
    /// Elements of one output channel: taps times input channels padded to 8.
    pub(crate) fn row_len(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.in_channels.next_multiple_of(8)
    }
}

/// Rows of the weight pool and parameters of batch norms, by name.
pub(crate) trait WeightSource: Send + Sync {
    /// Appends to `out` the rows of some octets of output channels, in the pool's layout
    /// [C_out padded to 8][r][s][C_in padded to 8].
    fn rows(
        &self,
        name: &str,
        shape: &RowShape,
        distribution: Distribution,
        octets: Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<()>;

    /// The seed, where numbers are made from one; a device can make them itself then.
    #[cfg_attr(not(feature = "wgpu"), expect(dead_code, reason = "the CPU makes its weights by `rows`"))]
    fn seed(&self) -> Option<u64>;

    /// What to multiply the pool's numbers with to get the weights, given the standard deviation of initial
    /// ones: that deviation for seeded weights, 1 for a checkpoint.
    fn scale(&self, standard_deviation: f64) -> f64;

    /// Gamma and beta of a batch norm; none means 1 and 0.
    fn batch_norm(&self, name: &str, channels: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>>;

    /// Whether every parameter of a graph is there with its shape, and nothing else is.
    fn check(&self, graph: &Graph) -> Result<()>;
}
