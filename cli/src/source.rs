//! Sources of images, and the texts that name them: `synthetic`, `cifar10:PATH` and the like.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

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

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known =
            "known are synthetic, cifar10:PATH, cifar100:PATH, imagenet16:PATH, images:DIR and npy:FILE";
        let with_path = ["cifar10", "cifar100", "imagenet16", "images", "npy"];
        match text.split_once(':') {
            None if text == "synthetic" => Ok(Source::Synthetic),
            None if with_path.contains(&text) => Err(format!("where is it? {known}")),
            Some((name, "")) if with_path.contains(&name) => Err(format!("the path is empty; {known}")),
            Some(("cifar10", path)) => Ok(Source::Cifar10(path.into())),
            Some(("cifar100", path)) => Ok(Source::Cifar100(path.into())),
            Some(("imagenet16", path)) => Ok(Source::ImageNet16(path.into())),
            Some(("images", path)) => Ok(Source::Images(path.into())),
            Some(("npy", path)) => Ok(Source::Npy(path.into())),
            _ => Err(known.to_owned()),
        }
    }
}

impl Source {
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
