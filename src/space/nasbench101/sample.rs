//! Random cells: uniform over the space, or from random matrices.

use std::array;

use super::cell::{MAX_INTERIOR, MAX_VERTICES, contains};
use super::{COUNT, Cell, VertexOp, all};
use crate::random::{self, Domain, Rng};
use crate::{Error, Result};

/// Draws `n` different cells uniformly from the space; each is its class's
/// [`representative`](Cell::representative). A smaller sample of the same seed is the beginning of a larger
/// one, and `n` = [`COUNT`] is the whole space in random order.
///
/// ```
/// use naswot::nasbench101;
///
/// let cells = nasbench101::sample(100, 0)?;
/// assert_eq!(cells.len(), 100);
/// assert_eq!(nasbench101::sample(3, 0)?, cells[..3]);
/// # Ok::<(), naswot::Error>(())
/// ```
///
/// # Errors
/// [`Error::Setting`] when the space has fewer than `n` cells.
pub fn sample(n: usize, seed: u64) -> Result<Vec<Cell>> {
    if n > COUNT {
        let message = format!("{n} different cells are more than the {COUNT} of nasbench101");
        return Err(Error::Setting { name: "n", message });
    }
    let cells: Vec<Cell> = all().collect();
    let drawn = random::draw(COUNT as u32, n, seed, "nasbench101/cells");
    Ok(drawn.into_iter().map(|index| cells[index]).collect())
}

/// Draws `n` cells from random matrices, as the benchmark's example and the blog of NASWOT do: 7 vertices,
/// every edge with probability 1/2, every operation with probability 1/3; a draw that is no cell is drawn
/// again. Not uniform over the space: pruning favors some cells, and a cell can come twice. Cells keep the
/// order of their matrix.
///
/// ```
/// use naswot::nasbench101;
///
/// let cells: Vec<_> = nasbench101::sample_matrices(100, 0).collect();
/// assert_eq!(cells.len(), 100);
/// assert!(nasbench101::sample_matrices(3, 0).eq(cells[..3].iter().copied()));
/// ```
pub fn sample_matrices(n: usize, seed: u64) -> impl Iterator<Item = Cell> {
    let mut rng = Rng::new(seed, Domain::Sampling, "nasbench101/matrices");
    std::iter::repeat_with(move || draw_matrix(&mut rng)).flatten().take(n)
}

/// One random matrix, if it is a cell.
fn draw_matrix(rng: &mut Rng) -> Option<Cell> {
    let edges = rng.next_u32();
    let ops: [VertexOp; MAX_INTERIOR] = array::from_fn(|_| VertexOp::ALL[rng.below(3) as usize]);
    Cell::pruned(MAX_VERTICES, |from, to| contains(edges, from, to), |vertex| ops[vertex - 1]).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_sample_has_no_cell_twice_and_may_be_the_whole_space() {
        let cells = sample(COUNT, 5).unwrap();
        assert_eq!(cells.iter().collect::<HashSet<_>>().len(), COUNT);
        assert_eq!(cells[..50], sample(50, 5).unwrap());
        assert_ne!(cells[..50], sample(50, 6).unwrap());
        assert_eq!(sample(0, 5).unwrap(), []);
        let error = sample(COUNT + 1, 0).unwrap_err().to_string();
        assert_eq!(error, "n: 423625 different cells are more than the 423624 of nasbench101");
    }

    /// Shares of the sizes within four standard deviations of the space's.
    #[test]
    fn a_sample_is_uniform_over_the_space() {
        let n = 20_000;
        let sevens = sample(n, 1).unwrap().iter().filter(|cell| cell.vertices() == 7).count();
        let p = 359_082.0 / COUNT as f64;
        let deviation = (n as f64 * p * (1.0 - p)).sqrt();
        assert!((sevens as f64 - n as f64 * p).abs() < 4.0 * deviation, "{sevens}");
    }

    #[test]
    fn random_matrices_are_reproducible_and_repeat() {
        let draw = |seed| sample_matrices(5000, seed).collect::<Vec<_>>();
        let cells = draw(3);
        assert_eq!(cells, draw(3));
        assert_ne!(cells, draw(4));
        assert!(cells.iter().collect::<HashSet<_>>().len() < cells.len());
        assert!(cells.iter().any(|cell| cell.representative() != *cell));
    }
}
