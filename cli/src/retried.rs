//! Rows that `--retry-failed` has scored again, which wait beside their file until all are there: a run that is killed has lost
//! none of them. The next run that goes on with the file puts them into it.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::Path;

use crate::columns::Compare;
use crate::exit::{Failure, Result};
use crate::field::Field;
use crate::output::{self, Draft, Existing, OutFile, Output};
use crate::row_reader::{RowReader, WrittenRow};
use crate::rows::{Row, header, names};
use crate::text::shortened;

/// The file of the rows that wait: `FILE.retried`.
fn retried(out: &OutFile) -> OutFile {
    let mut path = out.path.clone().into_os_string();
    path.push(".retried");
    OutFile { path: path.into(), format: out.format }
}

/// Begins to collect rows that are scored again.
pub(crate) fn begin(out: &OutFile) -> Result<Output> {
    let retried = retried(out);
    output::open(&retried.path, Existing::Refuse, |file| Output::replace(file, &retried))
}

/// Removes the file of the rows that wait, if it has none.
pub(crate) fn remove_empty(out: &OutFile) -> Result<()> {
    let retried = retried(out);
    match open(&retried.path)? {
        Some(waiting) if RowReader::locked(&waiting, &retried)?.next_whole()?.is_none() => {
            output::remove(&retried.path)
        }
        _ => Ok(()),
    }
}

/// Forgets rows that were scored again, as their file is begun anew. What are no rows is not touched.
pub(crate) fn forget(out: &OutFile) -> Result<()> {
    let retried = retried(out);
    match open(&retried.path)? {
        Some(waiting) => match RowReader::locked(&waiting, &retried).and_then(|mut rows| rows.next_whole()) {
            Ok(_) => output::remove(&retried.path),
            Err(_) => Ok(()),
        },
        None => Ok(()),
    }
}

/// Puts rows that were scored again into a locked file, where there are any. The file is written anew and takes the old one's
/// place at once, locked as well.
pub(crate) fn fold(locked: File, out: &OutFile) -> Result<File> {
    let retried = retried(out);
    let Some(waiting) = open(&retried.path)? else { return Ok(locked) };
    let mut again = RowReader::locked(&waiting, &retried)?;
    let folded = match again.next_whole()? {
        None => locked,
        Some(first) => write(locked, out, first, &mut again)?,
    };
    output::remove(&retried.path)?;
    Ok(folded)
}

/// Writes the rows of a locked file with some in the places of failed ones, and puts that in the file's place.
fn write(locked: File, out: &OutFile, first: WrittenRow, again: &mut RowReader) -> Result<File> {
    let name = out.path.display();
    let failed = |error: io::Error| Failure::write(&name, &error);
    let draft = Draft::of_locked(&out.path, locked.try_clone().map_err(failed)?)?;
    let file = draft.file()?;
    let mut writer = BufWriter::new(&file);
    let mut rows = RowReader::locked(&locked, out)?;
    if rows.whole() > 0 {
        writer.write_all(&header(names(), out.format)).map_err(failed)?;
    }
    let mut next = Some(first);
    while let Some(row) = rows.next_whole()? {
        let new = next.take_if(|next| next.row.index() == row.row.index());
        if new.is_some() {
            next = again.next_whole()?;
        }
        // Of a row that has a score the new one stands there already: the process was killed before it removed these.
        let bytes = match new.filter(|_| row.row.failed()) {
            None => row.bytes,
            Some(new) => {
                check(&row.row, &new.row, &name).map_err(|why| again.wrong(new.line, why))?;
                new.bytes
            }
        };
        writer.write_all(&bytes).map_err(failed)?;
    }
    if let Some(row) = next {
        let message =
            format!("{name} has no row of this index in its place; remove this file if it is of another run");
        return Err(again.wrong(row.line, message));
    }
    // A row that was cut is not judged here.
    let mut reader = &locked;
    let copied = reader.seek(SeekFrom::Start(rows.whole())).and_then(|_| io::copy(&mut reader, &mut writer));
    copied.and_then(|_| writer.flush()).map_err(failed)?;
    drop(writer);
    draft.finish()?;
    Ok(file)
}

/// Compares a row that was scored again with the failed one; the error says what differs. What the failed one lacks, as the line
/// could not be read, may have been mended.
fn check(failed: &Row, again: &Row, name: impl Display) -> Result<(), String> {
    for ((column, old), (_, new)) in failed.iter().zip(again.iter()) {
        if column.compare != Compare::Never && *old != Field::Empty && old != new {
            let [old, new] = [old, new].map(|field| shortened(&field.to_string()));
            let what = column.name;
            return Err(format!(
                "{what} is {new}, but {old} in {name}; remove this file if it is of another run"
            ));
        }
    }
    Ok(())
}

/// Opens the rows that wait, where there are any.
fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::unusable(format_args!("{}: {error}", path.display()))),
    }
}
