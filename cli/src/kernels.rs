//! Kernels of networks as NumPy files, `DIR/<index>.npy`.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use naswot::Agreement;

use crate::exit::{Failure, Result};
use crate::npy::last_number;
use crate::rows::Row;
use crate::run_folder::{Run, RunFolder};

/// Largest difference of the log-determinant of a kernel and the score, whose Cholesky may have been in f32.
const TOLERANCE: f64 = 0.01;

/// A folder of kernels.
pub(crate) struct Kernels(RunFolder);

impl Kernels {
    /// Opens the folder, which is made where there is none. Kernels of an earlier run may be refused.
    pub(crate) fn open(folder: &Path, run: &Run) -> Result<Self> {
        RunFolder::open(folder, &[".npy"], "kernels", run).map(Kernels)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &RunFolder {
        &self.0
    }

    /// Checks the kernel of a row that is kept; the error says what is wrong with it.
    pub(crate) fn check(&self, index: usize, row: &Row) -> Result<(), String> {
        let path = self.0.kind(0).file(index);
        let wrong = |how: String| Err(format!("its kernel {} {how}; --force starts anew", path.display()));
        let said = KernelFacts::of(row);
        match last_number(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return wrong("is missing".to_owned()),
            Err(error) => return wrong(format!("cannot be read: {error}")),
            Ok(None) => return wrong("is cut".to_owned()),
            // An image agrees with itself in all N_A bits. After a loss of power there may be zeros.
            Ok(Some(bits)) if said.activations != Some(u64::from(bits)) => {
                let of_another = format!("is of another network: N_A is {bits}");
                return wrong(if bits == 0 { "is cut".to_owned() } else { of_another });
            }
            Ok(Some(_)) if self.0.is_of_this_run() => return Ok(()),
            Ok(Some(_)) => {}
        }
        match Agreement::read_npy(&path) {
            Err(error) => wrong(format!("cannot be read: {error}")),
            Ok(kernel) => {
                let difference = said.difference(&kernel);
                difference.map_or(Ok(()), |difference| wrong(format!("is of another network: {difference}")))
            }
        }
    }

    /// Writes a kernel.
    pub(crate) fn write(&self, index: usize, kernel: &Agreement) -> Result<()> {
        self.0.kind(0).write(index, self.0.replaces(), |file| {
            let mut writer = BufWriter::new(file);
            kernel.write_npy(&mut writer)?;
            writer.flush()
        })
    }

    /// Copies the kernel of the same cell at another place.
    pub(crate) fn copy(&self, from: usize, index: usize) -> Result<()> {
        self.0.kind(0).copy(from, index, self.0.replaces())
    }
}

/// The figures of a kernel that a row has, each where it has it.
pub(crate) struct KernelFacts {
    pub(crate) images: Option<u64>,
    pub(crate) activations: Option<u64>,
    pub(crate) score: Option<f64>,
}

impl KernelFacts {
    pub(crate) fn of(row: &Row) -> Self {
        KernelFacts {
            images: row.integer("batch_size"),
            activations: row.integer("activations"),
            score: row.score(),
        }
    }

    /// What a kernel has that the row does not say.
    fn difference(&self, kernel: &Agreement) -> Option<String> {
        let another = |what: &str, found: &dyn Display, column: &str, said: &dyn Display| {
            Some(format!("{what} is {found}, but {column} is {said}"))
        };
        let (images, bits) = (kernel.images() as u64, u64::from(kernel.activations()));
        match (self.images, self.activations) {
            (Some(said), _) if said != images => return another("N", &images, "batch_size", &said),
            (_, Some(said)) if said != bits => return another("N_A", &bits, "activations", &said),
            _ => {}
        }
        let (score, log_det) = (self.score?, kernel.log_det());
        let equal = log_det == score || (log_det - score).abs() <= TOLERANCE;
        if equal { None } else { another("log |det K|", &log_det, "score", &score) }
    }
}

/// Reads the kernel of a network, which has to be that of its row at a place.
pub(crate) fn read(folder: &Path, index: u64, said: &KernelFacts, place: impl Display) -> Result<Agreement> {
    let path = path(folder, index);
    let wrong = |why: String| Failure::unusable(format_args!("{}: {why}", path.display()));
    if !path.exists() {
        return Err(wrong(format!("is missing, the kernel of {place}")));
    }
    let kernel = Agreement::read_npy(&path)?;
    match said.difference(&kernel) {
        None => Ok(kernel),
        Some(difference) => Err(wrong(format!("{difference} at {place}: is it of another run?"))),
    }
}

/// Path of a network's kernel in a folder.
pub(crate) fn path(folder: &Path, index: u64) -> PathBuf {
    folder.join(format!("{index}.npy"))
}
