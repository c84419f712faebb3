//! Features: the tensors whose channels' statistics scores ask for, beside code bits.
//!
//! A score reads the least eigenvalue of the correlation of a tensor's channels, or all eigenvalues of their covariance. Which
//! tensors these are follows from the graph as given: convolutions and marks that have a path to the output, on which an edge
//! multiplied by zero is an edge. What is kept for them alone changes no code bit: it counts as no reader where it is decided
//! what is stored, and convolutions of it share no job with others.

use crate::graph::{Graph, Op, Shape};

/// What scores ask for beside codes. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// First images whose activation patterns are counted.
    pub(crate) swap_images: Option<usize>,
    /// Least eigenvalues of the correlations of convolutions and of cells.
    pub(crate) correlations: bool,
    /// Eigenvalues of the covariances of marks.
    pub(crate) spectra: bool,
}

/// What scores ask for of one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FeatureUse {
    /// How often its least eigenvalue counts.
    pub(super) least: u32,
    /// The marks that it is, by position among those that have a path to the output.
    pub(super) marks: Vec<usize>,
}

impl FeatureUse {
    pub(super) fn is_wanted(&self) -> bool {
        self.least > 0 || !self.marks.is_empty()
    }

    /// Adds what is asked for of an equal value.
    pub(super) fn add(&mut self, other: FeatureUse) {
        self.least += other.least;
        self.marks.extend(other.marks);
    }
}

/// The uses of a graph's nodes.
pub(super) struct FeatureUses {
    /// By position of the node.
    pub(super) nodes: Vec<FeatureUse>,
    /// Marks whose eigenvalues are asked for.
    pub(super) marks: usize,
}

/// What scores ask for of each node of a graph.
///
/// The least eigenvalue is 0, and not asked for, where there are more channels than a linear map of the inputs has dimensions, or
/// than the pixels of the batch have beside their mean.
pub(super) fn uses(
    graph: &Graph,
    shapes: &[Shape],
    reached: &[bool],
    images: usize,
    wanted: Wanted,
) -> FeatureUses {
    let mut nodes = vec![FeatureUse::default(); shapes.len()];
    let pixels = |node: usize| images * shapes[node].pixels();
    if wanted.correlations {
        for (i, node) in graph.nodes().iter().enumerate().filter(|(i, _)| reached[*i]) {
            let Op::Conv(conv) = node.op() else { continue };
            let taps = conv.kernel[0] * conv.kernel[1];
            let rank =
                if conv.groups == 1 { shapes[node.inputs()[0].index()].channels * taps } else { usize::MAX };
            nodes[i].least = u32::from(conv.out_channels <= rank.min(pixels(i) - 1));
        }
        for mark in graph.marks().iter().skip(1).map(|mark| mark.index()).filter(|&mark| reached[mark]) {
            nodes[mark].least += u32::from(shapes[mark].channels < pixels(mark));
        }
    }
    let mut marks = 0;
    if wanted.spectra {
        for mark in graph.marks().iter().map(|mark| mark.index()).filter(|&mark| reached[mark]) {
            nodes[mark].marks.push(marks);
            marks += 1;
        }
    }
    FeatureUses { nodes, marks }
}
