//! Householder reduction to tridiagonal form, the last row first.
//!
//! ```text
//! row i of A, left of the diagonal:  x = (.., alpha)      beta = -sign(alpha) |x|
//! u = (.., alpha - beta) / sqrt(|x|^2 + |alpha| |x|)      |u|^2 = 2
//! (I - u u^T) A (I - u u^T) = A - u w^T - w u^T           w = p - (u.p / 2) u,  p = A u
//! ```
//!
//! The last row goes first, so what is left of a packed triangle is always its beginning. The update of one step and the
//! product p of the next one are made in one pass over it, two rows at a time: each entry is loaded and stored once a
//! step. u = 0 where there is nothing to eliminate.

use super::batch::length;
use super::lanes::Lanes;

/// Rows that are passed over together.
const ROWS: usize = 2;

/// Squares of what is eliminated that vanish beside a norm of at least 1.
const NEGLIGIBLE: f64 = f64::from_bits((1023 - 240) << 52);

/// Tridiagonal matrices of a batch, and what is needed on the way to them.
#[derive(Default)]
pub(super) struct Tridiagonal {
    /// Diagonals.
    pub(super) diagonal: Vec<Lanes>,
    /// Entry i stands beside the diagonal in row i, at column i - 1; the first one is zero.
    pub(super) beside: Vec<Lanes>,
    reflection: Reflection,
    next: Reflection,
}

/// u and w.
#[derive(Default)]
struct Reflection {
    u: Vec<Lanes>,
    w: Vec<Lanes>,
}

impl Tridiagonal {
    /// Reduces a batch of matrices, which it overwrites.
    #[inline(always)]
    pub(super) fn reduce(&mut self, entries: &mut [Lanes], size: usize) {
        let Reflection { u, w } = &mut self.next;
        for lanes in
            [&mut self.diagonal, &mut self.beside, &mut self.reflection.u, &mut self.reflection.w, u, w]
        {
            lanes.clear();
            lanes.resize(size, Lanes::ZERO);
        }
        for i in (0..size).rev() {
            let (above, row) = entries.split_at_mut(length(i));
            let row = &mut row[..=i];
            let Reflection { u, w } = &self.reflection;
            subtract(row, u, w);
            self.diagonal[i] = row[i];
            if i > 0 {
                self.beside[i] = eliminate(&row[..i], &mut self.next.u);
            }
            if i > 1 {
                let Reflection { u: next, w: product } = &mut self.next;
                if i + 1 == size {
                    pass::<false>(above, i, &self.reflection, next, product);
                } else {
                    pass::<true>(above, i, &self.reflection, next, product);
                }
                finish(&next[..i], &mut product[..i]);
                std::mem::swap(&mut self.reflection, &mut self.next);
            }
        }
    }
}

/// Takes u w^T + w u^T off the last row of what is left.
#[inline(always)]
fn subtract(row: &mut [Lanes], u: &[Lanes], w: &[Lanes]) {
    let last = row.len() - 1;
    let (u_i, w_i) = (u[last], w[last]);
    for ((x, &u), &w) in row.iter_mut().zip(u).zip(w) {
        *x = *x - (u_i * w + w_i * u);
    }
}

/// Makes u from a row left of the diagonal: returns beta. Where only alpha is not negligible, it stays.
#[inline(always)]
fn eliminate(row: &[Lanes], u: &mut [Lanes]) -> Lanes {
    let last = row.len() - 1;
    let alpha = row[last];
    let rest = dot(&row[..last], &row[..last]);
    let square = rest + alpha * alpha;
    let norm = square.map(f64::sqrt);
    let scale = (square + norm * alpha.map(f64::abs)).map(|x| 1.0 / x.sqrt());
    let is_there = rest.0.map(|rest| rest > NEGLIGIBLE);
    let beta = norm.zip(alpha, |norm, alpha| norm.copysign(-alpha)).where_else(is_there, alpha);
    let scale = scale.where_else(is_there, Lanes::ZERO);
    for (u, &x) in u.iter_mut().zip(row) {
        *u = x * scale;
    }
    u[last] = (alpha - beta) * scale;
    beta
}

/// Updates the first rows by one reflection and multiplies them by the next u: p.
#[inline(always)]
fn pass<const UPDATE: bool>(
    entries: &mut [Lanes],
    rows: usize,
    reflection: &Reflection,
    next: &[Lanes],
    product: &mut [Lanes],
) {
    let Reflection { u, w } = reflection;
    let (u, w, next, product) = (&u[..rows], &w[..rows], &next[..rows], &mut product[..rows]);
    let mut left = entries;
    for first in (0..rows).step_by(ROWS) {
        if first + ROWS <= rows {
            let these;
            (these, left) = left.split_at_mut(length(first + ROWS) - length(first));
            let (a, b) = these.split_at_mut(first + 1);
            pass_rows::<UPDATE, ROWS>([a, b], first, u, w, next, product);
        } else {
            pass_rows::<UPDATE, 1>([&mut left[..=first]], first, u, w, next, product);
            break;
        }
    }
}

/// The pass over R rows, the first of which is row `first`.
#[inline(always)]
fn pass_rows<const UPDATE: bool, const R: usize>(
    mut rows: [&mut [Lanes]; R],
    first: usize,
    u: &[Lanes],
    w: &[Lanes],
    next: &[Lanes],
    product: &mut [Lanes],
) {
    let own = |lanes: &[Lanes]| -> [Lanes; R] { std::array::from_fn(|r| lanes[first + r]) };
    let (own_u, own_w, own_next) = (own(u), own(w), own(next));
    let mut sums = [Lanes::ZERO; R];
    let (left, corner) = product.split_at_mut(first);
    let updated = |x: Lanes, r: usize, u: Lanes, w: Lanes| {
        if UPDATE { x - (own_u[r] * w + own_w[r] * u) } else { x }
    };
    {
        let rows = rows.each_mut().map(|row| &mut row[..first]);
        let (u, w, next) = (&u[..first], &w[..first], &next[..first]);
        for k in 0..first {
            let mut product = left[k];
            for r in 0..R {
                let x = updated(rows[r][k], r, u[k], w[k]);
                if UPDATE {
                    rows[r][k] = x;
                }
                product = product + x * own_next[r];
                sums[r] = sums[r] + x * next[k];
            }
            left[k] = product;
        }
    }
    for r in 0..R {
        for c in 0..=r {
            let x = updated(rows[r][first + c], r, own_u[c], own_w[c]);
            rows[r][first + c] = x;
            sums[r] = sums[r] + x * own_next[c];
            if c < r {
                corner[c] = corner[c] + x * own_next[r];
            }
        }
        corner[r] = sums[r];
    }
}

/// Makes w of p.
#[inline(always)]
fn finish(u: &[Lanes], p: &mut [Lanes]) {
    let half = dot(u, p) * Lanes::splat(0.5);
    for (p, &u) in p.iter_mut().zip(u) {
        *p = *p - half * u;
    }
}

/// Scalar products, as four sums that do not wait for each other.
#[inline(always)]
fn dot(a: &[Lanes], b: &[Lanes]) -> Lanes {
    let mut sums = [Lanes::ZERO; 4];
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    for (a, b) in a.iter().zip(b) {
        for q in 0..4 {
            sums[q] = sums[q] + a[q] * b[q];
        }
    }
    for ((sum, &a), &b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum = *sum + a * b;
    }
    (sums[0] + sums[1]) + (sums[2] + sums[3])
}
