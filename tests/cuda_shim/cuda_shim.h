// Runs CUDA kernel sources on the CPU (x86-64): one fiber per CUDA thread, one OS thread, one block at a time, in an order
// that a seed shuffles. This header is both sides of it:
//
// - kernels, by `-include cuda_shim.h` and with the flags of a checker;
// - the runtime, by `-DSHIM_RUNTIME [-DSHIM_ASAN | -DSHIM_RACE]`, never with a checker's flags.
//
// The checkers' eyes are so on kernel code alone. `build.sh` does all this, README.md tells what is found.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if __has_feature(address_sanitizer) || defined(SHIM_ASAN)
#define SHIM_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN(...) __VA_ARGS__
#else
#define ASAN(...)
#endif

// ---- language ----------------------------------------------------------------------------------------------------
#define CUDA_SHIM 1
#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
// Static shared memory. ASan puts redzones round each static, but not in a section whose name is a C identifier; so the
// section (through which the runtime fills it with 0xFF before each block and checks it) is used only without ASan.
#ifdef SHIM_ASAN
#define __shared__ static
#else
#define __shared__ static __attribute__((section("cuda_shared")))
#endif

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};
// User-written copies on purpose: clang's -fsanitize=alignment checks `*(float4 *)p` only if copying is a real call.
#define SHIM_VEC(T, n, al2, al4)                             \
  struct alignas(al2) n##2 {                                 \
    T x, y;                                                  \
    n##2() = default;                                        \
    n##2(T x, T y) : x(x), y(y) {}                           \
    n##2(const n##2 & o) : x(o.x), y(o.y) {}                 \
    n##2 &operator=(const n##2 & o) {                        \
      x = o.x, y = o.y;                                      \
      return *this;                                          \
    }                                                        \
  };                                                         \
  struct alignas(al4) n##4 {                                 \
    T x, y, z, w;                                            \
    n##4() = default;                                        \
    n##4(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}     \
    n##4(const n##4 & o) : x(o.x), y(o.y), z(o.z), w(o.w) {} \
    n##4 &operator=(const n##4 & o) {                        \
      x = o.x, y = o.y, z = o.z, w = o.w;                    \
      return *this;                                          \
    }                                                        \
  };                                                         \
  inline n##2 make_##n##2(T x, T y) { return {x, y}; }       \
  inline n##4 make_##n##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SHIM_VEC(float, float, 8, 16) SHIM_VEC(unsigned, uint, 8, 16)

// ---- what the kernel side and host programs call in the runtime ------------------------------------------------------
struct ShimThread {
  uint3 tid, bid;
  unsigned lane, warp;
};
struct ShimKernel {
  const char *name;
  void (*call)(const void *argument);
  size_t size;
  ShimKernel *next;
};
struct ShimShfl {
  uint64_t v;
  unsigned from;
};
template <class C>
struct ShimMma {
  uint32_t a[4], b[2];
  C c[4];
};
typedef void ShimOp(unsigned mask, void *const *in, void *const *out);  // runs once for the whole warp
extern ShimThread *shim_cur;                                            // the running CUDA thread
extern dim3 shim_block, shim_grid;
extern ShimKernel *shim_kernels;
// nullptr, or why it was not launched. `shared` is in bytes; the argument is one struct.
const char *shim_launch(const char *name, dim3 grid, unsigned threads, size_t shared, const void *argument, size_t size);
void *shim_dynamic_shared();
void *shim_alloc(size_t bytes);  // global memory: exact size, all 0xFF
void shim_free(void *);
void shim_seed(unsigned);  // order of threads and blocks
int shim_errors();         // races found so far
void shim_barrier(int line);
void shim_warp(unsigned mask, ShimOp op, const void *in, void *out, int line);
void shim_yield(), shim_fence();
ShimOp shim_op_sync, shim_op_shfl, shim_op_ballot, shim_op_gather, shim_op_mma_bf16, shim_op_mma_b1;

#ifndef SHIM_RUNTIME
// ============================================ kernel side ============================================================
// SHIM_KERNEL(k) registers an extern "C" kernel of one argument; build.sh writes these lines.
template <auto F, class P>
ShimKernel shim_make(const char *name, void (*)(P)) {
  return {name, [](const void *argument) { F(*(const P *)argument); }, sizeof(P), nullptr};
}
#define SHIM_KERNEL(k)                                \
  static ShimKernel shim_k_##k = shim_make<k>(#k, k); \
  static bool shim_in_##k = (shim_k_##k.next = shim_kernels, shim_kernels = &shim_k_##k);

#define threadIdx (shim_cur->tid)
#define blockIdx (shim_cur->bid)
#define blockDim shim_block
#define gridDim shim_grid
constexpr int warpSize = 32;
#define LN int line = __builtin_LINE()
inline void __syncthreads(LN) { shim_barrier(line); }

inline void __syncwarp(unsigned m = ~0u, LN) { shim_warp(m, shim_op_sync, nullptr, nullptr, line); }
inline void __threadfence() { shim_fence(); }

template <class T>
T shim_shfl(unsigned m, T v, unsigned from, int line) {
  static_assert(sizeof(T) <= 8);
  ShimShfl s{0, from};
  memcpy(&s.v, &v, sizeof v);
  uint64_t r;
  shim_warp(m, shim_op_shfl, &s, &r, line);
  memcpy(&v, &r, sizeof v);
  return v;
}
#define SHIM_SHFL(name, D, from)                 \
  template <class T>                             \
  T name(unsigned m, T v, D d, int w = 32, LN) { \
    unsigned l = shim_cur->lane, s;              \
    s = from;                                    \
    return shim_shfl(m, v, s, line);             \
  }
SHIM_SHFL(__shfl_sync, int, (l & ~(w - 1)) | (d & (w - 1)))
SHIM_SHFL(__shfl_xor_sync, int, (l ^ d) > (l | (w - 1)) ? l : l ^ d)
inline unsigned __ballot_sync(unsigned m, int p, LN) {
  unsigned r;
  shim_warp(m, shim_op_ballot, &p, &r, line);
  return r;
}
inline int __any_sync(unsigned m, int p, LN) { return __ballot_sync(m, p, line) != 0; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
// ldmatrix.x4: lane 8i+j gives the address of row j of 8x8 matrix i. Each lane reads what it receives, itself.
inline void shim_ldmatrix_x4(uint32_t r[4], const void *row, LN) {
  const void *rows[32];
  shim_warp(~0u, shim_op_gather, &row, rows, line);
  unsigned l = shim_cur->lane;
  for (int i = 0; i < 4; i++) r[i] = ((const uint32_t *)rows[8 * i + l / 4])[l % 4];
}
template <class C>
void shim_mma(ShimOp op, C d[4], const uint32_t a[4], const uint32_t b[2], const C c[4], LN) {
  ShimMma<C> m;
  memcpy(m.a, a, 16);
  memcpy(m.b, b, 8);
  memcpy(m.c, c, 16);
  C r[4];
  shim_warp(~0u, op, &m, r, line);
  memcpy(d, r, 16);
}
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s) {
  uint64_t all = a | (uint64_t)b << 32;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= (unsigned)(all >> 8 * (s >> 4 * i & 7) & 0xff) << 8 * i;
  return r;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline unsigned __float_as_uint(float f) {
  unsigned u;
  memcpy(&u, &f, 4);
  return u;
}
inline float __uint_as_float(unsigned u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
template <class T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
T max(T a, T b) {
  return a < b ? b : a;
}

// Atomics are relaxed: alone they order nothing. Each first lets others run, so that spinning inside a block ends.
template <class T>
bool shim_cas(T *p, T *o, T n) {
  return __atomic_compare_exchange(p, o, &n, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
template <class T, class F>
T shim_rmw(T *p, F f) {
  shim_yield();
  T o;
  __atomic_load(p, &o, __ATOMIC_RELAXED);
  while (!shim_cas(p, &o, (T)f(o))) {
  }
  return o;
}
#define SHIM_ATOMIC(name, expr)                    \
  template <class T, class U>                      \
  T name(T *p, U u) {                              \
    T v = (T)u;                                    \
    return shim_rmw(p, [v](T o) { return expr; }); \
  }
SHIM_ATOMIC(atomicAdd, o + v)
SHIM_ATOMIC(atomicSub, o - v) SHIM_ATOMIC(atomicOr, o | v) SHIM_ATOMIC(atomicMin, v < o ? v : o) SHIM_ATOMIC(atomicInc, o >= v ? 0 : o + 1)

#else
// ============================================ runtime side ===========================================================
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>
static void *shim_map(size_t n) {  // zeroed, takes memory only where touched
  void *p = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    fprintf(stderr, "SHIM ERROR: out of memory\n");
    _exit(3);
  }
  return p;
}
constexpr int shim_max_reports = 10;  // race reports printed per launch
#ifdef SHIM_RACE
#include "race_hooks.h"
#define RACE(...) __VA_ARGS__
#else
#define RACE(...)
#endif
extern "C" const char *__asan_default_options() { return "detect_leaks=0:allow_addr2line=1"; }
constexpr size_t STACK = 128 << 10, GUARD = 1 << 20;  // no access below a stack: frames up to GUARD cannot jump over it
struct Fiber : ShimThread {
  void *sp = 0, *fake = 0;
  char *stack = 0;
  const void *bottom = 0;
  size_t size = 0;
  unsigned lin = 0;
  int line = 0;
  const char *what = 0;
  bool done = false;
};
struct Warp {
  unsigned waiting, mask[32];
  ShimOp *op[32];
  void *in[32], *out[32];
  Fiber *f[32];
};
ShimThread *shim_cur;
dim3 shim_block, shim_grid;
ShimKernel *shim_kernels;
extern char __start_cuda_shared[] __attribute__((weak)), __stop_cuda_shared[] __attribute__((weak));
static Fiber host, pool[1024], *cur = &host, *prev;
static std::vector<Fiber *> ready, atbar;
static std::vector<Warp> warps;
static const ShimKernel *kernel;
static const void *karg;
static void *dynamic_shared;
static std::mt19937 rng(1);
static unsigned nthr, live;
static int bar_line;

extern "C" void shim_switch(void **save, void *to);
asm(".text\n.globl shim_switch\n.type shim_switch,@function\nshim_switch:\n"
    "push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15; mov %rsp,(%rdi)\n"
    "mov %rsi,%rsp; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret\n");
static void entered() {  // first thing after every switch
  ASAN(const void *b; size_t n; __sanitizer_finish_switch_fiber(cur->fake, &b, &n);
       if (prev == &host) host.bottom = b, host.size = n;)
}
static void go(Fiber *to) {
  Fiber *me = cur;
  prev = me;
  cur = to;
  shim_cur = to;
  if (to == me) return;
  ASAN(__sanitizer_start_switch_fiber(me->done ? nullptr : &me->fake, to->bottom, to->size);)
  RACE(race_switch(to == &host ? -1 : (int)to->lin, to->stack, STACK);)
  shim_switch(&me->sp, to->sp);
  entered();
}
[[noreturn]] static void die(const char *why) {
  fprintf(stderr, "SHIM ERROR: %s in %s, block (%u,%u,%u)\n", why, kernel->name, pool[0].bid.x, pool[0].bid.y,
          pool[0].bid.z);
  for (unsigned i = 0, n = 0; i < nthr; i++) {  // where the threads are, runs of equal places once
    Fiber *f = &pool[i], *g = f - 1;
    if (f->done) f->what = "exit";
    if ((i == 0 || f->what != g->what || f->line != g->line) && n++ < 12)
      fprintf(stderr, "  from thread %u: %s line %d\n", i, f->what, f->line);
  }
  fflush(nullptr);
  _exit(3);
}
static void block_here() {  // run somebody else, chosen at random
  if (ready.empty()) {
    if (live == 0) {
      go(&host);
      return;
    }
    die("deadlock (threads wait at different places)");
  }
  size_t i = rng() % ready.size();
  Fiber *f = ready[i];
  ready[i] = ready.back();
  ready.pop_back();
  go(f);
}
extern "C" void shim_fiber_main() {
  entered();
  kernel->call(karg);
  cur->done = true;
  cur->line = 0;
  live--;
  block_here();
  abort();
}
void shim_barrier(int line) {
  cur->line = line;
  cur->what = "__syncthreads";
  if (!atbar.empty() && bar_line != line) die("threads of a block meet at different __syncthreads");
  bar_line = line;
  atbar.push_back(cur);
  if (atbar.size() == nthr) {
    ready.insert(ready.end(), atbar.begin(), atbar.end());
    atbar.clear();
    RACE(race_barrier();)
  }
  block_here();
}
void shim_yield() {
  ready.push_back(cur);
  block_here();
}
void shim_fence() { RACE(race_fence();) }
void shim_warp(unsigned mask, ShimOp op, const void *in, void *out, int line) {
  Warp &w = warps[cur->warp];
  unsigned l = cur->lane;
  cur->line = line;
  cur->what = "warp collective";
  if (!(mask >> l & 1)) die("calling lane is not in the mask of its warp collective");
  w.mask[l] = mask;
  w.op[l] = op;
  w.in[l] = (void *)in;
  w.out[l] = out;
  w.waiting |= 1u << l;
  bool all = (w.waiting & mask) == mask;
  for (unsigned j = 0; all && j < 32; j++)
    if (mask >> j & 1) all = w.mask[j] == mask && w.op[j] == op;
  if (all) {
    op(mask, w.in, w.out);
    w.waiting &= ~mask;
    RACE(if (op == shim_op_sync) race_syncwarp(cur->warp, mask);)
    for (unsigned j = 0; j < 32; j++)
      if (mask >> j & 1) ready.push_back(w.f[j]);
  }
  block_here();
}
void shim_seed(unsigned s) { rng.seed(s); }
void *shim_dynamic_shared() { return dynamic_shared; }
int shim_errors() { RACE(return rc_errors;) return 0; }
void *shim_alloc(size_t n) {
  void *p;
  if (posix_memalign(&p, 256, n ? n : 1)) return nullptr;
  memset(p, 0xFF, n);
  RACE(race_region(p, n, "global");) return p;
}
void shim_free(void *p) { RACE(race_unregion(p);) free(p); }
static void run_block(unsigned b) {
  dim3 g = shim_grid, s = shim_block;
  warps.assign((nthr + 31) / 32, Warp{});
  ready.clear();
  atbar.clear();
  live = nthr;
  for (unsigned i = 0; i < nthr; i++) {
    Fiber *f = &pool[i];
    f->lin = i;
    f->lane = i % 32;
    f->warp = i / 32;
    f->done = false;
    f->line = 0;
    f->what = "start";
    f->tid = {i % s.x, i / s.x % s.y, i / (s.x * s.y)};
    f->bid = {b % g.x, b / g.x % g.y, b / (g.x * g.y)};
    f->fake = nullptr;
    warps[f->warp].f[f->lane] = f;
    void **sp = (void **)(f->stack + STACK);  // first switch to it "returns" into shim_fiber_main
    *--sp = 0;
    *--sp = (void *)shim_fiber_main;
    sp -= 6;
    memset(sp, 0, 48);
    f->sp = sp;
    ready.push_back(f);
  }
  block_here();  // comes back when live == 0
}
const char *shim_launch(const char *name, dim3 grid, unsigned threads, size_t shared, const void *argument, size_t size) {
  static std::string why;
  alignas(64) static char store[1024];  // static: the race checker skips the program's own image
  auto fail = [&](std::string s) {
    why = std::string(name) + ": " + s;
    return why.c_str();
  };
  const ShimKernel *k = shim_kernels;
  while (k && strcmp(k->name, name)) k = k->next;
  size_t blocks = (size_t)grid.x * grid.y * grid.z, ns = __stop_cuda_shared - __start_cuda_shared;
  if (!k) return fail("no such kernel");
  if (size != k->size || size > sizeof store)
    return fail("the argument has " + std::to_string(size) + " bytes, the kernel takes " + std::to_string(k->size));
  if (!blocks || blocks > 1u << 31 || grid.y > 65535 || !threads || threads > 1024 || shared > 227 << 10)
    return fail("bad grid or block");
  if (shared && posix_memalign(&dynamic_shared, 16, shared)) return fail("out of memory");
  memcpy(store, argument, size);
  karg = store;
  kernel = k;
  shim_grid = grid;
  shim_block = threads;
  nthr = threads;
  for (Fiber *f = pool; f < pool + nthr; f++)
    if (!f->stack) {
      f->stack = (char *)shim_map(GUARD + STACK);
      mprotect(f->stack, GUARD, PROT_NONE);
      f->bottom = f->stack += GUARD;
      f->size = STACK;
    }
  RACE(race_kernel(nthr); if (ns) race_region(__start_cuda_shared, ns, "static shared");
       if (shared) race_region(dynamic_shared, shared, "dynamic shared");)
  std::vector<unsigned> order(blocks);
  for (size_t i = 0; i < blocks; i++) order[i] = i;
  for (size_t i = blocks; i > 1; i--) std::swap(order[i - 1], order[rng() % i]);
  for (unsigned b : order) {
    RACE(race_block(b);)
    if (ns) memset(__start_cuda_shared, 0xFF, ns);
    if (shared) memset(dynamic_shared, 0xFF, shared);
    run_block(b);
  }
  RACE(if (ns) race_unregion(__start_cuda_shared); if (shared) race_unregion(dynamic_shared);)
  free(dynamic_shared);
  dynamic_shared = nullptr;
  return nullptr;
}
// ---- warp operations: run once per warp, see all lanes ---------------------------------------------------------------
#define LANES(l)                    \
  for (unsigned l = 0; l < 32; l++) \
    if (mask >> l & 1)
void shim_op_sync(unsigned, void *const *, void *const *) {}
void shim_op_shfl(unsigned mask, void *const *in, void *const *out) {
  LANES(l) {
    unsigned s = ((ShimShfl *)in[l])->from & 31;
    if (!(mask >> s & 1)) die("shuffle reads a lane outside the mask");
    *(uint64_t *)out[l] = ((ShimShfl *)in[s])->v;
  }
}
void shim_op_ballot(unsigned mask, void *const *in, void *const *out) {
  unsigned r = 0;
  LANES(l) r |= (unsigned)!!*(int *)in[l] << l;
  LANES(l) *(unsigned *)out[l] = r;
}
void shim_op_gather(unsigned mask, void *const *in, void *const *out) {
  LANES(l) LANES(s)((void **)out[l])[s] = *(void **)in[s];
}
static float bits(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
// mma.sync, fragment layouts of the PTX ISA, in 32-bit words along k: A has 16 x 8 words, B 8 x 8. Sums are taken in the order of k.
template <class C, class F>
static void mma(unsigned mask, void *const *in, void *const *out, F add) {
  uint32_t A[16][8], B[8][8];
  LANES(l) {
    auto *m = (ShimMma<C> *)in[l];
    unsigned g = l / 4, t = l % 4;
    for (int r = 0; r < 4; r++) A[g + 8 * (r % 2)][t + 4 * (r / 2)] = m->a[r];
    for (int r = 0; r < 2; r++) B[t + 4 * r][g] = m->b[r];
  }
  LANES(l) for (int i = 0; i < 4; i++) {
    C s = ((ShimMma<C> *)in[l])->c[i];
    for (int k = 0; k < 8; k++) add(s, A[l / 4 + 8 * (i / 2)][k], B[k][2 * (l % 4) + i % 2]);
    ((C *)out[l])[i] = s;
  }
}
void shim_op_mma_bf16(unsigned mask, void *const *in, void *const *out) {
  mma<float>(mask, in, out, [](float &s, uint32_t a, uint32_t b) {
    s += bits(a << 16) * bits(b << 16);
    s += bits(a & 0xffff0000u) * bits(b & 0xffff0000u);
  });
}
void shim_op_mma_b1(unsigned mask, void *const *in, void *const *out) {
  mma<int>(mask, in, out, [](int &s, uint32_t a, uint32_t b) { s += __builtin_popcount(a & b); });
}
#endif
