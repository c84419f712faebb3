//! Memory of tensors: units, a unit being one channel of one pixel of a block of images.
//!
//! Units start on a cache line: an allocator leaves large ones 16 bytes behind it, and every second vector would lie
//! on two lines. And an arena asks for huge pages where the system gives them on demand: its tensors are read and
//! written in long runs, side by side, and a table of pages of 4 KiB does not reach over them.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use super::simd::Simd;
use crate::{Error, Result};

/// One channel of one pixel, for the images of a block: W vectors.
pub(super) type Unit<S, const W: usize> = [<S as Simd>::Lanes; W];

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Bytes from which on huge pages are asked for. They are of 2 MiB: smaller pieces have them together with others.
#[cfg(target_os = "linux")]
const LARGE: usize = 256 << 10;

/// The strictest alignment at which an allocator hands out fresh pages as they are, zero, without writing to them.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(16))]
struct Quarter([u8; LINE / 4]);

/// Units side by side.
pub(super) type Units<S, const W: usize> = Lines<Unit<S, W>>;

/// Elements that start on a cache line.
pub(super) struct Lines<T> {
    quarters: Box<[Quarter]>,
    /// The first that starts a cache line.
    first: usize,
    /// Elements that are in use.
    length: usize,
    element: PhantomData<T>,
}

impl<T> Default for Lines<T> {
    fn default() -> Self {
        Lines { quarters: Box::default(), first: 0, length: 0, element: PhantomData }
    }
}

impl<T: Pod> Lines<T> {
    /// Makes it so many elements, which hold anything. What grows at all grows to a power of two: pages that nobody
    /// touches cost nothing, where those of a new place must all be cleared again.
    pub(super) fn resize(&mut self, elements: usize) -> Result<()> {
        let bytes = elements * size_of::<T>();
        let had = (self.quarters.len() - self.first) * size_of::<Quarter>();
        if had < bytes {
            *self = Lines::default();
            let wanted = if had == 0 { bytes } else { bytes.checked_next_power_of_two().unwrap_or(bytes) };
            let quarters = (wanted.next_multiple_of(LINE) + LINE) / size_of::<Quarter>();
            self.quarters = bytemuck::try_zeroed_slice_box(quarters)
                .map_err(|()| Error::machine_memory(wanted as u64))?;
            self.first = self.quarters.as_ptr().align_offset(LINE);
            advise(bytemuck::must_cast_slice_mut(&mut self.quarters));
        }
        self.length = elements;
        Ok(())
    }

    pub(super) fn get(&self) -> &[T] {
        let bytes: &[u8] = bytemuck::must_cast_slice(&self.quarters[self.first..]);
        bytemuck::cast_slice(&bytes[..self.length * size_of::<T>()])
    }

    pub(super) fn get_mut(&mut self) -> &mut [T] {
        let bytes: &mut [u8] = bytemuck::must_cast_slice_mut(&mut self.quarters[self.first..]);
        bytemuck::cast_slice_mut(&mut bytes[..self.length * size_of::<T>()])
    }
}

/// Asks for huge pages, for memory that nobody wrote to yet.
#[cfg(target_os = "linux")]
pub(super) fn advise(bytes: &mut [u8]) {
    use rustix::mm::{Advice, madvise};
    use rustix::param::page_size;

    if bytes.len() < LARGE {
        return;
    }
    // Up to the ends of its first and last page: where neighbors are advised too, no page is left out between them.
    let before = bytes.as_ptr().addr() % page_size();
    let pages = bytes.as_mut_ptr().wrapping_sub(before);
    let whole = (before + bytes.len()).next_multiple_of(page_size());
    // SAFETY: this advice changes no contents, neither of the slice nor of what else lies on its first and last page,
    // all of which are mapped. A kernel that knows no huge pages refuses, and the usual ones serve.
    let _ = unsafe { madvise(pages.cast(), whole, Advice::LinuxHugepage) };
}

/// Elsewhere the system decides for itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn advise(_bytes: &mut [u8]) {}
