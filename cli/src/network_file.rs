//! Files of architectures in any form: lines and arrays of JSON, rows that this command wrote, tables with a column of
//! cells. What is of none of these forms is refused as a whole.

use std::io::{self, BufRead, Read};
use std::path::Path;

use naswot::{Architecture, Error, Space};

use crate::exit::{Failure, Result};
use crate::table::{Record, Table};
use crate::text_file::{self, Content, TextFile};

/// Lines of a file of which at least one has to be a network.
const JUDGED: usize = 10;
/// Most bytes of a first line that are looked at.
const FIRST_LINE: u64 = 1 << 16;
/// Columns that hold cells, the first that is there being read.
const CELLS: [&str; 5] = ["arch", "arch_str", "hash", "id", "unique_hash"];

/// Architectures or errors, each with its line.
pub(crate) type Architectures =
    Box<dyn Iterator<Item = (Option<usize>, naswot::Result<Architecture>)> + Send>;

/// What the lines of a file are, where they are no objects of JSON and no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// No architectures.
    Objects,
    /// Cells in any notation.
    Cells,
}

/// Opens a file, whose first lines say of which form it is, and says whether they are all of its text. A regular one is refused
/// where none of its first lines is a network; `-`, standard input, and pipes are judged line by line.
pub(crate) fn open(path: &Path, lines: Lines) -> Result<(Architectures, bool)> {
    if path == Path::new("-")
        || path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        let TextFile { reader, plain } = text_file::open_late(path)?;
        return Ok((read(reader, lines), plain));
    }
    let first = first_line(path)?;
    let (mut architectures, plain) = match first.as_deref() {
        Some(first) if !is_table(path, first) => {
            let TextFile { reader, plain } = text_file::open_text(path)?;
            (read(reader, lines), plain)
        }
        _ => (read_table(path)?, false),
    };
    let judged: Vec<_> = architectures.by_ref().take(JUDGED).collect();
    let is_network = |read: &naswot::Result<Architecture>| matches!(read, Ok(_) | Err(Error::Io { .. }));
    match judged.first() {
        Some((number, Err(error))) if !judged.iter().any(|(_, read)| is_network(read)) => {
            Err(refusal(path, first.as_deref().unwrap_or_default(), *number, error, judged.len()))
        }
        _ => Ok((Box::new(judged.into_iter().chain(architectures)), plain)),
    }
}

/// The names of networks that a file lists, with their lines: one a line, or in a column of a table.
pub(crate) fn names(path: &Path) -> Result<Vec<(usize, String)>> {
    let name = path.display().to_string();
    let unusable = |error: io::Error| Failure::unusable(format_args!("{name}: {error}"));
    let is_table = path != Path::new("-") && first_line(path)?.is_none_or(|first| is_table_of_names(&first));
    if is_table {
        return names_of_table(path);
    }
    let text = io::read_to_string(text_file::open_text(path)?.reader).map_err(unusable)?;
    let lines = text.lines().zip(1..).map(|(line, number)| (number, line.trim().to_owned()));
    Ok(lines.filter(|(_, line)| !line.is_empty()).collect())
}

/// Refuses a list of names of which none of the first ones is a network of the space.
pub(crate) fn judge_names(path: &Path, space: Space, names: &[(usize, String)]) -> Result<()> {
    let first: Vec<&str> = names.iter().take(JUDGED).map(|(_, name)| name.as_str()).collect();
    // Hashes of cells are not looked up twice.
    if path == Path::new("-") || first.iter().any(|name| Space::of_arch(name) == Some(space)) {
        return Ok(());
    }
    let found = space.find(&first);
    match (names.first(), found.first()) {
        (Some((number, _)), Some(Err(error))) if found.iter().all(naswot::Result::is_err) => {
            Err(refusal(path, "", Some(*number), error, found.len()))
        }
        _ => Ok(()),
    }
}

fn read(reader: impl BufRead + Send + 'static, lines: Lines) -> Architectures {
    match lines {
        Lines::Objects => {
            Box::new(Architecture::read_lines(reader).map(|(number, read)| (Some(number), read)))
        }
        Lines::Cells => Box::new(Architecture::read_cells(reader).map(|(number, read)| (Some(number), read))),
    }
}

/// The first line of a file that is not blank, as far as it is looked at; none of Parquet, which is a table.
fn first_line(path: &Path) -> Result<Option<String>> {
    let Content::Text(TextFile { reader, .. }) = text_file::open(path)? else { return Ok(None) };
    let mut start = Vec::new();
    let read = reader.take(FIRST_LINE).read_to_end(&mut start);
    read.map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))?;
    let start = String::from_utf8_lossy(&start);
    let first = start.lines().map(str::trim).find(|line| !line.is_empty());
    Ok(Some(first.unwrap_or_default().to_owned()))
}

/// Whether a file is a table: by its ending, or by names of columns that hold cells.
fn is_table(path: &Path, first: &str) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let by_ending = matches!(ending.as_str(), "csv" | "tsv" | "gz" | "zst");
    (by_ending && !first.starts_with(['{', '[', '|'])) || is_table_of_names(first)
}

/// Whether a line is the header of a table with a column that holds cells.
fn is_table_of_names(first: &str) -> bool {
    let mut columns = first.split([',', ';', '\t']).map(|column| column.trim().trim_matches('"'));
    !first.starts_with(['{', '[']) && columns.any(|column| CELLS.contains(&column))
}

/// A table with a column of cells, of which each record gives `space` and the cell.
fn open_table(path: &Path) -> Result<Table> {
    let mut table = Table::open(path)?;
    let columns: Vec<&str> = CELLS.into_iter().filter(|name| table.position(name).is_some()).collect();
    if columns.is_empty() {
        let cells = CELLS.map(|name| format!("`{name}`")).join(", ");
        return Err(table.wrong_columns(format_args!("none holds cells, as {cells} would")));
    }
    table.want(["space"].into_iter().chain(columns.iter().copied()))?;
    Ok(table)
}

/// The next record of such a table: its line, the space where it names one, and the cell.
fn next_cell(table: &mut Table) -> Result<Option<(usize, String, String)>> {
    let Some(Record { line, mut texts, .. }) = table.next_record()? else { return Ok(None) };
    let cell = texts.iter().skip(1).find(|cell| !cell.is_empty()).cloned().unwrap_or_default();
    Ok(Some((line, texts.swap_remove(0), cell)))
}

fn read_table(path: &Path) -> Result<Architectures> {
    let mut table = open_table(path)?;
    let path = path.to_owned();
    let mut ended = false;
    Ok(Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        match next_cell(&mut table) {
            Ok(record) => record.map(|(line, space, cell)| {
                let read = match space.as_str() {
                    "" => cell.parse(),
                    space => space.parse::<Space>().and_then(|space| space.parse_arch(&cell)),
                };
                (Some(line), read)
            }),
            Err(Failure { message, .. }) => {
                ended = true;
                let message = message.unwrap_or_default();
                let place = format!("{}: ", path.display());
                let message = message.strip_prefix(&place).unwrap_or(&message).to_owned();
                let source = std::sync::Arc::new(io::Error::other(message));
                Some((None, Err(Error::Io { path: path.clone(), source })))
            }
        }
    })))
}

fn names_of_table(path: &Path) -> Result<Vec<(usize, String)>> {
    let mut table = open_table(path)?;
    let mut names = Vec::new();
    while let Some((line, _, cell)) = next_cell(&mut table)? {
        names.push((line, cell));
    }
    Ok(names)
}

/// The one error of a file that holds no networks, with what to do.
fn refusal(path: &Path, first: &str, number: Option<usize>, error: &Error, judged: usize) -> Failure {
    let name = path.display();
    if let Ok(cell) = first.parse::<Architecture>()
        && !first.starts_with('{')
    {
        let space = cell.space();
        return Failure::unusable(format_args!(
            "{name}: holds cells of {space}, not objects of JSON: give it with --space {space} --only {name}"
        ));
    }
    if first.starts_with("{'") {
        return Failure::unusable(format_args!(
            "{name}: is Python, not JSON: write its lines with json.dumps"
        ));
    }
    let number = number.map_or(String::new(), |number| format!(":{number}"));
    let rest = if judged > 1 {
        format!(" (nor is any of its first {judged} lines a network)")
    } else {
        String::new()
    };
    Failure::unusable(format_args!("{name}{number}: {error}{rest}"))
}
