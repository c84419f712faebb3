// What C++ cannot spell, one small function each: NVRTC gets the instruction, the shim of the tests plain C++.
#pragma once

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
