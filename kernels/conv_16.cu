// Convolutions on tensor cores (conv.cuh) to images of 16 x 16 pixels.
#include "conv.cuh"

// Bytes of dynamic shared memory, and those where a job has stride 2.
constexpr int SHARED = TENSOR_PIXELS == 256 ? 29472 : 19680;
static_assert(Tiles<16>::BYTES == SHARED, "as launches have it");
constexpr int STRIDED_SHARED = 34560;
static_assert(StridedTiles<16>::BYTES == STRIDED_SHARED && STRIDED_SHARED > SHARED, "as launches have it");

extern "C" __global__ void __launch_bounds__(THREADS, 4) conv_16(const Arguments a) {
    DYNAMIC_SHARED(uint4, values);
    conv_of_width<16>(a, values);
}
