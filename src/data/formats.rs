//! Storage formats of data sets: CIFAR-10 and CIFAR-100 (Krizhevsky, 2009) as binary records, one label byte or two and
//! then the pixels as red, green and blue planes, or as pickles for Python; ImageNet16-120 (Chrabaszcz, Loshchilov and
//! Hutter, 2017; the 120 classes of NAS-Bench-201) as pickles.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::normalization::Normalization;
use crate::{Error, Result};

/// Color channels.
pub(super) const CHANNELS: usize = 3;

/// The storage format of a data set.
#[derive(Debug)]
pub(super) struct Format {
    pub(super) label: &'static str,
    /// Height and width of an image.
    pub(super) side: usize,
    pub(super) normalization: Normalization,
    /// The binary version, where there is one.
    pub(super) records: Option<Records>,
    pub(super) pickles: Pickles,
}

/// Files of records.
#[derive(Debug)]
pub(super) struct Records {
    /// Classes of each label byte.
    pub(super) classes: &'static [u8],
    pub(super) split: Split,
}

/// Files of pickles: dictionaries with `data`, one row of bytes an image, and a list of labels.
#[derive(Debug)]
pub(super) struct Pickles {
    /// Key of the labels.
    pub(super) labels: &'static str,
    /// Labels that there may be.
    pub(super) classes: RangeInclusive<i64>,
    /// Labels of the images that are taken.
    pub(super) taken: RangeInclusive<i64>,
    pub(super) split: Split,
}

/// Files of the training split, in order, and the folder that they are in.
#[derive(Debug)]
pub(super) struct Split {
    folder: &'static str,
    files: &'static [&'static str],
}

pub(super) const CIFAR10: Format = Format {
    label: Normalization::CIFAR10.name(),
    side: 32,
    normalization: Normalization::CIFAR10,
    records: Some(Records {
        classes: &[10],
        split: Split {
            folder: "cifar-10-batches-bin",
            files: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
        },
    }),
    pickles: Pickles {
        labels: "labels",
        classes: 0..=9,
        taken: 0..=9,
        split: Split {
            folder: "cifar-10-batches-py",
            files: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        },
    },
};

pub(super) const CIFAR100: Format = Format {
    label: Normalization::CIFAR100.name(),
    side: 32,
    normalization: Normalization::CIFAR100,
    records: Some(Records {
        classes: &[20, 100],
        split: Split { folder: "cifar-100-binary", files: &["train.bin"] },
    }),
    pickles: Pickles {
        labels: "fine_labels",
        classes: 0..=99,
        taken: 0..=99,
        split: Split { folder: "cifar-100-python", files: &["train"] },
    },
};

pub(super) const IMAGENET16: Format = Format {
    label: Normalization::IMAGENET16.name(),
    side: 16,
    normalization: Normalization::IMAGENET16,
    records: None,
    pickles: Pickles {
        labels: "labels",
        // They count from 1; NAS-Bench-201 takes the first 120.
        classes: 1..=1000,
        taken: 1..=120,
        split: Split {
            folder: "ImageNet16",
            files: &[
                "train_data_batch_1",
                "train_data_batch_2",
                "train_data_batch_3",
                "train_data_batch_4",
                "train_data_batch_5",
                "train_data_batch_6",
                "train_data_batch_7",
                "train_data_batch_8",
                "train_data_batch_9",
                "train_data_batch_10",
            ],
        },
    },
};

impl Format {
    /// Bytes of an image.
    pub(super) fn pixels(&self) -> usize {
        CHANNELS * self.side * self.side
    }

    /// Appends the normalized pixels of an image.
    pub(super) fn normalize(&self, image: &[u8], tables: &[[f32; 256]; 3], data: &mut Vec<f32>) {
        Normalization::apply(image, self.side * self.side, tables, data);
    }

    /// The first form whose files are in a folder, or in the official folder within it.
    pub(super) fn files_in(&self, folder: &Path) -> Result<Files> {
        if let Some(files) = self.records.as_ref().and_then(|records| records.split.find(folder)) {
            return Ok(Files::Records(files));
        }
        if let Some(files) = self.pickles.split.find(folder) {
            return Ok(Files::Pickles(files));
        }
        let splits = self.records.iter().map(|records| &records.split).chain([&self.pickles.split]);
        let names: Vec<String> =
            splits.map(|split| format!("{0} or {1}/{0}", split.files[0], split.folder)).collect();
        Err(Error::data(folder, format!("does not hold {}", names.join(", nor "))))
    }
}

/// Files of one form.
pub(super) enum Files {
    Records(Vec<PathBuf>),
    Pickles(Vec<PathBuf>),
}

impl Split {
    fn find(&self, folder: &Path) -> Option<Vec<PathBuf>> {
        let inner = folder.join(self.folder);
        let found = [folder, &inner].into_iter().find(|folder| folder.join(self.files[0]).is_file())?;
        Some(self.files.iter().map(|file| found.join(file)).collect())
    }
}

impl Records {
    /// Bytes of a record.
    fn bytes(&self, format: &Format) -> u64 {
        (self.classes.len() + format.pixels()) as u64
    }

    /// Records of a file of so many bytes, at least one; the error says why they are not whole.
    pub(super) fn count(&self, format: &Format, size: u64) -> Result<u32, String> {
        let (label, record) = (format.label, self.bytes(format));
        match size {
            0 => Err("is empty".to_owned()),
            _ if !size.is_multiple_of(record) => {
                let others = [&CIFAR10, &CIFAR100].into_iter().filter(|other| other.label != label);
                let mut sizes =
                    others.filter_map(|other| Some((other.label, other.records.as_ref()?.bytes(other))));
                let kind = match sizes.find(|(_, bytes)| size.is_multiple_of(*bytes)) {
                    Some((other, bytes)) => format!("it may be of {other}, whose records have {bytes}"),
                    None => "it is cut off or another kind of file".to_owned(),
                };
                Err(format!("is {size} bytes, which are not whole {label} records of {record} bytes: {kind}"))
            }
            _ => u32::try_from(size / record).map_err(|_| format!("is {size} bytes, too many for {label}")),
        }
    }

    /// The pixels of a record; the error says which label cannot be.
    pub(super) fn image<'a>(&self, record: &'a [u8]) -> Result<&'a [u8], String> {
        let (labels, pixels) = record.split_at(self.classes.len());
        match labels.iter().zip(self.classes).find(|(label, classes)| label >= classes) {
            Some((label, classes)) => Err(format!("has label {label}, not one of {classes} classes")),
            None => Ok(pixels),
        }
    }
}
