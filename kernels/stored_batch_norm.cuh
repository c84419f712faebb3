// Statistics and batch norms of what a combine has stored, for the last block of its job.
#pragma once
#include "batch_norm.cuh"

// Blocks of pixels at most: MAX_BLOCKS of src/plan.
constexpr u32 MAX_BLOCKS = 128;
// Pixels of a subtotal, which is added to the block's sum at once: that keeps rounding small.
constexpr u32 SUBTOTAL = 16;

// The sum over a block of v, or of (v - mean)^2.
template <bool SQUARED> DEVICE float block_sum(const float *from, u32 pitch, u32 count, float mean) {
    float total = 0.0f;
    for (u32 first = 0; first < count; first += SUBTOTAL) {
        float sum = 0.0f;
        for (u32 pixel = first; pixel < min(first + SUBTOTAL, count); pixel++) {
            float v = from[(u64)pixel * pitch] - mean;
            sum += SQUARED ? v * v : v;
        }
        total += sum;
    }
    return total;
}

// Statistics and batch norms of what a combine has stored, an octet of channels at a time: eight threads read the lanes of
// a pixel, and every group of eight takes blocks of pixels. The few networks that have such batch norms have them in small
// tensors. All threads take part.
DEVICE void stored_batch_norm(const Arguments &a, const Combine &job) {
    __shared__ float sums[8 * MAX_BLOCKS], squares[8 * MAX_BLOCKS];
    u32 octets = (job.channels + 7) / 8, lane = threadIdx.x % 8;
    u32 pixels = a.launch.images * a.launch.height * a.launch.width, pitch = octets * 8;
    for (u32 octet = 0; octet < octets; octet++) {
        const float *stored = (const float *)(a.arena + 2 * (u64)(job.output + octet)) + lane;
        for (u32 block = threadIdx.x / 8; block < a.launch.blocks; block += blockDim.x / 8) {
            u32 first = block * a.launch.block, count = min(a.launch.block, pixels - first);
            const float *from = stored + (u64)first * pitch;
            float sum = block_sum<false>(from, pitch, count, 0.0f);
            sums[block * 8 + lane] = sum;
            squares[block * 8 + lane] = block_sum<true>(from, pitch, count, sum / (float)count);
        }
        __syncthreads();
        if (threadIdx.x < 8) {
            ChannelMoments all = merge_blocks(a.launch, sums + lane, squares + lane, 8);
            store_batch_norms(a, job.first_norm, job.norms, job.partials, octet, lane, all);
        }
        __syncthreads();
    }
}
