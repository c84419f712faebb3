//! Peak rates of the processor, which no stage of this path can pass: what its threads multiply and add in registers, and
//! what they copy in their first caches. Both with the path's own vectors, on all threads at once, as a run has them.

use std::array::from_fn;
use std::hint::black_box;
use std::time::Instant;

use bytemuck::Zeroable;

use super::simd::{Isa, Simd, WithSimd};
use crate::backend::ceilings::shortest;

/// Peak rates of all threads of rayon's pool together; none where the clock saw no trial take any time.
#[derive(Clone, Copy, Debug)]
pub struct PeakRates {
    /// Multiplications and additions of f32, in a second.
    pub f32_flop: Option<f64>,
    /// The same of f64 in the twins' way, by what every processor of the architecture has.
    pub f64_flop: Option<f64>,
    /// Bytes read and written in a second by copies from first cache to first cache.
    pub first_cache_bytes: Option<f64>,
}

impl PeakRates {
    /// Measures those of an instruction set, in about half a second.
    pub(crate) fn of(isa: Isa) -> Self {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(simd) => Self::measure(simd),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(simd) => Self::measure(simd),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(simd) => Self::measure(simd),
            Isa::Portable(simd) => Self::measure(simd),
        }
    }

    fn measure<S: Simd>(simd: S) -> Self {
        const STEPS: usize = 4 << 20;
        const COPIES: usize = STEPS / COPIED;
        // As many sums as hide the latency of additions, and as the registers hold beside the operands.
        let flop = |sums: usize, lanes: usize| (2 * sums * lanes * STEPS) as f64;
        let f32_flop = match S::SUMS {
            24.. => rate(flop(24, S::LANES), || simd.call(MultiplyAdds::<24> { steps: STEPS })),
            _ => rate(flop(12, S::LANES), || simd.call(MultiplyAdds::<12> { steps: STEPS })),
        };
        let bytes = (2 * COPIES * COPIED * size_of::<S::Lanes>()) as f64;
        PeakRates {
            f32_flop,
            f64_flop: rate(flop(F64_SUMS, 1), || multiply_adds_f64(STEPS)),
            first_cache_bytes: rate(bytes, || simd.call(Copies { copies: COPIES })),
        }
    }
}

/// What all threads do at once in a second, each of them so much in the time of some work, in the fastest of some trials.
fn rate(amount: f64, work: impl Fn() + Sync) -> Option<f64> {
    const TRIALS: usize = 7;
    let trial = |_| {
        let start = Instant::now();
        rayon::broadcast(|_| work());
        start.elapsed()
    };
    let all = rayon::current_num_threads() as f64 * amount;
    shortest((0..TRIALS).map(trial)).map(|time| all / time.as_secs_f64())
}

/// Multiplications and additions to SUMS vectors in registers.
struct MultiplyAdds<const SUMS: usize> {
    steps: usize,
}

impl<S: Simd, const SUMS: usize> WithSimd<S> for MultiplyAdds<SUMS> {
    #[inline(always)]
    fn run(self, simd: S) {
        let [factor, term] = black_box([0.5, 0.5]).map(|x| simd.splat(x));
        let mut sums = [simd.splat(black_box(1.0)); SUMS];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = simd.mul_add(*sum, factor, term);
            }
        }
        let mut lanes = S::Lanes::zeroed();
        for sum in sums {
            simd.store(sum, &mut lanes);
            black_box(&lanes);
        }
    }
}

/// Sums of f64 that fit the registers that every x86-64 has.
const F64_SUMS: usize = 24;

fn multiply_adds_f64(steps: usize) {
    let [factor, term] = black_box([0.5_f64, 0.5]);
    let mut sums: [f64; F64_SUMS] = black_box(from_fn(|i| i as f64));
    for _ in 0..steps {
        for sum in &mut sums {
            *sum = *sum * factor + term;
        }
    }
    black_box(sums);
}

/// Vectors that are copied: with the copy, half of the smallest first caches.
const COPIED: usize = 128;

/// Vectors that start on a cache line.
#[repr(align(64))]
struct Vectors<L>([L; COPIED]);

/// Copies of some vectors, over and over.
struct Copies {
    copies: usize,
}

impl<S: Simd> WithSimd<S> for Copies {
    #[inline(always)]
    fn run(self, simd: S) {
        let [mut from, mut to] = [0, 1].map(|_| Vectors([S::Lanes::zeroed(); COPIED]));
        for _ in 0..self.copies {
            for (to, from) in to.0.iter_mut().zip(&black_box(&mut from).0) {
                simd.store(simd.load(from), to);
            }
            black_box(&mut to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_a_processor() {
        for isa in Isa::available() {
            let PeakRates { f32_flop, f64_flop, first_cache_bytes } = PeakRates::of(isa);
            let cores = rayon::current_num_threads() as f64;
            for rate in [f32_flop, f64_flop, first_cache_bytes] {
                // Nothing was left out by the compiler: no core does 64 vectors of 64 bytes in a nanosecond.
                let is_likely = rate.is_some_and(|rate| rate > 1e7 && rate < 4096e9 * cores);
                assert!(is_likely, "{}: {rate:?}", isa.name());
            }
        }
    }
}
