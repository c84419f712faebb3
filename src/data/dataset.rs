//! Data sets in files, from which batches are taken.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::formats::{CHANNELS, CIFAR10, CIFAR100, Files, Format, IMAGENET16, Records};
#[cfg(feature = "images")]
use super::image_folder::ImageFolder;
#[cfg(feature = "images")]
use super::normalization::Normalization;
use super::{Batch, draw, pickles, room, too_few};
use crate::{Error, Result};

/// Images in files, from which batches are taken. Of binary records and folders of images only what a batch needs is read;
/// pickles are read when they are opened, and their images kept.
#[derive(Clone, Debug)]
pub struct Dataset {
    path: PathBuf,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Records(&'static Format, &'static Records, Vec<RecordFile>),
    /// The pixels of all images.
    Memory(&'static Format, Vec<u8>),
    #[cfg(feature = "images")]
    Folder(ImageFolder),
}

/// A file of whole records.
#[derive(Clone, Debug)]
struct RecordFile {
    path: PathBuf,
    records: u32,
}

impl Dataset {
    /// Opens CIFAR-10: a file of whole records, the folder of the binary version (its training split,
    /// `data_batch_1.bin` to `data_batch_5.bin` in this order), or a folder that holds that folder; or the version for
    /// Python, a pickle or the folder `cifar-10-batches-py`, as torchvision leaves it.
    /// Images are normalized as the benchmarks do: (x / 255 - mean / 255) / (deviation / 255) in f32, mean
    /// 125.3, 123.0, 113.9 and deviation 63.0, 62.1, 66.7.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data_batch_1.bin");
    /// # std::fs::write(&path, vec![0; 2 * 3073]).unwrap();
    /// use naswot::Dataset;
    ///
    /// let batch = Dataset::cifar10(&path)?.first(2)?;
    /// assert_eq!(batch.shape(), [2, 3, 32, 32]);
    /// assert_eq!(batch.label(), "cifar10");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] for a file that is not there or cannot be opened; [`Error::Data`] for one that is empty
    /// or not of whole records, for a pickle that is not one of the data set, and for a folder without the training
    /// split.
    pub fn cifar10(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), &CIFAR10)
    }

    /// Opens CIFAR-100: a file of whole records, the folder of the binary version (its training split,
    /// `train.bin`), or a folder that holds that folder. Images are normalized as
    /// [`cifar10`](Dataset::cifar10) does, with mean 129.3, 124.1, 112.4 and deviation 68.2, 65.4, 70.4.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # std::fs::write(directory.path().join("train.bin"), vec![0; 2 * 3074]).unwrap();
    /// let batch = naswot::Dataset::cifar100(directory.path())?.first(1)?;
    /// assert_eq!(batch.label(), "cifar100");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::cifar10`].
    pub fn cifar100(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), &CIFAR100)
    }

    /// Opens ImageNet16-120, the data set of NAS-Bench-201: the folder of the pickles of ImageNet16
    /// (`train_data_batch_1` to `train_data_batch_10`), a folder that holds it as `ImageNet16`, or one pickle. Images of
    /// the first 120 classes are taken, 3x16x16, and normalized as [`cifar10`](Dataset::cifar10) does, with mean 122.68,
    /// 116.66, 104.01 and deviation 63.22, 61.26, 65.09.
    ///
    /// ```
    /// let error = naswot::Dataset::imagenet16("no/such/folder").unwrap_err();
    /// assert!(error.to_string().starts_with("no/such/folder: "));
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::cifar10`].
    pub fn imagenet16(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path.as_ref(), &IMAGENET16)
    }

    /// Opens a folder of images in PNG or JPEG: those in it, in the order of their names; or, where it holds none, those of
    /// its sub-folders, in the order of torchvision's `ImageFolder`, which has one for each class. Images are made as
    /// torchvision's `Resize(size)`, `CenterCrop(size)` and `Normalize` make them of PIL's `convert("RGB")`: the shorter side
    /// is resampled to `size` by a triangle filter, and the middle of the longer one taken, so that they are 3 x `size` x
    /// `size`. Grey, alpha and 16 bits are converted, which [`Batch::conversion`] says. Only the images of a batch are read.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # image::RgbImage::new(48, 40).save(directory.path().join("a.png")).unwrap();
    /// use naswot::{Dataset, Normalization};
    ///
    /// let batch = Dataset::images(directory.path(), 32, Normalization::IMAGENET)?.first(1)?;
    /// assert_eq!(batch.shape(), [1, 3, 32, 32]);
    /// assert_eq!(batch.label(), "images");
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] for a folder that cannot be read; [`Error::Data`] for one without images, and [`Error::Setting`] for a
    /// size of zero. [`first`](Dataset::first) and [`sample`](Dataset::sample) name the file that is damaged, is no image or has
    /// more than 2^26 pixels, or 2^28 bytes with 16 bits a color.
    #[cfg(feature = "images")]
    #[cfg_attr(docsrs, doc(cfg(feature = "images")))]
    pub fn images(folder: impl AsRef<Path>, size: usize, normalization: Normalization) -> Result<Self> {
        let folder = folder.as_ref();
        if size == 0 {
            return Err(Error::Setting { name: "size", message: "images have at least 1 pixel".to_owned() });
        }
        let source = Source::Folder(ImageFolder::open(folder, size, normalization)?);
        Ok(Dataset { path: folder.to_owned(), source })
    }

    fn open(path: &Path, format: &'static Format) -> Result<Self> {
        let files = match &format.records {
            _ if path.is_dir() => format.files_in(path)?,
            Some(_) if !pickles::is_pickle(path)? => Files::Records(vec![path.to_owned()]),
            _ => Files::Pickles(vec![path.to_owned()]),
        };
        let source = match (files, &format.records) {
            (Files::Records(files), Some(records)) => {
                let open = |file| RecordFile::open(file, format, records);
                Source::Records(format, records, files.into_iter().map(open).collect::<Result<_>>()?)
            }
            (Files::Records(files) | Files::Pickles(files), _) => {
                let mut images = Vec::new();
                files.iter().try_for_each(|file| pickles::read(file, format, &mut images))?;
                Source::Memory(format, images)
            }
        };
        let data = Dataset { path: path.to_owned(), source };
        match data.len() {
            0 => Err(Error::data(path, format!("has no images of {}", format.label))),
            _ => Ok(data),
        }
    }

    /// Number of images, at least 1.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data_batch_1.bin");
    /// # std::fs::write(&path, vec![0; 2 * 3073]).unwrap();
    /// assert_eq!(naswot::Dataset::cifar10(&path)?.len(), 2);
    /// # Ok::<(), naswot::Error>(())
    /// ```
    #[expect(clippy::len_without_is_empty, reason = "no data set is empty")]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Records(_, _, files) => files.iter().map(|file| file.records as usize).sum(),
            Source::Memory(format, images) => images.len() / format.pixels(),
            #[cfg(feature = "images")]
            Source::Folder(images) => images.len(),
        }
    }

    /// The first n images in the order of the files.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data_batch_1.bin");
    /// # std::fs::write(&path, vec![0; 2 * 3073]).unwrap();
    /// let data = naswot::Dataset::cifar10(&path)?;
    /// assert_eq!(data.first(1)?.len(), 1);
    /// assert!(data.first(3).is_err());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] for no images, more than there are, or a label that the data set does not have;
    /// [`Error::Io`] where reading fails.
    pub fn first(&self, n: usize) -> Result<Batch> {
        self.check(n)?;
        self.read(0..n)
    }

    /// Images drawn without replacement, in the order drawn.
    ///
    /// ```
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("data_batch_1.bin");
    /// # std::fs::write(&path, vec![0; 2 * 3073]).unwrap();
    /// let data = naswot::Dataset::cifar10(&path)?;
    /// assert_eq!(data.sample(2, 7)?.data(), data.sample(2, 7)?.data());
    /// # Ok::<(), naswot::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::first`].
    pub fn sample(&self, n: usize, seed: u64) -> Result<Batch> {
        self.check(n)?;
        let total = u32::try_from(self.len())
            .map_err(|_| Error::data(&self.path, "2^32 images or more cannot be drawn from"))?;
        self.read(draw(total, n, seed))
    }

    fn check(&self, n: usize) -> Result<()> {
        too_few(self.len(), n).map_or(Ok(()), |message| Err(Error::data(&self.path, message)))
    }

    /// Reads the images at some positions, which are below [`Dataset::len`].
    fn read(&self, positions: impl IntoIterator<Item = usize, IntoIter: ExactSizeIterator>) -> Result<Batch> {
        let positions = positions.into_iter();
        let room_for = |pixels: usize| {
            room(positions.len() * pixels).map_err(|message| Error::data(&self.path, message))
        };
        let mut data;
        let (label, side, conversion) = match &self.source {
            Source::Memory(format, images) => {
                let tables = format.normalization.tables();
                data = room_for(format.pixels())?;
                for position in positions {
                    let image = &images[position * format.pixels()..][..format.pixels()];
                    format.normalize(image, &tables, &mut data);
                }
                (format.label, format.side, None)
            }
            Source::Records(format, records, files) => {
                let tables = format.normalization.tables();
                data = room_for(format.pixels())?;
                let mut opened: Vec<Option<File>> = files.iter().map(|_| None).collect();
                let mut record = vec![0; records.classes.len() + format.pixels()];
                for position in positions {
                    let (mut file, mut position) = (0, position);
                    while position >= files[file].records as usize {
                        position -= files[file].records as usize;
                        file += 1;
                    }
                    files[file].read_record(&mut opened[file], position, &mut record)?;
                    let image = records.image(&record).map_err(|message| {
                        Error::data(&files[file].path, format!("record {position} (from 0) {message}"))
                    })?;
                    format.normalize(image, &tables, &mut data);
                }
                (format.label, format.side, None)
            }
            #[cfg(feature = "images")]
            Source::Folder(images) => {
                data = room_for(CHANNELS * images.size().pow(2))?;
                let conversion = images.read(positions.collect(), &mut data)?;
                ("images", images.size(), conversion)
            }
        };
        let shape = [data.len() / (CHANNELS * side * side), CHANNELS, side, side];
        Batch::converted(label, shape, data, conversion).map_err(|message| Error::data(&self.path, message))
    }
}

impl RecordFile {
    fn open(path: PathBuf, format: &Format, records: &Records) -> Result<Self> {
        let size = fs::metadata(&path).map_err(|error| Error::io(&path, error))?.len();
        let records = records.count(format, size).map_err(|message| Error::data(&path, message))?;
        Ok(RecordFile { path, records })
    }

    /// Fills `record` with the one at a position, opening the file when it is not open yet.
    fn read_record(&self, file: &mut Option<File>, position: usize, record: &mut [u8]) -> Result<()> {
        let mut read = || {
            let file = match file {
                Some(file) => file,
                None => file.insert(File::open(&self.path)?),
            };
            file.seek(SeekFrom::Start(position as u64 * record.len() as u64))?;
            file.read_exact(record)
        };
        read().map_err(|error| Error::io(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::data::normalization::Normalization;

    const SIDE: usize = 32;
    const PIXELS: usize = 3 * SIDE * SIDE;

    /// Records whose pixels all are the record's number.
    fn records(labels: &[u8], numbers: std::ops::Range<u8>) -> Vec<u8> {
        numbers.flat_map(|number| [labels.to_vec(), vec![number; PIXELS]].concat()).collect()
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
        let folder = tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    /// The number of each image, back from its first pixel.
    fn numbers(batch: &Batch) -> Vec<usize> {
        let table = Normalization::CIFAR10.tables()[0];
        let number = |image: &[f32]| table.iter().position(|&value| value == image[0]).unwrap();
        batch.data().chunks(PIXELS).map(number).collect()
    }

    fn message<T: std::fmt::Debug>(result: Result<T>, folder: &TempDir) -> String {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Data { .. } | Error::Io { .. }));
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn planes_are_normalised_by_their_own_channel() {
        let mut record = records(&[19, 99], 0..1);
        record[2 + SIDE * SIDE] = 255;
        record[2 + 3 * SIDE * SIDE - 1] = 128;
        let folder = folder(&[("a.bin", record)]);
        let batch = Dataset::cifar100(folder.path().join("a.bin")).unwrap().first(1).unwrap();
        let tables = Normalization::CIFAR100.tables();
        assert_eq!(batch.data()[0], tables[0][0]);
        assert_eq!(batch.data()[SIDE * SIDE], tables[1][255]);
        assert_eq!(batch.data()[PIXELS - 1], tables[2][128]);
    }

    #[test]
    fn the_official_folder_is_read_in_order_from_inside_and_outside() {
        let names: Vec<String> =
            (1..=5).map(|i| format!("cifar-10-batches-bin/data_batch_{i}.bin")).collect();
        let files: Vec<_> =
            (0..5).map(|i| (names[i].as_str(), records(&[9], 2 * i as u8..2 * i as u8 + 2))).collect();
        let folder = folder(&files);
        for path in [folder.path().to_owned(), folder.path().join("cifar-10-batches-bin")] {
            let data = Dataset::cifar10(path).unwrap();
            assert_eq!(data.len(), 10);
            assert_eq!(numbers(&data.first(10).unwrap()), (0..10).collect::<Vec<_>>());
            let drawn = numbers(&data.sample(10, 1).unwrap());
            assert!(drawn.starts_with(&numbers(&data.sample(4, 1).unwrap())));
            assert_eq!(drawn, draw(10, 10, 1));
        }
    }

    #[test]
    fn folders_without_the_training_split_are_named() {
        let folder = folder(&[("test_batch.bin", vec![0; 3073]), ("part/data_batch_1.bin", vec![0; 3073])]);
        let error = Dataset::cifar10(folder.path()).unwrap_err().to_string();
        let all = "does not hold data_batch_1.bin or cifar-10-batches-bin/data_batch_1.bin, nor data_batch_1 or \
                   cifar-10-batches-py/data_batch_1";
        assert_eq!(error, format!("{}: {all}", folder.path().display()));
        let part = message(Dataset::cifar10(folder.path().join("part")), &folder);
        assert!(part.starts_with("part/data_batch_2.bin: "), "{part}");
    }

    #[test]
    fn files_that_are_not_whole_records_are_named() {
        let folder = folder(&[("empty", vec![]), ("cut", vec![0; 3073 + 3072]), ("ten", vec![0; 3073])]);
        let open = |name| message(Dataset::cifar10(folder.path().join(name)), &folder);
        assert_eq!(open("empty"), "empty: is empty");
        assert_eq!(
            open("cut"),
            "cut: is 6145 bytes, which are not whole cifar10 records of 3073 bytes: \
             it is cut off or another kind of file"
        );
        assert!(open("none").starts_with("none: "));
        let hundred = message(Dataset::cifar100(folder.path().join("ten")), &folder);
        assert_eq!(
            hundred,
            "ten: is 3073 bytes, which are not whole cifar100 records of 3074 bytes: \
             it may be of cifar10, whose records have 3073"
        );
    }

    #[test]
    fn labels_and_numbers_of_images_are_checked() {
        let mut bytes = records(&[0], 0..4);
        bytes[3 * 3073] = 10;
        let folder = folder(&[("a.bin", bytes), ("b.bin", records(&[19, 100], 0..1))]);
        let data = Dataset::cifar10(folder.path().join("a.bin")).unwrap();
        assert_eq!(data.first(3).unwrap().len(), 3);
        assert_eq!(
            message(data.first(4), &folder),
            "a.bin: record 3 (from 0) has label 10, not one of 10 classes"
        );
        assert_eq!(message(data.first(5), &folder), "a.bin: 5 images were asked for, and there are 4");
        assert_eq!(message(data.sample(0, 0), &folder), "a.bin: no images were asked for");
        let data = Dataset::cifar100(folder.path().join("b.bin")).unwrap();
        assert!(message(data.first(1), &folder).contains("label 100, not one of 100 classes"));
    }
}
