// Convolutions on tensor cores (conv.cuh) to images of 8 x 8 pixels.
#include "conv.cuh"

// Bytes of dynamic shared memory, and those where a job has stride 2.
constexpr int SHARED = TENSOR_PIXELS == 256 ? 32064 : 16512;
static_assert(Tiles<8>::BYTES == SHARED, "as launches have it");
constexpr int STRIDED_SHARED = 39168;
static_assert(StridedTiles<8>::BYTES == STRIDED_SHARED && STRIDED_SHARED > SHARED, "as launches have it");

extern "C" __global__ void __launch_bounds__(THREADS, 4) conv_8(const Arguments a) {
    DYNAMIC_SHARED(uint4, values);
    conv_of_width<8>(a, values);
}
