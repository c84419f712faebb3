//! The network as a user would draw it: nodes in topological order, with their shapes.
//!
//! A [`Graph`] is built node by node with a [`GraphBuilder`], which checks each node as it comes, so a
//! finished graph is valid. It knows nothing of devices and stores no weights: convolutions and batch norms
//! carry the *names* of their parameters, as a PyTorch checkpoint spells them.

mod builder;
mod op;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::{Error, Result};
pub use builder::GraphBuilder;
use op::LARGEST;
pub use op::{Conv, Convention, Distribution, Eps, Initializer, Multiplicity, Op, Window};
pub(crate) use op::{MOST_NUMBERS, numbers};

/// A node of a [`Graph`]: its position in topological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// Position of the node in the graph's topological order.
    pub fn index(self) -> usize {
        self.0
    }
}

/// Channels, height and width of one image at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl Shape {
    /// Pixels of one channel.
    ///
    /// ```
    /// let shape = naswot::Shape { channels: 16, height: 8, width: 4 };
    /// assert_eq!(shape.pixels(), 32);
    /// ```
    pub fn pixels(self) -> usize {
        self.height * self.width
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// One node of a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    name: Arc<str>,
    op: Op,
    inputs: Inputs,
    channels: usize,
}

/// The nodes that a node reads: seldom more than one, which takes no memory of its own.
#[derive(Clone, Debug)]
enum Inputs {
    One([NodeId; 1]),
    Others(Box<[NodeId]>),
}

impl From<&[NodeId]> for Inputs {
    fn from(nodes: &[NodeId]) -> Self {
        match nodes {
            [node] => Inputs::One([*node]),
            _ => Inputs::Others(nodes.into()),
        }
    }
}

impl Deref for Inputs {
    type Target = [NodeId];

    fn deref(&self) -> &[NodeId] {
        match self {
            Inputs::One(node) => node,
            Inputs::Others(nodes) => nodes,
        }
    }
}

impl Node {
    /// Its name: the parameter name of a convolution or batch norm, else made from operation and position.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it computes.
    pub fn op(&self) -> &Op {
        &self.op
    }

    /// The nodes it reads.
    pub fn inputs(&self) -> &[NodeId] {
        &self.inputs
    }

    /// Channels of its output.
    pub fn channels(&self) -> usize {
        self.channels
    }
}

/// A validated network, up to the features that its classifier would read.
///
/// ```
/// use naswot::{Conv, Graph};
///
/// let mut g = Graph::builder(3)?;
/// let x = g.input();
/// let x = g.conv(x, Conv::new(8, 3).padding(1), "conv.weight")?;
/// let x = g.batch_norm(x, "norm")?;
/// let x = g.relu(x)?;
/// let graph = g.classifier(x, 10)?;
/// assert_eq!(graph.parameters(), 8 * 27 + 16 + 90);
/// assert_eq!(graph.macs(32, 32)?, 8 * 27 * 1024);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Graph {
    nodes: Vec<Node>,
    output: NodeId,
    classes: Option<usize>,
    marks: Vec<NodeId>,
}

impl Graph {
    /// All nodes in topological order; the first is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The same graph with other initial weights in all its convolutions.
    ///
    /// ```
    /// use naswot::{Conv, Graph, Initializer, Op};
    ///
    /// let mut g = Graph::builder(3)?;
    /// let x = g.conv(g.input(), Conv::new(8, 3), "stem.weight")?;
    /// let graph = g.output(x)?.with_initializer(Initializer::Normal);
    /// assert!(matches!(graph.nodes()[1].op(), Op::Conv(conv) if conv.initializer == Initializer::Normal));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    #[must_use]
    pub fn with_initializer(mut self, initializer: Initializer) -> Self {
        for node in &mut self.nodes {
            if let Op::Conv(conv) = &mut node.op {
                conv.initializer = initializer;
            }
        }
        self
    }

    /// The features that the classifier reads.
    pub fn output(&self) -> NodeId {
        self.output
    }

    /// The nodes that were [marked](GraphBuilder::mark) as outputs of its blocks, in that order: the stem's, then each cell's.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Op, Skeleton};
    /// // The stem, three stages of five cells, and two reduction blocks.
    /// let network = Cell::new([Op::SkipConnect; 6]).network(&Skeleton::default())?;
    /// assert_eq!(network.graph().marks().len(), 1 + 15 + 2);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn marks(&self) -> &[NodeId] {
        &self.marks
    }

    /// Channels of the images that it reads.
    pub fn in_channels(&self) -> usize {
        self.nodes[0].channels
    }

    /// Shape of every node for images of a height and width, by position.
    ///
    /// # Errors
    /// Names the node whose kernel does not fit, whose window would leave pixels out, or whose inputs differ.
    pub fn shapes(&self, height: usize, width: usize) -> Result<Vec<Shape>> {
        if height.max(width) > LARGEST {
            return Err(Error::graph(
                "input",
                format!("has {height}x{width} pixels, more than {LARGEST} along an axis"),
            ));
        }
        let mut shapes: Vec<Shape> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let first = node.inputs.first().map(|i| shapes[i.0]);
            let (h, w) = first.map_or((height, width), |s| (s.height, s.width));
            let size = match &node.op {
                Op::Conv(conv) => conv.output(0, h).zip(conv.output(1, w)),
                Op::MaxPool(window) | Op::AvgPool(window) => window.output(0, h).zip(window.output(1, w)),
                _ => (h > 0 && w > 0).then_some((h, w)),
            };
            let Some((height, width)) = size else {
                return Err(Error::graph(
                    node.name(),
                    format!("{} does not fit {h}x{w} pixels", describe(node)),
                ));
            };
            if let Some(other) =
                node.inputs.iter().map(|i| shapes[i.0]).find(|s| (s.height, s.width) != (h, w))
            {
                let message = format!("joins {h}x{w} with {}x{} pixels", other.height, other.width);
                return Err(Error::graph(node.name(), message));
            }
            let shape = Shape { channels: node.channels, height, width };
            if height.max(width) > LARGEST || numbers(&[node.channels, height, width]).is_none() {
                let message = format!(
                    "has {shape} numbers, more than {MOST_NUMBERS} in all or {LARGEST} along an axis"
                );
                return Err(Error::graph(node.name(), message));
            }
            shapes.push(shape);
        }
        Ok(shapes)
    }

    /// Trainable parameters: convolutions, batch norms and the classifier where there is one.
    pub fn parameters(&self) -> u64 {
        let of_node = |node: &Node| match &node.op {
            Op::Conv(conv) => conv.out_channels as u64 * self.fan_in(node, conv),
            Op::BatchNorm { .. } => 2 * node.channels as u64,
            _ => 0,
        };
        let body: u64 = self.nodes.iter().map(of_node).sum();
        let features = self.nodes[self.output.0].channels as u64;
        body + self.classes.map_or(0, |classes| (features + 1) * classes as u64)
    }

    /// Multiply-accumulates of all convolutions for one image.
    ///
    /// # Errors
    /// As [`Graph::shapes`], and [`Error::Graph`] where they do not fit 64 bits.
    pub fn macs(&self, height: usize, width: usize) -> Result<u64> {
        let shapes = self.shapes(height, width)?;
        let macs = self.nodes.iter().zip(&shapes).map(|(node, shape)| match &node.op {
            Op::Conv(conv) => (shape.channels * shape.pixels()) as u128 * u128::from(self.fan_in(node, conv)),
            _ => 0,
        });
        let macs = macs.sum::<u128>();
        u64::try_from(macs).map_err(|_| {
            Error::graph("output", format!("takes {macs} multiply-accumulates, which do not fit 64 bits"))
        })
    }

    /// Weights of one output channel of a convolution.
    fn fan_in(&self, node: &Node, conv: &Conv) -> u64 {
        let in_channels = self.nodes[node.inputs[0].0].channels / conv.groups;
        (in_channels * conv.kernel[0] * conv.kernel[1]) as u64
    }

    /// Convolutions that have a path to the output; an edge multiplied by zero is an edge.
    ///
    /// ```
    /// use naswot::nasbench201::{Cell, Skeleton};
    /// // A stem, and three in each of two reduction blocks.
    /// let cell: Cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|".parse()?;
    /// assert_eq!(cell.network(&Skeleton::default())?.graph().convolutions(), 7);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn convolutions(&self) -> u64 {
        let reached = self.reached();
        let convolutions = self.nodes.iter().zip(reached);
        convolutions.filter(|(node, reached)| *reached && matches!(node.op, Op::Conv(_))).count() as u64
    }

    /// For each node, whether it has a path to the output. An edge multiplied by zero is an edge: a ReLU counts
    /// exactly when it has such a path.
    pub(crate) fn reached(&self) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        reached[self.output.0] = true;
        for (i, node) in self.nodes.iter().enumerate().rev() {
            if reached[i] {
                node.inputs.iter().for_each(|input| reached[input.0] = true);
            }
        }
        reached
    }

    /// N_A: code bits of one image over all counted ReLUs.
    ///
    /// ```
    /// use naswot::{Convention, nasbench201::{Cell, Skeleton}};
    /// let cell: Cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|".parse()?;
    /// let network = cell.network(&Skeleton::default())?;
    /// assert_eq!(network.graph().activations(32, 32, Convention::Relu)?, 40_960);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Graph::shapes`], and [`Error::Agreement`] where they do not fit 64 bits.
    pub fn activations(&self, height: usize, width: usize, convention: Convention) -> Result<u64> {
        let shapes = self.shapes(height, width)?;
        self.activations_of(&shapes, &self.reached(), convention)
    }

    /// The same from the shapes of its nodes, and which of them reach the output; in any integer that they fit.
    pub(crate) fn activations_of<T: TryFrom<u128>>(
        &self,
        shapes: &[Shape],
        reached: &[bool],
        convention: Convention,
    ) -> Result<T> {
        let bits =
            self.nodes.iter().zip(shapes).zip(reached).map(|((node, shape), &reached)| match node.op {
                Op::Relu(counts) if reached => {
                    u128::from(counts.under(convention)) * (shape.channels * shape.pixels()) as u128
                }
                _ => 0,
            });
        let bits = bits.sum::<u128>();
        T::try_from(bits).map_err(|_| Error::Agreement {
            message: format!("{bits} code bits an image do not fit {} bits", 8 * size_of::<T>()),
        })
    }
}

impl fmt::Display for Graph {
    /// One line a node: position, operation, inputs, channels, name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, node) in self.nodes.iter().enumerate() {
            let inputs: Vec<String> = node.inputs.iter().map(|input| format!("%{}", input.0)).collect();
            let text = format!("%{i} = {}({})", describe(node), inputs.join(", "));
            let output = if i == self.output.0 { "  -> output" } else { "" };
            writeln!(f, "{text:<48} {:>5} channels  {}{output}", node.channels, node.name)?;
        }
        Ok(())
    }
}

fn describe(node: &Node) -> String {
    let pair = |p: [usize; 2]| if p[0] == p[1] { p[0].to_string() } else { format!("{}x{}", p[0], p[1]) };
    match &node.op {
        Op::Conv(c) => {
            let mut text = format!("conv {}x{}", c.kernel[0], c.kernel[1]);
            for (word, value, usual) in [("stride", c.stride, 1), ("dilation", c.dilation, 1)] {
                if value != [usual; 2] {
                    text += &format!(" {word} {}", pair(value));
                }
            }
            if c.groups != 1 {
                text += &format!(" groups {}", c.groups);
            }
            text
        }
        Op::MaxPool(w) | Op::AvgPool(w) => {
            format!("{} {}x{} stride {}", node.op.name(), w.kernel[0], w.kernel[1], pair(w.stride))
        }
        op => op.name().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_multiplied_by_zero_is_an_edge_and_an_unread_branch_is_none() {
        let mut g = Graph::builder(3).unwrap();
        let dead = g.relu(g.input()).unwrap();
        let zero = g.zero(dead).unwrap();
        let unread = g.relu(g.input()).unwrap();
        let sum = g.add(&[zero, g.input()]).unwrap();
        let reached = g.output(sum).unwrap().reached();
        assert!(reached[dead.index()] && reached[zero.index()]);
        assert!(!reached[unread.index()]);
    }
}
