// 2-D convolution on tensor cores of square images: f32 in, f32 out, as three exact bf16 products each.
//
//     y[p, k] = alpha * sum over c, r, s of w[k, r, s, c] * x[p * stride + (r, s) - kernel / 2, c]
//     x = hi + mid + lo, cut to bf16 each          sum = (mid + lo by w over all k) + (hi by w over all k)
//
// A block takes one tile of one job (conv_tile.cuh) and up to 8 octets of its outputs, in chunks of 16 input channels.
// Staging: a warp takes an octet, lane = pixel, so what exists is the same for all lanes; the three parts go to shared
// memory as [part][octet][line][column], 16 bytes a pixel, which ldmatrix reads without bank conflicts. Products: places of
// taps are immediate offsets from one address; weights come from L1 in the order of fragments (planar.cuh), 16 bytes a lane.
//
// Tensor cores cut what they add to the size of the sum. So hi has sums of its own, and where there are more than 576
// products, these are added to what is stored of the output after each 144, rounded. Weights that are no bf16 numbers are
// three of them, by turns hi, mid, lo: mid and lo by the parts of x that matter are added to the sums of mid and lo.
//
// Statistics: sum and M2 by a binary tree of joins, from two pixels up to the tile; batch_norm.cuh goes on with it up to 256
// pixels. So they are the same whatever the tile, and a job's arithmetic depends on no other.
//
// A width has a file and a kernel of its own, so that the compiler works on them side by side. A kernel of 1x1 takes the code
// of 3x3, but for the loop over taps: the tile is the same, what lies around it is not staged, and of taps it has the middle one.
//
// Tiles of pixels by octets of outputs, and instructions (SASS of sm_90a, 3x3 at width 32) of a step of 16 products by a
// warp's part of the tile, 24 of them HMMA, or 12. Chips with less than 164 KB of shared memory a multiprocessor take tiles
// of 128 pixels for those of 256.
//
// | outputs | 1 octet | 2 | up to 4 | up to 8 | stride 2 |
// |---|---|---|---|---|---|
// | pixels of a tile | 256 | 256 | 128 | 64 | 64 |
// | octets x pixels of a warp | 1 x 64 | 2 x 64 | 4 x 32 | 4 x 32 | 1, 2 or 4 x 32 |
// | instructions a step | 24 | 36 | 36 | 35 (width 8) | |
//
// An octet of 32 pixels is staged in 63 to 65 instructions, 55 of which are the split and its stores.
//
// A network of NAS-Bench-101 (stem 16, N = 32) takes 12.7 M warp instructions of PTX here, 49.6 M by FFMA and [pixel][octet].
// Predicted by benches/model.py: 30.6 of its 58.6 us on an H200, bound by issue slots, where all of it was 256 us before.
#pragma once
#include "batch_norm.cuh"
#include "conv_tile.cuh"

constexpr u32 THREADS = 128;

// Steps of 16 products whose hi sums may stand, and steps after which they are moved where there are more.
constexpr u32 MOST_STEPS = 36, MOVED_STEPS = 9;

// Moments of a tile by slices of 32 pixels: as many as slices by channels.
constexpr u32 MOMENTS = 128;

DEVICE float head(float v) { return __uint_as_float(__float_as_uint(v) & 0xffff0000u); }

// The upper halves of two numbers.
DEVICE u32 heads(float low, float high) { return __byte_perm(__float_as_uint(low), __float_as_uint(high), 0x7632); }

// The block's job, looked up where the call stands: registers are scarce beside the sums.
DEVICE const Conv &job_here(const Arguments &a) { return a.convs[a.launch.first + anew(blockIdx.y)]; }

// Taps of its kernel, 9 or 1: of 3x3 the middle one alone.
DEVICE u32 taps_here(const Arguments &a) { return low(load_here(&job_here(a).kernel)) == 3 ? 9 : 1; }

DEVICE u32 in_octets_here(const Arguments &a) { return (low(load_here(&job_here(a).units)) + 1) / 2; }

// The warp's number, in a way that lets the compiler see that it is the same for all lanes; asked for where the call stands.
DEVICE u32 warp_index() { return __shfl_sync(0xffffffffu, anew(threadIdx.x) / 32, 0); }

// The first of a warp's octets of outputs. A block has up to 8.
template <class T> DEVICE u32 first_octet(u32 warp) { return blockIdx.z * 8 + warp % T::WN * T::NT; }

// Stages a chunk of one or two octets, from the first one on; two warps share an octet of two, four one of one.
template <class T, int OCTETS> DEVICE void stage(const Arguments &a, u32 first, u32 taps, uint4 *values) {
    const Conv &job = job_here(a);
    // A warp takes each STEP-th segment of the tile's own, and after them one of those around it, if there are any. BATCH are
    // loaded together: what registers leave beside the sums.
    constexpr int STEP = 4 / OCTETS, OWN = T::IMAGES * T::OWN, OWN_ROUNDS = (OWN + STEP - 1) / STEP;
    constexpr int ROUNDS = OWN_ROUNDS + (T::AROUND > 0 ? 1 : 0), BATCH = T::MT * T::NT == 8 ? 1 : 2;
    static_assert(T::IMAGES == 1 || STEP % T::OWN == 0, "a step within an image, or of whole images");
    static_assert(T::AROUND <= STEP, "one each");
    // Places from one line of segments to the next, and from one of the warp's own segments.
    constexpr int LINE = T::SEGMENT_ROWS * T::PITCH;
    constexpr int NEXT = T::IMAGES == 1 ? STEP * LINE : STEP / T::OWN * T::IMAGE_LINES * T::PITCH;
    u32 warp = warp_index(), lane = anew(threadIdx.x) % 32, octet = warp % OCTETS, begin = warp / OCTETS;
    u32 unit = 2 * (first + octet), pitch = plane(a.launch.images * T::AREA);
    bool second = unit + 1 < low(load_here(&job.units));
    float least = load_here(&job.relu) ? 0.0f : __uint_as_float(0xff800000u);
    // The warp's first segment, counted in the tile's first image, and how many there are from it on in all images.
    constexpr int OF_PLANE = T::AREA / 32;
    u32 segment = begin + (T::WHOLE ? 0 : blockIdx.x % T::PARTS * T::OWN);
    u32 image = T::WHOLE ? blockIdx.x * T::IMAGES : blockIdx.x / T::PARTS;
    int left = (int)((a.launch.images - image) * OF_PLANE - segment);
    const float4 *from = a.arena + (load_here(&job.input) + unit * pitch + image * T::AREA + lane) + segment * 32;
    u32 first_image = T::IMAGES == 1 ? 0 : begin / T::OWN, in_image = T::IMAGES == 1 ? begin : begin % T::OWN;
    u32 line = first_image * T::IMAGE_LINES + in_image * T::SEGMENT_ROWS + T::FIRST_OWN_LINE;
    uint4 *to = values + octet * T::PLACES + (line + lane / T::IW) * T::PITCH + T::column_place(lane % T::IW + T::PAD);
#pragma unroll
    for (int round = 0; round < ROUNDS; round += BATCH) {
        // Keeps the compiler from loading more ahead than it has registers for.
        if (round > 0) keep_order();
        float4 x[BATCH][2];
        bool inside[BATCH];
        // Segments from the warp's first one on: the first warp's is above the tile, the second's below it.
        int around = begin == 0 ? -1 : T::OWN - 1;
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
            if (round + b >= ROUNDS) break;
            int place = round + b < OWN_ROUNDS ? (round + b) * STEP : around;
            if (round + b == OWN_ROUNDS) inside[b] = begin < T::AROUND && segment + around < OF_PLANE && taps > 1;
            else if (T::IMAGES > 1) inside[b] = place < left;
            else inside[b] = OWN % STEP == 0 || begin + place < OWN;
            x[b][0] = load_stream(from + place * 32, inside[b]);
            x[b][1] = load_stream(from + pitch + place * 32, inside[b] && second);
        }
#pragma unroll
        for (int b = 0; b < BATCH; b++) {
            if (round + b >= ROUNDS || !inside[b]) continue;
            float v[8] = {x[b][0].x, x[b][0].y, x[b][0].z, x[b][0].w, x[b][1].x, x[b][1].y, x[b][1].z, x[b][1].w};
#pragma unroll
            for (int l = 0; l < 8; l++) v[l] = fmaxf(v[l], least);
            uint4 *place = to + (round + b < OWN_ROUNDS ? (round + b) * NEXT : around * LINE);
#pragma unroll
            for (int part = 0; part < 3; part++) {
                place[part * T::PART] = make_uint4(heads(v[0], v[1]), heads(v[2], v[3]), heads(v[4], v[5]), heads(v[6], v[7]));
#pragma unroll
                for (int l = 0; l < 8; l++) v[l] -= head(v[l]);
            }
        }
    }
}

// Zeros around the images, which staging never writes.
template <class T> DEVICE void clear_border(uint4 *values) {
    constexpr u32 COLUMNS = T::LINES + (T::S == 1 ? 1 : 0), REST = T::PITCH - 1;
    const uint4 zeros = make_uint4(0, 0, 0, 0);
    for (u32 i = threadIdx.x; i < 6 * COLUMNS; i += THREADS) values[i / COLUMNS * T::PLACES + i % COLUMNS * T::PITCH] = zeros;
    // Lines above, between and below whole images; else the one above an image's first rows, or below its last ones.
    u32 tile = blockIdx.x % T::PARTS, line = 0, lines = T::IMAGES + (T::S == 1 ? 1 : 0);
    if (!T::WHOLE) {
        line = tile == 0 ? T::ABOVE - 1 : T::ABOVE + T::ROWS * T::S;
        lines = tile == 0 || (T::BELOW > 0 && tile == T::PARTS - 1) ? 1 : 0;
    }
    for (u32 i = threadIdx.x; i < 6 * lines * REST; i += THREADS) {
        u32 part = i / REST % 6, at = line + i / REST / 6 * T::IMAGE_LINES;
        values[part * T::PLACES + at * T::PITCH + i % REST + 1] = zeros;
    }
}

// Sums of a warp: those of mid and lo, and those of hi.
template <class T> struct Sums {
    float low[T::MT][T::NT][4], high[T::MT][T::NT][4];
};

template <class T> DEVICE void clear(float (&sums)[T::MT][T::NT][4]) {
#pragma unroll
    for (int m = 0; m < T::MT; m++)
#pragma unroll
        for (int j = 0; j < T::NT; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) sums[m][j][i] = 0.0f;
}

// Where a lane's weights lie, in pieces of 16 bytes for two octets of outputs, or of 8 for one.
template <class T> struct Rows {
    static constexpr int PAIRS = (T::NT + 1) / 2, STEP = T::NT == 1 ? 32 : 16;
    u32 place[PAIRS];
};

template <class T> DEVICE Rows<T> rows_of(const Arguments &a, const Conv &job, u32 warp) {
    Rows<T> rows;
    u32 lane = threadIdx.x % 32, octets = (high(job.units) + 1) / 2;
#pragma unroll
    for (int q = 0; q < Rows<T>::PAIRS; q++) {
        u32 octet = first_octet<T>(warp) + 2 * q + (T::NT > 1 ? lane / 16 : 0);
        // Octets that do not exist are computed from others, and not stored.
        u32 row = a.rows[job.rows + min(octet, octets - 1)];
        if (T::NT > 1) rows.place[q] = row + lane % 16;
        else rows.place[q] = row * 2 + (lane / 16 * 2 + lane / 4 % 2) * 8 + lane % 4 * 2 + lane / 8 % 2;
    }
    return rows;
}

template <class T> DEVICE void advance(Rows<T> &rows, int steps) {
#pragma unroll
    for (int q = 0; q < Rows<T>::PAIRS; q++) rows.place[q] += steps * Rows<T>::STEP;
}

// The weights of one step for all octets: two registers each.
template <class T> DEVICE void load_weights(const Arguments &a, u32 (&b)[T::NT][2], const Rows<T> &rows, int step) {
#pragma unroll
    for (int q = 0; q < Rows<T>::PAIRS; q++) {
        if constexpr (T::NT == 1) {
            float2 w = load_constant((const float2 *)a.weight_pool + rows.place[q] + step * Rows<T>::STEP);
            b[0][0] = __float_as_uint(w.x), b[0][1] = __float_as_uint(w.y);
        } else {
            float4 w = load_constant(a.weight_pool + rows.place[q] + step * Rows<T>::STEP);
            b[2 * q][0] = __float_as_uint(w.x), b[2 * q][1] = __float_as_uint(w.y);
            b[2 * q + 1][0] = __float_as_uint(w.z), b[2 * q + 1][1] = __float_as_uint(w.w);
        }
    }
}

// One step of one part of x. 16 outputs are half a line, a line, or two.
template <class T>
DEVICE void multiply_step(float (&sums)[T::MT][T::NT][4], SharedAddress address, const u32 (&b)[T::NT][2]) {
#pragma unroll
    for (int m = 0; m < T::MT; m++) {
        u32 x[4];
        load_matrices(x, address + 16 * (16 * m / T::W * T::S * T::PITCH + 16 * m % T::W));
#pragma unroll
        for (int j = 0; j < T::NT; j++) mma_bf16(sums[m][j], x, b[j]);
    }
}

// The products of one column of taps: each line of 16 pixels is read once, for all outputs whose windows it lies in.
template <class T> DEVICE void multiply_column(const Arguments &a, Sums<T> &sums, SharedAddress address, const Rows<T> &rows) {
    constexpr int HALVES = T::W > 16 ? T::W / 16 : 1, DOWN = T::W < 16 ? 16 / T::W : 1, ROWS = T::MT / HALVES;
    u32 b[T::K][T::NT][2];
#pragma unroll
    for (int r = 0; r < T::K; r++) load_weights<T>(a, b[r], rows, r * T::K);
#pragma unroll
    for (int part = 2; part >= 0; part--)
#pragma unroll
        for (int line = 0; line < (ROWS - 1) * DOWN * T::S + T::K; line++) {
            bool needed = false;
#pragma unroll
            for (int y = 0; y < ROWS; y++) needed |= line >= y * DOWN * T::S && line < y * DOWN * T::S + T::K;
            if (!needed) continue;
#pragma unroll
            for (int h = 0; h < HALVES; h++) {
                u32 x[4];
                load_matrices(x, address + 16 * (part * T::PART + line * T::PITCH + 16 * h));
#pragma unroll
                for (int y = 0; y < ROWS; y++) {
                    int r = line - y * DOWN * T::S, m = y * HALVES + h;
                    if (r < 0 || r >= T::K) continue;
#pragma unroll
                    for (int j = 0; j < T::NT; j++) mma_bf16(part ? sums.low[m][j] : sums.high[m][j], x, b[r][j]);
                }
            }
        }
}

// Places of the first four even, or odd, taps, a byte each.
template <class T> DEVICE constexpr u32 tap_places(int odd) {
    u32 places = 0;
    for (int i = 0; i < 4; i++) places |= (u32)T::tap(2 * i + odd) << 8 * i;
    return places;
}

// Place of a lane's tap in a step of a single octet, two taps a step, one for each half of the warp. Weights behind the last
// tap are zeros.
template <class T> DEVICE u32 tap_of_half(u32 taps, int step) {
    u32 places = anew(threadIdx.x) / 16 % 2 ? tap_places<T>(1) : tap_places<T>(0);
    return taps == 1 ? T::tap(T::TAPS / 2) : __byte_perm(places, T::tap(T::TAPS - 1), 0x7770 + step);
}

// The products of a step, by hi of the weights.
template <class T> DEVICE void multiply_taps(const Arguments &a, Sums<T> &sums, SharedAddress address, Rows<T> &rows) {
    u32 b[T::NT][2];
    load_weights<T>(a, b, rows, 0);
    advance<T>(rows, 1);
#pragma unroll
    for (int part = 2; part >= 0; part--)
        multiply_step<T>(part ? sums.low : sums.high, address + 16 * part * T::PART, b);
}

// The products of a chunk, by hi of the weights.
template <class T>
DEVICE void multiply(const Arguments &a, Sums<T> &sums, SharedAddress address, Rows<T> &rows, bool pair, u32 taps) {
    if (pair && taps > 1) {
#pragma unroll 1
        for (int column = 0; column < T::K; column++) {
            multiply_column<T>(a, sums, address + 16 * T::column_place(column), rows);
            advance<T>(rows, 1);
        }
        advance<T>(rows, T::TAPS - T::K);
    } else if (taps > 1) {
#pragma unroll 1
        for (int step = 0; 2 * step < T::TAPS; step++)
            multiply_taps<T>(a, sums, address + 16 * tap_of_half<T>(T::TAPS, step), rows);
    } else {
        multiply_taps<T>(a, sums, address + 16 * T::tap(T::TAPS / 2), rows);
    }
}

// Those by mid and lo of the weights, of which those that are as small as others by hi matter.
template <class T>
DEVICE void multiply_planes(const Arguments &a, Sums<T> &sums, SharedAddress address, Rows<T> rows, bool pair) {
    // Nothing is shared with the products by hi, since it would be kept in registers.
#pragma unroll
    for (int q = 0; q < Rows<T>::PAIRS; q++) rows.place[q] = anew(rows.place[q]);
    u32 taps = taps_here(a);
#pragma unroll 1
    for (u32 plane = 1; plane < a.launch.planes; plane++) {
        advance<T>(rows, weight_steps(in_octets_here(a), taps));
#pragma unroll 1
        for (int step = 0; step < (pair ? taps : (taps + 1) / 2); step++) {
            u32 b[T::NT][2];
            load_weights<T>(a, b, rows, step);
            SharedAddress at = address + 16 * (pair && taps > 1 ? T::tap(step) : tap_of_half<T>(taps, step));
#pragma unroll 1
            for (u32 part = 0; part + plane < 3; part++) multiply_step<T>(sums.low, at + 16 * part * T::PART, b);
        }
    }
}

// Joins as many pixels of another lane, `share` = 1 / (2 n): M2 = M2 + M2' + (sum - sum')^2 / (2 n).
DEVICE Moments join_equal(Moments a, Moments b, float share) {
    float delta = a.sum - b.sum;
    return {a.sum + b.sum, fmaf(delta * delta, share, a.m2 + b.m2)};
}

DEVICE Moments other(Moments a, u32 bit) {
    return {__shfl_xor_sync(0xffffffffu, a.sum, bit), __shfl_xor_sync(0xffffffffu, a.m2, bit)};
}

// Lanes `bit` apart share their channels: each keeps half of them, for both.
template <int N> DEVICE void halve(Moments *v, u32 bit, float share) {
    bool upper = threadIdx.x & bit;
#pragma unroll
    for (int i = 0; i < N; i++) {
        Moments keep = upper ? v[i + N] : v[i], give = upper ? v[i] : v[i + N];
        v[i] = join_equal(keep, other(give, bit), share);
    }
}

// The eight lanes of one lane % 4 join V channels; a lane is left with the one that is returned.
template <int V> DEVICE u32 join_lanes(Moments *v) {
    u32 lane = threadIdx.x % 32;
    constexpr float OF_4 = 1.0f / 8, OF_8 = 1.0f / 16, OF_16 = 1.0f / 32;
    if constexpr (V == 8) {
        halve<4>(v, 16, OF_4), halve<2>(v, 8, OF_8), halve<1>(v, 4, OF_16);
        return lane / 16 * 4 + lane / 8 % 2 * 2 + lane / 4 % 2;
    } else if constexpr (V == 4) {
        halve<2>(v, 16, OF_4), halve<1>(v, 8, OF_8), v[0] = join_equal(v[0], other(v[0], 4), OF_16);
        return lane / 16 * 2 + lane / 8 % 2;
    } else {
        halve<1>(v, 16, OF_4), v[0] = join_equal(v[0], other(v[0], 8), OF_8);
        v[0] = join_equal(v[0], other(v[0], 4), OF_16);
        return lane / 16;
    }
}

// Where a lane's outputs lie: it has V channels, which are units of outputs but for a single octet, of which it has half a
// unit; pixels 8 apart.
template <class T> struct Outputs {
    static constexpr int V = 2 * T::NT, OF_PAIR = T::NT == 1 ? 2 : 4;
    float4 *to;
    u32 pitch;
    // Pairs of octets of which the lane's unit exists, and slices of 32 pixels.
    int pairs, slices;
};

template <class T> DEVICE Outputs<T> outputs_of(const Arguments &a) {
    const Conv &job = job_here(a);
    u32 warp = warp_index(), thread = anew(threadIdx.x), g = thread % 32 / 4, t = thread % 4;
    u32 pixel = blockIdx.x * T::PIXELS + warp / T::WN * 16 * T::MT, pixels = a.launch.images * (T::W * T::W);
    Outputs<T> out;
    out.pitch = plane(pixels);
    u32 unit = 2 * first_octet<T>(warp) + (T::NT == 1 ? t / 2 : t), units = high(load_here(&job.units));
    out.to = a.arena + load_here(&job.output) + (u64)unit * out.pitch + pixel + g;
    out.pairs = unit < units ? (units - unit + 3) / 4 : 0;
    out.slices = pixel < pixels ? (pixels - pixel) / 32 : 0;
    return out;
}

template <class T> DEVICE float4 *place_of(const Outputs<T> &out, int slice, int pair, int p) {
    return out.to + (u64)(4 * pair) * out.pitch + 32 * slice + 8 * p;
}

// The sum of the lane's channel l of a pair of octets, at its pixel p of a slice.
template <class T> DEVICE float &sum_of(float (&sums)[T::MT][T::NT][4], int slice, int pair, int p, int l) {
    return sums[2 * slice + p / 2][2 * pair + l / 2][p % 2 * 2 + l % 2];
}

template <class T> DEVICE void store_outputs(float4 *at, const float *y) {
    if constexpr (T::NT == 1) ((float2 *)at)[threadIdx.x % 2] = make_float2(y[0], y[1]);
    else *at = make_float4(y[0], y[1], y[2], y[3]);
}

template <class T> DEVICE void add_outputs(const float4 *at, float *y) {
    if constexpr (T::NT == 1) {
        float2 stored = ((const float2 *)at)[threadIdx.x % 2];
        y[0] += stored.x, y[1] += stored.y;
    } else {
        float4 stored = *at;
        y[0] += stored.x, y[1] += stored.y, y[2] += stored.z, y[3] += stored.w;
    }
}

// Adds what is stored of the outputs to the sums of hi, where something is, and leaves them there, or as sums in the end.
template <class T> DEVICE void move_sums(const Outputs<T> &out, float (&high)[T::MT][T::NT][4], bool adds, bool stores) {
    constexpr int OF_PAIR = Outputs<T>::OF_PAIR;
#pragma unroll
    for (int slice = 0; slice < T::MT / 2; slice++)
#pragma unroll
        for (int pair = 0; pair < (T::NT + 1) / 2; pair++) {
            if (slice >= out.slices || pair >= out.pairs) continue;
#pragma unroll
            for (int p = 0; p < 4; p++) {
                float4 *at = place_of<T>(out, slice, pair, p);
                float y[OF_PAIR];
#pragma unroll
                for (int l = 0; l < OF_PAIR; l++) y[l] = sum_of<T>(high, slice, pair, p, l);
                if (adds) add_outputs<T>(at, y);
                if (stores) store_outputs<T>(at, y);
#pragma unroll
                for (int l = 0; l < OF_PAIR; l++) sum_of<T>(high, slice, pair, p, l) = stores ? 0.0f : y[l];
            }
        }
}

// Stores a warp's outputs and leaves the statistics of its slices.
template <class T>
DEVICE void finish(const Arguments &a, const Outputs<T> &out, Sums<T> &sums, Moments *moments) {
    const Conv &job = job_here(a);
    u32 warp = warp_index();
    constexpr int V = Outputs<T>::V, OF_PAIR = Outputs<T>::OF_PAIR;
    float alpha = __uint_as_float(load_here((const u32 *)&job.alpha));
    bool has_statistics = load_here(&job.partials) != NONE;
#pragma unroll
    for (int slice = 0; slice < T::MT / 2; slice++) {
        if (slice >= out.slices) break;
        float y[4][V];
#pragma unroll
        for (int p = 0; p < 4; p++)
#pragma unroll
            for (int l = 0; l < V; l++) {
                float sum = sum_of<T>(sums.low, slice, l / OF_PAIR, p, l % OF_PAIR) +
                            sum_of<T>(sums.high, slice, l / OF_PAIR, p, l % OF_PAIR);
                // Not to be fused into what follows: statistics are those of what is stored.
                y[p][l] = __fmul_rn(sum, alpha);
            }
#pragma unroll
        for (int pair = 0; pair < V / OF_PAIR; pair++) {
            if (pair >= out.pairs) continue;
#pragma unroll
            for (int p = 0; p < 4; p++) store_outputs<T>(place_of<T>(out, slice, pair, p), &y[p][pair * OF_PAIR]);
        }
        if (!has_statistics) continue;
        Moments v[V];
#pragma unroll
        for (int l = 0; l < V; l++) {
            float ab = y[0][l] + y[1][l], cd = y[2][l] + y[3][l];
            float d0 = y[0][l] - y[1][l], d1 = y[2][l] - y[3][l], d2 = ab - cd;
            v[l] = {ab + cd, fmaf(d2 * d2, 0.25f, fmaf(d1, d1, d0 * d0) * 0.5f)};
        }
        // Lanes that are left with the same channel: the first one stores it.
        constexpr u32 SAME = V == 8 ? 0 : V == 4 ? 4 : 12;
        u32 l = join_lanes<V>(v), t = threadIdx.x % 4;
        u32 channel = warp % T::WN * 8 * T::NT + (T::NT == 1 ? 2 * t + l : l / 4 * 16 + 4 * t + l % 4);
        if ((threadIdx.x & SAME) == 0) moments[(warp / T::WN * T::MT / 2 + slice) * T::CHANNELS + channel] = v[0];
    }
}

// Joins the slices of a tile, a channel a thread, into the partial statistics.
template <class T> DEVICE void store_partials(const Arguments &a, const Moments *moments) {
    const Conv &job = job_here(a);
    constexpr int SLICES = T::PIXELS / 32;
    static_assert(SLICES * T::CHANNELS <= MOMENTS, "fits");
    u32 channel = anew(threadIdx.x), unit = 16 * anew(blockIdx.z) + channel / 4;
    u32 tile = anew(blockIdx.x), pixels = a.launch.images * (T::W * T::W) - tile * T::PIXELS;
    if (job.partials == NONE || channel >= T::CHANNELS || unit >= high(job.units)) return;
    Moments m[SLICES];
    float count[SLICES];
#pragma unroll
    for (int s = 0; s < SLICES; s++) {
        bool exists = T::IMAGES == 1 || 32 * s < pixels;
        m[s] = moments[(exists ? s : 0) * T::CHANNELS + channel];
        count[s] = exists ? 32.0f : 0.0f;
    }
#pragma unroll
    for (int step = 1; step < SLICES; step *= 2)
#pragma unroll
        for (int s = 0; s < SLICES; s += 2 * step) {
            m[s] = join(m[s], count[s], m[s + step], count[s + step]);
            count[s] += count[s + step];
        }
    float *to = (float *)((float4 *)a.partials + partial_place(job.partials, tile, high(job.units), unit)) + channel % 4;
    to[0] = m[0].sum, to[4] = m[0].m2;
}

// Whether a warp has pixels: images that do not exist have not been staged.
template <class T> DEVICE bool has_pixels(const Arguments &a, u32 warp) {
    return blockIdx.x * T::PIXELS + warp / T::WN * 16 * T::MT < a.launch.images * (T::W * T::W);
}

// A lane's row of ldmatrix: the first tap of one of the warp's first 16 pixels, of one octet or of two.
template <class T> DEVICE SharedAddress first_tap(const uint4 *values, bool pair) {
    // At width 8 a uniform number here costs sm_80 a register more than it has.
    u32 warp = T::W == 8 ? anew(threadIdx.x) / 32 : warp_index();
    u32 first = warp / T::WN * 16 * T::MT, in_image = first % (T::W * T::ROWS), lane = anew(threadIdx.x) % 32, l = lane % 16;
    u32 y = in_image / T::W + (T::W < 16 ? l / T::W : 0), x = in_image % T::W + l % T::W;
    u32 line = first / (T::W * T::ROWS) * T::IMAGE_LINES + y * T::S + T::ABOVE - (T::WHOLE ? 0 : T::PAD);
    return anew(shared_address(values + line * T::PITCH + x + (pair ? lane / 16 * T::PLACES : 0)));
}

template <class T> DEVICE void conv(const Arguments &a, uint4 *values, Moments *moments) {
    u32 taps = taps_here(a), octets = in_octets_here(a);
    if (taps > 1) clear_border<T>(values);
    Rows<T> rows = rows_of<T>(a, job_here(a), warp_index());
    Sums<T> sums;
    clear<T>(sums.low), clear<T>(sums.high);
#pragma unroll 1
    for (u32 octet = 0; octet < octets; octet += 2) {
        bool pair = octet + 1 < octets;
        if (octet > 0) __syncthreads();
        if (pair) stage<T, 2>(a, anew(octet), taps, values);
        else stage<T, 1>(a, anew(octet), taps, values);
        __syncthreads();
        if (!has_pixels<T>(a, warp_index())) continue;
        if (a.launch.planes > 1) multiply_planes<T>(a, sums, first_tap<T>(values, pair), rows, pair);
        multiply<T>(a, sums, first_tap<T>(values, pair), rows, pair, taps);
        u32 steps = octet / 2 * taps;
        bool is_last = octet + 2 >= octets, moves = is_last || (steps + taps) % MOVED_STEPS == 0;
        if (moves && weight_steps(octets, taps) > MOST_STEPS)
            move_sums<T>(outputs_of<T>(a), sums.high, steps >= MOVED_STEPS, !is_last);
    }
    Outputs<T> out = outputs_of<T>(a);
    finish<T>(a, out, sums, moments);
    __syncthreads();
    store_partials<T>(a, moments);
}

// Bytes of shared memory of the largest of some tiles.
template <class... T> DEVICE constexpr int largest() {
    int most = 0;
    ((most = T::BYTES > most ? T::BYTES : most), ...);
    return most;
}

// Tiles by octets of outputs: 1, 2, up to 4 and up to 8. Those of 1 and 2 have TENSOR_PIXELS, 256 or 128, which the
// compiler is told by the chip's shared memory.
template <int W> struct Tiles {
    static constexpr int MOST = TENSOR_PIXELS / 64;
    typedef Tile<W, 1, MOST, 1, 1> Of1;
    typedef Tile<W, 1, MOST, 2, 1> Of2;
    typedef Tile<W, 1, 2, 4, 1> Of4;
    typedef Tile<W, 1, 2, 4, 2> Of8;
    static constexpr int BYTES = largest<Of1, Of2, Of4, Of8>();
};

// Tiles of stride 2: up to 2, 4 and 8.
template <int W> struct StridedTiles {
    typedef Tile<W, 2, 2, 1, 2> Of2;
    typedef Tile<W, 2, 2, 2, 2> Of4;
    typedef Tile<W, 2, 2, 4, 2> Of8;
    static constexpr int BYTES = largest<Of2, Of4, Of8>();
};

template <int W> DEVICE void conv_of_width(const Arguments &a, uint4 *values) {
    __shared__ Moments moments[MOMENTS];
    {
        const Conv &job = a.convs[a.launch.first + blockIdx.y];
        u32 octets = (high(job.units) + 1) / 2;
        // The grid is that of the job with the smallest tile, and of that with the most octets.
        if (blockIdx.x * job.tile >= a.launch.images * (W * W) || blockIdx.z * 8 >= octets) return;
        bool is_strided = low(job.stride) == 2;
        if constexpr (W < 32) {
            if (is_strided && octets <= 2) conv<typename StridedTiles<W>::Of2>(a, values, moments);
            else if (is_strided && octets <= 4) conv<typename StridedTiles<W>::Of4>(a, values, moments);
            else if (is_strided) conv<typename StridedTiles<W>::Of8>(a, values, moments);
        }
        if (!is_strided && octets == 1) conv<typename Tiles<W>::Of1>(a, values, moments);
        else if (!is_strided && octets == 2) conv<typename Tiles<W>::Of2>(a, values, moments);
        else if (!is_strided && octets <= 4) conv<typename Tiles<W>::Of4>(a, values, moments);
        else if (!is_strided) conv<typename Tiles<W>::Of8>(a, values, moments);
    }
    const Conv &job = job_here(a);
    if (job.partials == NONE) return;
    u32 tiles = (a.launch.images * (W * W) + job.tile - 1) / job.tile, slices = (high(job.units) + 15) / 16;
    if (is_last_block(&a.conv_counters[a.launch.first + blockIdx.y], tiles * slices))
        batch_norms(a, job.partials, high(job.units), job.first_norm, job.norms, job.tile);
}
