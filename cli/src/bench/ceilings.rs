//! Peak rates of the processor, measured beside everything else so that results can be put in relation.

use std::array;
use std::hint::black_box;
use std::ops::{AddAssign, Mul};
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

/// Numbers of each of the two arrays that are copied: 256 MiB, more than caches hold.
const COPIED: usize = 64 << 20;
/// Length of the products that are summed up: with the tile's width, operands fit the first cache.
const DEPTH: usize = 256;
/// Rows of the tile that is kept in registers.
const ROWS: usize = 2;
/// Number of trials, the fastest of which counts.
const TRIALS: usize = 7;

/// Peak rates of a device.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ceilings {
    pub(super) device: String,
    /// Bytes read and written by all threads that copy an array larger than the caches.
    pub(super) copy_gb_per_s: f64,
    pub(super) matmul_gflop_per_s: Matmul,
}

/// Peak rate of matrix products: multiplications and additions of all threads in their first cache, 2 x 64 bytes of
/// sums in registers, compiled for the same instruction set as the backend.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Matmul {
    pub(super) f32: f64,
    pub(super) f64: f64,
}

impl Matmul {
    /// The rate for a precision, where it is known.
    pub(super) fn of(&self, precision: &str) -> Option<f64> {
        match precision {
            "f32" => Some(self.f32),
            "f64" => Some(self.f64),
            _ => None,
        }
    }
}

impl Ceilings {
    /// Measures the processor; takes about a second.
    pub(super) fn of_cpu(device: String) -> Self {
        let matmul_gflop_per_s = Matmul { f32: matmul::<f32, 16>(0.5), f64: matmul::<f64, 8>(0.5) };
        Ceilings { device, copy_gb_per_s: copy(), matmul_gflop_per_s }
    }
}

fn copy() -> f64 {
    let piece = COPIED.div_ceil(rayon::current_num_threads());
    let (mut to, mut from) = (vec![0f32; COPIED], vec![0f32; COPIED]);
    from.par_chunks_mut(piece).for_each(|from| from.fill(1.0));
    let seconds = best(|| {
        let pieces = to.par_chunks_mut(piece).zip(from.par_chunks(piece));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
    });
    2.0 * size_of_val(&from[..]) as f64 / seconds / 1e9
}

/// Products of ROWS x DEPTH and DEPTH x L matrices, over and over on every thread.
fn matmul<T, const L: usize>(value: T) -> f64
where
    T: Copy + Default + Send + Sync + AddAssign + Mul<Output = T>,
{
    const REPEATS: usize = 4000;
    let threads = rayon::current_num_threads();
    let (a, b) = (vec![[value; ROWS]; DEPTH], vec![[value; L]; DEPTH]);
    let seconds = best(|| {
        (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
            for _ in 0..REPEATS {
                black_box(product(black_box(&a), black_box(&b)));
            }
        });
    });
    (2 * ROWS * L * DEPTH * REPEATS * threads) as f64 / seconds / 1e9
}

#[inline(never)]
fn product<T, const L: usize>(a: &[[T; ROWS]], b: &[[T; L]]) -> [[T; L]; ROWS]
where
    T: Copy + Default + AddAssign + Mul<Output = T>,
{
    let mut sums = array::from_fn(|_| [T::default(); L]);
    for (a, b) in a.iter().zip(b) {
        for (sums, &a) in sums.iter_mut().zip(a) {
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    sums
}

/// Seconds of the fastest trial.
fn best(mut work: impl FnMut()) -> f64 {
    let trial = |_| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..TRIALS).map(trial).fold(f64::INFINITY, f64::min)
}
