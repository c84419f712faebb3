//! The network as a user would draw it: nodes in topological order, with their shapes.
//!
//! A [`Graph`] is built node by node with a [`GraphBuilder`], which checks each node as it comes, so a
//! finished graph is valid. It knows nothing of devices and stores no weights: convolutions and batch norms
//! carry the *names* of their parameters, as a PyTorch checkpoint spells them.

use std::collections::HashMap;
use std::fmt;

use crate::{Error, Result};

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

/// Which of the two published ways counts the bits of a ReLU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Convention {
    /// Every ReLU module once.
    #[default]
    Relu,
    /// The numbers of the paper's public code, whose hook also matches the wrapper class of
    /// NAS-Bench-201's ReLU-Conv-BN blocks, so that their ReLUs count twice.
    Original,
}

impl Convention {
    /// The convention's name, as the command line spells it.
    ///
    /// ```
    /// assert_eq!(naswot::Convention::Original.name(), "original");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Convention::Relu => "relu",
            Convention::Original => "original",
        }
    }
}

/// How often each [`Convention`] counts a ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Multiplicity {
    /// Under [`Convention::Relu`].
    pub relu: u32,
    /// Under [`Convention::Original`].
    pub original: u32,
}

impl Multiplicity {
    /// Once under either convention.
    pub const ONCE: Self = Multiplicity { relu: 1, original: 1 };
    /// The ReLU of a ReLU-Conv-BN block, which the public code counts twice.
    pub const RELU_CONV_BN: Self = Multiplicity { relu: 1, original: 2 };

    /// The multiplicity under one convention.
    ///
    /// ```
    /// use naswot::{Convention, Multiplicity};
    /// assert_eq!(Multiplicity::RELU_CONV_BN.under(Convention::Original), 2);
    /// ```
    pub fn under(self, convention: Convention) -> u32 {
        match convention {
            Convention::Relu => self.relu,
            Convention::Original => self.original,
        }
    }
}

/// The unit-variance distribution that initial weights are drawn from; the scale stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Standard normal.
    Normal,
    /// Uniform on plus and minus the square root of 3.
    Uniform,
}

/// How the initial weights of a convolution are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Initializer {
    /// Normal with standard deviation sqrt(2 / fan_out): NAS-Bench-101 (He et al., 2015, "fan out").
    KaimingNormalFanOut,
    /// Uniform on plus and minus 1 / sqrt(fan_in): PyTorch's default for convolutions, that of NAS-Bench-201.
    UniformFanIn,
    /// Normal with standard deviation sqrt(2 / fan_in) (He et al., 2015; PyTorch's `kaiming_normal_`).
    KaimingNormal,
    /// Normal with standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, 2010).
    XavierNormal,
    /// Uniform with the same standard deviation: on plus and minus sqrt(6 / (fan_in + fan_out)).
    XavierUniform,
    /// Standard normal.
    Normal,
}

impl Initializer {
    /// All of them.
    pub const ALL: [Initializer; 6] = [
        Initializer::KaimingNormalFanOut,
        Initializer::UniformFanIn,
        Initializer::KaimingNormal,
        Initializer::XavierNormal,
        Initializer::XavierUniform,
        Initializer::Normal,
    ];

    /// Its name on the command line and in rows.
    ///
    /// ```
    /// assert_eq!(naswot::Initializer::XavierNormal.name(), "xavier-normal");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Initializer::KaimingNormalFanOut => "kaiming-normal-fan-out",
            Initializer::UniformFanIn => "uniform-fan-in",
            Initializer::KaimingNormal => "kaiming-normal",
            Initializer::XavierNormal => "xavier-normal",
            Initializer::XavierUniform => "xavier-uniform",
            Initializer::Normal => "normal",
        }
    }

    /// The unit-variance distribution behind it.
    ///
    /// ```
    /// use naswot::{Distribution, Initializer};
    /// assert_eq!(Initializer::UniformFanIn.distribution(), Distribution::Uniform);
    /// ```
    pub fn distribution(self) -> Distribution {
        match self {
            Initializer::KaimingNormalFanOut
            | Initializer::KaimingNormal
            | Initializer::XavierNormal
            | Initializer::Normal => Distribution::Normal,
            Initializer::UniformFanIn | Initializer::XavierUniform => Distribution::Uniform,
        }
    }

    /// Standard deviation of one weight.
    ///
    /// ```
    /// let sd = naswot::Initializer::KaimingNormalFanOut.standard_deviation(27, 72);
    /// assert!((sd - (2.0f64 / 72.0).sqrt()).abs() < 1e-15);
    /// ```
    pub fn standard_deviation(self, fan_in: usize, fan_out: usize) -> f64 {
        let (fan_in, fan_out) = (fan_in as f64, fan_out as f64);
        match self {
            Initializer::KaimingNormalFanOut => (2.0 / fan_out).sqrt(),
            Initializer::UniformFanIn => (1.0 / (3.0 * fan_in)).sqrt(),
            Initializer::KaimingNormal => (2.0 / fan_in).sqrt(),
            Initializer::XavierNormal | Initializer::XavierUniform => (2.0 / (fan_in + fan_out)).sqrt(),
            Initializer::Normal => 1.0,
        }
    }
}

/// A 2-D convolution without bias. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Output channels.
    pub out_channels: usize,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zero padding on each side.
    pub padding: [usize; 2],
    /// Distance between kernel taps, in pixels.
    pub dilation: [usize; 2],
    /// Groups that the channels fall into.
    pub groups: usize,
    /// How initial weights are drawn.
    pub initializer: Initializer,
}

impl Conv {
    /// A square kernel, stride 1, no padding, no dilation, one group, PyTorch's default initial weights.
    ///
    /// ```
    /// use naswot::Conv;
    /// let conv = Conv::new(16, 3).stride(2).padding(1);
    /// assert_eq!(conv.stride, [2, 2]);
    /// ```
    pub fn new(out_channels: usize, kernel: usize) -> Self {
        Conv {
            out_channels,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: 1,
            initializer: Initializer::UniformFanIn,
        }
    }

    /// The same with another stride, both ways alike.
    pub fn stride(self, stride: usize) -> Self {
        Conv { stride: [stride; 2], ..self }
    }

    /// The same with zero padding on all sides.
    pub fn padding(self, padding: usize) -> Self {
        Conv { padding: [padding; 2], ..self }
    }

    /// The same with another dilation, both ways alike.
    pub fn dilation(self, dilation: usize) -> Self {
        Conv { dilation: [dilation; 2], ..self }
    }

    /// The same with grouped channels.
    pub fn groups(self, groups: usize) -> Self {
        Conv { groups, ..self }
    }

    /// The same with other initial weights.
    pub fn initializer(self, initializer: Initializer) -> Self {
        Conv { initializer, ..self }
    }

    /// Standard deviation of its initial weights for a number of input channels.
    ///
    /// ```
    /// use naswot::{Conv, Initializer};
    /// let conv = Conv::new(16, 3).initializer(Initializer::KaimingNormalFanOut);
    /// assert!((conv.standard_deviation(8) - (2.0f64 / (9.0 * 16.0)).sqrt()).abs() < 1e-15);
    /// ```
    pub fn standard_deviation(&self, in_channels: usize) -> f64 {
        let taps = self.kernel[0] * self.kernel[1];
        self.initializer.standard_deviation(in_channels / self.groups * taps, self.out_channels * taps)
    }

    fn output(&self, axis: usize, size: usize) -> Option<usize> {
        let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
        (size + 2 * self.padding[axis]).checked_sub(reach).map(|room| room / self.stride[axis] + 1)
    }
}

/// The window of a pooling layer. Pairs are (vertical, horizontal).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Padding, which never takes part: it is below every maximum and outside every average.
    pub padding: [usize; 2],
}

impl Window {
    /// A square window.
    ///
    /// ```
    /// let window = naswot::Window::new(3, 1, 1);
    /// assert_eq!(window.kernel, [3, 3]);
    /// ```
    pub fn new(kernel: usize, stride: usize, padding: usize) -> Self {
        Window { kernel: [kernel; 2], stride: [stride; 2], padding: [padding; 2] }
    }

    /// Whether it is one pixel at stride 1, which changes nothing.
    pub(crate) fn is_identity(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1]
    }

    /// Output size along one axis; none when the window does not fit or would leave pixels out.
    fn output(&self, axis: usize, size: usize) -> Option<usize> {
        let (k, s, p) = (self.kernel[axis], self.stride[axis], self.padding[axis]);
        let out = (size + 2 * p).checked_sub(k)? / s + 1;
        ((out - 1) * s + k >= size + p).then_some(out)
    }
}

/// What a node computes from its inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// The batch of images.
    Input,
    /// A convolution; the node's name is the name of its weight.
    Conv(Conv),
    /// A batch norm over the batch's own statistics; the node's name and `.weight` or `.bias` is the name
    /// of its gamma or beta.
    BatchNorm {
        /// Added to the variance.
        eps: Eps,
    },
    /// A ReLU.
    Relu(Multiplicity),
    /// Maximum over a window.
    MaxPool(Window),
    /// Average over a window, padding not counted in the divisor.
    AvgPool(Window),
    /// Elementwise sum.
    Add,
    /// Channels of all inputs, one after the other.
    Concat,
    /// The first channels of the input.
    Slice {
        /// How many channels stay.
        channels: usize,
    },
    /// Multiplication by zero (`none` of NAS-Bench-201).
    Zero,
}

/// The eps of a batch norm, a positive number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Eps(f64);

impl Eq for Eps {}

impl std::hash::Hash for Eps {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Eps {
    /// PyTorch's default, 1e-5.
    pub const DEFAULT: Self = Eps(1e-5);

    /// Takes a finite number above zero.
    ///
    /// ```
    /// assert!(naswot::Eps::new(0.0).is_err());
    /// assert_eq!(naswot::Eps::new(1e-3).unwrap().get(), 1e-3);
    /// ```
    pub fn new(eps: f64) -> Result<Self> {
        if eps.is_finite() && eps > 0.0 {
            Ok(Eps(eps))
        } else {
            Err(Error::Setting { name: "eps", message: format!("{eps} is not a finite number above zero") })
        }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Op {
    /// The operation's name in tables and errors.
    ///
    /// ```
    /// assert_eq!(naswot::Op::Add.name(), "add");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Conv(_) => "conv",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Relu(_) => "relu",
            Op::MaxPool(_) => "max_pool",
            Op::AvgPool(_) => "avg_pool",
            Op::Add => "add",
            Op::Concat => "concat",
            Op::Slice { .. } => "slice",
            Op::Zero => "zero",
        }
    }
}

/// One node of a [`Graph`].
#[derive(Clone, Debug)]
pub struct Node {
    pub(crate) name: String,
    pub(crate) op: Op,
    pub(crate) inputs: Vec<NodeId>,
    pub(crate) channels: usize,
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
}

impl Graph {
    /// Starts a graph that reads images of so many channels.
    pub fn builder(channels: usize) -> Result<GraphBuilder> {
        if channels == 0 {
            return Err(Error::graph("input", "has no channels"));
        }
        let input = Node { name: "input".to_owned(), op: Op::Input, inputs: Vec::new(), channels };
        Ok(GraphBuilder { nodes: vec![input], names: HashMap::from([("input".to_owned(), NodeId(0))]) })
    }

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

    /// Channels of the images that it reads.
    pub fn in_channels(&self) -> usize {
        self.nodes[0].channels
    }

    /// Shape of every node for images of a height and width, by position.
    ///
    /// # Errors
    /// Names the node whose kernel does not fit, whose window would leave pixels out, or whose inputs differ.
    pub fn shapes(&self, height: usize, width: usize) -> Result<Vec<Shape>> {
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
                    &node.name,
                    format!("{} does not fit {h}x{w} pixels", describe(node)),
                ));
            };
            if let Some(other) =
                node.inputs.iter().map(|i| shapes[i.0]).find(|s| (s.height, s.width) != (h, w))
            {
                let message = format!("joins {h}x{w} with {}x{} pixels", other.height, other.width);
                return Err(Error::graph(&node.name, message));
            }
            shapes.push(Shape { channels: node.channels, height, width });
        }
        Ok(shapes)
    }

    /// Trainable parameters: convolutions, batch norms and the classifier where there is one.
    pub fn parameters(&self) -> u64 {
        let body: usize = self
            .nodes
            .iter()
            .map(|node| match &node.op {
                Op::Conv(conv) => {
                    self.nodes[node.inputs[0].0].channels / conv.groups
                        * conv.out_channels
                        * conv.kernel[0]
                        * conv.kernel[1]
                }
                Op::BatchNorm { .. } => 2 * node.channels,
                _ => 0,
            })
            .sum();
        let features = self.nodes[self.output.0].channels;
        (body + self.classes.map_or(0, |classes| features * classes + classes)) as u64
    }

    /// Multiply-accumulates of all convolutions for one image.
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn macs(&self, height: usize, width: usize) -> Result<u64> {
        let shapes = self.shapes(height, width)?;
        let macs = self.nodes.iter().zip(&shapes).map(|(node, shape)| match &node.op {
            Op::Conv(conv) => {
                let taps = conv.kernel[0] * conv.kernel[1];
                let in_channels = self.nodes[node.inputs[0].0].channels / conv.groups;
                (shape.channels * shape.pixels()) as u64 * (in_channels * taps) as u64
            }
            _ => 0,
        });
        Ok(macs.sum())
    }

    /// N_A: code bits of one image over all counted ReLUs.
    ///
    /// ```
    /// use naswot::{Convention, nasbench201::Cell};
    /// let cell: Cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|".parse()?;
    /// let network = cell.network(16, 5)?;
    /// assert_eq!(network.graph().activations(32, 32, Convention::Relu)?, 40_960);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Graph::shapes`].
    pub fn activations(&self, height: usize, width: usize, convention: Convention) -> Result<u64> {
        let shapes = self.shapes(height, width)?;
        let reached = crate::plan::reach(self);
        let bits =
            self.nodes.iter().zip(&shapes).zip(reached).map(|((node, shape), reached)| match node.op {
                Op::Relu(counts) if reached => {
                    u64::from(counts.under(convention)) * (shape.channels * shape.pixels()) as u64
                }
                _ => 0,
            });
        Ok(bits.sum())
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

/// Builds a [`Graph`], node by node; every method returns the new node.
///
/// See [`Graph`] for an example.
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    names: HashMap<String, NodeId>,
}

impl GraphBuilder {
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
    /// A zero size, channels that the groups do not divide, or a name used before.
    pub fn conv(&mut self, input: NodeId, conv: Conv, weight: &str) -> Result<NodeId> {
        let channels = self.channels(input)?;
        let sizes = [conv.out_channels, conv.groups, conv.kernel[0], conv.kernel[1]];
        let steps = [conv.stride, conv.dilation].concat();
        if sizes.contains(&0) || steps.contains(&0) {
            return Err(Error::graph(weight, "has a size, stride or dilation of zero"));
        }
        if !channels.is_multiple_of(conv.groups) || !conv.out_channels.is_multiple_of(conv.groups) {
            let (groups, out) = (conv.groups, conv.out_channels);
            let message = format!(
                "has {groups} groups, which do not divide {channels} input and {out} output channels"
            );
            return Err(Error::graph(weight, message));
        }
        self.push(weight, Op::Conv(conv), vec![input], conv.out_channels)
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
        self.push(name, Op::BatchNorm { eps }, vec![input], channels)
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
        let channels = self.channels_of("add", inputs)?;
        if let Some(other) = channels.iter().find(|&&c| c != channels[0]) {
            let message = format!("adds {} and {other} channels", channels[0]);
            return Err(Error::graph(self.fresh("add"), message));
        }
        let name = self.fresh("add");
        self.push(&name, Op::Add, inputs.to_vec(), channels[0])
    }

    /// The channels of one or more nodes, one after the other.
    ///
    /// # Errors
    /// No inputs.
    pub fn concat(&mut self, inputs: &[NodeId]) -> Result<NodeId> {
        let channels = self.channels_of("concat", inputs)?.iter().sum();
        let name = self.fresh("concat");
        self.push(&name, Op::Concat, inputs.to_vec(), channels)
    }

    /// The first channels of a node.
    ///
    /// # Errors
    /// No channels, or more than the node has.
    pub fn slice(&mut self, input: NodeId, channels: usize) -> Result<NodeId> {
        let whole = self.channels(input)?;
        let name = self.fresh("slice");
        if channels == 0 || channels > whole {
            return Err(Error::graph(name, format!("takes {channels} of {whole} channels")));
        }
        self.push(&name, Op::Slice { channels }, vec![input], channels)
    }

    /// A node times zero. The edge stays: ReLUs behind it still count.
    ///
    /// # Errors
    /// The input is not a node of this graph.
    pub fn zero(&mut self, input: NodeId) -> Result<NodeId> {
        self.unary(Op::Zero, input)
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
        Ok(Graph { nodes: self.nodes, output, classes })
    }

    fn unary(&mut self, op: Op, input: NodeId) -> Result<NodeId> {
        let channels = self.channels(input)?;
        let name = self.fresh(op.name());
        self.push(&name, op, vec![input], channels)
    }

    fn pool(&mut self, op: Op, input: NodeId, window: Window) -> Result<NodeId> {
        for axis in 0..2 {
            let (k, s, p) = (window.kernel[axis], window.stride[axis], window.padding[axis]);
            if k == 0 || s == 0 || p >= k {
                let message = format!("a window of {k} at stride {s} with padding {p} is not a pool");
                return Err(Error::graph(self.fresh(op.name()), message));
            }
        }
        self.unary(op, input)
    }

    fn channels_of(&self, kind: &str, inputs: &[NodeId]) -> Result<Vec<usize>> {
        if inputs.is_empty() {
            return Err(Error::graph(self.fresh(kind), "has no inputs"));
        }
        inputs.iter().map(|&input| self.channels(input)).collect()
    }

    fn fresh(&self, kind: &str) -> String {
        format!("{kind}#{}", self.nodes.len())
    }

    fn push(&mut self, name: &str, op: Op, inputs: Vec<NodeId>, channels: usize) -> Result<NodeId> {
        let id = NodeId(self.nodes.len());
        if let Some(before) = self.names.insert(name.to_owned(), id) {
            return Err(Error::graph(name, format!("has the name of node %{}", before.0)));
        }
        self.nodes.push(Node { name: name.to_owned(), op, inputs, channels });
        Ok(id)
    }
}
