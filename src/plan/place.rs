//! Places of tensors in the arena: first fit, largest first, over [producing slot, last reading
//! slot]. A place is free again after its slot, never within it, since the jobs of a slot run at once.

use super::jobs::*;

/// Tensors start on so many octets.
const ALIGNMENT: usize = 16;

/// The life of a tensor: the first and the last slot, by position, in which it must keep its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) first: usize,
    pub(crate) last: usize,
}

impl Life {
    /// A life of one slot.
    pub(crate) fn at(slot: usize) -> Self {
        Life { first: slot, last: slot }
    }

    fn overlaps(self, other: Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Sets the offsets of all tensors but the image, and says how many octets the arena has.
pub(super) fn place(tensors: &mut [Tensor], lives: &[Option<Life>], images: usize) -> usize {
    // On GPUs an octet is two planes, each of an even number of pixels.
    let pixels = |tensor: &Tensor| (images * tensor.shape.pixels()).next_multiple_of(2);
    let size = |tensor: &Tensor| (tensor.pitch * pixels(tensor)).next_multiple_of(ALIGNMENT);
    let sizes: Vec<usize> = tensors.iter().map(size).collect();
    let (offsets, arena) = first_fit(&sizes, lives);
    tensors.iter_mut().zip(offsets).for_each(|(tensor, offset)| tensor.offset = offset);
    arena
}

/// Offsets of things of some sizes, so that none overlap which live at once, and the size of the whole; what does
/// not live is at 0.
pub(crate) fn first_fit(sizes: &[usize], lives: &[Option<Life>]) -> (Vec<usize>, usize) {
    let mut by_size: Vec<(usize, Life)> =
        lives.iter().enumerate().filter_map(|(id, life)| life.map(|life| (id, life))).collect();
    by_size.sort_by_key(|&(id, _)| (std::cmp::Reverse(sizes[id]), id));
    let mut offsets = vec![0; sizes.len()];
    let mut arena = 0;
    // Sorted by offset.
    let mut placed: Vec<Placed> = Vec::new();
    for (id, life) in by_size {
        let size = sizes[id];
        let mut offset = 0;
        // The first gap that is wide enough is the place.
        for other in placed.iter().filter(|other| other.life.overlaps(life)) {
            if offset + size <= other.start {
                break;
            }
            offset = offset.max(other.end);
        }
        offsets[id] = offset;
        arena = arena.max(offset + size);
        let position = placed.partition_point(|other| other.start <= offset);
        placed.insert(position, Placed { start: offset, end: offset + size, life });
    }
    (offsets, arena)
}

/// A tensor that has its place.
struct Placed {
    start: usize,
    end: usize,
    life: Life,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Shape;
    use proptest::prelude::*;

    fn tensor(channels: usize) -> Tensor {
        let shape = Shape { channels, height: 1, width: 1 };
        Tensor { shape, pitch: octets(channels), raw: false, offset: 0 }
    }

    #[test]
    fn a_place_is_used_again_after_its_slot_and_not_within_it() {
        let mut tensors = vec![tensor(128); 3];
        let lives = [0, 1, 2].map(|first| Some(Life { first, last: first + 1 }));
        assert_eq!(place(&mut tensors, &lives, 2), 64);
        assert_eq!(tensors[0].offset, tensors[2].offset);
    }

    proptest! {
        #[test]
        fn tensors_that_live_at_once_never_overlap(
            sizes in prop::collection::vec((1usize..400, 0usize..9, 0usize..5), 1..40)
        ) {
            let mut tensors: Vec<Tensor> = sizes.iter().map(|&(channels, ..)| tensor(channels)).collect();
            let lives: Vec<Option<Life>> =
                sizes.iter().map(|&(_, first, length)| Some(Life { first, last: first + length })).collect();
            let arena = place(&mut tensors, &lives, 3);
            for (i, a) in tensors.iter().enumerate() {
                prop_assert!(a.offset % ALIGNMENT == 0 && a.offset + 3 * a.image_octets() <= arena);
                for (j, b) in tensors.iter().enumerate().skip(i + 1) {
                    let apart = a.offset + 3 * a.image_octets() <= b.offset
                        || b.offset + 3 * b.image_octets() <= a.offset;
                    prop_assert!(apart || !lives[i].unwrap().overlaps(lives[j].unwrap()));
                }
            }
        }
    }
}
