//! NAS-Bench-201 as a search space among others.

use serde::{Deserialize, Serialize};

use super::{COUNT, Cell, NAME, Skeleton, all, sample};
use crate::space::definition::Definition;
use crate::space::skeleton::SkeletonSettings;
use crate::{Network, Result};

/// A cell as an arch string.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    arch: String,
}

impl Definition for Cell {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "NAS-Bench-201";
    const COUNT: Option<usize> = Some(COUNT);

    type Line = Line;
    type Skeleton = Skeleton;

    fn line(&self) -> Line {
        Line { arch: self.to_string() }
    }

    fn from_line(line: Line) -> Result<Self> {
        line.arch.parse()
    }

    fn is_arch(word: &str) -> bool {
        word.starts_with('|')
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
