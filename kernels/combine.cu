// Sums of terms: normalize, ReLU, truncate, add and concat are ways of reading. Then pooling, and code bits.
//
//     v[p, k] = sum over terms t that cover k of f_t(x_t[p, k - to_t + channel_t])
//     f_t(y) = y, or (y - mean) * a + beta; then max(., 0); then the average over 3 x 3 pixels
//
// A tile is up to 128 pixels of one image; a thread takes an octet of a pixel at a time, neighbors neighboring octets. A
// term's code is the sign of its value, v > 0, which the ReLU leaves as it is; the job's own code is the sign of what it
// stores. Four neighboring threads have a byte each of a code word, which the first of them stores. Where batch norms
// read what is stored, the last block of the job makes them (stored_batch_norm.cuh).
#include "stored_batch_norm.cuh"

constexpr u32 THREADS = 128;
constexpr u32 TILE_PIXELS = 128;

// A pixel of an image.
struct Place {
    u32 image, y, x;
};

DEVICE void add(Octet &sum, const Octet &octet) {
#pragma unroll
    for (int l = 0; l < 8; l++) sum.v[l] += octet.v[l];
}

DEVICE void divide(Octet &octet, u32 count) {
#pragma unroll
    for (int l = 0; l < 8; l++) octet.v[l] /= (float)count;
}

// Clears a flag where one of eight numbers is not finite.
DEVICE void check_finite(bool &finite, const Octet &octet) {
#pragma unroll
    for (int l = 0; l < 8; l++) finite = finite && is_finite(octet.v[l]);
}

// An octet of a term's channels at one pixel, counted over all images; zeros behind the term's channels.
DEVICE Octet at_pixel(const Arguments &a, const Term &term, u32 pixel, u32 octet, bool &finite) {
    Octet y = load(a.arena + 2 * (term.source + (u64)pixel * term.pitch + octet));
    if (term.norm != NONE) {
        const float4 *norm = (const float4 *)a.norms + 6 * (u64)(term.norm + octet);
        Octet mean = load(norm), scale = load(norm + 2), beta = load(norm + 4);
#pragma unroll
        for (int l = 0; l < 8; l++) y.v[l] = (y.v[l] - mean.v[l]) * scale.v[l] + beta.v[l];
    }
#pragma unroll
    for (int l = 0; l < 8; l++) y.v[l] = octet * 8 + l < term.channels ? y.v[l] : 0.0f;
    check_finite(finite, y);
    if (term.flags & RELU) {
#pragma unroll
        for (int l = 0; l < 8; l++) y.v[l] = relu(y.v[l]);
    }
    return y;
}

// The same, averaged over the 3 x 3 pixels around the place, as many as there are: down first.
DEVICE Octet averaged(const Arguments &a, const Term &term, Place at, u32 octet, bool &finite) {
    u32 height = low(term.size), width = high(term.size);
    u32 top = max(at.y, 1u) - 1, left = max(at.x, 1u) - 1;
    u32 bottom = min(at.y + 2, height), right = min(at.x + 2, width);
    Octet sum = zeros();
    for (u32 column = left; column < right; column++) {
        Octet down = zeros();
        for (u32 row = top; row < bottom; row++)
            add(down, at_pixel(a, term, (at.image * height + row) * width + column, octet, finite));
        add(sum, down);
    }
    divide(sum, (bottom - top) * (right - left));
    return sum;
}

DEVICE Octet value(const Arguments &a, const Term &term, Place at, u32 octet, bool &finite) {
    if (term.flags & AVERAGE) return averaged(a, term, at, octet, finite);
    return at_pixel(a, term, (at.image * low(term.size) + at.y) * high(term.size) + at.x, octet, finite);
}

// What a term adds to an octet of output channels.
DEVICE Octet contribution(const Arguments &a, const Term &term, Place at, u32 octet, bool &finite) {
    // The term's channel in lane 0: below 0 where the term begins in a later lane.
    int first = (int)(octet * 8) - (int)term.to, channels = (int)term.channels;
    if (first <= -8 || first >= channels) return zeros();
    int shift = first & 7, source = first >> 3;
    Octet here = source >= 0 ? value(a, term, at, source, finite) : zeros();
    if (shift == 0) return here;
    Octet next = (source + 1) * 8 < channels ? value(a, term, at, source + 1, finite) : zeros();
    // Sixteen lanes, `shift` of them dropped in front. An index that is no constant would put them into memory.
    float lanes[16];
#pragma unroll
    for (int l = 0; l < 8; l++) lanes[l] = here.v[l], lanes[l + 8] = next.v[l];
#pragma unroll
    for (int step = 4; step > 0; step /= 2) {
#pragma unroll
        for (int l = 0; l + step < 16; l++) lanes[l] = shift & step ? lanes[l + step] : lanes[l];
    }
    Octet shifted;
#pragma unroll
    for (int l = 0; l < 8; l++) shifted.v[l] = lanes[l];
    return shifted;
}

// The sum of all terms.
DEVICE Octet sum_at(const Arguments &a, const Combine &job, Place at, u32 octet, bool &finite) {
    Octet sum = zeros();
    for (u32 t = 0; t < job.terms; t++) add(sum, contribution(a, a.terms[job.first_term + t], at, octet, finite));
    check_finite(finite, sum);
    return sum;
}

DEVICE void fold(Octet &all, const Octet &octet, bool is_max) {
#pragma unroll
    for (int l = 0; l < 8; l++) all.v[l] = is_max ? max(all.v[l], octet.v[l]) : all.v[l] + octet.v[l];
}

// The first pixel of a window along one axis, and the one behind its last.
struct Span {
    u32 first, end;
};

DEVICE Span span(u32 at, u32 stride, u32 window, u32 padding, u32 size) {
    u32 first = at * stride, end = first + window - padding;
    return {max(first, padding) - padding, min(end, size)};
}

// The maximum or the average of the sums in a window: down its columns first, then across.
DEVICE Octet pooled(const Arguments &a, const Combine &job, Place at, u32 octet, bool &finite) {
    Span down = span(at.y, low(job.stride), low(job.window), low(job.padding), low(job.size));
    Span across = span(at.x, high(job.stride), high(job.window), high(job.padding), high(job.size));
    bool is_max = low(job.pool) == MAX_POOL;
    Octet all = zeros();
    for (u32 x = across.first; x < across.end; x++) {
        Octet line = zeros();
        for (u32 y = down.first; y < down.end; y++) {
            Octet v = sum_at(a, job, {at.image, y, x}, octet, finite);
            if (y == down.first) line = v;
            else fold(line, v, is_max);
        }
        if (x == across.first) all = line;
        else fold(all, line, is_max);
    }
    if (!is_max) divide(all, (down.end - down.first) * (across.end - across.first));
    return all;
}

DEVICE u32 signs(const Octet &octet) {
    u32 byte = 0;
#pragma unroll
    for (int l = 0; l < 8; l++) byte |= octet.v[l] > 0.0f ? 1u << l : 0u;
    return byte;
}

// Stores the signs that all threads have for a region, from the thread's octet of the image on. All threads take part.
DEVICE void emit(u32 *region, u32 byte, u32 place, u32 octets) {
    u32 word = byte << (8 * (threadIdx.x % 4));
    word |= __shfl_xor_sync(0xffffffffu, word, 1);
    word |= __shfl_xor_sync(0xffffffffu, word, 2);
    if (threadIdx.x % 4 == 0 && place < octets) region[place / 4] = word;
}

extern "C" __global__ void __launch_bounds__(THREADS, 4) combine(const Arguments a) {
    const Combine job = a.combines[a.launch.first + blockIdx.y];
    u32 octets = (job.channels + 7) / 8, tiles = a.launch.tiles / a.launch.images;
    u32 image = blockIdx.x / tiles;
    // Octets of this image, and those of the tile.
    u32 all = a.launch.height * a.launch.width * octets;
    u32 begin = blockIdx.x % tiles * TILE_PIXELS * octets, end = min(begin + TILE_PIXELS * octets, all);
    u32 *codes = a.codes + job.codes + (u64)image * job.words_per_image;
    bool has_window = low(job.pool) != NO_POOL, emits = high(job.pool) == 1;
    bool finite = true;

    for (u32 chunk = begin; chunk < end; chunk += THREADS) {
        u32 place = chunk + threadIdx.x, pixel = place / octets, octet = place % octets;
        bool inside = place < end;
        Place at = {image, pixel / a.launch.width, pixel % a.launch.width};
        Octet sum = zeros();
        if (!has_window || emits) {
            // Terms of one region stand side by side.
            u32 region = NONE, byte = 0;
            for (u32 t = 0; t < job.terms; t++) {
                const Term term = a.terms[job.first_term + t];
                if (term.code != region) {
                    if (region != NONE) emit(codes + region, byte, place, all);
                    region = term.code;
                    byte = 0;
                }
                if (inside) {
                    Octet v = contribution(a, term, at, octet, finite);
                    add(sum, v);
                    byte |= signs(v);
                }
            }
            if (region != NONE) emit(codes + region, byte, place, all);
            check_finite(finite, sum);
        }
        if (has_window && inside) sum = pooled(a, job, at, octet, finite);
        if (job.output != NONE && inside) store(a.arena + 2 * (job.output + (u64)image * all + place), sum);
        if (job.code != NONE) emit(codes + job.code, signs(sum), place, all);
    }
    if (!finite) report_non_finite(a.statuses, job.status);
    if (job.norms > 0) {
        u32 *counter = &a.combine_counters[a.launch.first + blockIdx.y];
        if (is_last_block(counter, a.launch.tiles)) stored_batch_norm(a, job);
    }
}
