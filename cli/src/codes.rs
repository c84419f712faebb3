//! Codes of networks: words as NumPy files, `DIR/<index>.npy`, and beside them `DIR/<index>.json`, which says whose bits they
//! are.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use naswot::Codes;

use crate::exit::Result;
use crate::folder::Folder;
use crate::output::Existing;

/// A folder of codes.
pub(crate) struct CodeFiles {
    words: Folder,
    tables: Folder,
}

impl CodeFiles {
    /// Opens the folder, which is made where there is none. Codes of an earlier run may be refused.
    pub(crate) fn open(folder: &Path, existing: Existing) -> Result<Self> {
        let open = |ending| Folder::open(folder, ending, "codes", existing);
        Ok(CodeFiles { words: open(".npy")?, tables: open(".json")? })
    }

    /// Removes all codes.
    pub(crate) fn clear(&self) -> Result<()> {
        [&self.words, &self.tables].into_iter().try_for_each(|files| files.clear(None))
    }

    /// Path of a network's words.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        self.words.file(index)
    }

    /// Writes codes: the table first, so that no words are without one.
    pub(crate) fn write(&self, index: usize, codes: &Codes) -> Result<()> {
        self.tables.write(index, |part| {
            let mut writer = BufWriter::new(File::create(part)?);
            serde_json::to_writer(&mut writer, codes)?;
            writer.write_all(b"\n")?;
            writer.flush()
        })?;
        self.words.write(index, |part| {
            let mut writer = BufWriter::new(File::create(part)?);
            codes.write_npy(&mut writer)?;
            writer.flush()
        })
    }

    /// Copies the codes of the same cell at another place.
    pub(crate) fn copy(&self, from: usize, index: usize) -> Result<()> {
        [&self.tables, &self.words]
            .into_iter()
            .try_for_each(|files| files.write(index, |part| fs::copy(files.file(from), part).map(drop)))
    }
}
