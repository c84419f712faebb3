//! The C library's allocator, where memory has a limit.

/// Has glibc give large blocks back to the system when they are freed. By itself it learns the size of the largest one that was
/// freed, up to 32 MiB, and keeps what is smaller (mallopt(3), `M_MMAP_THRESHOLD`): three times a limit of 50 MiB was seen.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn give_back_large_blocks() {
    /// glibc's own threshold at the start, which is fixed by being set.
    const LARGE: libc::c_int = 128 << 10;
    // SAFETY: it changes a number of the allocator under the allocator's lock, and any size is right. One that it refuses leaves
    // it as it was.
    unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back_large_blocks() {}
