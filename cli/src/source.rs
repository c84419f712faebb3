//! Sources of images, and the texts that name them: `synthetic`, `cifar10:PATH` and the like.

use std::fmt;
use std::path::PathBuf;
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
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = "known are synthetic, cifar10:PATH, cifar100:PATH, imagenet16:PATH and npy:FILE";
        let with_path = ["cifar10", "cifar100", "imagenet16", "npy"];
        match text.split_once(':') {
            None if text == "synthetic" => Ok(Source::Synthetic),
            None if with_path.contains(&text) => Err(format!("where is it? {known}")),
            Some((name, "")) if with_path.contains(&name) => Err(format!("the path is empty; {known}")),
            Some(("cifar10", path)) => Ok(Source::Cifar10(path.into())),
            Some(("cifar100", path)) => Ok(Source::Cifar100(path.into())),
            Some(("imagenet16", path)) => Ok(Source::ImageNet16(path.into())),
            Some(("npy", path)) => Ok(Source::Npy(path.into())),
            _ => Err(known.to_owned()),
        }
    }
}

impl Source {
    /// Reads or makes so many images, the first ones or those that a seed draws. A normalization is of the pixels of a NumPy
    /// file.
    pub fn batch(
        &self,
        normalization: Option<Normalization>,
        batch_size: Option<usize>,
        data_seed: Option<u64>,
    ) -> Result<Batch> {
        let n = batch_size.unwrap_or(BATCH_SIZE);
        let pick = |data: Dataset| match data_seed {
            Some(seed) => data.sample(n, seed),
            None => data.first(n),
        };
        if let (Some(normalization), false) = (normalization, matches!(self, Source::Npy(_))) {
            let message = "is for the pixels of npy:FILE; other images are normalized by themselves";
            return Err(Failure::unusable(format_args!("--normalize {}: {message}", normalization.name())));
        }
        Ok(match self {
            Source::Synthetic => Batch::synthetic(n, data_seed.unwrap_or(0))?,
            Source::Cifar10(path) => pick(Dataset::cifar10(path)?)?,
            Source::Cifar100(path) => pick(Dataset::cifar100(path)?)?,
            Source::ImageNet16(path) => pick(Dataset::imagenet16(path)?)?,
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

impl fmt::Display for Source {
    /// Writes it as the option `--data` has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, path) = match self {
            Source::Synthetic => return f.write_str("synthetic"),
            Source::Cifar10(path) => ("cifar10", path),
            Source::Cifar100(path) => ("cifar100", path),
            Source::ImageNet16(path) => ("imagenet16", path),
            Source::Npy(path) => ("npy", path),
        };
        write!(f, "{name}:{}", path.display())
    }
}
