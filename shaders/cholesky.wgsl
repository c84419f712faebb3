// Pivots of K / N_A by Cholesky, K = N_A U^T U with U upper triangular.
//
//     d_p = u_pp^2        ln det K = N ln N_A + sum_p ln d_p
//
// The host takes the logarithms, in f64. One workgroup takes one network. The factorization is right-looking, in panels
// of 8 rows: a panel is factorized by itself, then every later row has the panel's products taken off in one pass. U
// overwrites K / N_A in the arena, which is free by then. What follows a pivot that is not positive means nothing; the
// host looks at the first such pivot.

@group(0) @binding(0) var<uniform> launch: Launch;
@group(0) @binding(1) var<storage, read> choleskys: array<Cholesky>;
@group(0) @binding(2) var<storage, read> agreement_matrices: array<u32>;
@group(0) @binding(3) var<storage, read_write> arena: array<f32>;
@group(0) @binding(4) var<storage, read_write> pivots: array<f32>;

const THREADS: u32 = 256u;
const PANEL: u32 = 8u;
const SIDE: u32 = 16u;

@compute @workgroup_size(256)
fn cholesky(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let job = choleskys[launch.first + workgroup.y];
    let n = launch.images;
    let u = job.scratch * 4u;
    for (var entry = thread; entry < n * n; entry += THREADS) {
        arena[u + entry] = f32(agreement_matrices[job.network * n * n + entry]) / f32(job.activations);
    }
    storageBarrier();
    for (var first = 0u; first < n; first += PANEL) {
        let last = min(first + PANEL, n);
        for (var p = first; p < last; p++) {
            let row = u + p * n;
            let pivot = arena[row + p];
            // The pivot itself stays: threads may still have to read it.
            for (var j = p + 1u + thread; j < n; j += THREADS) {
                arena[row + j] /= sqrt(pivot);
            }
            if (thread == 0u) {
                pivots[job.network * n + p] = pivot;
            }
            storageBarrier();
            for (var j = p + 1u + thread; j < n; j += THREADS) {
                let factor = arena[row + j];
                for (var i = p + 1u; i < min(last, j + 1u); i++) {
                    arena[u + i * n + j] -= arena[row + i] * factor;
                }
            }
            storageBarrier();
        }
        if (last < n) {
            subtract_panel(u, n, first, last, thread);
        }
        storageBarrier();
    }
}

// a_ij -= sum over the panel's rows p of u_pi u_pj, for all j >= i >= last.
fn subtract_panel(u: u32, n: u32, first: u32, last: u32, thread: u32) {
    for (var i = last + thread / SIDE; i < n; i += SIDE) {
        for (var j = i - i % SIDE + thread % SIDE; j < n; j += SIDE) {
            if (j >= i) {
                var sum = 0.0;
                for (var p = first; p < last; p++) {
                    sum += arena[u + p * n + i] * arena[u + p * n + j];
                }
                arena[u + i * n + j] -= sum;
            }
        }
    }
}
