//! Inputs that a parser must survive.

use proptest::prelude::*;

/// Cases of each parser's test.
pub(crate) const CASES: u32 = 100_000;

/// Random bytes, or a well-formed file with a few bytes overwritten, inserted, removed or cut off.
pub(crate) fn damaged(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (0..4u8, any::<prop::sample::Index>(), any::<u8>());
    let edited =
        (prop::sample::select(files), prop::collection::vec(edit, 1..6)).prop_map(|(mut file, edits)| {
            for (kind, place, byte) in edits {
                let place = place.index(file.len() + 1);
                match kind {
                    0 if place < file.len() => file[place] = byte,
                    1 => file.insert(place, byte),
                    2 if place < file.len() => drop(file.remove(place)),
                    _ => file.truncate(place),
                }
            }
            file
        });
    prop_oneof![9 => edited, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}
