//===- ProbeMachine.cpp - CPUs, caches, and how long loops take -----------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ProbeMachine.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include <atomic>
#include <chrono>
#include <linux/futex.h>
#include <numeric>
#include <random>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

using namespace mlir;
using namespace headrace;
using namespace headrace::hw;

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

//===----------------------------------------------------------------------===//
// What the operating system says
//===----------------------------------------------------------------------===//

std::vector<int> hw::getProbeCpus() {
  std::vector<int> cpus;
  for (int limit = 1024; limit <= 1 << 18 && cpus.empty(); limit *= 4) {
    cpu_set_t *set = CPU_ALLOC(limit);
    size_t size = CPU_ALLOC_SIZE(limit);
    if (sched_getaffinity(0, size, set) == 0)
      for (int cpu = 0; cpu < limit; ++cpu)
        if (CPU_ISSET_S(cpu, size, set))
          cpus.push_back(cpu);
    CPU_FREE(set);
  }
  if (cpus.empty())
    cpus.push_back(0);
  return cpus;
}

void hw::pinTo(int cpu) {
  cpu_set_t *set = CPU_ALLOC(cpu + 1);
  size_t size = CPU_ALLOC_SIZE(cpu + 1);
  CPU_ZERO_S(size, set);
  CPU_SET_S(cpu, size, set);
  sched_setaffinity(0, size, set);
  CPU_FREE(set);
}

static std::string readSmallFile(const Twine &path) {
  auto file = llvm::MemoryBuffer::getFileAsStream(path);
  return file ? StringRef((*file)->getBuffer()).trim().str() : "";
}

/// "0-3,8" -> 5
static int64_t countCpuList(StringRef list) {
  int64_t count = 0;
  for (StringRef range : llvm::split(list, ',')) {
    auto [first, last] = range.split('-');
    int64_t a = 0, b = 0;
    if (first.getAsInteger(10, a))
      continue;
    if (last.empty() || last.getAsInteger(10, b))
      b = a;
    count += b - a + 1;
  }
  return count;
}

std::vector<ProbeCache> hw::getProbeCaches(int cpu) {
  std::vector<ProbeCache> caches;
  for (int index = 0; index < 16; ++index) {
    std::string dir = ("/sys/devices/system/cpu/cpu" + Twine(cpu) +
                       "/cache/index" + Twine(index) + "/")
                          .str();
    std::string type = readSmallFile(dir + "type");
    if (type.empty())
      break;
    if (type == "Instruction")
      continue;
    ProbeCache cache;
    StringRef size;
    std::string sizeText = readSmallFile(dir + "size");
    size = sizeText;
    int64_t unit = size.consume_back("K") ? 1024
                   : size.consume_back("M") ? 1024 * 1024
                                            : 1;
    if (size.getAsInteger(10, cache.bytes) ||
        StringRef(readSmallFile(dir + "level"))
            .getAsInteger(10, cache.level))
      continue;
    cache.bytes *= unit;
    StringRef(readSmallFile(dir + "coherency_line_size"))
        .getAsInteger(10, cache.line);
    StringRef(readSmallFile(dir + "ways_of_associativity"))
        .getAsInteger(10, cache.ways);
    cache.sharers = std::max<int64_t>(
        1, countCpuList(readSmallFile(dir + "shared_cpu_list")));
    caches.push_back(cache);
  }
  if (caches.empty())
    caches = {{1, 32 << 10, 64, 8, 1}, {2, 256 << 10, 64, 8, 1}};
  llvm::sort(caches, [](const ProbeCache &a, const ProbeCache &b) {
    return a.level < b.level;
  });
  return caches;
}

//===----------------------------------------------------------------------===//
// Measuring
//===----------------------------------------------------------------------===//

/// Runs `body` on the first `workers` CPUs at once, each pinned.
static void runOnAll(ArrayRef<int> cpus, int64_t workers,
                     llvm::function_ref<void(int64_t)> body) {
  std::atomic<int64_t> ready = 0;
  std::vector<std::thread> threads;
  for (int64_t worker = 0; worker < workers; ++worker)
    threads.emplace_back([&, worker] {
      pinTo(cpus[worker]);
      ready.fetch_add(1);
      while (ready.load() < workers)
        probe_kernels::relax();
      body(worker);
    });
  for (std::thread &thread : threads)
    thread.join();
}

/// Seconds that this thread has had a CPU.
static double readThreadTime() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
}

double hw::measureRate(probe_kernels::Rate rate, double slice) {
  int64_t iterations = 1000;
  double best = 0;
  for (Clock::time_point begin = Clock::now(); secondsSince(begin) < slice;) {
    double start = readThreadTime();
    rate.run(iterations);
    double seconds = readThreadTime() - start;
    if (seconds < slice / 20) {
      iterations *= 2;
      continue;
    }
    best = std::max(best, double(iterations * rate.perIteration) / seconds);
  }
  if (best == 0) { // the machine was taken away from us for the whole slice
    double start = readThreadTime();
    rate.run(iterations);
    best = double(iterations * rate.perIteration) / (readThreadTime() - start);
  }
  return best;
}

MappedBlock::MappedBlock(size_t size) : size(size) {
  void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED)
    return;
  data = static_cast<char *>(mapped);
  madvise(data, size, MADV_HUGEPAGE);
}

MappedBlock::~MappedBlock() {
  if (data)
    munmap(data, size);
}

void Prober::say(const Twine &text) {
  if (options.log)
    *options.log << "probe: " << text << '\n';
}

double Prober::measureStream(probe_kernels::Stream stream, size_t bytes,
                     int64_t active) {
  bytes = bytes / 1024 * 1024;
  size_t stride = block.size / active / 4096 * 4096;
  // A few passes of a small size are over too soon to be timed.
  size_t passes = std::max<size_t>(1, (1 << 20) / bytes);
  double best = 0;
  for (int repeat = 0; repeat < 2; ++repeat) {
    std::vector<double> rates(active);
    runOnAll(cpus, active, [&](int64_t worker) {
      char *data = block.data + size_t(worker) * stride;
      stream(data, bytes);
      size_t total = 0;
      double seconds = 0;
      Clock::time_point start = Clock::now();
      do {
        for (size_t pass = 0; pass < passes; ++pass)
          stream(data, bytes);
        total += passes * bytes;
        seconds = secondsSince(start);
      } while (seconds < options.slice / 2);
      rates[worker] = double(total) / seconds;
    });
    best = std::max(best,
                    std::accumulate(rates.begin(), rates.end(), 0.0));
  }
  return best;
}

double Prober::measureLatency(size_t bytes, int64_t line) {
  size_t count = bytes / line;
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::minstd_rand random(1);
  for (size_t i = count - 1; i > 0; --i)
    std::swap(order[i], order[random() % (i + 1)]);
  for (size_t i = 0; i < count; ++i)
    *reinterpret_cast<char **>(block.data + order[i] * line) =
        block.data + order[(i + 1) % count] * line;
  double best = 1;
  for (int repeat = 0; repeat < 3; ++repeat) {
    char *p = block.data + order[0] * line;
    int64_t steps = 0;
    double seconds = 0;
    Clock::time_point start = Clock::now();
    do {
      for (int i = 0; i < 4096; ++i)
        p = *reinterpret_cast<char *volatile *>(p);
      steps += 4096;
      seconds = secondsSince(start);
    } while (seconds < options.slice / 4);
    best = std::min(best, seconds / double(steps));
  }
  return best;
}

double Prober::measureSpin() {
  struct alignas(128) Counter {
    std::atomic<int64_t> value = 0;
  } counters[2];
  constexpr int64_t rounds = 20000;
  double best = 1;
  for (int repeat = 0; repeat < 5; ++repeat) {
    counters[0].value = counters[1].value = 0;
    double seconds = 0;
    runOnAll(cpus, 2, [&](int64_t worker) {
      Clock::time_point start = Clock::now();
      for (int64_t round = 1; round <= rounds; ++round) {
        if (worker == 0)
          counters[0].value.store(round, std::memory_order_release);
        while (counters[1 - worker].value.load(std::memory_order_acquire) <
               round)
          ;
        if (worker == 1)
          counters[1].value.store(round, std::memory_order_release);
      }
      if (worker == 0)
        seconds = secondsSince(start);
    });
    best = std::min(best, seconds / double(2 * rounds));
  }
  return best;
}

double Prober::measureWake() {
  std::atomic<int32_t> words[2] = {0, 0};
  constexpr int32_t rounds = 2000;
  auto wait = [&](std::atomic<int32_t> &word, int32_t until) {
    for (int32_t now = word.load(); now < until; now = word.load())
      syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
  };
  auto signal = [&](std::atomic<int32_t> &word, int32_t value) {
    word.store(value);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  };
  double seconds = 0;
  runOnAll(cpus, 2, [&](int64_t worker) {
    Clock::time_point start = Clock::now();
    for (int32_t round = 1; round <= rounds; ++round) {
      if (worker == 0)
        signal(words[0], round);
      wait(words[1 - worker], round);
      if (worker == 1)
        signal(words[1], round);
    }
    if (worker == 0)
      seconds = secondsSince(start);
  });
  return seconds / (2.0 * rounds);
}
