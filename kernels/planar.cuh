// The planar layout: where units of tensors, batch norms, partial statistics, code words and weights lie.
//
// A unit is four neighboring channels of a pixel in f32, 16 bytes. A tensor is planes of units, [unit][image][pixel]; the
// last unit of a plain one is filled up with zeros.
#pragma once
#include "common.cuh"

DEVICE constexpr u32 units(u32 channels) { return (channels + 3) / 4; }
DEVICE constexpr u32 octets(u32 channels) { return (channels + 7) / 8; }

// Words of a channel's code bits in an image: 32 pixels each, the last one filled up with zeros.
DEVICE constexpr u32 words(u32 area) { return (area + 31) / 32; }

// Units of a plane of so many pixels, counted over all images: planes begin at multiples of 32 bytes.
DEVICE constexpr u32 plane(u32 pixels) { return (pixels + 1) & ~1u; }

// Float4 from the first of the batch norms to one unit's four scales, its four shifts behind them:
// v = fma(y, scale, shift). Those of channels that do not exist are zeros.
DEVICE constexpr u64 norm_place(u32 unit) { return 2 * (u64)unit; }

// Float4 from the first of the partial statistics to one unit's four sums, its four M2 behind them: `place` is the job's
// first one, and the job has so many units a block of pixels.
DEVICE constexpr u64 partial_place(u32 place, u32 block, u32 units, u32 unit) {
    return 2 * (place + (u64)block * units + unit);
}

// Words from a region's place in an image's codes, as records have it, to those of a unit's four channels for 32 pixels:
// always a multiple of four.
DEVICE constexpr u32 code_place(u32 unit, u32 word, u32 area) { return 4 * (unit * words(area) + word); }

// Steps of 16 products in a row of weights, an octet of outputs: input channels by sixteens, taps of each one after the
// other; a single octet at the end goes with two taps a step.
DEVICE constexpr u32 weight_steps(u32 in_octets, u32 taps) {
    return in_octets / 2 * taps + in_octets % 2 * ((taps + 1) / 2);
}

// The step that a product belongs to, and its place among the 16.
DEVICE constexpr u32 weight_step(u32 in_octets, u32 taps, u32 channel, u32 tap) {
    return in_octets % 2 && channel / 8 == in_octets - 1 ? in_octets / 2 * taps + tap / 2 : channel / 16 * taps + tap;
}
DEVICE constexpr u32 weight_product(u32 in_octets, u32 channel, u32 tap) {
    return in_octets % 2 && channel / 8 == in_octets - 1 ? tap % 2 * 8 + channel % 8 : channel % 16;
}

// bf16 numbers from the beginning of a row to one of them: in the order in which lanes hold operand B of mma.m16n8k16, so
// that 16 lanes read 16 bytes each, and what a lane adds up is a unit of outputs. `channel` is that of the output in its
// octet.
DEVICE constexpr u32 weight_place(u32 step, u32 channel, u32 product) {
    u32 lane = (channel / 4 * 2 + channel % 2) * 4 + product % 8 / 2;
    return step * 128 + lane * 8 + channel / 2 % 2 * 4 + product / 8 * 2 + product % 2;
}
