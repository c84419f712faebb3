// Agreement matrix from packed codes.
//
//     K_ij = N_A - sum over sections of weight * popcount(code_i ^ code_j)
//
// `start` sets K to N_A; each job of `agreement` takes its words off, by integer atomics, so the order does not matter.
// A tile is 16 x 16 pairs of images, a thread a pair; only tiles on and above the diagonal are visited, and a pair is
// taken off both K_ij and K_ji. Codes pass through shared memory 32 words at a time.
#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 SIDE = 16;
constexpr u32 WORDS = 32;
// Words from one image to the next: odd, so that a column of images lies in different banks.
constexpr u32 PITCH = WORDS + 1;

extern "C" __global__ void __launch_bounds__(THREADS) start(const Arguments a) {
    const Cholesky job = a.choleskys[a.launch.first + blockIdx.y];
    u32 entry = blockIdx.x * THREADS + threadIdx.x, size = a.launch.images * a.launch.images;
    if (entry < size) a.agreement_matrices[(u64)job.network * size + entry] = job.activations;
    if (entry == 0) a.statuses[job.network] = NONE;
}

// The words of one side of a tile, zeros where there is no image or no word.
DEVICE void stage(const Arguments &a, const Agreement &job, u32 first, u32 images, u32 *to) {
    for (u32 place = threadIdx.x; place < SIDE * WORDS; place += THREADS) {
        u32 image = images + place / WORDS, word = first + place % WORDS;
        bool inside = image < a.launch.images && word < job.words;
        const u32 *codes = a.codes + job.codes + (u64)image * job.words_per_image;
        to[place / WORDS * PITCH + place % WORDS] = inside ? codes[word] : 0;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) agreement(const Arguments a) {
    __shared__ u32 left[SIDE * PITCH], right[SIDE * PITCH];
    const Agreement job = a.agreements[a.launch.first + blockIdx.y];
    // The tile's place in the upper triangle, row by row.
    u32 row = 0, column = blockIdx.x, row_tiles = (a.launch.images + SIDE - 1) / SIDE;
    for (; column >= row_tiles; row++) column -= row_tiles--;
    u32 rows = row * SIDE, columns = (row + column) * SIDE;
    u32 i = threadIdx.x / SIDE, j = threadIdx.x % SIDE, hamming = 0;
    for (u32 first = 0; first < job.words; first += WORDS) {
        stage(a, job, first, rows, left);
        stage(a, job, first, columns, right);
        __syncthreads();
#pragma unroll
        for (u32 word = 0; word < WORDS; word++) hamming += __popc(left[i * PITCH + word] ^ right[j * PITCH + word]);
        __syncthreads();
    }
    u32 n = a.launch.images, one = rows + i, other = columns + j;
    if (one < other && other < n) {
        u32 *k = a.agreement_matrices + (u64)job.network * n * n, taken = job.weight * hamming;
        atomicSub(&k[one * n + other], taken);
        atomicSub(&k[other * n + one], taken);
    }
}
