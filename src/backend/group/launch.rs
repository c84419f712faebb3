//! Launches: the kinds of them that a group is run by, and what one is.

use super::memory::register;
use super::records::LaunchRecord;
use crate::plan::jobs::Slot;
use crate::probe::Stage;

register! {
    /// A kind of launch: a stage, or a part or form of one, with a kernel of its own.
    enum LaunchKind;
    /// A value for each kind of launch.
    map PerKind;
    /// Rows of the weight pool, made from the seed. Jobs are those of [`NewWeights`](super::NewWeights).
    Weights,
    /// The start of K, N_A everywhere, and of the statuses, NONE.
    Start,
    Combine,
    /// Combines that the form before does not take.
    CombineAny,
    /// Convolutions of [`TileClass::Narrow`](crate::plan::TileClass::Narrow).
    ConvNarrow,
    /// Convolutions of [`TileClass::Wide`](crate::plan::TileClass::Wide).
    ConvWide,
    /// Convolutions on tensor cores.
    ConvTensor,
    /// Convolutions that the form before does not take.
    ConvAny,
    /// Batch norms from the partial statistics that convolutions have left.
    BatchNorm,
    /// Batch norms of what combines have stored: their statistics, merged at once. A tile is an octet of
    /// channels; the few networks that have such batch norms have them in small tensors.
    StoredBatchNorm,
    Agreement,
    Cholesky,
    /// The start of SWAP: empties the maps of activation patterns and their counts.
    ClearPatterns,
    Swap,
}

impl LaunchKind {
    /// The stage that it belongs to.
    pub(crate) fn stage(self) -> Stage {
        match self {
            LaunchKind::Weights => Stage::Weights,
            LaunchKind::Combine | LaunchKind::CombineAny => Stage::Combine,
            LaunchKind::ConvNarrow | LaunchKind::ConvWide | LaunchKind::ConvTensor | LaunchKind::ConvAny => {
                Stage::Conv
            }
            LaunchKind::BatchNorm | LaunchKind::StoredBatchNorm => Stage::BatchNorm,
            LaunchKind::Start | LaunchKind::Agreement => Stage::Agreement,
            LaunchKind::Cholesky => Stage::Cholesky,
            LaunchKind::ClearPatterns | LaunchKind::Swap => Stage::Swap,
        }
    }
}

/// The maker of batch norms from what a job leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchNormsBy {
    /// Launches of their own: there is no fence between the blocks of a launch.
    Launches,
    /// The last block of the job.
    LastBlock,
}

/// One launch: all its jobs may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Launch {
    pub(crate) kind: LaunchKind,
    /// The slot whose jobs it runs; none before and after the slots.
    pub(crate) slot: Option<Slot>,
    /// The images that its tiles cover, where they do: outputs, or what is read.
    pub(crate) tiled: [usize; 2],
    /// Whether any of its jobs has a window.
    pub(crate) has_windows: bool,
    /// Whether any of its jobs is a convolution of stride 2 or more.
    pub(crate) has_strides: bool,
    pub(crate) record: LaunchRecord,
}

impl Launch {
    /// A launch that is of no slot.
    pub(crate) fn new(kind: LaunchKind, record: LaunchRecord) -> Self {
        Launch { kind, slot: None, tiled: [0, 0], has_windows: false, has_strides: false, record }
    }

    /// Positions of its jobs among those of their kind.
    pub(crate) fn jobs(&self) -> std::ops::Range<usize> {
        let LaunchRecord { first, jobs, .. } = self.record;
        first as usize..(first + jobs) as usize
    }
}
