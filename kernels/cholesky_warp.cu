// Cholesky of up to 32 images, a warp a network: K is one panel's square (cholesky.cuh).
#include "cholesky.cuh"

constexpr u32 THREADS = 32;

extern "C" __global__ void __launch_bounds__(THREADS, 1) cholesky_warp(const Arguments a) {
    __shared__ Square square;
    const Cholesky job = a.choleskys[a.launch.first + blockIdx.y];
    u32 n = a.launch.images, lane = threadIdx.x;
    const u32 *k = a.agreement_matrices + (u64)job.network * n * n;
    double column[PANEL];
#pragma unroll
    for (u32 i = 0; i < PANEL; i++) column[i] = i < n && lane < n ? (double)k[i * n + lane] : 0.0;
    double pivot = factorize(column, square, n);
    if (lane < n) a.pivots[(u64)job.network * n + lane] = pivot / (double)job.activations;
}
