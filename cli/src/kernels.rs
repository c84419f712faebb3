//! Kernels of networks as NumPy files, `DIR/<index>.npy`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use naswot::Agreement;

use crate::exit::Result;
use crate::folder::Folder;
use crate::output::Existing;

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

/// Path of a network's kernel in a folder.
pub(crate) fn path(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index}.npy"))
}
