//! What several test files share.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod browser;
#[cfg(unix)]
pub mod folder;
pub mod harness;
pub mod wheels;
