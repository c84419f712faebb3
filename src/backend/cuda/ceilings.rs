//! Ceilings of a device: how fast its memory copies, and what a launch costs.

use std::sync::Arc;

use super::buffers::Allocation;
use super::driver::Driver;
use super::launches::{Addresses, Counters, each_kernel};
use crate::backend::ceilings::{DeviceCeilings, shortest_trial};
use crate::backend::group::{
    Buffer, Fault, Launch, LaunchKind, LaunchRecord, PerBuffer, PerShared, PerTable,
};

/// Bytes of a copy at most, more than caches hold, and copies of a trial.
const COPIED: u64 = 256 << 20;
const COPIES: u64 = 4;
/// Launches of a trial.
const LAUNCHES: u32 = 1000;
/// Bytes of the record that they read, and of each buffer that they write to.
const PIECE: u64 = 4096;
/// The stream.
const STREAM: usize = 0;

/// Measures a device that does nothing else.
///
/// # Errors
/// What the device says.
pub(super) fn measure(driver: &Arc<dyn Driver>) -> Result<DeviceCeilings, Fault> {
    let bytes = COPIED.min(driver.free_memory()? / 4);
    let (from, to) = (Allocation::new(driver, bytes)?, Allocation::new(driver, bytes)?);
    let copying = shortest_trial(|| {
        (0..COPIES).try_for_each(|_| driver.copy(STREAM, from.address, to.address, bytes))?;
        driver.wait(STREAM)
    })?;
    // Of a record of zeros the kernel empties a map of one word.
    let memory = Allocation::new(driver, PIECE * (1 + Buffer::ALL.len() as u64))?;
    driver.write(STREAM, memory.address, &vec![0; memory.bytes() as usize])?;
    let addresses = Addresses::new(
        PerShared::from_fn(|_| memory.address),
        PerTable::from_fn(|_| memory.address),
        PerBuffer::from_fn(|buffer| memory.address + PIECE * (1 + buffer as u64)),
        Counters::default(),
    );
    let record = LaunchRecord { jobs: 1, tiles: 1, slices: 1, ..LaunchRecord::default() };
    let kind = LaunchKind::ClearPatterns;
    let launch = Launch::new(kind, record);
    let capability = driver.compute_capability();
    let launching = shortest_trial(|| {
        (0..LAUNCHES).try_for_each(|_| {
            each_kernel(&launch, &addresses, capability, |kernel| driver.launch(STREAM, kernel))
        })?;
        driver.wait(STREAM)
    })?;
    Ok(DeviceCeilings {
        copy_bytes_per_s: copying.map(|time| (2 * COPIES * bytes) as f64 / time.as_secs_f64()),
        launch: launching.map(|time| time / LAUNCHES),
        kernels: Some(driver.kernel_load()),
    })
}
