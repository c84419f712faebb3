//! The CUDA backend: every stage on an NVIDIA GPU, with kernels that NVRTC compiles for it when it is first used. No
//! toolkit is needed to build it, and neither cuDNN nor cuBLAS to run it.
//!
//! Networks run in groups (see [`super::group`]): ordinary launches, one a slot, tile class and stage. Three groups are in
//! flight, each on a stream and in buffers of its own, so that the host lays one out while others run and no end of a
//! group leaves the device idle. The kernels are in `kernels/`, one file a stage, with the stems of the CPU's twins.
//!
//! - `kernels` is the register of kernels; `cholesky` has those that are chosen by size.
//! - `driver` is what the rest asks of a device.
//! - `device` gives it through CUDA's driver, whose GPUs `properties` describes, and `nvrtc` compiles its kernels: all unsafe
//!   code is in these.
//! - `compilers` chooses the NVRTC that fits GPU and driver, of all that `places` finds.
//! - `launches`, `buffers` and `session` take groups through it; `ceilings` measures it.

mod buffers;
mod ceilings;
mod check;
mod cholesky;
mod compilers;
mod device;
mod driver;
mod kernels;
mod launches;
mod null;
mod nvrtc;
mod places;
mod properties;
mod refusal;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::group::{self, Grouped};
use super::{Device, Executor, Setup};
use crate::Result;
pub(crate) use check::lockstep;
pub use compilers::compile;
pub(super) use device::devices;
pub(crate) use device::open as open_device;
pub use driver::{Driver, KernelLaunch, STREAMS};
pub use kernels::{ComputeCapability, HEADERS, KERNELS, Kernel, Source};
pub use null::NullDriver;
pub use nvrtc::Compiled;
use session::CudaSession;

/// Opens a GPU by its number, or the first that works; `passed` gets those before it.
pub(super) fn open(
    number: Option<usize>,
    setup: Setup,
    passed: &mut Vec<Device>,
) -> Result<Arc<dyn Executor>> {
    group::check("cuda", &setup)?;
    let nvrtc = setup.nvrtc.as_deref();
    let driver = match number {
        Some(number) => device::open(number, nvrtc)?,
        None => device::open_first(nvrtc, passed)?,
    };
    let name = driver.name().to_owned();
    open_on(driver, setup).inspect_err(|error| {
        passed.push(Device { name, ..Device::refused("cuda", error.to_string()) });
    })
}

/// The same on a device that is there.
pub(crate) fn open_on(driver: Arc<dyn Driver>, setup: Setup) -> Result<Arc<dyn Executor>> {
    group::check("cuda", &setup)?;
    Ok(Arc::new(Grouped::new(CudaSession::open(driver, &setup)?, setup)?))
}
