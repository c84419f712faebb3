//! Builds graphs, and checks each node as it comes.

use std::collections::HashMap;
use std::sync::Arc;

use super::{
    Conv, Eps, Graph, Inputs, LARGEST, MOST_NUMBERS, Multiplicity, Node, NodeId, Op, Window, numbers,
};
use crate::{Error, Result};

/// Initial capacity for nodes: those of most networks.
const ROOM: usize = 256;
/// Most nodes, so that sums over all of them fit 64 bits.
const MOST_NODES: usize = 1 << 23;

/// Builds a [`Graph`], node by node; every method returns the new node.
///
/// See [`Graph`] for an example.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    /// Names that callers have given.
    names: HashMap<Arc<str>, NodeId>,
    marks: Vec<NodeId>,
}

impl Graph {
    /// Starts a graph that reads images of so many channels.
    ///
    /// # Errors
    /// No channels, or 2^31 and more.
    pub fn builder(channels: usize) -> Result<GraphBuilder> {
        GraphBuilder::new(channels)
    }
}

impl GraphBuilder {
    fn new(channels: usize) -> Result<Self> {
        if channels == 0 {
            return Err(Error::graph("input", "has no channels"));
        }
        check_sizes("input", &[channels])?;
        let (nodes, names) = (Vec::with_capacity(ROOM), HashMap::with_capacity(ROOM));
        let mut builder = GraphBuilder { nodes, names, marks: Vec::new() };
        builder.push_named("input", Op::Input, &[], channels)?;
        Ok(builder)
    }

    /// The images.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Channels of a node.
    ///
    /// # Errors
    /// The node is not one of this graph.
    pub fn channels(&self, node: NodeId) -> Result<usize> {
        let unknown = || Error::graph(format!("%{}", node.0), "is not a node of this graph");
        self.nodes.get(node.0).map(|node| node.channels).ok_or_else(unknown)
    }

    /// A convolution, `weight` its parameter's name.
    ///
    /// # Errors
    /// A zero size, one of 2^31 and more, more than 2^40 weights, channels that the groups do not divide, or a name used
    /// before.
    pub fn conv(&mut self, input: NodeId, conv: Conv, weight: &str) -> Result<NodeId> {
        let channels = self.channels(input)?;
        let sizes = [conv.out_channels, conv.groups, conv.kernel[0], conv.kernel[1]];
        if sizes.contains(&0) || conv.stride.contains(&0) || conv.dilation.contains(&0) {
            return Err(Error::graph(weight, "has a size, stride or dilation of zero"));
        }
        if !channels.is_multiple_of(conv.groups) || !conv.out_channels.is_multiple_of(conv.groups) {
            let (groups, out) = (conv.groups, conv.out_channels);
            let message = format!(
                "has {groups} groups, which do not divide {channels} input and {out} output channels"
            );
            return Err(Error::graph(weight, message));
        }
        check_sizes(
            weight,
            &[[conv.out_channels; 2], conv.kernel, conv.stride, conv.padding, conv.dilation].concat(),
        )?;
        let [height, width] = conv.kernel;
        if numbers(&[channels / conv.groups, conv.out_channels, height, width]).is_none() {
            return Err(Error::graph(weight, format!("has more than {MOST_NUMBERS} weights")));
        }
        self.push_named(weight, Op::Conv(conv), &[input], conv.out_channels)
    }

    /// A batch norm with eps 1e-5; its parameters are `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// A name used before.
    pub fn batch_norm(&mut self, input: NodeId, name: &str) -> Result<NodeId> {
        self.batch_norm_with(input, name, Eps::DEFAULT)
    }

    /// A batch norm with another eps.
    ///
    /// # Errors
    /// A name used before.
    pub fn batch_norm_with(&mut self, input: NodeId, name: &str, eps: Eps) -> Result<NodeId> {
        let channels = self.channels(input)?;
        self.push_named(name, Op::BatchNorm { eps }, &[input], channels)
    }

    /// A ReLU that counts once under either convention.
    ///
    /// # Errors
    /// The input is not a node of this graph.
    pub fn relu(&mut self, input: NodeId) -> Result<NodeId> {
        self.relu_counted(input, Multiplicity::ONCE)
    }

    /// A ReLU that the conventions count otherwise.
    ///
    /// # Errors
    /// The input is not a node of this graph.
    pub fn relu_counted(&mut self, input: NodeId, counts: Multiplicity) -> Result<NodeId> {
        self.unary(Op::Relu(counts), input)
    }

    /// Maximum over a window.
    ///
    /// # Errors
    /// A window of size zero, or padded by as much as its size.
    pub fn max_pool(&mut self, input: NodeId, window: Window) -> Result<NodeId> {
        self.pool(Op::MaxPool(window), input, window)
    }

    /// Average over a window, padding not counted.
    ///
    /// # Errors
    /// As [`GraphBuilder::max_pool`].
    pub fn avg_pool(&mut self, input: NodeId, window: Window) -> Result<NodeId> {
        self.pool(Op::AvgPool(window), input, window)
    }

    /// Elementwise sum of one or more nodes.
    ///
    /// # Errors
    /// No inputs, or inputs of different channels.
    pub fn add(&mut self, inputs: &[NodeId]) -> Result<NodeId> {
        let channels = self.first_channels("add", inputs)?;
        for &input in inputs {
            let other = self.channels(input)?;
            if other != channels {
                let message = format!("adds {channels} and {other} channels");
                return Err(Error::graph(self.fresh("add"), message));
            }
        }
        self.push(Op::Add, inputs, channels)
    }

    /// The channels of one or more nodes, one after the other.
    ///
    /// # Errors
    /// No inputs, or 2^31 channels and more.
    pub fn concat(&mut self, inputs: &[NodeId]) -> Result<NodeId> {
        self.first_channels("concat", inputs)?;
        let mut channels = 0usize;
        for &input in inputs {
            channels = channels.saturating_add(self.channels(input)?);
        }
        check_sizes(&self.fresh("concat"), &[channels])?;
        self.push(Op::Concat, inputs, channels)
    }

    /// The first channels of a node.
    ///
    /// # Errors
    /// No channels, or more than the node has.
    pub fn slice(&mut self, input: NodeId, channels: usize) -> Result<NodeId> {
        let whole = self.channels(input)?;
        if channels == 0 || channels > whole {
            return Err(Error::graph(self.fresh("slice"), format!("takes {channels} of {whole} channels")));
        }
        self.push(Op::Slice { channels }, &[input], channels)
    }

    /// A node times zero. The edge stays: ReLUs behind it still count.
    ///
    /// # Errors
    /// The input is not a node of this graph.
    pub fn zero(&mut self, input: NodeId) -> Result<NodeId> {
        self.unary(Op::Zero, input)
    }

    /// Marks a node as the output of a block: first the stem's, then each cell's, in order. Scores of features
    /// ([`ScoreKind::Meco`], [`ScoreKind::Expressivity`], [`ScoreKind::Progressivity`]) look at the marks that have a path to
    /// the graph's output; no other score knows of them. A node may be marked again, by a cell that hands on its input.
    ///
    /// ```
    /// use naswot::{Conv, Graph};
    ///
    /// let mut g = Graph::builder(3)?;
    /// let stem = g.conv(g.input(), Conv::new(8, 3).padding(1), "stem.weight")?;
    /// let stem = g.batch_norm(stem, "stem.norm")?;
    /// g.mark(stem)?;
    /// let cell = g.relu(stem)?;
    /// g.mark(cell)?;
    /// assert_eq!(g.output(cell)?.marks(), [stem, cell]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// Not a node of this graph, or 2^23 marks.
    ///
    /// [`ScoreKind::Meco`]: crate::ScoreKind::Meco
    /// [`ScoreKind::Expressivity`]: crate::ScoreKind::Expressivity
    /// [`ScoreKind::Progressivity`]: crate::ScoreKind::Progressivity
    pub fn mark(&mut self, node: NodeId) -> Result<()> {
        self.channels(node)?;
        if self.marks.len() == MOST_NODES {
            return Err(Error::graph(
                &*self.nodes[node.0].name,
                format!("would be marked after {MOST_NODES} marks, the most that a graph has"),
            ));
        }
        self.marks.push(node);
        Ok(())
    }

    /// Ends the graph at the features that a linear classifier of so many classes reads. The classifier
    /// cannot change the score, so it only counts as parameters.
    ///
    /// # Errors
    /// No classes, or features that are not a node of this graph.
    pub fn classifier(self, features: NodeId, classes: usize) -> Result<Graph> {
        if classes == 0 {
            return Err(Error::graph("classifier", "has no classes"));
        }
        check_sizes("classifier", &[classes])?;
        self.finish(features, Some(classes))
    }

    /// Ends the graph at an output without a classifier.
    ///
    /// # Errors
    /// The output is not a node of this graph.
    pub fn output(self, output: NodeId) -> Result<Graph> {
        self.finish(output, None)
    }

    fn finish(self, output: NodeId, classes: Option<usize>) -> Result<Graph> {
        self.channels(output)?;
        Ok(Graph { nodes: self.nodes, output, classes, marks: self.marks })
    }

    fn unary(&mut self, op: Op, input: NodeId) -> Result<NodeId> {
        let channels = self.channels(input)?;
        self.push(op, &[input], channels)
    }

    fn pool(&mut self, op: Op, input: NodeId, window: Window) -> Result<NodeId> {
        for axis in 0..2 {
            let (k, s, p) = (window.kernel[axis], window.stride[axis], window.padding[axis]);
            if k == 0 || s == 0 || p >= k {
                let message = format!("a window of {k} at stride {s} with padding {p} is not a pool");
                return Err(Error::graph(self.fresh(op.name()), message));
            }
            check_sizes(&self.fresh(op.name()), &[k, s, p])?;
        }
        self.unary(op, input)
    }

    /// Channels of the first of one or more nodes.
    fn first_channels(&self, kind: &str, inputs: &[NodeId]) -> Result<usize> {
        match inputs {
            [first, ..] => self.channels(*first),
            [] => Err(Error::graph(self.fresh(kind), "has no inputs")),
        }
    }

    /// A name made from operation and position.
    fn fresh(&self, kind: &str) -> String {
        format!("{kind}#{}", self.nodes.len())
    }

    /// The node that has a name.
    fn named(&self, name: &str) -> Option<NodeId> {
        let made = || {
            let position: usize = name.rsplit_once('#')?.1.parse().ok()?;
            self.nodes.get(position).filter(|node| *node.name == *name).map(|_| NodeId(position))
        };
        self.names.get(name).copied().or_else(made)
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], channels: usize) -> Result<NodeId> {
        let name = Arc::from(self.fresh(op.name()));
        self.push_node(name, op, inputs, channels)
    }

    fn push_named(&mut self, name: &str, op: Op, inputs: &[NodeId], channels: usize) -> Result<NodeId> {
        let name: Arc<str> = Arc::from(name);
        let id = self.push_node(Arc::clone(&name), op, inputs, channels)?;
        self.names.insert(name, id);
        Ok(id)
    }

    fn push_node(&mut self, name: Arc<str>, op: Op, inputs: &[NodeId], channels: usize) -> Result<NodeId> {
        if let Some(before) = self.named(&name) {
            return Err(Error::graph(&*name, format!("has the name of node %{}", before.0)));
        }
        if self.nodes.len() == MOST_NODES {
            return Err(Error::graph(
                &*name,
                format!("would be the node after {MOST_NODES}, the most that a graph has"),
            ));
        }
        self.nodes.push(Node { name, op, inputs: Inputs::from(inputs), channels });
        Ok(NodeId(self.nodes.len() - 1))
    }
}

/// Refuses a size that is too large to calculate with.
fn check_sizes(node: &str, sizes: &[usize]) -> Result<()> {
    match sizes.iter().find(|&&size| size > LARGEST) {
        Some(size) => Err(Error::graph(node, format!("has a size of {size}, more than {LARGEST}"))),
        None => Ok(()),
    }
}
