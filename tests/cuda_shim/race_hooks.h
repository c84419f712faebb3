// The race checker behind the compiler's ThreadSanitizer instrumentation. Kernels are compiled with -fsanitize=thread but
// not linked with TSan: the __tsan_* calls land here. Included by cuda_shim.h under -DSHIM_RACE.
//
// Happens-before is program order, __syncthreads, __syncwarp(mask), and "fence, atomic, seen by an atomic, fence" (below).
// Found are races in shared and global memory, in and between blocks; accesses outside every buffer; reads of shared
// memory that was never written.
#pragma once
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
extern "C" char __executable_start[], _end[];
// One 4-byte word of memory and its last accesses. `epoch` counts the thread's __syncwarps and fences, `phase` the barriers.
struct RaceHit {
  uint32_t block, phase, epoch, pc;
  uint16_t thread;
  uint8_t mask, flags;
};  // flags: 1 write, 2 atomic, 4 used
struct RaceCell {
  RaceHit hit[6];
  uint32_t owner;
  uint8_t init, next;
};  // owner: block (shared memory)
struct RaceRegion {
  char *base;
  size_t n, map;
  const char *name;
  bool shared;
  RaceCell *cell;
};
static std::map<const char *, RaceRegion> rc_regions;
static RaceRegion *rc_last;
static int rc_cur = -1;
static char *rc_stack;
static size_t rc_stack_n;                                                  // the running fiber
static uint32_t rc_block, rc_first, rc_serial, rc_phase, rc_vc[1024][32];  // rc_vc: epochs known, per lane of the warp
static unsigned rc_nthr;
static int rc_errors, rc_printed;
static std::set<uint64_t> rc_seen;

// ---- __threadfence and atomics -------------------------------------------------------------------------------------------
// A fence X happens before a fence Y if an atomic after X (in happens-before) is seen, directly or through further atomics on
// that address, by an atomic before Y. So a thread carries three clocks: SEEN, what happens before it; REL, what its atomics
// hand on (what was SEEN, or done, at the last fence before here); ACQ, what its atomics received and its next fence makes SEEN.
// All three spread through barriers. A clock says per block what is covered: all before a phase, and each thread up to an epoch.
struct RaceKnow {
  uint32_t phase;
  std::vector<uint32_t> epoch;
};
typedef std::map<uint32_t, std::shared_ptr<const RaceKnow>> RaceMap;
typedef std::shared_ptr<const RaceMap> RaceClock;  // shared, never changed
enum { SEEN, REL, ACQ };
static RaceClock rc_clock[1024][3];
static std::unordered_map<const volatile void *, RaceClock> rc_atomic;
static bool rc_fenced;
static RaceClock rc_join(const RaceClock &a, const RaceClock &b) {
  if (!b || a == b) return a;
  if (!a) return b;
  auto r = std::make_shared<RaceMap>(*a);
  bool grown = false;
  for (auto &[block, k] : *b) {
    auto &x = (*r)[block];
    if (x == k) continue;
    grown = true;
    if (!x) {
      x = k;
      continue;
    }
    auto m = std::make_shared<RaceKnow>(*x);
    m->phase = std::max(m->phase, k->phase);
    for (size_t t = 0; t < m->epoch.size(); t++) m->epoch[t] = std::max(m->epoch[t], k->epoch[t]);
    x = m;
  }
  return grown ? r : a;
}
static void rc_meet(unsigned from, unsigned n, unsigned lanes) {  // these threads now know the same
  for (int c = 0; rc_fenced && c < 3; c++) {
    RaceClock all, last;
    for (unsigned t = from; t < from + n; t++)
      if (lanes >> t % 32 & 1 && rc_clock[t][c] != last) all = rc_join(all, last = rc_clock[t][c]);
    for (unsigned t = from; t < from + n; t++)
      if (lanes >> t % 32 & 1) rc_clock[t][c] = all;
  }
}
inline void race_fence() {
  RaceClock *c = rc_clock[rc_cur];
  int warp = rc_cur & ~31;
  rc_fenced = true;
  auto k = std::make_shared<RaceKnow>(RaceKnow{rc_phase, std::vector<uint32_t>(rc_nthr)});
  for (unsigned l = 0; l < 32 && warp + l < rc_nthr; l++) k->epoch[warp + l] = rc_vc[rc_cur][l];
  c[SEEN] = rc_join(c[SEEN], c[ACQ]);
  c[REL] = rc_join(c[SEEN], std::make_shared<RaceMap>(RaceMap{{rc_block, k}}));
  rc_vc[rc_cur][rc_cur % 32]++;
}
static void rc_order(const volatile void *p, bool wrote) {  // after an atomic that read, and perhaps wrote, *p
  if (!rc_fenced || rc_cur < 0) return;
  RaceClock &l = rc_atomic[p], *c = rc_clock[rc_cur];
  c[ACQ] = rc_join(c[ACQ], l);
  if (wrote) l = rc_join(l, c[REL]);
}

// ---- what the runtime tells ----------------------------------------------------------------------------------------------
inline void race_region(void *p, size_t n, const char *name) {
  size_t map = (n + 3) / 4 * sizeof(RaceCell) + 1;
  rc_regions[(char *)p] = {(char *)p, n, map, name, strstr(name, "shared") != nullptr, (RaceCell *)shim_map(map)};
}
inline void race_unregion(void *p) {
  auto i = rc_regions.find((char *)p);
  if (i == rc_regions.end()) return;
  munmap(i->second.cell, i->second.map);
  rc_regions.erase(i);
  rc_last = nullptr;
}
inline void race_kernel(unsigned nthr) {
  rc_nthr = nthr;
  rc_first = rc_serial;
  rc_printed = 0;
  rc_seen.clear();
  rc_atomic.clear();
  rc_fenced = false;
}
inline void race_block(unsigned b) {
  rc_block = rc_first + b;
  rc_serial = std::max(rc_serial, rc_block + 1);
  rc_phase = 0;
  for (unsigned t = 0; t < rc_nthr; t++) {
    memset(rc_vc[t], 0, sizeof rc_vc[t]);
    rc_vc[t][t % 32] = 1;
    for (auto &c : rc_clock[t]) c.reset();
  }
}
inline void race_switch(int lin, char *stack, size_t n) {
  rc_cur = lin;
  rc_stack = stack;
  rc_stack_n = n;
}
inline void race_barrier() {
  rc_phase++;
  rc_meet(0, rc_nthr, ~0u);
}
inline void race_syncwarp(unsigned warp, unsigned mask) {
  uint32_t j[32] = {};
  for (int l = 0; l < 32; l++)
    if (mask >> l & 1)
      for (int k = 0; k < 32; k++) j[k] = std::max(j[k], rc_vc[warp * 32 + l][k]);
  for (int l = 0; l < 32; l++)
    if (mask >> l & 1) {
      memcpy(rc_vc[warp * 32 + l], j, sizeof j);
      rc_vc[warp * 32 + l][l]++;
    }
  rc_meet(warp * 32, 32, mask);
}

// ---- reports ---------------------------------------------------------------------------------------------------------------
static std::string rc_where(uint32_t pc) {  // the innermost place outside this kit's headers
  static std::map<uint32_t, std::string> known;
  std::string &at = known[pc];
  char cmd[300], buf[600];
  bool more = at.empty();
  if (!more) return at;
  snprintf(cmd, sizeof cmd,
           "for a in llvm-addr2line-19 llvm-addr2line addr2line; do command -v $a >/dev/null && exec $a -Cfpsie "
           "/proc/%d/exe 0x%x; done",
           (int)getpid(), pc - 1);
  if (FILE *f = popen(cmd, "r")) {
    while (fgets(buf, sizeof buf, f))
      if (more) {
        at = buf;
        if (at.find(" (inlined by) ") == 0) at.erase(0, 14);
        while (!at.empty() && at.back() == '\n') at.pop_back();
        more = at.find("cuda_shim.h:") != at.npos || at.find("mma.cuh:") != at.npos;
      }
    pclose(f);
  }
  return at.empty() ? at = "?" : at;
}
static void rc_report(const char *what, uint32_t pc, const char *kind, const char *a, RaceRegion *r, const RaceHit *o) {
  rc_errors++;
  if (!rc_seen.insert((uint64_t)pc << 32 | (o ? o->pc : 0)).second || ++rc_printed > shim_max_reports)
    return;  // each pair of places once
  fprintf(stderr, "RACECHECK: %s: %s at %s", what, kind, rc_where(pc).c_str());
  if (r) fprintf(stderr, " (%s memory, byte %zd of %zu)", r->name, (ssize_t)(a - r->base), r->n);
  fprintf(stderr, "\n    by block %u thread %d, barrier phase %u\n", rc_block - rc_first, rc_cur, rc_phase);
  if (o)
    fprintf(stderr, "    against %s%s at %s\n    by block %u thread %u, barrier phase %u\n",
            o->flags & 2 ? "atomic " : "", o->flags & 1 ? "write" : "read", rc_where(o->pc).c_str(),
            o->block - rc_first, o->thread, o->phase);
}

// ---- every access ----------------------------------------------------------------------------------------------------------
static RaceRegion *rc_find(const char *a) {
  if (rc_last && (size_t)(a - rc_last->base) < rc_last->n) return rc_last;
  auto i = rc_regions.upper_bound(a);
  if (i == rc_regions.begin()) return nullptr;
  RaceRegion *r = &(--i)->second;
  return (size_t)(a - r->base) < r->n ? rc_last = r : nullptr;
}
static inline bool rc_before(const RaceHit &h) {  // did h happen before the access being made now?
  if (h.block < rc_first) return true;            // earlier launch
  if (h.block == rc_block && (h.thread == rc_cur || h.phase < rc_phase ||
                              (h.thread / 32 == rc_cur / 32 && h.epoch <= rc_vc[rc_cur][h.thread % 32])))
    return true;
  if (!rc_clock[rc_cur][SEEN]) return false;
  auto i = rc_clock[rc_cur][SEEN]->find(h.block);
  return i != rc_clock[rc_cur][SEEN]->end() && (h.phase < i->second->phase || h.epoch <= i->second->epoch[h.thread]);
}
static void rc_access(const volatile void *p, size_t n, unsigned fl, void *ret) {
  const char *a = (const char *)p;
  if (rc_cur < 0 || (size_t)(a - rc_stack) < rc_stack_n) return;
  uint32_t pc = (uint32_t)(uintptr_t)ret;
  const char *kind = fl & 2 ? "atomic" : fl & 1 ? "write" : "read";
  RaceRegion *r = rc_find(a);
  if (!r) {
    if (a >= __executable_start && a < _end) return;  // the program's own constants, threadIdx, ...
    rc_report("OUT OF BOUNDS", pc, kind, a, nullptr, nullptr);
    for (auto &[b, q] : rc_regions)
      if (a >= b - 4096 && a < b + q.n + 4096)
        fprintf(stderr, "    byte %zd of a %s buffer of %zu bytes\n", (ssize_t)(a - b), q.name, q.n);
    _exit(4);
  }
  if ((size_t)(a - r->base) + n > r->n) {
    rc_report("OUT OF BOUNDS (straddles the end)", pc, kind, a, r, nullptr);
    _exit(4);
  }
  size_t off = a - r->base;
  for (size_t w = off / 4; w <= (off + n - 1) / 4; w++) {
    RaceCell &c = r->cell[w];
    if (r->shared && c.owner != rc_block) c = RaceCell{}, c.owner = rc_block;
    size_t lo = std::max(w * 4, off), hi = std::min(w * 4 + 4, off + n);
    uint8_t mask = (uint8_t)(((1u << (hi - lo)) - 1) << (lo - w * 4));
    if (r->shared && (fl & 1)) c.init |= mask;
    if (r->shared && fl != 1 && (c.init & mask) != mask)
      rc_report("SHARED MEMORY READ BUT NEVER WRITTEN", pc, kind, a, r, nullptr);
    int slot = -1;
    for (int i = 0; i < 6; i++) {
      RaceHit &h = c.hit[i];
      if (!h.flags) {
        if (slot < 0) slot = i;
        continue;
      }
      bool before = rc_before(h), both = h.flags & fl & 2;
      if (!before && !both && (h.mask & mask) && ((h.flags | fl) & 1)) rc_report("DATA RACE", pc, kind, a, r, &h);
      // Forget h where the new access says at least as much: it comes after h (an atomic has seen every earlier atomic here).
      if ((before || both) && !(h.mask & ~mask) && ((fl & 1) || !(h.flags & 1)) && ((fl & 2) <= (h.flags & 2)))
        h.flags = 0, slot = i;
    }
    for (int i = 0; i < 6 && slot < 0; i++)
      if (!(c.hit[i].flags & 1) && ++c.next % 2) slot = i;  // full: drop a read,
    if (slot < 0) slot = c.next++ % 6;                      // else anything
    c.hit[slot] = {rc_block, rc_phase, rc_vc[rc_cur][rc_cur % 32], pc, (uint16_t)rc_cur, mask, (uint8_t)(fl | 4)};
  }
}
// ---- what the compiler calls -------------------------------------------------------------------------------------------------
#define RET __builtin_return_address(0)
#define RW(n)                                                                    \
  extern "C" void __tsan_read##n(void *p) { rc_access(p, n, 0, RET); }           \
  extern "C" void __tsan_write##n(void *p) { rc_access(p, n, 1, RET); }          \
  extern "C" void __tsan_unaligned_read##n(void *p) { rc_access(p, n, 0, RET); } \
  extern "C" void __tsan_unaligned_write##n(void *p) { rc_access(p, n, 1, RET); }
RW(1) RW(2) RW(4) RW(8) RW(16) extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}
#define COPY(f)                                                   \
  extern "C" void *__tsan_##f(void *d, const void *s, size_t n) { \
    if (n) rc_access(s, n, 0, RET), rc_access(d, n, 1, RET);      \
    return f(d, s, n);                                            \
  }
COPY(memcpy) COPY(memmove) extern "C" void *__tsan_memset(void *d, int c, size_t n) {
  if (n) rc_access(d, n, 1, RET);
  return memset(d, c, n);
}
// All CUDA atomics of cuda_shim.h are made of these two. A failed compare-and-swap counts as a write for races (another
// order could have let it succeed), but hands nothing on.
#define AT(b, T)                                                                            \
  extern "C" T __tsan_atomic##b##_load(const volatile T *p, int) {                          \
    rc_access(p, sizeof(T), 2, RET);                                                        \
    rc_order(p, false);                                                                     \
    return *p;                                                                              \
  }                                                                                         \
  extern "C" T __tsan_atomic##b##_compare_exchange_val(volatile T *p, T c, T v, int, int) { \
    rc_access(p, sizeof(T), 3, RET);                                                        \
    T o = *p;                                                                               \
    rc_order(p, o == c);                                                                    \
    if (o == c) *p = v;                                                                     \
    return o;                                                                               \
  }
AT(8, uint8_t) AT(16, uint16_t) AT(32, uint32_t) AT(64, uint64_t)
