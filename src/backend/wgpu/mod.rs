//! The WGSL backend: every stage on any GPU that Vulkan, Metal or DX12 reach, through wgpu.
//!
//! Networks run in groups (see [`super::group`]): one dispatch a slot, tile class and stage, all in one command buffer.
//! While a group runs, the next one is compiled, laid out and submitted; one set of buffers serves both, since a queue runs
//! what it is given in order. The shaders are in `shaders/`, one file a stage, with the stems of the CPU's twins.
//!
//! - `adapter` finds and ranks adapters.
//! - `gpu` is an open device with its pipelines, and its faults.
//! - `pipelines` makes a pipeline for each kind of launch.
//! - `buffers`, `launches` and `session` take groups through the device.
//! - `mirror` and `check` compare each launch with its twin.

mod adapter;
mod buffers;
mod ceilings;
mod check;
mod gpu;
mod launches;
mod mirror;
mod pipelines;
mod session;

use std::sync::Arc;

use super::group::{self, Grouped};
use super::{Executor, Setup};
use crate::Result;
pub(super) use adapter::{devices, hardware};
pub(crate) use check::lockstep;
use session::WgpuSession;

/// Opens the best adapter, or the best one that a selection takes.
pub(super) fn open(name: Option<&str>, setup: Setup) -> Result<Arc<dyn Executor>> {
    group::check("wgpu", &setup)?;
    Ok(Arc::new(Grouped::new(WgpuSession::open(name, &setup)?, setup)?))
}
