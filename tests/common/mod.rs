//! What several test files share.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod checkpoint;
#[cfg(all(feature = "cli", unix))]
pub mod folder;
pub mod graphs;
pub mod harness;
pub mod naive;
pub mod networks;
pub mod reference;
