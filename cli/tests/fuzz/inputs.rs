//! The inputs of a reader, by number: its seeds, and behind them damaged ones.

use std::path::Path;
use std::{fs, io};

use fastrand::Rng;

use super::mutator::damaged;

/// An odd number without pattern, 2^64 over the golden ratio, so that numbers in a row give seeds far apart.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

pub(crate) struct Inputs {
    seeds: Vec<Vec<u8>>,
    stream: u64,
}

impl Inputs {
    /// The inputs of a reader, of which the damaged ones are another stream for each number.
    pub(crate) fn of(target: &str, stream: u64) -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds").join(target);
        let entries = fs::read_dir(&folder).map_err(|error| {
            let message = format!("{}: {error}: each reader has seeds", folder.display());
            io::Error::new(error.kind(), message)
        })?;
        let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        files.sort();
        let seeds = files.iter().map(fs::read).collect::<io::Result<_>>()?;
        Ok(Inputs { seeds, stream })
    }

    /// Number of seeds, the first inputs.
    pub(crate) fn seeds(&self) -> u64 {
        self.seeds.len() as u64
    }

    /// The input of a number.
    pub(crate) fn get(&self, number: u64) -> Vec<u8> {
        let seed = usize::try_from(number).ok().and_then(|number| self.seeds.get(number));
        seed.cloned().unwrap_or_else(|| {
            let seed = self.stream.wrapping_mul(STEP).wrapping_add(number).wrapping_mul(STEP);
            damaged(&self.seeds, &mut Rng::with_seed(seed))
        })
    }
}
