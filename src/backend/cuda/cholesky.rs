//! Cholesky by size: a warp a network, the triangle in a block's shared memory, or a kernel a panel, each many blocks.

use super::kernels::{CHOLESKY_PANELS, CHOLESKY_SHARED, CHOLESKY_WARP, ComputeCapability, Kernel};
use crate::backend::group::LaunchRecord;

/// Rows of a panel: `PANEL` of `kernels/cholesky.cuh`.
const PANEL: u32 = 32;
/// Columns and rows of a tile behind a panel: `TILE` of `kernels/cholesky.cu`.
const TILE: u32 = 64;
/// Bytes of a factorized square: `Square` of `kernels/cholesky.cuh`.
const SQUARE: u32 = 8 * PANEL * (PANEL + 1);

/// A kernel of a launch, its record, and the bytes of dynamic shared memory that it takes.
pub(super) type Step = (&'static Kernel, LaunchRecord, u32);

/// The kernels of a launch, to be run one after the other.
pub(super) fn steps(launch: LaunchRecord, capability: ComputeCapability) -> Vec<Step> {
    let n = launch.images;
    let shared = u64::from(SQUARE) + 4 * u64::from(n) * (u64::from(n) + 1);
    if n <= PANEL {
        return vec![(&CHOLESKY_WARP, launch, 0)];
    }
    if shared <= capability.shared_memory().into() {
        return vec![(&CHOLESKY_SHARED, launch, shared as u32)];
    }
    let panel = |first: u32| {
        let side = n.saturating_sub(first + PANEL).div_ceil(TILE);
        (&CHOLESKY_PANELS, LaunchRecord { tiles: (side * (side + 1) / 2).max(1), block: first, ..launch }, 0)
    };
    (0..n).step_by(PANEL as usize).map(panel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last N whose K fits in shared memory, by architecture.
    const LAST: [(u32, u32, u32); 7] =
        [(7, 5, 118), (8, 0, 198), (8, 6, 151), (8, 9, 151), (9, 0, 236), (10, 0, 236), (12, 0, 151)];

    fn names(images: u32, capability: ComputeCapability) -> Vec<&'static str> {
        let record = LaunchRecord { images, jobs: 1, tiles: 1, ..LaunchRecord::default() };
        steps(record, capability).into_iter().map(|(kernel, ..)| kernel.name).collect()
    }

    #[test]
    fn k_takes_a_warp_or_shared_memory_while_it_fits() {
        for (major, minor, last) in LAST {
            let capability = ComputeCapability { major, minor };
            assert_eq!(names(1, capability), ["cholesky_warp"]);
            assert_eq!(names(32, capability), ["cholesky_warp"]);
            assert_eq!(names(33, capability), ["cholesky_shared"]);
            assert_eq!(names(last, capability), ["cholesky_shared"], "{capability}");
            let panels = (last as usize + 1).div_ceil(32);
            assert_eq!(names(last + 1, capability), vec!["cholesky"; panels], "{capability}");
        }
    }

    #[test]
    fn panels_cover_k_and_the_last_one_has_a_block() {
        let record = LaunchRecord { images: 330, jobs: 3, tiles: 1, ..LaunchRecord::default() };
        let steps = steps(record, ComputeCapability::OLDEST);
        let (firsts, tiles): (Vec<u32>, Vec<u32>) =
            steps.iter().map(|(_, record, _)| (record.block, record.tiles)).unzip();
        assert_eq!(firsts, [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320]);
        assert_eq!(tiles, [15, 15, 10, 10, 6, 6, 3, 3, 1, 1, 1]);
        assert!(steps.iter().all(|(_, record, _)| record.jobs == 3));
    }

    #[test]
    fn the_kernels_say_the_same() {
        let header = include_str!("../../../kernels/cholesky.cuh");
        assert!(header.contains(&format!("constexpr u32 PANEL = {PANEL};")));
        assert!(header.contains("double rows[PANEL][PANEL], inverses[PANEL];"));
        assert!(
            CHOLESKY_PANELS.source.text.contains("constexpr u32 SIDE = 16;\nconstexpr u32 TILE = 4 * SIDE;")
        );
        assert_eq!(TILE, 4 * 16);
    }
}
