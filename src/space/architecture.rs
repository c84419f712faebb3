//! What an architecture of any space can do, and the lines of JSON that files of architectures consist of.

use std::io::{self, BufRead, Cursor, Read};
use std::iter;
use std::path::Path;
use std::str::{self, FromStr};

use serde::Serialize;

use super::definition::Definition;
use super::skeleton::SkeletonSettings;
use super::table::{Architecture, Space, with_cell};
use super::text::{parse, quoted, unreadable};
use super::value::{Object, Value};
use crate::{Error, Network, Result};

/// Longest line that [`Architecture::read_lines`] reads, in bytes. `to_json` writes at most 264.
const MAX_LINE: usize = 1 << 20;

impl Architecture {
    /// Reads a JSON object with the keys `space` and, for NAS-Bench-101, `adjacency` (the rows of a matrix of
    /// 0 and 1) and `ops` (the name of each vertex), or, for NAS-Bench-201, `arch`. Rows of scores are such objects, too, and
    /// other tools have other keys and notations, which docs/output.md lists. Further keys are ignored.
    /// None of these keys may come twice: readers of JSON differ in which of two they take.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let line = r#"{"space":"nasbench101","adjacency":[[0,1],[0,0]],"ops":["input","output"],"note":1}"#;
    /// assert_eq!(Architecture::from_json(line)?.arch(), "0100/");
    ///
    /// let error = Architecture::from_json(r#"{"space":"nasbench101","adjacency":[[0,"1"]]}"#).unwrap_err();
    /// assert!(error.to_string().starts_with("nasbench101: has `adjacency`, but no `ops`"));
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Architecture`] when the line is no such object, [`Error::Cell`] when what it describes is no
    /// cell of its space.
    pub fn from_json(line: &str) -> Result<Self> {
        // Serde would also take a map for an array.
        if !line.trim_start().starts_with('{') {
            return Err(unreadable(format!("{} is not a JSON object", quoted(line))));
        }
        Self::of_object(&parse(line)?)
    }

    /// Reads the keys of a line.
    fn of_object(object: &Object) -> Result<Self> {
        let no_space = || {
            let known = Space::ALL.map(Space::name).join(", ");
            unreadable(format!("has no key `space`: which of {known}?"))
        };
        object.text("space")?.ok_or_else(no_space)?.parse::<Space>()?.read_line(object)
    }

    /// The names that a cell in any notation may have in the columns `id` and `arch` of rows: one for each space that it may
    /// be of, none where it is no cell. A hash is its own name, in small letters.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let names = Architecture::names_in_rows("(4, 0, 3, 1, 4, 3)");
    /// assert!(names.len() == 1 && names[0].starts_with("|avg_pool_3x3~0|+|skip_connect~0|none~1|+|"));
    /// ```
    pub fn names_in_rows(text: &str) -> Vec<String> {
        let value = Value::of_text(text).ok();
        let name = |space: Space| value.as_ref().and_then(|value| space.name_in_rows(value));
        Space::ALL.into_iter().filter_map(name).collect()
    }

    /// Reads a file of architectures, one JSON object a line: each with its line number, counted from 1.
    /// Blank lines are skipped. A file that begins with `[` holds an array of such objects, and one whose first line is `{`
    /// alone holds objects over several lines; each has then the number of the line on which it begins.
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
    pub fn read_lines(reader: impl BufRead) -> impl Iterator<Item = (usize, Result<Self>)> {
        read_file(reader, Self::from_json)
    }

    /// As [`read_lines`](Architecture::read_lines), where a line may also be a cell by itself, in any notation.
    ///
    /// ```
    /// use naswot::Architecture;
    ///
    /// let cells: Vec<_> = Architecture::read_cells("0100/\n(4, 0, 3, 1, 4, 3)\n".as_bytes()).collect();
    /// assert!(cells.len() == 2 && cells.iter().all(|(_, cell)| cell.is_ok()));
    /// ```
    pub fn read_cells(reader: impl BufRead) -> impl Iterator<Item = (usize, Result<Self>)> {
        read_file(reader, str::parse)
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

    /// The first architecture of the space's enumeration whose operations make the same expression, whatever the weights:
    /// see [`nasbench201::Cell::first_equal`](crate::nasbench201::Cell::first_equal). `None` in a space that does not tell,
    /// such as NAS-Bench-101, where the hash does.
    ///
    /// ```
    /// use naswot::Space;
    ///
    /// let cell = Space::NasBench201.parse_arch("#0")?;
    /// assert_eq!(cell.first_equal().unwrap().space(), Space::NasBench201);
    /// assert_eq!(Space::NasBench101.parse_arch("0100/")?.first_equal(), None);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    pub fn first_equal(&self) -> Option<Self> {
        with_cell!(self, cell => Definition::first_equal(cell).map(Architecture::from))
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

impl FromStr for Architecture {
    type Err = Error;

    /// Reads a cell of any space in any notation: a line of an architecture file, or what [`Space::parse_arch`] reads. What
    /// may be of two spaces is refused.
    ///
    /// ```
    /// use naswot::{Architecture, Space};
    ///
    /// let cell: Architecture = "010001000/0".parse()?;
    /// assert_eq!(cell.space(), Space::NasBench101);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    fn from_str(text: &str) -> Result<Self> {
        let value = Value::of_text(text)?;
        if let Value::Object(object) = &value
            && object.text("space")?.is_some()
        {
            return Self::of_object(object);
        }
        let spaces = Space::ALL.into_iter().filter(|space| space.has_form(&value));
        let (read, mut errors): (Vec<_>, Vec<_>) =
            spaces.map(|space| space.read(&value)).partition(Result::is_ok);
        match &read.into_iter().flatten().collect::<Vec<Self>>()[..] {
            [architecture] => Ok(architecture.clone()),
            [first, second, ..] => Err(unreadable(format!(
                "{} may be {} of {} or {} of {}: write that",
                quoted(text.trim()),
                first.arch(),
                first.space(),
                second.arch(),
                second.space()
            ))),
            [] => errors.pop().unwrap_or_else(|| {
                let known = Space::ALL.map(Space::name).join(" or ");
                let number = format!("#{}", text.trim());
                let numbered = Space::ALL.into_iter().find(|space| space.parse_arch(&number).is_ok());
                let hint = numbered.map_or(String::new(), |space| {
                    format!("; a number of {} is written {number}", space.name())
                });
                Err(unreadable(format!(
                    "{} is no cell of {known} in any notation{hint}",
                    quoted(text.trim())
                )))
            }),
        }
    }
}

/// Reads a file of architectures, whose objects or lines a function reads.
fn read_file(
    reader: impl BufRead,
    read: fn(&str) -> Result<Architecture>,
) -> impl Iterator<Item = (usize, Result<Architecture>)> {
    // The first line is waited for when it is wanted, not before.
    let open = move || {
        let mut pieces = Pieces::open(reader);
        let mut ended = false;
        iter::from_fn(move || {
            let piece = if ended { None } else { pieces.next() };
            ended = matches!(piece, None | Some((_, Err(Error::Io { .. }))));
            piece
        })
    };
    let pieces = iter::once_with(open).flatten();
    pieces.map(move |(number, piece)| (number, piece.and_then(|piece| read(utf8(&piece)?))))
}

/// The pieces of a file that are one architecture each.
struct Pieces<R> {
    reader: io::Chain<Cursor<Vec<u8>>, R>,
    form: Form,
    /// Lines that have been read.
    lines: usize,
    /// Why the first line could not be read.
    failed: Option<io::Error>,
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One architecture a line.
    Lines,
    /// Objects, over as many lines as they like, in an array or one after the other.
    Objects,
}

impl<R: BufRead> Pieces<R> {
    /// Judges a file by its first line that is not blank, and reads no further.
    fn open(mut reader: R) -> Self {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        let (mut first, mut lines, mut failed) = (Vec::new(), 0, None);
        loop {
            match reader.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut first) {
                Err(error) => failed = Some(error),
                Ok(_) if lines == 0 && first.starts_with(MARK) => drop(first.drain(..MARK.len())),
                Ok(_) => {}
            }
            if failed.is_some() || !first.ends_with(b"\n") || !first.trim_ascii().is_empty() {
                break;
            }
            first.clear();
            lines += 1;
        }
        let objects = match first.trim_ascii() {
            b"{" | b"[" => true,
            [b'[', array @ ..] => array.trim_ascii_start().starts_with(b"{"),
            _ => false,
        };
        let form = if objects { Form::Objects } else { Form::Lines };
        Pieces { reader: Cursor::new(first).chain(reader), form, lines, failed }
    }

    /// The next piece, and the line on which it begins.
    fn next(&mut self) -> Option<(usize, Result<Vec<u8>>)> {
        if let Some(source) = self.failed.take() {
            return Some((self.lines + 1, Err(Error::io(Path::new("architectures"), source))));
        }
        loop {
            match self.form {
                Form::Objects => return self.next_object(),
                Form::Lines => {
                    let line = next_line(&mut self.reader)?;
                    self.lines += 1;
                    if !matches!(&line, Ok(line) if line.trim_ascii().is_empty()) {
                        return Some((self.lines, line));
                    }
                }
            }
        }
    }

    /// The next object, from its brace to the one that closes it.
    fn next_object(&mut self) -> Option<(usize, Result<Vec<u8>>)> {
        let (mut object, mut length, mut depth) = (Vec::new(), 0, 0_usize);
        let (mut in_quotes, mut escaped, mut number) = (false, false, self.lines + 1);
        loop {
            let byte = match self.next_byte() {
                Ok(Some(byte)) => byte,
                Ok(None) if depth == 0 => return None,
                Ok(None) => break,
                Err(source) => return Some((number, Err(Error::io(Path::new("architectures"), source)))),
            };
            self.lines += usize::from(byte == b'\n');
            if depth == 0 && (byte.is_ascii_whitespace() || matches!(byte, b'[' | b']' | b',')) {
                continue;
            }
            if depth == 0 {
                number = self.lines + 1;
            }
            length += 1;
            if length <= MAX_LINE {
                object.push(byte);
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' if in_quotes => escaped = true,
                b'"' => in_quotes = !in_quotes,
                b'{' if !in_quotes => depth += 1,
                b'}' if !in_quotes => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        if !object.starts_with(b"{") {
            // Whatever else stands there is one piece, to the end of its line.
            let rest = next_line(&mut self.reader);
            self.lines += 1;
            match rest {
                Some(Ok(rest)) => object.extend(rest),
                Some(Err(error)) => return Some((number, Err(error))),
                None => {}
            }
        }
        let long = || unreadable(format!("the object is longer than {MAX_LINE} bytes"));
        Some((number, if length > MAX_LINE { Err(long()) } else { Ok(object) }))
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.reader.fill_buf()?.first().copied();
        self.reader.consume(usize::from(byte.is_some()));
        Ok(byte)
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
