// What C++ cannot spell, one small function each: NVRTC gets the instruction, the shim of the tests plain C++.
#pragma once

// Dynamic shared memory, of as many bytes as the register of kernels says (src/backend/cuda/kernels.rs), aligned to 16.
#ifdef CUDA_SHIM
#define DYNAMIC_SHARED(type, name) type *name = (type *)shim_dynamic_shared()
#else
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#endif

// The thread's index, asked for anew: what follows from it is not kept in registers meanwhile.
#ifdef CUDA_SHIM
static inline unsigned thread_anew() { return threadIdx.x; }
#else
static __device__ __forceinline__ unsigned thread_anew() {
    unsigned index;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(index));
    return index;
}
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

// Counts up, behind all stores that the thread knows of; at `last` the counter goes back to zero. What it was before.
#ifdef CUDA_SHIM
static inline unsigned increment_release(unsigned *counter, unsigned last) {
    __threadfence();
    return atomicInc(counter, last);
}
#else
static __device__ __forceinline__ unsigned increment_release(unsigned *counter, unsigned last) {
    unsigned before;
    asm volatile("atom.release.gpu.global.inc.u32 %0, [%1], %2;" : "=r"(before) : "l"(counter), "r"(last) : "memory");
    return before;
}
#endif

// Whoever has read a counter that was released sees, from here on, what lies behind it.
#ifdef CUDA_SHIM
static inline void fence_acquire() { __threadfence(); }
#else
static __device__ __forceinline__ void fence_acquire() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
#endif

// Keeps the compiler from moving loads ahead of others.
#ifdef CUDA_SHIM
static inline void keep_order() {}
#else
static __device__ __forceinline__ void keep_order() { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }
#endif

// A number of which the compiler knows nothing any more, so that what follows from it is not kept in registers meanwhile.
#ifdef CUDA_SHIM
static inline unsigned anew(unsigned number) { return number; }
#else
static __device__ __forceinline__ unsigned anew(unsigned number) {
    asm volatile("" : "+r"(number));
    return number;
}
#endif

// Numbers that nobody writes while the kernel runs: two of them; four that hardly anybody will read again, without a branch,
// zeros unless they exist; and one that is read where the call stands, so that no register holds it before.
#ifdef CUDA_SHIM
static inline float2 load_constant(const float2 *from) { return *from; }
static inline float4 load_stream(const float4 *from, bool exists) { return exists ? *from : make_float4(0, 0, 0, 0); }
static inline unsigned load_here(const unsigned *from) { return *from; }
#else
static __device__ __forceinline__ float2 load_constant(const float2 *from) {
    float2 v;
    asm("ld.global.nc.v2.f32 {%0, %1}, [%2];" : "=f"(v.x), "=f"(v.y) : "l"(from));
    return v;
}
static __device__ __forceinline__ float4 load_stream(const float4 *from, bool exists) {
    float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    asm volatile("{\n"
                 "    .reg .pred exists;\n"
                 "    setp.ne.u32 exists, %5, 0;\n"
                 "    @exists ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];\n"
                 "}"
                 : "+f"(v.x), "+f"(v.y), "+f"(v.z), "+f"(v.w)
                 : "l"(from), "r"((unsigned)exists));
    return v;
}
static __device__ __forceinline__ unsigned load_here(const unsigned *from) {
    unsigned v;
    asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(v) : "l"(from));
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

// An address in shared memory, in bytes.
#ifdef CUDA_SHIM
typedef const char *SharedAddress;
static inline SharedAddress shared_address(const void *p) { return (const char *)p; }
static inline SharedAddress anew(SharedAddress address) { return address; }
#else
typedef unsigned SharedAddress;
static __device__ __forceinline__ SharedAddress shared_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }
#endif

// Four 8 x 8 matrices of 16-bit numbers, of which lane 8 i + j tells row j of matrix i. Lane 4 g + t gets numbers 2 t and
// 2 t + 1 of row g of each.
#ifdef CUDA_SHIM
static inline void load_matrices(unsigned (&r)[4], SharedAddress row) { shim_ldmatrix_x4(r, row); }
#else
static __device__ __forceinline__ void load_matrices(unsigned (&r)[4], SharedAddress row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(row));
}
#endif

// D += A B of bf16 numbers, A 16 x 16, B 16 x 8, in f32: fragments as of mma.m16n8k16 in the PTX ISA.
#ifdef CUDA_SHIM
static inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    shim_mma<float>(shim_op_mma_bf16, d, a, b, d);
}
#else
static __device__ __forceinline__ void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
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
