//! Files of text as people bring them: plain or compressed, a mark at their beginning or not. What is of another form is
//! named.

use std::fs::{File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::exit::{Failure, Result};
use crate::output;
use crate::unpacked::Unpacked;

/// Bytes at the beginning of a file that are looked at; fewer where its first line is shorter, for which a pipe may wait.
const START: usize = 64;
/// Most bytes up to the end of the first line that are looked at.
const FIRST_LINE: u64 = 1 << 16;
/// Most bytes of a line. Rows have some hundred, and a table of thousands of columns some ten thousand.
const LINE: usize = 1 << 22;
/// Most bytes of a text that is read at once, not line by line.
const WHOLE: usize = 1 << 28;
/// The mark at the beginning of a file in UTF-8.
const MARK: &[u8] = "\u{feff}".as_bytes();

/// Whether a run has begun to read standard input, which it can do once.
static STDIN_IS_READ: AtomicBool = AtomicBool::new(false);

/// A reader of text, behind the mark.
pub(crate) type TextReader = Box<dyn BufRead + Send>;

/// A file of text.
pub(crate) struct TextFile {
    pub(crate) reader: TextReader,
    /// Whether its bytes are the text's, and can be read twice.
    pub(crate) plain: bool,
}

/// The content of a file.
pub(crate) enum Content {
    Text(TextFile),
    /// Parquet, which is not read from its beginning on.
    Parquet,
    /// An array of NumPy's.
    Npy,
}

/// The form of a file, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Gzip,
    Zstd,
    Parquet,
    Npy,
    /// A form that is not read: what is wrong, and what to do.
    Other(&'static str),
}

/// The first bytes of forms that are not read.
const OTHERS: [(&[u8], &str); 17] = [
    (b"\x80\x02", PICKLE),
    (b"\x80\x03", PICKLE),
    (b"\x80\x04", PICKLE),
    (b"\x80\x05", PICKLE),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"\x89HDF\r\n", "is HDF5, not text; load it in Python and write its table with DataFrame.to_csv"),
    (b"\xd0\xcf\x11\xe0", "is a document of Microsoft Office, not text; save its table as CSV"),
    (b"ARROW1", "is Arrow's file format, not text; write it with DataFrame.to_csv or as Parquet"),
    (b"SQLite format 3", "is a database of SQLite, not text; write its table as CSV"),
    (b"BZh91AY&SY", "is compressed by bzip2; unpack it with bunzip2"),
    (b"\xfd7zXZ\0", "is compressed by xz; unpack it with unxz"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself; `git lfs pull` fetches that"),
    (b"%PDF-", "is a PDF document, not text"),
    (b"\xff\xfe", UTF_16),
    (b"\xfe\xff", UTF_16),
];
const PICKLE: &str = "is a pickle, not text; load it in Python and write its table with DataFrame.to_csv";
pub(crate) const NPY: &str =
    "is a NumPy array, not text; write it with DataFrame.to_csv, next to the networks' names";
const ZIP: &str =
    "is a zip archive, as .xlsx, .npz and .pt files are, not text; unpack it, or write its table as CSV";
const UTF_16: &str = "is UTF-16; save it as UTF-8";

impl Form {
    /// The form of a file that begins with some bytes.
    pub(crate) fn of(start: &[u8]) -> Self {
        let other = OTHERS.iter().find(|(bytes, _)| start.starts_with(bytes));
        match (start, other) {
            (_, Some((_, what))) => Form::Other(what),
            ([0x1f, 0x8b, 0x08, ..], _) => Form::Gzip,
            ([0x28, 0xb5, 0x2f, 0xfd, ..], _) => Form::Zstd,
            ([b'P', b'A', b'R', b'1', ..], _) => Form::Parquet,
            ([0x93, b'N', b'U', b'M', b'P', b'Y', ..], _) => Form::Npy,
            (start, _) if start.contains(&0) => Form::Other("is no text: write it as CSV or JSON lines"),
            (start, _) if start.strip_prefix(MARK).unwrap_or(start).trim_ascii_start().starts_with(b"<") => {
                Form::Other("is a page in HTML or XML, not a table: was the file itself downloaded?")
            }
            _ => Form::Text,
        }
    }
}

/// Opens a file, and unpacks it as it is read; `-` is standard input.
pub(crate) fn open(path: &Path) -> Result<Content> {
    content(path).map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))
}

/// Opens a file that must be text.
pub(crate) fn open_text(path: &Path) -> Result<TextFile> {
    text(path).map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))
}

/// Opens a file that must be text, one that keeps its reader waiting when it is first read.
pub(crate) fn open_late(path: &Path) -> Result<TextFile> {
    let waits = |metadata: Metadata| !metadata.is_file() && !metadata.is_dir();
    if path == Path::new("-") || path.metadata().is_ok_and(waits) {
        refuse_stdout(path)
            .map_err(|error| Failure::unusable(format_args!("{}: {error}", path.display())))?;
        let reader = Box::new(LateText { path: path.to_owned(), reader: None });
        return Ok(TextFile { reader, plain: false });
    }
    open_text(path)
}

/// The first line of a text that is not blank, as far as it is looked at, and a reader of the whole text.
pub(crate) fn with_first_line(mut reader: TextReader) -> io::Result<(String, TextReader)> {
    let (mut start, mut line) = (Vec::new(), 0);
    let mut looked_at = reader.by_ref().take(FIRST_LINE);
    loop {
        let read = looked_at.read_until(b'\n', &mut start)?;
        if read == 0 || !start[line..].trim_ascii().is_empty() {
            break;
        }
        line = start.len();
    }
    let first = String::from_utf8_lossy(&start[line..]).trim().to_owned();
    Ok((first, Box::new(Cursor::new(start).chain(reader))))
}

/// Reads up to the next line end, or the end, behind what there is of a line; returns how many bytes there were.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    // A byte more than a line may have tells one that is too long from one that ends there.
    let room = (LINE + 1).saturating_sub(line.len());
    let read = reader.take(room as u64).read_until(b'\n', line)?;
    if line.len() > LINE {
        let message = format!("has a line of over {} MiB: what is read has a record a line", LINE >> 20);
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    Ok(read)
}

/// The lines of a text; nobody reads on behind an error.
pub(crate) fn lines(mut reader: TextReader) -> impl Iterator<Item = io::Result<String>> {
    iter::from_fn(move || {
        let mut line = Vec::new();
        match read_line(&mut reader, &mut line) {
            Ok(0) => None,
            Ok(_) => {
                let text = String::from_utf8(line);
                Some(text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "is not UTF-8")))
            }
            Err(error) => Some(Err(error)),
        }
    })
}

/// Reads a text at once.
pub(crate) fn read_whole(reader: TextReader) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(WHOLE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > WHOLE {
        let message = format!("is one text of over {} MiB; write a table as JSON lines", WHOLE >> 20);
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

/// Begins a run, which may read standard input.
pub(crate) fn begin_run() {
    STDIN_IS_READ.store(false, Ordering::Relaxed);
}

fn text(path: &Path) -> io::Result<TextFile> {
    match content(path)? {
        Content::Text(file) => Ok(file),
        Content::Parquet => Err(io::Error::other("is Parquet, not text; write it as CSV or JSON lines")),
        Content::Npy => Err(io::Error::other(NPY)),
    }
}

/// Refuses the file that standard output is written to.
fn refuse_stdout(path: &Path) -> io::Result<()> {
    if output::is_stdout(path) { Err(io::Error::other("is standard output, too")) } else { Ok(()) }
}

fn content(path: &Path) -> io::Result<Content> {
    refuse_stdout(path)?;
    let (reader, plain): (Box<dyn Read + Send>, bool) = if path == Path::new("-") {
        if STDIN_IS_READ.swap(true, Ordering::Relaxed) {
            let message = "standard input is named twice, and can be read once: save it to a file first";
            return Err(io::Error::other(message));
        }
        (Box::new(io::stdin()), false)
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "is a folder, not a file"));
        }
        (Box::new(file), metadata.is_file())
    };
    let (start, packed) = started(reader)?;
    let unpacked: Box<dyn Read + Send> = match Form::of(&start) {
        Form::Gzip => Box::new(Unpacked::by(|packed| Ok(MultiGzDecoder::new(packed)), packed)?),
        Form::Zstd => Box::new(Unpacked::by(ZstdDecoder::new, packed)?),
        form => return content_of(form, &start, packed, plain),
    };
    let (start, unpacked) = started(unpacked)?;
    content_of(Form::of(&start), &start, unpacked, false)
}

fn content_of(form: Form, start: &[u8], reader: Box<dyn Read + Send>, plain: bool) -> io::Result<Content> {
    let name = match form {
        Form::Text => return Ok(Content::Text(TextFile { reader: without_mark(start, reader)?, plain })),
        Form::Parquet if plain => return Ok(Content::Parquet),
        Form::Npy if plain => return Ok(Content::Npy),
        Form::Parquet => "Parquet",
        Form::Npy => "a NumPy array",
        // A file can be made that unpacks to itself.
        Form::Gzip | Form::Zstd => return Err(io::Error::other("is packed twice: unpack it once")),
        Form::Other(what) => return Err(io::Error::other(what)),
    };
    Err(io::Error::other(format!(
        "is {name}, which is read from a plain file alone: neither packed nor from a pipe"
    )))
}

/// The first bytes of a reader, and a reader of all its bytes.
fn started(mut reader: Box<dyn Read + Send>) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut start = Vec::new();
    let mut bytes = [0; START];
    while start.len() < START && !start.contains(&b'\n') {
        match reader.read(&mut bytes[start.len()..]) {
            Ok(0) => break,
            Ok(read) => start.extend_from_slice(&bytes[start.len()..][..read]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((start.clone(), Box::new(Cursor::new(start).chain(reader))))
}

fn without_mark(start: &[u8], mut reader: Box<dyn Read + Send>) -> io::Result<TextReader> {
    if start.starts_with(MARK) {
        reader.read_exact(&mut [0; MARK.len()])?;
    }
    Ok(Box::new(BufReader::new(reader)))
}

/// A reader that opens its file when it is first read.
struct LateText {
    path: PathBuf,
    reader: Option<TextReader>,
}

impl LateText {
    fn reader(&mut self) -> io::Result<&mut TextReader> {
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => Ok(none.insert(text(&self.path)?.reader)),
        }
    }
}

impl Read for LateText {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.reader()?.read(bytes)
    }
}

impl BufRead for LateText {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader()?.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        // Nothing is consumed before it is read.
        self.reader.iter_mut().for_each(|reader| reader.consume(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn forms_are_known_by_their_first_bytes() {
        for (start, form) in [
            (&b"id,acc\n"[..], Form::Text),
            (b"", Form::Text),
            (b"\xef\xbb\xbfid,acc\n", Form::Text),
            (b"\x1f\x8b\x08\x00", Form::Gzip),
            (b"\x28\xb5\x2f\xfd\x24", Form::Zstd),
            (b"PAR1\x15\x04", Form::Parquet),
            (b"\x93NUMPY\x01\x00", Form::Npy),
        ] {
            assert_eq!(Form::of(start), form, "{start:?}");
        }
        for (start, what) in [
            (&b"\x80\x04\x95"[..], "is a pickle"),
            (b"PK\x03\x04\x14", "is a zip archive"),
            (b"\n <!DOCTYPE html>\n", "is a page in HTML"),
            (b"\xff\xfei\0d\0", "is UTF-16"),
            (b"id\0acc", "is no text"),
        ] {
            assert!(matches!(Form::of(start), Form::Other(found) if found.starts_with(what)), "{start:?}");
        }
    }
}
