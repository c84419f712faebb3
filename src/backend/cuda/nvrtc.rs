//! NVRTC, the compiler that makes the kernels' sources into machine code for one architecture. It needs neither a GPU nor
//! its driver, and is found when it is first needed.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::{env, fs, ptr};

use libloading::Library;

use super::kernels::{ComputeCapability, HEADERS, Source};
use crate::digest::sha256_hex;
use crate::{BackendErrorKind, Error, Result, cache};

/// The last option has the assembler say what each kernel takes, which tests read.
const OPTIONS: [&str; 2] = ["--std=c++17", "--ptxas-options=-v"];

/// A compiled source.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Its file in `kernels/`.
    pub source: &'static str,
    /// Machine code, for the driver to load.
    pub cubin: Vec<u8>,
    /// What the compiler said: empty where the code comes from the cache.
    pub log: String,
}

/// Compiles the kernels of an architecture with NVRTC from a file, else with the first that is found; none comes from the
/// cache.
///
/// # Errors
/// No NVRTC, one that does not know the architecture, an error in a source.
pub fn compile(library: Option<&Path>, capability: ComputeCapability) -> Result<Vec<Compiled>> {
    let nvrtc = match library {
        Some(path) => Nvrtc::load(path.as_os_str()).map_err(unavailable)?,
        None => Nvrtc::find()?,
    };
    let architecture = capability.architecture();
    capability.sources().into_iter().map(|source| nvrtc.compile(source, &architecture)).collect()
}

/// The kernels of an architecture, from the cache as far as it has them.
pub(super) fn load(capability: ComputeCapability) -> Result<Vec<Compiled>> {
    let (nvrtc, folder, architecture) = (Nvrtc::find()?, cache::folder(), capability.architecture());
    let load = |source: Source| {
        let Source { file, text } = source;
        let headers = HEADERS.iter().flat_map(|header| [header.file, header.text]);
        let texts = [&*architecture, &nvrtc.version, file, text].into_iter().chain(headers).chain(OPTIONS);
        let name = format!("{}.cubin", key(texts));
        if let Some(cubin) = folder.as_ref().and_then(|folder| cache::read(folder, &name)) {
            return Ok(Compiled { source: file, cubin, log: String::new() });
        }
        let compiled = nvrtc.compile(source, &architecture)?;
        folder.iter().for_each(|folder| cache::write(folder, &name, &compiled.cubin));
        Ok(compiled)
    };
    capability.sources().into_iter().map(load).collect()
}

/// The name of what is made from some texts, in the cache.
fn key<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    // Lengths too, so that no two lists of texts are one.
    sha256_hex(texts.into_iter().flat_map(|text| [format!("{} ", text.len()), text.to_owned()]))
}

/// The library, and its version.
struct Nvrtc {
    /// Never unloaded: it keeps state of its own for each thread.
    library: &'static Library,
    version: String,
}

/// A program of NVRTC.
type Program = *mut c_void;

impl Nvrtc {
    /// The first of the places where it may be that has one.
    fn find() -> Result<Self> {
        let names = if cfg!(windows) {
            &["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"][..]
        } else {
            &["libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"][..]
        };
        let mut last = String::new();
        let folders = folders();
        let files = folders.iter().flat_map(|folder| names.iter().map(|name| folder.join(name)));
        let asked = env::var_os("NVRTC_PATH").map(PathBuf::from).filter(|path| path.is_file());
        let files = asked.into_iter().chain(files).filter(|file| file.is_file());
        for file in files.chain(names.iter().map(PathBuf::from)) {
            match Self::load(file.as_os_str()) {
                Ok(nvrtc) => return Ok(nvrtc),
                Err(why) => last = why,
            }
        }
        Err(unavailable(last))
    }

    fn load(path: &std::ffi::OsStr) -> Result<Self, String> {
        // SAFETY: NVRTC is a library of C functions; loading it has no other effect.
        let library = unsafe { Library::new(path) }.map_err(|error| error.to_string())?;
        let nvrtc = Nvrtc { library: Box::leak(Box::new(library)), version: String::new() };
        let (mut major, mut minor): (c_int, c_int) = (0, 0);
        // SAFETY: the type is that of nvrtc.h, and both places live through the call.
        nvrtc.call(
            "nvrtcVersion",
            |version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int| unsafe {
                version(&mut major, &mut minor)
            },
        )?;
        Ok(Nvrtc { version: format!("{major}.{minor}"), ..nvrtc })
    }

    /// Calls a function by its name; an error says what NVRTC calls it.
    fn call<F: Copy>(&self, name: &str, call: impl FnOnce(F) -> c_int) -> Result<(), String> {
        // SAFETY: callers give the function's type of nvrtc.h.
        let function = unsafe { self.library.get::<F>(name.as_bytes()) };
        let function = function.map_err(|error| format!("it has no {name}: {error}"))?;
        match call(*function) {
            0 => Ok(()),
            code => Err(format!("{name} fails with code {code}")),
        }
    }

    fn compile(&self, Source { file: source, text }: Source, architecture: &str) -> Result<Compiled> {
        let failed = |reason: String| {
            let reason = format!(
                "NVRTC {} cannot compile {source} for {architecture}: {reason}; install the nvidia-cuda-nvrtc \
                 that fits the GPU, or use another backend",
                self.version
            );
            Error::backend(BackendErrorKind::CannotOpen, "cuda", reason)
        };
        let program = NvrtcProgram::new(self, source, text).map_err(failed)?;
        let options = [&format!("--gpu-architecture={architecture}")[..], OPTIONS[0], OPTIONS[1]];
        let outcome = program.compile(&options);
        let log = program.text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog").map_err(failed)?;
        let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
        outcome.map_err(|why| failed(format!("{why}\n{log}")))?;
        let cubin = program.text("nvrtcGetCUBINSize", "nvrtcGetCUBIN").map_err(failed)?;
        Ok(Compiled { source, cubin, log })
    }
}

/// A program, destroyed when it is dropped.
struct NvrtcProgram<'a> {
    nvrtc: &'a Nvrtc,
    program: Program,
}

impl<'a> NvrtcProgram<'a> {
    fn new(nvrtc: &'a Nvrtc, name: &str, text: &str) -> Result<Self, String> {
        let headers = HEADERS.iter().flat_map(|header| [header.file, header.text]);
        let texts = [name, text].into_iter().chain(headers);
        let texts: Vec<CString> = c_strings(texts)?;
        let (names, headers): (Vec<*const c_char>, Vec<*const c_char>) =
            texts[2..].chunks(2).map(|header| (header[0].as_ptr(), header[1].as_ptr())).unzip();
        let mut program: Program = ptr::null_mut();
        type Create = unsafe extern "C" fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        // SAFETY: the type is that of nvrtc.h; all texts end in zero and live through the call, which copies them.
        nvrtc.call("nvrtcCreateProgram", |create: Create| unsafe {
            let (text, name) = (texts[1].as_ptr(), texts[0].as_ptr());
            create(&mut program, text, name, names.len() as c_int, headers.as_ptr(), names.as_ptr())
        })?;
        Ok(NvrtcProgram { nvrtc, program })
    }

    fn compile(&self, options: &[&str]) -> Result<(), String> {
        let options: Vec<CString> = c_strings(options.iter().copied())?;
        let options: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        type Compile = unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int;
        // SAFETY: the type is that of nvrtc.h; the program lives, and so do the options.
        self.nvrtc.call("nvrtcCompileProgram", |compile: Compile| unsafe {
            compile(self.program, options.len() as c_int, options.as_ptr())
        })
    }

    /// Bytes that one function measures and another copies.
    fn text(&self, size_of: &str, copy: &str) -> Result<Vec<u8>, String> {
        let mut size = 0_usize;
        // SAFETY: the types are those of nvrtc.h; the program lives, and there are as many bytes as it has said.
        self.nvrtc.call(size_of, |measure: unsafe extern "C" fn(Program, *mut usize) -> c_int| unsafe {
            measure(self.program, &mut size)
        })?;
        let mut bytes = vec![0_u8; size];
        // SAFETY: as above.
        self.nvrtc.call(copy, |copy: unsafe extern "C" fn(Program, *mut c_char) -> c_int| unsafe {
            copy(self.program, bytes.as_mut_ptr().cast())
        })?;
        Ok(bytes)
    }
}

impl Drop for NvrtcProgram<'_> {
    fn drop(&mut self) {
        // SAFETY: the type is that of nvrtc.h; the program lives, and nobody uses it after this.
        let destroyed = self
            .nvrtc
            .call("nvrtcDestroyProgram", |destroy: unsafe extern "C" fn(*mut Program) -> c_int| unsafe {
                destroy(&mut self.program)
            });
        // There is nothing to do about a program that stays.
        drop(destroyed);
    }
}

fn c_strings<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Vec<CString>, String> {
    texts.map(|text| CString::new(text).map_err(|_| "a text has a zero byte".to_owned())).collect()
}

/// Folders that may have it, the likeliest first.
fn folders() -> Vec<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut folders: Vec<PathBuf> = Vec::new();
    folders.extend(set("NVRTC_PATH"));
    for root in set("CUDA_PATH").into_iter().chain([PathBuf::from("/usr/local/cuda")]) {
        folders.extend([root.join("lib64"), root.join("bin")]);
    }
    // Wheels of Python.
    let users = set("HOME").map(|home| home.join(".local"));
    let roots =
        [set("VIRTUAL_ENV"), set("CONDA_PREFIX"), users, Some("/usr/local".into()), Some("/usr".into())];
    for root in roots.into_iter().flatten().map(|root| root.join("lib")) {
        let pythons = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
        let pythons = pythons.filter(|path| path.file_name().is_some_and(is_python));
        for python in pythons {
            for packages in ["site-packages", "dist-packages"] {
                let wheels = python.join(packages).join("nvidia");
                folders.extend(["cu13/lib", "cuda_nvrtc/lib"].map(|wheel| wheels.join(wheel)));
            }
        }
    }
    folders
}

fn is_python(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("python3")
}

fn unavailable(why: String) -> Error {
    let reason = format!(
        "its compiler NVRTC was not found ({why}): run `pip install nvidia-cuda-nvrtc`, or set NVRTC_PATH to the \
         folder of libnvrtc; or use another backend"
    );
    Error::backend(BackendErrorKind::NotFound, "cuda", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_texts_apart() {
        assert_ne!(key(["ab", "c"]), key(["a", "bc"]));
        assert_eq!(key(["ab", "c"]), key(["ab", "c"]));
    }
}
