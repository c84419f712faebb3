//! Kernels of networks as NumPy files, `DIR/<index>.npy`.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use naswot::Agreement;

use crate::exit::{Failure, Result};
use crate::folder::Folder;
use crate::output::Existing;

/// Largest difference of the log-determinant of a kernel and the score, whose Cholesky may have been in f32.
const TOLERANCE: f64 = 0.01;

/// A folder of kernels.
pub(crate) struct Kernels(Folder);

impl Kernels {
    /// Opens the folder, which is made where there is none. Kernels of an earlier run may be refused.
    pub(crate) fn open(folder: &Path, existing: Existing) -> Result<Self> {
        Folder::open(folder, ".npy", "kernels", existing).map(Kernels)
    }

    /// Removes all kernels.
    pub(crate) fn clear(&self) -> Result<()> {
        self.0.clear(None)
    }

    /// Path of a network's kernel.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.0.file(index)
    }

    /// Writes a kernel.
    pub(crate) fn write(&self, index: usize, kernel: &Agreement) -> Result<()> {
        self.0.write(index, |part| {
            let mut writer = BufWriter::new(File::create(part)?);
            kernel.write_npy(&mut writer)?;
            writer.flush()
        })
    }

    /// Copies the kernel of the same cell at another place.
    pub(crate) fn copy(&self, from: usize, index: usize) -> Result<()> {
        self.0.write(index, |part| fs::copy(self.path(from), part).map(drop))
    }
}

/// The figures of a kernel that a row has, each where it has it.
pub(crate) struct KernelFacts {
    pub(crate) images: Option<u64>,
    pub(crate) activations: Option<u64>,
    pub(crate) score: Option<f64>,
}

/// Reads the kernel of a network, which has to be that of its row at a place.
pub(crate) fn read(folder: &Path, index: u64, said: &KernelFacts, place: impl Display) -> Result<Agreement> {
    let path = path(folder, index);
    let wrong = |why: String| Failure::unusable(format_args!("{}: {why}", path.display()));
    if !path.exists() {
        return Err(wrong(format!("is missing, the kernel of {place}")));
    }
    let kernel = Agreement::read_npy(&path)?;
    let another = |what: &str, found: &dyn Display, column: &str, said: &dyn Display| {
        wrong(format!("{what} is {found}, but {column} is {said} at {place}: is it of another run?"))
    };
    let (images, bits) = (kernel.images() as u64, u64::from(kernel.activations()));
    match (said.images, said.activations) {
        (Some(said), _) if said != images => return Err(another("N", &images, "batch_size", &said)),
        (_, Some(said)) if said != bits => return Err(another("N_A", &bits, "activations", &said)),
        _ => {}
    }
    let log_det = kernel.log_det();
    match said.score {
        Some(score) if log_det != score && (log_det - score).abs() > TOLERANCE => {
            Err(another("log |det K|", &log_det, "score", &score))
        }
        _ => Ok(kernel),
    }
}

/// Path of a network's kernel in a folder.
pub(crate) fn path(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index}.npy"))
}
