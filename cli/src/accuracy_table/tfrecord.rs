//! The TFRecord format of TensorFlow: for each record its length (u64), a checksum of the length, the bytes, a checksum
//! of the bytes, all little-endian. Checksums are CRC-32C, rotated right by 15 bits, plus a constant.

use std::io::{self, ErrorKind, Read};

use crate::text_file::Form;

/// Longest record that is read; those of NAS-Bench-101 have some hundred bytes.
const MOST: u64 = 1 << 24;
const HEADER: usize = 12;

/// A reader of the records of a TFRecord file.
pub(super) struct TfRecords<R> {
    reader: R,
    offset: u64,
}

/// The error of a record that cannot be read, and at which byte of the file.
#[derive(Debug)]
pub(super) struct RecordError {
    pub(super) offset: u64,
    pub(super) message: String,
}

impl<R: Read> TfRecords<R> {
    pub(super) fn new(reader: R) -> Self {
        TfRecords { reader, offset: 0 }
    }

    /// Number of bytes in the whole records that were read.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next record and the byte that it starts at; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Vec<u8>)>, RecordError> {
        let offset = self.offset;
        let wrong = |message: String| RecordError { offset, message };
        let header = self.read(HEADER).map_err(|error| wrong(error.to_string()))?;
        let (length, checksum) = match *header {
            [] => return Ok(None),
            [a, b, c, d, e, f, g, h, ..] if header.len() == HEADER => {
                (u64::from_le_bytes([a, b, c, d, e, f, g, h]), &header[8..])
            }
            _ => return Err(wrong("the file is cut within a record's header".to_owned())),
        };
        if masked(&header[..8]) != checksum && offset == 0 {
            return Err(wrong(match Form::of(&header) {
                Form::Other(what) => format!("is no file of TensorFlow records: it {what}"),
                Form::Gzip | Form::Zstd => "is compressed; unpack it first".to_owned(),
                _ => "is no file of TensorFlow records: it does not begin as they do".to_owned(),
            }));
        }
        if masked(&header[..8]) != checksum {
            return Err(wrong("the length of the record is corrupted (its checksum differs)".to_owned()));
        }
        if length > MOST {
            return Err(wrong(format!("the record has {length} bytes, more than any of NAS-Bench-101")));
        }
        let length = length as usize;
        let mut record = self.read(length + 4).map_err(|error| wrong(error.to_string()))?;
        if record.len() < length + 4 {
            return Err(wrong(format!("the file is cut: {} bytes of {} follow", record.len(), length + 4)));
        }
        if masked(&record[..length]) != record[length..] {
            return Err(wrong("the record is corrupted (its checksum differs)".to_owned()));
        }
        record.truncate(length);
        self.offset += (HEADER + length + 4) as u64;
        Ok(Some((offset, record)))
    }

    /// Reads a number of bytes, fewer at the end of the file.
    fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(length);
        loop {
            match self.reader.by_ref().take((length - bytes.len()) as u64).read_to_end(&mut bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map(|_| bytes),
            }
        }
    }
}

/// The masked checksum of some bytes, as a file holds it.
fn masked(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A file of one record.
#[cfg(feature = "fuzzing")]
pub(crate) fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [&length[..], &masked(&length), bytes, &masked(bytes)].concat()
}
