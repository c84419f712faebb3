//! The NVRTC that fits a GPU and its driver, among all that the machine has.
//!
//! A driver loads machine code of the major version of CUDA that it is of, and of older ones; a version of NVRTC knows the
//! architectures from the oldest that it still supports to the newest when it was made. So the first that is found may be
//! the wrong one, where another would do.

use std::path::{Path, PathBuf};

use super::kernels::{ComputeCapability, HEADERS, Source};
use super::nvrtc::{Compiled, CudaVersion, Nvrtc, options};
use super::places::Places;
use super::refusal::Refusal;
use crate::digest::sha256_hex;
use crate::{Result, cache, parallel};

/// The major version of CUDA whose wheels have a name of their own.
const WHEELS_OF_THEIR_OWN: u32 = 12;
/// The oldest architecture that CUDA 13 compiles for.
const OLDEST_OF_THIRTEEN: ComputeCapability = ComputeCapability { major: 7, minor: 5 };

/// What machine code is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) capability: ComputeCapability,
    /// The CUDA version of the driver that loads it, as (major, minor); none where nobody loads it.
    pub(super) driver: Option<CudaVersion>,
}

impl Target {
    /// The compiler: one of the place that the user has named, by `asked` or `NVRTC_PATH`, if it fits, else the newest that
    /// does.
    pub(super) fn compiler(self, asked: Option<&Path>) -> Result<Nvrtc, Refusal> {
        let Places { named, found, wrong } = Places::of_machine(asked);
        let mut refused: Vec<String> = wrong.into_iter().collect();
        let mut misfits = Vec::new();
        for files in [named, found] {
            let mut fitting: Vec<Nvrtc> = Vec::new();
            for nvrtc in loaded(&files, &mut refused) {
                match self.misfit(nvrtc.version, &nvrtc.architectures) {
                    None => fitting.push(nvrtc),
                    Some(why) => misfits.push((nvrtc.version, format!("{nvrtc} {why}"))),
                }
            }
            if let Some(nvrtc) = fitting.into_iter().max_by_key(|nvrtc| nvrtc.version) {
                return Ok(nvrtc);
            }
        }
        Err(self.refusal(refused, misfits))
    }

    /// Why what a version of NVRTC makes does not run.
    fn misfit(self, version: CudaVersion, architectures: &[ComputeCapability]) -> Option<String> {
        let Target { capability, driver } = self;
        if let Some(driver) = driver.filter(|driver| version.major > driver.major) {
            return Some(format!(
                "is newer than the driver (CUDA {driver}), which does not load what it makes"
            ));
        }
        let does = if architectures.iter().all(|known| *known > capability) {
            "no longer compiles"
        } else {
            "cannot compile"
        };
        (!architectures.contains(&capability)).then(|| format!("{does} for compute capability {capability}"))
    }

    /// What to install.
    fn remedy(self, newer: bool) -> String {
        let Target { capability, driver } = self;
        let old = driver.filter(|driver| driver.major <= WHEELS_OF_THEIR_OWN);
        let package = match old.is_some() || capability < OLDEST_OF_THIRTEEN {
            true => "nvidia-cuda-nvrtc-cu12",
            false => "nvidia-cuda-nvrtc",
        };
        match old {
            Some(driver) if driver.major < WHEELS_OF_THEIR_OWN => {
                format!("update the driver to 525 or later, and run `pip install {package}`")
            }
            Some(_) if newer => format!("update the driver to 580 or later, or run `pip install {package}`"),
            _ => format!("run `pip install {package}`"),
        }
    }

    fn refusal(self, mut refused: Vec<String>, mut misfits: Vec<(CudaVersion, String)>) -> Refusal {
        if misfits.is_empty() {
            let why = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join("; ")) };
            let remedy = self.remedy(false);
            return Refusal::not_found(format!(
                "its compiler NVRTC was not found{why}: {remedy}, or set NVRTC_PATH to the folder of libnvrtc"
            ));
        }
        misfits.sort();
        let newer = |driver: CudaVersion| misfits.iter().any(|(version, _)| version.major > driver.major);
        let remedy = self.remedy(self.driver.is_some_and(newer));
        refused.extend(misfits.into_iter().rev().map(|(_, why)| why));
        Refusal::cannot_open(format!("{}: {remedy}", refused.join("; ")))
    }
}

/// Compiles the kernels of an architecture with NVRTC from a file, else with the newest that knows it; none comes from the
/// cache.
///
/// # Errors
/// No NVRTC, none that knows the architecture, an error in a source.
pub fn compile(library: Option<&Path>, capability: ComputeCapability) -> Result<Vec<Compiled>> {
    let compile = || -> Result<Vec<Compiled>, Refusal> {
        let nvrtc = match library {
            Some(path) => {
                let failed = |why| {
                    Refusal::not_found(format!(
                        "{}: {why}: run `pip install nvidia-cuda-nvrtc`",
                        path.display()
                    ))
                };
                Nvrtc::load(path).map_err(failed)?
            }
            None => Target { capability, driver: None }.compiler(None)?,
        };
        let compile = |source| nvrtc.compile(source, capability);
        parallel::map(capability.sources(), compile).into_iter().collect()
    };
    compile().map_err(|refusal| refusal.error("cuda"))
}

/// The kernels for a GPU, from the cache as far as it has them, else by an NVRTC of the place that is asked for, if it fits.
pub(super) fn load(target: Target, asked: Option<&Path>) -> Result<Vec<Compiled>, Refusal> {
    let (nvrtc, folder) = (target.compiler(asked)?, cache::folder());
    let (version, options) = (nvrtc.version.to_string(), options(target.capability));
    let load = |source: Source| {
        let Source { file, text } = source;
        let headers = HEADERS.iter().flat_map(|header| [header.file, header.text]);
        let options = options.iter().map(|option| &**option);
        let texts = [&*version, file, text].into_iter().chain(headers).chain(options);
        let name = format!("{}.cubin", key(texts));
        if let Some(cubin) = folder.as_ref().and_then(|folder| cache::read(folder, &name)) {
            return Ok(Compiled { source: file, cubin, log: None });
        }
        let compiled = nvrtc.compile(source, target.capability)?;
        folder.iter().for_each(|folder| cache::write(folder, &name, &compiled.cubin));
        Ok(compiled)
    };
    // Sources take up to several seconds each.
    parallel::map(target.capability.sources(), load).into_iter().collect()
}

/// The name of what is made from some texts, in the cache.
fn key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    // Lengths too, so that no two lists of texts are one.
    sha256_hex(texts.into_iter().flat_map(|text| [format!("{} ", text.len()), text.to_owned()]))
}

/// The libraries of some files, each once; `refused` gets what is wrong with the others.
fn loaded(files: &[PathBuf], refused: &mut Vec<String>) -> Vec<Nvrtc> {
    let mut loaded: Vec<Nvrtc> = Vec::new();
    for file in files {
        match Nvrtc::load(file) {
            Ok(nvrtc) if loaded.iter().any(|other| other.is(&nvrtc)) => {}
            Ok(nvrtc) => loaded.push(nvrtc),
            Err(why) if why.contains(&*file.to_string_lossy()) => refused.push(why),
            Err(why) => refused.push(format!("{}: {why}", file.display())),
        }
    }
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(all: &[(u32, u32)]) -> Vec<ComputeCapability> {
        all.iter().map(|&(major, minor)| ComputeCapability { major, minor }).collect()
    }

    #[test]
    fn keys_tell_texts_apart() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_eq!(key(["ab", "c"]), key(["ab", "c"]));
    }

    /// Driver, architecture and version of NVRTC, and what becomes of them.
    #[test]
    fn what_fits_is_told_from_driver_architecture_and_version() {
        let twelve =
            (CudaVersion { major: 12, minor: 2 }, capabilities(&[(5, 0), (7, 0), (7, 5), (8, 6), (9, 0)]));
        let thirteen =
            (CudaVersion { major: 13, minor: 2 }, capabilities(&[(7, 5), (8, 6), (9, 0), (12, 0)]));
        for (driver, capability, of_twelve, of_thirteen, package) in [
            ((12, 2), (8, 6), None, Some("is newer than the driver (CUDA 12.2)"), "nvidia-cuda-nvrtc-cu12"),
            ((12, 2), (7, 0), None, Some("is newer than the driver (CUDA 12.2)"), "nvidia-cuda-nvrtc-cu12"),
            (
                (12, 8),
                (12, 0),
                Some("cannot compile for compute capability 12.0"),
                Some("is newer"),
                "nvidia-cuda-nvrtc-cu12",
            ),
            ((13, 0), (8, 6), None, None, "nvidia-cuda-nvrtc"),
            (
                (13, 0),
                (7, 0),
                None,
                Some("no longer compiles for compute capability 7.0"),
                "nvidia-cuda-nvrtc-cu12",
            ),
            ((13, 0), (12, 0), Some("cannot compile for compute capability 12.0"), None, "nvidia-cuda-nvrtc"),
        ] {
            let target = Target {
                capability: ComputeCapability { major: capability.0, minor: capability.1 },
                driver: Some(CudaVersion { major: driver.0, minor: driver.1 }),
            };
            for ((version, known), expected) in [(&twelve, of_twelve), (&thirteen, of_thirteen)] {
                let why = target.misfit(*version, known);
                let same = why
                    .as_deref()
                    .map_or(expected.is_none(), |why| expected.is_some_and(|text| why.starts_with(text)));
                assert!(same, "{target:?}, NVRTC {version}: {why:?}");
            }
            let remedy = target.remedy(false);
            assert!(remedy.contains(&format!("{package}`")), "{target:?}: {remedy}");
        }
    }
}
