//! Scores: which there are, and what is made of the codes of a network's ReLUs.
//!
//! - `register` is the register of scores.
//! - `agreement` counts K from packed codes, `matrix` is K as users hold it.
//! - `cholesky` takes its log-determinant, and `determinant` decides where pivots are too small to be believed.
//! - `swap` counts activation patterns.
//! - `scatter` is the scatter matrix of a tensor's channels, and `features` makes scores of the eigenvalues that `spectrum` has
//!   of such matrices.
//!
//! Backends call these, on the processor or beside kernels of their own; nothing here knows a backend or a plan.

pub(crate) mod agreement;
pub(crate) mod cholesky;
mod determinant;
pub(crate) mod features;
mod matrix;
mod register;
pub(crate) mod scatter;
pub(crate) mod spectrum;
pub(crate) mod swap;
mod values;

pub use matrix::Agreement;
pub(crate) use register::Need;
pub use register::{ScoreKind, Scores};
pub(crate) use values::{ScoreValues, or_infinity};
