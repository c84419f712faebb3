// Rows of the weight pool from the seed and the parameter's name, in the order of fragments (planar.cuh).
//
//     element e = table[16-bit lane e % 8 of Philox4x32-10(key, counter (e / 8, name, domain 0))]
//
// Elements are [output channel][tap][input channel], input channels filled up to octets, so that a block of eight is an
// octet of one output channel and tap. Integer arithmetic and a look-up, so every backend makes the same bits. Tables hold
// 65,536 bf16 numbers each, the normal distribution's first.
//
// A thread makes four blocks at a time, two output channels by the two octets or two taps of a step: 64 bytes of a row.
#include "planar.cuh"

constexpr u32 THREADS = 256;

struct Words {
    u32 v[4];
};

DEVICE Words philox(Words counter, u32 key0, u32 key1) {
#pragma unroll
    for (int round = 0; round < 10; round++) {
        const u32 *c = counter.v;
        u64 p0 = (u64)0xD2511F53u * c[0], p1 = (u64)0xCD9E8D57u * c[2];
        counter = {{(u32)(p1 >> 32) ^ c[1] ^ key0, (u32)p1, (u32)(p0 >> 32) ^ c[3] ^ key1, (u32)p0}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// The eight numbers of a block, two a word.
DEVICE Words numbers(const Weights &job, const unsigned short *table, u32 block) {
    Words words = philox({{block, job.name[0], job.name[1], 0}}, job.key[0], job.key[1]);
#pragma unroll
    for (int i = 0; i < 4; i++) words.v[i] = table[words.v[i] & 0xffffu] | (u32)table[words.v[i] >> 16] << 16;
    return words;
}

extern "C" __global__ void __launch_bounds__(THREADS) weights(const Arguments a) {
    const Weights job = a.weights_jobs[a.launch.first + blockIdx.y];
    const unsigned short *table = a.quantiles + (job.table << 16);
    u32 steps = weight_steps(job.in_octets, job.taps), pairs = job.in_octets / 2 * job.taps;
    u32 rows = job.blocks / (8 * job.taps * job.in_octets);
    uint4 *to = (uint4 *)a.weight_pool + job.place;
    for (u32 item = threadIdx.x; item < rows * steps * 4; item += THREADS) {
        u32 row = item / (4 * steps), step = item / 4 % steps, channel = 8 * row + item % 4 / 2 * 4 + item % 2;
        // The first half of the step, and the second, which may lie behind the last tap.
        bool pair = step < pairs;
        u32 tap = pair ? step % job.taps : 2 * (step - pairs), octet = pair ? step / job.taps * 2 : job.in_octets - 1;
        u32 first = job.first + (channel * job.taps + tap) * job.in_octets + octet, second = first + (pair ? 1 : job.in_octets);
        u32 next = 2 * job.taps * job.in_octets;
        bool exists = pair || tap + 1 < job.taps;
        Words zeros = {{0, 0, 0, 0}}, x = numbers(job, table, first), y = exists ? numbers(job, table, second) : zeros;
        Words z = numbers(job, table, first + next), w = exists ? numbers(job, table, second + next) : zeros;
#pragma unroll
        for (u32 i = 0; i < 4; i++) to[4 * (u64)item + i] = make_uint4(x.v[i], y.v[i], z.v[i], w.v[i]);
    }
}
