//! A device that runs nothing: what a run costs the host alone.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::driver::{Driver, KernelLaunch};
use super::kernels::ComputeCapability;
use super::launches::address;
use crate::Result;
use crate::backend::group::{Buffer, Fault};

/// A device that copies what it is given, counts what it is asked for, and finds every network sound.
#[derive(Debug, Default)]
pub struct NullDriver {
    next_address: AtomicU64,
    launches: Mutex<Vec<(&'static str, u64)>>,
    staging: Mutex<Vec<u8>>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// Bytes by address.
    allocated: HashMap<u64, u64>,
    /// Where statuses are.
    statuses: HashSet<u64>,
    /// Most bytes that there were at once.
    peak: u64,
}

impl NullDriver {
    /// Kernels that were launched since the last call, and the blocks of each.
    pub fn take_launches(&self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut *lock(&self.launches))
    }

    /// Most bytes that were allocated at once.
    pub fn peak(&self) -> u64 {
        lock(&self.memory).peak
    }

    /// Counts the peak from here on.
    pub fn forget_peak(&self) {
        lock(&self.memory).peak = 0;
    }
}

impl Driver for NullDriver {
    fn name(&self) -> &str {
        "null"
    }

    fn compute_capability(&self) -> ComputeCapability {
        ComputeCapability { major: 9, minor: 0 }
    }

    fn free_memory(&self) -> Result<u64, Fault> {
        Ok(80 << 30)
    }

    fn busy_blocks(&self) -> usize {
        8 * 132
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        let address = 256 + self.next_address.fetch_add(bytes.next_multiple_of(256), Ordering::Relaxed);
        let mut memory = lock(&self.memory);
        memory.allocated.insert(address, bytes);
        memory.peak = memory.peak.max(memory.allocated.values().sum());
        Ok(address)
    }

    fn free(&self, address: u64) {
        lock(&self.memory).allocated.remove(&address);
    }

    /// Copies to the host's memory, as all drivers do.
    fn write(&self, _: usize, _: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut staging = lock(&self.staging);
        staging.clear();
        staging.extend_from_slice(bytes);
        Ok(())
    }

    fn copy(&self, _: usize, _: u64, _: u64, _: u64) -> Result<(), Fault> {
        Ok(())
    }

    fn launch(&self, _: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        assert!(
            launch.grid[0] > 0 && launch.grid[1..].iter().all(|side| (1..=65_535).contains(side)),
            "{launch:?}"
        );
        lock(&self.memory).statuses.insert(address(launch.argument, Buffer::Statuses));
        lock(&self.launches).push((launch.kernel, launch.grid.into_iter().map(u64::from).product()));
        Ok(())
    }

    fn follow(&self, _: usize, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    fn wait(&self, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    /// Statuses without a fault; pivots of 32.5, and a K that is the same everywhere.
    fn read(&self, _: usize, from: u64, to: &mut [u8]) -> Result<(), Fault> {
        to.fill(if lock(&self.memory).statuses.contains(&from) { 0xff } else { 0x40 });
        Ok(())
    }

    fn renew(&self) -> Result<Arc<dyn Driver>> {
        Ok(Arc::new(NullDriver::default()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
