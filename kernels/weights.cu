// Rows of the weight pool from the seed and the parameter's name.
//
//     element e = table[16-bit lane e % 8 of Philox4x32-10(key, counter (e / 8, name, domain 0))]
//
// Integer arithmetic and a look-up, so every backend makes the same bits. Tables hold 65,536 bf16 numbers each, the normal
// distribution's first. A thread makes blocks of eight elements, an octet each.
#include "common.cuh"

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

extern "C" __global__ void __launch_bounds__(THREADS) weights(const Arguments a) {
    const Weights job = a.weights_jobs[a.launch.first + blockIdx.y];
    const unsigned short *table = a.quantiles + (job.table << 16);
    for (u32 block = threadIdx.x; block < job.blocks; block += THREADS) {
        Words words = philox({{job.first + block, job.name[0], job.name[1], 0}}, job.key[0], job.key[1]);
        Octet octet;
#pragma unroll
        for (int l = 0; l < 8; l++) {
            u32 lane = (words.v[l / 2] >> (16 * (l % 2))) & 0xffffu;
            octet.v[l] = __uint_as_float((u32)table[lane] << 16);
        }
        store(a.weight_pool + 2 * (u64)(job.place + block), octet);
    }
}
