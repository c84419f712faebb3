//! Peak rates of devices, measured beside everything else so that results can be put in relation.

use std::hint::black_box;
use std::time::Instant;

use naswot::testing::{DeviceCeilings, KernelLoad, PeakRates, peak_rates, shortest};
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
    /// Bytes read and written by copies of arrays larger than the caches: by all threads, or in a GPU's memory.
    pub(super) copy_gb_per_s: Option<f64>,
    /// The same of arrays that stay in the first cache of each thread.
    pub(super) cache_copy_gb_per_s: Option<f64>,
    pub(super) matmul_gflop_per_s: Matmul,
    /// Time of a launch that has next to nothing to do, among many.
    pub(super) launch_microseconds: Option<f64>,
    pub(super) kernels: Option<Kernels>,
}

/// What it took to have a GPU's kernels ready.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Kernels {
    pub(super) seconds: f64,
    /// Sources that were compiled, and those whose machine code was in the cache.
    pub(super) compiled: usize,
    pub(super) cached: usize,
}

/// Peak rate of matrix products: multiplications and additions of all threads in registers, with the instruction set of
/// the backend.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Matmul {
    pub(super) f32: Option<f64>,
    pub(super) f64: Option<f64>,
}

impl Matmul {
    /// The rate for a precision, where it is known.
    pub(super) fn of(&self, precision: &str) -> Option<f64> {
        match precision {
            "f32" => self.f32,
            "f64" => self.f64,
            _ => None,
        }
    }
}

impl Ceilings {
    /// What is known of them, in words.
    pub(super) fn known(&self) -> Vec<String> {
        let Matmul { f32, f64 } = self.matmul_gflop_per_s;
        let kernels = self.kernels.as_ref().map(|Kernels { seconds, compiled, cached }| {
            format!("kernels ready in {seconds:.2} s ({compiled} sources compiled, {cached} from the cache)")
        });
        let all = [
            f32.map(|rate| format!("{rate:.1} GFLOP/s in f32")),
            f64.map(|rate| format!("{rate:.1} in f64")),
            self.copy_gb_per_s.map(|rate| format!("copies {rate:.1} GB/s in memory")),
            self.cache_copy_gb_per_s.map(|rate| format!("{rate:.1} in first caches")),
            self.launch_microseconds.map(|time| format!("a launch {time:.2} us")),
            kernels,
        ];
        all.into_iter().flatten().collect()
    }

    /// Measures the processor, which has batches of so many images; takes about a second.
    pub(super) fn of_cpu(device: String, images: usize) -> naswot::Result<Self> {
        let PeakRates { f32_flop, f64_flop, first_cache_bytes } = peak_rates(images)?;
        Ok(Ceilings {
            backend: "cpu",
            device,
            copy_gb_per_s: copy().map(giga),
            cache_copy_gb_per_s: first_cache_bytes.map(giga),
            matmul_gflop_per_s: Matmul { f32: f32_flop.map(giga), f64: f64_flop.map(giga) },
            launch_microseconds: None,
            kernels: None,
        })
    }

    /// What a GPU has measured of itself.
    pub(super) fn of_gpu(backend: &'static str, device: String, measured: DeviceCeilings) -> Self {
        let kernels = |KernelLoad { time, compiled, cached }: KernelLoad| Kernels {
            seconds: time.as_secs_f64(),
            compiled,
            cached,
        };
        Ceilings {
            backend,
            device,
            copy_gb_per_s: measured.copy_bytes_per_s.map(giga),
            cache_copy_gb_per_s: None,
            matmul_gflop_per_s: Matmul { f32: None, f64: None },
            launch_microseconds: measured.launch.map(|time| 1e6 * time.as_secs_f64()),
            kernels: measured.kernels.map(kernels),
        }
    }
}

fn giga(rate: f64) -> f64 {
    rate / 1e9
}

/// Bytes in a second.
fn copy() -> Option<f64> {
    let piece = COPIED.div_ceil(rayon::current_num_threads());
    let (mut to, mut from) = (vec![0f32; COPIED], vec![0f32; COPIED]);
    from.par_chunks_mut(piece).for_each(|from| from.fill(1.0));
    let trial = |_| {
        let start = Instant::now();
        let pieces = to.par_chunks_mut(piece).zip(from.par_chunks(piece));
        pieces.for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
        start.elapsed()
    };
    let bytes = 2.0 * size_of_val(&from[..]) as f64;
    shortest((0..TRIALS).map(trial)).map(|time| bytes / time.as_secs_f64())
}
