//! NAS-Bench-101 as a search space among others.

use serde::Serialize;

use super::notation::{has_form, is_hash, read, read_object};
use super::{COUNT, Cell, NAME, Skeleton, all, sample};
use crate::space::definition::Definition;
use crate::space::skeleton::SkeletonSettings;
use crate::space::value::{Object, Value};
use crate::{Network, Result};

/// A cell as [`Cell::new`] takes it.
#[derive(Serialize)]
pub(crate) struct Line {
    adjacency: Vec<Vec<u8>>,
    ops: Vec<&'static str>,
}

impl Definition for Cell {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "NAS-Bench-101";
    const ALIASES: &'static [&'static str] = &["nb101"];
    const COUNT: Option<usize> = Some(COUNT);
    const HASHED: bool = true;

    type Line = Line;
    type Skeleton = Skeleton;

    fn line(&self) -> Line {
        Line { adjacency: self.adjacency(), ops: self.op_names() }
    }

    fn from_object(object: &Object) -> Result<Self> {
        read_object(object)
    }

    fn from_value(value: &Value) -> Result<Self> {
        read(value)
    }

    fn has_form(value: &Value) -> bool {
        has_form(value)
    }

    /// A hash is the id itself; which cell it is of does not matter.
    fn name_in_rows(value: &Value) -> Option<String> {
        match value {
            Value::Text(word) if is_hash(word) => Some(word.to_ascii_lowercase()),
            value => read(value).ok().map(|cell| cell.to_string()),
        }
    }

    fn id(&self) -> String {
        self.hash()
    }

    fn all() -> Option<Box<dyn Iterator<Item = Self> + Send>> {
        Some(Box::new(all()))
    }

    fn sample(n: usize, seed: u64) -> Result<Vec<Self>> {
        sample(n, seed)
    }

    fn mutate(&self, seed: u64) -> Option<Self> {
        self.mutate(seed)
    }

    fn network(&self, skeleton: &Skeleton) -> Result<Network> {
        self.network(skeleton)
    }

    fn skeleton(settings: &SkeletonSettings) -> Skeleton {
        let default = Skeleton::default();
        Skeleton {
            stem: settings.stem.unwrap_or(default.stem),
            cells: settings.cells.unwrap_or(default.cells),
            ..default
        }
    }

    fn size_divisor(skeleton: &Skeleton) -> usize {
        // A pool halves the images before each stack but the first.
        1 << (skeleton.stacks - 1)
    }

    fn settings(skeleton: &Skeleton) -> SkeletonSettings {
        SkeletonSettings { stem: Some(skeleton.stem), cells: Some(skeleton.cells) }
    }
}
