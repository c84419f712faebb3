//! The interface to a device: little enough that the shim of the tests can give it too, so that everything above runs on a
//! machine without a GPU.

use std::fmt;
use std::sync::Arc;

use super::kernels::ComputeCapability;
use crate::Result;
use crate::backend::ceilings::KernelLoad;
use crate::backend::group::Fault;

/// Streams of a driver. What is put on one is done in order.
pub const STREAMS: usize = 4;

/// A launch of a kernel. A grid is (tiles, jobs, slices).
#[derive(Clone, Copy, Debug)]
pub struct KernelLaunch<'a> {
    /// The kernel's name in `kernels/`.
    pub kernel: &'static str,
    /// Blocks across, down and deep, at most 2^31 - 1 and twice 65,535.
    pub grid: [u32; 3],
    /// Threads of a block.
    pub threads: u32,
    /// Bytes of its dynamic shared memory.
    pub shared: u32,
    /// Its one argument, by value.
    pub argument: &'a [u8],
}

/// A device with its kernels loaded. Addresses are the device's; offsets from one may be added.
///
/// Whoever calls sees to it that addresses and lengths lie inside what was allocated, and that nothing is freed or
/// overwritten which a stream still needs.
pub trait Driver: fmt::Debug + Send + Sync {
    /// Name of the device, and its driver's version.
    fn name(&self) -> &str;
    /// Its architecture.
    fn compute_capability(&self) -> ComputeCapability;
    /// What it took to have its kernels ready: nothing where they are part of the program.
    fn kernel_load(&self) -> KernelLoad {
        KernelLoad::default()
    }
    /// Bytes of memory that are free.
    fn free_memory(&self) -> Result<u64, Fault>;
    /// Blocks of a launch that keep it busy.
    fn busy_blocks(&self) -> usize;
    /// Allocates memory, aligned to 256 bytes.
    fn allocate(&self, bytes: u64) -> Result<u64, Fault>;
    /// Frees memory.
    fn free(&self, address: u64);
    /// Copies to the device, and is done with the bytes when it returns; the stream is not.
    fn write(&self, stream: usize, to: u64, bytes: &[u8]) -> Result<(), Fault>;
    /// Copies on the device.
    fn copy(&self, stream: usize, from: u64, to: u64, bytes: u64) -> Result<(), Fault>;
    /// Puts a kernel on a stream.
    fn launch(&self, stream: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault>;
    /// What is put on a stream from now on waits for all that is on its leader now.
    fn follow(&self, stream: usize, leader: usize) -> Result<(), Fault>;
    /// Waits until a stream has done all that was put on it.
    fn wait(&self, stream: usize) -> Result<(), Fault>;
    /// Copies from the device, after all that was put on the stream.
    fn read(&self, stream: usize, from: u64, to: &mut [u8]) -> Result<(), Fault>;
    /// The same device, opened anew after it was lost.
    ///
    /// # Errors
    /// It cannot be opened.
    fn renew(&self) -> Result<Arc<dyn Driver>>;
}
