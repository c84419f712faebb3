//! Peak rates of the processor, measured beside everything else so that results can be put in relation.

use std::hint::black_box;
use std::time::Instant;

use naswot::testing::{PeakRates, peak_rates};
use rayon::prelude::*;
use serde::Serialize;

/// Numbers of each of the two arrays that are copied: 256 MiB, more than caches hold.
const COPIED: usize = 64 << 20;
/// Number of trials, the fastest of which counts.
const TRIALS: usize = 7;

/// Peak rates of a device.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ceilings {
    pub(super) backend: &'static str,
    pub(super) device: String,
    /// Bytes read and written by all threads that copy an array larger than the caches.
    pub(super) copy_gb_per_s: f64,
    /// The same of arrays that stay in the first cache of each.
    pub(super) cache_copy_gb_per_s: f64,
    pub(super) matmul_gflop_per_s: Matmul,
}

/// Peak rate of matrix products: multiplications and additions of all threads in registers, with the instruction set of
/// the backend.
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
    /// Measures the processor, which has batches of so many images; takes about a second.
    pub(super) fn of_cpu(device: String, images: usize) -> naswot::Result<Self> {
        let PeakRates { f32_flop, f64_flop, first_cache_bytes } = peak_rates(images)?;
        Ok(Ceilings {
            backend: "cpu",
            device,
            copy_gb_per_s: copy() / 1e9,
            cache_copy_gb_per_s: first_cache_bytes / 1e9,
            matmul_gflop_per_s: Matmul { f32: f32_flop / 1e9, f64: f64_flop / 1e9 },
        })
    }
}

/// Bytes in a second.
fn copy() -> f64 {
    let piece = COPIED.div_ceil(rayon::current_num_threads());
    let (mut to, mut from) = (vec![0f32; COPIED], vec![0f32; COPIED]);
    from.par_chunks_mut(piece).for_each(|from| from.fill(1.0));
    let trial = |_| {
        let start = Instant::now();
        let pieces = to.par_chunks_mut(piece).zip(from.par_chunks(piece));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
        start.elapsed().as_secs_f64()
    };
    let seconds = (0..TRIALS).map(trial).fold(f64::INFINITY, f64::min);
    2.0 * size_of_val(&from[..]) as f64 / seconds
}
