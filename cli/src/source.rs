//! Sources of images, and the texts that name them: `synthetic`, `cifar10:PATH` and the like.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap_lex::OsStrExt;
use naswot::{Batch, Dataset, Normalization};

use crate::exit::{Failure, Result};

/// Number of images in a batch by default.
pub const BATCH_SIZE: usize = 32;

/// A source of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Made from a seed.
    Synthetic,
    /// A file of CIFAR-10, or the folder of its training split.
    Cifar10(PathBuf),
    /// A file of CIFAR-100, or the folder of its training split.
    Cifar100(PathBuf),
    /// A pickle of ImageNet16-120, or the folder of them.
    ImageNet16(PathBuf),
    /// A NumPy file, N x 3 x H x W.
    Npy(PathBuf),
    /// A folder of PNG and JPEG files, or of such folders.
    Images(PathBuf),
}

/// How pixels become images; what is not asked for is by the source.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preprocessing {
    /// Mean and deviation, of a NumPy file's pixels and of images.
    pub normalization: Option<Normalization>,
    /// Height and width to which images are resized.
    pub size: Option<usize>,
}

/// Makes a source of a path.
type OfPath = fn(PathBuf) -> Source;

/// The sources that are read from a path, and their names.
const OF_PATHS: [(&str, OfPath); 5] = [
    ("cifar10", Source::Cifar10),
    ("cifar100", Source::Cifar100),
    ("imagenet16", Source::ImageNet16),
    ("images", Source::Images),
    ("npy", Source::Npy),
];

/// Parses the source of images, whose path need be no UTF-8.
pub(crate) fn source() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().try_map(|text| Source::of_text(&text))
}

impl Source {
    fn of_text(text: &OsStr) -> Result<Self, String> {
        let known =
            "known are synthetic, cifar10:PATH, cifar100:PATH, imagenet16:PATH, images:DIR and npy:FILE";
        if text == "synthetic" {
            return Ok(Source::Synthetic);
        }
        let (name, path) = text.split_once(":").map_or((text, None), |(name, path)| (name, Some(path)));
        let Some((_, of_path)) = OF_PATHS.iter().find(|(known, _)| name == *known) else {
            return Err(known.to_owned());
        };
        match path {
            None => Err(format!("where is it? {known}")),
            Some(path) if path.is_empty() => Err(format!("the path is empty; {known}")),
            Some(path) => Ok(of_path(path.into())),
        }
    }
}

impl Source {
    /// The file or the folder that the images are read from.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::Synthetic => None,
            Source::Cifar10(path)
            | Source::Cifar100(path)
            | Source::ImageNet16(path)
            | Source::Npy(path)
            | Source::Images(path) => Some(path),
        }
    }

    /// Reads or makes so many images, the first ones or those that a seed draws.
    pub fn batch(
        &self,
        preprocessing: Preprocessing,
        batch_size: Option<usize>,
        data_seed: Option<u64>,
    ) -> Result<Batch> {
        let n = batch_size.unwrap_or(BATCH_SIZE);
        let pick = |data: Dataset| match data_seed {
            Some(seed) => data.sample(n, seed),
            None => data.first(n),
        };
        let Preprocessing { normalization, size } = preprocessing;
        if let (Some(normalization), false) =
            (normalization, matches!(self, Source::Npy(_) | Source::Images(_)))
        {
            let message =
                "is for the pixels of npy:FILE and images:DIR; other images are normalized by themselves";
            return Err(Failure::unusable(format_args!("--normalize {}: {message}", normalization.name())));
        }
        if let (Some(size), false) = (size, matches!(self, Source::Images(_))) {
            let message = "is for images:DIR; the images of other data have their own size";
            return Err(Failure::unusable(format_args!("--image-size {size}: {message}")));
        }
        Ok(match self {
            Source::Synthetic => Batch::synthetic(n, data_seed.unwrap_or(0))?,
            Source::Cifar10(path) => pick(Dataset::cifar10(path)?)?,
            Source::Cifar100(path) => pick(Dataset::cifar100(path)?)?,
            Source::ImageNet16(path) => pick(Dataset::imagenet16(path)?)?,
            Source::Images(path) => {
                let Some(size) = size else {
                    let message = "how large? Give their height and width, such as --image-size 32";
                    return Err(Failure::unusable(format_args!("{self}: {message}")));
                };
                pick(folder(path, size, normalization)?)?
            }
            Source::Npy(path) => {
                let named = |error| Failure::unusable(format_args!("{}: {error}", path.display()));
                let batch = Batch::npy_color(path, normalization)?;
                let n = batch_size.unwrap_or(batch.len());
                let drawn = match data_seed {
                    Some(seed) => batch.sample(n, seed),
                    None => batch.first(n),
                };
                drawn.map_err(named)?
            }
        })
    }
}

/// Opens a folder of images, which are normalized as ImageNet's unless others are asked for.
#[cfg(feature = "images")]
fn folder(path: &Path, size: usize, normalization: Option<Normalization>) -> Result<Dataset> {
    Ok(Dataset::images(path, size, normalization.unwrap_or(Normalization::IMAGENET))?)
}

#[cfg(not(feature = "images"))]
fn folder(path: &Path, _: usize, _: Option<Normalization>) -> Result<Dataset> {
    let message = "this naswot is built without images; `cargo install` it with --features images";
    Err(Failure::unusable(format_args!("{}: {message}", path.display())))
}

impl fmt::Display for Source {
    /// Writes it as the option `--data` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = match self {
            Source::Synthetic => return f.write_str("synthetic"),
            Source::Cifar10(path) => ("cifar10", path),
            Source::Cifar100(path) => ("cifar100", path),
            Source::ImageNet16(path) => ("imagenet16", path),
            Source::Images(path) => ("images", path),
            Source::Npy(path) => ("npy", path),
        };
        write!(f, "{name}:{}", path.display())
    }
}
