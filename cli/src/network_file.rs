//! Files of architectures in any form: lines and arrays of JSON, rows that this command wrote, tables with a column of
//! cells. What is of none of these forms is refused as a whole.

use std::path::Path;
use std::sync::Arc;
use std::{io, iter};

use naswot::{Architecture, Error, Space};

use crate::console::Console;
use crate::exit::{Failure, Result};
use crate::join_key::{columns_of_names, is_name};
use crate::table::{Record, Table};
use crate::text_file::{self, Content, TextFile, TextReader};

/// Lines of a file of which at least one has to be a network.
const JUDGED: usize = 10;
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
/// where none of its first lines is a network; `-`, standard input, and pipes are known by their first line, for which nobody
/// waits before it is wanted, and judged line by line.
pub(crate) fn open(path: &Path, lines: Lines) -> Result<(Architectures, bool)> {
    if path == Path::new("-")
        || path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
    {
        let (TextFile { reader, plain }, path) = (text_file::open_late(path)?, path.to_owned());
        let read = move || match read_text(&path, reader, lines) {
            Ok(Text { architectures, .. }) => architectures,
            Err(failure) => Box::new(iter::once((None, Err(unreadable(&path, failure))))),
        };
        return Ok((Box::new(iter::once_with(read).flatten()), plain));
    }
    let (Text { first, mut architectures, is_table }, plain) = match text_file::open(path)? {
        Content::Npy => {
            let name = path.display();
            return Err(Failure::unusable(format_args!("{name}: {}", text_file::NPY)));
        }
        Content::Parquet => {
            let architectures = read_table(path, Table::open(path)?)?;
            (Text { first: String::new(), architectures, is_table: true }, false)
        }
        Content::Text(TextFile { reader, plain }) => (read_text(path, reader, lines)?, plain),
    };
    let judged: Vec<_> = architectures.by_ref().take(JUDGED).collect();
    let is_network = |read: &naswot::Result<Architecture>| matches!(read, Ok(_) | Err(Error::Io { .. }));
    match judged.first() {
        Some((number, Err(error))) if !judged.iter().any(|(_, read)| is_network(read)) => {
            Err(refusal(path, &first, *number, error, judged.len()))
        }
        _ => Ok((Box::new(judged.into_iter().chain(architectures)), plain && !is_table)),
    }
}

/// Different networks of a file, drawn from the whole of it and in its order, each with its line. What is no network is not
/// drawn, which is warned of.
pub(crate) fn sample(
    path: &Path,
    lines: Lines,
    n: usize,
    seed: u64,
    console: &Console,
) -> Result<Vec<(Option<usize>, Architecture)>> {
    let name = path.display();
    if path == Path::new("-") {
        let message = "a sample is drawn from a whole file, not from standard input: save it to a file first";
        return Err(Failure::unusable(format_args!("{name}: {message}")));
    }
    let (mut numbers, mut networks, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for (number, read) in open(path, lines)?.0 {
        match read {
            Ok(network) => {
                numbers.push(number);
                networks.push(network);
            }
            Err(Error::Io { source, .. }) => {
                return Err(Failure::unusable(format_args!("{name}: {source}")));
            }
            Err(error) => unreadable.push((number, error)),
        }
    }
    if let Some((number, error)) = unreadable.first() {
        let (lines, number) = (unreadable.len(), place(*number));
        console.warning(format_args!(
            "{name}: {lines} of its lines are no networks, and are not drawn; the first is {name}{number}: {error}"
        ));
    }
    let drawn = Architecture::sample_of(&networks, n, seed).map_err(|error| match error {
        Error::Setting { message, .. } => Failure::unusable(format_args!("{name}: {message}")),
        error => error.into(),
    })?;
    Ok(drawn.into_iter().map(|position| (numbers[position], networks[position].clone())).collect())
}

/// The names of networks that a file lists, with their lines: one a line, or in a column of a table.
pub(crate) fn names(path: &Path) -> Result<Vec<(usize, String)>> {
    let unusable = |error: io::Error| Failure::unusable(format_args!("{}: {error}", path.display()));
    let Content::Text(TextFile { reader, .. }) = text_file::open(path)? else {
        return names_of_table(Table::open(path)?);
    };
    let (first, reader) = text_file::with_first_line(reader).map_err(unusable)?;
    if is_table(path, &first) {
        return names_of_table(Table::of_text(reader, &path.display().to_string())?);
    }
    let lines = text_file::lines(reader).zip(1..);
    let names = lines.map(|(line, number)| line.map(|line| (number, line.trim().to_owned())));
    let named = |name: &io::Result<(usize, String)>| name.as_ref().map_or(true, |(_, name)| !name.is_empty());
    names.filter(named).collect::<io::Result<_>>().map_err(unusable)
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

/// The architectures of a text, by its first line.
struct Text {
    first: String,
    architectures: Architectures,
    is_table: bool,
}

fn read_text(path: &Path, reader: TextReader, lines: Lines) -> Result<Text> {
    let read = text_file::with_first_line(reader);
    let (first, reader) =
        read.map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))?;
    let is_table = is_table(path, &first);
    let architectures: Architectures = match lines {
        _ if is_table => read_table(path, Table::of_text(reader, &path.display().to_string())?)?,
        Lines::Objects => {
            Box::new(Architecture::read_lines(reader).map(|(number, read)| (Some(number), read)))
        }
        Lines::Cells => Box::new(Architecture::read_cells(reader).map(|(number, read)| (Some(number), read))),
    };
    Ok(Text { first, architectures, is_table })
}

/// Whether a text is a table with a header, not cells line by line: by the file's ending, or by names of columns that hold
/// cells.
pub(crate) fn is_table(path: &Path, first: &str) -> bool {
    if first.starts_with(['{', '[', '|']) || is_name(first) || first.bytes().all(|byte| byte.is_ascii_digit())
    {
        return false;
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase();
    let mut columns = first.split([',', ';', '\t']).map(|column| column.trim().trim_matches('"'));
    matches!(ending.as_str(), "csv" | "tsv" | "gz" | "zst")
        || columns.any(|column| CELLS.iter().any(|name| name.eq_ignore_ascii_case(column)))
}

/// A table with a column of cells, of which each record gives `space` and the cell.
fn with_cells(mut table: Table) -> Result<Table> {
    let named = CELLS.into_iter().filter(|name| table.position(name).is_some()).map(str::to_owned);
    let mut columns: Vec<String> = named.collect();
    if columns.is_empty() {
        columns = columns_of_names(&mut table)?;
    }
    if columns.is_empty() {
        let cells = CELLS.map(|name| format!("`{name}`")).join(", ");
        return Err(table.wrong_columns(format_args!("none holds cells, as {cells} would")));
    }
    table.want(["space"].into_iter().chain(columns.iter().map(String::as_str)))?;
    Ok(table)
}

/// The next record of such a table: its line, the space where it names one, and the cell.
fn next_cell(table: &mut Table) -> Result<Option<(usize, String, String)>> {
    let Some(Record { line, mut texts, .. }) = table.next_record()? else { return Ok(None) };
    let cell = texts.iter().skip(1).find(|cell| !cell.is_empty()).cloned().unwrap_or_default();
    Ok(Some((line, texts.swap_remove(0), cell)))
}

fn read_table(path: &Path, table: Table) -> Result<Architectures> {
    let mut table = with_cells(table)?;
    let path = path.to_owned();
    let mut ended = false;
    Ok(Box::new(iter::from_fn(move || {
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
            Err(failure) => {
                ended = true;
                Some((None, Err(unreadable(&path, failure))))
            }
        }
    })))
}

/// The error of a file that cannot be read on, whose failure names it.
fn unreadable(path: &Path, failure: Failure) -> Error {
    let message = failure.message.unwrap_or_default();
    let message = message.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&message).to_owned();
    Error::Io { path: path.to_owned(), source: Arc::new(io::Error::other(message)) }
}

fn names_of_table(table: Table) -> Result<Vec<(usize, String)>> {
    let mut table = with_cells(table)?;
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
    let number = place(number);
    let rest = if judged > 1 {
        format!(" (nor is any of its first {judged} lines a network)")
    } else {
        String::new()
    };
    Failure::unusable(format_args!("{name}{number}: {error}{rest}"))
}

/// A line as it stands behind the name of its file, where it is known.
fn place(number: Option<usize>) -> String {
    number.map_or(String::new(), |number| format!(":{number}"))
}
