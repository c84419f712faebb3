//! NAS-Bench-101 as a search space among others.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{COUNT, Cell, NAME, Skeleton, all, invalid, sample};
use crate::space::definition::Definition;
use crate::space::skeleton::SkeletonSettings;
use crate::{Network, Result};

/// A cell as [`Cell::new`] takes it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Line {
    adjacency: Vec<Vec<u8>>,
    ops: Vec<Cow<'static, str>>,
}

impl Definition for Cell {
    const NAME: &'static str = NAME;
    const TITLE: &'static str = "NAS-Bench-101";
    const COUNT: Option<usize> = Some(COUNT);
    const HASHED: bool = true;

    type Line = Line;
    type Skeleton = Skeleton;

    fn line(&self) -> Line {
        Line { adjacency: self.adjacency(), ops: self.op_names().into_iter().map(Cow::Borrowed).collect() }
    }

    fn from_line(Line { adjacency, ops }: Line) -> Result<Self> {
        Cell::new(&adjacency, &ops)
    }

    fn is_arch(word: &str) -> bool {
        word.contains('/') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/')
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

    /// A hash does not tell its cell: where there is one, the whole space is hashed.
    fn find(names: &[&str]) -> Vec<Result<Self>> {
        let hashes: HashSet<&str> = names.iter().copied().filter(|name| is_hash(name)).collect();
        let space: Vec<Cell> = if hashes.is_empty() { Vec::new() } else { all().collect() };
        let hashed = space.par_iter().map(|cell| (cell.hash(), *cell));
        let found: HashMap<String, Cell> =
            hashed.filter(|(hash, _)| hashes.contains(hash.as_str())).collect();
        let find = |&name: &&str| match found.get(name) {
            Some(cell) => Ok(*cell),
            None if hashes.contains(name) => {
                Err(invalid(format!("no cell of the space has the hash {name}")))
            }
            None => name.parse(),
        };
        names.iter().map(find).collect()
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

/// Whether a name has the form of an MD5 hash.
fn is_hash(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}
