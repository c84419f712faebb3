//! NVRTC, the compiler that makes the kernels' sources into machine code for one architecture. It needs neither a GPU nor
//! its driver, and is found when it is first needed.

use std::error::Error;
use std::ffi::{CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::{fmt, ptr};

use libloading::Library;

use super::kernels::{ComputeCapability, HEADERS, Source};
use super::refusal::Refusal;

/// What kernels are compiled with for an architecture. The assembler says what each of them takes, which tests read.
pub(super) fn options(capability: ComputeCapability) -> Vec<String> {
    let architecture = format!("--gpu-architecture={}", capability.architecture());
    let mut options = vec![architecture, "--std=c++17".to_owned(), "--ptxas-options=-v".to_owned()];
    let pixels = capability.tensor_pixels();
    options.extend(pixels.map(|pixels| format!("--define-macro=TENSOR_PIXELS={pixels}")));
    options
}

/// A compiled source.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Its file in `kernels/`.
    pub source: &'static str,
    /// Machine code, for the driver to load.
    pub cubin: Vec<u8>,
    /// What the compiler said: nothing where the code comes from the cache.
    pub log: Option<String>,
}

/// The library, its version and the architectures that it knows.
pub(super) struct Nvrtc {
    /// Never unloaded: it keeps state of its own for each thread.
    library: &'static Library,
    file: PathBuf,
    pub(super) version: CudaVersion,
    pub(super) architectures: Vec<ComputeCapability>,
}

/// A version of CUDA: of a driver, or of NVRTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CudaVersion {
    pub(super) major: u32,
    pub(super) minor: u32,
}

impl std::fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A program of NVRTC.
type Program = *mut c_void;

impl Nvrtc {
    /// Loads a file by its path; an error is the loader's own.
    pub(super) fn load(file: &Path) -> Result<Self, String> {
        // SAFETY: NVRTC is a library of C functions, whose constructors run. That the file is NVRTC is for those to see to who put
        // it into a place of libraries, or named it.
        let library = unsafe { Library::new(file) };
        let library =
            library.map_err(|error| error.source().map_or(error.to_string(), ToString::to_string))?;
        let version = CudaVersion { major: 0, minor: 0 };
        let nvrtc = Nvrtc {
            library: Box::leak(Box::new(library)),
            file: file.to_owned(),
            version,
            architectures: Vec::new(),
        };
        let (mut major, mut minor, mut count): (c_int, c_int, c_int) = (0, 0, 0);
        // SAFETY: the type is that of nvrtc.h, and both places live through the call.
        nvrtc.call(
            "nvrtcVersion",
            |version: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int| unsafe {
                version(&mut major, &mut minor)
            },
        )?;
        // SAFETY: as above.
        nvrtc.call(
            "nvrtcGetNumSupportedArchs",
            |number: unsafe extern "C" fn(*mut c_int) -> c_int| unsafe { number(&mut count) },
        )?;
        let mut known: Vec<c_int> = vec![0; count.unsigned_abs() as usize];
        // SAFETY: as above; there is room for as many as it has said.
        nvrtc.call("nvrtcGetSupportedArchs", |list: unsafe extern "C" fn(*mut c_int) -> c_int| unsafe {
            list(known.as_mut_ptr())
        })?;
        let capability = |number: c_int| ComputeCapability {
            major: number.unsigned_abs() / 10,
            minor: number.unsigned_abs() % 10,
        };
        let version = CudaVersion { major: major.unsigned_abs(), minor: minor.unsigned_abs() };
        Ok(Nvrtc { version, architectures: known.into_iter().map(capability).collect(), ..nvrtc })
    }

    /// Whether another one is the same library, however it was found.
    pub(super) fn is(&self, other: &Self) -> bool {
        let address = |nvrtc: &Self| {
            // SAFETY: the symbol's address alone is taken.
            let symbol = unsafe { nvrtc.library.get::<*const c_void>(b"nvrtcVersion") };
            symbol.map(|symbol| *symbol).ok()
        };
        address(self) == address(other)
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

    /// Compiles a source for an architecture.
    pub(super) fn compile(
        &self,
        Source { file: source, text }: Source,
        capability: ComputeCapability,
    ) -> Result<Compiled, Refusal> {
        let architecture = capability.architecture();
        let failed = |reason: String| {
            let reason =
                format!("{self} cannot compile {source} for {architecture}: {reason}; please report it");
            Refusal::cannot_open(reason)
        };
        let program = NvrtcProgram::new(self, source, text).map_err(failed)?;
        let outcome = program.compile(&options(capability));
        let log = program.text("nvrtcGetProgramLogSize", "nvrtcGetProgramLog").map_err(failed)?;
        let log = String::from_utf8_lossy(&log).trim_end_matches('\0').to_owned();
        outcome.map_err(|why| failed(format!("{why}\n{log}")))?;
        let cubin = program.text("nvrtcGetCUBINSize", "nvrtcGetCUBIN").map_err(failed)?;
        Ok(Compiled { source, cubin, log: Some(log) })
    }
}

/// Its version and its file.
impl fmt::Display for Nvrtc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NVRTC {} ({})", self.version, self.file.display())
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

    fn compile(&self, options: &[String]) -> Result<(), String> {
        let options: Vec<CString> = c_strings(options.iter().map(|option| &**option))?;
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
