//! Vectors of f32, one type for each instruction set, behind one small trait.
//!
//! A type here is proof that its instruction set is there: [`Isa::available`] alone makes them. Generic code runs
//! inside [`Simd::call`], which compiles it with the instruction set's features on; whatever it calls must be
//! `#[inline(always)]`, or a call of its own.

pub(crate) mod checked_pixels;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
mod transpose;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use self::isa::Isa;
pub(crate) use self::transpose::IMAGES;
pub(crate) use self::vector::{Simd, WithSimd};
