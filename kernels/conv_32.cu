// Convolutions on tensor cores (conv.cuh) to images of 32 x 32 pixels.
#include "conv.cuh"

// Bytes of dynamic shared memory.
constexpr int SHARED = TENSOR_PIXELS == 256 ? 31776 : 19104;
static_assert(Tiles<32>::BYTES == SHARED, "as launches have it");

extern "C" __global__ void __launch_bounds__(THREADS, 4) conv_32(const Arguments a) {
    DYNAMIC_SHARED(uint4, values);
    conv_of_width<32>(a, values);
}
