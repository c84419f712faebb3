//! Backends: what runs plans. A backend knows plans and nothing of search spaces.
//!
//! Each backend is an [`Executor`], which takes groups of networks from a [`queue`] as fast as its device can work and
//! puts results back in any order. This file chooses one and opens it.

pub(crate) mod ceilings;
pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
mod device;
mod executor;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) mod group;
mod outcome;
pub(crate) mod queue;
mod setup;
#[cfg(feature = "wgpu")]
pub(crate) mod wgpu;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Result};
pub use cpu::processor;
pub use device::Device;
pub(crate) use executor::Executor;
pub(crate) use outcome::Outcome;
pub(crate) use setup::{SWAP_IMAGES, SWAP_IMAGES_RANGE, Setup};

/// What computes scores.
///
/// ```
/// use naswot::Backend;
/// assert_eq!("cpu".parse::<Backend>()?, Backend::Cpu);
/// assert_eq!("cuda:1".parse::<Backend>()?, Backend::Cuda(Some(1)));
/// assert!("tpu".parse::<Backend>().is_err());
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// The fastest that works on this machine; never a software adapter.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU, by its number, or the first one that works.
    Cuda(Option<usize>),
    /// Any GPU through wgpu: the best one, the best one whose name contains a text (`NAME`), or the I-th, from 0, whose name
    /// does (`NAME#I`).
    Wgpu(Option<String>),
}

impl FromStr for Backend {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, device) = text.split_once(':').map_or((text, None), |(name, device)| (name, Some(device)));
        let unknown = |message: String| Error::Setting { name: "backend", message };
        match (name, device) {
            ("auto", None) => Ok(Backend::Auto),
            ("cpu", None) => Ok(Backend::Cpu),
            ("cuda", None) => Ok(Backend::Cuda(None)),
            ("cuda", Some(number)) => number
                .parse()
                .map(|number| Backend::Cuda(Some(number)))
                .map_err(|_| unknown(format!("`{number}` is not the number of a CUDA device"))),
            ("wgpu", device) => Ok(Backend::Wgpu(device.map(str::to_owned))),
            _ => Err(unknown(format!("`{text}` is none of auto, cpu, cuda[:N], wgpu[:NAME[#I]]"))),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Auto => f.write_str("auto"),
            Backend::Cpu => f.write_str("cpu"),
            Backend::Cuda(None) => f.write_str("cuda"),
            Backend::Cuda(Some(number)) => write!(f, "cuda:{number}"),
            Backend::Wgpu(None) => f.write_str("wgpu"),
            Backend::Wgpu(Some(name)) => write!(f, "wgpu:{name}"),
        }
    }
}

/// Every backend and device: usable or not, and why.
///
/// ```
/// let devices = naswot::devices();
/// assert!(devices.iter().any(|device| device.backend == "cpu" && device.unusable.is_none()));
/// ```
pub fn devices() -> Vec<Device> {
    let mut devices = vec![cpu::device()];
    #[cfg(feature = "cuda")]
    devices.extend(cuda::devices());
    #[cfg(not(feature = "cuda"))]
    devices.push(Device::refused("cuda", not_built("cuda")));
    #[cfg(feature = "wgpu")]
    devices.extend(wgpu::devices());
    #[cfg(not(feature = "wgpu"))]
    devices.push(Device::refused("wgpu", not_built("wgpu")));
    devices
}

#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn not_built(backend: &str) -> String {
    format!("this build of naswot has no {backend} backend; use cpu")
}

/// The error of a backend that this build lacks.
#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn missing(backend: &Backend, name: &str) -> Error {
    Error::backend(crate::BackendErrorKind::NotBuilt, backend.to_string(), not_built(name))
}

/// Opens a backend's device. `passed` gets those that were tried before it and cannot be used.
pub(crate) fn open(backend: &Backend, setup: Setup, passed: &mut Vec<Device>) -> Result<Arc<dyn Executor>> {
    match backend {
        Backend::Auto => automatic(setup, passed),
        Backend::Cpu => cpu::open(setup),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu(name) => wgpu::open(name.as_deref(), setup),
        #[cfg(not(feature = "wgpu"))]
        Backend::Wgpu(_) => Err(missing(backend, "wgpu")),
        #[cfg(feature = "cuda")]
        Backend::Cuda(number) => cuda::open(*number, setup, passed),
        #[cfg(not(feature = "cuda"))]
        Backend::Cuda(_) => Err(missing(backend, "cuda")),
    }
}

/// The first that works: a GPU, if it computes in the precision and the scores that are asked for, else the processor.
#[cfg_attr(
    not(any(feature = "cuda", feature = "wgpu")),
    allow(unused_variables, clippy::ptr_arg, reason = "no GPU can be passed over")
)]
fn automatic(setup: Setup, passed: &mut Vec<Device>) -> Result<Arc<dyn Executor>> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    if matches!(setup.precision, crate::Precision::Auto | crate::Precision::F32)
        && setup.twins.is_empty()
        && setup.cpu_score().is_none()
    {
        #[cfg(feature = "cuda")]
        if let Ok(executor) = cuda::open(None, setup.clone(), passed) {
            return Ok(executor);
        }
        #[cfg(feature = "wgpu")]
        match wgpu::hardware() {
            Ok(()) => match wgpu::open(None, setup.clone()) {
                Ok(executor) => return Ok(executor),
                Err(error) => passed.push(Device::refused("wgpu", error.to_string())),
            },
            Err(refused) => passed.extend(refused),
        }
    }
    cpu::open(setup)
}
