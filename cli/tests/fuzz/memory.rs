//! The memory of a process that reads inputs.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that may be in use: the limit of an input, beside which the rest does not count.
const MOST: usize = 1 << 30;

/// The system's allocator, on a machine that has so much memory and no more: who needs more is aborted, unless it asks whether it
/// can have it.
pub(crate) struct Limited;

static USED: AtomicUsize = AtomicUsize::new(0);

/// Takes some bytes into account; whether there are so many.
fn take(bytes: usize) -> bool {
    let fits = USED.fetch_add(bytes, Relaxed).checked_add(bytes).is_some_and(|used| used <= MOST);
    if !fits {
        USED.fetch_sub(bytes, Relaxed);
    }
    fits
}

// SAFETY: every call goes to the system's allocator as it came, or is refused by a null pointer, as `GlobalAlloc` allows; the
// counter touches no memory of the caller's.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !take(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `alloc_zeroed`, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if both were there for a moment, which they may be.
        if !take(size) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract of `realloc`, which is the same.
        let new = unsafe { System.realloc(pointer, layout, size) };
        USED.fetch_sub(if new.is_null() { size } else { layout.size() }, Relaxed);
        new
    }
}
