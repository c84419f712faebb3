//! The cells of the space by their hashes. A hash does not tell its cell, so the whole space is hashed when one is first
//! looked for; the cache keeps that for the next run.

use std::path::Path;
use std::sync::OnceLock;
use std::thread;

use super::{COUNT, Cell, all};
use crate::cache;

/// The table's name in the cache: the hashes of [`all`], in its order, 16 bytes each.
const NAME: &str = "nasbench101.hashes";

/// The hash and the cell of each class, by hash: from the cache where that has them.
static BY_HASH: OnceLock<Vec<(u128, Cell)>> = OnceLock::new();
/// The same, made here, for when the cache was wrong.
static MADE: OnceLock<Vec<(u128, Cell)>> = OnceLock::new();

impl Cell {
    /// The cell of the space that has a hash, given as 32 hexadecimal digits.
    pub(super) fn of_hash(hash: &str) -> Option<Self> {
        let hash = u128::from_str_radix(hash, 16).ok()?;
        let known = BY_HASH.get_or_init(|| by_hash(&hashes(cache::folder().as_deref())));
        match find(known, hash) {
            Some(cell) if cell.hash_number() != hash => find(MADE.get_or_init(|| by_hash(&make())), hash),
            found => found,
        }
    }

    /// The hash as a number.
    fn hash_number(&self) -> u128 {
        let hash = self.hash();
        u128::from_str_radix(&hash, 16).unwrap_or_else(|_| unreachable!("{hash} has 32 hexadecimal digits"))
    }
}

fn by_hash(hashes: &[u128]) -> Vec<(u128, Cell)> {
    let mut by_hash: Vec<(u128, Cell)> = hashes.iter().copied().zip(all()).collect();
    by_hash.sort_unstable_by_key(|&(hash, _)| hash);
    by_hash
}

fn find(by_hash: &[(u128, Cell)], hash: u128) -> Option<Cell> {
    let place = by_hash.binary_search_by_key(&hash, |&(hash, _)| hash).ok()?;
    Some(by_hash[place].1)
}

/// The hash of every cell, in the order of enumeration: from a folder that has them, else made and kept there.
fn hashes(folder: Option<&Path>) -> Vec<u128> {
    let kept = folder.and_then(|folder| cache::read(folder, NAME));
    if let Some(kept) = kept.filter(|kept| kept.len() == 16 * COUNT) {
        let (hashes, _) = kept.as_chunks::<16>();
        return hashes.iter().map(|&hash| u128::from_be_bytes(hash)).collect();
    }
    let hashes = make();
    if let Some(folder) = folder {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.to_be_bytes()).collect();
        cache::write(folder, NAME, &bytes);
    }
    hashes
}

/// Hashes the space on all cores. Threads of rayon would take up other work while they wait, which may need the hashes.
fn make() -> Vec<u128> {
    let cells: Vec<Cell> = all().collect();
    let share = cells.len().div_ceil(thread::available_parallelism().map_or(1, usize::from));
    let hash = |cells: &[Cell]| cells.iter().map(Cell::hash_number).collect::<Vec<_>>();
    thread::scope(|scope| {
        let start =
            |cells| thread::Builder::new().spawn_scoped(scope, move || hash(cells)).map_err(|_| cells);
        let threads: Vec<_> = cells.chunks(share).map(start).collect();
        let hashed = threads.into_iter().map(|thread| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // No thread more can be started.
            Err(cells) => hash(cells),
        });
        hashed.flatten().collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_kept_and_what_is_damaged_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let made = hashes(Some(folder.path()));
        assert_eq!(made.len(), COUNT);
        assert!(all().zip(&made).step_by(9973).all(|(cell, &hash)| cell.hash_number() == hash));
        let file = folder.path().join(NAME);
        let kept = std::fs::read(&file).unwrap();
        assert_eq!(hashes(Some(folder.path())), made);
        std::fs::write(&file, &kept[..kept.len() - 1]).unwrap();
        assert_eq!(hashes(Some(folder.path())), made);
        assert_eq!(std::fs::read(&file).unwrap(), kept);
        let by_hash = by_hash(&made);
        assert_eq!(find(&by_hash, made[7]), all().nth(7));
        assert_eq!(find(&by_hash, 5), None);
    }
}
