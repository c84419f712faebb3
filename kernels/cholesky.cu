// Pivots of K / N_A by Cholesky in f64, K = N_A U^T U with U upper triangular.
//
//     d_p = u_pp^2        ln det K = N ln N_A + sum_p ln d_p
//
// The host takes the logarithms. A block takes one network, so a launch takes as many at once as the group has. The
// factorization is right-looking, in panels of 16 rows: the panel's square on the diagonal is factorized in shared memory,
// an entry a thread; then each thread solves whole columns of the panel in registers; then every later entry has the
// panel's products taken off in tiles of 32 x 32, four entries a thread. U overwrites K / N_A in the arena, which is free
// by then. What follows a pivot that is not positive means nothing; the host looks at the first such pivot.
#include "common.cuh"

constexpr u32 THREADS = 256;
constexpr u32 PANEL = 16;
constexpr u32 TILE = 32;

// Factorizes the square in place, but for its pivots, which stay; `inverse` becomes 1 / u_pp.
DEVICE void factorize(double (*square)[PANEL], double *inverse, u32 rows) {
    u32 i = threadIdx.x / PANEL, j = threadIdx.x % PANEL;
    for (u32 p = 0; p < rows; p++) {
        if (i == p && j >= p && j < rows) {
            double factor = 1.0 / sqrt(square[p][p]);
            if (j == p) inverse[p] = factor;
            else square[p][j] *= factor;
        }
        __syncthreads();
        if (i > p && j >= i && j < rows) square[i][j] -= square[p][i] * square[p][j];
        __syncthreads();
    }
}

// Rows of the panel from `from` on, some columns of them, into shared memory; zeros behind the matrix.
DEVICE void stage(const double *u, u32 n, u32 first, u32 from, double (*to)[TILE]) {
    for (u32 place = threadIdx.x; place < PANEL * TILE; place += THREADS) {
        u32 p = place / TILE, j = from + place % TILE;
        to[p][place % TILE] = j < n ? u[(u64)(first + p) * n + j] : 0.0;
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) cholesky(const Arguments a) {
    __shared__ double square[PANEL][PANEL], inverse[PANEL], left[PANEL][TILE], right[PANEL][TILE];
    const Cholesky job = a.choleskys[a.launch.first + blockIdx.y];
    u32 n = a.launch.images, thread = threadIdx.x, i = thread / PANEL, j = thread % PANEL;
    double *u = (double *)(a.arena + 2 * (u64)job.scratch);
    const u32 *k = a.agreement_matrices + (u64)job.network * n * n;
    double *pivots = a.pivots + (u64)job.network * n;
    for (u32 entry = thread; entry < n * n; entry += THREADS) u[entry] = (double)k[entry] / (double)job.activations;
    for (u32 first = 0; first < n; first += PANEL) {
        u32 last = min(first + PANEL, n), rows = last - first;
        // The panel's entries were changed by other threads.
        __syncthreads();
        if (i < rows && j < rows) square[i][j] = u[(u64)(first + i) * n + first + j];
        __syncthreads();
        factorize(square, inverse, rows);
        if (thread < rows) pivots[first + thread] = square[thread][thread];
        // Only a full panel has columns behind it.
        for (u32 column = last + thread; column < n; column += THREADS) {
            // Else the compiler takes the whole square into registers before the loop, and spills it.
            asm volatile("" ::: "memory");
            double v[PANEL];
#pragma unroll
            for (u32 p = 0; p < PANEL; p++) v[p] = u[(u64)(first + p) * n + column];
#pragma unroll
            for (u32 p = 0; p < PANEL; p++) {
                v[p] *= inverse[p];
#pragma unroll
                for (u32 q = p + 1; q < PANEL; q++) v[q] -= square[p][q] * v[p];
                u[(u64)(first + p) * n + column] = v[p];
            }
        }
        for (u32 top = last; top < n; top += TILE) {
            for (u32 side = top; side < n; side += TILE) {
                __syncthreads();
                stage(u, n, first, top, left);
                stage(u, n, first, side, right);
                __syncthreads();
                double sum[2][2] = {{0.0, 0.0}, {0.0, 0.0}};
#pragma unroll
                for (u32 p = 0; p < PANEL; p++) {
#pragma unroll
                    for (u32 e = 0; e < 4; e++) sum[e / 2][e % 2] += left[p][i + PANEL * (e / 2)] * right[p][j + PANEL * (e % 2)];
                }
#pragma unroll
                for (u32 e = 0; e < 4; e++) {
                    u32 row = top + i + PANEL * (e / 2), column = side + j + PANEL * (e % 2);
                    if (row <= column && column < n) u[(u64)row * n + column] -= sum[e / 2][e % 2];
                }
            }
        }
    }
}
