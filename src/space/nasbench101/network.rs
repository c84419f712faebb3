//! The network of a cell: a stem, then stacks of copies of the cell, as the benchmark's PyTorch ports build it.

use super::cell::MAX_VERTICES;
use super::{Cell, VertexOp};
use crate::space::skeleton::within;
use crate::{Conv, Error, Graph, GraphBuilder, Initializer, Network, NodeId, Result, Window};

/// Classes of CIFAR-10, which the benchmark was trained on.
const CLASSES: usize = 10;

// Limits far above what any device holds; they keep counts of parameters and operations within 64 bits.
const MAX_CHANNELS: usize = 16_384;
const MAX_STACKS: usize = 1 + MAX_CHANNELS.ilog2() as usize;
const MAX_CELLS: usize = 1_000;

/// The network around the cells: a 3x3 convolution, then stacks of cells, each stack after the first at half the
/// resolution and twice the channels of the one before.
///
/// ```
/// use naswot::nasbench101::{Cell, Skeleton};
///
/// let cell: Cell = "0100/".parse()?;
/// let benchmark = Skeleton { stem: 128, ..Skeleton::default() };
/// assert_eq!(cell.network(&benchmark)?.parameters(), 882_570);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Skeleton {
    /// Channels of the stem and of the first stack: 16 in NASWOT's experiments, 128 in the benchmark.
    pub stem: usize,
    /// Stacks.
    pub stacks: usize,
    /// Cells of a stack.
    pub cells: usize,
}

impl Default for Skeleton {
    /// NASWOT's: 16 channels, 3 stacks of 3 cells.
    fn default() -> Self {
        Skeleton { stem: 16, stacks: 3, cells: 3 }
    }
}

impl Skeleton {
    /// Checks that it makes a network.
    fn check(&self) -> Result<()> {
        within("stem", self.stem, MAX_CHANNELS)?;
        within("stacks", self.stacks, MAX_STACKS)?;
        within("cells", self.cells, MAX_CELLS)?;
        let channels = self.stem << (self.stacks - 1);
        if channels > MAX_CHANNELS {
            let message = format!("the last one has {channels} channels, over the limit of {MAX_CHANNELS}");
            return Err(Error::Setting { name: "stacks", message });
        }
        Ok(())
    }
}

impl Cell {
    /// The network for RGB images; its id is the cell's [`hash`](Cell::hash). Parameters have the names of the
    /// public PyTorch code, so that its checkpoints load.
    ///
    /// ```
    /// use naswot::Convention;
    /// use naswot::nasbench101::{Cell, Skeleton};
    ///
    /// let cell: Cell = "010001000/0".parse()?;
    /// let network = cell.network(&Skeleton::default())?;
    /// assert_eq!(network.activations(32, 32, Convention::Relu)?, 188_416);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] when a number of the skeleton is 0 or too large to be a network (over 16,384
    /// channels in the last stack, or 1,000 cells in a stack), or when the stem has fewer channels than the
    /// cell's output has interior vertices to divide them over.
    pub fn network(&self, skeleton: &Skeleton) -> Result<Network> {
        skeleton.check()?;
        let outputs = self.output_vertices().count();
        if skeleton.stem < outputs {
            let message =
                format!("{} channels cannot be divided over {outputs} output vertices", skeleton.stem);
            return Err(Error::Setting { name: "stem", message });
        }
        let mut graph = Graph::builder(3)?;
        let image = graph.input();
        let mut channels = skeleton.stem;
        let mut x = conv_bn_relu(&mut graph, image, channels, 3, "layers.0")?;
        graph.mark(x)?;
        let mut layer = 1;
        for stack in 0..skeleton.stacks {
            if stack > 0 {
                x = graph.max_pool(x, Window::new(2, 2, 0))?;
                channels *= 2;
                layer += 1;
            }
            for _ in 0..skeleton.cells {
                x = self.append(&mut graph, x, channels, &format!("layers.{layer}"))?;
                graph.mark(x)?;
                layer += 1;
            }
        }
        Ok(Network::from_graph(self.hash(), graph.classifier(x, CLASSES)?))
    }

    /// Adds one copy of the cell, with so many output channels, and returns its output.
    fn append(
        &self,
        graph: &mut GraphBuilder,
        input: NodeId,
        channels: usize,
        layer: &str,
    ) -> Result<NodeId> {
        let output = self.vertices() - 1;
        let widths = self.vertex_channels(channels);
        let mut nodes = [input; MAX_VERTICES];
        for v in 1..output {
            let mut terms = Vec::new();
            for u in (1..v).filter(|&u| self.has_edge(u, v)) {
                terms.push(first_channels(graph, nodes[u], widths[v])?);
            }
            terms.extend(self.projection(graph, input, v, widths[v], layer)?);
            let x = sum(graph, &terms)?;
            nodes[v] = match self.ops[v - 1] {
                VertexOp::Conv3x3 => {
                    conv_bn_relu(graph, x, widths[v], 3, &format!("{layer}.vertex_op.{v}.conv3x3"))?
                }
                VertexOp::Conv1x1 => {
                    conv_bn_relu(graph, x, widths[v], 1, &format!("{layer}.vertex_op.{v}.conv1x1"))?
                }
                VertexOp::MaxPool3x3 => graph.max_pool(x, Window::new(3, 1, 1))?,
            };
        }
        let parts: Vec<NodeId> = self.output_vertices().map(|v| nodes[v]).collect();
        let mut terms = match parts[..] {
            [] | [_] => parts,
            _ => vec![graph.concat(&parts)?],
        };
        terms.extend(self.projection(graph, input, output, widths[output], layer)?);
        sum(graph, &terms)
    }

    /// The 1x1 convolution of the cell's input that an edge from the input means.
    fn projection(
        &self,
        graph: &mut GraphBuilder,
        input: NodeId,
        vertex: usize,
        channels: usize,
        layer: &str,
    ) -> Result<Option<NodeId>> {
        let name = format!("{layer}.input_op.{vertex}");
        self.has_edge(0, vertex).then(|| conv_bn_relu(graph, input, channels, 1, &name)).transpose()
    }

    /// Interior vertices with an edge to the output, whose channels the output is made of.
    fn output_vertices(&self) -> impl Iterator<Item = usize> {
        let output = self.vertices() - 1;
        (1..output).filter(move |&v| self.has_edge(v, output))
    }

    /// Channels of every vertex but the input, for a number of output channels (the benchmark's
    /// `compute_vertex_channels`): the output's are divided over its vertices, the first of them taking the
    /// remainder, and any other vertex is as wide as its widest successor.
    fn vertex_channels(&self, channels: usize) -> [usize; MAX_VERTICES] {
        let output = self.vertices() - 1;
        let count = self.output_vertices().count();
        let mut widths = [0; MAX_VERTICES];
        widths[output] = channels;
        for (i, v) in self.output_vertices().enumerate() {
            widths[v] = channels / count + usize::from(i < channels % count);
        }
        for v in (1..output).rev().filter(|&v| !self.has_edge(v, output)) {
            widths[v] =
                (v + 1..output).filter(|&to| self.has_edge(v, to)).map(|to| widths[to]).fold(0, usize::max);
        }
        widths
    }
}

fn conv_bn_relu(
    graph: &mut GraphBuilder,
    input: NodeId,
    channels: usize,
    kernel: usize,
    name: &str,
) -> Result<NodeId> {
    let conv = Conv::new(channels, kernel).padding(kernel / 2).initializer(Initializer::KaimingNormalFanOut);
    let x = graph.conv(input, conv, &format!("{name}.conv_bn_relu.0.weight"))?;
    let x = graph.batch_norm(x, &format!("{name}.conv_bn_relu.1"))?;
    graph.relu(x)
}

/// Truncation to what the reader takes; nothing where it takes all.
fn first_channels(graph: &mut GraphBuilder, x: NodeId, channels: usize) -> Result<NodeId> {
    if graph.channels(x)? == channels { Ok(x) } else { graph.slice(x, channels) }
}

fn sum(graph: &mut GraphBuilder, terms: &[NodeId]) -> Result<NodeId> {
    match terms {
        [x] => Ok(*x),
        _ => graph.add(terms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;

    fn cell(arch: &str) -> Cell {
        arch.parse().unwrap()
    }

    fn error(arch: &str, stem: usize, stacks: usize, cells: usize) -> String {
        cell(arch).network(&Skeleton { stem, stacks, cells }).unwrap_err().to_string()
    }

    #[test]
    fn a_skeleton_that_is_no_network_is_an_error() {
        assert_eq!(error("0100/", 0, 3, 3), "stem: 0 is not from 1 to 16384");
        assert_eq!(error("0100/", 16, 0, 3), "stacks: 0 is not from 1 to 15");
        assert_eq!(error("0100/", 16, 3, 0), "cells: 0 is not from 1 to 1000");
        assert_eq!(
            error("0100/", 16, 12, 3),
            "stacks: the last one has 32768 channels, over the limit of 16384"
        );
        assert!(error("0100/", usize::MAX, 1, 1).starts_with("stem: "));
        assert!(error("0100/", 16, usize::MAX, 1).starts_with("stacks: "));
        assert!(error("0100/", 16, 1, usize::MAX).starts_with("cells: "));
        let three = "0111000001000010000100000/012";
        assert_eq!(error(three, 2, 3, 3), "stem: 2 channels cannot be divided over 3 output vertices");
        assert!(cell(three).network(&Skeleton { stem: 3, stacks: 1, cells: 1 }).is_ok());
        assert!(cell("0100/").network(&Skeleton { stem: 1, stacks: 15, cells: 1 }).is_ok());
    }

    #[test]
    fn channels_are_divided_in_vertex_order() {
        // Vertices 2, 3 and 4 make the output; vertex 1 feeds 3 alone.
        assert_eq!(cell(TRUNCATION).vertex_channels(16)[1..], [5, 6, 5, 5, 16, 0]);
        // Vertex 1 feeds 2 and 3, which make the output.
        assert_eq!(cell("0100000110000010000100000/000").vertex_channels(5)[1..], [3, 3, 2, 5, 0, 0]);
    }

    const TRUNCATION: &str = "011011000100000011000001000001000000/0210";
    const ONE_CELL: Skeleton = Skeleton { stem: 16, stacks: 1, cells: 1 };

    #[test]
    fn only_a_wider_predecessor_is_truncated() {
        let network = cell(TRUNCATION).network(&ONE_CELL).unwrap();
        let slices = network.graph().nodes().iter().filter(|node| matches!(node.op(), Op::Slice { .. }));
        let widths: Vec<_> = slices
            .map(|n| (network.graph().nodes()[n.inputs()[0].index()].channels(), n.channels()))
            .collect();
        assert_eq!(widths, [(6, 5)]);
    }

    #[test]
    fn predecessors_are_added_in_vertex_order_then_the_projection() {
        // Vertex 3 reads 1, 2 and the input.
        let network = cell("0111000010000100000100000/010").network(&ONE_CELL).unwrap();
        let nodes = network.graph().nodes();
        let add = nodes.iter().find(|node| *node.op() == Op::Add).unwrap();
        let norm = |relu: &NodeId| nodes[nodes[relu.index()].inputs()[0].index()].name();
        assert_eq!(
            add.inputs().iter().map(norm).collect::<Vec<_>>(),
            [
                "layers.1.vertex_op.1.conv3x3.conv_bn_relu.1",
                "layers.1.vertex_op.2.conv1x1.conv_bn_relu.1",
                "layers.1.input_op.3.conv_bn_relu.1",
            ]
        );
    }
}
