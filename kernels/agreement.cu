// Agreement matrix from packed codes.
//
//     K_ij = N_A - sum over sections of weight * popcount(code_i ^ code_j)
//
// `start` sets K to N_A; each job of `agreement` takes its words off, by integer atomics, so the order does not matter.
// A tile is 32 x 32 pairs of images, a thread four of them; only tiles on and above the diagonal are visited, and a pair is
// taken off both K_ij and K_ji. Codes pass through shared memory 32 words at a time.
#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 SIDE = 32;
constexpr u32 HALF = SIDE / 2;
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
    u32 i = threadIdx.x / HALF, j = threadIdx.x % HALF, hamming[2][2] = {};
    for (u32 first = 0; first < job.words; first += WORDS) {
        stage(a, job, first, rows, left);
        stage(a, job, first, columns, right);
        __syncthreads();
#pragma unroll 8
        for (u32 word = 0; word < WORDS; word++) {
#pragma unroll
            for (u32 e = 0; e < 4; e++) {
                u32 one = left[(i + HALF * (e / 2)) * PITCH + word], other = right[(j + HALF * (e % 2)) * PITCH + word];
                hamming[e / 2][e % 2] += __popc(one ^ other);
            }
        }
        __syncthreads();
    }
    u32 n = a.launch.images, *k = a.agreement_matrices + (u64)job.network * n * n;
#pragma unroll
    for (u32 e = 0; e < 4; e++) {
        u32 one = rows + i + HALF * (e / 2), other = columns + j + HALF * (e % 2);
        if (one < other && other < n) {
            u32 taken = job.weight * hamming[e / 2][e % 2];
            atomicSub(&k[one * n + other], taken);
            atomicSub(&k[other * n + one], taken);
        }
    }
}
