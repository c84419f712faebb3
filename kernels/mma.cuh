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

// Four words that are read once: they take no room in the nearest cache.
#ifdef CUDA_SHIM
static inline uint4 load_once(const uint4 *from) { return *from; }
#else
static __device__ __forceinline__ uint4 load_once(const uint4 *from) {
    uint4 v;
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}
#endif

// Adds the common bits of 16 rows and 8 columns of 256 bits, by a warp; fragments are those of mma.m16n8k256 in the PTX ISA.
#ifdef CUDA_SHIM
static inline void mma_and_popc(int (&sum)[4], const unsigned (&a)[4], uint2 b) {
    const unsigned words[2] = {b.x, b.y};
    shim_mma<int>(shim_op_mma_b1, sum, a, words, sum);
}
#else
static __device__ __forceinline__ void mma_and_popc(int (&sum)[4], const unsigned (&a)[4], uint2 b) {
    asm("mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}
#endif
