//! Random networks of every kind of node, with weights and images to go with them.

use naswot::{Conv, Graph, GraphBuilder, Multiplicity, NodeId, Op, Window};
use proptest::prelude::*;

use super::naive::Parameters;

/// Channels that a sum or concat may lead to.
const MOST_CHANNELS: usize = 150;

/// A network, its weights and a batch.
#[derive(Clone)]
pub struct Case {
    pub graph: Graph,
    pub shape: [usize; 4],
    pub images: Vec<f32>,
    pub parameters: Parameters,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "images {:?}\n{}", self.shape, self.graph)
    }
}

/// Networks of up to so many steps (a step is one to three nodes) on two to four small images.
pub fn cases(steps: usize) -> impl Strategy<Value = Case> {
    let step = (0u8..16, any::<[u8; 8]>());
    (
        prop::collection::vec(step, 1..steps),
        [2usize..5, 1usize..5, 1usize..9, 1usize..9],
        any::<u64>(),
        prop::bool::weighted(0.25),
    )
        .prop_map(|(steps, shape, seed, integers)| case(&steps, shape, seed, integers))
}

fn case(steps: &[(u8, [u8; 8])], shape: [usize; 4], seed: u64, integers: bool) -> Case {
    let [images, channels, height, width] = shape;
    let builder = Graph::builder(channels).unwrap();
    let mut sketch = Sketch { nodes: vec![(builder.input(), [channels, height, width])], builder };
    for &(kind, choices) in steps {
        sketch.step(kind, Choices(choices.into_iter().cycle().take(64).collect()));
    }
    let graph = sketch.finish(seed);
    let mut noise = Noise(seed);
    let mut number = |scale: f32| {
        let value = noise.number();
        // Small integers make exact zeros, where v > 0 must be false.
        if integers { (value * 1.5).round() } else { value * scale }
    };
    let images: Vec<f32> = (0..images * channels * height * width).map(|_| number(1.0)).collect();
    let mut parameters = Parameters::new();
    for node in graph.nodes() {
        match node.op() {
            Op::Conv(conv) => {
                let inputs = graph.nodes()[node.inputs()[0].index()].channels() / conv.groups;
                let count = conv.out_channels * inputs * conv.kernel[0] * conv.kernel[1];
                parameters.insert(node.name().to_owned(), (0..count).map(|_| number(0.5)).collect());
            }
            Op::BatchNorm { .. } => {
                let gamma =
                    (0..node.channels()).map(|c| if c % 5 == 3 { 0.0 } else { number(1.0) }).collect();
                let beta = (0..node.channels()).map(|c| if c % 7 == 2 { 0.0 } else { number(0.5) }).collect();
                parameters.insert(format!("{}.weight", node.name()), gamma);
                parameters.insert(format!("{}.bias", node.name()), beta);
            }
            _ => {}
        }
    }
    Case { graph, shape, images, parameters }
}

/// Numbers to decide by, from proptest, so that a failing case shrinks.
struct Choices(Vec<u8>);

impl Choices {
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.0.pop().unwrap_or(0)) % count
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

struct Sketch {
    builder: GraphBuilder,
    /// Nodes with their channels, height and width.
    nodes: Vec<(NodeId, [usize; 3])>,
}

impl Sketch {
    fn push(&mut self, node: NodeId, shape: [usize; 3]) {
        self.nodes.push((node, shape));
    }

    /// Any node, mostly a late one.
    fn source(&mut self, choices: &mut Choices) -> (NodeId, [usize; 3]) {
        let late = self.nodes.len().min(if choices.below(4) == 0 { usize::MAX } else { 4 });
        self.nodes[self.nodes.len() - 1 - choices.below(late)]
    }

    fn step(&mut self, kind: u8, mut choices: Choices) {
        let choices = &mut choices;
        let (x, shape) = self.source(choices);
        match kind {
            0..=2 => {
                self.conv(x, shape, choices);
                let (x, shape) = self.nodes[self.nodes.len() - 1];
                self.batch_norm(x, shape);
                let (x, shape) = self.nodes[self.nodes.len() - 1];
                self.relu(x, shape, choices);
            }
            3 => self.conv(x, shape, choices),
            4 => self.batch_norm(x, shape),
            5 | 6 => self.relu(x, shape, choices),
            7 | 8 => self.pool(x, shape, choices),
            9 => {
                let node = self.builder.avg_pool(x, Window::new(3, 1, 1)).unwrap();
                self.push(node, shape);
            }
            10 | 11 => {
                let alike: Vec<NodeId> =
                    self.nodes.iter().filter(|(_, other)| *other == shape).map(|&(node, _)| node).collect();
                let terms: Vec<NodeId> =
                    std::iter::once(x).chain((0..choices.below(4)).map(|_| choices.of(&alike))).collect();
                let node = self.builder.add(&terms).unwrap();
                self.push(node, shape);
            }
            12 | 13 => {
                let [_, height, width] = shape;
                let beside: Vec<(NodeId, [usize; 3])> =
                    self.nodes.iter().filter(|(_, other)| other[1..] == shape[1..]).copied().collect();
                let mut parts = vec![(x, shape)];
                parts.extend((0..choices.below(4)).map(|_| choices.of(&beside)));
                let channels: usize = parts.iter().map(|(_, part)| part[0]).sum();
                if channels <= MOST_CHANNELS {
                    let parts: Vec<NodeId> = parts.iter().map(|&(node, _)| node).collect();
                    let node = self.builder.concat(&parts).unwrap();
                    self.push(node, [channels, height, width]);
                }
            }
            14 => {
                let channels = 1 + choices.below(shape[0]);
                let node = self.builder.slice(x, channels).unwrap();
                self.push(node, [channels, shape[1], shape[2]]);
            }
            _ => {
                let node = self.builder.zero(x).unwrap();
                self.push(node, shape);
            }
        }
    }

    fn conv(&mut self, x: NodeId, [channels, height, width]: [usize; 3], choices: &mut Choices) {
        let size = [height, width];
        let mut conv = Conv::new(choices.of(&[1, 2, 3, 5, 8, 8, 9, 12, 16, 17, 70, 130]), 1);
        let divisors: Vec<usize> = (2..=channels).filter(|&g| channels.is_multiple_of(g)).collect();
        if choices.below(4) == 0 && !divisors.is_empty() {
            conv.groups = choices.of(&divisors);
            conv.out_channels = conv.groups * (1 + choices.below(3));
        } else if conv.out_channels < 70 {
            conv.kernel = choices.of(&[[1, 1], [1, 1], [3, 3], [3, 3], [1, 3], [2, 1], [3, 2], [5, 5]]);
        }
        if conv.groups > 1 && channels <= 20 {
            conv.kernel = choices.of(&[[1, 1], [3, 3], [2, 3]]);
        }
        // Mostly of unchanged resolution, so that there is something to add.
        if choices.below(3) > 0 && conv.kernel.iter().all(|k| k % 2 == 1) {
            conv.padding = conv.kernel.map(|k| k / 2);
            if choices.below(6) == 0 {
                conv.dilation = [1 + choices.below(2); 2];
                conv.padding = [0, 1].map(|axis| conv.dilation[axis] * (conv.kernel[axis] / 2));
            }
        } else {
            conv.stride = [1 + choices.below(2), 1 + choices.below(3)];
            conv.dilation = [1 + choices.below(2), 1 + choices.below(2)];
            conv.padding = [choices.below(3), choices.below(4)];
        }
        let reach = [0, 1].map(|axis| conv.dilation[axis] * (conv.kernel[axis] - 1) + 1);
        if (0..2).any(|axis| size[axis] + 2 * conv.padding[axis] < reach[axis]) {
            conv.padding = [0, 1].map(|axis| reach[axis] / 2);
        }
        let out = |axis: usize| (size[axis] + 2 * conv.padding[axis] - reach[axis]) / conv.stride[axis] + 1;
        let shape = [conv.out_channels, out(0), out(1)];
        let node = self.builder.conv(x, conv, &format!("conv{}.weight", self.nodes.len())).unwrap();
        self.push(node, shape);
    }

    fn batch_norm(&mut self, x: NodeId, shape: [usize; 3]) {
        let node = self.builder.batch_norm(x, &format!("norm{}", self.nodes.len())).unwrap();
        self.push(node, shape);
    }

    fn relu(&mut self, x: NodeId, shape: [usize; 3], choices: &mut Choices) {
        let counts = choices.of(&[(1, 1), (1, 1), (1, 2), (1, 2), (0, 1), (2, 3), (0, 0)]);
        let counts = Multiplicity { relu: counts.0, original: counts.1 };
        let node = self.builder.relu_counted(x, counts).unwrap();
        self.push(node, shape);
    }

    fn pool(&mut self, x: NodeId, [channels, height, width]: [usize; 3], choices: &mut Choices) {
        let kernel = choices.of(&[[2, 2], [3, 3], [3, 3], [1, 1], [1, 3], [2, 3]]);
        let stride = choices.of(&[[1, 1], [1, 1], [2, 2], [2, 1], [1, 2]]);
        let padding = [choices.below(kernel[0]), choices.below(kernel[1])];
        let window = Window { kernel, stride, padding };
        let out = |axis: usize, size: usize| {
            let out = (size + 2 * padding[axis]).checked_sub(kernel[axis])? / stride[axis] + 1;
            // A pool that would drop pixels at the edge is an error.
            ((out - 1) * stride[axis] + kernel[axis] >= size + padding[axis]).then_some(out)
        };
        let (Some(height), Some(width)) = (out(0, height), out(1, width)) else { return };
        let max = choices.below(2) == 0;
        let node = if max { self.builder.max_pool(x, window) } else { self.builder.avg_pool(x, window) };
        self.push(node.unwrap(), [channels, height, width]);
    }

    /// Ends at the last node, or at a concat of the last node and all others of its resolution that nobody
    /// reads: then few ReLUs are left out.
    fn finish(mut self, seed: u64) -> Graph {
        let (last, shape) = self.nodes[self.nodes.len() - 1];
        if seed.is_multiple_of(3) {
            return self.builder.output(last).unwrap();
        }
        let parts: Vec<NodeId> = self
            .nodes
            .iter()
            .skip(1)
            .filter(|(_, other)| other[1..] == shape[1..])
            .map(|&(node, _)| node)
            .collect();
        let zeros: Vec<NodeId> = parts.iter().map(|&part| self.builder.zero(part).unwrap()).collect();
        match zeros[..] {
            [] => self.builder.output(last).unwrap(),
            _ => {
                let output = self.builder.concat(&zeros).unwrap();
                self.builder.output(output).unwrap()
            }
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Noise(pub u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Roughly normal: a sum of four uniform numbers, of variance 1.
    pub fn number(&mut self) -> f32 {
        let sum: f64 = (0..4).map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64 - 0.5).sum();
        (sum * 3f64.sqrt()) as f32
    }
}
