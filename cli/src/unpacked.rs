//! The bytes of a packed file, unpacked as they are read, up to what no file has that is not made to fill a memory or a day.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that a file may unpack to, however small it is.
const ALWAYS: u64 = 16 << 20;
/// Bytes that it may unpack to for each of its own. A list of all cells of a space comes to some 100, packed well; gzip itself
/// ends at 1032.
const TIMES: u64 = 200;

/// A reader that unpacks a file.
pub(crate) struct Unpacked<D> {
    decoder: D,
    packed: Arc<AtomicU64>,
    unpacked: u64,
}

/// A reader that counts the bytes of a packed file.
pub(crate) struct Packed<R> {
    reader: R,
    bytes: Arc<AtomicU64>,
}

impl<D: Read> Unpacked<D> {
    /// Unpacks what a reader reads by a decoder that is made of it.
    pub(crate) fn by<R>(decoder: impl FnOnce(Packed<R>) -> io::Result<D>, reader: R) -> io::Result<Self> {
        let packed = Arc::new(AtomicU64::new(0));
        let decoder = decoder(Packed { reader, bytes: Arc::clone(&packed) })?;
        Ok(Unpacked { decoder, packed, unpacked: 0 })
    }
}

impl<D: Read> Read for Unpacked<D> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(bytes)?;
        self.unpacked += read as u64;
        if self.unpacked > ALWAYS + TIMES * self.packed.load(Relaxed) {
            return Err(io::Error::other(format!(
                "unpacks to over {TIMES} times its size and over {} MiB: where that is right, unpack it first",
                ALWAYS >> 20
            )));
        }
        Ok(read)
    }
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(bytes)?;
        self.bytes.fetch_add(read as u64, Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};

    use flate2::read::GzDecoder;
    use flate2::write::GzEncoder;

    use super::{ALWAYS, Unpacked};

    fn unpack(bytes: &[u8]) -> io::Result<u64> {
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes)?;
        let packed = packed.finish()?;
        let unpacked = Unpacked::by(|packed| Ok(GzDecoder::new(packed)), &packed[..])?;
        io::copy(&mut unpacked.take(u64::MAX), &mut io::sink())
    }

    #[test]
    fn a_file_unpacks_to_some_megabytes_or_to_many_times_its_size() {
        let zeros = vec![b'0'; ALWAYS as usize];
        assert_eq!(unpack(&zeros).unwrap(), ALWAYS);
        let error = unpack(&zeros.repeat(2)).unwrap_err().to_string();
        assert_eq!(
            error,
            "unpacks to over 200 times its size and over 16 MiB: where that is right, unpack it first"
        );
        // Rows in which only numbers change.
        let rows: Vec<String> = (0..200_000)
            .map(|row| format!("{row},{:.9},space,relu,f32,cpu\n", f64::from(row).sqrt()))
            .collect();
        let rows = rows.concat();
        assert_eq!(unpack(rows.as_bytes()).unwrap(), rows.len() as u64);
    }
}
