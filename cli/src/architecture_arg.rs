//! One architecture that a user names: by itself, or as a row of a file.

use std::io;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use naswot::{Architecture, Space};
use serde_json::Value;

use crate::exit::{Failure, Result};
use crate::network_file;
use crate::table::{Record, Table};
use crate::text_file::{self, Content, TextFile, TextReader};

/// The argument that names an architecture: its arch, or a file that holds it.
#[derive(Clone, Debug)]
pub(crate) enum ArchitectureArg {
    Architecture(Architecture),
    File(PathBuf),
}

impl ArchitectureArg {
    /// The parser of the argument: what looks like an arch is one; all else is a file.
    pub(crate) fn parser() -> impl TypedValueParser<Value = Self> {
        OsStringValueParser::new().try_map(|text| {
            match text.to_str().filter(|text| Space::of_arch(text).is_some()) {
                Some(arch) => arch.parse().map(ArchitectureArg::Architecture),
                None => Ok::<_, naswot::Error>(ArchitectureArg::File(text.into())),
            }
        })
    }

    /// The file that holds it, where there is one.
    pub(crate) fn file(&self) -> Option<&PathBuf> {
        match self {
            ArchitectureArg::Architecture(_) => None,
            ArchitectureArg::File(path) => Some(path),
        }
    }

    /// The architecture. Of a file with several, `row` says which: by `index` where the file has that column, else counted from 0.
    pub(crate) fn find(&self, row: Option<u64>) -> Result<Architecture> {
        match self {
            ArchitectureArg::Architecture(_) if row.is_some() => {
                Err(Failure::unusable("--row: says which row of a file, and none is given"))
            }
            ArchitectureArg::Architecture(architecture) => Ok(architecture.clone()),
            ArchitectureArg::File(path) => {
                let name = path.display().to_string();
                let mut chosen = RowSelection { row, name, count: 0, found: None };
                chosen.read(path)?;
                chosen.finish()
            }
        }
    }
}

/// The selection of one row of a file.
struct RowSelection {
    row: Option<u64>,
    name: String,
    /// Number of rows read so far.
    count: u64,
    found: Option<Architecture>,
}

impl RowSelection {
    fn read(&mut self, path: &Path) -> Result<()> {
        let Content::Text(TextFile { reader, .. }) = text_file::open(path)? else {
            return self.read_table(Table::open(path)?);
        };
        let (first, reader) = text_file::with_first_line(reader).map_err(|error| self.unreadable(&error))?;
        if network_file::is_table(path, &first) {
            return self.read_table(Table::of_text(reader, &self.name)?);
        }
        self.read_lines(reader)
    }

    fn read_table(&mut self, mut table: Table) -> Result<()> {
        let column = |name: &str| {
            table.position(name).ok_or_else(|| table.wrong_columns(format_args!("none is `{name}`")))
        };
        column("space").and(column("arch"))?;
        table.want(["space", "arch", "index"].into_iter())?;
        while let Some(Record { line, texts, .. }) = table.next_record()? {
            let [space, arch, index] = &texts[..] else { unreachable!("three columns are wanted") };
            if self.wants(index.parse().ok()) {
                let parsed = space.parse::<Space>().and_then(|space| space.parse_arch(arch));
                self.found = Some(parsed.map_err(|error| table.wrong(line, error))?);
            }
        }
        Ok(())
    }

    /// Reads JSON lines: architectures, or rows of scores.
    fn read_lines(&mut self, reader: TextReader) -> Result<()> {
        for (line, number) in text_file::lines(reader).zip(1..) {
            let line = line.map_err(|error| self.unreadable(&error))?;
            if line.trim().is_empty() {
                continue;
            }
            let object: Option<Value> = serde_json::from_str(&line).ok();
            let field = |name: &str| object.as_ref().and_then(|object| object.get(name));
            if self.wants(field("index").and_then(Value::as_u64)) {
                let name = &self.name;
                let found = Architecture::from_json(&line)
                    .map_err(|error| Failure::unusable(format_args!("{name}:{number}: {error}")))?;
                self.found = Some(found);
            }
        }
        Ok(())
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        Failure::unusable(format_args!("{}: {error}", self.name))
    }

    /// Whether the next row is the selected one, given its index where it has one.
    fn wants(&mut self, index: Option<u64>) -> bool {
        let position = self.count;
        self.count += 1;
        match self.row {
            Some(row) => self.found.is_none() && index.unwrap_or(position) == row,
            None => position == 0,
        }
    }

    fn finish(self) -> Result<Architecture> {
        let RowSelection { row, name, count, found } = self;
        match (found, row) {
            (Some(_), None) if count > 1 => {
                let message = format!("{name}: holds {count} architectures; --row says which is meant");
                Err(Failure::unusable(message))
            }
            (Some(architecture), _) => Ok(architecture),
            (None, Some(row)) => Err(Failure::unusable(format_args!("{name}: has no row {row}, of {count}"))),
            (None, None) => Err(Failure::unusable(format_args!("{name}: holds no architecture"))),
        }
    }
}
