// 2-D convolution of any size, kernel, stride, padding and dilation, on any GPU: one thread a few sums. Not tuned: the
// shapes that networks have most are conv.cuh's.
//
//     y[p, k] = alpha * sum over c, r, s of w[k, r, s, c] * x[p * stride + (r, s) * dilation - padding, c]
//
// A block takes 128 pixels, counted over all images, of one job and up to 8 octets of its outputs. Inputs and weights pass
// through shared memory 16 products at a time, in the order of the weights' rows (planar.cuh). A warp has an octet of
// outputs, a lane four pixels 32 apart: 32 sums a thread, and statistics are sums over a warp, M2 about the tile's mean.
#include "batch_norm.cuh"

constexpr u32 THREADS = 256;
constexpr u32 PIXELS = 128;
constexpr u32 OCTETS = 8;
// Products of a step.
constexpr u32 DEPTH = 16;

// Where the four pixels of a lane read: the corner of their windows, and the first pixel of their images.
struct Corners {
    int y[4], x[4];
    u32 image[4];
};

DEVICE Corners corners(const Launch &launch, const Conv &job, u32 first, u32 pixels) {
    Corners at;
    u32 area = launch.height * launch.width;
#pragma unroll
    for (u32 p = 0; p < 4; p++) {
        // Pixels that do not exist read as the last one does, and are not stored.
        u32 pixel = min(first + 32 * p, pixels - 1), rest = pixel % area;
        at.y[p] = (int)(rest / launch.width * low(job.stride)) - (int)low(job.padding);
        at.x[p] = (int)(rest % launch.width * high(job.stride)) - (int)high(job.padding);
        at.image[p] = pixel / area * low(job.size) * high(job.size);
    }
    return at;
}

// Stages a unit of input channels of a lane's pixels, as four columns [product][lane] of four numbers; `part` counts the
// units of the step's two octets, of the same tap, or of one octet by two taps.
DEVICE void stage_inputs(const Arguments &a, const Conv &job, const Corners &at, u32 step, u32 part, float4 (*inputs)[32]) {
    u32 units = low(job.units), octets = (units + 1) / 2, taps = low(job.kernel) * high(job.kernel);
    bool pair = step < octets / 2 * taps;
    u32 rest = step - octets / 2 * taps, tap = pair ? step % taps : 2 * rest + part / 2;
    u32 unit = pair ? step / taps * 4 + part : 2 * (octets - 1) + part % 2;
    int down = (int)(tap / high(job.kernel) * low(job.dilation));
    int across = (int)(tap % high(job.kernel) * high(job.dilation));
    int height = (int)low(job.size), width = (int)high(job.size);
    const float4 *from = a.arena + job.input + (u64)unit * plane(a.launch.images * height * width);
    float4 v[4];
#pragma unroll
    for (u32 p = 0; p < 4; p++) {
        int y = at.y[p] + down, x = at.x[p] + across;
        v[p] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (tap >= taps || unit >= units || y < 0 || y >= height || x < 0 || x >= width) continue;
        v[p] = from[at.image[p] + y * width + x];
        if (job.relu) v[p] = make_float4(relu(v[p].x), relu(v[p].y), relu(v[p].z), relu(v[p].w));
    }
    float4 *to = &inputs[4 * part][threadIdx.x % 32];
    to[0] = make_float4(v[0].x, v[1].x, v[2].x, v[3].x);
    to[32] = make_float4(v[0].y, v[1].y, v[2].y, v[3].y);
    to[64] = make_float4(v[0].z, v[1].z, v[2].z, v[3].z);
    to[96] = make_float4(v[0].w, v[1].w, v[2].w, v[3].w);
}

// Stages 16 bytes of a step of an octet's row, which are two channels by two pairs of products, as sums of all planes.
DEVICE void stage_weights(const Arguments &a, u32 row, u32 steps, u32 step, u32 octet, u32 part, float4 (*weights)[2 * OCTETS]) {
    float v[8] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    // The small ones first: sums of planes are exact.
    for (u32 plane = a.launch.planes; plane-- > 0;) {
        float4 w = load_constant(a.weight_pool + row + (plane * steps + step) * 16 + part);
        const float pairs[4] = {w.x, w.y, w.z, w.w};
#pragma unroll
        for (int i = 0; i < 4; i++) {
            u32 pair = __float_as_uint(pairs[i]);
            v[2 * i] += __uint_as_float(pair << 16);
            v[2 * i + 1] += __uint_as_float(pair & 0xffff0000u);
        }
    }
    u32 channel = 8 * octet + part / 8 * 4 + part / 4 % 2, product = part % 4 * 2;
#pragma unroll
    for (u32 i = 0; i < 8; i++) ((float *)weights[product + i / 2 % 2 * 8 + i % 2])[channel + i / 4 * 2] = v[i];
}

// The sum over a warp.
DEVICE float warp_sum(float v) {
#pragma unroll
    for (u32 bit = 16; bit > 0; bit /= 2) v += __shfl_xor_sync(0xffffffffu, v, bit);
    return v;
}

// Stores the outputs and partial statistics of a warp's octet: `y` by pixel and channel.
DEVICE void finish(const Arguments &a, const Conv &job, const float (&y)[4][8], u32 octet, u32 pixels) {
    u32 first = blockIdx.x * PIXELS, pixel = first + threadIdx.x % 32, units = high(job.units);
#pragma unroll
    for (u32 half = 0; half < 2; half++) {
        u32 unit = 2 * octet + half;
        if (unit >= units) break;
        float4 *to = a.arena + job.output + (u64)unit * plane(pixels) + pixel;
#pragma unroll
        for (u32 p = 0; p < 4; p++) {
            const float *v = &y[p][4 * half];
            if (pixel + 32 * p < pixels) to[32 * p] = make_float4(v[0], v[1], v[2], v[3]);
        }
        if (job.partials == NONE) continue;
        float *partial = (float *)((float4 *)a.partials + partial_place(job.partials, blockIdx.x, units, unit));
#pragma unroll
        for (u32 c = 0; c < 4; c++) {
            float sum = 0.0f, m2 = 0.0f;
#pragma unroll
            for (u32 p = 0; p < 4; p++) sum += pixel + 32 * p < pixels ? y[p][4 * half + c] : 0.0f;
            sum = warp_sum(sum);
            float mean = sum / (float)min(PIXELS, pixels - first);
#pragma unroll
            for (u32 p = 0; p < 4; p++) {
                float delta = y[p][4 * half + c] - mean;
                m2 += pixel + 32 * p < pixels ? delta * delta : 0.0f;
            }
            m2 = warp_sum(m2);
            if (threadIdx.x % 32 == c) partial[c] = sum, partial[4 + c] = m2;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) conv_any(const Arguments a) {
    __shared__ float4 inputs[DEPTH][32];
    __shared__ float4 weights[DEPTH][2 * OCTETS];
    const Conv job = a.convs[a.launch.first + blockIdx.y];
    u32 pixels = a.launch.images * a.launch.height * a.launch.width, octets = (high(job.units) + 1) / 2;
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, first_octet = blockIdx.z * OCTETS;
    // The grid is that of the job with the most tiles, and of that with the most octets.
    if (blockIdx.x * PIXELS >= pixels || first_octet >= octets) return;
    Corners at = corners(a.launch, job, blockIdx.x * PIXELS + lane, pixels);
    u32 steps = weight_steps((low(job.units) + 1) / 2, low(job.kernel) * high(job.kernel));
    // Half of the threads load inputs, the others weights, 16 of them those of an octet.
    bool loads_inputs = threadIdx.x < THREADS / 2;
    u32 octet = threadIdx.x / 16 % OCTETS, row = a.rows[job.rows + min(first_octet + octet, octets - 1)];
    float sum[4][8];
#pragma unroll
    for (u32 p = 0; p < 4; p++)
#pragma unroll
        for (u32 l = 0; l < 8; l++) sum[p][l] = 0.0f;
    for (u32 step = 0; step < steps; step++) {
        if (loads_inputs) stage_inputs(a, job, at, step, warp, inputs);
        else stage_weights(a, row, steps, step, octet, threadIdx.x % 16, weights);
        __syncthreads();
#pragma unroll
        for (u32 k = 0; k < DEPTH; k++) {
            float4 x = inputs[k][lane];
            float4 w0 = weights[k][2 * warp], w1 = weights[k][2 * warp + 1];
            float v[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
#pragma unroll
            for (u32 l = 0; l < 8; l++) {
                sum[0][l] += x.x * v[l];
                sum[1][l] += x.y * v[l];
                sum[2][l] += x.z * v[l];
                sum[3][l] += x.w * v[l];
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (u32 p = 0; p < 4; p++)
#pragma unroll
        // Not to be fused into what follows: statistics are those of what is stored.
        for (u32 l = 0; l < 8; l++) sum[p][l] = __fmul_rn(sum[p][l], job.alpha);
    finish(a, job, sum, first_octet + warp, pixels);
    if (job.partials == NONE) return;
    u32 blocks = (pixels + PIXELS - 1) / PIXELS * ((octets + OCTETS - 1) / OCTETS);
    if (is_last_block(&a.conv_counters[a.launch.first + blockIdx.y], blocks))
        batch_norms(a, job.partials, high(job.units), job.first_norm, job.norms, PIXELS);
}
