//! Kernels of networks as NumPy files, `DIR/<index>.npy`.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use naswot::Kernel;

use crate::exit::{Failure, Result};
use crate::output::Existing;

/// A folder of kernels.
pub(crate) struct Kernels {
    folder: PathBuf,
}

impl Kernels {
    /// Opens the folder, which is made where there is none. Kernels of an earlier run may be refused.
    pub(crate) fn open(folder: &Path, existing: Existing) -> Result<Self> {
        let name = folder.display();
        if folder.exists() && !folder.is_dir() {
            return Err(Failure::unusable(format_args!("{name}: is no folder")));
        }
        fs::create_dir_all(folder).map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
        let kernels = Kernels { folder: folder.to_owned() };
        if existing == Existing::Refuse && !kernels.all()?.is_empty() {
            let message = "holds kernels already; --resume goes on with them, --force replaces them";
            return Err(Failure::unusable(format_args!("{name}: {message}")));
        }
        Ok(kernels)
    }

    /// Removes all kernels.
    pub(crate) fn clear(&self) -> Result<()> {
        let remove = |path: PathBuf| {
            fs::remove_file(&path)
                .map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))
        };
        self.all()?.into_iter().try_for_each(remove)
    }

    fn all(&self) -> Result<Vec<PathBuf>> {
        let paths = fs::read_dir(&self.folder).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .filter(|path| !matches!(path, Ok(path) if !is_kernel(path)))
                .collect()
        });
        paths.map_err(|error| Failure::unusable(format_args!("{}: {error}", self.folder.display())))
    }

    /// Where the kernel of a network is.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        path(&self.folder, index as u64)
    }

    /// Writes a kernel: whole, or not at all.
    pub(crate) fn write(&self, index: usize, kernel: &Kernel) -> Result<()> {
        self.place(index, |part| {
            let mut writer = BufWriter::new(File::create(part)?);
            kernel.write_npy(&mut writer)?;
            writer.flush()
        })
    }

    /// Copies the kernel of the same cell at another place.
    pub(crate) fn copy(&self, from: usize, index: usize) -> Result<()> {
        self.place(index, |part| fs::copy(self.path(from), part).map(drop))
    }

    fn place(&self, index: usize, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
        let path = self.path(index);
        let part = self.folder.join(format!("{index}.npy.part"));
        let placed = make(&part).and_then(|()| fs::rename(&part, &path));
        placed.map_err(|error| {
            // The message of the failure that led here matters more than one about this file.
            let _ = fs::remove_file(&part);
            Failure::stopped(format_args!("{}: {error}", path.display()))
        })
    }
}

/// Where a folder has the kernel of a network.
pub(crate) fn path(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index}.npy"))
}

/// Whether a file is named as a kernel, `<index>.npy`.
fn is_kernel(path: &Path) -> bool {
    let index = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".npy"));
    index.is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
}
