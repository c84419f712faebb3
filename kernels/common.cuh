// Declarations of all kernels: the records of src/backend/group/records.rs, which tells their fields and units, and the one
// argument.
//
// A grid is (tiles, jobs, slices): a block takes one tile of some channels of one job. Records say where and what; every
// extent in them has been checked against its buffer before the launch.
#pragma once
#include "mma.cuh"

#define DEVICE static __device__ __forceinline__

typedef unsigned int u32;
typedef unsigned long long u64;

constexpr u32 NONE = 0xffffffffu;

struct alignas(16) Weights {
    u32 key[2], name[2], first, blocks, table, place, in_octets, taps, unused[6];
};

struct alignas(16) Term {
    u32 source, size, to, channels, norm, flags, code, unused;
};

constexpr u32 RELU = 1;

struct alignas(16) Conv {
    u32 input, output, size, kernel, stride, padding, dilation, units, rows;
    float alpha;
    u32 partials, first_norm, norms, relu, tile, network;
};

struct alignas(16) Combine {
    u32 first_term, terms, output, channels, size, pool, window, stride, padding, codes, words_per_image, code;
    u32 partials, first_norm, norms, status;
};

constexpr u32 NO_POOL = 0, MAX_POOL = 1, AVERAGE_POOL = 2;
// Beside the pool: numbers that are not finite are to be reported, since no batch norm would.
constexpr u32 CHECKS = 1;

struct alignas(16) Norm {
    u32 partials, pitch, channels, norm;
    float eps;
    u32 affine, status, unused[9];
};

struct alignas(16) Agreement {
    u32 codes, words_per_image, words, weight, network, unused[11];
};

struct alignas(16) Cholesky {
    u32 network, activations, scratch, unused[13];
};

struct alignas(16) Swap {
    u32 codes, words_per_image, words, images, network, unused[11];
};

struct alignas(16) Launch {
    u32 first, jobs, images, height, width, block, blocks, tiles, slices, units, planes, unused;
};

// Addresses of device memory, in the order of src/backend/group/memory.rs; then what the jobs of the launch share.
struct Arguments {
    const unsigned short *quantiles;
    float4 *weight_pool;
    const Term *terms;
    const Combine *combines;
    const Conv *convs;
    const u32 *rows;
    const Norm *norm_jobs;
    const Agreement *agreements;
    const Cholesky *choleskys;
    const Swap *swaps;
    const Weights *weights_jobs;
    float4 *arena;
    float *norms;
    float *partials;
    u32 *codes;
    u32 *agreement_matrices;
    double *pivots;
    u32 *statuses;
    u32 *maps;
    u32 *patterns;
    // Blocks of each convolution, and of each combine, that have ended; back at zero when all have (CUDA's alone).
    u32 *conv_counters;
    u32 *combine_counters;
    Launch launch;
};

static_assert(sizeof(Term) == 32 && sizeof(Launch) == 48, "as in records.rs");
static_assert(sizeof(Weights) == 64 && sizeof(Conv) == 64 && sizeof(Combine) == 64, "as in records.rs");
static_assert(sizeof(Norm) == 64 && sizeof(Agreement) == 64 && sizeof(Cholesky) == 64, "as in records.rs");

// Two sizes that share a word.
DEVICE u32 low(u32 pair) { return pair & 0xffffu; }
DEVICE u32 high(u32 pair) { return pair >> 16; }

// ReLU, of which NaN is 0: kernels that read activations report those that are not finite.
DEVICE float relu(float v) { return v > 0.0f ? v : 0.0f; }

// Looks at the exponent's bits: of floating-point comparisons a compiler may assume that they are of finite numbers.
DEVICE bool is_finite(float v) { return (__float_as_uint(v) & 0x7f800000u) != 0x7f800000u; }

// Sets a network's status to the node where a number was not finite, unless an earlier node is there.
DEVICE void report_non_finite(u32 *statuses, u32 status) { atomicMin(&statuses[low(status)], high(status)); }
