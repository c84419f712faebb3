//! What needs no instruction set in particular.

use super::Kernel;
use super::Simd;

/// Arrays of four, which every compiler turns into whatever vectors the target has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Portable;

impl Simd for Portable {
    type Lanes = [f32; 4];
    type V = [f32; 4];
    type Bits = u8;
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
    fn positive(self, v: [[f32; 4]; 2]) -> u8 {
        (0..8).fold(0, |bits, i| bits | u8::from(v[i / 4][i % 4] > 0.0) << i)
    }

    #[inline(always)]
    fn hamming(self, a: &[u32], b: &[u32]) -> u32 {
        crate::backend::cpu::agreement::hamming(a, b)
    }
}
