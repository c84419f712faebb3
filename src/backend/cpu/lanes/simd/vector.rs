//! The trait of instruction sets.

use bytemuck::Pod;

use super::transpose::{IMAGES, transpose};

/// Work that is compiled once for each instruction set.
pub(crate) trait WithSimd<S: Simd> {
    fn run(self, simd: S);
}

/// One instruction set.
pub(crate) trait Simd: Copy + Send + Sync + 'static {
    /// Numbers of one vector, in memory.
    type Lanes: Pod + Send + Sync;
    /// One vector, in a register.
    type V: Copy;
    /// One bit for each image of a block, of which there are at most [`IMAGES`].
    type Bits: Pod + Into<u32> + Send + Sync;
    /// Its name in the environment and in a row's device.
    const NAME: &'static str;
    /// Numbers of one vector.
    const LANES: usize;
    /// Vectors of sums that registers hold beside what a convolution reads.
    const SUMS: usize;

    /// Runs some work with the instruction set's features on.
    fn call<T: WithSimd<Self>>(self, work: T);
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
    /// Bit i: whether the i-th number of a block's vectors is above zero.
    fn positive<const W: usize>(self, v: [Self::V; W]) -> Self::Bits;
    /// Bit k of word i: bit i of entry k.
    #[inline(always)]
    fn transpose(self, entries: &[Self::Bits; 32]) -> [u32; IMAGES] {
        transpose(entries.map(Into::into))
    }
    /// Loads as many vectors.
    #[inline(always)]
    fn load_unit<const W: usize>(self, from: &[Self::Lanes; W]) -> [Self::V; W] {
        let mut v = [self.splat(0.0); W];
        for i in 0..W {
            v[i] = self.load(&from[i]);
        }
        v
    }
    /// Stores as many vectors.
    #[inline(always)]
    fn store_unit<const W: usize>(self, v: [Self::V; W], to: &mut [Self::Lanes; W]) {
        for i in 0..W {
            self.store(v[i], &mut to[i]);
        }
    }
    /// Asks for some numbers to be brought into the second cache; an address behind the end of anything does no harm.
    #[inline(always)]
    fn prefetch(self, _from: *const Self::Lanes) {}
    /// Bits that differ between two codes of one length.
    fn hamming(self, a: &[u32], b: &[u32]) -> u32;
}
