//! Layouts of arrays: where in a file the numbers of an array stand.

use super::room;

/// The sizes of an array along its axes, and how far apart its neighbors are along each.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// Whether the numbers stand in C's order.
    ordered: bool,
}

impl Layout {
    /// The layout of a whole array, in C's order or in Fortran's, where the first index changes fastest.
    pub(super) fn new(shape: Vec<usize>, fortran: bool) -> Self {
        let mut strides = vec![0; shape.len()];
        let mut stride = 1usize;
        let mut set = |axis: usize| {
            strides[axis] = stride;
            stride = stride.saturating_mul(shape[axis]);
        };
        if fortran {
            (0..shape.len()).for_each(&mut set);
        } else {
            (0..shape.len()).rev().for_each(&mut set);
        }
        Layout { shape, strides, ordered: !fortran }
    }

    /// How many numbers there are; none for more than can be.
    pub(super) fn len(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size))
    }

    /// The layout of N x H x W x C as N x C x H x W.
    pub(super) fn channels_first(mut self) -> Self {
        assert_eq!(self.shape.len(), 4, "batches have four axes");
        self.shape[1..].rotate_right(1);
        self.strides[1..].rotate_right(1);
        self.ordered = false;
        self
    }

    /// The numbers in C's order; there are [`len`](Self::len) of them.
    pub(super) fn in_c_order<T: Copy>(&self, values: Vec<T>) -> Result<Vec<T>, String> {
        if self.ordered || values.is_empty() {
            return Ok(values);
        }
        let mut sorted = room(values.len())?;
        let (mut index, mut position) = (vec![0; self.shape.len()], 0);
        loop {
            sorted.push(values[position]);
            // As an odometer, the last axis fastest.
            let moved = (0..index.len()).rev().any(|axis| {
                index[axis] += 1;
                position += self.strides[axis];
                if index[axis] == self.shape[axis] {
                    position -= index[axis] * self.strides[axis];
                    index[axis] = 0;
                }
                index[axis] != 0
            });
            if !moved {
                return Ok(sorted);
            }
        }
    }
}

/// A shape as texts have it: `2 x 3 x 32 x 32`.
pub(super) fn sizes<T: ToString>(shape: &[T]) -> String {
    shape.iter().map(T::to_string).collect::<Vec<_>>().join(" x ")
}
