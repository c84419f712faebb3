// Windows over a tile of sums in shared memory: 3 x 3 with stride 1 and padding 1, and 2 x 2 with stride 2.
//
// 3 x 3: a lane walks down eight rows of a column, three neighbors across, (left + centre) + right, then three such rows,
// (above + here) + below, times the reciprocal of the number of pixels. Borders take their neighbor for themselves: a
// maximum does not mind, an average adds it zero times.
#pragma once
#include "pieces.cuh"

// Pixels of a block, and of a warp: an image, or whole ones, where their width is 16 or 8.
constexpr u32 TILE = 1024, WARP_TILE = 256;

// Where a block's windows leave a unit: its plane from the block's first result on, and its first code word in an image's
// codes, or NONE.
struct WindowOutput {
    float4 *plane;
    u32 code;
};

// The first code word of a unit in the codes of one image.
DEVICE u32 *image_words(const Arguments &a, const Pieces &pieces, u32 code, u32 image) {
    return a.codes + (u64)(code + pieces.codes + image * pieces.words_per_image);
}

// Three neighbors across: their maximum or their sum, without those that are not there.
template <bool IS_MAX>
DEVICE float4 across(const float4 *left, const float4 *centre, const float4 *right, float left_there, float right_there) {
    if (IS_MAX) return maximum(maximum(*left, *centre), *right);
    return sum_if(*right, right_there, sum_if(*left, left_there, *centre));
}

// Windows of 3 x 3 over a warp's pixels.
template <u32 W, bool IS_MAX>
DEVICE void windows3(const Arguments &a, const Pieces &pieces, const float4 *tile, WindowOutput to) {
    constexpr u32 ROWS = 8, PARTS = 32 / W;
    u32 warp = thread_anew() / 32, lane = thread_anew() % 32, column = lane % W, part = lane / W;
    u32 cell = warp * WARP_TILE + part * ROWS * W + column;
    // Whether the image has rows above and below these eight.
    bool above = W == 32 ? warp > 0 : W == 16 ? part > 0 : false, below = W == 32 ? warp < 3 : W == 16 ? part == 0 : false;
    bool inside = W != 8 || blockIdx.x * TILE + cell < a.launch.images * W * W;
    if (!inside) cell = warp * WARP_TILE + column;
    float4 *out = to.plane + cell;
    const float4 *centre = tile + cell, *left = centre - (column > 0), *right = centre + (column < W - 1);
    float left_there = column > 0, right_there = column < W - 1;
    auto row = [&](int r) {
        return across<IS_MAX>(left + r * (int)W, centre + r * (int)W, right + r * (int)W, left_there, right_there);
    };
    // Reciprocals of the numbers of pixels: 9 or 6 within, 6 or 4 at the image's top and bottom.
    float wide = IS_MAX ? 0.0f : 1.0f + left_there + right_there;
    float within = wide == 3.0f ? 1.0f / 9.0f : 1.0f / 6.0f, at_edge = wide == 3.0f ? 1.0f / 6.0f : 0.25f;
    u32 image = blockIdx.x * (TILE / (W * W)) + (W == 32 ? 0 : W == 16 ? warp : warp * 4 + part);
    u32 group = W == 32 ? warp * ROWS : W == 16 ? part * ROWS / PARTS : 0;
    auto put = [&](int r, float4 v) {
        if (!IS_MAX) v = times(v, (r == 0 && !above) || (r == ROWS - 1 && !below) ? at_edge : within);
        if (inside) out[r * (int)W] = v;
        if (to.code == NONE) return;
        uint4 bits = signs(v);
        u32 *words = image_words(a, pieces, to.code, image) + 4 * group + r / (int)PARTS * 4;
        if (column != 0 || !inside) return;
        if (W == 32) {
            *(uint4 *)words = bits;
            return;
        }
        // A row of a narrow image is a half or a quarter of a code word.
        const u32 all[] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
        for (u32 l = 0; l < 4; l++) {
            u32 mine = all[l] >> part * W;
            if (W == 16) ((unsigned short *)(words + l))[r % PARTS] = mine;
            if (W == 8) ((unsigned char *)(words + l))[r % PARTS] = mine;
        }
    };
    float4 before = row(above ? -1 : 0), here = row(0);
    if (!IS_MAX) before = times(before, above ? 1.0f : 0.0f);
#pragma unroll
    for (int r = 0; r < (int)ROWS; r += 2) {
        float4 next = row(r + 1);
        // Below the image's last row stands it once more, which counts for nothing.
        bool is_there = r + 2 < (int)ROWS || below;
        float4 after = row(is_there ? r + 2 : r + 1);
        if (IS_MAX) {
            // Two results share the maximum of the two rows that both have.
            float4 both = maximum(here, next);
            put(r, maximum(before, both));
            put(r + 1, maximum(both, after));
        } else {
            put(r, sum(sum(before, here), next));
            put(r + 1, sum_if(after, is_there ? 1.0f : 0.0f, sum(here, next)));
        }
        before = next, here = after;
    }
}

// Windows of 2 x 2 with stride 2 over a warp's pixels: 64 results.
template <u32 W, bool IS_MAX>
DEVICE void windows2(const Arguments &a, const Pieces &pieces, const float4 *tile, WindowOutput to) {
    u32 warp = thread_anew() / 32, lane = thread_anew() % 32, first_image = blockIdx.x * (TILE / (W * W));
#pragma unroll
    for (u32 g = 0; g < 2; g++) {
        u32 at = g * 32 + lane, out = warp * WARP_TILE / 4 + at;
        bool inside = W != 8 || blockIdx.x * (TILE / 4) + out < a.launch.images * W * W / 4;
        if (!inside) at %= 16;
        const float4 *cell = tile + warp * WARP_TILE + at / (W / 2) * 2 * W + at % (W / 2) * 2;
        float4 v = IS_MAX ? maximum(maximum(cell[0], cell[1]), maximum(cell[W], cell[W + 1]))
                          : times(sum(sum(cell[0], cell[1]), sum(cell[W], cell[W + 1])), 0.25f);
        if (inside) to.plane[out] = v;
        if (to.code == NONE) continue;
        uint4 bits = signs(v);
        if (W == 8) {
            // The sixteen results of two images: a word of each, its upper half zeros.
            u32 half = lane / 16 * 16, image = first_image + warp * 4 + g * 2 + lane / 16;
            bits = make_uint4(bits.x >> half & 0xffff, bits.y >> half & 0xffff, bits.z >> half & 0xffff,
                              bits.w >> half & 0xffff);
            if (lane % 16 == 0 && inside) *(uint4 *)image_words(a, pieces, to.code, image) = bits;
        } else {
            u32 image = first_image + (W == 16 ? warp : 0), group = (W == 32 ? warp * 2 : 0) + g;
            if (lane == 0) *(uint4 *)(image_words(a, pieces, to.code, image) + 4 * group) = bits;
        }
    }
}
