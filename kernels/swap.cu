// Distinct activation patterns from packed codes: SWAP.
//
//     swap = |{ (code_1[u], .., code_M[u]) : u a unit }|
//
// A pattern is a column of the code matrix, as a number of M bits, image i at bit i; a map of 2^M bits has a bit for each.
// `clear_patterns` empties the map and the counts of a network; a job of `swap` is a section of its codes, a tile some
// words of it, a thread a column of them at a time. With up to 16 images a block marks patterns in a map in shared memory
// first, which it then merges into the network's. Marks are made by OR, and whoever makes one that was not there counts
// it, so the order does not matter. Padding looks like a unit that no image activates: such columns are left out, and the
// others counted, so that the host knows whether a real unit is among those left out.
#include "common.cuh"

constexpr u32 THREADS = 256;
// Code words of a tile.
constexpr u32 TILE = 2048;
// Images whose map has room in shared memory, and its words.
constexpr u32 SHARED_IMAGES = 16;
constexpr u32 SHARED_WORDS = (1 << SHARED_IMAGES) / 32;

// Words of a map of the patterns of so many images.
DEVICE u32 map_words(u32 images) { return images > 5 ? 1u << (images - 5) : 1; }

extern "C" __global__ void __launch_bounds__(THREADS) clear_patterns(const Arguments a) {
    u32 index = a.launch.first + blockIdx.y;
    const Swap job = a.swaps[index];
    // The first of a network's sections, which stand side by side, clears for all.
    if (index > 0 && a.swaps[index - 1].network == job.network) return;
    u32 word = blockIdx.x * THREADS + threadIdx.x, size = map_words(job.images);
    if (word < size) a.maps[(u64)job.network * size + word] = 0;
    if (word < 2) a.patterns[2 * job.network + word] = 0;
}

extern "C" __global__ void __launch_bounds__(THREADS) swap(const Arguments a) {
    __shared__ u32 shared[SHARED_WORDS], counts[2];
    const Swap job = a.swaps[a.launch.first + blockIdx.y];
    u32 first = blockIdx.x * TILE, last = min(first + TILE, job.words);
    // The grid is that of the section with the most words.
    if (first >= last) return;
    u32 size = map_words(job.images), *map = a.maps + (u64)job.network * size;
    bool is_small = job.images <= SHARED_IMAGES;
    for (u32 word = threadIdx.x; word < SHARED_WORDS; word += THREADS) shared[word] = 0;
    if (threadIdx.x < 2) counts[threadIdx.x] = 0;
    __syncthreads();
    u32 marked = 0, active = 0, bit = threadIdx.x % 32;
    for (u32 word = first + threadIdx.x / 32; word < last; word += THREADS / 32) {
        const u32 *codes = a.codes + job.codes + word;
        u32 pattern = 0;
#pragma unroll 8
        for (u32 image = 0; image < job.images; image++) {
            pattern |= (codes[(u64)image * job.words_per_image] >> bit & 1) << image;
        }
        if (pattern == 0) continue;
        active++;
        u32 mark = 1u << pattern % 32;
        if (is_small) atomicOr(&shared[pattern / 32], mark);
        else if (!(atomicOr(&map[pattern / 32], mark) & mark)) marked++;
    }
    __syncthreads();
    if (is_small) {
        for (u32 word = threadIdx.x; word < size; word += THREADS) {
            u32 marks = shared[word];
            if (marks) marked += __popc(marks & ~atomicOr(&map[word], marks));
        }
    }
    atomicAdd(&counts[0], marked);
    atomicAdd(&counts[1], active);
    __syncthreads();
    if (threadIdx.x < 2) atomicAdd(&a.patterns[2 * job.network + threadIdx.x], counts[threadIdx.x]);
}
