//! The network of a cell: a stem, then three stages of copies of the cell.

use super::{Cell, Op};
use crate::space::skeleton::within;
use crate::{Conv, Graph, GraphBuilder, Multiplicity, Network, NodeId, Result, Window};

/// Classes of CIFAR-10: the classifier counts as parameters, and cannot change a score.
const CLASSES: usize = 10;

/// Limits far above any device's memory, below which no count of parameters or operations overflows.
const MAX_CHANNELS: usize = 4_096;
const MAX_CELLS: usize = 1_000;

/// The network around the cells: a 3x3 convolution, then three stages of cells with a reduction block before the second
/// and the third, each stage at half the resolution and twice the channels of the one before.
///
/// ```
/// use naswot::nasbench201::{Cell, Op, Skeleton};
///
/// let cell = Cell::new([Op::NorConv3x3; 6]);
/// assert_eq!(cell.network(&Skeleton::default())?.parameters(), 1_531_546);
/// assert!(cell.network(&Skeleton { stem: 4, cells: 1 })?.parameters() < 30_000);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Skeleton {
    /// Channels of the stem and of the first stage: C in the benchmark's papers.
    pub stem: usize,
    /// Cells of a stage: N in the benchmark's papers.
    pub cells: usize,
}

impl Default for Skeleton {
    /// The benchmark's: 16 channels, stages of 5 cells.
    fn default() -> Self {
        Skeleton { stem: 16, cells: 5 }
    }
}

impl Cell {
    /// The network for RGB images, with batch norm, ReLU and a classifier of ten classes behind the last stage.
    ///
    /// Parameters are named as in the benchmark's checkpoints, and the network's id is the arch string.
    /// Images need a height and width that 4 divides.
    ///
    /// ```
    /// use naswot::{Convention, nasbench201::{Cell, Op, Skeleton}};
    ///
    /// let network = Cell::new([Op::NorConv3x3; 6]).network(&Skeleton::default())?;
    /// assert_eq!(network.activations(32, 32, Convention::Relu)?, 40_960 + 6 * 143_360);
    /// assert_eq!(network.activations(32, 32, Convention::Original)?, 77_824 + 6 * 286_720);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] when the skeleton has no channels or more than 4,096, or no cells or more than 1,000 in a
    /// stage.
    ///
    /// [`Error::Setting`]: crate::Error::Setting
    pub fn network(&self, skeleton: &Skeleton) -> Result<Network> {
        let Skeleton { stem, cells } = *skeleton;
        within("stem", stem, MAX_CHANNELS)?;
        within("cells", cells, MAX_CELLS)?;
        let mut g = Graph::builder(3)?;
        let mut x = g.conv(g.input(), Conv::new(stem, 3).padding(1), "stem.0.weight")?;
        x = g.batch_norm(x, "stem.1")?;
        g.mark(x)?;
        for stage in 0..3 {
            // The benchmark numbers cells and reduction blocks through.
            let first = stage * (cells + 1);
            if stage > 0 {
                x = reduce(&mut g, x, stem << stage, &format!("cells.{}", first - 1))?;
                g.mark(x)?;
            }
            for i in first..first + cells {
                x = self.add_to(&mut g, x, &format!("cells.{i}"))?;
                g.mark(x)?;
            }
        }
        x = g.batch_norm(x, "lastact.0")?;
        x = g.relu(x)?;
        Ok(Network::from_graph(self.to_string(), g.classifier(x, CLASSES)?))
    }

    /// Adds one cell to a graph; its output has the channels of its input.
    fn add_to(&self, g: &mut GraphBuilder, input: NodeId, name: &str) -> Result<NodeId> {
        let channels = g.channels(input)?;
        let mut nodes = vec![input];
        for target in 1..=3 {
            let mut terms = Vec::with_capacity(target);
            for (source, &x) in nodes.iter().enumerate() {
                let edge = target * (target - 1) / 2 + source;
                let block = format!("{name}.layers.{edge}");
                terms.push(match self.ops[edge] {
                    Op::None => g.zero(x)?,
                    Op::SkipConnect => x,
                    Op::NorConv1x1 => relu_conv_bn(g, x, Conv::new(channels, 1), &block)?,
                    Op::NorConv3x3 => relu_conv_bn(g, x, Conv::new(channels, 3).padding(1), &block)?,
                    Op::AvgPool3x3 => g.avg_pool(x, Window::new(3, 1, 1))?,
                });
            }
            nodes.push(if let [term] = terms[..] { term } else { g.add(&terms)? });
        }
        Ok(nodes[3])
    }
}

/// Convolution and batch norm behind a ReLU, named as the benchmark's class ReLUConvBN.
fn relu_conv_bn(g: &mut GraphBuilder, input: NodeId, conv: Conv, name: &str) -> Result<NodeId> {
    let x = g.relu_counted(input, Multiplicity::RELU_CONV_BN)?;
    let x = g.conv(x, conv, &format!("{name}.op.1.weight"))?;
    g.batch_norm(x, &format!("{name}.op.2"))
}

/// A residual block that halves height and width. Its shortcut has no batch norm.
fn reduce(g: &mut GraphBuilder, input: NodeId, channels: usize, name: &str) -> Result<NodeId> {
    let conv = Conv::new(channels, 3).padding(1);
    let a = relu_conv_bn(g, input, conv.stride(2), &format!("{name}.conv_a"))?;
    let b = relu_conv_bn(g, a, conv, &format!("{name}.conv_b"))?;
    let pooled = g.avg_pool(input, Window::new(2, 2, 0))?;
    let shortcut = g.conv(pooled, Conv::new(channels, 1), &format!("{name}.downsample.1.weight"))?;
    g.add(&[shortcut, b])
}
