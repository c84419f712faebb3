//! The cell: its compact form and the checks that lead to it.

use std::fmt;
use std::str::FromStr;

use super::invalid;
use crate::space::text::quoted;
use crate::{Error, Result};

/// Most vertices of a cell, input and output included.
pub const MAX_VERTICES: usize = 7;
/// Most edges of a cell.
pub const MAX_EDGES: usize = 9;

/// Most vertices between input and output.
pub(super) const MAX_INTERIOR: usize = MAX_VERTICES - 2;

/// The operation of an interior vertex. The order is the benchmark's, which numbers them 0, 1, 2.
///
/// ```
/// use naswot::nasbench101::VertexOp;
///
/// let op: VertexOp = "conv1x1-bn-relu".parse()?;
/// assert_eq!(op, VertexOp::Conv1x1);
/// assert_eq!(op.to_string(), "conv1x1-bn-relu");
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum VertexOp {
    /// 3x3 convolution, batch norm, ReLU.
    Conv3x3,
    /// 1x1 convolution, batch norm, ReLU.
    Conv1x1,
    /// 3x3 maximum at stride 1.
    MaxPool3x3,
}

impl VertexOp {
    /// All three, in the benchmark's order.
    pub const ALL: [Self; 3] = [VertexOp::Conv3x3, VertexOp::Conv1x1, VertexOp::MaxPool3x3];

    /// The benchmark's name of it.
    ///
    /// ```
    /// assert_eq!(naswot::nasbench101::VertexOp::MaxPool3x3.name(), "maxpool3x3");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            VertexOp::Conv3x3 => "conv3x3-bn-relu",
            VertexOp::Conv1x1 => "conv1x1-bn-relu",
            VertexOp::MaxPool3x3 => "maxpool3x3",
        }
    }
}

impl fmt::Display for VertexOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for VertexOp {
    type Err = Error;

    /// Reads the benchmark's name, in capitals or not, with `_` for `-`, and with or without `-bn-relu`.
    fn from_str(name: &str) -> Result<Self> {
        let plain = plain(name);
        let short = |op: &VertexOp| op.name().strip_suffix("-bn-relu") == Some(&plain);
        VertexOp::ALL.into_iter().find(|op| op.name() == plain || short(op)).ok_or_else(|| {
            let [a, b, c] = VertexOp::ALL;
            invalid(format!("{} is not an operation: those are {a}, {b} and {c}", quoted(name)))
        })
    }
}

/// The name of a vertex as the benchmark spells it.
fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('_', "-")
}

/// A cell of NAS-Bench-101: every vertex lies on a path from the input to the output, and there are at most
/// [`MAX_VERTICES`] vertices and [`MAX_EDGES`] edges.
///
/// Two cells are equal when they have the same matrix and operations; isomorphic ones in another order
/// differ, but share their [`hash`](Cell::hash).
///
/// As text (`Display` and `FromStr`) a cell is `adjacency/operations`: the matrix row by row as digits 0 and
/// 1, and the interior operations as digits, 0 `conv3x3-bn-relu`, 1 `conv1x1-bn-relu`, 2 `maxpool3x3`.
///
/// ```
/// let cell: naswot::nasbench101::Cell = "011001000/2".parse()?;
/// assert_eq!(cell.adjacency(), [[0, 1, 1], [0, 0, 1], [0, 0, 0]]);
/// assert_eq!(cell.op_names(), ["input", "maxpool3x3", "output"]);
/// assert_eq!(cell.to_string(), "011001000/2");
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// Bit [`edge_index`]`(from, to)` is the edge `from -> to`.
    pub(super) edges: u32,
    pub(super) vertices: u8,
    /// Of vertices 1, 2, ..; places without a vertex hold [`NO_OPS`], so that equality can be derived.
    pub(super) ops: [VertexOp; MAX_INTERIOR],
}

/// Operations before any is set.
pub(super) const NO_OPS: [VertexOp; MAX_INTERIOR] = [VertexOp::Conv3x3; MAX_INTERIOR];

/// Position of the edge `from -> to`, `from < to`, in the benchmark's numbering of matrices: column by column.
pub(super) fn edge_index(from: usize, to: usize) -> usize {
    from + to * (to - 1) / 2
}

/// Whether a set of edges holds `from -> to`, `from < to`.
pub(super) fn contains(edges: u32, from: usize, to: usize) -> bool {
    edges >> edge_index(from, to) & 1 == 1
}

impl Cell {
    /// Takes a square adjacency matrix (row `i`, column `j`: edge `i -> j`) and one operation name a vertex,
    /// and prunes the vertices that lie on no path from the input to the output. The others keep their order.
    ///
    /// ```
    /// use naswot::nasbench101::Cell;
    ///
    /// // Vertex 2 leads nowhere.
    /// let adjacency = [[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]];
    /// let cell = Cell::new(&adjacency, &["input", "conv3x3-bn-relu", "maxpool3x3", "output"])?;
    /// assert_eq!(cell.adjacency(), [[0, 1, 0], [0, 0, 1], [0, 0, 0]]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Cell`]. Checked before pruning: the matrix is square with as many rows as names, its entries
    /// are 0 or 1 and are 0 on and below the diagonal, the first name is `input`, the last `output`, the
    /// others are those of [`VertexOp`]. Checked after pruning, as the benchmark does: there is a path, and
    /// at most [`MAX_VERTICES`] vertices and [`MAX_EDGES`] edges are left.
    pub fn new<Row: AsRef<[u8]>, Name: AsRef<str>>(adjacency: &[Row], ops: &[Name]) -> Result<Self> {
        if adjacency.len() != ops.len() {
            let (rows, names) = (adjacency.len(), ops.len());
            return Err(invalid(format!(
                "the adjacency matrix has {rows} rows, but there are {names} operation names"
            )));
        }
        let rows: Vec<&[u8]> = adjacency.iter().map(Row::as_ref).collect();
        Cell::from_matrix(&rows, &interior(ops)?)
    }

    /// Checks a matrix and prunes it; `ops` are those of the interior vertices, as many as the matrix has.
    pub(super) fn from_matrix(adjacency: &[&[u8]], ops: &[VertexOp]) -> Result<Self> {
        check_matrix(adjacency)?;
        Cell::pruned(adjacency.len(), |from, to| adjacency[from][to] == 1, |vertex| ops[vertex - 1])
    }

    /// The cell that is left of a graph; `edge(from, to)` is asked for `from < to`, `op` for interior vertices.
    pub(super) fn pruned(
        vertices: usize,
        edge: impl Fn(usize, usize) -> bool,
        op: impl Fn(usize) -> VertexOp,
    ) -> Result<Self> {
        let kept = on_a_path(vertices, &edge);
        if kept.is_empty() {
            return Err(invalid("no path leads from the input to the output"));
        }
        if kept.len() > MAX_VERTICES {
            let message =
                format!("{} vertices are left after pruning, over the limit of {MAX_VERTICES}", kept.len());
            return Err(invalid(message));
        }
        let mut cell = Cell { edges: 0, vertices: kept.len() as u8, ops: NO_OPS };
        for (to, &old_to) in kept.iter().enumerate() {
            for (from, &old_from) in kept[..to].iter().enumerate() {
                cell.edges |= u32::from(edge(old_from, old_to)) << edge_index(from, to);
            }
        }
        if cell.edges() > MAX_EDGES {
            let message =
                format!("{} edges are left after pruning, over the limit of {MAX_EDGES}", cell.edges());
            return Err(invalid(message));
        }
        for (slot, &vertex) in cell.ops.iter_mut().zip(&kept[1..kept.len() - 1]) {
            *slot = op(vertex);
        }
        Ok(cell)
    }

    /// Number of vertices, input and output included: 2 to 7.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "011001000/2".parse()?;
    /// assert_eq!(cell.vertices(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn vertices(&self) -> usize {
        usize::from(self.vertices)
    }

    /// Number of edges: 1 to 9.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "011001000/2".parse()?;
    /// assert_eq!(cell.edges(), 3);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn edges(&self) -> usize {
        self.edges.count_ones() as usize
    }

    /// Whether there is an edge; never for a vertex that the cell lacks.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "010001000/2".parse()?;
    /// assert!(cell.has_edge(0, 1) && !cell.has_edge(0, 2));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn has_edge(&self, from: usize, to: usize) -> bool {
        from < to && to < self.vertices() && contains(self.edges, from, to)
    }

    /// Operations of the interior vertices 1, 2, ..
    ///
    /// ```
    /// use naswot::nasbench101::{Cell, VertexOp};
    /// let cell: Cell = "011001000/2".parse()?;
    /// assert_eq!(cell.ops(), [VertexOp::MaxPool3x3]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn ops(&self) -> &[VertexOp] {
        &self.ops[..self.vertices() - 2]
    }

    /// The adjacency matrix by rows, as [`Cell::new`] takes it.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "011001000/2".parse()?;
    /// assert_eq!(cell.adjacency()[0], [0, 1, 1]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn adjacency(&self) -> Vec<Vec<u8>> {
        let row = |from| (0..self.vertices()).map(|to| u8::from(self.has_edge(from, to))).collect();
        (0..self.vertices()).map(row).collect()
    }

    /// Names of all vertices, from `input` to `output`, as [`Cell::new`] takes them.
    ///
    /// ```
    /// let cell: naswot::nasbench101::Cell = "011001000/2".parse()?;
    /// assert_eq!(cell.op_names(), ["input", "maxpool3x3", "output"]);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn op_names(&self) -> Vec<&'static str> {
        let interior = self.ops().iter().map(|op| op.name());
        std::iter::once("input").chain(interior).chain(["output"]).collect()
    }
}

/// The vertices between `input` and `output`, read from their names.
fn interior<Name: AsRef<str>>(ops: &[Name]) -> Result<Vec<VertexOp>> {
    let [first, interior @ .., last] = ops else {
        return Err(invalid(format!(
            "the number of vertices is {}, and an input and an output are needed",
            ops.len()
        )));
    };
    for (vertex, name, needed) in [(0, first, "input"), (ops.len() - 1, last, "output")] {
        let name = name.as_ref();
        if plain(name) != needed {
            let message = format!("vertex {vertex}: {} stands where {needed:?} must", quoted(name));
            return Err(invalid(message));
        }
    }
    let parse = |(vertex, name): (usize, &Name)| {
        name.as_ref().parse().map_err(|error| match error {
            Error::Cell { message, .. } => invalid(format!("vertex {}: {message}", vertex + 1)),
            other => other,
        })
    };
    interior.iter().enumerate().map(parse).collect()
}

fn check_matrix(adjacency: &[&[u8]]) -> Result<()> {
    let vertices = adjacency.len();
    for (i, row) in adjacency.iter().enumerate() {
        if row.len() != vertices {
            let message =
                format!("the adjacency matrix has {vertices} rows, but row {i} has {} entries", row.len());
            return Err(invalid(message));
        }
        for (j, &entry) in row.iter().enumerate() {
            if entry > 1 {
                return Err(invalid(format!(
                    "row {i}, column {j} of the adjacency matrix is {entry}, not 0 or 1"
                )));
            }
            if entry == 1 && j <= i {
                let message =
                    format!("row {i}, column {j} of the adjacency matrix is 1 on or below the diagonal");
                return Err(invalid(message));
            }
        }
    }
    Ok(())
}

/// The vertices on a path from the first to the last; none when there is no path.
fn on_a_path(vertices: usize, edge: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut from_input = vec![false; vertices];
    let mut to_output = vec![false; vertices];
    from_input[0] = true;
    to_output[vertices - 1] = true;
    for v in 1..vertices {
        from_input[v] = (0..v).any(|from| from_input[from] && edge(from, v));
    }
    for v in (0..vertices - 1).rev() {
        to_output[v] = (v + 1..vertices).any(|to| to_output[to] && edge(v, to));
    }
    (0..vertices).filter(|&v| from_input[v] && to_output[v]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: [&str; 4] = ["input", "conv3x3-bn-relu", "maxpool3x3", "output"];

    fn error(adjacency: &[Vec<u8>], ops: &[&str]) -> String {
        Cell::new(adjacency, ops).unwrap_err().to_string()
    }

    /// A matrix of all edges between neighbors in the order.
    fn chain(vertices: usize) -> Vec<Vec<u8>> {
        (0..vertices).map(|i| (0..vertices).map(|j| u8::from(j == i + 1)).collect()).collect()
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where() {
        let mut low = chain(4);
        low[2][1] = 1;
        let mut two = chain(4);
        two[0][3] = 2;
        let mut ragged = chain(4);
        ragged[1].push(0);
        let cases = [
            (chain(3), &OPS[..], "the adjacency matrix has 3 rows, but there are 4 operation names"),
            (ragged, &OPS, "the adjacency matrix has 4 rows, but row 1 has 5 entries"),
            (two, &OPS, "row 0, column 3 of the adjacency matrix is 2, not 0 or 1"),
            (low, &OPS, "row 2, column 1 of the adjacency matrix is 1 on or below the diagonal"),
            (vec![vec![0; 4]; 4], &OPS, "no path leads from the input to the output"),
            (chain(2), &["output", "input"], "vertex 0: \"output\" stands where \"input\" must"),
            (chain(2), &["input", "maxpool3x3"], "vertex 1: \"maxpool3x3\" stands where \"output\" must"),
            (
                chain(4),
                &["input", "maxpool3x3", "conv\n", "output"],
                "vertex 2: \"conv\\n\" is not an operation: those are conv3x3-bn-relu, conv1x1-bn-relu and maxpool3x3",
            ),
            (vec![], &[], "the number of vertices is 0, and an input and an output are needed"),
            (chain(1), &["input"], "the number of vertices is 1, and an input and an output are needed"),
        ];
        for (adjacency, ops, message) in cases {
            assert_eq!(error(&adjacency, ops), format!("nasbench101: {message}"));
        }
    }

    fn names(vertices: usize) -> Vec<&'static str> {
        let mut names = vec!["maxpool3x3"; vertices];
        names[0] = "input";
        names[vertices - 1] = "output";
        names
    }

    #[test]
    fn the_limits_hold_for_the_pruned_cell() {
        assert_eq!(Cell::new(&chain(7), &names(7)).unwrap().vertices(), 7);
        assert_eq!(
            error(&chain(8), &names(8)),
            "nasbench101: 8 vertices are left after pruning, over the limit of 7"
        );
        let complete = |n: usize| -> Vec<Vec<u8>> {
            (0..n).map(|i| (0..n).map(|j| u8::from(j > i)).collect()).collect()
        };
        assert_eq!(
            error(&complete(5), &names(5)),
            "nasbench101: 10 edges are left after pruning, over the limit of 9"
        );
        // A hundred vertices with all edges into vertex 1, which leads nowhere, and one path.
        let mut large = vec![vec![0; 100]; 100];
        large[0].fill(1);
        large[0][0] = 0;
        assert_eq!(Cell::new(&large, &names(100)).unwrap().to_string(), "0100/");
    }

    #[test]
    fn names_are_checked_before_pruning() {
        let ops = ["input", "conv5x5", "output"];
        assert!(error(&[vec![0, 0, 1], vec![0; 3], vec![0; 3]], &ops).contains("vertex 1: \"conv5x5\""));
    }

    #[test]
    fn pruning_keeps_the_order_of_the_vertices() {
        let mut adjacency = chain(4);
        adjacency[0] = vec![0, 0, 1, 0];
        adjacency[1] = vec![0, 0, 1, 1];
        let cell = Cell::new(&adjacency, &OPS).unwrap();
        assert_eq!(cell, "010001000/2".parse().unwrap());
    }
}
