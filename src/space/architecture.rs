//! One architecture of any space, and the lines of JSON that files of architectures consist of.

use std::io::{BufRead, Read};
use std::iter;
use std::path::Path;
use std::str;

use serde::Deserialize;

use super::{Space, nasbench101, nasbench201, quoted, unreadable};
use crate::{Error, Network, Result};

/// Longest line that [`Architecture::read_lines`] reads, in bytes. `to_json` writes at most 264.
const MAX_LINE: usize = 1 << 20;

/// A cell of any search space.
///
/// As a line of an architecture file:
///
/// ```text
/// {"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}
/// {"space":"nasbench201","arch":"|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"}
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Architecture {
    /// A cell of NAS-Bench-101.
    NasBench101(nasbench101::Cell),
    /// A cell of NAS-Bench-201.
    NasBench201(nasbench201::Cell),
}

impl Architecture {
    /// Reads a JSON object with the keys `space` and, for NAS-Bench-101, `adjacency` (the rows of a matrix of
    /// 0 and 1) and `ops` (the name of each vertex), or, for NAS-Bench-201, `arch`. Other keys are ignored.
    /// None of these keys may come twice: readers of JSON differ in which of two they take.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let line = r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"],"note":1}"#;
    /// assert_eq!(Architecture::from_json(line)?.arch(), "0100/");
    ///
    /// let error = Architecture::from_json(r#"{"space":"nasbench101","adjacency":[[0,"1"]]}"#).unwrap_err();
    /// assert_eq!(error.to_string(), r#"column 42: invalid type: string "1", expected u8"#);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Architecture`] when the line is no such object, [`Error::Cell`] when what it describes is no
    /// cell of its space.
    pub fn from_json(line: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Header {
            space: String,
        }
        #[derive(Deserialize)]
        struct NasBench101 {
            adjacency: Vec<Vec<u8>>,
            ops: Vec<String>,
        }
        #[derive(Deserialize)]
        struct NasBench201 {
            arch: String,
        }
        // Serde would also fill a structure from an array.
        if !line.trim_start().starts_with('{') {
            return Err(unreadable(format!("{} is not a JSON object", quoted(line))));
        }
        // The line is parsed once more when its space is known, since keys of other spaces are to be ignored.
        match parse::<Header>(line)?.space.parse()? {
            Space::NasBench101 => {
                let NasBench101 { adjacency, ops } = parse(line)?;
                nasbench101::Cell::new(&adjacency, &ops).map(Architecture::NasBench101)
            }
            Space::NasBench201 => parse::<NasBench201>(line)?.arch.parse().map(Architecture::NasBench201),
        }
    }

    /// Reads a file of architectures, one JSON object a line: each with its line number, counted from 1.
    /// Blank lines are skipped.
    ///
    /// A line that cannot be read is that line's error, and the next lines follow; so is a line that is not
    /// UTF-8 or is longer than 1 MiB, of which no more than that is kept in memory. When the reader fails,
    /// the last item is an [`Error::Io`], whose `path` is `architectures` since the file is not known here.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let file = concat!(
    ///     r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}"#,
    ///     "\n\n",
    ///     r#"{"space":"nasbench301"}"#,
    /// );
    /// let mut lines = Architecture::read_lines(file.as_bytes());
    /// let (number, architecture) = lines.next().unwrap();
    /// assert_eq!((number, architecture?.arch().as_str()), (1, "0100/"));
    /// let (number, error) = lines.next().unwrap();
    /// assert_eq!(number, 3);
    /// assert!(error.unwrap_err().to_string().starts_with(r#"unknown space "nasbench301""#));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn read_lines(mut reader: impl BufRead) -> impl Iterator<Item = (usize, Result<Self>)> {
        let mut ended = false;
        let lines = iter::from_fn(move || {
            let line = if ended { None } else { next_line(&mut reader) };
            ended = matches!(line, None | Some(Err(Error::Io { .. })));
            line
        });
        let numbered = (1..).zip(lines);
        let filled = numbered.filter(|(_, line)| !matches!(line, Ok(line) if line.trim_ascii().is_empty()));
        filled.map(|(number, line)| (number, line.and_then(|line| Self::from_json(utf8(&line)?))))
    }

    /// The architecture as [`Architecture::from_json`] reads it, without a line end.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let line = r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"]}"#;
    /// assert_eq!(Architecture::from_json(line)?.to_json(), line);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn to_json(&self) -> String {
        match self {
            Architecture::NasBench101(cell) => {
                // Debug output of numbers and of names without special characters is JSON, but for spaces.
                let adjacency = format!("{:?}", cell.adjacency()).replace(' ', "");
                let ops = format!("{:?}", cell.op_names()).replace(' ', "");
                format!(r#"{{"space":"nasbench101","adjacency":{adjacency},"ops":{ops}}}"#)
            }
            Architecture::NasBench201(cell) => format!(r#"{{"space":"nasbench201","arch":"{cell}"}}"#),
        }
    }

    /// The space that the cell belongs to.
    ///
    /// ```
    /// use naswot::{Architecture, Space, nasbench201};
    ///
    /// let cell = nasbench201::sample(1, 0)?[0];
    /// assert_eq!(Architecture::from(cell).space(), Space::NasBench201);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn space(&self) -> Space {
        match self {
            Architecture::NasBench101(_) => Space::NasBench101,
            Architecture::NasBench201(_) => Space::NasBench201,
        }
    }

    /// What the benchmark calls the cell: the hash of NAS-Bench-101, which isomorphic cells share, or the
    /// arch string of NAS-Bench-201. It is the id of the [`Network`].
    ///
    /// ```
    /// use naswot::{Architecture, nasbench101};
    ///
    /// let cell: nasbench101::Cell = "010001000/0".parse()?;
    /// assert_eq!(Architecture::from(cell).id(), cell.hash());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn id(&self) -> String {
        match self {
            Architecture::NasBench101(cell) => cell.hash(),
            Architecture::NasBench201(cell) => cell.to_string(),
        }
    }

    /// The cell as one word: `adjacency/operations` of NAS-Bench-101, or the arch string of NAS-Bench-201.
    /// Together with the space it is the whole architecture.
    ///
    /// ```
    /// use naswot::{Architecture, nasbench101};
    ///
    /// let cell: nasbench101::Cell = "010001000/0".parse()?;
    /// assert_eq!(Architecture::from(cell).arch(), "010001000/0");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn arch(&self) -> String {
        match self {
            Architecture::NasBench101(cell) => cell.to_string(),
            Architecture::NasBench201(cell) => cell.to_string(),
        }
    }

    /// A random neighbour in the space, for evolutionary search: one flip of an edge of NAS-Bench-101
    /// ([`nasbench101::Cell::mutate`]), another operation on one edge of NAS-Bench-201
    /// ([`nasbench201::Cell::mutate`]). Equal seeds make equal mutants. `None` for the one cell that has no
    /// neighbour, input and output alone of NAS-Bench-101.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let parent = Space::NasBench201.sample(1, 0)?[0];
    /// assert_ne!(parent.mutate(7), Some(parent));
    /// assert_eq!(parent.mutate(7).map(|child| child.space()), Some(Space::NasBench201));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    #[must_use]
    pub fn mutate(&self, seed: u64) -> Option<Self> {
        match self {
            Architecture::NasBench101(cell) => cell.mutate(seed).map(Architecture::from),
            Architecture::NasBench201(cell) => Some(cell.mutate(seed).into()),
        }
    }

    /// The benchmark's network with so many channels behind the stem and so many cells in a stack (a stage of
    /// NAS-Bench-201), by default [`Space::default_cells`].
    ///
    /// ```
    /// use naswot::{Architecture, nasbench201};
    ///
    /// let cell = nasbench201::sample(1, 0)?[0];
    /// let network = Architecture::from(cell).network(16, None)?;
    /// assert_eq!(network.parameters(), cell.network(16, 5)?.parameters());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`nasbench101::Cell::network`] and [`nasbench201::Cell::network`].
    pub fn network(&self, stem: usize, cells: Option<usize>) -> Result<Network> {
        let cells = cells.unwrap_or_else(|| self.space().default_cells());
        match self {
            Architecture::NasBench101(cell) => {
                cell.network(&nasbench101::Skeleton { stem, cells, ..nasbench101::Skeleton::default() })
            }
            Architecture::NasBench201(cell) => cell.network(stem, cells),
        }
    }
}

impl From<nasbench101::Cell> for Architecture {
    fn from(cell: nasbench101::Cell) -> Self {
        Architecture::NasBench101(cell)
    }
}

impl From<nasbench201::Cell> for Architecture {
    fn from(cell: nasbench201::Cell) -> Self {
        Architecture::NasBench201(cell)
    }
}

/// The next line with its line end, or nothing at the end. A line that is too long is skipped as it is read.
fn next_line(reader: &mut impl BufRead) -> Option<Result<Vec<u8>>> {
    let failed = |source| Err(Error::io(Path::new("architectures"), source));
    let mut line = Vec::new();
    match reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line) {
        Err(source) => Some(failed(source)),
        Ok(0) => None,
        Ok(_) if line.len() > MAX_LINE && !line.ends_with(b"\n") => Some(match reader.skip_until(b'\n') {
            Err(source) => failed(source),
            Ok(_) => Err(unreadable(format!("the line is longer than {MAX_LINE} bytes"))),
        }),
        Ok(_) => Some(Ok(line)),
    }
}

fn utf8(line: &[u8]) -> Result<&str> {
    str::from_utf8(line).map_err(|error| unreadable(format!("byte {} is not UTF-8", error.valid_up_to() + 1)))
}

/// Reads JSON. An error says its column, for the line is the caller's, and repeats no more than the start of a
/// long value.
fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T> {
    serde_json::from_str(line).map_err(|error| {
        let (text, column) = (error.to_string(), error.column());
        let place = format!(" at line {} column {column}", error.line());
        let text = text.strip_suffix(&place).unwrap_or(&text);
        let broken = if error.is_data() { "" } else { "broken JSON, " };
        unreadable(format!("{broken}column {column}: {}", text.chars().take(200).collect::<String>()))
    })
}
