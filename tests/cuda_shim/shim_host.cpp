// Serves the kernels linked with it to a test over stdin and stdout. Numbers are little-endian, without padding.
//
//   request  u32 op, u64 length, body               answer  u32 status (0 ok, 1 error), u64 length, body
//    1 allocate  u64 bytes                                   u64 address; the memory is filled with 0xFF
//    2 free      u64 address
//    3 write     u64 address, the bytes
//    4 read      u64 address, u64 length                     the bytes
//    5 launch    u32 grid[3], u32 threads, u32 bytes of
//                dynamic shared memory, u32 length, the
//                kernel's name, its argument
//    6 seed      u32: order of blocks and threads from here on
//    0 exit
//
// An error's answer is its text. A child process serves, its parent waits: if the child dies (of AddressSanitizer, an access
// outside every buffer, a deadlock, a crash, a launch of more than TIMEOUT seconds), the parent answers with what it printed
// and how it ended. Races are found while the kernel runs on: the launch fails, the child lives.
#include "cuda_shim.h"
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

constexpr unsigned TIMEOUT = 120;

static int out_fd, err_fd;                    // the answers; a memory file with all that is printed
static char *running;                         // shared with the parent: the kernel running now
static std::map<uint64_t, uint64_t> buffers;  // bytes by address

static bool get(void *p, size_t n) {
  for (char *c = (char *)p; n;) {
    ssize_t k = read(0, c, n);
    if (k <= 0) return false;
    c += k, n -= k;
  }
  return true;
}

static void put(const void *p, size_t n) {
  for (const char *c = (const char *)p; n;) {
    ssize_t k = write(out_fd, c, n);
    if (k <= 0) _exit(0);
    c += k, n -= k;
  }
}

static void answer(uint32_t status, const void *p, uint64_t n) {
  char head[12];
  memcpy(head, &status, 4), memcpy(head + 4, &n, 8);
  put(head, 12), put(p, n);
}

static std::string printed() {
  fflush(nullptr);
  std::string text(lseek(err_fd, 0, SEEK_END), 0);
  if (pread(err_fd, text.data(), text.size(), 0) < 0) text.clear();
  return text;
}

// Takes a body apart; a short body is an error, never a read past it.
struct Reader {
  const char *p;
  size_t n;
  bool bad = false;
  const char *take(size_t k) {
    if (bad || k > n) {
      bad = true;
      return nullptr;
    }
    p += k, n -= k;
    return p - k;
  }
  template <class T>
  T num() {
    T v = 0;
    if (const char *q = take(sizeof v)) memcpy(&v, q, sizeof v);
    return v;
  }
};

// Some bytes from an address inside a buffer on, or an error.
static char *at(uint64_t address, uint64_t n, std::string &err) {
  auto i = buffers.upper_bound(address);
  if (i != buffers.begin() && address - (--i)->first <= i->second && n <= i->second - (address - i->first))
    return (char *)address;
  err = std::to_string(n) + " bytes outside every buffer";
  return nullptr;
}

static std::string launch(Reader &r) {
  uint32_t x = r.num<uint32_t>(), y = r.num<uint32_t>(), z = r.num<uint32_t>(), threads = r.num<uint32_t>();
  uint32_t shared = r.num<uint32_t>(), length = r.num<uint32_t>();
  const char *text = r.take(length);
  if (r.bad) return "malformed launch";
  std::string name(text, length);
  int races = shim_errors();
  snprintf(running, 256, " in kernel %s", name.c_str());
  alarm(TIMEOUT);
  const char *why = shim_launch(name.c_str(), {x, y, z}, threads, shared, r.p, r.n);
  alarm(0);
  *running = 0;
  if (why) return why;
  return shim_errors() > races ? printed() : "";
}

static void serve() {
  std::vector<char> body;
  for (char head[12]; get(head, 12);) {
    uint32_t op;
    uint64_t n;
    memcpy(&op, head, 4), memcpy(&n, head + 4, 8);
    if (n > 1ull << 36) return;
    body.resize(n);
    if (!get(body.data(), n)) return;
    if (ftruncate(err_fd, 0) || lseek(err_fd, 0, SEEK_SET)) return;
    Reader r{body.data(), n};
    std::string err;
    uint64_t v;
    const char *result = nullptr;
    size_t length = 0;
    switch (op) {
      case 0: return;
      case 1:
        length = r.num<uint64_t>();
        v = length >> 40 ? 0 : (uint64_t)shim_alloc(length);
        if (!v)
          err = "out of memory: " + std::to_string(length) + " bytes";
        else
          buffers[v] = length;
        result = (char *)&v, length = 8;
        break;
      case 2:
        v = r.num<uint64_t>();
        if (buffers.erase(v))
          shim_free((void *)v);
        else
          err = "no such buffer";
        break;
      case 3:
        v = r.num<uint64_t>();
        if (char *p = at(v, r.n, err)) memcpy(p, r.p, r.n);
        break;
      case 4:
        v = r.num<uint64_t>(), length = r.num<uint64_t>();
        result = at(v, length, err);
        break;
      case 5: err = launch(r); break;
      case 6: shim_seed(r.num<uint32_t>()); break;
      default: err = "unknown request " + std::to_string(op);
    }
    if (r.bad && err.empty()) err = "malformed request";
    if (!err.empty())
      answer(1, err.data(), err.size());
    else
      answer(0, result, result ? length : 0);
  }
}

int main() {
  signal(SIGPIPE, SIG_IGN);
  out_fd = dup(1), err_fd = memfd_create("printed", MFD_CLOEXEC);
  dup2(err_fd, 1), dup2(err_fd, 2);
  running = (char *)mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    fcntl(out_fd, F_SETFD, FD_CLOEXEC);
    serve();
    _exit(0);
  }
  close(0);
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return 0;
  std::string text = printed();
  if (!WIFSIGNALED(status))
    text += "kernel host ended with exit status " + std::to_string(WEXITSTATUS(status));
  else if (WTERMSIG(status) == SIGALRM)
    text += "kernel host: the launch took too long";
  else
    text += "kernel host killed by signal " + std::to_string(WTERMSIG(status));
  text += running;
  answer(1, text.data(), text.size());
  return 1;
}
