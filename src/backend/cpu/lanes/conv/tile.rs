//! A conv job: in which form it is computed, and its tiles.

use std::sync::Arc;

use super::conv::{Row, Taps};
use super::feed::Rows;
use super::layout::Layout;
use super::simd::Simd;
use super::units::Unit;
use super::weights::{Form, Packed};
use super::winograd;
use crate::plan::Plan;
use crate::plan::jobs::{ConvJob, OCTET};

/// Bytes of input that all tiles read before the next ones.
const NEAR: usize = 8 << 10;

/// A tile of a job's output channels.
pub(super) struct TileOf<'a> {
    pub(super) out_first: usize,
    pub(super) channels: usize,
    in_first: usize,
    pub(super) weights: &'a [f32],
    pub(super) scale: Option<f32>,
}

/// How a job is computed.
pub(super) fn form(job: &ConvJob, plan: &Plan) -> Form {
    const LEAST: usize = 6;
    let shape = plan.tensors[job.output].shape;
    let fits = job.kernel == [3, 3]
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

pub(super) fn tiles<'a>(
    job: &ConvJob,
    plan: &Plan,
    layout: &Layout,
    packed: &'a [Arc<Packed>],
    scale: impl Fn(f64) -> f32,
    form: Form,
    in_channels: usize,
) -> Vec<TileOf<'a>> {
    let products = if form == Form::Winograd { winograd::POSITIONS } else { job.kernel[0] * job.kernel[1] };
    let mut tiles = Vec::new();
    for (part, packed) in job.parts.iter().zip(packed) {
        let scale = job.scaled.then(|| scale(plan.parameters[part.parameter].standard_deviation));
        tiles.extend(packed.tiles.iter().map(|tile| TileOf {
            out_first: layout.unit(job.output, part.octet * OCTET) + tile.channel,
            channels: tile.channels,
            in_first: tile.input,
            weights: &packed.weights[tile.weights..][..products * in_channels * tile.channels],
            scale,
        }));
    }
    tiles
}

/// One output row by direct convolution.
pub(super) fn direct<S: Simd, const W: usize>(
    simd: S,
    job: &ConvJob,
    (x, x_pitch): (Rows<'_, S, W>, usize),
    (y, y_pitch): (&mut [Unit<S, W>], usize),
    (rows, columns): (&Taps, &[Taps]),
    tiles: &[TileOf],
    in_channels: usize,
) {
    // As many pixels at a time as stay in the first cache while all tiles read them.
    let pixels = (NEAR / size_of_val(&x.units[..x_pitch])).max(1);
    for (y, columns) in y.chunks_mut(pixels * y_pitch).zip(columns.chunks(pixels)) {
        for tile in tiles {
            simd.call(Row {
                job,
                x,
                x_pitch,
                y: &mut *y,
                y_pitch,
                rows,
                columns,
                in_channels,
                in_first: tile.in_first,
                out_first: tile.out_first,
                weights: tile.weights,
                channels: tile.channels,
                scale: tile.scale,
            });
        }
    }
}
