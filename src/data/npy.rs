//! Arrays in NumPy's file format, checked before anything is allocated.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use half::f16;
use npyz::{Deserialize, NpyFile, NpyHeader, Order};

use super::layout::Layout;
use super::room;
use crate::error::cut;
use crate::{Error, Result};

/// Longest header that is taken; NumPy's own are under 128 bytes.
const MAX_HEADER: usize = 4096;

/// Reads a value from an array in a file; the error of `parse` says what is wrong with the array.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(Array<BufReader<File>>) -> Result<T, String>,
) -> Result<T> {
    let open = || {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok((file, size))
    };
    let (file, size) = open().map_err(|error| Error::io(path, error))?;
    Array::new(BufReader::new(file), size).and_then(parse).map_err(|message| Error::data(path, message))
}

/// An array whose header has been read, and its numbers not.
pub(crate) struct Array<R> {
    header: NpyHeader,
    reader: R,
    /// Bytes of numbers.
    bytes: u64,
}

impl<R: Read> Array<R> {
    /// Begins to read a file of so many bytes.
    pub(crate) fn new(mut reader: R, size: u64) -> Result<Self, String> {
        let (header, header_size) = header(&mut reader)?;
        Ok(Array { header, reader, bytes: size.saturating_sub(header_size as u64) })
    }

    /// Its numbers' type, as NumPy describes types: `'<f4'`, say, with the quotation marks.
    pub(crate) fn dtype(&self) -> String {
        self.header.dtype().descr()
    }

    /// Its sizes along each axis.
    pub(crate) fn shape(&self) -> &[u64] {
        self.header.shape()
    }

    /// Whether its first index changes fastest.
    pub(crate) fn is_fortran(&self) -> bool {
        self.header.order() == Order::Fortran
    }

    /// Its numbers, in the order of the file. Those of `T` are as wide as those of its type.
    pub(crate) fn numbers<T: Deserialize>(self) -> Result<Vec<T>, String> {
        self.converted(|value| value)
    }

    /// Its numbers, each converted as it is read.
    pub(super) fn converted<T: Deserialize, U>(self, convert: fn(T) -> U) -> Result<Vec<U>, String> {
        // Before anything is allocated: the header may claim any shape.
        if self.header.len().checked_mul(size_of::<T>() as u64) != Some(self.bytes) {
            let sizes: Vec<String> = self.shape().iter().map(u64::to_string).collect();
            return Err(format!("holds {} bytes of numbers, not those of {}", self.bytes, sizes.join("x")));
        }
        let failed = |error: io::Error| error.to_string();
        let count = usize::try_from(self.header.len()).map_err(|error| error.to_string())?;
        let mut converted = room(count)?;
        let numbers = NpyFile::with_header(self.header, self.reader).data::<T>();
        for number in numbers.map_err(|error| error.to_string())? {
            converted.push(convert(number.map_err(failed)?));
        }
        Ok(converted)
    }
}

/// The numbers of a NumPy file, in any type and order.
///
/// ```
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("accuracies.npy");
/// # let mut file = b"\x93NUMPY\x01\x00\x40\x00".to_vec();
/// # let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2,)}";
/// # file.extend(format!("{header:<63}\n").bytes());
/// # file.extend([90, 0, 91, 0]);
/// # std::fs::write(&path, file).unwrap();
/// // numpy.save("accuracies.npy", numpy.array([90, 91], numpy.int16))
/// let array = naswot::NumpyArray::read(&path)?;
/// assert_eq!((array.shape(), array.values()), (&[2][..], &[90.0, 91.0][..]));
/// # Ok::<(), naswot::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NumpyArray {
    shape: Vec<usize>,
    values: Vec<f64>,
}

impl NumpyArray {
    /// Reads a file of floats or integers; 64-bit integers above 2^53 are rounded.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be opened, [`Error::Data`] for one that is no array of numbers or is cut off.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        read(path.as_ref(), Self::of)
    }

    fn of(array: Array<impl Read>) -> Result<Self, String> {
        let shape: Vec<usize> = array.shape().iter().map(|&size| size as usize).collect();
        let layout = Layout::new(shape.clone(), array.is_fortran());
        let dtype = array.dtype();
        let values = match dtype.trim_matches('\'').trim_start_matches(['<', '>', '|', '=']) {
            "f8" => array.numbers()?,
            "f4" => array.converted::<f32, _>(f64::from)?,
            "f2" => array.converted::<f16, _>(f64::from)?,
            "i1" => array.converted::<i8, _>(f64::from)?,
            "i2" => array.converted::<i16, _>(f64::from)?,
            "i4" => array.converted::<i32, _>(f64::from)?,
            "i8" => array.converted::<i64, _>(|value| value as f64)?,
            "u1" => array.converted::<u8, _>(f64::from)?,
            "u2" => array.converted::<u16, _>(f64::from)?,
            "u4" => array.converted::<u32, _>(f64::from)?,
            "u8" => array.converted::<u64, _>(|value| value as f64)?,
            _ => return Err(format!("holds values of type {}, which are no numbers", cut(&dtype))),
        };
        Ok(NumpyArray { shape, values: layout.in_c_order(values)? })
    }

    /// Its sizes along each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its numbers, the last index changing fastest.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
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
        .map_err(|error| format!("has a header that cannot be read: {}", cut(&error.to_string())))?;
    Ok((header, bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agreement, Batch, Normalization};

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
        Array::new(bytes, bytes.len() as u64).and_then(Batch::from_array)
    }

    #[test]
    fn numbers_of_every_type_and_order_are_read() {
        let numbers = |bytes: &[u8]| Array::new(bytes, bytes.len() as u64).and_then(NumpyArray::of);
        let shorts: Vec<u8> = [1i16, -2, 3, -4, 5, -6].iter().flat_map(|value| value.to_be_bytes()).collect();
        let read = numbers(&file(1, "'>i2'", true, "(2, 3)", &shorts)).unwrap();
        assert_eq!((read.shape(), read.values()), (&[2, 3][..], &[1.0, 3.0, 5.0, -2.0, -4.0, -6.0][..]));
        let halves: Vec<u8> = VALUES.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        let doubles: Vec<u8> = VALUES.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        for (descr, data) in [("'<f2'", halves), ("'<f4'", little(&VALUES)), ("'<f8'", doubles)] {
            let read = numbers(&file(2, descr, false, "(4,)", &data)).unwrap();
            assert_eq!(read.values(), VALUES.map(f64::from), "{descr}");
        }
        for (descr, width, last) in
            [("'|u1'", 1, 255.0), ("'|i1'", 1, -1.0), ("'<u8'", 8, 2f64.powi(64)), ("'<i8'", 8, -1.0)]
        {
            assert_eq!(numbers(&file(1, descr, false, "(1,)", &vec![255; width])).unwrap().values(), [last]);
        }
        for descr in ["'|b1'", "'<U1'", "[('x', '<f4')]"] {
            let message = numbers(&file(1, descr, false, "(1,)", &[0; 4])).unwrap_err();
            assert!(message.ends_with(", which are no numbers"), "{message}");
        }
        let cut = numbers(&file(1, "'<f4'", false, "(5,)", &little(&VALUES))).unwrap_err();
        assert_eq!(cut, "holds 16 bytes of numbers, not those of 5");
    }

    fn agreement(bytes: &[u8]) -> Result<Agreement, String> {
        Array::new(bytes, bytes.len() as u64).and_then(Agreement::from_array)
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
        for descr in ["'<i4'", "'|i1'", "'|b1'", "[('x', '<f4')]"] {
            assert!(message(descr, false, whole).ends_with(
                "; a batch is normalized numbers of type float32, float64 or float16: convert them with astype"
            ));
        }
        assert!(
            message("'<i4'", false, whole)
                .starts_with("holds numbers of type '<i4' and shape 2 x 1 x 2 x 1;")
        );
        assert!(message("'|u1'", false, whole).starts_with("holds pixels (type '|u1', shape 2 x 1 x 2 x 1)"));
        assert_eq!(message("'<f4'", false, "(4,)"), "has 1 axes (4); a batch has four: N x C x H x W");
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
    fn other_floats_and_orders_are_converted_and_said() {
        let whole = "(2, 1, 2, 1)";
        let doubles: Vec<u8> = VALUES.iter().flat_map(|&value| f64::from(value).to_le_bytes()).collect();
        let halves: Vec<u8> = VALUES.iter().flat_map(|&value| f16::from_f32(value).to_be_bytes()).collect();
        for (descr, data, from) in [
            ("'<f8'", doubles, "float64 converted to float32"),
            ("'>f2'", halves, "float16 converted to float32"),
        ] {
            let read = batch(&file(1, descr, false, whole, &data)).unwrap();
            assert_eq!((read.data(), read.conversion()), (VALUES.as_slice(), Some(from)));
            let read = batch(&file(1, descr, true, whole, &data)).unwrap();
            assert_eq!(read.data(), [0.5, 2.0, -1.0, 0.0]);
            assert_eq!(read.conversion().unwrap(), format!("{from}, Fortran's order to C's"));
        }
        assert_eq!(batch(&file(1, "'<f4'", false, whole, &little(&VALUES))).unwrap().conversion(), None);
        let first = batch(&file(1, "'<f4'", true, whole, &little(&VALUES))).unwrap().first(1).unwrap();
        assert_eq!(first.conversion(), Some("Fortran's order converted to C's"));
        let huge: Vec<u8> =
            [0.0, 1e300, 0.0, 0.0].iter().flat_map(|value: &f64| value.to_le_bytes()).collect();
        assert_eq!(
            batch(&file(1, "'<f8'", false, whole, &huge)).unwrap_err(),
            "image 0 holds inf at channel 0, row 1, column 0 (from 0), as float32"
        );
    }

    #[test]
    fn color_images_have_three_channels_first_and_pixels_their_data_sets_values() {
        let read = |bytes: &[u8], normalization| {
            Array::new(bytes, bytes.len() as u64).and_then(|array| Batch::color(array, normalization))
        };
        let pixels: Vec<u8> = (0..24).collect();
        let planes = file(1, "'|u1'", false, "(2, 3, 2, 2)", &pixels);
        let tables = Normalization::CIFAR100.tables();
        let batch = read(&planes, Some(Normalization::CIFAR100)).unwrap();
        assert_eq!(batch.shape(), [2, 3, 2, 2]);
        for (i, &value) in batch.data().iter().enumerate() {
            assert_eq!(value, tables[i / 4 % 3][i]);
        }
        assert_eq!(batch.conversion(), None);
        let message = |bytes: &[u8], normalization| read(bytes, normalization).unwrap_err();
        assert!(message(&planes, None).starts_with("holds pixels (type '|u1', shape 2 x 3 x 2 x 2)"));
        let nhwc = "has shape 2 x 2 x 2 x 3, which is N x H x W x C; networks read N x C x H x W: save \
                    numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))";
        assert_eq!(
            message(&file(1, "'|u1'", false, "(2, 2, 2, 3)", &pixels), Some(Normalization::CIFAR10)),
            nhwc
        );
        let floats = little(&[0.0; 24]);
        assert_eq!(message(&file(1, "'<f4'", false, "(2, 2, 2, 3)", &floats), None), nhwc);
        assert_eq!(
            message(&file(1, "'<f4'", false, "(2, 4, 1, 3)", &floats), Some(Normalization::CIFAR10)),
            "holds numbers of type '<f4' and shape 2 x 4 x 1 x 3; pixels to normalize are uint8, 0 to 255: convert \
             them with astype, or take the images as normalized"
        );
        assert_eq!(
            message(&file(1, "'<f4'", false, "(6, 4, 1, 1)", &floats), None),
            "has shape 6 x 4 x 1 x 1, images of 4 channels; networks read 3: N x 3 x H x W"
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
        assert!(matches!(Batch::npy(&path).unwrap_err(), Error::Io { path: named, .. } if named == path));
        std::fs::write(&path, b"text").unwrap();
        let error = Batch::npy(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: is not a NumPy file", path.display()));
    }

    #[test]
    fn a_kernel_comes_back_and_what_is_none_is_refused() {
        let kernel = Agreement::new(2, vec![5, 3, 3, 5]).unwrap();
        let mut written = Vec::new();
        kernel.write_npy(&mut written).unwrap();
        assert_eq!(agreement(&written).unwrap(), kernel);
        let big: Vec<u8> = [5u32, 3, 3, 5].iter().flat_map(|entry| entry.to_be_bytes()).collect();
        assert_eq!(agreement(&file(1, "'>u4'", true, "(2, 2)", &big)).unwrap(), kernel);
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
            ("'<u4'", "(3, 3)", entries([0; 4]), "holds 16 bytes of numbers, not those of 3x3"),
            ("'<u4'", "(0, 0)", vec![], "agreement matrix: there are no images"),
            (
                "'<u4'",
                "(2, 2)",
                entries([5, 3, 4, 5]),
                "agreement matrix: row 1, column 0 is 4, but row 0, column 1 is 3",
            ),
        ] {
            assert_eq!(agreement(&file(1, descr, false, shape, &data)).unwrap_err(), message);
        }
    }
}
