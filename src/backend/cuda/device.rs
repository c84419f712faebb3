//! GPUs through CUDA's driver library, which is looked for at run time.

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};

use super::driver::{Driver, KernelLaunch, STREAMS};
use super::kernels::ComputeCapability;
use super::nvrtc::Compiled;
use super::properties::{Properties, count, describe, is_driver_present};
use super::refusal::Refusal;
use crate::backend::Device;
use crate::backend::ceilings::KernelLoad;
use crate::backend::group::Fault;
use crate::{Precision, Result};

/// Bytes of pinned memory that a stream copies through.
const STAGING: usize = 8 << 20;
/// Blocks for each multiprocessor that keep a GPU busy.
const BUSY_BLOCKS: usize = 8;
/// Bytes of dynamic shared memory that a kernel gets without asking for more.
const UNASKED_SHARED: u32 = 48 << 10;

/// GPUs as `naswot devices` lists them.
pub(crate) fn devices() -> Vec<Device> {
    match count() {
        Ok(count) => (0..count).map(|number| device(number, try_open(number, None).err())).collect(),
        Err(refusal) => vec![Device::refused("cuda", refusal.reason)],
    }
}

/// A GPU by its number, which is below their count, and why it was not opened, if it was not.
fn device(number: usize, refusal: Option<Refusal>) -> Device {
    let (name, details) = match Properties::of(number) {
        Ok(properties) => (properties.name(), properties.details()),
        // What it does not answer is the refusal, too.
        Err(_) => (String::new(), String::new()),
    };
    Device {
        backend: format!("cuda:{number}"),
        name,
        details,
        software: false,
        unusable: refusal.map(|refusal| refusal.reason),
        precisions: vec![Precision::F32.name()],
    }
}

/// GPUs that this process has open, by number.
static OPEN: Mutex<Vec<(usize, Weak<Gpu>)>> = Mutex::new(Vec::new());

/// Opens a GPU by its number, or takes the one that is open; `nvrtc` is where its compiler is to be looked for first.
///
/// # Errors
/// A driver or a GPU that is not there or does not work, and no NVRTC that fits both.
pub(crate) fn open(number: usize, nvrtc: Option<&Path>) -> Result<Arc<dyn Driver>> {
    try_open(number, nvrtc).map_err(|refusal| refusal.error(format!("cuda:{number}")))
}

/// Opens the first GPU that works; `passed` gets those before it.
///
/// # Errors
/// The refusal of the only one, or of all of them.
pub(super) fn open_first(nvrtc: Option<&Path>, passed: &mut Vec<Device>) -> Result<Arc<dyn Driver>> {
    let count = match count() {
        Ok(count) => count,
        Err(refusal) => {
            if is_driver_present() {
                passed.push(Device::refused("cuda", refusal.reason.clone()));
            }
            return Err(refusal.error("cuda"));
        }
    };
    let mut refusals = Vec::new();
    for number in 0..count {
        match try_open(number, nvrtc) {
            Ok(gpu) => return Ok(gpu),
            Err(refusal) => {
                passed.push(device(number, Some(refusal.clone())));
                refusals.push(refusal);
            }
        }
    }
    match <[Refusal; 1]>::try_from(refusals) {
        Ok([only]) => Err(only.error("cuda:0")),
        Err(refusals) => {
            let each = refusals
                .iter()
                .enumerate()
                .map(|(number, Refusal { reason, .. })| format!("cuda:{number}: {reason}"));
            let each: Vec<String> = each.collect();
            let reason = format!("none of {count} GPUs can be used: {}", each.join("; "));
            Err(Refusal::cannot_open(reason).error("cuda"))
        }
    }
}

fn try_open(number: usize, nvrtc: Option<&Path>) -> Result<Arc<dyn Driver>, Refusal> {
    let mut open = lock(&OPEN);
    open.retain(|(_, gpu)| gpu.upgrade().is_some_and(|gpu| !gpu.is_gone()));
    if let Some(gpu) = open.iter().find(|(other, _)| *other == number).and_then(|(_, gpu)| gpu.upgrade()) {
        return Ok(gpu);
    }
    let count = count()?;
    if number >= count {
        return Err(Refusal::not_found(format!("there is no such GPU; there are {count}, counted from 0")));
    }
    let gpu = Arc::new(Gpu::new(number, &Properties::of(number)?, nvrtc)?);
    open.push((number, Arc::downgrade(&gpu)));
    Ok(gpu)
}

/// An open GPU, its kernels and its streams.
#[derive(Debug)]
struct Gpu {
    number: usize,
    /// The place that its compiler was to be looked for in.
    nvrtc: Option<PathBuf>,
    name: String,
    capability: ComputeCapability,
    multiprocessors: usize,
    kernel_load: KernelLoad,
    device: sys::CUdevice,
    context: sys::CUcontext,
    modules: Vec<sys::CUmodule>,
    functions: HashMap<&'static str, sys::CUfunction>,
    streams: Vec<Mutex<CudaStream>>,
    /// Whether its context was ended after a fault: nothing of it may be touched.
    gone: AtomicBool,
}

/// A stream, what others wait for, and the pinned memory that it copies through.
#[derive(Debug)]
struct CudaStream {
    stream: sys::CUstream,
    event: sys::CUevent,
    staging: *mut c_void,
    /// Bytes of it that copies may still read.
    used: usize,
    /// Bytes that were ever staged.
    staged: u64,
}

// SAFETY: contexts, modules, functions, streams and events may be used from any thread whose current context is theirs,
// which `Gpu::enter` sees to; the pinned memory is reached through the stream's lock alone.
unsafe impl Send for Gpu {}
// SAFETY: as above.
unsafe impl Sync for Gpu {}

impl Gpu {
    fn new(number: usize, properties: &Properties, nvrtc: Option<&Path>) -> Result<Self, Refusal> {
        let refused = |error: DriverError| {
            let busy = match error.0 {
                CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE => ": another process has it for itself",
                CUresult::CUDA_ERROR_OUT_OF_MEMORY => ": other processes leave it no memory",
                _ => "",
            };
            let (name, error) = (properties.name(), describe(error));
            Refusal::cannot_open(format!("{name} cannot be opened: {error}{busy}"))
        };
        let start = Instant::now();
        let kernels = properties.kernels(nvrtc)?;
        let compiled = kernels.iter().filter(|kernel| kernel.log.is_some()).count();
        let kernel_load = KernelLoad { time: start.elapsed(), compiled, cached: kernels.len() - compiled };
        // SAFETY: the device is one that the driver has given; `drop` releases the context.
        let context = unsafe { result::primary_ctx::retain(properties.device) }.map_err(refused)?;
        let mut gpu = Gpu {
            number,
            nvrtc: nvrtc.map(Path::to_owned),
            name: properties.name(),
            capability: properties.capability,
            multiprocessors: properties.multiprocessors,
            kernel_load,
            device: properties.device,
            context,
            modules: Vec::new(),
            functions: HashMap::new(),
            streams: Vec::new(),
            gone: AtomicBool::new(false),
        };
        gpu.load(&kernels).map_err(refused)?;
        Ok(gpu)
    }

    fn load(&mut self, kernels: &[Compiled]) -> Result<(), DriverError> {
        // SAFETY: the context is alive; cubins are whole, as NVRTC or the cache's checksum says, and live through the
        // call; the handles that come back are used while their module and context live.
        unsafe {
            result::ctx::set_current(self.context)?;
            for compiled in kernels {
                let module = result::module::load_data(compiled.cubin.as_ptr().cast())?;
                self.modules.push(module);
                let kernels = self.capability.kernels();
                for kernel in kernels.filter(|kernel| kernel.source.file == compiled.source) {
                    let name =
                        CString::new(kernel.name).map_err(|_| DriverError(CUresult::CUDA_ERROR_NOT_FOUND))?;
                    let function = result::module::get_function(module, name)?;
                    let most = kernel.shared.most(self.capability);
                    if most > UNASKED_SHARED {
                        let shared =
                            sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
                        result::function::set_function_attribute(function, shared, most as i32)?;
                    }
                    self.functions.insert(kernel.name, function);
                }
            }
            for _ in 0..STREAMS {
                let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
                let event = result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)?;
                let staging = result::malloc_host(STAGING, 0)?;
                self.streams.push(Mutex::new(CudaStream { stream, event, staging, used: 0, staged: 0 }));
            }
        }
        Ok(())
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// Makes the context that of this thread.
    fn enter(&self) -> Result<(), Fault> {
        if self.is_gone() {
            return Err(Fault::Lost("its context has ended".to_owned()));
        }
        // SAFETY: the context is alive: `gone` is set before it ends.
        unsafe { result::ctx::set_current(self.context) }.map_err(fault)
    }

    /// A stream of a device whose context is this thread's.
    fn stream(&self, stream: usize) -> Result<MutexGuard<'_, CudaStream>, Fault> {
        self.enter()?;
        self.streams
            .get(stream)
            .map(lock)
            .ok_or_else(|| Fault::Failed(format!("there is no stream {stream}")))
    }
}

impl CudaStream {
    fn wait(&mut self) -> Result<(), Fault> {
        // SAFETY: the stream lives as long as its device.
        unsafe { result::stream::synchronize(self.stream) }.map_err(fault)?;
        self.used = 0;
        Ok(())
    }
}

impl Driver for Gpu {
    fn name(&self) -> &str {
        &self.name
    }

    fn compute_capability(&self) -> ComputeCapability {
        self.capability
    }

    fn kernel_load(&self) -> KernelLoad {
        self.kernel_load
    }

    fn free_memory(&self) -> Result<u64, Fault> {
        self.enter()?;
        result::mem_get_info().map(|(free, _)| free as u64).map_err(fault)
    }

    fn busy_blocks(&self) -> usize {
        BUSY_BLOCKS * self.multiprocessors
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        self.enter()?;
        // SAFETY: the context is alive; callers write memory before they read it.
        unsafe { result::malloc_sync(bytes as usize) }.map_err(fault)
    }

    fn free(&self, address: u64) {
        if self.enter().is_ok() {
            // SAFETY: the address comes from `allocate`, and nothing uses it any more. Where it fails the context has
            // ended, and the memory with it.
            let _ = unsafe { result::free_sync(address) };
        }
    }

    fn write(&self, stream: usize, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut stream = self.stream(stream)?;
        let mut to = to;
        for piece in bytes.chunks(STAGING) {
            if stream.used + piece.len() > STAGING {
                stream.wait()?;
            }
            // SAFETY: the piece fits what is left of the pinned memory, which no copy under way reads; it is not written
            // again before the stream was waited for. Callers have allocated what is written.
            unsafe {
                let staged = stream.staging.cast::<u8>().add(stream.used);
                std::ptr::copy_nonoverlapping(piece.as_ptr(), staged, piece.len());
                let staged = std::slice::from_raw_parts(staged, piece.len());
                result::memcpy_htod_async(to, staged, stream.stream).map_err(fault)?;
            }
            stream.used += piece.len();
            stream.staged += piece.len() as u64;
            to += piece.len() as u64;
        }
        Ok(())
    }

    fn copy(&self, stream: usize, from: u64, to: u64, bytes: u64) -> Result<(), Fault> {
        let stream = self.stream(stream)?;
        // SAFETY: callers have allocated both.
        unsafe { result::memcpy_dtod_async(to, from, bytes as usize, stream.stream) }.map_err(fault)
    }

    fn launch(&self, stream: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        let stream = self.stream(stream)?;
        let KernelLaunch { kernel, grid: [x, y, z], threads, shared, argument } = *launch;
        let function = self.functions.get(kernel);
        let function = function.ok_or_else(|| Fault::Failed(format!("there is no kernel {kernel}")))?;
        // SAFETY: the function lives as long as its module. It takes one argument, of which `launches.rs` and
        // `common.cuh` have the same layout, and which the call copies; its addresses and every place that its records
        // name lie inside what was allocated, as `Group::check` has seen.
        unsafe {
            let mut parameters = [argument.as_ptr().cast_mut().cast::<c_void>()];
            result::launch_kernel(
                *function,
                (x, y, z),
                (threads, 1, 1),
                shared,
                stream.stream,
                &mut parameters,
            )
        }
        .map_err(fault)
    }

    fn follow(&self, stream: usize, leader: usize) -> Result<(), Fault> {
        if stream == leader {
            return Ok(());
        }
        let (event, recorded) = {
            let leader = self.stream(leader)?;
            // SAFETY: event and stream live as long as their device.
            (leader.event, unsafe { result::event::record(leader.event, leader.stream) })
        };
        recorded.map_err(fault)?;
        let stream = self.stream(stream)?;
        // SAFETY: as above. Should the event be recorded again in between, the stream waits for more.
        let flags = sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT;
        unsafe { result::stream::wait_event(stream.stream, event, flags) }.map_err(fault)
    }

    fn wait(&self, stream: usize) -> Result<(), Fault> {
        // Not with the stream locked: others may put work on it.
        let (handle, staged) = {
            let stream = self.stream(stream)?;
            (stream.stream, stream.staged)
        };
        // SAFETY: the stream lives as long as its device.
        unsafe { result::stream::synchronize(handle) }.map_err(fault)?;
        let mut stream = self.stream(stream)?;
        if stream.staged == staged {
            stream.used = 0;
        }
        Ok(())
    }

    fn read(&self, stream: usize, from: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.wait(stream)?;
        let mut stream = self.stream(stream)?;
        let mut from = from;
        stream.wait()?;
        for piece in to.chunks_mut(STAGING) {
            // SAFETY: the piece fits the pinned memory, which nothing else uses: the stream has just been waited for.
            // Callers have allocated what is read.
            unsafe {
                let staged = std::slice::from_raw_parts_mut(stream.staging.cast::<u8>(), piece.len());
                result::memcpy_dtoh_async(staged, from, stream.stream).map_err(fault)?;
                stream.wait()?;
                piece.copy_from_slice(staged);
            }
            from += piece.len() as u64;
        }
        Ok(())
    }

    fn renew(&self) -> Result<Arc<dyn Driver>> {
        {
            // One at a time: others may have lost the same device, and opened it anew.
            let _open = lock(&OPEN);
            if !self.gone.swap(true, Ordering::AcqRel) {
                // SAFETY: the device is one that the driver has given. All that its context held is marked as gone.
                let reset = unsafe { sys::cuDevicePrimaryCtxReset_v2(self.device) };
                // Should this fail, so does opening it, which says why.
                let _ = reset.result();
            }
        }
        open(self.number, self.nvrtc.as_deref())
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.enter().is_err() {
            return;
        }
        // SAFETY: all handles are alive, and nobody uses them after this. Where a call fails the context has ended, and
        // what it held with it.
        unsafe {
            for stream in &self.streams {
                let stream = lock(stream);
                let _ = result::stream::synchronize(stream.stream);
                let _ = result::event::destroy(stream.event);
                let _ = result::stream::destroy(stream.stream);
                let _ = result::free_host(stream.staging);
            }
            for &module in &self.modules {
                let _ = result::module::unload(module);
            }
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

/// What an error of the driver means for a run.
fn fault(error: DriverError) -> Fault {
    use CUresult::*;
    match error.0 {
        CUDA_ERROR_OUT_OF_MEMORY => Fault::Memory,
        // After these nothing works in the context.
        CUDA_ERROR_ILLEGAL_ADDRESS
        | CUDA_ERROR_MISALIGNED_ADDRESS
        | CUDA_ERROR_INVALID_ADDRESS_SPACE
        | CUDA_ERROR_INVALID_PC
        | CUDA_ERROR_ILLEGAL_INSTRUCTION
        | CUDA_ERROR_HARDWARE_STACK_ERROR
        | CUDA_ERROR_LAUNCH_FAILED
        | CUDA_ERROR_LAUNCH_TIMEOUT
        | CUDA_ERROR_ECC_UNCORRECTABLE
        | CUDA_ERROR_CONTEXT_IS_DESTROYED
        | CUDA_ERROR_DEVICE_UNAVAILABLE
        | CUDA_ERROR_EXTERNAL_DEVICE => Fault::Lost(describe(error)),
        _ => Fault::Failed(describe(error)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
