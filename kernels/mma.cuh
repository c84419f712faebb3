// What C++ cannot spell, one small function each: NVRTC gets the instruction, the shim of the tests plain C++.
#pragma once

// Dynamic shared memory, of as many bytes as the register of kernels says (src/backend/cuda/kernels.rs), aligned to 16.
#ifdef CUDA_SHIM
#define DYNAMIC_SHARED(type, name) type *name = (type *)shim_dynamic_shared()
#else
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

// A float4 that nobody writes while the kernel runs.
#ifdef CUDA_SHIM
static inline float4 load_constant(const float4 *from) { return *from; }
#else
static __device__ __forceinline__ float4 load_constant(const float4 *from) {
    float4 v;
    asm("ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(from));
    return v;
}
#endif
