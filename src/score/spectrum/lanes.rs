//! One number of each of eight matrices, with arithmetic by lane.
//!
//! Loops over the lanes have a constant length and no branch, so they become vector instructions of whatever instruction
//! set they are compiled for. Products and sums are rounded one by one: no set may fuse them, so all make the same bits.

use std::ops::{Add, Mul, Sub};

/// Matrices of a batch, or eigenvalues that are bisected side by side: a vector of AVX-512, two of AVX2.
pub(crate) const LANES: usize = 8;

/// A number in each lane.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(align(64))]
pub(super) struct Lanes<const W: usize = LANES>(pub(super) [f64; W]);

impl<const W: usize> Lanes<W> {
    pub(super) const ZERO: Self = Lanes([0.0; W]);
    pub(super) const ONE: Self = Lanes([1.0; W]);

    #[inline(always)]
    pub(super) fn splat(x: f64) -> Self {
        Lanes([x; W])
    }

    #[inline(always)]
    pub(super) fn map(mut self, f: impl Fn(f64) -> f64) -> Self {
        for x in &mut self.0 {
            *x = f(*x);
        }
        self
    }

    #[inline(always)]
    pub(super) fn zip(mut self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        for (x, y) in self.0.iter_mut().zip(&other.0) {
            *x = f(*x, *y);
        }
        self
    }

    /// Its own number where a lane's condition holds, else that of `other`.
    #[inline(always)]
    pub(super) fn where_else(mut self, condition: [bool; W], other: Self) -> Self {
        for ((x, y), is_own) in self.0.iter_mut().zip(&other.0).zip(&condition) {
            *x = if *is_own { *x } else { *y };
        }
        self
    }

    #[inline(always)]
    pub(super) fn to_bits(self) -> [u64; W] {
        let mut bits = [0; W];
        for (bits, x) in bits.iter_mut().zip(&self.0) {
            *bits = x.to_bits();
        }
        bits
    }
}

impl<const W: usize> Add for Lanes<W> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |x, y| x + y)
    }
}

impl<const W: usize> Sub for Lanes<W> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |x, y| x - y)
    }
}

impl<const W: usize> Mul for Lanes<W> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.zip(other, |x, y| x * y)
    }
}
