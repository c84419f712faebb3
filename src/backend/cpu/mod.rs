//! The CPU backend: one twin in plain Rust for each stage.

pub(crate) mod agreement;
pub(crate) mod cholesky;
pub(crate) mod real;
