// 2-D convolution as implicit matrix product, channels last, the partial statistics of its outputs, and its batch norms.
//
//     y[p, k] = alpha * sum over r, s, c of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//
// in that order of r, s, c. A block takes one block of pixels, counted over all images, of one job. Inputs and weights
// pass through shared memory 16 products at a time: two octets of the flat list (tap, octet of input channels). Each
// thread keeps a quad of pixels by an octet of output channels in registers, 32 sums. Threads of octets that a job lacks
// only load.
//
// Statistics: each thread merges (count, mean, M2) of its quads by Chan's formula; at the end of the block the threads of an
// octet add sums, then M2 about the block's mean, in the order of quads. The last block of a job to end merges all blocks
// into the job's batch norms (batch_norm.cuh): a job's arithmetic depends on no other, and not on which block is last.
//
// Tiles, QUADS x OCTETS, all of 256 threads: a job takes the one that leaves the fewest of them without work.
//
// | kernel | tile | pixels by channels | for jobs of |
// |---|---|---|---|
// | narrow | 128 x 2 | 512 x 16 | 16 channels and fewer |
// | narrow | 64 x 4 | 256 x 32 | 32 |
// | narrow | 32 x 8 | 128 x 64 | 64 |
// | wide | 16 x 16 | 64 x 128 | 128 |
#include "batch_norm.cuh"

constexpr u32 THREADS = 256;
constexpr u32 DEPTH = 16;

// Shared memory of a tile: inputs, [product][quad of pixels], then weights, [product][quad of channels]. The statistics
// take two float4 a thread of it, later on.
constexpr u32 NARROW_STAGE = DEPTH * (128 + 2 * 2);
constexpr u32 WIDE_STAGE = DEPTH * (16 + 2 * 16);
static_assert(WIDE_STAGE >= 2 * THREADS, "the statistics fit");

// Moments of a thread's pixels so far: how many, their means and M2.
struct Moments {
    float count;
    Octet mean, m2;
};

// Merges four pixels, the first `count` of them.
DEVICE void merge_quad(Moments &m, const Octet (&y)[4], u32 count) {
    float share = (float)count / (m.count + (float)count);
#pragma unroll
    for (int l = 0; l < 8; l++) {
        // Pixels behind the last are zeros: they do not change the sum, and must not the squares.
        float mean = (y[0].v[l] + y[1].v[l] + y[2].v[l] + y[3].v[l]) / (float)count, m2 = 0.0f;
#pragma unroll
        for (u32 p = 0; p < 4; p++) {
            float delta = y[p].v[l] - mean;
            m2 += p < count ? delta * delta : 0.0f;
        }
        float delta = mean - m.mean.v[l];
        m.mean.v[l] += delta * share;
        m.m2.v[l] += m2 + delta * delta * (m.count * share);
    }
    m.count += (float)count;
}

// The four pixels that a thread loads: corner of their windows, and first pixel of their images.
struct Corners {
    int y[4], x[4];
    u32 image[4];
    // How many of them there are.
    u32 count;
};

DEVICE Corners corners(const Launch &launch, const Conv &job, u32 first, u32 end) {
    Corners at;
    at.count = first < end ? min(4u, end - first) : 0;
    u32 area = launch.height * launch.width;
#pragma unroll
    for (u32 p = 0; p < 4; p++) {
        u32 image = (first + p) / area, rest = (first + p) % area;
        at.y[p] = (int)(rest / launch.width * low(job.stride)) - (int)low(job.padding);
        at.x[p] = (int)(rest % launch.width * high(job.stride)) - (int)high(job.padding);
        at.image[p] = image * low(job.size) * high(job.size);
    }
    return at;
}

// Four channels of one pixel; zeros where there is no such pixel.
DEVICE float4 input(const Arguments &a, const Conv &job, int y, int x, u32 image, bool inside, u32 octet, u32 half) {
    int height = (int)low(job.size), width = (int)high(job.size);
    if (!inside || y < 0 || y >= height || x < 0 || x >= width) return make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    u64 pixel = image + (u32)(y * width + x);
    float4 v = a.arena[2 * (job.input + pixel * job.in_octets + octet) + half];
    return job.relu ? make_float4(relu(v.x), relu(v.y), relu(v.z), relu(v.w)) : v;
}

// Stores four rows of four numbers as four columns, `pitch` apart.
DEVICE void transpose(float4 *to, u32 pitch, const float4 (&v)[4]) {
    to[0] = make_float4(v[0].x, v[1].x, v[2].x, v[3].x);
    to[pitch] = make_float4(v[0].y, v[1].y, v[2].y, v[3].y);
    to[2 * pitch] = make_float4(v[0].z, v[1].z, v[2].z, v[3].z);
    to[3 * pitch] = make_float4(v[0].w, v[1].w, v[2].w, v[3].w);
}

// Loads half an octet of channels of 4 pixels; `part` counts the halves of the step's two octets.
template <u32 QUADS>
DEVICE void stage_inputs(const Arguments &a, const Conv &job, const Corners &at, u32 part, u32 step, u32 octets,
                         float4 *inputs) {
    u32 position = 2 * step + part / 2;
    u32 tap = position / job.in_octets, octet = position % job.in_octets;
    int down = (int)(tap / high(job.kernel) * low(job.dilation));
    int across = (int)(tap % high(job.kernel) * high(job.dilation));
    float4 v[4];
#pragma unroll
    for (u32 p = 0; p < 4; p++) {
        bool inside = position < octets && p < at.count;
        v[p] = input(a, job, at.y[p] + down, at.x[p] + across, at.image[p], inside, octet, part % 2);
    }
    transpose(inputs + part * 4 * QUADS + threadIdx.x % QUADS, QUADS, v);
}

// Loads half an octet of products for 4 output channels; `item` counts halves, then quads of channels.
template <u32 OCTETS>
DEVICE void stage_weights(const Arguments &a, const Conv &job, u32 item, u32 step, u32 octets, float4 *weights) {
    u32 part = item % 4, quad = item / 4, position = 2 * step + part / 2;
    if (quad >= 2 * low(job.out_octets)) return;
    float4 v[4];
#pragma unroll
    for (u32 c = 0; c < 4; c++) {
        v[c] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (position < octets) {
            u64 row = a.rows[job.rows + quad / 2] + (u64)(quad % 2 * 4 + c) * octets + position;
            v[c] = load_constant(a.weight_pool + 2 * row + part % 2);
        }
    }
    transpose(weights + part * 4 * 2 * OCTETS + quad, 2 * OCTETS, v);
}

// The products of one step.
template <u32 QUADS, u32 OCTETS>
DEVICE void multiply(Octet (&sum)[4], const float4 *inputs, const float4 *weights, u32 quad, u32 octet) {
#pragma unroll
    for (u32 k = 0; k < DEPTH; k++) {
        float4 x = inputs[k * QUADS + quad];
        Octet w = load(weights + k * 2 * OCTETS + 2 * octet);
#pragma unroll
        for (int l = 0; l < 8; l++) {
            sum[0].v[l] += x.x * w.v[l];
            sum[1].v[l] += x.y * w.v[l];
            sum[2].v[l] += x.z * w.v[l];
            sum[3].v[l] += x.w * w.v[l];
        }
    }
}

// The sum over the quads of pixels, in order, of what the threads of one octet have stored.
template <u32 QUADS> DEVICE float total(const float *left, u32 channel) {
    float sum = 0.0f;
    for (u32 quad = 0; quad < QUADS; quad++) sum += left[(channel / 8 * QUADS + quad) * 8 + channel % 8];
    return sum;
}

// Stores the block's partial statistics, a channel a thread.
template <u32 QUADS> DEVICE void store_partials(const Arguments &a, const Conv &job, const Moments &m, u32 count, float4 *stage) {
    __shared__ float means[128];
    u32 channel = threadIdx.x, octet = threadIdx.x / QUADS, out_octets = low(job.out_octets);
    bool computes = octet < out_octets, adds = channel < 8 * out_octets;
    float *partials = a.partials + 16 * (job.partials + (u64)blockIdx.x * out_octets + channel / 8) + channel % 8;
    Octet left;
#pragma unroll
    for (int l = 0; l < 8; l++) left.v[l] = m.mean.v[l] * m.count;
    store(stage + 2 * threadIdx.x, left);
    __syncthreads();
    if (adds) {
        float sum = total<QUADS>((const float *)stage, channel);
        partials[0] = sum;
        means[channel] = sum / (float)count;
    }
    __syncthreads();
    if (computes) {
#pragma unroll
        for (int l = 0; l < 8; l++) {
            float delta = m.mean.v[l] - means[octet * 8 + l];
            left.v[l] = m.m2.v[l] + delta * delta * m.count;
        }
        store(stage + 2 * threadIdx.x, left);
    }
    __syncthreads();
    if (adds) partials[8] = total<QUADS>((const float *)stage, channel);
}

// The last block of the job makes its batch norms from the partial statistics of all blocks.
DEVICE void batch_norms_of_last_block(const Arguments &a, const Conv &job) {
    bool is_last = is_last_block(&a.conv_counters[a.launch.first + blockIdx.y], a.launch.blocks);
    u32 channel = threadIdx.x, out_octets = low(job.out_octets);
    if (is_last && channel < 8 * out_octets) {
        const float *sums = a.partials + 16 * (u64)(job.partials + channel / 8) + channel % 8;
        ChannelMoments all = merge_blocks(a.launch, sums, sums + 8, 16 * out_octets);
        store_batch_norms(a, job.first_norm, job.norms, job.partials, channel / 8, channel % 8, all);
    }
}

template <u32 QUADS, u32 OCTETS> DEVICE void conv(const Arguments &a, const Conv &job, float4 *stage) {
    static_assert(QUADS * OCTETS == THREADS, "a thread has a quad of pixels and an octet of channels");
    float4 *inputs = stage, *weights = stage + DEPTH * QUADS;
    u32 out_octets = low(job.out_octets);
    u32 first = blockIdx.x * a.launch.block;
    u32 end = min(first + a.launch.block, a.launch.images * a.launch.height * a.launch.width);
    // Octets of one row of the weights: taps by octets of input channels.
    u32 octets = low(job.kernel) * high(job.kernel) * job.in_octets;
    u32 quad = threadIdx.x % QUADS, octet = threadIdx.x / QUADS;
    bool computes = octet < out_octets;
    Moments moments = {0.0f, zeros(), zeros()};

    for (u32 tile = first; tile < end; tile += 4 * QUADS) {
        u32 pixel = tile + 4 * quad;
        Corners at = corners(a.launch, job, pixel, end);
        Octet sum[4] = {zeros(), zeros(), zeros(), zeros()};
        for (u32 step = 0; 2 * step < octets; step++) {
            for (u32 part = threadIdx.x / QUADS; part < 4; part += OCTETS)
                stage_inputs<QUADS>(a, job, at, part, step, octets, inputs);
            // The last threads load weights: where there are enough, these load no inputs.
            u32 item = THREADS - 1 - threadIdx.x;
            if (item < 8 * OCTETS) stage_weights<OCTETS>(a, job, item, step, octets, weights);
            __syncthreads();
            if (computes) multiply<QUADS, OCTETS>(sum, inputs, weights, quad, octet);
            __syncthreads();
        }
        if (computes && at.count > 0) {
#pragma unroll
            for (u32 p = 0; p < 4; p++) {
#pragma unroll
                for (int l = 0; l < 8; l++) sum[p].v[l] *= job.alpha;
                if (p < at.count) store(a.arena + 2 * (job.output + (u64)(pixel + p) * high(job.out_octets) + octet), sum[p]);
            }
            merge_quad(moments, sum, at.count);
        }
    }
    if (job.partials != NONE) {
        store_partials<QUADS>(a, job, moments, end - first, stage);
        batch_norms_of_last_block(a, job);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) conv_narrow(const Arguments a) {
    __shared__ float4 stage[NARROW_STAGE];
    const Conv job = a.convs[a.launch.first + blockIdx.y];
    u32 octets = low(job.out_octets);
    if (octets <= 2) conv<128, 2>(a, job, stage);
    else if (octets <= 4) conv<64, 4>(a, job, stage);
    else conv<32, 8>(a, job, stage);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) conv_wide(const Arguments a) {
    __shared__ float4 stage[WIDE_STAGE];
    const Conv job = a.convs[a.launch.first + blockIdx.y];
    conv<16, 16>(a, job, stage);
}
