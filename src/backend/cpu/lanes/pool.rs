//! Rows of a pool: down the columns of the window first, then across.

use std::ops::Range;

use super::simd::{Simd, WithSimd};
use super::units::Unit;
use crate::plan::jobs::Pool;

/// One row of a pool.
pub(super) struct PoolRow<'a, S: Simd, const W: usize> {
    pub(super) pool: Pool,
    /// Rows of the window that lie inside the image, [pixel][channel].
    pub(super) rows: &'a [&'a [Unit<S, W>]],
    /// Room for another one.
    pub(super) column: &'a mut [Unit<S, W>],
    /// Columns of each pixel of the output.
    pub(super) spans: &'a [Range<usize>],
    pub(super) pitch: usize,
    pub(super) output: &'a mut [Unit<S, W>],
}

impl<S: Simd, const W: usize> WithSimd<S> for PoolRow<'_, S, W> {
    #[inline(always)]
    fn run(self, simd: S) {
        match self.pool {
            Pool::Max => self.pool::<true>(simd),
            Pool::Average => self.pool::<false>(simd),
        }
    }
}

impl<S: Simd, const W: usize> PoolRow<'_, S, W> {
    #[inline(always)]
    fn pool<const MAX: bool>(self, simd: S) {
        match *self.rows {
            [a] => reduce::<S, W, 1, MAX>(simd, [a], None, self.column),
            [a, b] => reduce::<S, W, 2, MAX>(simd, [a, b], None, self.column),
            [a, b, c] => reduce::<S, W, 3, MAX>(simd, [a, b, c], None, self.column),
            _ => reduce_all::<S, W, MAX>(simd, self.rows.iter().copied(), None, self.column),
        }
        let column = &*self.column;
        let pixel = |x: usize| &column[x * self.pitch..][..self.pitch];
        for (span, out) in self.spans.iter().zip(self.output.chunks_exact_mut(self.pitch)) {
            let share = (!MAX).then(|| 1.0 / (self.rows.len() * span.len()) as f32);
            let x = span.start;
            match span.len() {
                1 => reduce::<S, W, 1, MAX>(simd, [pixel(x)], share, out),
                2 => reduce::<S, W, 2, MAX>(simd, [pixel(x), pixel(x + 1)], share, out),
                3 => reduce::<S, W, 3, MAX>(simd, [pixel(x), pixel(x + 1), pixel(x + 2)], share, out),
                _ => reduce_all::<S, W, MAX>(simd, span.clone().map(pixel), share, out),
            }
        }
    }
}

/// The maximum or the sum of some rows, times a share.
#[inline(always)]
fn reduce<S: Simd, const W: usize, const N: usize, const MAX: bool>(
    simd: S,
    mut rows: [&[Unit<S, W>]; N],
    share: Option<f32>,
    out: &mut [Unit<S, W>],
) {
    let times = simd.splat(share.unwrap_or(1.0));
    for row in &mut rows {
        *row = &row[..out.len()];
    }
    for (i, unit) in out.iter_mut().enumerate() {
        for v in 0..W {
            let mut value = simd.load(&rows[0][i][v]);
            for row in &rows[1..] {
                let other = simd.load(&row[i][v]);
                value = if MAX { simd.max(value, other) } else { simd.add(value, other) };
            }
            simd.store(if share.is_some() { simd.mul(value, times) } else { value }, &mut unit[v]);
        }
    }
}

/// The same of any number of rows.
#[inline(always)]
fn reduce_all<'a, S: Simd, const W: usize, const MAX: bool>(
    simd: S,
    rows: impl Iterator<Item = &'a [Unit<S, W>]>,
    share: Option<f32>,
    out: &mut [Unit<S, W>],
) {
    for (r, row) in rows.enumerate() {
        for (unit, row) in out.iter_mut().zip(row) {
            for v in 0..W {
                let mut value = simd.load(&row[v]);
                if r > 0 {
                    let other = simd.load(&unit[v]);
                    value = if MAX { simd.max(other, value) } else { simd.add(other, value) };
                }
                simd.store(value, &mut unit[v]);
            }
        }
    }
    if let Some(share) = share {
        let share = simd.splat(share);
        for lanes in out.iter_mut().flatten() {
            simd.store(simd.mul(simd.load(lanes), share), lanes);
        }
    }
}
