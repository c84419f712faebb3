//! The back door of tests, benches and `naswot bench`: codes, injected faults, the case table, peak rates of the processor, kernels on
//! devices that a test brings along. No part of the crate's stable interface: it may change in any version.

pub use crate::backend::ceilings::{DeviceCeilings, KernelLoad, shortest};
pub use crate::backend::cpu::{PeakRates, peak_rates};
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub use crate::backend::group::lockstep::Deviation;
pub use crate::cases::{Case, cases};
pub use crate::probe::InjectedFault;

/// What a folder of the cache keeps under a name.
pub fn cached(folder: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    crate::cache::read(folder, name)
}

/// Runs networks launch by launch on a GPU and on the CPU's twins, from equal buffers; for each stage the deviation.
///
/// # Errors
/// A device that does not work, networks that do not fit the batch.
#[cfg(feature = "wgpu")]
pub fn lockstep(
    adapter: Option<&str>,
    networks: &[crate::Network],
    batch: &crate::Batch,
    weights: &crate::Weights,
    convention: crate::Convention,
) -> crate::Result<Vec<Deviation>> {
    crate::backend::wgpu::lockstep(adapter, networks, batch, weights, convention)
}

/// The CUDA backend on a device that a test brings along.
#[cfg(feature = "cuda")]
pub mod cuda {
    use std::sync::Arc;

    use super::Deviation;
    pub use crate::backend::cuda::{
        Compiled, ComputeCapability, Driver, HEADERS, KERNELS, Kernel, KernelLaunch, NullDriver, STREAMS,
        Source, compile,
    };
    pub use crate::backend::group::Fault;
    use crate::{Batch, Convention, Network, Result, Weights};

    /// Opens a GPU by its number.
    ///
    /// # Errors
    /// No driver, no such GPU, no NVRTC.
    pub fn open(number: usize) -> Result<Arc<dyn Driver>> {
        crate::backend::cuda::open_device(number, None)
    }

    /// Runs networks launch by launch on a device and on the CPU's twins, from equal buffers; for each stage the
    /// deviation.
    ///
    /// # Errors
    /// A device that does not work, networks that do not fit the batch.
    pub fn lockstep(
        driver: Arc<dyn Driver>,
        networks: &[Network],
        batch: &Batch,
        weights: &Weights,
        convention: Convention,
    ) -> Result<Vec<Deviation>> {
        crate::backend::cuda::lockstep(driver, networks, batch, weights, convention)
    }
}
