// Agreement matrix from packed codes, on binary tensor cores: `agreement` for architectures that have them (8.0 to 9.0).
//
//     K_ij -= weight * (|a| + |b| - 2 |a & b|)        a, b the job's words of images i and j
//
// A tile is 32 x 32 pairs of images as in `agreement`; its four warps share the words out, 16 at a time. A lane loads the
// words of two steps of the tensor cores at once, 16 bytes: which word stands for which of a step's bits does not matter, as
// long as both sides agree. So a warp's load has 64 bytes in a row of each of 8 images. On the diagonal one load serves both
// sides. Its tiles alone know the counts |a|, from |a & a|, and take them off all pairs of their images.
//
// A network of NAS-Bench-101 (stem 16, N = 32) takes 0.1 M warp instructions of PTX here, 1.5 M by __popc. Predicted by
// benches/model.py: 0.4 of its 58.6 us on an H200, bound by memory.
//
// Sections are whole units of four words; those behind their end are not read, since nobody writes them.
#include "common.cuh"

constexpr u32 THREADS = 128;
constexpr u32 SIDE = 32;
constexpr u32 WARPS = THREADS / 32;
// Words that a warp takes at once, and a lane.
constexpr u32 WORDS = 16;
constexpr u32 OWN = 4;

extern "C" __global__ void __launch_bounds__(THREADS, 5) agreement_b1(const Arguments a) {
    // Common bits of each pair.
    __shared__ u32 common[SIDE][SIDE + 1];
    const Agreement job = a.agreements[a.launch.first + blockIdx.y];
    u32 n = a.launch.images, lane = threadIdx.x % 32, warp = threadIdx.x / 32, group = lane / 4, quad = lane % 4;
    // The tile's place in the upper triangle, row by row.
    u32 row = 0, column = blockIdx.x, row_tiles = (n + SIDE - 1) / SIDE;
    for (; column >= row_tiles; row++) column -= row_tiles--;
    u32 rows = row * SIDE, columns = (row + column) * SIDE;
    bool diagonal = column == 0;
    // Words of the lane's first image down the tile, and across it; there are four on each side, eight images apart.
    u32 sides[2] = {rows + group, columns + group}, apart = 8 * job.words_per_image;
    u32 places[2] = {job.codes + sides[0] * job.words_per_image, job.codes + sides[1] * job.words_per_image};
    int counts[2][4][4] = {};
    for (u32 first = warp * WORDS; first < job.words; first += WARPS * WORDS) {
        u32 word = first + OWN * quad;
        uint4 w[8];
#pragma unroll
        for (u32 r = 0; r < 8; r++) {
            const u32 *from = a.codes + places[r / 4] + r % 4 * apart + word;
            bool exists = word < job.words && sides[r / 4] + r % 4 * 8 < n && (r < 4 || !diagonal);
            w[r] = exists ? load_once((const uint4 *)from) : make_uint4(0, 0, 0, 0);
        }
        if (diagonal) {
#pragma unroll
            for (u32 r = 0; r < 4; r++) w[r + 4] = w[r];
        }
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            u32 one[4] = {w[2 * i].x, w[2 * i + 1].x, w[2 * i].y, w[2 * i + 1].y};
            u32 two[4] = {w[2 * i].z, w[2 * i + 1].z, w[2 * i].w, w[2 * i + 1].w};
#pragma unroll
            for (u32 j = 0; j < 4; j++) {
                mma_and_popc(counts[i][j], one, make_uint2(w[4 + j].x, w[4 + j].y));
                mma_and_popc(counts[i][j], two, make_uint2(w[4 + j].z, w[4 + j].w));
            }
        }
    }
    // The warps' counts become one.
    for (u32 turn = 0; turn < WARPS; turn++) {
        if (warp == turn) {
#pragma unroll
            for (u32 e = 0; e < 32; e++) {
                u32 i = e / 16, j = e / 4 % 4;
                u32 *to = &common[16 * i + 8 * (e / 2 % 2) + group][8 * j + 2 * quad + e % 2];
                *to = counts[i][j][e % 4] + (turn == 0 ? 0 : *to);
            }
        }
        __syncthreads();
    }
    u32 *k = a.agreement_matrices + (u64)job.network * n * n;
    for (u32 pair = threadIdx.x; pair < SIDE * SIDE; pair += THREADS) {
        u32 i = pair / SIDE, j = pair % SIDE, one = rows + i, other = columns + j;
        if (one < other && other < n) {
            u32 bits = diagonal ? common[i][i] + common[j][j] : 0, taken = job.weight * (bits - 2 * common[i][j]);
            atomicSub(&k[one * n + other], taken);
            atomicSub(&k[other * n + one], taken);
        }
    }
    if (!diagonal) return;
    // Pairs with images of other tiles.
    for (u32 pair = threadIdx.x; pair < SIDE * n; pair += THREADS) {
        u32 i = pair / n, one = rows + i, other = pair % n;
        if (one < n && other / SIDE != row) {
            u32 taken = job.weight * common[i][i];
            atomicSub(&k[one * n + other], taken);
            atomicSub(&k[other * n + one], taken);
        }
    }
}
