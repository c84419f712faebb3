// Geometry of a tile of conv.cuh: which pixels a block takes, and where they lie in shared memory.
#pragma once
#include "planar.cuh"

// Rows of as many segments as hold some rows.
DEVICE constexpr int whole_segments(int rows, int rows_of_one) {
    return rows <= 0 ? 0 : (rows + rows_of_one - 1) / rows_of_one * rows_of_one;
}

// Tile of a convolution from images of W*S x W*S to W x W pixels, kernel 3x3, padding 1; of 1x1, padding 0, which reads the
// middle tap alone. A warp has MT times 16 pixels and NT octets of output channels; WN warps side by side have further octets.
template <int W_, int S_, int MT_, int NT_, int WN_> struct Tile {
    static constexpr int W = W_, K = 3, S = S_, MT = MT_, NT = NT_, WN = WN_, TAPS = K * K, PAD = K / 2;
    static constexpr int CHANNELS = 8 * NT * WN, PIXELS = 16 * MT * (4 / WN);
    // Whole images, or rows of one.
    static constexpr int IMAGES = PIXELS > W * W ? PIXELS / (W * W) : 1, ROWS = PIXELS / IMAGES / W;
    static constexpr bool WHOLE = ROWS == W;
    // Tiles of an image.
    static constexpr int PARTS = W / ROWS;
    // Input: segments of 32 pixels, a warp's. Rows staged above and below those of the tile: where the tile is whole images
    // they are zeros, cleared once.
    static constexpr int IW = W * S, AREA = IW * IW, SEGMENT_ROWS = 32 / IW;
    static constexpr int ABOVE = WHOLE ? 0 : whole_segments(PAD, SEGMENT_ROWS);
    static constexpr int BELOW = WHOLE ? 0 : whole_segments(K - PAD - S, SEGMENT_ROWS);
    static_assert(ABOVE <= SEGMENT_ROWS && BELOW <= SEGMENT_ROWS, "one segment each");
    // Segments of an image that are the tile's own, and those above and below them.
    static constexpr int OWN = ROWS * S / SEGMENT_ROWS, AROUND = (ABOVE + BELOW) / SEGMENT_ROWS;
    // Lines of shared memory: images share a line of zeros between them, lines share a zero between them. With stride 2
    // even and odd columns lie apart, so that eight neighboring outputs read eight places in a row.
    static constexpr int IMAGE_LINES = WHOLE ? IW + PAD : ABOVE + ROWS * S + BELOW;
    static constexpr int FIRST_OWN_LINE = WHOLE ? PAD : ABOVE;
    static constexpr int LINES = IMAGES * IMAGE_LINES + (WHOLE && S == 1 ? PAD : 0);
    static constexpr int ODD = (W + 1 + 3) / 8 * 8 + 4;
    static constexpr int PITCH = S == 1 ? IW + PAD : 2 * ODD;
    static constexpr int PLACES = LINES * PITCH + (S == 1 ? PAD : 0);
    // A place is 16 bytes: an octet of one pixel in bf16. Two octets by three parts (hi, mid, lo).
    static constexpr int PART = 2 * PLACES, BYTES = 3 * PART * 16;
    static_assert(IW <= 32 && 32 % IW == 0 && BYTES <= 48 << 10, "fits");

    // Places of a column of a line, the zero before it included, and of a tap of an output from that of its first one.
    DEVICE constexpr int column_place(int x) { return S == 1 ? x : x % 2 * ODD + x / 2; }
    DEVICE constexpr int tap(int t) { return t / K * PITCH + column_place(t % K); }
};
