//! Windows of pixels whose bounds are checked once, not at every access.
//!
//! Winograd's transforms read and write some dozen pixels for each channel. Bounds of slices would be compared at
//! each of these accesses, and 36 slices do not fit into registers; a pointer for each row, and one pitch, do.

use std::marker::PhantomData;

/// `ROWS` x `COLUMNS` pixels of `channels` elements each.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a, T, const ROWS: usize, const COLUMNS: usize> {
    rows: [*const T; ROWS],
    /// Elements from one pixel of a row to the next.
    pitch: usize,
    channels: usize,
    elements: PhantomData<&'a [T]>,
}

impl<'a, T, const ROWS: usize, const COLUMNS: usize> Window<'a, T, ROWS, COLUMNS> {
    /// A window whose rows start with these slices.
    ///
    /// # Panics
    ///
    /// Panics when a slice is too short.
    #[inline(always)]
    pub(crate) fn new(rows: [&'a [T]; ROWS], pitch: usize, channels: usize) -> Self {
        rows.iter().for_each(|row| assert!(row.len() >= (COLUMNS - 1) * pitch + channels));
        Window { rows: rows.map(<[T]>::as_ptr), pitch, channels, elements: PhantomData }
    }

    /// One element.
    #[inline(always)]
    pub(crate) fn get(&self, row: usize, column: usize, channel: usize) -> &'a T {
        assert!(row < ROWS && column < COLUMNS && channel < self.channels);
        // SAFETY: `new` saw that each row holds (COLUMNS - 1) * pitch + channels elements, which live for 'a.
        unsafe { &*self.rows[row].add(column * self.pitch + channel) }
    }
}

/// The same to write.
pub(crate) struct WindowMut<'a, T, const ROWS: usize, const COLUMNS: usize> {
    first: *mut T,
    /// Elements from one row to the next.
    row: usize,
    pitch: usize,
    channels: usize,
    elements: PhantomData<&'a mut [T]>,
}

impl<'a, T, const ROWS: usize, const COLUMNS: usize> WindowMut<'a, T, ROWS, COLUMNS> {
    /// A window whose first element is that of the slice.
    ///
    /// # Panics
    ///
    /// Panics when the slice is too short.
    #[inline(always)]
    pub(crate) fn new(elements: &'a mut [T], row: usize, pitch: usize, channels: usize) -> Self {
        assert!(elements.len() >= (ROWS - 1) * row + (COLUMNS - 1) * pitch + channels);
        WindowMut { first: elements.as_mut_ptr(), row, pitch, channels, elements: PhantomData }
    }

    /// One element.
    #[inline(always)]
    pub(crate) fn get(&mut self, row: usize, column: usize, channel: usize) -> &mut T {
        assert!(row < ROWS && column < COLUMNS && channel < self.channels);
        // SAFETY: `new` saw that the slice reaches to the last element of the last row; the borrow of the window
        // lets one element be lent at a time.
        unsafe { &mut *self.first.add(row * self.row + column * self.pitch + channel) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_reads_and_writes_the_elements_of_its_slices() {
        let numbers: Vec<usize> = (0..40).collect();
        // Rows of three pixels of two channels, five elements apart.
        let window = Window::<_, 2, 3>::new([&numbers[1..13], &numbers[20..32]], 5, 2);
        assert_eq!((*window.get(0, 0, 0), *window.get(0, 2, 1), *window.get(1, 2, 1)), (1, 12, 31));
        let mut numbers = numbers;
        let mut window = WindowMut::<_, 2, 3>::new(&mut numbers[1..33], 20, 5, 2);
        *window.get(1, 2, 1) = 100;
        *window.get(0, 1, 0) = 200;
        assert_eq!((numbers[32], numbers[6]), (100, 200));
    }

    #[test]
    #[should_panic = "assertion failed"]
    fn a_slice_that_is_too_short_makes_no_window() {
        Window::<_, 1, 3>::new([&[0; 11]], 5, 2);
    }

    #[test]
    #[should_panic = "assertion failed"]
    fn a_channel_outside_is_not_read() {
        Window::<_, 1, 3>::new([&[0; 12]], 5, 2).get(0, 0, 2);
    }
}
