//! Backends: what runs [`Plan`]s. A backend knows plans and nothing of search spaces.
//!
//! Each backend is an [`Executor`], which takes groups of networks from a [`Queue`] as fast as its device
//! can work and puts results back in any order.

pub(crate) mod cpu;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(crate) mod group;
pub(crate) mod queue;
#[cfg(feature = "wgpu")]
mod wgpu;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::plan::Plan;
use crate::probe::{Probe, Stage};
use crate::score::Need;
use crate::weights::WeightSource;
use crate::{Agreement, Batch, Convention, Error, Network, Result, Scores, Weights};
use queue::Queue;

/// What computes scores.
///
/// ```
/// use naswot::Backend;
/// assert_eq!("cpu".parse::<Backend>()?, Backend::Cpu);
/// assert_eq!("cuda:1".parse::<Backend>()?, Backend::Cuda(1));
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
    /// An NVIDIA GPU, by its number.
    Cuda(usize),
    /// Any GPU through wgpu, the best one or the one whose name contains this text.
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
            ("cuda", None) => Ok(Backend::Cuda(0)),
            ("cuda", Some(number)) => number
                .parse()
                .map(Backend::Cuda)
                .map_err(|_| unknown(format!("`{number}` is not the number of a CUDA device"))),
            ("wgpu", device) => Ok(Backend::Wgpu(device.map(str::to_owned))),
            _ => Err(unknown(format!("`{text}` is none of auto, cpu, cuda[:N], wgpu[:NAME]"))),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Backend::Auto => f.write_str("auto"),
            Backend::Cpu => f.write_str("cpu"),
            Backend::Cuda(number) => write!(f, "cuda:{number}"),
            Backend::Wgpu(None) => f.write_str("wgpu"),
            Backend::Wgpu(Some(name)) => write!(f, "wgpu:{name}"),
        }
    }
}

/// Number formats of activations and products.
///
/// ```
/// use naswot::Precision;
/// assert_eq!("f64".parse::<Precision>()?, Precision::F64);
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Precision {
    /// The fastest that has been shown good enough on the device.
    #[default]
    Auto,
    /// Single precision.
    F32,
    /// Double precision, on the CPU: the reference.
    F64,
    /// Single precision storage, products rounded to TF32.
    Tf32,
    /// bfloat16 storage and products.
    Bf16,
}

impl Precision {
    /// The precision's name, as the command line spells it.
    ///
    /// ```
    /// assert_eq!(naswot::Precision::F32.name(), "f32");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Precision::Auto => "auto",
            Precision::F32 => "f32",
            Precision::F64 => "f64",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        use Precision::{Auto, Bf16, F32, F64, Tf32};
        [Auto, F32, F64, Tf32, Bf16].into_iter().find(|precision| precision.name() == text).ok_or_else(|| {
            let message = format!("`{text}` is none of auto, f32, f64, tf32, bf16");
            Error::Setting { name: "precision", message }
        })
    }
}

/// A device that a backend found, or the reason why it found none.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Device {
    /// What `--backend` would take to choose it.
    pub backend: String,
    /// Its name, empty where there is none.
    pub name: String,
    /// Limits and features, empty where they say nothing.
    pub details: String,
    /// Whether a processor plays a GPU: for tests, never chosen by itself.
    pub software: bool,
    /// Why it cannot be used; none when it can.
    pub unusable: Option<String>,
    /// Precisions that it computes in.
    pub precisions: Vec<&'static str>,
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
    devices.push(absent("cuda"));
    #[cfg(feature = "wgpu")]
    devices.extend(wgpu::devices());
    #[cfg(not(feature = "wgpu"))]
    devices.push(absent("wgpu"));
    devices
}

#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn absent(backend: &str) -> Device {
    Device {
        backend: backend.to_owned(),
        name: String::new(),
        details: String::new(),
        software: false,
        unusable: Some(not_built(backend)),
        precisions: Vec::new(),
    }
}

#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn not_built(backend: &str) -> String {
    format!("this build of naswot has no {backend} backend; use cpu")
}

#[cfg(feature = "wgpu")]
pub(crate) use wgpu::lockstep as wgpu_lockstep;

/// What the networks of a run have in common.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) batch: Batch,
    pub(crate) weights: Weights,
    pub(crate) source: Arc<dyn WeightSource>,
    pub(crate) convention: Convention,
    pub(crate) precision: Precision,
    pub(crate) threads: usize,
    pub(crate) group_size: Option<usize>,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) keep_kernels: bool,
    pub(crate) scores: Scores,
    /// Images whose patterns are counted at most.
    pub(crate) swap_images: usize,
    /// Stages that run on the CPU's twins instead, to find the one at fault.
    pub(crate) twins: Vec<Stage>,
    pub(crate) probe: Option<Arc<Probe>>,
}

impl Setup {
    /// One that sets nothing but these, for as many threads as the machine has cores.
    pub(crate) fn new(batch: Batch, weights: Weights, convention: Convention) -> Self {
        Setup {
            batch,
            source: weights.source(),
            weights,
            convention,
            precision: Precision::Auto,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            group_size: None,
            memory_limit: None,
            keep_kernels: false,
            scores: Scores::default(),
            swap_images: SWAP_IMAGES,
            twins: Vec::new(),
            probe: None,
        }
    }

    /// Does some work of a stage, and tells the probe how long it took where there is one.
    pub(crate) fn timed<R>(&self, stage: Stage, spread: bool, work: impl FnOnce() -> R) -> R {
        match &self.probe {
            Some(probe) => probe.measure(stage, if spread { 1 } else { self.threads }, work),
            None => work(),
        }
    }

    /// Compiles a network for the batch, and checks that its weights are there.
    pub(crate) fn plan(&self, network: &Network) -> Result<Plan> {
        self.source.check(network.graph())?;
        Plan::compile(network.graph(), self.batch.shape(), self.convention, self.swap_images())
    }

    /// Images whose patterns are counted, where a score needs them.
    pub(crate) fn swap_images(&self) -> Option<usize> {
        self.scores.need(Need::Patterns).then(|| self.swap_images.min(self.batch.len()))
    }
}

/// Images whose patterns SWAP counts unless another number is set: the default of its authors.
pub(crate) const SWAP_IMAGES: usize = 16;
/// Numbers of images that can be set. With fewer nearly every network has all patterns; 2^24 patterns are a bitmap of 2 MiB.
pub(crate) const SWAP_IMAGES_RANGE: std::ops::RangeInclusive<usize> = 8..=24;

/// What running one network gives.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) log_det: f64,
    /// Distinct patterns of activation, where they were asked for.
    pub(crate) patterns: Option<u32>,
    pub(crate) kernel: Option<Agreement>,
    pub(crate) activations: u32,
    /// Wall time of its group, by networks in it.
    pub(crate) seconds: f64,
}

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
    /// Networks that a stream keeps waiting, so that the device never does.
    fn lookahead(&self) -> usize;
    /// Takes networks from the queue until it is closed and empty, and puts their outcomes back.
    fn run(&self, queue: &Queue);
    /// The same device with another batch, other weights or other settings.
    fn reopen(&self, setup: Setup) -> Result<Arc<dyn Executor>>;
}

/// Opens a backend's device.
pub(crate) fn open(backend: &Backend, setup: Setup) -> Result<Arc<dyn Executor>> {
    match backend {
        Backend::Auto => automatic(setup),
        Backend::Cpu => cpu::open(setup),
        #[cfg(feature = "wgpu")]
        Backend::Wgpu(name) => wgpu::open(name.as_deref(), setup),
        #[cfg(not(feature = "wgpu"))]
        Backend::Wgpu(_) => Err(Error::Backend { backend: backend.to_string(), reason: not_built("wgpu") }),
        #[cfg(feature = "cuda")]
        Backend::Cuda(number) => cuda::open(*number, setup),
        #[cfg(not(feature = "cuda"))]
        Backend::Cuda(_) => Err(Error::Backend { backend: backend.to_string(), reason: not_built("cuda") }),
    }
}

/// The first that works: a GPU, if it computes in the precision that is asked for, else the processor.
fn automatic(setup: Setup) -> Result<Arc<dyn Executor>> {
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    if matches!(setup.precision, Precision::Auto | Precision::F32) && setup.twins.is_empty() {
        #[cfg(feature = "cuda")]
        if let Ok(executor) = cuda::open(0, setup.clone()) {
            return Ok(executor);
        }
        #[cfg(feature = "wgpu")]
        if wgpu::best_is_hardware()
            && let Ok(executor) = wgpu::open(None, setup.clone())
        {
            return Ok(executor);
        }
    }
    cpu::open(setup)
}
