//! The graph of a cell that is drawn: its boxes, and the edges between them.

use serde::Serialize;

use crate::space::table::with_cell;
use crate::{Architecture, nasbench101, nasbench201};

/// The kind of a box in the drawing of a cell: an operation, or a node where edges meet.
///
/// ```
/// use naswot::analysis::drawing::Kind;
///
/// assert_eq!(Kind::Conv3x3.label(), "3×3 conv");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// The cell's input.
    Input,
    /// The cell's output.
    Output,
    /// A node of NAS-Bench-201 between them: the sum of what comes in.
    Sum,
    /// A 3x3 convolution.
    Conv3x3,
    /// A 1x1 convolution.
    Conv1x1,
    /// The 3x3 maximum.
    MaxPool3x3,
    /// The 3x3 average.
    AvgPool3x3,
    /// NAS-Bench-201's `skip_connect`.
    Skip,
    /// NAS-Bench-201's `none`, an edge multiplied by zero.
    None,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 9] = [
        Kind::Input,
        Kind::Output,
        Kind::Sum,
        Kind::Conv3x3,
        Kind::Conv1x1,
        Kind::MaxPool3x3,
        Kind::AvgPool3x3,
        Kind::Skip,
        Kind::None,
    ];

    /// The name that its box carries.
    ///
    /// ```
    /// assert_eq!(naswot::analysis::drawing::Kind::Skip.label(), "skip");
    /// ```
    pub fn label(self) -> &'static str {
        match self {
            Kind::Input => "in",
            Kind::Output => "out",
            Kind::Sum => "+",
            Kind::Conv3x3 => "3×3 conv",
            Kind::Conv1x1 => "1×1 conv",
            Kind::MaxPool3x3 => "3×3 max",
            Kind::AvgPool3x3 => "3×3 avg",
            Kind::Skip => "skip",
            Kind::None => "none",
        }
    }

    /// Whether the box is an operation, rather than a place where edges meet.
    ///
    /// ```
    /// use naswot::analysis::drawing::Kind;
    ///
    /// assert!(Kind::None.is_operation() && !Kind::Sum.is_operation());
    /// ```
    pub fn is_operation(self) -> bool {
        !matches!(self, Kind::Input | Kind::Output | Kind::Sum)
    }
}

/// A directed graph without cycles whose vertices are boxes.
pub(super) struct Graph {
    pub(super) vertices: Vec<Kind>,
    /// Pairs of vertices.
    pub(super) edges: Vec<(usize, usize)>,
    /// The layer of each vertex, in every way that is to be tried. Edges lead to higher layers.
    pub(super) layerings: Vec<Vec<usize>>,
}

impl Graph {
    /// The graph of an architecture.
    pub(super) fn of(architecture: &Architecture) -> Self {
        with_cell!(architecture, cell => cell.into())
    }
}

impl From<&nasbench101::Cell> for Graph {
    /// Operations are vertices. The layers are as few as there can be: those of the longest path.
    fn from(cell: &nasbench101::Cell) -> Self {
        let n = cell.vertices();
        let interior = cell.ops().iter().map(|op| match op {
            nasbench101::VertexOp::Conv3x3 => Kind::Conv3x3,
            nasbench101::VertexOp::Conv1x1 => Kind::Conv1x1,
            nasbench101::VertexOp::MaxPool3x3 => Kind::MaxPool3x3,
        });
        let vertices = std::iter::once(Kind::Input).chain(interior).chain([Kind::Output]).collect();
        let pairs = (0..n).flat_map(|to| (0..to).map(move |from| (from, to)));
        let edges: Vec<_> = pairs.filter(|&(from, to)| cell.has_edge(from, to)).collect();
        let layerings = layerings(n, &edges);
        Graph { vertices, edges, layerings }
    }
}

impl From<&nasbench201::Cell> for Graph {
    /// An operation is a vertex upon its edge, half way between the nodes.
    fn from(cell: &nasbench201::Cell) -> Self {
        let mut vertices = vec![Kind::Input, Kind::Sum, Kind::Sum, Kind::Output];
        let mut layers = vec![0, 2, 4, 6];
        let mut edges = Vec::new();
        for ((from, to), op) in nasbench201::EDGES.into_iter().zip(cell.ops()) {
            edges.extend([(from, vertices.len()), (vertices.len(), to)]);
            layers.push(from + to);
            vertices.push(match op {
                nasbench201::Op::None => Kind::None,
                nasbench201::Op::SkipConnect => Kind::Skip,
                nasbench201::Op::NorConv1x1 => Kind::Conv1x1,
                nasbench201::Op::NorConv3x3 => Kind::Conv3x3,
                nasbench201::Op::AvgPool3x3 => Kind::AvgPool3x3,
            });
        }
        Graph { vertices, edges, layerings: vec![layers] }
    }
}

/// All ways to give vertices to as many layers as the longest path has vertices. Vertices are in topological order, and
/// each is on a path from the first to the last.
fn layerings(vertices: usize, edges: &[(usize, usize)]) -> Vec<Vec<usize>> {
    // The longest way from a vertex to the last one.
    let mut rest = vec![0; vertices];
    for &(from, to) in edges.iter().rev() {
        rest[from] = rest[from].max(rest[to] + 1);
    }
    let mut all = vec![vec![0]];
    for v in 1..vertices {
        let longer = |layers: Vec<usize>| {
            let before = edges.iter().filter(|&&(_, to)| to == v).map(|&(from, _)| layers[from]).max();
            let first = before.map_or(0, |layer| layer + 1);
            (first..=rest[0] - rest[v]).map(move |layer| [&layers[..], &[layer]].concat())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}
