// Batch norms from partial statistics: (scale, shift) of each channel, which readers apply as fma(y, scale, shift).
//
//     mean = sum(y) / n     var = M2 / n     scale = gamma / sqrt(var + eps / alpha^2)     shift = beta - mean * scale
//
// A block of pixels has left its sum and its M2 about its own mean. Blocks of less than 256 pixels are first joined to 256
// by a binary tree, as those of 256 have been made, so that statistics do not depend on the tile. Then the formula of Chan,
// Golub and LeVeque (1979) for all of them at once:
//
//     mean = sum_b sum_b / n        M2 = sum_b (M2_b + n_b (mean_b - mean)^2)
//
// All terms of M2 are squares, so nothing cancels. Eight lanes take a channel's blocks in turn and add up by a butterfly:
// an order that depends on the number of pixels alone. The last block of a job to end does this for the job: convolutions
// have left their partial statistics by then, those of a combine it makes itself (stored_batch_norm.cuh).
#pragma once
#include "planar.cuh"

// Sum and M2 of some pixels.
struct Moments {
    float sum, m2;
};

// Those of n pixels and of m others; n is not 0.
DEVICE Moments join(Moments a, float n, Moments b, float m) {
    if (m == 0.0f) return a;
    float delta = a.sum / n - b.sum / m;
    return {a.sum + b.sum, fmaf(delta * delta, n * m / (n + m), a.m2 + b.m2)};
}

// Pixels of a leaf of the final sums, and the most blocks that it is joined of.
constexpr u32 LEAF = 256, LEAF_BLOCKS = 4;

// One channel of a leaf, some blocks of `tile` pixels, of which the last one may have fewer: `from` is its sum in block 0,
// M2 is four numbers behind, the next block `pitch` numbers.
DEVICE Moments load_leaf(const float *from, u64 pitch, u32 leaf, u32 tile, u32 pixels) {
    Moments v[LEAF_BLOCKS];
    float count[LEAF_BLOCKS];
#pragma unroll
    for (u32 b = 0; b < LEAF_BLOCKS; b++) {
        u32 block = leaf * (LEAF / tile) + b, begin = block * tile;
        bool exists = b < LEAF / tile && begin < pixels;
        v[b] = {0.0f, 0.0f};
        count[b] = exists ? (float)min(tile, pixels - begin) : 0.0f;
        if (exists) v[b] = {from[block * pitch], from[block * pitch + 4]};
    }
#pragma unroll
    for (u32 step = 1; step < LEAF_BLOCKS; step *= 2) {
#pragma unroll
        for (u32 b = 0; b < LEAF_BLOCKS; b += 2 * step) {
            v[b] = join(v[b], count[b], v[b + step], count[b + step]);
            count[b] += count[b + step];
        }
    }
    return v[0];
}

// The sum over the lanes of a warp that share lane % 4.
DEVICE float add_slices(float v) {
#pragma unroll
    for (u32 bit = 16; bit >= 4; bit /= 2) v += __shfl_xor_sync(0xffffffffu, v, bit);
    return v;
}

// Stores the batch norms of one channel of a job, by its unit among those of the job's partial statistics: a channel may
// have several, or none. Pads of a batch norm's last octet are zeros: readers load whole units.
DEVICE void store_batch_norms(const Arguments &a, u32 first_norm, u32 norms, u32 partials, u32 unit, u32 c, float mean,
                              float m2, float pixels) {
    for (u32 n = first_norm; n < first_norm + norms; n++) {
        const Norm job = a.norm_jobs[n];
        // A unit before those of the batch norm wraps to a large number.
        u32 place = unit - (job.partials - partials), channel = 4 * place + c;
        if (place >= 2 * octets(job.channels)) continue;
        float *norm = (float *)((float4 *)a.norms + norm_place(job.norm + place)) + c;
        if (channel >= job.channels) {
            norm[0] = norm[4] = 0.0f;
            continue;
        }
        float gamma = 1.0f, beta = 0.0f;
        if (job.affine != NONE) {
            // An octet of gammas, then one of betas.
            const float *affine = (const float *)(a.weight_pool + 2 * (u64)(job.affine + place / 2 * 2)) + channel % 8;
            gamma = affine[0];
            beta = affine[8];
        }
        float scale = gamma / sqrtf(m2 / pixels + job.eps);
        if (!is_finite(mean) || !is_finite(m2) || !is_finite(scale)) report_non_finite(a.statuses, job.status);
        norm[0] = scale;
        norm[4] = fmaf(-mean, scale, beta);
    }
}

// Makes the batch norms of a job from the partial statistics of its units in blocks of `tile` pixels: 64, 128 or 256. A
// warp takes a unit, a lane every eighth leaf of a channel. All threads of the block take part.
DEVICE void batch_norms(const Arguments &a, u32 partials, u32 units, u32 first_norm, u32 norms, u32 tile) {
    u32 pixels = a.launch.images * a.launch.height * a.launch.width, leaves = (pixels + LEAF - 1) / LEAF;
    u32 c = threadIdx.x % 4, slice = threadIdx.x % 32 / 4;
    // The second unit of the last octet may have no statistics, and is a pad of its batch norms.
    for (u32 unit = threadIdx.x / 32; unit < (units + 1) / 2 * 2; unit += blockDim.x / 32) {
        const float *from = (const float *)((const float4 *)a.partials + partial_place(partials, 0, units, unit)) + c;
        u64 pitch = 4 * partial_place(0, 1, units, 0);
        u32 end = unit < units ? leaves : 0;
        float sum = 0.0f, m2 = 0.0f;
        for (u32 leaf = slice; leaf < end; leaf += 8) sum += load_leaf(from, pitch, leaf, tile, pixels).sum;
        float mean = add_slices(sum) / (float)pixels;
        for (u32 leaf = slice; leaf < end; leaf += 8) {
            Moments part = load_leaf(from, pitch, leaf, tile, pixels);
            float count = (float)min(LEAF, pixels - leaf * LEAF), delta = part.sum / count - mean;
            m2 += fmaf(delta * delta, count, part.m2);
        }
        m2 = add_slices(m2);
        if (slice == 0) store_batch_norms(a, first_norm, norms, partials, unit, c, mean, m2, (float)pixels);
    }
}

// Whether this is the last block of its job to end; all threads then see what all blocks have stored before. The counter
// is back at zero for the next group.
DEVICE bool is_last_block(u32 *counter, u32 blocks) {
    __shared__ bool is_last;
    __syncthreads();
    if (threadIdx.x == 0) {
        is_last = increment_release(counter, blocks - 1) == blocks - 1;
        if (is_last) fence_acquire();
    }
    __syncthreads();
    return is_last;
}
