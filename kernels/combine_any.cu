// Sums of terms, windows and code bits as in combine.cu, for any number of terms, images of any size and any window. Untuned.
//
// A tile is up to 128 pixels of one image: lane = pixel, so that a ballot is a code word, and a thread has one unit at a
// time. Under a window all terms are read anew for each of its pixels: across each row in order, then rows in order.
#include "stored_batch_norm.cuh"

constexpr u32 THREADS = 128;

// A pixel of an image.
struct Place {
    u32 image, y, x;
};

// Which channels of a unit a term covers: bit l for channel l.
DEVICE u32 covered(const Term &term, u32 unit) {
    u32 channels = 0;
    for (u32 l = 0; l < 4; l++) channels |= unit * 4 + l - term.to < term.channels ? 1u << l : 0u;
    return channels;
}

// A term's channels of a unit at a pixel of its source, before the ReLU; zeros for those that it does not cover.
DEVICE float4 value(const Arguments &a, const Term &term, Place at, u32 unit) {
    u32 height = low(term.size), width = high(term.size), plane_units = plane(a.launch.images * height * width);
    u32 pixel = (at.image * height + at.y) * width + at.x;
    float v[4];
#pragma unroll
    for (u32 l = 0; l < 4; l++) {
        // A channel before the term's first wraps to a large number.
        u32 channel = unit * 4 + l - term.to, its_unit = channel / 4;
        v[l] = 0.0f;
        if (channel >= term.channels) continue;
        v[l] = ((const float *)(a.arena + term.source + (u64)its_unit * plane_units + pixel))[channel % 4];
        if (term.norm != NONE) {
            const float *norm = a.norms + 4 * norm_place(term.norm + its_unit) + channel % 4;
            v[l] = fmaf(v[l], norm[0], norm[4]);
        }
    }
    return make_float4(v[0], v[1], v[2], v[3]);
}

// Clears a flag where one of four numbers is not finite.
DEVICE void check_finite(bool &finite, const float4 &v) {
    finite = finite && is_finite(v.x) && is_finite(v.y) && is_finite(v.z) && is_finite(v.w);
}

// Adds a term's value, after its ReLU where it has one; and looks at it before.
DEVICE void add(float4 &total, const Term &term, const float4 &v, bool &finite) {
    check_finite(finite, v);
    total = sum(total, term.flags & RELU ? maximum(v, all_four(0.0f)) : v);
}

// The pixels of a window along one axis that are there.
struct Span {
    u32 first, end;
};

DEVICE Span span(u32 at, u32 stride, u32 window, u32 padding, u32 size) {
    u32 first = at * stride;
    return {max(first, padding) - padding, min(first + window - padding, size)};
}

// The maximum or the average, in a window, of the sums of the terms under it.
DEVICE float4 pooled(const Arguments &a, const Combine &job, Place at, u32 unit, bool &finite) {
    Span down = span(at.y, low(job.stride), low(job.window), low(job.padding), low(job.size));
    Span across = span(at.x, high(job.stride), high(job.window), high(job.padding), high(job.size));
    bool is_max = low(job.pool) == MAX_POOL;
    float4 all = all_four(0.0f);
    for (u32 y = down.first; y < down.end; y++) {
        float4 row = all_four(0.0f);
        for (u32 x = across.first; x < across.end; x++) {
            float4 total = all_four(0.0f);
            for (u32 t = 0; t < high(job.terms); t++) {
                const Term term = a.terms[job.first_term + t];
                if (covered(term, unit)) add(total, term, value(a, term, {at.image, y, x}, unit), finite);
            }
            check_finite(finite, total);
            row = x == across.first ? total : is_max ? maximum(row, total) : sum(row, total);
        }
        all = y == down.first ? row : is_max ? maximum(all, row) : sum(all, row);
    }
    return is_max ? all : times(all, 1.0f / (float)((down.end - down.first) * (across.end - across.first)));
}

// Which code words of a unit are a term's to write: those of its channels; and the first of the terms that have a region in
// common writes those of channels that none has.
DEVICE u32 words_to_write(const Arguments &a, const Combine &job, u32 t, u32 code, u32 unit) {
    u32 own = 0, others = 0;
    bool is_first = true;
    for (u32 other = 0; other < low(job.terms); other++) {
        const Term &term = a.terms[job.first_term + other];
        if (term.code != code) continue;
        u32 channels = covered(term, unit);
        if (other == t) own = channels;
        else if (channels) others |= channels, is_first &= other > t;
    }
    return is_first ? own | (~others & 15) : own;
}

// Writes some code words of a unit for the 32 pixels of a warp from `pixel` on. All lanes take part.
DEVICE void emit(const Arguments &a, const Combine &job, u32 image, u32 code, u32 unit, u32 pixel, u32 which, const float4 &v) {
    u32 area = a.launch.height * a.launch.width, lane = threadIdx.x % 32;
    uint4 words = signs(v);
    if (lane >= 4 || !(which >> lane & 1) || pixel >= area) return;
    u32 place = code + code_place(unit, pixel / 32, area) + lane;
    a.codes[job.codes + image * job.words_per_image + place] =
        lane == 0 ? words.x : lane == 1 ? words.y : lane == 2 ? words.z : words.w;
}

extern "C" __global__ void __launch_bounds__(THREADS, 4) combine_any(const Arguments a) {
    const Combine job = a.combines[a.launch.first + blockIdx.y];
    const u32 width = a.launch.width, area = a.launch.height * width, pixels = a.launch.images * area;
    u32 tiles = (area + THREADS - 1) / THREADS, image = blockIdx.x / tiles, begin = blockIdx.x % tiles * THREADS;
    u32 pixel = begin + threadIdx.x, warp_pixel = begin + threadIdx.x / 32 * 32;
    bool inside = pixel < area, has_window = low(job.pool) != NO_POOL, finite = true;
    Place at = {image, pixel / width, pixel % width};
    u32 first = blockIdx.z * a.launch.units, end = min(first + a.launch.units, units(job.channels));
    for (u32 unit = first; unit < end; unit++) {
        float4 total = all_four(0.0f);
        if (has_window && inside) total = pooled(a, job, at, unit, finite);
        for (u32 t = 0; t < low(job.terms); t++) {
            const Term term = a.terms[job.first_term + t];
            bool is_under = has_window && t < high(job.terms);
            if (!covered(term, unit) || (is_under && term.code == NONE)) continue;
            float4 v = inside ? value(a, term, at, unit) : all_four(0.0f);
            if (term.code != NONE)
                emit(a, job, image, term.code, unit, warp_pixel, words_to_write(a, job, t, term.code, unit), v);
            if (!is_under) add(total, term, v, finite);
        }
        check_finite(finite, total);
        if (job.output != NONE && inside)
            a.arena[job.output + (u64)unit * plane(pixels) + (u64)image * area + pixel] = total;
        if (job.code != NONE) emit(a, job, image, job.code, unit, warp_pixel, 15, total);
    }
    if (!finite && high(job.pool) & CHECKS) report_non_finite(a.statuses, job.status);
    // The last block makes the partial statistics too.
    if (job.norms == 0 || !is_last_block_of(a)) return;
    store_partials(a, job, 0, (pixels + LEAF - 1) / LEAF, 0, units(job.channels));
    __syncthreads();
    stored_batch_norms(a, job);
}
