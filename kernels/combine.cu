// Sums of terms in planar units: normalize, ReLU, truncate, add and concat are ways of reading. Then a window over the sum,
// then terms that are added to what it gives; and code bits, of terms and of what is stored.
//
//     v[p, k] = sum over terms t that cover k of max(fma(y_t[p, k - to_t], scale, shift), low_t)
//
// A raw term has scale 1 and shift 0; low is 0 with a ReLU, else -infinity. A term's code is the sign of its fma.
//
// These kernels are for square images of width 32, 16 and 8, of at most eight terms a job; combine_any.cu has the others.
// The width is that of the images that are read. windows_* takes jobs with and without a window, combine_* those without.
// A block takes 1024 pixels of at most four units of one job: the grid is (tiles, jobs, slices of units). A warp takes 256
// pixels of one unit at a time, in two turns of four groups of 32, lane = pixel, so that a ballot is a code word. What a unit
// takes from its terms has been looked up (pieces.cuh). A piece that begins within a unit of its source, as in concats of odd
// parts, takes its channels by four loads of 4 bytes, all others by one of 16; units with one piece have a shorter way. Sums
// under a window go into a tile in shared memory (windows.cuh); pieces behind the window are a second pass.
// Where batch norms read what is stored, each block leaves its statistics, and the last block of the job makes the batch
// norms (stored_batch_norm.cuh).
//
// Instructions an octet (8 channels of 32 pixels), in machine code for sm_90a at width 32; finding the pieces takes some 8
// more in blocks of four units:
//
// | | |
// |---|---|
// | one raw term | 34 |
// | one normalized term with bits | 58 |
// | t terms | 15 + 37.5 t; with bits 14 + 61.5 t |
// | a term that begins within a unit | 33 more; with bits 14.5 more where a unit has its words from two terms |
// | maximum of 3 x 3, one term, two terms | 107, 156; with bits 131, 203 |
// | average of 3 x 3; maximum of 2 x 2 | 123; 71 an octet of its input |
//
// A network of NAS-Bench-101 (stem 16, N = 32) takes 4.3 M warp instructions of PTX here, 40.4 M with windows summed anew for
// each pixel and [pixel][octet]. Predicted by benches/model.py: 27.3 of its 58.6 us on an H200, bound by memory.
//
// All kernels have at most 64 registers, for eight blocks at once, from sm_75 to sm_120: it is tight, a number more over a
// loop spills.
#include "stored_batch_norm.cuh"
#include "windows.cuh"

constexpr u32 THREADS = 128;
// Groups of a turn.
constexpr u32 GROUPS = 4;

// Where the four groups of a turn lie: one after the other, but for images of width 8, of which each is two groups.
template <u32 W> struct Turn {
    // This lane's pixel of the first group.
    u32 pixel;
    // Width 8: pixels from the first image to the second, or 0 where there is none: the first one is read in its place.
    u32 second;
    // First word of the first group, in the codes of all networks.
    u32 code;
    bool is_first_lane;
};

// The turn whose first group has this lane's pixel there.
template <u32 W> DEVICE Turn<W> turn_at(const Pieces &pieces, u32 pixel, u32 pixels) {
    u32 code = pieces.codes + pixel / (W * W) * pieces.words_per_image + pixel % (W * W) / 32 * 4;
    return {pixel, pixel + 64 < pixels ? 64u : 0u, code, pixel % 32 == 0};
}

// Goes to a warp's second turn, and says so; or back to its first. Width 8: there may be no image for the second.
template <u32 W> DEVICE bool goes_on(u32 &pixel, u32 pixels) {
    if (W == 8 && (pixel & 128) == 0 && pixel + 128 >= pixels) return false;
    pixel ^= 128;
    return pixel & 128;
}

// Whether a group's pixels are there.
template <u32 W> DEVICE bool is_inside(const Turn<W> &turn, u32 g) { return W != 8 || g < 2 || turn.second > 0; }

// Where this lane's pixel of a group lies in a plane, which may have wrapped.
template <u32 W> DEVICE u64 place(const Turn<W> &turn, u32 plane, u32 g) {
    return W == 8 ? (u64)(plane + turn.pixel + (g < 2 ? 0 : turn.second)) + g % 2 * 32
                  : (u64)(plane + turn.pixel) + g * 32;
}

// Where a group's words of a unit lie.
template <u32 W> DEVICE u32 *words_of(const Arguments &a, const Pieces &pieces, const Turn<W> &turn, u32 code, u32 g) {
    return W == 8 ? a.codes + (u64)(code + turn.code + g / 2 * pieces.words_per_image) + g % 2 * 4
                  : a.codes + (u64)(code + turn.code) + g * 4;
}

template <u32 W> DEVICE void read(const Arguments &a, const Turn<W> &turn, u32 plane, float4 (&v)[GROUPS]) {
#pragma unroll
    for (u32 g = 0; g < GROUPS; g++) v[g] = a.arena[place(turn, plane, g)];
}

template <u32 W> DEVICE void write(const Arguments &a, const Turn<W> &turn, u32 plane, const float4 (&v)[GROUPS]) {
#pragma unroll
    for (u32 g = 0; g < GROUPS; g++)
        if (is_inside(turn, g)) a.arena[place(turn, plane, g)] = v[g];
}

// Puts sums into the tile of a window.
template <u32 W> DEVICE void stage(const Turn<W> &turn, float4 *tile, const float4 (&v)[GROUPS]) {
#pragma unroll
    for (u32 g = 0; g < GROUPS; g++) tile[turn.pixel % TILE + g * 32] = v[g];
}

DEVICE void normalize_all(const float4 &scale, const float4 &shift, float4 (&v)[GROUPS]) {
#pragma unroll
    for (u32 g = 0; g < GROUPS; g++) v[g] = normalize(v[g], scale, shift);
}

// Emits the signs of a turn: the words of some channels, bit l for channel l.
template <u32 W>
DEVICE void emit(const Arguments &a, const Pieces &pieces, const Turn<W> &turn, u32 code, u32 which, const float4 (&v)[GROUPS]) {
    if (which == 15) {
#pragma unroll
        for (u32 g = 0; g < GROUPS; g++) {
            uint4 words = signs(v[g]);
            if (turn.is_first_lane && is_inside(turn, g)) *(uint4 *)words_of(a, pieces, turn, code, g) = words;
        }
    } else {
        u32 lane = thread_anew() % 32;
        bool writes = lane < 4 && which >> lane & 1;
#pragma unroll
        for (u32 g = 0; g < GROUPS; g++) {
            uint4 words = signs(v[g]);
            u32 even = lane & 2 ? words.z : words.x, odd = lane & 2 ? words.w : words.y;
            if (writes && is_inside(turn, g)) words_of(a, pieces, turn, code, g)[lane] = lane & 1 ? odd : even;
        }
    }
}

// Reports numbers of some channels that are not finite.
DEVICE void look(const Arguments &a, u32 status, u32 channels, const float4 (&v)[GROUPS]) {
    bool all = true;
#pragma unroll
    for (u32 l = 0; l < 4; l++) {
        bool finite = true;
#pragma unroll
        for (u32 g = 0; g < GROUPS; g++) finite &= is_finite((&v[g].x)[l]);
        all &= finite | !(channels >> l & 1);
    }
    if (!all) report_non_finite(a.statuses, status);
}

// Adds a piece to a turn's sums, or begins them with it.
template <u32 W, bool IS_FIRST>
DEVICE void add(const Arguments &a, const Piece &piece, const Turn<W> &turn, const Pieces &pieces, float4 (&sums)[GROUPS]) {
    float4 v[GROUPS];
    if (piece.offset == 0) {
        read(a, turn, piece.source, v);
    } else {
        u32 offset = piece.offset, has = piece.channels;
#pragma unroll
        for (u32 g = 0; g < GROUPS; g++) v[g] = all_four(0.0f);
#pragma unroll
        for (u32 l = 0; l < 4; l++) {
            u32 from = piece.source + (offset + l >= 4 ? a.launch.images * W * W : 0);
#pragma unroll
            for (u32 g = 0; g < GROUPS; g++) {
                const float *unit = (const float *)(a.arena + ((u64)(from + turn.pixel) + g * 32));
                if (is_inside(turn, g) && has >> l & 1) (&v[g].x)[l] = unit[(offset + l) % 4];
            }
        }
    }
    float4 low = piece.low;
    normalize_all(piece.scale, piece.shift, v);
    if (piece.code != NONE) emit(a, pieces, turn, piece.code, piece.words, v);
    if (piece.looks) look(a, pieces.status, piece.channels, v);
#pragma unroll
    for (u32 g = 0; g < GROUPS; g++) {
        v[g] = maximum(v[g], low);
        sums[g] = IS_FIRST ? v[g] : sum(sums[g], v[g]);
    }
}

// The sums of a turn, from one piece to the last of its part.
template <u32 W>
DEVICE void add_all(const Arguments &a, const Pieces &pieces, const Piece *piece, const Turn<W> &turn, float4 (&sums)[GROUPS]) {
    add<W, true>(a, *piece, turn, pieces, sums);
#pragma unroll 1
    while (!piece->is_last) add<W, false>(a, *++piece, turn, pieces, sums);
    if (piece->looks) look(a, pieces.status, 15, sums);
}

// The block's pixels and units.
template <u32 W, bool HAS_WINDOWS> DEVICE void combine_tile(const Arguments &a) {
    __shared__ float4 tile[HAS_WINDOWS ? TILE : 1];
    __shared__ Pieces pieces;
    constexpr u32 AREA = W * W, OUT_AREA = AREA / 4;
    // Those of a plane: an even number.
    const u32 pixels = a.launch.images * AREA, first_pixel = blockIdx.x * TILE;
    if (first_pixel >= pixels || !find_pieces(a, AREA, pieces)) return;
    // This lane's pixel of the first group of a turn, which tells the turn and the lane too.
    u32 pixel = first_pixel + threadIdx.x / 32 * WARP_TILE + threadIdx.x % 32;
    // In widths of 16 and 8 a warp has images of its own.
    if (W != 32 && pixel >= pixels) return;
    // A unit's pieces; those behind a window are taken as a unit after it.
    for (u32 begin = 0; begin < count_of(pieces) * SLOTS;) {
        const Piece &piece = pieces.list[begin];
        const u32 unit = begin / SLOTS;
        auto has_window = [&]() {
            return HAS_WINDOWS && (*(const volatile u32 *)&pieces.window != NO_WINDOW) & (anew(begin) % SLOTS == 0);
        };
        if (piece.is_simple) {
            float4 scale = piece.scale, shift = piece.shift, low = piece.low;
#pragma unroll 1
            do {
                Turn<W> turn = turn_at<W>(pieces, pixel, pixels);
                float4 v[GROUPS];
                read(a, turn, piece.source, v);
                normalize_all(scale, shift, v);
                if (piece.code != NONE) emit(a, pieces, turn, piece.code, 15, v);
#pragma unroll
                for (u32 g = 0; g < GROUPS; g++) v[g] = maximum(v[g], low);
                if (has_window()) stage(turn, tile, v);
                else write(a, turn, pieces.output + unit * pixels, v);
            } while (goes_on<W>(pixel, pixels));
        } else {
#pragma unroll 1
            do {
                Turn<W> turn = turn_at<W>(pieces, pixel, pixels);
                float4 sums[GROUPS];
                add_all(a, pieces, &pieces.list[anew(begin)], turn, sums);
                if (has_window()) {
                    stage(turn, tile, sums);
                } else {
                    if (pieces.output != NONE) write(a, turn, pieces.output + unit * pixels, sums);
                    if (pieces.code != NONE) emit(a, pieces, turn, pieces.code + code_place(unit, 0, AREA), 15, sums);
                }
            } while (goes_on<W>(pixel, pixels));
        }
        if (has_window()) {
            if (W == 32) __syncthreads();
            else __syncwarp();
            if (pieces.window <= AVERAGE3) {
                u32 code = pieces.code == NONE || pieces.rest[unit] ? NONE : pieces.code + code_place(unit, 0, AREA);
                WindowOutput to = {a.arena + (u64)(pieces.output + unit * pixels + first_pixel), code};
                if (pieces.window == MAX3) windows3<W, true>(a, pieces, tile, to);
                else windows3<W, false>(a, pieces, tile, to);
            } else {
                u32 code = pieces.code == NONE ? NONE : pieces.code + code_place(unit, 0, OUT_AREA);
                WindowOutput to = {a.arena + (u64)(pieces.output + unit * (pixels / 4) + first_pixel / 4), code};
                if (pieces.window == MAX2) windows2<W, true>(a, pieces, tile, to);
                else windows2<W, false>(a, pieces, tile, to);
            }
            if (W == 32) __syncthreads();
            else __syncwarp();
        }
        begin = next_pieces(pieces, anew(begin), has_window());
    }
}

// Square images of width W.
template <u32 W, bool HAS_WINDOWS> DEVICE void combine(const Arguments &a) {
    combine_tile<W, HAS_WINDOWS>(a);
    const Combine &job = a.combines[a.launch.first + blockIdx.y];
    if (job.norms == 0) return;
    // The block's own blocks of 256 pixels, and its units.
    u32 tile = HAS_WINDOWS && window_of(job) >= MAX2 ? TILE / 4 : TILE, first = blockIdx.x * tile;
    u32 pixels = a.launch.images * a.launch.height * a.launch.width, first_unit = blockIdx.z * a.launch.units;
    u32 own_pixels = first < pixels ? min(tile, pixels - first) : 0, all = units(job.channels);
    u32 own_units = first_unit < all ? min(a.launch.units, all - first_unit) : 0;
    __syncthreads();
    store_partials(a, job, first / LEAF, (own_pixels + LEAF - 1) / LEAF, first_unit, own_units);
    if (is_last_block_of(a)) stored_batch_norms(a, job);
}

extern "C" __global__ void __launch_bounds__(THREADS, 8) combine_32(const Arguments a) { combine<32, false>(a); }
extern "C" __global__ void __launch_bounds__(THREADS, 8) combine_16(const Arguments a) { combine<16, false>(a); }
extern "C" __global__ void __launch_bounds__(THREADS, 8) combine_8(const Arguments a) { combine<8, false>(a); }
extern "C" __global__ void __launch_bounds__(THREADS, 8) windows_32(const Arguments a) { combine<32, true>(a); }
extern "C" __global__ void __launch_bounds__(THREADS, 8) windows_16(const Arguments a) { combine<16, true>(a); }
extern "C" __global__ void __launch_bounds__(THREADS, 8) windows_8(const Arguments a) { combine<8, true>(a); }
