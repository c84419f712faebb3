//! The floating-point types of the twins: f32, as the fast paths compute, and f64, their reference.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Sub, SubAssign};

use crate::Precision;

/// f32 or f64, with what the twins need.
///
/// There is no fused multiply-add here: it would make a twin's bits depend on the target.
pub(crate) trait Real:
    Copy
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + bytemuck::Pod
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + 'static
{
    /// The number 0.
    const ZERO: Self;
    /// The precision it stands for.
    const PRECISION: Precision;
    /// That precision's name.
    const NAME: &'static str;
    /// Neighboring pixels that `conv` keeps in registers: as many vectors for either type.
    const PIXELS: usize;
    /// From single precision; exact.
    fn from_f32(value: f32) -> Self;
    /// From double precision, rounded to nearest.
    fn from_f64(value: f64) -> Self;
    /// To double precision; exact.
    fn to_f64(self) -> f64;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// The larger of two numbers; the other one where this is NaN.
    fn max(self, other: Self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($t:ident, $precision:ident, $pixels:literal) => {
        impl Real for $t {
            const ZERO: Self = 0.0;
            const PRECISION: Precision = Precision::$precision;
            const NAME: &'static str = stringify!($t);
            const PIXELS: usize = $pixels;

            fn from_f32(value: f32) -> Self {
                value as $t
            }

            fn from_f64(value: f64) -> Self {
                value as $t
            }

            fn to_f64(self) -> f64 {
                self as f64
            }

            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }

            fn max(self, other: Self) -> Self {
                if self > other { self } else { other }
            }

            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
        }
    };
}

real!(f32, F32, 4);
real!(f64, F64, 2);
