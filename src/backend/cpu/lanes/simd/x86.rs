//! AVX2 and AVX-512.

use std::arch::x86_64::*;

use super::transpose::IMAGES;
use super::vector::{Simd, WithSimd};

/// AVX2 and FMA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        there.then_some(Avx2(()))
    }
}

/// AVX-512 with BW and VPOPCNTDQ (Ice Lake, Zen 4 and later).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vpopcntdq");
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
    type Bits = u16;
    const NAME: &'static str = "avx2";
    const LANES: usize = 8;
    const SUMS: usize = 12;

    #[inline(always)]
    fn call<T: WithSimd<Self>>(self, work: T) {
        #[target_feature(enable = "avx2,fma")]
        fn inner<T: WithSimd<Avx2>>(simd: Avx2, work: T) {
            work.run(simd);
        }
        proved!(inner(self, work))
    }

    #[inline(always)]
    fn prefetch(self, from: *const [f32; 8]) {
        proved!(_mm_prefetch::<_MM_HINT_T1>(from.cast()))
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
    fn positive<const W: usize>(self, v: [__m256; W]) -> u16 {
        const { assert!(W <= 2) };
        let mut bits = 0;
        for (i, v) in v.into_iter().enumerate() {
            // The sign of 0 - v: compilers take a longer way from a comparison to the same bits.
            proved!(bits |= (_mm256_movemask_ps(_mm256_sub_ps(_mm256_setzero_ps(), v)) as u16) << (8 * i));
        }
        bits
    }

    /// The highest bits of 32 bytes at a time.
    #[inline(always)]
    fn transpose(self, entries: &[u16; 32]) -> [u32; IMAGES] {
        let mut words = [0; IMAGES];
        proved!({
            let [a, b] = [0, 16].map(|first| _mm256_loadu_si256(entries[first..].as_ptr().cast()));
            let low = _mm256_set1_epi16(0xff);
            let bytes = [
                _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low)),
                _mm256_packus_epi16(_mm256_srli_epi16::<8>(a), _mm256_srli_epi16::<8>(b)),
            ];
            for (mut bytes, words) in bytes.into_iter().zip(words.as_chunks_mut::<8>().0) {
                // Packing went half by half.
                bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
                for word in words.iter_mut().rev() {
                    *word = _mm256_movemask_epi8(bytes) as u32;
                    bytes = _mm256_add_epi8(bytes, bytes);
                }
            }
        });
        words
    }

    /// Adds up bits of 16 vectors by carry-save adders before it counts them (Harley and Seal; Mula, Kurz and
    /// Lemire, 2018).
    #[inline(always)]
    fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
        let (a, a_rest) = a.as_chunks::<8>();
        let (b, b_rest) = b.as_chunks::<8>();
        let rest: u32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a ^ b).count_ones()).sum();
        let (a, a_rest) = a.as_chunks::<16>();
        let (b, b_rest) = b.as_chunks::<16>();
        proved!({
            let zero = _mm256_setzero_si256();
            let (mut ones, mut twos, mut fours, mut eights) = (zero, zero, zero, zero);
            let mut sixteens = zero;
            for (a, b) in a.iter().zip(b) {
                let (mut carries_2, mut carries_4, mut carries_8) = ([zero; 2], [zero; 2], [zero; 2]);
                for i in 0..8 {
                    let x = [differ(&a[2 * i], &b[2 * i]), differ(&a[2 * i + 1], &b[2 * i + 1])];
                    carries_2[i % 2] = add(&mut ones, x);
                    if i % 2 == 1 {
                        carries_4[i / 2 % 2] = add(&mut twos, carries_2);
                    }
                    if i % 4 == 3 {
                        carries_8[i / 4] = add(&mut fours, carries_4);
                    }
                }
                sixteens = _mm256_add_epi64(sixteens, count(add(&mut eights, carries_8)));
            }
            let mut total = _mm256_slli_epi64::<1>(sixteens);
            for counted in [eights, fours, twos] {
                total = _mm256_slli_epi64::<1>(_mm256_add_epi64(total, count(counted)));
            }
            total = _mm256_add_epi64(total, count(ones));
            for (a, b) in a_rest.iter().zip(b_rest) {
                total = _mm256_add_epi64(total, count(differ(a, b)));
            }
            let half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256::<1>(total));
            let sum = _mm_add_epi64(half, _mm_unpackhi_epi64(half, half));
            _mm_cvtsi128_si64(sum) as u32 + rest
        })
    }
}

/// The bits that differ.
#[inline]
#[target_feature(enable = "avx2")]
fn differ(a: &[u32; 8], b: &[u32; 8]) -> __m256i {
    // SAFETY: both references are valid for 32 bytes.
    unsafe { _mm256_xor_si256(_mm256_loadu_si256(a.as_ptr().cast()), _mm256_loadu_si256(b.as_ptr().cast())) }
}

/// Adds two bits to a sum of bits, in each place: returns the carry.
#[inline]
#[target_feature(enable = "avx2")]
fn add(sum: &mut __m256i, [a, b]: [__m256i; 2]) -> __m256i {
    let both = _mm256_xor_si256(*sum, a);
    let carry = _mm256_or_si256(_mm256_and_si256(*sum, a), _mm256_and_si256(both, b));
    *sum = _mm256_xor_si256(both, b);
    carry
}

/// Bits in each 64, nibble by nibble from a table.
#[inline]
#[target_feature(enable = "avx2")]
fn count(x: __m256i) -> __m256i {
    let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let low = _mm256_set1_epi8(15);
    let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(x), low));
    let bytes = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)), high);
    _mm256_sad_epu8(bytes, _mm256_setzero_si256())
}

impl Simd for Avx512 {
    type Lanes = [f32; 16];
    type V = __m512;
    type Bits = u16;
    const NAME: &'static str = "avx512";
    const LANES: usize = 16;
    const SUMS: usize = 28;

    #[inline(always)]
    fn call<T: WithSimd<Self>>(self, work: T) {
        #[target_feature(enable = "avx512f,avx512bw,avx512vpopcntdq")]
        fn inner<T: WithSimd<Avx512>>(simd: Avx512, work: T) {
            work.run(simd);
        }
        proved!(inner(self, work))
    }

    #[inline(always)]
    fn prefetch(self, from: *const [f32; 16]) {
        proved!(_mm_prefetch::<_MM_HINT_T1>(from.cast()))
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
    fn positive<const W: usize>(self, v: [__m512; W]) -> u16 {
        const { assert!(W == 1) };
        proved!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(v[0], _mm512_setzero_ps()))
    }

    #[inline(always)]
    fn transpose(self, entries: &[u16; 32]) -> [u32; IMAGES] {
        let mut words = [0; IMAGES];
        proved!({
            let entries = _mm512_loadu_si512(entries.as_ptr().cast());
            for (i, word) in words.iter_mut().enumerate() {
                *word = _mm512_test_epi16_mask(entries, _mm512_set1_epi16(1 << i));
            }
        });
        words
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
