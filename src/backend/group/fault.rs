//! Faults of a device, and what becomes of them.

use crate::{BackendErrorKind, Error};

/// A fault of a device.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "cuda"),
    expect(unreachable_pub, reason = "drivers that tests bring along report it")
)]
pub enum Fault {
    /// The device is gone: it has to be opened anew.
    Lost(String),
    /// It has no memory left for what was asked.
    Memory,
    /// It did not take what it was given, which is a fault of this crate or of the driver.
    Failed(String),
}

impl Fault {
    /// The error that ends a run.
    pub(crate) fn fatal(&self, backend: &str, device: &str) -> Error {
        let (kind, reason) = match self {
            Fault::Lost(why) => {
                let reason = format!("{device} was lost, and again after it was opened anew: {why}");
                (BackendErrorKind::Lost, reason)
            }
            Fault::Memory => {
                let reason =
                    format!("{device} has no memory left: take a smaller --group-size or --memory-limit");
                (BackendErrorKind::OutOfMemory, reason)
            }
            Fault::Failed(why) => {
                let reason = format!("{device}: {why}; please report it, and use cpu until then");
                (BackendErrorKind::Failed, reason)
            }
        };
        Error::backend(kind, backend, reason)
    }
}
