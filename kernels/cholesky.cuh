// Cholesky in f64 without its roots, by panels of 32 rows: what its kernels share, which differ in where the matrix lies.
//
//     K = L D L^T, L with ones on its diagonal        pivots of K / N_A: d_p / N_A
//
// K's entries are whole numbers, so nothing is rounded before the first elimination; the host takes the logarithms. One
// warp factorizes the square of a panel, a column a lane, in registers; the columns behind it then go through the same
// steps, a thread each; what is left of the matrix has the panel's products taken off. A column moves up by one in its
// registers with each row that is taken off it, so that the loops over rows stay loops.
//
// What follows a pivot that is not positive means nothing; the host looks at the first such pivot.
#pragma once
#include "common.cuh"

constexpr u32 PANEL = 32;

// The square of a panel, factorized: rows[p][i] is row p's entry in column p + 1 + i, before its division by the pivot.
// The last one is the pivot; what lies behind the square means nothing.
struct alignas(16) Square {
    double rows[PANEL][PANEL], inverses[PANEL];
};

// Takes row p off a column, whose entries from row p on become those from row p + 1 on.
DEVICE void eliminate(double (&column)[PANEL], const Square &square, u32 p) {
    double factor = column[0] * square.inverses[p];
#pragma unroll
    for (u32 i = 0; i + 1 < PANEL; i++) column[i] = column[i + 1] - square.rows[p][i] * factor;
}

// Factorizes some rows of a symmetric square, of which each lane brings a column: the pivot of the lane's own row.
DEVICE double factorize(double (&column)[PANEL], Square &square, u32 rows) {
    u32 lane = threadIdx.x % PANEL;
    double pivot = 0.0;
#pragma unroll 1
    for (u32 p = 0; p < rows; p++) {
        square.rows[p][(lane - p - 1) % PANEL] = column[0];
        if (lane == p) {
            pivot = column[0];
            square.inverses[p] = 1.0 / pivot;
        }
        __syncwarp();
        eliminate(column, square, p);
    }
    return pivot;
}
