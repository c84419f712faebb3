//! Images in Python's pickles: a dictionary with a NumPy array of bytes, one row an image, and a list of labels.
//!
//! Nothing of Python runs. An array comes as what pickle would restore it from: (version, shape, type, whether it is
//! in Fortran's order, bytes), or, from protocol 5 on, (bytes, type, shape, order).

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde_pickle::{DeOptions, HashableValue, Value};

use super::formats::{Format, Pickles};
use crate::{Error, Result};

/// The first byte of a pickle from protocol 2 on; no label of CIFAR is as large.
const PROTOCOL: u8 = 0x80;

/// Most lists, tuples and dictionaries of a pickle: arrays, labels and file names make some twenty. The reader nests
/// as deep as they do, and would run out of stack on a pickle that is made to nest.
const MOST_CONTAINERS: usize = 256;

/// Whether a file begins as a pickle does.
pub(super) fn is_pickle(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1).read_to_end(&mut first));
    read.map_err(|error| Error::io(path, error))?;
    Ok(first == [PROTOCOL])
}

/// Appends the pixels of the images that a file holds of a data set.
pub(super) fn read(path: &Path, format: &Format, images: &mut Vec<u8>) -> Result<()> {
    let bytes = fs::read(path).map_err(|error| Error::io(path, error))?;
    let wrong = |message: String| Error::data(path, message);
    if bytes.first() != Some(&PROTOCOL) {
        return Err(wrong(format!("is no pickle of {}", format.label)));
    }
    if containers(&bytes) > MOST_CONTAINERS {
        let message = format!("is a pickle of more than {MOST_CONTAINERS} lists, tuples and dictionaries");
        return Err(wrong(format!("{message}, so none of {}", format.label)));
    }
    let pickle: Value = serde_pickle::value_from_slice(&bytes, options())
        .map_err(|error| wrong(format!("is a pickle that cannot be read: {error}")))?;
    extract(pickle, format, images).map_err(wrong)
}

/// The number of lists, tuples, dictionaries, sets and objects that a pickle makes. Its operations are walked over, as
/// the documentation of `pickletools` lists them, and nothing is made.
fn containers(pickle: &[u8]) -> usize {
    let (mut rest, mut count) = (pickle, 0);
    while let Some((&operation, arguments)) = rest.split_first() {
        let prefixed = |bytes: usize| {
            let prefix = arguments.get(..bytes)?;
            let length = prefix.iter().rev().fold(0usize, |length, &byte| length << 8 | usize::from(byte));
            length.checked_add(bytes)
        };
        let line = |from: usize| {
            arguments.get(from..)?.iter().position(|&byte| byte == b'\n').map(|at| from + at + 1)
        };
        let skip = match operation {
            b'.' => return count,
            b'K' | b'q' | b'h' | 0x80 | 0x82 => Some(1),
            b'M' | 0x83 => Some(2),
            b'J' | b'r' | b'j' | 0x84 => Some(4),
            b'G' | 0x95 => Some(8),
            b'U' | b'C' | 0x8a | 0x8c => prefixed(1),
            b'T' | b'X' | b'B' | 0x8b => prefixed(4),
            0x8d | 0x8e | 0x96 => prefixed(8),
            b'I' | b'L' | b'F' | b'S' | b'V' | b'p' | b'g' | b'P' => line(0),
            b'c' | b'i' => line(0).and_then(line),
            _ => Some(0),
        };
        let makes =
            [b']', b'}', b')', b't', b'l', b'd', b'o', b'i', 0x81, 0x85, 0x86, 0x87, 0x8f, 0x91, 0x92];
        count += usize::from(makes.contains(&operation));
        match skip.and_then(|skip| arguments.get(skip..)) {
            Some(next) => rest = next,
            // Cut, which the reader will say.
            None => return count,
        }
    }
    count
}

/// States and arguments are what arrays are read from; classes have no meaning here.
fn options() -> DeOptions {
    DeOptions::new().keep_restore_state().replace_unresolved_globals()
}

/// Appends the images of the dictionary; the error says what is wrong with it.
fn extract(pickle: Value, format: &Format, images: &mut Vec<u8>) -> Result<(), String> {
    let Value::Dict(mut entries) = pickle else { return Err("is a pickle, but of no dictionary".to_owned()) };
    let mut entry = |name: &str| {
        // Python 2 wrote text as bytes.
        let keys = [HashableValue::String(name.to_owned()), HashableValue::Bytes(name.as_bytes().to_vec())];
        let found = keys.iter().find_map(|key| entries.remove(key));
        found.ok_or_else(|| {
            format!("is a pickle without the key `{name}`, which those of {} have", format.label)
        })
    };
    let Pickles { labels, classes, taken, .. } = &format.pickles;
    let labels =
        numbers(entry(labels)?).ok_or_else(|| format!("has `{labels}` that are no list of numbers"))?;
    let data = bytes(entry("data")?).ok_or("has `data` that is no array of bytes")?;
    let (pixels, count) = (format.pixels(), labels.len());
    if count.checked_mul(pixels) != Some(data.len()) {
        let found = data.len();
        return Err(format!(
            "has {count} labels, but {found} bytes of images, which are {pixels} bytes each"
        ));
    }
    for (position, (label, image)) in labels.iter().zip(data.chunks_exact(pixels)).enumerate() {
        if !classes.contains(label) {
            let (least, most) = (classes.start(), classes.end());
            return Err(format!(
                "image {position} (from 0) has label {label}, not one from {least} to {most}"
            ));
        }
        if taken.contains(label) {
            images.extend_from_slice(image);
        }
    }
    Ok(())
}

fn numbers(value: Value) -> Option<Vec<i64>> {
    let Value::List(values) = value else { return None };
    let number = |value| match value {
        Value::I64(number) => Some(number),
        _ => None,
    };
    values.into_iter().map(number).collect()
}

/// The bytes of an array in C's order.
fn bytes(array: Value) -> Option<Vec<u8>> {
    let Value::Tuple(parts) = array else { return None };
    match <[Value; 5]>::try_from(parts) {
        Ok([_, _, _, Value::Bool(false), Value::Bytes(bytes)]) => Some(bytes),
        Ok(_) => None,
        Err(parts) => match <[Value; 4]>::try_from(parts) {
            Ok([Value::Bytes(bytes), _, _, Value::String(order)]) if order == "C" => Some(bytes),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::formats::{CIFAR10, IMAGENET16};
    use crate::{Dataset, fuzz};

    /// How text is stored: Python 2's bytes, or text.
    #[derive(Clone, Copy)]
    enum Text {
        Bytes,
        Unicode,
    }

    fn text(text: &str, form: Text) -> Vec<u8> {
        match form {
            Text::Bytes => [&[b'U', text.len() as u8], text.as_bytes()].concat(),
            Text::Unicode => [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat(),
        }
    }

    /// What `pickle.dumps({'data': array, labels: [..]}, 2)` writes in Python 2, or 3, without its memo.
    fn pickled(data: &[u8], columns: u16, name: &str, labels: &[u16], form: Text) -> Vec<u8> {
        let int = |n: u16| [&b"M"[..], &n.to_le_bytes()].concat();
        let rows = (data.len() / usize::from(columns)) as u16;
        let bytes = match form {
            Text::Bytes => [b"T", &(data.len() as u32).to_le_bytes()[..], data].concat(),
            Text::Unicode => {
                let latin1: String = data.iter().map(|&byte| char::from(byte)).collect();
                [b"c_codecs\nencode\n", &text(&latin1, form)[..], &text("latin1", form), b"\x86R"].concat()
            }
        };
        let array = [
            &b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"[..],
            &text("b", form)[..],
            b"\x87R(K\x01",
            &int(rows),
            &int(columns),
            b"\x86cnumpy\ndtype\n",
            &text("u1", form),
            b"K\x00K\x01\x87R(K\x03",
            &text("|", form),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89",
            &bytes,
            b"tb",
        ]
        .concat();
        let labels = labels.iter().flat_map(|&label| int(label)).collect::<Vec<u8>>();
        let entries = [&text("data", form)[..], &array, &text(name, form), b"](", &labels, b"e"].concat();
        [b"\x80\x02}(", &entries[..], b"u."].concat()
    }

    /// Images whose pixels all are the image's number.
    fn images(count: u8, pixels: usize) -> Vec<u8> {
        (0..count).flat_map(|number| vec![number; pixels]).collect()
    }

    #[test]
    fn both_pythons_pickles_are_the_binary_images() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data_batch_1");
        let binary = folder.path().join("a.bin");
        std::fs::write(
            &binary,
            images(3, 3072).chunks(3072).flat_map(|i| [&[7], i].concat()).collect::<Vec<_>>(),
        )
        .unwrap();
        let expected = Dataset::cifar10(&binary).unwrap().first(3).unwrap();
        for form in [Text::Bytes, Text::Unicode] {
            std::fs::write(&file, pickled(&images(3, 3072), 3072, "labels", &[7, 8, 9], form)).unwrap();
            let data = Dataset::cifar10(&file).unwrap();
            assert_eq!(data.first(3).unwrap().sha256(), expected.sha256());
            assert_eq!(data.sample(2, 1).unwrap().sha256(), expected.sample(2, 1).unwrap().sha256());
        }
        // As torchvision leaves it: five files in a folder of their own.
        let inner = folder.path().join("cifar-10-batches-py");
        std::fs::create_dir(&inner).unwrap();
        for batch in 1..=5 {
            std::fs::copy(&file, inner.join(format!("data_batch_{batch}"))).unwrap();
        }
        assert_eq!(Dataset::cifar10(&inner).unwrap().len(), 15);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(Dataset::cifar10(folder.path()).unwrap().len(), 15);
    }

    #[test]
    fn imagenet16_is_its_first_120_classes() {
        let mut taken = Vec::new();
        let pickle = pickled(&images(5, 768), 768, "labels", &[1, 121, 120, 1000, 60], Text::Bytes);
        extract(serde_pickle::value_from_slice(&pickle, options()).unwrap(), &IMAGENET16, &mut taken)
            .unwrap();
        assert_eq!(taken, [[0; 768], [2; 768], [4; 768]].concat());
    }

    #[test]
    fn what_is_no_pickle_of_the_data_set_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train");
        let message = |bytes: &[u8], open: &dyn Fn(&Path) -> Result<Dataset>| {
            std::fs::write(&path, bytes).unwrap();
            let error = open(&path).unwrap_err().to_string();
            error.replace(&format!("{}: ", path.display()), "")
        };
        let ten = pickled(&images(2, 3072), 3072, "labels", &[0, 1], Text::Unicode);
        let cifar10 = |path: &Path| Dataset::cifar10(path);
        let cifar100 = |path: &Path| Dataset::cifar100(path);
        let imagenet16 = |path: &Path| Dataset::imagenet16(path);
        assert_eq!(
            message(&ten, &cifar100),
            "is a pickle without the key `fine_labels`, which those of cifar100 have"
        );
        assert_eq!(
            message(&ten, &imagenet16),
            "has 2 labels, but 6144 bytes of images, which are 768 bytes each"
        );
        let label = pickled(&images(2, 3072), 3072, "labels", &[0, 10], Text::Bytes);
        assert_eq!(message(&label, &cifar10), "image 1 (from 0) has label 10, not one from 0 to 9");
        assert!(message(&ten[..ten.len() - 9], &cifar10).starts_with("is a pickle that cannot be read: "));
        assert_eq!(message(b"\x80\x02].", &cifar10), "is a pickle, but of no dictionary");
        assert_eq!(message(b"PK", &imagenet16), "is no pickle of imagenet16");
        let other = pickled(&images(1, 768), 768, "labels", &[500], Text::Bytes);
        assert_eq!(message(&other, &imagenet16), "has no images of imagenet16");
        let missing = Dataset::imagenet16(folder.path()).unwrap_err().to_string();
        assert!(
            missing.ends_with("does not hold train_data_batch_1 or ImageNet16/train_data_batch_1"),
            "{missing}"
        );
        // Lists within lists, which would take the stack of a reader.
        let deep = [&b"\x80\x02"[..], &vec![b']'; 1 << 20], &vec![b'a'; (1 << 20) - 1], b"."].concat();
        assert_eq!(
            message(&deep, &cifar10),
            "is a pickle of more than 256 lists, tuples and dictionaries, so none of cifar10"
        );
    }

    #[test]
    fn containers_are_counted_and_what_looks_like_them_in_data_is_not() {
        let brackets = [b']'; 12];
        for (form, tuples) in [(Text::Bytes, 7), (Text::Unicode, 8)] {
            // The dictionary, the list of labels, and the tuples of the array.
            assert_eq!(containers(&pickled(&brackets, 12, "labels", &[3], form)), 2 + tuples - 1);
        }
        assert_eq!(containers(b"\x80\x04\x95\xff\0\0\0\0\0\0\0]\x94\x8c\x02]]\x94a."), 1);
        assert_eq!(containers(b"(I1\nS']'\ncos\nsystem\nt."), 1);
        assert_eq!(containers(b"X\xff\xff\xff\xff]]"), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(fuzz::CASES))]

        #[test]
        fn damaged_pickles_are_errors_or_images(bytes in fuzz::damaged(vec![
            pickled(&[5; 12], 12, "labels", &[3], Text::Bytes),
            pickled(&[5; 12], 12, "labels", &[3], Text::Unicode),
        ])) {
            let tiny = Format { side: 2, ..CIFAR10 };
            let mut images = Vec::new();
            let pickle = serde_pickle::value_from_slice(&bytes, options());
            if pickle.is_ok_and(|pickle| extract(pickle, &tiny, &mut images).is_ok()) {
                prop_assert_eq!(images.len() % 12, 0);
            }
        }
    }
}
