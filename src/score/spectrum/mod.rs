//! Eigenvalues of many small symmetric matrices: Householder reduction to tridiagonal form, then bisection with Sturm
//! sequences.
//!
//! ```text
//! A = Q T Q^T     eigenvalues of T below x = changes of sign among the leading minors of T - x
//! ```
//!
//! A matrix is a packed lower triangle, [row][column <= row]. Eight of like sizes stand side by side, [row][column <=
//! row][matrix], so that each operation is one on vectors. No operation depends on gaps between eigenvalues, and the
//! number of halvings follows from the tolerance alone.
//!
//! - `lanes` is the arithmetic by vectors, `batch` puts matrices side by side.
//! - `tridiagonal` is the reduction, `sturm` the bisection.
//!
//! Eigenvalues of a matrix are the same to the last bit whatever others are in its batch, and on every processor. Errors
//! are the tolerance and a few roundings of the norm for each row. The norm here is the bound by Gershgorin's circles of T.
//!
//! Functions are inlined into their callers, who may have an instruction set's features on.
//!
//! Microseconds a matrix at a tolerance of 4e-16, one core of an Intel Xeon with AVX-512, the shortest of some trials:
//!
//! | version | least: C = 16 | 32 | 64 | all: C = 16 | 32 | 64 |
//! |---|---|---|---|---|---|---|
//! | baseline x86-64 | 1.5 | 6.2 | 35 | 9.0 | 39 | 160 |
//! | AVX2 | 1.1 | 4.1 | 21 | 4.6 | 18 | 79 |
//! | AVX-512 | 1.2 | 3.8 | 17 | 4.1 | 12.6 | 54 |
//! | AVX-512, update and product in two passes | 1.4 | 6.2 | 41 | 4.4 | 15.6 | 79 |
//! | AVX-512, pivots by divisions, not minors | 1.8 | 5.0 | 20 | 9.3 | 40 | 168 |

mod batch;
mod lanes;
mod sturm;
#[cfg(test)]
mod tests;
mod tridiagonal;

use batch::Batch;
use lanes::LANES;
use sturm::{Sturm, halvings};
use tridiagonal::Tridiagonal;

/// The least eigenvalue of each of some symmetric matrices, packed lower triangles: within `tolerance` in units of its
/// norm. NaN of an empty one, and of one that is not finite.
#[inline(always)]
pub(crate) fn least(matrices: &[&[f64]], tolerance: f64) -> Vec<f64> {
    let halvings = halvings(tolerance);
    let mut found = vec![f64::NAN; matrices.len()];
    let mut solver = Solver::default();
    for indices in by_size(matrices).chunks(LANES) {
        solver.reduce(matrices, indices);
        let least = solver.sturm.least(halvings);
        for (l, &index) in indices.iter().enumerate() {
            found[index] = least.0[l] * solver.batch.unit[l];
        }
    }
    found
}

/// All eigenvalues of each of some symmetric matrices, ascending, one matrix after the other: likewise.
#[inline(always)]
pub(crate) fn all(matrices: &[&[f64]], tolerance: f64) -> Vec<f64> {
    let halvings = halvings(tolerance);
    let mut ends = Vec::with_capacity(matrices.len());
    let mut end = 0;
    for matrix in matrices {
        end += batch::size(matrix.len());
        ends.push(end);
    }
    let mut found = vec![f64::NAN; end];
    let mut solver = Solver::default();
    for indices in by_size(matrices).chunks(LANES) {
        solver.reduce(matrices, indices);
        for (l, &index) in indices.iter().enumerate() {
            let found = &mut found[ends[index] - solver.batch.sizes[l]..ends[index]];
            solver.sturm.all(l, halvings, found);
            found.iter_mut().for_each(|x| *x *= solver.batch.unit[l]);
        }
    }
    found
}

/// Indices of matrices in the order of their sizes: so those of a batch are alike.
fn by_size(matrices: &[&[f64]]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..matrices.len()).collect();
    order.sort_by_key(|&index| matrices[index].len());
    order
}

/// A batch on its way from matrices to Sturm sequences.
#[derive(Default)]
struct Solver {
    batch: Batch,
    tridiagonal: Tridiagonal,
    sturm: Sturm,
}

impl Solver {
    #[inline(always)]
    fn reduce(&mut self, matrices: &[&[f64]], indices: &[usize]) {
        let mut triangles: [&[f64]; LANES] = [&[]; LANES];
        for (triangle, &index) in triangles.iter_mut().zip(indices) {
            *triangle = matrices[index];
        }
        self.batch.fill(triangles);
        self.tridiagonal.reduce(&mut self.batch.entries, self.batch.size);
        self.sturm.prepare(&self.tridiagonal, self.batch.sizes);
    }
}
