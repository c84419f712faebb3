// Pieces of a combine: what its terms give to the units that a block takes.
//
// A unit has a piece for each term that covers any of its four channels, with the constants of the batch norm beside it.
// They are looked up once a block, by one warp, so that all that depends on channels is the same for all lanes. Where terms
// are added behind a window, the unit's pieces are in two parts, of which the second one begins with what the window has
// stored.
#pragma once
#include "unit.cuh"

// Terms of a job and units of a block, at most: a lane looks up one term of one unit.
constexpr u32 MOST_TERMS = 8, MOST_UNITS = 4;
static_assert(MOST_TERMS * MOST_UNITS == 32, "a warp");

// Places for the pieces of a unit, which has up to ten: one a term, one in place of none, one of what a window has stored.
constexpr u32 SLOTS = 16;

// Windows that there are kernels for: 3 x 3 with stride 1 and padding 1, and 2 x 2 with stride 2.
constexpr u32 NO_WINDOW = 0, MAX3 = 1, AVERAGE3 = 2, MAX2 = 3, AVERAGE2 = 4;

DEVICE u32 window_of(const Combine &job) {
    if (low(job.pool) == NO_POOL) return NO_WINDOW;
    return (low(job.window) == 3 ? MAX3 : MAX2) + (low(job.pool) == MAX_POOL ? 0 : 1);
}

// What one term gives to one unit of the result.
struct alignas(16) Piece {
    // The plane of the unit that channel 0 is in; it wraps where that channel lies before the source's first.
    u32 source;
    // The unit's first word in an image's codes, or NONE.
    u32 code;
    // Which channels are in the term, which of their code words are the piece's to write, and channel 0's place in its unit.
    u32 channels : 4, words : 4, offset : 2;
    // Whether numbers are to be looked at, and whether the part has no further pieces. A unit is simple where it has one
    // piece that takes a whole unit and writes whole words, and nothing else is asked.
    u32 looks : 1, is_last : 1, is_simple : 1, unused : 19;
    u32 more_unused;
    float4 scale, shift, low;
};

static_assert(sizeof(Piece) == 64, "16-byte loads");

// The pieces of all units of a block, in order of terms, and what else of its job all threads need.
struct alignas(16) Pieces {
    // As in Combine.
    u32 codes, words_per_image;
    // How many units, and where the first one's result and code words lie; NONE where there are none.
    u32 count, output, code;
    // As in Combine, and one of the above; and a word that is read with them.
    u32 status, window, unused;
    Piece list[MOST_UNITS * SLOTS];
    // Where a unit's pieces behind the window begin among its own; 0 where there are none.
    u32 rest[MOST_UNITS];
};

// How many units there are; not read before the block is known to have any.
DEVICE u32 count_of(const Pieces &pieces) { return *(const volatile u32 *)&pieces.count; }

// Finds the pieces of `count` units from `first` on, for tensors of so many pixels an image: eight lanes of a warp a unit.
DEVICE void find_pieces_of(const Arguments &a, const Combine &job, u32 area, u32 first, u32 count, Pieces &pieces) {
    const u32 plane_units = plane(a.launch.images * area), terms = low(job.terms), window = window_of(job);
    const float infinity = __uint_as_float(0x7f800000u);
    u32 slot = threadIdx.x / MOST_TERMS, t = threadIdx.x % MOST_TERMS, unit = first + slot, channel = unit * 4;
    bool covers = slot < count && t < terms;
    Term term = {};
    u32 channels = 0;
    if (covers) {
        term = a.terms[job.first_term + t];
#pragma unroll
        for (u32 l = 0; l < 4; l++) channels |= channel + l - term.to < term.channels ? 1u << l : 0u;
        covers = channels != 0;
    }
    u32 code = covers ? term.code : NONE, words = channels;
    // Of terms that have a region in common the first one writes the words of channels that none has.
    if (__any_sync(0xffffffffu, code != NONE && channels != 15)) {
        u32 others = 0;
        bool is_first = true;
#pragma unroll
        for (u32 other = 0; other < MOST_TERMS; other++) {
            u32 its_code = __shfl_sync(0xffffffffu, code, other, MOST_TERMS);
            u32 its_channels = __shfl_sync(0xffffffffu, channels, other, MOST_TERMS);
            if (its_code == code && other != t) others |= its_channels, is_first &= other > t;
        }
        if (is_first) words |= ~others & 15;
    }
    // Terms of this unit, and those of them in the first part.
    u32 all = __ballot_sync(0xffffffffu, covers) >> (slot * MOST_TERMS) & 0xff;
    u32 under = window == NO_WINDOW ? all : all & ((1u << high(job.terms)) - 1), behind = max(__popc(under), 1);
    bool is_behind = window != NO_WINDOW && t >= high(job.terms), looks = high(job.pool) & CHECKS;
    if (slot < count && t == 0) pieces.rest[slot] = all & ~under ? behind : 0;
    if (slot < count && t == 0 && all & ~under) {
        Piece piece = {};
        piece.source = job.output + unit * plane_units;
        piece.code = NONE, piece.channels = 15, piece.looks = looks;
        piece.scale = all_four(1.0f), piece.shift = all_four(0.0f), piece.low = all_four(-infinity);
        pieces.list[slot * SLOTS + behind] = piece;
    }
    // Where no term is in the first part it has a piece without channels.
    if (!covers && (slot >= count || t > 0 || under != 0)) return;
    u32 mine = is_behind ? all & ~under : under, before = __popc(mine & ((1u << t) - 1));
    // Channel 0's place in the source, as a signed number, divided downwards.
    int source = (int)(channel - term.to);
    float scale[4], shift[4], least[4];
#pragma unroll
    for (int l = 0; l < 4; l++) {
        bool has = channels >> l & 1, is_normed = has && term.norm != NONE;
        const float *norm = a.norms + 4 * norm_place(term.norm + ((source + l) >> 2)) + (source + l) % 4;
        scale[l] = is_normed ? norm[0] : has ? 1.0f : 0.0f;
        shift[l] = is_normed ? norm[4] : 0.0f;
        least[l] = has && !(term.flags & RELU) ? -infinity : 0.0f;
    }
    Piece piece = {};
    piece.source = term.source + (u32)(source >> 2) * plane_units;
    piece.code = code == NONE ? NONE : code + code_place(unit, 0, area);
    piece.channels = channels, piece.words = words, piece.offset = covers ? source & 3 : 1;
    piece.looks = looks, piece.is_last = mine >> t <= 1;
    piece.is_simple = covers && piece.offset == 0 && mine == 1u << t && !looks && (code == NONE || words == 15) &&
                      job.code == NONE && job.output != NONE;
    piece.scale = make_float4(scale[0], scale[1], scale[2], scale[3]);
    piece.shift = make_float4(shift[0], shift[1], shift[2], shift[3]);
    piece.low = make_float4(least[0], least[1], least[2], least[3]);
    pieces.list[slot * SLOTS + (covers && is_behind ? behind + 1 : 0) + before] = piece;
}

// Finds what the block has to do for images of so many pixels, and says whether there is anything.
DEVICE bool find_pieces(const Arguments &a, u32 area, Pieces &pieces) {
    const u32 first = blockIdx.z * a.launch.units;
    const Combine job = a.combines[a.launch.first + blockIdx.y];
    u32 end = min(first + a.launch.units, units(job.channels));
    if (first >= end) return false;
    if (threadIdx.x == 0) {
        u32 window = window_of(job), out_area = window >= MAX2 ? area / 4 : area;
        pieces.codes = job.codes, pieces.words_per_image = job.words_per_image;
        pieces.status = job.status, pieces.window = window, pieces.unused = 0;
        pieces.count = end - first;
        pieces.output = job.output == NONE ? NONE : job.output + first * plane(a.launch.images * out_area);
        pieces.code = job.code == NONE ? NONE : job.code + code_place(first, 0, out_area);
    }
    if (threadIdx.x < 32) find_pieces_of(a, job, area, first, end - first, pieces);
    __syncthreads();
    return true;
}

// Where pieces go on: with those behind the window, or with the next unit's.
DEVICE u32 next_pieces(const Pieces &pieces, u32 begin, bool has_window) {
    u32 rest = has_window ? pieces.rest[begin / SLOTS] : 0;
    return rest ? begin + rest : begin / SLOTS * SLOTS + SLOTS;
}
