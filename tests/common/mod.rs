//! Helpers that several test files share.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod checkpoint;
pub mod codes;
#[cfg(feature = "cuda")]
pub mod cuda;
pub mod graphs;
pub mod harness;
pub mod naive;
pub mod networks;
pub mod reference;
#[cfg(feature = "cuda")]
pub mod shim;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub mod stages;
#[cfg(feature = "cuda")]
pub mod wheels;
