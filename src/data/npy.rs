//! Batches and agreement matrices in NumPy's file format.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use npyz::{NpyFile, NpyHeader, Order};

use super::Batch;
use crate::{Agreement, Error, Result};

/// Longest header that is taken; NumPy's own are under 128 bytes.
const MAX_HEADER: usize = 4096;

pub(super) fn read(path: &Path) -> Result<Batch> {
    read_with(path, parse)
}

/// Reads a K that [`Agreement::write_npy`] or NumPy has written.
pub(crate) fn read_agreement(path: &Path) -> Result<Agreement> {
    read_with(path, parse_agreement)
}

fn read_with<T>(path: &Path, parse: impl FnOnce(BufReader<File>, u64) -> Result<T, String>) -> Result<T> {
    let open = || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    let (file, size) = open().map_err(|error| Error::io(path, error))?;
    parse(BufReader::new(file), size).map_err(|message| Error::data(path, message))
}

/// Reads an agreement matrix from a file of so many bytes; the error says what is wrong. It is symmetric, so the order of its
/// entries makes no difference.
fn parse_agreement(mut reader: impl Read, size: u64) -> Result<Agreement, String> {
    let (header, header_size) = header(&mut reader)?;
    let dtype = header.dtype().descr();
    if !["'<u4'", "'>u4'"].contains(&dtype.as_str()) {
        return Err(format!("holds numbers of type {dtype}, not uint32 as an agreement matrix does"));
    }
    let &[images, columns] = header.shape() else {
        return Err(format!("has {} axes; an agreement matrix has two: N x N", header.shape().len()));
    };
    if images != columns {
        return Err(format!("is {images} x {columns}; an agreement matrix is N x N"));
    }
    let (found, needed) = (size.saturating_sub(header_size as u64), header.len().checked_mul(4));
    if needed != Some(found) {
        return Err(format!("holds {found} bytes of numbers, not those of {images} x {images}"));
    }
    let entries =
        NpyFile::with_header(header, reader).into_vec::<u32>().map_err(|error| error.to_string())?;
    Agreement::new(images as usize, entries).map_err(|error| error.to_string())
}

/// Reads a batch from a file of so many bytes; the error says what is wrong.
fn parse(mut reader: impl Read, size: u64) -> Result<Batch, String> {
    let (header, header_size) = header(&mut reader)?;
    let dtype = header.dtype().descr();
    if !["'<f4'", "'>f4'"].contains(&dtype.as_str()) {
        return Err(format!("holds numbers of type {dtype}; convert them to float32"));
    }
    let &[n, channels, height, width] = header.shape() else {
        return Err(format!("has {} axes; a batch has four: N x C x H x W", header.shape().len()));
    };
    if header.order() == Order::Fortran {
        return Err("is in Fortran order; save numpy.ascontiguousarray of it".to_owned());
    }
    // Before anything is allocated: the header may claim any shape.
    let (found, needed) = (size.saturating_sub(header_size as u64), header.len().checked_mul(4));
    if needed != Some(found) {
        return Err(format!("holds {found} bytes of numbers, not those of {n}x{channels}x{height}x{width}"));
    }
    let shape = [n, channels, height, width].map(|size| size as usize);
    let data = NpyFile::with_header(header, reader).into_vec::<f32>().map_err(|error| error.to_string())?;
    Batch::labeled("npy", shape, data)
}

/// Reads the header, and how many bytes it took.
///
/// `npyz` allocates what the header's length field says, descends into brackets as deep as they go, and
/// multiplies the shape without a check; so headers that no plain array has are refused before it sees
/// them. Numbers of 19 digits in all have a product below 2^64.
fn header(reader: &mut impl Read) -> Result<(NpyHeader, usize), String> {
    let none = |_| "is not a NumPy file".to_owned();
    let mut bytes = vec![0; 10];
    reader.read_exact(&mut bytes).map_err(none)?;
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("is not a NumPy file".to_owned());
    }
    let mut length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    if bytes[6] > 1 {
        // From version 2.0 on the length has four bytes.
        bytes.resize(12, 0);
        reader.read_exact(&mut bytes[10..]).map_err(none)?;
        length |= usize::from(u16::from_le_bytes([bytes[10], bytes[11]])) << 16;
    }
    let start = bytes.len();
    if length > MAX_HEADER {
        return Err(format!("has a header of {length} bytes, which no plain array has"));
    }
    bytes.resize(start + length, 0);
    reader.read_exact(&mut bytes[start..]).map_err(|_| "ends within its header".to_owned())?;
    let count = |wanted: fn(&u8) -> bool| bytes[start..].iter().filter(|&byte| wanted(byte)).count();
    if count(|byte| b"([{".contains(byte)) > 8 || count(u8::is_ascii_digit) > 19 {
        return Err("has a header that no plain array has, or one of a shape beyond any memory".to_owned());
    }
    let header = NpyHeader::from_reader(bytes.as_slice())
        .map_err(|error| format!("has a header that cannot be read: {error}"))?;
    Ok((header, bytes.len()))
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::fuzz;

    fn file(version: u8, descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
        let order = if fortran { "True" } else { "False" };
        let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}");
        let header = format!("{header:<117}\n");
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn batch(bytes: &[u8]) -> Result<Batch, String> {
        parse(bytes, bytes.len() as u64)
    }

    fn little(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    const VALUES: [f32; 4] = [0.5, -1.0, 2.0, 0.0];

    #[test]
    fn either_byte_order_and_every_version_is_read() {
        let big: Vec<u8> = VALUES.iter().flat_map(|value| value.to_be_bytes()).collect();
        for version in 1..=3 {
            for (descr, data) in [("'<f4'", little(&VALUES)), ("'>f4'", big.clone())] {
                let read = batch(&file(version, descr, false, "(2, 1, 2, 1)", &data)).unwrap();
                assert_eq!((read.shape(), read.data()), ([2, 1, 2, 1], VALUES.as_slice()));
                assert_eq!(read.label(), "npy");
            }
        }
    }

    #[test]
    fn other_arrays_are_refused() {
        let data = little(&VALUES);
        let message = |descr, fortran, shape| batch(&file(1, descr, fortran, shape, &data)).unwrap_err();
        let whole = "(2, 1, 2, 1)";
        for descr in ["'<f8'", "'<i4'", "'|u1'", "[('x', '<f4')]"] {
            assert!(message(descr, false, whole).ends_with("; convert them to float32"));
        }
        assert_eq!(message("'<f8'", false, whole), "holds numbers of type '<f8'; convert them to float32");
        assert_eq!(message("'<f4'", false, "(4,)"), "has 1 axes; a batch has four: N x C x H x W");
        assert!(message("'<f4'", true, whole).starts_with("is in Fortran order"));
        assert_eq!(
            message("'<f4'", false, "(2, 1, 2, 2)"),
            "holds 16 bytes of numbers, not those of 2x1x2x2"
        );
        assert_eq!(
            message("'<f4'", false, "(1, 1, 2, 1)"),
            "holds 16 bytes of numbers, not those of 1x1x2x1"
        );
        let empty = batch(&file(1, "'<f4'", false, "(0, 3, 32, 32)", &[])).unwrap_err();
        assert_eq!(empty, "0x3x32x32 images have a size of zero");
        let infinite = little(&[0.0, 0.0, f32::INFINITY, 0.0]);
        assert_eq!(
            batch(&file(1, "'<f4'", false, whole, &infinite)).unwrap_err(),
            "image 1 holds inf at channel 0, row 0, column 0 (from 0)"
        );
    }

    #[test]
    fn hostile_headers_are_refused_before_anything_is_allocated() {
        for shape in
            ["(4294967296, 4294967296, 4, 1)", "(999999999, 999999999, 1, 1)", "(99999, 99999, 99999, 1)"]
        {
            batch(&file(1, "'<f4'", false, shape, &[])).unwrap_err();
        }
        let deep = "(".repeat(4000);
        batch(&file(1, "'<f4'", false, &deep, &[])).unwrap_err();
        let long = [b"\x93NUMPY\x02\x00".as_slice(), &[0xff; 4]].concat();
        assert_eq!(batch(&long).unwrap_err(), "has a header of 4294967295 bytes, which no plain array has");
        for bytes in [&b""[..], b"\x93NUMPY", b"PK\x03\x04 an archive of arrays"] {
            assert_eq!(batch(bytes).unwrap_err(), "is not a NumPy file");
        }
        assert_eq!(batch(b"\x93NUMPY\x01\x00\x10\x00{").unwrap_err(), "ends within its header");
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.npy");
        assert!(matches!(read(&path).unwrap_err(), Error::Io { path: named, .. } if named == path));
        std::fs::write(&path, b"text").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: is not a NumPy file", path.display()));
    }

    #[test]
    fn a_kernel_comes_back_and_what_is_none_is_refused() {
        let kernel = Agreement::new(2, vec![5, 3, 3, 5]).unwrap();
        let mut written = Vec::new();
        kernel.write_npy(&mut written).unwrap();
        let read = |bytes: &[u8]| parse_agreement(bytes, bytes.len() as u64);
        assert_eq!(read(&written).unwrap(), kernel);
        let big: Vec<u8> = [5u32, 3, 3, 5].iter().flat_map(|entry| entry.to_be_bytes()).collect();
        assert_eq!(read(&file(1, "'>u4'", true, "(2, 2)", &big)).unwrap(), kernel);
        let entries =
            |entries: [u32; 4]| entries.iter().flat_map(|entry| entry.to_le_bytes()).collect::<Vec<_>>();
        for (descr, shape, data, message) in [
            (
                "'<f4'",
                "(2, 2)",
                entries([0; 4]),
                "holds numbers of type '<f4', not uint32 as an agreement matrix does",
            ),
            ("'<u4'", "(4,)", entries([0; 4]), "has 1 axes; an agreement matrix has two: N x N"),
            ("'<u4'", "(1, 4)", entries([0; 4]), "is 1 x 4; an agreement matrix is N x N"),
            ("'<u4'", "(3, 3)", entries([0; 4]), "holds 16 bytes of numbers, not those of 3 x 3"),
            ("'<u4'", "(0, 0)", vec![], "agreement matrix: there are no images"),
            (
                "'<u4'",
                "(2, 2)",
                entries([5, 3, 4, 5]),
                "agreement matrix: row 1, column 0 is 4, but row 0, column 1 is 3",
            ),
        ] {
            assert_eq!(read(&file(1, descr, false, shape, &data)).unwrap_err(), message);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(fuzz::CASES))]

        #[test]
        fn damaged_kernels_are_errors_or_values(bytes in fuzz::damaged(vec![
            file(1, "'<u4'", false, "(2, 2)", &[5, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 5, 0, 0, 0]),
        ])) {
            if let Ok(kernel) = parse_agreement(bytes.as_slice(), bytes.len() as u64) {
                prop_assert!(4 * kernel.as_slice().len() < bytes.len());
            }
        }

        #[test]
        fn damaged_files_are_errors_or_values(bytes in fuzz::damaged(vec![
            file(1, "'<f4'", false, "(2, 1, 2, 1)", &little(&VALUES)),
            file(2, "'>f4'", false, "(1, 2, 2, 1)", &little(&VALUES)),
            file(3, "[('x', '<f4', (2, 2))]", true, "(1,)", &little(&VALUES)),
        ])) {
            if let Ok(batch) = batch(&bytes) {
                prop_assert!(4 * batch.data().len() < bytes.len());
            }
        }
    }
}
