//! Limits of Parquet files. The library makes room for what metadata and page headers claim, and ends the process where there
//! is none: so they are gone through before it sees them. What it decodes is counted as it comes.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, sink};

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::thrift::{Compact, Kind};
use crate::text::shortened;

const MIB: u64 = 1 << 20;
/// Most bytes of the metadata at the end of a file.
const FOOTER: u64 = 32 * MIB;
/// Most columns, those within columns counted.
const COLUMNS: u64 = 4096;
/// Most groups of rows.
const ROW_GROUPS: u64 = 1 << 16;
/// Most levels of columns within columns.
const LEVELS: usize = 16;
/// Most bytes of an unpacked page; programs make pages of about 1 MiB, or one of a group of rows.
const PAGE: u64 = 64 * MIB;
/// Most bytes that the pages of a group of rows take which are in memory at once.
const GROUP: u64 = 512 * MIB;
/// Bytes in memory of a value of a dictionary, those of its text aside.
const VALUE: u64 = 32;
/// Most bytes of a text.
const TEXT: usize = 1 << 20;
/// Most bytes of all fields of a file, and how many more for each byte of the file: rows that differ at all take more.
const FIELDS: u64 = 256 * MIB;
const FIELDS_OF_BYTE: u64 = 64;
/// Bytes that a field counts besides its text.
const FIELD: u64 = 16;
/// The encoding DELTA_BYTE_ARRAY, in which a page of some bytes holds any number of long texts.
const DELTA_BYTE_ARRAY: i64 = 7;

/// Checks the metadata at the end of a file.
pub(super) fn check_footer(file: &File) -> Result<(), String> {
    let mut file = file;
    let failed = |error: std::io::Error| error.to_string();
    let mut end = [0; 8];
    let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
    if size < 12 {
        return Err("is cut: a Parquet file has 12 bytes at least".to_owned());
    }
    file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut end)).map_err(failed)?;
    let [a, b, c, d, mark @ ..] = end;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if mark != *b"PAR1" {
        return Err("does not end as Parquet does: it is cut, or encrypted".to_owned());
    }
    if length > size - 12 {
        return Err(format!("is damaged: its metadata are to have {length} bytes, and the file has {size}"));
    }
    if length > FOOTER {
        return Err(format!("has {length} bytes of metadata, over the limit of {FOOTER}"));
    }
    file.seek(SeekFrom::End(-8 - length.cast_signed())).map_err(failed)?;
    let mut metadata = Compact::new(BufReader::new(file.take(length)));
    metadata.structure(|metadata, field, kind| {
        match field {
            1 | 3 => kind.must_be(Kind::Integer)?,
            2 | 4 | 5 | 7 => kind.must_be(Kind::List)?,
            6 => kind.must_be(Kind::Binary)?,
            _ => {}
        }
        match field {
            2 => check_schema(metadata).map(|()| true),
            4 => metadata.list(ROW_GROUPS, check_row_group).map(|()| true),
            _ => Ok(false),
        }
    })
}

/// Checks the tree of columns: a list in which each element says how many of those behind it are its own.
fn check_schema<R: Read>(metadata: &mut Compact<R>) -> Result<(), String> {
    // The elements that are still to come at each level.
    let mut open: Vec<u64> = vec![1];
    metadata.list(COLUMNS, |metadata, kind| {
        let mut children = 0;
        kind.must_be(Kind::Struct)?;
        metadata.structure(|metadata, field, kind| {
            match field {
                1..=3 | 5..=9 => kind.must_be(Kind::Integer)?,
                4 => kind.must_be(Kind::Binary)?,
                10 => kind.must_be(Kind::Struct)?,
                _ => {}
            }
            if field == 5 {
                children = metadata.integer()?;
            }
            Ok(field == 5)
        })?;
        while open.last() == Some(&0) {
            open.pop();
        }
        let Some(last) = open.last_mut() else {
            return Err("has more columns than its schema says".to_owned());
        };
        *last -= 1;
        match u64::try_from(children) {
            Ok(0) => {}
            Ok(children) if children <= COLUMNS && open.len() < LEVELS => open.push(children),
            Ok(children) if children <= COLUMNS => {
                return Err(format!("has columns within columns, over {LEVELS} levels deep"));
            }
            _ => return Err(format!("has {children} columns, over the limit of {COLUMNS}")),
        }
        Ok(())
    })?;
    match open.iter().all(|&left| left == 0) {
        true => Ok(()),
        false => Err("has fewer columns than its schema says".to_owned()),
    }
}

fn check_row_group<R: Read>(metadata: &mut Compact<R>, kind: Kind) -> Result<(), String> {
    kind.must_be(Kind::Struct)?;
    metadata.structure(|metadata, field, kind| {
        match field {
            1 | 4 => kind.must_be(Kind::List)?,
            2 | 3 | 5..=7 => kind.must_be(Kind::Integer)?,
            _ => {}
        }
        if field == 1 {
            metadata.list(COLUMNS, |metadata, kind| metadata.skip(kind, true))?;
        }
        Ok(field == 1)
    })
}

/// What the header of a page claims.
#[derive(Default)]
struct PageHeader {
    packed: i64,
    unpacked: i64,
    /// Number of values of a dictionary.
    dictionary: Option<i64>,
    encoding: Option<i64>,
}

impl PageHeader {
    fn read<R: Read>(metadata: &mut Compact<R>) -> Result<Self, String> {
        let mut header = PageHeader::default();
        metadata.structure(|metadata, field, kind| {
            match field {
                1..=4 => kind.must_be(Kind::Integer)?,
                5..=8 => kind.must_be(Kind::Struct)?,
                _ => {}
            }
            match field {
                2 => header.unpacked = metadata.integer()?,
                3 => header.packed = metadata.integer()?,
                // Of a page of data in version 1 or 2, or of a dictionary.
                5 | 7 | 8 => metadata.structure(|metadata, inner, kind| {
                    match (field, inner) {
                        (5, 1..=4) | (7, 1 | 2) | (8, 1..=6) => kind.must_be(Kind::Integer)?,
                        (5, 5) | (8, 8) => kind.must_be(Kind::Struct)?,
                        _ => {}
                    }
                    match (field, inner) {
                        (7, 1) => header.dictionary = Some(metadata.integer()?),
                        (5, 2) | (8, 4) => header.encoding = Some(metadata.integer()?),
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(header)
    }
}

/// Checks the headers of all pages.
pub(super) fn check_pages(file: &File, size: u64, metadata: &ParquetMetaData) -> Result<(), String> {
    let (mut packed, mut unpacked) = (0, 0);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let mut together = 0;
        for column in group.columns() {
            let name = column.column_descr().name();
            let chunk = check_chunk(file, size, column)
                .map_err(|why| format!("row group {number}, column {}: {why}", shortened(name)))?;
            together += chunk.memory;
            packed += chunk.packed;
            unpacked += chunk.unpacked;
            // Columns that lie over each other would be unpacked again and again.
            if packed > size {
                return Err("is damaged: its columns are longer than the file".to_owned());
            }
            if unpacked > most_unpacked(size) {
                return Err(too_large(unpacked));
            }
        }
        if together > GROUP {
            return Err(format!(
                "row group {number}: its pages take {} MiB of memory, over the limit of {}: write fewer rows in a group",
                together / MIB,
                GROUP / MIB
            ));
        }
    }
    Ok(())
}

/// A column of a group of rows.
struct Chunk {
    /// Bytes of memory that its pages take at once.
    memory: u64,
    /// Bytes in the file, and of all its pages unpacked.
    packed: u64,
    unpacked: u64,
}

/// Checks the pages of a column of a group of rows.
fn check_chunk(file: &File, size: u64, column: &ColumnChunkMetaData) -> Result<Chunk, String> {
    // Its first page, by either of the two, and its length, as the library has them; it panics where they are negative.
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let (start, length) = (u64::try_from(start), u64::try_from(column.compressed_size()));
    let (Ok(start), Ok(length)) = (start, length) else {
        return Err("is damaged: its place in the file is negative".to_owned());
    };
    let end = start.checked_add(length).filter(|end| *end <= size);
    let Some(end) = end else { return Err("is damaged: it lies beyond the end of the file".to_owned()) };
    let (mut place, mut largest, mut dictionary, mut all) = (start, 0, 0, 0);
    while place < end {
        let mut reader = file;
        reader.seek(SeekFrom::Start(place)).map_err(|error| error.to_string())?;
        let mut metadata = Compact::new(BufReader::with_capacity(256, reader.take(end - place)));
        let header = PageHeader::read(&mut metadata)?;
        let data = place + metadata.read;
        let sizes = (u64::try_from(header.packed), u64::try_from(header.unpacked));
        let (Ok(packed), Ok(unpacked)) = sizes else {
            return Err("is damaged: a page has a negative size".to_owned());
        };
        if packed > end - data {
            return Err("is damaged: a page is longer than its column".to_owned());
        }
        if unpacked > PAGE || packed > PAGE {
            let mib = unpacked.max(packed) / MIB;
            return Err(format!("has a page of {mib} MiB, over the limit of {}", PAGE / MIB));
        }
        if header.encoding == Some(DELTA_BYTE_ARRAY) {
            let message = "is encoded as DELTA_BYTE_ARRAY, which this naswot does not unpack: write it as PLAIN or by a dictionary";
            return Err(message.to_owned());
        }
        check_packed(file, column.compression(), data, packed, unpacked)?;
        match header.dictionary.map(u64::try_from) {
            None => largest = unpacked.max(packed).max(largest),
            // A value takes a byte at least.
            Some(Ok(values)) if values <= unpacked.max(packed) => {
                dictionary = dictionary.max(unpacked.max(packed) + VALUE * values);
            }
            Some(_) => return Err("is damaged: a dictionary has more values than bytes".to_owned()),
        }
        all += unpacked;
        place = data + packed;
    }
    // A page is unpacked while values of the one before it are still held.
    Ok(Chunk { memory: 2 * largest + dictionary, packed: length, unpacked: all })
}

/// Checks how long a page is when it is unpacked, where the library does not stop at the length that its header says.
fn check_packed(
    file: &File,
    compression: Compression,
    place: u64,
    packed: u64,
    unpacked: u64,
) -> Result<(), String> {
    /// How many times longer LZ4 can make something, at most.
    const LZ4: u64 = 255;
    match compression {
        Compression::GZIP(_) => {
            let mut reader = file;
            reader.seek(SeekFrom::Start(place)).map_err(|error| error.to_string())?;
            let mut page = MultiGzDecoder::new(BufReader::new(reader.take(packed))).take(unpacked + 1);
            match std::io::copy(&mut page, &mut sink()) {
                Ok(length) if length <= unpacked => Ok(()),
                Ok(_) => Err("is damaged: a page is longer than its header says".to_owned()),
                Err(error) => Err(format!("is damaged: {error}")),
            }
        }
        Compression::LZ4 if packed * LZ4 > PAGE => {
            Err("has long pages in an old form of LZ4: write them with compression zstd, snappy or gzip"
                .to_owned())
        }
        _ => Ok(()),
    }
}

/// Most bytes that a file of some size is unpacked to.
fn most_unpacked(size: u64) -> u64 {
    FIELDS.saturating_add(size.saturating_mul(FIELDS_OF_BYTE))
}

fn too_large(bytes: u64) -> String {
    format!(
        "takes {} MiB unpacked, and more: over the limit of {} MiB and {FIELDS_OF_BYTE} times the file",
        bytes / MIB,
        FIELDS / MIB
    )
}

/// The count of what a file has been unpacked to.
pub(super) struct Unpacked {
    bytes: u64,
    most: u64,
}

impl Unpacked {
    /// Nothing yet, of a file of so many bytes.
    pub(super) fn of(size: u64) -> Self {
        Unpacked { bytes: 0, most: most_unpacked(size) }
    }

    /// Counts a field.
    pub(super) fn add(&mut self, text: &str) -> Result<(), String> {
        if text.len() > TEXT {
            return Err(format!("a text of {} bytes, over the limit of {TEXT}", text.len()));
        }
        self.bytes += FIELD + text.len() as u64;
        if self.bytes > self.most { Err(too_large(self.bytes)) } else { Ok(()) }
    }
}
