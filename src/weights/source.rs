//! Weights as backends read them, whether a seed or a checkpoint gives them.

use std::fmt;
use std::ops::Range;

use crate::{Distribution, Graph, Result};

/// Shape of a convolution's weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
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
pub(crate) trait WeightSource: fmt::Debug + Send + Sync {
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
    #[cfg_attr(
        not(any(feature = "cuda", feature = "wgpu")),
        expect(dead_code, reason = "the CPU makes its weights by `rows`")
    )]
    fn seed(&self) -> Option<u64>;

    /// What to multiply the pool's numbers with to get the weights, given the standard deviation of initial
    /// ones: that deviation for seeded weights, 1 for a checkpoint.
    fn scale(&self, standard_deviation: f64) -> f64;

    /// Gamma and beta of a batch norm; none means 1 and 0.
    fn batch_norm(&self, name: &str, channels: usize) -> Result<Option<(Vec<f32>, Vec<f32>)>>;

    /// Whether every parameter of a graph is there with its shape, and nothing else is.
    fn check(&self, graph: &Graph) -> Result<()>;
}
