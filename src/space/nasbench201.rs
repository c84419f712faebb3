//! NAS-Bench-201 (Dong and Yang, 2020), which is also the topology space of NATS-Bench: 15,625 cells of four
//! nodes and six edges.
//!
//! Node j of a cell is the sum over i < j of an operation on node i; node 0 is the input and node 3 the
//! output. A cell is written as the benchmark writes it, nodes 1 to 3 in order, each with its edges in the
//! order of their sources:
//!
//! ```
//! use naswot::nasbench201::{Cell, Op};
//!
//! let cell: Cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|".parse()?;
//! assert_eq!(cell.ops()[2], Op::SkipConnect);
//! assert_eq!(cell.network(16, 5)?.parameters(), 73_306 + 5 * (9 * 5_376 + 2 * 112));
//! # Ok::<(), naswot::Error>(())
//! ```

use std::fmt;
use std::str::FromStr;

use super::quoted;
use crate::random::{Domain, Rng};
use crate::{Conv, Error, Graph, GraphBuilder, Multiplicity, Network, NodeId, Result, Window};

/// Cells of the space: five operations on each of six edges.
pub const COUNT: usize = Op::ALL.len().pow(EDGES.len() as u32);

/// The edges of a cell as (source, target), in the order of arch strings.
pub const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

/// Classes of CIFAR-10: the classifier counts as parameters, and cannot change a score.
const CLASSES: usize = 10;

/// Limits far above any device's memory, below which no count of parameters or operations overflows.
const MAX_CHANNELS: usize = 4_096;
const MAX_CELLS: usize = 1_000;

/// The operation on an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `none`: multiplication by zero.
    None,
    /// `skip_connect`: the source itself.
    SkipConnect,
    /// `nor_conv_1x1`: ReLU, 1x1 convolution, batch norm.
    NorConv1x1,
    /// `nor_conv_3x3`: ReLU, 3x3 convolution, batch norm.
    NorConv3x3,
    /// `avg_pool_3x3`: average over 3x3 pixels at stride 1, padding not counted.
    AvgPool3x3,
}

impl Op {
    /// All operations, in the benchmark's order.
    pub const ALL: [Op; 5] = [Op::None, Op::SkipConnect, Op::NorConv1x1, Op::NorConv3x3, Op::AvgPool3x3];

    /// The operation's name in arch strings.
    ///
    /// ```
    /// assert_eq!(naswot::nasbench201::Op::NorConv3x3.name(), "nor_conv_3x3");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Op::None => "none",
            Op::SkipConnect => "skip_connect",
            Op::NorConv1x1 => "nor_conv_1x1",
            Op::NorConv3x3 => "nor_conv_3x3",
            Op::AvgPool3x3 => "avg_pool_3x3",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Op {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        parse_op(name).map_err(invalid)
    }
}

/// A cell: one operation on each of the [`EDGES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    ops: [Op; 6],
}

impl Cell {
    /// The cell with these operations on the [`EDGES`].
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Op};
    ///
    /// let cell = Cell::new([Op::SkipConnect; 6]);
    /// assert!(cell.to_string().starts_with("|skip_connect~0|+|skip_connect~0|skip_connect~1|+|"));
    /// ```
    pub fn new(ops: [Op; 6]) -> Self {
        Cell { ops }
    }

    /// The operations on the [`EDGES`].
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, EDGES, Op};
    ///
    /// let cell: Cell = "|none~0|+|none~0|none~1|+|none~0|avg_pool_3x3~1|none~2|".parse()?;
    /// let pooled = cell.ops().iter().position(|&op| op == Op::AvgPool3x3).unwrap();
    /// assert_eq!(EDGES[pooled], (1, 3));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn ops(&self) -> [Op; 6] {
        self.ops
    }

    /// The cell with another operation on one edge, the edge and its new operation drawn uniformly: the
    /// mutation of regularised evolution (Real et al., 2019). Equal seeds make equal mutants.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Op};
    ///
    /// let parent = Cell::new([Op::NorConv3x3; 6]);
    /// let child = parent.mutate(7);
    /// assert_eq!(child.ops().iter().filter(|&&op| op == Op::NorConv3x3).count(), 5);
    /// ```
    #[must_use]
    pub fn mutate(&self, seed: u64) -> Self {
        let mut rng = Rng::new(seed, Domain::Sampling, "nasbench201/mutation");
        let edge = rng.below(EDGES.len() as u32) as usize;
        // 1 to 4 places further round the circle of five: any operation but the present one.
        let step = 1 + rng.below(Op::ALL.len() as u32 - 1) as usize;
        let mut mutant = *self;
        mutant.ops[edge] = Op::ALL[(self.ops[edge] as usize + step) % Op::ALL.len()];
        mutant
    }

    /// The network of the benchmark with this cell, for images of three channels: a stem, then three stages
    /// of `n` cells at `c`, `2c` and `4c` channels with a reduction block before the second and the third,
    /// then batch norm, ReLU and a classifier of ten classes. The benchmark has `c` = 16 and `n` = 5.
    ///
    /// Parameters are named as in the benchmark's checkpoints, and the network's id is the arch string.
    /// Images need a height and width that 4 divides.
    ///
    /// ```
    /// use naswot::{Convention, nasbench201::{Cell, Op}};
    ///
    /// let network = Cell::new([Op::NorConv3x3; 6]).network(16, 5)?;
    /// assert_eq!(network.activations(32, 32, Convention::Relu)?, 40_960 + 6 * 143_360);
    /// assert_eq!(network.activations(32, 32, Convention::Original)?, 77_824 + 6 * 286_720);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] when `c` is 0 or above 4,096, or `n` is 0 or above 1,000.
    pub fn network(&self, c: usize, n: usize) -> Result<Network> {
        within("stem", c, MAX_CHANNELS)?;
        within("cells", n, MAX_CELLS)?;
        let mut g = Graph::builder(3)?;
        let mut x = g.conv(g.input(), Conv::new(c, 3).padding(1), "stem.0.weight")?;
        x = g.batch_norm(x, "stem.1")?;
        for stage in 0..3 {
            // The benchmark numbers cells and reduction blocks through.
            let first = stage * (n + 1);
            if stage > 0 {
                x = reduce(&mut g, x, c << stage, &format!("cells.{}", first - 1))?;
            }
            for i in first..first + n {
                x = self.add_to(&mut g, x, &format!("cells.{i}"))?;
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

    /// The cell at a position of [`all`], the position's base-5 digits being the operations.
    fn at(index: usize) -> Self {
        let mut rest = index;
        let mut ops = [Op::None; 6];
        for op in ops.iter_mut().rev() {
            *op = Op::ALL[rest % Op::ALL.len()];
            rest /= Op::ALL.len();
        }
        Cell { ops }
    }
}

impl fmt::Display for Cell {
    /// The arch string.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ((source, target), op) in EDGES.into_iter().zip(self.ops) {
            let start = match (source, target) {
                (0, 1) => "|",
                (0, _) => "+|",
                _ => "",
            };
            write!(f, "{start}{op}~{source}|")?;
        }
        Ok(())
    }
}

impl FromStr for Cell {
    type Err = Error;

    /// Reads an arch string exactly as [`Cell`]'s `Display` writes it.
    fn from_str(arch: &str) -> Result<Self> {
        parse_ops(arch).map(Cell::new).map_err(invalid)
    }
}

/// All cells, sorted: ascending as six-digit numbers in base 5 whose digits are the operations on the
/// [`EDGES`] in the order of [`Op::ALL`], the first edge slowest.
///
/// The order is not that of the benchmark's own indices.
///
/// ```
/// use naswot::nasbench201;
///
/// assert_eq!(nasbench201::all().len(), nasbench201::COUNT);
/// let second = nasbench201::all().nth(1).unwrap();
/// assert_eq!(second.to_string(), "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|");
/// ```
pub fn all() -> impl DoubleEndedIterator<Item = Cell> + ExactSizeIterator + Clone {
    (0..COUNT).map(Cell::at)
}

/// `n` different cells, drawn uniformly without replacement, in the order of the draw: the sample of a
/// smaller `n` is the start of that of a larger one. Equal seeds make equal samples.
///
/// ```
/// let cells = naswot::nasbench201::sample(100, 0)?;
/// assert_eq!(cells[..10], naswot::nasbench201::sample(10, 0)?);
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] when `n` is more than the [`COUNT`] of the space.
pub fn sample(n: usize, seed: u64) -> Result<Vec<Cell>> {
    if n > COUNT {
        let message = format!("{n} different cells are more than the {COUNT} of nasbench201");
        return Err(Error::Setting { name: "n", message });
    }
    let mut rng = Rng::new(seed, Domain::Sampling, "nasbench201/cells");
    let mut indices: Vec<usize> = (0..COUNT).collect();
    // The first n steps of a Fisher-Yates shuffle.
    for i in 0..n {
        indices.swap(i, i + rng.below((COUNT - i) as u32) as usize);
    }
    Ok(indices[..n].iter().map(|&index| Cell::at(index)).collect())
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

fn within(name: &'static str, value: usize, most: usize) -> Result<()> {
    if (1..=most).contains(&value) {
        Ok(())
    } else {
        Err(Error::Setting { name, message: format!("{value} is not from 1 to {most}") })
    }
}

/// The operations of an arch string, or what is wrong with it.
fn parse_ops(arch: &str) -> Result<[Op; 6], String> {
    let count = arch.split('+').count();
    if count != 3 {
        return Err(format!("{} describes {count} nodes, not 3", quoted(arch)));
    }
    let mut ops = [Op::None; 6];
    let mut places = ops.iter_mut();
    for (node, target) in arch.split('+').zip(1..) {
        let edges = node.strip_prefix('|').and_then(|edges| edges.strip_suffix('|'));
        let edges = edges.ok_or_else(|| format!("node {target} is {}, not between `|`", quoted(node)))?;
        let count = edges.split('|').count();
        if count != target {
            return Err(format!("node {target} is {} of {count} edges, not {target}", quoted(node)));
        }
        for ((edge, source), place) in edges.split('|').zip(0..).zip(&mut places) {
            *place =
                parse_edge(edge, source).map_err(|why| format!("edge {source} of node {target} {why}"))?;
        }
    }
    Ok(ops)
}

/// The operation of an edge that comes from node `source`.
fn parse_edge(edge: &str, source: usize) -> Result<Op, String> {
    let (op, from) = edge.split_once('~').ok_or_else(|| format!("is {}, without `~`", quoted(edge)))?;
    if from != source.to_string() {
        return Err(format!("comes from {}, not from node {source}", quoted(from)));
    }
    parse_op(op).map_err(|why| format!("has an {why}"))
}

fn parse_op(name: &str) -> Result<Op, String> {
    let known = || Op::ALL.map(Op::name).join(", ");
    let op = Op::ALL.into_iter().find(|op| op.name() == name);
    op.ok_or_else(|| format!("unknown operation {} (known are {})", quoted(name), known()))
}

fn invalid(message: String) -> Error {
    Error::Cell { space: "nasbench201", message }
}
