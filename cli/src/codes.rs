//! Codes of networks: words as NumPy files, `DIR/<index>.npy`, and beside them `DIR/<index>.json`, which says whose bits they
//! are.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use naswot::Codes;
use serde::Deserialize;

use crate::exit::Result;
use crate::folder::Folder;
use crate::npy::last_number;
use crate::rows::Row;
use crate::run_folder::{Run, RunFolder};

/// The size of codes, as their table and a row say it.
#[derive(Clone, Copy, Deserialize, PartialEq)]
struct Size {
    images: u64,
    activations: u64,
}

impl Size {
    fn of(row: &Row) -> Option<Self> {
        Some(Size { images: row.integer("batch_size")?, activations: row.integer("activations")? })
    }
}

/// A folder of codes.
pub(crate) struct CodeFiles(RunFolder);

impl CodeFiles {
    /// Opens the folder, which is made where there is none. Codes of an earlier run may be refused.
    pub(crate) fn open(folder: &Path, run: &Run) -> Result<Self> {
        RunFolder::open(folder, &[".npy", ".json"], "codes", run).map(CodeFiles)
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &RunFolder {
        &self.0
    }

    fn words(&self) -> &Folder {
        self.0.kind(0)
    }

    fn tables(&self) -> &Folder {
        self.0.kind(1)
    }

    /// Checks the codes of a row that is kept; the error says what is wrong with them.
    pub(crate) fn check(&self, index: usize, row: &Row) -> Result<(), String> {
        let (words, table) = (self.words().file(index), self.tables().file(index));
        let wrong = |path: &Path, how: &str| {
            Err(format!("its codes {} are {how}; --force starts anew", path.display()))
        };
        if let Some(missing) = [&words, &table].into_iter().find(|path| !path.is_file()) {
            return wrong(missing, "missing");
        }
        if !matches!(last_number(&words), Ok(Some(_))) {
            return wrong(&words, "cut");
        }
        match File::open(&table).map(BufReader::new).map(serde_json::from_reader::<_, Size>) {
            Ok(Ok(size)) if Some(size) == Size::of(row) => Ok(()),
            Ok(Ok(_)) => wrong(&table, "of another network"),
            _ => wrong(&table, "cut"),
        }
    }

    /// Writes codes: the table first, so that no words are without one.
    pub(crate) fn write(&self, index: usize, codes: &Codes) -> Result<()> {
        let replace = self.0.replaces();
        self.tables().write(index, replace, |file| {
            let mut writer = BufWriter::new(file);
            serde_json::to_writer(&mut writer, codes)?;
            writer.write_all(b"\n")?;
            writer.flush()
        })?;
        self.words().write(index, replace, |file| {
            let mut writer = BufWriter::new(file);
            codes.write_npy(&mut writer)?;
            writer.flush()
        })
    }

    /// Copies the codes of the same cell at another place.
    pub(crate) fn copy(&self, from: usize, index: usize) -> Result<()> {
        let replace = self.0.replaces();
        self.tables().copy(from, index, replace)?;
        self.words().copy(from, index, replace)
    }
}
