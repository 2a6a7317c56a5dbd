//===- Limits.cpp - What the machine can do at most -----------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A shared library, called through ctypes by limits.py: the same loops that
// `hrcc --probe` runs (lib/Hardware/ProbeKernels.cpp), each to do a given
// amount of work on a given number of threads.
//
// A *pool* is a set of threads that spin between the runs, so that no run pays
// for waking them; the caller is one of them. The work is cut evenly, and a run
// takes as long as its slowest thread. Whoever measures something else
// meanwhile must stop the process.
//
//===----------------------------------------------------------------------===//
#include "ProbeKernels.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <vector>

using namespace headrace::hw::probe_kernels;
using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

//===----------------------------------------------------------------------===//
// Kernels by name
//===----------------------------------------------------------------------===//

#if defined(__x86_64__)
static bool hasAvx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
static bool hasAvx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/// Bits of CPUID leaf 7.
static bool hasLeaf7(int subleaf, int regist, int bit) {
  unsigned regs[4] = {};
  asm volatile("cpuid"
               : "=a"(regs[0]), "=b"(regs[1]), "=c"(regs[2]), "=d"(regs[3])
               : "a"(7), "c"(subleaf));
  return regs[regist] >> bit & 1;
}
static bool hasF16() { return hasAvx512() && hasLeaf7(0, 3, 23); }
static bool hasTileBf16() {
  return hasLeaf7(0, 3, 24) && hasLeaf7(0, 3, 22) && requestTiles();
}
static bool hasTileI8() {
  return hasLeaf7(0, 3, 24) && hasLeaf7(0, 3, 25) && requestTiles();
}
#else
static bool hasAvx512() { return false; }
static bool hasAvx2() { return false; }
#endif

namespace {
struct Arithmetic {
  const char *name;
  Rate rate;
  /// Multiplications and additions of one instruction.
  int64_t operations;
  bool tiles = false;
};
} // namespace

static std::vector<Arithmetic> listArithmetic() {
#if defined(__x86_64__)
  if (!hasAvx512() && !hasAvx2())
    return {};
#endif
  Kernels kernels = select(hasAvx512(), hasAvx2());
  std::vector<Arithmetic> list = {
      {"fma_f32", kernels.f32, kernels.registerBits / 32 * 2},
      {"fma_f64", kernels.f64, kernels.registerBits / 64 * 2}};
#if defined(__x86_64__)
  if (hasAvx512() && hasAvx2()) {
    Kernels narrow = select(false, true);
    list.push_back({"fma_f32_256", narrow.f32, narrow.registerBits / 32 * 2});
  }
  if (hasF16())
    list.push_back({"fma_f16", f16Avx512(), 64});
  if (hasAvx512() && __builtin_cpu_supports("avx512bf16"))
    list.push_back({"dot_bf16", bf16DotAvx512(), 64});
  if (hasAvx512() && __builtin_cpu_supports("avx512vnni"))
    list.push_back({"vnni_i8", vnniAvx512(), 128});
  else if (__builtin_cpu_supports("avxvnni"))
    list.push_back({"vnni_i8", vnniAvx2(), 64});
  if (hasTileBf16())
    list.push_back({"tile_bf16", tileBf16(), 2 * 16 * 16 * 32, true});
  if (hasTileI8())
    list.push_back({"tile_i8", tileI8(), 2 * 16 * 16 * 64, true});
#endif
  return list;
}

/// Copies `bytes` (a multiple of 512) between blocks aligned to 64.
using Copy = void (*)(char *target, const char *source, size_t bytes);

#if defined(__x86_64__)
#define LOAD(reg, step, i) "vmovups " #i "*" step "(%1),%%" reg #i "\n"
#define STORE(op, reg, step, i) op " %%" reg #i "," #i "*" step "(%0)\n"
#define COPY_KERNEL(function, attr, op, reg, step, fence)                      \
  __attribute__((target(attr))) static void function(                          \
      char *target, const char *source, size_t bytes) {                        \
    char *end = target + bytes;                                                \
    asm volatile("1:\n" LOAD(reg, step, 0) LOAD(reg, step, 1)                  \
        LOAD(reg, step, 2) LOAD(reg, step, 3) LOAD(reg, step, 4)               \
        LOAD(reg, step, 5) LOAD(reg, step, 6) LOAD(reg, step, 7)               \
        STORE(op, reg, step, 0) STORE(op, reg, step, 1)                        \
        STORE(op, reg, step, 2) STORE(op, reg, step, 3)                        \
        STORE(op, reg, step, 4) STORE(op, reg, step, 5)                        \
        STORE(op, reg, step, 6) STORE(op, reg, step, 7)                        \
        "add $8*" step ",%0\n add $8*" step ",%1\n cmp %2,%0\n jb 1b\n" fence  \
        : "+r"(target), "+r"(source)                                           \
        : "r"(end)                                                             \
        : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",      \
          "memory", "cc");                                                     \
  }
COPY_KERNEL(copyAvx512, "avx512f", "vmovaps", "zmm", "64", "")
COPY_KERNEL(copyNtAvx512, "avx512f", "vmovntps", "zmm", "64", "sfence\n")
COPY_KERNEL(copyAvx2, "avx2", "vmovaps", "ymm", "32", "")
COPY_KERNEL(copyNtAvx2, "avx2", "vmovntps", "ymm", "32", "sfence\n")
#else
static void copyPortable(char *target, const char *source, size_t bytes) {
  std::memcpy(target, source, bytes);
}
#endif

namespace {
struct Movement {
  const char *name;
  Stream stream;
  Copy copy;
};
} // namespace

static std::vector<Movement> listMovements() {
#if defined(__x86_64__)
  if (!hasAvx512() && !hasAvx2())
    return {};
  bool wide = hasAvx512();
  Copy copy = wide ? copyAvx512 : copyAvx2;
  Copy copyNt = wide ? copyNtAvx512 : copyNtAvx2;
#else
  Copy copy = copyPortable, copyNt = copyPortable;
#endif
  Kernels kernels = select(hasAvx512(), hasAvx2());
  return {{"read", kernels.read, nullptr},
          {"write", kernels.write, nullptr},
          {"write_nt", kernels.ntWrite, nullptr},
          {"copy", nullptr, copy},
          {"copy_nt", nullptr, copyNt}};
}

template <typename T>
static const T *find(const std::vector<T> &list, const char *name) {
  for (const T &entry : list)
    if (std::strcmp(entry.name, name) == 0)
      return &entry;
  return nullptr;
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

namespace {
class Pool {
public:
  explicit Pool(int count) : count(count), done(new Counter[count]) {
    for (int number = 1; number < count; ++number)
      threads.emplace_back([this, number] { serve(number); });
  }
  ~Pool() {
    task = nullptr;
    turn.value.fetch_add(1, std::memory_order_release);
    for (std::thread &thread : threads)
      thread.join();
    resize(0);
  }

  /// Runs `function(argument, number)` on every thread; returns the seconds.
  double run(void (*function)(void *, int), void *argument) {
    task = function;
    taskArgument = argument;
    Clock::time_point start = Clock::now();
    int64_t now = turn.value.fetch_add(1, std::memory_order_release) + 1;
    function(argument, 0);
    for (int number = 1; number < count; ++number)
      while (done[number].value.load(std::memory_order_acquire) < now)
        relax();
    return secondsSince(start);
  }

  /// A block of so many bytes; false if there is no memory.
  bool resize(size_t bytes) {
    if (bytes == size)
      return true;
    if (size)
      munmap(data, size);
    size = 0;
    if (!bytes)
      return true;
    void *mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      return false;
    data = static_cast<char *>(mapped);
    size = bytes;
    madvise(data, size, MADV_HUGEPAGE);
    std::memset(data, 0, size);
    return true;
  }

  const int count;
  char *data = nullptr;

private:
  struct alignas(128) Counter {
    std::atomic<int64_t> value = 0;
  };

  void serve(int number) {
    for (int64_t next = 1;; ++next) {
      while (turn.value.load(std::memory_order_acquire) < next)
        relax();
      if (!task)
        return;
      task(taskArgument, number);
      done[number].value.store(next, std::memory_order_release);
    }
  }

  Counter turn;
  std::unique_ptr<Counter[]> done;
  void (*task)(void *, int) = nullptr;
  void *taskArgument = nullptr;
  size_t size = 0;
  std::vector<std::thread> threads;
};

struct ArithmeticTask {
  const Arithmetic &what;
  int64_t iterations;
};

struct MovementTask {
  const Movement &what;
  char *data;
  size_t slice;
  int64_t passes;
};
} // namespace

static void runArithmetic(void *argument, int) {
  auto &task = *static_cast<ArithmeticTask *>(argument);
#if defined(__x86_64__)
  if (task.what.tiles)
    loadTileConfig();
#endif
  task.what.rate.run(task.iterations);
#if defined(__x86_64__)
  if (task.what.tiles)
    releaseTiles();
#endif
}

static void runMovement(void *argument, int number) {
  auto &task = *static_cast<MovementTask *>(argument);
  char *data = task.data + size_t(number) * task.slice;
  for (int64_t pass = 0; pass < task.passes; ++pass) {
    if (task.what.stream) {
      task.what.stream(data, task.slice);
      continue;
    }
    size_t half = task.slice / 2;
    task.what.copy(data + half, data, half);
  }
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

#define EXPORT extern "C" __attribute__((visibility("default")))

/// The names of what this machine can do, separated by spaces.
EXPORT const char *limits_names() {
  static std::string names = [] {
    std::string text;
    for (const Arithmetic &entry : listArithmetic())
      text += std::string(entry.name) + " ";
    for (const Movement &entry : listMovements())
      text += std::string(entry.name) + " ";
    return text;
  }();
  return names.c_str();
}

EXPORT void *limits_create(int threads) { return new Pool(threads); }
EXPORT void limits_destroy(void *pool) { delete static_cast<Pool *>(pool); }

/// Does `operations` (multiplications and additions) of the kind; returns the
/// seconds, or -1 if this machine cannot.
EXPORT double limits_compute(void *handle, const char *name,
                             double operations) {
  Pool &pool = *static_cast<Pool *>(handle);
  static const std::vector<Arithmetic> list = listArithmetic();
  const Arithmetic *what = find(list, name);
  if (!what)
    return -1;
  double each = double(what->rate.perIteration) * double(what->operations);
  ArithmeticTask task{
      *what, std::max<int64_t>(1, int64_t(operations / pool.count / each))};
  return pool.run(runArithmetic, &task);
}

/// Goes `passes` times over `bytes`, each thread over its own part; returns the
/// seconds, or -1 if this machine cannot. A copy is from one half of a part to
/// the other: it reads half of the bytes and writes the other half.
EXPORT double limits_move(void *handle, const char *name, int64_t bytes,
                          int64_t passes) {
  Pool &pool = *static_cast<Pool *>(handle);
  static const std::vector<Movement> list = listMovements();
  const Movement *what = find(list, name);
  int64_t slice = std::max<int64_t>(1, bytes / pool.count / 4096) * 4096;
  if (!what || !pool.resize(size_t(slice) * size_t(pool.count)))
    return -1;
  MovementTask task{*what, pool.data, size_t(slice), passes};
  return pool.run(runMovement, &task);
}

/// Seconds of `rounds` rounds in which all threads wait for each other.
EXPORT double limits_barrier(void *handle, int64_t rounds) {
  Pool &pool = *static_cast<Pool *>(handle);
  double total = 0;
  for (int64_t round = 0; round < rounds; ++round)
    total += pool.run([](void *, int) {}, nullptr);
  return total;
}

/// Seconds to start a thread and wait for its end.
EXPORT double limits_thread() {
  Clock::time_point start = Clock::now();
  std::thread([] {}).join();
  return secondsSince(start);
}
