//! NEON.

use std::arch::aarch64::*;

use super::vector::{Simd, WithSimd};

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
    type Bits = u8;
    const NAME: &'static str = "neon";
    const LANES: usize = 4;
    const SUMS: usize = 24;

    #[inline(always)]
    fn call<T: WithSimd<Self>>(self, work: T) {
        #[target_feature(enable = "neon")]
        fn inner<T: WithSimd<Neon>>(simd: Neon, work: T) {
            work.run(simd);
        }
        proved!(inner(self, work))
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
    fn positive<const W: usize>(self, v: [float32x4_t; W]) -> u8 {
        const { assert!(W <= 2) };
        let mut bits = 0;
        for (i, v) in v.into_iter().enumerate() {
            proved!({
                let places = vld1q_u32([1u32, 2, 4, 8].as_ptr());
                bits |= (vaddvq_u32(vandq_u32(vcgtzq_f32(v), places)) as u8) << (4 * i);
            });
        }
        bits
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
