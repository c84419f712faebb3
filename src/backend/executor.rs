//! The interface of backends: a device at work.

use std::sync::Arc;

use super::ceilings::DeviceCeilings;
use super::queue::Queue;
use super::setup::Setup;
use crate::plan::Plan;
use crate::{Precision, Result};

/// A device at work.
pub(crate) trait Executor: Send + Sync {
    /// The backend's name, as rows show it.
    fn backend(&self) -> &'static str;
    /// The device's name.
    fn device(&self) -> &str;
    /// The precision that is really used.
    fn precision(&self) -> Precision;
    /// Bytes that running a plan takes, the weights not counted.
    fn bytes(&self, plan: &Plan) -> u64;
    /// Multiplications of a plan's convolutions for one image, as the device carries them out.
    fn multiplications(&self, plan: &Plan) -> u64 {
        plan.multiplications()
    }
    /// Measures what the device can do at best; none of the processor, which has peak rates instead.
    ///
    /// # Errors
    /// The device has failed.
    fn ceilings(&self) -> Result<Option<DeviceCeilings>> {
        Ok(None)
    }
    /// Networks that are submitted and unfinished at most: so many that the device never waits.
    fn lookahead(&self) -> usize;
    /// Takes requests from the queue until it is closed and empty, and puts their outcomes back. Starts what waits as soon
    /// as the device is idle, be it one network: more may not come before its outcome is known.
    ///
    /// # Errors
    /// The device has failed: requests without an outcome will get none.
    fn run(&self, queue: &Queue) -> Result<()>;
    /// The same device with another batch, other weights or other settings.
    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>>;
}
