//! The cell, and the arch strings that it is written as.

use std::fmt;
use std::str::FromStr;

use super::invalid;
use crate::space::text::quoted;
use crate::{Error, Result};

/// The edges of a cell as (source, target), in the order of arch strings.
pub const EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];

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
    pub(super) ops: [Op; 6],
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
