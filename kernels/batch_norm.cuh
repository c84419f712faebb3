// Batch norms from partial statistics: (mean, a, beta) of each channel, which readers apply as (y - mean) * a + beta.
//
//     mean = sum(y) / n        var = M2 / n        a = gamma / sqrt(var + eps / scale^2)
//
// Block b of the pixels has left its sum and its M2 about its own mean. The formula of Chan, Golub and LeVeque (1979) for
// all blocks at once, in order:
//
//     mean = sum_b sum_b / n        M2 = sum_b (M2_b + n_b (mean_b - mean)^2)
//
// All terms of M2 are squares, so nothing cancels, and there is no division on the way. The last block of a job to end
// does this for the job: convolutions have left their partial statistics by then, those of a combine it makes itself
// (stored_batch_norm.cuh).
#pragma once
#include "common.cuh"

// Moments of one channel: mean and M2.
struct ChannelMoments {
    float mean, m2;
};

// Merges the blocks of a channel, whose sums and M2 begin at the two pointers, `pitch` numbers apart.
DEVICE ChannelMoments merge_blocks(const Launch &launch, const float *sums, const float *squares, u32 pitch) {
    u32 pixels = launch.images * launch.height * launch.width;
    float total = 0.0f;
    for (u32 block = 0; block < launch.blocks; block++) total += sums[block * pitch];
    float mean = total / (float)pixels, m2 = 0.0f, share = 1.0f / (float)launch.block;
    u32 last = launch.blocks - 1, rest = pixels - last * launch.block;
    for (u32 block = 0; block < last; block++) {
        float delta = sums[block * pitch] * share - mean;
        m2 += squares[block * pitch] + delta * delta * (float)launch.block;
    }
    float delta = sums[last * pitch] / (float)rest - mean;
    return {mean, m2 + squares[last * pitch] + delta * delta * (float)rest};
}

// Stores the batch norms of one channel of a job, by its octet among those of the job's partial statistics: a channel may
// have several, or none. Pads of their last octets are zeros: readers load whole octets.
DEVICE void store_batch_norms(const Arguments &a, u32 first_norm, u32 norms, u32 partials, u32 octet, u32 lane,
                              ChannelMoments all) {
    u32 pixels = a.launch.images * a.launch.height * a.launch.width;
    for (u32 n = first_norm; n < first_norm + norms; n++) {
        const Norm job = a.norm_jobs[n];
        // An octet before those of the batch norm wraps to a large number.
        u32 place = octet - (job.partials - partials);
        if (place >= (job.channels + 7) / 8) continue;
        float *norm = a.norms + 24 * (u64)(job.norm + place) + lane;
        if (place * 8 + lane >= job.channels) {
            norm[0] = norm[8] = norm[16] = 0.0f;
            continue;
        }
        float gamma = 1.0f, beta = 0.0f;
        if (job.affine != NONE) {
            const float *affine = (const float *)(a.weight_pool + 2 * (u64)(job.affine + 2 * place)) + lane;
            gamma = affine[0];
            beta = affine[8];
        }
        float scale = gamma / sqrtf(all.m2 / (float)pixels + job.eps);
        if (!is_finite(all.mean) || !is_finite(all.m2) || !is_finite(scale)) report_non_finite(a.statuses, job.status);
        norm[0] = all.mean;
        norm[8] = scale;
        norm[16] = beta;
    }
}

// Whether this is the last block of its job to end; all threads then see what all blocks have stored before. The counter
// is back at zero for the next group.
DEVICE bool is_last_block(u32 *counter, u32 blocks) {
    __shared__ bool is_last;
    __syncthreads();
    if (threadIdx.x == 0) {
        // Whoever sees this block counted sees what it has stored.
        __threadfence();
        is_last = atomicInc(counter, blocks - 1) == blocks - 1;
        __threadfence();
    }
    __syncthreads();
    return is_last;
}
