//! Scores: which there are, and what is made of the codes of a network's ReLUs.
//!
//! - `register` is the register of scores.
//! - `agreement` counts K from packed codes, `matrix` is K as users hold it.
//! - `cholesky` takes its log-determinant, and `determinant` decides where pivots are too small to be believed.
//! - `swap` counts activation patterns.
//!
//! Backends call these, on the processor or beside kernels of their own; nothing here knows a backend or a plan.

pub(crate) mod agreement;
pub(crate) mod cholesky;
mod determinant;
mod matrix;
mod register;
pub(crate) mod swap;

pub use matrix::Agreement;
pub(crate) use register::Need;
pub use register::{ScoreKind, Scores};
