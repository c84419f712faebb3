//! CUDA kernels on the CPU: builds `tests/cuda_shim` around the kernels, and drives the program as a device.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use naswot::testing::cuda::{ComputeCapability, Driver, Fault, KernelLaunch};

/// A build of the shim, by what it looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// Wrong results, deadlocks, divergent barriers.
    Plain,
    /// Accesses outside shared and global memory, by AddressSanitizer.
    Asan,
    /// Races in and between blocks.
    Race,
}

impl Build {
    pub const ALL: [Build; 3] = [Build::Plain, Build::Asan, Build::Race];

    pub fn name(self) -> &'static str {
        match self {
            Build::Plain => "plain",
            Build::Asan => "asan",
            Build::Race => "race",
        }
    }
}

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where programs are built: under the target folder, which test files share.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cuda_shim")
}

/// The compiler, or why there is none and what to do.
pub fn compiler() -> Result<(), String> {
    let found = Command::new("clang++-19").arg("--version").stdout(Stdio::null()).status();
    match found {
        Ok(status) if status.success() && cfg!(all(target_arch = "x86_64", target_os = "linux")) => Ok(()),
        Ok(_) => Err("the shim of CUDA kernels needs Linux on x86-64".to_owned()),
        Err(error) => Err(format!("no clang++-19 ({error}); run tests/setup.sh")),
    }
}

/// Builds the program that serves all kernels, unless it is newer than its sources.
pub fn host(build: Build) -> Result<PathBuf, String> {
    let kernels = package().join("kernels");
    let mut sources = files(&kernels)?;
    let program = folder().join(build.name());
    let mut all = files(&package().join("tests/cuda_shim"))?;
    all.extend(sources.iter().cloned());
    sources.retain(|file| file.extension().is_some_and(|end| end == "cu"));
    compile(build, &program, &sources, &all)?;
    Ok(program)
}

/// Builds a program like that of a build, in which one of the kernels' sources is another text.
pub fn mutant(build: Build, name: &str, source: &str, text: &str) -> Result<PathBuf, String> {
    // The objects of the other sources are there.
    host(build)?;
    let home = folder().join(name);
    fs::create_dir_all(&home).map_err(|error| error.to_string())?;
    let file = home.join(source);
    fs::write(&file, text).map_err(|error| error.to_string())?;
    let mut sources = files(&package().join("kernels"))?;
    sources.retain(|file| file.extension().is_some_and(|end| end == "cu") && !file.ends_with(source));
    sources.push(file);
    let program = folder().join(format!("{name}.{}", build.name()));
    make(build, &program, &sources)?;
    Ok(program)
}

/// Builds a program unless it is newer than all files, once: who comes second waits, and finds it made.
fn compile(build: Build, program: &Path, sources: &[PathBuf], all: &[PathBuf]) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    fs::create_dir_all(folder()).map_err(text)?;
    let lock = File::create(folder().join("lock")).map_err(text)?;
    lock.lock().map_err(text)?;
    let time = |file: &Path| fs::metadata(file).and_then(|data| data.modified()).ok();
    let newest = all.iter().filter_map(|file| time(file)).max();
    if time(program) > newest { Ok(()) } else { make(build, program, sources) }
}

fn make(build: Build, program: &Path, sources: &[PathBuf]) -> Result<(), String> {
    let output = Command::new("bash")
        .arg(package().join("tests/cuda_shim/build.sh"))
        .arg(build.name())
        .arg(program)
        .args(sources)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// A device that has the kernels run by a program of the shim.
#[derive(Debug)]
pub struct Shim {
    program: PathBuf,
    seed: u32,
    capability: ComputeCapability,
    host: Mutex<Host>,
}

impl Shim {
    /// Starts a program; the seed is of the order of blocks and threads. It takes the kernels of the newest architecture.
    pub fn start(program: &Path, seed: u32) -> Result<Arc<dyn Driver>, String> {
        let newest = ComputeCapability::all().pop().ok_or("no kernels")?;
        Self::start_as(newest, program, seed)
    }

    /// The same with the kernels of an architecture.
    pub fn start_as(
        capability: ComputeCapability,
        program: &Path,
        seed: u32,
    ) -> Result<Arc<dyn Driver>, String> {
        let host = Mutex::new(Host::start(program, seed)?);
        Ok(Arc::new(Shim { program: program.to_owned(), seed, capability, host }))
    }

    fn call(&self, op: u32, parts: &[&[u8]]) -> Result<Vec<u8>, Fault> {
        self.host.lock().unwrap_or_else(PoisonError::into_inner).call(op, parts).map_err(Fault::Failed)
    }
}

impl Driver for Shim {
    fn name(&self) -> &str {
        "shim"
    }

    fn compute_capability(&self) -> ComputeCapability {
        self.capability
    }

    fn free_memory(&self) -> Result<u64, Fault> {
        Ok(8 << 30)
    }

    fn busy_blocks(&self) -> usize {
        // So that a block takes as many units as it can.
        1
    }

    fn allocate(&self, bytes: u64) -> Result<u64, Fault> {
        let address = self.call(1, &[&bytes.to_le_bytes()])?;
        address.try_into().map(u64::from_le_bytes).map_err(|_| Fault::Failed("a short answer".to_owned()))
    }

    fn free(&self, address: u64) {
        // A host that has died says so in the next call that can fail.
        let _ = self.call(2, &[&address.to_le_bytes()]);
    }

    fn write(&self, _: usize, to: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.call(3, &[&to.to_le_bytes(), bytes]).map(drop)
    }

    fn copy(&self, stream: usize, from: u64, to: u64, bytes: u64) -> Result<(), Fault> {
        let mut content = vec![0; bytes as usize];
        self.read(stream, from, &mut content)?;
        self.write(stream, to, &content)
    }

    fn launch(&self, _: usize, launch: &KernelLaunch<'_>) -> Result<(), Fault> {
        let KernelLaunch { kernel, grid: [x, y, z], threads, shared, argument } = *launch;
        let head = [x, y, z, threads, shared, kernel.len() as u32].map(u32::to_le_bytes).concat();
        self.call(5, &[&head, kernel.as_bytes(), argument]).map(drop)
    }

    fn follow(&self, _: usize, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    fn wait(&self, _: usize) -> Result<(), Fault> {
        Ok(())
    }

    fn read(&self, _: usize, from: u64, to: &mut [u8]) -> Result<(), Fault> {
        let content = self.call(4, &[&from.to_le_bytes(), &(to.len() as u64).to_le_bytes()])?;
        to.copy_from_slice(&content);
        Ok(())
    }

    fn renew(&self) -> naswot::Result<Arc<dyn Driver>> {
        let refused = |reason| {
            let kind = naswot::BackendErrorKind::CannotOpen;
            naswot::Error::Backend { backend: "cuda".to_owned(), kind, reason }
        };
        Shim::start_as(self.capability, &self.program, self.seed).map_err(refused)
    }
}

/// A running program; the protocol is described in `shim_host.cpp`.
#[derive(Debug)]
struct Host {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    from: ChildStdout,
}

impl Host {
    fn start(program: &Path, seed: u32) -> Result<Self, String> {
        let child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("{}: {error}", program.display()))?;
        let to = child.stdin.take().map(|pipe| BufWriter::with_capacity(1 << 16, pipe));
        let from = child.stdout.take().ok_or("no pipe")?;
        let mut host = Host { child, to, from };
        host.call(6, &[&seed.to_le_bytes()])?;
        Ok(host)
    }

    /// One request, one answer. A host that has died answers with its report first; after that every call fails.
    fn call(&mut self, op: u32, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
        if let Some(to) = &mut self.to {
            let length: usize = parts.iter().map(|part| part.len()).sum();
            let mut send = || -> std::io::Result<()> {
                to.write_all(&op.to_le_bytes())?;
                to.write_all(&(length as u64).to_le_bytes())?;
                parts.iter().try_for_each(|part| to.write_all(part))?;
                to.flush()
            };
            // Of a broken pipe the answer says why.
            let _ = send();
        }
        let gone = |_| "the kernel host is gone".to_owned();
        let (mut status, mut length) = ([0; 4], [0; 8]);
        self.from.read_exact(&mut status).map_err(gone)?;
        self.from.read_exact(&mut length).map_err(gone)?;
        let mut body = vec![0; u64::from_le_bytes(length) as usize];
        self.from.read_exact(&mut body).map_err(gone)?;
        if status == [0; 4] { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input ends the host.
        self.to = None;
        let _ = self.child.wait();
    }
}
