//! The CUDA backend: every stage on an NVIDIA GPU, with kernels that NVRTC compiles for it when it is first used. No
//! toolkit is needed to build it, and neither cuDNN nor cuBLAS to run it.
//!
//! Networks run in groups (see [`super::group`]): ordinary launches, one a slot, tile class and stage. Two groups are in
//! flight, each on a stream and in buffers of its own, so that the host lays one out while the other runs and no end of a
//! group leaves the device idle. The kernels are in `kernels/`, one file a stage, with the stems of the CPU's twins.
//!
//! - `driver` is what the rest asks of a device.
//! - `device` gives it through CUDA's driver, `nvrtc` and `cache` load its kernels: all unsafe code is in these.
//! - `launches`, `buffers` and `session` take groups through it.

mod buffers;
mod cache;
mod check;
mod device;
mod driver;
mod launches;
mod nvrtc;
mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use super::cpu::octets_last;
use super::group::run::{self, ask};
use super::group::{Limits, Load, image};
use super::queue::Queue;
use super::{Executor, Setup};
use crate::plan::Plan;
use crate::{Error, Precision, Result};
pub(crate) use check::lockstep;
pub(super) use device::devices;
pub(crate) use device::open as open_device;
pub use driver::{Driver, KernelLaunch, STREAMS};
pub use nvrtc::{Compiled, HEADERS, SOURCES, compile};
use session::Session;

/// Opens a GPU by its number.
pub(super) fn open(number: usize, setup: Setup) -> Result<Arc<dyn Executor>> {
    check_precision(&setup)?;
    open_on(device::open(number)?, setup)
}

/// The same on a device that is there.
pub(crate) fn open_on(driver: Arc<dyn Driver>, setup: Setup) -> Result<Arc<dyn Executor>> {
    check_precision(&setup)?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(setup.threads).build().map_err(|error| {
        let reason = format!("cannot start threads: {error}");
        Error::Backend { backend: "cuda".to_owned(), reason }
    })?;
    let image: Arc<[f32]> = octets_last(&setup.batch).into();
    let device = driver.name().to_owned();
    let mut session = Session::new(driver, &setup, image).map_err(|fault| fault.fatal("cuda", &device))?;
    let limits = *run::Session::limits(&mut session);
    Ok(Arc::new(Cuda { device, setup, limits, threads, session: Mutex::new(session) }))
}

fn check_precision(setup: &Setup) -> Result<()> {
    if matches!(setup.precision, Precision::Auto | Precision::F32) {
        return Ok(());
    }
    let message = format!("the cuda backend computes in f32, not {}", setup.precision);
    Err(Error::Setting { name: "precision", message })
}

/// A device at work.
struct Cuda {
    device: String,
    setup: Setup,
    limits: Limits,
    threads: rayon::ThreadPool,
    session: Mutex<Session>,
}

impl Executor for Cuda {
    fn backend(&self) -> &'static str {
        "cuda"
    }

    fn device(&self) -> &str {
        &self.device
    }

    fn precision(&self) -> Precision {
        Precision::F32
    }

    fn bytes(&self, plan: &Plan) -> u64 {
        (Load::sizes(plan, &self.limits) + image(plan)).bytes(&self.limits).iter().sum()
    }

    fn lookahead(&self) -> usize {
        // The groups that run, the one that is being made, and one that waits.
        4 * ask(&self.limits)
    }

    fn run(&self, queue: &Queue) {
        run::run(&self.session, &self.setup, &self.threads, queue);
    }

    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>> {
        let driver = Arc::clone(&self.session.lock().unwrap_or_else(PoisonError::into_inner).driver);
        open_on(driver, setup)
    }
}
