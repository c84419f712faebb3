// Cholesky of as many images as a block's shared memory has room for, a block a network: the lower triangle, row by row
// without gaps, behind the square of the panel at work (cholesky.cuh).
//
// A panel's columns are rows of the triangle, a thread each. The rest has the panel's products taken off in tiles of
// 64 x 64, 16 entries a thread.
#include "cholesky.cuh"

constexpr u32 THREADS = 256;
constexpr u32 SIDE = 16;
constexpr u32 TILE = 4 * SIDE;

// Place of a row's first entry.
DEVICE u32 row_place(u32 row) { return row * (row + 1) / 2; }

extern "C" __global__ void __launch_bounds__(THREADS, 1) cholesky_shared(const Arguments a) {
    DYNAMIC_SHARED(double, memory);
    Square &square = *(Square *)memory;
    double *lower = memory + sizeof(Square) / sizeof(double);
    const Cholesky job = a.choleskys[a.launch.first + blockIdx.y];
    u32 n = a.launch.images, thread = threadIdx.x, i = thread / SIDE, j = thread % SIDE;
    const u32 *k = a.agreement_matrices + (u64)job.network * n * n;
    double *pivots = a.pivots + (u64)job.network * n;
    for (u32 row = thread / 32; row < n; row += THREADS / 32) {
        for (u32 column = thread % 32; column <= row; column += 32) lower[row_place(row) + column] = (double)k[row * n + column];
    }
    for (u32 first = 0; first < n; first += PANEL) {
        u32 last = min(first + PANEL, n), rows = last - first;
        __syncthreads();
        if (thread < PANEL) {
            double column[PANEL];
#pragma unroll
            for (u32 p = 0; p < PANEL; p++) {
                u32 from = max(p, thread), to = min(p, thread);
                column[p] = from < rows ? lower[row_place(first + from) + first + to] : 0.0;
            }
            double pivot = factorize(column, square, rows);
            if (thread < rows) pivots[first + thread] = pivot / (double)job.activations;
        }
        __syncthreads();
        // Only a full panel has columns behind it.
        for (u32 behind = last + thread; behind < n; behind += THREADS) {
            double *to = lower + row_place(behind) + first, column[PANEL];
#pragma unroll
            for (u32 p = 0; p < PANEL; p++) column[p] = to[p];
#pragma unroll 1
            for (u32 p = 0; p < PANEL; p++) {
                to[p] = column[0];
                eliminate(column, square, p);
            }
        }
        __syncthreads();
        for (u32 top = last; top < n; top += TILE) {
            for (u32 side = last; side <= top; side += TILE) {
                double sum[4][4] = {};
                const double *left[4], *right[4];
#pragma unroll
                for (u32 e = 0; e < 4; e++) {
                    left[e] = lower + row_place(min(top + i + SIDE * e, n - 1)) + first;
                    right[e] = lower + row_place(min(side + j + SIDE * e, n - 1)) + first;
                }
                for (u32 p = 0; p < PANEL; p++) {
                    double factors[4];
#pragma unroll
                    for (u32 e = 0; e < 4; e++) factors[e] = right[e][p] * square.inverses[p];
#pragma unroll
                    for (u32 e = 0; e < 16; e++) sum[e / 4][e % 4] += left[e / 4][p] * factors[e % 4];
                }
#pragma unroll
                for (u32 e = 0; e < 16; e++) {
                    u32 row = top + i + SIDE * (e / 4), column = side + j + SIDE * (e % 4);
                    if (column <= row && row < n) lower[row_place(row) + column] -= sum[e / 4][e % 4];
                }
            }
        }
    }
}
