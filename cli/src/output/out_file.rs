//! The file of rows that a user names, and what is to become of one that is there.

use std::path::PathBuf;

use crate::exit::Result;
use crate::rows::Format;

/// A file of rows that is to be written, its format known by its ending.
#[derive(Clone, Debug)]
pub(crate) struct OutFile {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its format.
    pub(crate) format: Format,
}

impl OutFile {
    /// Reads the option.
    pub(crate) fn parse(path: PathBuf) -> Result<Self, String> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match Format::of(ending) {
            Some(format) => Ok(OutFile { path, format }),
            None if ending.eq_ignore_ascii_case("parquet") => {
                let message = "Parquet cannot be written row by row, so a run that is killed would lose everything: \
                               write .csv or .jsonl, and `naswot convert` it at the end";
                Err(message.to_owned())
            }
            None => Err("the name must end in .csv or .jsonl, which says how rows are written".to_owned()),
        }
    }
}

/// The treatment of a file that exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
    Continue,
}

impl Existing {
    /// That of a command whose only choice is `--force`.
    pub(crate) fn forced(force: bool) -> Self {
        if force { Existing::Replace } else { Existing::Refuse }
    }
}
