// Statistics and batch norms of what a combine has stored: (sum, M2) of 256 pixels, counted over all images, and of the
// units of a tensor, in an order that depends on nothing else.
#pragma once
#include "batch_norm.cuh"
#include "unit.cuh"

// The sum over all lanes.
DEVICE float4 sum_lanes(float4 v) {
    for (u32 bit = 16; bit > 0; bit /= 2) {
        v.x += __shfl_xor_sync(0xffffffffu, v.x, bit);
        v.y += __shfl_xor_sync(0xffffffffu, v.y, bit);
        v.z += __shfl_xor_sync(0xffffffffu, v.z, bit);
        v.w += __shfl_xor_sync(0xffffffffu, v.w, bit);
    }
    return v;
}

// Leaves the partial statistics of some blocks of 256 pixels and some units of what a job has stored. A warp takes a unit
// of a block at a time. All threads take part.
DEVICE void store_partials(const Arguments &a, const Combine &job, u32 first_block, u32 blocks, u32 first_unit, u32 count) {
    const u32 pixels = a.launch.images * a.launch.height * a.launch.width;
    for (u32 i = threadIdx.x / 32; i < blocks * count; i += blockDim.x / 32) {
        u32 block = first_block + i / count, unit = first_unit + i % count;
        u32 begin = block * LEAF + threadIdx.x % 32, end = min((block + 1) * LEAF, pixels);
        const float4 *stored = a.arena + (u64)(job.output + unit * plane(pixels));
        float4 total = all_four(0.0f), m2 = all_four(0.0f);
        for (u32 pixel = begin; pixel < end; pixel += 32) total = sum(total, stored[pixel]);
        total = sum_lanes(total);
        float4 mean = times(total, 1.0f / (float)(end - block * LEAF));
        for (u32 pixel = begin; pixel < end; pixel += 32) {
            float4 delta = sum_if(mean, -1.0f, stored[pixel]);
            m2 = normalize(delta, delta, m2);
        }
        m2 = sum_lanes(m2);
        float4 *to = (float4 *)a.partials + partial_place(job.partials, block, units(job.channels), unit);
        if (threadIdx.x % 32 == 0) to[0] = total, to[1] = m2;
    }
}

// Whether this is the last block of a job to end.
DEVICE bool is_last_block_of(const Arguments &a) {
    return is_last_block(&a.combine_counters[a.launch.first + blockIdx.y], gridDim.x * gridDim.z);
}

// Makes the batch norms of what a job has stored from its partial statistics. All threads take part.
DEVICE void stored_batch_norms(const Arguments &a, const Combine &job) {
    batch_norms(a, job.partials, units(job.channels), job.first_norm, job.norms, LEAF);
}
