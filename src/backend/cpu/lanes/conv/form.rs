//! The form in which a convolution is computed.

use super::winograd;
use crate::plan::Plan;
use crate::plan::jobs::ConvJob;

/// How a job's outputs are computed: a function of its plan alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Form {
    /// Any convolution.
    Direct,
    /// 3x3, stride 1, padding 1, on an image of whole pieces, from 6 channels on either side: below, its
    /// transforms cost what its products save. Batch norms alone read it: a sum of zeros beside other numbers comes
    /// out as rounding noise, of either sign, and a ReLU that read it would ask for the sign of nothing.
    Winograd,
}

impl Form {
    /// The form of a job.
    pub(crate) fn of(job: &ConvJob, plan: &Plan) -> Self {
        const LEAST: usize = 6;
        let shape = plan.tensors[job.output].shape;
        let only_batch_norms_read_it = !job.scaled;
        let fits = only_batch_norms_read_it
            && job.kernel == [3, 3]
            && job.stride == [1, 1]
            && job.padding == [1, 1]
            && job.dilation == [1, 1]
            && job.groups == 1
            && shape.height.is_multiple_of(winograd::PIECE)
            && shape.width.is_multiple_of(winograd::PIECE);
        let enough = job.parts.iter().all(|part| {
            let shape = &plan.parameters[part.parameter].shape;
            shape.in_channels >= LEAST && shape.out_channels >= LEAST
        });
        if fits && enough { Form::Winograd } else { Form::Direct }
    }

    /// Numbers that packed weights hold for each pair of an output and an input channel.
    pub(super) fn products(self, kernel: [usize; 2]) -> usize {
        match self {
            Form::Direct => kernel[0] * kernel[1],
            Form::Winograd => winograd::POSITIONS,
        }
    }
}
