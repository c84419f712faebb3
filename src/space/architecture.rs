//! What an architecture of any space can do, and the lines of JSON that files of architectures consist of.

use std::io::{BufRead, Read};
use std::iter;
use std::path::Path;
use std::str;

use serde::{Deserialize, Serialize};

use super::definition::Definition;
use super::skeleton::SkeletonSettings;
use super::table::{Architecture, Space, with_cell};
use super::text::{parse, quoted, unreadable};
use crate::{Error, Network, Result};

/// Longest line that [`Architecture::read_lines`] reads, in bytes. `to_json` writes at most 264.
const MAX_LINE: usize = 1 << 20;

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
        // Serde would also fill a structure from an array.
        if !line.trim_start().starts_with('{') {
            return Err(unreadable(format!("{} is not a JSON object", quoted(line))));
        }
        // The line is parsed once more when its space is known, since keys of other spaces are to be ignored.
        parse::<Header>(line)?.space.parse::<Space>()?.parse_line(line)
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
        #[derive(Serialize)]
        struct Line<L> {
            space: &'static str,
            #[serde(flatten)]
            line: L,
        }
        let space = self.space().name();
        let json = with_cell!(self, cell => serde_json::to_string(&Line { space, line: cell.line() }));
        json.unwrap_or_else(|error| unreachable!("a line of {space} is an object of JSON: {error}"))
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
        with_cell!(self, cell => cell.id())
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
        with_cell!(self, cell => cell.to_string())
    }

    /// A random neighbor in the space, for evolutionary search: one flip of an edge of NAS-Bench-101
    /// ([`nasbench101::Cell::mutate`](crate::nasbench101::Cell::mutate)), another operation on one edge of NAS-Bench-201
    /// ([`nasbench201::Cell::mutate`](crate::nasbench201::Cell::mutate)). Equal seeds make equal mutants. `None` for the one cell that has no
    /// neighbor, input and output alone of NAS-Bench-101.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let parent = &Space::NasBench201.sample(1, 0)?[0];
    /// let child = parent.mutate(7).unwrap();
    /// assert_ne!(child, *parent);
    /// assert_eq!(child.space(), Space::NasBench201);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    #[must_use]
    pub fn mutate(&self, seed: u64) -> Option<Self> {
        with_cell!(self, cell => Definition::mutate(cell, seed).map(Architecture::from))
    }

    /// The architecture's network with some settings of its skeleton, the space's defaults for the others: by default
    /// NASWOT's network of NAS-Bench-101 and the benchmark's of NAS-Bench-201.
    ///
    /// ```
    /// use naswot::{Architecture, SkeletonSettings, nasbench201};
    ///
    /// let cell = nasbench201::sample(1, 0)?[0];
    /// let small = SkeletonSettings { cells: Some(1), ..SkeletonSettings::default() };
    /// let network = Architecture::from(cell).network(&small)?;
    /// let same = cell.network(&nasbench201::Skeleton { cells: 1, ..nasbench201::Skeleton::default() })?;
    /// assert_eq!(network.parameters(), same.parameters());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting that the space does not have, or that makes no network of this architecture: see
    /// [`nasbench101::Cell::network`] and [`nasbench201::Cell::network`].
    ///
    /// [`nasbench101::Cell::network`]: crate::nasbench101::Cell::network
    /// [`nasbench201::Cell::network`]: crate::nasbench201::Cell::network
    pub fn network(&self, settings: &SkeletonSettings) -> Result<Network> {
        let space = self.space();
        let found = space.settings(settings).columns();
        for ((name, asked), (_, found)) in settings.columns().into_iter().zip(found) {
            if asked.is_some() && found.is_none() {
                let message = format!("networks of {space} have no such setting; leave it out");
                return Err(Error::Setting { name, message });
            }
        }
        with_cell!(self, cell => cell.network_with(settings))
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
