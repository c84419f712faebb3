//! Faults of a device, and what becomes of them.

use crate::Error;

/// What went wrong on a device.
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
        let reason = match self {
            Fault::Lost(why) => format!("{device} was lost, and again after it was opened anew: {why}"),
            Fault::Memory => {
                format!("{device} has no memory left: take a smaller --group-size or --memory-limit")
            }
            Fault::Failed(why) => format!("{device}: {why}; please report it, and use cpu until then"),
        };
        Error::Backend { backend: backend.to_owned(), reason }
    }
}
