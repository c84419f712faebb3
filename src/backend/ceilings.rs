//! Ceilings of a GPU, and what it took to open it: what `naswot bench` compares with.

use std::time::Duration;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use std::time::Instant;

/// Trials of a rate, the fastest of which counts.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
const TRIALS: usize = 5;

/// Ceilings of a GPU, measured.
#[derive(Clone, Copy, Debug)]
pub struct DeviceCeilings {
    /// Bytes that a copy in its memory reads and writes in a second; none where the clock did not see it take any time.
    pub copy_bytes_per_s: Option<f64>,
    /// Time of a launch that has next to nothing to do, among many.
    pub launch: Option<Duration>,
    /// None where the driver compiles kernels itself.
    pub kernels: Option<KernelLoad>,
}

/// What it took to have the kernels of a device ready, when the process opened it.
#[derive(Clone, Copy, Debug, Default)]
pub struct KernelLoad {
    /// From looking for a compiler to the last machine code.
    pub time: Duration,
    /// Sources that were compiled.
    pub compiled: usize,
    /// Sources whose machine code was kept from a run before.
    pub cached: usize,
}

/// The shortest of the times of some trials, but for those that a coarse clock, or one that was set back, did not see.
pub fn shortest(times: impl IntoIterator<Item = Duration>) -> Option<Duration> {
    times.into_iter().filter(|time| !time.is_zero()).min()
}

/// The shortest time of some work on a device, after one trial that does not count.
///
/// # Errors
/// What the work says.
#[cfg(any(feature = "cuda", feature = "wgpu"))]
pub(super) fn shortest_trial<E>(mut work: impl FnMut() -> Result<(), E>) -> Result<Option<Duration>, E> {
    work()?;
    let trial = |_| {
        let start = Instant::now();
        work().map(|()| start.elapsed())
    };
    let times: Vec<Duration> = (0..TRIALS).map(trial).collect::<Result<_, E>>()?;
    Ok(shortest(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_clock_has_seen_are_no_times() {
        let times = |all: &[u64]| all.iter().map(|&time| Duration::from_nanos(time)).collect::<Vec<_>>();
        assert_eq!(shortest(times(&[5, 0, 3])), Some(Duration::from_nanos(3)));
        assert_eq!(shortest(times(&[0, 0])), None);
        assert_eq!(shortest(times(&[])), None);
    }
}
