//! Images in Python's pickles: a dictionary with a NumPy array of bytes, one row or one N x C x H x W or N x H x W x C image
//! each, and a list of labels.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::formats::{CHANNELS, Format, Pickles};
use super::layout::{Layout, sizes};
use super::room;
use crate::error::cut;
use crate::pickle::{Array, PROTOCOL, Pickle, Value};
use crate::{Error, Result};

/// Most bytes that the values of a file may take: those of the largest, CIFAR's training split in one array, take 300 MB
/// where its bytes are written as text.
const LIMIT: usize = 512 << 20;

/// Whether a file begins as a pickle does.
pub(super) fn is_pickle(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1).read_to_end(&mut first));
    read.map_err(|error| Error::io(path, error))?;
    Ok(first == [PROTOCOL])
}

/// Appends the pixels of the images that a file holds of a data set.
pub(super) fn read(path: &Path, format: &Format, images: &mut Vec<u8>) -> Result<()> {
    let file = File::open(path).map_err(|error| Error::io(path, error))?;
    let mut file = BufReader::with_capacity(1 << 16, file);
    let first = file.fill_buf().map_err(|error| Error::io(path, error))?.first();
    if first != Some(&PROTOCOL) {
        return Err(Error::data(path, format!("is no pickle of {}", format.label)));
    }
    extract(file, format, images).map_err(|message| Error::data(path, message))
}

/// Appends the images of a pickle; the error says what is wrong with it.
fn extract(pickle: impl BufRead, format: &Format, images: &mut Vec<u8>) -> Result<(), String> {
    let pickle = Pickle::read(pickle, LIMIT).map_err(|broken| {
        format!("is a pickle that cannot be read: at byte {}, {}", broken.position, broken.message)
    })?;
    let dictionary = pickle.value();
    if dictionary.entries().is_none() {
        return Err("is a pickle, but of no dictionary".to_owned());
    }
    let entry = |name: &str| {
        dictionary.get(name).ok_or_else(|| {
            format!("is a pickle without the key `{name}`, which those of {} have", format.label)
        })
    };
    let Pickles { labels, classes, taken, .. } = &format.pickles;
    let labels =
        numbers(entry(labels)?).ok_or_else(|| format!("has `{labels}` that are no list of numbers"))?;
    let data = entry("data")?.array().ok_or("has `data` that is no NumPy array")?;
    let (pixels, count) = (format.pixels(), labels.len());
    let data = planes(data, format)?;
    if count.checked_mul(pixels) != Some(data.len()) {
        let found = data.len() / pixels;
        return Err(format!("has {count} labels, but {found} images"));
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

fn numbers(list: Value) -> Option<Vec<i64>> {
    list.items()?.map(Value::integer).collect()
}

/// The pixels of images as red, green and blue planes; the error says why they are none of the data set.
fn planes(array: Array, format: &Format) -> Result<Vec<u8>, String> {
    let Format { label, side, .. } = format;
    let Array { data_type, shape, fortran, bytes } = array;
    let layout = Layout::new(shape.to_vec(), fortran);
    let found = format!("`data` of type {} and shape {}", cut(data_type), sizes(shape));
    if !["u1", "|u1", "uint8"].contains(&data_type) {
        return Err(format!(
            "has {found}; naswot takes the pixels of {label} as they are, 0 to 255, of type u1: pickle \
             data.astype(numpy.uint8), or save normalized images by numpy.save and read them as npy"
        ));
    }
    if layout.len() != Some(bytes.len()) {
        return Err(format!("has {found}, but {} bytes of it", bytes.len()));
    }
    let layout = match *shape {
        [_, pixels] if pixels == format.pixels() => layout,
        [_, CHANNELS, height, width] if [height, width] == [*side; 2] => layout,
        [_, height, width, CHANNELS] if [height, width] == [*side; 2] => layout.channels_first(),
        _ => {
            let pixels = format.pixels();
            return Err(format!(
                "has {found}; images of {label} are N x {pixels}, N x {CHANNELS} x {side} x {side} or \
                 N x {side} x {side} x {CHANNELS}: reshape them"
            ));
        }
    };
    let mut pixels = room(bytes.len())?;
    pixels.extend_from_slice(bytes);
    layout.in_c_order(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;
    use crate::data::formats::{CIFAR10, IMAGENET16};

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
        let rows = (data.len() / usize::from(columns)) as u16;
        pickled_array(data, "u1", &[rows, columns], false, name, labels, form)
    }

    /// As [`pickled`], of an array of any type, shape and order.
    fn pickled_array(
        data: &[u8],
        kind: &str,
        shape: &[u16],
        fortran: bool,
        name: &str,
        labels: &[u16],
        form: Text,
    ) -> Vec<u8> {
        let int = |n: u16| [&b"M"[..], &n.to_le_bytes()].concat();
        let shape = shape.iter().flat_map(|&size| int(size)).collect::<Vec<u8>>();
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
            b"\x87R(K\x01(",
            &shape,
            b"tcnumpy\ndtype\n",
            &text(kind, form),
            b"K\x00K\x01\x87R(K\x03",
            &text("|", form),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            if fortran { b"\x88" } else { b"\x89" },
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
    fn every_layout_of_the_same_images_is_the_same_images() {
        // Two images of 2 x 2 pixels; pixel (y, x) of channel c of image n is 100 n + 10 c + 2 y + x.
        let pixel = |[n, c, y, x]: [usize; 4]| (100 * n + 10 * c + 2 * y + x) as u8;
        let all = |sizes: [usize; 4], pixel: &dyn Fn([usize; 4]) -> u8| -> Vec<u8> {
            let [a, b, c, d] = sizes;
            (0..a * b * c * d).map(|i| pixel([i / d / c / b, i / d / c % b, i / d % c, i % d])).collect()
        };
        let planes = all([2, 3, 2, 2], &pixel);
        let forms: [(Vec<u8>, &[u16], bool); 6] = [
            (planes.clone(), &[2, 12], false),
            (planes.clone(), &[2, 3, 2, 2], false),
            (all([2, 2, 2, 3], &|[n, y, x, c]| pixel([n, c, y, x])), &[2, 2, 2, 3], false),
            (all([12, 2, 1, 1], &|[p, n, ..]| pixel([n, p / 4, p / 2 % 2, p % 2])), &[2, 12], true),
            (all([2, 2, 3, 2], &|[x, y, c, n]| pixel([n, c, y, x])), &[2, 3, 2, 2], true),
            (all([3, 2, 2, 2], &|[c, x, y, n]| pixel([n, c, y, x])), &[2, 2, 2, 3], true),
        ];
        let tiny = Format { side: 2, ..CIFAR10 };
        for (data, shape, fortran) in forms {
            for form in [Text::Bytes, Text::Unicode] {
                let pickle = pickled_array(&data, "u1", shape, fortran, "labels", &[3, 4], form);
                let mut images = Vec::new();
                extract(&pickle[..], &tiny, &mut images).unwrap();
                assert_eq!(images, planes, "{shape:?} {fortran}");
            }
        }
        let refusal = |kind, shape: &[u16], data: &[u8]| {
            let pickle = pickled_array(data, kind, shape, false, "labels", &[3, 4], Text::Unicode);
            extract(&pickle[..], &tiny, &mut Vec::new()).unwrap_err()
        };
        for kind in ["i1", "b1", "f8"] {
            let message = refusal(kind, &[2, 12], &planes);
            let start =
                format!("has `data` of type {kind} and shape 2 x 12; naswot takes the pixels of cifar10");
            assert!(message.starts_with(&start), "{message}");
        }
        assert_eq!(
            refusal("u1", &[2, 2, 3, 2], &planes),
            "has `data` of type u1 and shape 2 x 2 x 3 x 2; images of cifar10 are N x 12, N x 3 x 2 x 2 or \
             N x 2 x 2 x 3: reshape them"
        );
        assert_eq!(
            refusal("u1", &[2, 12], &planes[..12]),
            "has `data` of type u1 and shape 2 x 12, but 12 bytes of it"
        );
        assert_eq!(refusal("u1", &[1, 12], &planes[..12]), "has 2 labels, but 1 images");
    }

    #[test]
    fn arrays_of_protocol_5_are_read() {
        // numpy._core.numeric._frombuffer(bytes, dtype, shape, order), with the memo that pickle keeps.
        let data: Vec<u8> = (0..24).collect();
        let array = [
            &b"\x8c\x13numpy._core.numeric\x94\x8c\x0b_frombuffer\x94\x93\x94(\x96\x18\0\0\0\0\0\0\0"[..],
            &data,
            b"\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02u1\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01|\x94NNN",
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bK\x02K\x0c\x86\x94\x8c\x01C\x94t\x94R\x94",
        ]
        .concat();
        let pickle =
            [&b"\x80\x05}\x94(\x8c\x04data\x94"[..], &array, b"\x8c\x06labels\x94]\x94(K\x01K\x02eu."]
                .concat();
        let mut images = Vec::new();
        let tiny = Format { side: 2, ..CIFAR10 };
        extract(&pickle[..], &tiny, &mut images).unwrap();
        assert_eq!(images, data);
    }

    #[test]
    fn imagenet16_is_its_first_120_classes() {
        let mut taken = Vec::new();
        let pickle = pickled(&images(5, 768), 768, "labels", &[1, 121, 120, 1000, 60], Text::Bytes);
        extract(&pickle[..], &IMAGENET16, &mut taken).unwrap();
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
            "has `data` of type u1 and shape 2 x 3072; images of imagenet16 are N x 768, N x 3 x 16 x 16 or \
             N x 16 x 16 x 3: reshape them"
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
        // Lists within lists, which take no stack.
        let deep = [&b"\x80\x02"[..], &vec![b']'; 1 << 20], &vec![b'a'; (1 << 20) - 1], b"."].concat();
        assert_eq!(message(&deep, &cifar10), "is a pickle, but of no dictionary");
    }
}
