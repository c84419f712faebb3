//! The interface between a search space and the table of spaces.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::skeleton::SkeletonSettings;
use super::value::{Object, Value};
use crate::{Error, Network, Result};

/// A search space, defined by the type of its architectures.
///
/// `Display` writes the column `arch` of rows, one word that is the whole architecture, and `FromStr` reads it.
pub(crate) trait Definition: Clone + fmt::Display + FromStr<Err = Error> + 'static {
    /// The space's name in architecture files, rows and options.
    const NAME: &'static str;
    /// The space's name in literature.
    const TITLE: &'static str;
    /// Number of architectures; none where there is no end of them.
    const COUNT: Option<usize>;
    /// Further names that people give the space, in small letters and without signs.
    const ALIASES: &'static [&'static str];
    /// Whether the benchmark knows its architectures by a hash, which is their [`id`](Definition::id).
    const HASHED: bool = false;

    /// The keys of a line of an architecture file beside `space`.
    type Line: Serialize;
    /// The skeleton of the space's networks, around the cells.
    type Skeleton: Default;

    /// The architecture as a line.
    fn line(&self) -> Self::Line;

    /// Reads a line, in any spelling: the keys are those of [`Line`](Definition::Line), or those of other tools.
    fn from_object(object: &Object) -> Result<Self>;

    /// Reads an architecture in any notation that it has.
    fn from_value(value: &Value) -> Result<Self>;

    /// Whether a value has the form of some notation of the space, rather than that of another space or of the name of a file.
    fn has_form(value: &Value) -> bool;

    /// The column `id` or `arch` of the architecture's row that a value tells, if it is one.
    fn name_in_rows(value: &Value) -> Option<String> {
        Self::from_value(value).ok().map(|architecture| architecture.to_string())
    }

    /// The id of its network: what the benchmark calls the architecture.
    fn id(&self) -> String {
        self.to_string()
    }

    /// Every architecture once, made one by one; none where they are too many to go through.
    fn all() -> Option<Box<dyn Iterator<Item = Self> + Send>>;

    /// `n` different architectures, drawn uniformly; a smaller sample is the start of a larger one.
    fn sample(n: usize, seed: u64) -> Result<Vec<Self>>;

    /// Reads an architecture where a list names those of the space, and so nothing else can be meant.
    fn from_listed(value: &Value) -> Result<Self> {
        Self::from_value(value)
    }

    /// A random neighbor; none where there is none.
    fn mutate(&self, seed: u64) -> Option<Self>;

    /// The first architecture of the enumeration that computes the same expression; none where the space does not tell.
    fn first_equal(&self) -> Option<Self> {
        None
    }

    /// The network for RGB images.
    fn network(&self, skeleton: &Self::Skeleton) -> Result<Network>;

    /// The network with some settings of its skeleton.
    fn network_with(&self, settings: &SkeletonSettings) -> Result<Network> {
        self.network(&Self::skeleton(settings))
    }

    /// A skeleton with some settings, the others being its defaults. Settings that it does not have are passed over.
    fn skeleton(settings: &SkeletonSettings) -> Self::Skeleton;

    /// The divisor of the heights and widths of images that a skeleton's networks take.
    fn size_divisor(skeleton: &Self::Skeleton) -> usize;

    /// The settings of a skeleton, none of which are those that it does not have.
    fn settings(skeleton: &Self::Skeleton) -> SkeletonSettings;
}
