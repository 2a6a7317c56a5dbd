//===- Probe.cpp - Measures the machine at hand ---------------------------===//
//
// Part of Headrace, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Steps:
//   1. What the operating system says: CPUs we may use, caches, memory.
//   2. One worker: clock, rate of each atom, latency of a multiply-add.
//   3. Each memory level: bandwidth of one worker and of all, latency. A cache
//      that the system reports but that is no faster than what lies behind it
//      is left out; the outermost cache is cut to the size up to which it
//      really is faster, because virtual machines share it with strangers.
//   4. Two workers: the time of a signal, spinning and sleeping.
//   5. The description as text.
// Every measurement is repeated and the fastest run counts: noise only slows. What
// is no noise but another program's work is waited for, or refused (ProbeLoad).
//
//===----------------------------------------------------------------------===//

#include "headrace/Hardware/Probe.h"
#include "ProbeKernels.h"
#include "ProbeLoad.h"
#include "headrace/Support/OutputFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <atomic>
#include <chrono>
#include <cmath>
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
// Step 1: what the operating system says
//===----------------------------------------------------------------------===//

/// CPUs this process may run on, in order.
static std::vector<int> getCpus() {
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

static void pinTo(int cpu) {
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

namespace {
struct Cache {
  int level = 0;
  int64_t bytes = 0;
  int64_t line = 64;
  /// CPUs that share it, as reported.
  int64_t sharers = 1;
};
} // namespace

/// Data caches as reported, from the innermost outward.
static std::vector<Cache> getCaches(int cpu) {
  std::vector<Cache> caches;
  for (int index = 0; index < 16; ++index) {
    std::string dir = ("/sys/devices/system/cpu/cpu" + Twine(cpu) +
                       "/cache/index" + Twine(index) + "/")
                          .str();
    std::string type = readSmallFile(dir + "type");
    if (type.empty())
      break;
    if (type == "Instruction")
      continue;
    Cache cache;
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
    cache.sharers = std::max<int64_t>(
        1, countCpuList(readSmallFile(dir + "shared_cpu_list")));
    caches.push_back(cache);
  }
  if (caches.empty())
    caches = {{1, 32 << 10, 64, 1}, {2, 256 << 10, 64, 1}};
  llvm::sort(caches, [](const Cache &a, const Cache &b) {
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

/// Instructions per second of one worker while it has its CPU: the best of
/// several runs.
static double measureRate(probe_kernels::Rate rate, double slice) {
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

namespace {
/// A block of anonymous memory.
struct MappedBlock {
  explicit MappedBlock(size_t size) : size(size) {
    void *mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
      return;
    data = static_cast<char *>(mapped);
    madvise(data, size, MADV_HUGEPAGE);
  }
  ~MappedBlock() {
    if (data)
      munmap(data, size);
  }
  MappedBlock(const MappedBlock &) = delete;
  MappedBlock &operator=(const MappedBlock &) = delete;
  char *data = nullptr;
  size_t size;
};

struct Prober {
  const ProbeOptions &options;
  std::vector<int> cpus;
  int64_t workers;
  probe_kernels::Kernels kernels;
  MappedBlock &block;

  void say(const Twine &text) {
    if (options.log)
      *options.log << "probe: " << text << '\n';
  }

  /// Bytes per second of `active` workers together, each streaming over its
  /// own `bytes` again and again.
  double measureStream(probe_kernels::Stream stream, size_t bytes,
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

  /// Seconds per dependent load within `bytes`.
  double measureLatency(size_t bytes, int64_t line) {
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

  /// Seconds from one worker's signal until another, spinning, has seen it.
  double measureSpin() {
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

  /// The same when the other sleeps in a futex.
  double measureWake() {
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
};

//===----------------------------------------------------------------------===//
// Step 5: text
//===----------------------------------------------------------------------===//

/// Writes fields, breaking lines before they get too long.
class FieldWriter {
public:
  FieldWriter(llvm::raw_ostream &os, int indent) : os(os), indent(indent) {}

  void open(const Twine &head) {
    std::string text = head.str();
    os.indent(indent) << text << " (";
    column = indent + text.size() + 2;
    first = true;
  }
  void field(const Twine &name, const Twine &value) {
    item((name + " = " + value).str());
  }
  void item(const std::string &text) {
    if (!first)
      os << ',';
    if (column + text.size() + 3 > 80) {
      os << '\n';
      os.indent(indent + 4);
      column = indent + 4;
    } else if (!first) {
      os << ' ';
      ++column;
    }
    os << text;
    column += text.size() + 1;
    first = false;
  }
  /// `name = ["a", "b"]`, broken where needed.
  void list(const Twine &name, ArrayRef<std::string> strings) {
    std::string head = (name + " = [").str();
    for (size_t i = 0; i < strings.size(); ++i) {
      std::string text = (i == 0 ? head : "") + "\"" + strings[i] + "\"" +
                         (i + 1 == strings.size() ? "]" : "");
      item(text);
    }
  }
  void bytes(const Twine &name, int64_t value, StringRef source) {
    static constexpr StringLiteral units[] = {"B", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    for (; unit + 1 < std::size(units) && value % 1024 == 0; ++unit)
      value /= 1024;
    figure(name, double(value), units[unit], source);
  }
  void figure(const Twine &name, double value, StringRef unit,
              StringRef source) {
    field(name, number(value) + " " + unit + (unit.empty() ? "" : " ") +
                    source);
  }
  void figure(const Twine &name, const Figure &value, double factor,
              StringRef unit) {
    if (value)
      figure(name, value.value / factor, unit,
             stringifyProvenance(value.provenance));
  }
  void close(StringRef after = "") { os << ')' << after << '\n'; }

  /// Three significant digits: more would pretend.
  static std::string number(double value) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    double rounded = value;
    if (value != 0 && std::abs(value - std::rint(value)) > 1e-9) {
      double scale = std::pow(10, 2 - std::floor(std::log10(value)));
      rounded = std::rint(value * scale) / scale;
    }
    if (rounded == std::rint(rounded) && std::abs(rounded) < 1e15) {
      stream << int64_t(rounded);
    } else {
      stream << llvm::format("%.6g", rounded);
      size_t exponent = text.find('e');
      if (exponent != std::string::npos &&
          text.find('.') == std::string::npos)
        text.insert(exponent, ".0");
    }
    return text;
  }

private:
  llvm::raw_ostream &os;
  int indent;
  size_t column = 0;
  bool first = true;
};

struct AtomFigure {
  StringRef name, shape, types, instruction;
  std::vector<std::string> needs;
  double perCycle, latency;
  bool tiles;
};

struct LevelFigure {
  std::string name;
  bool main = false;
  int64_t bytes = 0;
  StringRef bytesSource = "measured";
  int64_t line = 64;
  int64_t sharers = 1;
  double workerRead = 0, workerWrite = 0, workerNtWrite = 0;
  double read = 0, write = 0, ntWrite = 0;
  double latency = 0;
};
} // namespace

/// A figure of another machine's description, as it counts here.
static Figure borrow(Figure figure) {
  if (figure.provenance == Provenance::Measured)
    figure.provenance = Provenance::Assumed;
  return figure;
}

static void writeLevel(llvm::raw_ostream &os, int indent,
                       const LevelFigure &level, const Memory *base) {
  FieldWriter writer(os, indent);
  writer.open("hw.memory @" + level.name);
  if (level.main)
    writer.field("kind", "main");
  writer.bytes("bytes", level.bytes, level.bytesSource);
  auto bandwidth = [&](StringRef name, double total, double worker) {
    writer.figure(name, std::max(total, worker) / 1e9, "GB/s", "measured");
  };
  bandwidth("read", level.read, level.workerRead);
  bandwidth("write", level.write, level.workerWrite);
  if (level.main)
    bandwidth("nt_write", level.ntWrite, level.workerNtWrite);
  if (level.sharers > 1) {
    bandwidth("worker_read", 0, level.workerRead);
    bandwidth("worker_write", 0, level.workerWrite);
    if (level.main)
      bandwidth("worker_nt_write", 0, level.workerNtWrite);
  }
  writer.figure("latency", level.latency * 1e9, "ns", "measured");
  writer.field("line", Twine(level.line));
  if (base)
    writer.figure("energy", borrow(base->joulesPerByte), 1e-12, "pJ/B");
  writer.close();
}

FailureOr<std::string> hw::probe(const ProbeOptions &options,
                                 std::string &error) {
  // 1. What the operating system says, and the nearest shipped description.
  std::vector<std::string> hostFeatures = System::getHostFeatures();
  llvm::StringSet<> has;
  for (const std::string &feature : hostFeatures)
    has.insert(feature);
  std::string codegen = System::getHostCodegen();
  std::string baseName = System::matchShipped(codegen, hostFeatures);
  if (baseName.empty()) {
    error = "cannot probe: this CPU has too few features (x86-64 needs AVX2 "
            "and FMA, AArch64 NEON)";
    return failure();
  }
  FailureOr<System> base = System::load(baseName, error);
  if (failed(base))
    return failure();
  const Device &baseDevice = base->getDevice();
  const Worker &baseWorker = baseDevice.getWorker();

  std::vector<int> cpus = getCpus();
  int64_t workers = options.workers > 0
                        ? std::min<int64_t>(options.workers, cpus.size())
                        : std::min<int64_t>(cpus.size(),
                                            System::getHostWorkerCount());
  ProbeLoad load(ArrayRef(cpus).take_front(workers));
  auto note = [&](StringRef text) {
    if (options.note)
      options.note(text);
  };
  if (!load.waitUntilIdle(options.mostTaken, options.patience, note, error))
    return failure();
  std::vector<Cache> caches = getCaches(cpus.front());
  int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  int64_t line = caches.front().line;

  // Large enough to be out of a last-level cache of 128 MiB that strangers
  // share, small enough for a small machine.
  size_t blockSize = std::min<size_t>(size_t(1) << 30, size_t(memory) / 4);
  blockSize = std::max<size_t>(blockSize, size_t(64) << 20) &
              ~(size_t(2 << 20) - 1);
  MappedBlock block(blockSize);
  if (!block.data) {
    error = "cannot probe: no memory for a block of " +
            std::to_string(blockSize) + " bytes";
    return failure();
  }
  bool avx512 = has.contains("avx512f") && has.contains("avx512bw");
  Prober prober{options, cpus, workers,
                probe_kernels::select(avx512, has.contains("avx2")), block};
  const probe_kernels::Kernels &kernels = prober.kernels;

  // Everything that one worker does runs on the first CPU; the caller's mask
  // comes back at the end.
  cpu_set_t callersMask;
  bool restoreMask =
      sched_getaffinity(0, sizeof(callersMask), &callersMask) == 0;
  pinTo(cpus.front());
  std::memset(block.data, 0, block.size);
  load.begin();

  // 2. One worker. The clock is measured beside the rates, before and after,
  // and the faster counts, as it does for the rates.
  prober.say("clock and atoms");
  auto measureClock = [&] {
    return measureRate(kernels.cycles, options.slice);
  };
  double clock = measureClock();
  std::vector<AtomFigure> atoms;
  double fmaLatency = 0;
  auto addAtom = [&](StringRef name, StringRef shape, StringRef types,
                     StringRef instruction, std::vector<std::string> needs,
                     probe_kernels::Rate rate, double latency,
                     bool tiles = false) {
    atoms.push_back({name, shape, types, instruction, needs,
                     measureRate(rate, options.slice), latency, tiles});
  };
  auto baseLatency = [&](StringRef name) {
    for (const Atom &atom : baseWorker.atoms)
      if (atom.name == name)
        return atom.latency.value;
    return 0.0;
  };
  double chainRate = measureRate(kernels.f32Chain, options.slice);
  std::string lanes32 = "1 x " + std::to_string(kernels.registerBits / 32) +
                        " x 1";
  std::string lanes64 = "1 x " + std::to_string(kernels.registerBits / 64) +
                        " x 1";
  std::vector<std::string> fmaNeeds = {codegen == "aarch64" ? "neon"
                                       : avx512             ? "avx512f"
                                                            : "fma"};
  addAtom("fma", lanes32, "f32, f32 -> f32", "vector.fma", fmaNeeds,
          kernels.f32, -1);
  addAtom("fma_f64", lanes64, "f64, f64 -> f64", "vector.fma", fmaNeeds,
          kernels.f64, -1);
#if defined(__x86_64__)
  if (avx512 && has.contains("avx512fp16"))
    addAtom("fma_f16", "1 x 32 x 1", "f16, f16 -> f16", "vector.fma",
            {"avx512fp16"}, probe_kernels::f16Avx512(), -1);
  if (avx512 && has.contains("avx512bf16"))
    addAtom("dot_bf16", "1 x 16 x 2", "bf16, bf16 -> f32", "x86.vdpbf16ps",
            {"avx512bf16"}, probe_kernels::bf16DotAvx512(),
            baseLatency("dot_bf16"));
  if (avx512 && has.contains("avx512vnni"))
    addAtom("vnni", "1 x 16 x 4", "ui8, i8 -> i32", "x86.vpdpbusd",
            {"avx512vnni"}, probe_kernels::vnniAvx512(),
            baseLatency("vnni"));
  else if (has.contains("avxvnni"))
    addAtom("vnni", "1 x 8 x 4", "ui8, i8 -> i32", "x86.vpdpbusd",
            {"avxvnni"}, probe_kernels::vnniAvx2(), baseLatency("vnni"));
  bool tiles = has.contains("amx-tile") && probe_kernels::requestTiles();
  if (tiles) {
    probe_kernels::loadTileConfig();
    if (has.contains("amx-bf16"))
      addAtom("tile_bf16", "16 x 16 x 32", "bf16, bf16 -> f32",
              "x86.tdpbf16ps", {"amx-tile", "amx-bf16"},
              probe_kernels::tileBf16(), baseLatency("tile_bf16"), true);
    if (has.contains("amx-int8")) {
      addAtom("tile_i8", "16 x 16 x 64", "i8, i8 -> i32", "x86.tdpbssd",
              {"amx-tile", "amx-int8"}, probe_kernels::tileI8(),
              baseLatency("tile_i8"), true);
      // The unsigned sibling is the same unit at the same rate.
      AtomFigure sibling = atoms.back();
      sibling.name = "tile_u8i8";
      sibling.types = "ui8, i8 -> i32";
      sibling.instruction = "x86.tdpbusd";
      atoms.push_back(sibling);
    }
    probe_kernels::releaseTiles();
  }
#else
  bool tiles = false;
#endif
  clock = std::max(clock, measureClock());
  fmaLatency = std::rint(clock / chainRate);
  double denormalCycles =
      clock * (1 / measureRate(probe_kernels::denormalChain(), options.slice) -
               1 / measureRate(probe_kernels::normalChain(), options.slice));

  // 3. Memory levels.
  std::vector<LevelFigure> levels;
  auto measureLevel = [&](LevelFigure level, size_t bytes, size_t allBytes) {
    level.workerRead = prober.measureStream(kernels.read, bytes, 1);
    level.workerWrite = prober.measureStream(kernels.write, bytes, 1);
    level.latency = prober.measureLatency(
        std::min<size_t>(bytes, size_t(256) << 20), level.line);
    if (level.main)
      level.workerNtWrite = prober.measureStream(kernels.ntWrite, bytes, 1);
    if (level.sharers <= 1 || workers == 1) {
      level.read = level.workerRead;
      level.write = level.workerWrite;
      level.ntWrite = level.workerNtWrite;
      return level;
    }
    // The best over numbers of workers: more is not always faster.
    for (int64_t active = 2;; active = std::min(active * 2, workers)) {
      size_t each = std::max<size_t>(allBytes / active, 1024);
      level.read = std::max(level.read,
                            prober.measureStream(kernels.read, each, active));
      level.write = std::max(
          level.write, prober.measureStream(kernels.write, each, active));
      if (level.main)
        level.ntWrite = std::max(
            level.ntWrite,
            prober.measureStream(kernels.ntWrite, each, active));
      if (active == workers)
        break;
    }
    return level;
  };

  prober.say("main memory");
  LevelFigure dram;
  dram.name = "dram";
  dram.main = true;
  dram.bytes = memory >> 20 << 20;
  dram.bytesSource = "documented";
  dram.line = line;
  dram.sharers = workers;
  dram = measureLevel(dram, block.size, block.size);

  double crossing = 1;
  for (const Cache &cache : caches) {
    LevelFigure level;
    level.name = ("l" + Twine(cache.level)).str();
    level.line = cache.line;
    level.sharers = std::min(cache.sharers, workers);
    level.bytes = cache.bytes;
    level.bytesSource = "documented";
    prober.say("cache " + level.name);
    if (&cache == &caches.front())
      crossing = prober.measureStream(kernels.readCrossing,
                                      size_t(cache.bytes) / 2, 1) /
                 prober.measureStream(kernels.read, size_t(cache.bytes) / 2, 1);
    if (&cache == &caches.back() && caches.size() > 1) {
      // How much of the last level is really ours: halve the size until it
      // reads clearly faster than main memory.
      size_t size = std::min<size_t>(cache.bytes, block.size / 2);
      size_t least = size_t(caches[caches.size() - 2].bytes) * 2;
      while (size >= least && prober.measureStream(kernels.read, size, 1) <
                                  1.35 * dram.workerRead)
        size /= 2;
      if (size < least)
        continue;
      if (int64_t(size) < cache.bytes)
        level.bytesSource = "measured";
      level.bytes = int64_t(size);
    }
    // Three quarters: the rest of the cache is never ours alone.
    size_t bytes = size_t(level.bytes) / 4 * 3;
    level = measureLevel(level, std::min(bytes, block.size / workers), bytes);
    if (level.workerRead < 1.1 * dram.workerRead)
      continue;
    levels.push_back(level);
  }
  levels.push_back(dram);
  // Noise must not make an inner level look farther than an outer one.
  for (size_t i = levels.size() - 1; i > 0; --i)
    levels[i - 1].latency = std::min(levels[i - 1].latency, levels[i].latency);

  // 4. Signals.
  double spin = 0, wake = 0;
  if (cpus.size() > 1) {
    prober.say("signals between workers");
    spin = prober.measureSpin();
    wake = prober.measureWake();
  }
  double taken = load.getTaken();
  if (restoreMask)
    sched_setaffinity(0, sizeof(callersMask), &callersMask);
  if (taken > options.mostTaken) {
    error = "cannot probe: other programs, or other machines on this one, took " +
            std::to_string(int64_t(std::rint(taken * 100))) +
            " % of the time of the measurements; try again when the machine is "
            "idle";
    return failure();
  }

  // 5. Text.
  std::string text;
  llvm::raw_string_ostream os(text);
  os << "// " << options.name
     << ": this machine, as hrcc --probe measured it.\n"
     << "// Figures that a program cannot measure are those of " << baseName
     << ".\n";
  os << "hw.system @" << options.name << " (summary = \"" << workers
     << " workers, probed, nearest to " << baseName << "\") {\n";
  FieldWriter device(os, 2);
  device.open("hw.device @cpu");
  device.field("codegen", codegen);
  if (!baseDevice.cpu.empty())
    device.field("cpu", "\"" + baseDevice.cpu + "\"");
  device.list("features", baseDevice.features);
  device.figure("price", borrow(baseDevice.pricePerHour), 1, "USD/h");
  device.figure("watts", borrow(baseDevice.watts), 1, "W");
  device.close(" {");

  auto baseLevel = [&](const LevelFigure &level) {
    return baseWorker.getLevel(level.name);
  };
  for (const LevelFigure &level : llvm::reverse(levels))
    if (level.sharers > 1 || level.main)
      writeLevel(os, 4, level, baseLevel(level));

  FieldWriter worker(os, 4);
  worker.open("hw.worker @core x " + Twine(workers));
  worker.figure("clock", clock / 1e9, "GHz", "measured");
  worker.field("registers", Twine(kernels.registers) + " x " +
                                Twine(kernels.registerBits) + " bit");
  if (tiles)
    worker.field("tile_registers", "8 x 8192 bit");
  worker.figure("loads", borrow(baseWorker.loads), 1, "");
  worker.figure("issue", borrow(baseWorker.issue), 1, "");
  if (baseWorker.hasBroadcastOperand)
    worker.item("broadcast_operand");
  worker.close(" {");
  std::string innermost;
  for (const LevelFigure &level : llvm::reverse(levels)) {
    innermost = level.name;
    if (level.sharers == 1 && !level.main)
      writeLevel(os, 6, level, baseLevel(level));
  }
  for (const AtomFigure &atom : atoms) {
    FieldWriter writer(os, 6);
    writer.open(("hw.atom @" + atom.name + " " + atom.shape + " " + atom.types)
                    .str());
    writer.field("instruction", "\"" + atom.instruction + "\"");
    writer.figure("per_cycle", atom.perCycle / clock, "", "measured");
    if (atom.latency < 0)
      writer.figure("latency", fmaLatency, "cycles", "measured");
    else if (atom.latency > 0)
      writer.figure("latency", atom.latency, "cycles", "assumed");
    if (atom.tiles)
      writer.field("operands", "tile_registers");
    writer.field("from", "@" + innermost);
    for (const Atom &known : baseWorker.atoms)
      if (known.name == atom.name)
        writer.figure("energy", borrow(known.joulesPerMac), 1e-12, "pJ");
    writer.list("needs", atom.needs);
    writer.close();
  }
  os << "    }\n";
  FieldWriter sync(os, 4);
  sync.open("hw.sync");
  if (spin > 0) {
    sync.figure("cost", spin * 1e9, "ns", "measured");
    sync.figure("wake", wake * 1e6, "us", "measured");
  } else {
    sync.figure("cost", borrow(baseDevice.sync.cost), 1e-9, "ns");
    sync.figure("wake", borrow(baseDevice.sync.wake), 1e-6, "us");
  }
  sync.field("counter_stride", Twine(std::max<int64_t>(64, line)));
  sync.close();
  FieldWriter facts(os, 4);
  const CodegenFacts &known = baseDevice.facts;
  facts.open("hw.codegen");
  if (!known.ntStoreFence.empty())
    facts.field("nt_store_fence", "\"" + known.ntStoreFence + "\"");
  facts.figure("prefetch_distance", borrow(known.prefetchDistance), 1, "B");
  facts.figure("nt_store_from", borrow(known.ntStoreFrom), 1048576, "MiB");
  facts.figure("denormal", std::max(0.0, std::rint(denormalCycles)), "cycles",
               "measured");
  facts.figure("line_crossing", std::min(1.0, crossing), "", "measured");
  facts.field("page", Twine(int64_t(sysconf(_SC_PAGESIZE))));
  std::vector<std::string> flushing;
  for (const std::string &name : known.flushesDenormals)
    for (const AtomFigure &atom : atoms)
      if (atom.name == name)
        flushing.push_back(name);
  facts.list("flushes_denormals", flushing);
  facts.close();
  os << "  }\n}\n";

  // What we wrote must be what the compiler reads.
  if (failed(System::parse(text, options.name + ".mlir", error)))
    return failure();
  return text;
}

LogicalResult hw::probeToFile(StringRef path, const ProbeOptions &options,
                              std::string &error) {
  // Fail before measuring for twenty seconds, not after.
  if (path == System::getProbedPath()) {
    StringRef dir = llvm::sys::path::parent_path(path);
    if (std::error_code ec = llvm::sys::fs::create_directories(dir)) {
      error = ("cannot create folder '" + dir + "': " + ec.message()).str();
      return failure();
    }
  }
  OutputFiles files;
  OutputFile *file = files.add(path.str(), error);
  if (!file)
    return failure();
  FailureOr<std::string> text = probe(options, error);
  return success(succeeded(text) &&
                 file->write(text->data(), text->size(), error) &&
                 files.commit(error));
}
