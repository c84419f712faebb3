//! The whole space, samples of it, and the neighbors of a cell.

use super::{Cell, EDGES, Op};
use crate::random::{self, Domain, Rng};
use crate::{Error, Result};

/// Cells of the space: five operations on each of six edges.
pub const COUNT: usize = Op::ALL.len().pow(EDGES.len() as u32);

/// All cells, sorted: ascending as six-digit numbers in base 5 whose digits are the operations on the
/// [`EDGES`] in the order of [`Op::ALL`], the first edge slowest.
///
/// The order is not that of the benchmark's own numbers ([`Cell::benchmark_index`]).
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
    let drawn = random::draw(COUNT as u32, n, seed, "nasbench201/cells");
    Ok(drawn.into_iter().map(Cell::at).collect())
}

impl Cell {
    /// The cell with another operation on one edge, the edge and its new operation drawn uniformly: the
    /// mutation of regularized evolution (Real et al., 2019). Equal seeds make equal mutants.
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

    /// The cell at a position of [`all`], the position's base-5 digits being the operations.
    pub(super) fn at(index: usize) -> Self {
        let mut rest = index;
        let mut ops = [Op::None; 6];
        for op in ops.iter_mut().rev() {
            *op = Op::ALL[rest % Op::ALL.len()];
            rest /= Op::ALL.len();
        }
        Cell { ops }
    }
}
