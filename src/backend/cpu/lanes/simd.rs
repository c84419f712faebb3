//! Vectors of f32, one type for each instruction set, behind one small trait.
//!
//! A type here is proof that its instruction set is there: [`Isa::detect`] alone makes them. Generic code runs
//! inside [`Simd::call`], which compiles it with the instruction set's features on; whatever it calls must be
//! `#[inline(always)]`, or a call of its own.

use bytemuck::Pod;

use crate::{Error, Result};

/// Work that is compiled once for each instruction set.
pub(crate) trait Kernel<S: Simd> {
    fn run(self, simd: S);
}

/// One instruction set.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Numbers of one vector, in memory.
    type Lanes: Pod + Send + Sync;
    /// One vector, in a register.
    type V: Copy;
    /// Its name in the environment and in a row's device.
    const NAME: &'static str;
    /// Numbers of one vector.
    const LANES: usize;
    /// Channels times two vectors of sums that registers hold beside what a convolution reads.
    const TILE: usize;

    /// Runs a kernel with the instruction set's features on.
    fn call<K: Kernel<Self>>(self, kernel: K);
    fn load(self, from: &Self::Lanes) -> Self::V;
    fn store(self, v: Self::V, to: &mut Self::Lanes);
    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a * b + c, rounded once where the instruction set can.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c - a * b, likewise.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// Bit i: whether lane i is above zero.
    fn positive(self, v: Self::V) -> u32;
    /// Bits that differ between two codes of one length.
    fn hamming(self, a: &[u32], b: &[u32]) -> u32;
}

/// Instruction sets, the fastest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    Portable(Portable),
}

impl Isa {
    /// Those that this machine has, the fastest first.
    pub(crate) fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            found.extend(x86::Avx512::detect().map(Isa::Avx512));
            found.extend(x86::Avx2::detect().map(Isa::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        found.extend(neon::Neon::detect().map(Isa::Neon));
        found.push(Isa::Portable(Portable));
        found
    }

    /// The one that `NASWOT_SIMD` names, else the fastest.
    pub(crate) fn choose() -> Result<Self> {
        let available = Self::available();
        let Ok(wanted) = std::env::var("NASWOT_SIMD") else { return Ok(available[0]) };
        available.iter().copied().find(|isa| isa.name() == wanted).ok_or_else(|| {
            let names: Vec<&str> = available.iter().map(|isa| isa.name()).collect();
            let message = format!("`{wanted}` is none of what this machine has: {}", names.join(", "));
            Error::Setting { name: "NASWOT_SIMD", message }
        })
    }

    /// Its name in the environment and in a row's device.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => x86::Avx512::NAME,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => x86::Avx2::NAME,
            #[cfg(target_arch = "aarch64")]
            Isa::Neon(_) => neon::Neon::NAME,
            Isa::Portable(_) => Portable::NAME,
        }
    }
}

/// Arrays of four, which every compiler turns into whatever vectors the target has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

impl Simd for Portable {
    type Lanes = [f32; 4];
    type V = [f32; 4];
    const NAME: &'static str = "portable";
    const LANES: usize = 4;
    const TILE: usize = 6;

    #[inline(always)]
    fn call<K: Kernel<Self>>(self, kernel: K) {
        kernel.run(self);
    }

    #[inline(always)]
    fn load(self, from: &[f32; 4]) -> [f32; 4] {
        *from
    }

    #[inline(always)]
    fn store(self, v: [f32; 4], to: &mut [f32; 4]) {
        *to = v;
    }

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; 4] {
        [x; 4]
    }

    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }

    #[inline(always)]
    fn sub(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]]
    }

    #[inline(always)]
    fn mul(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }

    #[inline(always)]
    fn mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn max(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        let max = |i: usize| if a[i] > b[i] { a[i] } else { b[i] };
        [max(0), max(1), max(2), max(3)]
    }

    #[inline(always)]
    fn positive(self, v: [f32; 4]) -> u32 {
        (0..4).fold(0, |bits, i| bits | u32::from(v[i] > 0.0) << i)
    }

    #[inline(always)]
    fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
        super::super::agreement::hamming(a, b)
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod x86 {
    use super::{Kernel, Simd};
    use std::arch::x86_64::*;

    /// AVX2 and FMA.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            let there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            there.then_some(Avx2(()))
        }
    }

    /// AVX-512 with VPOPCNTDQ (Ice Lake, Zen 4 and later).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            let there = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vpopcntdq");
            there.then_some(Avx512(()))
        }
    }

    /// Calls intrinsics of an instruction set that the type of `self` proves to be there.
    macro_rules! proved {
        ($e:expr) => {
            // SAFETY: a value of the type exists only where its features were detected, and loads and stores
            // take references, which are valid for as many numbers as they move.
            unsafe { $e }
        };
    }

    impl Simd for Avx2 {
        type Lanes = [f32; 8];
        type V = __m256;
        const NAME: &'static str = "avx2";
        const LANES: usize = 8;
        const TILE: usize = 6;

        #[inline(always)]
        fn call<K: Kernel<Self>>(self, kernel: K) {
            #[target_feature(enable = "avx2,fma")]
            fn inner<K: Kernel<Avx2>>(simd: Avx2, kernel: K) {
                kernel.run(simd);
            }
            proved!(inner(self, kernel))
        }

        #[inline(always)]
        fn load(self, from: &[f32; 8]) -> __m256 {
            proved!(_mm256_loadu_ps(from.as_ptr()))
        }

        #[inline(always)]
        fn store(self, v: __m256, to: &mut [f32; 8]) {
            proved!(_mm256_storeu_ps(to.as_mut_ptr(), v))
        }

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            proved!(_mm256_set1_ps(x))
        }

        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            proved!(_mm256_add_ps(a, b))
        }

        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            proved!(_mm256_sub_ps(a, b))
        }

        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            proved!(_mm256_mul_ps(a, b))
        }

        #[inline(always)]
        fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            proved!(_mm256_fmadd_ps(a, b, c))
        }

        #[inline(always)]
        fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            proved!(_mm256_fnmadd_ps(a, b, c))
        }

        #[inline(always)]
        fn max(self, a: __m256, b: __m256) -> __m256 {
            proved!(_mm256_max_ps(a, b))
        }

        #[inline(always)]
        fn positive(self, v: __m256) -> u32 {
            proved!(_mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(v, _mm256_setzero_ps()))) as u32
        }

        /// Counts nibbles by table (Mula, Kurz and Lemire, 2018).
        #[inline(always)]
        fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
            /// Bytes count up to 8 a round, so 31 rounds fit.
            const ROUNDS: usize = 31;
            let (a, a_rest) = a.as_chunks::<8>();
            let (b, b_rest) = b.as_chunks::<8>();
            let rest: u32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones()).sum();
            proved!({
                let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                ));
                let low = _mm256_set1_epi8(15);
                let mut total = _mm256_setzero_si256();
                for (a, b) in a.chunks(ROUNDS).zip(b.chunks(ROUNDS)) {
                    let mut bytes = _mm256_setzero_si256();
                    for (a, b) in a.iter().zip(b) {
                        let a = _mm256_loadu_si256(a.as_ptr().cast());
                        let x = _mm256_xor_si256(a, _mm256_loadu_si256(b.as_ptr().cast()));
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(x), low);
                        let high = _mm256_shuffle_epi8(table, high);
                        let count =
                            _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)), high);
                        bytes = _mm256_add_epi8(bytes, count);
                    }
                    total = _mm256_add_epi64(total, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
                }
                let half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
                let sum = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
                _mm_cvtsi128_si64(sum) as u32 + rest
            })
        }
    }

    impl Simd for Avx512 {
        type Lanes = [f32; 16];
        type V = __m512;
        const NAME: &'static str = "avx512";
        const LANES: usize = 16;
        const TILE: usize = 14;

        #[inline(always)]
        fn call<K: Kernel<Self>>(self, kernel: K) {
            #[target_feature(enable = "avx512f,avx512vpopcntdq")]
            fn inner<K: Kernel<Avx512>>(simd: Avx512, kernel: K) {
                kernel.run(simd);
            }
            proved!(inner(self, kernel))
        }

        #[inline(always)]
        fn load(self, from: &[f32; 16]) -> __m512 {
            proved!(_mm512_loadu_ps(from.as_ptr()))
        }

        #[inline(always)]
        fn store(self, v: __m512, to: &mut [f32; 16]) {
            proved!(_mm512_storeu_ps(to.as_mut_ptr(), v))
        }

        #[inline(always)]
        fn splat(self, x: f32) -> __m512 {
            proved!(_mm512_set1_ps(x))
        }

        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            proved!(_mm512_add_ps(a, b))
        }

        #[inline(always)]
        fn sub(self, a: __m512, b: __m512) -> __m512 {
            proved!(_mm512_sub_ps(a, b))
        }

        #[inline(always)]
        fn mul(self, a: __m512, b: __m512) -> __m512 {
            proved!(_mm512_mul_ps(a, b))
        }

        #[inline(always)]
        fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            proved!(_mm512_fmadd_ps(a, b, c))
        }

        #[inline(always)]
        fn neg_mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            proved!(_mm512_fnmadd_ps(a, b, c))
        }

        #[inline(always)]
        fn max(self, a: __m512, b: __m512) -> __m512 {
            proved!(_mm512_max_ps(a, b))
        }

        #[inline(always)]
        fn positive(self, v: __m512) -> u32 {
            proved!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(v, _mm512_setzero_ps())).into()
        }

        #[inline(always)]
        fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
            let (a, a_rest) = a.as_chunks::<16>();
            let (b, b_rest) = b.as_chunks::<16>();
            let rest: u32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones()).sum();
            proved!({
                let mut total = _mm512_setzero_si512();
                for (a, b) in a.iter().zip(b) {
                    let a = _mm512_loadu_si512(a.as_ptr().cast());
                    let x = _mm512_xor_si512(a, _mm512_loadu_si512(b.as_ptr().cast()));
                    total = _mm512_add_epi64(total, _mm512_popcnt_epi64(x));
                }
                _mm512_reduce_add_epi64(total) as u32 + rest
            })
        }
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) mod neon {
    use super::{Kernel, Simd};
    use std::arch::aarch64::*;

    /// NEON.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Neon(());

    impl Neon {
        pub(super) fn detect() -> Option<Self> {
            std::arch::is_aarch64_feature_detected!("neon").then_some(Neon(()))
        }
    }

    /// Calls intrinsics of an instruction set that the type of `self` proves to be there.
    macro_rules! proved {
        ($e:expr) => {
            // SAFETY: a value of the type exists only where NEON was detected, and loads and stores take
            // references, which are valid for as many numbers as they move.
            unsafe { $e }
        };
    }

    impl Simd for Neon {
        type Lanes = [f32; 4];
        type V = float32x4_t;
        const NAME: &'static str = "neon";
        const LANES: usize = 4;
        const TILE: usize = 12;

        #[inline(always)]
        fn call<K: Kernel<Self>>(self, kernel: K) {
            #[target_feature(enable = "neon")]
            fn inner<K: Kernel<Neon>>(simd: Neon, kernel: K) {
                kernel.run(simd);
            }
            proved!(inner(self, kernel))
        }

        #[inline(always)]
        fn load(self, from: &[f32; 4]) -> float32x4_t {
            proved!(vld1q_f32(from.as_ptr()))
        }

        #[inline(always)]
        fn store(self, v: float32x4_t, to: &mut [f32; 4]) {
            proved!(vst1q_f32(to.as_mut_ptr(), v))
        }

        #[inline(always)]
        fn splat(self, x: f32) -> float32x4_t {
            proved!(vdupq_n_f32(x))
        }

        #[inline(always)]
        fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            proved!(vaddq_f32(a, b))
        }

        #[inline(always)]
        fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            proved!(vsubq_f32(a, b))
        }

        #[inline(always)]
        fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            proved!(vmulq_f32(a, b))
        }

        #[inline(always)]
        fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            proved!(vfmaq_f32(c, a, b))
        }

        #[inline(always)]
        fn neg_mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
            proved!(vfmsq_f32(c, a, b))
        }

        #[inline(always)]
        fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
            proved!(vmaxq_f32(a, b))
        }

        #[inline(always)]
        fn positive(self, v: float32x4_t) -> u32 {
            proved!({
                let places = vld1q_u32([1u32, 2, 4, 8].as_ptr());
                vaddvq_u32(vandq_u32(vcgtzq_f32(v), places))
            })
        }

        #[inline(always)]
        fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
            let (a, a_rest) = a.as_chunks::<4>();
            let (b, b_rest) = b.as_chunks::<4>();
            let rest: u32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones()).sum();
            proved!({
                let mut total = vdupq_n_u32(0);
                for (a, b) in a.iter().zip(b) {
                    let x = veorq_u32(vld1q_u32(a.as_ptr()), vld1q_u32(b.as_ptr()));
                    let bytes = vcntq_u8(vreinterpretq_u8_u32(x));
                    total = vpadalq_u16(total, vpaddlq_u8(bytes));
                }
                vaddvq_u32(total) + rest
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every instruction set must make of some numbers.
    struct Check;

    impl<S: Simd> Kernel<S> for Check {
        #[inline(always)]
        fn run(self, simd: S) {
            let numbers: Vec<f32> = (0..S::LANES).map(|i| i as f32 - 1.5).collect();
            let lanes: S::Lanes = bytemuck::pod_read_unaligned(bytemuck::cast_slice(&numbers));
            let v = simd.load(&lanes);
            let mut out = lanes;
            let mut check = |v: S::V, expected: &dyn Fn(f32) -> f32| {
                simd.store(v, &mut out);
                let got: Vec<f32> = bytemuck::cast_slice(std::slice::from_ref(&out)).to_vec();
                let expected: Vec<f32> = numbers.iter().map(|&x| expected(x)).collect();
                assert_eq!(got, expected, "{}", S::NAME);
            };
            let two = simd.splat(2.0);
            check(simd.add(v, two), &|x| x + 2.0);
            check(simd.sub(v, two), &|x| x - 2.0);
            check(simd.mul(v, two), &|x| x * 2.0);
            check(simd.mul_add(v, two, v), &|x| 3.0 * x);
            check(simd.neg_mul_add(v, two, v), &|x| -x);
            check(simd.max(v, simd.splat(0.0)), &|x| x.max(0.0));
            assert_eq!(simd.positive(v), (0xffff_fffcu32) & ((1u64 << S::LANES) - 1) as u32, "{}", S::NAME);
            for length in [0, 1, 7, 16, 64, 1000, 4096] {
                let word = |i: usize, k: u32| (i as u32).wrapping_mul(k) ^ (i as u32) << 7;
                let a: Vec<u32> = (0..length).map(|i| word(i, 0x9E37_79B9)).collect();
                let b: Vec<u32> = (0..length).map(|i| word(i, 0x85EB_CA6B)).collect();
                let expected: u32 = a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(simd.hamming(&a, &b), expected, "{} {length}", S::NAME);
            }
        }
    }

    #[test]
    fn every_instruction_set_of_this_machine_computes_the_same() {
        for isa in Isa::available() {
            match isa {
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512(simd) => simd.call(Check),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(simd) => simd.call(Check),
                #[cfg(target_arch = "aarch64")]
                Isa::Neon(simd) => simd.call(Check),
                Isa::Portable(simd) => simd.call(Check),
            }
        }
    }
}
