//! Pixels of a slice whose bounds are checked once, not at every access.

use std::marker::PhantomData;

/// A block of `ROWS` x `COLUMNS` pixels, of `channels` elements each, inside a slice.
pub(crate) struct CheckedPixels<'a, T, const ROWS: usize, const COLUMNS: usize> {
    first: *mut T,
    /// Elements from one row to the next, and from one pixel of a row to the next.
    row: usize,
    pitch: usize,
    channels: usize,
    elements: PhantomData<&'a mut [T]>,
}

impl<'a, T, const ROWS: usize, const COLUMNS: usize> CheckedPixels<'a, T, ROWS, COLUMNS> {
    /// The block whose first element is that of the slice.
    ///
    /// # Panics
    ///
    /// Panics when the slice is too short.
    #[inline(always)]
    pub(crate) fn new(elements: &'a mut [T], row: usize, pitch: usize, channels: usize) -> Self {
        assert!(elements.len() >= (ROWS - 1) * row + (COLUMNS - 1) * pitch + channels);
        CheckedPixels { first: elements.as_mut_ptr(), row, pitch, channels, elements: PhantomData }
    }

    /// One element.
    #[inline(always)]
    pub(crate) fn get(&mut self, row: usize, column: usize, channel: usize) -> &mut T {
        assert!(row < ROWS && column < COLUMNS && channel < self.channels);
        // SAFETY: `new` saw that the slice reaches to the last element of the last row, and this one lies before
        // it; the borrow of the block lends one element at a time.
        unsafe { &mut *self.first.add(row * self.row + column * self.pitch + channel) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_the_elements_of_their_slice() {
        // Rows of three pixels of two channels, five elements apart.
        let mut numbers: Vec<usize> = (0..40).collect();
        let mut pixels = CheckedPixels::<_, 2, 3>::new(&mut numbers[1..33], 20, 5, 2);
        assert_eq!((*pixels.get(0, 2, 1), *pixels.get(1, 0, 0)), (12, 21));
        *pixels.get(1, 2, 1) = 100;
        *pixels.get(0, 1, 0) = 200;
        assert_eq!((numbers[32], numbers[6]), (100, 200));
    }

    #[test]
    #[should_panic = "assertion failed"]
    fn a_slice_that_is_too_short_is_refused() {
        CheckedPixels::<_, 2, 3>::new(&mut [0; 31], 20, 5, 2);
    }

    #[test]
    #[should_panic = "assertion failed"]
    fn a_channel_outside_is_not_reached() {
        CheckedPixels::<_, 1, 3>::new(&mut [0; 12], 20, 5, 2).get(0, 0, 2);
    }
}
