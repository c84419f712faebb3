//! NAS-Bench-201 as a search space among others.

use serde::Serialize;

use super::notation::{has_form, read, read_listed, read_object};
use super::{COUNT, Cell, NAME, Skeleton, all, sample};
use crate::space::definition::Definition;
use crate::space::skeleton::SkeletonSettings;
use crate::space::value::{Object, Value};
use crate::{Network, Result};

/// A cell as an arch string.
#[derive(Serialize)]
pub(crate) struct Line {
    arch: String,
}

impl Definition for Cell {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "NAS-Bench-201";
    const ALIASES: &'static [&'static str] = &["nb201", "natsbenchtss", "natstss"];
    const COUNT: Option<usize> = Some(COUNT);

    type Line = Line;
    type Skeleton = Skeleton;

    fn line(&self) -> Line {
        Line { arch: self.to_string() }
    }

    fn from_object(object: &Object) -> Result<Self> {
        read_object(object)
    }

    fn from_value(value: &Value) -> Result<Self> {
        read(value)
    }

    fn from_listed(value: &Value) -> Result<Self> {
        read_listed(value)
    }

    fn has_form(value: &Value) -> bool {
        has_form(value)
    }

    fn all() -> Option<Box<dyn Iterator<Item = Self> + Send>> {
        Some(Box::new(all()))
    }

    fn sample(n: usize, seed: u64) -> Result<Vec<Self>> {
        sample(n, seed)
    }

    fn mutate(&self, seed: u64) -> Option<Self> {
        Some(self.mutate(seed))
    }

    fn first_equal(&self) -> Option<Self> {
        Some(self.first_equal())
    }

    fn network(&self, skeleton: &Skeleton) -> Result<Network> {
        self.network(skeleton)
    }

    fn skeleton(settings: &SkeletonSettings) -> Skeleton {
        let default = Skeleton::default();
        Skeleton {
            stem: settings.stem.unwrap_or(default.stem),
            cells: settings.cells.unwrap_or(default.cells),
        }
    }

    fn size_divisor(_skeleton: &Skeleton) -> usize {
        // Two reduction blocks halve the images.
        4
    }

    fn settings(skeleton: &Skeleton) -> SkeletonSettings {
        SkeletonSettings { stem: Some(skeleton.stem), cells: Some(skeleton.cells) }
    }
}
