// Cholesky of any number of images, a launch a panel (cholesky.cuh), whose first row is launch.block.
//
// A block takes 64 x 64 entries on or above the diagonal behind the panel, and factorizes the panel's square for itself:
// so no block waits for another. It takes the columns of the panel above and beside its tile through the panel's rows, a
// thread each, and their products off the tile, 16 entries a thread. The first panel reads K; what is left of it goes to
// the arena, which is free by then, and where the next ones read it. Nobody needs the factor.
#include "cholesky.cuh"

constexpr u32 THREADS = 256;
constexpr u32 SIDE = 16;
constexpr u32 TILE = 4 * SIDE;

// What earlier panels have left of K, on and above its diagonal.
struct Rest {
    const u32 *k;
    double *rest;
    u32 n;
    bool is_k;
};

DEVICE double entry(const Rest &at, u32 row, u32 column) {
    u64 place = (u64)row * at.n + column;
    return at.is_k ? (double)at.k[place] : at.rest[place];
}

extern "C" __global__ void __launch_bounds__(THREADS, 1) cholesky(const Arguments a) {
    __shared__ Square square;
    __shared__ double left[PANEL][TILE], right[PANEL][TILE];
    const Cholesky job = a.choleskys[a.launch.first + blockIdx.y];
    u32 n = a.launch.images, first = a.launch.block, last = min(first + PANEL, n), thread = threadIdx.x;
    const u32 *k = a.agreement_matrices + (u64)job.network * n * n;
    const Rest at = {k, (double *)(a.arena + job.scratch), n, first == 0};
    // The tile's place in the upper triangle behind the panel, row by row.
    u32 row = 0, beside = blockIdx.x, row_tiles = (n - last + TILE - 1) / TILE;
    for (; row_tiles > 0 && beside >= row_tiles; row++) beside -= row_tiles--;
    u32 top = last + row * TILE, side = top + beside * TILE;

    // A warp has the square, four others have the columns of the panel.
    u32 solver = thread - (THREADS - 2 * TILE), own = (solver < TILE ? top : side - TILE) + solver;
    bool factorizes = thread < PANEL, solves = solver < 2 * TILE;
    double column[PANEL];
#pragma unroll
    for (u32 p = 0; p < PANEL; p++) {
        column[p] = 0.0;
        u32 from = first + min(p, thread), to = first + max(p, thread);
        if (factorizes && to < last) column[p] = entry(at, from, to);
        if (solves && own < n) column[p] = entry(at, first + p, own);
    }
    if (factorizes) {
        double pivot = factorize(column, square, last - first);
        bool reports = blockIdx.x == 0 && first + thread < last;
        if (reports) a.pivots[(u64)job.network * n + first + thread] = pivot / (double)job.activations;
    }
    // Only a full panel has columns behind it.
    if (last == n) return;
    __syncthreads();
    if (solves) {
#pragma unroll 1
        for (u32 p = 0; p < PANEL; p++) {
            if (solver < TILE) left[p][solver] = column[0];
            else right[p][solver - TILE] = column[0] * square.inverses[p];
            eliminate(column, square, p);
        }
    }
    __syncthreads();

    u32 i = thread / SIDE, j = thread % SIDE;
    double sum[4][4] = {};
    for (u32 p = 0; p < PANEL; p++) {
#pragma unroll
        for (u32 e = 0; e < 16; e++) sum[e / 4][e % 4] += left[p][i + SIDE * (e / 4)] * right[p][j + SIDE * (e % 4)];
    }
#pragma unroll
    for (u32 e = 0; e < 16; e++) {
        u32 to_row = top + i + SIDE * (e / 4), to_column = side + j + SIDE * (e % 4);
        if (to_row <= to_column && to_column < n) {
            at.rest[(u64)to_row * n + to_column] = entry(at, to_row, to_column) - sum[e / 4][e % 4];
        }
    }
}
