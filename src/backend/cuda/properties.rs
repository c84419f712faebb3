//! What CUDA's driver says of the machine's GPUs before one is opened, and what helps where it says nothing.

use std::path::Path;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute, CUresult};

use super::compilers::{self, Target};
use super::kernels::ComputeCapability;
use super::nvrtc::{Compiled, CudaVersion};
use super::refusal::Refusal;

/// Whether the driver's library is there, whatever it says. Without it every call of the driver would panic.
pub(super) fn is_driver_present() -> bool {
    // SAFETY: looking for the library loads it, which has no other effect.
    unsafe { sys::is_culib_present() }
}

/// GPUs that the driver sees: at least one.
pub(super) fn count() -> Result<usize, Refusal> {
    if !is_driver_present() {
        return Err(Refusal::not_found("the NVIDIA driver (libcuda) was not found: install it".to_owned()));
    }
    let count = result::init().and_then(|()| result::device::get_count());
    match count.map(|count| count.max(0) as usize) {
        Ok(0) | Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => {
            let why = match std::env::var_os("CUDA_VISIBLE_DEVICES") {
                Some(value) => format!("CUDA_VISIBLE_DEVICES is `{}`", value.to_string_lossy()),
                None => "a container has to be started with `--gpus all`".to_owned(),
            };
            Err(Refusal::not_found(format!("the NVIDIA driver sees no GPU: {why}")))
        }
        Ok(count) => Ok(count),
        Err(error) => {
            let reason = format!("the NVIDIA driver does not start: {}: {}", describe(error), advice(error));
            Err(Refusal::cannot_open(reason))
        }
    }
}

/// What helps against an error at the driver's start.
fn advice(error: DriverError) -> &'static str {
    use CUresult::*;
    match error.0 {
        CUDA_ERROR_SYSTEM_DRIVER_MISMATCH => {
            "its library and its kernel module are of different versions: restart the machine, or give a container the host's \
             libcuda"
        }
        CUDA_ERROR_SYSTEM_NOT_READY => "start NVIDIA's service nvidia-fabricmanager",
        CUDA_ERROR_STUB_LIBRARY => {
            "the libcuda that is found first is a stub of the toolkit: take its folder (stubs) out of LD_LIBRARY_PATH"
        }
        CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE => {
            "CUDA's compatibility package is for data center GPUs: take its folder (compat) out of LD_LIBRARY_PATH"
        }
        _ => "see whether nvidia-smi works, and update or restart the driver",
    }
}

/// Properties of a GPU, as its driver tells them.
pub(super) struct Properties {
    pub(super) device: sys::CUdevice,
    model: String,
    pub(super) capability: ComputeCapability,
    driver: CudaVersion,
    memory: usize,
    pub(super) bandwidth: u64,
    pub(super) multiprocessors: usize,
}

impl Properties {
    /// The properties of a GPU by its number, which is below their count.
    pub(super) fn of(number: usize) -> Result<Self, Refusal> {
        let properties = || -> Result<Self, DriverError> {
            let device = result::device::get(number as i32)?;
            // SAFETY: the device is one that the driver has given.
            let attribute = |attribute| unsafe { result::device::get_attribute(device, attribute) };
            use CUdevice_attribute::*;
            let capability = ComputeCapability {
                major: attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?.unsigned_abs(),
                minor: attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?.unsigned_abs(),
            };
            let mut driver = 0;
            // SAFETY: the place lives through the call.
            unsafe { sys::cuDriverGetVersion(&mut driver) }.result()?;
            let clock = attribute(CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)? as u64;
            let width = attribute(CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)? as u64;
            Ok(Properties {
                device,
                model: result::device::get_name(device)?,
                capability,
                driver: CudaVersion {
                    major: driver.unsigned_abs() / 1000,
                    minor: driver.unsigned_abs() % 1000 / 10,
                },
                // SAFETY: as above.
                memory: unsafe { result::device::total_mem(device) }?,
                bandwidth: bandwidth(clock, width),
                multiprocessors: attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?.unsigned_abs() as usize,
            })
        };
        properties().map_err(|error| {
            Refusal::cannot_open(format!("GPU {number} does not answer: {}", describe(error)))
        })
    }

    pub(super) fn name(&self) -> String {
        format!("{} (CUDA {})", self.model, self.driver)
    }

    pub(super) fn details(&self) -> String {
        let Properties { capability, memory, bandwidth, .. } = self;
        let (mib, rate) = (memory >> 20, bandwidth / 1_000_000_000);
        format!("compute capability {capability}, {mib} MiB of memory at {rate} GB/s")
    }

    /// Its kernels, unless no architecture of theirs fits it.
    pub(super) fn kernels(&self, nvrtc: Option<&Path>) -> Result<Vec<Compiled>, Refusal> {
        let (found, needed) = (self.capability, ComputeCapability::OLDEST);
        if found < needed {
            let reason = format!("its compute capability {found} is too old, {needed} is needed");
            return Err(Refusal::cannot_open(reason));
        }
        compilers::load(Target { capability: found, driver: Some(self.driver) }, nvrtc)
    }
}

/// Bytes in a second from a memory's clock in kHz, with two transfers each, and its width in bits.
fn bandwidth(clock: u64, width: u64) -> u64 {
    match 2 * clock * 1000 * width / 8 {
        // Some virtual GPUs do not tell: as much as a small one has.
        0 => 400_000_000_000,
        bandwidth => bandwidth,
    }
}

/// Name and text of an error of the driver, which has to be there.
pub(super) fn describe(error: DriverError) -> String {
    let text = |text: Result<&std::ffi::CStr, DriverError>| {
        text.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
    };
    format!("{} ({})", text(error.error_string()), text(error.error_name()))
}
